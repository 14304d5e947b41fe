//! The classic protocol.

use std::time::Duration;

use felice_client_core::consumer::assignor::MemberSubscription;
use felice_client_core::consumer::assignor::protocol::{decode_assignment, decode_subscription, encode_subscription};
use felice_client_core::consumer::group::{GroupEvent, MemberState, Subscription};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::*;

use crate::world::*;

fn classic(values: &[(&str, &str)]) -> World {
    let mut all = vec![("group.protocol", "classic")];
    all.extend_from_slice(values);
    World::new(config(&all))
}

fn eager() -> World {
    let mut w = classic(&[("partition.assignment.strategy", "range")]);
    w.subscribe(&["t"]);
    w.coordinator();
    w
}

fn cooperative() -> World {
    let mut w = classic(&[("partition.assignment.strategy", "cooperative-sticky")]);
    w.subscribe(&["t"]);
    w.coordinator();
    w
}

#[test]
fn a_member_joins_with_the_id_that_it_is_given_and_takes_its_assignment() {
    let mut w = eager();
    assert_eq!(w.member.state(), MemberState::Joining);
    w.settle(1, "range", &[tp("t", 0), tp("t", 2)]);
    assert_eq!(w.has(), ["t[0]", "t[2]"]);
    assert_eq!(w.member.state(), MemberState::Stable);
    let me = w.member.group_metadata();
    assert_eq!((me.generation_or_epoch, me.member_id.as_str()), (1, "m"));
    assert_eq!(w.count(|e| matches!(e, GroupEvent::Joined(_))), 1);
}

#[test]
fn the_leader_divides_the_partitions_of_all_topics_once_it_knows_them() {
    let mut w = eager();
    let (id, _) = w.request(join);
    w.answer(id, joined(1, "range", "m", &[("m", &["t"]), ("n", &["t", "u"])]));
    assert!(w.none_waits(), "u is not known yet");
    assert_eq!(w.member.state(), MemberState::Syncing);
    w.metadata(&cluster(&[("t", 1, 3), ("u", 2, 1)]));
    let (_, request) = w.request(sync);
    let given: Vec<(String, Vec<String>)> = request
        .assignments
        .iter()
        .map(|a| {
            let partitions = decode_assignment(a.assignment.clone()).unwrap().partitions;
            (a.member_id.to_string(), partitions.iter().map(ToString::to_string).collect())
        })
        .collect();
    assert_eq!(
        given,
        [
            ("m".to_owned(), vec!["t[0]".to_owned(), "t[1]".to_owned()]),
            ("n".to_owned(), vec!["t[2]".to_owned(), "u[0]".to_owned()])
        ]
    );
}

#[test]
fn a_topic_that_nobody_knows_does_not_hold_the_group_up() {
    let mut w = eager();
    let (id, _) = w.request(join);
    w.answer(id, joined(1, "range", "m", &[("m", &["t", "nowhere"])]));
    let (_, request) = w.request(sync);
    assert_eq!(request.assignments.len(), 1);
}

#[test]
fn an_eager_member_gives_everything_up_before_it_joins_again_and_beats_meanwhile() {
    let mut w = eager();
    w.settle(1, "range", &[tp("t", 0), tp("t", 1)]);
    w.obedient = false;
    w.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(w.member.state(), MemberState::Revoking);
    let Some(GroupEvent::Revoke { id, partitions, incremental, .. }) = w.events.last().cloned() else {
        panic!("{:?}", w.events)
    };
    assert_eq!((partitions.len(), incremental), (2, false));
    w.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    w.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(!w.waiting.iter().any(|out| join(&out.request).is_some()));
    w.obedient = true;
    w.accept(id);
    let again = w.settle(2, "range", &[tp("t", 1)]);
    assert_eq!(again.member_id.as_str(), "m");
    assert_eq!(again.reason.as_deref(), Some("the group rebalances"));
    assert_eq!(w.has(), ["t[1]"]);
}

#[test]
fn a_cooperative_member_keeps_what_stays_and_joins_again_after_it_let_go() {
    let mut w = cooperative();
    w.settle(1, "cooperative-sticky", &[tp("t", 0), tp("t", 1)]);
    w.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    let request = w.join(2, "cooperative-sticky");
    let offered = decode_subscription("m".into(), None, request.protocols[0].metadata.clone()).unwrap();
    assert_eq!(offered.owned, [tp("t", 0), tp("t", 1)]);
    assert_eq!(offered.generation, Some(1));
    w.sync(&[tp("t", 1), tp("t", 2)]);
    assert_eq!(w.has(), ["t[1]", "t[2]"]);
    let told: Vec<String> = w
        .events
        .iter()
        .filter_map(|e| match e {
            GroupEvent::Assign { partitions, incremental: true, .. } => Some(format!("+{}", partitions[0])),
            GroupEvent::Revoke { partitions, incremental: true, .. } => Some(format!("-{}", partitions[0])),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["+t[0]", "-t[0]", "+t[2]"], "t[1] is never mentioned again");
    let request = w.join(3, "cooperative-sticky");
    let offered = decode_subscription("m".into(), None, request.protocols[0].metadata.clone()).unwrap();
    assert_eq!(offered.owned, [tp("t", 1), tp("t", 2)]);
}

#[test]
fn a_cooperative_rebalance_that_changes_nothing_is_told_to_whom_wants_it() {
    for wanted in [true, false] {
        let mut config =
            config(&[("group.protocol", "classic"), ("partition.assignment.strategy", "cooperative-sticky")]);
        config.tells_every_rebalance = wanted;
        let mut w = World::new(config);
        w.subscribe(&["t"]);
        w.coordinator();
        w.settle(1, "cooperative-sticky", &[tp("t", 0)]);
        w.beat(ErrorCode::REBALANCE_IN_PROGRESS);
        w.settle(2, "cooperative-sticky", &[tp("t", 0)]);
        let told = w.events.iter().filter(|e| matches!(e, GroupEvent::Assign { incremental: true, .. })).count();
        assert_eq!(told, if wanted { 2 } else { 1 });
        assert_eq!(w.has(), ["t[0]"]);
    }
}

#[test]
fn a_cooperative_member_joins_again_also_where_it_let_go_too_late() {
    let mut w = cooperative();
    w.settle(1, "cooperative-sticky", &[tp("t", 0), tp("t", 1)]);
    w.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    w.join(2, "cooperative-sticky");
    w.obedient = false;
    w.sync(&[tp("t", 1)]);
    for _ in 0..100 {
        if w.has.len() > 1 {
            w.wait();
            while let Some(i) = w.waiting.iter().position(|out| heartbeat(&out.request).is_some()) {
                let id = w.waiting.remove(i).id;
                w.answer(id, GroupResponse::Heartbeat(HeartbeatResponse::default()));
            }
        }
    }
    let Some(GroupEvent::Lost { id, .. }) = w.events.last().cloned() else { panic!("{:?}", w.events) };
    w.obedient = true;
    w.member.accept(w.now, id);
    let request = w.join(3, "cooperative-sticky");
    let offered = decode_subscription("m".into(), None, request.protocols[0].metadata.clone()).unwrap();
    assert_eq!(offered.owned, [tp("t", 1)], "the others wait for t[0]");
}

#[test]
fn a_revoke_that_nobody_answers_becomes_a_loss() {
    let mut w = eager();
    w.settle(1, "range", &[tp("t", 0)]);
    w.obedient = false;
    w.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    for _ in 0..100 {
        if !w.has.is_empty() {
            w.wait();
            while let Some(i) = w.waiting.iter().position(|out| heartbeat(&out.request).is_some()) {
                let id = w.waiting.remove(i).id;
                let response = HeartbeatResponse { error_code: ErrorCode::REBALANCE_IN_PROGRESS, ..Default::default() };
                w.answer(id, GroupResponse::Heartbeat(response));
            }
        }
    }
    let Some(GroupEvent::Lost { id, error, .. }) = w.events.last().cloned() else { panic!("{:?}", w.events) };
    assert!(error.hint().unwrap().contains("max.poll.interval.ms"));
    w.member.accept(w.now, id);
    w.obedient = true;
    w.settle(2, "range", &[tp("t", 0)]);
    assert_eq!(w.has(), ["t[0]"]);
}

#[test]
fn a_fenced_member_loses_everything_and_comes_back() {
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::ILLEGAL_GENERATION] {
        let mut w = cooperative();
        w.settle(1, "cooperative-sticky", &[tp("t", 0)]);
        w.beat(code);
        assert!(w.has.is_empty());
        assert_eq!(w.count(|e| matches!(e, GroupEvent::Lost { .. })), 1);
        let (id, request) = w.request(join);
        assert_eq!(request.member_id.is_empty(), code == ErrorCode::UNKNOWN_MEMBER_ID);
        w.answer(id, joined(5, "cooperative-sticky", "x", &[]));
        w.sync(&[tp("t", 0)]);
        assert_eq!(w.has(), ["t[0]"]);
    }
}

#[test]
fn a_coordinator_that_moved_is_found_again_and_nothing_is_lost() {
    let mut w = cooperative();
    w.settle(1, "cooperative-sticky", &[tp("t", 0)]);
    w.beat(ErrorCode::NOT_COORDINATOR);
    w.coordinator();
    w.beat(ErrorCode::NONE);
    let (id, _) = w.request(heartbeat);
    w.lose(id);
    w.coordinator();
    w.beat(ErrorCode::NONE);
    assert_eq!(w.has(), ["t[0]"]);
    assert_eq!(w.member.state(), MemberState::Stable);
}

#[test]
fn without_contact_for_a_session_the_partitions_are_lost() {
    let mut w = cooperative();
    w.settle(1, "cooperative-sticky", &[tp("t", 0)]);
    let mut passed = Duration::ZERO;
    while !w.has.is_empty() {
        let before = w.now;
        w.wait();
        passed += w.now.since(before.instant());
        while let Some(out) = w.waiting.pop() {
            w.lose(out.id);
        }
    }
    assert_eq!(passed, Duration::from_secs(10));
    let error = w.events.iter().find_map(|e| match e {
        GroupEvent::Lost { error, .. } => Some(error.to_string()),
        _ => None,
    });
    assert!(error.unwrap().contains("10000 ms"));
    w.coordinator();
    w.settle(2, "cooperative-sticky", &[tp("t", 0)]);
    assert_eq!(w.has(), ["t[0]"]);
}

#[test]
fn refusals_are_errors_with_a_hint() {
    for (code, hint) in [
        (ErrorCode::INVALID_SESSION_TIMEOUT, "session.timeout.ms"),
        (ErrorCode::INCONSISTENT_GROUP_PROTOCOL, "partition.assignment.strategy"),
        (ErrorCode::FENCED_INSTANCE_ID, "group.instance.id"),
        (ErrorCode::INVALID_GROUP_ID, "group.id"),
        (ErrorCode::GROUP_MAX_SIZE_REACHED, "group.max.size"),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, "Read"),
    ] {
        let mut w = eager();
        let (id, _) = w.request(join);
        w.answer(id, GroupResponse::JoinGroup(JoinGroupResponse { error_code: code, ..Default::default() }));
        assert_eq!(w.member.state(), MemberState::Failed);
        assert_eq!(w.failed().code(), Some(code));
        assert!(w.failed().hint().unwrap().contains(hint), "{code}: {:?}", w.failed().hint());
        assert!(w.member.poll_timeout(w.now).is_none());
        // A new subscription starts anew.
        w.subscribe(&["t"]);
        w.settle(1, "range", &[tp("t", 0)]);
        assert_eq!(w.has(), ["t[0]"]);
    }
}

use felice_client_core::consumer::group::request::GroupResponse;

#[test]
fn passing_errors_are_tried_again_after_a_pause() {
    for code in [
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::REBALANCE_IN_PROGRESS,
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::REQUEST_TIMED_OUT,
    ] {
        let mut w = eager();
        let (id, _) = w.request(join);
        w.answer(id, GroupResponse::JoinGroup(JoinGroupResponse { error_code: code, ..Default::default() }));
        assert!(w.none_waits(), "{code}");
        w.settle(1, "range", &[tp("t", 0)]);
        assert_eq!(w.has(), ["t[0]"]);
    }
}

#[test]
fn a_sync_that_fails_is_joined_again_and_a_cooperative_member_keeps_its_partitions() {
    let mut w = cooperative();
    w.settle(1, "cooperative-sticky", &[tp("t", 0)]);
    w.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    w.join(2, "cooperative-sticky");
    let (id, _) = w.request(sync);
    let code = ErrorCode::REBALANCE_IN_PROGRESS;
    w.answer(id, GroupResponse::SyncGroup(SyncGroupResponse { error_code: code, ..Default::default() }));
    w.join(3, "cooperative-sticky");
    let (id, _) = w.request(sync);
    w.lose(id);
    w.coordinator();
    w.settle(4, "cooperative-sticky", &[tp("t", 0)]);
    assert_eq!(w.has(), ["t[0]"]);
    assert_eq!(w.count(|e| matches!(e, GroupEvent::Lost { .. } | GroupEvent::Revoke { .. })), 0);
}

#[test]
fn leaving_revokes_first_then_tells_the_coordinator() {
    let mut w = eager();
    w.settle(1, "range", &[tp("t", 0)]);
    w.member.leave(w.now, Duration::from_secs(5));
    let (id, request) = w.request(leave);
    assert!(w.has.is_empty());
    assert_eq!(request.members[0].member_id.as_str(), "m");
    assert_eq!(w.count(|e| matches!(e, GroupEvent::Left)), 0);
    w.answer(id, GroupResponse::LeaveGroup(LeaveGroupResponse::default()));
    assert_eq!(w.count(|e| matches!(e, GroupEvent::Left)), 1);
    assert_eq!(w.member.state(), MemberState::Left);
}

#[test]
fn leaving_ends_in_time_whatever_happens() {
    // Nobody accepts, nobody answers.
    let mut w = eager();
    w.settle(1, "range", &[tp("t", 0)]);
    w.obedient = false;
    w.member.leave(w.now, Duration::from_secs(5));
    w.run();
    w.pass(Duration::from_secs(5));
    assert_eq!(w.member.state(), MemberState::Left);
    assert!(w.has.is_empty());
    // The coordinator does not answer.
    let mut w = eager();
    w.settle(1, "range", &[tp("t", 0)]);
    w.member.leave(w.now, Duration::from_secs(5));
    w.run();
    w.pass(Duration::from_secs(5));
    assert_eq!(w.member.state(), MemberState::Left);
    // A join waits at the coordinator: the request to leave takes another connection.
    let mut w = eager();
    w.settle(1, "range", &[]);
    w.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(w.waiting.iter().any(|out| join(&out.request).is_some()));
    w.member.leave(w.now, Duration::from_secs(5));
    w.run();
    let out = w.waiting.iter().find(|out| leave(&out.request).is_some()).expect("a request to leave");
    assert!(!is_membership(&out.to));
}

#[test]
fn a_static_member_stays_when_it_closes() {
    let mut w = classic(&[("partition.assignment.strategy", "range"), ("group.instance.id", "i")]);
    w.subscribe(&["t"]);
    w.coordinator();
    w.settle(1, "range", &[tp("t", 0)]);
    w.member.leave(w.now, Duration::from_secs(5));
    w.run();
    assert_eq!(w.member.state(), MemberState::Left);
    assert!(w.waiting.iter().all(|out| leave(&out.request).is_none()));
}

#[test]
fn an_id_that_comes_too_late_is_given_back() {
    let mut w = classic(&[("partition.assignment.strategy", "range")]);
    w.subscribe(&["t"]);
    w.coordinator();
    let (first, _) = w.request(join);
    w.member.unsubscribe(w.now);
    w.subscribe(&["t"]);
    // The connection on which the first is waits for its answer.
    let again = w.waiting.iter().find(|out| out.id != first && join(&out.request).is_some()).expect("another request");
    assert!(!is_membership(&again.to));
    let required = JoinGroupResponse {
        error_code: ErrorCode::MEMBER_ID_REQUIRED,
        member_id: "late".into(),
        ..JoinGroupResponse::default()
    };
    w.answer(first, GroupResponse::JoinGroup(required));
    let out = w.waiting.iter().find_map(|out| leave(&out.request)).expect("a request to leave");
    assert_eq!(out.members[0].member_id.as_str(), "late");
}

#[test]
fn a_static_member_can_leave_by_unsubscribing() {
    for leaves in [false, true] {
        let mut w = classic(&[("partition.assignment.strategy", "range"), ("group.instance.id", "i")]);
        w.subscribe(&["t"]);
        w.coordinator();
        w.settle(1, "range", &[]);
        if leaves {
            w.member.unsubscribe_instance(w.now);
        } else {
            w.member.unsubscribe(w.now);
        }
        w.run();
        assert_eq!(w.waiting.iter().any(|out| leave(&out.request).is_some()), leaves);
    }
}

#[test]
fn the_leader_sees_more_partitions_and_asks_for_a_rebalance() {
    let mut w = eager();
    let (id, _) = w.request(join);
    w.answer(id, joined(1, "range", "m", &[("m", &["t"])]));
    w.sync(&[tp("t", 0), tp("t", 1), tp("t", 2)]);
    w.metadata(&cluster(&[("t", 1, 3)]));
    assert_eq!(w.member.state(), MemberState::Stable);
    w.metadata(&cluster(&[("t", 1, 5)]));
    let (_, request) = w.request(join);
    assert_eq!(request.reason.as_deref(), Some("the group's topics changed"));
}

/// A JoinGroup answer by which `m` leads `n`, who owns all of `t` from the generation before.
fn leads_an_owner(skip_assignment: bool) -> GroupResponse {
    let member = |id: &str, owned: Vec<_>| {
        let generation = (!owned.is_empty()).then_some(1);
        let topics = vec!["t".into()];
        let subscription = MemberSubscription { topics, owned, generation, ..MemberSubscription::default() };
        let metadata = encode_subscription(&subscription).unwrap();
        join_group::response::JoinGroupResponseMember { member_id: id.into(), metadata, ..Default::default() }
    };
    GroupResponse::JoinGroup(JoinGroupResponse {
        generation_id: 2,
        protocol_name: Some("cooperative-sticky".into()),
        leader: "m".into(),
        member_id: "m".into(),
        members: vec![member("m", vec![]), member("n", (0..3).map(|p| tp("t", p)).collect())],
        skip_assignment,
        ..JoinGroupResponse::default()
    })
}

#[test]
fn the_leader_divides_again_where_nobody_joins_for_what_it_withheld() {
    let mut w = cooperative();
    w.metadata(&cluster(&[("t", 1, 3)]));
    let (id, _) = w.request(join);
    w.answer(id, leads_an_owner(false));
    let began = w.now;
    w.sync(&[]);
    // n was to let go of one and to join again; it died and came back as a static member does, which begins no rebalance.
    while !w.waiting.iter().any(|out| join(&out.request).is_some()) {
        w.wait();
        while let Some(i) = w.waiting.iter().position(|out| heartbeat(&out.request).is_some()) {
            let id = w.waiting.remove(i).id;
            w.answer(id, GroupResponse::Heartbeat(HeartbeatResponse::default()));
        }
    }
    let (_, request) = w.request(join);
    assert_eq!(request.reason.as_deref(), Some("partitions that were on their way may be nobody's"));
    let waited = w.now.since(began.instant());
    assert!((Duration::from_secs(60)..Duration::from_secs(70)).contains(&waited), "{waited:?}");
}

#[test]
fn a_leader_that_comes_back_under_a_cooperative_protocol_divides_at_once() {
    let mut w = cooperative();
    w.metadata(&cluster(&[("t", 1, 3)]));
    let (id, _) = w.request(join);
    w.answer(id, leads_an_owner(true));
    w.sync(&[]);
    w.wait();
    let (_, request) = w.request(join);
    assert_eq!(request.reason.as_deref(), Some("partitions that were on their way may be nobody's"));
}

#[test]
fn a_pattern_finds_topics_that_appear_later() {
    let mut w = classic(&[("partition.assignment.strategy", "range")]);
    w.member.subscribe(w.now, Subscription::Pattern("t.*".into())).unwrap();
    w.coordinator();
    let request = w.settle(1, "range", &[tp("t", 0)]);
    let topics =
        |r: &JoinGroupRequest| decode_subscription("m".into(), None, r.protocols[0].metadata.clone()).unwrap().topics;
    assert_eq!(topics(&request), ["t"]);
    w.metadata(&cluster(&[("t", 1, 3), ("t2", 2, 1), ("not", 3, 1)]));
    let request = w.settle(2, "range", &[tp("t", 0), tp("t2", 0)]);
    assert_eq!(topics(&request), ["t", "t2"]);
    assert!(w.member.subscribe(w.now, Subscription::Pattern("(".into())).unwrap_err().hint().is_some());
}

#[test]
fn no_subscription_takes_a_topic_of_the_blacklist() {
    let mut w = classic(&[("partition.assignment.strategy", "range"), ("topic.blacklist", "^t[23]$,x")]);
    w.metadata(&cluster(&[("t", 1, 3), ("t2", 2, 1), ("t22", 3, 1), ("tax", 4, 1)]));
    let topics =
        |r: &JoinGroupRequest| decode_subscription("m".into(), None, r.protocols[0].metadata.clone()).unwrap().topics;
    w.member.subscribe(w.now, Subscription::Pattern("t.*".into())).unwrap();
    w.coordinator();
    let request = w.settle(1, "range", &[tp("t", 0)]);
    assert_eq!(topics(&request), ["t", "t22"]);
    w.member.subscribe(w.now, Subscription::Topics(["t", "t3"].map(Into::into).into())).unwrap();
    let request = w.settle(2, "range", &[tp("t", 0)]);
    assert_eq!(topics(&request), ["t"]);
}

#[test]
fn a_topic_that_is_made_anew_is_lost_and_given_again() {
    let mut w = eager();
    w.settle(1, "range", &[tp("t", 0)]);
    w.metadata(&cluster(&[("t", 9, 3)]));
    let told: Vec<&str> = w
        .events
        .iter()
        .filter_map(|e| match e {
            GroupEvent::Assign { .. } => Some("assign"),
            GroupEvent::Lost { .. } => Some("lost"),
            GroupEvent::Revoke { .. } => Some("revoke"),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["assign", "lost", "assign"]);
    w.metadata(&missing(&[], "t"));
    assert!(w.has.is_empty());
}

#[test]
fn a_member_whose_application_does_nothing_says_so_leaves_and_comes_back() {
    let mut w = eager();
    w.settle(1, "range", &[tp("t", 0)]);
    w.member.pending(w.now, true);
    let mut farewell = None;
    for _ in 0..60 {
        w.pass(Duration::from_secs(1));
        while let Some(out) = w.waiting.pop() {
            if leave(&out.request).is_some() {
                farewell = Some(out.id);
            } else {
                w.answer(out.id, GroupResponse::Heartbeat(HeartbeatResponse::default()));
            }
        }
    }
    let told: Vec<bool> = w
        .events
        .iter()
        .filter_map(|e| if let GroupEvent::Stalled { left, .. } = e { Some(*left) } else { None })
        .collect();
    assert_eq!(told, [false, true], "told before it leaves, and when it does");
    assert_eq!(w.member.state(), MemberState::Stalled);
    assert!(w.has.is_empty());
    w.answer(farewell.unwrap(), GroupResponse::LeaveGroup(LeaveGroupResponse::default()));
    w.member.handle_progress(w.now);
    w.settle(2, "range", &[tp("t", 0)]);
    assert_eq!(w.has(), ["t[0]"]);
}

#[test]
fn an_idle_application_never_stalls() {
    let mut w = eager();
    w.settle(1, "range", &[tp("t", 0)]);
    for _ in 0..200 {
        w.pass(Duration::from_secs(1));
        while let Some(out) = w.waiting.pop() {
            w.answer(out.id, GroupResponse::Heartbeat(HeartbeatResponse::default()));
        }
    }
    assert_eq!(w.has(), ["t[0]"]);
}
