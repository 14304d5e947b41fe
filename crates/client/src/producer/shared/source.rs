//! The accumulators, as the sender takes from them on the driver's thread.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use felice_client_core::producer::accumulator::{ReadyBatch, Taken};
use felice_client_core::producer::sender::{Available, BatchSource, PartitionId};
use felice_protocol::compression::Compressor;
use felice_protocol::time::{Instant, Now};

use super::ProducerShared;
use super::append::COMPRESSOR;
use crate::producer::Tag;
use crate::producer::topic::Slot;

/// The accumulators, as the sender takes from them.
pub(super) struct Source {
    pub(super) slots: Arc<Mutex<Vec<Arc<Slot>>>>,
    /// What of `slots` was there at the last look: only the driver adds to it.
    pub(super) known: Vec<Arc<Slot>>,
    pub(super) compressor: Compressor,
    pub(super) producer: Weak<ProducerShared>,
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

    fn give_up(&mut self, _now: Now, partition: PartitionId) -> Option<ReadyBatch<Tag>> {
        self.slot(partition)?.accumulator().give_up()
    }

    fn oldest(&mut self, partition: PartitionId) -> Option<Instant> {
        self.slot(partition).and_then(|slot| slot.accumulator().oldest())
    }
}
