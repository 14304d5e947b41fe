//! What partitions hold: records deleted, offsets listed, leaders elected.

use std::collections::BTreeMap;
use std::ffi::c_int;

use felice::ErrorCode;
use felice::protocol::messages::metadata::request::MetadataRequestTopic;
use felice::protocol::messages::{
    DeleteRecordsRequest, ElectLeadersRequest, ListOffsetsRequest, MetadataRequest, delete_records, elect_leaders,
    list_offsets,
};
use tokio::task::JoinSet;

use crate::admin::options::AdminOptions;
use crate::admin::result::{DELETE_RECORDS, ELECT_LEADERS, LIST_OFFSETS, PartitionResult};
use crate::admin::{Failure, Items, Run, Target, destroyers, getters, launch, taken};
use crate::boundary::guard;
use crate::handle::Kafka;
use crate::list::{List, Place, read_unless_null};
use crate::queue::QueueRef;
use crate::types::{RespErr, TopicPartition, TopicPartitionList};

/// `rd_kafka_DeleteRecords_t`.
#[derive(Clone, Debug)]
pub struct DeleteRecords {
    before: Vec<Place>,
}

/// Records before these offsets are to be deleted; −1 is all of a partition.
///
/// # Safety
/// `before_offsets` came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DeleteRecords_new(before_offsets: *const TopicPartitionList) -> *mut DeleteRecords {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        let before = unsafe { read_unless_null(before_offsets) }.unwrap_or_default();
        Box::into_raw(Box::new(DeleteRecords { before }))
    })
}

/// `rd_kafka_ElectLeaders_t`.
#[derive(Clone, Debug)]
pub struct ElectLeaders {
    election_type: i8,
    partitions: Option<Vec<Place>>,
}

/// Leaders to be elected, by type (0 preferred, 1 unclean), of partitions or of all for NULL.
///
/// # Safety
/// `partitions` is NULL or came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_ElectLeaders_new(
    election_type: c_int,
    partitions: *const TopicPartitionList,
) -> *mut ElectLeaders {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        let partitions = unsafe { read_unless_null(partitions) };
        let election_type = i8::try_from(election_type).unwrap_or(0);
        Box::into_raw(Box::new(ElectLeaders { election_type, partitions }))
    })
}

destroyers! {
    DeleteRecords: rd_kafka_DeleteRecords_destroy rd_kafka_DeleteRecords_destroy_array;
    ElectLeaders: rd_kafka_ElectLeaders_destroy;
}

/// `rd_kafka_ListOffsetsResultInfo_t`.
#[derive(Debug)]
pub struct ListedOffset {
    partition: List,
    timestamp: i64,
}

getters! { ListedOffset;
    /// The partition with its offset, and its error.
    rd_kafka_ListOffsetsResultInfo_topic_partition -> *const TopicPartition = std::ptr::null(),
        |listed| listed.partition.first();
    /// The timestamp of the record at the offset; −1 where it is not known.
    rd_kafka_ListOffsetsResultInfo_timestamp -> i64 = -1, |listed| listed.timestamp;
}

/// Partitions by the broker that leads them, and errors of those that have no leader.
#[derive(Debug, Default)]
struct Leaders {
    by_leader: BTreeMap<i32, Vec<Place>>,
    errors: Vec<(Place, RespErr)>,
}

/// Finds the leaders. A topic that is not there, or a partition without a leader, may just be new, and is asked for again for a while.
async fn leaders(run: &Run, places: &[Place]) -> Result<Leaders, Failure> {
    let known = |place: &Place| Some((run.leaders.get(&place.partition)?, place.clone()));
    if let Some(known) = places.iter().map(known).collect::<Option<Vec<_>>>() {
        let mut found = Leaders::default();
        for (leader, place) in known {
            found.by_leader.entry(leader).or_default().push(place);
        }
        return Ok(found);
    }
    let mut rounds = 0;
    loop {
        let topics = Place::by_topic(places);
        let topic = |(name, _): &(felice::protocol::primitives::ByteStr, Vec<&Place>)| MetadataRequestTopic {
            name: Some(name.clone()),
            ..Default::default()
        };
        let request = MetadataRequest {
            topics: Some(topics.iter().map(topic).collect()),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let answer = run.ask(Target::Brokers, request).await.map_err(|failure| {
            let text = format!("Failed to query partition leaders: {}", failure.code.text());
            Failure::new(failure.code, text)
        })?;
        let mut found = Leaders::default();
        for place in places {
            let topic = answer.topics.iter().find(|topic| topic.name.as_ref() == Some(&place.partition.topic));
            let index = place.partition.partition;
            let partition = topic.and_then(|topic| topic.partitions.iter().find(|p| p.partition_index == index));
            let error = match (topic, partition) {
                (_, Some(partition)) if partition.leader_id >= 0 => {
                    run.leaders.put(&place.partition, partition.leader_id);
                    found.by_leader.entry(partition.leader_id).or_default().push(place.clone());
                    continue;
                }
                (_, Some(_)) => RespErr(ErrorCode::LEADER_NOT_AVAILABLE.0.into()),
                (Some(topic), None) if topic.error_code != ErrorCode::NONE => RespErr(topic.error_code.0.into()),
                (_, None) => RespErr::UNKNOWN_PARTITION,
            };
            found.errors.push((place.clone(), error));
        }
        rounds += 1;
        if found.errors.is_empty() || rounds > 5 || !run.pause().await {
            return Ok(found);
        }
    }
}

/// Asks each leader for its partitions, all at once. What comes for each partition, in the request's order; a leader's failure is that of its
/// partitions.
async fn ask_leaders<T, F>(
    run: &Run,
    places: &[Place],
    ask: impl Fn(Run, i32, Vec<Place>) -> F,
) -> Result<Vec<(Place, Result<T, RespErr>)>, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<Vec<(felice::TopicPartition, Result<T, RespErr>)>, Failure>> + Send + 'static,
{
    let Leaders { by_leader, errors } = leaders(run, places).await?;
    let mut asked = JoinSet::new();
    for (leader, places) in by_leader {
        let answer = ask(run.clone(), leader, places.clone());
        asked.spawn(async move { (places, answer.await) });
    }
    let mut results: BTreeMap<felice::TopicPartition, Result<T, RespErr>> =
        errors.into_iter().map(|(place, error)| (place.partition, Err(error))).collect();
    while let Some(answered) = asked.join_next().await {
        match answered {
            Ok((_, Ok(answers))) => results.extend(answers),
            Ok((places, Err(failure))) => {
                results.extend(places.into_iter().map(|place| (place.partition, Err(failure.code))));
            }
            // It neither panics nor is it stopped.
            Err(_) => {}
        }
    }
    let result = |place: &Place| {
        let found = results.remove(&place.partition).unwrap_or(Err(RespErr::FAIL));
        if found.is_err() {
            run.leaders.forget(&place.partition);
        }
        (place.clone(), found)
    };
    Ok(places.iter().map(result).collect())
}

/// Deletes records before offsets.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL; there are as
/// many objects as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DeleteRecords(
    rk: *mut Kafka,
    del_records: *const *mut DeleteRecords,
    del_record_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &DELETE_RECORDS, |run| {
            let [records] = taken(del_records, del_record_cnt)[..] else {
                return Err(Failure::argument("Exactly one DeleteRecords must be passed"));
            };
            let places = records.before.clone();
            if places.is_empty() {
                return Err(Failure::argument("No records to delete"));
            }
            if Place::has_duplicates(&places) {
                return Err(Failure::argument("Duplicate partitions not allowed"));
            }
            Ok(Box::pin(async move {
                let mut list = List::new();
                for (mut place, result) in ask_leaders(&run, &places, delete_records).await? {
                    match result {
                        Ok(low_watermark) => {
                            place.offset = low_watermark;
                            list.add_place(&place, RespErr::NO_ERROR);
                        }
                        Err(error) => list.add_place(&place, error),
                    }
                }
                Ok(Items::Records(list))
            }))
        });
    }
}

async fn delete_records(
    run: Run,
    leader: i32,
    places: Vec<Place>,
) -> Result<Vec<(felice::TopicPartition, Result<i64, RespErr>)>, Failure> {
    use delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic};
    let partition = |place: &Place| DeleteRecordsPartition {
        partition_index: place.partition.partition,
        offset: place.offset,
        ..Default::default()
    };
    let topics = Place::by_topic(&places).into_iter().map(|(name, places)| DeleteRecordsTopic {
        name,
        partitions: places.into_iter().map(partition).collect(),
        ..Default::default()
    });
    let timeout_ms = run.settings.operation_timeout;
    let request = DeleteRecordsRequest { topics: topics.collect(), timeout_ms, ..Default::default() };
    let answer = run.ask(Target::Broker(leader), request).await?;
    let mut results = Vec::new();
    for topic in answer.topics {
        for p in topic.partitions {
            let result = p.error_code.ok().map(|()| p.low_watermark).map_err(|code| RespErr(code.0.into()));
            results.push((felice::TopicPartition::new(topic.name.as_str(), p.partition_index), result));
        }
    }
    Ok(results)
}

/// Where partitions begin (−2) and end (−1), where their newest record is (−3), and where times are in them.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL;
/// `topic_partitions` came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_ListOffsets(
    rk: *mut Kafka,
    topic_partitions: *const TopicPartitionList,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &LIST_OFFSETS, |run| {
            let places = read_unless_null(topic_partitions).unwrap_or_default();
            for (index, place) in places.iter().enumerate() {
                if place.partition.topic.is_empty() {
                    let text = format!("Partition topic name at index {index} must be non-empty");
                    return Err(Failure::argument(text));
                }
                if place.partition.partition < 0 {
                    return Err(Failure::argument(format!("Partition at index {index} cannot be negative")));
                }
            }
            if Place::has_duplicates(&places) {
                return Err(Failure::argument("Partitions must not contain duplicates"));
            }
            if let Some((index, place)) = places.iter().enumerate().find(|(_, place)| place.offset < -3) {
                let text = format!("Partition {index} has an invalid offset {}", place.offset);
                return Err(Failure::argument(text));
            }
            Ok(Box::pin(async move {
                if places.is_empty() {
                    return Ok(Items::ListedOffsets([].into_iter().collect()));
                }
                let listed = |(mut place, result): (Place, Result<Found, RespErr>)| {
                    let mut partition = List::new();
                    let (timestamp, error) = match result {
                        Ok(found) => {
                            (place.offset, place.leader_epoch) = (found.offset, found.leader_epoch);
                            (found.timestamp, RespErr::NO_ERROR)
                        }
                        Err(error) => (-1, error),
                    };
                    if let Some(element) = partition.add(&place.partition.topic, place.partition.partition) {
                        element.offset = place.offset;
                        element.err = error;
                        crate::topic_partition::set_leader_epoch(element, place.leader_epoch);
                    }
                    ListedOffset { partition, timestamp }
                };
                let results = ask_leaders(&run, &places, list_offsets).await?;
                Ok(Items::ListedOffsets(results.into_iter().map(listed).collect()))
            }))
        });
    }
}

#[derive(Clone, Copy, Debug)]
struct Found {
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
}

async fn list_offsets(
    run: Run,
    leader: i32,
    places: Vec<Place>,
) -> Result<Vec<(felice::TopicPartition, Result<Found, RespErr>)>, Failure> {
    use list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic};
    let partition = |place: &Place| ListOffsetsPartition {
        partition_index: place.partition.partition,
        timestamp: place.offset,
        ..Default::default()
    };
    let topics = Place::by_topic(&places).into_iter().map(|(name, places)| ListOffsetsTopic {
        name,
        partitions: places.into_iter().map(partition).collect(),
        ..Default::default()
    });
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: run.settings.isolation_level,
        topics: topics.collect(),
        ..Default::default()
    };
    let answer = run.ask(Target::Broker(leader), request).await?;
    let mut results = Vec::new();
    for topic in answer.topics {
        for p in topic.partitions {
            let found = Found { offset: p.offset, timestamp: p.timestamp, leader_epoch: p.leader_epoch };
            let result = p.error_code.ok().map(|()| found).map_err(|code| RespErr(code.0.into()));
            results.push((felice::TopicPartition::new(topic.name.as_str(), p.partition_index), result));
        }
    }
    Ok(results)
}

/// Has leaders elected.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL;
/// `elect_leaders` came from [`rd_kafka_ElectLeaders_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_ElectLeaders(
    rk: *mut Kafka,
    elect_leaders: *const ElectLeaders,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    use elect_leaders::request::TopicPartitions;
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &ELECT_LEADERS, |run| {
            let Some(ElectLeaders { election_type, partitions }) = elect_leaders.as_ref().cloned() else {
                return Err(Failure::argument("An ElectLeaders object must be passed"));
            };
            if partitions.as_deref().is_some_and(Place::has_duplicates) {
                return Err(Failure::argument("Duplicate partitions specified"));
            }
            Ok(Box::pin(async move {
                let topic = |(topic, places): (felice::protocol::primitives::ByteStr, Vec<&Place>)| TopicPartitions {
                    topic,
                    partitions: places.into_iter().map(|place| place.partition.partition).collect(),
                    ..Default::default()
                };
                let request = ElectLeadersRequest {
                    election_type,
                    topic_partitions: partitions
                        .as_deref()
                        .map(|places| Place::by_topic(places).into_iter().map(topic).collect()),
                    timeout_ms: run.settings.operation_timeout,
                    ..Default::default()
                };
                let answer = run.ask(Target::Controller, request).await?;
                if answer.error_code != ErrorCode::NONE {
                    let code = RespErr(answer.error_code.0.into());
                    return Err(Failure::new(code, format!("ElectLeaders request failed: {}", code.text())));
                }
                let results = answer
                    .replica_election_results
                    .iter()
                    .flat_map(|topic| topic.partition_result.iter().map(|p| (&*topic.topic, p.partition_id, p)));
                let result = |(topic, id, p): (&str, i32, &elect_leaders::response::PartitionResult)| {
                    PartitionResult::new(topic, id, p.error_code, p.error_message.as_deref())
                };
                let mut results: Vec<_> = results.collect();
                if let Some(places) = &partitions {
                    let asked = |topic: &str, id| {
                        places.iter().position(|p| (&*p.partition.topic, p.partition.partition) == (topic, id))
                    };
                    results.retain(|(topic, id, _)| asked(topic, *id).is_some());
                    results.sort_by_key(|(topic, id, _)| asked(topic, *id));
                }
                Ok(Items::Partitions(results.into_iter().map(result).collect()))
            }))
        });
    }
}
