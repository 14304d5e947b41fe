//! A partition as the program's threads and the driver's share it: whoever pops a message writes nothing but atomics here.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use felice::TopicPartition;
use felice::raw::{FetchId, Position};

use crate::queue::Queue;
use crate::topic::Topic;
use crate::types::offset;

/// An offset and its leader's epoch. The two are written apart: an epoch may be that of the record beside.
#[derive(Debug)]
pub(crate) struct Place {
    offset: AtomicI64,
    epoch: AtomicI32,
}

impl Default for Place {
    fn default() -> Self {
        Self { offset: AtomicI64::new(offset::INVALID), epoch: AtomicI32::new(-1) }
    }
}

impl Place {
    #[inline]
    pub(crate) fn set(&self, offset: i64, epoch: i32) {
        self.offset.store(offset, Ordering::Release);
        self.epoch.store(epoch, Ordering::Release);
    }

    pub(crate) fn clear(&self) {
        self.set(offset::INVALID, -1);
    }

    /// [`offset::INVALID`] for none.
    pub(crate) fn offset(&self) -> i64 {
        self.offset.load(Ordering::Acquire)
    }

    /// −1 for none.
    pub(crate) fn epoch(&self) -> i32 {
        self.epoch.load(Ordering::Acquire)
    }
}

/// Who reads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Nobody.
    None,
    /// `rd_kafka_assign` and its kin.
    Assigned,
    /// `rd_kafka_consume_start`.
    Started,
}

/// What changes seldom.
#[derive(Debug)]
struct Seldom {
    used: Use,
    /// Where reading starts, as far as it is known: for whoever resumes before the first message.
    start: Option<Position>,
    /// What the program noted beside the stored offset.
    note: Vec<u8>,
    fetch: Option<FetchId>,
}

/// A partition of a handle. It lives as long as the handle, since programs may hold its queue.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: TopicPartition,
    /// What its messages point to.
    pub(crate) topic: Arc<Topic>,
    pub(crate) queue: Arc<Queue>,
    /// What was fetched for an older version is dropped when it is popped: bumped by assign, seek, pause.
    version: AtomicU32,
    /// The version that the fetcher works for; the driver's.
    fetched_for: AtomicU32,
    /// Bumped by what sets the position: a look-up for an older turn is void.
    turn: AtomicU32,
    /// Where the program asked to begin, when it assigned.
    pub(crate) asked: Place,
    /// Behind the last message that the program got.
    pub(crate) app: Place,
    /// What the next commit commits.
    pub(crate) stored: Place,
    /// What was committed last, or found committed.
    pub(crate) committed: Place,
    has_note: AtomicBool,
    /// Where to begin is asked for: the program's moves are refused until that is known.
    pub(crate) looking: AtomicBool,
    /// The ends as of the last answer; [`offset::INVALID`] where there was none.
    pub(crate) low: AtomicI64,
    pub(crate) high: AtomicI64,
    /// The end that was told last.
    pub(crate) end: AtomicI64,
    pub(crate) paused: AtomicBool,
    /// The first message of a batch that is still being filled; [`offset::INVALID`] for none.
    pub(crate) unfinished: AtomicI64,
    /// What waits in queues, in bytes.
    pub(crate) waiting: AtomicUsize,
    /// Nothing is fetched until less waits.
    pub(crate) throttled: AtomicBool,
    /// How many offsets wait in queues: as many records, where none were compacted away.
    pub(crate) queued: AtomicU64,
    /// So many wait that nothing is fetched until it is less than `queued.min.messages`.
    pub(crate) full: AtomicBool,
    /// Records that were handed out, nearly, and their bytes.
    pub(crate) received: (AtomicU64, AtomicU64),
    seldom: Mutex<Seldom>,
    stores: bool,
}

impl Slot {
    pub(crate) fn new(name: TopicPartition, topic: Arc<Topic>, stores: bool) -> Arc<Self> {
        Arc::new(Self {
            name,
            topic,
            queue: Queue::new(),
            version: AtomicU32::new(0),
            fetched_for: AtomicU32::new(0),
            turn: AtomicU32::new(0),
            asked: Place::default(),
            app: Place::default(),
            stored: Place::default(),
            committed: Place::default(),
            has_note: AtomicBool::new(false),
            looking: AtomicBool::new(false),
            low: AtomicI64::new(offset::INVALID),
            high: AtomicI64::new(offset::INVALID),
            end: AtomicI64::new(offset::INVALID),
            paused: AtomicBool::new(false),
            unfinished: AtomicI64::new(offset::INVALID),
            waiting: AtomicUsize::new(0),
            throttled: AtomicBool::new(false),
            queued: AtomicU64::new(0),
            full: AtomicBool::new(false),
            received: (AtomicU64::new(0), AtomicU64::new(0)),
            seldom: Mutex::new(Seldom { used: Use::None, start: None, note: Vec::new(), fetch: None }),
            stores,
        })
    }

    fn seldom(&self) -> MutexGuard<'_, Seldom> {
        self.seldom.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    /// What was fetched so far is dropped. Gives the new version.
    pub(crate) fn bump(&self) -> u32 {
        self.version.fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    pub(crate) fn fetched_for(&self) -> u32 {
        self.fetched_for.load(Ordering::Acquire)
    }

    pub(crate) fn set_fetched_for(&self, version: u32) {
        self.fetched_for.store(version, Ordering::Release);
    }

    pub(crate) fn turn(&self) -> u32 {
        self.turn.load(Ordering::Acquire)
    }

    pub(crate) fn next_turn(&self) -> u32 {
        self.turn.fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    /// The program has the message before `next`.
    #[inline]
    pub(crate) fn took(&self, next: i64, epoch: i32) {
        self.app.set(next, epoch);
        if self.stores {
            self.store_taken(next, epoch);
        }
    }

    #[inline]
    fn store_taken(&self, next: i64, epoch: i32) {
        if self.has_note.load(Ordering::Acquire) {
            self.store(next, epoch, &[]);
        } else {
            self.stored.set(next, epoch);
        }
    }

    /// The next commit commits this.
    pub(crate) fn store(&self, offset: i64, epoch: i32, note: &[u8]) {
        let mut seldom = self.seldom();
        seldom.note.clear();
        seldom.note.extend_from_slice(note);
        self.has_note.store(!note.is_empty(), Ordering::Release);
        self.stored.set(offset, epoch);
    }

    /// What is noted beside the stored offset.
    pub(crate) fn note(&self) -> Vec<u8> {
        if self.has_note.load(Ordering::Acquire) { self.seldom().note.clone() } else { Vec::new() }
    }

    /// Whether a commit of what is stored has something new.
    pub(crate) fn is_uncommitted(&self) -> bool {
        let (stored, committed) = (&self.stored, &self.committed);
        if stored.offset() < 0 {
            return false;
        }
        if stored.epoch() >= 0 && committed.epoch() >= 0 && stored.epoch() != committed.epoch() {
            return stored.epoch() > committed.epoch();
        }
        stored.offset() > committed.offset()
    }

    pub(crate) fn used(&self) -> Use {
        self.seldom().used
    }

    pub(crate) fn set_used(&self, used: Use) {
        self.seldom().used = used;
    }

    pub(crate) fn start(&self) -> Option<Position> {
        self.seldom().start
    }

    pub(crate) fn set_start(&self, start: Option<Position>) {
        self.seldom().start = start;
    }

    pub(crate) fn fetch(&self) -> Option<FetchId> {
        self.seldom().fetch
    }

    pub(crate) fn set_fetch(&self, fetch: Option<FetchId>) {
        self.seldom().fetch = fetch;
    }
}
