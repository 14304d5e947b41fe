//! Offsets stored, committed, handed out.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::sync::mpsc;
use std::time::Duration;

use felice::TopicPartition;

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
use crate::wait::Deadline;

impl ConsumerSide {
    /// The next commit commits this of a partition.
    fn store(&self, partition: &TopicPartition, at: i64, epoch: i32, note: &[u8]) -> RespErr {
        let state = self.state();
        let Some(slot) = state.slots.get(partition) else { return RespErr::UNKNOWN_PARTITION };
        if at >= 0 && slot.used() == Use::None && state.legacy == 0 {
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
