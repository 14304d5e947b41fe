//! An application that sends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use felice_client_core::client::{ClientCore, ProducerKey};
use felice_client_core::config::{Partitioner, ProducerConfig};
use felice_client_core::producer::accumulator::{Accumulator, Closing, Limits, Memory, RecordData, Taken};
use felice_client_core::producer::sender::{Available, BatchSource, Finished, Outcome, PartitionId};
use felice_protocol::compression::Compressor;
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::{Instant, Now};

use super::{Effect, Tag, core, properties};
use crate::broker_host::TOPIC;
use crate::history::{Event, Promise, RecordId};
use crate::plan::{Plan, ProducerPlan};
use crate::rng::Rng;

struct Unlimited;

impl Memory for Unlimited {
    fn try_reserve(&self, _bytes: usize) -> bool {
        true
    }

    fn buffer(&self, capacity: usize) -> BytesMut {
        BytesMut::with_capacity(capacity)
    }
}

#[derive(Default)]
struct Accumulators {
    partitions: BTreeMap<PartitionId, Accumulator<Tag>>,
    /// Full batches that some thread compresses.
    closing: VecDeque<(PartitionId, Box<Closing<Tag>>)>,
    compressor: Compressor,
}

#[derive(Clone, Default)]
struct Source(Arc<Mutex<Accumulators>>);

impl Source {
    fn with<R>(&self, work: impl FnOnce(&mut Accumulators) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl BatchSource<Tag> for Source {
    fn take(&mut self, now: Now, partition: PartitionId, force: bool) -> Available<Tag> {
        self.with(|all| {
            let Some(accumulator) = all.partitions.get_mut(&partition) else { return Available::Empty };
            match accumulator.take(now, force, &mut all.compressor) {
                Taken::Batch(batch) => Available::Batch(batch),
                Taken::Compress(closing) => {
                    all.closing.push_back((partition, Box::new(closing)));
                    Available::Closing
                }
                Taken::Closing => Available::Closing,
                Taken::Lingering(until) => Available::Lingering(until),
                Taken::Empty => Available::Empty,
            }
        })
    }

    fn oldest(&mut self, partition: PartitionId) -> Option<Instant> {
        self.with(|all| all.partitions.get(&partition).and_then(Accumulator::oldest))
    }
}

/// A record to send: to a partition, or by a key.
pub(super) struct Outgoing {
    pub(super) partition: Option<i32>,
    pub(super) key: u64,
    pub(super) size: usize,
}

struct Waiting {
    record: RecordId,
    partition: Option<i32>,
    key: Vec<u8>,
    size: usize,
}

pub(super) struct ProducerApp {
    number: u32,
    plan: ProducerPlan,
    key: ProducerKey,
    limits: Limits,
    source: Source,
    partitions: BTreeMap<i32, PartitionId>,
    indexes: BTreeMap<PartitionId, i32>,
    /// Partitions of which the driver was not told yet.
    to_wake: VecDeque<PartitionId>,
    /// Records from before metadata was known.
    waiting: VecDeque<Waiting>,
    next_number: u64,
    unresolved: u64,
}

impl ProducerApp {
    /// The application and its client.
    pub(super) fn new(
        number: u32,
        world: &Plan,
        plan: &ProducerPlan,
        rng: &mut Rng,
        bug: Option<&'static str>,
    ) -> Result<(ClientCore<Tag>, Self), String> {
        let properties = properties(
            world,
            &[
                ("acks", plan.acks.to_owned()),
                ("enable.idempotence", plan.idempotent.to_string()),
                ("linger.ms", plan.linger_millis.to_string()),
                ("batch.size", plan.batch_size.to_string()),
                ("max.in.flight.requests.per.connection", plan.max_in_flight.to_string()),
                ("delivery.timeout.ms", plan.delivery_timeout_millis.to_string()),
                ("compression.type", plan.compression.to_owned()),
            ],
        )?;
        let mut core = core(&properties, rng)?;
        let mut config: ProducerConfig = properties.producer_config().map_err(|error| error.to_string())?;
        crate::bugs::plant_in_producer(&mut config, bug);
        let source = Source::default();
        let limits = Limits::from(&config);
        let key = core.add_producer(config, Box::new(source.clone()));
        let app = Self {
            number,
            plan: plan.clone(),
            key,
            limits,
            source,
            partitions: BTreeMap::new(),
            indexes: BTreeMap::new(),
            to_wake: VecDeque::new(),
            waiting: VecDeque::new(),
            next_number: 0,
            unresolved: 0,
        };
        Ok((core, app))
    }

    fn promise(&self) -> Promise {
        Promise { kept: self.plan.acks != "0", once: self.plan.idempotent }
    }

    /// Hands over a record, once there is metadata.
    pub(super) fn send(&mut self, now: Now, core: &mut ClientCore<Tag>, outgoing: Outgoing, effects: &mut Vec<Effect>) {
        let record = RecordId { producer: self.number, number: self.next_number };
        self.next_number += 1;
        self.unresolved += 1;
        effects.push(Effect::Tell(Event::Sent { record, promise: self.promise() }));
        let key = format!("key-{}", outgoing.key).into_bytes();
        self.waiting.push_back(Waiting { record, partition: outgoing.partition, key, size: outgoing.size });
        self.append_waiting(now, core, effects);
    }

    pub(super) fn is_idempotent(&self) -> bool {
        self.plan.idempotent
    }

    pub(super) fn unresolved(&self) -> u64 {
        self.unresolved
    }

    /// Whether records wait for metadata.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a batch waits to be closed.
    pub(super) fn is_closing(&self) -> bool {
        self.source.with(|all| !all.closing.is_empty())
    }

    fn append_waiting(&mut self, now: Now, core: &mut ClientCore<Tag>, effects: &mut Vec<Effect>) {
        let topic = ByteStr::from_static(TOPIC);
        let Some(count) = core.metadata().topics.get(&topic).map(|topic| topic.partitions.len()) else { return };
        while let Some(waiting) = self.waiting.pop_front() {
            let by_key = || Partitioner::Murmur2Random.partition(Some(&waiting.key), count);
            let index = waiting.partition.or_else(|| by_key().and_then(|index| i32::try_from(index).ok())).unwrap_or(0);
            let id = match self.partitions.get(&index) {
                Some(id) => *id,
                None => {
                    let Some(id) = core.add_partition(self.key, &topic, index) else { return };
                    self.partitions.insert(index, id);
                    self.indexes.insert(id, index);
                    id
                }
            };
            let value = waiting.record.to_value(waiting.size);
            let data =
                RecordData { timestamp: now.wall_millis, key: Some(&waiting.key), value: Some(&value), headers: &[] };
            let limits = self.limits;
            let appended = self.source.with(|all| {
                let accumulator = all.partitions.entry(id).or_insert_with(|| Accumulator::new(limits));
                let appended = accumulator.append(
                    || now.instant(),
                    &data,
                    &Unlimited,
                    Tag::default,
                    |tag, index| {
                        let mut records = tag.lock().unwrap_or_else(PoisonError::into_inner);
                        records.push(waiting.record);
                        usize::try_from(index).ok() == records.len().checked_sub(1)
                    },
                );
                appended.map(|appended| {
                    all.closing.extend(appended.filled.map(|closing| (id, closing)));
                    (appended.value, appended.wake)
                })
            });
            match appended {
                Ok((in_place, wake)) => {
                    if !in_place {
                        effects.push(Effect::Wrong(format!("{} has another place in its batch", waiting.record)));
                    }
                    if wake {
                        self.to_wake.push_back(id);
                    }
                }
                Err(error) => effects.push(Effect::Wrong(format!("{} cannot be appended: {error:?}", waiting.record))),
            }
        }
        if !self.to_wake.is_empty() || self.source.with(|all| !all.closing.is_empty()) {
            effects.push(Effect::Continue);
        }
    }

    pub(super) fn go_on(&mut self, now: Now, core: &mut ClientCore<Tag>, effects: &mut Vec<Effect>) {
        self.append_waiting(now, core, effects);
        let closed = self.source.with(|all| {
            let (id, closing) = all.closing.pop_front()?;
            let (ticket, batch) = closing.close(&mut all.compressor);
            all.partitions.get_mut(&id)?.finish(ticket, batch);
            Some(id)
        });
        let woken = self.to_wake.pop_front();
        if let Some(sender) = core.sender(self.key) {
            for id in closed.into_iter().chain(woken) {
                sender.handle_ready(now, id);
            }
        }
        if !self.to_wake.is_empty() || self.source.with(|all| !all.closing.is_empty()) {
            effects.push(Effect::Continue);
        }
    }

    pub(super) fn finished(&mut self, finished: Finished<Tag>, effects: &mut Vec<Effect>) {
        let Some(tag) = finished.tag else { return };
        let records = std::mem::take(&mut *tag.lock().unwrap_or_else(PoisonError::into_inner));
        if u32::try_from(records.len()).ok() != Some(finished.count) {
            effects.push(Effect::Wrong(format!("a batch of {} records says it has {}", records.len(), finished.count)));
        }
        let Some(partition) = self.indexes.get(&finished.partition).copied() else {
            effects.push(Effect::Wrong("a batch of an unknown partition".to_owned()));
            return;
        };
        self.unresolved = self.unresolved.saturating_sub(records.len() as u64);
        for (place, record) in (0_i64..).zip(records) {
            effects.push(Effect::Tell(match &finished.outcome {
                Outcome::Delivered { base_offset, .. } => {
                    let offset = (*base_offset >= 0).then_some(*base_offset + place);
                    Event::Acknowledged { record, partition, offset }
                }
                Outcome::Failed { error, persisted } => {
                    Event::Failed { record, persisted: *persisted, error: error.to_string() }
                }
            }));
        }
    }
}
