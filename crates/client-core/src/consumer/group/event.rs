//! What a member is told and what it tells.

use std::collections::BTreeSet;
use std::fmt;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Instant;

use crate::consumer::{OffsetAndMetadata, TopicPartition};
use crate::error::Error;

/// Which topics a member wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// These, whether they exist yet or not. None at all is no subscription.
    Topics(BTreeSet<ByteStr>),
    /// Those whose whole name matches this regular expression, also those that appear later. With KIP-848 the coordinator matches, with the
    /// classic protocol this member does.
    Pattern(String),
}

/// A member of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberKey(pub u32);

/// An Assign, Revoke or Lost, to be answered with `accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalId(pub u64);

/// A commit or look-up of offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Who this member is to its group. Java: `ConsumerGroupMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group.
    pub group_id: ByteStr,
    /// The generation (classic) or the member's epoch (KIP-848); −1 for no member.
    pub generation_or_epoch: i32,
    /// The member's id; empty for no member.
    pub member_id: ByteStr,
    /// Its `group.instance.id`, for a static member.
    pub group_instance_id: Option<ByteStr>,
}

/// What a member is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
    /// It has no subscription: nothing to do but commits and look-ups.
    Unsubscribed,
    /// It looks for the group's coordinator, or for a connection to it.
    FindingCoordinator,
    /// It joins; the coordinator may wait for the others.
    Joining,
    /// It waits for its assignment.
    Syncing,
    /// It waits until the application has let partitions go.
    Revoking,
    /// It waits until the application has taken new partitions.
    Assigning,
    /// It waits until the application has dropped what it lost.
    Losing,
    /// It is a member with an assignment.
    Stable,
    /// It has left, because the application took nothing for `max.poll.interval.ms`; it comes back at the next progress.
    Stalled,
    /// It leaves.
    Leaving,
    /// It cannot go on; the event said why. A new subscription starts anew.
    Failed,
    /// It has left for good; a new subscription starts anew.
    Left,
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsubscribed => "unsubscribed",
            Self::FindingCoordinator => "finding the coordinator",
            Self::Joining => "joining",
            Self::Syncing => "waiting for its assignment",
            Self::Revoking => "waiting for partitions to be let go",
            Self::Assigning => "waiting for partitions to be taken",
            Self::Losing => "waiting for lost partitions to be dropped",
            Self::Stable => "stable",
            Self::Stalled => "stalled",
            Self::Leaving => "leaving",
            Self::Failed => "failed",
            Self::Left => "left",
        })
    }
}

/// A state, since when, and until when at the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// What the member is doing.
    pub state: MemberState,
    /// Since when.
    pub since: Instant,
    /// When something else happens at the latest; `None` only where nothing is under way.
    pub deadline: Option<Instant>,
}

/// A partition and what is committed for it: `None` where nothing is, or the coordinator's code.
pub type Committed = (TopicPartition, Result<Option<OffsetAndMetadata>, ErrorCode>);

/// What a member tells. `id` goes back with `accept` once the application has done it, whatever it did with its fetching.
#[derive(Clone, Debug)]
pub enum GroupEvent {
    /// These partitions are this member's from now on.
    Assign {
        /// For `accept`.
        id: ProposalId,
        /// What is new; all there is where `incremental` is false.
        partitions: Vec<TopicPartition>,
        /// Whether what it had before stays.
        incremental: bool,
        /// When the protocol goes on without an answer.
        deadline: Instant,
    },
    /// These partitions are to be given up: finish, commit, accept.
    Revoke {
        /// For `accept`.
        id: ProposalId,
        /// What goes away; all there is where `incremental` is false.
        partitions: Vec<TopicPartition>,
        /// Whether the rest stays.
        incremental: bool,
        /// When they are lost without an answer.
        deadline: Instant,
    },
    /// These partitions are somebody else's already, or are gone: nothing can be committed.
    Lost {
        /// For `accept`.
        id: ProposalId,
        /// What was lost.
        partitions: Vec<TopicPartition>,
        /// Why.
        error: Error,
    },
    /// A commit is done.
    Committed {
        /// Which.
        request: RequestId,
        /// What became of each partition, or why nothing was asked.
        result: Result<Vec<(TopicPartition, ErrorCode)>, Error>,
    },
    /// A look-up of committed offsets is done.
    Offsets {
        /// Which.
        request: RequestId,
        /// Each partition's offset; `None` where nothing is committed.
        result: Result<Vec<Committed>, Error>,
    },
    /// The member has joined a generation, or has a new epoch.
    Joined(GroupMetadata),
    /// The application has left its work alone for long. Told before the member leaves (`left` is false), when it leaves, and again each
    /// `max.poll.interval.ms` while it is out.
    Stalled {
        /// Since when there is work that nobody took.
        since: Instant,
        /// When the member leaves, or left.
        leaves_at: Instant,
        /// Whether it has left.
        left: bool,
    },
    /// A state lasts longer than it should; the member keeps trying.
    Delayed {
        /// Which.
        state: MemberState,
        /// Since when.
        since: Instant,
        /// The last error, where there was one.
        error: Option<Error>,
    },
    /// A heartbeat leaves that tells the coordinator what is held now.
    Acknowledging,
    /// The coordinator knows the member by another epoch than a commit said: it is made again once a heartbeat has told which.
    CommitDeferred {
        /// What it answered.
        error: Error,
    },
    /// The member cannot go on: fenced, refused or misconfigured. Its partitions were lost before.
    Failed(Error),
    /// It has left, or its time to do so was over.
    Left,
}
