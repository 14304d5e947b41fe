//! Commits and look-ups.

use std::time::Duration;

use felice_client_core::consumer::group::request::GroupResponse;
use felice_client_core::consumer::group::{GroupEvent, RequestId};
use felice_client_core::consumer::{OffsetAndMetadata, TopicPartition};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::*;

use crate::world::*;

const LONG: Duration = Duration::from_secs(30);

fn classic() -> World {
    let mut w =
        World::new(config(&[("group.protocol", "classic"), ("partition.assignment.strategy", "cooperative-sticky")]));
    w.subscribe(&["t"]);
    w.coordinator();
    w.settle(1, "cooperative-sticky", &[tp("t", 0), tp("t", 1)]);
    w
}

fn at(partition: i32, offset: i64) -> (TopicPartition, OffsetAndMetadata) {
    (tp("t", partition), OffsetAndMetadata::new(offset))
}

fn committed(request: &OffsetCommitRequest, code: ErrorCode) -> GroupResponse {
    let topics = request
        .topics
        .iter()
        .map(|t| offset_commit::response::OffsetCommitResponseTopic {
            topic_id: t.topic_id,
            partitions: t
                .partitions
                .iter()
                .map(|p| offset_commit::response::OffsetCommitResponsePartition {
                    partition_index: p.partition_index,
                    error_code: code,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        })
        .collect();
    GroupResponse::OffsetCommit(OffsetCommitResponse { topics, ..Default::default() })
}

fn results(w: &World) -> Vec<(RequestId, Result<Vec<ErrorCode>, String>)> {
    w.events
        .iter()
        .filter_map(|e| match e {
            GroupEvent::Committed { request, result } => {
                let codes = result.as_ref().map(|r| r.iter().map(|(_, c)| *c).collect());
                Some((*request, codes.map_err(ToString::to_string)))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_commit_names_member_generation_and_topic_id() {
    let mut w = classic();
    let request_id = w.member.commit(w.now, vec![at(0, 5)], LONG);
    let (id, request) = w.request(commit);
    assert_eq!((request.generation_id_or_member_epoch, request.member_id.as_str()), (1, "m"));
    assert_eq!(request.topics[0].topic_id, uuid(1));
    assert_eq!(request.topics[0].partitions[0].committed_offset, 5);
    w.answer(id, committed(&request, ErrorCode::NONE));
    assert_eq!(results(&w), [(request_id, Ok(vec![ErrorCode::NONE]))]);
}

#[test]
fn without_a_subscription_nobody_commits() {
    let mut w = World::new(config(&[]));
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    w.coordinator();
    let (id, request) = w.request(commit);
    assert_eq!((request.generation_id_or_member_epoch, request.member_id.as_str()), (-1, ""));
    w.answer(id, committed(&request, ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(results(&w)[0].1, Ok(vec![ErrorCode::UNKNOWN_MEMBER_ID]));
    assert!(w.member.poll_timeout(w.now).is_none());
}

#[test]
fn commits_keep_their_order_and_are_sent_again_until_answered() {
    let mut w = classic();
    let first = w.member.commit(w.now, vec![at(0, 5)], LONG);
    let second = w.member.commit(w.now, vec![at(0, 9)], LONG);
    let (id, request) = w.request(commit);
    w.lose(id);
    w.coordinator();
    let (id, again) = w.request(commit);
    assert_eq!(request, again, "the second waits");
    w.answer(id, committed(&again, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    let (id, again) = w.request(commit);
    w.answer(id, committed(&again, ErrorCode::NONE));
    let (id, next) = w.request(commit);
    assert_eq!(next.topics[0].partitions[0].committed_offset, 9);
    w.answer(id, committed(&next, ErrorCode::NONE));
    assert_eq!(results(&w).iter().map(|r| r.0).collect::<Vec<_>>(), [first, second]);
}

#[test]
fn a_partition_that_is_not_owned_is_not_committed_for() {
    let mut w = classic();
    w.member.commit(w.now, vec![at(0, 5), at(2, 7)], LONG);
    let (id, request) = w.request(commit);
    assert_eq!(request.topics[0].partitions.len(), 1);
    w.answer(id, committed(&request, ErrorCode::NONE));
    assert_eq!(results(&w)[0].1, Ok(vec![ErrorCode::NONE, ErrorCode::ILLEGAL_GENERATION]));
}

#[test]
fn what_waits_for_a_partition_that_comes_back_is_void() {
    let mut w = classic();
    w.member.commit(w.now, vec![at(1, 1)], LONG);
    let (id, request) = w.request(commit);
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    // Fenced: everything is lost, then t[0] comes back, where somebody else may have committed more.
    w.beat(ErrorCode::UNKNOWN_MEMBER_ID);
    w.answer(id, committed(&request, ErrorCode::UNKNOWN_MEMBER_ID));
    w.settle(5, "cooperative-sticky", &[tp("t", 0)]);
    assert!(w.waiting.iter().all(|out| commit(&out.request).is_none()), "{:?}", w.waiting);
    let codes: Vec<_> = results(&w).into_iter().map(|r| r.1).collect();
    assert_eq!(codes, [Ok(vec![ErrorCode::ILLEGAL_GENERATION]), Ok(vec![ErrorCode::ILLEGAL_GENERATION])]);
}

#[test]
fn who_has_not_heard_of_the_loss_commits_nothing() {
    // Lost, and left: the application still thinks that it holds t[0].
    let mut w = classic();
    w.obedient = false;
    w.beat(ErrorCode::UNKNOWN_MEMBER_ID);
    w.member.leave(w.now, LONG);
    w.run();
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    w.run();
    assert_eq!(results(&w)[0].1, Ok(vec![ErrorCode::ILLEGAL_GENERATION]));
    // Lost, and given again.
    let mut w = classic();
    w.beat(ErrorCode::UNKNOWN_MEMBER_ID);
    w.obedient = false;
    w.settle(5, "cooperative-sticky", &[tp("t", 0)]);
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    w.run();
    assert_eq!(results(&w)[0].1, Ok(vec![ErrorCode::ILLEGAL_GENERATION]));
    let Some(GroupEvent::Assign { id, .. }) =
        w.events.iter().rfind(|e| matches!(e, GroupEvent::Assign { .. })).cloned()
    else {
        panic!("{:?}", w.events)
    };
    w.accept(id);
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    w.request(commit);
}

#[test]
fn a_rebalance_delays_a_commit_and_the_new_generation_carries_it() {
    let mut w = classic();
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    let (id, request) = w.request(commit);
    w.answer(id, committed(&request, ErrorCode::REBALANCE_IN_PROGRESS));
    w.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    w.settle(2, "cooperative-sticky", &[tp("t", 0), tp("t", 1)]);
    // It was sent again before the new generation, where the coordinator does not take it any more.
    let (id, request) = w.request(commit);
    w.answer(id, committed(&request, ErrorCode::ILLEGAL_GENERATION));
    let (id, request) = w.request(commit);
    assert_eq!(request.generation_id_or_member_epoch, 2);
    w.answer(id, committed(&request, ErrorCode::NONE));
    assert_eq!(results(&w)[0].1, Ok(vec![ErrorCode::NONE]));
}

#[test]
fn a_generation_without_an_assignment_commits_nothing() {
    let mut w = classic();
    w.beat(ErrorCode::REBALANCE_IN_PROGRESS);
    w.join(2, "cooperative-sticky");
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    w.run();
    assert!(!w.waiting.iter().any(|out| commit(&out.request).is_some()), "{:?}", w.waiting);
    // Nor where the assignment is lost on its way: the coordinator may have started again, and the generation be another's.
    let (id, _) = w.request(sync);
    w.lose(id);
    w.coordinator();
    assert!(!w.waiting.iter().any(|out| commit(&out.request).is_some()), "{:?}", w.waiting);
    w.settle(3, "cooperative-sticky", &[tp("t", 0), tp("t", 1)]);
    let (id, request) = w.request(commit);
    assert_eq!(request.generation_id_or_member_epoch, 3);
    w.answer(id, committed(&request, ErrorCode::NONE));
    assert_eq!(results(&w)[0].1, Ok(vec![ErrorCode::NONE]));
}

#[test]
fn an_old_generation_is_a_clear_error_and_the_member_comes_back() {
    let mut w = classic();
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    let (id, request) = w.request(commit);
    w.answer(id, committed(&request, ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(results(&w)[0].1, Ok(vec![ErrorCode::ILLEGAL_GENERATION]));
    assert!(w.has.is_empty());
    w.settle(5, "cooperative-sticky", &[tp("t", 0)]);
    assert_eq!(w.has(), ["t[0]"]);
}

#[test]
fn metadata_over_the_limit_fails_alone() {
    let mut w = classic();
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    let (id, request) = w.request(commit);
    w.answer(id, committed(&request, ErrorCode::OFFSET_METADATA_TOO_LARGE));
    assert_eq!(results(&w)[0].1, Ok(vec![ErrorCode::OFFSET_METADATA_TOO_LARGE]));
    assert_eq!(w.has().len(), 2);
}

#[test]
fn a_commit_that_is_never_answered_ends_in_time() {
    let mut w = World::new(config(&[]));
    w.member.commit(w.now, vec![at(0, 5)], Duration::from_secs(3));
    w.run();
    w.pass(Duration::from_secs(3));
    assert!(results(&w)[0].1.as_ref().unwrap_err().contains("3000 ms"));
}

fn offsets(request: &OffsetFetchRequest, code: ErrorCode, offset: i64) -> GroupResponse {
    let topics = request.groups[0].topics.as_ref().unwrap();
    let topics = topics
        .iter()
        .map(|t| offset_fetch::response::OffsetFetchResponseTopics {
            topic_id: t.topic_id,
            partitions: t
                .partition_indexes
                .iter()
                .map(|p| offset_fetch::response::OffsetFetchResponsePartitions {
                    partition_index: *p,
                    committed_offset: offset,
                    error_code: code,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        })
        .collect();
    let group = offset_fetch::response::OffsetFetchResponseGroup { group_id: "g".into(), topics, ..Default::default() };
    GroupResponse::OffsetFetch(OffsetFetchResponse { groups: vec![group], ..Default::default() })
}

#[test]
fn committed_offsets_are_looked_up_again_while_a_transaction_is_about_to_commit() {
    let mut w = classic();
    w.member.committed(w.now, vec![tp("t", 0), tp("t", 1)], true, LONG);
    let (id, request) = w.request(lookup);
    assert!(request.require_stable);
    w.answer(id, offsets(&request, ErrorCode::UNSTABLE_OFFSET_COMMIT, -1));
    let (id, request) = w.request(lookup);
    w.answer(id, offsets(&request, ErrorCode::NONE, 42));
    let Some(GroupEvent::Offsets { result: Ok(found), .. }) = w.events.last() else { panic!("{:?}", w.events.last()) };
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].1.as_ref().unwrap().as_ref().unwrap().offset, 42);
    w.member.committed(w.now, vec![tp("t", 0)], true, LONG);
    let (id, request) = w.request(lookup);
    w.answer(id, offsets(&request, ErrorCode::NONE, -1));
    let Some(GroupEvent::Offsets { result: Ok(found), .. }) = w.events.last() else { panic!("{:?}", w.events.last()) };
    assert_eq!(found[0].1, Ok(None));
}

#[test]
fn a_member_of_kip_848_looks_up_and_commits_with_its_epoch() {
    let mut w = World::new(config(&[]));
    w.subscribe(&["t"]);
    w.coordinator();
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(3, Some(&[(1, &[0])])));
    w.member.committed(w.now, vec![tp("t", 0)], true, LONG);
    let (id, request) = w.request(lookup);
    assert_eq!(request.groups[0].member_epoch, 3);
    w.answer(id, offsets(&request, ErrorCode::STALE_MEMBER_EPOCH, -1));
    let (id, request) = w.request(lookup);
    w.answer(id, offsets(&request, ErrorCode::NONE, 1));
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    let (id, request) = w.request(commit);
    assert_eq!(request.generation_id_or_member_epoch, 3);
    w.answer(id, committed(&request, ErrorCode::STALE_MEMBER_EPOCH));
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(4, None));
    let (id, request) = w.request(commit);
    assert_eq!(request.generation_id_or_member_epoch, 4);
    w.answer(id, committed(&request, ErrorCode::NONE));
    assert_eq!(results(&w)[0].1, Ok(vec![ErrorCode::NONE]));
}

fn kip_848() -> World {
    let mut w = World::new(config(&[]));
    w.subscribe(&["t"]);
    w.coordinator();
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(3, Some(&[(1, &[0])])));
    let (id, _) = w.request(pulse);
    w.answer(id, pulsed(3, None));
    w
}

#[test]
fn a_commit_that_is_made_once_tells_what_the_coordinator_says_of_the_member() {
    let mut w = kip_848();
    for code in [ErrorCode::STALE_MEMBER_EPOCH, ErrorCode::UNKNOWN_MEMBER_ID] {
        w.member.commit_once(w.now, vec![at(0, 5)], LONG);
        let (id, request) = w.request(commit);
        w.answer(id, committed(&request, code));
        assert_eq!(results(&w).last().unwrap().1, Ok(vec![code]));
        assert!(w.waiting.iter().any(|out| pulse(&out.request).is_some()), "at once");
        let (id, _) = w.request(pulse);
        w.answer(id, pulsed(3, None));
    }
    assert_eq!(w.has(), ["t[0]"], "that is the heartbeat's to say");
}

#[test]
fn a_commit_of_a_member_that_leaves_takes_the_epoch_that_a_heartbeat_tells() {
    let mut w = kip_848();
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    w.member.leave(w.now, LONG);
    w.run();
    let (id, request) = w.request(commit);
    w.answer(id, committed(&request, ErrorCode::STALE_MEMBER_EPOCH));
    let (id, _) = w.request(|r| pulse(r).filter(|r| r.member_epoch >= 0));
    w.answer(id, pulsed(4, None));
    let (id, request) = w.request(commit);
    assert_eq!(request.generation_id_or_member_epoch, 4);
    w.answer(id, committed(&request, ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(results(&w)[0].1, Ok(vec![ErrorCode::UNKNOWN_MEMBER_ID]), "nobody waits for a member that is gone");
    assert!(matches!(w.events.last(), Some(GroupEvent::Left)));
}

#[test]
fn leaving_waits_for_commits() {
    let mut w = classic();
    w.member.commit(w.now, vec![at(0, 5)], LONG);
    w.member.leave(w.now, LONG);
    w.run();
    assert!(w.waiting.iter().all(|out| leave(&out.request).is_none()));
    let (id, request) = w.request(commit);
    w.answer(id, committed(&request, ErrorCode::NONE));
    assert!(w.waiting.iter().any(|out| leave(&out.request).is_some()));
}
