//! Changes of what is there: more partitions, fewer records, other configurations. Java: `Admin.createPartitions`, `deleteRecords`,
//! `incrementalAlterConfigs`.

use std::collections::BTreeMap;

use felice_client_core::consumer::TopicPartition;
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    CreatePartitionsRequest, DeleteRecordsRequest, IncrementalAlterConfigsRequest, create_partitions, delete_records,
    incremental_alter_configs,
};
use felice_protocol::primitives::ByteStr;

use super::{Admin, ConfigResource, PerItem, check};

/// How long a broker may take, in milliseconds, until what was asked for is done.
const BROKER_TIMEOUT_MS: i32 = 30_000;

/// A change of one property of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigChange {
    /// It has this value from now on.
    Set(String),
    /// It has its default again.
    Delete,
    /// This is added to its list.
    Append(String),
    /// This is taken out of its list.
    Subtract(String),
}

impl ConfigChange {
    fn encode(self) -> (i8, Option<ByteStr>) {
        match self {
            Self::Set(value) => (0, Some(value.into())),
            Self::Delete => (1, None),
            Self::Append(value) => (2, Some(value.into())),
            Self::Subtract(value) => (3, Some(value.into())),
        }
    }
}

impl Admin {
    /// Gives a topic more partitions: so many in all. Keys go to other partitions from then on.
    ///
    /// # Errors
    /// Where no answer came, or the broker refused: [`ErrorCode::INVALID_PARTITIONS`] where it has that many already.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// use felice::{ConfigChange, ConfigResource, NewRecord, TopicPartition};
    /// let admin = client.admin();
    /// admin.create_topic("orders").partitions(1).await?;
    /// admin.create_partitions("orders", 3).await?;
    /// assert_eq!(admin.topic("orders").await?.partitions.len(), 3);
    ///
    /// let producer = client.producer().build().await?;
    /// for value in ["a", "b"] {
    ///     producer.send(NewRecord::to("orders").partition(0).value(value)).await?;
    /// }
    /// let p = TopicPartition::new("orders", 0);
    /// let deleted = admin.delete_records([(p.clone(), 1)]).await?.all()?;
    /// assert_eq!(deleted, [(p, 1)]);                               // the first record that is left
    ///
    /// let orders = ConfigResource::Topic("orders".into());
    /// admin.alter_configs(&orders, [("retention.ms", ConfigChange::Set("3600000".into()))]).await?;
    /// let configs = admin.configs(&orders).await?;
    /// assert!(configs.iter().any(|c| c.name.as_str() == "retention.ms" && c.value.as_deref() == Some("3600000")));
    /// # Ok(()) }
    /// ```
    pub async fn create_partitions(&self, topic: &str, total: i32) -> Result<(), Error> {
        let request = CreatePartitionsRequest {
            topics: vec![create_partitions::request::CreatePartitionsTopic {
                name: topic.into(),
                count: total,
                assignments: None,
                ..Default::default()
            }],
            timeout_ms: BROKER_TIMEOUT_MS,
            ..CreatePartitionsRequest::default()
        };
        let response = self.controller(request).await?;
        let Some(result) = response.results.into_iter().next() else {
            return Err(Error::new(ErrorKind::Decode, "the broker's answer leaves the topic out").on_topic(topic));
        };
        check(result.error_code, result.error_message.as_deref()).map_err(|error| error.on_topic(topic))
    }

    /// Deletes the records before an offset of each partition, −1 for all of them; gives the first offset that is left.
    ///
    /// # Errors
    /// Where no answer came; each partition has a result of its own: [`ErrorCode::OFFSET_OUT_OF_RANGE`] behind its end,
    /// [`ErrorCode::POLICY_VIOLATION`] where its topic is compacted only.
    ///
    /// # Examples
    /// See [`Admin::create_partitions`].
    pub async fn delete_records(
        &self,
        before: impl IntoIterator<Item = (TopicPartition, i64)>,
    ) -> Result<PerItem<TopicPartition, i64>, Error> {
        use delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic};
        let mut by_topic: BTreeMap<ByteStr, BTreeMap<i32, i64>> = BTreeMap::new();
        for (p, offset) in before {
            by_topic.entry(p.topic).or_default().insert(p.partition, offset);
        }
        let mut results = Vec::new();
        let mut by_leader: BTreeMap<i32, Vec<DeleteRecordsTopic>> = BTreeMap::new();
        for (name, partitions) in by_topic {
            let info = match self.topic(&name).await {
                Ok(info) => info,
                Err(error) if error.code().is_some() => {
                    let partition = |p| TopicPartition { topic: name.clone(), partition: p };
                    results.extend(partitions.into_keys().map(|p| (partition(p), Err(error.clone()))));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut of_leader: BTreeMap<i32, Vec<DeleteRecordsPartition>> = BTreeMap::new();
            for (partition_index, offset) in partitions {
                let known = info.partitions.iter().find(|known| known.partition == partition_index);
                let error = match known.map(|known| known.leader) {
                    Some(Some(leader)) => {
                        let partition = DeleteRecordsPartition { partition_index, offset, ..Default::default() };
                        of_leader.entry(leader).or_default().push(partition);
                        continue;
                    }
                    Some(None) => Error::from_code(ErrorCode::LEADER_NOT_AVAILABLE, None),
                    None => Error::new(
                        ErrorKind::UnknownTopic,
                        format!("the topic has {} partitions", info.partitions.len()),
                    ),
                };
                let p = TopicPartition { topic: name.clone(), partition: partition_index };
                results.push((p, Err(error.on_partition(&name, partition_index))));
            }
            for (leader, partitions) in of_leader {
                let topic = DeleteRecordsTopic { name: name.clone(), partitions, ..Default::default() };
                by_leader.entry(leader).or_default().push(topic);
            }
        }
        for (leader, topics) in by_leader {
            let request = DeleteRecordsRequest { topics, timeout_ms: BROKER_TIMEOUT_MS, ..Default::default() };
            for topic in self.client.request_to(leader, request).await?.topics {
                for p in topic.partitions {
                    let result = check(p.error_code, None).map(|()| p.low_watermark);
                    let result = result.map_err(|error| error.on_partition(&topic.name, p.partition_index));
                    results.push((TopicPartition { topic: topic.name.clone(), partition: p.partition_index }, result));
                }
            }
        }
        Ok(PerItem(results))
    }

    /// Changes properties of the configuration of a topic, a broker or a group; the others stay as they are.
    ///
    /// # Errors
    /// Where no answer came, or the broker refused: [`ErrorCode::INVALID_CONFIG`]; then nothing is changed.
    ///
    /// # Examples
    /// See [`Admin::create_partitions`].
    pub async fn alter_configs<N: Into<ByteStr>>(
        &self,
        of: &ConfigResource,
        changes: impl IntoIterator<Item = (N, ConfigChange)>,
    ) -> Result<(), Error> {
        use incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig};
        let (resource_type, resource_name) = of.encode();
        let change = |(name, change): (N, ConfigChange)| {
            let (config_operation, value) = change.encode();
            AlterableConfig { name: name.into(), config_operation, value, ..Default::default() }
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type,
                resource_name,
                configs: changes.into_iter().map(change).collect(),
                ..Default::default()
            }],
            ..IncrementalAlterConfigsRequest::default()
        };
        let response = match of {
            ConfigResource::Broker(id) => self.client.request_to(*id, request).await?,
            ConfigResource::Topic(_) | ConfigResource::Group(_) => self.client.request(request).await?,
        };
        let Some(result) = response.responses.into_iter().next() else {
            return Err(Error::new(ErrorKind::Decode, "the broker's answer leaves the resource out"));
        };
        check(result.error_code, result.error_message.as_deref())
    }
}
