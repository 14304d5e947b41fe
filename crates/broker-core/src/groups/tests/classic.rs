//! Members of classic groups.

use felice_protocol::messages::HeartbeatRequest;

use super::super::classic::ClassicGroupState;
use super::*;

#[test]
fn a_member_is_given_an_id_and_comes_back_with_it() {
    let mut world = World::new();
    let waiter = world.join(4, &join("", None));
    let refused = world.joined(waiter);
    assert_eq!(refused.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    assert!(refused.member_id.starts_with("client-") && refused.member_id.len() == 7 + 36, "{}", refused.member_id);

    let waiter = world.join(4, &join(&refused.member_id, None));
    let joined = world.joined(waiter);
    assert_eq!((joined.error_code, joined.generation_id, &joined.leader), (ErrorCode::NONE, 1, &refused.member_id));
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.members.len(), 1);
}

#[test]
fn an_id_that_is_not_come_back_with_is_forgotten_after_the_session_timeout() {
    let mut world = World::new();
    let waiter = world.join(4, &join("", None));
    let id = world.joined(waiter).member_id;
    world.pass(10_001);
    let waiter = world.join(4, &join(&id, None));
    assert_eq!(world.joined(waiter).error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn the_first_rebalance_waits_and_waits_on_while_members_come() {
    let mut world = World::with(&[("group.initial.rebalance.delay.ms", "3000")]);
    let first = world.join(3, &join("", None));
    world.pass(2_900);
    let second = world.join(3, &join("", None));
    world.pass(2_900);
    assert!(world.answers.is_empty(), "the second one has made it wait on");
    world.pass(200);
    let answers = [first, second].map(|waiter| world.joined(waiter));
    assert!(answers.iter().all(|answer| answer.generation_id == 1));
    assert_eq!(answers.iter().map(|answer| answer.members.len()).sum::<usize>(), 2, "only the leader knows the others");
}

#[test]
fn the_first_rebalance_waits_no_longer_than_the_rebalance_timeout() {
    let mut world = World::with(&[("group.initial.rebalance.delay.ms", "3000")]);
    let short = JoinGroupRequest { rebalance_timeout_ms: 5_000, ..join("", None) };
    let first = world.join(3, &short);
    for _ in 0..4 {
        world.pass(1_200);
        world.join(3, &short);
    }
    assert!(!world.answers.contains_key(&first));
    world.pass(300);
    assert!(world.answers.contains_key(&first));
}

#[test]
fn the_protocol_that_most_like_best_among_those_that_all_can_is_chosen() {
    let mut world = World::with(&[("group.initial.rebalance.delay.ms", "100")]);
    let metadata = Bytes::from_static(b"x");
    let likes = |names: [&'static str; 2]| join_with("", None, &names.map(|name| (name, metadata.clone())));
    let waiters = [["a", "b"], ["b", "a"], ["b", "a"]].map(|names| world.join(3, &likes(names)));
    world.pass(300);
    let name = world.joined(waiters[0]).protocol_name;
    assert_eq!(name.as_deref(), Some("b"));

    let other_type = JoinGroupRequest { protocol_type: "connect".into(), ..likes(["a", "b"]) };
    let nothing_in_common = join_with("", None, &[("c", metadata.clone())]);
    for request in [other_type, nothing_in_common] {
        let waiter = world.join(3, &request);
        assert_eq!(world.joined(waiter).error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
}

#[test]
fn a_full_group_takes_nobody_and_keeps_who_is_in() {
    let mut world = World::with(&[("group.max.size", "2")]);
    let (ids, generation) = world.stable(2);
    let waiter = world.join(4, &join("", None));
    assert_eq!(world.joined(waiter).error_code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(world.heartbeat(&ids[1], generation), ErrorCode::NONE);
}

#[test]
fn a_session_timeout_out_of_bounds_and_a_group_without_a_name_are_refused() {
    let mut world = World::new();
    for (timeout, code) in
        [(5_999, ErrorCode::INVALID_SESSION_TIMEOUT), (1_800_001, ErrorCode::INVALID_SESSION_TIMEOUT)]
    {
        let waiter = world.join(4, &JoinGroupRequest { session_timeout_ms: timeout, ..join("", None) });
        assert_eq!(world.joined(waiter).error_code, code);
    }
    for name in [String::new(), "x".repeat(32_768)] {
        let waiter = world.join(4, &JoinGroupRequest { group_id: name.into(), ..join("", None) });
        assert_eq!(world.joined(waiter).error_code, ErrorCode::INVALID_GROUP_ID);
    }
    assert!(world.groups.groups.is_empty());
}

#[test]
fn a_silent_member_is_out_when_its_session_ends_and_the_others_rebalance() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    world.pass(9_000);
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::NONE);
    world.pass(2_000);
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(world.heartbeat(&ids[1], generation), ErrorCode::UNKNOWN_MEMBER_ID);
    let waiter = world.join(4, &join(&ids[0], None));
    let joined = world.joined(waiter);
    assert_eq!((joined.generation_id, joined.members.len()), (generation + 1, 1));
}

/// A member whose process slept joins a stable group again, without a rebalance: that is a sign of life as good as a heartbeat.
#[test]
fn joining_and_syncing_in_a_stable_group_begin_a_new_session() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    world.pass(9_000);
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::NONE);
    let waiter = world.join(4, &join(&ids[1], None));
    assert_eq!(world.joined(waiter).generation_id, generation, "nobody rebalances");
    world.pass(9_000);
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::NONE);
    let waiter = world.sync(sync(&ids[1], generation, &[]));
    assert_eq!(world.synced(waiter).error_code, ErrorCode::NONE);
    world.pass(9_000);
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::NONE);
    assert_eq!(world.heartbeat(&ids[1], generation), ErrorCode::NONE);
}

#[test]
fn a_rebalance_waits_for_the_others_as_long_as_they_ask_and_then_goes_on_without_them() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    let leader = world.join(4, &join(&ids[0], None));
    for _ in 0..5 {
        world.pass(5_000);
        assert_eq!(world.heartbeat(&ids[1], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert!(!world.answers.contains_key(&leader));
    world.pass(5_001);
    let joined = world.joined(leader);
    assert_eq!((joined.generation_id, joined.members.len()), (generation + 1, 1));
    assert_eq!(world.heartbeat(&ids[1], generation), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_member_that_does_not_ask_for_its_assignment_is_out_after_the_rebalance_timeout() {
    let mut world = World::new();
    let (ids, _) = world.stable(2);
    let waiters = [&ids[0], &ids[1]].map(|id| world.join(4, &join(id, None)));
    let generation = waiters.map(|waiter| world.joined(waiter).generation_id)[0];
    let waiter = world.sync(sync(&ids[0], generation, &[]));
    assert_eq!(world.synced(waiter).error_code, ErrorCode::NONE);
    for _ in 0..6 {
        assert_eq!(world.heartbeat(&ids[1], generation), ErrorCode::NONE);
        assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::NONE);
        world.pass(5_000);
    }
    world.pass(1);
    assert_eq!(world.heartbeat(&ids[1], generation), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn heartbeats_tell_what_is_wrong() {
    let mut world = World::new();
    let (ids, generation) = world.stable(1);
    assert_eq!(world.heartbeat(&ids[0], generation + 1), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(world.heartbeat(&"nobody".into(), generation), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(world.leave(&ids[0], None), ErrorCode::NONE);
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(world.classic().state(), ClassicGroupState::Empty);
    assert_eq!(world.classic().generation_id, generation + 1);
}

#[test]
fn a_follower_that_joins_again_unchanged_disturbs_nobody_and_a_leader_does() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    let waiter = world.join(4, &join(&ids[1], None));
    let answer = world.joined(waiter);
    assert_eq!((answer.generation_id, answer.members.len()), (generation, 0));
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::NONE);

    let other = join_with(&ids[1], None, &[("range", subscription(&["u"]))]);
    world.join(4, &other);
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_request_that_comes_again_over_another_connection_leaves_none_waiting() {
    let mut world = World::new();
    let (ids, _) = world.stable(2);
    let first = world.join(4, &join(&ids[0], None));
    let again = world.join(4, &join(&ids[0], None));
    assert_eq!(world.joined(first).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(!world.answers.contains_key(&again));
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_its_old_self_is_fenced() {
    let mut world = World::new();
    let waiter = world.join(9, &join("", Some("i")));
    let old = world.joined(waiter);
    let waiter = world.sync(sync(&old.member_id, 1, &[(&old.member_id, "mine")]));
    assert_eq!(world.synced(waiter).assignment, "mine");

    let waiter = world.join(9, &join("", Some("i")));
    let new = world.joined(waiter);
    assert_eq!((new.error_code, new.generation_id, new.skip_assignment), (ErrorCode::NONE, 1, true));
    assert_ne!(new.member_id, old.member_id);
    assert_eq!(new.leader, new.member_id);
    let waiter = world.sync(sync(&new.member_id, 1, &[]));
    assert_eq!(world.synced(waiter).assignment, "mine");

    let heartbeat = |member: &ByteStr| HeartbeatRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: member.clone(),
        group_instance_id: Some("i".into()),
        ..Default::default()
    };
    for (member, code) in [(&old.member_id, ErrorCode::FENCED_INSTANCE_ID), (&new.member_id, ErrorCode::NONE)] {
        let request = heartbeat(member);
        let waiter = world.ask(4, |groups, now, _, caller| groups.handle_heartbeat(now, caller, &request));
        assert_eq!(world.answers.remove(&waiter), Some(GroupAnswer::heartbeat(code)));
    }

    // An older client cannot be told to skip the assignment: it is told of the leader that it was.
    let waiter = world.join(8, &join("", Some("i")));
    let older = world.joined(waiter);
    assert_eq!((older.skip_assignment, &older.leader), (false, &new.member_id));
    assert_eq!(world.leave("", Some("i")), ErrorCode::NONE);
    assert_eq!(world.leave("", Some("i")), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_static_member_is_waited_for_until_its_session_ends() {
    let mut world = World::new();
    let waiter = world.join(9, &join("", Some("i")));
    let old = world.joined(waiter);
    let waiter = world.sync(sync(&old.member_id, 1, &[]));
    world.synced(waiter);
    let waiter = world.join(9, &join("", Some("j")));
    // The rebalance that the second one brings ends without the first, which stays a member.
    world.pass(9_000);
    assert!(!world.answers.contains_key(&waiter));
    world.pass(1_001);
    assert_eq!(world.joined(waiter).members.len(), 1, "its session has ended: it is out");
}

#[test]
fn who_waits_for_an_assignment_hears_of_the_rebalance_that_voids_it() {
    let mut world = World::new();
    let (ids, _) = world.stable(2);
    let waiters = [&ids[0], &ids[1]].map(|id| world.join(4, &join(id, None)));
    let generation = waiters.map(|waiter| world.joined(waiter).generation_id)[0];
    let waiter = world.sync(sync(&ids[1], generation, &[]));
    assert!(!world.answers.contains_key(&waiter));
    assert_eq!(world.leave(&ids[0], None), ErrorCode::NONE);
    assert_eq!(world.synced(waiter).error_code, ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_group_too_large_for_the_log_is_refused_and_not_half_kept() {
    let mut world = World::new();
    let (ids, generation) = world.stable(1);
    let waiter = world.join(4, &join(&ids[0], None));
    assert_eq!(world.joined(waiter).generation_id, generation + 1);
    let huge = "x".repeat(MAX_BATCH_BYTES);
    let before = world.log.len();
    let waiter = world.sync(sync(&ids[0], generation + 1, &[(&ids[0], &huge)]));
    assert_eq!(world.synced(waiter).error_code, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(world.log.len(), before);
    assert_eq!(world.heartbeat(&ids[0], generation + 1), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn what_a_client_calls_itself_may_be_as_long_as_the_protocol_lets_it() {
    let mut world = World::new();
    let request = join("", None);
    let waiter = world.ask(3, |groups, now, topics, caller| {
        let caller = Caller { client_id: "é".repeat(16_383).into(), ..caller.clone() };
        groups.handle_join_group(now, topics, &caller, &request);
    });
    let joined = world.joined(waiter);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::NONE, 1));
    let waiter = world.sync(sync(&joined.member_id, 1, &[]));
    assert_eq!(world.synced(waiter).error_code, ErrorCode::NONE);
}

#[test]
fn a_member_of_too_many_protocols_is_none() {
    let mut world = World::new();
    let names: Vec<String> = (0..101).map(|number| number.to_string()).collect();
    let protocols: Vec<(&str, Bytes)> = names.iter().map(|name| (name.as_str(), Bytes::new())).collect();
    let waiter = world.join(3, &join_with("", None, &protocols));
    assert_eq!(world.joined(waiter).error_code, ErrorCode::INVALID_REQUEST);
    let waiter = world.join(3, &join_with("", None, &protocols[1..]));
    assert_eq!(world.joined(waiter).error_code, ErrorCode::NONE);
}
