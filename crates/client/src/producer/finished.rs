//! A finished batch as a whole, with its records and their tags: for callers that report record by record, as the C ABI does.

use std::fmt;
use std::sync::Arc;

use felice_client_core::error::{Error, Persisted};
use felice_protocol::compression::Decompressor;
use felice_protocol::primitives::ByteStr;
use felice_protocol::records::ClosedBatch;

use super::record::NewRecord;
use super::shared::ProducerShared;

/// Two words of the caller's that come back with a record's fate; nothing here looks at them.
pub type RecordTag = [usize; 2];

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
    pub(crate) tags: Vec<(u32, RecordTag)>,
    pub(crate) remains: Remains,
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

    /// Calls `f` with each record, in order.
    pub fn for_each(&self, mut f: impl FnMut(FinishedRecord<'_>)) {
        // Tags are in the order of their records, and most records have none.
        let mut tags = self.tags.iter().peekable();
        let mut tag = |index: u32| tags.next_if(|(at, _)| *at == index).map(|(_, tag)| *tag);
        let mut next = 0;
        match &self.remains {
            Remains::Record(record) => {
                f(FinishedRecord { index: 0, tag: tag(0), key: record.key.as_deref(), value: record.value.as_deref() });
                next = 1;
            }
            Remains::Batch(batch) => {
                if let Ok(records) = batch.records(&mut Decompressor::default()) {
                    for record in records.iter().map_while(Result::ok) {
                        f(FinishedRecord { index: next, tag: tag(next), key: record.key, value: record.value });
                        next += 1;
                    }
                }
            }
            Remains::Nothing => {}
        }
        for index in next..self.count {
            f(FinishedRecord { index, tag: tag(index), key: None, value: None });
        }
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
        if let Remains::Batch(batch) = std::mem::replace(&mut self.remains, Remains::Nothing) {
            owner.reuse(batch);
        }
        owner.give_back(self.reserved);
    }
}
