//! Appending, on the application's threads.

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use felice_client_core::error::{Error, ErrorKind, Persisted};
use felice_client_core::producer::accumulator::{AppendError, Memory, RecordData};
use felice_protocol::compression::Compressor;
use felice_protocol::records::Header;

use super::ProducerShared;
use crate::clock;
use crate::producer::Tag;
use crate::producer::completion::{Pending, PendingState, ProduceError};
use crate::producer::finished::RecordTag;
use crate::producer::memory::BufferPool;
use crate::producer::record::NewRecord;
use crate::producer::topic::{Partitions, TopicEntry};

/// Why an append was refused.
pub(crate) enum Refusal {
    /// No room now.
    Full,
    /// Never.
    Error(Error),
}

/// A record on its way into a batch.
pub(super) struct Incoming<'a> {
    pub(super) record: &'a NewRecord<'a>,
    pub(super) timestamp: i64,
    pub(super) tag: Option<RecordTag>,
}

thread_local! {
    pub(super) static COMPRESSOR: RefCell<Compressor> = RefCell::new(Compressor::default());
}

impl ProducerShared {
    /// Appends a record to its partition's open batch, or to the line of its topic. Nobody who waits for room is overtaken.
    pub(crate) fn append(&self, record: &NewRecord<'_>, pending: bool) -> Result<Option<Pending>, Refusal> {
        if self.memory.waiting.load(Ordering::Relaxed) > 0 {
            return Err(Refusal::Full);
        }
        self.append_now(record, pending, None)
    }

    /// As [`Self::append`]; the tag comes back with the finished batch.
    pub(crate) fn append_tagged(&self, record: &NewRecord<'_>, tag: Option<RecordTag>) -> Result<(), Refusal> {
        if self.memory.waiting.load(Ordering::Relaxed) > 0 {
            return Err(Refusal::Full);
        }
        self.append_now(record, false, tag).map(|_| ())
    }

    pub(super) fn append_now(
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
        let incoming = Incoming { record, timestamp, tag };
        match &*topic.partitions.load() {
            Some(partitions) if pending => self
                .append_to(topic, partitions, &incoming, &self.memory, |batch, index| {
                    Pending(PendingState::Batch { completion: batch.completion(), index, timestamp })
                })
                .map(Some),
            // Apart, because an acknowledgement that nobody wants costs more to hand through than this branch.
            Some(partitions) => self
                .append_to(topic, partitions, &incoming, &self.memory, |completion, index| {
                    if let Some(tag) = tag {
                        completion.tag(index, tag);
                    }
                })
                .map(|()| None),
            None => self.join_line(topic, record, timestamp, pending, tag),
        }
    }

    pub(super) fn append_to<R>(
        &self,
        topic: &TopicEntry,
        partitions: &Partitions,
        incoming: &Incoming<'_>,
        memory: &impl Memory,
        with: impl FnOnce(&Tag, u32) -> R,
    ) -> Result<R, Refusal> {
        let Incoming { record, timestamp, tag } = *incoming;
        let count = partitions.slots.len();
        let own = self.hooks.choose_partition.as_ref().filter(|_| record.partition.is_none());
        let own = own.and_then(|choose| choose(&topic.name, record.key.as_deref(), count, tag));
        let chosen = match record.partition.or(own) {
            Some(partition) => usize::try_from(partition).unwrap_or(usize::MAX),
            None if self.hooks.choose_partition.is_some() => topic.sticky(count),
            None => match self.config.partitioner.partition(record.key.as_deref(), count) {
                Some(partition) => partition,
                None => topic.sticky(count),
            },
        };
        let Some(slot) = partitions.slots.get(chosen) else {
            let message = format!("topic {} has {count} partitions, 0 to {}", topic.name, count.saturating_sub(1));
            let partition = record.partition.or(own).unwrap_or(-1);
            let error = Error::new(ErrorKind::UnknownTopic, message).on_partition(&topic.name, partition);
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
            Tag::new(number, topic.name.clone(), slot.index)
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
                    if self.abandoned.load(Ordering::SeqCst) {
                        slot.accumulator().clear();
                    }
                }
                Ok(appended.value)
            }
            Err(AppendError::Full) => Err(Refusal::Full),
            Err(AppendError::Refused(error)) => Err(Refusal::Error(error.on_topic(&topic.name))),
        }
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

pub(crate) fn bug(record: &NewRecord<'_>) -> ProduceError {
    ProduceError::not_written(Error::new(ErrorKind::Bug, "no acknowledgement was made"), record.clone())
}

pub(crate) fn bug_without_record() -> ProduceError {
    ProduceError::new(Error::new(ErrorKind::Bug, "no acknowledgement was made"), None, Persisted::Maybe)
}
