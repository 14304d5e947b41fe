//! What both protocols share: the phases of a membership, its ends, and the clock that watches each of them.

use std::time::Duration;

use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::{Instant, Now};

use super::codes::{expired, unheard};
use super::event::{GroupEvent, MemberState, MemberStatus};
use super::exchange::Asked;
use super::partitions::{Proposal, ProposalKind, Until, too_late};
use super::{GroupMember, MetadataWish};
use crate::bugs::Bug;
use crate::config::GroupProtocol;
use crate::error::{Error, ErrorKind};

/// Which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Classic,
    /// KIP-848.
    Consumer,
}

/// Where a membership stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was asked for yet.
    Idle,
    /// To join, or to join again.
    Unjoined,
    /// The request to join is on its way.
    Joining,
    /// Classic: joined, without an assignment yet.
    Syncing,
    /// With an assignment.
    Member,
    /// Out, because the application took nothing.
    Stalled { left_at: Instant },
    /// Partitions are being given up, then the group.
    Leaving { until: Instant },
    /// Refused.
    Failed,
    /// Out for good.
    Left,
}

impl Phase {
    pub(super) fn is_active(self) -> bool {
        matches!(self, Self::Unjoined | Self::Joining | Self::Syncing | Self::Member)
    }
}

/// A request to leave that is to be sent or on its way, for whom this member was.
#[derive(Clone, Debug)]
pub(super) struct Farewell {
    pub(super) speaks: Speaks,
    pub(super) member_id: ByteStr,
    pub(super) until: Instant,
    pub(super) retry_at: Option<Instant>,
    pub(super) in_flight: bool,
}

/// A stalled member is told of after this part of `max.poll.interval.ms`, as a fraction of five.
const WARN_AFTER_FIFTHS: u32 = 4;
/// What a request that the coordinator holds back may take beyond the rebalance time.
pub(super) const MARGIN: Duration = Duration::from_secs(5);

impl GroupMember {
    /// Joins from nothing.
    pub(super) fn begin(&mut self, now: Now) {
        self.phase = Phase::Unjoined;
        self.retry_at = None;
        self.error = None;
        self.backoff.reset();
        self.forget_identity();
        self.contact = now.instant();
        self.calm = now.instant();
        if self.coordinator.known().is_none() {
            self.coordinator.unknown_since = now.instant();
        }
    }

    pub(super) fn new_id(&mut self) -> ByteStr {
        let (high, low) = (self.random.next_u64(), self.random.next_u64());
        Uuid::from_random((u128::from(high) << 64) | u128::from(low)).to_string().as_str().into()
    }

    /// The next join is one of a new member.
    pub(super) fn forget_identity(&mut self) {
        match self.speaks {
            Speaks::Classic => {
                self.member_id = ByteStr::default();
                self.epoch = -1;
                self.classic.forget();
            }
            Speaks::Consumer => {
                // A farewell under an id that was used may still be on its way.
                if self.member_id.is_empty() || self.consumer.ever_sent() {
                    self.member_id = self.new_id();
                }
                self.epoch = 0;
                self.consumer.forget();
            }
        }
    }

    /// The coordinator speaks no KIP-848: the classic protocol from now on, where the configuration leaves the choice.
    pub(super) fn fall_back(&mut self, now: Now, error: Error) {
        if self.config.group_protocol == GroupProtocol::Auto && self.speaks == Speaks::Consumer {
            self.abandon();
            self.speaks = Speaks::Classic;
            self.begin(now);
        } else {
            self.fail(now, error);
        }
    }

    /// Somebody else may have the partitions: they are lost, and the member joins anew.
    pub(super) fn lose(&mut self, now: Now, error: Error) {
        self.abandon();
        if !self.config.bugs.has(Bug::LossNotTold) {
            self.partitions.lose_all(now, self.config.max_poll_interval, error.clone(), &mut self.events);
        }
        self.error = Some(error);
        self.phase = Phase::Unjoined;
        match self.speaks {
            Speaks::Classic => {
                self.epoch = -1;
                self.classic.forget();
            }
            Speaks::Consumer => {
                self.epoch = 0;
                self.consumer.forget();
            }
        }
    }

    /// Nothing more can be done.
    pub(super) fn fail(&mut self, now: Now, error: Error) {
        self.abandon();
        self.partitions.lose_all(now, self.config.max_poll_interval, error.clone(), &mut self.events);
        self.phase = Phase::Failed;
        self.farewell = None;
        self.wanted = None;
        self.commits.fail_all(&error, &mut self.events);
        self.forget_identity();
        self.events.push_back(GroupEvent::Failed(error));
    }

    /// Answers to what is on its way change nothing any more.
    pub(super) fn abandon(&mut self) {
        self.in_flight.retain(|_, asked| {
            if matches!(asked, Asked::Join | Asked::Sync) {
                *asked = Asked::Abandoned;
            }
            !matches!(asked, Asked::Heartbeat { .. } | Asked::ConsumerHeartbeat { .. })
        });
    }

    /// Leaves, revoking first.
    pub(super) fn go(&mut self, now: Now, patience: Duration) {
        self.wanted = None;
        let until = now.instant() + patience;
        match &mut self.phase {
            Phase::Leaving { until: known } => *known = until.min(*known),
            Phase::Unjoined | Phase::Joining | Phase::Syncing | Phase::Member => {
                let joins = matches!(self.phase, Phase::Joining | Phase::Syncing);
                if joins {
                    self.abandon();
                }
                self.phase = Phase::Leaving { until };
                // What was being assigned or revoked must not outlast the time to leave.
                self.partitions.hurry(until);
            }
            Phase::Idle | Phase::Stalled { .. } | Phase::Failed | Phase::Left => {
                self.phase = Phase::Left;
                self.events.push_back(GroupEvent::Left);
            }
        }
        self.advance(now);
    }

    /// The request to leave, where there is anybody to take leave of.
    pub(super) fn say_farewell(&mut self, until: Instant, always: bool) {
        let known = match self.speaks {
            Speaks::Classic => {
                let stays = self.instance_id.is_some() && !std::mem::take(&mut self.leaves_instance);
                !self.member_id.is_empty() && !stays
            }
            Speaks::Consumer => self.consumer.ever_sent(),
        };
        if known && (always || self.config.leave_group_on_close) {
            self.farewell = Some(Farewell {
                speaks: self.speaks,
                member_id: self.member_id.clone(),
                until,
                retry_at: None,
                in_flight: false,
            });
        }
        self.abandon();
        self.forget_identity();
    }

    /// Moves on as far as it goes without the network.
    pub(super) fn advance(&mut self, now: Now) {
        let patience = self.config.max_poll_interval;
        let assigned = (!self.is_release_possible()).then(|| now.instant() + patience);
        let until = Until { revoked: self.calm + patience, assigned };
        if self.config.bugs.has(Bug::RevokeNotAwaited)
            && let Some(id) = self.partitions.proposal().filter(|p| p.kind == ProposalKind::Revoke).map(|p| p.id)
        {
            self.partitions.accept(id);
        }
        let revoked = self.partitions.finish(|partition| self.commits.is_open(partition));
        if revoked && self.phase == Phase::Member && self.speaks == Speaks::Classic {
            self.classic.rejoin("partitions were let go");
        }
        match self.phase {
            Phase::Idle | Phase::Failed | Phase::Left | Phase::Stalled { .. } | Phase::Joining => {}
            Phase::Unjoined => {
                if self.is_eager() {
                    self.partitions.aim_at_nothing();
                    self.partitions.reconcile(until, false, &mut self.events);
                }
            }
            Phase::Syncing => self.plan_assignment(now),
            Phase::Member => {
                let eager = self.is_eager();
                let rejoins = self.speaks == Speaks::Classic && self.classic.wants_to_rejoin();
                if rejoins && eager {
                    self.partitions.aim_at_nothing();
                }
                // A cooperative member first finishes what the last generation gave and took.
                self.partitions.reconcile(until, !eager, &mut self.events);
                if rejoins && self.partitions.proposal().is_none() {
                    self.phase = Phase::Unjoined;
                }
            }
            Phase::Leaving { until } => self.advance_leaving(now, until),
        }
        if !self.config.bugs.has(Bug::CommitAfterLoss) {
            self.commits.settle_lost(&self.partitions, &mut self.events);
        }
        self.update_wishes();
        self.note_status(now);
    }

    /// Whether the coordinator may just be hearing that this member has not got what it was to take. Where it wants it for somebody else by now,
    /// that is a release.
    fn is_release_possible(&self) -> bool {
        self.speaks == Speaks::Consumer && self.consumer.is_unanswered()
    }

    fn advance_leaving(&mut self, now: Now, until: Instant) {
        self.partitions.aim_at_nothing();
        self.partitions.reconcile(Until { revoked: until, assigned: Some(until) }, false, &mut self.events);
        if !self.partitions.is_empty() || self.partitions.proposal().is_some() || !self.commits.is_empty() {
            return;
        }
        if self.is_known_to_coordinator() {
            self.say_farewell(until, false);
        }
        if self.farewell.is_none() {
            self.finish_leaving(now);
        }
    }

    fn is_known_to_coordinator(&self) -> bool {
        match self.speaks {
            Speaks::Classic => !self.member_id.is_empty(),
            Speaks::Consumer => self.consumer.ever_sent(),
        }
    }

    fn finish_leaving(&mut self, now: Now) {
        self.farewell = None;
        self.abandon();
        self.events.push_back(GroupEvent::Left);
        self.forget_identity();
        if self.wanted.is_some() {
            self.begin(now);
        } else {
            self.phase = Phase::Left;
        }
    }

    /// The farewell was answered, or its time is over.
    pub(super) fn end_farewell(&mut self, now: Now) {
        self.farewell = None;
        if matches!(self.phase, Phase::Leaving { .. }) {
            self.finish_leaving(now);
        }
    }

    pub(super) fn check_leaving(&mut self, now: Now) {
        if let Phase::Leaving { until } = self.phase
            && until <= now.instant()
        {
            let error = Error::new(ErrorKind::Timeout, "the time to leave was over before the partitions were let go")
                .hinting("give close more time, or finish sooner");
            self.partitions.lose_all(now, self.config.max_poll_interval, error.clone(), &mut self.events);
            self.commits.fail_all(&error, &mut self.events);
            self.finish_leaving(now);
        } else if self.farewell.as_ref().is_some_and(|farewell| farewell.until <= now.instant()) {
            self.end_farewell(now);
        }
    }

    /// When the partitions may belong to others: when the session is over or, under the classic protocol, a rebalance that this member has not
    /// heard of may be; under KIP-848, when the coordinator may have waited in vain for what this member was to give back, which it also does
    /// where the application let go in time and the heartbeat that says so was lost. A join that waits at the coordinator keeps the membership
    /// by itself.
    pub(super) fn lease(&self) -> Option<Instant> {
        let waits = self.in_flight.values().any(|asked| matches!(asked, Asked::Join | Asked::Sync));
        if !(self.phase.is_active() || matches!(self.phase, Phase::Leaving { .. }))
            || waits
            || self.partitions.is_empty()
        {
            return None;
        }
        let session = self.contact + self.config.session_timeout;
        Some(match self.speaks {
            Speaks::Classic => session.min(self.calm + self.config.max_poll_interval),
            Speaks::Consumer => {
                let releasing = self.consumer.releasing().map(|since| since + self.config.max_poll_interval);
                releasing.map_or(session, |at| session.min(at))
            }
        })
    }

    pub(super) fn check_lease(&mut self, now: Now) {
        if self.lease().is_some_and(|at| at <= now.instant()) {
            let in_time = |p: &Proposal| p.kind != ProposalKind::Revoke || p.accepted;
            let mut error = if self.contact + self.config.session_timeout <= now.instant() {
                expired(self.config.session_timeout.as_millis())
            } else if self.speaks == Speaks::Consumer && self.partitions.proposal().is_none_or(in_time) {
                unheard()
            } else {
                too_late()
            };
            if let Some(cause) = &self.coordinator.error {
                error = error.caused_by(cause.clone());
            }
            if matches!(self.phase, Phase::Leaving { .. }) {
                self.partitions.lose_all(now, self.config.max_poll_interval, error, &mut self.events);
            } else {
                self.lose(now, error);
            }
        }
    }

    /// When the application is told that it takes too long, or the member leaves for that.
    pub(super) fn stall_at(&self) -> Option<Instant> {
        let interval = self.config.max_poll_interval;
        let since = self.work_since.filter(|_| self.phase.is_active())?;
        Some(since + if self.warned { interval } else { interval * WARN_AFTER_FIFTHS / 5 })
    }

    pub(super) fn check_progress(&mut self, now: Now) {
        let interval = self.config.max_poll_interval;
        let (Some(since), Some(at)) = (self.work_since, self.stall_at()) else { return };
        if at > now.instant() {
            return;
        }
        let leaves_at = since + interval;
        if leaves_at > now.instant() {
            self.warned = true;
            self.events.push_back(GroupEvent::Stalled { since, leaves_at, left: false });
            return;
        }
        let message = format!("nothing was taken or finished for {} ms", now.since(since).as_millis());
        let error = Error::new(ErrorKind::Timeout, message)
            .hinting("process faster, take fewer records at a time, or raise max.poll.interval.ms");
        self.events.push_back(GroupEvent::Stalled { since, leaves_at: now.instant(), left: true });
        self.partitions.lose_all(now, interval, error, &mut self.events);
        self.say_farewell(now.instant() + self.config.session_timeout, true);
        self.phase = Phase::Stalled { left_at: now.instant() };
    }

    /// A state that lasts too long is told of, and told of again.
    pub(super) fn check_delay(&mut self, now: Now) {
        if self.status.deadline.is_none_or(|at| at > now.instant()) {
            return;
        }
        let MemberStatus { state, since, .. } = self.status;
        match state {
            MemberState::FindingCoordinator | MemberState::Joining | MemberState::Syncing => {
                let error = self.error.clone().or_else(|| self.coordinator.error.clone());
                self.events.push_back(GroupEvent::Delayed { state, since, error });
            }
            MemberState::Stalled => {
                let Phase::Stalled { left_at } = self.phase else { return };
                let since = self.work_since.unwrap_or(left_at);
                self.events.push_back(GroupEvent::Stalled { since, leaves_at: left_at, left: true });
            }
            _ => {}
        }
        self.status.deadline = self.patience(state).map(|patience| now.instant() + patience);
    }

    fn patience(&self, state: MemberState) -> Option<Duration> {
        match state {
            MemberState::FindingCoordinator => Some(self.config.api_timeout),
            MemberState::Joining | MemberState::Syncing => Some(self.config.max_poll_interval + MARGIN),
            MemberState::Stalled => Some(self.config.max_poll_interval),
            // These end by deadlines of their own, or not at all.
            MemberState::Unsubscribed
            | MemberState::Revoking
            | MemberState::Assigning
            | MemberState::Losing
            | MemberState::Stable
            | MemberState::Leaving
            | MemberState::Failed
            | MemberState::Left => None,
        }
    }

    fn current_state(&self) -> MemberState {
        let proposal = self.partitions.proposal().map(|proposal| match proposal.kind {
            ProposalKind::Assign => MemberState::Assigning,
            ProposalKind::Revoke => MemberState::Revoking,
            ProposalKind::Lost => MemberState::Losing,
        });
        let found = self.coordinator.known().is_some();
        match self.phase {
            Phase::Idle => MemberState::Unsubscribed,
            Phase::Failed => MemberState::Failed,
            Phase::Left => MemberState::Left,
            Phase::Stalled { .. } => MemberState::Stalled,
            Phase::Leaving { .. } => MemberState::Leaving,
            Phase::Unjoined | Phase::Joining | Phase::Syncing | Phase::Member if proposal.is_some() => {
                proposal.unwrap_or(MemberState::Stable)
            }
            Phase::Member => MemberState::Stable,
            Phase::Unjoined | Phase::Joining | Phase::Syncing if !found => MemberState::FindingCoordinator,
            Phase::Unjoined | Phase::Joining => MemberState::Joining,
            Phase::Syncing => MemberState::Syncing,
        }
    }

    fn note_status(&mut self, now: Now) {
        let state = self.current_state();
        if state != self.status.state {
            let deadline = self.patience(state).map(|patience| now.instant() + patience);
            self.status = MemberStatus { state, since: now.instant(), deadline };
        }
        // States whose deadline moves.
        match (state, self.phase) {
            (MemberState::Stable, _) => {
                self.status.deadline = Some(self.contact + self.config.session_timeout);
                if self.partitions.is_empty() && self.status.deadline.is_some_and(|at| at <= now.instant()) {
                    // Nothing is held that could be lost; heartbeats go on.
                    self.status.deadline = Some(now.instant() + self.config.session_timeout);
                }
            }
            (MemberState::Leaving, Phase::Leaving { until }) => self.status.deadline = Some(until),
            (MemberState::Revoking | MemberState::Assigning | MemberState::Losing, _) => {
                self.status.deadline = self.partitions.proposal().map(|proposal| proposal.deadline);
            }
            _ => {}
        }
    }

    /// Whether there is anything to ask the coordinator.
    pub(super) fn needs_coordinator(&self) -> bool {
        self.phase.is_active() || self.farewell.is_some() || !self.commits.is_empty() || !self.lookups.is_empty()
    }

    pub(super) fn update_wishes(&mut self) {
        let mut wants = self.wanted.as_ref().map(|wanted| wanted.topics.clone()).unwrap_or_default();
        // Ten thousand partitions are of few topics, and sorted by them.
        let mut last: Option<&ByteStr> = None;
        for partition in self.partitions.held().keys() {
            if last != Some(&partition.topic) {
                last = Some(&partition.topic);
                wants.insert(partition.topic.clone());
            }
        }
        wants.extend(self.classic.watched_topics().cloned());
        let all = self.wanted.as_ref().is_some_and(super::subscription::Wanted::is_pattern);
        if all != self.wants_all {
            self.wishes.push_back(if all { MetadataWish::All } else { MetadataWish::NotAll });
            self.wants_all = all;
        }
        if wants != self.wants {
            let new = wants.difference(&self.wants).cloned().map(MetadataWish::Topic);
            let old = self.wants.difference(&wants).cloned().map(MetadataWish::NotTopic);
            self.wishes.extend(new.chain(old));
            self.wants = wants;
        }
    }
}
