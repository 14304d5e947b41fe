//! A client's process: a [`ClientCore`] with the driver's part of its contract, and the application on top, which sends or reads.
//!
//! What the driver in crate `felice` does with threads happens here in steps: an append, the wake-up of the driver, the closing of a full batch
//! and the reading of a fetched one are events of their own, so that anything may come between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use bytes::BytesMut;
use felice_client_core::client::{ClientCore, ConnectionId, Event as CoreEvent, Output, ProducerKey, ReaderKey};
use felice_client_core::config::{FetchConfig, Partitioner, ProducerConfig, Properties};
use felice_client_core::consumer::budget::Budget;
use felice_client_core::consumer::fetcher::{FetchEvent, FetchId, Fetched, Fetcher, Position};
use felice_client_core::producer::accumulator::{Accumulator, Closing, Limits, Memory, RecordData, Taken};
use felice_client_core::producer::sender::{Available, BatchSource, Finished, Outcome, PartitionId};
use felice_protocol::compression::{Compressor, Decompressor};
use felice_protocol::primitives::ByteStr;
use felice_protocol::records::RecordBatches;
use felice_protocol::time::{Instant, Now};

use crate::broker_host::TOPIC;
use crate::history::{Event, Promise, RecordId};
use crate::network::Link;
use crate::plan::{Plan, ProducerPlan, ReaderPlan};
use crate::rng::Rng;

/// The records of a batch, in order.
type Tag = Arc<Mutex<Vec<RecordId>>>;

/// A client's process.
pub struct ClientHost {
    core: ClientCore<Tag>,
    /// Attempts under way, and connections with the network's number.
    connecting: BTreeSet<ConnectionId>,
    links: BTreeMap<ConnectionId, Link>,
    by_link: BTreeMap<Link, ConnectionId>,
    /// For when the world was asked to wake this client.
    pub timer: Option<Instant>,
    app: App,
}

enum App {
    Producer(Box<ProducerApp>),
    Reader(Box<ReaderApp>),
}

/// What the driver asks the world for.
pub enum Effect {
    /// Connect to the broker.
    Connect(ConnectionId),
    /// Send a frame.
    Send(Link, bytes::Bytes),
    /// Close a connection.
    Close(Link),
    /// Something of the application's for its history.
    Tell(Event),
    /// Let the application go on after a moment: it has a batch to close or to read.
    Continue,
    /// Something is wrong that no fault explains.
    Wrong(String),
}

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

struct Waiting {
    record: RecordId,
    partition: Option<i32>,
    key: Vec<u8>,
    size: usize,
}

struct ProducerApp {
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

struct ReaderApp {
    number: usize,
    key: ReaderKey,
    ids: BTreeMap<i32, FetchId>,
    indexes: BTreeMap<FetchId, i32>,
    inbox: VecDeque<FetchEvent>,
    decompressor: Decompressor,
    next: BTreeMap<i32, i64>,
}

fn properties(plan: &Plan, extra: &[(&str, String)]) -> Result<Properties, String> {
    let mut properties = Properties::default();
    let request_timeout = plan.request_timeout_millis.to_string();
    let common = [
        ("bootstrap.servers", "broker:9092"),
        ("request.timeout.ms", &request_timeout),
        ("request.timeout.produce.ms", &request_timeout),
        ("socket.connection.setup.timeout.ms", "2000"),
        ("metadata.max.age.ms", "20000"),
        ("auto.offset.reset", "earliest"),
    ];
    let extra = extra.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in common.into_iter().chain(extra) {
        properties.set(name, value).map_err(|error| error.to_string())?;
    }
    Ok(properties)
}

fn core(properties: &Properties, rng: &mut Rng) -> Result<ClientCore<Tag>, String> {
    Ok(ClientCore::new(properties.client_config().map_err(|error| error.to_string())?, rng.next_u64()))
}

impl ClientHost {
    /// A producer's process.
    ///
    /// # Errors
    /// Where the settings do not go together.
    pub fn producer(
        number: u32,
        world: &Plan,
        plan: &ProducerPlan,
        rng: &mut Rng,
        bug: Option<&'static str>,
    ) -> Result<Self, String> {
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
        let app = ProducerApp {
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
        Ok(Self::new(core, App::Producer(Box::new(app))))
    }

    /// A reader's process: it reads every partition.
    ///
    /// # Errors
    /// Where the settings do not go together.
    pub fn reader(
        number: usize,
        world: &Plan,
        plan: &ReaderPlan,
        rng: &mut Rng,
        bug: Option<&'static str>,
    ) -> Result<Self, String> {
        let properties = properties(
            world,
            &[
                ("fetch.min.bytes", plan.min_bytes.to_string()),
                ("fetch.max.wait.ms", plan.max_wait_millis.to_string()),
                ("max.partition.fetch.bytes", plan.max_partition_bytes.to_string()),
            ],
        )?;
        let mut core = core(&properties, rng)?;
        let mut config: FetchConfig = properties.fetch_config().map_err(|error| error.to_string())?;
        crate::bugs::plant_in_reader(&mut config, bug);
        let budget = Budget::new(64 * 1024, Waker::noop().clone());
        let metadata = core.metadata().clone();
        let mut fetcher = Fetcher::new(config, budget);
        // further back than any log here: where it finds the end late, it must not find itself behind the markers
        let start = if plan.starts_from_end { Position::BeforeEnd(1 << 40) } else { Position::Start };
        let ids: BTreeMap<i32, FetchId> = (0..world.partitions)
            .map(|partition| (partition, fetcher.add_partition(&TOPIC.into(), partition, start, None, &metadata)))
            .collect();
        let indexes = ids.iter().map(|(partition, id)| (*id, *partition)).collect();
        let key = core.add_reader(fetcher);
        let app = ReaderApp {
            number,
            key,
            ids,
            indexes,
            inbox: VecDeque::new(),
            decompressor: Decompressor::default(),
            next: BTreeMap::new(),
        };
        Ok(Self::new(core, App::Reader(Box::new(app))))
    }

    fn new(core: ClientCore<Tag>, app: App) -> Self {
        Self { core, connecting: BTreeSet::new(), links: BTreeMap::new(), by_link: BTreeMap::new(), timer: None, app }
    }

    /// The application asks for metadata of the topic.
    pub fn start(&mut self, now: Now) {
        self.core.want_topic(now, &TOPIC.into());
    }

    /// A connection stands, over this link; `false` where nobody wants it any more.
    pub fn handle_connected(&mut self, now: Now, id: ConnectionId, link: Link) -> bool {
        if !self.connecting.remove(&id) {
            return false;
        }
        self.links.insert(id, link);
        self.by_link.insert(link, id);
        self.core.handle_connected(now, id);
        true
    }

    /// A connection was refused.
    pub fn handle_refused(&mut self, now: Now, id: ConnectionId) {
        if self.connecting.remove(&id) {
            self.core.handle_disconnected(now, id, connect_error("connection refused"));
        }
    }

    /// A frame has come.
    pub fn handle_frame(&mut self, now: Now, link: Link, frame: bytes::Bytes) {
        if let Some(id) = self.by_link.get(&link) {
            self.core.handle_frame(now, *id, frame);
        }
    }

    /// A connection is gone.
    pub fn handle_disconnected(&mut self, now: Now, link: Link) {
        if let Some(id) = self.by_link.remove(&link) {
            self.links.remove(&id);
            self.core.handle_disconnected(now, id, connect_error("connection reset by peer"));
        }
    }

    /// The core's time has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.core.handle_timeout(now);
    }

    /// When that is.
    pub fn poll_timeout(&self, now: Now) -> Option<Instant> {
        self.core.poll_timeout(now)
    }

    /// Drains the core.
    pub fn drain(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        loop {
            if let Some(output) = self.core.poll_output(now) {
                self.carry_out(output, &mut effects);
            } else if let Some(event) = self.core.poll_event() {
                self.handle_event(event, &mut effects);
            } else {
                break;
            }
        }
        if let App::Producer(app) = &mut self.app
            && app.source.with(|all| !all.closing.is_empty())
        {
            effects.push(Effect::Continue);
        }
        effects
    }

    fn carry_out(&mut self, output: Output, effects: &mut Vec<Effect>) {
        match output {
            Output::Connect { id, .. } => {
                self.connecting.insert(id);
                effects.push(Effect::Connect(id));
            }
            Output::Send { id, frame } => {
                if let Some(link) = self.links.get(&id) {
                    effects.push(Effect::Send(*link, frame.into_bytes().slice(4..)));
                }
            }
            Output::Close { id } => {
                self.connecting.remove(&id);
                if let Some(link) = self.links.remove(&id) {
                    self.by_link.remove(&link);
                    effects.push(Effect::Close(link));
                }
            }
        }
    }

    fn handle_event(&mut self, event: CoreEvent<Tag>, effects: &mut Vec<Effect>) {
        match (event, &mut self.app) {
            (CoreEvent::Metadata(_), App::Producer(app)) if !app.waiting.is_empty() => effects.push(Effect::Continue),
            (CoreEvent::Finished(_, finished), App::Producer(app)) => app.finished(finished, effects),
            (CoreEvent::Fetch(_, event), App::Reader(app)) => {
                app.inbox.push_back(event);
                effects.push(Effect::Continue);
            }
            (CoreEvent::Metadata(_) | CoreEvent::Call(..), _) => {}
            (CoreEvent::Finished(..) | CoreEvent::Fetch(..), _) => {
                effects.push(Effect::Wrong("an event for an application that did not ask".to_owned()));
            }
        }
    }

    /// The application goes on with one step: tells the driver of batches, closes one, or reads one.
    pub fn go_on(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        match &mut self.app {
            App::Producer(app) => app.go_on(now, &mut self.core, &mut effects),
            App::Reader(app) => app.go_on(&mut self.core, &mut effects),
        }
        effects
    }

    /// A producer's application sends a record; with a partition, or by a key.
    pub fn send(&mut self, now: Now, partition: Option<i32>, key: u64, size: usize) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let App::Producer(app) = &mut self.app {
            let record = RecordId { producer: app.number, number: app.next_number };
            app.next_number += 1;
            app.unresolved += 1;
            effects.push(Effect::Tell(Event::Sent { record, promise: app.promise() }));
            app.waiting.push_back(Waiting { record, partition, key: format!("key-{key}").into_bytes(), size });
            app.append_waiting(now, &mut self.core, &mut effects);
        }
        effects
    }

    /// A producer's records whose fate is not told yet.
    pub fn unresolved(&self) -> u64 {
        match &self.app {
            App::Producer(app) => app.unresolved,
            App::Reader(_) => 0,
        }
    }

    /// Where a reader fetches next.
    pub fn position(&mut self, partition: i32) -> Option<i64> {
        let App::Reader(app) = &self.app else { return None };
        let id = *app.ids.get(&partition)?;
        self.core.reader(app.key)?.0.position(id)
    }

    /// Whether this is a producer that promises to keep what it acknowledges.
    pub fn is_idempotent_producer(&self) -> bool {
        matches!(&self.app, App::Producer(app) if app.plan.idempotent)
    }

    /// Sends a reader to another offset, of one partition.
    pub fn seek(&mut self, partition: i32, rng: &mut Rng) -> Vec<Effect> {
        let App::Reader(app) = &mut self.app else { return Vec::new() };
        let (Some(id), Some(next)) = (app.ids.get(&partition).copied(), app.next.get(&partition).copied()) else {
            return Vec::new();
        };
        let Some((fetcher, _)) = self.core.reader(app.key) else { return Vec::new() };
        let offset = i64::try_from(rng.below(u64::try_from(next).unwrap_or(0) + 1)).unwrap_or(0);
        fetcher.seek(id, Position::Offset(offset));
        // what is in the inbox is of an older generation
        app.inbox.retain(|event| match event {
            FetchEvent::Data(fetched) => fetched.partition != id,
            FetchEvent::Positioned { partition, .. }
            | FetchEvent::Ended { partition }
            | FetchEvent::EndOfPartition { partition, .. }
            | FetchEvent::Failed { partition, .. } => *partition != id,
        });
        app.next.insert(partition, offset);
        vec![Effect::Tell(Event::Sought { reader: app.number, partition, offset: Some(offset) })]
    }
}

fn connect_error(message: &str) -> felice_client_core::error::Error {
    felice_client_core::error::Error::new(felice_client_core::error::ErrorKind::Connect, message)
}

impl ProducerApp {
    fn promise(&self) -> Promise {
        Promise { kept: self.plan.acks != "0", once: self.plan.idempotent }
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

    fn go_on(&mut self, now: Now, core: &mut ClientCore<Tag>, effects: &mut Vec<Effect>) {
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

    fn finished(&mut self, finished: Finished<Tag>, effects: &mut Vec<Effect>) {
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

impl ReaderApp {
    fn go_on(&mut self, core: &mut ClientCore<Tag>, effects: &mut Vec<Effect>) {
        let Some(event) = self.inbox.pop_front() else { return };
        let reader = self.number;
        match event {
            FetchEvent::Data(fetched) => {
                let generation = core.reader(self.key).and_then(|(fetcher, _)| fetcher.generation(fetched.partition));
                if generation == Some(fetched.generation)
                    && let Err(what) = self.read(&fetched, effects)
                {
                    effects.push(Effect::Wrong(format!("reader {reader} cannot read what it fetched: {what}")));
                }
            }
            FetchEvent::Positioned { partition, offset, .. } => {
                let Some(index) = self.indexes.get(&partition).copied() else { return };
                self.next.insert(index, offset);
                effects.push(Effect::Tell(Event::Sought { reader, partition: index, offset: Some(offset) }));
            }
            FetchEvent::Failed { partition, error } => {
                let index = self.indexes.get(&partition).copied();
                effects.push(Effect::Wrong(format!("reader {reader} gave up partition {index:?}: {error}")));
            }
            FetchEvent::Ended { .. } | FetchEvent::EndOfPartition { .. } => {}
        }
    }

    fn read(&mut self, fetched: &Fetched, effects: &mut Vec<Effect>) -> Result<(), String> {
        let (reader, partition) = (self.number, fetched.index);
        for batch in RecordBatches::new(fetched.records.clone()) {
            let batch = batch.map_err(|error| error.to_string())?;
            batch.verify_crc().map_err(|error| error.to_string())?;
            let records = batch.records(&mut self.decompressor, 16 << 20).map_err(|error| error.to_string())?;
            for record in &records {
                let record = record.map_err(|error| error.to_string())?;
                if record.offset < fetched.from {
                    continue;
                }
                let Some(id) = record.value.and_then(RecordId::from_value) else {
                    return Err(format!("{partition}@{} has a record that nobody wrote", record.offset));
                };
                self.next.insert(partition, record.offset + 1);
                effects.push(Effect::Tell(Event::Read { reader, partition, offset: record.offset, record: id }));
            }
        }
        Ok(())
    }
}
