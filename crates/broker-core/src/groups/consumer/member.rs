//! A member of a consumer group: what it asked for and what it has.

use std::collections::BTreeSet;

use bytes::Bytes;
use felice_protocol::primitives::{ByteStr, Uuid};

use super::assignment::{Held, Partitions};

/// The epoch of a static member that left for a while (KIP-848): its partitions wait for it until its session is over.
pub(crate) const LEAVE_STATIC_EPOCH: i32 = -2;
/// The epoch with which a member leaves for good.
pub(crate) const LEAVE_EPOCH: i32 = -1;

/// Where a member stands on its way to its target. Java: `MemberState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It has what it should have.
    #[default]
    Stable,
    /// It must give partitions back before it goes on.
    UnrevokedPartitions,
    /// It waits for partitions that others have not given back yet.
    UnreleasedPartitions,
    /// A state of a newer coordinator, found in the log: the member has to start again.
    Unknown,
}

impl MemberState {
    pub(crate) fn from_number(number: i8) -> Self {
        match number {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }

    pub(crate) fn number(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }
}

/// What a member of the classic protocol brought along when it joined.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ClassicMetadata {
    pub(crate) session_timeout_ms: i32,
    /// Name and subscription, the most wanted first.
    pub(crate) protocols: Vec<(ByteStr, Bytes)>,
}

/// What a member told of itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MemberMetadata {
    pub(crate) instance_id: Option<ByteStr>,
    pub(crate) rack_id: Option<ByteStr>,
    pub(crate) client_id: ByteStr,
    pub(crate) client_host: ByteStr,
    pub(crate) topics: BTreeSet<ByteStr>,
    /// Empty where there is none.
    pub(crate) regex: ByteStr,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) server_assignor: Option<ByteStr>,
    /// `None` for a member of the consumer protocol.
    pub(crate) classic: Option<ClassicMetadata>,
}

impl Default for MemberMetadata {
    fn default() -> Self {
        Self {
            instance_id: None,
            rack_id: None,
            client_id: ByteStr::default(),
            client_host: ByteStr::default(),
            topics: BTreeSet::new(),
            regex: ByteStr::default(),
            rebalance_timeout_ms: -1,
            server_assignor: None,
            classic: None,
        }
    }
}

impl MemberMetadata {
    /// The regular expression, where there is one.
    pub(crate) fn regex(&self) -> Option<&ByteStr> {
        Some(&self.regex).filter(|regex| !regex.is_empty())
    }

    /// The protocol that a classic member is told was chosen: the first it named.
    pub(crate) fn classic_protocol(&self) -> Option<&(ByteStr, Bytes)> {
        self.classic.as_ref()?.protocols.first()
    }
}

/// What a member has at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) epoch: i32,
    /// The epoch before: a member whose last answer was lost still comes with it.
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: Held,
    /// Still its own until it says that it has given them back.
    pub(crate) pending_revocation: Held,
}

impl Current {
    pub(crate) fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    /// All that no one else may have.
    pub(crate) fn owned(&self) -> impl Iterator<Item = (Uuid, i32)> {
        self.assigned.iter().chain(self.pending_revocation.iter()).map(|(topic, partition, _)| (topic, partition))
    }

    /// All that it may still read, by topic.
    pub(crate) fn owned_partitions(&self) -> Partitions {
        let mut owned = self.assigned.clone();
        owned.extend(&self.pending_revocation);
        owned.partitions()
    }

    pub(crate) fn owns(&self, topic: &Uuid, partition: i32) -> bool {
        self.assigned.contains(topic, partition) || self.pending_revocation.contains(topic, partition)
    }
}

/// A member.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Member {
    pub(crate) metadata: MemberMetadata,
    pub(crate) current: Current,
}

impl Member {
    pub(crate) fn uses_classic_protocol(&self) -> bool {
        self.metadata.classic.is_some()
    }
}
