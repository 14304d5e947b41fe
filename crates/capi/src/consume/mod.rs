//! `rd_kafka_assign`, `rd_kafka_consumer_poll` and queues: partitions read from given offsets.

use std::ffi::c_int;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use felice::{Client, FetchedBatch, Reader, Seek};

use crate::boundary::{guard, set_last_error, text};
use crate::handle::Kafka;
use crate::message::Ready;
use crate::queue::{Queue, QueueRef};
use crate::topic::Topics;
use crate::topic_partition::elements;
use crate::types::{Message, RespErr, TopicPartitionList, offset};
use crate::wait::{Deadline, Signal, block_on};

#[derive(Debug, Default)]
struct State {
    reader: Option<Reader>,
    batch: Option<FetchedBatch>,
    ready: Option<Ready>,
    closed: bool,
}

/// The consuming half of a handle.
#[derive(Debug)]
pub(crate) struct ConsumerSide {
    client: Client,
    topics: Arc<Topics>,
    state: Mutex<State>,
    signal: Arc<Signal>,
    waker: Waker,
    pub(crate) queue: Arc<Queue>,
}

/// Records of one partition, on their way through a queue.
#[derive(Debug)]
pub(crate) struct Messages {
    ready: Ready,
}

impl Messages {
    /// The next message, the program's from here on.
    pub(crate) fn next(&mut self) -> Option<*mut Message> {
        self.ready.take()
    }

    /// How many are left.
    pub(crate) fn left(&self) -> usize {
        self.ready.left()
    }
}

impl ConsumerSide {
    pub(crate) fn new(client: Client, topics: Arc<Topics>) -> Self {
        let signal = Arc::new(Signal::default());
        Self {
            client,
            topics,
            state: Mutex::default(),
            waker: Waker::from(signal.clone()),
            signal,
            queue: Queue::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads these partitions from here on, and no others. What was fetched before is dropped.
    fn assign(&self, partitions: &[(&str, i32, Seek)]) -> Result<(), RespErr> {
        let reader = if partitions.is_empty() {
            None
        } else {
            let mut builder = self.client.reader();
            for (topic, partition, from) in partitions {
                builder = builder.partition_from(topic, *partition, *from);
            }
            Some(block_on(builder.open()).map_err(|error| RespErr::of(&error))?)
        };
        let old = {
            let mut state = self.state();
            if state.closed {
                return Err(RespErr::STATE);
            }
            std::mem::replace(&mut *state, State { reader, ..State::default() })
        };
        self.signal.set();
        drop(old);
        Ok(())
    }

    /// What statistics tell of the group; `None` without one.
    pub(crate) fn group_stats(&self) -> Option<serde_json::Value> {
        None
    }

    /// The handle goes.
    pub(crate) fn end(&self, _leave: bool) {
        self.close();
    }

    pub(crate) fn close(&self) {
        let old = std::mem::replace(&mut *self.state(), State { closed: true, ..State::default() });
        self.signal.set();
        drop(old);
    }

    /// Fills `messages` until it is full or nothing more is there without waiting.
    fn fill(&self, state: &mut State, messages: &mut [*mut Message]) -> usize {
        let mut filled = 0;
        for place in messages {
            let Some(message) = self.next(state) else { break };
            *place = message;
            filled += 1;
        }
        filled
    }

    #[inline]
    fn next(&self, state: &mut State) -> Option<*mut Message> {
        loop {
            if let Some(message) = state.ready.as_mut().and_then(Ready::take) {
                return Some(message);
            }
            state.ready = None;
            if let Some(batch) = &mut state.batch {
                match Ready::read(batch, &self.topics) {
                    Some(Ok(ready)) => {
                        state.ready = Some(ready);
                        continue;
                    }
                    Some(Err(error)) => {
                        state.ready = Some(Ready::error(&error, &self.topics));
                        state.batch = None;
                        continue;
                    }
                    None => state.batch = None,
                }
            }
            let reader = state.reader.as_mut()?;
            let polled = pin!(reader.next_batch()).poll(&mut Context::from_waker(&self.waker));
            match polled {
                Poll::Ready(Ok(Some(batch))) => state.batch = Some(batch),
                // Every partition has failed: each was told.
                Poll::Ready(Ok(None)) => state.reader = None,
                Poll::Ready(Err(error)) => state.ready = Some(Ready::error(&error, &self.topics)),
                Poll::Pending => return None,
            }
        }
    }

    /// The next message; NULL where the time was up before.
    fn poll(&self, timeout_ms: c_int) -> *mut Message {
        if let Some(message) = self.next(&mut self.state()) {
            return message;
        }
        let mut message = [std::ptr::null_mut()];
        self.poll_into(&mut message, Deadline::after(timeout_ms));
        message[0]
    }

    /// Fills `messages`, waiting for as many until the time is up.
    fn poll_into(&self, messages: &mut [*mut Message], deadline: Deadline) -> usize {
        let mut filled = 0;
        loop {
            let seen = self.signal.count();
            {
                let mut state = self.state();
                filled += self.fill(&mut state, messages.get_mut(filled..).unwrap_or_default());
                if filled == messages.len() || state.closed {
                    return filled;
                }
            }
            if !self.signal.wait(seen, deadline) {
                return filled;
            }
        }
    }
}

/// Where an assigned partition begins; `None` for what a group has committed, as groups do not exist yet.
fn seek(at: i64) -> Option<Seek> {
    match at {
        offset::BEGINNING => Some(Seek::Start),
        offset::END => Some(Seek::End),
        0.. => Some(Seek::Offset(at)),
        _ if at <= offset::TAIL_BASE => Some(Seek::BeforeEnd(offset::TAIL_BASE - at)),
        _ => None,
    }
}

/// Reads these partitions from the offsets in the list, and no others; NULL or an empty list reads none. An offset that only a group knows
/// (`RD_KAFKA_OFFSET_STORED`, `RD_KAFKA_OFFSET_INVALID`) is answered with `__NOT_IMPLEMENTED`.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `partitions` is NULL or came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_assign(rk: *mut Kafka, partitions: *const TopicPartitionList) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (rk, list) = unsafe { (rk.as_ref(), partitions.as_ref()) };
        let Some(consumer) = rk.and_then(|rk| rk.consumer.as_ref()) else { return RespErr::INVALID_ARG };
        let mut wanted = Vec::new();
        // SAFETY: the caller vouches for the list.
        for element in list.map_or(&[][..], |list| unsafe { elements(list) }) {
            // SAFETY: the names of a list end in NUL bytes.
            let Some(topic) = (unsafe { text(element.topic) }) else { return RespErr::INVALID_ARG };
            let Some(from) = seek(element.offset) else { return RespErr::NOT_IMPLEMENTED };
            wanted.push((topic, element.partition, from));
        }
        consumer.assign(&wanted).err().unwrap_or(RespErr::NO_ERROR)
    })
}

/// The next message, or an error as a message; NULL where none came in time. Given back with `rd_kafka_message_destroy`.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_poll(rk: *mut Kafka, timeout_ms: c_int) -> *mut Message {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        let consumer = unsafe { rk.as_ref() }.and_then(|rk| rk.consumer.as_ref());
        consumer.map_or(std::ptr::null_mut(), |consumer| consumer.poll(timeout_ms))
    })
}

/// Has `rd_kafka_consumer_poll` serve everything. Here nothing else ever served a consumer's messages, so there is nothing to change.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_poll_set_consumer(rk: *mut Kafka) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for `rk`.
        match unsafe { rk.as_ref() }.and_then(|rk| rk.consumer.as_ref()) {
            Some(_) => RespErr::NO_ERROR,
            None => RespErr(felice::ErrorCode::INVALID_REQUEST.0.into()),
        }
    })
}

/// Ends consuming: nothing comes after it.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_close(rk: *mut Kafka) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for `rk`.
        let Some(consumer) = unsafe { rk.as_ref() }.and_then(|rk| rk.consumer.as_ref()) else {
            return RespErr::INVALID_ARG;
        };
        consumer.close();
        RespErr::NO_ERROR
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
        let Some(rk) = (unsafe { rk.as_ref() }) else { return std::ptr::null_mut() };
        rk.consumer.as_ref().map_or(std::ptr::null_mut(), |consumer| QueueRef::hand_out(rk, &consumer.queue))
    })
}

/// Waits for up to `rkmessages_size` messages until the time is up; returns how many came, −1 where an argument is wrong.
///
/// # Safety
/// `rkqu` came from [`rd_kafka_queue_get_consumer`]; `rkmessages` has room for `rkmessages_size` pointers.
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
        let Some(consumer) = &queue.kafka.consumer else { return 0 };
        let filled = consumer.poll_into(messages, Deadline::after(timeout_ms));
        libc::ssize_t::try_from(filled).unwrap_or(-1)
    })
}
