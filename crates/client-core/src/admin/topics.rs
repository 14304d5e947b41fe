use std::time::Duration;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    self, ApiKey, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, Request, create_topics, delete_topics,
    metadata,
};
use felice_protocol::primitives::{ByteStr, EncodeError, Frame, Uuid};

use super::{PerItem, topic_result};
use crate::client::decode_answer;
use crate::connection::EncodeRequest;
use crate::error::Error;
use crate::metadata::{Partition, Topic};

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// A topic to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: ByteStr,
    /// How many partitions; the broker's `num.partitions` without it.
    pub partitions: Option<i32>,
    /// How many replicas each; the broker's `default.replication.factor` without it.
    pub replicas: Option<i16>,
    /// Its properties, by Kafka's names.
    pub configs: Vec<(ByteStr, ByteStr)>,
}

/// A topic that was created, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; zero from brokers that give none.
    pub id: Uuid,
    /// How many partitions it has; −1 from brokers that do not say.
    pub partitions: i32,
    /// How many replicas each; −1 from brokers that do not say.
    pub replicas: i16,
}

/// Asks for topics to be created. To the controller.
#[derive(Clone, Debug)]
pub struct CreateTopics(CreateTopicsRequest);

impl CreateTopics {
    /// With `validate_only`, nothing is created: the broker only says whether it would be.
    pub fn new(topics: &[NewTopic], validate_only: bool, timeout: Duration) -> Self {
        let topics = topics.iter().map(|topic| create_topics::request::CreatableTopic {
            name: topic.name.clone(),
            num_partitions: topic.partitions.unwrap_or(-1),
            replication_factor: topic.replicas.unwrap_or(-1),
            configs: topic
                .configs
                .iter()
                .map(|(name, value)| create_topics::request::CreatableTopicConfig {
                    name: name.clone(),
                    value: Some(value.clone()),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        });
        let topics = topics.collect();
        Self(CreateTopicsRequest { topics, timeout_ms: millis(timeout), validate_only, ..Default::default() })
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(answer: (i16, Bytes)) -> Result<PerItem<CreatedTopic>, Error> {
        let response = decode_answer::<CreateTopicsRequest>(answer)?;
        let created = response.topics.into_iter().map(|topic| {
            let result =
                topic_result(&topic.name, topic.error_code, topic.error_message.as_deref()).map(|()| CreatedTopic {
                    id: topic.topic_id,
                    partitions: topic.num_partitions,
                    replicas: topic.replication_factor,
                });
            (topic.name, result)
        });
        Ok(created.collect())
    }
}

impl EncodeRequest for CreateTopics {
    fn api(&self) -> (ApiKey, i16, i16) {
        // Defaults for partitions and replicas came with version 4 (KIP-464).
        let defaults = self.0.topics.iter().any(|t| t.num_partitions == -1 || t.replication_factor == -1);
        (
            ApiKey::CREATE_TOPICS,
            if defaults { 4 } else { CreateTopicsRequest::MIN_VERSION },
            CreateTopicsRequest::MAX_VERSION,
        )
    }

    fn encode(&self, correlation_id: i32, client_id: &str, version: i16) -> Result<Frame, EncodeError> {
        messages::encode_request(correlation_id, Some(client_id), version, &self.0)
    }
}

/// Asks for topics to be deleted. To the controller.
#[derive(Clone, Debug)]
pub struct DeleteTopics {
    names: Vec<ByteStr>,
    timeout: Duration,
}

impl DeleteTopics {
    /// Deletes topics by name.
    pub fn new(names: Vec<ByteStr>, timeout: Duration) -> Self {
        Self { names, timeout }
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(answer: (i16, Bytes)) -> Result<PerItem<()>, Error> {
        let response = decode_answer::<DeleteTopicsRequest>(answer)?;
        let deleted = response.responses.into_iter().map(|topic| {
            let name = topic.name.unwrap_or_default();
            let result = topic_result(&name, topic.error_code, topic.error_message.as_deref());
            (name, result)
        });
        Ok(deleted.collect())
    }
}

impl EncodeRequest for DeleteTopics {
    fn api(&self) -> (ApiKey, i16, i16) {
        (ApiKey::DELETE_TOPICS, DeleteTopicsRequest::MIN_VERSION, DeleteTopicsRequest::MAX_VERSION)
    }

    fn encode(&self, correlation_id: i32, client_id: &str, version: i16) -> Result<Frame, EncodeError> {
        let mut request = DeleteTopicsRequest { timeout_ms: millis(self.timeout), ..Default::default() };
        // Version 6 takes names or ids (KIP-516).
        if version >= 6 {
            let state = |name: &ByteStr| delete_topics::request::DeleteTopicState {
                name: Some(name.clone()),
                ..Default::default()
            };
            request.topics = self.names.iter().map(state).collect();
        } else {
            request.topic_names.clone_from(&self.names);
        }
        messages::encode_request(correlation_id, Some(client_id), version, &request)
    }
}

/// Asks what topics there are: all, or some by name. To any broker; a topic that does not exist is not created by it.
#[derive(Clone, Debug)]
pub struct DescribeTopics(MetadataRequest);

impl DescribeTopics {
    /// `None` asks for all.
    pub fn new(names: Option<&[ByteStr]>) -> Self {
        let topic =
            |name: &ByteStr| metadata::request::MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        let topics = names.map(|names| names.iter().map(topic).collect());
        Self(MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() })
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(answer: (i16, Bytes)) -> Result<PerItem<Topic>, Error> {
        let response = decode_answer::<MetadataRequest>(answer)?;
        let described = response.topics.into_iter().map(|topic| {
            let name = topic.name.unwrap_or_default();
            let result = topic_result(&name, topic.error_code, None).map(|()| Topic {
                name: name.clone(),
                id: topic.topic_id,
                is_internal: topic.is_internal,
                partitions: partitions(topic.partitions),
            });
            (name, result)
        });
        Ok(described.collect())
    }
}

/// Partitions by index, which an answer may give in any order.
fn partitions(mut answered: Vec<metadata::response::MetadataResponsePartition>) -> Vec<Partition> {
    answered.sort_by_key(|p| p.partition_index);
    let partition = |p: metadata::response::MetadataResponsePartition| Partition {
        leader: (p.leader_id >= 0 && p.error_code != ErrorCode::LEADER_NOT_AVAILABLE).then_some(p.leader_id),
        leader_epoch: p.leader_epoch,
        replicas: p.replica_nodes,
        in_sync_replicas: p.isr_nodes,
    };
    answered.into_iter().map(partition).collect()
}

impl EncodeRequest for DescribeTopics {
    fn api(&self) -> (ApiKey, i16, i16) {
        // Below 4 a broker creates what is asked for; below 1 an empty list means all.
        (ApiKey::METADATA, 4, MetadataRequest::MAX_VERSION)
    }

    fn encode(&self, correlation_id: i32, client_id: &str, version: i16) -> Result<Frame, EncodeError> {
        messages::encode_request(correlation_id, Some(client_id), version, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use felice_protocol::primitives::Decoder;

    fn body<R: Request>(request: &dyn EncodeRequest, version: i16) -> R {
        let frame = request.encode(1, "test", version).unwrap().into_bytes();
        let mut d = Decoder::new(frame.slice(4..));
        messages::decode_request_header(&mut d).unwrap();
        R::decode(&mut d, version).unwrap()
    }

    #[test]
    fn a_topic_is_deleted_by_name_in_old_and_new_versions() {
        let request = DeleteTopics::new(vec!["t".into()], Duration::from_secs(1));
        assert_eq!(body::<DeleteTopicsRequest>(&request, 5).topic_names, ["t"]);
        assert_eq!(body::<DeleteTopicsRequest>(&request, 6).topics[0].name, Some("t".into()));
    }

    #[test]
    fn a_topic_with_the_brokers_defaults_needs_version_4() {
        let mut topic = NewTopic { name: "t".into(), ..NewTopic::default() };
        assert_eq!(CreateTopics::new(&[topic.clone()], false, Duration::ZERO).api().1, 4);
        topic.partitions = Some(1);
        topic.replicas = Some(1);
        assert_eq!(CreateTopics::new(&[topic], false, Duration::ZERO).api().1, 2);
    }

    #[test]
    fn a_failed_topic_names_itself() {
        let response = messages::CreateTopicsResponse {
            topics: vec![create_topics::response::CreatableTopicResult {
                name: "t".into(),
                error_code: ErrorCode::TOPIC_ALREADY_EXISTS,
                ..Default::default()
            }],
            ..Default::default()
        };
        let frame = messages::encode_response(ApiKey::CREATE_TOPICS, 7, 1, &response).unwrap().into_bytes();
        let items = CreateTopics::read((7, frame.slice(4..))).unwrap();
        let error = items[0].1.as_ref().unwrap_err();
        assert_eq!((error.code(), error.topic()), (Some(ErrorCode::TOPIC_ALREADY_EXISTS), Some("t")));
    }
}
