//! A topic of a producer: its partitions once they are known, and its records from before.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use felice_client_core::producer::accumulator::Accumulator;
use felice_client_core::producer::sender::PartitionId;
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Instant;

use super::completion::WaitingCell;
use super::finished::RecordTag;
use super::record::NewRecord;
use crate::producer::Tag;

/// One partition: the only lock that an append takes.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: PartitionId,
    pub(crate) index: i32,
    has_leader: AtomicBool,
    accumulator: Mutex<Accumulator<Tag>>,
}

impl Slot {
    pub(crate) fn new(id: PartitionId, index: i32, accumulator: Accumulator<Tag>) -> Self {
        Self { id, index, has_leader: AtomicBool::new(false), accumulator: Mutex::new(accumulator) }
    }

    pub(crate) fn has_leader(&self) -> bool {
        self.has_leader.load(Ordering::Relaxed)
    }

    pub(crate) fn set_has_leader(&self, has: bool) {
        self.has_leader.store(has, Ordering::Relaxed);
    }

    pub(crate) fn accumulator(&self) -> MutexGuard<'_, Accumulator<Tag>> {
        self.accumulator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The partitions of a topic, by number.
#[derive(Debug)]
pub(crate) struct Partitions {
    pub(crate) slots: Vec<Arc<Slot>>,
}

/// A record that waits for its topic's partitions.
#[derive(Debug)]
pub(crate) struct WaitingRecord {
    pub(crate) record: NewRecord<'static>,
    pub(crate) timestamp: i64,
    pub(crate) cell: Option<Arc<WaitingCell>>,
    pub(crate) tag: Option<RecordTag>,
    pub(crate) since: Instant,
    pub(crate) reserved: usize,
}

/// The line before a topic's partitions are known.
#[derive(Debug, Default)]
pub(crate) struct WaitingLine {
    pub(crate) records: VecDeque<WaitingRecord>,
    /// The partitions are known and the line is empty: nobody may join it any more.
    pub(crate) over: bool,
}

/// A topic.
#[derive(Debug)]
pub(crate) struct TopicEntry {
    pub(crate) name: ByteStr,
    pub(crate) partitions: ArcSwapOption<Partitions>,
    /// The same, from before the records that waited for it have been appended: for partitioners that ask.
    pub(crate) known: ArcSwapOption<Partitions>,
    /// Where records without a key go for now.
    sticky: AtomicUsize,
    waiting: Mutex<WaitingLine>,
    /// Held by whoever moves records from the line into batches, so that they keep their order.
    moving: Mutex<()>,
    pub(crate) has_waiting: AtomicBool,
    /// When it was first asked for.
    pub(crate) since: Instant,
}

impl TopicEntry {
    pub(crate) fn new(name: &str, seed: u64) -> Self {
        Self {
            name: name.into(),
            partitions: ArcSwapOption::empty(),
            known: ArcSwapOption::empty(),
            sticky: AtomicUsize::new(usize::try_from(seed & 0xffff).unwrap_or(0)),
            waiting: Mutex::default(),
            moving: Mutex::default(),
            has_waiting: AtomicBool::new(false),
            since: crate::clock::instant(),
        }
    }

    pub(crate) fn waiting(&self) -> MutexGuard<'_, WaitingLine> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn moving(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sticky(&self, count: usize) -> usize {
        self.sticky.load(Ordering::Relaxed) % count.max(1)
    }

    /// The sticky partition has had its share; of several that see it, one moves on.
    pub(crate) fn switch(&self, from: usize, count: usize) {
        let current = self.sticky.load(Ordering::Relaxed);
        if current % count.max(1) == from {
            // Losing the race means that another has moved on already.
            let _ =
                self.sticky.compare_exchange(current, current.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// The topics of a producer, replaced as a whole when one is added.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicTable {
    topics: Vec<Arc<TopicEntry>>,
}

/// Up to this many, comparing names one by one is faster than anything cleverer.
const SCAN: usize = 8;

impl TopicTable {
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<TopicEntry>> {
        if self.topics.len() <= SCAN {
            return self.topics.iter().find(|topic| **topic.name.as_bytes() == *name.as_bytes());
        }
        let at = self.topics.binary_search_by(|topic| (**topic.name.as_bytes()).cmp(name.as_bytes())).ok()?;
        self.topics.get(at)
    }

    pub(crate) fn with(&self, entry: Arc<TopicEntry>) -> Self {
        let mut topics = self.topics.clone();
        let at = topics.partition_point(|topic| **topic.name.as_bytes() < **entry.name.as_bytes());
        topics.insert(at, entry);
        Self { topics }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<TopicEntry>> {
        self.topics.iter()
    }
}
