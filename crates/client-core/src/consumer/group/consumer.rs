//! KIP-848: one request, ConsumerGroupHeartbeat, carries everything. The coordinator divides the partitions; this member says what it holds,
//! gives up first, tells, and takes what is new. Java: `ConsumerMembershipManager`, `ConsumerHeartbeatRequestManager`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use felice_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, consumer_group_heartbeat,
};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::{Instant, Now};

use super::classic::millis;
use super::codes::{Recovery, consumer_recovery, fatal, lost};
use super::event::{GroupEvent, Subscription};
use super::exchange::Asked;
use super::membership::{Phase, Speaks};
use super::partitions::{Proposal, ProposalKind};
use super::request::GroupRequest;
use super::{GroupMember, MetadataWish};
use crate::bugs::Bug;
use crate::consumer::TopicPartition;
use crate::error::{Error, ErrorKind};
use felice_protocol::error_code::ErrorCode;

type Owned = BTreeMap<Uuid, BTreeSet<i32>>;

/// What the coordinator knows of this member: only what has changed since is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    subscription: Option<Subscription>,
    /// `None` where it has to hear what is owned, changed or not.
    owned: Option<Owned>,
}

#[derive(Debug, Default)]
pub(super) struct Consumer {
    told: Option<Told>,
    /// Whether the coordinator may know this member.
    sent: bool,
    /// An answer was lost since the last good one.
    silent: bool,
    /// It was told what is owned, and has not answered since.
    unanswered: bool,
    heartbeat_at: Instant,
    interval: Duration,
    /// The coordinator's assignment, by topic id.
    target: Owned,
    /// Since when the coordinator may wait for partitions to be given back, without having answered yet that it knows them to be. It puts a
    /// member out, with all it has, when that takes longer than the rebalance time, be the application slow or the network.
    releasing: Option<Instant>,
}

impl Consumer {
    pub(super) fn releasing(&self) -> Option<Instant> {
        self.releasing
    }

    /// Whether all that the coordinator was told last is what it wants this member to have.
    fn told_is_wanted(&self) -> bool {
        let told = self.told.as_ref().and_then(|told| told.owned.as_ref());
        told.into_iter()
            .flatten()
            .all(|(topic, partitions)| self.target.get(topic).is_some_and(|target| partitions.is_subset(target)))
    }

    pub(super) fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    /// This is no member of any epoch. The coordinator may still have to be told so.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn ever_sent(&self) -> bool {
        self.sent
    }

    pub(super) fn heartbeat_at(&self) -> Instant {
        self.heartbeat_at
    }
}

/// Until the coordinator says how often.
const FIRST_INTERVAL: Duration = Duration::from_secs(5);

impl GroupMember {
    /// Whether the coordinator is to hear of this member now: because it is time, or because something has changed.
    pub(super) fn consumer_heartbeat_is_due(&self, now: Now) -> bool {
        if self.consumer.heartbeat_at <= now.instant() {
            return true;
        }
        // What is new is told once the application has taken it; until then any heartbeat says that it is held.
        let takes = |p: &Proposal| p.kind == ProposalKind::Assign && !p.accepted;
        let settled = !self.partitions.proposal().is_some_and(takes);
        match &self.consumer.told {
            None => true,
            Some(told) => {
                told.subscription.as_ref() != self.wanted.as_ref().map(|wanted| &wanted.subscription)
                    || settled && self.partitions.changed && told.owned.as_ref() != Some(&self.owned_by_id())
            }
        }
    }

    /// How often heartbeats leave.
    pub(super) fn consumer_interval(&self) -> Duration {
        if self.consumer.interval.is_zero() { FIRST_INTERVAL } else { self.consumer.interval }
    }

    /// The next heartbeat leaves at once; one on its way will do.
    pub(super) fn hurry_consumer_heartbeat(&mut self, now: Now) {
        self.consumer.heartbeat_at = self.consumer.heartbeat_at.min(now.instant());
    }

    /// What is held, by topic id; what the application is only asked to take is held too. The coordinator would take its absence for a release,
    /// and give it to somebody else while the application is about to take it.
    fn owned_by_id(&self) -> Owned {
        let mut owned = Owned::new();
        for (partition, held) in self.partitions.held() {
            owned.entry(held.topic_id).or_default().insert(partition.partition);
        }
        owned
    }

    pub(super) fn consumer_request(&mut self, now: Now) -> Option<(Asked, GroupRequest)> {
        let joining = self.phase == Phase::Unjoined;
        let sent_at = now.instant();
        if joining {
            self.phase = Phase::Joining;
            self.consumer.told = None;
        }
        let owned = self.owned_by_id();
        self.partitions.changed = false;
        let subscription = self.wanted.as_ref().map(|wanted| wanted.subscription.clone());
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: self.group_id.clone(),
            member_id: self.member_id.clone(),
            member_epoch: self.epoch,
            instance_id: self.instance_id.clone(),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let told = self.consumer.told.as_ref();
        if told.is_none() {
            request.rack_id = self.config.client_rack.as_deref().map(Into::into);
            request.rebalance_timeout_ms = millis(self.config.max_poll_interval);
            request.server_assignor = self.config.group_remote_assignor.as_deref().map(Into::into);
        }
        if told.is_none_or(|told| told.subscription != subscription) {
            let before = told.and_then(|told| told.subscription.as_ref());
            match &subscription {
                Some(Subscription::Topics(topics)) => {
                    request.subscribed_topic_names = Some(topics.iter().cloned().collect());
                    if matches!(before, Some(Subscription::Pattern(_))) {
                        request.subscribed_topic_regex = Some(ByteStr::default());
                    }
                }
                Some(Subscription::Pattern(pattern)) => {
                    request.subscribed_topic_regex = Some(pattern.as_str().into());
                    if matches!(before, Some(Subscription::Topics(_))) {
                        request.subscribed_topic_names = Some(Vec::new());
                    }
                }
                None => {}
            }
        }
        if told.is_none_or(|told| told.owned.as_ref() != Some(&owned)) && !self.config.bugs.has(Bug::AckWithoutRelease)
        {
            request.topic_partitions = Some(
                owned
                    .iter()
                    .map(|(topic_id, partitions)| consumer_group_heartbeat::request::TopicPartitions {
                        topic_id: *topic_id,
                        partitions: partitions.iter().copied().collect(),
                        ..Default::default()
                    })
                    .collect(),
            );
        }
        self.consumer.unanswered |= request.topic_partitions.is_some();
        if request.topic_partitions.is_some() && !joining {
            self.events.push_back(GroupEvent::Acknowledging);
        }
        self.consumer.told = Some(Told { subscription, owned: Some(owned) });
        self.consumer.sent = true;
        self.consumer.heartbeat_at = sent_at + self.consumer_interval();
        Some((Asked::ConsumerHeartbeat { sent_at, joining }, GroupRequest::ConsumerGroupHeartbeat(request)))
    }

    pub(super) fn handle_consumer_heartbeat(
        &mut self,
        now: Now,
        sent_at: Instant,
        joining: bool,
        response: ConsumerGroupHeartbeatResponse,
    ) {
        if self.speaks != Speaks::Consumer {
            return;
        }
        if let Err(code) = response.error_code.ok() {
            self.recover_consumer(now, code, joining, response.error_message.as_deref());
            return;
        }
        self.joined_well();
        // What the coordinator asks for it may have asked for in an answer that was lost.
        let asked = if self.consumer.silent { self.contact } else { sent_at };
        self.consumer.silent = false;
        // Whether the heartbeat that this answers said what is owned.
        let said = std::mem::replace(&mut self.consumer.unanswered, false);
        if self.consumer.told_is_wanted() {
            self.consumer.releasing = None;
        }
        self.contact = self.contact.max(sent_at);
        if let Some(id) = response.member_id.filter(|id| !id.is_empty()) {
            self.member_id = id;
        }
        self.consumer.interval =
            Duration::from_millis(u64::try_from(response.heartbeat_interval_ms).unwrap_or_default());
        if !self.consumer.interval.is_zero() {
            self.consumer.heartbeat_at = sent_at + self.consumer.interval;
        }
        if self.phase == Phase::Joining {
            self.phase = Phase::Member;
        }
        if !matches!(self.phase, Phase::Member | Phase::Leaving { .. }) {
            return;
        }
        if response.member_epoch != self.epoch {
            self.epoch = response.member_epoch;
            self.events.push_back(GroupEvent::Joined(self.group_metadata()));
        }
        // One that waited for the epoch.
        self.commits.hurry();
        if self.phase != Phase::Member {
            return;
        }
        if let Some(assignment) = response.assignment {
            let mut target = Owned::new();
            for topic in assignment.topic_partitions {
                target.entry(topic.topic_id).or_default().extend(topic.partitions);
            }
            self.consumer.target = target;
            // Where the coordinator says again what it waits for, it goes on waiting.
            let waits = !self.consumer.told_is_wanted();
            let since = self.consumer.releasing.filter(|_| waits).unwrap_or(asked);
            self.consumer.releasing = waits.then_some(since);
            self.calm = since;
            // It waits until it hears that this is carried out, also where nothing is left to do: a partition of a topic that is gone may have
            // been let go before it asked.
            if self.consumer.target == self.owned_by_id()
                && !said
                && let Some(told) = &mut self.consumer.told
            {
                told.owned = None;
                self.partitions.changed = true;
            }
            self.resolve_target();
        }
    }

    /// Finds the names of the topics in the assignment. Those that no metadata tells yet follow as soon as it does.
    pub(super) fn resolve_target(&mut self) {
        if !matches!(self.phase, Phase::Member) {
            return;
        }
        let mut target = BTreeMap::new();
        let mut unknown = false;
        for (topic_id, partitions) in &self.consumer.target {
            match self.metadata.names.get(topic_id) {
                Some(name) => {
                    target.extend(partitions.iter().map(|index| (TopicPartition::new(name.clone(), *index), *topic_id)))
                }
                None => {
                    unknown = true;
                    // What is held already needs no name.
                    let held = self.partitions.held().iter().filter(|(partition, held)| {
                        held.topic_id == *topic_id && partitions.contains(&partition.partition)
                    });
                    target.extend(held.map(|(partition, _)| (partition.clone(), *topic_id)));
                }
            }
        }
        if unknown {
            self.wishes.push_back(MetadataWish::Refresh);
        }
        self.partitions.aim(target, false);
    }

    /// The heartbeat was lost: nobody knows what the coordinator heard, so all of it is said again.
    pub(super) fn handle_consumer_silence(&mut self) {
        self.consumer.told = None;
        self.consumer.silent = true;
        if self.phase == Phase::Joining {
            self.phase = Phase::Unjoined;
        }
    }

    fn recover_consumer(&mut self, now: Now, code: ErrorCode, joining: bool, message: Option<&str>) {
        self.handle_consumer_silence();
        let leaving = matches!(self.phase, Phase::Leaving { .. });
        match consumer_recovery(code, joining) {
            Recovery::Backoff => {
                let at = now.instant() + self.backoff.next();
                self.error = Some(Error::from_code(code, message));
                self.retry_at = Some(at);
                self.consumer.heartbeat_at = at;
            }
            Recovery::FindCoordinator => self.find_coordinator(now, code),
            Recovery::Fenced if leaving => {
                let patience = self.config.max_poll_interval;
                self.partitions.lose_all(now, patience, lost(code), &mut self.events);
                self.forget_identity();
            }
            Recovery::Fenced => {
                self.lose(now, lost(code));
                if joining {
                    self.retry_at = Some(now.instant() + self.backoff.next());
                }
            }
            Recovery::Unsupported => {
                let error = fatal(code, message);
                if joining { self.fall_back(now, error) } else { self.fail(now, error) }
            }
            Recovery::Fail(code) => self.fail(now, fatal(code, message)),
            Recovery::Rejoin | Recovery::TakeMemberId => {
                self.fail(now, Error::new(ErrorKind::Bug, "a classic answer to a heartbeat of KIP-848"));
            }
        }
    }

    /// The last heartbeat: −1 for good, −2 for a static member that comes back.
    pub(super) fn consumer_leave_request(&self, member_id: &ByteStr) -> GroupRequest {
        GroupRequest::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest {
            group_id: self.group_id.clone(),
            member_id: member_id.clone(),
            member_epoch: if self.instance_id.is_some() { -2 } else { -1 },
            instance_id: self.instance_id.clone(),
            ..ConsumerGroupHeartbeatRequest::default()
        })
    }
}
