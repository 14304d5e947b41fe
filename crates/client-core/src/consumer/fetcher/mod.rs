//! Reads partitions from positions, without a group. Only the driver touches it.
//!
//! - this file: what goes in and out, and the application's commands
//! - `partition`: how far a partition has been read
//! - `positions`: ListOffsets: where reading starts and ends
//! - `fetch`: Fetch requests and their answers
//! - `epochs`: OffsetForLeaderEpoch: whether a position is still in the log
//!
//! One Fetch is in flight to each broker. When its answer comes, positions move on by the batches' headers alone and the next Fetch leaves
//! before a record is decoded; records are decoded where the application reads them. Answers that nobody has read yet are bounded by a
//! [`Budget`]. A seek makes a new generation of the partition, and what was fetched for an older one is dropped.
//! Java: `Fetcher`, `OffsetFetcher`.

mod epochs;
mod fetch;
mod partition;
mod positions;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::{Instant, Now};

use self::partition::Partition;
pub use self::positions::Position;
use self::positions::Want;
use super::budget::{Budget, Charge};
use crate::backoff::Backoff;
use crate::config::FetchConfig;
use crate::error::Error;
use crate::metadata::{BrokerId, ClusterMetadata, LeaderHint};

/// A partition of one fetcher, by the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u32);

/// What one answer brought of one partition: whole record batches, not decoded.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The partition.
    pub partition: FetchId,
    /// Its topic.
    pub topic: ByteStr,
    /// Its number.
    pub index: i32,
    /// The batches; the first may begin before `from`.
    pub records: Bytes,
    /// The offset that was asked for: records before it are skipped.
    pub from: i64,
    /// Where the next answer begins: behind the last batch.
    pub next: i64,
    /// Records from here on are not wanted.
    pub until: Option<i64>,
    /// The end of what readers see.
    pub high_watermark: i64,
    /// The first offset that is still there.
    pub log_start_offset: i64,
    /// Aborted transactions, `(producer id, first offset)`.
    pub aborted: Arc<[(i64, i64)]>,
    /// Which life of the partition this belongs to.
    pub generation: u32,
    /// Holds the bytes in the budget.
    pub charge: Arc<Charge>,
}

/// What a fetcher tells.
#[derive(Clone, Debug)]
pub enum FetchEvent {
    /// Records.
    Data(Fetched),
    /// The position has been found.
    Positioned {
        /// Whose.
        partition: FetchId,
        /// Where reading starts.
        offset: i64,
        /// Where it ends, where it does.
        until: Option<i64>,
        /// Why it was looked for.
        cause: PositionCause,
        /// Which life of the partition this belongs to.
        generation: u32,
    },
    /// All that was wanted of the partition has been handed out.
    Ended {
        /// Whose.
        partition: FetchId,
    },
    /// The position is at the end of the log, for the first time since it moved.
    EndOfPartition {
        /// Whose.
        partition: FetchId,
        /// The end.
        offset: i64,
    },
    /// The partition is not read on.
    Failed {
        /// Whose.
        partition: FetchId,
        /// Why.
        error: Error,
    },
}

/// Why a position was looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PositionCause {
    /// It was asked for.
    #[default]
    Asked,
    /// This offset was not in the log, and `auto.offset.reset` says what then.
    OutOfRange(i64),
    /// The topic was deleted and made anew: its first record is the next.
    Recreated,
}

/// What a partition waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is paused.
    Paused,
    /// Nothing: a broker is asked for what comes.
    Fetching,
    /// No broker leads it.
    NoLeader,
    /// The offset to start from is being looked up.
    FindingOffset,
    /// The last attempt failed, and the next one comes later.
    Backoff,
    /// It is not read on: it has ended or failed.
    Over,
}

/// A request of a fetcher.
#[derive(Debug)]
pub struct FetchOut<R> {
    /// To whom.
    pub broker: BrokerId,
    /// What.
    pub request: R,
    /// By which it is answered.
    pub id: u64,
    /// The highest version that may be used.
    pub max_version: i16,
}

/// What a request in flight asks for.
#[derive(Debug)]
struct Asked {
    broker: BrokerId,
    partitions: Vec<AskedPartition>,
}

/// A partition in a request: what was so when it was asked for.
#[derive(Clone, Copy, Debug)]
struct AskedPartition {
    id: FetchId,
    generation: u32,
    leader_epoch: i32,
    /// What is asked of; 0 where the offset is the question.
    offset: i64,
}

impl AskedPartition {
    fn new(id: FetchId, p: &Partition, offset: i64) -> Self {
        Self { id, generation: p.generation, leader_epoch: p.leader_epoch, offset }
    }
}

/// The fetcher.
#[derive(Debug)]
pub struct Fetcher {
    config: FetchConfig,
    budget: Arc<Budget>,
    partitions: BTreeMap<FetchId, Partition>,
    by_name: BTreeMap<(ByteStr, i32), FetchId>,
    /// The brokers that are known: only to them a leader can send us.
    brokers: BTreeSet<BrokerId>,
    next_partition: u32,
    fetches: BTreeMap<u64, Asked>,
    busy: BTreeSet<BrokerId>,
    listings: BTreeMap<u64, (Want, Asked)>,
    validations: BTreeMap<u64, Asked>,
    next_request: u64,
    rotation: u32,
    events: VecDeque<FetchEvent>,
    hints: Vec<LeaderHint>,
    refresh: bool,
}

impl Fetcher {
    /// A fetcher without partitions.
    pub fn new(config: FetchConfig, budget: Arc<Budget>) -> Self {
        Self {
            config,
            budget,
            partitions: BTreeMap::new(),
            by_name: BTreeMap::new(),
            brokers: BTreeSet::new(),
            next_partition: 0,
            fetches: BTreeMap::new(),
            busy: BTreeSet::new(),
            listings: BTreeMap::new(),
            validations: BTreeMap::new(),
            next_request: 0,
            rotation: 0,
            events: VecDeque::new(),
            hints: Vec::new(),
            refresh: false,
        }
    }

    /// Reads a partition from `start`, up to `until` where that is given.
    pub fn add_partition(
        &mut self,
        topic: &ByteStr,
        index: i32,
        start: Position,
        until: Option<Position>,
        metadata: &ClusterMetadata,
    ) -> FetchId {
        let id = FetchId(self.next_partition);
        self.next_partition += 1;
        if let Some(old) = self.by_name.insert((topic.clone(), index), id) {
            self.partitions.remove(&old);
        }
        let backoff = Backoff::new(self.config.retry_backoff, self.config.retry_backoff_max, u64::from(id.0));
        let mut p = Partition::new(topic, index, backoff);
        p.place(metadata);
        self.brokers = metadata.brokers.keys().copied().collect();
        match until {
            Some(Position::Offset(offset)) => p.until = Some(offset),
            Some(_) | None => p.end = until,
        }
        match start {
            Position::Offset(offset) => p.position = Some(offset),
            Position::Start | Position::End | Position::BeforeEnd(_) | Position::NotBefore(_) | Position::Time(_) => {
                p.start = Some(start)
            }
        }
        self.partitions.insert(id, p);
        self.check_over(id);
        id
    }

    /// Reads on from another place. Nothing that was fetched before counts from here on: the new generation is returned.
    pub fn seek(&mut self, id: FetchId, to: Position) -> Option<u32> {
        let p = self.partitions.get_mut(&id)?;
        p.next_generation();
        p.forget_epochs();
        match to {
            Position::Offset(offset) => {
                p.position = Some(offset);
                p.start = None;
            }
            Position::Start | Position::End | Position::BeforeEnd(_) | Position::NotBefore(_) | Position::Time(_) => {
                p.start = Some(to)
            }
        }
        Some(p.generation)
    }

    /// Reads the partition no more.
    pub fn remove_partition(&mut self, id: FetchId) {
        if let Some(p) = self.partitions.remove(&id) {
            let name = (p.topic, p.index);
            if self.by_name.get(&name) == Some(&id) {
                self.by_name.remove(&name);
            }
        }
    }

    /// Holds a partition back, or lets it go on, because of what of it waits to be read; apart from [`Self::pause`].
    pub fn throttle(&mut self, id: FetchId, throttled: bool) {
        if let Some(p) = self.partitions.get_mut(&id) {
            p.throttled = throttled;
        }
    }

    /// What a partition waits for.
    pub fn standing(&self, now: Now, id: FetchId) -> Option<Standing> {
        let p = self.partitions.get(&id)?;
        Some(match p {
            p if p.over => Standing::Over,
            p if p.paused => Standing::Paused,
            p if p.leader.is_none() => Standing::NoLeader,
            p if p.is_blocked(now) => Standing::Backoff,
            p if p.resolved().is_none() || p.is_doubtful() => Standing::FindingOffset,
            _ => Standing::Fetching,
        })
    }

    /// Pauses or resumes a partition.
    pub fn pause(&mut self, id: FetchId, paused: bool) {
        if let Some(p) = self.partitions.get_mut(&id) {
            p.paused = paused;
        }
    }

    /// The generation of a partition: data of another one is stale.
    pub fn generation(&self, id: FetchId) -> Option<u32> {
        self.partitions.get(&id).map(|p| p.generation)
    }

    /// The next offset to ask for.
    pub fn position(&self, id: FetchId) -> Option<i64> {
        self.partitions.get(&id)?.position
    }

    /// New metadata: partitions may have moved.
    pub fn handle_metadata(&mut self, metadata: &ClusterMetadata) {
        self.brokers = metadata.brokers.keys().copied().collect();
        for p in self.partitions.values_mut() {
            p.place(metadata);
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<FetchEvent> {
        self.events.pop_front()
    }

    /// Leaders that answers have named since the last call.
    pub fn poll_leader_hints(&mut self) -> Vec<LeaderHint> {
        std::mem::take(&mut self.hints)
    }

    /// Whether the metadata has proven old since the last call.
    pub fn poll_refresh(&mut self) -> bool {
        std::mem::take(&mut self.refresh)
    }

    /// When to poll for requests again without another input.
    pub fn poll_timeout(&self, now: Now) -> Option<Instant> {
        self.partitions.values().filter(|p| !p.over).filter_map(|p| p.timeout(now)).min()
    }

    fn fail(&mut self, id: FetchId, error: Error) {
        if let Some(p) = self.partitions.get_mut(&id) {
            p.over = true;
            let error = error.on_partition(&p.topic, p.index);
            self.events.push_back(FetchEvent::Failed { partition: id, error });
        }
    }

    fn check_over(&mut self, id: FetchId) {
        if let Some(p) = self.partitions.get_mut(&id)
            && let (Some(position), Some(until)) = (p.resolved(), p.until)
            && position >= until
            && !p.over
        {
            p.over = true;
            self.events.push_back(FetchEvent::Ended { partition: id });
        }
    }
}
