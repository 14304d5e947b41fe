//! The phases of a rebalance: waiting for members to join, waiting for them to fetch their assignment; and what ends them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::join_group::response::JoinGroupResponseMember;
use felice_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Instant;

use super::{ClassicGroup, ClassicGroupState, Member};
use crate::groups::answer::GroupAnswer;
use crate::groups::step::Step;

/// A group of which nobody comes back is not looked at more often, whatever its members ask for.
const MIN_WAIT: Duration = Duration::from_millis(100);

/// What a group waits for, and how long at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// The first members of an empty group: whoever comes makes it wait on, as long as something remains.
    InitialJoin { deadline: Instant, delay: Duration, remaining: Duration },
    /// Members that are to join again.
    Join { deadline: Instant },
    /// Members that are to ask for their assignment.
    Sync { deadline: Instant },
}

impl Phase {
    pub(super) fn deadline(&self) -> Instant {
        match self {
            Self::InitialJoin { deadline, .. } | Self::Join { deadline } | Self::Sync { deadline } => *deadline,
        }
    }
}

impl ClassicGroup {
    /// What is due is done: sessions that ended, a phase whose time is up.
    pub(crate) fn handle_timeout(&mut self, step: &mut Step<'_>) {
        let now = step.now.instant();
        let pending: Vec<ByteStr> =
            self.pending_members.iter().filter(|(_, deadline)| **deadline <= now).map(|(id, _)| id.clone()).collect();
        for member_id in pending {
            self.pending_members.remove(&member_id);
            self.maybe_complete_join(step);
        }
        let silent: Vec<ByteStr> = self
            .members
            .iter()
            .filter(|(_, member)| member.session_deadline.is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for member_id in silent {
            // One that was removed may have brought the others' answers, and with them a new session.
            let Some(member) = self.members.get_mut(&member_id) else { continue };
            if member.session_deadline.is_none_or(|deadline| deadline > now) {
                continue;
            }
            member.session_deadline = None;
            if !member.is_satisfied() {
                self.remove_answered(step, &member_id);
                self.rebalance_or_complete_join(step);
            }
        }
        match self.phase.filter(|phase| phase.deadline() <= now) {
            None => {}
            Some(Phase::InitialJoin { delay, remaining, .. }) => self.continue_initial_join(step, delay, remaining),
            Some(Phase::Join { .. }) => self.complete_join(step),
            Some(Phase::Sync { .. }) => self.expire_sync(step),
        }
    }

    /// Removes a member; where it waits in a JoinGroup, it hears that it is not known, and may come again.
    pub(super) fn remove_answered(&mut self, step: &mut Step<'_>, member_id: &ByteStr) {
        let Some(member) = self.remove(member_id) else { return };
        if let Some(waiter) = member.awaiting_join {
            step.answer(waiter, GroupAnswer::join_failed(&ByteStr::default(), ErrorCode::UNKNOWN_MEMBER_ID));
        }
        if let Some(waiter) = member.awaiting_sync {
            step.answer(waiter, GroupAnswer::sync_failed(ErrorCode::UNKNOWN_MEMBER_ID));
        }
    }

    /// A member has come, changed or gone: a rebalance begins, or the one that runs may now be complete.
    pub(super) fn rebalance_or_complete_join(&mut self, step: &mut Step<'_>) {
        if self.state == ClassicGroupState::PreparingRebalance {
            self.maybe_complete_join(step);
        } else {
            self.prepare_rebalance(step);
        }
    }

    pub(super) fn prepare_rebalance(&mut self, step: &mut Step<'_>) {
        if self.state == ClassicGroupState::CompletingRebalance {
            self.refuse_syncs(step, ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let is_initial = self.state == ClassicGroupState::Empty;
        self.transition(step.now, ClassicGroupState::PreparingRebalance);
        if is_initial {
            self.new_member_added = false;
            let delay = step.config.initial_rebalance_delay;
            self.wait_for_first(step, delay, self.rebalance_timeout().saturating_sub(delay));
        } else {
            self.phase = Some(Phase::Join { deadline: step.now.instant() + self.rebalance_timeout() });
            self.maybe_complete_join(step);
        }
    }

    fn wait_for_first(&mut self, step: &mut Step<'_>, delay: Duration, remaining: Duration) {
        self.phase = Some(Phase::InitialJoin { deadline: step.now.instant() + delay, delay, remaining });
        if delay.is_zero() {
            self.complete_join(step);
        }
    }

    fn continue_initial_join(&mut self, step: &mut Step<'_>, delay: Duration, remaining: Duration) {
        if self.new_member_added && !remaining.is_zero() {
            self.new_member_added = false;
            let next = step.config.initial_rebalance_delay.min(remaining);
            self.wait_for_first(step, next, remaining.saturating_sub(delay));
        } else {
            self.complete_join(step);
        }
    }

    /// The longest that any member wants to be waited for.
    fn rebalance_timeout(&self) -> Duration {
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0);
        Duration::from_millis(u64::try_from(longest).unwrap_or(0))
    }

    /// Completes the join phase when all are there, except for that of an empty group, which has its own time.
    pub(super) fn maybe_complete_join(&mut self, step: &mut Step<'_>) {
        let all_joined = (self.pending_members.is_empty()
            && self.members.values().all(|member| member.awaiting_join.is_some()))
            || step.config.bugs.has(felice_log::Bug::JoinNotAwaited);
        if self.state == ClassicGroupState::PreparingRebalance
            && !matches!(self.phase, Some(Phase::InitialJoin { .. }))
            && all_joined
        {
            self.complete_join(step);
        }
    }

    /// Who is not back by now is out, except for static members; the others get the new generation.
    fn complete_join(&mut self, step: &mut Step<'_>) {
        let missing: Vec<ByteStr> = self
            .members
            .iter()
            .filter(|(_, member)| member.awaiting_join.is_none() && member.group_instance_id.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for member_id in missing {
            self.remove(&member_id);
        }
        if !self.elect_joined_leader() && !self.members.is_empty() {
            // Only static members, none of which is back: their sessions will tell.
            let wait = self.rebalance_timeout().max(MIN_WAIT);
            self.phase = Some(Phase::Join { deadline: step.now.instant() + wait });
            return;
        }
        self.next_generation(step);
        if self.members.is_empty() {
            self.phase = None;
            step.record(self.record());
            return;
        }
        self.phase = Some(Phase::Sync { deadline: step.now.instant() + self.rebalance_timeout() });
        self.pending_sync = self.members.keys().cloned().collect();
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            let answer = self.joined(&member_id, true);
            let Some(member) = self.members.get_mut(&member_id) else { continue };
            member.is_new = false;
            member.session_deadline = Some(step.now.instant() + member.session_timeout());
            if let Some(waiter) = member.awaiting_join.take() {
                step.answer(waiter, GroupAnswer::JoinGroup(answer));
            }
        }
    }

    /// Makes sure that the leader is one that is there. False where nobody is.
    fn elect_joined_leader(&mut self) -> bool {
        let is_there = |member: &Member| member.awaiting_join.is_some();
        if self.leader.as_ref().and_then(|id| self.members.get(id)).is_some_and(is_there) {
            return true;
        }
        let joined = self.members.iter().find(|(_, member)| is_there(member));
        match joined.map(|(id, _)| id.clone()) {
            Some(id) => {
                self.leader = Some(id);
                true
            }
            None => false,
        }
    }

    fn next_generation(&mut self, step: &mut Step<'_>) {
        self.generation_id = if self.generation_id == i32::MAX { 1 } else { self.generation_id + 1 };
        self.pending_sync.clear();
        if self.members.is_empty() {
            self.protocol_name = None;
            self.transition(step.now, ClassicGroupState::Empty);
        } else {
            self.protocol_name = self.select_protocol();
            self.transition(step.now, ClassicGroupState::CompletingRebalance);
        }
        self.subscribed_topics = self.compute_subscribed_topics();
    }

    /// The protocol that most members like best, among those that all can.
    pub(super) fn select_protocol(&self) -> Option<ByteStr> {
        let first = self.members.values().next()?;
        let candidates: BTreeSet<&ByteStr> = first
            .protocols
            .iter()
            .map(|(name, _)| name)
            .filter(|name| self.members.values().all(|member| member.supports(name)))
            .collect();
        let mut votes: BTreeMap<&ByteStr, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(name) = member.vote(&candidates) {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.clone())
    }

    /// The answer to a member's JoinGroup in this generation; the leader may get to know the others.
    pub(super) fn joined(&self, member_id: &ByteStr, with_members: bool) -> JoinGroupResponse {
        let mut members = Vec::new();
        if with_members && self.is_leader(member_id) {
            members.extend(self.members.iter().map(|(id, member)| JoinGroupResponseMember {
                member_id: id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                metadata: self.protocol_name.as_ref().map(|name| member.metadata(name)).unwrap_or_default(),
                ..Default::default()
            }));
        }
        JoinGroupResponse {
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.clone(),
            members,
            ..Default::default()
        }
    }

    /// Assignments that were under way are void; who waits for one is told why.
    pub(super) fn refuse_syncs(&mut self, step: &mut Step<'_>, error_code: ErrorCode) {
        for member in self.members.values_mut() {
            member.assignment = bytes::Bytes::new();
            if let Some(waiter) = member.awaiting_sync.take() {
                member.session_deadline = Some(step.now.instant() + member.session_timeout());
                step.answer(waiter, GroupAnswer::sync_failed(error_code));
            }
        }
    }

    /// The group cannot go on here: whoever waits hears it.
    pub(crate) fn refuse_waiting(&mut self, step: &mut Step<'_>, error_code: ErrorCode) {
        self.refuse_syncs(step, error_code);
        for (member_id, member) in &mut self.members {
            if let Some(waiter) = member.awaiting_join.take() {
                step.answer(waiter, GroupAnswer::join_failed(member_id, error_code));
            }
        }
    }

    /// Everybody who waits gets their assignment.
    pub(super) fn answer_syncs(&mut self, step: &mut Step<'_>) {
        for member in self.members.values_mut() {
            if let Some(waiter) = member.awaiting_sync.take() {
                member.session_deadline = Some(step.now.instant() + member.session_timeout());
                let answer = SyncGroupResponse {
                    protocol_type: self.protocol_type.clone(),
                    protocol_name: self.protocol_name.clone(),
                    assignment: member.assignment.clone(),
                    ..Default::default()
                };
                step.answer(waiter, GroupAnswer::SyncGroup(answer));
            }
        }
    }

    /// A member has asked for its assignment.
    pub(super) fn has_synced(&mut self, member_id: &ByteStr) {
        self.pending_sync.remove(member_id);
        if self.pending_sync.is_empty() && matches!(self.phase, Some(Phase::Sync { .. })) {
            self.phase = None;
        }
    }

    /// Who has joined and does not ask for an assignment is out.
    fn expire_sync(&mut self, step: &mut Step<'_>) {
        self.phase = None;
        if self.pending_sync.is_empty() {
            return;
        }
        for member_id in std::mem::take(&mut self.pending_sync) {
            self.remove_answered(step, &member_id);
        }
        self.prepare_rebalance(step);
    }
}
