//! ListOffsets: where partitions begin and end, and where a time is in them. Java: `Admin.listOffsets`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use felice_client_core::client::CallTarget;
use felice_client_core::consumer::TopicPartition;
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{ListOffsetsRequest, list_offsets};

use super::{Admin, PerItem};
use crate::clock;

/// A place in a partition that a broker is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// The first offset that is still there (`log_start_offset`).
    Earliest,
    /// The offset behind the last record that readers see (the high watermark).
    Latest,
    /// The record with the newest timestamp (KIP-734).
    MaxTimestamp,
    /// The first record that is at least as new, in milliseconds since 1970.
    Time(i64),
}

impl OffsetSpec {
    /// As Kafka writes it where a timestamp stands.
    fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Time(millis) => millis,
        }
    }
}

/// An offset that a broker named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedOffset {
    /// The offset; `None` where no record is that new.
    pub offset: Option<i64>,
    /// The record's timestamp in milliseconds since 1970, where a time was asked for.
    pub timestamp: Option<i64>,
    /// The leader's epoch of the record, where it is known.
    pub leader_epoch: Option<i32>,
}

impl Admin {
    /// Where partitions begin and end, and where times are in them; each partition has a result of its own. A partition that changes its
    /// leader is asked for again, for `default.api.timeout.ms` at most.
    ///
    /// # Errors
    /// Where no answer came.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// use felice::{OffsetSpec, TopicPartition};
    /// client.admin().create_topic("orders").await?;
    /// let p = TopicPartition::new("orders", 0);
    /// let ends = client.admin().list_offsets([(p.clone(), OffsetSpec::Latest)]).await?.all()?;
    /// assert_eq!((&ends[0].0, ends[0].1.offset), (&p, Some(0)));
    /// # Ok(()) }
    /// ```
    pub async fn list_offsets(
        &self,
        of: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    ) -> Result<PerItem<TopicPartition, ListedOffset>, Error> {
        let deadline = clock::instant() + self.client.options(CallTarget::Any).timeout;
        let mut results: BTreeMap<TopicPartition, Result<ListedOffset, Error>> = BTreeMap::new();
        let mut open: BTreeMap<TopicPartition, OffsetSpec> = of.into_iter().collect();
        let mut pause = Duration::from_millis(50);
        while !open.is_empty() {
            results.extend(self.ask_leaders(&open).await?);
            let over = clock::instant() + pause > deadline;
            open.retain(|partition, _| {
                let left_out = || Err(Error::new(ErrorKind::Decode, "the broker's answer leaves the partition out"));
                let result = results.entry(partition.clone()).or_insert_with(left_out);
                !over && result.as_ref().err().and_then(Error::code).is_some_and(|code| code.is_retriable())
            });
            if !open.is_empty() {
                self.client.driver().timeout(pause, std::future::pending::<()>()).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
        Ok(PerItem(results.into_iter().collect()))
    }

    /// One round: each partition asked of the leader that it has now.
    async fn ask_leaders(
        &self,
        open: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> Result<Vec<(TopicPartition, Result<ListedOffset, Error>)>, Error> {
        let mut results = Vec::new();
        let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<list_offsets::request::ListOffsetsPartition>>> =
            BTreeMap::new();
        for topic in open.keys().map(|p| &p.topic).collect::<BTreeSet<_>>() {
            let wanted = open.iter().filter(|(p, _)| p.topic == *topic);
            let info = match self.topic(topic).await {
                Ok(info) => info,
                Err(error) if error.code().is_some() => {
                    results.extend(wanted.map(|(p, _)| (p.clone(), Err(error.clone()))));
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (p, spec) in wanted {
                let leader = info.partitions.iter().find(|known| known.partition == p.partition);
                match leader.map(|known| known.leader) {
                    Some(Some(leader)) => by_leader.entry(leader).or_default().entry(topic).or_default().push(
                        list_offsets::request::ListOffsetsPartition {
                            partition_index: p.partition,
                            timestamp: spec.timestamp(),
                            ..Default::default()
                        },
                    ),
                    Some(None) => {
                        let error = Error::from_code(ErrorCode::LEADER_NOT_AVAILABLE, None);
                        results.push((p.clone(), Err(error.on_partition(topic, p.partition))));
                    }
                    None => {
                        let message = format!("the topic has {} partitions", info.partitions.len());
                        let error = Error::new(ErrorKind::UnknownTopic, message).on_partition(topic, p.partition);
                        results.push((p.clone(), Err(error)));
                    }
                }
            }
        }
        for (leader, topics) in by_leader {
            let topics = topics
                .into_iter()
                .map(|(name, partitions)| list_offsets::request::ListOffsetsTopic {
                    name: name.into(),
                    partitions,
                    ..Default::default()
                })
                .collect();
            let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
            let response = self.client.request_to(leader, request).await?;
            for topic in response.topics {
                for p in topic.partitions {
                    let partition = TopicPartition { topic: topic.name.clone(), partition: p.partition_index };
                    let listed = ListedOffset {
                        offset: (p.offset >= 0).then_some(p.offset),
                        timestamp: (p.timestamp >= 0).then_some(p.timestamp),
                        leader_epoch: (p.leader_epoch >= 0).then_some(p.leader_epoch),
                    };
                    let result = p
                        .error_code
                        .ok()
                        .map(|()| listed)
                        .map_err(|code| Error::from_code(code, None).on_partition(&topic.name, p.partition_index));
                    results.push((partition, result));
                }
            }
        }
        Ok(results)
    }
}
