//! Batches into Produce requests, answers into outcomes. Only the driver touches it.
//!
//! The rules, each with a test:
//! - A batch that was written keeps its producer id, epoch and sequence. Giving one up bumps the epoch, and the batches behind it start
//!   again from sequence zero, unless they may be in the log, in which case they are given up as well.
//! - More than one batch of a partition is in flight only after the leader has taken one; a new leader gets none before the old one has
//!   answered or is gone.
//! - Retries keep order: as long as one waits, nothing behind it leaves, and it waits until all that is in flight has been answered.
//! - What left and was never answered is [`Persisted::Maybe`], never "failed".

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, produce,
};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::records::{ClosedBatch, Producer};
use felice_protocol::time::{Instant, Now};

use super::accumulator::ReadyBatch;
use super::idempotence::{Idempotence, Identity};
use crate::backoff::Backoff;
use crate::bugs::Bug;
use crate::config::{Acks, ProducerConfig};
use crate::error::{Error, ErrorKind, Persisted, Recovery};
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
    /// The records, to give back or to reuse their buffer; `None` while they are still in flight.
    pub batch: Option<ClosedBatch>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    /// Written to this broker, not answered.
    InFlight(BrokerId),
    /// To be written again.
    Retry,
}

#[derive(Debug)]
struct Unresolved<T> {
    batch: ClosedBatch,
    tag: Option<T>,
    opened_at: Instant,
    reserved: usize,
    count: u32,
    identity: Identity,
    sequence: i32,
    flight: Flight,
    request: u64,
    attempts: u32,
    maybe_persisted: bool,
    last_error: Option<Error>,
}

#[derive(Debug)]
struct Partition<T> {
    topic: ByteStr,
    topic_id: Uuid,
    index: i32,
    leader: Option<BrokerId>,
    leader_epoch: i32,
    unresolved: VecDeque<Unresolved<T>>,
    backoff: Backoff,
    blocked_until: Option<Instant>,
    /// The current leader has taken a batch under the current identity.
    proven: bool,
    identity: Identity,
    next_sequence: i32,
    /// The accumulator may have something.
    has_batches: bool,
    lingering_until: Option<Instant>,
    /// No record of the accumulator is older.
    oldest: Option<Instant>,
    failure: Option<ErrorCode>,
}

/// Sequences of a batch written to a broker wrap at the highest number to zero.
fn sequence_after(sequence: i32, count: u32) -> i32 {
    let next = (i64::from(sequence) + i64::from(count)) % (i64::from(i32::MAX) + 1);
    i32::try_from(next).unwrap_or_default()
}

/// Most bytes of batches in one request, unless a single batch is larger.
const REQUEST_BYTES: usize = 4 << 20;

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
        }
    }

    /// Adds a partition, or finds the one of that name.
    pub fn add_partition(&mut self, topic: &ByteStr, index: i32, metadata: &ClusterMetadata) -> PartitionId {
        if let Some(id) = self.by_name.get(&(topic.clone(), index)) {
            return *id;
        }
        let id = PartitionId(u32::try_from(self.partitions.len()).unwrap_or(u32::MAX));
        self.partitions.push(Partition {
            topic: topic.clone(),
            topic_id: Uuid::default(),
            index,
            leader: None,
            leader_epoch: -1,
            unresolved: VecDeque::new(),
            backoff: Backoff::new(self.config.retry_backoff, self.config.retry_backoff_max, u64::from(id.0)),
            blocked_until: None,
            proven: false,
            identity: Identity::NONE,
            next_sequence: 0,
            has_batches: false,
            lingering_until: None,
            oldest: None,
            failure: None,
        });
        self.by_name.insert((topic.clone(), index), id);
        self.place(id, metadata);
        id
    }

    fn partition(&self, id: PartitionId) -> Option<&Partition<T>> {
        self.partitions.get(id.0 as usize)
    }

    fn place(&mut self, id: PartitionId, metadata: &ClusterMetadata) {
        let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
        p.failure = metadata.errors.get(&p.topic).copied();
        let (Some(topic), Some(known)) = (metadata.topics.get(&p.topic), metadata.partition(&p.topic, p.index)) else {
            return;
        };
        p.topic_id = topic.id;
        if p.leader != known.leader || p.leader_epoch != known.leader_epoch {
            if p.leader != known.leader {
                p.proven = false;
            }
            p.leader = known.leader;
            p.leader_epoch = known.leader_epoch;
            p.blocked_until = None;
        }
    }

    /// New metadata: partitions may have moved.
    pub fn handle_metadata(&mut self, metadata: &ClusterMetadata) {
        for i in 0..self.partitions.len() {
            self.place(PartitionId(u32::try_from(i).unwrap_or(u32::MAX)), metadata);
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

    /// The next request, if a broker that is `ready` can have one. Asking whether a broker is ready makes the caller connect to it.
    pub fn poll_request(
        &mut self,
        now: Now,
        source: &mut dyn BatchSource<T>,
        ready: &mut dyn FnMut(BrokerId) -> bool,
    ) -> Option<ProduceOut> {
        if self.active.is_empty() {
            return None;
        }
        if self.idempotence.failure().is_some() {
            // No id will come: what waits has failed.
            self.handle_timeout(now, source);
            return None;
        }
        let brokers: BTreeSet<BrokerId> = self
            .active
            .iter()
            .filter_map(|id| self.partition(*id))
            .filter(|p| p.wants(now))
            .filter_map(|p| p.leader)
            .collect();
        for broker in brokers {
            let in_flight = self.in_flight.get(&broker).copied().unwrap_or(0);
            // Without an identity nothing can leave, but the connection may be made meanwhile.
            if in_flight >= self.config.max_in_flight || !ready(broker) || self.idempotence.identity().is_none() {
                continue;
            }
            if let Some(out) = self.fill_request(now, broker, source) {
                return Some(out);
            }
        }
        None
    }

    fn fill_request(&mut self, now: Now, broker: BrokerId, source: &mut dyn BatchSource<T>) -> Option<ProduceOut> {
        let id = self.next_request;
        // Each request begins with another partition, so that none starves behind those before it.
        self.rotation = self.rotation.wrapping_add(1);
        let count = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX).max(1);
        let start = PartitionId(self.rotation % count);
        let order: Vec<PartitionId> = self.active.range(start..).chain(self.active.range(..start)).copied().collect();
        let mut topics: Vec<produce::request::TopicProduceData> = Vec::new();
        let mut partitions = Vec::new();
        let mut bytes = 0;
        let mut ids_known = true;
        for partition in order {
            let Some(p) = self.partition(partition) else { continue };
            if p.leader != Some(broker) || bytes >= REQUEST_BYTES {
                continue;
            }
            let Some(records) = self.next_batch(now, partition, broker, id, source) else { continue };
            let Some(p) = self.partition(partition) else { continue };
            bytes += records.len();
            ids_known &= p.topic_id != Uuid::default();
            let data =
                produce::request::PartitionProduceData { index: p.index, records: Some(records), ..Default::default() };
            partitions.push(partition);
            match topics.iter_mut().find(|t| t.name == p.topic) {
                Some(topic) => topic.partition_data.push(data),
                None => topics.push(produce::request::TopicProduceData {
                    name: p.topic.clone(),
                    topic_id: p.topic_id,
                    partition_data: vec![data],
                    ..Default::default()
                }),
            }
        }
        if partitions.is_empty() {
            return None;
        }
        self.next_request += 1;
        let answered = self.config.acks != Acks::None;
        if answered {
            *self.in_flight.entry(broker).or_default() += 1;
            self.requests.insert(id, (broker, partitions));
        } else {
            for partition in partitions {
                self.finish_unanswered(partition);
            }
        }
        let request = ProduceRequest {
            acks: self.config.acks.code(),
            timeout_ms: i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX),
            topic_data: topics,
            ..ProduceRequest::default()
        };
        // 13 and up know a topic by its id alone.
        Some(ProduceOut { broker, request, id, max_version: if ids_known { i16::MAX } else { 12 }, answered })
    }

    /// The bytes of the next batch of a partition that may leave now.
    fn next_batch(
        &mut self,
        now: Now,
        id: PartitionId,
        broker: BrokerId,
        request: u64,
        source: &mut dyn BatchSource<T>,
    ) -> Option<bytes::Bytes> {
        let current = self.idempotence.identity()?;
        let idempotent = self.config.idempotence;
        let (depth, force) = (self.config.max_in_flight, self.force);
        let (acks, bugs) = (self.config.acks, self.config.bugs);
        let p = self.partitions.get_mut(id.0 as usize)?;
        if !p.wants(now) {
            return None;
        }
        let in_flight = p.unresolved.iter().filter(|b| b.flight != Flight::Retry).count();
        let elsewhere = p.unresolved.iter().any(|b| matches!(b.flight, Flight::InFlight(at) if at != broker));
        if elsewhere {
            return None;
        }
        if p.unresolved.len() > in_flight {
            // One waits to be written again: it goes alone, after all that is in flight.
            if in_flight > 0 {
                return None;
            }
            let careless = bugs.has(Bug::UnknownRenumbered);
            let renumbers = |b: &Unresolved<T>| (careless || !b.maybe_persisted) && b.identity != current;
            let fresh = p.identity != current && p.unresolved.iter().all(renumbers);
            if fresh {
                p.renumber(current);
            }
            if bugs.has(Bug::RetryReorders) {
                p.reverse();
            }
            let first = p.unresolved.front_mut()?;
            first.flight = Flight::InFlight(broker);
            first.request = request;
            first.attempts += 1;
            let (identity, base_sequence) = (first.identity, first.sequence);
            return Some(first.batch.seal(Producer { id: identity.id, epoch: identity.epoch, base_sequence }, false));
        }
        let depth = match acks {
            Acks::None => usize::MAX,
            // Without idempotence the broker would take a later batch although an earlier one failed.
            Acks::Leader | Acks::All if !idempotent || !p.proven => 1,
            Acks::Leader | Acks::All => depth,
        };
        if in_flight >= depth || !p.has_batches {
            return None;
        }
        if p.identity != current {
            if !p.unresolved.is_empty() {
                return None;
            }
            p.identity = current;
            p.next_sequence = 0;
            p.proven = false;
        }
        let mut ready = match source.take(now, id, force) {
            Available::Batch(ready) => ready,
            Available::Closing => {
                p.has_batches = false;
                return None;
            }
            Available::Lingering(until) => {
                p.lingering_until = Some(until);
                return None;
            }
            Available::Empty => {
                p.has_batches = false;
                p.oldest = None;
                if p.unresolved.is_empty() {
                    self.active.remove(&id);
                }
                return None;
            }
        };
        p.oldest = Some(ready.opened_at);
        let sequence = if idempotent { p.next_sequence } else { -1 };
        if idempotent {
            p.next_sequence = sequence_after(sequence, ready.count);
        }
        let records =
            ready.batch.seal(Producer { id: current.id, epoch: current.epoch, base_sequence: sequence }, false);
        p.unresolved.push_back(Unresolved {
            batch: ready.batch,
            tag: Some(ready.tag),
            opened_at: ready.opened_at,
            reserved: ready.reserved,
            count: ready.count,
            identity: current,
            sequence,
            flight: Flight::InFlight(broker),
            request,
            attempts: 1,
            maybe_persisted: false,
            last_error: None,
        });
        Some(records)
    }

    fn finish_unanswered(&mut self, id: PartitionId) {
        let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
        if let Some(batch) = p.unresolved.pop_back() {
            self.finished.push_back(Finished {
                partition: id,
                tag: batch.tag,
                outcome: Outcome::Delivered { base_offset: -1, log_append_time: None },
                // The bytes are still on their way out.
                batch: None,
                reserved: batch.reserved,
                count: batch.count,
            });
        }
    }

    /// An answer came. `broker` is the address for errors.
    pub fn handle_response(&mut self, now: Now, id: u64, response: &ProduceResponse, broker: &str) {
        let Some((broker_id, partitions)) = self.requests.remove(&id) else { return };
        self.release(broker_id);
        let mut unanswered = partitions;
        for topic in &response.responses {
            for answer in &topic.partition_responses {
                let found = unanswered.iter().position(|p| {
                    self.partition(*p).is_some_and(|p| {
                        p.index == answer.index
                            && (p.topic == topic.name || topic.name.is_empty() && p.topic_id == topic.topic_id)
                    })
                });
                // A partition that was not in the request, or is named twice, is none of ours.
                let Some(found) = found else { continue };
                let partition = unanswered.swap_remove(found);
                self.handle_partition_response(now, partition, id, answer, broker);
            }
        }
        for partition in unanswered {
            let error = Error::new(ErrorKind::Decode, "the broker's answer leaves the partition out").broker_at(broker);
            self.handle_unknown_outcome(now, partition, id, error, true);
        }
    }

    /// No answer will come.
    pub fn handle_failure(&mut self, now: Now, id: u64, failure: &ProduceFailure) {
        let Some((broker, partitions)) = self.requests.remove(&id) else { return };
        self.release(broker);
        self.refresh = true;
        for partition in partitions {
            self.handle_unknown_outcome(now, partition, id, failure.error.clone(), failure.sent);
        }
    }

    fn release(&mut self, broker: BrokerId) {
        if let Some(n) = self.in_flight.get_mut(&broker) {
            *n = n.saturating_sub(1);
        }
    }

    fn handle_partition_response(
        &mut self,
        now: Now,
        id: PartitionId,
        request: u64,
        answer: &produce::response::PartitionProduceResponse,
        broker: &str,
    ) {
        let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
        let Some(at) = p.position(request) else { return };
        let code = answer.error_code;
        if code.is_ok() || code == ErrorCode::DUPLICATE_SEQUENCE_NUMBER {
            let Some(batch) = p.unresolved.remove(at) else { return };
            p.proven = true;
            p.backoff.reset();
            p.blocked_until = None;
            let base_offset = if code.is_ok() { answer.base_offset } else { -1 };
            let log_append_time = (answer.log_append_time_ms >= 0).then_some(answer.log_append_time_ms);
            self.report(id, batch, Outcome::Delivered { base_offset, log_append_time });
            return;
        }
        let topic = p.topic.clone();
        let index = p.index;
        let error =
            Error::from_code(code, answer.error_message.as_deref()).on_partition(&topic, index).broker_at(broker);
        let Some(batch) = p.unresolved.get_mut(at) else { return };
        batch.flight = Flight::Retry;
        batch.last_error = Some(error.clone());
        // After these the records are, or may be, in the leader's log.
        if matches!(
            code,
            ErrorCode::REQUEST_TIMED_OUT
                | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                | ErrorCode::KAFKA_STORAGE_ERROR
                | ErrorCode::UNKNOWN_SERVER_ERROR
        ) {
            batch.maybe_persisted = true;
        }
        let (attempts, maybe, identity) = (batch.attempts, batch.maybe_persisted, batch.identity);
        // Behind an unresolved one, a batch is refused for being out of order: it waits for its turn, nothing else is wrong with it.
        if at > 0 && is_about_sequence(code) {
            return;
        }
        match recovery(code, self.config.idempotence) {
            Recovery::Backoff if attempts <= self.config.retries => p.pause(now),
            Recovery::RefreshMetadata if attempts <= self.config.retries => {
                p.pause(now);
                self.refresh = true;
            }
            // The broker keeps the last five batches of a producer, and no more are in flight: a batch that it had would have been known
            // as a duplicate. So this one is not in the log, unless the broker has lost the producer's state.
            Recovery::BumpEpoch if !maybe && attempts <= self.config.retries => {
                p.pause(now);
                if self.idempotence.identity() == Some(identity) {
                    self.idempotence.bump_epoch();
                }
            }
            Recovery::Fail(_)
            | Recovery::Backoff
            | Recovery::RefreshMetadata
            | Recovery::BumpEpoch
            | Recovery::FindCoordinator
            | Recovery::ResetOffset => {
                let persisted = if maybe { Persisted::Maybe } else { Persisted::No };
                self.drop_batch(id, at, error, persisted);
            }
        }
    }

    fn handle_unknown_outcome(&mut self, now: Now, id: PartitionId, request: u64, error: Error, sent: bool) {
        let retries = self.config.retries;
        let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
        let Some(at) = p.position(request) else { return };
        let error = error.on_partition(&p.topic, p.index);
        p.pause(now);
        let Some(batch) = p.unresolved.get_mut(at) else { return };
        batch.flight = Flight::Retry;
        batch.maybe_persisted |= sent;
        batch.last_error = Some(error.clone());
        if batch.attempts > retries {
            let persisted = if batch.maybe_persisted { Persisted::Maybe } else { Persisted::No };
            self.drop_batch(id, at, error, persisted);
        }
    }

    /// Gives a batch up that was written at least once.
    fn drop_batch(&mut self, id: PartitionId, at: usize, error: Error, persisted: Persisted) {
        let idempotent = self.config.idempotence;
        let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
        let Some(batch) = p.unresolved.remove(at) else { return };
        // Those behind it carry sequences that leave a gap now. Where one may be in the log, writing it under a new epoch could write it
        // twice; so it shares the fate of the one before it. The others are numbered anew once all in flight are answered.
        let mut doomed = Vec::new();
        if idempotent {
            let mut i = at;
            while i < p.unresolved.len() {
                if p.unresolved[i].flight == Flight::Retry && p.unresolved[i].maybe_persisted {
                    doomed.extend(p.unresolved.remove(i));
                } else {
                    i += 1;
                }
            }
            if self.config.bugs.has(Bug::SequenceReusedAfterDrop) {
                p.next_sequence = batch.sequence;
            } else if self.idempotence.identity() == Some(batch.identity) {
                self.idempotence.bump_epoch();
            }
        }
        let lies = self.config.bugs.has(Bug::UnknownCalledFailed);
        let persisted = if lies { Persisted::No } else { persisted };
        self.report(id, batch, Outcome::Failed { error: error.clone(), persisted });
        for batch in doomed {
            self.report(id, batch, Outcome::Failed { error: error.clone(), persisted: Persisted::Maybe });
        }
    }

    fn report(&mut self, id: PartitionId, batch: Unresolved<T>, outcome: Outcome) {
        self.finished.push_back(Finished {
            partition: id,
            tag: batch.tag,
            outcome,
            batch: Some(batch.batch),
            reserved: batch.reserved,
            count: batch.count,
        });
        if let Some(p) = self.partition(id)
            && p.unresolved.is_empty()
            && !p.has_batches
        {
            self.active.remove(&id);
        }
    }

    /// Gives up what is older than `delivery.timeout.ms`, and everything where no producer id will come.
    pub fn handle_timeout(&mut self, now: Now, source: &mut dyn BatchSource<T>) {
        let failure = self.idempotence.failure().cloned();
        let too_old = |at: Instant, timeout: Duration| at + timeout <= now.instant();
        let timeout = self.config.delivery_timeout;
        for id in self.active.clone() {
            let Some(p) = self.partitions.get_mut(id.0 as usize) else { continue };
            // In flight: the application hears of it now, the batch is kept until its fate is known.
            for batch in &mut p.unresolved {
                if matches!(batch.flight, Flight::InFlight(_))
                    && batch.tag.is_some()
                    && too_old(batch.opened_at, timeout)
                {
                    let error =
                        timed_out(timeout, batch.attempts, batch.last_error.as_ref()).on_partition(&p.topic, p.index);
                    self.finished.push_back(Finished {
                        partition: id,
                        tag: batch.tag.take(),
                        outcome: Outcome::Failed { error, persisted: Persisted::Maybe },
                        batch: None,
                        reserved: 0,
                        count: batch.count,
                    });
                }
            }
            let waits = p.unresolved.iter().all(|b| b.flight == Flight::Retry);
            if let Some(batch) = p.unresolved.front()
                && waits
                && (too_old(batch.opened_at, timeout) || failure.is_some() || batch.tag.is_none())
            {
                let persisted = if batch.maybe_persisted { Persisted::Maybe } else { Persisted::No };
                let error =
                    timed_out(timeout, batch.attempts, batch.last_error.as_ref()).on_partition(&p.topic, p.index);
                self.drop_batch(id, 0, failure.clone().unwrap_or(error), persisted);
            }
            self.expire_waiting(now, id, failure.as_ref(), source);
        }
    }

    /// Records in the accumulator that cannot be sent in time, because the partition has no leader, is blocked or may not be written.
    fn expire_waiting(&mut self, now: Now, id: PartitionId, failure: Option<&Error>, source: &mut dyn BatchSource<T>) {
        let timeout = self.config.delivery_timeout;
        loop {
            let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
            let suspicious = p.has_batches && p.oldest.is_some_and(|at| at + timeout <= now.instant());
            if !suspicious && failure.is_none() {
                return;
            }
            p.oldest = source.oldest(id);
            if failure.is_none() && p.oldest.is_none_or(|at| at + timeout > now.instant()) {
                return;
            }
            let Available::Batch(ready) = source.take(now, id, true) else {
                return;
            };
            let why = match (p.leader, p.failure) {
                (_, Some(code)) => Some(Error::from_code(code, None)),
                (None, None) => Some(Error::new(ErrorKind::Broker, "the partition has no leader")),
                (Some(_), None) => None,
            };
            let error =
                failure.cloned().unwrap_or_else(|| timed_out(timeout, 0, why.as_ref())).on_partition(&p.topic, p.index);
            self.finished.push_back(Finished {
                partition: id,
                tag: Some(ready.tag),
                outcome: Outcome::Failed { error, persisted: Persisted::No },
                batch: Some(ready.batch),
                reserved: ready.reserved,
                count: ready.count,
            });
        }
    }

    /// The next batch that is done.
    pub fn poll_finished(&mut self) -> Option<Finished<T>> {
        self.finished.pop_front()
    }

    /// Whether the metadata has proven old since the last call.
    pub fn poll_refresh(&mut self) -> bool {
        std::mem::take(&mut self.refresh)
    }

    /// When to call [`Self::handle_timeout`] and [`Self::poll_request`] again without another input. What has been due since before `now` waits
    /// for something else (a connection, an answer), and that will be an input: else the driver would spin until it comes.
    pub fn poll_timeout(&self, now: Now) -> Option<Instant> {
        let timeout = self.config.delivery_timeout;
        let ahead = |at: &Instant| *at > now.instant();
        let partitions = self.active.iter().filter_map(|id| self.partition(*id)).flat_map(|p| {
            let expiry = p.unresolved.iter().filter(|b| b.tag.is_some()).map(|b| b.opened_at).chain(p.oldest);
            let waits = !p.unresolved.is_empty() || p.has_batches;
            [
                p.blocked_until.filter(|_| waits),
                p.lingering_until.filter(|_| p.has_batches),
                expiry.map(|at| at + timeout).filter(ahead).min(),
            ]
        });
        let identity = if self.active.is_empty() { None } else { self.idempotence.poll_timeout() };
        partitions.flatten().chain(identity).filter(ahead).min()
    }

    /// How many partitions have something to send or to await.
    pub fn active(&self) -> usize {
        self.active.len()
    }
}

impl<T> Partition<T> {
    /// Whether something of it might leave now.
    fn wants(&self, now: Now) -> bool {
        let blocked = self.blocked_until.is_some_and(|until| until > now.instant());
        let lingering = self.lingering_until.is_some_and(|until| until > now.instant());
        let retries = self.unresolved.iter().any(|b| b.flight == Flight::Retry);
        !blocked && (retries || self.has_batches && !lingering)
    }

    fn position(&self, request: u64) -> Option<usize> {
        self.unresolved.iter().position(|b| b.request == request && matches!(b.flight, Flight::InFlight(_)))
    }

    fn pause(&mut self, now: Now) {
        self.blocked_until = Some(now.instant() + self.backoff.next());
        self.proven = false;
    }

    /// Puts the last first, with the sequences in the new order.
    fn reverse(&mut self) {
        let Some(mut sequence) = self.unresolved.front().map(|batch| batch.sequence) else { return };
        self.unresolved.make_contiguous().reverse();
        for batch in &mut self.unresolved {
            batch.sequence = sequence;
            sequence = sequence_after(sequence, batch.count);
        }
    }

    /// Numbers all that waits from zero, under a new identity.
    fn renumber(&mut self, identity: Identity) {
        let mut sequence = 0;
        for batch in &mut self.unresolved {
            batch.identity = identity;
            batch.sequence = sequence;
            sequence = sequence_after(sequence, batch.count);
        }
        self.identity = identity;
        self.next_sequence = sequence;
        self.proven = false;
    }
}

fn is_about_sequence(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID | ErrorCode::INVALID_PRODUCER_EPOCH
    )
}

/// What Produce does about a code.
fn recovery(code: ErrorCode, idempotent: bool) -> Recovery {
    match code {
        code if is_about_sequence(code) && idempotent => Recovery::BumpEpoch,
        ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID => Recovery::RefreshMetadata,
        code if code.is_stale_metadata() => Recovery::RefreshMetadata,
        code if code.is_retriable() => Recovery::Backoff,
        other => Recovery::Fail(other),
    }
}

fn timed_out(timeout: Duration, attempts: u32, last: Option<&Error>) -> Error {
    let last_words = last.map_or_else(|| "never sent".to_owned(), |last| format!("last: {last}"));
    let error = Error::new(
        ErrorKind::Timeout,
        format!("delivery.timeout.ms ({} ms) is over after {attempts} attempts; {last_words}", timeout.as_millis()),
    );
    match last {
        Some(last) => {
            let error = match last.code() {
                Some(code) => error.code_of(code),
                None => error,
            };
            let error = match last.hint() {
                Some(hint) => error.hinting(hint),
                None => error,
            };
            error.caused_by(last.clone())
        }
        None => error.hinting("is the partition's leader up, and can it be reached from here?"),
    }
}
