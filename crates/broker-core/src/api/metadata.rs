//! Metadata (3): brokers, topics, leaders; creates topics that are asked for where that is allowed.

use std::collections::BTreeMap;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::metadata::request::MetadataRequestTopic;
use felice_protocol::messages::metadata::response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use felice_protocol::messages::{MetadataRequest, MetadataResponse};
use felice_protocol::primitives::Uuid;
use felice_protocol::time::Now;

use super::RequestContext;
use crate::broker::BrokerCore;
use crate::controller::NewTopic;
use crate::topics::{Topic, is_internal};

/// What everyone may do while nothing authorizes: a bit for each of READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS,
/// ALTER_CONFIGS.
const TOPIC_OPERATIONS: i32 = 3576;
/// The same for the cluster: CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE.
pub(super) const CLUSTER_OPERATIONS: i32 = 8096;

pub(super) fn handle(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    request: MetadataRequest,
) -> MetadataResponse {
    // Version 0 has no null: there an empty list means all topics.
    let asked = request.topics.filter(|topics| context.version > 0 || !topics.is_empty());
    let operations = if request.include_topic_authorized_operations { TOPIC_OPERATIONS } else { i32::MIN };
    let topics = match asked {
        None => core.topics.iter().map(|topic| describe(core, topic, operations)).collect(),
        Some(asked) => asked
            .into_iter()
            .map(|topic| one(core, now, context, topic, request.allow_auto_topic_creation, operations))
            .collect(),
    };
    let include_cluster = request.include_cluster_authorized_operations && (8..=10).contains(&context.version);
    let (host, port) = core.advertised(context.connection);
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: core.config.node_id(),
            host,
            port,
            rack: core.config.rack().map(Into::into),
            ..Default::default()
        }],
        cluster_id: Some(core.cluster_id.clone()),
        controller_id: core.config.node_id(),
        topics,
        cluster_authorized_operations: if include_cluster { CLUSTER_OPERATIONS } else { i32::MIN },
        ..Default::default()
    }
}

fn one(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    asked: MetadataRequestTopic,
    allow_creation: bool,
    operations: i32,
) -> MetadataResponseTopic {
    let name = match asked.name {
        Some(name) if asked.topic_id.is_zero() => name,
        named => {
            return match core.topics.get(&asked.topic_id) {
                Some(topic) => describe(core, topic, operations),
                None => MetadataResponseTopic {
                    error_code: ErrorCode::UNKNOWN_TOPIC_ID,
                    name: if context.version >= 12 { named } else { Some(named.unwrap_or_default()) },
                    topic_id: asked.topic_id,
                    ..Default::default()
                },
            };
        }
    };
    if let Some(topic) = core.topics.by_name(&name) {
        return describe(core, topic, operations);
    }
    let created = if allow_creation && core.config.auto_create_topics() && !is_internal(&name) {
        let new = NewTopic { name: name.clone(), partitions: core.config.num_partitions(), configs: BTreeMap::new() };
        core.create_topic(now, new).map_err(|error| error.code)
    } else if let Err(error) = crate::controller::validate_name(&name) {
        Err(error.code)
    } else {
        Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    };
    match created.map(|id| core.topics.get(&id)) {
        Ok(Some(topic)) => describe(core, topic, operations),
        Ok(None) => failed(name, ErrorCode::UNKNOWN_SERVER_ERROR),
        Err(code) => failed(name, code),
    }
}

fn failed(name: felice_protocol::primitives::ByteStr, error_code: ErrorCode) -> MetadataResponseTopic {
    let is_internal = is_internal(&name);
    MetadataResponseTopic { error_code, name: Some(name), topic_id: Uuid::ZERO, is_internal, ..Default::default() }
}

fn describe(core: &BrokerCore, topic: &Topic, operations: i32) -> MetadataResponseTopic {
    let node_id = core.config.node_id();
    let partitions = topic.partitions.iter().map(|partition| {
        let offline = partition.is_offline();
        MetadataResponsePartition {
            error_code: if offline { ErrorCode::LEADER_NOT_AVAILABLE } else { ErrorCode::NONE },
            partition_index: partition.index(),
            leader_id: if offline { -1 } else { node_id },
            leader_epoch: partition.leader_epoch(),
            replica_nodes: vec![node_id],
            isr_nodes: vec![node_id],
            offline_replicas: if offline { vec![node_id] } else { Vec::new() },
            ..Default::default()
        }
    });
    MetadataResponseTopic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: partitions.collect(),
        topic_authorized_operations: operations,
        ..Default::default()
    }
}
