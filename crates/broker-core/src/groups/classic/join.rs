//! JoinGroup: who may come in, under which id, and what that means for the others.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::JoinGroupRequest;
use felice_protocol::primitives::ByteStr;

use super::{ClassicGroup, ClassicGroupState, Member};
use crate::groups::answer::GroupAnswer;
use crate::groups::step::Step;
use crate::groups::{Caller, kept};

/// The first version whose members must come back with the id that they are given.
const REQUIRES_MEMBER_ID: i16 = 4;
/// The first version that can tell a leader not to assign.
const SUPPORTS_SKIP_ASSIGNMENT: i16 = 9;
/// How long a member that has not had its first answer may wait for it.
const NEW_MEMBER_JOIN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5 * 60);
/// Ids that may be given and not come back with.
const MAX_PENDING_MEMBERS: usize = 10_000;

impl ClassicGroup {
    /// Lets a member in, or in again. `new_id` is the id that it gets if it has none.
    pub(crate) fn join(&mut self, step: &mut Step<'_>, caller: &Caller, request: &JoinGroupRequest, new_id: String) {
        if let Err((member_id, code)) = self.try_join(step, caller, request, new_id) {
            step.answer(caller.waiter, GroupAnswer::join_failed(&member_id, code));
        }
    }

    fn try_join(
        &mut self,
        step: &mut Step<'_>,
        caller: &Caller,
        request: &JoinGroupRequest,
        new_id: String,
    ) -> Result<(), (ByteStr, ErrorCode)> {
        let member_id = &request.member_id;
        let fails = |code| Err((member_id.clone(), code));
        if !self.has_room_for(member_id, step.config.max_size) {
            self.remove(member_id);
            return Err((ByteStr::default(), ErrorCode::GROUP_MAX_SIZE_REACHED));
        }
        if !self.supports_protocols(&request.protocol_type, &request.protocols) {
            return fails(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if member_id.is_empty() {
            return self.join_new(step, caller, request, new_id.into());
        }
        if self.pending_members.contains_key(member_id) {
            if request.group_instance_id.is_some() {
                // Static members are never made to come back.
                return Err((ByteStr::default(), ErrorCode::UNKNOWN_SERVER_ERROR));
            }
            self.add(step, caller, request, kept(member_id));
            return Ok(());
        }
        self.validate_member(member_id, request.group_instance_id.as_ref())
            .map_err(|code| (member_id.clone(), code))?;
        let unchanged = self.members.get(member_id).is_some_and(|member| member.matches(&request.protocols));
        match self.state {
            ClassicGroupState::Empty => return fails(ErrorCode::UNKNOWN_MEMBER_ID),
            // It has not had the answer to its last JoinGroup, so it gets that.
            ClassicGroupState::CompletingRebalance if unchanged => {
                step.answer(caller.waiter, GroupAnswer::JoinGroup(self.joined(member_id, true)));
            }
            // A leader that joins again has seen something that concerns the assignment.
            ClassicGroupState::Stable if unchanged && !self.is_leader(member_id) => {
                self.touch(step.now, member_id);
                step.answer(caller.waiter, GroupAnswer::JoinGroup(self.joined(member_id, false)));
            }
            ClassicGroupState::Stable
            | ClassicGroupState::CompletingRebalance
            | ClassicGroupState::PreparingRebalance => {
                self.update(step, caller, request, member_id);
                self.rebalance_or_complete_join(step);
            }
        }
        Ok(())
    }

    fn has_room_for(&self, member_id: &ByteStr, max_size: usize) -> bool {
        match self.state {
            ClassicGroupState::Empty => true,
            ClassicGroupState::PreparingRebalance => {
                let awaits = |member: &Member| member.awaiting_join.is_some();
                self.members.get(member_id).is_some_and(awaits)
                    || self.members.values().filter(|member| awaits(member)).count() < max_size
            }
            ClassicGroupState::CompletingRebalance | ClassicGroupState::Stable => {
                self.members.contains_key(member_id) || self.members.len() < max_size
            }
        }
    }

    fn join_new(
        &mut self,
        step: &mut Step<'_>,
        caller: &Caller,
        request: &JoinGroupRequest,
        new_id: ByteStr,
    ) -> Result<(), (ByteStr, ErrorCode)> {
        if let Some(instance_id) = &request.group_instance_id {
            if let Some(old_id) = self.static_members.get(instance_id).cloned() {
                self.replace_static(step, caller, request, &old_id, new_id);
            } else {
                self.add(step, caller, request, new_id);
            }
        } else if caller.version >= REQUIRES_MEMBER_ID {
            if self.pending_members.len() >= MAX_PENDING_MEMBERS {
                return Err((ByteStr::default(), ErrorCode::GROUP_MAX_SIZE_REACHED));
            }
            let timeout = Member::joining(caller, request).session_timeout();
            self.pending_members.insert(new_id.clone(), step.now.instant() + timeout);
            return Err((new_id, ErrorCode::MEMBER_ID_REQUIRED));
        } else {
            self.add(step, caller, request, new_id);
        }
        Ok(())
    }

    fn add(&mut self, step: &mut Step<'_>, caller: &Caller, request: &JoinGroupRequest, member_id: ByteStr) {
        let mut member = Member::joining(caller, request);
        member.awaiting_join = Some(caller.waiter);
        // It cannot heartbeat before it is answered, and who goes meanwhile is not noticed: this long it may take.
        member.session_deadline = Some(step.now.instant() + NEW_MEMBER_JOIN_TIMEOUT);
        if self.members.is_empty() {
            self.protocol_type = Some(kept(&request.protocol_type));
        }
        if let Some(instance_id) = &member.group_instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        self.pending_members.remove(&member_id);
        self.members.insert(member_id, member);
        self.new_member_added = true;
        self.rebalance_or_complete_join(step);
    }

    fn update(&mut self, step: &mut Step<'_>, caller: &Caller, request: &JoinGroupRequest, member_id: &ByteStr) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        member.update(caller, request);
        if let Some(before) = member.awaiting_join.replace(caller.waiter) {
            // The same member over another connection: nobody waits for ever.
            step.answer(before, GroupAnswer::join_failed(member_id, ErrorCode::REBALANCE_IN_PROGRESS));
        }
    }

    /// A static member has come back under a new id. The old one is fenced; while nothing changes for the others, they are left alone.
    fn replace_static(
        &mut self,
        step: &mut Step<'_>,
        caller: &Caller,
        request: &JoinGroupRequest,
        old_id: &ByteStr,
        new_id: ByteStr,
    ) {
        let leader_before = self.leader.clone();
        let Some(mut member) = self.members.remove(old_id) else { return };
        if let Some(waiter) = member.awaiting_join.take() {
            step.answer(waiter, GroupAnswer::join_failed(old_id, ErrorCode::FENCED_INSTANCE_ID));
        }
        if let Some(waiter) = member.awaiting_sync.take() {
            step.answer(waiter, GroupAnswer::sync_failed(ErrorCode::FENCED_INSTANCE_ID));
        }
        if self.pending_sync.remove(old_id) {
            self.pending_sync.insert(new_id.clone());
        }
        if let Some(instance_id) = &member.group_instance_id {
            self.static_members.insert(instance_id.clone(), new_id.clone());
        }
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        member.update(caller, request);
        member.session_deadline = Some(step.now.instant() + member.session_timeout());
        member.awaiting_join = Some(caller.waiter);
        self.members.insert(new_id.clone(), member);
        if self.state != ClassicGroupState::Stable || self.select_protocol() != self.protocol_name {
            // While an assignment is on its way it may be for the old id: it has to be made again.
            self.rebalance_or_complete_join(step);
            return;
        }
        step.record(self.record());
        let skips = caller.version >= SUPPORTS_SKIP_ASSIGNMENT;
        let mut answer = self.joined(&new_id, skips);
        if skips {
            answer.skip_assignment = self.is_leader(&new_id);
        } else {
            // A leader would assign, which a stable group does not listen to: it is told of the leader that it was.
            answer.leader = leader_before.unwrap_or_default();
        }
        if let Some(member) = self.members.get_mut(&new_id) {
            member.awaiting_join = None;
        }
        step.answer(caller.waiter, GroupAnswer::JoinGroup(answer));
    }
}
