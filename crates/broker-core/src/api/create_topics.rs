//! CreateTopics (19).

use std::collections::BTreeMap;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::create_topics::request::CreatableTopic;
use felice_protocol::messages::create_topics::response::{CreatableTopicConfigs, CreatableTopicResult};
use felice_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Now;

use super::RequestContext;
use super::describe_configs::topic_entries;
use crate::broker::BrokerCore;
use crate::controller::{NewTopic, TopicError};

pub(super) fn handle(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut times: BTreeMap<ByteStr, usize> = BTreeMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.clone()).or_default() += 1;
    }
    let twice: Vec<ByteStr> = times.iter().filter(|(_, n)| **n > 1).map(|(name, _)| name.clone()).collect();
    let mut topics: Vec<CreatableTopicResult> = Vec::new();
    for topic in request.topics {
        let name = topic.name.clone();
        let result = if twice.contains(&name) {
            if topics.iter().any(|done| done.name == name) {
                continue;
            }
            Err(error(ErrorCode::INVALID_REQUEST, "Duplicate topic name."))
        } else {
            create(core, now, context, topic, request.validate_only)
        };
        topics.push(result.unwrap_or_else(|error| CreatableTopicResult {
            name,
            error_code: error.code,
            error_message: Some(error.message.into()),
            // Java's client wants a list even here.
            configs: Some(Vec::new()),
            ..Default::default()
        }));
    }
    CreateTopicsResponse { topics, ..Default::default() }
}

fn error(code: ErrorCode, message: impl Into<String>) -> TopicError {
    TopicError { code, message: message.into() }
}

fn create(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    topic: CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, TopicError> {
    let partitions = partition_count(core, context, &topic)?;
    let mut configs = BTreeMap::new();
    for config in topic.configs {
        let value = config
            .value
            .ok_or_else(|| error(ErrorCode::INVALID_CONFIG, format!("Null value for config {}.", config.name)))?;
        configs.insert(config.name.to_string(), value.to_string());
    }
    let new = NewTopic { name: topic.name.clone(), partitions, configs };
    let mut result = CreatableTopicResult {
        name: topic.name,
        num_partitions: partitions,
        replication_factor: 1,
        ..Default::default()
    };
    if context.version >= 5 {
        let entries = topic_entries(core, &new.configs).into_iter().map(|entry| CreatableTopicConfigs {
            name: ByteStr::from_static(entry.property.name),
            value: entry.value.map(Into::into),
            read_only: false,
            config_source: entry.source,
            is_sensitive: false,
            ..Default::default()
        });
        result.configs = Some(entries.collect());
    }
    if validate_only {
        core.controller.validate(&new)?;
    } else {
        result.topic_id = core.create_topic(now, new)?;
    }
    Ok(result)
}

/// The number of partitions, by count or by assignment; this broker is the only replica there can be.
fn partition_count(core: &BrokerCore, context: &RequestContext, topic: &CreatableTopic) -> Result<i32, TopicError> {
    if !topic.assignments.is_empty() {
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            return Err(error(
                ErrorCode::INVALID_REQUEST,
                "Both partitions or replication factor and assignments were given; one of the two is right.",
            ));
        }
        let mut indexes: Vec<i32> = topic.assignments.iter().map(|assignment| assignment.partition_index).collect();
        indexes.sort_unstable();
        let count = i32::try_from(indexes.len()).unwrap_or(i32::MAX);
        let on_this_broker = [core.config.node_id()];
        if !indexes.into_iter().eq(0..count) || topic.assignments.iter().any(|a| a.broker_ids != on_this_broker) {
            return Err(error(
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                format!("Partitions must be numbered from 0 without a gap, each on broker {}.", on_this_broker[0]),
            ));
        }
        return Ok(count);
    }
    let default = context.version >= 4;
    match topic.replication_factor {
        1 => {}
        -1 if default => {}
        factor if factor > 1 => {
            return Err(error(
                ErrorCode::INVALID_REPLICATION_FACTOR,
                format!("Replication factor {factor} is larger than the number of brokers, 1."),
            ));
        }
        _ => return Err(error(ErrorCode::INVALID_REPLICATION_FACTOR, "Replication factor must be larger than 0.")),
    }
    match topic.num_partitions {
        -1 if default => Ok(core.config.num_partitions()),
        count if count > 0 => Ok(count),
        _ => Err(error(ErrorCode::INVALID_PARTITIONS, "Number of partitions must be larger than 0.")),
    }
}
