//! Offsets stored, committed, handed out, and looked up by time.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use felice::{Error, ErrorCode, ErrorKind, ListedOffset, OffsetSpec, TopicPartition};

use super::failed::failed;
use super::slot::Use;
use super::work::Asked;
use super::{ConsumerSide, grouped, side, wait};
use crate::boundary::guard;
use crate::errors::object::ErrorObject;
use crate::handle::Kafka;
use crate::list::{elements_mut, epoch, name, note, read, write};
use crate::topic::Topic;
use crate::types::{Message, RespErr, TopicPartitionList, offset};
use crate::wait::{Deadline, block_on};

impl ConsumerSide {
    /// The next commit commits this of a partition.
    fn store(&self, partition: &TopicPartition, at: i64, epoch: i32, note: &[u8]) -> RespErr {
        let state = self.state();
        let Some(slot) = state.slots.get(partition) else { return RespErr::UNKNOWN_PARTITION };
        if at >= 0 && slot.used() == Use::None && !state.legacy {
            return RespErr::STATE;
        }
        slot.store(at, epoch, note);
        RespErr::NO_ERROR
    }
}

/// Stores these offsets, to be committed by the next commit that names none; each gets its error. Not for whom messages are stored as they come.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `offsets` came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_offsets_store(rk: *mut Kafka, offsets: *mut TopicPartitionList) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (side, elements) = unsafe { (side(rk), elements_mut(offsets)) };
        let Some(side) = side.filter(|side| !side.settings.stores) else { return RespErr::INVALID_ARG };
        let (mut stored, mut last) = (0, RespErr::NO_ERROR);
        for element in elements {
            // SAFETY: an element of a list.
            let (partition, note) = unsafe { (name(element), note(element)) };
            element.err = match partition {
                Some(partition) => side.store(&partition, element.offset, epoch(element), note),
                None => RespErr::UNKNOWN_PARTITION,
            };
            match element.err {
                RespErr::NO_ERROR => stored += 1,
                err => last = err,
            }
        }
        if stored == 0 { last } else { RespErr::NO_ERROR }
    })
}

/// Stores the offset behind this one.
///
/// # Safety
/// `rkt` came from `rd_kafka_topic_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_offset_store(rkt: *mut Topic, partition: i32, offset: i64) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for `rkt`.
        let Some(topic) = (unsafe { rkt.as_ref() }) else { return RespErr::INVALID_ARG };
        let Some(kafka) = topic.handle() else { return RespErr::INVALID_ARG };
        let Some(side) = &kafka.consumer else { return RespErr::INVALID_ARG };
        side.store(&TopicPartition::new(topic.name.as_str(), partition), offset.saturating_add(1), -1, &[])
    })
}

/// Stores the offset behind a message. NULL, or an error to be destroyed.
///
/// # Safety
/// `rkmessage` came from a call that consumes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_offset_store_message(rkmessage: *mut Message) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the message; its topic lives as long as the handle.
        let message = unsafe { rkmessage.as_ref() };
        let Some(message) = message.filter(|message| message.err == RespErr::NO_ERROR) else {
            return failed(RespErr::INVALID_ARG, "Message object must not have an error set");
        };
        // SAFETY: as above.
        let Some(topic) = (unsafe { message.rkt.cast::<Topic>().as_ref() }) else {
            return failed(RespErr::INVALID_ARG, "Invalid message object, not a consumed message");
        };
        let Some(kafka) = topic.handle() else { return failed(RespErr::DESTROY, "The handle is gone") };
        let Some(side) = &kafka.consumer else {
            return failed(RespErr::INVALID_ARG, "Invalid message object, not a consumed message");
        };
        let partition = TopicPartition::new(topic.name.as_str(), message.partition);
        match side.store(&partition, message.offset + 1, -1, &[]) {
            RespErr::NO_ERROR => std::ptr::null_mut(),
            RespErr::STATE => failed(RespErr::STATE, "Partition is not assigned"),
            err => failed(err, "Unknown partition"),
        }
    })
}

/// What the group has committed for these partitions, written into the list; each gets its error.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `partitions` is NULL or came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_committed(
    rk: *mut Kafka,
    partitions: *mut TopicPartitionList,
    timeout_ms: c_int,
) -> RespErr {
    guard(RespErr::FAIL, || {
        if partitions.is_null() {
            return RespErr::INVALID_ARG;
        }
        // SAFETY: the caller vouches for both.
        let (side, names) = match unsafe { (grouped(rk), read(partitions)) } {
            (Ok(side), Some(list)) => (side, list.into_iter().map(|named| named.partition).collect::<Vec<_>>()),
            (Err(err), _) => return err,
            (Ok(_), None) => return RespErr::INVALID_ARG,
        };
        let deadline = Deadline::after(timeout_ms);
        let (told, answer) = mpsc::channel();
        let within = deadline.left().unwrap_or(Duration::from_millis(1));
        let stable = side.settings.fetch.isolation_level == felice::IsolationLevel::ReadCommitted;
        side.command(move |work| {
            let now = work.core.now();
            if let Some(member) = work.core.member() {
                let request = member.committed(now, names, stable, within);
                let told = Box::new(move |found| {
                    // Whoever asked may have gone.
                    let _ = told.send(found);
                });
                work.carry.requests.insert(request, Asked::Committed(told));
            }
        });
        let found = match wait(&answer, deadline).and_then(|found| found) {
            Ok(found) => found.into_iter().collect::<BTreeMap<_, _>>(),
            Err(err) => return err,
        };
        // SAFETY: the caller vouches for the list.
        for element in unsafe { elements_mut(partitions) } {
            // SAFETY: an element of a list.
            let answer = unsafe { name(element) }.and_then(|partition| found.get(&partition));
            match answer {
                Some(Ok(Some(at))) => {
                    write(element, at.offset, at.leader_epoch, at.metadata.as_bytes(), RespErr::NO_ERROR);
                }
                Some(Err(err)) => write(element, offset::INVALID, -1, &[], *err),
                Some(Ok(None)) | None => write(element, offset::INVALID, -1, &[], RespErr::NO_ERROR),
            }
        }
        RespErr::NO_ERROR
    })
}

/// Behind the last messages that the program got of these partitions, written into the list.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `partitions` came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_position(rk: *mut Kafka, partitions: *mut TopicPartitionList) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (side, elements) = unsafe { (side(rk), elements_mut(partitions)) };
        let Some(side) = side else { return RespErr::INVALID_ARG };
        let state = side.state();
        for element in elements {
            // SAFETY: an element of a list.
            let slot = unsafe { name(element) }.and_then(|partition| state.slots.get(&partition).cloned());
            element.offset = slot.as_ref().map_or(offset::INVALID, |slot| slot.app.offset());
            crate::topic_partition::set_leader_epoch(element, slot.map_or(-1, |slot| slot.app.epoch()));
            element.err = RespErr::NO_ERROR;
        }
        RespErr::NO_ERROR
    })
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

type Listed = BTreeMap<TopicPartition, Result<ListedOffset, RespErr>>;

/// Asks brokers where these places are.
fn list(kafka: &Kafka, deadline: Deadline, of: Vec<(TopicPartition, OffsetSpec)>) -> Result<Listed, RespErr> {
    let admin = kafka.client.admin();
    let (mut answers, mut counts) = (Listed::new(), BTreeMap::<String, usize>::new());
    let mut there = Vec::with_capacity(of.len());
    for (partition, spec) in of {
        // What does not exist is told at once: brokers would be asked for it until the time is up.
        let known = kafka.leader(&partition.topic, partition.partition) >= 0;
        let topic = partition.topic.as_str();
        if !known && !counts.contains_key(topic) {
            let count = match within(kafka, deadline, async { admin.topic(topic).await }) {
                Ok(found) => found.partitions.len(),
                Err(err) if err.0 == i32::from(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0) => 0,
                Err(err) => return Err(err),
            };
            counts.insert(topic.to_owned(), count);
        }
        let count = counts.get(topic).copied().unwrap_or(0);
        if known || usize::try_from(partition.partition).is_ok_and(|index| index < count) {
            there.push((partition, spec));
        } else {
            answers.insert(partition, Err(RespErr::UNKNOWN_PARTITION));
        }
    }
    if there.is_empty() {
        return Err(RespErr::UNKNOWN_PARTITION);
    }
    let found = within(kafka, deadline, admin.list_offsets(there))?;
    answers.extend(found.0.into_iter().map(|(name, found)| (name, found.map_err(|error| RespErr::of(&error)))));
    Ok(answers)
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
        let spec = |at: i64| match at {
            offset::BEGINNING => OffsetSpec::Earliest,
            offset::END => OffsetSpec::Latest,
            -3 => OffsetSpec::MaxTimestamp,
            time => OffsetSpec::Time(time),
        };
        let of = named.into_iter().map(|named| (named.partition, spec(named.offset))).collect();
        let found = match list(kafka, Deadline::after(timeout_ms), of) {
            Ok(found) => found,
            Err(err) => return err,
        };
        // SAFETY: the caller vouches for the list.
        for element in unsafe { elements_mut(offsets) } {
            // SAFETY: an element of a list.
            match unsafe { name(element) }.and_then(|partition| found.get(&partition)) {
                Some(Ok(listed)) => {
                    element.offset = listed.offset.unwrap_or(offset::END);
                    crate::topic_partition::set_leader_epoch(element, listed.leader_epoch.unwrap_or(-1));
                    element.err = RespErr::NO_ERROR;
                }
                Some(Err(err)) => element.err = *err,
                None => element.err = RespErr::UNKNOWN_PARTITION,
            }
        }
        RespErr::NO_ERROR
    })
}
