//! Waiting on the caller's own thread: no runtime runs there.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// When a call of the C API is to give up: −1 is never, 0 is at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub(crate) const NEVER: Self = Self(None);

    pub(crate) fn after(timeout_ms: i32) -> Self {
        // A time beyond what the clock can tell is never.
        Self(u64::try_from(timeout_ms).ok().and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))))
    }

    /// This, or so many milliseconds from now, whichever is earlier.
    pub(crate) fn at_most(self, millis: i32) -> Self {
        let soon = Self::after(millis);
        match (self.0, soon.0) {
            (Some(at), Some(other)) if at < other => self,
            _ => soon,
        }
    }

    /// The time that is left, `None` where there is none.
    pub(crate) fn left(self) -> Option<Duration> {
        match self.0 {
            None => Some(Duration::from_secs(3600)),
            Some(at) => Some(at.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero()),
        }
    }
}

/// Counts wakes; threads wait for the count to change. Whoever reads the count before it looks for work misses no wake.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<Count>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Count {
    wakes: u64,
    /// Threads that wait. To wake nobody costs a system call.
    waiting: usize,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Count> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self) {
        let waiting = {
            let mut state = self.lock();
            state.wakes += 1;
            state.waiting
        };
        if waiting > 0 {
            self.changed.notify_all();
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.lock().wakes
    }

    /// Waits until the count is another than `seen`; `false` where the time was up before.
    pub(crate) fn wait(&self, seen: u64, deadline: Deadline) -> bool {
        let mut state = self.lock();
        while state.wakes == seen {
            let Some(left) = deadline.left() else { return false };
            state.waiting += 1;
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
        true
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.set();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set();
    }
}

/// Runs a future that another thread completes to its end.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(signal.clone());
    loop {
        let seen = signal.count();
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        signal.wait(seen, Deadline::NEVER);
    }
}

/// As [`block_on`], until a time; `None` where it was up before. The future is dropped then.
pub(crate) fn block_until<F: Future>(future: F, deadline: Deadline) -> Option<F::Output> {
    let mut future = pin!(future);
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(signal.clone());
    loop {
        let seen = signal.count();
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        if !signal.wait(seen, deadline) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_between_look_and_wait_is_not_missed() {
        let signal = Signal::default();
        let seen = signal.count();
        signal.set();
        assert!(signal.wait(seen, Deadline::after(0)));
        assert!(!signal.wait(signal.count(), Deadline::after(1)));
    }
}
