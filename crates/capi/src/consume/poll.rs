//! Messages out: one by one, or many at once.

use std::ffi::{c_char, c_int};
use std::sync::atomic::Ordering;

use felice::TopicPartition;

use super::{ConsumerSide, side};
use crate::boundary::{guard, set_last_error, text};
use crate::handle::Kafka;
use crate::op::{Op, Serve, Served, serve};
use crate::queue::{Queue, QueueRef};
use crate::types::{Message, RespErr};
use crate::wait::Deadline;

impl ConsumerSide {
    /// The program asks for messages.
    #[inline]
    pub(super) fn note_poll(&self) {
        if !self.polled.load(Ordering::Relaxed) {
            self.polled.store(true, Ordering::Release);
        }
    }

    /// Notes, beside, that a thread waits as long as `body` runs.
    pub(super) fn while_polling<T>(&self, body: impl FnOnce() -> T) -> T {
        self.polling.fetch_add(1, Ordering::AcqRel);
        let result = body();
        self.polling.fetch_sub(1, Ordering::AcqRel);
        self.note_poll();
        result
    }
}

/// The next message or error of a queue; NULL where the time was up before, with the last error set.
pub(super) fn next(kafka: &Kafka, queue: &Queue, timeout_ms: c_int) -> *mut Message {
    // Most often something is there.
    let mut message = [std::ptr::null_mut()];
    if queue.pop_messages(&mut message) == 1 {
        if let Some(consumer) = &kafka.consumer {
            consumer.note_poll();
        }
        return message[0];
    }
    let wait = || serve(kafka, queue, Deadline::after(timeout_ms), Serve::Messages);
    let served = match &kafka.consumer {
        Some(consumer) => consumer.while_polling(wait),
        None => wait(),
    };
    match served {
        Served::Message(message) => message,
        Served::Op(Op::ConsumerError(failure)) => failure.into_message(),
        Served::Op(_) | Served::Nothing => {
            set_last_error(RespErr::TIMED_OUT, libc::ETIMEDOUT);
            std::ptr::null_mut()
        }
    }
}

/// Fills `messages` from a queue, waiting until the time is up. A rebalance waits for the next call, where there are messages that came before it.
pub(super) fn fill(kafka: &Kafka, queue: &Queue, messages: &mut [*mut Message], timeout_ms: c_int) -> usize {
    if let Some(consumer) = &kafka.consumer {
        consumer.note_poll();
    }
    let deadline = Deadline::after(timeout_ms);
    let mut filled = 0;
    while filled < messages.len() {
        let left = messages.get_mut(filled..).unwrap_or_default();
        let taken = queue.pop_messages(left);
        if !kafka.conf.interceptors.consumes_unseen() {
            left.iter().take(taken).for_each(|message| kafka.show_consumed(*message));
        }
        filled += taken;
        if taken > 0 {
            continue;
        }
        if filled > 0 && queue.is_rebalance_next() {
            break;
        }
        let wait = || serve(kafka, queue, deadline, Serve::Messages);
        let served = match &kafka.consumer {
            Some(consumer) => consumer.while_polling(wait),
            None => wait(),
        };
        let message = match served {
            Served::Message(message) => message,
            Served::Op(Op::ConsumerError(failure)) => failure.into_message(),
            Served::Op(_) => continue,
            Served::Nothing => break,
        };
        if let Some(place) = messages.get_mut(filled) {
            *place = message;
            filled += 1;
        }
    }
    filled
}

/// The next message, or an error as a message; NULL where none came in time. Given back with `rd_kafka_message_destroy`.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_poll(rk: *mut Kafka, timeout_ms: c_int) -> *mut Message {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        match unsafe { (rk.as_ref(), side(rk)) } {
            (Some(kafka), Some(side)) if side.has_group() => next(kafka, &side.queue, timeout_ms),
            (Some(_), Some(_)) => {
                let failure = super::Failure::new(
                    RespErr::UNKNOWN_GROUP,
                    "rd_kafka_consumer_poll() requires a consumer with group.id",
                );
                failure.into_message()
            }
            _ => super::Failure::new(RespErr::UNKNOWN_GROUP, "Not a consumer").into_message(),
        }
    })
}

/// Has `rd_kafka_consumer_poll` serve everything that `rd_kafka_poll` would.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_poll_set_consumer(rk: *mut Kafka) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for `rk`.
        match unsafe { (rk.as_ref(), side(rk)) } {
            (Some(kafka), Some(side)) if side.has_group() => {
                kafka.main.forward_to(Some(side.queue.clone()));
                RespErr::NO_ERROR
            }
            _ => RespErr::UNKNOWN_GROUP,
        }
    })
}

/// The queue that a consumer's messages are in; NULL for a producer. Given back with `rd_kafka_queue_destroy`.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_get_consumer(rk: *mut Kafka) -> *mut QueueRef {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        match unsafe { (rk.as_ref(), side(rk)) } {
            (Some(kafka), Some(side)) if side.has_group() => QueueRef::hand_out(kafka, &side.queue),
            _ => std::ptr::null_mut(),
        }
    })
}

/// The queue of one partition, which goes to the consumer's unless the program forwards it elsewhere; NULL for a producer.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `topic` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_get_partition(
    rk: *mut Kafka,
    topic: *const c_char,
    partition: i32,
) -> *mut QueueRef {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for both.
        let (Some(kafka), Some(side), Some(topic)) = (unsafe { (rk.as_ref(), side(rk), text(topic)) }) else {
            return std::ptr::null_mut();
        };
        let slot = side.slot(&mut side.state(), &TopicPartition::new(topic, partition));
        slot.map_or(std::ptr::null_mut(), |slot| QueueRef::hand_out(kafka, &slot.queue))
    })
}

/// Waits for up to `rkmessages_size` messages until the time is up; returns how many came, −1 where an argument is wrong.
///
/// # Safety
/// `rkqu` came from a call that gives a queue; `rkmessages` has room for `rkmessages_size` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consume_batch_queue(
    rkqu: *mut QueueRef,
    timeout_ms: c_int,
    rkmessages: *mut *mut Message,
    rkmessages_size: usize,
) -> libc::ssize_t {
    guard(-1, || {
        // SAFETY: the caller vouches for the queue.
        let Some(queue) = (unsafe { rkqu.as_ref() }).filter(|_| !rkmessages.is_null()) else {
            set_last_error(RespErr::INVALID_ARG, libc::EINVAL);
            return -1;
        };
        // SAFETY: the caller vouches for so many places. What stands in them is not read; pointers have no invalid values.
        let messages = unsafe {
            std::ptr::write_bytes(rkmessages, 0, rkmessages_size);
            std::slice::from_raw_parts_mut(rkmessages, rkmessages_size)
        };
        let filled = fill(&queue.kafka, &queue.queue, messages, timeout_ms);
        libc::ssize_t::try_from(filled).unwrap_or(-1)
    })
}
