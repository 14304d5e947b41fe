//! ConsumerGroupHeartbeat: a member joins, says what it wants and has, is told what it gets, and leaves.

use std::collections::BTreeSet;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::consumer_group_heartbeat::request;
use felice_protocol::messages::consumer_group_heartbeat::response::{Assignment, TopicPartitions};
use felice_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Now;

use super::assignment::{Held, Partitions};
use super::change::Change;
use super::config::ConsumerGroupConfig;
use super::fence::Fenced;
use super::member::{Current, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, Member, MemberMetadata, MemberState};
use super::reconcile::Step;
use super::timers::Timer;
use super::{ConsumerGroup, GroupError, Records, regex};
use crate::groups::assignor::ServerAssignor;
use crate::groups::topics_view::TopicsView;
use crate::groups::{Caller, kept};

/// What can be said of a heartbeat without knowing its group.
///
/// # Errors
/// INVALID_REQUEST, UNSUPPORTED_ASSIGNOR.
pub(crate) fn check(
    config: &ConsumerGroupConfig,
    version: i16,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(), GroupError> {
    let refuse = |message: &str| Err(GroupError::new(ErrorCode::INVALID_REQUEST, message));
    let is_blank = |text: &str| text.trim().is_empty();
    let blank = |text: &Option<ByteStr>| text.as_ref().is_some_and(|text| is_blank(text));
    // From version 1 on members make their id themselves (KIP-1082).
    if (version >= 1 || request.member_epoch > 0 || request.member_epoch == LEAVE_EPOCH) && is_blank(&request.member_id)
    {
        return refuse("MemberId can't be empty.");
    }
    if is_blank(&request.group_id) {
        return refuse("GroupId can't be empty.");
    }
    if blank(&request.instance_id) {
        return refuse("InstanceId can't be empty.");
    }
    if blank(&request.rack_id) {
        return refuse("RackId can't be empty.");
    }
    match request.member_epoch {
        0 => {
            if request.rebalance_timeout_ms == -1 {
                return refuse("RebalanceTimeoutMs must be provided in first request.");
            }
            if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return refuse("TopicPartitions must be empty when (re-)joining.");
            }
            if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
                return refuse(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
                );
            }
        }
        LEAVE_STATIC_EPOCH if request.instance_id.is_none() => return refuse("InstanceId can't be null."),
        epoch if epoch < LEAVE_STATIC_EPOCH => return refuse("MemberEpoch is invalid."),
        _ => {}
    }
    match &request.server_assignor {
        Some(name) if !config.assignors.iter().any(|assignor| *name == assignor.name()) => {
            let supported: Vec<&str> = config.assignors.iter().copied().map(ServerAssignor::name).collect();
            Err(GroupError::new(
                ErrorCode::UNSUPPORTED_ASSIGNOR,
                format!("ServerAssignor {name} is not supported. Supported assignors: {}.", supported.join(", ")),
            ))
        }
        _ => Ok(()),
    }
}

/// What a heartbeat led to.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    pub(crate) records: Records,
    pub(crate) response: ConsumerGroupHeartbeatResponse,
    pub(crate) fenced: Fenced,
}

impl ConsumerGroup {
    /// Serves a heartbeat that has passed [`check`]. `new_id` is the member's where it brings none.
    ///
    /// # Errors
    /// What the member is told; nothing has changed then.
    pub(crate) fn heartbeat(
        &mut self,
        now: Now,
        view: TopicsView<'_>,
        config: &ConsumerGroupConfig,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
        new_id: impl FnOnce() -> ByteStr,
    ) -> Result<Heartbeat, GroupError> {
        if request.member_epoch < 0 {
            return self.leave(view, config, request);
        }
        self.check_size(config, &request.member_id)?;
        let id = if request.member_id.is_empty() { new_id() } else { kept(&request.member_id) };
        let owned = request.topic_partitions.as_deref().map(owned_partitions);
        let replaced = self.admit(&id, request, owned.as_ref())?;
        let old = replaced.as_ref().or(Some(&id)).and_then(|id| self.members.get(id)).cloned();
        let is_new = old.is_none();
        let old = old.unwrap_or_default();
        let metadata = updated(&old.metadata, caller, request);
        let regex_changed = metadata.regex != old.metadata.regex;
        if regex_changed && let Some(pattern) = metadata.regex() {
            regex::compile(pattern)?;
        }

        // Nothing fails from here on.
        let mut records = Records::default();
        if let Some(replaced) = &replaced {
            self.replace_member(replaced, &id, &mut records);
        }
        let before = self.members.get(&id).map(|member| member.current.clone()).unwrap_or_default();
        let topics_changed = metadata.topics != old.metadata.topics;
        if is_new || metadata != old.metadata {
            records.make(self, Change::Member(id.clone(), Some(metadata)));
        }
        if let Some(pattern) = old.metadata.regex() {
            self.forget_regex_without_members(pattern, &mut records);
        }
        let regexes_changed = self.resolve_regexes(now, view, config, &mut records);
        let changed = is_new || topics_changed || regex_changed || regexes_changed;
        self.advance_target(now, view, config, changed, &mut records);
        let owned = if config.bugs.has(felice_log::Bug::GivenBeforeReleased) { Some(Partitions::new()) } else { owned };
        self.reconcile(now, view, &id, topics_changed || regex_changed, owned.as_ref(), &mut records);
        self.timers.set(&id, Timer::Session, now.instant() + config.session_timeout);
        // It may have been a classic member.
        self.timers.cancel(&id, Timer::Join);
        self.timers.cancel(&id, Timer::Sync);

        let current = self.members.get(&id).map(|member| member.current.clone()).unwrap_or_default();
        // Who names everything has lost something, or just joined: it is told everything.
        let is_full = request.rebalance_timeout_ms != -1
            && (request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some())
            && request.topic_partitions.is_some();
        let tell = request.member_epoch == 0 || is_full || !before.assigned.same_partitions(&current.assigned);
        let response = ConsumerGroupHeartbeatResponse {
            member_id: Some(id),
            member_epoch: current.epoch,
            heartbeat_interval_ms: config.heartbeat_interval_ms,
            assignment: tell.then(|| assignment(&current.assigned)),
            ..Default::default()
        };
        Ok(Heartbeat { records, response, fenced: Fenced::Removed })
    }

    /// A member goes for good (-1), or for a while (-2).
    fn leave(
        &mut self,
        view: TopicsView<'_>,
        config: &ConsumerGroupConfig,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<Heartbeat, GroupError> {
        let id = match &request.instance_id {
            None => self.known(&request.member_id)?,
            Some(instance_id) => self.known_static(instance_id, &request.member_id)?,
        };
        let response = ConsumerGroupHeartbeatResponse {
            member_id: Some(request.member_id.clone()),
            member_epoch: request.member_epoch,
            ..Default::default()
        };
        let mut records = Records::default();
        if request.member_epoch == LEAVE_STATIC_EPOCH {
            // Its session goes on: what comes back under the same instance id takes over what it had.
            if let Some(member) = self.members.get(&id) {
                let current = Current {
                    epoch: LEAVE_STATIC_EPOCH,
                    assigned: member.current.assigned.with_epoch(0),
                    pending_revocation: Held::default(),
                    ..member.current.clone()
                };
                records.make(self, Change::Current(id.clone(), Some(current)));
                self.timers.cancel(&id, Timer::Rebalance);
            }
            return Ok(Heartbeat { records, response, fenced: Fenced::Removed });
        }
        let fenced = self.fence(view, config, BTreeSet::from([id]), &mut records);
        Ok(Heartbeat { records, response, fenced })
    }

    pub(super) fn check_size(&self, config: &ConsumerGroupConfig, member_id: &ByteStr) -> Result<(), GroupError> {
        if self.members.len() >= config.max_size && !self.members.contains_key(member_id) {
            return Err(GroupError::new(
                ErrorCode::GROUP_MAX_SIZE_REACHED,
                format!("The consumer group has reached its maximum capacity of {} members.", config.max_size),
            ));
        }
        Ok(())
    }

    /// Whether the member may speak; the member whose place it takes, where it is a static one that comes back.
    fn admit(
        &self,
        id: &ByteStr,
        request: &ConsumerGroupHeartbeatRequest,
        owned: Option<&Partitions>,
    ) -> Result<Option<ByteStr>, GroupError> {
        let joins = request.member_epoch == 0;
        let Some(instance_id) = &request.instance_id else {
            if !joins {
                let id = self.known(id)?;
                self.check_epoch(&id, request.member_epoch, owned)?;
            }
            return Ok(None);
        };
        if !joins {
            let id = self.known_static(instance_id, id)?;
            self.check_epoch(&id, request.member_epoch, owned)?;
            return Ok(None);
        }
        let Some(holder) = self.static_members.get(instance_id) else { return Ok(None) };
        let Some(member) = self.members.get(holder) else { return Ok(None) };
        if holder == id && member.current.epoch != LEAVE_STATIC_EPOCH {
            // The same one again: the answer to its first join was lost.
            return Ok(None);
        }
        if !member.uses_classic_protocol() && member.current.epoch != LEAVE_STATIC_EPOCH {
            return Err(GroupError::new(
                ErrorCode::UNRELEASED_INSTANCE_ID,
                format!(
                    "Static member {id} with instance id {instance_id} cannot join the group because the instance id is \
                     owned by {holder} member."
                ),
            ));
        }
        Ok(Some(holder.clone()))
    }

    /// A member by its id.
    pub(super) fn known(&self, id: &ByteStr) -> Result<ByteStr, GroupError> {
        if self.members.contains_key(id) {
            return Ok(id.clone());
        }
        Err(GroupError::new(ErrorCode::UNKNOWN_MEMBER_ID, format!("Member {id} is not a member of group {}.", self.id)))
    }

    /// A static member by both its ids.
    pub(super) fn known_static(&self, instance_id: &ByteStr, id: &ByteStr) -> Result<ByteStr, GroupError> {
        match self.static_members.get(instance_id) {
            None => {
                Err(GroupError::new(ErrorCode::UNKNOWN_MEMBER_ID, format!("Instance id {instance_id} is unknown.")))
            }
            Some(holder) if holder != id => Err(GroupError::new(
                ErrorCode::FENCED_INSTANCE_ID,
                format!("Static member {id} with instance id {instance_id} was fenced by member {holder}."),
            )),
            Some(holder) => Ok(holder.clone()),
        }
    }

    /// A member comes with its epoch, or with the one before where our last answer was lost and it has no more than it may.
    fn check_epoch(&self, id: &ByteStr, epoch: i32, owned: Option<&Partitions>) -> Result<(), GroupError> {
        let Some(Member { current, .. }) = self.members.get(id) else { return Ok(()) };
        let fenced = |how: &str| {
            Err(GroupError::new(
                ErrorCode::FENCED_MEMBER_EPOCH,
                format!(
                    "The consumer group member has a {how} member epoch ({epoch}) than the one known by the group coordinator \
                     ({}). The member must abandon all its partitions and rejoin.",
                    current.epoch
                ),
            ))
        };
        if epoch > current.epoch {
            return fenced("greater");
        }
        let has_no_more = || {
            owned.is_some_and(|owned| {
                super::assignment::pairs(owned).all(|(topic, index)| current.assigned.contains(&topic, index))
            })
        };
        if epoch < current.epoch && !(epoch == current.previous_epoch && has_no_more()) {
            return fenced("smaller");
        }
        Ok(())
    }

    /// Gives a static member's place, with everything in it, to the id under which it has come back.
    pub(super) fn replace_member(&mut self, old_id: &ByteStr, id: &ByteStr, records: &mut Records) {
        let Some(mut member) = self.members.get(old_id).cloned() else { return };
        let target = self.targets.get(old_id).cloned();
        self.remove_member(old_id, records);
        self.timers.cancel_all(old_id);
        member.current.epoch = 0;
        member.current.previous_epoch = 0;
        records.make(self, Change::Member(id.clone(), Some(member.metadata)));
        records.make(self, Change::TargetMember(id.clone(), Some(target.unwrap_or_default())));
        records.make(self, Change::Current(id.clone(), Some(member.current)));
    }

    /// Leads a member one step towards its target.
    pub(super) fn reconcile(
        &mut self,
        now: Now,
        view: TopicsView<'_>,
        id: &ByteStr,
        subscription_changed: bool,
        owned: Option<&Partitions>,
        records: &mut Records,
    ) {
        let Some(member) = self.members.get(id) else { return };
        if !subscription_changed && member.current.is_reconciled_to(self.assignment_epoch) {
            return;
        }
        let nothing = Partitions::new();
        let step = Step {
            target_epoch: self.assignment_epoch,
            target: self.targets.get(id).unwrap_or(&nothing),
            subscribed: &self.subscribed_ids(view, member),
            subscription_changed,
            owned,
        };
        let next = step.from(&member.current, |topic, index| !self.owners.contains_key(&(*topic, index)));
        if next == member.current {
            return;
        }
        if !member.uses_classic_protocol() {
            // A classic member's time to give back is that for joining again.
            if next.state == MemberState::UnrevokedPartitions {
                let deadline = now.instant() + super::rebalance_timeout(member);
                self.timers.set(id, Timer::Rebalance, deadline);
            } else {
                self.timers.cancel(id, Timer::Rebalance);
            }
        }
        records.make(self, Change::Current(id.clone(), Some(next)));
    }
}

/// What the request says anew, over what was known.
fn updated(old: &MemberMetadata, caller: &Caller, request: &ConsumerGroupHeartbeatRequest) -> MemberMetadata {
    let or_old = |new: &Option<ByteStr>, old: &Option<ByteStr>| new.as_ref().map(kept).or_else(|| old.clone());
    MemberMetadata {
        instance_id: or_old(&request.instance_id, &old.instance_id),
        rack_id: or_old(&request.rack_id, &old.rack_id),
        client_id: kept(&caller.client_id),
        client_host: kept(&caller.client_host),
        topics: match &request.subscribed_topic_names {
            Some(names) => names.iter().map(kept).collect(),
            None => old.topics.clone(),
        },
        regex: request.subscribed_topic_regex.as_ref().map_or_else(|| old.regex.clone(), kept),
        rebalance_timeout_ms: match request.rebalance_timeout_ms {
            -1 => old.rebalance_timeout_ms,
            new => new,
        },
        server_assignor: or_old(&request.server_assignor, &old.server_assignor),
        classic: None,
    }
}

fn owned_partitions(topics: &[request::TopicPartitions]) -> Partitions {
    let mut owned = Partitions::new();
    for topic in topics {
        owned.entry(topic.topic_id).or_default().extend(&topic.partitions);
    }
    owned
}

fn assignment(held: &Held) -> Assignment {
    let topics = held.topics().map(|(topic, held)| TopicPartitions {
        topic_id: *topic,
        partitions: held.keys().copied().collect(),
        ..Default::default()
    });
    Assignment { topic_partitions: topics.collect(), ..Default::default() }
}
