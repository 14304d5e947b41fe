//! Reading.
//!
//! - [`fetcher`]: partitions from positions, without a group: offsets, Fetch requests, errors
//! - [`offsets`]: how far a partition has been read, done and committed
//! - [`assignor`]: how the leader of a classic group divides the partitions
//! - [`group`]: the member of a group
//! - [`budget`]: how many fetched bytes may wait

pub mod assignor;
pub mod budget;
pub mod event;
pub mod fetcher;
pub mod group;
pub mod offsets;
pub mod session;

use std::fmt;

use felice_protocol::primitives::ByteStr;

/// A partition of a topic, by the topic's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: ByteStr,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// This partition of this topic.
    pub fn new(topic: impl Into<ByteStr>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// What a group commits for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The next offset to read.
    pub offset: i64,
    /// The leader's epoch of the record before it; -1 where it is not known (KIP-320).
    pub leader_epoch: i32,
    /// What the application notes beside it; at most `offset.metadata.max.bytes` of the broker (4,096).
    pub metadata: ByteStr,
}

impl OffsetAndMetadata {
    /// An offset alone.
    pub fn new(offset: i64) -> Self {
        Self { offset, leader_epoch: -1, metadata: ByteStr::default() }
    }
}
