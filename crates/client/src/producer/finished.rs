//! A finished batch as a whole, with its records and their tags: for callers that report record by record, as the C ABI does.

use std::fmt;
use std::sync::{Arc, OnceLock};

use felice_client_core::error::{Error, Persisted};
use felice_protocol::compression::Decompressor;
use felice_protocol::primitives::ByteStr;
use felice_protocol::records::{ClosedBatch, Headers, Records};
use felice_protocol::time::Instant;

use super::record::{NewHeader, NewRecord};
use super::shared::ProducerShared;

/// Two words of the caller's that come back with a record's fate; nothing here looks at them.
pub type RecordTag = [usize; 2];

/// A partitioner of the caller's: topic, key, number of partitions, the record's tag; `None` leaves the record to the sticky partition.
pub(crate) type ChoosePartition =
    Box<dyn Fn(&str, Option<&[u8]>, usize, Option<RecordTag>) -> Option<i32> + Send + Sync>;

/// A callback that takes finished batches.
pub(crate) type OnBatch = Box<dyn Fn(FinishedBatch) + Send + Sync>;

/// What is left of the records.
pub(crate) enum Remains {
    /// Nothing: the bytes are on their way still, or nobody keeps them.
    Nothing,
    /// The batch.
    Batch(ClosedBatch),
    /// A record that never came into a batch.
    Record(Box<NewRecord<'static>>),
}

/// A batch whose fate is known, with its records, for `on_batch`. Its memory counts against `buffer.memory` until it is dropped.
pub struct FinishedBatch {
    pub(crate) topic: ByteStr,
    pub(crate) partition: i32,
    pub(crate) count: u32,
    pub(crate) result: Result<i64, Error>,
    pub(crate) persisted: Persisted,
    pub(crate) log_append_time: Option<i64>,
    pub(crate) broker: Option<i32>,
    pub(crate) opened_at: Instant,
    pub(crate) written_at: Option<Instant>,
    pub(crate) tags: Vec<(u32, RecordTag)>,
    pub(crate) remains: Remains,
    /// The batch, decompressed, from when somebody asks for its records: what is lent of them lives as long as this.
    pub(crate) plain: OnceLock<Records>,
    pub(crate) reserved: usize,
    pub(crate) owner: Option<Arc<ProducerShared>>,
}

/// A record of a [`FinishedBatch`].
#[derive(Clone, Copy, Debug)]
pub struct FinishedRecord<'a> {
    /// Its place in the batch: on success its offset is the batch's plus this.
    pub index: u32,
    /// What it was tagged with.
    pub tag: Option<RecordTag>,
    /// The key; `None` also where the bytes are gone.
    pub key: Option<&'a [u8]>,
    /// The value; `None` also where the bytes are gone.
    pub value: Option<&'a [u8]>,
    /// Its timestamp in milliseconds since 1970, as it was produced.
    pub timestamp: i64,
    /// Its headers.
    pub headers: FinishedHeaders<'a>,
}

/// The headers of a [`FinishedRecord`].
#[derive(Clone, Copy, Debug)]
pub enum FinishedHeaders<'a> {
    /// As they are in the batch.
    Wire(Headers<'a>),
    /// As they were given, where the record never came into a batch.
    Given(&'a [NewHeader<'a>]),
}

impl FinishedBatch {
    /// The topic.
    pub fn topic(&self) -> &str {
        self.topic.as_str()
    }

    /// The partition; −1 where none was chosen before it failed.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// How many records.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// The offset of the first record, −1 where the broker did not say.
    ///
    /// # Errors
    /// Why they failed.
    pub fn result(&self) -> Result<i64, &Error> {
        self.result.as_ref().copied()
    }

    /// Whether the records are in the log.
    pub fn persisted(&self) -> Persisted {
        self.persisted
    }

    /// The broker's timestamp for all of them, on topics with `message.timestamp.type=LogAppendTime`.
    pub fn log_append_time(&self) -> Option<i64> {
        self.log_append_time
    }

    /// The broker that it was last sent to.
    pub fn broker(&self) -> Option<i32> {
        self.broker
    }

    /// How long ago its first record came.
    pub fn age(&self) -> std::time::Duration {
        crate::clock::instant() - self.opened_at
    }

    /// How long its first record waited until the batch left first; `None` where it never did.
    pub fn waited(&self) -> Option<std::time::Duration> {
        Some(self.written_at? - self.opened_at)
    }

    /// Calls `f` with each record, in order.
    pub fn for_each(&self, mut f: impl FnMut(FinishedRecord<'_>)) {
        self.for_each_from(0, |record| {
            f(record);
            true
        });
    }

    fn plain(&self, batch: &ClosedBatch) -> Option<&Records> {
        if let Some(records) = self.plain.get() {
            return Some(records);
        }
        let records = batch.records(&mut Decompressor::default()).ok()?;
        Some(self.plain.get_or_init(|| records))
    }

    /// Calls `f` with each record from this place on, in order, as long as it wants more; returns the place after the last. What the records lend
    /// stays where it is as long as this is there.
    pub fn for_each_from(&self, from: u32, mut f: impl FnMut(FinishedRecord<'_>) -> bool) -> u32 {
        // Tags are in the order of their records, and most records have none.
        let mut tags = self.tags.iter().peekable();
        let mut tag = |index: u32| tags.next_if(|(at, _)| *at == index).map(|(_, tag)| *tag);
        let mut next = 0;
        let mut give = |record: FinishedRecord<'_>| record.index < from || f(record);
        match &self.remains {
            Remains::Record(record) => {
                next = 1;
                let record = FinishedRecord {
                    index: 0,
                    tag: tag(0),
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                    timestamp: record.timestamp.unwrap_or(-1),
                    headers: FinishedHeaders::Given(&record.headers),
                };
                if !give(record) {
                    return next;
                }
            }
            Remains::Batch(batch) => {
                if let Some(records) = self.plain(batch) {
                    for record in records.iter().map_while(Result::ok) {
                        let index = next;
                        next += 1;
                        let record = FinishedRecord {
                            index,
                            tag: tag(index),
                            key: record.key,
                            value: record.value,
                            timestamp: record.timestamp,
                            headers: FinishedHeaders::Wire(record.headers()),
                        };
                        if !give(record) {
                            return next;
                        }
                    }
                }
            }
            Remains::Nothing => {}
        }
        for index in next..self.count {
            let headers = FinishedHeaders::Given(&[]);
            if !give(FinishedRecord { index, tag: tag(index), key: None, value: None, timestamp: -1, headers }) {
                return index + 1;
            }
        }
        self.count
    }
}

impl fmt::Debug for FinishedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishedBatch")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("count", &self.count)
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

impl Drop for FinishedBatch {
    fn drop(&mut self) {
        let Some(owner) = self.owner.take() else { return };
        drop(self.plain.take());
        if let Remains::Batch(batch) = std::mem::replace(&mut self.remains, Remains::Nothing) {
            owner.reuse(batch);
        }
        owner.give_back(self.reserved);
    }
}
