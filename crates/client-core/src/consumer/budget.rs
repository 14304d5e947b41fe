//! The bytes of fetched responses that are still referred to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

/// Counts what is charged; wakes whoever was refused once there is room again.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    charged: AtomicUsize,
    refused: AtomicBool,
    waker: Waker,
}

impl Budget {
    /// A budget; `waker` is woken when a refused reader may go on.
    pub fn new(limit: usize, waker: Waker) -> Arc<Self> {
        Arc::new(Self { limit, charged: AtomicUsize::new(0), refused: AtomicBool::new(false), waker })
    }

    /// Whether more may be fetched. Saying no means to wake later.
    pub fn has_room(&self) -> bool {
        if self.charged.load(Ordering::SeqCst) < self.limit {
            return true;
        }
        self.refused.store(true, Ordering::SeqCst);
        // The last charge may have been dropped between the two lines above.
        self.charged.load(Ordering::SeqCst) < self.limit
    }

    /// Bytes that are charged now.
    pub fn charged(&self) -> usize {
        self.charged.load(Ordering::Relaxed)
    }

    /// Charges a whole response, until the charge is dropped.
    pub fn charge(self: &Arc<Self>, bytes: usize) -> Arc<Charge> {
        self.charged.fetch_add(bytes, Ordering::SeqCst);
        Arc::new(Charge { budget: self.clone(), bytes })
    }
}

/// A part of the budget; dropping the last clone gives it back.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let before = self.budget.charged.fetch_sub(self.bytes, Ordering::SeqCst);
        if before - self.bytes < self.budget.limit && self.budget.refused.swap(false, Ordering::SeqCst) {
            self.budget.waker.wake_by_ref();
        }
    }
}
