//! Any order of answers, errors, losses and time: the member always has a way out, and never holds a partition twice.

use std::collections::BTreeSet;
use std::time::Duration;

use felice_client_core::backoff::Random;
use felice_client_core::consumer::OffsetAndMetadata;
use felice_client_core::consumer::group::request::{GroupOut, GroupRequest, GroupResponse};
use felice_client_core::consumer::group::{GroupEvent, MemberState, Subscription};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::*;

use crate::world::*;

fn pick<'a, V>(random: &mut Random, of: &'a [V]) -> &'a V {
    &of[usize::try_from(random.next_u64() % of.len() as u64).unwrap()]
}

fn chance(random: &mut Random, percent: u64) -> bool {
    random.next_u64() % 100 < percent
}

/// Codes that leave a way on, and sometimes one that does not.
fn code(random: &mut Random) -> ErrorCode {
    if chance(random, 60) {
        return ErrorCode::NONE;
    }
    if chance(random, 2) {
        return *pick(random, ErrorCode::ALL);
    }
    *pick(
        random,
        &[
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ErrorCode::NOT_COORDINATOR,
            ErrorCode::UNKNOWN_MEMBER_ID,
            ErrorCode::ILLEGAL_GENERATION,
            ErrorCode::REBALANCE_IN_PROGRESS,
            ErrorCode::FENCED_MEMBER_EPOCH,
            ErrorCode::STALE_MEMBER_EPOCH,
            ErrorCode::UNKNOWN_SERVER_ERROR,
            ErrorCode::UNSTABLE_OFFSET_COMMIT,
            ErrorCode::UNKNOWN_TOPIC_ID,
            ErrorCode::MEMBER_ID_REQUIRED,
        ],
    )
}

fn partitions(random: &mut Random) -> Vec<i32> {
    (0..3).filter(|_| chance(random, 50)).collect()
}

fn reply(random: &mut Random, generation: &mut i32, out: &GroupOut) -> GroupResponse {
    let code = code(random);
    match &out.request {
        GroupRequest::FindCoordinator(_) => {
            let GroupResponse::FindCoordinator(mut response) = found() else { unreachable!() };
            if matches!(code, ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) {
                response.coordinators[0].error_code = code;
            }
            GroupResponse::FindCoordinator(response)
        }
        GroupRequest::JoinGroup(request) => {
            *generation += 1;
            let protocol = request.protocols[0].name.clone();
            let leader = if chance(random, 50) { "m" } else { "other" };
            let GroupResponse::JoinGroup(mut response) =
                joined(*generation, &protocol, leader, &[("m", &["t", "u"]), ("other", &["t"])])
            else {
                unreachable!()
            };
            response.error_code = code;
            response.skip_assignment = chance(random, 5);
            GroupResponse::JoinGroup(response)
        }
        GroupRequest::SyncGroup(_) => {
            let given: Vec<_> = partitions(random).into_iter().map(|p| tp("t", p)).collect();
            let GroupResponse::SyncGroup(mut response) = synced(&given) else { unreachable!() };
            response.error_code = code;
            if chance(random, 2) {
                response.assignment = bytes::Bytes::from_static(b"\x00\x01nonsense");
            }
            GroupResponse::SyncGroup(response)
        }
        GroupRequest::Heartbeat(_) => {
            GroupResponse::Heartbeat(HeartbeatResponse { error_code: code, ..Default::default() })
        }
        GroupRequest::LeaveGroup(_) => {
            GroupResponse::LeaveGroup(LeaveGroupResponse { error_code: code, ..Default::default() })
        }
        GroupRequest::ConsumerGroupHeartbeat(_) => {
            if !code.is_ok() {
                return refused(code);
            }
            *generation += i32::from(chance(random, 30));
            let (old, new) = (partitions(random), partitions(random));
            let given: &[(u8, &[i32])] = &[(1, &old), (2, &new)];
            pulsed((*generation).max(1), chance(random, 40).then_some(given))
        }
        GroupRequest::OffsetCommit(request) => {
            let topics = request
                .topics
                .iter()
                .map(|t| offset_commit::response::OffsetCommitResponseTopic {
                    topic_id: t.topic_id,
                    name: t.name.clone(),
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
        GroupRequest::OffsetFetch(_) => {
            let group = offset_fetch::response::OffsetFetchResponseGroup { error_code: code, ..Default::default() };
            GroupResponse::OffsetFetch(OffsetFetchResponse { groups: vec![group], ..Default::default() })
        }
    }
}

/// The promise: whoever is in the middle of something either waits for an answer or has a time at which it goes on.
fn check(w: &World, seed: u64, step: usize) {
    let idle = matches!(w.member.state(), MemberState::Unsubscribed | MemberState::Failed | MemberState::Left);
    let at = w.member.poll_timeout(w.now);
    assert!(
        idle || at.is_some() || !w.waiting.is_empty(),
        "seed {seed}, step {step}: {:?} has neither deadline nor request",
        w.member.status()
    );
    assert!(idle || w.member.status().deadline.is_some(), "seed {seed}, step {step}: {:?}", w.member.status());
    let held: BTreeSet<_> = w.member.assignment().cloned().collect();
    let known: BTreeSet<_> = w.has.union(&w.parting).cloned().collect();
    assert!(held.is_subset(&known), "seed {seed}, step {step}: holds {held:?}, told {:?}", w.has);
}

fn schedule(seed: u64) {
    let mut random = Random::new(seed);
    let strategy = *pick(&mut random, &["range", "cooperative-sticky", "sticky", "range,cooperative-sticky"]);
    let protocol = *pick(&mut random, &["classic", "consumer", "auto"]);
    let mut values = vec![("group.protocol", protocol)];
    if protocol == "classic" {
        values.push(("partition.assignment.strategy", strategy));
    }
    if chance(&mut random, 20) {
        values.push(("group.instance.id", "i"));
    }
    let mut w = World::new(config(&values));
    let (mut generation, mut late, mut commits, mut answered) = (0, Vec::new(), 0_u32, 0_u32);
    let mut told = 0;
    for step in 0..400 {
        match random.next_u64() % 12 {
            0 if chance(&mut random, 20) => {
                let topics: &[&str] = if chance(&mut random, 50) { &["t"] } else { &["t", "u"] };
                w.subscribe(topics);
            }
            0 if chance(&mut random, 10) => {
                w.member.subscribe(w.now, Subscription::Pattern("t|u".into())).unwrap();
            }
            0 if chance(&mut random, 10) => w.member.unsubscribe(w.now),
            0 if chance(&mut random, 10) => w.member.leave(w.now, Duration::from_secs(5)),
            1 => {
                w.obedient = chance(&mut random, 80);
            }
            2 => {
                let late_one: Option<felice_client_core::consumer::group::ProposalId> = late.pop();
                if let Some(id) = late_one {
                    w.accept(id);
                }
            }
            3 => {
                let id = if chance(&mut random, 80) { 1 } else { 2 };
                let topics: &[(&str, u8, usize)] = if chance(&mut random, 50) {
                    &[("t", 1, 3)]
                } else if id == 1 {
                    &[("t", 1, 3), ("u", 2, 3)]
                } else {
                    &[("t", 2, 3)]
                };
                let metadata = if chance(&mut random, 20) { missing(topics, "u") } else { cluster(topics) };
                w.metadata(&metadata);
            }
            4 => {
                w.member.pending(w.now, chance(&mut random, 50));
            }
            5 => w.member.handle_progress(w.now),
            6 => {
                let offset = i64::from(commits);
                let which = i32::try_from(random.next_u64() % 3).unwrap();
                w.member.commit(w.now, vec![(tp("t", which), OffsetAndMetadata::new(offset))], Duration::from_secs(20));
                commits += 1;
                if chance(&mut random, 30) {
                    w.member.committed(w.now, vec![tp("t", 0)], true, Duration::from_secs(20));
                    commits += 1;
                }
            }
            7 if chance(&mut random, 20) => {
                let error = felice_client_core::error::Error::new(felice_client_core::error::ErrorKind::Connect, "x");
                w.member.handle_disconnected(w.now, 1, &error);
                for out in std::mem::take(&mut w.waiting) {
                    w.lose(out.id);
                }
            }
            8 => {
                if let Some(at) = w.member.poll_timeout(w.now) {
                    w.pass(at.since(w.now.instant()));
                }
            }
            _ => {
                if !w.waiting.is_empty() {
                    let i = usize::try_from(random.next_u64() % w.waiting.len() as u64).unwrap();
                    let out = w.waiting.remove(i);
                    if chance(&mut random, 10) {
                        w.lose(out.id);
                    } else {
                        let response = reply(&mut random, &mut generation, &out);
                        w.answer(out.id, response);
                    }
                }
            }
        }
        w.run();
        for event in &w.events[told..] {
            match event {
                GroupEvent::Assign { id, .. } | GroupEvent::Revoke { id, .. } | GroupEvent::Lost { id, .. } => {
                    late.insert(0, *id);
                }
                GroupEvent::Committed { .. } | GroupEvent::Offsets { .. } => answered += 1,
                _ => {}
            }
        }
        told = w.events.len();
        check(&w, seed, step);
    }
    // The faults stop: everything asked for is answered, and the member goes in its time.
    w.obedient = true;
    w.member.leave(w.now, Duration::from_secs(5));
    for _ in 0..2000 {
        w.run();
        while !w.waiting.is_empty() {
            let out = w.waiting.remove(0);
            w.lose(out.id);
        }
        let Some(at) = w.member.poll_timeout(w.now) else { break };
        w.pass(at.since(w.now.instant()));
    }
    w.run();
    for event in &w.events[told..] {
        answered += u32::from(matches!(event, GroupEvent::Committed { .. } | GroupEvent::Offsets { .. }));
    }
    assert!(
        matches!(w.member.state(), MemberState::Left | MemberState::Failed),
        "seed {seed}: {:?}",
        w.member.status()
    );
    assert_eq!(answered, commits, "seed {seed}: every commit and look-up is answered once");
    assert!(w.member.assignment().next().is_none());
    assert!(w.member.poll_timeout(w.now).is_none(), "seed {seed}");
}

#[test]
fn no_order_of_answers_leaves_a_member_without_a_way_out() {
    for seed in 0..400 {
        schedule(seed);
    }
}
