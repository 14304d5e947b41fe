//! The committed offsets of one group. Java: `OffsetMetadataManager`, `OffsetAndMetadata`.

use std::collections::BTreeMap;

use felice_protocol::messages::data::{OffsetCommitKey, OffsetCommitValue};
use felice_protocol::primitives::{ByteStr, Uuid};

use super::records::GroupRecord;

/// An offset that a group has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    /// -1 where the client did not say.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: ByteStr,
    /// Wall milliseconds.
    pub(crate) commit_timestamp: i64,
    /// Wall milliseconds; only where the client asked for a retention of its own.
    pub(crate) expire_timestamp: Option<i64>,
    /// The topic's id when it was committed; zero in records from before Kafka 4.1.
    pub(crate) topic_id: Uuid,
}

impl CommittedOffset {
    pub(crate) fn replay(value: OffsetCommitValue) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata,
            commit_timestamp: value.commit_timestamp,
            expire_timestamp: Some(value.expire_timestamp).filter(|at| *at != -1),
            topic_id: value.topic_id,
        }
    }

    pub(crate) fn record(&self, group_id: &ByteStr, topic: &ByteStr, partition: i32) -> GroupRecord {
        let value = OffsetCommitValue {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: self.metadata.clone(),
            commit_timestamp: self.commit_timestamp,
            expire_timestamp: self.expire_timestamp.unwrap_or(-1),
            topic_id: self.topic_id,
            ..Default::default()
        };
        // Only version 1 can say when the offset expires.
        let version = if self.expire_timestamp.is_some() { 1 } else { 4 };
        GroupRecord::new(OffsetCommitKey::API_KEY, &key(group_id, topic, partition), version, &value)
    }
}

fn key(group_id: &ByteStr, topic: &ByteStr, partition: i32) -> OffsetCommitKey {
    OffsetCommitKey { group: group_id.clone(), topic: topic.clone(), partition }
}

/// What deletes an offset.
pub(crate) fn tombstone(group_id: &ByteStr, topic: &ByteStr, partition: i32) -> GroupRecord {
    GroupRecord::tombstone(OffsetCommitKey::API_KEY, &key(group_id, topic, partition))
}

/// A group's offsets, by topic and partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommittedOffsets(BTreeMap<ByteStr, BTreeMap<i32, CommittedOffset>>);

impl CommittedOffsets {
    pub(crate) fn insert(&mut self, topic: &ByteStr, partition: i32, offset: CommittedOffset) {
        if let Some(partitions) = self.0.get_mut(topic) {
            partitions.insert(partition, offset);
        } else {
            // The key lives on: not as a slice of somebody's request.
            self.0.insert(topic.as_str().into(), BTreeMap::from([(partition, offset)]));
        }
    }

    pub(crate) fn remove(&mut self, topic: &str, partition: i32) -> bool {
        let Some(partitions) = self.0.get_mut(topic) else { return false };
        let removed = partitions.remove(&partition).is_some();
        if partitions.is_empty() {
            self.0.remove(topic);
        }
        removed
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.0.get(topic)?.get(&partition)
    }

    /// By topic.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ByteStr, &BTreeMap<i32, CommittedOffset>)> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes those for which `goes` says so, and gives what deletes them from the log.
    pub(crate) fn remove_if(
        &mut self,
        group_id: &ByteStr,
        mut goes: impl FnMut(&ByteStr, i32, &CommittedOffset) -> bool,
    ) -> Vec<GroupRecord> {
        let mut records = Vec::new();
        self.0.retain(|topic, partitions| {
            partitions.retain(|partition, offset| {
                let goes = goes(topic, *partition, offset);
                if goes {
                    records.push(tombstone(group_id, topic, *partition));
                }
                !goes
            });
            !partitions.is_empty()
        });
        records
    }
}
