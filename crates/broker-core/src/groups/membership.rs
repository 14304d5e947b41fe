//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup find their group.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, leave_group,
};
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Now;

use super::consumer::requests;
use super::step::Step;
use super::{Caller, ClassicGroup, Entry, Group, GroupAnswer, GroupCoordinator, MAX_STRING, TopicsView, kept};

/// A member of a hundred protocols has none in mind: each is compared with those of every other member.
const MAX_PROTOCOLS: usize = 100;

impl GroupCoordinator {
    pub(crate) fn handle_join_group(
        &mut self,
        now: Now,
        topics: TopicsView<'_>,
        caller: &Caller,
        request: &JoinGroupRequest,
    ) {
        let waiter = caller.waiter;
        if let Err(code) = self.check_join(request) {
            self.answer(&request.group_id, waiter, GroupAnswer::join_failed(&request.member_id, code));
            return;
        }
        let id = kept(&request.group_id);
        let is_new = !self.groups.contains_key(&id);
        if is_new && !request.member_id.is_empty() {
            let answer = GroupAnswer::join_failed(&request.member_id, ErrorCode::UNKNOWN_MEMBER_ID);
            self.answer(&id, waiter, answer);
            return;
        }
        let new_id = self.new_member_id(request.group_instance_id.as_ref().unwrap_or(&caller.client_id));
        let entry = self.groups.entry(id.clone()).or_insert_with(|| Entry::classic(ClassicGroup::new(id.clone(), now)));
        let mut step = Step::new(now, &self.config);
        if requests::join(&mut step, topics, &mut entry.group, caller, request, &new_id) {
            // A classic member of a consumer group, which answers it itself.
        } else if let Group::Classic(group) = &mut entry.group {
            if is_new {
                step.record(group.record());
            }
            group.join(&mut step, caller, request, new_id);
        }
        let (records, answers) = (step.records, step.answers);
        self.settle(&id, records, answers);
    }

    fn check_join(&self, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
        self.check_member(&request.group_id)?;
        if !self.config.session_timeouts.contains(&request.session_timeout_ms) {
            return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        let long = |text: &ByteStr| text.len() > MAX_STRING - 64;
        if request.group_instance_id.as_ref().is_some_and(long)
            || request.protocols.len() > MAX_PROTOCOLS
            || long(&request.protocol_type)
            || request.protocols.iter().any(|protocol| long(&protocol.name))
        {
            // More than a record of the log can hold, or than there is time for.
            return Err(ErrorCode::INVALID_REQUEST);
        }
        Ok(())
    }

    /// An id that nobody has: what the client calls itself, and a random UUID.
    fn new_member_id(&mut self, name: &str) -> String {
        let (high, low) = (self.random.next_u64(), self.random.next_u64());
        let id = (u128::from(high) << 64 | u128::from(low)) & !(0xf << 76) & !(0xc << 60) | (0x4 << 76) | (0x8 << 60);
        let hex = format!("{id:032x}");
        let parts = [hex.get(..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..)];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        // The id has to fit into a record, too.
        let name = name.get(..name.floor_char_boundary(MAX_STRING - 64)).unwrap_or_default();
        format!("{name}-{}", parts.join("-"))
    }

    pub(crate) fn handle_sync_group(
        &mut self,
        now: Now,
        topics: TopicsView<'_>,
        caller: &Caller,
        request: SyncGroupRequest,
    ) {
        let waiter = caller.waiter;
        let id = kept(&request.group_id);
        let nameless = caller.version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none());
        let checked = if nameless { Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL) } else { self.check_member(&id) };
        let mut step = Step::new(now, &self.config);
        match (checked, self.groups.get_mut(&id).map(|entry| &mut entry.group)) {
            (Err(code), _) => step.answer(waiter, GroupAnswer::sync_failed(code)),
            (Ok(()), None) => step.answer(waiter, GroupAnswer::sync_failed(ErrorCode::UNKNOWN_MEMBER_ID)),
            (Ok(()), Some(Group::Classic(group))) => group.sync(&mut step, waiter, request),
            (Ok(()), Some(Group::Consumer(group))) => requests::sync(&mut step, topics, group, caller, &request),
        }
        let (records, answers) = (step.records, step.answers);
        self.settle(&id, records, answers);
    }

    pub(crate) fn handle_heartbeat(&mut self, now: Now, caller: &Caller, request: &HeartbeatRequest) {
        let id = kept(&request.group_id);
        let checked = self.check_member(&id);
        let mut step = Step::new(now, &self.config);
        let code = match (checked, self.groups.get_mut(&id).map(|entry| &mut entry.group)) {
            (Err(code), _) => code,
            (Ok(()), None) => ErrorCode::UNKNOWN_MEMBER_ID,
            (Ok(()), Some(Group::Classic(group))) => group.heartbeat(&mut step, request),
            (Ok(()), Some(Group::Consumer(group))) => requests::classic_heartbeat(&step, group, request),
        };
        step.answer(caller.waiter, GroupAnswer::heartbeat(code));
        let (records, answers) = (step.records, step.answers);
        self.settle(&id, records, answers);
    }

    pub(crate) fn handle_leave_group(
        &mut self,
        now: Now,
        topics: TopicsView<'_>,
        caller: &Caller,
        request: LeaveGroupRequest,
    ) {
        let id = kept(&request.group_id);
        let checked = self.check_member(&id);
        let members = if caller.version < 3 {
            vec![leave_group::request::MemberIdentity { member_id: request.member_id, ..Default::default() }]
        } else {
            request.members
        };
        let mut step = Step::new(now, &self.config);
        let left = match (checked, self.groups.get_mut(&id).map(|entry| &mut entry.group)) {
            (Err(code), _) => Err(code),
            (Ok(()), None) => Ok(members.into_iter().map(unknown).collect()),
            (Ok(()), Some(Group::Classic(group))) => Ok(group.leave(&mut step, members)),
            (Ok(()), Some(group @ Group::Consumer(_))) => Ok(requests::leave(&mut step, topics, group, &members)),
        };
        let answer = match left {
            Ok(members) => LeaveGroupResponse { members, ..Default::default() },
            Err(error_code) => LeaveGroupResponse { error_code, ..Default::default() },
        };
        step.answer(caller.waiter, GroupAnswer::LeaveGroup(answer));
        let (records, answers) = (step.records, step.answers);
        self.settle(&id, records, answers);
    }
}

fn unknown(member: leave_group::request::MemberIdentity) -> leave_group::response::MemberResponse {
    leave_group::response::MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code: ErrorCode::UNKNOWN_MEMBER_ID,
        ..Default::default()
    }
}
