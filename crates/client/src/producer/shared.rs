//! What the application's threads and the driver share of a producer.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use felice_client_core::client::{ClientCore, ProducerKey};
use felice_client_core::config::ProducerConfig;
use felice_client_core::error::{Error, ErrorKind, Persisted};
use felice_client_core::metadata::ClusterMetadata;
use felice_client_core::producer::accumulator::{
    Accumulator, AppendError, Limits, Memory, RecordData, Taken, too_large,
};
use felice_client_core::producer::sender::{Available, BatchSource, Finished, Outcome, PartitionId};
use felice_protocol::compression::Compressor;
use felice_protocol::records::{ClosedBatch, Header, Producer as BatchProducer};
use felice_protocol::time::{Instant, Now};
use tokio::sync::Notify;

use super::completion::{
    BatchCompletion, BatchEnd, BatchReport, FlushError, Pending, PendingState, ProduceError, WaitingCell,
};
use super::finished::{FinishedBatch, OnBatch, RecordTag, Remains};
use super::memory::{Beyond, BufferPool};
use super::record::NewRecord;
use super::topic::{Partitions, Slot, TopicEntry, TopicTable, WaitingRecord};
use crate::client::Client;
use crate::clock;
use crate::driver::{Driver, DriverShared, Tag};

/// A callback for finished batches.
pub(crate) type OnDelivery = Box<dyn Fn(&BatchReport) + Send + Sync>;

/// Why an append was refused.
pub(crate) enum Refusal {
    /// No room now.
    Full,
    /// Never.
    Error(Error),
}

thread_local! {
    static COMPRESSOR: RefCell<Compressor> = RefCell::new(Compressor::default());
}

#[derive(Debug, Default)]
struct Progress {
    open: BTreeSet<u64>,
    failed: u64,
    first_error: Option<Error>,
}

/// A producer, from both sides.
pub(crate) struct ProducerShared {
    config: ProducerConfig,
    memory: BufferPool,
    topics: ArcSwap<TopicTable>,
    /// Every partition, by [`PartitionId`].
    slots: Arc<Mutex<Vec<Arc<Slot>>>>,
    adding: Mutex<()>,
    driver: Arc<DriverShared>,
    key: OnceLock<ProducerKey>,
    closed: AtomicBool,
    next_batch: AtomicU64,
    progress: Mutex<Progress>,
    progressed: Notify,
    flushing: AtomicUsize,
    waiting_records: AtomicUsize,
    on_delivery: Option<OnDelivery>,
    on_batch: Option<OnBatch>,
    seed: u64,
}

impl std::fmt::Debug for ProducerShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("config", &self.config).finish_non_exhaustive()
    }
}

impl ProducerShared {
    pub(crate) fn new(
        config: ProducerConfig,
        client: &Client,
        on_delivery: Option<OnDelivery>,
        on_batch: Option<OnBatch>,
        seed: u64,
    ) -> Self {
        Self {
            memory: BufferPool::new(config.buffer_memory),
            config,
            topics: ArcSwap::default(),
            slots: Arc::default(),
            adding: Mutex::new(()),
            driver: client.driver().clone(),
            key: OnceLock::new(),
            closed: AtomicBool::new(false),
            next_batch: AtomicU64::new(0),
            progress: Mutex::default(),
            progressed: Notify::new(),
            flushing: AtomicUsize::new(0),
            waiting_records: AtomicUsize::new(0),
            on_delivery,
            on_batch,
            seed,
        }
    }

    /// On the driver's thread: the producer becomes known to the core.
    pub(crate) fn register(self: &Arc<Self>, driver: &mut Driver) {
        let source = Source {
            slots: self.slots.clone(),
            known: Vec::new(),
            compressor: Compressor::default(),
            producer: Arc::downgrade(self),
        };
        let key = driver.core.add_producer(self.config.clone(), Box::new(source));
        // Only ever set here.
        let _ = self.key.set(key);
        driver.producers.insert(key, self.clone());
    }

    pub(crate) fn key(&self) -> Option<ProducerKey> {
        self.key.get().copied()
    }

    // ----- Appending, on the application's threads.

    fn topic(&self, name: &str) -> Arc<TopicEntry> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.topics.load();
        if let Some(topic) = table.find(name) {
            return topic.clone();
        }
        let topic = Arc::new(TopicEntry::new(name, self.seed));
        self.topics.store(Arc::new(table.with(topic.clone())));
        let (wanted, key) = (topic.name.clone(), self.key());
        self.driver.command(move |driver, now| {
            driver.core.want_topic(now, &wanted);
            let metadata = driver.core.metadata().clone();
            // Known already from another producer or reader: no new metadata will come to say so.
            if metadata.topics.contains_key(&wanted)
                && let Some((key, producer)) = key.and_then(|key| driver.producers.get(&key).cloned().map(|p| (key, p)))
            {
                producer.handle_metadata(&mut driver.core, key, &metadata);
            }
        });
        topic
    }

    /// As [`Self::append`], but nobody who waits in line is overtaken.
    pub(crate) fn append_if_free(&self, record: &NewRecord<'_>, pending: bool) -> Result<Option<Pending>, Refusal> {
        if self.memory.waiting.load(Ordering::Relaxed) > 0 {
            return Err(Refusal::Full);
        }
        self.append(record, pending)
    }

    /// Appends a record to its partition's open batch, or to the line of its topic.
    pub(crate) fn append(&self, record: &NewRecord<'_>, pending: bool) -> Result<Option<Pending>, Refusal> {
        if self.memory.waiting.load(Ordering::Relaxed) > 0 {
            return Err(Refusal::Full);
        }
        self.append_now(record, pending, None)
    }

    /// As [`Self::append_if_free`]; the tag comes back with the finished batch.
    pub(crate) fn append_tagged(&self, record: &NewRecord<'_>, tag: Option<RecordTag>) -> Result<(), Refusal> {
        if self.memory.waiting.load(Ordering::Relaxed) > 0 {
            return Err(Refusal::Full);
        }
        self.append_now(record, false, tag).map(|_| ())
    }

    fn append_now(
        &self,
        record: &NewRecord<'_>,
        pending: bool,
        tag: Option<RecordTag>,
    ) -> Result<Option<Pending>, Refusal> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Refusal::Error(Error::new(ErrorKind::Closed, "the producer was closed")));
        }
        let timestamp = record.timestamp.unwrap_or_else(clock::wall_millis);
        let table = self.topics.load();
        let added;
        let topic = match table.find(&record.topic) {
            Some(topic) => topic,
            None => {
                added = self.topic(&record.topic);
                &added
            }
        };
        match &*topic.partitions.load() {
            Some(partitions) if pending => self
                .append_to(topic, partitions, record, timestamp, &self.memory, |completion, index| {
                    Pending(PendingState::Batch { completion: completion.clone(), index, timestamp })
                })
                .map(Some),
            // Apart, because an acknowledgement that nobody wants costs more to hand through than this branch.
            Some(partitions) => self
                .append_to(topic, partitions, record, timestamp, &self.memory, |completion, index| {
                    if let Some(tag) = tag {
                        completion.tag(index, tag);
                    }
                })
                .map(|()| None),
            None => self.join_line(topic, record, timestamp, pending, tag),
        }
    }

    fn append_to<R>(
        &self,
        topic: &TopicEntry,
        partitions: &Partitions,
        record: &NewRecord<'_>,
        timestamp: i64,
        memory: &impl Memory,
        with: impl FnOnce(&Tag, u32) -> R,
    ) -> Result<R, Refusal> {
        let count = partitions.slots.len();
        let chosen = match record.partition {
            Some(partition) => usize::try_from(partition).unwrap_or(usize::MAX),
            None => match self.config.partitioner.partition(record.key.as_deref(), count) {
                Some(partition) => partition,
                None => topic.sticky(count),
            },
        };
        let Some(slot) = partitions.slots.get(chosen) else {
            let message = format!("topic {} has {count} partitions, 0 to {}", topic.name, count.saturating_sub(1));
            let error =
                Error::new(ErrorKind::UnknownTopic, message).on_partition(&topic.name, record.partition.unwrap_or(-1));
            return Err(Refusal::Error(
                error.hinting("leave the partition to the partitioner, or add partitions to the topic"),
            ));
        };
        let headers_held: Vec<Header<'_>>;
        let headers: &[Header<'_>] = if record.headers.is_empty() {
            &[]
        } else {
            headers_held = record
                .headers
                .iter()
                .map(|(name, value)| match value {
                    Some(value) => Header::new(name, value),
                    None => Header::null(name),
                })
                .collect();
            &headers_held
        };
        let data = RecordData { timestamp, key: record.key.as_deref(), value: record.value.as_deref(), headers };
        let new = || {
            let number = self.next_batch.fetch_add(1, Ordering::Relaxed);
            self.progress().open.insert(number);
            BatchCompletion::new(number, topic.name.clone(), slot.index)
        };
        let appended = slot.accumulator().append(clock::instant, &data, memory, new, with);
        match appended {
            Ok(appended) => {
                if let Some(filled) = appended.filled {
                    let (ticket, batch) = COMPRESSOR.with_borrow_mut(|compressor| filled.close(compressor));
                    slot.accumulator().finish(ticket, batch);
                }
                if appended.switch && record.partition.is_none() {
                    topic.switch(chosen, count);
                }
                if appended.wake {
                    self.announce(slot.id);
                }
                Ok(appended.value)
            }
            Err(AppendError::Full) => Err(Refusal::Full),
            Err(AppendError::Refused(error)) => Err(Refusal::Error(error.on_topic(&topic.name))),
        }
    }

    fn announce(&self, partition: PartitionId) {
        if let Some(key) = self.key() {
            self.driver.ready(key, partition);
        }
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a record until its topic's partitions are known.
    fn join_line(
        &self,
        topic: &TopicEntry,
        record: &NewRecord<'_>,
        timestamp: i64,
        pending: bool,
        tag: Option<RecordTag>,
    ) -> Result<Option<Pending>, Refusal> {
        let size = record.size();
        if size > self.config.max_request_size + 128 {
            return Err(Refusal::Error(too_large(size - 128, self.config.max_request_size).on_topic(&topic.name)));
        }
        if !self.memory.try_reserve(size) {
            return Err(Refusal::Full);
        }
        let mut line = topic.waiting();
        if line.over {
            drop(line);
            self.memory.release(size);
            // The partitions came between the two looks.
            return self.append_now(record, pending, tag);
        }
        let cell = pending.then(WaitingCell::new);
        line.records.push_back(WaitingRecord {
            record: record.clone().into_owned(),
            timestamp,
            cell: cell.clone(),
            tag,
            since: clock::instant(),
            reserved: size,
        });
        // Within the line's lock: the driver counts down only what was counted up before.
        topic.has_waiting.store(true, Ordering::SeqCst);
        let first = self.waiting_records.fetch_add(1, Ordering::SeqCst) == 0;
        drop(line);
        if first {
            self.driver.poke();
        }
        Ok(cell.map(|cell| Pending(PendingState::Waiting(cell))))
    }

    /// Waits in line for room, then appends.
    pub(crate) async fn append_when_free(
        &self,
        record: NewRecord<'_>,
        pending: bool,
    ) -> Result<Option<Pending>, ProduceError> {
        let deadline = clock::instant() + self.config.max_block;
        let _in_line = InLine::new(&self.memory);
        let attempt = async {
            let _first = self.memory.turnstile.lock().await;
            loop {
                let freed = self.memory.freed.notified();
                match self.append_now(&record, pending, None) {
                    Err(Refusal::Full) => {}
                    Ok(pending) => return Ok(pending),
                    Err(Refusal::Error(error)) => return Err(error),
                }
                // What lingers is memory that nobody uses: the driver sends it now.
                self.driver.poke();
                freed.await;
            }
        };
        match self.driver.timeout(clock::until(deadline), attempt).await {
            Some(Ok(pending)) => Ok(pending),
            Some(Err(error)) => Err(ProduceError::not_written(error, record)),
            None => {
                let millis = self.config.max_block.as_millis();
                let message =
                    format!("no room in the buffer ({} bytes) within max.block.ms ({millis} ms)", self.memory.limit());
                let error = Error::new(ErrorKind::BufferFull, message)
                    .hinting("records come faster than the brokers take them: is a partition without a leader, or buffer.memory too small?");
                Err(ProduceError::not_written(error, record))
            }
        }
    }

    // ----- On the driver's thread.

    /// Whether nothing may linger now.
    pub(crate) fn wants_force(&self) -> bool {
        self.flushing.load(Ordering::SeqCst) > 0 || self.memory.waiting.load(Ordering::SeqCst) > 0
    }

    /// Topics may have become known or grown.
    pub(crate) fn handle_metadata(
        self: &Arc<Self>,
        core: &mut ClientCore<Tag>,
        key: ProducerKey,
        metadata: &ClusterMetadata,
    ) {
        for topic in self.topics.load().iter() {
            let Some(known) = metadata.topics.get(&topic.name) else {
                if let Some(code) = metadata.errors.get(&topic.name).filter(|code| !code.is_retriable()) {
                    self.fail_line(topic, &Error::from_code(*code, None).on_topic(&topic.name));
                }
                continue;
            };
            let before = topic.partitions.load_full();
            let slots_before = before.as_ref().map_or(0, |p| p.slots.len());
            if slots_before >= known.partitions.len() {
                continue;
            }
            let mut slots = before.map(|p| p.slots.clone()).unwrap_or_default();
            for index in slots_before..known.partitions.len() {
                let index = i32::try_from(index).unwrap_or(i32::MAX);
                let Some(id) = core.add_partition(key, &topic.name, index) else { return };
                let slot = Arc::new(Slot::new(id, index, Accumulator::new(Limits::from(&self.config))));
                slots.push(slot.clone());
                self.slot_added(id, slot);
            }
            let partitions = Arc::new(Partitions { slots });
            if slots_before == 0 {
                self.empty_line(topic, &partitions);
            } else {
                topic.partitions.store(Some(partitions));
            }
        }
    }

    fn slot_added(&self, id: PartitionId, slot: Arc<Slot>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        debug_assert_eq!(slots.len(), id.0 as usize, "partitions are added in order");
        slots.push(slot);
    }

    /// Encodes the records that waited, in order; the line is over only when nobody is in it any more.
    fn empty_line(&self, topic: &TopicEntry, partitions: &Arc<Partitions>) {
        loop {
            let records = {
                let mut line = topic.waiting();
                if line.records.is_empty() {
                    line.over = true;
                    // Published within the line's lock: whoever finds the line over finds the partitions.
                    topic.partitions.store(Some(partitions.clone()));
                    topic.has_waiting.store(false, Ordering::SeqCst);
                    self.progressed.notify_waiters();
                    return;
                }
                std::mem::take(&mut line.records)
            };
            for waiting in records {
                self.waiting_records.fetch_sub(1, Ordering::SeqCst);
                let timestamp = waiting.timestamp;
                let cell = waiting.cell.clone();
                let appended = self.append_to(
                    topic,
                    partitions,
                    &waiting.record,
                    timestamp,
                    &Beyond(&self.memory),
                    |completion, index| {
                        if let Some(tag) = waiting.tag {
                            completion.tag(index, tag);
                        }
                        if let Some(cell) = &cell {
                            cell.moved(completion.clone(), index, timestamp);
                        }
                    },
                );
                self.memory.release(waiting.reserved);
                if let Err(Refusal::Error(error)) = appended {
                    self.fail_waiting(topic, waiting, error);
                }
            }
        }
    }

    fn fail_waiting(&self, topic: &TopicEntry, waiting: WaitingRecord, error: Error) {
        self.note_failure(1, &error);
        if let Some(on_delivery) = &self.on_delivery {
            on_delivery(&BatchReport {
                topic: topic.name.clone(),
                partition: waiting.record.partition.unwrap_or(-1),
                count: 1,
                result: Err(error.clone()),
                persisted: Persisted::No,
            });
        }
        if let Some(cell) = waiting.cell {
            cell.fail(ProduceError::new(error, Some(waiting.record), Persisted::No));
        } else if let Some(on_batch) = &self.on_batch {
            on_batch(FinishedBatch {
                topic: topic.name.clone(),
                partition: waiting.record.partition.unwrap_or(-1),
                count: 1,
                result: Err(error),
                persisted: Persisted::No,
                tags: waiting.tag.map(|tag| (0, tag)).into_iter().collect(),
                remains: Remains::Record(Box::new(waiting.record)),
                reserved: 0,
                owner: None,
            });
        }
    }

    fn fail_line(&self, topic: &TopicEntry, error: &Error) {
        let records = std::mem::take(&mut topic.waiting().records);
        topic.has_waiting.store(false, Ordering::SeqCst);
        for waiting in records {
            self.waiting_records.fetch_sub(1, Ordering::SeqCst);
            self.memory.release(waiting.reserved);
            self.fail_waiting(topic, waiting, error.clone());
        }
        self.progressed.notify_waiters();
    }

    /// Gives up records whose topic did not become known in time; returns when to look again.
    pub(crate) fn expire_waiting(&self, now: Now) -> Option<Instant> {
        if self.waiting_records.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let timeout = self.config.delivery_timeout;
        for topic in self.topics.load().iter().filter(|topic| topic.has_waiting.load(Ordering::SeqCst)) {
            loop {
                let late = {
                    let mut line = topic.waiting();
                    match line.records.front() {
                        Some(first) if first.since + timeout <= now.instant() => line.records.pop_front(),
                        Some(_) | None => None,
                    }
                };
                let Some(late) = late else { break };
                self.waiting_records.fetch_sub(1, Ordering::SeqCst);
                self.memory.release(late.reserved);
                let message = format!(
                    "topic {} was not found within delivery.timeout.ms ({} ms)",
                    topic.name,
                    timeout.as_millis()
                );
                let error = Error::new(ErrorKind::Timeout, message).on_topic(&topic.name);
                self.fail_waiting(
                    topic,
                    late,
                    error.hinting("create the topic, or check its name and the bootstrap address"),
                );
                self.progressed.notify_waiters();
            }
        }
        self.waiting_deadline()
    }

    pub(crate) fn waiting_deadline(&self) -> Option<Instant> {
        if self.waiting_records.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let table = self.topics.load();
        let first = table.iter().filter_map(|topic| topic.waiting().records.front().map(|first| first.since)).min();
        first.map(|since| since + self.config.delivery_timeout)
    }

    fn note_failure(&self, count: u64, error: &Error) {
        let mut progress = self.progress();
        progress.failed += count;
        progress.first_error.get_or_insert_with(|| error.clone());
    }

    /// The buffer of a batch that was delivered, for another one.
    pub(crate) fn reuse(&self, mut batch: ClosedBatch) {
        let header = batch.header();
        let producer =
            BatchProducer { id: header.producer_id, epoch: header.producer_epoch, base_sequence: header.base_sequence };
        // Sealed as it was: the same bytes, of which this is then the only owner.
        let bytes = batch.seal(producer, false);
        drop(batch);
        if let Ok(buffer) = bytes.try_into_mut() {
            self.memory.recycle(buffer);
        }
    }

    /// Memory that was reserved is free.
    pub(crate) fn give_back(&self, reserved: usize) {
        self.memory.release(reserved);
    }

    /// A batch is done: everybody hears of it, and its memory is free.
    pub(crate) fn handle_finished(self: &Arc<Self>, finished: Finished<Tag>) {
        let Finished { tag, outcome, batch, reserved, count, .. } = finished;
        let mut keep = None;
        let (result, persisted) = match outcome {
            Outcome::Delivered { base_offset, log_append_time } => {
                keep = batch;
                if let Some(tag) = &tag {
                    tag.finish(BatchEnd::Delivered { base_offset, log_append_time });
                }
                (Ok(base_offset), Persisted::Yes)
            }
            Outcome::Failed { error, persisted } => {
                if let Some(tag) = &tag {
                    self.note_failure(u64::from(count), &error);
                    if self.on_batch.is_some() {
                        keep.clone_from(&batch);
                    }
                    tag.finish(BatchEnd::Failed { error: error.clone(), persisted, batch });
                }
                (Err(error), persisted)
            }
        };
        if let (Some(tag), Some(on_batch)) = (&tag, &self.on_batch) {
            on_batch(FinishedBatch {
                topic: tag.topic.clone(),
                partition: tag.partition,
                count,
                result: result.clone(),
                persisted,
                tags: tag.take_tags(),
                remains: keep.map_or(Remains::Nothing, Remains::Batch),
                reserved,
                owner: Some(self.clone()),
            });
        } else {
            if let Some(batch) = keep {
                self.reuse(batch);
            }
            self.memory.release(reserved);
        }
        if let Some(tag) = tag {
            if let Some(on_delivery) = &self.on_delivery {
                on_delivery(&BatchReport {
                    topic: tag.topic.clone(),
                    partition: tag.partition,
                    count,
                    result,
                    persisted,
                });
            }
            self.progress().open.remove(&tag.number);
            self.progressed.notify_waiters();
        }
    }

    /// The driver is gone: nothing that is still here will be sent.
    pub(crate) fn abandon(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for topic in self.topics.load().iter() {
            self.fail_line(topic, &crate::client::closed());
        }
    }

    // ----- Flushing and closing.

    /// Waits until no record stands in line, and then until all batches that have a number by then are done.
    async fn drained(&self) {
        while self.waiting_records.load(Ordering::SeqCst) > 0 {
            let mut progressed = pin!(self.progressed.notified());
            progressed.as_mut().enable();
            if self.waiting_records.load(Ordering::SeqCst) > 0 {
                progressed.await;
            }
        }
        let upto = self.next_batch.load(Ordering::SeqCst);
        loop {
            let mut progressed = pin!(self.progressed.notified());
            progressed.as_mut().enable();
            if self.progress().open.first().is_none_or(|oldest| *oldest >= upto) {
                return;
            }
            progressed.await;
        }
    }

    pub(crate) async fn flush(&self) -> Result<(), FlushError> {
        self.flushing.fetch_add(1, Ordering::SeqCst);
        let _flushing = Flushing(self);
        self.driver.poke();
        self.drained().await;
        let mut progress = self.progress();
        match progress.first_error.take() {
            None => Ok(()),
            Some(first) => Err(FlushError { failed: std::mem::take(&mut progress.failed), first }),
        }
    }

    pub(crate) async fn close(&self, within: Duration) -> Result<(), Error> {
        self.closed.store(true, Ordering::SeqCst);
        match self.driver.timeout(within, self.flush()).await {
            Some(result) => result.map_err(Error::from),
            None => {
                let left = self.progress().open.len();
                let message = format!("{left} batches were not acknowledged within {} ms", within.as_millis());
                Err(Error::new(ErrorKind::Timeout, message))
            }
        }
    }
}

struct Flushing<'a>(&'a ProducerShared);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.flushing.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place in the line for memory, given up when dropped.
struct InLine<'a>(&'a BufferPool);

impl<'a> InLine<'a> {
    fn new(memory: &'a BufferPool) -> Self {
        memory.waiting.fetch_add(1, Ordering::SeqCst);
        Self(memory)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The accumulators, as the sender takes from them.
pub(crate) struct Source {
    slots: Arc<Mutex<Vec<Arc<Slot>>>>,
    /// What of `slots` was there at the last look: only the driver adds to it.
    known: Vec<Arc<Slot>>,
    compressor: Compressor,
    producer: Weak<ProducerShared>,
}

impl Source {
    fn slot(&mut self, partition: PartitionId) -> Option<&Arc<Slot>> {
        let at = partition.0 as usize;
        if at >= self.known.len() {
            self.known.clone_from(&self.slots.lock().unwrap_or_else(PoisonError::into_inner));
        }
        self.known.get(at)
    }
}

impl BatchSource<Tag> for Source {
    fn take(&mut self, now: Now, partition: PartitionId, force: bool) -> Available<Tag> {
        let Some(slot) = self.slot(partition).cloned() else { return Available::Empty };
        let taken = slot.accumulator().take(now, force, &mut self.compressor);
        match taken {
            Taken::Batch(batch) => Available::Batch(batch),
            Taken::Closing => Available::Closing,
            Taken::Lingering(until) => Available::Lingering(until),
            Taken::Empty => Available::Empty,
            Taken::Compress(closing) => {
                let producer = self.producer.clone();
                // The driver never compresses a large batch: its place in the queue is kept meanwhile.
                tokio::task::spawn_blocking(move || {
                    let (ticket, batch) = COMPRESSOR.with_borrow_mut(|compressor| closing.close(compressor));
                    slot.accumulator().finish(ticket, batch);
                    if let Some(producer) = producer.upgrade() {
                        producer.announce(slot.id);
                    }
                });
                Available::Closing
            }
        }
    }

    fn oldest(&mut self, partition: PartitionId) -> Option<Instant> {
        self.slot(partition).and_then(|slot| slot.accumulator().oldest())
    }
}

pub(crate) fn bug(record: &NewRecord<'_>) -> ProduceError {
    ProduceError::not_written(Error::new(ErrorKind::Bug, "no acknowledgement was made"), record.clone())
}

pub(crate) fn bug_without_record() -> ProduceError {
    ProduceError::new(Error::new(ErrorKind::Bug, "no acknowledgement was made"), None, Persisted::Maybe)
}
