//! Wrong decisions that the simulator plants to see whether its checkers find them. Without the feature `__bugs` none can be planted, and every
//! question here is answered "no" at compile time.

/// A wrong decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Bug {
    /// A batch takes the sequence of one that was given up.
    SequenceReusedAfterDrop,
    /// Of several batches that wait to be sent again the last goes first.
    RetryReorders,
    /// A batch that may be in the log is reported as not written.
    UnknownCalledFailed,
    /// A batch that may be in the log is numbered anew under another epoch.
    UnknownRenumbered,
    /// An answer from before a seek moves the position.
    StaleFetchTaken,
    /// A classic member does not join again when the group rebalances.
    RebalanceIgnored,
    /// A member of KIP-848 does not tell what it holds.
    AckWithoutRelease,
    /// The protocol goes on before the application has given up what it was asked for.
    RevokeNotAwaited,
    /// A member that was fenced keeps its partitions.
    LossNotTold,
    /// A commit is sent on although its partition has another owner by now.
    CommitAfterLoss,
    /// The cooperative assignor gives a partition away while another member still has it.
    GivenBeforeRevoked,
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
