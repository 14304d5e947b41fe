//! A topic from its first record on: records stand in line until its partitions are known, and are appended to them then.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};

use felice_client_core::client::{ClientCore, ProducerKey};
use felice_client_core::error::{Error, ErrorKind, Persisted};
use felice_client_core::metadata::ClusterMetadata;
use felice_client_core::producer::accumulator::{Accumulator, Limits, Memory, too_large};
use felice_client_core::producer::sender::PartitionId;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::time::{Instant, Now};

use super::append::Incoming;
use super::{ProducerShared, Refusal};
use crate::clock;
use crate::producer::Tag;
use crate::producer::completion::{BatchReport, Pending, PendingState, ProduceError, WaitingCell};
use crate::producer::finished::{FinishedBatch, RecordTag, Remains};
use crate::producer::memory::Beyond;
use crate::producer::record::NewRecord;
use crate::producer::topic::{Partitions, Slot, TopicEntry, WaitingRecord};

/// Records that leave the line at once: many more than one, so that whoever adds one shortens it.
const LINE_STEP: usize = 64;

impl ProducerShared {
    pub(super) fn topic(&self, name: &str) -> Arc<TopicEntry> {
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

    /// Keeps a record until its topic's partitions are known.
    pub(super) fn join_line(
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
            // The topic's name is the entry's.
            record: NewRecord { topic: Cow::Borrowed(""), timestamp: Some(timestamp), ..record.clone() }.into_owned(),
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
        // Known, and not published: the driver empties the line. Who adds to it takes more out, or it would grow as fast as it is emptied, and
        // the driver do nothing else. A partitioner of the program's may wait for the driver, so that one is called by the driver alone.
        if self.hooks.choose_partition.is_none()
            && let Some(partitions) = &*topic.known.load()
        {
            self.shorten_line(topic, partitions);
        }
        Ok(cell.map(|cell| Pending(PendingState::Waiting(cell))))
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
                match metadata.errors.get(&topic.name).copied() {
                    Some(code) if !code.is_retriable() => {
                        self.fail_line(topic, &Error::from_code(code, None).on_topic(&topic.name));
                    }
                    Some(code @ (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID)) => {
                        let limit = self.hooks.unknown_topic_after.map(|limit| topic.since + limit);
                        if limit.is_some_and(|limit| limit <= clock::instant()) {
                            self.fail_line(topic, &Error::from_code(code, None).on_topic(&topic.name));
                        }
                    }
                    Some(_) | None => {}
                }
                continue;
            };
            let before = topic.partitions.load_full();
            for slot in before.iter().flat_map(|partitions| &partitions.slots) {
                let partition = usize::try_from(slot.index).ok().and_then(|at| known.partitions.get(at));
                slot.set_has_leader(partition.is_some_and(|partition| partition.leader.is_some()));
            }
            let slots_before = before.as_ref().map_or(0, |p| p.slots.len());
            // There are fewer where the topic was made anew.
            if slots_before == known.partitions.len() {
                continue;
            }
            let mut slots = before.map(|p| p.slots.clone()).unwrap_or_default();
            slots.truncate(known.partitions.len());
            for index in slots_before..known.partitions.len() {
                let index = i32::try_from(index).unwrap_or(i32::MAX);
                let Some(id) = core.add_partition(key, &topic.name, index) else { return };
                let slot = self.slot(id, index);
                slot.set_has_leader(metadata.partition(&topic.name, index).is_some_and(|p| p.leader.is_some()));
                slots.push(slot);
            }
            let partitions = Arc::new(Partitions { slots });
            topic.known.store(Some(partitions.clone()));
            if slots_before == 0 {
                self.empty_line(topic, &partitions);
            } else {
                topic.partitions.store(Some(partitions));
            }
        }
    }

    /// The slot of a partition: a new one, but for one that was there before.
    fn slot(&self, id: PartitionId, index: i32) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(id.0 as usize) {
            return slot.clone();
        }
        debug_assert_eq!(slots.len(), id.0 as usize, "partitions are added in order");
        let slot = Arc::new(Slot::new(id, index, Accumulator::new(Limits::from(&self.config))));
        slots.push(slot.clone());
        slot
    }

    /// Encodes the records that waited, in order; the line is over only when nobody is in it any more.
    fn empty_line(&self, topic: &TopicEntry, partitions: &Arc<Partitions>) {
        while !self.shorten_line(topic, partitions) {}
    }

    /// Encodes some of the records that waited; `true` where nobody is in the line any more.
    fn shorten_line(&self, topic: &TopicEntry, partitions: &Arc<Partitions>) -> bool {
        let mut refused = Vec::new();
        {
            let _moving = topic.moving();
            let records: Vec<WaitingRecord> = {
                let mut line = topic.waiting();
                if line.over {
                    return true;
                }
                if line.records.is_empty() {
                    line.over = true;
                    line.records = VecDeque::new();
                    // Published within the line's lock: whoever finds the line over finds the partitions.
                    topic.partitions.store(Some(partitions.clone()));
                    topic.has_waiting.store(false, Ordering::SeqCst);
                    self.progressed.notify_waiters();
                    return true;
                }
                let some = line.records.len().min(LINE_STEP);
                line.records.drain(..some).collect()
            };
            for waiting in records {
                self.waiting_records.fetch_sub(1, Ordering::SeqCst);
                if let Err(Refusal::Error(error)) = self.append_waiting(topic, partitions, &waiting) {
                    refused.push((waiting, error));
                }
            }
        }
        // With nothing locked: the program may hear of it.
        for (waiting, error) in refused {
            self.fail_waiting(topic, waiting, error);
        }
        false
    }

    fn append_waiting(
        &self,
        topic: &TopicEntry,
        partitions: &Partitions,
        waiting: &WaitingRecord,
    ) -> Result<(), Refusal> {
        let WaitingRecord { record, timestamp, tag, reserved, .. } = waiting;
        if waiting.since + self.config.delivery_timeout <= clock::instant() {
            self.memory.release(*reserved);
            return Err(Refusal::Error(self.not_found(topic)));
        }
        let incoming = Incoming { record, timestamp: *timestamp, tag: *tag };
        let appended = self.append_to(topic, partitions, &incoming, &Beyond(&self.memory), |batch, index| {
            if let Some(tag) = tag {
                batch.tag(index, *tag);
            }
            if let Some(cell) = &waiting.cell {
                cell.moved(batch.completion(), index, *timestamp);
            }
        });
        self.memory.release(*reserved);
        appended
    }

    /// Gives up records whose topic did not become known in time; returns when to look again.
    pub(crate) fn expire_waiting(&self, now: Now) -> Option<Instant> {
        if self.waiting_records.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let patience = self.config.delivery_timeout.max(self.hooks.unknown_topic_for);
        for topic in self.topics.load().iter().filter(|topic| topic.has_waiting.load(Ordering::SeqCst)) {
            loop {
                let late = {
                    let mut line = topic.waiting();
                    match line.records.front() {
                        Some(first) if first.since + patience <= now.instant() => line.records.pop_front(),
                        Some(_) | None => None,
                    }
                };
                let Some(late) = late else { break };
                self.waiting_records.fetch_sub(1, Ordering::SeqCst);
                self.memory.release(late.reserved);
                self.fail_waiting(topic, late, self.not_found(topic));
                self.progressed.notify_waiters();
            }
        }
        self.waiting_deadline()
    }

    fn not_found(&self, topic: &TopicEntry) -> Error {
        let millis = self.config.delivery_timeout.as_millis();
        let message = format!("topic {} was not found within delivery.timeout.ms ({millis} ms)", topic.name);
        let error = Error::new(ErrorKind::Timeout, message).on_topic(&topic.name);
        error.hinting("create the topic, or check its name and the bootstrap address")
    }

    pub(crate) fn waiting_deadline(&self) -> Option<Instant> {
        if self.waiting_records.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let table = self.topics.load();
        let first = table.iter().filter_map(|topic| topic.waiting().records.front().map(|first| first.since)).min();
        first.map(|since| since + self.config.delivery_timeout.max(self.hooks.unknown_topic_for))
    }

    pub(super) fn fail_line(&self, topic: &TopicEntry, error: &Error) {
        let records = {
            // What is on its way from the line into a batch is there first: whoever purges finds it.
            let _moving = topic.moving();
            std::mem::take(&mut topic.waiting().records)
        };
        topic.has_waiting.store(false, Ordering::SeqCst);
        for waiting in records {
            self.waiting_records.fetch_sub(1, Ordering::SeqCst);
            self.memory.release(waiting.reserved);
            self.fail_waiting(topic, waiting, error.clone());
        }
        self.progressed.notify_waiters();
    }

    fn fail_waiting(&self, topic: &TopicEntry, mut waiting: WaitingRecord, error: Error) {
        waiting.record.topic = Cow::Owned(topic.name.as_str().to_owned());
        self.note_failure(1, &error);
        if let Some(on_delivery) = &self.hooks.on_delivery {
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
        } else if let Some(on_batch) = &self.hooks.on_batch {
            on_batch(FinishedBatch {
                topic: topic.name.clone(),
                partition: waiting.record.partition.unwrap_or(-1),
                count: 1,
                result: Err(error),
                persisted: Persisted::No,
                log_append_time: None,
                broker: None,
                opened_at: waiting.since,
                written_at: None,
                tags: waiting.tag.map(|tag| (0, tag)).into_iter().collect(),
                remains: Remains::Record(Box::new(waiting.record)),
                plain: OnceLock::new(),
                reserved: 0,
                owner: None,
            });
        }
    }
}
