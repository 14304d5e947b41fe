//! The bytes of fetched responses that are still referred to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;

use crate::metadata::BrokerId;

/// Takes a response that nobody refers to any more, to use its memory again.
pub type Recycler = Box<dyn Fn(Bytes) + Send + Sync>;

/// Counts what is charged; wakes whoever was refused once there is room again.
pub struct Budget {
    limit: usize,
    charged: AtomicUsize,
    refused: AtomicBool,
    waker: Waker,
    recycler: Option<Recycler>,
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget").field("limit", &self.limit).field("charged", &self.charged).finish_non_exhaustive()
    }
}

impl Budget {
    /// A budget; `waker` is woken when a refused reader may go on.
    pub fn new(limit: usize, waker: Waker) -> Arc<Self> {
        Self::build(limit, waker, None)
    }

    /// As [`Self::new`]; `recycler` gets each response after its charge is gone.
    pub fn with_recycler(limit: usize, waker: Waker, recycler: Recycler) -> Arc<Self> {
        Self::build(limit, waker, Some(recycler))
    }

    fn build(limit: usize, waker: Waker, recycler: Option<Recycler>) -> Arc<Self> {
        Arc::new(Self { limit, charged: AtomicUsize::new(0), refused: AtomicBool::new(false), waker, recycler })
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
    pub fn charge(self: &Arc<Self>, response: Bytes) -> Arc<Charge> {
        self.charge_from(-1, response)
    }

    /// Charges a whole response of this broker, until the charge is dropped.
    pub fn charge_from(self: &Arc<Self>, broker: BrokerId, response: Bytes) -> Arc<Charge> {
        let bytes = response.len();
        self.charged.fetch_add(bytes, Ordering::SeqCst);
        Arc::new(Charge { budget: self.clone(), bytes, broker, response })
    }
}

/// A part of the budget; dropping the last clone gives it back.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
    broker: BrokerId,
    response: Bytes,
}

impl Charge {
    /// Whose response it is; −1 where nobody said.
    pub fn broker(&self) -> BrokerId {
        self.broker
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let before = self.budget.charged.fetch_sub(self.bytes, Ordering::SeqCst);
        if before - self.bytes < self.budget.limit && self.budget.refused.swap(false, Ordering::SeqCst) {
            self.budget.waker.wake_by_ref();
        }
        if let Some(recycler) = &self.budget.recycler {
            recycler(std::mem::take(&mut self.response));
        }
    }
}
