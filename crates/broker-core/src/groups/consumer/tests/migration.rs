//! Groups that change their protocol while they have members, driven through the coordinator as the broker drives it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::data::consumer_protocol_assignment::TopicPartition as AssignedTopic;
use felice_protocol::messages::data::consumer_protocol_subscription::TopicPartition as OwnedTopic;
use felice_protocol::messages::data::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use felice_protocol::messages::join_group::request::JoinGroupRequestProtocol;
use felice_protocol::messages::leave_group::request::MemberIdentity;
use felice_protocol::messages::sync_group::request::SyncGroupRequestAssignment;
use felice_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, Message, SyncGroupRequest,
    SyncGroupResponse,
};
use felice_protocol::primitives::{ByteStr, Decoder, Encoder, Uuid};
use felice_protocol::time::Now;

use super::{beating, given, joining, owning, partitions, topic_id};
use crate::config::{BrokerConfig, GroupConfig};
use crate::groups::records::GroupRecord;
use crate::groups::topics_view::TopicsView;
use crate::groups::{Caller, Group, GroupAnswer, GroupCoordinator, Waiter};

/// What a classic member owns, by topic.
pub(super) type Owned = BTreeMap<String, Vec<i32>>;

/// A coordinator, its topics, its time, and all that it has written and answered.
pub(super) struct Coordinator {
    pub(super) groups: GroupCoordinator,
    pub(super) topics: Vec<(ByteStr, Uuid, i32)>,
    pub(super) now: Now,
    pub(super) log: Vec<GroupRecord>,
    pub(super) answers: BTreeMap<u64, GroupAnswer>,
    next_waiter: u64,
}

impl Coordinator {
    pub(super) fn new(topics: &[(&str, i32)], properties: &[(&str, &str)]) -> Self {
        let mut config = BrokerConfig::new("/data");
        for (name, value) in properties {
            config.set(name, value).unwrap();
        }
        let now = Now { monotonic_nanos: 0, wall_millis: 1_000_000 };
        let mut groups = GroupCoordinator::new(GroupConfig::new(&config), 7, now);
        groups.handle_offsets_topic(1);
        let topics = topics.iter().zip(1_u8..).map(|((name, count), id)| ((*name).into(), topic_id(id), *count));
        Self { groups, topics: topics.collect(), now, log: Vec::new(), answers: BTreeMap::new(), next_waiter: 0 }
    }

    pub(super) fn send(
        &mut self,
        version: i16,
        feed: impl FnOnce(&mut GroupCoordinator, Now, TopicsView<'_>, &Caller),
    ) -> u64 {
        self.next_waiter += 1;
        let caller = Caller {
            waiter: Waiter(self.next_waiter),
            version,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
        };
        feed(&mut self.groups, self.now, TopicsView::Listed(&self.topics), &caller);
        self.drain();
        self.next_waiter
    }

    fn drain(&mut self) {
        while let Some(effect) = self.groups.poll_effect() {
            self.log.extend(effect.appends.into_iter().flat_map(|(_, records)| records));
            self.answers.extend(effect.answers.into_iter().map(|(waiter, answer)| (waiter.0, answer)));
        }
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.now.monotonic_nanos += u64::try_from(by.as_nanos()).unwrap();
        self.now.wall_millis += i64::try_from(by.as_millis()).unwrap();
        self.groups.handle_timeout(self.now, TopicsView::Listed(&self.topics));
        self.drain();
    }

    pub(super) fn beat(&mut self, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
        let waiter = self.send(1, |groups, now, view, caller| {
            groups.handle_consumer_group_heartbeat(now, view, caller, &request);
        });
        match self.answers.remove(&waiter) {
            Some(GroupAnswer::ConsumerGroupHeartbeat(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a JoinGroup; what it is answered may come later.
    pub(super) fn send_join(&mut self, id: &str, topics: &[&str], owned: &Owned) -> u64 {
        let request = JoinGroupRequest {
            group_id: "group".into(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 60_000,
            member_id: id.into(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "cooperative-sticky".into(),
                metadata: subscription(topics, owned),
                ..Default::default()
            }],
            ..Default::default()
        };
        self.send(9, |groups, now, view, caller| groups.handle_join_group(now, view, caller, &request))
    }

    pub(super) fn joined(&mut self, waiter: u64) -> Option<JoinGroupResponse> {
        match self.answers.remove(&waiter)? {
            GroupAnswer::JoinGroup(response) => Some(response),
            other => panic!("{other:?}"),
        }
    }

    /// A member id from the coordinator.
    pub(super) fn member_id(&mut self, topics: &[&str]) -> String {
        let waiter = self.send_join("", topics, &Owned::new());
        let response = self.joined(waiter).unwrap();
        assert_eq!(response.error_code, ErrorCode::MEMBER_ID_REQUIRED);
        response.member_id.as_str().to_owned()
    }

    pub(super) fn send_sync(&mut self, id: &str, generation_id: i32, assignments: &[(String, Owned)]) -> u64 {
        let assignments = assignments.iter().map(|(member, owned)| SyncGroupRequestAssignment {
            member_id: member.as_str().into(),
            assignment: assignment(owned),
            ..Default::default()
        });
        let request = SyncGroupRequest {
            group_id: "group".into(),
            generation_id,
            member_id: id.into(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("cooperative-sticky".into()),
            assignments: assignments.collect(),
            ..Default::default()
        };
        self.send(5, |groups, now, view, caller| groups.handle_sync_group(now, view, caller, request))
    }

    pub(super) fn synced(&mut self, waiter: u64) -> Option<SyncGroupResponse> {
        match self.answers.remove(&waiter)? {
            GroupAnswer::SyncGroup(response) => Some(response),
            other => panic!("{other:?}"),
        }
    }

    /// The generation in which a member is that offers these protocols.
    fn joins_with(&mut self, id: &str, protocols: &[&str]) -> i32 {
        let protocols = protocols.iter().map(|name| JoinGroupRequestProtocol {
            name: (*name).into(),
            metadata: subscription(&["a", "t"], &Owned::new()),
            ..Default::default()
        });
        let request = JoinGroupRequest {
            group_id: "group".into(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 60_000,
            member_id: id.into(),
            protocol_type: "consumer".into(),
            protocols: protocols.collect(),
            ..Default::default()
        };
        let waiter = self.send(9, |groups, now, view, caller| groups.handle_join_group(now, view, caller, &request));
        self.joined(waiter).unwrap().generation_id
    }

    /// What a member is answered that asks for its assignment under this protocol.
    fn syncs_with(&mut self, id: &str, generation_id: i32, protocol: &str) -> ErrorCode {
        let request = SyncGroupRequest {
            group_id: "group".into(),
            generation_id,
            member_id: id.into(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some(protocol.into()),
            ..Default::default()
        };
        let waiter = self.send(5, |groups, now, view, caller| groups.handle_sync_group(now, view, caller, request));
        self.synced(waiter).unwrap().error_code
    }

    pub(super) fn heartbeat(&mut self, id: &str, generation_id: i32) -> ErrorCode {
        let request =
            HeartbeatRequest { group_id: "group".into(), generation_id, member_id: id.into(), ..Default::default() };
        let waiter = self.send(4, |groups, now, _, caller| groups.handle_heartbeat(now, caller, &request));
        match self.answers.remove(&waiter) {
            Some(GroupAnswer::Heartbeat(response)) => response.error_code,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn leave(&mut self, id: &str) -> LeaveGroupResponse {
        let members = vec![MemberIdentity { member_id: id.into(), ..Default::default() }];
        let request = LeaveGroupRequest { group_id: "group".into(), members, ..Default::default() };
        let waiter = self.send(5, |groups, now, view, caller| groups.handle_leave_group(now, view, caller, request));
        match self.answers.remove(&waiter) {
            Some(GroupAnswer::LeaveGroup(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    /// One whole round of a classic member in a consumer group.
    fn round(&mut self, id: &str, owned: &Owned) -> (i32, Owned) {
        let waiter = self.send_join(id, &["a"], owned);
        let joined = self.joined(waiter).unwrap();
        assert_eq!(joined.error_code, ErrorCode::NONE);
        assert_eq!(joined.protocol_name.as_deref(), Some("cooperative-sticky"));
        let waiter = self.send_sync(id, joined.generation_id, &[]);
        let synced = self.synced(waiter).unwrap();
        assert_eq!(synced.error_code, ErrorCode::NONE);
        (joined.generation_id, assigned(&synced.assignment))
    }

    pub(super) fn is_consumer(&self) -> bool {
        matches!(self.groups.groups[&ByteStr::from("group")].group, Group::Consumer(_))
    }

    /// Type and state, as ListGroups tells them.
    fn listed(&mut self) -> (String, String) {
        let request = ListGroupsRequest::default();
        let waiter = self.send(5, |groups, _, _, caller| groups.handle_list_groups(caller, &request));
        let Some(GroupAnswer::ListGroups(response)) = self.answers.remove(&waiter) else { panic!() };
        let group = &response.groups[0];
        assert_eq!(group.protocol_type, "consumer");
        (group.group_type.as_str().to_owned(), group.group_state.as_str().to_owned())
    }

    /// Another coordinator that has read the log, of each key only the last record, knows the same.
    pub(super) fn check(&self) {
        let mut again = GroupCoordinator::new(GroupConfig::new(&BrokerConfig::new("/data")), 7, self.now);
        again.handle_offsets_topic(1);
        let last: BTreeMap<_, usize> = self.log.iter().enumerate().map(|(at, record)| (&record.key, at)).collect();
        for (at, record) in self.log.iter().enumerate() {
            if last[&record.key] == at {
                again.replay(record.key.clone(), record.value.clone()).unwrap();
            }
        }
        let id = ByteStr::from("group");
        match (self.groups.groups.get(&id).map(|it| &it.group), again.groups.get(&id).map(|it| &it.group)) {
            (Some(Group::Consumer(group)), Some(Group::Consumer(replayed))) => {
                assert_eq!(group.members, replayed.members);
                assert_eq!(group.targets, replayed.targets);
                assert_eq!(group.owners, replayed.owners);
                assert_eq!((group.epoch, group.assignment_epoch), (replayed.epoch, replayed.assignment_epoch));
            }
            (Some(Group::Classic(_)), Some(Group::Classic(_))) | (None, None) => {}
            (group, replayed) => panic!("{group:?} {replayed:?}"),
        }
    }
}

pub(super) fn subscription(topics: &[&str], owned: &Owned) -> Bytes {
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().map(|name| (*name).into()).collect(),
        owned_partitions: owned
            .iter()
            .map(|(topic, partitions)| OwnedTopic { topic: topic.as_str().into(), partitions: partitions.clone() })
            .collect(),
        ..Default::default()
    };
    let mut e = Encoder::new();
    e.i16(1);
    subscription.encode(&mut e, 1).unwrap();
    e.finish().into_bytes()
}

fn assignment(owned: &Owned) -> Bytes {
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: owned
            .iter()
            .map(|(topic, partitions)| AssignedTopic { topic: topic.as_str().into(), partitions: partitions.clone() })
            .collect(),
        user_data: None,
    };
    let mut e = Encoder::new();
    e.i16(1);
    assignment.encode(&mut e, 1).unwrap();
    e.finish().into_bytes()
}

pub(super) fn assigned(assignment: &Bytes) -> Owned {
    let mut d = Decoder::new(assignment.clone());
    let version = d.i16().unwrap();
    let assignment = ConsumerProtocolAssignment::decode(&mut d, version).unwrap();
    assignment.assigned_partitions.into_iter().map(|it| (it.topic.as_str().to_owned(), it.partitions)).collect()
}

fn owned(partitions: &[i32]) -> Owned {
    if partitions.is_empty() { Owned::new() } else { Owned::from([("a".to_owned(), partitions.to_vec())]) }
}

/// A classic group of one member that has all four partitions of `a`.
fn classic_group(properties: &[(&str, &str)]) -> (Coordinator, String) {
    let mut world = Coordinator::new(&[("a", 4)], properties);
    let id = world.member_id(&["a"]);
    let waiter = world.send_join(&id, &["a"], &Owned::new());
    assert_eq!(world.joined(waiter).unwrap().generation_id, 1);
    let waiter = world.send_sync(&id, 1, &[(id.clone(), owned(&[0, 1, 2, 3]))]);
    assert_eq!(assigned(&world.synced(waiter).unwrap().assignment), owned(&[0, 1, 2, 3]));
    assert_eq!(world.listed(), ("classic".to_owned(), "Stable".to_owned()));
    (world, id)
}

#[test]
fn a_classic_group_becomes_a_consumer_group_and_back_and_no_partition_is_given_twice() {
    let (mut world, classic) = classic_group(&[]);
    let first = world.beat(joining("new", &["a"]));
    assert_eq!((first.error_code, first.member_epoch), (ErrorCode::NONE, 2));
    assert_eq!(given(&first), Some(partitions(&[])), "the classic member still has all");
    assert_eq!(world.listed(), ("consumer".to_owned(), "Reconciling".to_owned()));
    world.check();

    assert_eq!(world.heartbeat(&classic, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    let (epoch, kept) = world.round(&classic, &owned(&[0, 1, 2, 3]));
    assert_eq!((epoch, kept), (1, owned(&[0, 1])), "it is to give two back, in its old epoch");
    assert_eq!(given(&world.beat(beating("new", 2))), None);
    assert_eq!(world.heartbeat(&classic, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    let (epoch, kept) = world.round(&classic, &owned(&[0, 1]));
    assert_eq!((epoch, kept), (2, owned(&[0, 1])));
    assert_eq!(world.heartbeat(&classic, 2), ErrorCode::NONE);
    assert_eq!(given(&world.beat(beating("new", 2))), Some(partitions(&[(1, &[2, 3])])));
    assert_eq!(world.listed(), ("consumer".to_owned(), "Stable".to_owned()));
    world.check();

    // The last member of the consumer protocol goes: the group is classic again, and everyone is to join.
    let left = world.beat(beating("new", -1));
    assert_eq!((left.error_code, left.member_epoch), (ErrorCode::NONE, -1));
    assert_eq!(world.listed(), ("classic".to_owned(), "PreparingRebalance".to_owned()));
    assert_eq!(world.heartbeat(&classic, world_generation(&world)), ErrorCode::REBALANCE_IN_PROGRESS);
    let waiter = world.send_join(&classic, &["a"], &owned(&[0, 1]));
    let joined = world.joined(waiter).unwrap();
    assert_eq!((joined.error_code, joined.leader.as_str()), (ErrorCode::NONE, classic.as_str()));
    let waiter = world.send_sync(&classic, joined.generation_id, &[(classic.clone(), owned(&[0, 1, 2, 3]))]);
    assert_eq!(assigned(&world.synced(waiter).unwrap().assignment), owned(&[0, 1, 2, 3]));
    world.check();
}

fn world_generation(world: &Coordinator) -> i32 {
    match &world.groups.groups[&ByteStr::from("group")].group {
        Group::Classic(group) => group.generation_id,
        Group::Consumer(group) => group.epoch(),
    }
}

#[test]
fn a_classic_member_may_join_and_leave_a_consumer_group() {
    let mut world = Coordinator::new(&[("a", 4)], &[]);
    world.beat(joining("m1", &["a"]));
    let classic = world.member_id(&["a"]);
    let (epoch, kept) = world.round(&classic, &Owned::new());
    assert_eq!((epoch, kept), (3, Owned::new()), "nothing is free yet");
    assert_eq!(world.heartbeat(&classic, 3), ErrorCode::NONE, "and nothing to join for");
    let asked = given(&world.beat(beating("m1", 2))).unwrap();
    assert_eq!(asked[&topic_id(1)].len(), 2);
    let kept: Vec<i32> = asked[&topic_id(1)].iter().copied().collect();
    assert_eq!(world.beat(owning("m1", 2, &[(1, &kept)])).member_epoch, 3);
    assert_eq!(world.heartbeat(&classic, 3), ErrorCode::REBALANCE_IN_PROGRESS, "now there is");
    let (_, got) = world.round(&classic, &Owned::new());
    assert_eq!(got["a"].len(), 2);
    assert_eq!(world.heartbeat(&classic, 9), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(world.heartbeat("m1", 3), ErrorCode::UNKNOWN_MEMBER_ID, "it is not a classic one");
    world.check();
    let left = world.leave(&classic);
    assert_eq!(left.members[0].error_code, ErrorCode::NONE);
    assert_eq!(world.leave("m9").members[0].error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(given(&world.beat(beating("m1", 3))), Some(partitions(&[(1, &[0, 1, 2, 3])])));
    world.check();
}

#[test]
fn an_administrator_removes_a_member_of_either_protocol_by_its_instance_id() {
    let mut world = Coordinator::new(&[("a", 4)], &[]);
    world.beat(ConsumerGroupHeartbeatRequest { instance_id: Some("i1".into()), ..joining("m1", &["a"]) });
    let members = vec![MemberIdentity { group_instance_id: Some("i1".into()), ..Default::default() }];
    let request = LeaveGroupRequest { group_id: "group".into(), members, ..Default::default() };
    let waiter = world.send(5, |groups, now, view, caller| groups.handle_leave_group(now, view, caller, request));
    let Some(GroupAnswer::LeaveGroup(left)) = world.answers.remove(&waiter) else { panic!() };
    let [member] = left.members.as_slice() else { panic!("{left:?}") };
    assert_eq!((member.error_code, member.member_id.as_str()), (ErrorCode::NONE, ""));
    assert_eq!(member.group_instance_id.as_deref(), Some("i1"));
    assert_eq!(world.listed(), ("consumer".to_owned(), "Empty".to_owned()));
}

#[test]
fn a_classic_member_that_does_not_join_again_is_fenced() {
    let (mut world, classic) = classic_group(&[]);
    world.beat(joining("new", &["a"]));
    let mut epoch = 2;
    for _ in 0..7 {
        let _ = world.heartbeat(&classic, 1);
        world.advance(Duration::from_secs(10));
        epoch = world.beat(beating("new", epoch)).member_epoch;
    }
    assert_eq!(world.heartbeat(&classic, 1), ErrorCode::UNKNOWN_MEMBER_ID);
    let request = ConsumerGroupHeartbeatRequest { member_epoch: epoch, ..joining("new", &["a"]) };
    assert_eq!(given(&world.beat(request)), Some(partitions(&[(1, &[0, 1, 2, 3])])));
    world.check();
}

#[test]
fn the_policy_decides_who_may_come() {
    let (mut world, _) = classic_group(&[("group.consumer.migration.policy", "downgrade")]);
    let refused = world.beat(joining("new", &["a"]));
    assert_eq!(refused.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert!(!world.is_consumer());

    let mut world = Coordinator::new(&[("a", 4)], &[("group.consumer.migration.policy", "disabled")]);
    world.beat(joining("m1", &["a"]));
    let waiter = world.send_join("", &["a"], &Owned::new());
    assert_eq!(world.joined(waiter).unwrap().error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);

    let (mut world, classic) = classic_group(&[("group.consumer.migration.policy", "upgrade")]);
    world.beat(joining("new", &["a"]));
    world.beat(beating("new", -1));
    assert!(world.is_consumer(), "no way back");
    assert_eq!(world.heartbeat(&classic, 1), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn an_empty_group_is_what_its_next_member_is() {
    let (mut world, classic) = classic_group(&[]);
    world.leave(&classic);
    assert_eq!(world.beat(joining("m1", &["a"])).member_epoch, 2);
    assert!(world.is_consumer());
    world.check();
    world.beat(beating("m1", -1));
    assert_eq!(world.listed(), ("consumer".to_owned(), "Empty".to_owned()));
    world.check();
    let id = world.member_id(&["a"]);
    let waiter = world.send_join(&id, &["a"], &Owned::new());
    assert_eq!(world.joined(waiter).unwrap().error_code, ErrorCode::NONE);
    assert!(!world.is_consumer());
    world.check();
    assert_eq!(world.beat(beating("m1", 5)).error_code, ErrorCode::GROUP_ID_NOT_FOUND);
}

/// The group's protocol may have been another of the member's when it was answered to join, as a classic group still.
#[test]
fn a_sync_may_name_any_protocol_that_its_member_offers() {
    let mut world = Coordinator::new(&[("t", 4)], &[]);
    world.beat(joining("consumer", &["t"]));
    let id = world.member_id(&["t"]);
    let generation_id = world.joins_with(&id, &["range", "cooperative-sticky"]);
    for (name, expected) in
        [("cooperative-sticky", ErrorCode::NONE), ("sticky", ErrorCode::INCONSISTENT_GROUP_PROTOCOL)]
    {
        assert_eq!(world.syncs_with(&id, generation_id, name), expected, "{name}");
    }
}

/// The group may have become classic since it was answered to join, and taken another of its protocols for all.
#[test]
fn a_member_that_joined_a_consumer_group_and_syncs_in_a_classic_one_joins_again() {
    let mut world = Coordinator::new(&[("a", 4)], &[]);
    world.beat(joining("consumer", &["a"]));
    let [first, second, third] = [(); 3].map(|()| world.member_id(&["a"]));
    world.joins_with(&first, &["sticky", "range"]);
    world.joins_with(&third, &["sticky", "range"]);
    let generation_id = world.joins_with(&second, &["range", "sticky"]);
    world.beat(beating("consumer", -1));
    assert!(!world.is_consumer());
    assert_eq!(world.syncs_with(&second, generation_id, "range"), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(world.syncs_with(&second, generation_id, "roundrobin"), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
}
