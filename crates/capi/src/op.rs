//! What queues carry, and what is done with it where a program has callbacks.

use std::ffi::{CStr, CString, c_char, c_int};
use std::time::Duration;

use crate::consume::{CommitResult, Failure, Messages, Rebalance};
use crate::event::kind;
use crate::handle::Kafka;
use crate::queue::{Popped, Queue};
use crate::types::{Message, RespErr};
use crate::wait::Deadline;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Op {
    /// Records whose fate is known.
    Deliveries(Box<crate::produce::Delivered>),
    /// Records of one partition, handed out one by one.
    Messages(Messages),
    /// An error that belongs to the handle.
    Error { code: RespErr, text: CString, fatal: bool },
    /// For how many milliseconds a broker holds this client back.
    Throttle { broker: CString, id: i32, time: i32 },
    /// Statistics, in memory of C's.
    Stats(Box<crate::stats::Json>),
    /// A line of the log.
    Log(Box<crate::log::Line>),
    /// An error that programs get as a message.
    ConsumerError(Box<Failure>),
    /// Partitions come or go.
    Rebalance(Box<Rebalance>),
    /// What came of a commit.
    OffsetCommit(Box<CommitResult>),
    /// A token is wanted: `sasl.oauthbearer.config`.
    OauthRefresh(CString),
    /// What came of a request of the Admin API.
    Admin(Box<crate::admin::AdminResult>),
    /// Something of the library's own for whichever thread serves the queue.
    Call(Call),
}

/// Something to run on the thread that serves a queue.
pub(crate) struct Call(pub(crate) Box<dyn FnOnce(&Kafka) + Send>);

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Call")
    }
}

impl Op {
    /// Whether it goes before records that came earlier.
    pub(crate) fn is_urgent(&self) -> bool {
        match self {
            Self::Deliveries(_) | Self::Messages(_) => false,
            // One of the group comes before the rebalance that follows from it.
            Self::ConsumerError(failure) => !failure.is_of_partition(),
            Self::Error { .. }
            | Self::Throttle { .. }
            | Self::Stats(_)
            | Self::Log(_)
            | Self::Rebalance(_)
            | Self::OffsetCommit(_)
            | Self::OauthRefresh(_)
            | Self::Admin(_)
            | Self::Call(_) => true,
        }
    }

    /// Which kind of event it is; none where programs never see it.
    pub(crate) fn event_kind(&self) -> c_int {
        match self {
            Self::Deliveries(_) => kind::DR,
            Self::Messages(_) => kind::FETCH,
            Self::Error { .. } | Self::ConsumerError(_) => kind::ERROR,
            Self::Rebalance(_) => kind::REBALANCE,
            Self::OffsetCommit(_) => kind::OFFSET_COMMIT,
            Self::Stats(_) => kind::STATS,
            Self::Log(_) => kind::LOG,
            Self::OauthRefresh(_) => kind::OAUTHBEARER_TOKEN_REFRESH,
            Self::Admin(result) => result.event_kind(),
            Self::Throttle { .. } | Self::Call(_) => kind::NONE,
        }
    }

    /// The error that it carries, and its text where it has one of its own.
    pub(crate) fn error(&self) -> (RespErr, Option<&CStr>) {
        match self {
            Self::Error { fatal: true, text, .. } => (RespErr::FATAL, Some(text)),
            Self::Error { code, text, .. } => (*code, Some(text)),
            Self::ConsumerError(failure) => (failure.err, Some(&failure.text)),
            Self::Rebalance(rebalance) => (rebalance.err(), None),
            Self::OffsetCommit(commit) => (commit.err, None),
            Self::Admin(result) => result.error(),
            _ => (RespErr::NO_ERROR, None),
        }
    }

    /// Whether it means nothing any more, and is passed over.
    #[inline]
    pub(crate) fn is_outdated(&self) -> bool {
        match self {
            Self::Messages(messages) => messages.is_outdated(),
            Self::ConsumerError(failure) => failure.is_outdated(),
            Self::Rebalance(rebalance) => rebalance.is_void(),
            _ => false,
        }
    }

    /// As how much it counts in the queue's length.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Messages(messages) => messages.left(),
            _ => 1,
        }
    }
}

/// How a queue is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serve {
    /// The program's callbacks are called: `rd_kafka_poll`, `rd_kafka_flush`.
    Callbacks,
    /// Callbacks are called, and messages handed out: `rd_kafka_consumer_poll`.
    Messages,
    /// All is handed out as events: `rd_kafka_queue_poll`.
    Events,
}

/// What serving a queue gave.
#[derive(Debug)]
pub(crate) enum Served {
    /// A message, the program's from here on.
    Message(*mut Message),
    /// Something for an event.
    Op(Op),
    /// The time was up, or somebody called for an end.
    Nothing,
}

thread_local! {
    static YIELD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Has the poll that runs on this thread come back after this callback.
pub(crate) fn yield_this_thread() {
    YIELD.set(true);
}

/// Whether a callback asked for an end; asked once.
pub(crate) fn was_yielded() -> bool {
    YIELD.replace(false)
}

/// Whether a callback has asked for an end.
pub(crate) fn is_yielding() -> bool {
    YIELD.get()
}

/// A poll that may wait so long goes on after a rebalance.
const LONG_TURN: Duration = Duration::from_secs(2);

/// Serves a queue until something is to be handed out, or the time is up.
#[inline]
pub(crate) fn serve(kafka: &Kafka, queue: &Queue, deadline: Deadline, how: Serve) -> Served {
    YIELD.set(false);
    let mut rebalanced = false;
    loop {
        match queue.pop(deadline) {
            None | Some(Popped::Yield) => return Served::Nothing,
            Some(Popped::Message(message)) => {
                kafka.show_consumed(message);
                if how != Serve::Callbacks {
                    return Served::Message(message);
                }
                consume(kafka, message);
            }
            // Programs that poll in short turns count on hearing of one rebalance in each; those that wait for long, on being given a message.
            Some(Popped::Op(op @ Op::Rebalance(_)))
                if rebalanced && deadline.left().is_none_or(|left| left < LONG_TURN) =>
            {
                queue.push_back_in_front(op);
                return Served::Nothing;
            }
            Some(Popped::Op(op)) => {
                rebalanced |= matches!(op, Op::Rebalance(_));
                if let Some(op) = carry_out(kafka, queue, op, how) {
                    return Served::Op(op);
                }
            }
        }
        if is_yielding() {
            return Served::Nothing;
        }
    }
}

/// Serves what is in a queue by callbacks; waits for the first until the time is up. Returns how much it was.
pub(crate) fn serve_all(kafka: &Kafka, queue: &Queue, deadline: Deadline) -> c_int {
    YIELD.set(false);
    let (mut served, mut deadline) = (0, deadline);
    loop {
        match queue.pop(deadline) {
            None | Some(Popped::Yield) => return served,
            Some(Popped::Message(message)) => {
                kafka.show_consumed(message);
                consume(kafka, message);
            }
            Some(Popped::Op(op)) => {
                // A batch counts as its records.
                let count = if let Op::Deliveries(delivered) = &op { delivered.left() } else { 1 };
                served = served.saturating_add(c_int::try_from(count).unwrap_or(c_int::MAX)).saturating_sub(1);
                drop(carry_out(kafka, queue, op, Serve::Callbacks));
            }
        }
        served = served.saturating_add(1);
        deadline = Deadline::after(0);
        if is_yielding() {
            return served;
        }
    }
}

/// A message where callbacks are served.
fn consume(kafka: &Kafka, message: *mut Message) {
    if let Some(callback) = kafka.conf.callbacks.consume_cb {
        // SAFETY: the program's own function with the arguments that it was promised; no lock is held.
        unsafe { callback(message, kafka.conf.opaque) };
    }
    // SAFETY: the message was taken out of the queue and nobody else has it.
    unsafe { crate::message::rd_kafka_message_destroy(message) };
}

/// Calls the program's callback for it; gives back what is to be handed out instead.
fn carry_out(kafka: &Kafka, queue: &Queue, op: Op, how: Serve) -> Option<Op> {
    if how == Serve::Events && !matches!(op, Op::Call(_) | Op::Throttle { .. }) {
        return Some(op);
    }
    let opaque = kafka.conf.opaque;
    let rk = kafka.pointer();
    match op {
        Op::Call(call) => (call.0)(kafka),
        Op::Deliveries(mut delivered) => {
            if !crate::produce::report(kafka, &mut delivered) {
                queue.push_back_in_front(Op::Deliveries(delivered));
            }
        }
        // Taken out one by one before.
        Op::Messages(_) => {}
        Op::ConsumerError(_) if how == Serve::Messages => return Some(op),
        Op::ConsumerError(failure) => {
            if let Some(callback) = kafka.conf.callbacks.error_cb {
                // SAFETY: the program's own function; the text lives until it has come back.
                unsafe { callback(rk, failure.err.0, failure.text.as_ptr(), opaque) };
            }
        }
        Op::Rebalance(rebalance) => rebalance.call(kafka),
        Op::OffsetCommit(commit) => commit.call(kafka),
        Op::Error { code, text, fatal } => {
            if let Some(callback) = kafka.conf.callbacks.error_cb {
                let code = if fatal { RespErr::FATAL } else { code };
                // SAFETY: the program's own function; the text lives until it has come back.
                unsafe { callback(rk, code.0, text.as_ptr(), opaque) };
            }
        }
        Op::Throttle { broker, id, time } => {
            if let Some(callback) = kafka.conf.callbacks.throttle_cb {
                // SAFETY: the program's own function; the name lives until it has come back.
                unsafe { callback(rk, broker.as_ptr(), id, time, opaque) };
            }
        }
        Op::Stats(json) => {
            if let Some(callback) = kafka.conf.callbacks.stats_cb {
                // SAFETY: the program's own function; the text lives until it has come back.
                let keeps = unsafe { callback(rk, json.as_ptr().cast::<c_char>().cast_mut(), json.len(), opaque) };
                if keeps == 1 {
                    json.give_away();
                }
            }
        }
        Op::OauthRefresh(config) => crate::sasl::call(kafka, &config),
        Op::Log(line) => kafka.log.print(&line),
        // There is no callback for results: where a program polls for callbacks, they are lost, as in librdkafka.
        Op::Admin(_) => {}
    }
    None
}
