//! Messages out: one by one, or many at once.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use felice::TopicPartition;

use super::slot::Slot;
use super::{ConsumerSide, side};
use crate::boundary::{guard, set_last_error, text};
use crate::handle::Kafka;
use crate::op::{Op, Serve, Served, serve, was_yielded};
use crate::queue::{Queue, QueueRef};
use crate::topic::Topic;
use crate::types::{Message, RespErr, offset};
use crate::wait::Deadline;

impl ConsumerSide {
    /// The program asks for messages.
    #[inline]
    pub(crate) fn note_poll(&self) {
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

/// Runs `body`, which takes from `queue`: a program that polls its consumer's queue in whatever way is not late with polling.
pub(crate) fn polling<T>(kafka: &Kafka, queue: &Arc<Queue>, body: impl FnOnce() -> T) -> T {
    let Some(side) = &kafka.consumer else { return body() };
    let own = &side.queue;
    let is_partition = || side.state().slots.values().any(|slot| Arc::ptr_eq(&slot.queue, queue));
    if Arc::ptr_eq(queue, own) || queue.leads_to(own) || own.leads_to(queue) || is_partition() {
        return side.while_polling(body);
    }
    body()
}

/// The next message or error of a queue; NULL where the time was up before, with the last error set.
pub(super) fn next(kafka: &Kafka, queue: &Queue, timeout_ms: c_int) -> *mut Message {
    // Most often something is there.
    let mut message = [std::ptr::null_mut()];
    if queue.pop_messages(&mut message) == 1 {
        if let Some(consumer) = &kafka.consumer {
            consumer.note_poll();
        }
        kafka.show_consumed(message[0]);
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

/// Fills `messages` from a queue, waiting until the time is up; callbacks are called meanwhile.
pub(super) fn fill(kafka: &Kafka, queue: &Queue, messages: &mut [*mut Message], timeout_ms: c_int) -> usize {
    if let Some(consumer) = &kafka.consumer {
        consumer.note_poll();
    }
    let deadline = Deadline::after(timeout_ms);
    let mut filled = 0;
    let mut turns = Turns::default();
    while filled < messages.len() {
        filled = turns.sift(messages, filled);
        let left = messages.get_mut(filled..).unwrap_or_default();
        let taken = queue.pop_messages(left);
        turns.note(kafka, left.get(..taken).unwrap_or_default());
        if !kafka.conf.interceptors.consumes_unseen() {
            left.iter().take(taken).for_each(|message| kafka.show_consumed(*message));
        }
        filled += taken;
        if taken > 0 {
            continue;
        }
        let wait = || serve(kafka, queue, deadline, Serve::Messages);
        let served = match &kafka.consumer {
            Some(consumer) => consumer.while_polling(wait),
            None => wait(),
        };
        // Callbacks may have taken partitions away, or moved in them.
        filled = turns.sift(messages, filled);
        let message = match served {
            Served::Message(message) => message,
            Served::Op(Op::ConsumerError(failure)) => failure.into_message(),
            Served::Op(_) => continue,
            // As in librdkafka, a callback does not end this wait; it may be one of several whose errors a program raises together.
            Served::Nothing if was_yielded() => continue,
            Served::Nothing => break,
        };
        if let Some(place) = messages.get_mut(filled) {
            turns.note(kafka, &[message]);
            *place = message;
            filled += 1;
        }
    }
    turns.finish();
    turns.sift(messages, filled)
}

/// The partitions of a batch's messages, and in which turn of theirs the messages were taken: what was assigned, revoked, sought or paused while the rest of
/// the batch was waited for is not handed out.
#[derive(Debug, Default)]
struct Turns(Vec<(*mut c_void, i32, Arc<Slot>, u32)>);

impl Turns {
    fn find(&self, message: &Message) -> Option<(&Slot, u32)> {
        let mine = |(rkt, partition, ..): &&(*mut c_void, i32, Arc<Slot>, u32)| {
            *rkt == message.rkt && *partition == message.partition
        };
        self.0.iter().rev().find(mine).map(|(_, _, slot, turn)| (&**slot, *turn))
    }

    /// Remembers the partitions of messages that were just taken.
    fn note(&mut self, kafka: &Kafka, messages: &[*mut Message]) {
        let Some(consumer) = &kafka.consumer else { return };
        for message in messages {
            // SAFETY: it was taken out of the queue and nobody else has it; its topic lives as long as the handle.
            let Some((message, topic)) = (unsafe {
                message.as_ref().and_then(|message| Some((message, message.rkt.cast::<Topic>().as_ref()?)))
            }) else {
                continue;
            };
            if self.find(message).is_none() {
                let name = TopicPartition::new(topic.name.as_str(), message.partition);
                let slot = consumer.state().slots.get(&name).cloned();
                if let Some(slot) = slot {
                    if message.err == RespErr::NO_ERROR {
                        slot.unfinished.store(message.offset, Ordering::Release);
                    }
                    let turn = slot.turn();
                    self.0.push((message.rkt, message.partition, slot, turn));
                }
            }
        }
    }

    /// The batch is as full as it gets: from here on its messages are the program's.
    fn finish(&self) {
        for (_, _, slot, _) in &self.0 {
            slot.unfinished.store(offset::INVALID, Ordering::Release);
        }
    }

    /// Gives back those of another turn, and closes the gaps; how many are left.
    fn sift(&mut self, messages: &mut [*mut Message], filled: usize) -> usize {
        if self.0.iter().all(|(_, _, slot, turn)| slot.turn() == *turn) {
            return filled;
        }
        let mut kept = 0;
        for place in 0..filled {
            let Some(message) = messages.get(place).copied() else { break };
            // SAFETY: it was taken out of the queue and nobody else has it.
            let is_void = unsafe { message.as_ref() }
                .and_then(|message| self.find(message))
                .is_some_and(|(slot, turn)| slot.turn() != turn);
            if is_void {
                // SAFETY: as above.
                unsafe { crate::message::rd_kafka_message_destroy(message) };
            } else if let Some(place) = messages.get_mut(kept) {
                *place = message;
                kept += 1;
            }
        }
        self.0.retain(|(_, _, slot, turn)| slot.turn() == *turn);
        kept
    }
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
