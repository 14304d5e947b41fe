//! The end of a consumer: its partitions are given up, in the program's sight where it wants to see it, what is stored is committed, and the
//! group is left. Nothing waits for a broker for ever.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::assignment::Method;
use super::failed::failed;
use super::work::Work;
use super::{ConsumerSide, Stage, grouped, side};
use crate::boundary::guard;
use crate::errors::object::ErrorObject;
use crate::handle::Kafka;
use crate::op::{Op, Serve, Served, serve};
use crate::queue::{Queue, QueueRef};
use crate::types::RespErr;
use crate::wait::Deadline;

/// How often a close looks whether it is over, if nothing tells it.
const LOOK_AGAIN_MS: i32 = 100;
/// How long leaving may take once the partitions are given up.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

impl ConsumerSide {
    /// Begins to close; what comes until then goes to `to`.
    fn begin_closing(&self, to: Option<&Arc<Queue>>) -> Result<(), (RespErr, &'static str)> {
        if !self.has_group() {
            return Err((RespErr::UNKNOWN_GROUP, "Consume close called on non-group consumer"));
        }
        let mut state = self.state();
        if state.stage == Stage::Closed {
            return Err((RespErr::DESTROY, "Consumer already closed"));
        }
        let first = state.stage == Stage::Open;
        state.stage = Stage::Closing;
        if to.is_none() {
            state.silent = true;
        }
        if first {
            state.subscription.clear();
        }
        // Nobody has it any more, so nobody will answer.
        let is_lost = state.told.as_ref().is_some_and(|told| Arc::strong_count(told) == 1);
        let answers = (to.is_none() || is_lost)
            && state.told.take().is_some_and(|told| {
                told.store(true, std::sync::atomic::Ordering::Release);
                true
            });
        let is_member = state.member.generation_or_epoch >= 0 || state.proposed.is_some();
        // What was assigned by hand is given up by hand, and so is what nobody will answer for.
        if answers || !is_member {
            self.carry_out(&mut state, Method::Whole, Vec::new());
        }
        let patience = self.settings.max_poll;
        if first {
            self.command(move |work| {
                let holds = work.core.member().is_some_and(|member| member.assignment().next().is_some());
                work.leave(if holds { patience } else { FAREWELL });
            });
        }
        drop(state);
        if let Some(to) = to {
            // What the program forwarded elsewhere and never fetched would not be answered either.
            let waiting = self.queue.end().map(|end| end.take_out(|op| matches!(op, Op::Rebalance(_))));
            self.queue.forward_to(Some(to.clone()));
            for op in waiting.into_iter().flatten() {
                self.queue.push(op);
            }
        }
        self.queue.purge_outdated();
        Ok(())
    }

    /// A rebalance of which the program heard nothing, or which it let go without an answer, is carried out.
    pub(super) fn answer_while_closing(&self, told: &Arc<AtomicBool>) {
        let mut state = self.state();
        if state.stage == Stage::Closing && state.told.as_ref().is_some_and(|open| Arc::ptr_eq(open, told)) {
            state.told = None;
            self.carry_out(&mut state, Method::Whole, Vec::new());
        }
    }

    fn is_closed(&self) -> bool {
        self.state().stage == Stage::Closed
    }

    /// Closes, with the program's callbacks called on this thread.
    fn close(&self, kafka: &Kafka) -> RespErr {
        let queue = Queue::new();
        if let Err((err, _)) = self.begin_closing(Some(&queue)) {
            return err;
        }
        // What was fetched and never polled is dropped unseen: taken out here it would count as consumed, and be committed.
        for slot in self.state().slots.values() {
            slot.bump();
        }
        while !self.is_closed() {
            // What ends the wait may have been served by a poll within a callback.
            match serve(kafka, &queue, Deadline::after(LOOK_AGAIN_MS), Serve::Messages) {
                // SAFETY: it was taken out of the queue and nobody else has it.
                Served::Message(message) => unsafe { crate::message::rd_kafka_message_destroy(message) },
                Served::Op(_) | Served::Nothing => {}
            }
        }
        self.queue.forward_to(None);
        self.queue.close();
        queue.close();
        RespErr::NO_ERROR
    }

    /// The handle goes. With `leave` the group is told, and the program hears of it.
    pub(crate) fn end(&self, kafka: &Kafka, leave: bool) {
        if leave && self.has_group() && !self.is_closed() {
            self.close(kafka);
        }
        let slots: Vec<_> = {
            let mut state = self.state();
            state.stage = Stage::Closed;
            state.silent = true;
            state.assigned.clear();
            state.slots.values().cloned().collect()
        };
        for slot in &slots {
            self.save(slot);
            slot.bump();
            slot.queue.close();
        }
        self.queue.close();
    }
}

impl Work<'_, '_> {
    /// Leaves the group, within a time.
    pub(super) fn leave(&mut self, within: Duration) {
        let now = self.core.now();
        match self.core.member() {
            Some(member) => member.leave(now, within),
            None => self.carry.left = true,
        }
        self.finish_closing();
    }

    /// It is closed once the group is left and no commit is open.
    pub(super) fn finish_closing(&mut self) {
        if !self.carry.left || self.is_committing() {
            return;
        }
        {
            let mut state = self.side.state();
            if state.stage != Stage::Closing {
                return;
            }
            if !state.assigned.is_empty() {
                // What is left is given up, and then it ends.
                return self.side.carry_out(&mut state, Method::Whole, Vec::new());
            }
            state.stage = Stage::Closed;
        }
        let queue = self.side.queue.clone();
        self.out(&queue, crate::op::Op::Call(crate::op::Call(Box::new(|_| crate::op::yield_this_thread()))));
    }
}

/// Closes: callbacks are called on this thread until all is given up, committed and left.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_close(rk: *mut Kafka) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for `rk`.
        match unsafe { (rk.as_ref(), side(rk)) } {
            (Some(kafka), Some(side)) => match side.close(kafka) {
                // It is closed all the same.
                RespErr::NO_ERROR if kafka.fatal.get().is_some() => RespErr::FATAL,
                err => err,
            },
            _ => RespErr::UNKNOWN_GROUP,
        }
    })
}

/// Begins to close; what is to be known goes to this queue, which the program serves until `rd_kafka_consumer_closed`. NULL, or an error to be
/// destroyed.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_close_queue(rk: *mut Kafka, rkqu: *mut QueueRef) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for both.
        let (side, queue) = unsafe { (grouped(rk), rkqu.as_ref()) };
        let Some(queue) = queue else { return failed(RespErr::INVALID_ARG, "Queue must be specified") };
        let result = match side {
            Ok(side) => side.begin_closing(Some(&queue.queue)),
            Err(err) => Err((err, "Consume close called on non-group consumer")),
        };
        result.map_or_else(|(err, text)| failed(err, text), |()| std::ptr::null_mut())
    })
}
