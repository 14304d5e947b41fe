//! KIP-848.

use std::time::Duration;

use felice_client_core::config::GroupProtocol;
use felice_client_core::consumer::OffsetAndMetadata;
use felice_client_core::consumer::group::{GroupEvent, MemberState, Subscription};
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::Uuid;

use crate::world::*;

fn member(values: &[(&str, &str)]) -> World {
    let mut w = World::new(config(values));
    w.subscribe(&["t"]);
    w.coordinator();
    w
}

fn settled() -> World {
    let mut w = member(&[]);
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, Some(&[(1, &[0, 1])])));
    let (id, request) = w.request(pulse);
    assert_eq!(owned(&request).unwrap(), [(uuid(1), vec![0, 1])].into());
    w.answer(id, pulsed(1, None));
    w
}

#[test]
fn the_first_heartbeat_says_all_and_the_next_only_what_changed() {
    let mut w = member(&[("client.rack", "r"), ("group.remote.assignor", "uniform")]);
    let (id, first) = w.request(pulse);
    assert_eq!((first.member_epoch, first.rebalance_timeout_ms), (0, 60_000));
    assert!(Uuid::parse(&first.member_id).is_some());
    assert_eq!(first.subscribed_topic_names, Some(vec!["t".into()]));
    assert_eq!(first.topic_partitions, Some(Vec::new()));
    assert_eq!((first.rack_id.as_deref(), first.server_assignor.as_deref()), (Some("r"), Some("uniform")));
    w.answer(id, pulsed(1, Some(&[(1, &[0, 1])])));
    assert_eq!(w.has(), ["t[0]", "t[1]"]);
    let (id, ack) = w.request(pulse);
    assert_eq!(ack.member_epoch, 1);
    assert_eq!(owned(&ack).unwrap(), [(uuid(1), vec![0, 1])].into());
    assert!(ack.subscribed_topic_names.is_none() && ack.rebalance_timeout_ms == -1 && ack.rack_id.is_none());
    w.answer(id, pulsed(1, None));
    assert!(w.none_waits());
    let before = w.now;
    let (_, next) = w.request(pulse);
    assert_eq!(w.now.since(before.instant()), Duration::from_secs(5));
    assert!(next.topic_partitions.is_none() && next.subscribed_topic_names.is_none());
}

#[test]
fn it_gives_up_first_tells_and_then_takes() {
    let mut w = settled();
    w.obedient = false;
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, Some(&[(1, &[1, 2])])));
    assert_eq!(w.member.state(), MemberState::Revoking);
    let Some(GroupEvent::Revoke { id: proposal, partitions, incremental: true, .. }) = w.events.last().cloned() else {
        panic!("{:?}", w.events)
    };
    assert_eq!(partitions, [tp("t", 0)]);
    // Heartbeats do not wait for the application.
    let (id, beat) = w.request(pulse);
    assert!(beat.topic_partitions.is_none(), "nothing has changed yet");
    w.answer(id, pulsed(1, None));
    w.obedient = true;
    w.accept(proposal);
    w.run();
    assert_eq!(w.has(), ["t[1]", "t[2]"]);
    let (id, ack) = w.request(pulse);
    assert_eq!(owned(&ack).unwrap(), [(uuid(1), vec![1, 2])].into());
    w.answer(id, pulsed(2, None));
    assert_eq!(w.member.group_metadata().generation_or_epoch, 2);
}

/// With `t[0]` and `t[1]`, and a session that outlasts the rebalance time of 20 s.
fn with_a_long_session() -> World {
    let mut w = member(&[("session.timeout.ms", "60000"), ("max.poll.interval.ms", "20000")]);
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, Some(&[(1, &[0, 1])])));
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, None));
    w
}

fn lost(w: &World) -> Option<&Error> {
    w.events.iter().find_map(|event| if let GroupEvent::Lost { error, .. } = event { Some(error) } else { None })
}

#[test]
fn what_the_coordinator_never_heard_to_be_given_back_costs_everything() {
    let mut w = with_a_long_session();
    let (id, _) = w.request(pulse);
    let asked = w.now;
    w.answer(id, pulsed(1, Some(&[(1, &[1])])));
    assert_eq!(w.has(), ["t[1]"], "given up at once");
    let (id, release) = w.request(pulse);
    assert_eq!(owned(&release).unwrap(), [(uuid(1), vec![1])].into());
    w.lose(id);
    w.coordinator();
    // The coordinator, which did not hear it, gives all to others when the rebalance time is over: the session does not help.
    let (_, again) = w.request(pulse);
    assert_eq!(owned(&again).unwrap(), [(uuid(1), vec![1])].into());
    let since = w.now.since(asked.instant());
    w.pass(Duration::from_millis(19_999) - since);
    assert_eq!(w.has(), ["t[1]"]);
    w.pass(Duration::from_millis(1));
    assert!(w.has.is_empty());
    assert!(lost(&w).unwrap().message().contains("did not hear"), "{:?}", lost(&w));
    assert_eq!(w.request(pulse).1.member_epoch, 0);
}

#[test]
fn a_release_that_was_heard_leaves_the_rest_to_the_session() {
    let mut w = with_a_long_session();
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, Some(&[(1, &[1])])));
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(2, None));
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(2, None));
    let _ = w.request(pulse);
    w.pass(Duration::from_secs(40));
    assert_eq!(w.has(), ["t[1]"]);
}

#[test]
fn an_assignment_that_says_nothing_new_asks_for_nothing() {
    let mut w = with_a_long_session();
    let (id, _) = w.request(pulse);
    w.lose(id);
    w.coordinator();
    // Who says everything is told everything.
    let (id, again) = w.request(pulse);
    assert_eq!(owned(&again).unwrap(), [(uuid(1), vec![0, 1])].into());
    w.answer(id, pulsed(1, Some(&[(1, &[0, 1])])));
    let _ = w.request(pulse);
    w.pass(Duration::from_secs(40));
    assert_eq!(w.has().len(), 2);
}

#[test]
fn the_coordinators_clock_runs_since_it_asked_first() {
    let mut w = member(&[("session.timeout.ms", "60000"), ("max.poll.interval.ms", "20000")]);
    w.obedient = false;
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, Some(&[(1, &[0, 1])])));
    let Some(GroupEvent::Assign { id: assign, .. }) = w.events.last().cloned() else { panic!("{:?}", w.events) };
    // One is taken back while the application still takes it, which hears of that afterwards. The coordinator goes on waiting, and says so
    // again after a heartbeat that was lost.
    let (id, _) = w.request(pulse);
    let asked = w.now;
    w.answer(id, pulsed(1, Some(&[(1, &[1])])));
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, None));
    let (id, _) = w.request(pulse);
    w.lose(id);
    w.coordinator();
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, Some(&[(1, &[1])])));
    w.accept(assign);
    w.run();
    assert_eq!(w.member.state(), MemberState::Revoking);
    while w.now.since(asked.instant()) < Duration::from_secs(20) {
        assert_eq!(w.has().len(), 2);
        w.wait();
    }
    assert_eq!(w.now.since(asked.instant()), Duration::from_secs(20));
    assert!(w.has.is_empty());
    assert!(lost(&w).unwrap().message().contains("not let go"), "{:?}", lost(&w));
}

#[test]
fn a_commit_that_delays_the_release_too_long_costs_everything() {
    let mut w = with_a_long_session();
    w.member.commit(w.now, vec![(tp("t", 0), OffsetAndMetadata::new(5))], Duration::from_secs(60));
    let (id, _) = w.request(pulse);
    let asked = w.now;
    w.answer(id, pulsed(1, Some(&[(1, &[1])])));
    while w.now.since(asked.instant()) < Duration::from_secs(20) {
        assert_eq!(w.has(), ["t[1]"]);
        if let Some(at) = w.waiting.iter().position(|out| pulse(&out.request).is_some()) {
            let id = w.waiting.remove(at).id;
            w.answer(id, pulsed(1, None));
        }
        w.wait();
    }
    assert!(w.has.is_empty());
}

#[test]
fn what_is_about_to_be_taken_is_told_as_owned() {
    let mut w = member(&[]);
    w.obedient = false;
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, Some(&[(1, &[0])])));
    let (id, ack) = w.request(pulse);
    assert_eq!(owned(&ack).unwrap(), [(uuid(1), vec![0])].into(), "else it would count as released");
    // It is taken away before the application has taken it: the application hears of both, one after the other.
    w.answer(id, pulsed(1, Some(&[])));
    let Some(GroupEvent::Assign { id: assign, .. }) = w.events.last().cloned() else { panic!("{:?}", w.events) };
    w.obedient = true;
    w.accept(assign);
    w.run();
    assert!(w.has.is_empty());
    let (_, ack) = w.request(|r| pulse(r).filter(|r| owned(r).is_some_and(|o| o.is_empty())));
    assert_eq!(ack.member_epoch, 1);
}

/// A member with `t[0]` whose heartbeat that says so is on its way, while it is to take `t[1]`, of which that heartbeat says nothing.
fn tells_less_than_it_is_to_have() -> (World, u64) {
    let mut w = member(&[]);
    w.obedient = false;
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, Some(&[(1, &[0])])));
    let Some(GroupEvent::Assign { id: assign, .. }) = w.events.last().cloned() else { panic!("{:?}", w.events) };
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(2, Some(&[(1, &[0, 1])])));
    // One is lost, so all is said again.
    let (id, _) = w.request(pulse);
    w.lose(id);
    w.coordinator();
    let (id, told) = w.request(pulse);
    assert_eq!(owned(&told).unwrap(), [(uuid(1), vec![0])].into());
    w.obedient = true;
    w.accept(assign);
    w.run();
    (w, id)
}

#[test]
fn nothing_new_is_taken_while_a_heartbeat_says_that_it_is_not_owned() {
    let (mut w, id) = tells_less_than_it_is_to_have();
    assert_eq!(w.has(), ["t[0]"], "the coordinator may be giving t[1] to somebody else");
    w.answer(id, pulsed(3, Some(&[(1, &[0])])));
    assert_eq!(w.has(), ["t[0]"]);

    let (mut w, id) = tells_less_than_it_is_to_have();
    w.answer(id, pulsed(2, None));
    assert_eq!(w.has(), ["t[0]", "t[1]"]);

    // Where the answer is lost, the next tells.
    let (mut w, id) = tells_less_than_it_is_to_have();
    w.lose(id);
    w.coordinator();
    assert_eq!(w.has(), ["t[0]"]);
    let (id, again) = w.request(pulse);
    assert_eq!(owned(&again).unwrap(), [(uuid(1), vec![0])].into());
    w.answer(id, pulsed(3, Some(&[(1, &[0, 2])])));
    assert_eq!(w.has(), ["t[0]", "t[2]"]);
}

#[test]
fn a_topic_that_is_not_known_yet_follows_when_it_is() {
    let mut w = member(&[]);
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, Some(&[(1, &[0]), (7, &[3])])));
    assert_eq!(w.has(), ["t[0]"]);
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(1, None));
    w.metadata(&cluster(&[("t", 1, 3), ("later", 7, 4)]));
    assert_eq!(w.has(), ["later[3]", "t[0]"]);
}

#[test]
fn a_fenced_member_loses_everything_and_joins_with_epoch_zero() {
    for code in [ErrorCode::FENCED_MEMBER_EPOCH, ErrorCode::UNKNOWN_MEMBER_ID] {
        let mut w = settled();
        let (id, _) = w.request(pulse);
        w.answer(id, refused(code));
        assert!(w.has.is_empty());
        let (id, again) = w.request(pulse);
        assert_eq!(again.member_epoch, 0);
        assert_eq!(again.topic_partitions, Some(Vec::new()));
        assert!(again.subscribed_topic_names.is_some());
        w.answer(id, pulsed(5, Some(&[(1, &[0])])));
        assert_eq!(w.has(), ["t[0]"]);
    }
}

#[test]
fn after_a_lost_heartbeat_everything_is_said_again() {
    let mut w = settled();
    let (id, _) = w.request(pulse);
    w.lose(id);
    w.coordinator();
    let (_, again) = w.request(pulse);
    assert_eq!(again.member_epoch, 1);
    assert!(again.subscribed_topic_names.is_some());
    assert_eq!(owned(&again).unwrap(), [(uuid(1), vec![0, 1])].into());
    assert_eq!(w.has().len(), 2);
}

#[test]
fn auto_falls_back_to_classic_where_the_broker_has_no_kip_848() {
    let mut w = member(&[]);
    let (id, _) = w.request(pulse);
    w.answer(id, refused(ErrorCode::UNSUPPORTED_VERSION));
    assert_eq!(w.member.group_protocol(), GroupProtocol::Classic);
    w.settle(1, "range", &[tp("t", 0)]);
    assert_eq!(w.has(), ["t[0]"]);

    let mut w = member(&[]);
    let (id, _) = w.request(pulse);
    w.member.handle_failure(w.now, id, &Error::new(ErrorKind::Unsupported, "no such API"));
    w.run();
    w.settle(1, "range", &[tp("t", 0)]);
    assert_eq!(w.has(), ["t[0]"]);

    let mut w = member(&[("group.protocol", "consumer")]);
    let (id, _) = w.request(pulse);
    w.answer(id, refused(ErrorCode::UNSUPPORTED_VERSION));
    assert!(w.failed().hint().unwrap().contains("group.protocol"));
}

#[test]
fn refusals_are_errors_with_a_hint() {
    for (code, hint) in [
        (ErrorCode::UNRELEASED_INSTANCE_ID, "group.instance.id"),
        (ErrorCode::FENCED_INSTANCE_ID, "group.instance.id"),
        (ErrorCode::UNSUPPORTED_ASSIGNOR, "group.remote.assignor"),
        (ErrorCode::INVALID_REGULAR_EXPRESSION, "pattern"),
        (ErrorCode::GROUP_MAX_SIZE_REACHED, "group.max.size"),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, "Read"),
        (ErrorCode::INVALID_REQUEST, "coordinator"),
    ] {
        let mut w = settled();
        let (id, _) = w.request(pulse);
        w.answer(id, refused(code));
        assert_eq!(w.member.state(), MemberState::Failed);
        assert!(w.has.is_empty());
        assert!(w.failed().hint().unwrap().contains(hint), "{code}: {:?}", w.failed().hint());
    }
}

#[test]
fn leaving_says_minus_one_and_a_static_member_minus_two() {
    for (values, epoch) in [(&[][..], -1), (&[("group.instance.id", "i")][..], -2)] {
        let mut w = member(values);
        let (id, _) = w.request(pulse);
        w.answer(id, pulsed(1, Some(&[(1, &[0])])));
        let (id, _) = w.request(pulse);
        w.answer(id, pulsed(1, None));
        w.member.leave(w.now, Duration::from_secs(5));
        w.run();
        assert!(w.has.is_empty());
        let (id, last) = w.request(|r| pulse(r).filter(|r| r.member_epoch < 0));
        assert_eq!(last.member_epoch, epoch);
        w.answer(id, pulsed(epoch, None));
        assert_eq!(w.member.state(), MemberState::Left);
    }
}

#[test]
fn a_changed_subscription_is_told_at_once() {
    let mut w = settled();
    w.subscribe(&["t", "u"]);
    let (id, beat) = w.request(pulse);
    assert_eq!(beat.subscribed_topic_names.as_ref().map(Vec::len), Some(2));
    assert!(beat.topic_partitions.is_none());
    w.answer(id, pulsed(1, None));
    w.member.subscribe(w.now, Subscription::Pattern("t.*".into())).unwrap();
    let (id, beat) = w.request(pulse);
    assert_eq!(beat.subscribed_topic_regex.as_deref(), Some("t.*"));
    assert_eq!(beat.subscribed_topic_names, Some(Vec::new()));
    w.answer(id, pulsed(1, None));
    w.subscribe(&["t"]);
    let (_, beat) = w.request(pulse);
    assert_eq!(beat.subscribed_topic_regex.as_deref(), Some(""));
}

#[test]
fn a_topic_that_is_made_anew_never_keeps_its_old_partitions() {
    let mut w = settled();
    // The coordinator tells the new topic before the metadata does.
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(2, Some(&[(9, &[0, 1])])));
    assert!(w.has.is_empty());
    w.metadata(&cluster(&[("t", 9, 3)]));
    let (id, empty) = w.request(pulse);
    assert_eq!(owned(&empty).unwrap(), [].into());
    w.answer(id, pulsed(2, None));
    assert_eq!(w.has(), ["t[0]", "t[1]"]);
    let (_, ack) = w.request(pulse);
    assert_eq!(owned(&ack).unwrap(), [(uuid(9), vec![0, 1])].into());
    // The metadata tells before the coordinator does.
    let mut w = settled();
    w.metadata(&cluster(&[("t", 9, 3)]));
    assert!(w.has.is_empty());
    assert_eq!(w.count(|e| matches!(e, GroupEvent::Lost { .. })), 1);
}

#[test]
fn ten_thousand_partitions_are_assigned_in_one_piece() {
    let mut w = World::new(config(&[]));
    w.subscribe(&["big"]);
    w.metadata(&cluster(&[("big", 4, 10_000)]));
    w.coordinator();
    let (id, _) = w.request(pulse);
    let all: Vec<i32> = (0..10_000).collect();
    w.answer(id, pulsed(1, Some(&[(4, &all)])));
    assert_eq!(w.has.len(), 10_000);
}
