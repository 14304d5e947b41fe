//! What the broker tells of itself, made into what a cluster tells.

use std::collections::BTreeMap;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::*;
use felice_protocol::primitives::{ByteStr, Frame};

use super::MockCore;
use super::asked::Asked;
use super::commands::CoordinatorKind;
use super::placement::NOBODY;
use crate::api::Refusal;
use crate::partition::Partition;
use crate::topics::is_internal;

/// Which answer is to be told of the cluster.
#[derive(Debug)]
pub(super) enum Told {
    Metadata { all: bool },
    Coordinators { kind: i8, key: ByteStr },
    Cluster,
    Versions,
    Groups,
    Offsets,
    TopicsMade { replicas: BTreeMap<ByteStr, i16> },
    TopicsGone,
}

/// Whether a Metadata request wants all topics.
pub(super) fn asks_for_all(request: &MetadataRequest, version: i16) -> bool {
    request.topics.as_ref().is_none_or(|topics| version == 0 && topics.is_empty())
}

impl MockCore {
    pub(super) fn tell(&mut self, asked: &Asked, told: Told, frame: Frame) -> Result<Frame, Refusal> {
        match told {
            Told::Metadata { all } => {
                asked.change::<MetadataRequest>(frame, |response| self.tell_metadata(all, response))
            }
            Told::Coordinators { kind, key } => asked.change::<FindCoordinatorRequest>(frame, |response| {
                self.tell_coordinators(asked.version, kind, &key, response);
            }),
            Told::Cluster => asked.change::<DescribeClusterRequest>(frame, |response| self.tell_cluster(response)),
            Told::Versions => asked.change::<ApiVersionsRequest>(frame, |response| {
                response.api_keys.retain_mut(|api| match self.offered(ApiKey(api.api_key)) {
                    Some(range) => {
                        (api.min_version, api.max_version) = range;
                        true
                    }
                    None => false,
                });
            }),
            Told::Groups => asked.change::<ListGroupsRequest>(frame, |response| {
                let mine = |group: &str| self.coordinator(CoordinatorKind::Group, group) == Some(asked.node);
                response.groups.retain(|group| mine(&group.group_id));
            }),
            Told::Offsets => asked.change::<OffsetFetchRequest>(frame, |response| self.tell_offsets(response)),
            Told::TopicsMade { replicas } => asked.change::<CreateTopicsRequest>(frame, |response| {
                for topic in response.topics.iter_mut().filter(|topic| topic.error_code.is_ok()) {
                    if let Some(count) = replicas.get(&topic.name).filter(|_| asked.version >= 5) {
                        topic.replication_factor = *count;
                    }
                }
            }),
            Told::TopicsGone => {
                let topics = &self.core.topics;
                self.places.retain(|topic| topics.by_name(topic).is_some());
                Ok(frame)
            }
        }
    }

    fn tell_metadata(&mut self, all: bool, response: &mut MetadataResponse) {
        let brokers = self.nodes.listed().map(|(node_id, node)| metadata::response::MetadataResponseBroker {
            node_id,
            host: node.host.as_str().into(),
            port: i32::from(node.port),
            rack: node.rack.as_deref().map(Into::into),
            ..Default::default()
        });
        response.brokers = brokers.collect();
        response.controller_id = self.controller;
        if all {
            // The topics are those that a test has made.
            response.topics.retain(|topic| !is_internal(topic.name.as_deref().unwrap_or_default()));
        }
        for topic in &mut response.topics {
            let Some(name) = topic.name.clone() else { continue };
            for part in &mut topic.partitions {
                let place = self.places.get(&self.nodes.leading(), &name, part.partition_index);
                part.leader_id = place.leader;
                part.error_code =
                    if place.leader == NOBODY { ErrorCode::LEADER_NOT_AVAILABLE } else { ErrorCode::NONE };
                if let Some(leader) = place.told.pop_front() {
                    (part.leader_id, part.leader_epoch) = (leader.node, leader.epoch);
                    part.error_code = ErrorCode::NONE;
                }
                part.replica_nodes.clone_from(&place.replicas);
                part.isr_nodes.clone_from(&place.replicas);
            }
            if let Some(code) = self.topic_errors.get(&name) {
                topic.error_code = *code;
                if matches!(*code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID) {
                    topic.partitions.clear();
                }
            }
        }
    }

    /// With the leader epochs of now.
    fn tell_offsets(&self, response: &mut OffsetFetchResponse) {
        let epoch = |name: &str, index: i32| self.partition(name, index).map_or(-1, Partition::leader_epoch);
        for topic in &mut response.topics {
            for part in topic.partitions.iter_mut().filter(|part| part.committed_offset >= 0) {
                part.committed_leader_epoch = epoch(&topic.name, part.partition_index);
            }
        }
        for topic in response.groups.iter_mut().flat_map(|group| &mut group.topics) {
            let Some(name) = self.name_of(&topic.name, topic.topic_id) else { continue };
            for part in topic.partitions.iter_mut().filter(|part| part.committed_offset >= 0) {
                part.committed_leader_epoch = epoch(&name, part.partition_index);
            }
        }
    }

    fn tell_cluster(&self, response: &mut DescribeClusterResponse) {
        if !response.error_code.is_ok() {
            return;
        }
        response.controller_id = self.controller;
        let brokers = self.nodes.listed().map(|(broker_id, node)| describe_cluster::response::DescribeClusterBroker {
            broker_id,
            host: node.host.as_str().into(),
            port: i32::from(node.port),
            rack: node.rack.as_deref().map(Into::into),
            ..Default::default()
        });
        response.brokers = brokers.collect();
    }

    fn tell_coordinators(&self, version: i16, kind: i8, key: &ByteStr, response: &mut FindCoordinatorResponse) {
        let Some(kind) = CoordinatorKind::from_wire(kind) else { return };
        let find = |key: &str| {
            let id = self.coordinator(kind, key)?;
            self.nodes.get(id).map(|node| (id, node.host.as_str().into(), i32::from(node.port)))
        };
        if version < 4 && response.error_code.is_ok() {
            match find(key) {
                Some((id, host, port)) => (response.node_id, response.host, response.port) = (id, host, port),
                None => {
                    response.error_code = ErrorCode::COORDINATOR_NOT_AVAILABLE;
                    (response.node_id, response.host, response.port) = (-1, ByteStr::default(), -1);
                }
            }
        }
        for found in response.coordinators.iter_mut().filter(|found| found.error_code.is_ok()) {
            match find(&found.key) {
                Some((id, host, port)) => (found.node_id, found.host, found.port) = (id, host, port),
                None => {
                    found.error_code = ErrorCode::COORDINATOR_NOT_AVAILABLE;
                    (found.node_id, found.host, found.port) = (-1, ByteStr::default(), -1);
                }
            }
        }
    }
}
