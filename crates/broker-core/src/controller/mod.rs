//! What the cluster agrees on: topics, their configs, producer ids. Kept in `__cluster_metadata-0` as Kafka's own metadata records, one batch
//! for each change, replayed at start. Java: `org.apache.kafka.controller.QuorumController`, on its own here, without a quorum.
//!
//! - [`records`]: the records and their frame
//! - [`metadata_log`]: the log they are in
//! - this file: the state, and the rules by which it changes

mod metadata_log;
mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use felice_log::{Disk, LogError};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::data::{
    ConfigRecord, FeatureLevelRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord, RemoveTopicRecord,
    TopicRecord,
};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::Now;

use crate::api::api_features;
use crate::config::{BrokerConfig, check_topic_property};
use crate::random::Random;
use metadata_log::MetadataLog;
use records::MetadataRecord;

/// Producer ids are written down by the block, so that giving one out costs no write.
const PRODUCER_ID_BLOCK: i64 = 1000;
/// The type of a topic among config resources.
const TOPIC_RESOURCE: i8 = 2;
/// More partitions than a request should be able to ask for at once.
const MAX_PARTITIONS_A_TOPIC: i32 = 100_000;

/// A property and what it is to be; `None` takes it back.
pub(crate) type ConfigChanges = BTreeMap<String, Option<String>>;

/// A topic that is to be.
#[derive(Clone, Debug)]
pub(crate) struct NewTopic {
    pub(crate) name: ByteStr,
    pub(crate) partitions: i32,
    pub(crate) configs: BTreeMap<String, String>,
}

/// A topic as the metadata log has it.
#[derive(Clone, Debug)]
pub(crate) struct TopicImage {
    pub(crate) name: ByteStr,
    pub(crate) partitions: BTreeMap<i32, PartitionImage>,
    pub(crate) configs: BTreeMap<String, String>,
}

impl TopicImage {
    /// Whether this is the name of the topic and the number of one of its partitions.
    pub(crate) fn is_partition(&self, topic: &str, index: i32) -> bool {
        &*self.name == topic && self.partitions.contains_key(&index)
    }
}

/// A partition as the metadata log has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionImage {
    pub(crate) leader_epoch: i32,
}

/// Why a topic cannot be made or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl TopicError {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

#[derive(Debug)]
pub(crate) struct Controller {
    log: MetadataLog,
    node_id: i32,
    topics: BTreeMap<Uuid, TopicImage>,
    names: BTreeMap<ByteStr, Uuid>,
    /// Ids of topics that were removed, as far as the log remembers: their directories may still be there after a crash.
    removed: BTreeSet<Uuid>,
    broker_epoch: i64,
    next_producer_id: i64,
    /// The first id that the log does not say is taken.
    producer_id_block_end: i64,
}

impl Controller {
    /// Opens the metadata log and replays it; a new one begins with the features' levels.
    pub(crate) fn open(
        config: &BrokerConfig,
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        clean_shutdown: bool,
        random: &mut Random,
        now: Now,
    ) -> Result<Self, LogError> {
        let (log, records) = MetadataLog::open(disk, data_dir, clean_shutdown, now)?;
        let mut controller = Self {
            log,
            node_id: config.node_id(),
            topics: BTreeMap::new(),
            names: BTreeMap::new(),
            removed: BTreeSet::new(),
            broker_epoch: 0,
            next_producer_id: 0,
            producer_id_block_end: 0,
        };
        let is_new = records.is_empty();
        for record in records {
            controller.replay(record);
        }
        controller.next_producer_id = controller.producer_id_block_end;
        let mut first = Vec::new();
        if is_new {
            first.extend(api_features().iter().map(|(name, _, _, level)| {
                MetadataRecord::FeatureLevel(FeatureLevelRecord {
                    name: ByteStr::from_static(name),
                    feature_level: *level,
                    ..Default::default()
                })
            }));
        }
        controller.broker_epoch = controller.log.end_offset();
        first.push(controller.registration(config, random));
        controller.log.append_unsynced(now, &first)?;
        Ok(controller)
    }

    fn registration(&self, config: &BrokerConfig, random: &mut Random) -> MetadataRecord {
        use felice_protocol::messages::data::register_broker_record::{BrokerEndpoint, BrokerFeature};
        MetadataRecord::RegisterBroker(RegisterBrokerRecord {
            broker_id: self.node_id,
            incarnation_id: random.uuid(),
            broker_epoch: self.broker_epoch,
            end_points: config
                .end_points()
                .into_iter()
                .map(|(name, host, port, protocol)| BrokerEndpoint {
                    name: name.into(),
                    host: host.into(),
                    port,
                    security_protocol: protocol.wire(),
                    ..Default::default()
                })
                .collect(),
            features: api_features()
                .iter()
                .map(|(name, min, max, _)| BrokerFeature {
                    name: ByteStr::from_static(name),
                    min_supported_version: *min,
                    max_supported_version: *max,
                    ..Default::default()
                })
                .collect(),
            rack: config.rack().map(Into::into),
            fenced: false,
            ..Default::default()
        })
    }

    /// The offset of the last metadata record: the epoch of the finalized features.
    pub(crate) fn metadata_offset(&self) -> i64 {
        self.log.end_offset() - 1
    }

    /// The epoch under which this broker registered.
    pub(crate) fn broker_epoch(&self) -> i64 {
        self.broker_epoch
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = (Uuid, &TopicImage)> {
        self.topics.iter().map(|(id, topic)| (*id, topic))
    }

    pub(crate) fn topic(&self, id: &Uuid) -> Option<&TopicImage> {
        self.topics.get(id)
    }

    /// Whether the log says that the topic was removed.
    pub(crate) fn was_removed(&self, id: &Uuid) -> bool {
        self.removed.contains(id)
    }

    /// An id that no producer has had, nor will have after a crash.
    pub(crate) fn next_producer_id(&mut self, now: Now) -> Result<i64, LogError> {
        if self.next_producer_id >= self.producer_id_block_end {
            let end = self.next_producer_id + PRODUCER_ID_BLOCK;
            let record = MetadataRecord::ProducerIds(ProducerIdsRecord {
                broker_id: self.node_id,
                next_producer_id: end,
                ..Default::default()
            });
            self.commit(now, vec![record])?;
        }
        let id = self.next_producer_id;
        self.next_producer_id += 1;
        Ok(id)
    }

    /// Checks all that can be wrong with a new topic.
    pub(crate) fn validate(&self, new: &NewTopic) -> Result<(), TopicError> {
        validate_name(&new.name)?;
        if self.names.contains_key(&new.name) {
            return Err(TopicError::new(
                ErrorCode::TOPIC_ALREADY_EXISTS,
                format!("Topic '{}' already exists.", new.name),
            ));
        }
        let squashed = squash(&new.name);
        if let Some(other) = self.names.keys().find(|other| squash(other) == squashed) {
            return Err(TopicError::new(
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                format!("Topic '{}' collides with existing topic: {other} ('.' and '_' are the same here)", new.name),
            ));
        }
        if new.partitions <= 0 || new.partitions > MAX_PARTITIONS_A_TOPIC {
            return Err(TopicError::new(
                ErrorCode::INVALID_PARTITIONS,
                format!("Number of partitions must be from 1 to {MAX_PARTITIONS_A_TOPIC}, not {}.", new.partitions),
            ));
        }
        for (name, value) in &new.configs {
            check_topic_property(name, value)
                .map_err(|error| TopicError::new(ErrorCode::INVALID_CONFIG, error.to_string()))?;
        }
        Ok(())
    }

    /// Makes a topic: writes it down; its logs are the caller's.
    pub(crate) fn create_topic(&mut self, now: Now, new: &NewTopic, random: &mut Random) -> Result<Uuid, TopicError> {
        self.validate(new)?;
        let topic_id = random.uuid();
        let mut records =
            vec![MetadataRecord::Topic(TopicRecord { name: new.name.clone(), topic_id, ..Default::default() })];
        records.extend(new.configs.iter().map(|(name, value)| {
            MetadataRecord::Config(ConfigRecord {
                resource_type: TOPIC_RESOURCE,
                resource_name: new.name.clone(),
                name: name.as_str().into(),
                value: Some(value.as_str().into()),
                ..Default::default()
            })
        }));
        records.extend((0..new.partitions).map(|partition_id| self.partition(topic_id, partition_id)));
        self.commit(now, records).map_err(|error| storage(&error))?;
        Ok(topic_id)
    }

    fn partition(&self, topic_id: Uuid, partition_id: i32) -> MetadataRecord {
        MetadataRecord::Partition(PartitionRecord {
            partition_id,
            topic_id,
            replicas: vec![self.node_id],
            isr: vec![self.node_id],
            leader: self.node_id,
            leader_epoch: 0,
            partition_epoch: 0,
            directories: vec![Uuid::ZERO],
            ..Default::default()
        })
    }

    /// Checks whether a topic can have this many partitions, and gives the numbers of those that it would get.
    pub(crate) fn check_growth(&self, topic_id: &Uuid, count: i32) -> Result<Range<i32>, TopicError> {
        let invalid = |message| Err(TopicError::new(ErrorCode::INVALID_PARTITIONS, message));
        let Some(topic) = self.topics.get(topic_id) else {
            return Err(TopicError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "There is no such topic."));
        };
        match i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX) {
            now if now == count => invalid(format!("Topic '{}' already has {count} partition(s).", topic.name)),
            now if now > count => {
                invalid(format!("Topic '{}' has {now} partition(s); {count} would not be an increase.", topic.name))
            }
            _ if count > MAX_PARTITIONS_A_TOPIC => {
                invalid(format!("Number of partitions must be at most {MAX_PARTITIONS_A_TOPIC}, not {count}."))
            }
            now => Ok(now..count),
        }
    }

    /// Writes more partitions down; their logs are the caller's.
    pub(crate) fn add_partitions(&mut self, now: Now, topic_id: Uuid, new: Range<i32>) -> Result<(), TopicError> {
        let records = new.map(|partition_id| self.partition(topic_id, partition_id)).collect();
        self.commit(now, records).map_err(|error| storage(&error))
    }

    /// Checks the values that are to be set on a topic.
    pub(crate) fn check_configs(changes: &ConfigChanges) -> Result<(), TopicError> {
        for (name, value) in changes {
            if let Some(value) = value {
                check_topic_property(name, value)
                    .map_err(|error| TopicError::new(ErrorCode::INVALID_CONFIG, error.to_string()))?;
            }
        }
        Ok(())
    }

    /// Sets and removes properties of a topic; what is so already is not written again. Gives all that are set then.
    pub(crate) fn alter_configs(
        &mut self,
        now: Now,
        topic_id: &Uuid,
        changes: ConfigChanges,
    ) -> Result<BTreeMap<String, String>, TopicError> {
        Self::check_configs(&changes)?;
        let Some(topic) = self.topics.get(topic_id) else {
            return Err(TopicError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "There is no such topic."));
        };
        let mut records = Vec::new();
        for (name, value) in changes {
            if topic.configs.get(&name) != value.as_ref() {
                records.push(MetadataRecord::Config(ConfigRecord {
                    resource_type: TOPIC_RESOURCE,
                    resource_name: topic.name.clone(),
                    name: name.into(),
                    value: value.map(Into::into),
                    ..Default::default()
                }));
            }
        }
        if !records.is_empty() {
            self.commit(now, records).map_err(|error| storage(&error))?;
        }
        Ok(self.topics.get(topic_id).map(|topic| topic.configs.clone()).unwrap_or_default())
    }

    pub(crate) fn remove_topic(&mut self, now: Now, topic_id: Uuid) -> Result<(), TopicError> {
        let record = MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id, ..Default::default() });
        self.commit(now, vec![record]).map_err(|error| storage(&error))
    }

    pub(crate) fn close(&mut self, now: Now) -> Result<(), LogError> {
        self.log.close(now)
    }

    /// Written first, believed after.
    fn commit(&mut self, now: Now, records: Vec<MetadataRecord>) -> Result<(), LogError> {
        self.log.append(now, &records)?;
        records.into_iter().for_each(|record| self.replay(record));
        Ok(())
    }

    fn replay(&mut self, record: MetadataRecord) {
        match record {
            MetadataRecord::Topic(topic) => {
                self.names.insert(topic.name.clone(), topic.topic_id);
                let image = TopicImage { name: topic.name, partitions: BTreeMap::new(), configs: BTreeMap::new() };
                self.topics.insert(topic.topic_id, image);
            }
            MetadataRecord::Partition(partition) => {
                if let Some(topic) = self.topics.get_mut(&partition.topic_id) {
                    let image = PartitionImage { leader_epoch: partition.leader_epoch };
                    topic.partitions.insert(partition.partition_id, image);
                }
            }
            MetadataRecord::Config(config) if config.resource_type == TOPIC_RESOURCE => {
                let id = self.names.get(&config.resource_name);
                if let Some(topic) = id.and_then(|id| self.topics.get_mut(id)) {
                    match config.value {
                        Some(value) => topic.configs.insert(config.name.to_string(), value.to_string()),
                        None => topic.configs.remove(&*config.name),
                    };
                }
            }
            MetadataRecord::RemoveTopic(remove) => {
                if let Some(topic) = self.topics.remove(&remove.topic_id) {
                    self.names.remove(&topic.name);
                    self.removed.insert(remove.topic_id);
                }
            }
            MetadataRecord::ProducerIds(ids) => {
                self.producer_id_block_end = self.producer_id_block_end.max(ids.next_producer_id);
            }
            MetadataRecord::Config(_)
            | MetadataRecord::FeatureLevel(_)
            | MetadataRecord::RegisterBroker(_)
            | MetadataRecord::Other => {}
        }
    }
}

fn storage(error: &LogError) -> TopicError {
    TopicError::new(ErrorCode::KAFKA_STORAGE_ERROR, format!("The metadata log cannot be written: {error}"))
}

/// Metric names cannot tell the two characters apart, so Kafka lets no two topics differ by them alone.
fn squash(name: &str) -> String {
    name.replace('.', "_")
}

/// Kafka's rules for topic names.
pub(crate) fn validate_name(name: &str) -> Result<(), TopicError> {
    let invalid = |why: String| Err(TopicError::new(ErrorCode::INVALID_TOPIC_EXCEPTION, why));
    match name {
        "" => invalid("Topic name is invalid: the empty string is not allowed".to_owned()),
        "." | ".." => invalid(format!("Topic name is invalid: '{name}' is not allowed")),
        _ if name.len() > 249 => {
            invalid(format!("Topic name is invalid: {} is longer than 249 characters", name.len()))
        }
        _ if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) => invalid(format!(
            "Topic name is invalid: '{name}' has characters other than a-z, A-Z, 0-9, '.', '_' and '-'"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rules() {
        for good in ["a", "A.b_c-9", "...", &"x".repeat(249)] {
            assert_eq!(validate_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250)] {
            assert_eq!(validate_name(bad).unwrap_err().code, ErrorCode::INVALID_TOPIC_EXCEPTION, "{bad}");
        }
    }
}
