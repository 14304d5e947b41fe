//! ConsumerGroupHeartbeat and ConsumerGroupDescribe find their group; what the coordinator's other files do with groups of this type.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::consumer_group_describe::response::DescribedGroup;
use felice_protocol::messages::leave_group::request::MemberIdentity;
use felice_protocol::messages::leave_group::response::MemberResponse;
use felice_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, HeartbeatRequest, JoinGroupRequest, SyncGroupRequest,
};
use felice_protocol::primitives::{ByteStr, DecodeError, Decoder};
use felice_protocol::time::Now;

use super::change::Change;
use super::{ConsumerGroup, Fenced, GroupError, check_heartbeat};
use crate::groups::admin::GROUP_OPERATIONS;
use crate::groups::answer::GroupAnswer;
use crate::groups::step::Step;
use crate::groups::topics_view::TopicsView;
use crate::groups::{Caller, ClassicGroup, Entry, Group, GroupCoordinator, kept, migration};

impl GroupCoordinator {
    /// Serves ConsumerGroupHeartbeat.
    pub(crate) fn handle_consumer_group_heartbeat(
        &mut self,
        now: Now,
        view: TopicsView<'_>,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) {
        let id = kept(&request.group_id);
        let checked = self.check_consumer_heartbeat(caller, request);
        let Self { config, groups, random, .. } = self;
        let mut step = Step::new(now, config);
        let served = checked.and_then(|()| {
            let mut new_id = || random.uuid().to_string().into();
            match groups.get_mut(&id) {
                None if request.member_epoch != 0 => {
                    let kind = if request.member_epoch > 0 { "Consumer group" } else { "Group" };
                    Err(not_found(format!("{kind} {id} not found.")))
                }
                None => {
                    let mut group = ConsumerGroup::new(id.clone());
                    let response = heartbeat(&mut step, view, &mut group, caller, request, &mut new_id)?.0;
                    groups.insert(id.clone(), Entry::consumer(group));
                    Ok(response)
                }
                Some(Entry { group: Group::Classic(_), .. }) if request.member_epoch != 0 => {
                    Err(not_found(format!("Group {id} is not a consumer group.")))
                }
                Some(Entry { group: place @ Group::Classic(_), .. }) => {
                    let Group::Classic(classic) = &*place else { return Err(not_found(String::new())) };
                    // Made beside the old one, so that nothing has happened where the member may not join.
                    let mut aside = Step::new(now, config);
                    let mut group = migration::to_consumer(&mut aside, view, &config.consumer, &mut classic.clone())?;
                    let response = heartbeat(&mut aside, view, &mut group, caller, request, &mut new_id)?.0;
                    step.records.append(&mut aside.records);
                    step.answers.append(&mut aside.answers);
                    *place = Group::Consumer(group);
                    Ok(response)
                }
                Some(Entry { group: place @ Group::Consumer(_), .. }) => {
                    let Group::Consumer(group) = place else { return Err(not_found(String::new())) };
                    let (response, fenced) = heartbeat(&mut step, view, group, caller, request, &mut new_id)?;
                    follow(&mut step, view, place, fenced);
                    Ok(response)
                }
            }
        });
        let response = served.unwrap_or_else(|error| ConsumerGroupHeartbeatResponse {
            error_code: error.code,
            error_message: Some(error.message.into()),
            ..Default::default()
        });
        step.answer(caller.waiter, GroupAnswer::ConsumerGroupHeartbeat(response));
        let (records, answers) = (step.records, step.answers);
        self.settle(&id, records, answers);
    }

    fn check_consumer_heartbeat(
        &self,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<(), GroupError> {
        if !self.config.consumer.enabled {
            let message = "the consumer protocol is not among group.coordinator.rebalance.protocols";
            return Err(GroupError::new(ErrorCode::UNSUPPORTED_VERSION, message));
        }
        check_heartbeat(&self.config.consumer, caller.version, request)?;
        self.check_member(&request.group_id)
            .map_err(|code| GroupError::new(code, format!("group {} is not to be found here", request.group_id)))
    }

    /// Serves ConsumerGroupDescribe.
    pub(crate) fn handle_consumer_group_describe(
        &mut self,
        view: TopicsView<'_>,
        caller: &Caller,
        request: &ConsumerGroupDescribeRequest,
    ) {
        let groups = request.group_ids.iter().map(|id| {
            let refused = |error_code, error_message: Option<String>| DescribedGroup {
                group_id: id.clone(),
                error_code,
                error_message: error_message.map(Into::into),
                ..Default::default()
            };
            let mut described = match (self.check_member(id), self.groups.get(id).map(|entry| &entry.group)) {
                (Err(code), _) => return refused(code, None),
                (_, None) => return refused(ErrorCode::GROUP_ID_NOT_FOUND, Some(format!("Group {id} not found."))),
                (_, Some(Group::Classic(_))) => {
                    return refused(
                        ErrorCode::GROUP_ID_NOT_FOUND,
                        Some(format!("Group {id} is not a consumer group.")),
                    );
                }
                (_, Some(Group::Consumer(group))) => group.describe(view, &self.config.consumer),
            };
            if request.include_authorized_operations {
                described.authorized_operations = GROUP_OPERATIONS;
            }
            described
        });
        let response = ConsumerGroupDescribeResponse { groups: groups.collect(), ..Default::default() };
        let appends = request.group_ids.iter().map(|id| (self.partition_for(id), Vec::new())).collect();
        let answers = vec![(caller.waiter, GroupAnswer::ConsumerGroupDescribe(response))];
        self.effects.push_back(crate::groups::Effect { appends, answers });
    }

    /// A record of this kind, read from the log.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn replay_consumer(
        &mut self,
        record_type: i16,
        key: &mut Decoder,
        value: Option<(i16, Decoder)>,
    ) -> Result<(), DecodeError> {
        let Some((id, change)) = Change::decode(record_type, key, value)? else { return Ok(()) };
        let is_tombstone = matches!(
            change,
            Change::Group(None)
                | Change::PartitionMetadata { present: false }
                | Change::Member(_, None)
                | Change::Target(None)
                | Change::TargetMember(_, None)
                | Change::Current(_, None)
                | Change::Regex(_, None)
        );
        match self.groups.get_mut(&id) {
            None if is_tombstone => {}
            None => {
                let mut group = ConsumerGroup::new(id.clone());
                group.replay(change);
                self.groups.insert(id, Entry::consumer(group));
            }
            // What a group was before it became classic has been taken away by then, or is about to be.
            Some(Entry { group: Group::Classic(_), .. }) if is_tombstone => {}
            Some(entry) => {
                if let Group::Classic(_) = entry.group {
                    // A classic group that only held offsets so far, or one whose tombstone the cleaner has taken with it.
                    entry.group = Group::Consumer(ConsumerGroup::new(id.clone()));
                }
                if let Group::Consumer(group) = &mut entry.group {
                    group.replay(change);
                    if is_tombstone && group.is_unwritten() {
                        // Nothing is left but perhaps offsets, which need a group to be with.
                        entry.group = Group::Classic(ClassicGroup::unknown(id.clone()));
                        if entry.offsets.is_empty() {
                            self.groups.remove(&id);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn not_found(message: String) -> GroupError {
    GroupError { code: ErrorCode::GROUP_ID_NOT_FOUND, message }
}

fn heartbeat(
    step: &mut Step<'_>,
    view: TopicsView<'_>,
    group: &mut ConsumerGroup,
    caller: &Caller,
    request: &ConsumerGroupHeartbeatRequest,
    new_id: &mut dyn FnMut() -> ByteStr,
) -> Result<(ConsumerGroupHeartbeatResponse, Fenced), GroupError> {
    let mut served = group.heartbeat(step.now, view, &step.config.consumer, caller, request, new_id)?;
    step.records.append(&mut served.records.0);
    Ok((served.response, served.fenced))
}

/// Makes the group classic where what happened asks for it.
fn follow(step: &mut Step<'_>, view: TopicsView<'_>, place: &mut Group, fenced: Fenced) {
    let (Group::Consumer(group), Fenced::BecomeClassic(leaving)) = (&mut *place, fenced) else { return };
    // Without anyone leaving, the last member has come back as a classic one, and what everyone has may still be right.
    let rebalance = !leaving.is_empty() || group.is_assignment_due();
    *place = Group::Classic(migration::to_classic(step, view, group, &leaving, rebalance));
}

/// JoinGroup of a classic member to a consumer group; an empty one becomes classic, and `false` says that it is to be asked again.
pub(crate) fn join(
    step: &mut Step<'_>,
    view: TopicsView<'_>,
    place: &mut Group,
    caller: &Caller,
    request: &JoinGroupRequest,
    new_id: &str,
) -> bool {
    let Group::Consumer(group) = place else { return false };
    if group.is_empty() {
        *place = Group::Classic(migration::empty_to_classic(step, group));
        return false;
    }
    let config = &step.config.consumer;
    match group.classic_join(step.now, view, config, caller, request, || new_id.into()) {
        Ok(mut joined) => {
            step.records.append(&mut joined.records.0);
            step.answer(caller.waiter, GroupAnswer::JoinGroup(joined.response));
            follow(step, view, place, joined.fenced);
        }
        Err(error) => step.answer(caller.waiter, GroupAnswer::join_failed(&request.member_id, error.code)),
    }
    true
}

/// SyncGroup of a classic member.
pub(crate) fn sync(
    step: &mut Step<'_>,
    view: TopicsView<'_>,
    group: &mut ConsumerGroup,
    caller: &Caller,
    request: &SyncGroupRequest,
) {
    let answer = match group.classic_sync(step.now, view, &step.config.consumer, request) {
        Ok(response) => GroupAnswer::SyncGroup(response),
        Err(error) => GroupAnswer::sync_failed(error.code),
    };
    step.answer(caller.waiter, answer);
}

/// Heartbeat of a classic member.
pub(crate) fn classic_heartbeat(step: &Step<'_>, group: &mut ConsumerGroup, request: &HeartbeatRequest) -> ErrorCode {
    group.classic_heartbeat(step.now, &step.config.consumer, request).err().map_or(ErrorCode::NONE, |error| error.code)
}

/// LeaveGroup of classic members.
pub(crate) fn leave(
    step: &mut Step<'_>,
    view: TopicsView<'_>,
    place: &mut Group,
    members: &[MemberIdentity],
) -> Vec<MemberResponse> {
    let Group::Consumer(group) = place else { return Vec::new() };
    let (mut records, responses, fenced) = group.classic_leave(view, &step.config.consumer, members);
    step.records.append(&mut records.0);
    follow(step, view, place, fenced);
    responses
}

/// Deadlines that are over.
pub(crate) fn timeout(step: &mut Step<'_>, view: TopicsView<'_>, place: &mut Group) {
    let Group::Consumer(group) = place else { return };
    let (mut records, fenced) = group.handle_timeout(step.now, view, &step.config.consumer);
    step.records.append(&mut records.0);
    follow(step, view, place, fenced);
}
