//! The coordinator without a log and a socket: requests in, answers and records out, the time by hand.

mod classic;
mod commits;
mod replay;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest, SyncGroupRequest,
    SyncGroupResponse, join_group, leave_group, offset_commit, sync_group,
};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::Now;

use super::*;
use crate::config::BrokerConfig;

/// A coordinator, the log that it has written, and the answers that it has given.
struct World {
    groups: GroupCoordinator,
    now: Now,
    log: Vec<GroupRecord>,
    answers: BTreeMap<u64, GroupAnswer>,
    waiters: u64,
    topics: Vec<(ByteStr, Uuid, i32)>,
}

fn coordinator(now: Now, properties: &[(&str, &str)]) -> GroupCoordinator {
    let mut config = BrokerConfig::new("/data");
    for (name, value) in properties {
        config.set(name, value).unwrap();
    }
    let mut groups = GroupCoordinator::new(GroupConfig::new(&config), 7, now);
    groups.handle_offsets_topic(50);
    groups
}

impl World {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(properties: &[(&str, &str)]) -> Self {
        let now = Now { monotonic_nanos: 1_000_000_000, wall_millis: 1_760_000_000_000 };
        let topics = ["t", "u"].iter().enumerate();
        let topics = topics.map(|(i, name)| ((*name).into(), Uuid([u8::try_from(i).unwrap() + 1; 16]), 2)).collect();
        Self {
            groups: coordinator(now, properties),
            now,
            log: Vec::new(),
            answers: BTreeMap::new(),
            waiters: 0,
            topics,
        }
    }

    /// Asks, and gives the number under which the answer comes.
    fn ask(&mut self, version: i16, ask: impl FnOnce(&mut GroupCoordinator, Now, TopicsView<'_>, &Caller)) -> u64 {
        self.waiters += 1;
        let caller = Caller {
            waiter: Waiter(self.waiters),
            version,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
        };
        ask(&mut self.groups, self.now, TopicsView::Listed(&self.topics), &caller);
        self.drain();
        self.waiters
    }

    fn drain(&mut self) {
        while let Some(effect) = self.groups.poll_effect() {
            self.log.extend(effect.appends.into_iter().flat_map(|(_, records)| records));
            for (waiter, answer) in effect.answers {
                let twice = self.answers.insert(waiter.0, answer);
                assert!(twice.is_none(), "two answers to one request: {twice:?}");
            }
        }
    }

    /// Lets time pass, and everything happen that is due on the way.
    fn pass(&mut self, millis: u64) {
        let end = self.now.instant() + Duration::from_millis(millis);
        loop {
            let at = self.groups.poll_timeout().max(self.now.instant()).min(end);
            let step = (at - self.now.instant()).as_nanos();
            self.now.monotonic_nanos = at.0;
            self.now.wall_millis += i64::try_from(step / 1_000_000).unwrap();
            if self.groups.poll_timeout() > at {
                break;
            }
            self.groups.handle_timeout(self.now, TopicsView::Listed(&self.topics));
            self.drain();
        }
    }

    fn join(&mut self, version: i16, request: &JoinGroupRequest) -> u64 {
        self.ask(version, |groups, now, topics, caller| groups.handle_join_group(now, topics, caller, request))
    }

    fn joined(&mut self, waiter: u64) -> JoinGroupResponse {
        match self.answers.remove(&waiter) {
            Some(GroupAnswer::JoinGroup(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn sync(&mut self, request: SyncGroupRequest) -> u64 {
        self.ask(4, |groups, now, topics, caller| groups.handle_sync_group(now, topics, caller, request))
    }

    fn synced(&mut self, waiter: u64) -> SyncGroupResponse {
        match self.answers.remove(&waiter) {
            Some(GroupAnswer::SyncGroup(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn heartbeat(&mut self, member: &ByteStr, generation_id: i32) -> ErrorCode {
        let member_id = member.clone();
        let request = HeartbeatRequest { group_id: "g".into(), generation_id, member_id, ..Default::default() };
        let waiter = self.ask(4, |groups, now, _, caller| groups.handle_heartbeat(now, caller, &request));
        match self.answers.remove(&waiter) {
            Some(GroupAnswer::Heartbeat(answer)) => answer.error_code,
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, member: &str, instance: Option<&str>) -> ErrorCode {
        let identity = leave_group::request::MemberIdentity {
            member_id: member.into(),
            group_instance_id: instance.map(Into::into),
            ..Default::default()
        };
        let request = LeaveGroupRequest { group_id: "g".into(), members: vec![identity], ..Default::default() };
        let waiter = self.ask(5, |groups, now, topics, caller| groups.handle_leave_group(now, topics, caller, request));
        match self.answers.remove(&waiter) {
            Some(GroupAnswer::LeaveGroup(answer)) => answer.members[0].error_code,
            other => panic!("{other:?}"),
        }
    }

    fn commit(&mut self, member: &str, generation: i32, topic: &str, offset: i64) -> ErrorCode {
        let request = commit_request("g", member, generation, topic, offset);
        let waiter =
            self.ask(8, |groups, now, topics, caller| groups.handle_offset_commit(now, caller, topics, &request));
        match self.answers.remove(&waiter) {
            Some(GroupAnswer::OffsetCommit(answer)) => answer.topics[0].partitions[0].error_code,
            other => panic!("{other:?}"),
        }
    }

    fn committed(&self, topic: &str) -> Option<i64> {
        self.groups.groups.get("g")?.offsets.get(topic, 0).map(|offset| offset.offset)
    }

    fn classic(&self) -> &ClassicGroup {
        match self.groups.groups.get("g").map(|entry| &entry.group) {
            Some(Group::Classic(group)) => group,
            other => panic!("{other:?}"),
        }
    }

    /// Members with the protocol `range`, joined and synced: their ids, the leader first, and the generation.
    fn stable(&mut self, members: usize) -> (Vec<ByteStr>, i32) {
        let ids: Vec<ByteStr> = (0..members)
            .map(|_| {
                let waiter = self.join(4, &join("", None));
                self.joined(waiter).member_id
            })
            .collect();
        let mut waiters: Vec<u64> = ids.iter().map(|id| self.join(4, &join(id, None))).collect();
        // Without an initial delay the first one was alone, and joins again when it hears of the others.
        if !self.answers.contains_key(&waiters[members - 1]) {
            self.joined(waiters[0]);
            waiters[0] = self.join(4, &join(&ids[0], None));
        }
        let answers: Vec<JoinGroupResponse> = waiters.into_iter().map(|waiter| self.joined(waiter)).collect();
        let (leader, generation) = (answers[0].leader.clone(), answers[0].generation_id);
        let followers: Vec<ByteStr> = ids.into_iter().filter(|id| *id != leader).collect();
        let assignments: Vec<(&str, &str)> = followers.iter().map(|id| (id.as_str(), "follower")).collect();
        let assignments = [vec![(leader.as_str(), "leader")], assignments].concat();
        let waiter = self.sync(sync(&leader, generation, &assignments));
        assert_eq!(self.synced(waiter).assignment, "leader");
        for id in &followers {
            let waiter = self.sync(sync(id, generation, &[]));
            assert_eq!(self.synced(waiter).assignment, "follower");
        }
        ([vec![leader], followers].concat(), generation)
    }
}

fn join(member: &str, instance: Option<&str>) -> JoinGroupRequest {
    join_with(member, instance, &[("range", subscription(&["t"])), ("roundrobin", subscription(&["t"]))])
}

fn join_with(member: &str, instance: Option<&str>, protocols: &[(&str, Bytes)]) -> JoinGroupRequest {
    let protocols = protocols.iter().map(|(name, metadata)| join_group::request::JoinGroupRequestProtocol {
        name: (*name).into(),
        metadata: metadata.clone(),
        ..Default::default()
    });
    JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        member_id: member.into(),
        group_instance_id: instance.map(Into::into),
        protocol_type: "consumer".into(),
        protocols: protocols.collect(),
        ..Default::default()
    }
}

/// A consumer's subscription, version 0.
fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.into()
}

fn sync(member: &str, generation_id: i32, assignments: &[(&str, &str)]) -> SyncGroupRequest {
    let assignments = assignments.iter().map(|(member, assignment)| sync_group::request::SyncGroupRequestAssignment {
        member_id: (*member).into(),
        assignment: Bytes::copy_from_slice(assignment.as_bytes()),
        ..Default::default()
    });
    SyncGroupRequest {
        group_id: "g".into(),
        generation_id,
        member_id: member.into(),
        assignments: assignments.collect(),
        ..Default::default()
    }
}

fn commit_request(group: &str, member: &str, generation: i32, topic: &str, offset: i64) -> OffsetCommitRequest {
    use offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    let partitions = vec![OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() }];
    OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: generation,
        member_id: member.into(),
        topics: vec![OffsetCommitRequestTopic { name: topic.into(), partitions, ..Default::default() }],
        ..Default::default()
    }
}

#[test]
fn a_group_goes_to_the_partition_that_kafka_gives_it() {
    let mut groups = coordinator(Now::default(), &[]);
    groups.handle_offsets_topic(4);
    // As Apache Kafka placed them among four.
    assert_eq!(["k1-a", "k1-simple2", ""].map(|group| groups.partition_for(group)), [2, 1, 0]);
    // The hash of this one is the one number without an absolute value.
    assert_eq!(groups.partition_for("polygenelubricants"), 0);
}
