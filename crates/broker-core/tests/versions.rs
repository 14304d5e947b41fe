//! Every version that is offered is answered, with what can be written in it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "each test binary uses a part")]
mod support;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::*;
use felice_protocol::primitives::Uuid;
use support::*;

fn offered(world: &mut World) -> Vec<(i16, i16, i16)> {
    let request = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
        ..Default::default()
    };
    let answer = world.call(3, &request);
    assert_eq!(answer.error_code, ErrorCode::NONE);
    answer.api_keys.iter().map(|key| (key.api_key, key.min_version, key.max_version)).collect()
}

/// Asks in one version; an answer must come, now or at the deadline.
fn ask<R: Request>(world: &mut World, version: i16, request: &R) {
    let mut outputs = world.send(CLIENT, version, request);
    world.pass(1000);
    outputs.extend(world.outputs());
    assert!(response::<R>(&outputs, CLIENT, version).is_some(), "{} v{version}: {outputs:?}", R::API_KEY);
}

#[test]
fn every_offered_version_is_answered() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    world.produce("t", batch(&["a"]));
    let id = world.topic("t").topic_id;
    for (key, min, max) in offered(&mut world) {
        let min = min.max(ApiKey(key).valid_versions().unwrap().0);
        for version in min..=max {
            match_api(&mut world, ApiKey(key), version, id);
        }
    }
}

fn match_api(world: &mut World, key: ApiKey, version: i16, id: Uuid) {
    let names = || ["t", "nowhere"].into_iter();
    match key {
        ApiKey::PRODUCE => {
            for name in names() {
                let mut request = produce_request(name, 0, -1, batch(&["x"]));
                if version >= 13 {
                    request.topic_data[0].name = "".into();
                    request.topic_data[0].topic_id = if name == "t" { id } else { Uuid([9; 16]) };
                }
                ask(world, version, &request);
            }
        }
        ApiKey::FETCH => {
            for (name, offset) in [("t", 0), ("nowhere", 0), ("t", 1_000_000)] {
                let mut request = fetch_request(name, offset, 100, 1);
                request.session_epoch = if version >= 7 { 0 } else { -1 };
                request.isolation_level = 1;
                if version >= 13 {
                    request.topics[0].topic = "".into();
                    request.topics[0].topic_id = if name == "t" { id } else { Uuid([9; 16]) };
                }
                ask(world, version, &request);
            }
        }
        ApiKey::LIST_OFFSETS => {
            use list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic};
            for (name, timestamp) in [("t", -1), ("t", -2), ("t", -3), ("t", 0), ("t", i64::MAX), ("nowhere", -1)] {
                let partitions = vec![ListOffsetsPartition { timestamp, ..Default::default() }];
                let topics = vec![ListOffsetsTopic { name: name.into(), partitions, ..Default::default() }];
                ask(world, version, &ListOffsetsRequest { replica_id: -1, topics, ..Default::default() });
            }
        }
        ApiKey::SASL_HANDSHAKE => ask(world, version, &SaslHandshakeRequest::default()),
        ApiKey::SASL_AUTHENTICATE => ask(world, version, &SaslAuthenticateRequest::default()),
        ApiKey::METADATA => {
            use metadata::request::MetadataRequestTopic;
            for name in ["t", "not a name", "created"] {
                let topic = MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
                ask(world, version, &MetadataRequest { topics: Some(vec![topic]), ..Default::default() });
            }
            if version >= 12 {
                let topic = MetadataRequestTopic { topic_id: Uuid([9; 16]), name: None, ..Default::default() };
                ask(world, version, &MetadataRequest { topics: Some(vec![topic]), ..Default::default() });
            }
            if version >= 1 {
                ask(world, version, &MetadataRequest { topics: None, ..Default::default() });
            }
        }
        ApiKey::OFFSET_COMMIT => {
            use offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
            let partitions = vec![OffsetCommitRequestPartition::default()];
            let name = if version >= 10 { "" } else { "t" }.into();
            let topics = vec![OffsetCommitRequestTopic { name, partitions, ..Default::default() }];
            ask(world, version, &OffsetCommitRequest { group_id: "g".into(), topics, ..Default::default() });
        }
        ApiKey::OFFSET_FETCH => {
            use offset_fetch::request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic};
            let mut request = OffsetFetchRequest::default();
            if version >= 8 {
                request.groups = vec![OffsetFetchRequestGroup { group_id: "g".into(), ..Default::default() }];
            } else {
                request.group_id = "g".into();
                let partition_indexes = vec![0];
                request.topics =
                    Some(vec![OffsetFetchRequestTopic { name: "t".into(), partition_indexes, ..Default::default() }]);
            }
            ask(world, version, &request);
        }
        ApiKey::FIND_COORDINATOR => {
            let mut request = FindCoordinatorRequest::default();
            if version >= 4 {
                request.coordinator_keys = vec!["g".into()]
            } else {
                request.key = "g".into()
            }
            ask(world, version, &request);
        }
        ApiKey::JOIN_GROUP => {
            let protocol = join_group::request::JoinGroupRequestProtocol { name: "range".into(), ..Default::default() };
            for session_timeout_ms in [0, 10_000] {
                let request = JoinGroupRequest {
                    group_id: format!("g-{version}").into(),
                    session_timeout_ms,
                    protocol_type: "consumer".into(),
                    protocols: vec![protocol.clone()],
                    ..Default::default()
                };
                ask(world, version, &request);
            }
        }
        ApiKey::SYNC_GROUP => ask(world, version, &SyncGroupRequest { group_id: "g".into(), ..Default::default() }),
        ApiKey::HEARTBEAT => ask(world, version, &HeartbeatRequest { group_id: "g".into(), ..Default::default() }),
        ApiKey::LEAVE_GROUP => {
            let mut request = LeaveGroupRequest { group_id: "g-3".into(), ..Default::default() };
            if version >= 3 {
                request.members = vec![leave_group::request::MemberIdentity {
                    member_id: "m".into(),
                    group_instance_id: Some("i".into()),
                    reason: Some("why".into()).filter(|_| version >= 5),
                    ..Default::default()
                }];
            }
            ask(world, version, &request);
        }
        ApiKey::DESCRIBE_GROUPS => {
            let groups = vec!["g".into(), "g-3".into()];
            ask(world, version, &DescribeGroupsRequest { groups, ..Default::default() });
        }
        ApiKey::LIST_GROUPS => {
            ask(world, version, &ListGroupsRequest::default());
            if version >= 4 {
                ask(world, version, &ListGroupsRequest { states_filter: vec!["Empty".into()], ..Default::default() });
            }
        }
        ApiKey::DELETE_GROUPS => {
            let groups_names = vec!["g".into(), "g-3".into()];
            ask(world, version, &DeleteGroupsRequest { groups_names, ..Default::default() });
        }
        ApiKey::OFFSET_DELETE => {
            use offset_delete::request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
            for topic in names() {
                let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
                let topics = vec![OffsetDeleteRequestTopic { name: topic.into(), partitions }];
                ask(world, version, &OffsetDeleteRequest { group_id: "g".into(), topics });
            }
        }
        ApiKey::CONSUMER_GROUP_HEARTBEAT => {
            for member_epoch in [0, 1, -1] {
                let request = ConsumerGroupHeartbeatRequest {
                    group_id: "c".into(),
                    member_id: "m".into(),
                    member_epoch,
                    rebalance_timeout_ms: 1000,
                    subscribed_topic_names: Some(vec!["t".into()]),
                    topic_partitions: Some(Vec::new()),
                    ..Default::default()
                };
                ask(world, version, &request);
            }
        }
        ApiKey::CONSUMER_GROUP_DESCRIBE => {
            let group_ids = vec!["c".into(), "nowhere".into()];
            ask(world, version, &ConsumerGroupDescribeRequest { group_ids, ..Default::default() });
        }
        ApiKey::API_VERSIONS => {
            for name in ["test", "-no-"] {
                let request = ApiVersionsRequest {
                    client_software_name: name.into(),
                    client_software_version: "1".into(),
                    ..Default::default()
                };
                ask(world, version, &request);
            }
        }
        ApiKey::CREATE_TOPICS => {
            for name in ["t".to_owned(), format!("new-{version}")] {
                let topic = create_topics::request::CreatableTopic {
                    name: name.into(),
                    num_partitions: 1,
                    replication_factor: 1,
                    ..Default::default()
                };
                ask(world, version, &CreateTopicsRequest { topics: vec![topic], ..Default::default() });
            }
        }
        ApiKey::DELETE_TOPICS => {
            for name in ["nowhere".to_owned(), format!("doomed-{version}")] {
                world.create_topic("doomed", 1, &[]);
                let mut request = DeleteTopicsRequest::default();
                if version >= 6 {
                    let name = Some(name.into());
                    request.topics = vec![delete_topics::request::DeleteTopicState { name, ..Default::default() }];
                } else {
                    request.topic_names = vec![name.into()];
                }
                ask(world, version, &request);
            }
        }
        ApiKey::INIT_PRODUCER_ID => {
            for transactional_id in [None, Some("t".into())] {
                ask(world, version, &InitProducerIdRequest { transactional_id, ..Default::default() });
            }
        }
        ApiKey::OFFSET_FOR_LEADER_EPOCH => {
            use offset_for_leader_epoch::request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
            for topic in names() {
                let partitions = vec![OffsetForLeaderPartition::default()];
                let topics = vec![OffsetForLeaderTopic { topic: topic.into(), partitions, ..Default::default() }];
                ask(world, version, &OffsetForLeaderEpochRequest { topics, ..Default::default() });
            }
        }
        ApiKey::DESCRIBE_CONFIGS => {
            use describe_configs::request::DescribeConfigsResource;
            for (resource_type, name) in [(2, "t"), (2, "nowhere"), (4, "1"), (4, "7"), (4, ""), (8, "1")] {
                let resource = DescribeConfigsResource {
                    resource_type,
                    resource_name: name.into(),
                    configuration_keys: None,
                    ..Default::default()
                };
                let request =
                    DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, ..Default::default() };
                ask(world, version, &request);
            }
        }
        ApiKey::ALTER_CONFIGS => {
            use alter_configs::request::{AlterConfigsResource, AlterableConfig};
            for (resource_type, name) in [(2, "t"), (2, "nowhere"), (2, ""), (4, "1"), (8, "1")] {
                let config =
                    AlterableConfig { name: "retention.ms".into(), value: Some("1000".into()), ..Default::default() };
                let resource = AlterConfigsResource {
                    resource_type,
                    resource_name: name.into(),
                    configs: vec![config],
                    ..Default::default()
                };
                ask(world, version, &AlterConfigsRequest { resources: vec![resource], ..Default::default() });
            }
        }
        ApiKey::INCREMENTAL_ALTER_CONFIGS => {
            for (resource_type, name) in [(2, "t"), (2, "nowhere"), (2, ""), (4, "1"), (8, "1")] {
                for operation in 0..5 {
                    let request = incremental(resource_type, name, &[("cleanup.policy", operation, Some("delete"))]);
                    ask(world, version, &request);
                }
            }
        }
        ApiKey::CREATE_PARTITIONS => {
            use create_partitions::request::{CreatePartitionsAssignment, CreatePartitionsTopic};
            for name in names() {
                let assignment = CreatePartitionsAssignment { broker_ids: vec![1], ..Default::default() };
                for assignments in [None, Some(vec![assignment])] {
                    let topic =
                        CreatePartitionsTopic { name: name.into(), count: 2, assignments, ..Default::default() };
                    ask(world, version, &CreatePartitionsRequest { topics: vec![topic], ..Default::default() });
                }
            }
        }
        ApiKey::DELETE_RECORDS => {
            for name in names() {
                for offset in [-1, 0, i64::MAX] {
                    ask(world, version, &delete_records(name, offset));
                }
            }
        }
        ApiKey::DESCRIBE_CLUSTER => {
            ask(world, version, &DescribeClusterRequest::default());
            if version >= 1 {
                ask(world, version, &DescribeClusterRequest { endpoint_type: 2, ..Default::default() });
            }
        }
        other => panic!("{other} is offered and not tested here"),
    }
}
