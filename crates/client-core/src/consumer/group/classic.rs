//! The classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup. One member is the leader and divides the partitions; it also watches
//! the group's topics and asks for a new division when they change. Java: `AbstractCoordinator`, `ConsumerCoordinator`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest, SyncGroupResponse,
    join_group, leave_group, sync_group,
};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::{Instant, Now};

use super::GroupMember;
use super::codes::{Recovery, classic_recovery, fatal, lost};
use super::event::GroupEvent;
use super::exchange::Asked;
use super::membership::{MARGIN, Phase, Speaks};
use super::request::GroupRequest;
use crate::bugs::Bug;
use crate::consumer::TopicPartition;
use crate::consumer::assignor::protocol::{PROTOCOL_TYPE, decode_assignment, decode_subscription, encode_assignment};
use crate::consumer::assignor::{
    Assignment, Assignor, GroupSubscription, MemberSubscription, assignable_topics, offered_protocols,
};
use crate::error::{Error, ErrorKind};
use crate::metadata::ClusterMetadata;

/// What the next SyncGroup carries.
#[derive(Debug, Default)]
enum Plan {
    /// Nothing: another member leads, or the coordinator wants none.
    #[default]
    Follow,
    /// The leader waits for metadata of every topic, until then at the longest.
    Lead { members: Vec<MemberSubscription>, until: Instant },
    /// The leader's work.
    Assignments(Vec<sync_group::request::SyncGroupRequestAssignment>),
}

/// What a division of partitions rests on: how many a topic has, and the racks of each one's replicas where those matter.
#[derive(Debug, Default, PartialEq, Eq)]
struct Divided {
    partitions: usize,
    racks: Vec<Vec<ByteStr>>,
}

impl Divided {
    fn of(metadata: &ClusterMetadata, topic: &ByteStr, racks_matter: bool) -> Self {
        let partitions = metadata.topics.get(topic).map_or(0, |topic| topic.partitions.len());
        let shapes = if racks_matter { assignable_topics(metadata, [topic]) } else { BTreeMap::new() };
        Self { partitions, racks: shapes.into_values().flat_map(|shape| shape.racks).collect() }
    }
}

#[derive(Debug, Default)]
pub(super) struct Classic {
    /// The assignor that the group took.
    assignor: Option<Assignor>,
    plan: Plan,
    rejoin: Option<&'static str>,
    heartbeat_at: Instant,
    /// What the last assignment was, and in which generation: assignors that keep partitions in place ask for it.
    past: Vec<TopicPartition>,
    past_generation: Option<i32>,
    /// As the leader: the group's topics as they were when they were divided.
    watched: BTreeMap<ByteStr, Divided>,
    /// As the leader: some member has a rack, so that it matters in which racks partitions are.
    racks_matter: bool,
    /// The topics that this member joined with.
    joined_with: BTreeSet<ByteStr>,
    /// As the leader: partitions wait for their owner to let go of them.
    withheld: bool,
    /// When the leader asks for another rebalance of its own accord: whoever was to let go of partitions and then to join again may have
    /// died in between and come back, as a static member does, without a rebalance. The partitions would stay nobody's.
    divide_again_at: Option<Instant>,
}

impl Classic {
    /// Asks for a rebalance; the first reason is the one that is told.
    pub(super) fn rejoin(&mut self, reason: &'static str) {
        self.rejoin.get_or_insert(reason);
    }

    pub(super) fn wants_to_rejoin(&self) -> bool {
        self.rejoin.is_some()
    }

    pub(super) fn heartbeat_at(&self) -> Instant {
        self.heartbeat_at
    }

    pub(super) fn heartbeat_from(&mut self, at: Instant) {
        self.heartbeat_at = at;
    }

    pub(super) fn watched_topics(&self) -> impl Iterator<Item = &ByteStr> {
        self.watched.keys()
    }

    /// This is no member of any generation.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// How long the leader waits for metadata of topics that others subscribe to.
const METADATA_PATIENCE: Duration = Duration::from_secs(10);

impl GroupMember {
    /// JoinGroup, SyncGroup or Heartbeat, as the phase has it.
    pub(super) fn classic_request(&mut self, now: Now) -> Result<Option<(Asked, GroupRequest)>, Error> {
        let sent_at = now.instant();
        Ok(Some(match self.phase {
            Phase::Unjoined => {
                let request = self.join_request()?;
                self.phase = Phase::Joining;
                (Asked::Join, GroupRequest::JoinGroup(request))
            }
            Phase::Syncing => (Asked::Sync, GroupRequest::SyncGroup(self.sync_request())),
            Phase::Member | Phase::Leaving { .. } => {
                self.classic.heartbeat_at = sent_at + self.config.heartbeat_interval;
                let request = HeartbeatRequest {
                    group_id: self.group_id.clone(),
                    generation_id: self.epoch,
                    member_id: self.member_id.clone(),
                    group_instance_id: self.instance_id.clone(),
                    ..HeartbeatRequest::default()
                };
                (Asked::Heartbeat { sent_at, epoch: self.epoch }, GroupRequest::Heartbeat(request))
            }
            Phase::Idle | Phase::Joining | Phase::Stalled { .. } | Phase::Failed | Phase::Left => return Ok(None),
        }))
    }

    fn join_request(&mut self) -> Result<JoinGroupRequest, Error> {
        let reason = self.classic.rejoin.take();
        let topics = self.wanted.as_ref().map(|wanted| wanted.topics.clone()).unwrap_or_default();
        let owned =
            if self.is_eager() { self.classic.past.clone() } else { self.partitions.held().keys().cloned().collect() };
        let subscription = MemberSubscription {
            member_id: self.member_id.clone(),
            group_instance_id: self.instance_id.clone(),
            topics: topics.iter().cloned().collect(),
            owned,
            generation: self.classic.past_generation,
            rack: self.config.client_rack.as_deref().map(Into::into),
            user_data: None,
        };
        self.classic.joined_with = topics;
        let offered = offered_protocols(&self.assignors, &subscription)?;
        Ok(JoinGroupRequest {
            group_id: self.group_id.clone(),
            session_timeout_ms: millis(self.config.session_timeout),
            rebalance_timeout_ms: millis(self.config.max_poll_interval),
            member_id: self.member_id.clone(),
            group_instance_id: self.instance_id.clone(),
            protocol_type: ByteStr::from_static(PROTOCOL_TYPE),
            protocols: offered
                .into_iter()
                .map(|offered| join_group::request::JoinGroupRequestProtocol {
                    name: offered.name,
                    metadata: offered.metadata,
                    ..Default::default()
                })
                .collect(),
            reason: reason.map(ByteStr::from_static),
            ..JoinGroupRequest::default()
        })
    }

    pub(super) fn handle_join(&mut self, now: Now, response: JoinGroupResponse) {
        if self.phase != Phase::Joining {
            return;
        }
        if let Err(code) = response.error_code.ok() {
            self.phase = Phase::Unjoined;
            if code == ErrorCode::MEMBER_ID_REQUIRED {
                self.member_id = response.member_id;
                return;
            }
            self.recover_classic(now, code, true);
            return;
        }
        self.joined_well();
        self.contact = now.instant();
        self.member_id = response.member_id;
        self.epoch = response.generation_id;
        let protocol = response.protocol_name.unwrap_or_default();
        let Some(assignor) = self.assignors.iter().find(|assignor| assignor.name() == protocol.as_str()).cloned()
        else {
            let message = format!("the group took \"{protocol}\", which this member did not offer");
            self.fail(now, Error::new(ErrorKind::Decode, message).hinting("is the coordinator a Kafka broker?"));
            return;
        };
        self.classic.assignor = Some(assignor);
        self.phase = Phase::Syncing;
        self.classic.watched.clear();
        self.classic.plan = Plan::Follow;
        self.classic.withheld = false;
        self.classic.divide_again_at = None;
        if response.leader != self.member_id {
            return;
        }
        let mut members = Vec::with_capacity(response.members.len());
        for member in response.members {
            let (id, instance) = (member.member_id.clone(), member.group_instance_id.clone());
            match decode_subscription(member.member_id, member.group_instance_id, member.metadata) {
                Ok(subscription) => members.push(subscription),
                // A member whose subscription cannot be read gets nothing, rather than stopping the group.
                Err(_) => members.push(MemberSubscription {
                    member_id: id,
                    group_instance_id: instance,
                    ..MemberSubscription::default()
                }),
            }
        }
        let topics = members.iter().flat_map(|member| member.topics.iter().cloned());
        self.classic.watched = topics.map(|topic| (topic, Divided::default())).collect();
        self.classic.racks_matter = members.iter().any(|member| member.rack.is_some());
        self.count_partitions();
        if response.skip_assignment {
            // What it had withheld before it died, nobody knows.
            self.classic.divide_again_at = Some(now.instant()).filter(|_| !self.is_eager());
            return;
        }
        let patience = METADATA_PATIENCE.min(self.config.max_poll_interval / 2);
        self.classic.plan = Plan::Lead { members, until: now.instant() + patience };
    }

    /// Notes how many partitions the group's topics have.
    fn count_partitions(&mut self) {
        let racks_matter = self.classic.racks_matter;
        for (topic, divided) in &mut self.classic.watched {
            *divided = Divided::of(&self.metadata, topic, racks_matter);
        }
    }

    /// When the leader stops waiting for metadata.
    pub(super) fn leader_deadline(&self) -> Option<Instant> {
        match (&self.classic.plan, self.phase) {
            (Plan::Lead { until, .. }, Phase::Syncing) => Some(*until),
            (Plan::Lead { .. } | Plan::Follow | Plan::Assignments(_), _) => None,
        }
    }

    /// The leader divides the partitions as soon as every topic is known, or known not to exist.
    pub(super) fn plan_assignment(&mut self, now: Now) {
        let Plan::Lead { members, until } = &self.classic.plan else { return };
        let known =
            |topic: &ByteStr| self.metadata.topics.contains_key(topic) || self.metadata.errors.contains_key(topic);
        if *until > now.instant() && !self.classic.watched.keys().all(known) {
            return;
        }
        let Some(mut assignor) = self.classic.assignor.clone() else { return };
        if self.config.bugs.has(Bug::GivenBeforeRevoked) && matches!(assignor, Assignor::CooperativeSticky) {
            assignor = Assignor::Sticky;
        }
        let topics = assignable_topics(&self.metadata, self.classic.watched.keys());
        let group = GroupSubscription { members, topics: &topics, generation: self.epoch };
        let mut assignments = Vec::with_capacity(members.len());
        let mut given = 0;
        for (member_id, assignment) in assignor.assign(&group) {
            given += assignment.partitions.len();
            match encode_assignment(&assignment) {
                Ok(assignment) => assignments.push(sync_group::request::SyncGroupRequestAssignment {
                    member_id,
                    assignment,
                    ..Default::default()
                }),
                Err(error) => {
                    self.fail(now, error.into());
                    return;
                }
            }
        }
        let all: usize = topics.values().map(|topic| topic.partitions as usize).sum();
        self.classic.withheld = matches!(assignor, Assignor::CooperativeSticky) && given < all;
        self.count_partitions();
        self.classic.plan = Plan::Assignments(assignments);
    }

    /// When the leader divides again, unless a rebalance has come before.
    pub(super) fn divide_again_at(&self) -> Option<Instant> {
        self.classic.divide_again_at.filter(|_| self.phase == Phase::Member && !self.classic.wants_to_rejoin())
    }

    pub(super) fn check_division(&mut self, now: Now) {
        if self.divide_again_at().is_some_and(|at| at <= now.instant()) {
            self.classic.divide_again_at = None;
            self.classic.rejoin("partitions that were on their way may be nobody's");
        }
    }

    pub(super) fn assignment_is_planned(&self) -> bool {
        match &self.classic.plan {
            Plan::Lead { .. } => false,
            Plan::Follow | Plan::Assignments(_) => true,
        }
    }

    fn sync_request(&mut self) -> SyncGroupRequest {
        let assignments = match std::mem::take(&mut self.classic.plan) {
            Plan::Assignments(assignments) => assignments,
            Plan::Follow | Plan::Lead { .. } => Vec::new(),
        };
        SyncGroupRequest {
            group_id: self.group_id.clone(),
            generation_id: self.epoch,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance_id.clone(),
            protocol_type: Some(ByteStr::from_static(PROTOCOL_TYPE)),
            protocol_name: self.classic.assignor.as_ref().map(|assignor| assignor.name().into()),
            assignments,
            ..SyncGroupRequest::default()
        }
    }

    pub(super) fn handle_sync(&mut self, now: Now, response: SyncGroupResponse) {
        if self.phase != Phase::Syncing {
            return;
        }
        if let Err(code) = response.error_code.ok() {
            self.phase = Phase::Unjoined;
            self.recover_classic(now, code, false);
            return;
        }
        let assignment = match decode_assignment(response.assignment) {
            Ok(assignment) => assignment,
            Err(error) => {
                let error = Error::from(error).hinting("the group's leader sent an assignment that cannot be read");
                self.lose(now, error);
                self.retry_at = Some(now.instant() + self.backoff.next());
                return;
            }
        };
        self.joined_well();
        self.contact = now.instant();
        self.calm = now.instant();
        self.phase = Phase::Member;
        self.classic.heartbeat_at = now.instant() + self.config.heartbeat_interval;
        if self.classic.withheld {
            // Every owner has let go by then, or is out.
            self.classic.divide_again_at = Some(now.instant() + self.config.max_poll_interval + MARGIN);
        }
        self.take_assignment(assignment);
        // Metadata that came while this was joining: a pattern may have matched nothing when it was asked for.
        self.handle_classic_metadata(true);
    }

    fn take_assignment(&mut self, assignment: Assignment) {
        let id_of = |topic: &ByteStr| self.metadata.topics.get(topic).map_or(Uuid::ZERO, |topic| topic.id);
        let target =
            assignment.partitions.iter().map(|partition| (partition.clone(), id_of(&partition.topic))).collect();
        self.classic.past.clone_from(&assignment.partitions);
        self.classic.past_generation = Some(self.epoch);
        if let Some(assignor) = &self.classic.assignor {
            assignor.on_assignment(&assignment, self.epoch);
        }
        self.events.push_back(GroupEvent::Joined(self.group_metadata()));
        self.partitions.aim(target, self.is_eager() || self.config.tells_every_rebalance);
    }

    pub(super) fn handle_heartbeat(&mut self, now: Now, sent_at: Instant, epoch: i32, code: ErrorCode) {
        if epoch != self.epoch || !matches!(self.phase, Phase::Member | Phase::Leaving { .. }) {
            return;
        }
        match code.ok() {
            Ok(()) => {
                self.joined_well();
                self.contact = self.contact.max(sent_at);
                self.calm = self.calm.max(sent_at);
            }
            Err(ErrorCode::REBALANCE_IN_PROGRESS) => {
                self.contact = self.contact.max(sent_at);
                if !self.config.bugs.has(Bug::RebalanceIgnored) {
                    self.classic.rejoin("the group rebalances");
                }
            }
            Err(code) => self.recover_classic(now, code, false),
        }
    }

    /// Whether the generation is that of what is held. One that was joined without an assignment binds nobody yet: the coordinator writes a
    /// generation down with its assignment, and where it starts again in between, another generation of the same number may have given away
    /// what is held here. It refuses such commits in any case, and librdkafka asks to be refused.
    pub(super) fn may_commit(&self) -> bool {
        let joins = matches!(self.phase, Phase::Unjoined | Phase::Joining | Phase::Syncing);
        !(self.speaks == Speaks::Classic && joins && self.is_member())
            || self.config.rebalance_fails_commits
            || self.classic.past_generation == Some(self.epoch)
    }

    /// The coordinator has taken this member for one.
    pub(super) fn joined_well(&mut self) {
        self.coordinator.proven();
        self.backoff.reset();
        self.retry_at = None;
        self.error = None;
    }

    fn recover_classic(&mut self, now: Now, code: ErrorCode, joining: bool) {
        match classic_recovery(code) {
            Recovery::Backoff => self.pause(now, code),
            Recovery::FindCoordinator => self.find_coordinator(now, code),
            Recovery::Rejoin | Recovery::TakeMemberId => {
                self.classic.rejoin("the group rebalances");
                if joining {
                    self.pause(now, code);
                }
            }
            Recovery::Fenced => {
                if matches!(self.phase, Phase::Leaving { .. }) {
                    // Nothing to leave any more.
                    let patience = self.config.max_poll_interval;
                    self.partitions.lose_all(now, patience, lost(code), &mut self.events);
                    self.forget_identity();
                    return;
                }
                self.lose(now, lost(code));
                if code == ErrorCode::UNKNOWN_MEMBER_ID {
                    self.member_id = ByteStr::default();
                }
                if joining {
                    self.retry_at = Some(now.instant() + self.backoff.next());
                }
            }
            Recovery::Unsupported | Recovery::Fail(_) => self.fail(now, fatal(code, None)),
        }
    }

    fn pause(&mut self, now: Now, code: ErrorCode) {
        let at = now.instant() + self.backoff.next();
        self.error = Some(Error::from_code(code, None));
        self.retry_at = Some(at);
        self.classic.heartbeat_at = at;
    }

    /// New metadata: a changed subscription, or changed topics where this member leads, begin a rebalance.
    pub(super) fn handle_classic_metadata(&mut self, rematched: bool) {
        if !matches!(self.phase, Phase::Member) || self.speaks != Speaks::Classic {
            return;
        }
        if rematched && self.wanted.as_ref().is_some_and(|wanted| wanted.topics != self.classic.joined_with) {
            self.classic.rejoin("the topics that match the subscription changed");
        }
        let changed = |(topic, divided): (&ByteStr, &Divided)| {
            *divided != Divided::of(&self.metadata, topic, self.classic.racks_matter)
        };
        if self.classic.watched.iter().any(changed) {
            self.classic.rejoin("the group's topics changed");
        }
    }

    pub(super) fn leave_request(&self, member_id: &ByteStr) -> GroupRequest {
        GroupRequest::LeaveGroup(LeaveGroupRequest {
            group_id: self.group_id.clone(),
            members: vec![leave_group::request::MemberIdentity {
                member_id: member_id.clone(),
                group_instance_id: None,
                reason: Some(ByteStr::from_static("the consumer leaves")),
                ..Default::default()
            }],
            ..LeaveGroupRequest::default()
        })
    }
}

pub(super) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
