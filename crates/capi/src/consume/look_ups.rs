//! Where partitions begin and end, and where times are in them: asked of their leaders.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int};
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use felice::protocol::messages::{ListOffsetsRequest, ListOffsetsResponse, list_offsets};
use felice::{Error, ErrorCode, ErrorKind, TopicPartition};

use super::side;
use crate::boundary::{guard, text};
use crate::handle::Kafka;
use crate::list::{elements_mut, name, read};
use crate::types::{RespErr, TopicPartitionList, offset};
use crate::wait::{Deadline, block_on};

/// The timestamp that stands for a partition's first offset.
const EARLIEST: i64 = -2;
/// The timestamp that stands for a partition's end.
const LATEST: i64 = -1;
/// Until a leader that cannot answer now is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// Who led partitions that were asked about and that the client does not follow by itself; `None` where the last answer showed that what is known is
/// old. Programs are told that once, as librdkafka tells them from what it keeps of the cluster: the next look-up finds the leader anew.
#[derive(Debug, Default)]
pub(crate) struct Leaders(Mutex<BTreeMap<TopicPartition, Option<i32>>>);

impl Leaders {
    fn of(&self, partition: &TopicPartition) -> Option<Option<i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(partition).copied()
    }

    fn set(&self, partition: &TopicPartition, leader: Option<i32>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(partition.clone(), leader);
    }
}

/// Runs a future for a time at most.
pub(super) fn within<T>(
    kafka: &Kafka,
    deadline: Deadline,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, RespErr> {
    let left = deadline.left().unwrap_or_default();
    match block_on(felice::raw::timeout(&kafka.client, left, future)) {
        Some(result) => result.map_err(|error| match error.kind() {
            ErrorKind::Timeout => RespErr::TIMED_OUT,
            _ => RespErr::of(&error),
        }),
        None => Err(RespErr::TIMED_OUT),
    }
}

/// The leader of a partition as it is known, else as the cluster says.
fn leader(kafka: &Kafka, partition: &TopicPartition, deadline: Deadline) -> Result<i32, RespErr> {
    let cluster = kafka.brokers.cluster();
    let known = match kafka.leaders.of(partition) {
        Some(known) => known,
        None => cluster.partition(&partition.topic, partition.partition).and_then(|known| known.leader),
    };
    if let Some(known) = known.filter(|known| cluster.brokers.contains_key(known)) {
        return Ok(known);
    }
    let topic = within(kafka, deadline, async { kafka.client.admin().topic(&partition.topic).await })?;
    let info = topic.partitions.iter().find(|info| info.partition == partition.partition);
    let leader = info.ok_or(RespErr::UNKNOWN_PARTITION)?.leader.ok_or(RespErr::LEADER_NOT_AVAILABLE)?;
    kafka.leaders.set(partition, Some(leader));
    Ok(leader)
}

/// A place that a leader told.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: i64,
    leader_epoch: i32,
}

type Places = BTreeMap<TopicPartition, Result<Place, RespErr>>;

/// Asks leaders where these timestamps are.
fn look_up(kafka: &Kafka, deadline: Deadline, of: Vec<(TopicPartition, i64)>) -> Result<Places, RespErr> {
    let mut places = Places::new();
    let mut open = of;
    loop {
        let mut by_leader: BTreeMap<i32, Vec<(TopicPartition, i64)>> = BTreeMap::new();
        for (partition, timestamp) in std::mem::take(&mut open) {
            match leader(kafka, &partition, deadline) {
                Ok(leader) => by_leader.entry(leader).or_default().push((partition, timestamp)),
                Err(err) if err == RespErr::UNKNOWN_PARTITION || err == RespErr::UNKNOWN_TOPIC_OR_PART => {
                    places.insert(partition, Err(RespErr::UNKNOWN_PARTITION));
                }
                Err(err) => return Err(err),
            }
        }
        for (leader, asked) in by_leader {
            let response = within(kafka, deadline, kafka.client.request_to(leader, request(&asked)));
            for (partition, timestamp) in asked {
                let place = response.as_ref().map_or_else(|err| Err(*err), |response| told(response, &partition));
                if let Err(err) = place {
                    let code = i16::try_from(err.0).map(ErrorCode);
                    kafka.leaders.set(&partition, None);
                    if code.is_ok_and(|code| code.0 > 0 && code.is_retriable() && !code.is_stale_metadata()) {
                        open.push((partition, timestamp));
                        continue;
                    }
                }
                places.insert(partition, place);
            }
            if let (Err(err), true) = (&response, places.len() == 1) {
                return Err(*err);
            }
        }
        if places.values().all(|place| place.as_ref().err() == Some(&RespErr::UNKNOWN_PARTITION)) && open.is_empty() {
            // Where nothing of it is there, the call itself fails.
            return Err(RespErr::UNKNOWN_PARTITION);
        }
        if open.is_empty() {
            return Ok(places);
        }
        if deadline.left().is_none() {
            return Err(RespErr::TIMED_OUT);
        }
        std::thread::sleep(PAUSE.min(deadline.left().unwrap_or_default()));
    }
}

fn request(of: &[(TopicPartition, i64)]) -> ListOffsetsRequest {
    let mut topics: Vec<list_offsets::request::ListOffsetsTopic> = Vec::new();
    for (partition, timestamp) in of {
        let wanted = list_offsets::request::ListOffsetsPartition {
            partition_index: partition.partition,
            timestamp: *timestamp,
            ..Default::default()
        };
        match topics.iter_mut().find(|topic| topic.name == partition.topic) {
            Some(topic) => topic.partitions.push(wanted),
            None => topics.push(list_offsets::request::ListOffsetsTopic {
                name: partition.topic.clone(),
                partitions: vec![wanted],
                ..Default::default()
            }),
        }
    }
    ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }
}

/// What an answer tells of a partition.
fn told(response: &ListOffsetsResponse, of: &TopicPartition) -> Result<Place, RespErr> {
    let topic = response.topics.iter().find(|topic| topic.name == of.topic);
    let mut answers = topic.into_iter().flat_map(|topic| &topic.partitions);
    let answer = answers.find(|answer| answer.partition_index == of.partition).ok_or(RespErr::BAD_MSG)?;
    answer.error_code.ok().map_err(|code| RespErr(code.0.into()))?;
    Ok(Place { offset: answer.offset, leader_epoch: answer.leader_epoch })
}

/// Where a partition begins and ends, as of the last answer to a fetch; no broker is asked.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `topic` ends in a NUL byte; `low` and `high` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_get_watermark_offsets(
    rk: *mut Kafka,
    topic: *const c_char,
    partition: i32,
    low: *mut i64,
    high: *mut i64,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (Some(side), Some(topic)) = (unsafe { (side(rk), text(topic)) }) else { return RespErr::UNKNOWN_PARTITION };
        let Some(slot) = side.state().slots.get(&TopicPartition::new(topic, partition)).cloned() else {
            return RespErr::UNKNOWN_PARTITION;
        };
        // SAFETY: the caller vouches for both places.
        unsafe {
            low.write(slot.low.load(Ordering::Acquire));
            high.write(slot.high.load(Ordering::Acquire));
        }
        RespErr::NO_ERROR
    })
}

/// Asks a partition's leader where it begins and ends.
///
/// # Safety
/// As for [`rd_kafka_get_watermark_offsets`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_query_watermark_offsets(
    rk: *mut Kafka,
    topic: *const c_char,
    partition: i32,
    low: *mut i64,
    high: *mut i64,
    timeout_ms: c_int,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (Some(kafka), Some(topic)) = (unsafe { (rk.as_ref(), text(topic)) }) else { return RespErr::INVALID_ARG };
        let partition = TopicPartition::new(topic, partition);
        let deadline = Deadline::after(timeout_ms);
        let place = |timestamp: i64| {
            let mut found = look_up(kafka, deadline, vec![(partition.clone(), timestamp)])?;
            found.remove(&partition).unwrap_or(Err(RespErr::FAIL)).map(|found| found.offset)
        };
        match place(EARLIEST).and_then(|first| Ok((first, place(LATEST)?))) {
            Ok((first, end)) => {
                // SAFETY: the caller vouches for both places.
                unsafe {
                    low.write(if first < 0 { end } else { first });
                    high.write(end);
                }
                RespErr::NO_ERROR
            }
            Err(err) => err,
        }
    })
}

/// The first offsets at or after the times that stand in the list in place of offsets, written there; the end where no record is so young.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `offsets` came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_offsets_for_times(
    rk: *mut Kafka,
    offsets: *mut TopicPartitionList,
    timeout_ms: c_int,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (Some(kafka), Some(named)) = (unsafe { (rk.as_ref(), read(offsets)) }) else { return RespErr::INVALID_ARG };
        if named.is_empty() {
            return RespErr::INVALID_ARG;
        }
        // What C calls a logical offset is the timestamp that stands for it.
        let of = named.into_iter().map(|named| (named.partition, named.offset)).collect();
        let found = match look_up(kafka, Deadline::after(timeout_ms), of) {
            Ok(found) => found,
            Err(err) => return err,
        };
        // SAFETY: the caller vouches for the list.
        for element in unsafe { elements_mut(offsets) } {
            // SAFETY: an element of a list.
            match unsafe { name(element) }.and_then(|partition| found.get(&partition)) {
                Some(Ok(found)) => {
                    element.offset = if found.offset >= 0 { found.offset } else { offset::END };
                    crate::topic_partition::set_leader_epoch(element, found.leader_epoch);
                    element.err = RespErr::NO_ERROR;
                }
                Some(Err(err)) => element.err = *err,
                None => element.err = RespErr::UNKNOWN_PARTITION,
            }
        }
        RespErr::NO_ERROR
    })
}
