//! DescribeGroups, ListGroups, DeleteGroups, and groups and offsets that are too old.

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::delete_groups::response::DeletableGroupResult;
use felice_protocol::messages::describe_groups::response::DescribedGroup;
use felice_protocol::messages::list_groups::response::ListedGroup;
use felice_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, ListGroupsRequest,
    ListGroupsResponse,
};
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Now;

use super::classic::CONSUMER;
use super::{Caller, ClassicGroup, Effect, Entry, Group, GroupAnswer, GroupCoordinator, GroupRecord, MAX_BATCH_BYTES};

/// What everyone may do with a group while nothing authorizes: a bit for each of READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
pub(crate) const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

impl Group {
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed_to(topic),
            Self::Consumer(group) => group.is_subscribed_to(topic),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.validate_delete().is_ok(),
            Self::Consumer(group) => group.is_empty(),
        }
    }

    pub(super) fn tombstones(&self, id: &ByteStr) -> Vec<GroupRecord> {
        match self {
            Self::Classic(_) => vec![ClassicGroup::tombstone(id)],
            Self::Consumer(group) => group.tombstones(),
        }
    }
}

impl GroupCoordinator {
    pub(crate) fn handle_describe_groups(&mut self, caller: &Caller, request: &DescribeGroupsRequest) {
        let operations = if request.include_authorized_operations { GROUP_OPERATIONS } else { i32::MIN };
        let mut repeats = Repeats::default();
        let groups = request.groups.iter().map(|id| match repeats.check(id).and_then(|()| self.check(id)) {
            Ok(()) => self.describe(caller.version, id, operations),
            Err(error_code) => DescribedGroup { error_code, group_id: id.clone(), ..Default::default() },
        });
        let answer = DescribeGroupsResponse { groups: groups.collect(), ..Default::default() };
        let appends = request.groups.iter().map(|id| (self.partition_for(id), Vec::new())).collect();
        self.effects.push_back(Effect { appends, answers: vec![(caller.waiter, GroupAnswer::DescribeGroups(answer))] });
    }

    fn describe(&self, version: i16, id: &ByteStr, authorized_operations: i32) -> DescribedGroup {
        let why = match self.groups.get(id).map(|entry| &entry.group) {
            Some(Group::Classic(group)) => return DescribedGroup { authorized_operations, ..group.describe() },
            Some(Group::Consumer(_)) => format!("Group {id} is not a classic group."),
            None => format!("Group {id} not found."),
        };
        // Older clients know a group that is not there by its state alone.
        let is_new = version >= 6;
        DescribedGroup {
            error_code: if is_new { ErrorCode::GROUP_ID_NOT_FOUND } else { ErrorCode::NONE },
            error_message: Some(why.into()).filter(|_| is_new),
            group_id: id.clone(),
            group_state: ByteStr::from_static("Dead"),
            authorized_operations: if is_new { i32::MIN } else { authorized_operations },
            ..Default::default()
        }
    }

    pub(crate) fn handle_list_groups(&mut self, caller: &Caller, request: &ListGroupsRequest) {
        let wanted = |filter: &[ByteStr], value: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(value))
        };
        let groups = self.groups.iter().filter_map(|(id, entry)| {
            let (protocol_type, group_state, group_type) = match &entry.group {
                Group::Classic(group) => {
                    (group.protocol_type.clone().unwrap_or_default(), group.state().name(), "classic")
                }
                Group::Consumer(group) => (ByteStr::from_static(CONSUMER), group.state_name(), "consumer"),
            };
            let listed = wanted(&request.states_filter, group_state) && wanted(&request.types_filter, group_type);
            listed.then(|| ListedGroup {
                group_id: id.clone(),
                protocol_type,
                group_state: ByteStr::from_static(group_state),
                group_type: ByteStr::from_static(group_type),
                ..Default::default()
            })
        });
        let answer = ListGroupsResponse { groups: groups.collect(), ..Default::default() };
        self.effects
            .push_back(Effect { appends: Vec::new(), answers: vec![(caller.waiter, GroupAnswer::ListGroups(answer))] });
    }

    pub(crate) fn handle_delete_groups(&mut self, caller: &Caller, request: &DeleteGroupsRequest) {
        let mut appends = Vec::new();
        let mut results = Vec::new();
        let mut names = BTreeSet::new();
        for id in request.groups_names.iter().filter(|id| names.insert(*id)) {
            let deleted = self.delete(id);
            let error_code = deleted.as_ref().err().copied().unwrap_or(ErrorCode::NONE);
            results.push(DeletableGroupResult { group_id: id.clone(), error_code, ..Default::default() });
            let mut parts = parts(deleted.unwrap_or_default());
            let last = parts.pop().unwrap_or_default();
            for part in parts {
                self.append(id, part);
            }
            appends.push((self.partition_for(id), last));
        }
        let answer = DeleteGroupsResponse { results, ..Default::default() };
        self.effects.push_back(Effect { appends, answers: vec![(caller.waiter, GroupAnswer::DeleteGroups(answer))] });
    }

    fn delete(&mut self, id: &ByteStr) -> Result<Vec<GroupRecord>, ErrorCode> {
        self.check(id)?;
        let entry = self.groups.get(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        if !entry.group.is_empty() {
            return Err(ErrorCode::NON_EMPTY_GROUP);
        }
        Ok(self.remove(id))
    }

    /// Forgets a group, and gives what makes the log forget it.
    fn remove(&mut self, id: &ByteStr) -> Vec<GroupRecord> {
        let Some(mut entry) = self.groups.remove(id) else { return Vec::new() };
        if let Some(timer) = entry.timer {
            self.timers.remove(&(timer, id.clone()));
        }
        let mut records = entry.offsets.remove_if(id, |_, _, _| true);
        records.extend(entry.group.tombstones(id));
        records
    }

    /// Offsets that were kept long enough go, and with the last one a group that nobody is in.
    pub(super) fn expire_offsets(&mut self, now: Now) {
        let retention = self.config.offsets_retention_ms;
        let mut appends = Vec::new();
        let mut gone = Vec::new();
        for (id, entry) in &mut self.groups {
            let Entry { group, offsets, .. } = entry;
            let records = offsets.remove_if(id, |topic, _, offset| {
                let from = match group {
                    Group::Classic(group) => group.expires_from(offset.commit_timestamp),
                    Group::Consumer(_) => Some(offset.commit_timestamp),
                };
                let is_due = match (from, offset.expire_timestamp) {
                    (None, _) => false,
                    (Some(_), Some(at)) => now.wall_millis >= at,
                    (Some(from), None) => now.wall_millis.saturating_sub(from) >= retention,
                };
                is_due && !group.is_subscribed_to(topic)
            });
            if offsets.is_empty() && group.is_empty() {
                gone.push((id.clone(), records));
            } else if !records.is_empty() {
                appends.push((id.clone(), records));
            }
        }
        for (id, mut records) in gone {
            records.extend(self.remove(&id));
            appends.push((id, records));
        }
        for (id, records) in appends {
            self.append_in_parts(&id, records);
        }
    }

    /// Appends what may also be written in part.
    pub(super) fn append_in_parts(&mut self, id: &ByteStr, records: Vec<GroupRecord>) {
        for part in parts(records) {
            self.append(id, part);
        }
    }

    fn append(&mut self, id: &ByteStr, records: Vec<GroupRecord>) {
        self.effects.push_back(Effect { appends: vec![(self.partition_for(id), records)], answers: Vec::new() });
    }
}

/// Records in batches that the log takes.
fn parts(records: Vec<GroupRecord>) -> Vec<Vec<GroupRecord>> {
    let mut parts: Vec<Vec<GroupRecord>> = Vec::new();
    let mut size = usize::MAX;
    for record in records {
        if size.saturating_add(record.size()) > MAX_BATCH_BYTES {
            parts.push(Vec::new());
            size = 0;
        }
        size += record.size();
        if let Some(part) = parts.last_mut() {
            part.push(record);
        }
    }
    parts
}

/// How often a request has named each group: a name costs a client a few bytes, the answer a group's whole size each time.
#[derive(Debug, Default)]
pub(super) struct Repeats<'a>(BTreeMap<&'a ByteStr, u32>);

impl<'a> Repeats<'a> {
    const MOST: u32 = 16;

    pub(super) fn check(&mut self, id: &'a ByteStr) -> Result<(), ErrorCode> {
        let times = self.0.entry(id).or_default();
        *times += 1;
        if *times > Self::MOST { Err(ErrorCode::INVALID_REQUEST) } else { Ok(()) }
    }
}
