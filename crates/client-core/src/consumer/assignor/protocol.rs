//! The bytes by which members of a classic group tell what they want and what they got. Java: `ConsumerProtocol`.
//!
//! Both messages begin with their version. A version that is newer than ours is read as our newest, and what stands behind it is skipped, as
//! the protocol promises. No count is believed before it is bounded by the bytes at hand.

use bytes::Bytes;
use felice_protocol::messages::Message;
use felice_protocol::messages::data::consumer_protocol_assignment::{
    ConsumerProtocolAssignment, TopicPartition as AssignedTopic,
};
use felice_protocol::messages::data::consumer_protocol_subscription::{
    ConsumerProtocolSubscription, TopicPartition as OwnedTopic,
};
use felice_protocol::primitives::{ByteStr, DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder};

use super::{Assignment, MemberSubscription};
use crate::consumer::TopicPartition;

/// The protocol type of consumers in JoinGroup.
pub const PROTOCOL_TYPE: &str = "consumer";

const HIGHEST_VERSION: i16 = 3;

/// Encodes a subscription for JoinGroup, in version 3. Topics and partitions are sorted, so that the same subscription has the same bytes.
/// The member's ids are no part of it.
///
/// # Errors
/// [`EncodeError`] where a string or list is too long for the protocol.
pub fn encode_subscription(subscription: &MemberSubscription) -> Result<Bytes, EncodeError> {
    let mut topics = subscription.topics.clone();
    topics.sort();
    let message = ConsumerProtocolSubscription {
        topics,
        user_data: subscription.user_data.clone(),
        owned_partitions: by_topic(&subscription.owned)
            .into_iter()
            .map(|(topic, partitions)| OwnedTopic { topic, partitions })
            .collect(),
        generation_id: subscription.generation.unwrap_or(-1),
        rack_id: subscription.rack.clone(),
    };
    encode(&message)
}

/// Decodes the subscription of the member `member_id`.
///
/// # Errors
/// [`DecodeError`] where it is none.
pub fn decode_subscription(
    member_id: ByteStr,
    group_instance_id: Option<ByteStr>,
    bytes: Bytes,
) -> Result<MemberSubscription, DecodeError> {
    let message: ConsumerProtocolSubscription = decode(bytes)?;
    let owned = message.owned_partitions.into_iter().map(|owned| (owned.topic, owned.partitions));
    Ok(MemberSubscription {
        member_id,
        group_instance_id,
        topics: message.topics,
        owned: flat(owned),
        generation: (message.generation_id >= 0).then_some(message.generation_id),
        rack: message.rack_id.filter(|rack| !rack.is_empty()),
        user_data: message.user_data,
    })
}

/// Encodes what a member gets, for SyncGroup, in version 3.
///
/// # Errors
/// [`EncodeError`] where a string or list is too long for the protocol.
pub fn encode_assignment(assignment: &Assignment) -> Result<Bytes, EncodeError> {
    let message = ConsumerProtocolAssignment {
        assigned_partitions: by_topic(&assignment.partitions)
            .into_iter()
            .map(|(topic, partitions)| AssignedTopic { topic, partitions })
            .collect(),
        user_data: assignment.user_data.clone(),
    };
    encode(&message)
}

/// Decodes what a member got. No bytes at all, which is what the coordinator answers where the leader left a member out, are an empty
/// assignment.
///
/// # Errors
/// [`DecodeError`] where it is none.
pub fn decode_assignment(bytes: Bytes) -> Result<Assignment, DecodeError> {
    if bytes.is_empty() {
        return Ok(Assignment::default());
    }
    let message: ConsumerProtocolAssignment = decode(bytes)?;
    let assigned = message.assigned_partitions.into_iter().map(|assigned| (assigned.topic, assigned.partitions));
    Ok(Assignment { partitions: flat(assigned), user_data: message.user_data })
}

/// What `sticky` says of a member's past: its partitions and their generation (−1 for none). Java: `STICKY_ASSIGNOR_USER_DATA_V1`.
pub(super) fn encode_sticky_user_data(owned: &[TopicPartition], generation: Option<i32>) -> Result<Bytes, EncodeError> {
    let mut e = Encoder::new();
    e.array(false, &by_topic(owned), |e, (topic, partitions)| {
        e.string(false, topic)?;
        e.array(false, partitions, |e, partition| {
            e.i32(*partition);
            Ok(())
        })
    })?;
    e.i32(generation.unwrap_or(-1));
    Ok(e.finish().into_bytes())
}

/// Reads what `sticky` says; version 0 had no generation. What cannot be read counts as nothing: a member with a broken past starts anew.
pub(super) fn decode_sticky_user_data(user_data: Option<&Bytes>) -> (Vec<TopicPartition>, Option<i32>) {
    let Some(user_data) = user_data else { return Default::default() };
    let mut d = Decoder::new(user_data.clone());
    let topics = d.vec(false, |d| Ok((d.string(false)?, d.vec(false, Decoder::i32)?)));
    let Ok(topics) = topics else { return Default::default() };
    (flat(topics), d.i32().ok().filter(|generation| *generation >= 0))
}

/// What `cooperative-sticky` says of a member's past: the generation. Java: `COOPERATIVE_STICKY_ASSIGNOR_USER_DATA_V0`.
pub(super) fn encode_cooperative_user_data(generation: Option<i32>) -> Bytes {
    Bytes::copy_from_slice(&generation.unwrap_or(-1).to_be_bytes())
}

/// Reads what `cooperative-sticky` says.
pub(super) fn decode_cooperative_user_data(user_data: Option<&Bytes>) -> Option<i32> {
    let generation = i32::from_be_bytes(*user_data?.first_chunk()?);
    (generation >= 0).then_some(generation)
}

fn encode<M: Message>(message: &M) -> Result<Bytes, EncodeError> {
    let mut e = Encoder::new();
    e.i16(HIGHEST_VERSION);
    message.encode(&mut e, HIGHEST_VERSION)?;
    Ok(e.finish().into_bytes())
}

fn decode<M: Message>(bytes: Bytes) -> Result<M, DecodeError> {
    let mut d = Decoder::new(bytes);
    let version = d.i16()?;
    if version < 0 {
        return Err(d.error(DecodeErrorKind::UnknownVersion(version)));
    }
    M::decode(&mut d, version.min(HIGHEST_VERSION))
}

/// The partitions of each topic, sorted.
fn by_topic(partitions: &[TopicPartition]) -> Vec<(ByteStr, Vec<i32>)> {
    let mut sorted: Vec<_> = partitions.iter().collect();
    sorted.sort();
    let mut topics: Vec<(ByteStr, Vec<i32>)> = Vec::new();
    for TopicPartition { topic, partition } in sorted {
        match topics.last_mut() {
            Some((last, partitions)) if last == topic => partitions.push(*partition),
            _ => topics.push((topic.clone(), vec![*partition])),
        }
    }
    topics
}

fn flat(topics: impl IntoIterator<Item = (ByteStr, Vec<i32>)>) -> Vec<TopicPartition> {
    let partitions_of = |(topic, partitions): (ByteStr, Vec<i32>)| {
        partitions.into_iter().map(move |partition| TopicPartition { topic: topic.clone(), partition })
    };
    topics.into_iter().flat_map(partitions_of).collect()
}
