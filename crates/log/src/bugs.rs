//! Wrong decisions that the simulator plants to see whether its checkers find them. Without the feature `__bugs` none can be planted, and every
//! question here is answered "no" at compile time.

/// A wrong decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Bug {
    /// A batch that a producer repeats is written again.
    NoDedupWindow,
    /// A read begins at the offset behind the one asked for.
    LookupOffByOne,
    /// After a crash only headers are looked at, not checksums.
    TornTailBelieved,
    /// After a crash nothing is known of the producers.
    ProducerStateForgotten,
    /// A flush syncs files, but not that they are there.
    DirectoryNotSynced,
    /// A repeated batch is said to be at the end of the log.
    DuplicateElsewhere,
    /// The broker acknowledges before the sync.
    AcknowledgedBeforeSync,
    /// The broker acknowledges although the disk refused.
    AcknowledgedBeforeAppend,
    /// Readers see what is not durable yet.
    HighWatermarkAhead,
    /// A waiting fetch hears of nothing before its time is up.
    LostWakeUp,
    /// The coordinator takes commits of any generation or epoch.
    CommitUnchecked,
    /// The coordinator answers a commit before it is durable.
    CommitBeforeSync,
    /// After a start the first commit of a partition counts, not the last.
    FirstCommitReplayed,
    /// After a start nobody watches the members' sessions.
    SessionsForgotten,
    /// Heartbeats do not tell of a rebalance.
    RebalanceNotTold,
    /// A rebalance does not wait for the members that have yet to join.
    JoinNotAwaited,
    /// A partition is given away before its owner has said that it let go (KIP-848).
    GivenBeforeReleased,
}

/// What is planted: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(hidden)]
pub struct Bugs {
    #[cfg(feature = "__bugs")]
    planted: Option<Bug>,
}

impl Bugs {
    /// This one.
    #[cfg(feature = "__bugs")]
    pub fn plant(bug: Bug) -> Self {
        Self { planted: Some(bug) }
    }

    /// Whether this one is planted.
    #[inline]
    pub fn has(self, bug: Bug) -> bool {
        #[cfg(feature = "__bugs")]
        return self.planted == Some(bug);
        #[cfg(not(feature = "__bugs"))]
        {
            let _ = bug;
            false
        }
    }
}
