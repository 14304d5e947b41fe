//! `rd_kafka_event_t`: what a queue held, for programs that poll instead of being called back.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

use crate::boundary::{guard, write_text};
use crate::consume::poll::polling;
use crate::handle::Kafka;
use crate::log::Context;
use crate::op::{Op, Serve, Served, serve, serve_all};
use crate::queue::QueueRef;
use crate::types::{Message, RespErr, TopicPartition, TopicPartitionList};
use crate::wait::Deadline;

/// The numbers of `rd_kafka_event_type_t`, which are also the bits of `rd_kafka_conf_set_events`.
pub mod kind {
    use std::ffi::c_int;

    /// None.
    pub const NONE: c_int = 0;
    /// Delivery reports.
    pub const DR: c_int = 0x1;
    /// A fetched message.
    pub const FETCH: c_int = 0x2;
    /// A line of the log.
    pub const LOG: c_int = 0x4;
    /// An error.
    pub const ERROR: c_int = 0x8;
    /// A rebalance.
    pub const REBALANCE: c_int = 0x10;
    /// What came of a commit.
    pub const OFFSET_COMMIT: c_int = 0x20;
    /// Statistics.
    pub const STATS: c_int = 0x40;
    /// A token is wanted.
    pub const OAUTHBEARER_TOKEN_REFRESH: c_int = 0x100;
}

/// `rd_kafka_event_t`.
#[derive(Debug)]
pub struct Event {
    /// Kept: messages and results point into it.
    _kafka: Arc<Kafka>,
    pub(crate) body: Body,
    /// Messages that were handed out by [`rd_kafka_event_message_next`].
    pub(crate) given: usize,
}

/// What an event carries.
#[derive(Debug)]
pub(crate) enum Body {
    /// A fetched message.
    Message(*mut Message),
    /// Delivery reports.
    Deliveries(crate::produce::Reports),
    /// All else as it came.
    Op(Op),
}

impl Event {
    /// `None` where nothing was served.
    pub(crate) fn new(kafka: &Kafka, served: Served) -> Option<Box<Self>> {
        let body = match served {
            Served::Nothing => return None,
            Served::Message(message) => Body::Message(message),
            Served::Op(Op::Deliveries(batch)) => Body::Deliveries(crate::produce::Reports::new(kafka, batch)),
            Served::Op(op) => Body::Op(op),
        };
        Some(Box::new(Self { _kafka: kafka.hold(), body, given: 0 }))
    }

    fn kind(&self) -> c_int {
        match &self.body {
            Body::Message(_) => kind::FETCH,
            Body::Deliveries(_) => kind::DR,
            Body::Op(op) => op.event_kind(),
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Body::Message(message) = self.body {
            // SAFETY: the event has had it since it left the queue; what programs are lent ends with the event.
            unsafe { crate::message::rd_kafka_message_destroy(message) };
        }
    }
}

/// The next event of a queue; NULL where none came in time. Given back with [`rd_kafka_event_destroy`].
///
/// # Safety
/// `rkqu` came from a call that gives a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_poll(rkqu: *mut QueueRef, timeout_ms: c_int) -> *mut Event {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the queue.
        let Some(rkqu) = (unsafe { rkqu.as_ref() }) else { return std::ptr::null_mut() };
        // Most often a message is there: then neither the clock nor whose queue it is matters.
        let mut message = [std::ptr::null_mut()];
        let served = if rkqu.queue.pop_messages(&mut message) == 1 {
            let [message] = message;
            if let Some(consumer) = &rkqu.kafka.consumer {
                consumer.note_poll();
            }
            rkqu.kafka.show_consumed(message);
            Served::Message(message)
        } else {
            let take = || serve(&rkqu.kafka, &rkqu.queue, Deadline::after(timeout_ms), Serve::Events);
            polling(&rkqu.kafka, &rkqu.queue, take)
        };
        Event::new(&rkqu.kafka, served).map_or(std::ptr::null_mut(), Box::into_raw)
    })
}

/// Calls back for what is in a queue, as `rd_kafka_poll` does for the main one. Returns how much it was.
///
/// # Safety
/// `rkqu` came from a call that gives a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_poll_callback(rkqu: *mut QueueRef, timeout_ms: c_int) -> c_int {
    guard(0, || {
        // SAFETY: the caller vouches for the queue.
        let Some(rkqu) = (unsafe { rkqu.as_ref() }) else { return 0 };
        polling(&rkqu.kafka, &rkqu.queue, || serve_all(&rkqu.kafka, &rkqu.queue, Deadline::after(timeout_ms)))
    })
}

/// Gives an event back, and with it all that it lent.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_destroy(rkev: *mut Event) {
    guard((), || {
        if !rkev.is_null() {
            // SAFETY: the caller vouches that this is the last use of what `Box::into_raw` gave.
            drop(unsafe { Box::from_raw(rkev) });
        }
    });
}

/// What kind of event it is; none for NULL.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_type(rkev: *const Event) -> c_int {
    // SAFETY: the caller vouches for the event.
    guard(kind::NONE, || unsafe { rkev.as_ref() }.map_or(kind::NONE, Event::kind))
}

/// The name of an event's kind.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_name(rkev: *const Event) -> *const c_char {
    guard(c"?unknown?".as_ptr(), || {
        // SAFETY: the caller vouches for the event.
        let event = unsafe { rkev.as_ref() };
        if let Some(Event { body: Body::Op(Op::Admin(result)), .. }) = event {
            return result.name().as_ptr();
        }
        let kind = event.map_or(kind::NONE, Event::kind);
        let name: &CStr = match kind {
            kind::NONE => c"(NONE)",
            kind::DR => c"DeliveryReport",
            kind::FETCH => c"Fetch",
            kind::LOG => c"Log",
            kind::ERROR => c"Error",
            kind::REBALANCE => c"Rebalance",
            kind::OFFSET_COMMIT => c"OffsetCommit",
            kind::STATS => c"Stats",
            kind::OAUTHBEARER_TOKEN_REFRESH => c"SaslOAuthBearerTokenRefresh",
            _ => c"?unknown?",
        };
        name.as_ptr()
    })
}

/// The next message of an event that has some; NULL after the last. It is the event's.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_message_next(rkev: *mut Event) -> *const Message {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for the event.
        let Some(event) = (unsafe { rkev.as_mut() }) else { return std::ptr::null() };
        let next = match &event.body {
            Body::Message(message) => (event.given == 0).then_some(message.cast_const()),
            Body::Deliveries(reports) => reports.get(event.given),
            Body::Op(_) => None,
        };
        event.given += usize::from(next.is_some());
        next.unwrap_or(std::ptr::null())
    })
}

/// Fills `rkmessages` with the next messages of an event; returns how many there were.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`]; `rkmessages` has room for `size` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_message_array(
    rkev: *mut Event,
    rkmessages: *mut *const Message,
    size: usize,
) -> usize {
    guard(0, || {
        for place in 0..size {
            // SAFETY: the caller vouches for the event.
            let message = unsafe { rd_kafka_event_message_next(rkev) };
            if message.is_null() {
                return place;
            }
            // SAFETY: the caller vouches for so many places.
            unsafe { rkmessages.add(place).write(message) };
        }
        size
    })
}

/// How many messages an event has that were not handed out.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_message_count(rkev: *mut Event) -> usize {
    guard(0, || {
        // SAFETY: the caller vouches for the event.
        let Some(event) = (unsafe { rkev.as_ref() }) else { return 0 };
        let all = match &event.body {
            Body::Message(_) => 1,
            Body::Deliveries(reports) => reports.count(),
            Body::Op(_) => 0,
        };
        all.saturating_sub(event.given)
    })
}

/// An event's error, or none.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_error(rkev: *mut Event) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for the event.
        match unsafe { rkev.as_ref() }.map(|event| &event.body) {
            Some(Body::Op(op)) => op.error().0,
            _ => RespErr::NO_ERROR,
        }
    })
}

/// The text of an event's error.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_error_string(rkev: *mut Event) -> *const c_char {
    guard(c"".as_ptr(), || {
        // SAFETY: the caller vouches for the event.
        let error = match unsafe { rkev.as_ref() }.map(|event| &event.body) {
            Some(Body::Op(op)) => op.error(),
            _ => (RespErr::NO_ERROR, None),
        };
        error.1.map_or_else(|| crate::errors::rd_kafka_err2str(error.0), CStr::as_ptr)
    })
}

/// Whether an event's error is fatal.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_error_is_fatal(rkev: *mut Event) -> c_int {
    guard(0, || {
        // SAFETY: the caller vouches for the event.
        let fatal =
            matches!(unsafe { rkev.as_ref() }.map(|event| &event.body), Some(Body::Op(Op::Error { fatal: true, .. })));
        c_int::from(fatal)
    })
}

/// The statistics of an event, as text of JSON that is the event's; NULL for other events.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_stats(rkev: *mut Event) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for the event.
        match unsafe { rkev.as_ref() }.map(|event| &event.body) {
            Some(Body::Op(Op::Stats(json))) => json.as_ptr(),
            _ => std::ptr::null(),
        }
    })
}

/// The parts of a log event; −1 for other events.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`]; the others are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_log(
    rkev: *mut Event,
    fac: *mut *const c_char,
    text: *mut *const c_char,
    level: *mut c_int,
) -> c_int {
    guard(-1, || {
        // SAFETY: the caller vouches for the event.
        let Some(Body::Op(Op::Log(line))) = (unsafe { rkev.as_ref() }).map(|event| &event.body) else { return -1 };
        // SAFETY: the caller vouches for all three.
        unsafe {
            if let Some(fac) = fac.as_mut() {
                *fac = line.facility.as_ptr();
            }
            if let Some(text) = text.as_mut() {
                *text = line.text.as_ptr();
            }
            if let Some(level) = level.as_mut() {
                *level = line.level;
            }
        }
        0
    })
}

/// Writes the names of a log event's debug contexts, with commas between; −1 for other events.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`]; `dst` has `dstsize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_debug_contexts(rkev: *mut Event, dst: *mut c_char, dstsize: usize) -> c_int {
    guard(-1, || {
        // SAFETY: the caller vouches for the event.
        let Some(Body::Op(Op::Log(line))) = (unsafe { rkev.as_ref() }).map(|event| &event.body) else { return -1 };
        // SAFETY: the caller vouches for the buffer.
        unsafe { write_text(dst, dstsize, &Context::names(line.contexts)) };
        0
    })
}

/// The program's pointer that goes with an event; NULL where there is none.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_opaque(rkev: *mut Event) -> *mut c_void {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the event.
        match unsafe { rkev.as_ref() }.map(|event| &event.body) {
            Some(Body::Op(Op::OffsetCommit(commit))) => commit.opaque(),
            Some(Body::Op(Op::Admin(result))) => result.opaque(),
            _ => std::ptr::null_mut(),
        }
    })
}

/// The partitions of a rebalance or of a commit, in a list that is the event's; NULL for other events.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_topic_partition_list(rkev: *mut Event) -> *mut TopicPartitionList {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the event.
        match unsafe { rkev.as_ref() }.map(|event| &event.body) {
            Some(Body::Op(Op::Rebalance(rebalance))) => rebalance.list().as_ptr(),
            Some(Body::Op(Op::OffsetCommit(commit))) => commit.list.as_ptr(),
            _ => std::ptr::null_mut(),
        }
    })
}

/// The partition of an error, for the program to destroy; NULL for other events.
///
/// # Safety
/// `rkev` is NULL or came from [`rd_kafka_queue_poll`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_topic_partition(rkev: *mut Event) -> *mut TopicPartition {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the event.
        match unsafe { rkev.as_ref() }.map(|event| &event.body) {
            Some(Body::Op(Op::ConsumerError(failure))) => {
                failure.partition().map_or(std::ptr::null_mut(), |(topic, partition, offset)| {
                    // SAFETY: the name ends in a NUL byte; the element is NULL or made just now.
                    unsafe {
                        let element = crate::topic_partition::single(topic.as_ptr(), partition);
                        if let Some(element) = element.as_mut() {
                            element.offset = offset;
                            element.err = failure.err;
                        }
                        element
                    }
                })
            }
            _ => std::ptr::null_mut(),
        }
    })
}
