//! Committed offsets.

use felice_protocol::messages::{DeleteGroupsRequest, DescribeGroupsRequest, OffsetFetchRequest, offset_fetch};

use super::*;

const DAY: u64 = 24 * 60 * 60 * 1000;

#[test]
fn who_may_commit_when() {
    let mut world = World::new();
    assert_eq!(world.commit("", -1, "t", 1), ErrorCode::NONE, "no group yet, no member");
    assert_eq!(world.commit("m", 1, "t", 2), ErrorCode::UNKNOWN_MEMBER_ID);
    let (ids, generation) = world.stable(1);
    assert_eq!(world.commit(&ids[0], generation, "t", 3), ErrorCode::NONE);
    assert_eq!(world.commit(&ids[0], generation - 1, "t", 4), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(world.commit("nobody", generation, "t", 4), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(world.commit("", -1, "t", 4), ErrorCode::UNKNOWN_MEMBER_ID, "the group has members");
    assert_eq!(world.commit(&ids[0], generation, "nowhere", 4), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let waiter = world.join(4, &join(&ids[0], None));
    assert_eq!(world.joined(waiter).generation_id, generation + 1);
    assert_eq!(world.commit(&ids[0], generation + 1, "t", 5), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(world.committed("t"), Some(3));
}

#[test]
fn a_commit_keeps_a_member_alive() {
    let mut world = World::new();
    let (ids, generation) = world.stable(1);
    for _ in 0..3 {
        world.pass(8_000);
        assert_eq!(world.commit(&ids[0], generation, "t", 3), ErrorCode::NONE);
    }
}

#[test]
fn a_commit_too_large_for_a_batch_changes_nothing() {
    let mut world = World::with(&[("offset.metadata.max.bytes", "2000000")]);
    let mut request = commit_request("g", "", -1, "t", 1);
    request.topics[0].partitions[0].committed_metadata = Some("x".repeat(MAX_BATCH_BYTES).into());
    let waiter = world.ask(8, |groups, now, topics, caller| groups.handle_offset_commit(now, caller, topics, &request));
    let Some(GroupAnswer::OffsetCommit(answer)) = world.answers.remove(&waiter) else { panic!() };
    assert_eq!(answer.topics[0].partitions[0].error_code, ErrorCode::INVALID_COMMIT_OFFSET_SIZE);
    assert!(world.groups.groups.is_empty() && world.log.is_empty());
}

#[test]
fn offsets_of_a_group_that_nobody_is_in_expire_from_when_the_last_one_left() {
    let mut world = World::with(&[("offsets.retention.minutes", "1440")]);
    let (ids, generation) = world.stable(1);
    assert_eq!(world.commit(&ids[0], generation, "t", 3), ErrorCode::NONE);
    for _ in 0..(2 * DAY / 9_000) {
        world.pass(9_000);
        assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::NONE);
    }
    assert_eq!(world.committed("t"), Some(3), "the group reads the topic");
    assert_eq!(world.leave(&ids[0], None), ErrorCode::NONE);
    world.pass(DAY - 600_000);
    assert_eq!(world.committed("t"), Some(3));
    world.pass(1_200_001);
    assert!(world.groups.groups.is_empty(), "with the last offset the group goes");
    assert_eq!(world.log.iter().rev().take(2).filter(|record| record.value.is_none()).count(), 2);
}

#[test]
fn offsets_that_a_stable_group_no_longer_reads_expire_from_their_commit() {
    let mut world = World::with(&[("offsets.retention.minutes", "60")]);
    let (ids, generation) = world.stable(1);
    for topic in ["t", "u"] {
        assert_eq!(world.commit(&ids[0], generation, topic, 3), ErrorCode::NONE);
    }
    for _ in 0..500 {
        world.pass(9_000);
        assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::NONE);
    }
    assert_eq!((world.committed("t"), world.committed("u")), (Some(3), None));
}

#[test]
fn a_retention_that_the_client_asks_for_counts_from_the_commit() {
    let mut world = World::new();
    let request = OffsetCommitRequest { retention_time_ms: 1000, ..commit_request("g", "", -1, "t", 9) };
    world.ask(2, |groups, now, topics, caller| groups.handle_offset_commit(now, caller, topics, &request));
    assert_eq!(world.committed("t"), Some(9));
    world.pass(600_001);
    assert_eq!(world.committed("t"), None);
}

#[test]
fn a_deleted_topics_offsets_go_with_it() {
    let mut world = World::new();
    assert_eq!([world.commit("", -1, "t", 1), world.commit("", -1, "u", 2)], [ErrorCode::NONE; 2]);
    world.groups.handle_topic_deleted("t");
    world.drain();
    assert_eq!((world.committed("t"), world.committed("u")), (None, Some(2)));
    assert!(world.log.last().is_some_and(|record| record.value.is_none()));
}

#[test]
fn a_group_is_deleted_once_and_not_while_it_has_members() {
    let mut world = World::new();
    let (ids, generation) = world.stable(1);
    assert_eq!(world.commit(&ids[0], generation, "t", 3), ErrorCode::NONE);
    let mut delete = || {
        let request = DeleteGroupsRequest { groups_names: vec!["g".into()], ..Default::default() };
        let waiter = world.ask(2, |groups, _, _, caller| groups.handle_delete_groups(caller, &request));
        let Some(GroupAnswer::DeleteGroups(answer)) = world.answers.remove(&waiter) else { panic!() };
        if answer.results[0].error_code == ErrorCode::NON_EMPTY_GROUP {
            assert_eq!(world.leave(&ids[0], None), ErrorCode::NONE);
        }
        answer.results[0].error_code
    };
    assert_eq!(
        [delete(), delete(), delete()],
        [ErrorCode::NON_EMPTY_GROUP, ErrorCode::NONE, ErrorCode::GROUP_ID_NOT_FOUND]
    );
}

#[test]
fn without_its_partition_of_the_log_a_group_has_no_coordinator() {
    let mut world = World::new();
    let (ids, generation) = world.stable(1);
    let partition = world.groups.partition_for("g");
    let waiter = world.join(4, &join(&ids[0], None));
    world.joined(waiter);
    let waiter = world.join(4, &join("", Some("static")));
    world.groups.unload(world.now, partition);
    world.drain();
    assert_eq!(world.joined(waiter).error_code, ErrorCode::NOT_COORDINATOR, "who waits hears it");
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::NOT_COORDINATOR);
    let request = OffsetFetchRequest { group_id: "g".into(), ..Default::default() };
    let waiter = world.ask(7, |groups, _, topics, caller| groups.handle_offset_fetch(caller, topics, request));
    let Some(GroupAnswer::OffsetFetch(answer)) = world.answers.remove(&waiter) else { panic!() };
    assert_eq!(answer.error_code, ErrorCode::NOT_COORDINATOR);
}

#[test]
fn a_group_that_is_named_again_and_again_is_not_told_as_often() {
    let mut world = World::new();
    world.stable(1);
    let groups = vec![ByteStr::from("g"); 1000];
    let request = DescribeGroupsRequest { groups, ..Default::default() };
    let waiter = world.ask(5, |groups, _, _, caller| groups.handle_describe_groups(caller, &request));
    let Some(GroupAnswer::DescribeGroups(answer)) = world.answers.remove(&waiter) else { panic!() };
    assert_eq!(answer.groups.iter().filter(|group| !group.members.is_empty()).count(), 16);

    assert_eq!(world.commit("", -1, "t", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    let group = offset_fetch::request::OffsetFetchRequestGroup { group_id: "g".into(), ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![group; 1000], ..Default::default() };
    let waiter = world.ask(8, |groups, _, topics, caller| groups.handle_offset_fetch(caller, topics, request));
    let Some(GroupAnswer::OffsetFetch(answer)) = world.answers.remove(&waiter) else { panic!() };
    assert_eq!(answer.groups.iter().filter(|group| group.error_code.is_ok()).count(), 16);
}
