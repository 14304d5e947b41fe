//! Joining, reconciling, being fenced; what is refused and why.

use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::ConsumerGroupHeartbeatRequest;

use super::super::ConsumerGroupState;
use super::{Bench, SESSION, beating, given, joining, owning, partitions};

#[test]
fn the_first_member_has_everything_at_once() {
    let mut bench = Bench::new(&[("a", 3)]);
    let joined = bench.join("m1", &["a"]);
    assert_eq!((joined.member_epoch, joined.heartbeat_interval_ms), (2, 5_000));
    assert_eq!(joined.member_id.as_deref(), Some("m1"));
    assert_eq!(given(&joined), Some(partitions(&[(1, &[0, 1, 2])])));
    assert_eq!(bench.group.state(), ConsumerGroupState::Stable);
    let next = bench.beat(&beating("m1", 2)).unwrap();
    assert_eq!((next.member_epoch, given(&next)), (2, None), "nothing new");
    bench.check();
}

#[test]
fn a_partition_is_given_only_after_its_owner_said_that_it_has_given_it_back() {
    let mut bench = Bench::new(&[("a", 4)]);
    bench.join("m1", &["a"]);
    let second = bench.join("m2", &["a"]);
    assert_eq!((second.member_epoch, given(&second)), (3, Some(partitions(&[]))));
    assert_eq!(bench.group.state(), ConsumerGroupState::Reconciling);

    let asked = bench.beat(&beating("m1", 2)).unwrap();
    assert_eq!((asked.member_epoch, given(&asked)), (2, Some(partitions(&[(1, &[0, 1])]))));
    let waits = bench.beat(&beating("m2", 3)).unwrap();
    assert_eq!(given(&waits), None, "not yet free");
    let again = bench.beat(&owning("m1", 2, &[(1, &[0, 1, 2])])).unwrap();
    assert_eq!((again.member_epoch, given(&again)), (2, None), "it still has one");
    let released = bench.beat(&owning("m1", 2, &[(1, &[0, 1])])).unwrap();
    assert_eq!(released.member_epoch, 3);
    let gets = bench.beat(&beating("m2", 3)).unwrap();
    assert_eq!(given(&gets), Some(partitions(&[(1, &[2, 3])])));
    assert_eq!(bench.group.state(), ConsumerGroupState::Stable);
    bench.check();
}

#[test]
fn a_member_that_does_not_give_back_in_time_is_fenced() {
    let mut bench = Bench::new(&[("a", 2)]);
    bench.join("m1", &["a"]);
    bench.join("m2", &["a"]);
    bench.beat(&beating("m1", 2)).unwrap();
    for _ in 0..6 {
        bench.advance(Duration::from_secs(10));
        let _ = bench.beat(&beating("m1", 2));
        bench.beat(&beating("m2", bench.group.members["m2"].current.epoch)).unwrap();
    }
    let error = bench.beat(&beating("m1", 2)).unwrap_err();
    assert_eq!(error.code, ErrorCode::UNKNOWN_MEMBER_ID);
    let epoch = bench.group.members["m2"].current.epoch;
    bench.beat(&beating("m2", epoch)).unwrap();
    assert_eq!(bench.group.members["m2"].current.assigned.partitions(), partitions(&[(1, &[0, 1])]));
    bench.check();
}

#[test]
fn a_silent_member_is_fenced_and_the_last_one_leaves_an_empty_group() {
    let mut bench = Bench::new(&[("a", 2)]);
    bench.join("m1", &["a"]);
    bench.advance(SESSION - Duration::from_millis(1));
    assert_eq!(bench.group.members.len(), 1);
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.group.state(), ConsumerGroupState::Empty);
    assert_eq!((bench.group.epoch, bench.group.assignment_epoch), (3, 2));
    assert_eq!(bench.group.poll_timeout(), None);
    bench.check();
    assert_eq!(bench.join("m1", &["a"]).member_epoch, 4);
}

#[test]
fn a_member_whose_answer_was_lost_may_come_with_the_epoch_before() {
    let mut bench = Bench::new(&[("a", 4)]);
    bench.join("m1", &["a"]);
    bench.join("m2", &["a"]);
    bench.beat(&beating("m1", 2)).unwrap();
    bench.beat(&owning("m1", 2, &[(1, &[0, 1])])).unwrap();
    assert_eq!(bench.group.members["m1"].current.epoch, 3);
    assert_eq!(bench.beat(&owning("m1", 2, &[(1, &[0, 1])])).unwrap().member_epoch, 3);
    let more = bench.beat(&owning("m1", 2, &[(1, &[0, 1, 2])])).unwrap_err();
    assert_eq!(more.code, ErrorCode::FENCED_MEMBER_EPOCH);
    assert!(more.message.contains("smaller member epoch (2)"), "{}", more.message);
    assert_eq!(bench.beat(&beating("m1", 2)).unwrap_err().code, ErrorCode::FENCED_MEMBER_EPOCH);
    assert_eq!(bench.beat(&beating("m1", 4)).unwrap_err().code, ErrorCode::FENCED_MEMBER_EPOCH);
    // It starts again, with nothing, and is told everything.
    let rejoined = bench.join("m1", &["a"]);
    assert_eq!((rejoined.member_epoch, given(&rejoined)), (3, Some(partitions(&[(1, &[0, 1])]))));
    bench.check();
}

#[test]
fn more_partitions_and_new_topics_reach_the_members_with_their_next_heartbeat() {
    let mut bench = Bench::new(&[("a", 1)]);
    bench.join("m1", &["a", "b"]);
    bench.topics[0].2 = 2;
    bench.group.handle_topics_changed();
    let grown = bench.beat(&beating("m1", 2)).unwrap();
    assert_eq!((grown.member_epoch, given(&grown)), (3, Some(partitions(&[(1, &[0, 1])]))));
    bench.topics.push(("b".into(), super::topic_id(2), 1));
    bench.group.handle_topics_changed();
    let made = bench.beat(&beating("m1", 3)).unwrap();
    assert_eq!(given(&made), Some(partitions(&[(1, &[0, 1]), (2, &[0])])));
    // Made anew it is another topic.
    bench.topics[1].1 = super::topic_id(3);
    bench.group.handle_topics_changed();
    let revoked = bench.beat(&beating("m1", 4)).unwrap();
    assert_eq!((revoked.member_epoch, given(&revoked)), (4, Some(partitions(&[(1, &[0, 1])]))));
    let anew = bench.beat(&owning("m1", 4, &[(1, &[0, 1])])).unwrap();
    assert_eq!(given(&anew), Some(partitions(&[(1, &[0, 1]), (3, &[0])])));
    // Topics that nobody wants change nothing.
    bench.topics.push(("z".into(), super::topic_id(9), 1));
    bench.group.handle_topics_changed();
    assert_eq!(bench.beat(&beating("m1", 5)).unwrap().member_epoch, 5);
    bench.check();
}

#[test]
fn a_changed_subscription_takes_effect_and_null_leaves_it_as_it_is() {
    let mut bench = Bench::new(&[("a", 1), ("b", 1)]);
    bench.join("m1", &["a"]);
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["b".into()]),
        ..owning("m1", 2, &[(1, &[0])])
    };
    let changed = bench.beat(&request).unwrap();
    assert_eq!((changed.member_epoch, given(&changed)), (2, Some(partitions(&[]))));
    let next = bench.beat(&owning("m1", 2, &[])).unwrap();
    assert_eq!((next.member_epoch, given(&next)), (3, Some(partitions(&[(2, &[0])]))));
    assert_eq!(given(&bench.beat(&beating("m1", 3)).unwrap()), None);
    bench.check();
}

#[test]
fn a_full_heartbeat_is_told_everything() {
    let mut bench = Bench::new(&[("a", 1)]);
    bench.join("m1", &["a"]);
    let request = ConsumerGroupHeartbeatRequest { member_epoch: 2, ..joining("m1", &["a"]) };
    assert_eq!(given(&bench.beat(&request).unwrap()), Some(partitions(&[(1, &[0])])));
}

#[test]
fn a_target_waits_for_the_assignment_interval() {
    let mut bench = Bench::new(&[("a", 2)]);
    bench.config.assignment_interval_ms = 1_000;
    bench.join("m1", &["a"]);
    let second = bench.join("m2", &["a"]);
    assert_eq!((second.member_epoch, bench.group.state()), (2, ConsumerGroupState::Assigning));
    bench.advance(Duration::from_millis(999));
    bench.beat(&beating("m2", 2)).unwrap();
    assert_eq!(bench.group.state(), ConsumerGroupState::Assigning);
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.beat(&beating("m2", 2)).unwrap().member_epoch, 3);
    assert_eq!(bench.group.state(), ConsumerGroupState::Reconciling);
    bench.check();
}

#[test]
fn regular_expressions_are_resolved_when_topics_change() {
    let mut bench = Bench::new(&[("a-1", 1), ("b-1", 1)]);
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some("a-.*".into()),
        ..joining("m1", &[])
    };
    let joined = bench.beat(&request).unwrap();
    assert_eq!(given(&joined), Some(partitions(&[(1, &[0])])));
    bench.topics.push(("a-2".into(), super::topic_id(7), 1));
    bench.group.handle_topics_changed();
    let more = bench.beat(&beating("m1", 2)).unwrap();
    assert_eq!((more.member_epoch, given(&more)), (3, Some(partitions(&[(1, &[0]), (7, &[0])]))));
    assert!(bench.group.is_subscribed_to("a-2"));
    bench.check();
    // Taken back, with names in its stead.
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["b-1".into()]),
        subscribed_topic_regex: Some("".into()),
        ..owning("m1", 3, &[])
    };
    assert_eq!(given(&bench.beat(&request).unwrap()), Some(partitions(&[(2, &[0])])));
    assert!(bench.group.regexes.is_empty());
    bench.check();
    let bad = ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some("(".into()), ..beating("m1", 4) };
    assert_eq!(bench.beat(&bad).unwrap_err().code, ErrorCode::INVALID_REGULAR_EXPRESSION);
    bench.leave("m1");
    bench.check();
}

#[test]
fn the_most_wanted_assignor_is_used() {
    let mut bench = Bench::new(&[("a", 3), ("b", 3)]);
    let range =
        |id: &str| ConsumerGroupHeartbeatRequest { server_assignor: Some("range".into()), ..joining(id, &["a", "b"]) };
    bench.beat(&range("m1")).unwrap();
    bench.beat(&range("m2")).unwrap();
    let target = bench.group.target(&"m1".into()).unwrap();
    assert_eq!(target.values().map(std::collections::BTreeSet::len).collect::<Vec<_>>(), [2, 2]);
    let bad = ConsumerGroupHeartbeatRequest { server_assignor: Some("mine".into()), ..joining("m3", &["a"]) };
    let error = bench.beat(&bad).unwrap_err();
    assert_eq!(error.code, ErrorCode::UNSUPPORTED_ASSIGNOR);
    assert_eq!(error.message, "ServerAssignor mine is not supported. Supported assignors: uniform, range.");
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut bench = Bench::new(&[("a", 1)]);
    let refused = [
        ConsumerGroupHeartbeatRequest { member_id: "".into(), ..joining("m1", &["a"]) },
        ConsumerGroupHeartbeatRequest { group_id: "".into(), ..joining("m1", &["a"]) },
        ConsumerGroupHeartbeatRequest { instance_id: Some("".into()), ..joining("m1", &["a"]) },
        ConsumerGroupHeartbeatRequest { rack_id: Some("".into()), ..joining("m1", &["a"]) },
        ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: -1, ..joining("m1", &["a"]) },
        ConsumerGroupHeartbeatRequest { topic_partitions: None, ..joining("m1", &["a"]) },
        ConsumerGroupHeartbeatRequest { subscribed_topic_names: None, ..joining("m1", &["a"]) },
        beating("m1", -2),
        beating("m1", -3),
    ];
    for request in refused {
        assert_eq!(bench.beat(&request).unwrap_err().code, ErrorCode::INVALID_REQUEST, "{request:?}");
    }
    assert_eq!(bench.beat(&beating("m1", 2)).unwrap_err().code, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.beat(&beating("m1", -1)).unwrap_err().code, ErrorCode::UNKNOWN_MEMBER_ID);
    assert!(bench.log.is_empty());
    bench.config.max_size = 1;
    bench.join("m1", &["a"]);
    let error = bench.beat(&joining("m2", &["a"])).unwrap_err();
    assert_eq!(error.code, ErrorCode::GROUP_MAX_SIZE_REACHED);
    bench.check();
}

#[test]
fn commits_are_a_members_with_its_epoch_or_of_what_it_has_had_since() {
    let mut bench = Bench::new(&[("a", 4)]);
    bench.join("m1", &["a"]);
    bench.join("m2", &["a"]);
    bench.beat(&beating("m1", 2)).unwrap();
    bench.beat(&owning("m1", 2, &[(1, &[0, 1])])).unwrap();
    bench.beat(&beating("m2", 3)).unwrap();
    let topics = bench.topics.clone();
    let view = crate::groups::TopicsView::Listed(&topics);
    let commit = |member: &str, epoch: i32, partition: i32| {
        let partitions = [("a", partition)].into_iter();
        bench.group.check_commit(view, &member.into(), epoch, 9, partitions).map_err(|error| error.code)
    };
    assert_eq!(commit("m1", 3, 0), Ok(()));
    assert_eq!(commit("m1", 2, 0), Ok(()), "its own since epoch 2");
    assert_eq!(commit("m1", 2, 3), Err(ErrorCode::STALE_MEMBER_EPOCH), "not its own any more");
    assert_eq!(commit("m2", 2, 3), Err(ErrorCode::STALE_MEMBER_EPOCH), "its own since epoch 3 only");
    assert_eq!(commit("m1", 4, 0), Err(ErrorCode::STALE_MEMBER_EPOCH));
    assert_eq!(commit("m3", 3, 0), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(commit("", -1, 0), Err(ErrorCode::UNKNOWN_MEMBER_ID), "the group has members");
    let old = bench.group.check_commit(view, &"m1".into(), 3, 8, std::iter::empty());
    assert_eq!(old.unwrap_err().code, ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!(bench.group.check_fetch(None, -1), Ok(()));
    assert_eq!(bench.group.check_fetch(Some(&"m1".into()), 3), Ok(()));
    assert_eq!(bench.group.check_fetch(Some(&"m1".into()), 2).unwrap_err().code, ErrorCode::STALE_MEMBER_EPOCH);
}

#[test]
fn many_members_of_many_partitions_settle_in_a_few_rounds() {
    let (members, partitions) = (100, 1_000);
    let mut bench = Bench::new(&[("a", partitions)]);
    let mut clients: Vec<(String, i32, Vec<i32>)> = Vec::new();
    for number in 0..members {
        let id = format!("m{number}");
        let epoch = bench.join(&id, &["a"]).member_epoch;
        clients.push((id, epoch, Vec::new()));
    }
    for _ in 0..4 {
        for (id, epoch, owned) in &mut clients {
            let response = bench.beat(&owning(id, *epoch, &[(1, owned.as_slice())])).unwrap();
            *epoch = response.member_epoch;
            if let Some(assigned) = given(&response) {
                *owned = assigned.into_values().flatten().collect();
            }
        }
    }
    assert_eq!(bench.group.state(), ConsumerGroupState::Stable);
    assert!(clients.iter().all(|(_, _, owned)| owned.len() == 10));
    bench.check();
}
