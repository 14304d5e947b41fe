//! What a partition knows of its producers: epochs, sequences, open transactions. In Java: `ProducerStateManager`, `ProducerStateEntry`,
//! `ProducerAppendInfo`.
//!
//! Checking a batch and taking it in are two steps, with the write between them: a batch that was not written leaves no trace here.

use std::collections::{BTreeMap, VecDeque};

use felice_protocol::records::EndTransactionMarker;

use crate::batch::BatchHeader;
use crate::error::AppendError;
use crate::index::AbortedTransaction;

/// As many of a producer's last batches are known again when they come twice.
pub const BATCHES_TO_RETAIN: usize = 5;

/// Who hands a batch to the log, and so which checks it must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A client: sequences are checked, duplicates recognised.
    Client,
    /// A coordinator of this broker: epochs are checked.
    Coordinator,
    /// The partition's leader has checked it.
    Replication,
}

/// One of a producer's last batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMetadata {
    /// The sequence of its last record.
    pub last_sequence: i32,
    /// The offset of its last record.
    pub last_offset: i64,
    /// Its records, less one.
    pub offset_delta: i32,
    /// Its largest timestamp.
    pub timestamp: i64,
}

impl BatchMetadata {
    /// The sequence of its first record.
    pub fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        i32::try_from(if first < 0 { first + (1 << 31) } else { first }).unwrap_or(0)
    }

    /// The offset of its first record.
    pub fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// What is known of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerStateEntry {
    /// Its id.
    pub producer_id: i64,
    /// The newest epoch seen.
    pub producer_epoch: i16,
    /// The epoch of the coordinator whose marker came last, -1 before one came.
    pub coordinator_epoch: i32,
    /// The largest timestamp of the batch or marker that came last.
    pub last_timestamp: i64,
    /// Where its open transaction began.
    pub current_txn_first_offset: Option<i64>,
    /// Its last batches of this epoch, oldest first, five at most.
    pub batches: VecDeque<BatchMetadata>,
}

impl ProducerStateEntry {
    fn empty(producer_id: i64) -> Self {
        Self {
            producer_id,
            producer_epoch: -1,
            coordinator_epoch: -1,
            last_timestamp: -1,
            current_txn_first_offset: None,
            batches: VecDeque::new(),
        }
    }

    /// The sequence of its last record, -1 where none is known.
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    fn set_epoch(&mut self, epoch: i16) {
        if self.producer_epoch != epoch {
            self.batches.clear();
            self.producer_epoch = epoch;
        }
    }

    fn duplicate(&self, batch: &BatchHeader) -> Option<BatchMetadata> {
        let same = |known: &&BatchMetadata| {
            known.first_sequence() == batch.base_sequence && known.last_sequence == batch.last_sequence()
        };
        if batch.producer_epoch == self.producer_epoch { self.batches.iter().find(same).copied() } else { None }
    }

    fn check_sequence(&self, batch: &BatchHeader) -> Result<(), AppendError> {
        let last = self.last_sequence();
        let expected = match () {
            // Nothing is known of the producer: any start will do.
            () if self.producer_epoch == -1 => return Ok(()),
            () if batch.producer_epoch != self.producer_epoch => 0,
            () => last.checked_add(1).unwrap_or(0),
        };
        if batch.base_sequence == expected {
            return Ok(());
        }
        Err(AppendError::OutOfOrderSequence {
            producer_id: self.producer_id,
            epoch: batch.producer_epoch,
            sequence: batch.base_sequence,
            expected,
        })
    }

    fn check_epoch(&self, epoch: i16, origin: AppendOrigin) -> Result<(), AppendError> {
        if epoch < self.producer_epoch && origin != AppendOrigin::Replication {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: self.producer_id,
                epoch,
                current_epoch: self.producer_epoch,
            });
        }
        Ok(())
    }
}

/// A transaction whose end, or the replication of its end, is still to come.
#[derive(Clone, Copy, Debug)]
struct Transaction {
    producer_id: i64,
    /// The offset of its marker.
    ended_at: Option<i64>,
}

/// All producers of a partition.
#[derive(Debug, Default)]
pub(crate) struct ProducerState {
    producers: BTreeMap<i64, ProducerStateEntry>,
    /// By the offset of their first record.
    transactions: BTreeMap<i64, Transaction>,
}

impl ProducerState {
    pub(crate) fn entries(&self) -> impl Iterator<Item = &ProducerStateEntry> {
        self.producers.values()
    }

    pub(crate) fn entry(&self, producer_id: i64) -> Option<&ProducerStateEntry> {
        self.producers.get(&producer_id)
    }

    /// Whether a batch may be appended. `Some` is the batch that it repeats.
    pub(crate) fn check(
        &self,
        batch: &BatchHeader,
        marker: Option<EndTransactionMarker>,
        origin: AppendOrigin,
    ) -> Result<Option<BatchMetadata>, AppendError> {
        let Some(entry) = self.producers.get(&batch.producer_id) else { return Ok(None) };
        if let Some(marker) = marker {
            entry.check_epoch(batch.producer_epoch, origin)?;
            if marker.coordinator_epoch < entry.coordinator_epoch && origin != AppendOrigin::Replication {
                return Err(AppendError::TransactionCoordinatorFenced {
                    coordinator_epoch: marker.coordinator_epoch,
                    current_epoch: entry.coordinator_epoch,
                });
            }
            return Ok(None);
        }
        if origin == AppendOrigin::Client
            && let Some(duplicate) = entry.duplicate(batch)
        {
            return Ok(Some(duplicate));
        }
        entry.check_epoch(batch.producer_epoch, origin)?;
        if origin == AppendOrigin::Client {
            entry.check_sequence(batch)?;
        }
        match entry.current_txn_first_offset {
            Some(first_offset) if !batch.is_transactional() && origin != AppendOrigin::Replication => {
                Err(AppendError::InvalidTxnState { producer_id: batch.producer_id, first_offset })
            }
            _ => Ok(None),
        }
    }

    /// Takes in a batch that was written. `Some` is a transaction that its marker aborted.
    pub(crate) fn apply(
        &mut self,
        batch: &BatchHeader,
        marker: Option<EndTransactionMarker>,
    ) -> Option<AbortedTransaction> {
        let producer_id = batch.producer_id;
        if producer_id < 0 {
            return None;
        }
        let entry = self.producers.entry(producer_id).or_insert_with(|| ProducerStateEntry::empty(producer_id));
        entry.last_timestamp = batch.max_timestamp;
        let Some(marker) = marker else {
            if batch.is_control() {
                return None;
            }
            entry.set_epoch(batch.producer_epoch);
            if entry.batches.len() == BATCHES_TO_RETAIN {
                entry.batches.pop_front();
            }
            entry.batches.push_back(BatchMetadata {
                last_sequence: batch.last_sequence(),
                last_offset: batch.last_offset(),
                offset_delta: batch.last_offset_delta,
                timestamp: batch.max_timestamp,
            });
            if batch.is_transactional() && entry.current_txn_first_offset.is_none() {
                entry.current_txn_first_offset = Some(batch.base_offset);
                self.transactions.insert(batch.base_offset, Transaction { producer_id, ended_at: None });
            }
            return None;
        };
        entry.set_epoch(batch.producer_epoch);
        entry.coordinator_epoch = marker.coordinator_epoch;
        let first_offset = entry.current_txn_first_offset.take()?;
        let last_offset = batch.last_offset();
        if let Some(transaction) = self.transactions.get_mut(&first_offset) {
            transaction.ended_at = Some(last_offset);
        }
        let open = self.transactions.iter().find(|(_, transaction)| transaction.ended_at.is_none());
        let last_stable_offset = open.map_or(last_offset + 1, |(first, _)| *first);
        (!marker.committed).then_some(AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset })
    }

    /// Transactions whose markers lie below the high watermark are over.
    pub(crate) fn handle_high_watermark(&mut self, high_watermark: i64) {
        while let Some(first) = self.transactions.first_entry() {
            match first.get().ended_at {
                Some(marker) if marker < high_watermark => drop(first.remove()),
                _ => break,
            }
        }
    }

    /// The first offset of the earliest transaction that is not over for a reader below the high watermark.
    pub(crate) fn first_unstable_offset(&self, high_watermark: i64) -> Option<i64> {
        let unstable = |transaction: &Transaction| transaction.ended_at.is_none_or(|marker| marker >= high_watermark);
        self.transactions.iter().find(|(_, transaction)| unstable(transaction)).map(|(first, _)| *first)
    }

    /// The producer with the transaction that began at an offset, while that is open.
    pub(crate) fn open_transactions(&self) -> impl Iterator<Item = (i64, i64)> {
        let open = self.transactions.iter().filter(|(_, transaction)| transaction.ended_at.is_none());
        open.map(|(first_offset, transaction)| (*first_offset, transaction.producer_id))
    }

    /// Forgets producers without an open transaction that were silent too long.
    pub(crate) fn remove_expired(&mut self, wall_millis: i64, expiration_millis: i64) {
        self.producers.retain(|_, entry| !is_expired(entry, wall_millis, expiration_millis));
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Starts from what a snapshot holds. Records that were deleted since still count for the sequence.
    pub(crate) fn load(&mut self, entries: Vec<ProducerStateEntry>, wall_millis: i64, expiration_millis: i64) {
        self.clear();
        for entry in entries {
            if is_expired(&entry, wall_millis, expiration_millis) {
                continue;
            }
            if let Some(first_offset) = entry.current_txn_first_offset {
                let transaction = Transaction { producer_id: entry.producer_id, ended_at: None };
                self.transactions.insert(first_offset, transaction);
            }
            self.producers.insert(entry.producer_id, entry);
        }
    }
}

fn is_expired(entry: &ProducerStateEntry, wall_millis: i64, expiration_millis: i64) -> bool {
    entry.current_txn_first_offset.is_none() && wall_millis.saturating_sub(entry.last_timestamp) >= expiration_millis
}
