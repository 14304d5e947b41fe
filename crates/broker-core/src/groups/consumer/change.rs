//! The seven kinds of record that a consumer group's state is made of, as values, as bytes of `__consumer_offsets`, and applied.
//!
//! Nothing else changes a group's state, so that the same records read again make the same group.

use std::collections::BTreeSet;

use felice_protocol::messages::Message;
use felice_protocol::messages::data::consumer_group_current_member_assignment_value::TopicPartitions as HeldTopic;
use felice_protocol::messages::data::consumer_group_member_metadata_value::{ClassicMemberMetadata, ClassicProtocol};
use felice_protocol::messages::data::consumer_group_target_assignment_member_value::TopicPartition as TargetTopic;
use felice_protocol::messages::data::{
    ConsumerGroupCurrentMemberAssignmentKey as CurrentKey, ConsumerGroupCurrentMemberAssignmentValue as CurrentValue,
    ConsumerGroupMemberMetadataKey as MemberKey, ConsumerGroupMemberMetadataValue as MemberValue,
    ConsumerGroupMetadataKey as MetadataKey, ConsumerGroupMetadataValue as MetadataValue,
    ConsumerGroupPartitionMetadataKey as PartitionMetadataKey, ConsumerGroupRegularExpressionKey as RegexKey,
    ConsumerGroupRegularExpressionValue as RegexValue, ConsumerGroupTargetAssignmentMemberKey as TargetMemberKey,
    ConsumerGroupTargetAssignmentMemberValue as TargetMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey as TargetKey, ConsumerGroupTargetAssignmentMetadataValue as TargetValue,
};
use felice_protocol::primitives::{ByteStr, DecodeError, Decoder};

use super::assignment::{Held, Partitions};
use super::member::{ClassicMetadata, Current, MemberMetadata, MemberState};
use super::regex::ResolvedRegex;
use crate::groups::records::{GroupRecord, decode_value};

/// One record; `None` is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// `ConsumerGroupMetadata`: the group's epoch, and a hash of the topics it was made for.
    Group(Option<(i32, i64)>),
    /// `ConsumerGroupPartitionMetadata`, which Kafka wrote before 4.1: only ever taken away.
    PartitionMetadata { present: bool },
    /// `ConsumerGroupMemberMetadata`.
    Member(ByteStr, Option<MemberMetadata>),
    /// `ConsumerGroupTargetAssignmentMetadata`: the epoch of the target, and when it was made (0: not known).
    Target(Option<(i32, i64)>),
    /// `ConsumerGroupTargetAssignmentMember`.
    TargetMember(ByteStr, Option<Partitions>),
    /// `ConsumerGroupCurrentMemberAssignment`.
    Current(ByteStr, Option<Current>),
    /// `ConsumerGroupRegularExpression`.
    Regex(ByteStr, Option<ResolvedRegex>),
}

impl Change {
    /// As a record of a group.
    pub(crate) fn encode(&self, group: &ByteStr) -> GroupRecord {
        let group_id = group.clone();
        match self {
            Self::Group(value) => {
                let value =
                    value.map(|(epoch, metadata_hash)| MetadataValue { epoch, metadata_hash, ..Default::default() });
                record(MetadataKey::API_KEY, &MetadataKey { group_id }, value)
            }
            Self::PartitionMetadata { .. } => {
                GroupRecord::tombstone(PartitionMetadataKey::API_KEY, &PartitionMetadataKey { group_id })
            }
            Self::Member(member_id, value) => {
                let key = MemberKey { group_id, member_id: member_id.clone() };
                record(MemberKey::API_KEY, &key, value.as_ref().map(member_value))
            }
            Self::Target(value) => {
                let value = value.map(|(assignment_epoch, assignment_timestamp)| TargetValue {
                    assignment_epoch,
                    assignment_timestamp,
                    ..Default::default()
                });
                record(TargetKey::API_KEY, &TargetKey { group_id }, value)
            }
            Self::TargetMember(member_id, value) => {
                let key = TargetMemberKey { group_id, member_id: member_id.clone() };
                record(TargetMemberKey::API_KEY, &key, value.as_ref().map(target_value))
            }
            Self::Current(member_id, value) => {
                let key = CurrentKey { group_id, member_id: member_id.clone() };
                record(CurrentKey::API_KEY, &key, value.as_ref().map(current_value))
            }
            Self::Regex(regular_expression, value) => {
                let key = RegexKey { group_id, regular_expression: regular_expression.clone() };
                let value = value.as_ref().map(|resolved| RegexValue {
                    topics: resolved.topics.iter().cloned().collect(),
                    version: resolved.version,
                    timestamp: resolved.timestamp,
                    ..Default::default()
                });
                record(RegexKey::API_KEY, &key, value)
            }
        }
    }

    /// The group and the change of a record of this type; key and value stand behind their prefixes.
    ///
    /// `None` for a type that a consumer group does not have.
    ///
    /// # Errors
    /// Where the bytes are not such a record.
    pub(crate) fn decode(
        record_type: i16,
        key: &mut Decoder,
        value: Option<(i16, Decoder)>,
    ) -> Result<Option<(ByteStr, Self)>, DecodeError> {
        Ok(Some(match record_type {
            MetadataKey::API_KEY => {
                let value = decode_value::<MetadataValue>(value)?;
                (
                    MetadataKey::decode(key, 0)?.group_id,
                    Self::Group(value.map(|value| (value.epoch, value.metadata_hash))),
                )
            }
            PartitionMetadataKey::API_KEY => {
                (PartitionMetadataKey::decode(key, 0)?.group_id, Self::PartitionMetadata { present: value.is_some() })
            }
            MemberKey::API_KEY => {
                let key = MemberKey::decode(key, 0)?;
                let value = decode_value::<MemberValue>(value)?;
                (key.group_id, Self::Member(key.member_id, value.map(member_metadata)))
            }
            TargetKey::API_KEY => {
                let value = decode_value::<TargetValue>(value)?;
                let value = value.map(|value| (value.assignment_epoch, value.assignment_timestamp));
                (TargetKey::decode(key, 0)?.group_id, Self::Target(value))
            }
            TargetMemberKey::API_KEY => {
                let key = TargetMemberKey::decode(key, 0)?;
                let value = decode_value::<TargetMemberValue>(value)?;
                let partitions = value.map(|value| {
                    value
                        .topic_partitions
                        .into_iter()
                        .map(|it| (it.topic_id, it.partitions.into_iter().collect()))
                        .collect()
                });
                (key.group_id, Self::TargetMember(key.member_id, partitions))
            }
            CurrentKey::API_KEY => {
                let key = CurrentKey::decode(key, 0)?;
                let value = decode_value::<CurrentValue>(value)?;
                (key.group_id, Self::Current(key.member_id, value.map(current)))
            }
            RegexKey::API_KEY => {
                let key = RegexKey::decode(key, 0)?;
                let value = decode_value::<RegexValue>(value)?;
                let resolved = value.map(|value| ResolvedRegex {
                    topics: value.topics.into_iter().collect(),
                    version: value.version,
                    timestamp: value.timestamp,
                });
                (key.group_id, Self::Regex(key.regular_expression, resolved))
            }
            _ => return Ok(None),
        }))
    }
}

fn record<V: Message>(record_type: i16, key: &impl Message, value: Option<V>) -> GroupRecord {
    match value {
        Some(value) => GroupRecord::new(record_type, key, 0, &value),
        None => GroupRecord::tombstone(record_type, key),
    }
}

fn member_value(metadata: &MemberMetadata) -> MemberValue {
    MemberValue {
        instance_id: metadata.instance_id.clone(),
        rack_id: metadata.rack_id.clone(),
        client_id: metadata.client_id.clone(),
        client_host: metadata.client_host.clone(),
        subscribed_topic_names: metadata.topics.iter().cloned().collect(),
        subscribed_topic_regex: Some(metadata.regex.clone()),
        rebalance_timeout_ms: metadata.rebalance_timeout_ms,
        server_assignor: metadata.server_assignor.clone(),
        classic_member_metadata: metadata.classic.as_ref().map(|classic| ClassicMemberMetadata {
            session_timeout_ms: classic.session_timeout_ms,
            supported_protocols: classic
                .protocols
                .iter()
                .map(|(name, metadata)| ClassicProtocol {
                    name: name.clone(),
                    metadata: metadata.clone(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn member_metadata(value: MemberValue) -> MemberMetadata {
    MemberMetadata {
        instance_id: value.instance_id,
        rack_id: value.rack_id,
        client_id: value.client_id,
        client_host: value.client_host,
        topics: value.subscribed_topic_names.into_iter().collect::<BTreeSet<_>>(),
        regex: value.subscribed_topic_regex.unwrap_or_default(),
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        server_assignor: value.server_assignor,
        classic: value.classic_member_metadata.map(|classic| ClassicMetadata {
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic.supported_protocols.into_iter().map(|it| (it.name, it.metadata)).collect(),
        }),
    }
}

fn target_value(partitions: &Partitions) -> TargetMemberValue {
    TargetMemberValue {
        topic_partitions: partitions
            .iter()
            .map(|(topic, indexes)| TargetTopic {
                topic_id: *topic,
                partitions: indexes.iter().copied().collect(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

fn current_value(current: &Current) -> CurrentValue {
    CurrentValue {
        member_epoch: current.epoch,
        previous_member_epoch: current.previous_epoch,
        state: current.state.number(),
        assigned_partitions: held_value(&current.assigned),
        partitions_pending_revocation: held_value(&current.pending_revocation),
        ..Default::default()
    }
}

fn held_value(held: &Held) -> Vec<HeldTopic> {
    let topics = held.topics().map(|(topic, held)| HeldTopic {
        topic_id: *topic,
        partitions: held.keys().copied().collect(),
        assignment_epochs: Some(held.values().copied().collect()),
        ..Default::default()
    });
    topics.collect()
}

fn current(value: CurrentValue) -> Current {
    let held = |topics: Vec<HeldTopic>| -> Held {
        let mut held = Held::default();
        for topic in topics {
            // Coordinators before 4.3 wrote no epochs: the member's own is the latest that each can have been given in.
            let epochs = topic.assignment_epochs.unwrap_or_default();
            for (at, partition) in topic.partitions.into_iter().enumerate() {
                held.insert(topic.topic_id, partition, epochs.get(at).copied().unwrap_or(value.member_epoch));
            }
        }
        held
    };
    Current {
        epoch: value.member_epoch,
        previous_epoch: value.previous_member_epoch,
        state: MemberState::from_number(value.state),
        assigned: held(value.assigned_partitions),
        pending_revocation: held(value.partitions_pending_revocation),
    }
}
