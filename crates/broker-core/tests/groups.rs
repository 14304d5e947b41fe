//! Groups as a client sees them, with the log under them: durable before they are answered, there again after a crash.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "each test binary uses a part")]
mod support;

use std::io;

use felice_broker_core::Output;
use felice_log::MemDisk;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    DeleteTopicsRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, ListGroupsRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest, delete_topics, join_group, offset_commit, offset_fetch,
    sync_group,
};
use support::*;

const DURABLE: &[(&str, &str)] = &[("felice.flush", "batch"), ("offsets.topic.num.partitions", "3")];

/// A broker with a topic and with a coordinator.
fn world(properties: &[(&str, &str)]) -> World {
    let mut world = World::with(properties);
    assert_eq!(world.create_topic("t", 2, &[]), ErrorCode::NONE);
    world.call(3, &FindCoordinatorRequest { key: "g".into(), ..Default::default() });
    world
}

fn commit(offset: i64) -> OffsetCommitRequest {
    use offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() }],
        ..Default::default()
    }
}

fn code(answer: &felice_protocol::messages::OffsetCommitResponse) -> ErrorCode {
    answer.topics[0].partitions[0].error_code
}

/// The outputs of a request, its syncs done: also those that only start when the one under way is over.
fn settled(world: &mut World, mut outputs: Vec<Output>) -> Vec<Output> {
    while outputs.iter().any(|output| matches!(output, Output::Sync { .. })) {
        outputs = world.sync(outputs);
    }
    outputs
}

fn commits(world: &mut World, offset: i64) -> ErrorCode {
    let outputs = world.send(CLIENT, 8, &commit(offset));
    let outputs = settled(world, outputs);
    code(&response::<OffsetCommitRequest>(&outputs, CLIENT, 8).unwrap())
}

fn fetch() -> OffsetFetchRequest {
    use offset_fetch::request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
    let topic = OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0], ..Default::default() };
    let group = OffsetFetchRequestGroup { group_id: "g".into(), topics: Some(vec![topic]), ..Default::default() };
    OffsetFetchRequest { groups: vec![group], ..Default::default() }
}

fn committed(world: &mut World) -> i64 {
    world.call(8, &fetch()).groups[0].topics[0].partitions[0].committed_offset
}

/// A member of version 3, whose id comes with the first answer, in a stable group: id and generation.
fn member(world: &mut World) -> (String, i32) {
    let protocol = join_group::request::JoinGroupRequestProtocol { name: "range".into(), ..Default::default() };
    let join = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    let outputs = world.send(CLIENT, 3, &join);
    let outputs = settled(world, outputs);
    let joined = response::<JoinGroupRequest>(&outputs, CLIENT, 3).unwrap();
    let assignment = sync_group::request::SyncGroupRequestAssignment {
        member_id: joined.member_id.clone(),
        assignment: "mine".into(),
        ..Default::default()
    };
    let sync = SyncGroupRequest {
        group_id: "g".into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments: vec![assignment],
        ..Default::default()
    };
    let outputs = world.send(CLIENT, 3, &sync);
    let outputs = settled(world, outputs);
    assert_eq!(response::<SyncGroupRequest>(&outputs, CLIENT, 3).unwrap().assignment, "mine");
    (joined.member_id.to_string(), joined.generation_id)
}

fn heartbeat(world: &mut World, member: &(String, i32)) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: "g".into(),
        generation_id: member.1,
        member_id: member.0.as_str().into(),
        ..Default::default()
    };
    world.call(3, &request).error_code
}

#[test]
fn the_first_look_for_a_coordinator_makes_its_topic() {
    let mut world = World::new();
    assert_eq!(world.topic("__consumer_offsets").error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let keys = vec!["g".into(), "h".into()];
    let found = world.call(4, &FindCoordinatorRequest { coordinator_keys: keys, ..Default::default() }).coordinators;
    assert!(found.iter().all(|coordinator| (coordinator.error_code, coordinator.node_id) == (ErrorCode::NONE, 1)));
    let topic = world.topic("__consumer_offsets");
    assert_eq!((topic.partitions.len(), topic.is_internal), (50, true));
    let other = FindCoordinatorRequest { key: "g".into(), key_type: 9, ..Default::default() };
    assert_eq!(world.call(3, &other).error_code, ErrorCode::INVALID_REQUEST);
}

#[test]
fn before_there_is_a_coordinator_nobody_is_one() {
    let mut world = World::new();
    assert_eq!(world.create_topic("t", 1, &[]), ErrorCode::NONE);
    assert_eq!(code(&world.call(8, &commit(1))), ErrorCode::NOT_COORDINATOR);
    assert_eq!(world.call(8, &fetch()).groups[0].error_code, ErrorCode::NOT_COORDINATOR);
    assert!(world.call(4, &ListGroupsRequest::default()).groups.is_empty());
}

#[test]
fn a_commit_is_answered_when_it_is_durable_and_outlives_a_crash() {
    let mut world = world(DURABLE);
    assert_eq!(commits(&mut world, 5), ErrorCode::NONE);
    let outputs = world.send(CLIENT, 8, &commit(6));
    assert!(response::<OffsetCommitRequest>(&outputs, CLIENT, 8).is_none(), "{outputs:?}");
    world.disk.crash();
    let mut world = World::open(world.disk, DURABLE);
    assert_eq!(committed(&mut world), 5);
}

#[test]
fn nobody_is_told_what_a_crash_could_take_back() {
    let mut world = world(DURABLE);
    let syncs = world.send(CLIENT, 8, &commit(6));
    let early = world.send(OTHER, 8, &fetch());
    assert!(response::<OffsetFetchRequest>(&early, OTHER, 8).is_none(), "{early:?}");
    let outputs = world.sync(syncs);
    assert_eq!(code(&response::<OffsetCommitRequest>(&outputs, CLIENT, 8).unwrap()), ErrorCode::NONE);
    let told = response::<OffsetFetchRequest>(&outputs, OTHER, 8).unwrap();
    assert_eq!(told.groups[0].topics[0].partitions[0].committed_offset, 6);
}

#[test]
fn a_disk_that_does_not_answer_is_not_waited_for_for_ever() {
    let mut world = world(DURABLE);
    world.send(CLIENT, 8, &commit(6));
    world.pass(5_000);
    let outputs = world.outputs();
    let answer = response::<OffsetCommitRequest>(&outputs, CLIENT, 8).unwrap();
    assert_eq!(code(&answer), ErrorCode::COORDINATOR_NOT_AVAILABLE);
}

#[test]
fn after_a_kill_a_stable_groups_members_go_on() {
    let mut world = world(&[]);
    let member = member(&mut world);
    assert_eq!(commits(&mut world, 1), ErrorCode::UNKNOWN_MEMBER_ID, "the group has members");
    // The process is gone, the page cache is not.
    let mut world = World::open(world.disk, &[]);
    assert_eq!(heartbeat(&mut world, &member), ErrorCode::NONE);
    world.pass(9_999);
    assert_eq!(heartbeat(&mut world, &member), ErrorCode::NONE);
    world.pass(10_001);
    assert_eq!(heartbeat(&mut world, &member), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_clean_stop_keeps_groups_as_a_kill_does() {
    let mut world = world(DURABLE);
    let member = member(&mut world);
    world.core.shutdown(world.now).unwrap();
    let mut world = World::open(world.disk, DURABLE);
    assert_eq!(heartbeat(&mut world, &member), ErrorCode::NONE);
}

#[test]
fn an_append_that_fails_is_told_and_leaves_nothing_behind() {
    let mut world = world(&[]);
    assert_eq!(commits(&mut world, 5), ErrorCode::NONE);
    world.disk.fail(world.disk.operations(), 1);
    let outputs = world.send(CLIENT, 8, &commit(6));
    let answer = response::<OffsetCommitRequest>(&outputs, CLIENT, 8).unwrap();
    assert_eq!(code(&answer), ErrorCode::COORDINATOR_NOT_AVAILABLE, "try again");
    assert_eq!(committed(&mut world), 5);
    assert_eq!(commits(&mut world, 7), ErrorCode::NONE);
    let mut world = World::open(world.disk, &[]);
    assert_eq!(committed(&mut world), 7);
}

#[test]
fn a_member_outlives_an_append_that_fails() {
    let mut world = world(&[]);
    let member = member(&mut world);
    world.disk.fail(world.disk.operations(), 1);
    let request = OffsetCommitRequest {
        generation_id_or_member_epoch: member.1,
        member_id: member.0.as_str().into(),
        ..commit(6)
    };
    assert_eq!(code(&world.call(8, &request)), ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert_eq!(heartbeat(&mut world, &member), ErrorCode::NONE);
    assert_eq!(code(&world.call(8, &request)), ErrorCode::NONE);
}

#[test]
fn a_sync_that_fails_leaves_its_groups_without_a_coordinator() {
    let mut world = world(DURABLE);
    assert_eq!(commits(&mut world, 5), ErrorCode::NONE);
    let outputs = world.send(CLIENT, 8, &commit(6));
    let ticket = outputs.iter().find_map(|output| match output {
        Output::Sync { ticket, .. } => Some(*ticket),
        _ => None,
    });
    world.core.handle_synced(world.now, ticket.unwrap(), Err(io::Error::other("the disk is broken")));
    let outputs = world.outputs();
    let answer = response::<OffsetCommitRequest>(&outputs, CLIENT, 8).unwrap();
    assert_eq!(code(&answer), ErrorCode::NOT_COORDINATOR);
    assert_eq!(world.call(8, &fetch()).groups[0].error_code, ErrorCode::NOT_COORDINATOR);
}

#[test]
fn a_deleted_topics_offsets_are_gone_also_for_one_of_the_same_name() {
    let mut world = world(&[]);
    assert_eq!(commits(&mut world, 5), ErrorCode::NONE);
    let topics = vec![delete_topics::request::DeleteTopicState { name: Some("t".into()), ..Default::default() }];
    world.call(6, &DeleteTopicsRequest { topics, timeout_ms: 1000, ..Default::default() });
    assert_eq!(world.create_topic("t", 2, &[]), ErrorCode::NONE);
    assert_eq!(committed(&mut world), -1);
    let mut world = World::open(world.disk, &[]);
    assert_eq!(committed(&mut world), -1);
}

#[test]
fn without_its_topic_the_coordinator_begins_anew() {
    let mut world = world(&[]);
    assert_eq!(commits(&mut world, 5), ErrorCode::NONE);
    let name = Some("__consumer_offsets".into());
    let topics = vec![delete_topics::request::DeleteTopicState { name, ..Default::default() }];
    let deleted = world.call(6, &DeleteTopicsRequest { topics, timeout_ms: 1000, ..Default::default() });
    assert_eq!(deleted.responses[0].error_code, ErrorCode::NONE);
    assert_eq!(world.call(8, &fetch()).groups[0].error_code, ErrorCode::NOT_COORDINATOR);
    world.call(3, &FindCoordinatorRequest { key: "g".into(), ..Default::default() });
    assert_eq!(committed(&mut world), -1);
}

#[test]
fn whatever_a_crash_leaves_no_answered_commit_is_lost() {
    for seed in 0..60 {
        let mut world = world(DURABLE);
        let mut answered = -1;
        for round in 0..4_i64 {
            let crash_before_sync = (seed + u64::try_from(round).unwrap()) % 3 == 0;
            let offset = round * 10;
            if crash_before_sync {
                world.send(CLIENT, 8, &commit(offset));
            } else {
                assert_eq!(commits(&mut world, offset), ErrorCode::NONE, "seed {seed}");
                answered = offset;
            }
            let disk: MemDisk = world.disk;
            disk.crash_torn(seed * 31 + u64::try_from(round).unwrap());
            world = World::open(disk, DURABLE);
            let kept = committed(&mut world);
            // What was not answered may be there, or not.
            assert!(kept == answered || kept == offset, "seed {seed}, round {round}: {kept} instead of {answered}");
            answered = kept;
        }
    }
}
