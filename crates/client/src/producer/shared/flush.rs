//! Flushing and closing: waiting until what was handed over is done.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use felice_client_core::error::{Error, ErrorKind};

use super::ProducerShared;
use crate::producer::completion::FlushError;

/// How long a producer that was dropped goes on sending what it has.
const RETIRE_WITHIN: Duration = Duration::from_secs(1);

/// Which batches are not done, and what has failed since the last flush.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) open: BTreeSet<u64>,
    pub(super) failed: u64,
    pub(super) first_error: Option<Error>,
}

impl ProducerShared {
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

    /// Nobody has the producer any more: what was handed over is sent for a moment, then the driver forgets it.
    pub(crate) async fn retire(self: Arc<Self>) {
        if let Err(error) = self.close(RETIRE_WITHIN).await {
            tracing::warn!(
                "a producer was dropped before its records were acknowledged: {error}; close() waits for them"
            );
        }
        self.driver.clone().command(move |driver, _| {
            if let Some(key) = self.key() {
                driver.producers.remove(&key);
                driver.core.remove_producer(key);
            }
            self.abandon();
        });
    }

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

    /// Whether nothing may linger now.
    pub(crate) fn wants_force(&self) -> bool {
        self.flushing.load(Ordering::SeqCst) > 0 || self.memory.waiting.load(Ordering::SeqCst) > 0
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_failure(&self, count: u64, error: &Error) {
        let mut progress = self.progress();
        progress.failed += count;
        progress.first_error.get_or_insert_with(|| error.clone());
    }
}

struct Flushing<'a>(&'a ProducerShared);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.flushing.fetch_sub(1, Ordering::SeqCst);
    }
}
