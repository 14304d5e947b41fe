//! One partition of a consumer: what of it waits, how far it was handed out, and what of that is done. Shared by the driver, who fills it, by
//! whoever takes its records, and by every message of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Context;

use felice_client_core::consumer::fetcher::Fetched;
use felice_client_core::consumer::offsets::{CommitSource, OffsetTracker};
use felice_client_core::consumer::session::Progress;
use felice_client_core::consumer::{OffsetAndMetadata, TopicPartition};
use felice_client_core::error::Error;
use futures::task::AtomicWaker;

use super::carry::ConsumerKey;
use super::events::EventHub;
use crate::driver::DriverShared;
use crate::fetched_batch::FetchedBatch;
use crate::record::Record;

/// What all partitions of a consumer share.
#[derive(Debug)]
pub(super) struct Vitals {
    /// The application has taken or finished something since the driver looked last.
    progress: AtomicBool,
    /// Something was called done of a partition that was gone.
    late: AtomicBool,
    pub(super) driver: Arc<DriverShared>,
    pub(super) events: EventHub,
    pub(super) check_crcs: bool,
    pub(super) key: ConsumerKey,
}

impl Vitals {
    pub(super) fn new(driver: Arc<DriverShared>, key: ConsumerKey, check_crcs: bool) -> Arc<Self> {
        Arc::new(Self {
            progress: AtomicBool::new(true),
            late: AtomicBool::new(false),
            driver,
            events: EventHub::default(),
            check_crcs,
            key,
        })
    }

    /// The application lives.
    pub(super) fn beat(&self) {
        // A store would take the line from other threads each time.
        if !self.progress.load(Ordering::Relaxed) {
            self.progress.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn take_progress(&self) -> bool {
        self.progress.swap(false, Ordering::Relaxed)
    }

    pub(super) fn take_late(&self) -> bool {
        self.late.swap(false, Ordering::SeqCst)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing of it is fetched yet.
    Held,
    /// It is handed out.
    Open,
    /// Nothing more is handed out; what was may still be done.
    Ended,
    /// Nothing counts any more.
    Gone,
}

#[derive(Debug)]
struct Inner {
    tracker: OffsetTracker,
    queue: VecDeque<Fetched>,
    bytes: usize,
    phase: Phase,
    paused: bool,
    /// Whether `position` is one.
    positioned: bool,
    /// Counts the times that offsets took on another meaning.
    incarnation: u32,
    /// Moves on their way to the fetcher: what it brings until they are there is old.
    moving: u32,
    /// It is in the consumer's list of partitions that have something.
    listed: bool,
    throttled: bool,
    /// The partition's own hold on itself, given up when it ends.
    lease: Option<Arc<Lease>>,
    watched: Weak<Lease>,
    error: Option<Error>,
}

/// One partition.
#[derive(Debug)]
pub(super) struct PartitionShared {
    pub(super) id: TopicPartition,
    pub(super) vitals: Arc<Vitals>,
    inner: Mutex<Inner>,
    /// Changes with every seek, pause and end. Whoever reads a batch looks before each record whether it still may.
    turn: AtomicU32,
    /// The next record to hand out. The only one who moves it without the lock is the one who takes records, and only from where it was.
    position: AtomicI64,
    high_watermark: AtomicI64,
    log_start_offset: AtomicI64,
    /// Whoever waits for this partition alone.
    waker: AtomicWaker,
    /// A stream of its own has been given out.
    given: AtomicBool,
}

/// The right to say that something of a partition is done. When the last one goes, nothing that was handed out can be done any more, and a
/// revocation need not wait longer.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) partition: Arc<PartitionShared>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.partition.vitals.driver.poke();
    }
}

/// Something to hand out.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) batch: FetchedBatch,
    pub(super) token: Token,
    /// Where the next batch begins.
    pub(super) next: i64,
    turn: u32,
    incarnation: u32,
    /// Whether more waits.
    pub(super) more: bool,
}

/// Says what is done when it is.
#[derive(Clone, Debug)]
pub(super) struct Token {
    lease: Arc<Lease>,
    epoch: u32,
    /// Everything from here on belongs to what is handed out next.
    pub(super) from: i64,
}

impl Token {
    pub(super) fn partition(&self) -> &Arc<PartitionShared> {
        &self.lease.partition
    }

    pub(super) fn done(&self, to: i64, leader_epoch: i32) {
        self.lease.partition.finish(self.epoch, self.from, to, leader_epoch);
    }
}

/// What a push asks of the one who pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pushed {
    /// Put it into the list of partitions that have something.
    pub(super) list: bool,
    /// Fetch no more of it for now.
    pub(super) throttle: bool,
}

impl PartitionShared {
    pub(super) fn new(id: TopicPartition, vitals: Arc<Vitals>) -> Arc<Self> {
        let partition = Arc::new(Self {
            id,
            vitals,
            inner: Mutex::new(Inner {
                tracker: OffsetTracker::new(0),
                queue: VecDeque::new(),
                bytes: 0,
                phase: Phase::Held,
                paused: false,
                positioned: false,
                incarnation: 0,
                moving: 0,
                listed: false,
                throttled: false,
                lease: None,
                watched: Weak::new(),
                error: None,
            }),
            turn: AtomicU32::new(0),
            position: AtomicI64::new(-1),
            high_watermark: AtomicI64::new(-1),
            log_start_offset: AtomicI64::new(-1),
            waker: AtomicWaker::new(),
            given: AtomicBool::new(false),
        });
        let lease = Arc::new(Lease { partition: partition.clone() });
        {
            let mut inner = partition.inner();
            inner.watched = Arc::downgrade(&lease);
            inner.lease = Some(lease);
        }
        partition
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the driver does.

    /// It is fetched from now on, from there where that is an offset.
    pub(super) fn open(&self, position: Option<i64>, committed: Option<i64>) {
        let mut inner = self.inner();
        inner.phase = Phase::Open;
        inner.tracker.seek(position.unwrap_or(-1));
        if let Some(committed) = committed {
            inner.tracker.committed(committed);
        }
        inner.positioned = position.is_some();
        self.position.store(position.unwrap_or(-1), Ordering::SeqCst);
    }

    /// The offset to read from has been found.
    pub(super) fn positioned(&self, offset: i64) {
        let mut inner = self.inner();
        if inner.moving > 0 {
            return;
        }
        inner.tracker.seek(offset);
        inner.incarnation = inner.incarnation.wrapping_add(1);
        inner.positioned = true;
        inner.queue.clear();
        inner.bytes = 0;
        self.position.store(offset, Ordering::SeqCst);
        self.turn.fetch_add(1, Ordering::SeqCst);
    }

    /// The offsets between are not in the log any more: they are as good as done.
    pub(super) fn skip(&self, from: i64, to: i64) {
        let mut inner = self.inner();
        let epoch = inner.tracker.epoch();
        inner.tracker.finish(epoch, from, to, -1);
    }

    /// Records came. `limit` is how many bytes of it may wait before it is fetched no more for a while.
    pub(super) fn push(&self, fetched: Fetched, limit: usize) -> Pushed {
        self.high_watermark.store(fetched.high_watermark, Ordering::Relaxed);
        self.log_start_offset.store(fetched.log_start_offset, Ordering::Relaxed);
        let mut inner = self.inner();
        if inner.phase != Phase::Open || inner.moving > 0 || inner.paused {
            return Pushed { list: false, throttle: false };
        }
        inner.bytes += fetched.records.len();
        inner.queue.push_back(fetched);
        let list = !inner.listed;
        inner.listed = true;
        let throttle = inner.bytes > limit && !inner.throttled;
        inner.throttled |= throttle;
        drop(inner);
        self.waker.wake();
        Pushed { list, throttle }
    }

    /// Whether something of it waits already.
    pub(super) fn is_behind(&self) -> bool {
        !self.inner().queue.is_empty()
    }

    /// It is not read on.
    pub(super) fn fail(&self, error: Error) {
        self.inner().error = Some(error);
        self.waker.wake();
    }

    /// Nothing more is handed out.
    pub(super) fn end(&self) {
        let lease = {
            let mut inner = self.inner();
            inner.phase = Phase::Ended;
            inner.queue.clear();
            inner.bytes = 0;
            self.turn.fetch_add(1, Ordering::SeqCst);
            inner.lease.take()
        };
        drop(lease);
        self.waker.wake();
    }

    /// Nothing counts any more.
    pub(super) fn close(&self) {
        self.end();
        let mut inner = self.inner();
        inner.phase = Phase::Gone;
        inner.tracker.close();
    }

    pub(super) fn progress(&self) -> Progress {
        let mut inner = self.inner();
        let position = self.sync(&mut inner);
        Progress {
            position,
            outstanding: inner.tracker.oldest_outstanding(),
            held: inner.watched.strong_count() > usize::from(inner.lease.is_some()),
            waiting: !inner.queue.is_empty(),
            standing: None,
        }
    }

    /// What was handed out record by record is told to the tracker when somebody asks.
    fn sync(&self, inner: &mut Inner) -> Option<i64> {
        let position = self.position.load(Ordering::SeqCst);
        if !inner.positioned {
            return None;
        }
        inner.tracker.deliver(position, -1);
        Some(position)
    }

    pub(super) fn to_commit(&self, source: CommitSource) -> Option<OffsetAndMetadata> {
        let mut inner = self.inner();
        self.sync(&mut inner);
        inner.tracker.to_commit(source)
    }

    pub(super) fn committed(&self, offset: i64) {
        self.inner().tracker.committed(offset);
    }

    /// A move has reached the fetcher.
    pub(super) fn moved(&self) {
        let mut inner = self.inner();
        inner.moving = inner.moving.saturating_sub(1);
    }

    // What the application does.

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.inner().phase, Phase::Ended | Phase::Gone)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.inner().paused
    }

    /// The next record to hand out, where it is known.
    pub(super) fn position(&self) -> Option<i64> {
        let inner = self.inner();
        inner.positioned.then(|| self.position.load(Ordering::SeqCst))
    }

    pub(super) fn watermarks(&self) -> Option<(i64, i64)> {
        let high = self.high_watermark.load(Ordering::Relaxed);
        (high >= 0).then(|| (self.log_start_offset.load(Ordering::Relaxed), high))
    }

    pub(super) fn store(&self, place: OffsetAndMetadata) {
        self.inner().tracker.store(place);
    }

    pub(super) fn store_forward(&self, place: OffsetAndMetadata) {
        self.inner().tracker.store_forward(place);
    }

    /// From here on nothing older is handed out. [`Self::moved`] once the fetcher knows.
    pub(super) fn seek(&self, to: Option<i64>) {
        let mut inner = self.inner();
        inner.moving += 1;
        inner.queue.clear();
        inner.bytes = 0;
        inner.error = None;
        self.turn.fetch_add(1, Ordering::SeqCst);
        inner.positioned = to.is_some();
        let to = to.unwrap_or(-1);
        inner.tracker.seek(to);
        self.position.store(to, Ordering::SeqCst);
    }

    /// Hands out nothing until it is resumed. What waited is fetched again then: kept, it would take the room of others.
    /// [`Self::moved`] once the fetcher knows.
    pub(super) fn pause(&self) {
        let mut inner = self.inner();
        inner.paused = true;
        self.rewind(&mut inner);
    }

    pub(super) fn resume(&self) {
        self.inner().paused = false;
    }

    /// What was taken and not handed out is to be fetched again. [`Self::moved`] once the fetcher knows.
    pub(super) fn give_back(&self) {
        let mut inner = self.inner();
        self.rewind(&mut inner);
    }

    fn rewind(&self, inner: &mut Inner) {
        inner.moving += 1;
        inner.queue.clear();
        inner.bytes = 0;
        self.turn.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes the next batch. `whole`: it is handed out at once, not record by record.
    pub(super) fn take(&self, whole: bool) -> Option<Taken> {
        let (taken, unthrottle) = {
            let mut inner = self.inner();
            let at = self.position.load(Ordering::SeqCst);
            let (fetched, lease) = loop {
                let Some(mut fetched) = inner.queue.pop_front() else {
                    inner.listed = false;
                    return None;
                };
                inner.bytes -= fetched.records.len();
                let Some(lease) = inner.lease.clone().filter(|_| !inner.paused) else {
                    inner.listed = false;
                    return None;
                };
                if fetched.next > at {
                    fetched.from = fetched.from.max(at);
                    break (fetched, lease);
                }
            };
            let (from, next) = (fetched.from, fetched.next);
            self.position.store(if whole { next } else { from }, Ordering::SeqCst);
            if whole {
                inner.tracker.deliver(next, -1);
            }
            let unthrottle = inner.throttled && inner.queue.is_empty();
            if unthrottle {
                inner.throttled = false;
            }
            inner.listed = !inner.queue.is_empty();
            let taken = Taken {
                batch: FetchedBatch::new(fetched, self.vitals.check_crcs),
                token: Token { lease, epoch: inner.tracker.epoch(), from },
                next,
                turn: self.turn.load(Ordering::SeqCst),
                incarnation: inner.incarnation,
                more: inner.listed,
            };
            (taken, unthrottle)
        };
        if unthrottle {
            let (id, key) = (self.id.clone(), self.vitals.key);
            self.vitals.driver.command(move |driver, now| {
                driver.with_consumer(key, now, |consumer, core, _| consumer.unthrottle(core, &id));
            });
        }
        Some(taken)
    }

    /// A stream of its own is given out: once.
    pub(super) fn give_out(&self) -> bool {
        !self.given.swap(true, Ordering::Relaxed)
    }

    /// Waits for this partition alone.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    pub(super) fn take_error(&self) -> Option<Error> {
        self.inner().error.take()
    }

    /// A hold on the partition that ends with it.
    pub(super) fn lease(&self) -> Option<Arc<Lease>> {
        self.inner().lease.clone()
    }

    fn finish(&self, epoch: u32, from: i64, to: i64, leader_epoch: i32) {
        self.vitals.beat();
        let late = {
            let mut inner = self.inner();
            let counted = inner.tracker.finish(epoch, from, to, leader_epoch);
            (!counted && inner.phase == Phase::Gone).then(|| inner.tracker.late())
        };
        if let Some(count) = late {
            self.vitals.late.store(true, Ordering::SeqCst);
            self.vitals.events.late_done(&self.id, count);
        }
    }
}

impl Taken {
    /// The next record with the right to say that it is done; `None` where the batch is over, or counts no more.
    pub(super) fn next(&mut self) -> Option<Result<(Record, Token), Error>> {
        let partition = self.token.lease.partition.clone();
        self.next_of(&partition)
    }

    #[inline]
    fn next_of(&mut self, partition: &PartitionShared) -> Option<Result<(Record, Token), Error>> {
        if partition.turn.load(Ordering::Acquire) != self.turn {
            return None;
        }
        let record = match self.batch.next_owned() {
            Some(Ok(record)) => record,
            Some(Err(error)) => return Some(Err(error)),
            None => {
                self.pass_rest(partition);
                return None;
            }
        };
        let (from, to) = (self.token.from, record.offset() + 1);
        // The exchange is the moment of handing out: a seek before it makes it fail, one after it finds the record handed out.
        if partition.position.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return None;
        }
        if partition.turn.load(Ordering::Acquire) != self.turn && !self.still_counts(partition, from, to) {
            return None;
        }
        let token = self.token.clone();
        self.token.from = to;
        Some(Ok((record, token)))
    }

    /// A pause or a seek came between the look and the exchange. A pause came after the record then. A seek was to this very place, and the
    /// record is its first; unless the topic is another one by now.
    fn still_counts(&mut self, partition: &PartitionShared, from: i64, to: i64) -> bool {
        let inner = partition.inner();
        if inner.incarnation != self.incarnation {
            // Only whoever takes records moves the position forward, so nobody has seen it.
            let _ = partition.position.compare_exchange(to, from, Ordering::SeqCst, Ordering::SeqCst);
            return false;
        }
        self.token.epoch = inner.tracker.epoch();
        true
    }

    /// Behind the last record there may be offsets without one.
    fn pass_rest(&self, partition: &PartitionShared) {
        let (from, next) = (self.token.from, self.next);
        if from < next && partition.position.compare_exchange(from, next, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            let mut inner = partition.inner();
            inner.tracker.finish(self.token.epoch, from, next, -1);
        }
    }
}
