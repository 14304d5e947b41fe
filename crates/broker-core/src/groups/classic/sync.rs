//! SyncGroup, Heartbeat, LeaveGroup.

use std::collections::BTreeMap;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::leave_group::request::MemberIdentity;
use felice_protocol::messages::leave_group::response::MemberResponse;
use felice_protocol::messages::{HeartbeatRequest, SyncGroupRequest, SyncGroupResponse};
use felice_protocol::primitives::ByteStr;

use super::{ClassicGroup, ClassicGroupState};
use crate::groups::answer::GroupAnswer;
use crate::groups::step::Step;
use crate::groups::{MAX_BATCH_BYTES, Waiter, kept};

impl ClassicGroup {
    /// Takes the leader's assignment, or holds the request until that is there.
    pub(crate) fn sync(&mut self, step: &mut Step<'_>, waiter: Waiter, request: SyncGroupRequest) {
        if let Err(code) = self.try_sync(step, waiter, request) {
            step.answer(waiter, GroupAnswer::sync_failed(code));
        }
    }

    fn try_sync(&mut self, step: &mut Step<'_>, waiter: Waiter, request: SyncGroupRequest) -> Result<(), ErrorCode> {
        let member_id = &request.member_id;
        self.validate_member(member_id, request.group_instance_id.as_ref())?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        if differs(request.protocol_type.as_ref(), self.protocol_type.as_ref()) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if differs(request.protocol_name.as_ref(), self.protocol_name.as_ref()) {
            // A consumer group tells each classic member the protocol that this member likes best. When the group becomes classic between a
            // member's JoinGroup and its SyncGroup, it has one for all: the member joins again and hears of it. Apache Kafka refuses it for good.
            let member = self.members.get(member_id);
            let offered = request.protocol_name.as_ref().is_some_and(|name| member.is_some_and(|m| m.supports(name)));
            return Err(if offered {
                ErrorCode::REBALANCE_IN_PROGRESS
            } else {
                ErrorCode::INCONSISTENT_GROUP_PROTOCOL
            });
        }
        match self.state {
            ClassicGroupState::Empty => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
            ClassicGroupState::PreparingRebalance => return Err(ErrorCode::REBALANCE_IN_PROGRESS),
            ClassicGroupState::Stable => {
                self.touch(step.now, member_id);
                self.has_synced(member_id);
                let answer = SyncGroupResponse {
                    protocol_type: self.protocol_type.clone(),
                    protocol_name: self.protocol_name.clone(),
                    assignment: self.members.get(member_id).map(|member| member.assignment.clone()).unwrap_or_default(),
                    ..Default::default()
                };
                step.answer(waiter, GroupAnswer::SyncGroup(answer));
            }
            ClassicGroupState::CompletingRebalance => {
                self.has_synced(member_id);
                if let Some(member) = self.members.get_mut(member_id)
                    && let Some(before) = member.awaiting_sync.replace(waiter)
                {
                    step.answer(before, GroupAnswer::sync_failed(ErrorCode::REBALANCE_IN_PROGRESS));
                }
                if self.is_leader(member_id) {
                    self.assign(step, request);
                }
            }
        }
        Ok(())
    }

    /// The leader has assigned: who is not in it gets nothing.
    fn assign(&mut self, step: &mut Step<'_>, request: SyncGroupRequest) {
        let mut assignments: BTreeMap<ByteStr, Bytes> = request
            .assignments
            .into_iter()
            .map(|assignment| (assignment.member_id, Bytes::copy_from_slice(&assignment.assignment)))
            .collect();
        for (member_id, member) in &mut self.members {
            member.assignment = assignments.remove(member_id).unwrap_or_default();
        }
        self.transition(step.now, ClassicGroupState::Stable);
        let record = self.record();
        if record.size() > MAX_BATCH_BYTES {
            self.refuse_syncs(step, ErrorCode::UNKNOWN_SERVER_ERROR);
            self.prepare_rebalance(step);
            return;
        }
        step.record(record);
        self.answer_syncs(step);
    }

    /// A member says that it is alive, and hears whether it has to join again.
    pub(crate) fn heartbeat(&mut self, step: &mut Step<'_>, request: &HeartbeatRequest) -> ErrorCode {
        if let Err(code) = self.validate_member(&request.member_id, request.group_instance_id.as_ref()) {
            return code;
        }
        if request.generation_id != self.generation_id {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        match self.state {
            ClassicGroupState::Empty => ErrorCode::UNKNOWN_MEMBER_ID,
            ClassicGroupState::PreparingRebalance => {
                self.touch(step.now, &request.member_id);
                if step.config.bugs.has(felice_log::Bug::RebalanceNotTold) {
                    return ErrorCode::NONE;
                }
                ErrorCode::REBALANCE_IN_PROGRESS
            }
            ClassicGroupState::CompletingRebalance | ClassicGroupState::Stable => {
                self.touch(step.now, &request.member_id);
                ErrorCode::NONE
            }
        }
    }

    /// Members go, by their own word or by an administrator's, who names instance ids.
    pub(crate) fn leave(&mut self, step: &mut Step<'_>, members: Vec<MemberIdentity>) -> Vec<MemberResponse> {
        let mut anybody = false;
        let answers = members.into_iter().map(|identity| {
            let left = self.leave_one(step, &identity);
            anybody |= left.is_ok();
            MemberResponse {
                member_id: identity.member_id,
                group_instance_id: identity.group_instance_id,
                error_code: left.err().unwrap_or(ErrorCode::NONE),
                ..Default::default()
            }
        });
        let answers = answers.collect();
        if anybody && self.state != ClassicGroupState::Empty {
            self.rebalance_or_complete_join(step);
        }
        answers
    }

    fn leave_one(&mut self, step: &mut Step<'_>, identity: &MemberIdentity) -> Result<(), ErrorCode> {
        let instance_id = identity.group_instance_id.as_ref();
        if identity.member_id.is_empty() {
            let member_id = instance_id.and_then(|id| self.static_members.get(id)).cloned();
            self.remove_answered(step, &member_id.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?);
        } else if self.pending_members.contains_key(&identity.member_id) {
            self.remove(&identity.member_id);
        } else {
            self.validate_member(&identity.member_id, instance_id)?;
            self.remove_answered(step, &kept(&identity.member_id));
        }
        Ok(())
    }
}

fn differs(asked: Option<&ByteStr>, known: Option<&ByteStr>) -> bool {
    matches!((asked, known), (Some(asked), Some(known)) if asked != known)
}
