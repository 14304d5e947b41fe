//! The bounded buffer: bytes reserved by the chunk, buffers used again, and a line of those who wait for room.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;
use felice_client_core::producer::accumulator::Memory;
use tokio::sync::Notify;

/// The buffer of one producer.
#[derive(Debug)]
pub(crate) struct BufferPool {
    limit: usize,
    used: AtomicUsize,
    /// Tasks in line.
    pub(crate) waiting: AtomicUsize,
    /// The line: whoever holds it is first, the others come in the order in which they asked.
    pub(crate) turnstile: tokio::sync::Mutex<()>,
    pub(crate) freed: Notify,
    free: Mutex<Vec<BytesMut>>,
}

/// Buffers below this are not worth keeping.
const KEEP_FROM: usize = 16 * 1024;

impl BufferPool {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            turnstile: tokio::sync::Mutex::new(()),
            freed: Notify::new(),
            free: Mutex::default(),
        }
    }

    /// Gives reserved bytes back. Whoever waits is woken once a quarter is free, not for each batch.
    pub(crate) fn release(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let used = self.used.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if self.waiting.load(Ordering::SeqCst) > 0 && used <= self.limit - self.limit / 4 {
            self.freed.notify_one();
        }
    }

    /// Keeps a buffer for the next batch.
    pub(crate) fn recycle(&self, buffer: BytesMut) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = free.iter().map(BytesMut::capacity).sum();
        if buffer.capacity() >= KEEP_FROM && kept + buffer.capacity() <= self.limit / 2 {
            free.push(buffer);
        }
    }

    /// Reserves past the limit: for records that were counted before, in another form.
    pub(crate) fn reserve_anyway(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::SeqCst);
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
}

impl Memory for BufferPool {
    fn try_reserve(&self, bytes: usize) -> bool {
        // A batch larger than all of the buffer goes when the buffer is empty.
        let fits = |used: usize| (used + bytes <= self.limit || used == 0).then_some(used + bytes);
        self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok()
    }

    fn buffer(&self, capacity: usize) -> BytesMut {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // The one used last is the one that the caches know.
        match free
            .iter()
            .rposition(|buffer| buffer.capacity() >= capacity && buffer.capacity() <= capacity.saturating_mul(4))
        {
            Some(at) => free.swap_remove(at),
            None => BytesMut::with_capacity(capacity),
        }
    }
}

/// Memory that is always there: for records that waited, counted, for their topic.
pub(crate) struct Beyond<'a>(pub(crate) &'a BufferPool);

impl Memory for Beyond<'_> {
    fn try_reserve(&self, bytes: usize) -> bool {
        self.0.reserve_anyway(bytes);
        true
    }

    fn buffer(&self, capacity: usize) -> BytesMut {
        self.0.buffer(capacity)
    }
}
