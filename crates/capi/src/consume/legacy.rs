//! The consumer without a group: partitions are started and stopped one by one, each with its own queue.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use felice::TopicPartition;

use super::ConsumerSide;
use super::poll::{fill, next};
use super::slot::{Slot, Use};
use super::work::{Starting, position};
use crate::boundary::{guard, set_last_error};
use crate::conf::callbacks::ConsumeCb;
use crate::handle::Kafka;
use crate::op::{Op, Serve, Served, serve, was_yielded};
use crate::queue::{Queue, QueueRef};
use crate::topic::Topic;
use crate::types::{Message, PARTITION_UA, RespErr, offset};
use crate::wait::Deadline;

impl ConsumerSide {
    fn start(&self, partition: TopicPartition, from: i64, queue: Option<&Arc<Queue>>) -> Result<(), (RespErr, c_int)> {
        let is_known = position(from).is_some() || from == offset::STORED;
        let mut state = self.state();
        if partition.partition < 0 {
            return Err((RespErr::UNKNOWN_PARTITION, libc::ESRCH));
        }
        let wrong = Err((RespErr::INVALID_ARG, libc::EINVAL));
        if !is_known || !state.subscription.is_empty() {
            return wrong;
        }
        let Some(slot) = self.slot(&mut state, &partition) else { return wrong };
        let file = self.file(&slot).filter(|_| from == offset::STORED);
        if from == offset::STORED && file.is_none() && !self.has_group() {
            return wrong;
        }
        state.legacy = state.legacy.saturating_add(1);
        let from = match file {
            Some(path) => super::files::load(&path).unwrap_or(offset::INVALID),
            None => from,
        };
        slot.set_used(Use::Started);
        let (version, turn) = (slot.bump(), slot.next_turn());
        slot.app.clear();
        if let Some(queue) = queue {
            slot.queue.forward_by_default(queue);
        }
        self.command(move |work| match from {
            offset::STORED => work.look_up(vec![Starting { slot, turn }]),
            _ => work.read_from(&slot, version, from),
        });
        Ok(())
    }

    fn stop(&self, partition: &TopicPartition) -> RespErr {
        let state = self.state();
        let Some(slot) = state.slots.get(partition).cloned() else { return RespErr::UNKNOWN_PARTITION };
        slot.set_used(Use::None);
        slot.bump();
        slot.next_turn();
        self.save(&slot);
        let commits =
            (self.settings.commits_every.is_some() && slot.is_uncommitted()).then(|| super::assignment::stored(&slot));
        let (told, answer) = std::sync::mpsc::channel();
        self.command(move |work| {
            if let Some(commit) = commits {
                work.commit(
                    vec![commit],
                    super::commit::CommitReply::Sync(told, false),
                    super::commit::Asking::Program,
                );
            }
            work.stop(&slot);
        });
        drop(state);
        // What is stored is committed when this returns; where nothing is, the channel is closed at once.
        let _ = super::wait(&answer, Deadline::after(5000));
        RespErr::NO_ERROR
    }

    fn started(&self, partition: &TopicPartition) -> Option<Arc<Slot>> {
        self.state().slots.get(partition).cloned()
    }
}

/// A topic of a consumer, and its partition.
///
/// # Safety
/// `rkt` is NULL or came from `rd_kafka_topic_new`.
unsafe fn of(rkt: *mut Topic, partition: i32) -> Option<(Arc<Kafka>, TopicPartition)> {
    // SAFETY: the caller vouches for `rkt`.
    let topic = unsafe { rkt.as_ref() }?;
    Some((
        topic.handle().filter(|kafka| kafka.consumer.is_some())?,
        TopicPartition::new(topic.name.as_str(), partition),
    ))
}

/// # Safety
/// As for [`rd_kafka_consume_start_queue`].
unsafe fn start(rkt: *mut Topic, partition: i32, from: i64, queue: Option<&QueueRef>) -> c_int {
    // SAFETY: the caller vouches for `rkt`.
    let started = match unsafe { of(rkt, partition) } {
        Some((kafka, partition)) => match &kafka.consumer {
            Some(side) => side.start(partition, from, queue.map(|queue| &queue.queue)),
            None => Err((RespErr::INVALID_ARG, libc::EINVAL)),
        },
        None => Err((RespErr::INVALID_ARG, libc::EINVAL)),
    };
    let (err, errno) = started.err().unwrap_or((RespErr::NO_ERROR, 0));
    set_last_error(err, errno);
    if err == RespErr::NO_ERROR { 0 } else { -1 }
}

/// Begins to read a partition: 0, or −1 and the last error.
///
/// # Safety
/// `rkt` came from `rd_kafka_topic_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consume_start(rkt: *mut Topic, partition: i32, offset: i64) -> c_int {
    // SAFETY: the same promises.
    guard(-1, || unsafe { start(rkt, partition, offset, None) })
}

/// As [`rd_kafka_consume_start`]; what comes goes to this queue.
///
/// # Safety
/// `rkt` came from `rd_kafka_topic_new`, `rkqu` from a call that gives a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consume_start_queue(
    rkt: *mut Topic,
    partition: i32,
    offset: i64,
    rkqu: *mut QueueRef,
) -> c_int {
    // SAFETY: the same promises.
    guard(-1, || unsafe { start(rkt, partition, offset, rkqu.as_ref()) })
}

/// Ends reading a partition, and commits what is stored of it: 0, or −1 and the last error.
///
/// # Safety
/// `rkt` came from `rd_kafka_topic_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consume_stop(rkt: *mut Topic, partition: i32) -> c_int {
    guard(-1, || {
        if partition == PARTITION_UA {
            set_last_error(RespErr::INVALID_ARG, libc::EINVAL);
            return -1;
        }
        // SAFETY: the caller vouches for `rkt`.
        let stopped = match unsafe { of(rkt, partition) } {
            Some((kafka, partition)) => {
                kafka.consumer.as_ref().map_or(RespErr::INVALID_ARG, |side| side.stop(&partition))
            }
            None => RespErr::INVALID_ARG,
        };
        let errno = match stopped {
            RespErr::NO_ERROR => 0,
            err => err.errno(),
        };
        set_last_error(stopped, errno);
        if stopped == RespErr::NO_ERROR { 0 } else { -1 }
    })
}

/// The queue of a partition that was started; where there is none the last error is set.
///
/// # Safety
/// `rkt` came from `rd_kafka_topic_new`.
unsafe fn queue_of(rkt: *mut Topic, partition: i32) -> Option<(Arc<Kafka>, Arc<Slot>)> {
    // SAFETY: the caller vouches for `rkt`.
    let found = unsafe { of(rkt, partition) }.and_then(|(kafka, partition)| {
        let slot = kafka.consumer.as_ref()?.started(&partition)?;
        Some((kafka, slot))
    });
    if found.is_none() {
        set_last_error(RespErr::UNKNOWN_PARTITION, libc::ESRCH);
    }
    found
}

/// The next message of a partition; NULL where none came in time, and the last error says so.
///
/// # Safety
/// `rkt` came from `rd_kafka_topic_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consume(rkt: *mut Topic, partition: i32, timeout_ms: c_int) -> *mut Message {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the same promises.
        let Some((kafka, slot)) = (unsafe { queue_of(rkt, partition) }) else { return std::ptr::null_mut() };
        next(&kafka, &slot.queue, timeout_ms)
    })
}

/// Up to `rkmessages_size` messages of a partition; how many came, or −1 and the last error.
///
/// # Safety
/// `rkt` came from `rd_kafka_topic_new`; `rkmessages` has room for so many pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consume_batch(
    rkt: *mut Topic,
    partition: i32,
    timeout_ms: c_int,
    rkmessages: *mut *mut Message,
    rkmessages_size: usize,
) -> libc::ssize_t {
    guard(-1, || {
        // SAFETY: the same promises.
        let Some((kafka, slot)) = (unsafe { queue_of(rkt, partition) }).filter(|_| !rkmessages.is_null()) else {
            return -1;
        };
        // SAFETY: the caller vouches for so many places. What stands in them is not read; pointers have no invalid values.
        let messages = unsafe {
            std::ptr::write_bytes(rkmessages, 0, rkmessages_size);
            std::slice::from_raw_parts_mut(rkmessages, rkmessages_size)
        };
        let filled = fill(&kafka, &slot.queue, messages, timeout_ms);
        set_last_error(RespErr::NO_ERROR, 0);
        libc::ssize_t::try_from(filled).unwrap_or(-1)
    })
}

/// Calls `callback` for each message of a queue, waiting for the first until the time is up. How many there were.
///
/// # Safety
/// The callback is the program's own, to be called with messages.
unsafe fn call(kafka: &Kafka, queue: &Queue, timeout_ms: c_int, callback: ConsumeCb, opaque: *mut c_void) -> c_int {
    let mut deadline = Deadline::after(timeout_ms);
    let mut count = 0;
    loop {
        let message = match serve(kafka, queue, deadline, Serve::Messages) {
            Served::Message(message) => message,
            Served::Op(Op::ConsumerError(failure)) => failure.into_message(),
            Served::Op(_) => continue,
            Served::Nothing => return count,
        };
        // SAFETY: the program's own function; no lock is held. The message was taken out of the queue and nobody else has it.
        unsafe {
            callback(message, opaque);
            crate::message::rd_kafka_message_destroy(message);
        }
        count += 1;
        deadline = Deadline::after(0);
        if was_yielded() {
            return count;
        }
    }
}

/// Calls `consume_cb` for each message of a partition, waiting for the first until the time is up. How many there were, or −1 and the last error.
///
/// # Safety
/// `rkt` came from `rd_kafka_topic_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consume_callback(
    rkt: *mut Topic,
    partition: i32,
    timeout_ms: c_int,
    consume_cb: Option<ConsumeCb>,
    opaque: *mut c_void,
) -> c_int {
    guard(-1, || {
        // SAFETY: the same promises.
        let (Some((kafka, slot)), Some(callback)) = (unsafe { queue_of(rkt, partition) }, consume_cb) else {
            return -1;
        };
        // SAFETY: the program's own function.
        let count = unsafe { call(&kafka, &slot.queue, timeout_ms, callback, opaque) };
        set_last_error(RespErr::NO_ERROR, 0);
        count
    })
}

/// The next message of a queue; NULL where none came in time, and the last error says so.
///
/// # Safety
/// `rkqu` came from a call that gives a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consume_queue(rkqu: *mut QueueRef, timeout_ms: c_int) -> *mut Message {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the queue.
        let Some(rkqu) = (unsafe { rkqu.as_ref() }) else { return std::ptr::null_mut() };
        next(&rkqu.kafka, &rkqu.queue, timeout_ms)
    })
}

/// Calls `consume_cb` for each message of a queue, waiting for the first until the time is up. How many there were.
///
/// # Safety
/// `rkqu` came from a call that gives a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consume_callback_queue(
    rkqu: *mut QueueRef,
    timeout_ms: c_int,
    consume_cb: Option<ConsumeCb>,
    opaque: *mut c_void,
) -> c_int {
    guard(-1, || {
        // SAFETY: the caller vouches for the queue.
        let (Some(rkqu), Some(callback)) = (unsafe { rkqu.as_ref() }, consume_cb) else { return -1 };
        // SAFETY: the program's own function.
        unsafe { call(&rkqu.kafka, &rkqu.queue, timeout_ms, callback, opaque) }
    })
}
