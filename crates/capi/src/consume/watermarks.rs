//! Where partitions begin and end.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use felice::protocol::messages::{ListOffsetsRequest, list_offsets};
use felice::{Error, ErrorKind, TopicPartition};

use super::offsets::within;
use super::side;
use crate::boundary::{guard, text};
use crate::handle::Kafka;
use crate::types::RespErr;
use crate::wait::Deadline;

/// The timestamp that stands for a partition's first offset.
const EARLIEST: i64 = -2;
/// The timestamp that stands for a partition's end.
const LATEST: i64 = -1;

/// Who led the partitions that were queried. Programs are told once when that is no longer so, as librdkafka tells them from what it keeps of the cluster:
/// the next query asks for the leader anew.
#[derive(Debug, Default)]
pub(crate) struct Leaders(Mutex<BTreeMap<TopicPartition, i32>>);

impl Leaders {
    fn of(&self, partition: &TopicPartition) -> Option<i32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(partition).copied()
    }

    fn set(&self, partition: &TopicPartition, leader: Option<i32>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match leader {
            Some(leader) => known.insert(partition.clone(), leader),
            None => known.remove(partition),
        };
    }
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

/// The leader of a partition, where it is known from before and still in the cluster; else who the cluster says it is.
fn leader(kafka: &Kafka, partition: &TopicPartition, deadline: Deadline) -> Result<i32, RespErr> {
    let known = kafka.leaders.of(partition);
    if let Some(known) = known.filter(|known| kafka.brokers.cluster().brokers.contains_key(known)) {
        return Ok(known);
    }
    let topic = within(kafka, deadline, async { kafka.client.admin().topic(&partition.topic).await })?;
    let info = topic.partitions.iter().find(|info| info.partition == partition.partition);
    let leader = info.ok_or(RespErr::UNKNOWN_PARTITION)?.leader.ok_or(RespErr::LEADER_NOT_AVAILABLE)?;
    kafka.leaders.set(partition, Some(leader));
    Ok(leader)
}

/// Asks this broker for a place in a partition.
async fn ask(kafka: &Kafka, leader: i32, partition: &TopicPartition, timestamp: i64) -> Result<i64, Error> {
    let wanted = list_offsets::request::ListOffsetsPartition {
        partition_index: partition.partition,
        timestamp,
        ..Default::default()
    };
    let topic = list_offsets::request::ListOffsetsTopic {
        name: partition.topic.clone(),
        partitions: vec![wanted],
        ..Default::default()
    };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
    let response = kafka.client.request_to(leader, request).await?;
    let found = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
    let found = found.ok_or_else(|| Error::new(ErrorKind::Decode, "the broker's answer leaves the partition out"))?;
    found.error_code.ok().map_err(|code| Error::from_code(code, None))?;
    Ok(found.offset)
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
        let found = leader(kafka, &partition, deadline).and_then(|leader| {
            within(kafka, deadline, async {
                Ok((ask(kafka, leader, &partition, EARLIEST).await?, ask(kafka, leader, &partition, LATEST).await?))
            })
        });
        match found {
            Ok((first, end)) => {
                // SAFETY: the caller vouches for both places.
                unsafe {
                    low.write(if first < 0 { end } else { first });
                    high.write(end);
                }
                RespErr::NO_ERROR
            }
            Err(err) => {
                kafka.leaders.set(&partition, None);
                err
            }
        }
    })
}
