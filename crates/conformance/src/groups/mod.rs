//! Consumer groups of foreign clients: programs that are one member each, and the judge of what they tell.
//!
//! A member's program (see "Members" in `peers/README.md`) prints an event a line: what it was assigned, which records it had, what it
//! committed. [`member`] runs one, [`ledger`] judges what all of them told together, [`scenario`] lets members join, leave, die and come
//! back. Nothing here knows which client or which broker it is.

pub mod chain;
pub mod command;
pub mod consumers;
pub mod event;
pub mod files;
pub mod ledger;
pub mod member;
pub mod scenario;
pub mod tool;

pub use member::Program;
pub use scenario::{Run, Verdict};

/// Properties of a broker under which dead members are noticed soon, whichever protocol they speak.
pub const BROKER_PROPERTIES: [(&str, &str); 7] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.session.timeout.ms", "4000"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "500"),
    ("group.consumer.assignment.interval.ms", "200"),
];

/// The session timeout that members of the classic protocol ask for.
pub(crate) const SESSION_MS: &str = "4000";
/// How long a member takes between reading records and committing them.
pub(crate) const PROCESS_MS: &str = "20";
