//! A group changes its protocol while it has members (KIP-848): classic to consumer when the first member of the consumer protocol joins,
//! back when the last of them goes. An empty group just changes.

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::{ByteStr, Uuid};

use super::classic::{CONSUMER, ClassicGroup, ClassicGroupState, Member as ClassicMember};
use super::consumer::assignment::{Partitions, pairs};
use super::consumer::change::Change;
use super::consumer::member::{ClassicMetadata, Current, Member, MemberMetadata, MemberState};
use super::consumer::{
    ConsumerGroup, ConsumerGroupConfig, GroupError, Records, decode_assignment, decode_subscription, encode_assignment,
    owned_partitions,
};
use super::step::Step;
use super::topics_view::TopicsView;

/// Makes a consumer group of a classic one whose members stay: each keeps what it has, as a classic member. The records replace the
/// classic group's.
///
/// # Errors
/// GROUP_ID_NOT_FOUND, as Kafka says it, where that may or can not be. Nothing has changed then.
pub(super) fn to_consumer(
    step: &mut Step<'_>,
    view: TopicsView<'_>,
    config: &ConsumerGroupConfig,
    classic: &mut ClassicGroup,
) -> Result<ConsumerGroup, GroupError> {
    let id = classic.id.clone();
    let refuse = |why: &str| {
        let message = format!("Cannot upgrade classic group {id} to consumer group because {why}.");
        Err(GroupError::new(ErrorCode::GROUP_ID_NOT_FOUND, message))
    };
    if classic.state() == ClassicGroupState::Empty {
        step.record(ClassicGroup::tombstone(&id));
        return Ok(ConsumerGroup::new(id));
    }
    if !config.migration_policy.allows_upgrade() {
        return refuse("online upgrade is disabled");
    }
    if classic.protocol_type.as_deref() != Some(CONSUMER) {
        return refuse("the group does not use the consumer embedded protocol");
    }
    if classic.members.len() > config.max_size {
        return refuse("the group size exceeds the consumer group maximum size");
    }
    let generation = classic.generation_id;
    let mut owned = BTreeSet::new();
    let mut members = BTreeMap::new();
    let mut claims = Vec::new();
    for (member_id, member) in &classic.members {
        let Some((converted, claimed)) = to_consumer_member(view, classic, member, &mut owned) else {
            return refuse("the embedded consumer protocol is malformed");
        };
        members.insert(member_id.clone(), converted);
        claims.push((member_id, claimed));
    }
    // A cooperative member that has been assigned less than it had may not have given the rest back yet: that shows when it joins again.
    for (member_id, claimed) in claims {
        let Some(Member { current, .. }) = members.get_mut(member_id) else { continue };
        for (topic, partition) in pairs(&claimed).filter(|pair| owned.insert(*pair)) {
            current.pending_revocation.insert(topic, partition, generation);
            current.state = MemberState::UnrevokedPartitions;
        }
    }

    classic.release_waiting(step);
    step.record(ClassicGroup::tombstone(&id));
    let mut group = ConsumerGroup::new(id);
    let mut records = Records::default();
    for (id, member) in &members {
        records.make(&mut group, Change::Member(id.clone(), Some(member.metadata.clone())));
    }
    records.make(&mut group, Change::Group(Some((generation, 0))));
    for (id, member) in &members {
        let target = member.current.assigned.partitions();
        records.make(&mut group, Change::TargetMember(id.clone(), Some(target)));
    }
    records.make(&mut group, Change::Target(Some((generation, 0))));
    for (id, member) in members {
        records.make(&mut group, Change::Current(id, Some(member.current)));
    }
    group.loaded(step.now, config);
    step.records.append(&mut records.0);
    Ok(group)
}

fn to_consumer_member(
    view: TopicsView<'_>,
    group: &ClassicGroup,
    member: &ClassicMember,
    owned: &mut BTreeSet<(Uuid, i32)>,
) -> Option<(Member, Partitions)> {
    // Who joins right now need not know the protocol of the last generation.
    let metadata = match group.protocol_name.as_ref().filter(|name| member.supports(name)) {
        Some(name) => member.metadata(name),
        None => member.protocols.first()?.1.clone(),
    };
    let subscription = decode_subscription(&metadata).ok()?;
    let assigned = decode_assignment(view, &member.assignment)?;
    let claimed = owned_partitions(view, &subscription);
    let generation = group.generation_id;
    let converted = Member {
        metadata: MemberMetadata {
            instance_id: member.group_instance_id.clone(),
            rack_id: subscription.rack_id,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            topics: subscription.topics.iter().map(super::kept).collect(),
            regex: ByteStr::default(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            server_assignor: None,
            classic: Some(ClassicMetadata {
                session_timeout_ms: member.session_timeout_ms,
                protocols: member.protocols.clone(),
            }),
        },
        current: Current {
            epoch: generation,
            previous_epoch: generation,
            // A leader that gave a partition to two has it given to one here.
            assigned: pairs(&assigned)
                .filter(|pair| owned.insert(*pair))
                .map(|(topic, index)| (topic, index, generation))
                .collect(),
            ..Current::default()
        },
    };
    Some((converted, claimed))
}

/// Makes a classic group of a consumer group whose remaining members are all classic; `leaving` do not come along. The records replace
/// the consumer group's.
///
/// Everyone has what it had: what its target gives it besides may still be another's. With `rebalance` everyone is told to join again, and so
/// where somebody is on the way to its target.
pub(super) fn to_classic(
    step: &mut Step<'_>,
    view: TopicsView<'_>,
    consumer: &ConsumerGroup,
    leaving: &BTreeSet<ByteStr>,
    rebalance: bool,
) -> ClassicGroup {
    step.records.append(&mut consumer.tombstones());
    let reconciled = consumer.members().filter(|(id, _)| !leaving.contains(*id)).all(|(id, member)| {
        member.current.pending_revocation.is_empty()
            && consumer.target(id).is_none_or(|target| *target == member.current.assigned.partitions())
    });
    let members = consumer.members().filter(|(id, _)| !leaving.contains(*id)).filter_map(|(id, member)| {
        let classic = member.metadata.classic.as_ref()?;
        let subscription = member.metadata.classic_protocol().map(|(_, metadata)| metadata.clone()).unwrap_or_default();
        let converted = ClassicMember {
            group_instance_id: member.metadata.instance_id.clone(),
            client_id: member.metadata.client_id.clone(),
            client_host: member.metadata.client_host.clone(),
            rebalance_timeout_ms: member.metadata.rebalance_timeout_ms,
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic.protocols.clone(),
            assignment: encode_assignment(view, &member.current.owned_partitions(), &subscription),
            is_new: false,
            awaiting_join: None,
            awaiting_sync: None,
            session_deadline: None,
        };
        Some((id.clone(), converted))
    });
    let mut group = ClassicGroup::converted(consumer.id().clone(), step.now, consumer.epoch(), members.collect());
    step.record(group.record());
    if rebalance || !reconciled {
        group.rebalance(step);
    }
    group
}

/// An empty consumer group that a classic member joins.
pub(super) fn empty_to_classic(step: &mut Step<'_>, consumer: &ConsumerGroup) -> ClassicGroup {
    step.records.append(&mut consumer.tombstones());
    let group = ClassicGroup::new(consumer.id().clone(), step.now);
    step.record(group.record());
    group
}
