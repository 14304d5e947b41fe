//! What a consumer tells of itself: never needed to go on, always enough to say why it does not.

use std::fmt;
use std::time::Duration;

use super::TopicPartition;
use crate::error::Error;

/// Why a partition makes no progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StallReason {
    /// A record was handed out and is not done.
    NotDone,
    /// Records wait, and the application does not take them.
    NotTaken,
    /// It is paused.
    Paused,
    /// The rebalance listener has not come back.
    Listener,
    /// Its committed offset is being asked for.
    WaitingForCommitted,
    /// The offset to start from is being looked up.
    WaitingForOffset,
    /// No broker leads it.
    NoLeader,
    /// Fetching it fails and is tried again.
    FetchFailing,
    /// It failed with an error that was told, and is read on after a seek.
    Failed,
}

impl fmt::Display for StallReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDone => "a record was handed out and is not done",
            Self::NotTaken => "records wait and nobody takes them",
            Self::Paused => "it is paused",
            Self::Listener => "the rebalance listener has not come back",
            Self::WaitingForCommitted => "its committed offset is being asked for",
            Self::WaitingForOffset => "the offset to start from is being looked up",
            Self::NoLeader => "no broker leads it",
            Self::FetchFailing => "fetching it fails and is tried again",
            Self::Failed => "it failed; a seek revives it",
        })
    }
}

/// What a consumer tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// The group has a new generation or epoch, and this consumer is in it.
    Joined {
        /// Its member id.
        member_id: String,
        /// The generation, or the member's epoch (KIP-848).
        generation: i32,
    },
    /// These partitions are read from now on.
    Assigned(Vec<TopicPartition>),
    /// These partitions are given back.
    Revoked(Vec<TopicPartition>),
    /// These partitions were taken away without asking: what was not committed will be read again by somebody.
    Lost {
        /// Which.
        partitions: Vec<TopicPartition>,
        /// Why.
        error: Error,
    },
    /// A partition makes no progress.
    Stalled {
        /// Which.
        partition: TopicPartition,
        /// The first record that it does not get past; −1 where no position is known.
        offset: i64,
        /// For how long.
        age: Duration,
        /// Why.
        reason: StallReason,
    },
    /// The application has taken and finished nothing for so long that the consumer leaves its group (`max.poll.interval.ms`), or soon will.
    Silent {
        /// For how long.
        age: Duration,
        /// Whether it has left.
        left: bool,
    },
    /// Joining, syncing or leaving takes longer than it should; the member keeps trying.
    Delayed {
        /// What it is doing.
        doing: String,
        /// For how long.
        age: Duration,
        /// The last error, where there was one.
        error: Option<Error>,
    },
    /// A commit failed; what it was for stays uncommitted until the next one.
    CommitFailed {
        /// Which partitions.
        partitions: Vec<TopicPartition>,
        /// Why.
        error: Error,
    },
    /// A position was not in the log, and `auto.offset.reset` chose another.
    OffsetReset {
        /// Which.
        partition: TopicPartition,
        /// The offset that was not there; `None` where none was committed.
        from: Option<i64>,
        /// Where reading goes on.
        to: i64,
    },
    /// A topic was deleted and made anew; it is read from its start.
    TopicRecreated {
        /// Which.
        partition: TopicPartition,
        /// Where reading goes on.
        to: i64,
    },
    /// The end of a partition was reached.
    EndOfPartition {
        /// Which.
        partition: TopicPartition,
        /// The end.
        offset: i64,
    },
    /// A partition is not read on; the stream tells the same error.
    PartitionFailed {
        /// Which.
        partition: TopicPartition,
        /// Why.
        error: Error,
    },
    /// Records were done too late to count: the partition was gone.
    LateDone {
        /// Which.
        partition: TopicPartition,
        /// How many times.
        count: u64,
    },
    /// The group membership failed for good; the stream tells the same error.
    Failed(Error),
    /// The group was left.
    Left,
}
