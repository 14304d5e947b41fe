//! Bugs that can be planted in the cores, each a single wrong decision, so that the checkers are checked.

use felice_broker_core::BrokerConfig;
use felice_client_core::bugs::Bug as ClientBug;
use felice_client_core::config::{ConsumerConfig, FetchConfig, ProducerConfig};
use felice_log::Bug as BrokerBug;

/// Where a bug is planted.
#[derive(Clone, Copy, Debug)]
enum Place {
    Broker(BrokerBug),
    Client(ClientBug),
}

/// A bug.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// Its name on the command line.
    pub name: &'static str,
    /// What goes wrong.
    pub what: &'static str,
    /// A seed that finds it, for a test that has no time to look.
    pub seed: u64,
    /// Whether it is one of consumer groups, and only worlds with groups find it.
    pub groups: bool,
    place: Place,
}

const fn broker(name: &'static str, bug: BrokerBug, seed: u64, what: &'static str) -> Bug {
    Bug { name, what, seed, groups: false, place: Place::Broker(bug) }
}

const fn client(name: &'static str, bug: ClientBug, seed: u64, what: &'static str) -> Bug {
    Bug { name, what, seed, groups: false, place: Place::Client(bug) }
}

const fn coordinator(name: &'static str, bug: BrokerBug, seed: u64, what: &'static str) -> Bug {
    Bug { groups: true, ..broker(name, bug, seed, what) }
}

const fn member(name: &'static str, bug: ClientBug, seed: u64, what: &'static str) -> Bug {
    Bug { groups: true, ..client(name, bug, seed, what) }
}

/// All bugs.
pub const ALL: &[Bug] = &[
    client(
        "sequence-reuse",
        ClientBug::SequenceReusedAfterDrop,
        66,
        "a batch takes the sequence of one that was given up",
    ),
    client("retry-reorders", ClientBug::RetryReorders, 1, "of several batches to be sent again the last goes first"),
    client(
        "unknown-called-failed",
        ClientBug::UnknownCalledFailed,
        28,
        "what may be in the log is reported as not written",
    ),
    client("unknown-renumbered", ClientBug::UnknownRenumbered, 77, "what may be in the log is numbered anew"),
    client("stale-fetch", ClientBug::StaleFetchTaken, 4, "an answer from before a seek moves the position"),
    broker("no-dedup-window", BrokerBug::NoDedupWindow, 1, "a repeated batch is written again"),
    broker("ack-before-append", BrokerBug::AcknowledgedBeforeAppend, 1, "acknowledged although the disk refused"),
    broker("ack-before-sync", BrokerBug::AcknowledgedBeforeSync, 20, "acknowledged before the sync that was promised"),
    broker("index-off-by-one", BrokerBug::LookupOffByOne, 0, "a read begins at the next offset"),
    broker("high-watermark-ahead", BrokerBug::HighWatermarkAhead, 24, "readers see what is not durable yet"),
    broker("lost-wake-up", BrokerBug::LostWakeUp, 3, "a waiting fetch sleeps on when records come"),
    broker("torn-tail-believed", BrokerBug::TornTailBelieved, 25, "recovery looks at headers, not at checksums"),
    broker(
        "producer-state-forgotten",
        BrokerBug::ProducerStateForgotten,
        1,
        "recovery does not replay the producers' batches",
    ),
    broker("directory-not-synced", BrokerBug::DirectoryNotSynced, 20, "a new segment is synced, its name is not"),
    broker("duplicate-elsewhere", BrokerBug::DuplicateElsewhere, 1, "a repeated batch is answered with another offset"),
    coordinator("commit-unchecked", BrokerBug::CommitUnchecked, 1986, "commits of any generation or epoch are taken"),
    coordinator("commit-before-sync", BrokerBug::CommitBeforeSync, 167, "a commit is answered before it is durable"),
    coordinator("first-commit-replayed", BrokerBug::FirstCommitReplayed, 0, "after a start the first commit counts"),
    coordinator("sessions-forgotten", BrokerBug::SessionsForgotten, 5, "after a start nobody watches the sessions"),
    coordinator("rebalance-not-told", BrokerBug::RebalanceNotTold, 3, "heartbeats do not tell of a rebalance"),
    coordinator("join-not-awaited", BrokerBug::JoinNotAwaited, 0, "a rebalance does not wait for the members"),
    coordinator(
        "given-before-released",
        BrokerBug::GivenBeforeReleased,
        8,
        "a partition is given away before its owner let go (KIP-848)",
    ),
    member(
        "rebalance-ignored",
        ClientBug::RebalanceIgnored,
        38,
        "a member does not join again when the group rebalances",
    ),
    member("ack-without-release", ClientBug::AckWithoutRelease, 1, "a member of KIP-848 does not tell what it holds"),
    member(
        "revoke-not-awaited",
        ClientBug::RevokeNotAwaited,
        175,
        "the protocol goes on before the application let go",
    ),
    member("loss-not-told", ClientBug::LossNotTold, 9, "a member that was fenced keeps its partitions"),
    member("commit-after-loss", ClientBug::CommitAfterLoss, 58, "a commit is sent on after its partition was lost"),
    member(
        "given-before-revoked",
        ClientBug::GivenBeforeRevoked,
        104,
        "cooperative-sticky gives away what is still owned",
    ),
];

/// The bug of this name.
pub fn find(name: &str) -> Option<&'static Bug> {
    ALL.iter().find(|bug| bug.name == name)
}

fn client_bug(name: Option<&str>) -> felice_client_core::bugs::Bugs {
    match name.and_then(find).map(|bug| bug.place) {
        Some(Place::Client(bug)) => felice_client_core::bugs::Bugs::plant(bug),
        Some(Place::Broker(_)) | None => felice_client_core::bugs::Bugs::default(),
    }
}

pub(crate) fn plant_in_broker(config: &mut BrokerConfig, name: Option<&str>) {
    if let Some(Place::Broker(bug)) = name.and_then(find).map(|bug| bug.place) {
        config.bugs = felice_log::Bugs::plant(bug);
    }
}

pub(crate) fn plant_in_producer(config: &mut ProducerConfig, name: Option<&str>) {
    config.bugs = client_bug(name);
}

pub(crate) fn plant_in_member(config: &mut ConsumerConfig, name: Option<&str>) {
    config.bugs = client_bug(name);
}

pub(crate) fn plant_in_reader(config: &mut FetchConfig, name: Option<&str>) {
    config.bugs = client_bug(name);
}
