//! A group of the classic protocol: members agree on a protocol, one of them assigns, the broker passes it on. Java: `ClassicGroup` and the
//! `classicGroup…` methods of `GroupMetadataManager`.
//!
//! - this file: the state, what it refuses, its record
//! - `join`: JoinGroup · `sync`: SyncGroup, Heartbeat, LeaveGroup · `rebalance`: the phases, and what happens when time is up
//! - `convert`: from and to groups of the consumer protocol

mod convert;
mod join;
mod member;
mod rebalance;
mod sync;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::Message;
use felice_protocol::messages::data::{ConsumerProtocolSubscription, GroupMetadataKey, GroupMetadataValue};
use felice_protocol::messages::describe_groups::response::{DescribedGroup, DescribedGroupMember};
use felice_protocol::messages::join_group::request::JoinGroupRequestProtocol;
use felice_protocol::primitives::{ByteStr, Decoder};
use felice_protocol::time::{Instant, Now};

pub(crate) use member::Member;

use super::records::GroupRecord;
use rebalance::Phase;

/// The protocol type of consumers, as opposed to Connect's workers and others.
pub(crate) const CONSUMER: &str = "consumer";

/// Where a group is. Java: `ClassicGroupState`; a group that is gone is not there at all here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClassicGroupState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl ClassicGroupState {
    /// As DescribeGroups and ListGroups name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A classic group. One without a protocol type only holds offsets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClassicGroup {
    pub(crate) id: ByteStr,
    state: ClassicGroupState,
    /// The state before this one.
    previous: ClassicGroupState,
    /// Wall milliseconds of the last change of state, where it is known.
    state_timestamp: Option<i64>,
    pub(crate) generation_id: i32,
    pub(crate) protocol_type: Option<ByteStr>,
    pub(crate) protocol_name: Option<ByteStr>,
    pub(crate) leader: Option<ByteStr>,
    pub(crate) members: BTreeMap<ByteStr, Member>,
    /// Member ids by `group.instance.id`.
    static_members: BTreeMap<ByteStr, ByteStr>,
    /// Ids that were given and have not come back with, and until when they may.
    pending_members: BTreeMap<ByteStr, Instant>,
    /// Members of this generation that have not asked for their assignment.
    pending_sync: BTreeSet<ByteStr>,
    /// Somebody came while the first rebalance was waiting for members.
    new_member_added: bool,
    /// What ends the phase that the group is in.
    phase: Option<Phase>,
    /// Of a group of consumers whose subscriptions can be read.
    subscribed_topics: Option<BTreeSet<ByteStr>>,
}

impl ClassicGroup {
    /// A group without members.
    pub(crate) fn new(id: ByteStr, now: Now) -> Self {
        Self {
            id,
            state: ClassicGroupState::Empty,
            previous: ClassicGroupState::Empty,
            state_timestamp: Some(now.wall_millis),
            generation_id: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_members: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            new_member_added: false,
            phase: None,
            subscribed_topics: None,
        }
    }

    /// A group of which only the offsets are known.
    pub(crate) fn unknown(id: ByteStr) -> Self {
        Self { state_timestamp: None, ..Self::new(id, Now::default()) }
    }

    /// As the log knows it.
    pub(crate) fn replay(id: ByteStr, value: GroupMetadataValue) -> Self {
        let protocol = value.protocol.clone().unwrap_or_default();
        let mut group = Self::unknown(id);
        group.state = if value.members.is_empty() { ClassicGroupState::Empty } else { ClassicGroupState::Stable };
        group.previous = ClassicGroupState::Empty;
        group.state_timestamp = Some(value.current_state_timestamp).filter(|at| *at != -1);
        group.generation_id = value.generation;
        group.protocol_type = Some(value.protocol_type).filter(|protocol_type| !protocol_type.is_empty());
        group.protocol_name = value.protocol;
        group.leader = value.leader;
        for member in value.members {
            let member_id = member.member_id.clone();
            if let Some(instance_id) = &member.group_instance_id {
                group.static_members.insert(instance_id.clone(), member_id.clone());
            }
            group.members.insert(member_id, Member::replay(member, protocol.clone()));
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// The group as a record.
    pub(crate) fn record(&self) -> GroupRecord {
        let members = self.members.iter().map(|(id, member)| member.record(id, self.protocol_name.as_ref()));
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation_id,
            protocol: self.protocol_name.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_timestamp.unwrap_or(-1),
            members: members.collect(),
            ..Default::default()
        };
        GroupRecord::new(GroupMetadataKey::API_KEY, &GroupMetadataKey { group: self.id.clone() }, 3, &value)
    }

    /// What deletes the group's record.
    pub(crate) fn tombstone(id: &ByteStr) -> GroupRecord {
        GroupRecord::tombstone(GroupMetadataKey::API_KEY, &GroupMetadataKey { group: id.clone() })
    }

    pub(crate) fn state(&self) -> ClassicGroupState {
        self.state
    }

    /// When something is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.members.values().filter_map(|member| member.session_deadline);
        let pending = self.pending_members.values().copied();
        sessions.chain(pending).chain(self.phase.as_ref().map(Phase::deadline)).min()
    }

    /// After the log was read: members have their whole session to be heard again.
    pub(crate) fn loaded(&mut self, now: Now) {
        for member in self.members.values_mut() {
            member.session_deadline = Some(now.instant() + member.session_timeout());
        }
    }

    fn transition(&mut self, now: Now, to: ClassicGroupState) {
        use ClassicGroupState::{CompletingRebalance, Empty, PreparingRebalance, Stable};
        debug_assert!(matches!(
            (self.state, to),
            (Empty | CompletingRebalance | Stable, PreparingRebalance)
                | (PreparingRebalance, CompletingRebalance | Empty)
                | (CompletingRebalance, Stable)
        ));
        self.previous = self.state;
        self.state = to;
        self.state_timestamp = Some(now.wall_millis);
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    fn remove(&mut self, member_id: &ByteStr) -> Option<Member> {
        let removed = self.members.remove(member_id);
        if let Some(instance_id) = removed.as_ref().and_then(|member| member.group_instance_id.as_ref()) {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_members.remove(member_id);
        self.pending_sync.remove(member_id);
        removed
    }

    /// Whether a member with this type and these protocols can be in the group.
    fn supports_protocols(&self, protocol_type: &str, protocols: &[JoinGroupRequestProtocol]) -> bool {
        if self.state == ClassicGroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.members.values().all(|member| member.supports(&protocol.name)))
    }

    /// Whether such a member is in the group, and is still the one with its instance id.
    pub(crate) fn validate_member(&self, member_id: &str, instance_id: Option<&ByteStr>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(current) if **current != *member_id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    /// Whether such a member may commit offsets now.
    pub(crate) fn validate_offset_commit(
        &self,
        member_id: &str,
        instance_id: Option<&ByteStr>,
        generation_id: i32,
    ) -> Result<(), ErrorCode> {
        if generation_id < 0 && self.state == ClassicGroupState::Empty {
            // An admin client, or a consumer without membership.
            return Ok(());
        }
        if generation_id < 0 && member_id.is_empty() && instance_id.is_none() {
            // Offsets of a group that has members are theirs.
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.validate_member(member_id, instance_id)?;
        if generation_id != self.generation_id {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        if self.state == ClassicGroupState::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// A commit is a sign of life.
    pub(crate) fn handle_commit(&mut self, now: Now, member_id: &str) {
        if matches!(self.state, ClassicGroupState::Stable | ClassicGroupState::PreparingRebalance) {
            self.touch(now, member_id);
        }
    }

    fn touch(&mut self, now: Now, member_id: &str) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.session_deadline = Some(now.instant() + member.session_timeout());
        }
    }

    pub(crate) fn validate_offset_delete(&self) -> Result<(), ErrorCode> {
        if self.state == ClassicGroupState::Empty || self.protocol_type.as_deref() == Some(CONSUMER) {
            Ok(())
        } else {
            Err(ErrorCode::NON_EMPTY_GROUP)
        }
    }

    pub(crate) fn validate_delete(&self) -> Result<(), ErrorCode> {
        if self.state == ClassicGroupState::Empty { Ok(()) } else { Err(ErrorCode::NON_EMPTY_GROUP) }
    }

    /// Whether the group's members read this topic, as far as is known.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.protocol_type.as_deref() == Some(CONSUMER),
        }
    }

    /// From when on an offset's retention counts: `None` where it does not expire.
    pub(crate) fn expires_from(&self, commit_timestamp: i64) -> Option<i64> {
        match (&self.protocol_type, self.state) {
            (None, _) => Some(commit_timestamp),
            (Some(_), ClassicGroupState::Empty) => Some(self.state_timestamp.unwrap_or(commit_timestamp)),
            (Some(kind), ClassicGroupState::Stable) if &**kind == CONSUMER && self.subscribed_topics.is_some() => {
                Some(commit_timestamp)
            }
            _ => None,
        }
    }

    fn compute_subscribed_topics(&self) -> Option<BTreeSet<ByteStr>> {
        if self.protocol_type.as_deref() != Some(CONSUMER) {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol_name.as_ref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription(member.metadata(protocol))?.topics.iter().map(super::kept));
        }
        Some(topics)
    }

    /// As DescribeGroups tells it.
    pub(crate) fn describe(&self) -> DescribedGroup {
        let stable = self.state == ClassicGroupState::Stable;
        let protocol = self.protocol_name.as_ref().filter(|_| stable);
        let members = self.members.iter().map(|(id, member)| DescribedGroupMember {
            member_id: id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            member_metadata: protocol.map(|name| member.metadata(name)).unwrap_or_default(),
            member_assignment: if stable { member.assignment.clone() } else { Bytes::new() },
            ..Default::default()
        });
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: ByteStr::from_static(self.state.name()),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: protocol.cloned().unwrap_or_default(),
            members: members.collect(),
            ..Default::default()
        }
    }
}

/// A consumer's subscription, where these bytes are one. Versions newer than ours are read as far as they are ours.
pub(crate) fn subscription(metadata: Bytes) -> Option<ConsumerProtocolSubscription> {
    let mut d = Decoder::new(metadata);
    let version = d.i16().ok().filter(|version| *version >= 0)?;
    ConsumerProtocolSubscription::decode(&mut d, version.min(3)).ok()
}
