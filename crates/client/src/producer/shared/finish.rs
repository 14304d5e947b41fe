//! What becomes of finished batches, on the driver's thread.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};

use felice_client_core::error::Persisted;
use felice_client_core::producer::sender::{Finished, Outcome};
use felice_protocol::records::{ClosedBatch, Producer as BatchProducer};

use super::ProducerShared;
use crate::producer::Tag;
use crate::producer::completion::{BatchEnd, BatchReport};
use crate::producer::finished::{FinishedBatch, Remains};

impl ProducerShared {
    /// A batch is done: everybody hears of it, and its memory is free.
    pub(crate) fn handle_finished(self: &Arc<Self>, finished: Finished<Tag>) {
        let Finished { tag, outcome, batch, reserved, count, broker, opened_at, written_at, .. } = finished;
        let (mut keep, mut append_time) = (None, None);
        let (result, persisted) = match outcome {
            Outcome::Delivered { base_offset, log_append_time } => {
                keep = batch;
                append_time = log_append_time;
                if let Some(tag) = &tag {
                    tag.finish(BatchEnd::Delivered { base_offset, log_append_time });
                }
                (Ok(base_offset), Persisted::Yes)
            }
            Outcome::Failed { error, persisted } => {
                if let Some(tag) = &tag {
                    self.note_failure(u64::from(count), &error);
                    if self.hooks.on_batch.is_some() {
                        keep.clone_from(&batch);
                    }
                    tag.finish(BatchEnd::Failed { error: error.clone(), persisted, batch });
                }
                (Err(error), persisted)
            }
        };
        if let (Some(tag), Some(on_batch)) = (&tag, &self.hooks.on_batch) {
            on_batch(FinishedBatch {
                topic: tag.topic.clone(),
                partition: tag.partition,
                count,
                result: result.clone(),
                persisted,
                log_append_time: append_time,
                broker,
                opened_at,
                written_at,
                tags: tag.take_tags(),
                remains: keep.map_or(Remains::Nothing, Remains::Batch),
                plain: OnceLock::new(),
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
            if let Some(on_delivery) = &self.hooks.on_delivery {
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

    /// The driver is gone: nothing that is still here will be sent.
    pub(crate) fn abandon(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.abandoned.store(true, Ordering::SeqCst);
        for topic in self.topics.load().iter() {
            self.fail_line(topic, &crate::client::closed());
        }
        for slot in self.slots.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            slot.accumulator().clear();
        }
        let lost = std::mem::take(&mut self.progress().open).len();
        if lost > 0 {
            self.note_failure(lost as u64, &crate::client::closed());
        }
        self.progressed.notify_waiters();
    }
}
