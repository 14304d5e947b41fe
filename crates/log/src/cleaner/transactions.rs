//! What became of the transactions whose batches a cleaning passes. In Java: `CleanedTransactionMetadata`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::batch::BatchHeader;
use crate::index::AbortedTransaction;

/// The transactions of the offsets that were passed.
#[derive(Debug, Default)]
pub(crate) struct CleanedTransactions {
    /// Those that begin further on, by their first offset.
    ahead: VecDeque<AbortedTransaction>,
    /// By producer, and whether a batch of it was seen.
    aborted: BTreeMap<i64, (AbortedTransaction, bool)>,
    /// Producers of which a batch was seen that its marker will commit.
    committed: BTreeSet<i64>,
}

/// What a marker still means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// Nothing of its transaction is left.
    Needless,
    /// It ends a transaction of which there still are batches, or is no transaction's end.
    Needed,
    /// It aborts a transaction of which there still are batches.
    Aborts(AbortedTransaction),
}

impl CleanedTransactions {
    pub(crate) fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|transaction| transaction.first_offset);
        Self { ahead: aborted.into(), ..Self::default() }
    }

    fn advance(&mut self, offset: i64) {
        while let Some(transaction) = self.ahead.pop_front_if(|transaction| transaction.first_offset <= offset) {
            self.aborted.entry(transaction.producer_id).or_insert((transaction, false));
        }
    }

    /// Passes a batch of records. Says whether it was aborted.
    pub(crate) fn pass_batch(&mut self, batch: &BatchHeader) -> bool {
        self.advance(batch.last_offset());
        if !batch.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&batch.producer_id) {
            Some((_, is_seen)) => {
                *is_seen = true;
                true
            }
            None => {
                self.committed.insert(batch.producer_id);
                false
            }
        }
    }

    /// Passes a control batch: `committed` is what its marker says, `None` where it is of another kind.
    pub(crate) fn pass_marker(&mut self, batch: &BatchHeader, committed: Option<bool>) -> Marker {
        self.advance(batch.last_offset());
        match committed {
            // What was emptied was needless before.
            None if batch.count == 0 => Marker::Needless,
            None => Marker::Needed,
            Some(true) if self.committed.remove(&batch.producer_id) => Marker::Needed,
            Some(true) => Marker::Needless,
            Some(false) => match self.aborted.remove(&batch.producer_id) {
                Some((transaction, true)) => Marker::Aborts(transaction),
                _ => Marker::Needless,
            },
        }
    }
}
