use std::collections::BTreeMap;

use bytes::Bytes;
use felice_protocol::messages::{self, ApiKey, ListOffsetsRequest, Request, list_offsets};
use felice_protocol::primitives::{ByteStr, EncodeError, Frame};

use crate::client::decode_answer;
use crate::connection::EncodeRequest;
use crate::error::{Error, ErrorKind};
use crate::metadata::{BrokerId, ClusterMetadata};

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first record that is kept.
    Earliest,
    /// Behind the last record that consumers may read.
    Latest,
    /// The record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// The first record of this time (milliseconds since 1970) or later.
    Timestamp(i64),
}

impl OffsetSpec {
    fn on_the_wire(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(millis) => millis.max(0),
        }
    }

    fn min_version(self) -> i16 {
        if self == Self::MaxTimestamp { 7 } else { ListOffsetsRequest::MIN_VERSION }
    }
}

/// A topic's name and a partition's index.
pub type TopicPartition = (ByteStr, i32);

/// An offset that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; `None` where no record is that late.
    pub offset: Option<i64>,
    /// The timestamp of its record, where the question was about time.
    pub timestamp: Option<i64>,
    /// The leader epoch of its record; `None` where the broker does not say.
    pub leader_epoch: Option<i32>,
}

/// Asks one broker for offsets of partitions that it leads.
#[derive(Clone, Debug)]
pub struct ListOffsets {
    request: ListOffsetsRequest,
    min_version: i16,
}

impl ListOffsets {
    /// One question for each leader of `partitions`.
    ///
    /// # Errors
    /// Where a partition is not known or has no leader.
    pub fn by_leader(
        metadata: &ClusterMetadata,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
    ) -> Result<Vec<(BrokerId, Self)>, Error> {
        let mut leaders: BTreeMap<BrokerId, BTreeMap<ByteStr, Vec<list_offsets::request::ListOffsetsPartition>>> =
            BTreeMap::new();
        for (topic, index) in partitions {
            let unknown = || Error::new(ErrorKind::UnknownTopic, "the partition does not exist");
            let known = metadata.partition(topic, *index).ok_or_else(|| unknown().on_partition(topic, *index))?;
            let leaderless =
                || Error::new(ErrorKind::Broker, "the partition has no leader").on_partition(topic, *index);
            let asked = list_offsets::request::ListOffsetsPartition {
                partition_index: *index,
                current_leader_epoch: known.leader_epoch,
                timestamp: spec.on_the_wire(),
                ..Default::default()
            };
            let topics = leaders.entry(known.leader.ok_or_else(leaderless)?).or_default();
            topics.entry(topic.clone()).or_default().push(asked);
        }
        let question = |topics: BTreeMap<ByteStr, Vec<list_offsets::request::ListOffsetsPartition>>| {
            let topics = topics.into_iter().map(|(name, partitions)| list_offsets::request::ListOffsetsTopic {
                name,
                partitions,
                ..Default::default()
            });
            let request = ListOffsetsRequest { replica_id: -1, topics: topics.collect(), ..Default::default() };
            Self { request, min_version: spec.min_version() }
        };
        Ok(leaders.into_iter().map(|(leader, topics)| (leader, question(topics))).collect())
    }

    /// Reads the answer: an offset or an error for each partition.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(answer: (i16, Bytes)) -> Result<Vec<(TopicPartition, Result<ListedOffset, Error>)>, Error> {
        let response = decode_answer::<ListOffsetsRequest>(answer)?;
        let mut listed = Vec::new();
        for topic in response.topics {
            for partition in topic.partitions {
                let index = partition.partition_index;
                let result = partition.error_code.ok();
                let result = result.map_err(|code| Error::from_code(code, None).on_partition(&topic.name, index));
                let known = |n: i64| (n >= 0).then_some(n);
                let offset = result.map(|()| ListedOffset {
                    offset: known(partition.offset),
                    timestamp: known(partition.timestamp),
                    leader_epoch: (partition.leader_epoch >= 0).then_some(partition.leader_epoch),
                });
                listed.push(((topic.name.clone(), index), offset));
            }
        }
        Ok(listed)
    }
}

impl EncodeRequest for ListOffsets {
    fn api(&self) -> (ApiKey, i16, i16) {
        (ApiKey::LIST_OFFSETS, self.min_version, ListOffsetsRequest::MAX_VERSION)
    }

    fn encode(&self, correlation_id: i32, client_id: &str, version: i16) -> Result<Frame, EncodeError> {
        messages::encode_request(correlation_id, Some(client_id), version, &self.request)
    }
}
