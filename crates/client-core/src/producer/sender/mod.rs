//! Batches into Produce requests, answers into outcomes. Only the driver touches it. Java: `Sender`, the in-flight part of `TransactionManager`.
//!
//! - this file: what goes in and out, and the inputs that are about no request
//! - `partition`: a partition's place in the cluster and its batches that have left but are not done, with their sequences
//! - `request`: which batches go into the next Produce request
//! - `response`: what an answer, or its absence, makes of each batch: delivered, retried, given up
//! - `purge`: what the application gives up
//! - `standing`: how far it is, for statistics
//! - `timeout`: `delivery.timeout.ms`, and when to look again
//!
//! The rules, each with a test:
//! - A batch that was written keeps its producer id, epoch and sequence. Giving one up bumps the epoch, and the batches behind it start
//!   again from sequence zero, unless they may be in the log, in which case they are given up as well.
//! - More than one batch of a partition is in flight only after the leader has taken one; a new leader gets none before the old one has
//!   answered or is gone.
//! - Retries keep order: as long as one waits, nothing behind it leaves, and it waits until all that is in flight has been answered.
//! - What left and was never answered is [`Persisted::Maybe`], never "failed".

mod partition;
mod purge;
mod request;
mod response;
mod standing;
mod timeout;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use felice_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProduceRequest};
use felice_protocol::primitives::ByteStr;
use felice_protocol::records::ClosedBatch;
use felice_protocol::time::{Instant, Now};

use self::partition::Partition;
pub use self::standing::{IdentityState, PartitionStanding, SenderStanding};
use super::accumulator::ReadyBatch;
use super::idempotence::Idempotence;
use crate::backoff::Backoff;
use crate::config::ProducerConfig;
use crate::error::{Error, Persisted};
use crate::metadata::{BrokerId, ClusterMetadata};

/// A partition of one producer, by the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub u32);

/// Where the sender takes batches from: the accumulators, behind whatever lock their owner has around each.
pub trait BatchSource<T>: Send {
    /// The next batch of a partition, if it is due; `force` does not wait for the linger.
    fn take(&mut self, now: Now, partition: PartitionId, force: bool) -> Available<T>;
    /// When the oldest record that waits in a partition came.
    fn oldest(&mut self, partition: PartitionId) -> Option<Instant>;
    /// The next batch of a partition, to be given up: nobody compresses it. Those that somebody is closing now are left.
    fn give_up(&mut self, now: Now, partition: PartitionId) -> Option<ReadyBatch<T>> {
        match self.take(now, partition, true) {
            Available::Batch(batch) => Some(batch),
            Available::Closing | Available::Lingering(_) | Available::Empty => None,
        }
    }
}

/// What a [`BatchSource`] has.
#[derive(Debug)]
pub enum Available<T> {
    /// A batch.
    Batch(ReadyBatch<T>),
    /// One is being closed; the sender hears of it by [`Sender::handle_ready`].
    Closing,
    /// One lingers until then.
    Lingering(Instant),
    /// None.
    Empty,
}

/// How a batch ended.
#[derive(Debug)]
pub enum Outcome {
    /// The broker has it.
    Delivered {
        /// The offset of the first record; −1 where the broker did not say.
        base_offset: i64,
        /// The broker's timestamp, on topics that take it.
        log_append_time: Option<i64>,
    },
    /// It failed.
    Failed {
        /// Why.
        error: Error,
        /// Whether it is in the log all the same.
        persisted: Persisted,
    },
}

/// A batch that is done.
#[derive(Debug)]
pub struct Finished<T> {
    /// Its partition.
    pub partition: PartitionId,
    /// What the application attached; `None` where its failure was reported before, when its time was up while it was in flight.
    pub tag: Option<T>,
    /// How it ended.
    pub outcome: Outcome,
    /// The records, to give back or to reuse their buffer where no request holds it any more.
    pub batch: Option<ClosedBatch>,
    /// The broker that it was last sent to.
    pub broker: Option<BrokerId>,
    /// When its first record came.
    pub opened_at: Instant,
    /// When it left first; `None` where it never did.
    pub written_at: Option<Instant>,
    /// Memory to give back.
    pub reserved: usize,
    /// How many records.
    pub count: u32,
}

/// A request to send.
#[derive(Debug)]
pub struct ProduceOut {
    /// To whom.
    pub broker: BrokerId,
    /// What.
    pub request: ProduceRequest,
    /// By which it is answered.
    pub id: u64,
    /// The highest version that may be used: topics without an id need one that names them.
    pub max_version: i16,
    /// Whether an answer comes.
    pub answered: bool,
}

/// How a Produce request ended without an answer.
#[derive(Clone, Debug)]
pub struct ProduceFailure {
    /// Why.
    pub error: Error,
    /// Whether a byte of it may have arrived.
    pub sent: bool,
}

/// What a test makes of each answer: the broker, the number of the batch's first record in its partition, counted from 1, and the code, in; the
/// code that is taken instead, out. A negative one is no answer at all.
pub struct Overrule(pub Box<dyn FnMut(BrokerId, u64, i16) -> i32 + Send>);

impl std::fmt::Debug for Overrule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Overrule")
    }
}

/// The sender; `T` is what the application attached to each batch.
#[derive(Debug)]
pub struct Sender<T> {
    config: ProducerConfig,
    partitions: Vec<Partition<T>>,
    by_name: BTreeMap<(ByteStr, i32), PartitionId>,
    /// Partitions with something to send or to await.
    active: BTreeSet<PartitionId>,
    /// Requests in flight: to whom and which partitions.
    requests: BTreeMap<u64, (BrokerId, Vec<PartitionId>)>,
    in_flight: BTreeMap<BrokerId, usize>,
    next_request: u64,
    rotation: u32,
    idempotence: Idempotence,
    finished: VecDeque<Finished<T>>,
    force: bool,
    refresh: bool,
    overrule: Option<Overrule>,
}

impl<T> Sender<T> {
    /// A sender without partitions.
    pub fn new(config: ProducerConfig, seed: u64) -> Self {
        let backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max, seed);
        Self {
            idempotence: Idempotence::new(config.idempotence, backoff),
            config,
            partitions: Vec::new(),
            by_name: BTreeMap::new(),
            active: BTreeSet::new(),
            requests: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            next_request: 0,
            rotation: 0,
            finished: VecDeque::new(),
            force: false,
            refresh: false,
            overrule: None,
        }
    }

    /// Has answers judged by a test.
    pub fn overrule(&mut self, overrule: Overrule) {
        self.overrule = Some(overrule);
    }

    /// Adds a partition, or finds the one of that name.
    pub fn add_partition(&mut self, topic: &ByteStr, index: i32, metadata: &ClusterMetadata) -> PartitionId {
        if let Some(id) = self.by_name.get(&(topic.clone(), index)) {
            return *id;
        }
        let id = PartitionId(u32::try_from(self.partitions.len()).unwrap_or(u32::MAX));
        let backoff = Backoff::new(self.config.retry_backoff, self.config.retry_backoff_max, u64::from(id.0));
        let mut partition = Partition::new(topic, index, backoff);
        partition.place(metadata);
        self.partitions.push(partition);
        self.by_name.insert((topic.clone(), index), id);
        id
    }

    fn partition(&self, id: PartitionId) -> Option<&Partition<T>> {
        self.partitions.get(id.0 as usize)
    }

    /// New metadata: partitions may have moved.
    pub fn handle_metadata(&mut self, metadata: &ClusterMetadata) {
        for partition in &mut self.partitions {
            partition.place(metadata);
        }
    }

    /// A batch of this partition opened or became full.
    pub fn handle_ready(&mut self, now: Now, id: PartitionId) {
        if let Some(p) = self.partitions.get_mut(id.0 as usize) {
            p.has_batches = true;
            p.lingering_until = None;
            p.oldest.get_or_insert(now.instant());
            self.active.insert(id);
        }
    }

    /// While on, nothing lingers: a flush waits, or memory is short.
    pub fn force(&mut self, on: bool) {
        self.force = on;
        if on {
            for id in &self.active {
                if let Some(p) = self.partitions.get_mut(id.0 as usize) {
                    p.lingering_until = None;
                }
            }
        }
    }

    /// Whether [`Self::poll_init_producer_id`] would give a request.
    pub fn wants_producer_id(&self, now: Now) -> bool {
        self.idempotence.poll_timeout().is_some_and(|at| at <= now.instant())
    }

    /// The request for a producer id, if one is due.
    pub fn poll_init_producer_id(&mut self, now: Now) -> Option<InitProducerIdRequest> {
        self.idempotence.poll_request(now)
    }

    /// The answer to that, or why there is none.
    pub fn handle_init_producer_id(&mut self, now: Now, response: Result<&InitProducerIdResponse, &Error>) {
        self.idempotence.handle_response(now, response);
    }

    /// The next batch that is done.
    pub fn poll_finished(&mut self) -> Option<Finished<T>> {
        self.finished.pop_front()
    }

    /// Whether the metadata has proven old since the last call.
    pub fn poll_refresh(&mut self) -> bool {
        std::mem::take(&mut self.refresh)
    }

    /// How many partitions have something to send or to await.
    pub fn active(&self) -> usize {
        self.active.len()
    }
}
