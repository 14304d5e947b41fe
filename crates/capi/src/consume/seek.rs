//! Other positions: seek, pause, resume.

use std::ffi::c_int;
use std::sync::atomic::Ordering;

use felice::TopicPartition;
use felice::raw::Position;

use super::failed::failed;
use super::slot::Use;
use super::{ConsumerSide, side};
use crate::boundary::guard;
use crate::errors::object::ErrorObject;
use crate::handle::Kafka;
use crate::list::{elements_mut, epoch, name};
use crate::topic::Topic;
use crate::types::{PARTITION_UA, RespErr, TopicPartitionList, offset};

impl ConsumerSide {
    /// Reads a partition on from here, as C names it, behind a record of this epoch.
    pub(super) fn seek(&self, partition: &TopicPartition, to: i64, epoch: i32) -> RespErr {
        let state = self.state();
        let Some(slot) = state.slots.get(partition).cloned() else { return RespErr::UNKNOWN_PARTITION };
        if slot.used() == Use::None || slot.looking.load(Ordering::Acquire) {
            return RespErr::STATE;
        }
        if to == offset::STORED {
            return RespErr::INVALID_ARG;
        }
        let version = slot.bump();
        slot.next_turn();
        slot.app.clear();
        let sought = slot.clone();
        self.command(move |work| {
            work.read_from(&sought, version, to);
            if to >= 0 {
                work.written_under(&sought, epoch);
            }
        });
        drop(state);
        slot.queue.purge_outdated();
        RespErr::NO_ERROR
    }

    fn pause(&self, partition: &TopicPartition, paused: bool) -> RespErr {
        let state = self.state();
        let Some(slot) = state.slots.get(partition).cloned() else { return RespErr::UNKNOWN_PARTITION };
        if slot.paused.swap(paused, Ordering::AcqRel) == paused || slot.used() == Use::None {
            return RespErr::NO_ERROR;
        }
        // What waits is not handed out; it comes again from behind the last message that the program got.
        let version = slot.bump();
        // A batch that waits for more does not hand out what it has of a partition that is paused meanwhile.
        let unfinished = slot.unfinished.swap(offset::INVALID, Ordering::AcqRel);
        if unfinished >= 0 {
            slot.next_turn();
            slot.took(unfinished, -1);
        }
        let at = slot.app.offset();
        let moved = slot.clone();
        self.command(move |work| {
            moved.set_fetched_for(version);
            let start = if at >= 0 { Some(Position::Offset(at)) } else { moved.start() };
            // Without a start a look-up is on its way, and will find the partition paused or not.
            if let Some(start) = start.filter(|_| moved.fetch().is_some()) {
                work.read(&moved, version, start);
            }
        });
        drop(state);
        slot.queue.purge_outdated();
        RespErr::NO_ERROR
    }
}

/// Reads a partition on from this offset, which may be a logical one. It takes effect before this returns, so no time is needed.
///
/// # Safety
/// `rkt` came from `rd_kafka_topic_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_seek(rkt: *mut Topic, partition: i32, offset: i64, timeout_ms: c_int) -> RespErr {
    let _ = timeout_ms;
    guard(RespErr::FAIL, || {
        if partition == PARTITION_UA {
            return RespErr::INVALID_ARG;
        }
        // SAFETY: the caller vouches for `rkt`.
        let Some(topic) = (unsafe { rkt.as_ref() }) else { return RespErr::INVALID_ARG };
        let Some(kafka) = topic.handle() else { return RespErr::INVALID_ARG };
        let Some(side) = &kafka.consumer else { return RespErr::INVALID_ARG };
        side.seek(&TopicPartition::new(topic.name.as_str(), partition), offset, -1)
    })
}

/// Reads partitions on from the offsets in the list, where each gets its error. NULL, or an error to be destroyed.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `partitions` is NULL or came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_seek_partitions(
    rk: *mut Kafka,
    partitions: *mut TopicPartitionList,
    timeout_ms: c_int,
) -> *mut ErrorObject {
    let _ = timeout_ms;
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for both.
        let (side, elements) = unsafe { (side(rk), elements_mut(partitions)) };
        let Some(side) = side else { return failed(RespErr::INVALID_ARG, "Must only be used on consumer instance") };
        if elements.is_empty() {
            return failed(RespErr::INVALID_ARG, "partitions must be specified");
        }
        for element in elements {
            // SAFETY: an element of a list.
            element.err = match unsafe { name(element) } {
                Some(partition) => side.seek(&partition, element.offset, epoch(element)),
                None => RespErr::UNKNOWN_PARTITION,
            };
        }
        std::ptr::null_mut()
    })
}

/// # Safety
/// As for [`rd_kafka_pause_partitions`].
unsafe fn pause(rk: *mut Kafka, partitions: *mut TopicPartitionList, paused: bool) -> RespErr {
    // SAFETY: the caller vouches for both.
    let (side, elements) = unsafe { (side(rk), elements_mut(partitions)) };
    let Some(side) = side else { return RespErr::INVALID_ARG };
    for element in elements {
        // SAFETY: an element of a list.
        element.err = match unsafe { name(element) } {
            Some(partition) => side.pause(&partition, paused),
            None => RespErr::UNKNOWN_PARTITION,
        };
    }
    RespErr::NO_ERROR
}

/// Hands out nothing of these partitions until they are resumed; each gets its error.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `partitions` came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_pause_partitions(rk: *mut Kafka, partitions: *mut TopicPartitionList) -> RespErr {
    // SAFETY: the same promises.
    guard(RespErr::FAIL, || unsafe { pause(rk, partitions, true) })
}

/// Goes on with partitions that were paused; each gets its error.
///
/// # Safety
/// As for [`rd_kafka_pause_partitions`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_resume_partitions(rk: *mut Kafka, partitions: *mut TopicPartitionList) -> RespErr {
    // SAFETY: the same promises.
    guard(RespErr::FAIL, || unsafe { pause(rk, partitions, false) })
}
