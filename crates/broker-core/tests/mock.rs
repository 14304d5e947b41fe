//! The mock cluster: several nodes over one state, and faults on request.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "each test binary uses a part")]
mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use felice_broker_core::mock::{CoordinatorKind, Fault, MockCore, TrackedRequest};
use felice_broker_core::{BrokerConfig, BrokerCore, ConnectionId, Output};
use felice_log::MemDisk;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::*;
use felice_protocol::time::Now;
use support::{T0, batch, close_reason, fetch_request, produce_request, response};

/// Connections to nodes 1, 2 and 3.
const NODES: [ConnectionId; 3] = [ConnectionId(1), ConnectionId(2), ConnectionId(3)];

struct Cluster {
    core: MockCore,
    now: Now,
}

impl Cluster {
    fn new() -> Self {
        let now = Now { monotonic_nanos: 1_000_000_000, wall_millis: T0 };
        let mut config = BrokerConfig::new("/data");
        config.set("num.partitions", "4").unwrap();
        config.set("offsets.topic.num.partitions", "1").unwrap();
        let core = BrokerCore::open(config, Arc::new(MemDisk::new()), 7, now).unwrap();
        let mut core = MockCore::new(core);
        for (node, connection) in (1..).zip(NODES) {
            assert!(core.add_node(now, node, "127.0.0.1", 9000 + u16::try_from(node).unwrap()));
            core.handle_connect(now, connection, node, IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        core.create_topic(now, "t", 3, 3).unwrap();
        Self { core, now }
    }

    fn pass(&mut self, millis: u64) {
        self.now.monotonic_nanos += millis * 1_000_000;
        self.now.wall_millis += i64::try_from(millis).unwrap();
        if self.core.poll_timeout().is_some_and(|at| at <= self.now.instant()) {
            self.core.handle_timeout(self.now);
        }
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.core.poll_output()).collect()
    }

    fn send<R: Request>(&mut self, node: usize, version: i16, request: &R) -> Vec<Output> {
        let frame = encode_request(1, Some("test"), version, request).unwrap().into_bytes().slice(4..);
        self.core.handle_request(self.now, NODES[node - 1], frame);
        self.outputs()
    }

    #[track_caller]
    fn call<R: Request>(&mut self, node: usize, version: i16, request: &R) -> R::Response {
        let outputs = self.send(node, version, request);
        response::<R>(&outputs, NODES[node - 1], version).unwrap_or_else(|| panic!("no answer among {outputs:?}"))
    }

    fn metadata(&mut self, topic: &str) -> MetadataResponse {
        let topic = metadata::request::MetadataRequestTopic { name: Some(topic.into()), ..Default::default() };
        self.call(1, 12, &MetadataRequest { topics: Some(vec![topic]), ..Default::default() })
    }

    fn produce(&mut self, node: usize, partition: i32, value: &str) -> produce::response::PartitionProduceResponse {
        let response = self.call(node, 10, &produce_request("t", partition, -1, batch(&[value])));
        support::partition_of(response)
    }

    fn fetch(&mut self, node: usize, offset: i64) -> fetch::response::PartitionData {
        let response = self.call(node, 12, &fetch_request("t", offset, 0, 1));
        response.responses[0].partitions[0].clone()
    }
}

fn leaders(metadata: &MetadataResponse) -> Vec<i32> {
    metadata.topics[0].partitions.iter().map(|partition| partition.leader_id).collect()
}

#[test]
fn metadata_names_all_nodes_and_spreads_the_leaders() {
    let mut cluster = Cluster::new();
    let metadata = cluster.metadata("t");
    let nodes: Vec<(i32, i32)> = metadata.brokers.iter().map(|broker| (broker.node_id, broker.port)).collect();
    assert_eq!(nodes, [(1, 9001), (2, 9002), (3, 9003)]);
    assert_eq!(metadata.controller_id, 1);
    assert_eq!(leaders(&metadata), [1, 2, 3]);
    assert_eq!(metadata.topics[0].partitions[1].replica_nodes, [2, 3, 1]);
    cluster.core.set_rack(2, Some("r2")).unwrap();
    cluster.core.set_listed(cluster.now, 3, false).unwrap();
    cluster.core.set_controller(2);
    let metadata = cluster.metadata("t");
    assert_eq!(metadata.brokers.iter().map(|b| b.rack.as_deref()).collect::<Vec<_>>(), [None, Some("r2")]);
    assert_eq!(metadata.controller_id, 2);
    assert_eq!(leaders(&metadata), [1, 2, 1]);
    assert_eq!(cluster.call(1, 0, &DescribeClusterRequest::default()).brokers.len(), 2);
}

#[test]
fn a_node_serves_what_it_leads_and_says_who_leads_the_rest() {
    let mut cluster = Cluster::new();
    assert_eq!(cluster.produce(1, 0, "a").base_offset, 0);
    let refused = cluster.produce(1, 1, "b");
    assert_eq!(refused.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!((refused.current_leader.leader_id, refused.current_leader.leader_epoch), (2, 0));
    // Both at once: one is written, one is refused.
    let mut both = produce_request("t", 0, -1, batch(&["c"]));
    let other = produce::request::PartitionProduceData { index: 2, records: Some(batch(&["d"])), ..Default::default() };
    both.topic_data[0].partition_data.push(other);
    let response = cluster.call(1, 10, &both);
    let parts = &response.responses[0].partition_responses;
    let codes: Vec<_> = parts.iter().map(|part| (part.index, part.error_code, part.base_offset)).collect();
    assert_eq!(codes, [(0, ErrorCode::NONE, 1), (2, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1)]);
    assert_eq!(response.node_endpoints.iter().map(|node| (node.node_id, node.port)).collect::<Vec<_>>(), [(3, 9003)]);
    assert_eq!(cluster.core.watermarks("t", 2), Ok((0, 0)));
    let fetched = cluster.fetch(3, 0);
    assert_eq!((fetched.error_code, fetched.current_leader.leader_id), (ErrorCode::NOT_LEADER_OR_FOLLOWER, 1));
    assert_eq!(cluster.fetch(1, 0).high_watermark, 2);
    let offsets = ListOffsetsRequest {
        topics: vec![list_offsets::request::ListOffsetsTopic {
            name: "t".into(),
            partitions: (0..2)
                .map(|partition_index| list_offsets::request::ListOffsetsPartition {
                    partition_index,
                    timestamp: -1,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let response = cluster.call(1, 7, &offsets);
    let codes: Vec<_> = response.topics[0].partitions.iter().map(|part| (part.error_code, part.offset)).collect();
    assert_eq!(codes, [(ErrorCode::NONE, 2), (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1)]);
}

#[test]
fn a_leader_that_moves_begins_an_epoch_and_lets_nobody_wait_at_the_old_one() {
    let mut cluster = Cluster::new();
    cluster.produce(1, 0, "a");
    let waits = cluster.send(1, 12, &fetch_request("t", 1, 60_000, 1));
    assert!(waits.is_empty(), "{waits:?}");
    cluster.core.set_leader(cluster.now, "t", 0, Some(3)).unwrap();
    let outputs = cluster.outputs();
    let moved = response::<FetchRequest>(&outputs, NODES[0], 12).unwrap().responses[0].partitions[0].clone();
    assert_eq!(moved.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!((moved.current_leader.leader_id, moved.current_leader.leader_epoch), (3, 1));
    let metadata = cluster.metadata("t");
    assert_eq!((metadata.topics[0].partitions[0].leader_id, metadata.topics[0].partitions[0].leader_epoch), (3, 1));
    assert_eq!(cluster.produce(3, 0, "b").base_offset, 1);
    let mut stale = fetch_request("t", 0, 0, 1);
    stale.topics[0].partitions[0].current_leader_epoch = 0;
    let fenced = cluster.call(3, 12, &stale).responses[0].partitions[0].error_code;
    assert_eq!(fenced, ErrorCode::FENCED_LEADER_EPOCH);
    cluster.core.set_leader(cluster.now, "t", 0, None).unwrap();
    assert_eq!(cluster.metadata("t").topics[0].partitions[0].error_code, ErrorCode::LEADER_NOT_AVAILABLE);
    assert_eq!(cluster.core.set_leader(cluster.now, "t", 0, Some(9)), Err(ErrorCode::BROKER_NOT_AVAILABLE));
    assert_eq!(cluster.core.set_leader(cluster.now, "t", 3, Some(1)), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    // A topic that is not there is made.
    cluster.core.set_leader(cluster.now, "new", 1, Some(2)).unwrap();
    assert_eq!(leaders(&cluster.metadata("new")), [1, 2]);
}

#[test]
fn metadata_can_be_made_to_lie_about_a_leader() {
    let mut cluster = Cluster::new();
    cluster.core.push_leader_answer(cluster.now, "t", 0, 2, 7).unwrap();
    cluster.core.push_leader_answer(cluster.now, "t", 0, 3, 8).unwrap();
    let told: Vec<(i32, i32)> = (0..3)
        .map(|_| cluster.metadata("t").topics[0].partitions[0].clone())
        .map(|partition| (partition.leader_id, partition.leader_epoch))
        .collect();
    assert_eq!(told, [(2, 7), (3, 8), (1, 0)]);
    cluster.core.set_topic_error(cluster.now, "t", ErrorCode::TOPIC_AUTHORIZATION_FAILED).unwrap();
    assert_eq!(cluster.metadata("t").topics[0].error_code, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    cluster.core.set_topic_error(cluster.now, "t", ErrorCode::NONE).unwrap();
    assert_eq!(cluster.metadata("t").topics[0].error_code, ErrorCode::NONE);
}

#[test]
fn a_fault_has_no_effect_but_its_answer_and_is_met_once() {
    let mut cluster = Cluster::new();
    cluster.core.push_faults(ApiKey::PRODUCE, [ErrorCode::REQUEST_TIMED_OUT.into(), Fault::None, Fault::Disconnect]);
    assert_eq!(cluster.produce(1, 0, "a").error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(cluster.produce(1, 0, "a").base_offset, 0);
    let outputs = cluster.send(1, 10, &produce_request("t", 0, -1, batch(&["b"])));
    close_reason(&outputs);
    assert_eq!(cluster.core.watermarks("t", 0), Ok((0, 1)));
    // Nobody would hear an error without an acknowledgement.
    cluster
        .core
        .push_node_faults(2, ApiKey::PRODUCE, [(Fault::Error(ErrorCode::NOT_CONTROLLER), Duration::ZERO)])
        .unwrap();
    close_reason(&cluster.send(2, 10, &produce_request("t", 1, 0, batch(&["b"]))));
    cluster.core.push_partition_errors(cluster.now, "t", 2, ApiKey::PRODUCE, [ErrorCode::KAFKA_STORAGE_ERROR]).unwrap();
    assert_eq!(cluster.produce(3, 2, "c").error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(cluster.produce(3, 2, "c").error_code, ErrorCode::NONE);
}

#[test]
fn answers_leave_in_order_each_after_its_time() {
    let mut cluster = Cluster::new();
    cluster.core.set_rtt(cluster.now, 1, Duration::from_millis(100)).unwrap();
    let slow = [(Fault::None, Duration::from_millis(50))];
    cluster.core.push_node_faults(1, ApiKey::PRODUCE, slow).unwrap();
    assert_eq!(cluster.core.node_faults(1, ApiKey::PRODUCE), Ok(1));
    // Three at once: the first is slower than the others, and holds them up; all are done at once.
    for value in ["a", "b", "c"] {
        assert!(cluster.send(1, 10, &produce_request("t", 0, -1, batch(&[value]))).is_empty());
    }
    assert_eq!(cluster.core.watermarks("t", 0), Ok((0, 3)));
    cluster.pass(149);
    assert!(cluster.outputs().is_empty());
    cluster.pass(1);
    assert_eq!(cluster.outputs().len(), 3);
    // Another node is not slow, and a node that gets faster is so at once.
    assert_eq!(cluster.produce(2, 1, "x").base_offset, 0);
    assert!(cluster.send(1, 10, &produce_request("t", 0, -1, batch(&["d"]))).is_empty());
    cluster.core.set_rtt(cluster.now, 1, Duration::ZERO).unwrap();
    assert_eq!(cluster.outputs().len(), 1);
}

#[test]
fn a_group_is_served_by_its_coordinator_alone() {
    let mut cluster = Cluster::new();
    cluster.core.set_coordinator(CoordinatorKind::Group, "g", 2);
    let find = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
    let found = cluster.call(1, 4, &find).coordinators.remove(0);
    assert_eq!((found.node_id, found.port, found.error_code), (2, 9002, ErrorCode::NONE));
    let join = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 6000,
        protocol_type: "consumer".into(),
        ..Default::default()
    };
    assert_eq!(cluster.call(1, 4, &join).error_code, ErrorCode::NOT_COORDINATOR);
    assert_ne!(cluster.call(2, 4, &join).error_code, ErrorCode::NOT_COORDINATOR);
    let fetch = OffsetFetchRequest {
        groups: vec![offset_fetch::request::OffsetFetchRequestGroup { group_id: "g".into(), ..Default::default() }],
        ..Default::default()
    };
    assert_eq!(cluster.call(3, 8, &fetch).groups[0].error_code, ErrorCode::NOT_COORDINATOR);
    assert_eq!(cluster.call(2, 8, &fetch).groups[0].error_code, ErrorCode::NONE);
    cluster.core.set_coordinator(CoordinatorKind::Group, "g", 9);
    let found = cluster.call(1, 4, &find).coordinators.remove(0);
    assert_eq!(found.error_code, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    let old = FindCoordinatorRequest { key: "other".into(), ..Default::default() };
    let node = cluster.call(1, 1, &old).node_id;
    assert!((1..=3).contains(&node));
    assert_eq!(cluster.call(3, 1, &old).node_id, node, "every node names the same");
}

#[test]
fn committed_offsets_can_be_told_with_the_epoch_of_now() {
    let mut cluster = Cluster::new();
    cluster.core.set_coordinator(CoordinatorKind::Group, "g", 1);
    let find = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
    cluster.call(1, 4, &find);
    let part = offset_commit::request::OffsetCommitRequestPartition { committed_offset: 5, ..Default::default() };
    let topic = offset_commit::request::OffsetCommitRequestTopic {
        name: "t".into(),
        partitions: vec![part],
        ..Default::default()
    };
    let commit = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    let committed = cluster.call(1, 8, &commit).topics[0].partitions[0].error_code;
    assert_eq!(committed, ErrorCode::NONE);
    cluster.core.set_leader(cluster.now, "t", 0, Some(2)).unwrap();
    let epochs = |cluster: &mut Cluster| {
        let group =
            offset_fetch::request::OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
        let all = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        let new = cluster.call(1, 8, &all).groups[0].topics[0].partitions[0].committed_leader_epoch;
        let old = OffsetFetchRequest { group_id: "g".into(), topics: None, ..Default::default() };
        (cluster.call(1, 6, &old).topics[0].partitions[0].committed_leader_epoch, new)
    };
    // What OffsetFetch tells is what was committed.
    assert_eq!(epochs(&mut cluster), (-1, -1));
    cluster.core.set_current_epochs(true);
    assert_eq!(epochs(&mut cluster), (1, 1));
}

#[test]
fn versions_can_be_taken_away() {
    let mut cluster = Cluster::new();
    let ask = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
        ..Default::default()
    };
    let range = |cluster: &mut Cluster, api: ApiKey| {
        let response = cluster.call(1, 3, &ask);
        response.api_keys.iter().find(|row| row.api_key == api.0).map(|row| (row.min_version, row.max_version))
    };
    cluster.core.set_versions(ApiKey::PRODUCE, Some((0, 7)));
    cluster.core.set_versions(ApiKey::CONSUMER_GROUP_HEARTBEAT, None);
    assert_eq!(range(&mut cluster, ApiKey::PRODUCE), Some((0, 7)));
    assert_eq!(range(&mut cluster, ApiKey::CONSUMER_GROUP_HEARTBEAT), None);
    let outputs = cluster.send(1, 10, &produce_request("t", 0, -1, batch(&["a"])));
    assert!(close_reason(&outputs).contains("not offered"));
    cluster.core.set_versions(ApiKey::API_VERSIONS, Some((0, 2)));
    let outputs = cluster.send(2, 3, &ask);
    let answer = response::<ApiVersionsRequest>(&outputs, NODES[1], 0).unwrap();
    assert_eq!((answer.error_code, answer.api_keys[0].max_version), (ErrorCode::UNSUPPORTED_VERSION, 2));
}

#[test]
fn requests_are_tracked_from_start_to_stop() {
    let mut cluster = Cluster::new();
    cluster.metadata("t");
    assert!(cluster.core.requests().is_empty());
    cluster.core.start_tracking();
    cluster.metadata("t");
    cluster.pass(5);
    cluster.produce(2, 1, "a");
    let tracked: Vec<TrackedRequest> = cluster.core.requests();
    let seen: Vec<(i32, ApiKey)> = tracked.iter().map(|request| (request.node, request.api_key)).collect();
    assert_eq!(seen, [(1, ApiKey::METADATA), (2, ApiKey::PRODUCE)]);
    assert_eq!(tracked[1].at.0 - tracked[0].at.0, 5_000_000);
    cluster.core.clear_requests();
    cluster.produce(2, 1, "b");
    assert_eq!(cluster.core.requests().len(), 1);
    cluster.core.stop_tracking();
    assert!(cluster.core.requests().is_empty());
}

#[test]
fn consumers_are_sent_to_the_follower_which_has_its_own_watermarks() {
    let mut cluster = Cluster::new();
    for value in ["a", "b", "c"] {
        cluster.produce(1, 0, value);
    }
    cluster.core.set_follower(cluster.now, "t", 0, Some(3)).unwrap();
    let sent_on = cluster.fetch(1, 0);
    assert_eq!((sent_on.error_code, sent_on.preferred_read_replica), (ErrorCode::NONE, 3));
    assert_eq!(sent_on.records.unwrap().len(), 0);
    let read = cluster.fetch(3, 0);
    assert_eq!((read.high_watermark, read.preferred_read_replica), (3, -1));
    assert!(!read.records.unwrap().is_empty());
    cluster.core.set_follower_watermarks(cluster.now, "t", 0, Some(1), Some(2)).unwrap();
    let read = cluster.fetch(3, 1);
    assert_eq!((read.log_start_offset, read.high_watermark), (1, 2));
    let out_of_range: Vec<ErrorCode> = [0, 3].into_iter().map(|offset| cluster.fetch(3, offset).error_code).collect();
    assert_eq!(out_of_range, [ErrorCode::OFFSET_OUT_OF_RANGE; 2]);
    // At its end it has nothing yet: the answer takes as long as the consumer wants to wait.
    assert!(cluster.send(3, 12, &fetch_request("t", 2, 500, 1)).is_empty());
    cluster.pass(500);
    assert_eq!(cluster.outputs().len(), 1);
    // A node that is neither refuses.
    assert_eq!(cluster.fetch(2, 0).error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    cluster.core.set_follower(cluster.now, "t", 0, None).unwrap();
    assert!(!cluster.fetch(1, 0).records.unwrap().is_empty());
}

#[test]
fn a_node_that_is_down_is_in_no_metadata_and_one_that_is_taken_away_leads_nothing() {
    let mut cluster = Cluster::new();
    cluster.core.set_up(cluster.now, 2, false).unwrap();
    assert!(matches!(&cluster.outputs()[..], [Output::Close { connection, .. }] if *connection == NODES[1]));
    let metadata = cluster.metadata("t");
    assert_eq!(metadata.brokers.iter().map(|broker| broker.node_id).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(leaders(&metadata), [1, 2, 3], "that does not move leaders");
    cluster.core.handle_connect(cluster.now, ConnectionId(9), 2, IpAddr::V4(Ipv4Addr::LOCALHOST));
    close_reason(&cluster.outputs());
    cluster.core.set_up(cluster.now, 2, true).unwrap();
    assert_eq!(cluster.metadata("t").brokers.len(), 3);
    assert!(cluster.core.remove_node(cluster.now, 2) && !cluster.core.remove_node(cluster.now, 2));
    let metadata = cluster.metadata("t");
    assert_eq!(leaders(&metadata), [1, 3, 1]);
    assert_eq!(metadata.topics[0].partitions[2].leader_epoch, 1);
    assert!(cluster.core.add_node(cluster.now, 5, "127.0.0.1", 9005));
    assert_eq!(leaders(&cluster.metadata("t")), [1, 3, 5]);
}

#[test]
fn a_target_that_a_test_gives_is_what_members_get() {
    let mut cluster = Cluster::new();
    cluster.core.set_coordinator(CoordinatorKind::Group, "g", 1);
    cluster.core.set_consumer_heartbeat_interval(Duration::from_millis(123));
    let find = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
    cluster.call(1, 4, &find);
    let missing = cluster.core.set_target_assignment(cluster.now, "g", [("m", vec![("t", 0)])]);
    assert_eq!(missing, Err(ErrorCode::GROUP_ID_NOT_FOUND));
    let beat = |cluster: &mut Cluster, epoch: i32| {
        let beat = ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: "m".into(),
            member_epoch: epoch,
            rebalance_timeout_ms: 1000,
            subscribed_topic_names: Some(vec!["t".into()]),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        };
        cluster.call(1, 1, &beat)
    };
    let partitions = |answer: &ConsumerGroupHeartbeatResponse| -> Vec<i32> {
        let assignment = answer.assignment.as_ref().map(|a| a.topic_partitions.iter().flat_map(|t| &t.partitions));
        assignment.into_iter().flatten().copied().collect()
    };
    let joined = beat(&mut cluster, 0);
    assert_eq!((joined.heartbeat_interval_ms, partitions(&joined)), (123, vec![0, 1, 2]));
    cluster.core.set_target_assignment(cluster.now, "g", [("m", vec![("t", 1)])]).unwrap();
    let moved = beat(&mut cluster, joined.member_epoch);
    assert_eq!((moved.error_code, partitions(&moved)), (ErrorCode::NONE, vec![1]));
    assert!(moved.member_epoch > joined.member_epoch);
    // A member that is told that it is fenced is so.
    cluster.core.push_faults(ApiKey::CONSUMER_GROUP_HEARTBEAT, [ErrorCode::FENCED_MEMBER_EPOCH.into()]);
    assert_eq!(beat(&mut cluster, moved.member_epoch).error_code, ErrorCode::FENCED_MEMBER_EPOCH);
    assert_eq!(beat(&mut cluster, moved.member_epoch).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn topics_are_made_with_the_replicas_that_are_asked_for() {
    let mut cluster = Cluster::new();
    let topic = create_topics::request::CreatableTopic {
        name: "assigned".into(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: [vec![3, 1], vec![2, 3]]
            .into_iter()
            .zip(0..)
            .map(|(broker_ids, partition_index)| create_topics::request::CreatableReplicaAssignment {
                partition_index,
                broker_ids,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let counted = create_topics::request::CreatableTopic {
        name: "counted".into(),
        num_partitions: 1,
        replication_factor: 2,
        ..Default::default()
    };
    let too_many = create_topics::request::CreatableTopic {
        name: "too-many".into(),
        num_partitions: 1,
        replication_factor: 4,
        ..Default::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic, counted, too_many], timeout_ms: 1000, ..Default::default() };
    let response = cluster.call(2, 7, &request);
    let made: Vec<_> = response.topics.iter().map(|topic| (topic.error_code, topic.replication_factor)).collect();
    assert_eq!(made[..2], [(ErrorCode::NONE, 2), (ErrorCode::NONE, 2)]);
    assert_eq!(made[2].0, ErrorCode::INVALID_REPLICATION_FACTOR);
    assert_eq!(leaders(&cluster.metadata("assigned")), [3, 2]);
    assert_eq!(cluster.metadata("counted").topics[0].partitions[0].replica_nodes.len(), 2);
    assert_eq!(cluster.core.delete_topic(cluster.now, "assigned"), Ok(()));
    assert_eq!(cluster.core.delete_topic(cluster.now, "assigned"), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}

/// Every API in every version that is offered can be refused with an error, and the answer can be read.
#[test]
fn every_api_can_be_refused() {
    fn refuse<R: Request + Default>(cluster: &mut Cluster, offered: &ApiVersionsResponse) -> usize {
        let row = offered.api_keys.iter().find(|row| row.api_key == R::API_KEY.0).unwrap();
        let mut count = 0;
        for version in row.min_version.max(R::MIN_VERSION)..=row.max_version {
            let Ok(frame) = encode_request(1, None, version, &R::default()) else { continue };
            cluster.core.push_faults(R::API_KEY, [Fault::Error(ErrorCode::THROTTLING_QUOTA_EXCEEDED)]);
            cluster.core.handle_request(cluster.now, NODES[0], frame.into_bytes().slice(4..));
            let outputs = cluster.outputs();
            let version = if R::API_KEY == ApiKey::API_VERSIONS { 0 } else { version };
            if R::API_KEY == ApiKey::PRODUCE {
                // Without acknowledgement, as the default is, the answer is a closed connection.
                close_reason(&outputs);
                cluster.core.handle_connect(cluster.now, NODES[0], 1, IpAddr::V4(Ipv4Addr::LOCALHOST));
            } else {
                response::<R>(&outputs, NODES[0], version)
                    .unwrap_or_else(|| panic!("{} v{version}: {outputs:?}", R::API_KEY));
            }
            count += 1;
        }
        count
    }
    let mut cluster = Cluster::new();
    let ask = ApiVersionsRequest::default();
    let offered = cluster.call(1, 0, &ask);
    let versions: usize =
        offered.api_keys.iter().map(|row| usize::try_from(row.max_version - row.min_version).unwrap() + 1).sum();
    macro_rules! all {
        ($($request:ty),* $(,)?) => { [$(refuse::<$request>(&mut cluster, &offered)),*] };
    }
    let refused = all![
        ProduceRequest,
        FetchRequest,
        ListOffsetsRequest,
        MetadataRequest,
        OffsetCommitRequest,
        OffsetFetchRequest,
        FindCoordinatorRequest,
        JoinGroupRequest,
        HeartbeatRequest,
        LeaveGroupRequest,
        SyncGroupRequest,
        DescribeGroupsRequest,
        ListGroupsRequest,
        SaslHandshakeRequest,
        SaslAuthenticateRequest,
        ApiVersionsRequest,
        CreateTopicsRequest,
        DeleteTopicsRequest,
        DeleteRecordsRequest,
        InitProducerIdRequest,
        OffsetForLeaderEpochRequest,
        DescribeConfigsRequest,
        AlterConfigsRequest,
        CreatePartitionsRequest,
        DeleteGroupsRequest,
        IncrementalAlterConfigsRequest,
        OffsetDeleteRequest,
        DescribeClusterRequest,
        ConsumerGroupHeartbeatRequest,
        ConsumerGroupDescribeRequest,
    ];
    assert_eq!(refused.len(), offered.api_keys.len(), "an API has no row here");
    assert_eq!(refused.into_iter().sum::<usize>(), versions - 3, "Produce 0 to 2 are offered by name only");
}

#[test]
fn bytes_that_are_no_request_close_the_connection() {
    let mut cluster = Cluster::new();
    cluster.core.start_tracking();
    cluster.core.handle_request(cluster.now, NODES[0], Bytes::from_static(&[0, 3]));
    close_reason(&cluster.outputs());
    let frame = encode_request(1, None, 12, &fetch_request("t", 0, 0, 1)).unwrap().into_bytes();
    cluster.core.handle_request(cluster.now, NODES[1], frame.slice(4..frame.len() - 9));
    close_reason(&cluster.outputs());
    cluster.core.handle_request(cluster.now, NODES[1], Bytes::new());
    assert!(cluster.outputs().is_empty(), "it is gone");
}
