//! `rd_kafka_queue_t`: what happened, in order, for a program to fetch. Queues can be forwarded into one another, and can tell a file
//! descriptor or a callback that they are no longer empty.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::boundary::guard;
use crate::fork::Process;
use crate::handle::Kafka;
use crate::op::Op;
use crate::types::Message;
use crate::wait::Deadline;

/// Called, from any thread, when a queue is no longer empty.
pub type QueueEventCb = unsafe extern "C" fn(rk: *mut Kafka, opaque: *mut c_void);

/// Whom a queue tells that it is no longer empty.
#[derive(Clone, Debug, Default)]
enum Notify {
    #[default]
    Nobody,
    Fd(c_int, Vec<u8>),
    Callback(QueueEventCb, *mut Kafka, *mut c_void),
}

// SAFETY: the pointers are the program's, which asked to be called with them from any thread.
unsafe impl Send for Notify {}

impl Notify {
    /// With nothing locked.
    fn tell(self) {
        match self {
            Self::Nobody => {}
            Self::Fd(fd, payload) => {
                // A full pipe wakes its reader just as well. SAFETY: the payload is a slice of ours.
                unsafe { libc::write(fd, payload.as_ptr().cast(), payload.len()) };
            }
            // SAFETY: the program's own function with the arguments that it was promised; no lock is held.
            Self::Callback(callback, rk, opaque) => unsafe { callback(rk, opaque) },
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// Served before `ops`, so that records do not hold up what the program should know.
    urgent: VecDeque<Op>,
    ops: VecDeque<Op>,
    forward: Option<Arc<Queue>>,
    /// The program has said where to forward, be it nowhere.
    chosen: bool,
    notify: Notify,
    /// Whoever waits, or waits next, comes back with nothing.
    yielded: bool,
    /// What comes is thrown away.
    closed: bool,
    /// Threads that wait. To wake nobody costs a system call.
    waiting: usize,
}

impl State {
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.ops.is_empty()
    }

    fn push(&mut self, op: Op) {
        if op.is_urgent() { self.urgent.push_back(op) } else { self.ops.push_back(op) }
    }

    /// The next record, or the next other thing.
    #[inline]
    fn pop(&mut self) -> Option<Popped> {
        while let Some(op) = self.urgent.pop_front() {
            if !op.is_outdated() {
                return Some(Popped::Op(op));
            }
        }
        loop {
            match self.ops.front_mut()? {
                Op::Messages(messages) => match messages.next() {
                    Some(message) => {
                        // A queue without records is empty: the next ones are told of.
                        if !messages.prepare() {
                            drop(self.ops.pop_front());
                        }
                        return Some(Popped::Message(message));
                    }
                    None => drop(self.ops.pop_front()),
                },
                op if op.is_outdated() => drop(self.ops.pop_front()),
                _ => return self.ops.pop_front().map(Popped::Op),
            }
        }
    }
}

/// What came out of a queue.
#[derive(Debug)]
pub(crate) enum Popped {
    /// A consumed message, the program's from here on.
    Message(*mut Message),
    /// Anything else.
    Op(Op),
    /// Somebody called `rd_kafka_queue_yield`.
    Yield,
}

/// A queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// In a fork nothing comes any more.
    process: Process,
}

impl Queue {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_change<'a>(&self, mut state: MutexGuard<'a, State>, left: Duration) -> MutexGuard<'a, State> {
        state.waiting += 1;
        let (mut state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    fn forward(&self) -> Option<Arc<Self>> {
        self.lock().forward.clone()
    }

    /// The queue at the end of the forwarding; `None` where this one is it.
    pub(crate) fn end(&self) -> Option<Arc<Self>> {
        let mut end = self.forward()?;
        while let Some(next) = end.forward() {
            end = next;
        }
        Some(end)
    }

    /// Adds to the queue's end, or to that of the queue that it is forwarded to.
    pub(crate) fn push(&self, op: Op) {
        if let Some(end) = self.end() {
            return end.push(op);
        }
        let (notify, waiting) = {
            let mut state = self.lock();
            if state.closed {
                drop(state);
                // Freed unlocked: what it holds may come back here.
                return drop(op);
            }
            let was_empty = state.is_empty();
            state.push(op);
            (if was_empty { state.notify.clone() } else { Notify::Nobody }, state.waiting)
        };
        // Unlocked: whoever wakes takes the lock.
        if waiting > 0 {
            self.changed.notify_one();
        }
        notify.tell();
    }

    /// Gives back what was taken out and is not done: it comes next.
    pub(crate) fn push_back_in_front(&self, op: Op) {
        if let Some(end) = self.end() {
            return end.push_back_in_front(op);
        }
        let mut state = self.lock();
        if state.closed {
            drop(state);
            return drop(op);
        }
        state.ops.push_front(op);
        self.changed.notify_one();
    }

    /// The next record or other thing; waits for it until the time is up.
    pub(crate) fn pop(&self, deadline: Deadline) -> Option<Popped> {
        if self.process.is_forked() {
            return Some(Popped::Yield);
        }
        let mut state = self.lock();
        loop {
            if let Some(to) = state.forward.clone() {
                drop(state);
                return to.pop(deadline);
            }
            if let Some(popped) = state.pop() {
                return Some(popped);
            }
            if state.closed || std::mem::take(&mut state.yielded) {
                return Some(Popped::Yield);
            }
            state = self.wait_for_change(state, deadline.left()?);
        }
    }

    /// Takes as many messages as are there, up to something else; never waits.
    pub(crate) fn pop_messages(&self, into: &mut [*mut Message]) -> usize {
        if self.process.is_forked() {
            return 0;
        }
        let mut state = self.lock();
        if let Some(to) = state.forward.clone() {
            drop(state);
            return to.pop_messages(into);
        }
        let mut filled = 0;
        while state.urgent.is_empty() {
            let Some(Op::Messages(messages)) = state.ops.front_mut() else { break };
            if messages.is_outdated() || !messages.prepare() {
                drop(state.ops.pop_front());
                continue;
            }
            let Some(place) = into.get_mut(filled) else { break };
            let Some(message) = messages.next() else { break };
            *place = message;
            filled += 1;
        }
        filled
    }

    /// Whether what is pushed here comes out there.
    pub(crate) fn leads_to(&self, to: &Arc<Self>) -> bool {
        match self.forward() {
            Some(next) => Arc::ptr_eq(&next, to) || next.leads_to(to),
            None => false,
        }
    }

    /// Frees what means nothing any more.
    pub(crate) fn purge_outdated(&self) {
        if let Some(end) = self.end() {
            return end.purge_outdated();
        }
        // Freed unlocked: what it holds may come back here.
        drop(self.take_out(Op::is_outdated));
    }

    /// As [`Self::forward_to`], unless the program has said where to.
    pub(crate) fn forward_by_default(self: &Arc<Self>, to: &Arc<Self>) {
        if !self.lock().chosen {
            self.forward_to(Some(to.clone()));
        }
    }

    /// Waits until there is something; `false` where the time was up before, or somebody called for an end.
    pub(crate) fn wait(&self, deadline: Deadline) -> bool {
        if self.process.is_forked() {
            return false;
        }
        let mut state = self.lock();
        loop {
            if let Some(to) = state.forward.clone() {
                drop(state);
                return to.wait(deadline);
            }
            if !state.is_empty() {
                return true;
            }
            if state.closed || std::mem::take(&mut state.yielded) {
                return false;
            }
            let Some(left) = deadline.left() else { return false };
            state = self.wait_for_change(state, left);
        }
    }

    /// Has whoever waits come back with nothing.
    pub(crate) fn make_yield(&self) {
        if let Some(end) = self.end() {
            return end.make_yield();
        }
        self.lock().yielded = true;
        self.changed.notify_all();
    }

    /// How much is in the queue; records count one by one.
    pub(crate) fn len(&self) -> usize {
        if let Some(end) = self.end() {
            return end.len();
        }
        let state = self.lock();
        state.urgent.iter().chain(&state.ops).map(Op::count).sum()
    }

    /// Sends what is here, and what comes, to another queue; `None` ends that. What was sent on stays there.
    pub(crate) fn forward_to(self: &Arc<Self>, to: Option<Arc<Self>>) {
        // A queue forwarded to itself, by whatever way, would never end.
        let to = to.filter(|to| !Arc::ptr_eq(to, self) && !to.end().is_some_and(|end| Arc::ptr_eq(&end, self)));
        let moved = {
            let mut state = self.lock();
            state.forward.clone_from(&to);
            // Whoever waits here waits there from now on.
            self.changed.notify_all();
            match to {
                None => Vec::new(),
                Some(_) => {
                    let State { urgent, ops, .. } = &mut *state;
                    urgent.drain(..).chain(ops.drain(..)).collect()
                }
            }
        };
        if let Some(to) = to {
            for op in moved {
                to.push(op);
            }
        }
    }

    /// Takes out what `wanted` wants, and gives it.
    pub(crate) fn take_out(&self, mut wanted: impl FnMut(&Op) -> bool) -> Vec<Op> {
        let mut state = self.lock();
        let State { urgent, ops, .. } = &mut *state;
        let mut out = Vec::new();
        for list in [urgent, ops] {
            let (taken, left): (Vec<Op>, Vec<Op>) = std::mem::take(list).into_iter().partition(&mut wanted);
            out.extend(taken);
            *list = left.into();
        }
        out
    }

    /// How much is here beside delivery reports.
    pub(crate) fn others(&self) -> usize {
        if let Some(end) = self.end() {
            return end.others();
        }
        let state = self.lock();
        let all = state.urgent.iter().chain(&state.ops);
        all.filter(|op| !matches!(op, Op::Deliveries(_))).map(Op::count).sum()
    }

    /// Throws away what is here and what comes.
    pub(crate) fn close(&self) {
        let thrown_away = {
            let mut state = self.lock();
            state.closed = true;
            state.notify = Notify::Nobody;
            state.forward = None;
            self.changed.notify_all();
            (std::mem::take(&mut state.urgent), std::mem::take(&mut state.ops))
        };
        drop(thrown_away);
    }

    /// Whether [`Self::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn set_notify(&self, notify: Notify) {
        if let Some(end) = self.end() {
            return end.set_notify(notify);
        }
        let now = {
            let mut state = self.lock();
            state.notify = notify;
            if state.is_empty() { Notify::Nobody } else { state.notify.clone() }
        };
        now.tell();
    }
}

/// `rd_kafka_queue_t`: a program's hold on a queue.
#[derive(Debug)]
pub struct QueueRef {
    pub(crate) queue: Arc<Queue>,
    pub(crate) kafka: Arc<Kafka>,
}

impl QueueRef {
    /// A hold for a program, given back by [`rd_kafka_queue_destroy`].
    pub(crate) fn hand_out(kafka: &Kafka, queue: &Arc<Queue>) -> *mut Self {
        Box::into_raw(Box::new(Self { queue: queue.clone(), kafka: kafka.hold() }))
    }
}

/// A new queue, to forward others to; NULL where `rk` is.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_new(rk: *mut Kafka) -> *mut QueueRef {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        unsafe { rk.as_ref() }.map_or(std::ptr::null_mut(), |rk| QueueRef::hand_out(rk, &Queue::new()))
    })
}

/// Gives a queue back; one of [`rd_kafka_queue_new`] ends with its last hold.
///
/// # Safety
/// `rkqu` is NULL or came from a call that gives a queue, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_destroy(rkqu: *mut QueueRef) {
    guard((), || {
        if !rkqu.is_null() {
            // SAFETY: the caller vouches that this is the last use of what `Box::into_raw` gave.
            drop(unsafe { Box::from_raw(rkqu) });
        }
    });
}

/// The queue that `rd_kafka_poll` serves.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_get_main(rk: *mut Kafka) -> *mut QueueRef {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        unsafe { rk.as_ref() }.map_or(std::ptr::null_mut(), |rk| QueueRef::hand_out(rk, &rk.main))
    })
}

/// Sends what is and comes in `src` to `dst`; NULL ends that.
///
/// # Safety
/// `src` came from a call that gives a queue, and `dst` too or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_forward(src: *mut QueueRef, dst: *mut QueueRef) {
    guard((), || {
        // SAFETY: the caller vouches for both.
        let (src, dst) = unsafe { (src.as_ref(), dst.as_ref()) };
        if let Some(src) = src {
            src.queue.lock().chosen = true;
            src.queue.forward_to(dst.map(|dst| dst.queue.clone()));
        }
    });
}

/// How much is in a queue; records count one by one.
///
/// # Safety
/// `rkqu` came from a call that gives a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_length(rkqu: *mut QueueRef) -> usize {
    // SAFETY: the caller vouches for the queue.
    guard(0, || unsafe { rkqu.as_ref() }.map_or(0, |rkqu| rkqu.queue.len()))
}

/// Has `payload` written to `fd` whenever the queue is no longer empty; −1 for `fd` ends that.
///
/// # Safety
/// `rkqu` came from a call that gives a queue; `payload` has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_io_event_enable(
    rkqu: *mut QueueRef,
    fd: c_int,
    payload: *const c_void,
    size: usize,
) {
    guard((), || {
        // SAFETY: the caller vouches for both.
        let (Some(rkqu), payload) = (unsafe { (rkqu.as_ref(), crate::boundary::bytes(payload, size)) }) else { return };
        rkqu.queue.set_notify(if fd < 0 {
            Notify::Nobody
        } else {
            Notify::Fd(fd, payload.unwrap_or_default().to_vec())
        });
    });
}

/// Has `event_cb` called, from any thread, whenever the queue is no longer empty; NULL ends that.
///
/// # Safety
/// `rkqu` came from a call that gives a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_cb_event_enable(
    rkqu: *mut QueueRef,
    event_cb: Option<QueueEventCb>,
    qev_opaque: *mut c_void,
) {
    guard((), || {
        // SAFETY: the caller vouches for the queue.
        let Some(rkqu) = (unsafe { rkqu.as_ref() }) else { return };
        rkqu.queue.set_notify(match event_cb {
            None => Notify::Nobody,
            Some(callback) => Notify::Callback(callback, rkqu.kafka.pointer(), qev_opaque),
        });
    });
}

/// Has whoever waits on the queue come back with nothing.
///
/// # Safety
/// `rkqu` came from a call that gives a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_yield(rkqu: *mut QueueRef) {
    guard((), || {
        // SAFETY: the caller vouches for the queue.
        if let Some(rkqu) = unsafe { rkqu.as_ref() } {
            rkqu.queue.make_yield();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: c_int) -> Op {
        Op::Error { code: crate::types::RespErr(code), text: c"x".into(), fatal: false }
    }

    fn code(popped: Option<Popped>) -> Option<c_int> {
        match popped {
            Some(Popped::Op(Op::Error { code, .. })) => Some(code.0),
            _ => None,
        }
    }

    #[test]
    fn forwarding_moves_what_is_there_and_what_comes() {
        let (first, second, third) = (Queue::new(), Queue::new(), Queue::new());
        first.push(error(1));
        first.forward_to(Some(second.clone()));
        first.push(error(2));
        second.forward_to(Some(third.clone()));
        assert_eq!([first.len(), second.len(), third.len()], [2, 2, 2]);
        assert_eq!(code(first.pop(Deadline::after(0))), Some(1));
        first.forward_to(None);
        first.push(error(3));
        assert_eq!(code(third.pop(Deadline::after(0))), Some(2));
        assert_eq!(code(first.pop(Deadline::after(0))), Some(3));
        assert!(third.pop(Deadline::after(0)).is_none());
    }

    #[test]
    fn a_circle_is_not_made() {
        let (first, second) = (Queue::new(), Queue::new());
        first.forward_to(Some(second.clone()));
        second.forward_to(Some(first.clone()));
        first.push(error(1));
        assert_eq!(code(second.pop(Deadline::after(0))), Some(1));
    }

    #[test]
    fn whoever_waits_follows_a_forward_and_a_yield() {
        let (queue, other) = (Queue::new(), Queue::new());
        let waiting = std::thread::spawn({
            let queue = queue.clone();
            move || (code(queue.pop(Deadline::NEVER)), matches!(queue.pop(Deadline::NEVER), Some(Popped::Yield)))
        });
        queue.forward_to(Some(other.clone()));
        other.push(error(7));
        queue.make_yield();
        assert_eq!(waiting.join().unwrap(), (Some(7), true));
    }
}
