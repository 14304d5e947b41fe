//! Classic members in a consumer group: JoinGroup, SyncGroup, Heartbeat and LeaveGroup as the group's own protocol answers them.
//!
//! Each step of such a member towards its target is one round of JoinGroup and SyncGroup: JoinGroup tells what it still has and gets its new
//! member epoch as generation, SyncGroup gets the assignment, Heartbeat says REBALANCE_IN_PROGRESS when another round is due. Nobody waits for
//! anybody, so that every request is answered at once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::data::consumer_protocol_assignment::TopicPartition as AssignedTopic;
use felice_protocol::messages::data::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use felice_protocol::messages::leave_group::request::MemberIdentity;
use felice_protocol::messages::leave_group::response::MemberResponse;
use felice_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, Message, SyncGroupRequest, SyncGroupResponse,
};
use felice_protocol::primitives::{ByteStr, Decoder, Encoder};
use felice_protocol::time::Now;

use super::assignment::Partitions;
use super::change::Change;
use super::config::{ConsumerGroupConfig, MigrationPolicy};
use super::fence::Fenced;
use super::member::{ClassicMetadata, Member, MemberMetadata, MemberState};
use super::timers::Timer;
use super::{ConsumerGroup, GroupError, Records};
use crate::groups::topics_view::TopicsView;
use crate::groups::{Caller, kept};

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";
/// The newest version of the consumers' own messages.
const CONSUMER_PROTOCOL_VERSION: i16 = 3;
/// From this JoinGroup version on a dynamic member is first told its id and then joins with it.
const FIRST_MEMBER_ID_REQUIRED_VERSION: i16 = 4;

/// What a JoinGroup led to.
#[derive(Debug)]
pub(crate) struct ClassicJoin {
    pub(crate) records: Records,
    pub(crate) response: JoinGroupResponse,
    pub(crate) fenced: Fenced,
}

impl ConsumerGroup {
    /// Serves a JoinGroup. `new_id` is the member's where it brings none.
    ///
    /// # Errors
    /// What the member is told; nothing has changed then.
    pub(crate) fn classic_join(
        &mut self,
        now: Now,
        view: TopicsView<'_>,
        config: &ConsumerGroupConfig,
        caller: &Caller,
        request: &JoinGroupRequest,
        new_id: impl FnOnce() -> ByteStr,
    ) -> Result<ClassicJoin, GroupError> {
        self.check_classic_join(config, request)?;
        let is_unknown = request.member_id.is_empty();
        let id = if is_unknown { new_id() } else { kept(&request.member_id) };
        if is_unknown && request.group_instance_id.is_none() && caller.version >= FIRST_MEMBER_ID_REQUIRED_VERSION {
            let response = JoinGroupResponse {
                error_code: ErrorCode::MEMBER_ID_REQUIRED,
                member_id: id,
                protocol_name: None,
                ..Default::default()
            };
            return Ok(ClassicJoin { records: Records::default(), response, fenced: Fenced::Removed });
        }
        let (protocol, subscription) = match request.protocols.first() {
            Some(first) => (kept(&first.name), decode_subscription(&first.metadata)?),
            None => return Err(inconsistent("a JoinGroup without protocols")),
        };
        let replaced = match &request.group_instance_id {
            // Nobody joins with partitions for the first time: it was fenced, and does not know yet that they are others' now.
            None if !self.members.contains_key(&id) && !subscription.owned_partitions.is_empty() => {
                return Err(unknown(&self.id, &id));
            }
            None => None,
            Some(instance_id) if is_unknown => self.static_members.get(instance_id).cloned(),
            Some(instance_id) => self.known_static(instance_id, &id).map(|_| None)?,
        };

        // Nothing fails from here on.
        let old = self.members.get(replaced.as_ref().unwrap_or(&id)).cloned();
        let is_new = old.is_none();
        let old = old.unwrap_or_default();
        let mut records = Records::default();
        if let Some(replaced) = &replaced {
            self.replace_member(replaced, &id, &mut records);
        }
        let metadata = classic_metadata(&old.metadata, caller, request, &subscription);
        let own_changed = is_new || metadata.topics != old.metadata.topics || old.metadata.regex().is_some();
        if metadata != old.metadata {
            records.make(self, Change::Member(id.clone(), Some(metadata)));
        }
        if let Some(pattern) = old.metadata.regex() {
            self.forget_regex_without_members(pattern, &mut records);
        }
        let changed = self.resolve_regexes(now, view, config, &mut records) || own_changed;
        // The last member of the consumer protocol has come back as a classic one: the group follows.
        let last_replaced = replaced.is_some() && !old.uses_classic_protocol();
        let becomes_classic = last_replaced && self.is_all_classic() && self.may_downgrade(config);
        if becomes_classic {
            self.raise_epoch(view, changed, &mut records);
        } else {
            self.advance_target(now, view, config, changed, &mut records);
        }
        let owned = owned_partitions(view, &subscription);
        self.reconcile(now, view, &id, own_changed, Some(&owned), &mut records);
        self.timers.cancel(&id, Timer::Join);
        if let Some(member) = self.members.get(&id) {
            self.timers.set(&id, Timer::Session, now.instant() + super::session_timeout(member, config));
            self.timers.set(&id, Timer::Sync, now.instant() + super::rebalance_timeout(member));
        }
        let epoch = self.members.get(&id).map_or(0, |member| member.current.epoch);
        let response = JoinGroupResponse {
            member_id: id,
            generation_id: epoch,
            protocol_type: Some(ByteStr::from_static(CONSUMER)),
            protocol_name: Some(protocol),
            ..Default::default()
        };
        let fenced = if becomes_classic { Fenced::BecomeClassic(BTreeSet::new()) } else { Fenced::Removed };
        Ok(ClassicJoin { records, response, fenced })
    }

    /// Serves a SyncGroup.
    ///
    /// # Errors
    /// What the member is told.
    pub(crate) fn classic_sync(
        &mut self,
        now: Now,
        view: TopicsView<'_>,
        config: &ConsumerGroupConfig,
        request: &SyncGroupRequest,
    ) -> Result<SyncGroupResponse, GroupError> {
        let id = self.known_classic(&request.member_id, request.group_instance_id.as_ref())?;
        self.check_generation(&id, request.generation_id)?;
        let Some(member) = self.members.get(&id) else { return Ok(SyncGroupResponse::default()) };
        let Some((protocol, metadata)) = member.metadata.classic_protocol() else {
            return Ok(SyncGroupResponse::default());
        };
        if request.protocol_type.as_ref().is_some_and(|name| *name != CONSUMER) {
            return Err(inconsistent("the protocol type is not that of the group"));
        }
        // Another of its protocols was the group's where this became a consumer group between its JoinGroup and its SyncGroup.
        let offers = |name: &ByteStr| {
            name == protocol
                || member.metadata.classic.as_ref().is_some_and(|c| c.protocols.iter().any(|p| p.0 == *name))
        };
        if request.protocol_name.as_ref().is_some_and(|name| !offers(name)) {
            return Err(inconsistent("the protocol is none that the member offers"));
        }
        // A member that is giving back has joined for this epoch already; it is told of the next one when it is done.
        if self.epoch > member.current.epoch && member.current.state != MemberState::UnrevokedPartitions {
            let deadline = now.instant() + super::rebalance_timeout(member);
            self.timers.set_if_absent(&id, Timer::Join, deadline);
            return Err(GroupError::new(
                ErrorCode::REBALANCE_IN_PROGRESS,
                format!("A new rebalance is triggered in group {} and member {id} should rejoin to catch up.", self.id),
            ));
        }
        let assignment = encode_assignment(view, &member.current.assigned.partitions(), metadata);
        let session = super::session_timeout(member, config);
        self.timers.cancel(&id, Timer::Sync);
        self.timers.set(&id, Timer::Session, now.instant() + session);
        Ok(SyncGroupResponse {
            protocol_type: request.protocol_type.clone(),
            protocol_name: request.protocol_name.clone(),
            assignment,
            ..Default::default()
        })
    }

    /// Serves a Heartbeat: whether the member should join again.
    ///
    /// # Errors
    /// What the member is told.
    pub(crate) fn classic_heartbeat(
        &mut self,
        now: Now,
        config: &ConsumerGroupConfig,
        request: &HeartbeatRequest,
    ) -> Result<(), GroupError> {
        let id = self.known_classic(&request.member_id, request.group_instance_id.as_ref())?;
        self.check_generation(&id, request.generation_id)?;
        let Some(member) = self.members.get(&id) else { return Ok(()) };
        self.timers.set(&id, Timer::Session, now.instant() + super::session_timeout(member, config));
        let is_behind = match member.current.state {
            _ if member.current.epoch < self.epoch => true,
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !self.waits_for_others(&id, member),
            MemberState::Stable | MemberState::Unknown => false,
        };
        if is_behind {
            let deadline = now.instant() + super::rebalance_timeout(member);
            self.timers.set_if_absent(&id, Timer::Join, deadline);
            return Err(GroupError::new(ErrorCode::REBALANCE_IN_PROGRESS, "the member should rejoin"));
        }
        Ok(())
    }

    /// Serves a LeaveGroup: each member on its own. Administrators remove members of either protocol by it.
    pub(crate) fn classic_leave(
        &mut self,
        view: TopicsView<'_>,
        config: &ConsumerGroupConfig,
        members: &[MemberIdentity],
    ) -> (Records, Vec<MemberResponse>, Fenced) {
        let mut leaving = BTreeSet::new();
        let mut responses = Vec::new();
        for identity in members {
            let found = match &identity.group_instance_id {
                // An administrator removes a static member without knowing its member id.
                Some(instance_id) if identity.member_id.is_empty() => {
                    self.static_members.get(instance_id).cloned().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
                }
                Some(instance_id) => self.known_static(instance_id, &identity.member_id).map_err(|error| error.code),
                None => self.known(&identity.member_id).map_err(|error| error.code),
            };
            responses.push(MemberResponse {
                // As it was asked for: Java's administrators look for their own words in the answer.
                member_id: identity.member_id.clone(),
                group_instance_id: identity.group_instance_id.clone(),
                error_code: found.as_ref().err().copied().unwrap_or_default(),
                ..Default::default()
            });
            leaving.extend(found.ok());
        }
        let mut records = Records::default();
        let fenced = self.fence(view, config, leaving, &mut records);
        (records, responses, fenced)
    }

    fn check_classic_join(&self, config: &ConsumerGroupConfig, request: &JoinGroupRequest) -> Result<(), GroupError> {
        if config.migration_policy == MigrationPolicy::Disabled {
            return Err(inconsistent(&format!(
                "Cannot join the consumer group {} with the classic protocol because the group migration is disabled.",
                self.id
            )));
        }
        self.check_size(config, &request.member_id)?;
        let classic: Vec<&ClassicMetadata> =
            self.members.values().filter_map(|member| member.metadata.classic.as_ref()).collect();
        let in_common = request
            .protocols
            .iter()
            .any(|asked| classic.iter().all(|member| member.protocols.iter().any(|(name, _)| *name == asked.name)));
        if request.protocol_type != CONSUMER || !in_common {
            return Err(inconsistent(&format!("Member {}'s protocols are not supported.", request.member_id)));
        }
        Ok(())
    }

    fn known_classic(&self, id: &ByteStr, instance_id: Option<&ByteStr>) -> Result<ByteStr, GroupError> {
        let id = match instance_id {
            Some(instance_id) => self.known_static(instance_id, id)?,
            None => self.known(id)?,
        };
        match self.members.get(&id) {
            Some(member) if member.uses_classic_protocol() => Ok(id),
            _ => Err(GroupError::new(
                ErrorCode::UNKNOWN_MEMBER_ID,
                format!("Member {id} does not use the classic protocol."),
            )),
        }
    }

    fn check_generation(&self, id: &ByteStr, generation: i32) -> Result<(), GroupError> {
        match self.members.get(id) {
            Some(member) if member.current.epoch != generation => Err(GroupError::new(
                ErrorCode::ILLEGAL_GENERATION,
                format!(
                    "The request generation id {generation} is not equal to the member epoch {} of member {id}.",
                    member.current.epoch
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Whether a partition that the member should have is still another's.
    fn waits_for_others(&self, id: &ByteStr, member: &Member) -> bool {
        let target = self.targets.get(id);
        target.into_iter().flat_map(super::assignment::pairs).any(|(topic, index)| {
            !member.current.assigned.contains(&topic, index) && self.owners.contains_key(&(topic, index))
        })
    }

    fn is_all_classic(&self) -> bool {
        self.members.values().all(Member::uses_classic_protocol)
    }

    fn may_downgrade(&self, config: &ConsumerGroupConfig) -> bool {
        config.migration_policy.allows_downgrade() && self.members.len() <= config.classic_max_size
    }
}

fn unknown(group: &ByteStr, id: &ByteStr) -> GroupError {
    GroupError::new(ErrorCode::UNKNOWN_MEMBER_ID, format!("Member {id} is not a member of group {group}."))
}

fn inconsistent(message: &str) -> GroupError {
    GroupError::new(ErrorCode::INCONSISTENT_GROUP_PROTOCOL, message)
}

fn classic_metadata(
    old: &MemberMetadata,
    caller: &Caller,
    request: &JoinGroupRequest,
    subscription: &ConsumerProtocolSubscription,
) -> MemberMetadata {
    MemberMetadata {
        instance_id: request.group_instance_id.as_ref().map(kept).or_else(|| old.instance_id.clone()),
        rack_id: subscription.rack_id.as_ref().map(kept).or_else(|| old.rack_id.clone()),
        client_id: kept(&caller.client_id),
        client_host: kept(&caller.client_host),
        topics: subscription.topics.iter().map(kept).collect(),
        // Classic members match their patterns themselves.
        regex: ByteStr::default(),
        // Version 0 has no rebalance timeout of its own.
        rebalance_timeout_ms: match request.rebalance_timeout_ms {
            timeout if timeout < 0 => request.session_timeout_ms,
            timeout => timeout,
        },
        server_assignor: old.server_assignor.clone(),
        classic: Some(ClassicMetadata {
            session_timeout_ms: request.session_timeout_ms,
            protocols: request
                .protocols
                .iter()
                .map(|protocol| (kept(&protocol.name), Bytes::copy_from_slice(&protocol.metadata)))
                .collect(),
        }),
    }
}

/// The subscription in the metadata of a classic member; one of a version that is not known here begins like the newest that is.
pub(crate) fn decode_subscription(metadata: &Bytes) -> Result<ConsumerProtocolSubscription, GroupError> {
    let mut d = Decoder::new(metadata.clone());
    let decoded = d
        .i16()
        .and_then(|version| ConsumerProtocolSubscription::decode(&mut d, version.min(CONSUMER_PROTOCOL_VERSION)));
    decoded.map_err(|error| inconsistent(&format!("the member's metadata is not a consumer's subscription: {error}")))
}

/// The partitions in the assignment of a classic member; topics that are gone are left out. `None` where the bytes are no assignment.
pub(crate) fn decode_assignment(view: TopicsView<'_>, assignment: &Bytes) -> Option<Partitions> {
    if assignment.is_empty() {
        return Some(Partitions::new());
    }
    let mut d = Decoder::new(assignment.clone());
    let version = d.i16().ok()?.min(CONSUMER_PROTOCOL_VERSION);
    let assignment = ConsumerProtocolAssignment::decode(&mut d, version).ok()?;
    Some(by_id(view, assignment.assigned_partitions.into_iter().map(|topic| (topic.topic, topic.partitions))))
}

/// An assignment as a classic member reads it, in the version of its subscription.
pub(crate) fn encode_assignment(view: TopicsView<'_>, partitions: &Partitions, subscription: &Bytes) -> Bytes {
    let version = Decoder::new(subscription.clone()).i16().unwrap_or(0).clamp(0, CONSUMER_PROTOCOL_VERSION);
    let topics: BTreeMap<&ByteStr, Vec<i32>> = partitions
        .iter()
        .filter_map(|(topic, indexes)| Some((view.name(topic)?, indexes.iter().copied().collect())))
        .collect();
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: topics
            .into_iter()
            .map(|(topic, partitions)| AssignedTopic { topic: topic.clone(), partitions })
            .collect(),
        user_data: None,
    };
    let mut e = Encoder::new();
    e.i16(version);
    let encoded = assignment.encode(&mut e, version);
    debug_assert!(encoded.is_ok(), "names of topics fit");
    e.finish().into_bytes()
}

/// What a classic member says that it has.
pub(crate) fn owned_partitions(view: TopicsView<'_>, subscription: &ConsumerProtocolSubscription) -> Partitions {
    by_id(view, subscription.owned_partitions.iter().map(|topic| (topic.topic.clone(), topic.partitions.clone())))
}

fn by_id(view: TopicsView<'_>, topics: impl Iterator<Item = (ByteStr, Vec<i32>)>) -> Partitions {
    let mut partitions = Partitions::new();
    for (name, indexes) in topics {
        if let Some((id, _)) = view.get(&name)
            && !indexes.is_empty()
        {
            partitions.entry(id).or_default().extend(indexes);
        }
    }
    partitions
}
