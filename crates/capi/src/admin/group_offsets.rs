//! What groups have committed: listed, altered, deleted.

use std::collections::BTreeMap;
use std::ffi::c_char;

use felice::protocol::messages::{
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetFetchResponse, offset_commit, offset_delete,
    offset_fetch,
};
use felice::protocol::primitives::ByteStr;
use felice::{ErrorCode, TopicPartition};

use crate::admin::options::AdminOptions;
use crate::admin::result::{
    ALTER_CONSUMER_GROUP_OFFSETS, DELETE_CONSUMER_GROUP_OFFSETS, GroupResult, LIST_CONSUMER_GROUP_OFFSETS,
};
use crate::admin::{Failure, Items, Run, destroyers, launch, taken};
use crate::boundary::{guard, text};
use crate::handle::Kafka;
use crate::list::{List, Place, read_unless_null};
use crate::queue::QueueRef;
use crate::types::{RespErr, TopicPartitionList, offset};

/// The highest versions of OffsetCommit and OffsetFetch that name topics: a group keeps its offsets by name, also those of a topic that is gone.
const BY_NAME: i16 = 9;

/// A group and partitions of it.
#[derive(Clone, Debug)]
struct OfGroup {
    id: String,
    /// All that it has committed, where there are none.
    partitions: Option<Vec<Place>>,
}

impl OfGroup {
    /// # Safety
    /// `id` is NULL or ends in a NUL byte; `partitions` is NULL or came from `rd_kafka_topic_partition_list_new`.
    unsafe fn read(id: *const c_char, partitions: *const TopicPartitionList) -> Option<Self> {
        // SAFETY: the caller vouches for both.
        unsafe { Some(Self { id: text(id)?.to_owned(), partitions: read_unless_null(partitions) }) }
    }

    /// The group, with what came of its partitions.
    fn result(&self, list: List) -> Items {
        Items::Groups([GroupResult::new(&self.id, Some(list))].into_iter().collect())
    }
}

macro_rules! objects {
    ($($(#[$doc:meta])* $object:ident: $new:ident $one:ident $all:ident, $what:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            pub struct $object(OfGroup);

            #[doc = $what]
            ///
            /// # Safety
            /// `group` ends in a NUL byte; `partitions` is NULL or came from `rd_kafka_topic_partition_list_new`.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $new(group: *const c_char, partitions: *const TopicPartitionList) -> *mut $object {
                guard(std::ptr::null_mut(), || {
                    // SAFETY: the caller vouches for both.
                    let group = unsafe { OfGroup::read(group, partitions) };
                    group.map_or(std::ptr::null_mut(), |group| Box::into_raw(Box::new($object(group))))
                })
            }

            destroyers! { $object: $one $all; }
        )*
    };
}

objects! {
    /// `rd_kafka_ListConsumerGroupOffsets_t`.
    ListConsumerGroupOffsets: rd_kafka_ListConsumerGroupOffsets_new rd_kafka_ListConsumerGroupOffsets_destroy
        rd_kafka_ListConsumerGroupOffsets_destroy_array, "Partitions to be listed, or all for NULL.";
    /// `rd_kafka_AlterConsumerGroupOffsets_t`.
    AlterConsumerGroupOffsets: rd_kafka_AlterConsumerGroupOffsets_new rd_kafka_AlterConsumerGroupOffsets_destroy
        rd_kafka_AlterConsumerGroupOffsets_destroy_array, "Partitions with their new offsets.";
    /// `rd_kafka_DeleteConsumerGroupOffsets_t`.
    DeleteConsumerGroupOffsets: rd_kafka_DeleteConsumerGroupOffsets_new rd_kafka_DeleteConsumerGroupOffsets_destroy
        rd_kafka_DeleteConsumerGroupOffsets_destroy_array, "Partitions whose offsets are to be forgotten.";
}

/// A failure of the whole, as it is told where a coordinator's answer carries it.
fn refused(run: &Run, api: &str, code: ErrorCode, text: &str) -> Failure {
    let code = RespErr(code.0.into());
    let operation = run.kind().operation;
    let text = format!("{operation} worker failed to parse coordinator {api}Response: {text}: {}", code.text());
    Failure::new(code, text)
}

/// Lists what a group has committed.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL; there are as
/// many objects as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_ListConsumerGroupOffsets(
    rk: *mut Kafka,
    list_grpoffsets: *const *mut ListConsumerGroupOffsets,
    list_grpoffsets_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &LIST_CONSUMER_GROUP_OFFSETS, |run| {
            let [ListConsumerGroupOffsets(group)] = taken(list_grpoffsets, list_grpoffsets_cnt)[..] else {
                return Err(Failure::argument("Exactly one ListConsumerGroupOffsets must be passed"));
            };
            match &group.partitions {
                Some(partitions) if partitions.is_empty() => {
                    return Err(Failure::argument("NULL or non-empty topic partition list must be passed"));
                }
                Some(partitions) if Place::has_duplicates(partitions) => {
                    return Err(Failure::argument("Duplicate partitions not allowed"));
                }
                Some(_) | None => {}
            }
            let group = group.clone();
            Ok(Box::pin(async move { list(&run, &group).await.map(|list| group.result(list)) }))
        });
    }
}

async fn list(run: &Run, group: &OfGroup) -> Result<List, Failure> {
    use offset_fetch::request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics};
    let (id, require_stable) = (ByteStr::from(group.id.as_str()), run.settings.require_stable_offsets);
    let topics: Option<Vec<(ByteStr, Vec<i32>)>> = group.partitions.as_deref().map(|places| {
        let topics = Place::by_topic(places).into_iter();
        topics.map(|(topic, places)| (topic, places.iter().map(|p| p.partition.partition).collect())).collect()
    });
    let build = move |version| {
        let require_stable = require_stable && version >= 7;
        match version {
            ..8 => {
                let topic = |(name, partition_indexes)| OffsetFetchRequestTopic {
                    name,
                    partition_indexes,
                    ..Default::default()
                };
                let topics = topics.clone().map(|topics| topics.into_iter().map(topic).collect());
                OffsetFetchRequest { group_id: id.clone(), topics, require_stable, ..Default::default() }
            }
            8.. => {
                let topic = |(name, partition_indexes)| OffsetFetchRequestTopics {
                    name,
                    partition_indexes,
                    ..Default::default()
                };
                let topics = topics.clone().map(|topics| topics.into_iter().map(topic).collect());
                let group = OffsetFetchRequestGroup { group_id: id.clone(), topics, ..Default::default() };
                OffsetFetchRequest { groups: vec![group], require_stable, ..Default::default() }
            }
        }
    };
    let code = |r: &OffsetFetchResponse| r.groups.first().map_or(r.error_code, |group| group.error_code);
    let (_, answer) = run.ask_coordinator::<OffsetFetchRequest, _>(&group.id, BY_NAME, build, code).await?;
    let code = code(&answer);
    if code != ErrorCode::NONE {
        return Err(refused(run, "OffsetFetch", code, "ListConsumerGroupOffsetsResponse response failure"));
    }
    let mut found = BTreeMap::new();
    let mut take = |topic: &ByteStr, index, offset, leader_epoch, metadata: Option<ByteStr>, code: ErrorCode| {
        let metadata = metadata.map(|metadata| metadata.as_bytes().to_vec()).unwrap_or_default();
        let offset = if offset == -1 { offset::INVALID } else { offset };
        let place = Place { partition: TopicPartition::new(topic.clone(), index), offset, leader_epoch, metadata };
        found.insert(place.partition.clone(), (place, RespErr(code.0.into())));
    };
    for topic in answer.topics {
        for p in topic.partitions {
            let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
            take(&topic.name, p.partition_index, offset, epoch, p.metadata, p.error_code);
        }
    }
    for topic in answer.groups.into_iter().flat_map(|group| group.topics) {
        for p in topic.partitions {
            let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
            take(&topic.name, p.partition_index, offset, epoch, p.metadata, p.error_code);
        }
    }
    let mut list = List::new();
    match &group.partitions {
        None => found.values().for_each(|(place, error)| list.add_place(place, *error)),
        Some(places) => {
            for place in places {
                let unknown = || (Place { offset: offset::INVALID, ..place.clone() }, RespErr::NO_ERROR);
                let (place, error) = found.remove(&place.partition).unwrap_or_else(unknown);
                list.add_place(&place, error);
            }
        }
    }
    Ok(list)
}

/// What came of each partition that was asked for, in that order.
fn results(places: &[Place], codes: &BTreeMap<TopicPartition, ErrorCode>) -> List {
    let mut list = List::new();
    for place in places {
        let error = codes.get(&place.partition).map_or(RespErr::NO_ERROR, |code| RespErr(code.0.into()));
        list.add_place(place, error);
    }
    list
}

/// Commits offsets in a group's name; it must have no members.
///
/// # Safety
/// As for [`rd_kafka_ListConsumerGroupOffsets`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AlterConsumerGroupOffsets(
    rk: *mut Kafka,
    alter_grpoffsets: *const *mut AlterConsumerGroupOffsets,
    alter_grpoffsets_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &ALTER_CONSUMER_GROUP_OFFSETS, |run| {
            let [AlterConsumerGroupOffsets(group)] = taken(alter_grpoffsets, alter_grpoffsets_cnt)[..] else {
                return Err(Failure::argument("Exactly one AlterConsumerGroupOffsets must be passed"));
            };
            let places = group.partitions.clone().unwrap_or_default();
            if places.is_empty() {
                return Err(Failure::argument("Non-empty topic partition list must be present"));
            }
            if places.iter().any(|place| place.offset < 0) {
                return Err(Failure::argument("All topic-partition offsets must be >= 0"));
            }
            if Place::has_duplicates(&places) {
                return Err(Failure::argument("Duplicate partitions not allowed"));
            }
            let group = group.clone();
            Ok(Box::pin(async move { alter(&run, &group.id, places).await.map(|list| group.result(list)) }))
        });
    }
}

async fn alter(run: &Run, id: &str, places: Vec<Place>) -> Result<List, Failure> {
    use offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    let partition = |place: &Place| OffsetCommitRequestPartition {
        partition_index: place.partition.partition,
        committed_offset: place.offset,
        committed_leader_epoch: place.leader_epoch,
        committed_metadata: Some(String::from_utf8_lossy(&place.metadata).as_ref().into()),
        ..Default::default()
    };
    let topics = Place::by_topic(&places).into_iter().map(|(name, places)| OffsetCommitRequestTopic {
        name,
        partitions: places.into_iter().map(partition).collect(),
        ..Default::default()
    });
    let (group_id, topics): (ByteStr, Vec<_>) = (id.into(), topics.collect());
    let build = move |_| OffsetCommitRequest {
        group_id: group_id.clone(),
        generation_id_or_member_epoch: -1,
        topics: topics.clone(),
        ..Default::default()
    };
    // Whatever the coordinator answers is the program's to know, partition by partition.
    let (_, answer) = run.ask_coordinator::<OffsetCommitRequest, _>(id, BY_NAME, build, |_| ErrorCode::NONE).await?;
    let topics = answer.topics.iter();
    let codes = topics.flat_map(|topic| {
        topic.partitions.iter().map(|p| (TopicPartition::new(topic.name.as_str(), p.partition_index), p.error_code))
    });
    Ok(results(&places, &codes.collect()))
}

/// Has a group forget offsets; topics that its members read are refused.
///
/// # Safety
/// As for [`rd_kafka_ListConsumerGroupOffsets`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DeleteConsumerGroupOffsets(
    rk: *mut Kafka,
    del_grpoffsets: *const *mut DeleteConsumerGroupOffsets,
    del_grpoffsets_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &DELETE_CONSUMER_GROUP_OFFSETS, |run| {
            let [DeleteConsumerGroupOffsets(group)] = taken(del_grpoffsets, del_grpoffsets_cnt)[..] else {
                return Err(Failure::argument("Exactly one DeleteConsumerGroupOffsets must be passed"));
            };
            let (group, places) = (group.clone(), group.partitions.clone().unwrap_or_default());
            Ok(Box::pin(async move { delete(&run, &group.id, places).await.map(|list| group.result(list)) }))
        });
    }
}

async fn delete(run: &Run, id: &str, places: Vec<Place>) -> Result<List, Failure> {
    use offset_delete::request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
    let partition = |place: &Place| OffsetDeleteRequestPartition { partition_index: place.partition.partition };
    let topics = Place::by_topic(&places).into_iter().map(|(name, places)| OffsetDeleteRequestTopic {
        name,
        partitions: places.into_iter().map(partition).collect(),
    });
    let (group_id, topics): (ByteStr, Vec<_>) = (id.into(), topics.collect());
    let build = move |_| OffsetDeleteRequest { group_id: group_id.clone(), topics: topics.clone() };
    let (_, answer) =
        run.ask_coordinator::<OffsetDeleteRequest, _>(id, i16::MAX, build, |answer| answer.error_code).await?;
    if answer.error_code != ErrorCode::NONE {
        return Err(refused(run, "OffsetDelete", answer.error_code, "OffsetDelete response error"));
    }
    let topics = answer.topics.iter();
    let codes: BTreeMap<_, _> = topics
        .flat_map(|topic| {
            topic.partitions.iter().map(|p| (TopicPartition::new(topic.name.as_str(), p.partition_index), p.error_code))
        })
        .collect();
    let answered: Vec<Place> = places.into_iter().map(|place| Place { offset: offset::INVALID, ..place }).collect();
    Ok(results(&answered, &codes))
}
