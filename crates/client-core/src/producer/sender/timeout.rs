//! `delivery.timeout.ms`: what is given up because its time is over, and when to look again.

use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::time::{Instant, Now};

use super::partition::Flight;
use super::{Available, BatchSource, Finished, Outcome, PartitionId, Sender};
use crate::error::{Error, ErrorKind, Persisted};

impl<T> Sender<T> {
    /// Gives up what is older than `delivery.timeout.ms`, everything where no producer id will come, and what is for partitions that are no more.
    pub fn handle_timeout(&mut self, now: Now, source: &mut dyn BatchSource<T>) {
        let unidentified = self.idempotence.failure().cloned();
        let too_old = |at: Instant, timeout: Duration| at + timeout <= now.instant();
        let timeout = self.config.delivery_timeout;
        for id in self.active.clone() {
            let Some(p) = self.partitions.get_mut(id.0 as usize) else { continue };
            let failure =
                unidentified.clone().or_else(|| p.gone.then(|| gone(p.index).on_partition(&p.topic, p.index)));
            // In flight: the application hears of it now, the batch is kept until its fate is known.
            for batch in &mut p.unresolved {
                if matches!(batch.flight, Flight::InFlight(_))
                    && batch.tag.is_some()
                    && too_old(batch.opened_at, timeout)
                {
                    let error =
                        timed_out(timeout, batch.attempts, batch.last_error.as_ref()).on_partition(&p.topic, p.index);
                    self.finished.push_back(Finished {
                        partition: id,
                        tag: batch.tag.take(),
                        outcome: Outcome::Failed { error, persisted: Persisted::Maybe },
                        batch: Some(batch.batch.clone()),
                        broker: Some(batch.broker),
                        opened_at: batch.opened_at,
                        written_at: Some(batch.written_at),
                        reserved: 0,
                        count: batch.count,
                    });
                }
            }
            while let Some(p) = self.partitions.get(id.0 as usize)
                && let Some(batch) = p.unresolved.front()
                && p.unresolved.iter().all(|b| b.flight == Flight::Retry)
                && (too_old(batch.opened_at, timeout) || failure.is_some() || batch.tag.is_none())
            {
                let persisted = if batch.maybe_persisted { Persisted::Maybe } else { Persisted::No };
                let error =
                    timed_out(timeout, batch.attempts, batch.last_error.as_ref()).on_partition(&p.topic, p.index);
                self.drop_batch(id, 0, failure.clone().unwrap_or(error), persisted);
            }
            self.expire_waiting(now, id, failure.as_ref(), source);
        }
    }

    /// Records in the accumulator that cannot be sent in time, because the partition has no leader, is blocked or may not be written.
    fn expire_waiting(&mut self, now: Now, id: PartitionId, failure: Option<&Error>, source: &mut dyn BatchSource<T>) {
        let timeout = self.config.delivery_timeout;
        loop {
            let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
            let suspicious = p.has_batches && p.oldest.is_some_and(|at| at + timeout <= now.instant());
            if !suspicious && failure.is_none() {
                return;
            }
            p.oldest = source.oldest(id);
            if failure.is_none() && p.oldest.is_none_or(|at| at + timeout > now.instant()) {
                return;
            }
            let Available::Batch(ready) = source.take(now, id, true) else {
                return;
            };
            let why = match (p.leader, p.failure) {
                (_, Some(code)) => Some(Error::from_code(code, None)),
                (None, None) => Some(Error::new(ErrorKind::Broker, "the partition has no leader")),
                (Some(_), None) => None,
            };
            let error =
                failure.cloned().unwrap_or_else(|| timed_out(timeout, 0, why.as_ref())).on_partition(&p.topic, p.index);
            self.finished.push_back(Finished {
                partition: id,
                tag: Some(ready.tag),
                outcome: Outcome::Failed { error, persisted: Persisted::No },
                batch: Some(ready.batch),
                broker: None,
                opened_at: ready.opened_at,
                written_at: None,
                reserved: ready.reserved,
                count: ready.count,
            });
        }
    }

    /// When to call [`Self::handle_timeout`] and [`Self::poll_request`] again without another input. What has been due since before `now` waits
    /// for something else (a connection, an answer), and that will be an input: else the driver would spin until it comes.
    pub fn poll_timeout(&self, now: Now) -> Option<Instant> {
        let timeout = self.config.delivery_timeout;
        let ahead = |at: &Instant| *at > now.instant();
        let partitions = self.active.iter().filter_map(|id| self.partition(*id)).flat_map(|p| {
            let expiry = p.unresolved.iter().filter(|b| b.tag.is_some()).map(|b| b.opened_at).chain(p.oldest);
            let waits = !p.unresolved.is_empty() || p.has_batches;
            [
                p.blocked_until.filter(|_| waits),
                p.lingering_until.filter(|_| p.has_batches),
                expiry.map(|at| at + timeout).filter(ahead).min(),
            ]
        });
        let identity = if self.active.is_empty() { None } else { self.idempotence.poll_timeout() };
        partitions.flatten().chain(identity).filter(ahead).min()
    }
}

fn gone(index: i32) -> Error {
    Error::new(ErrorKind::UnknownTopic, format!("the topic has no partition {index} any more"))
        .code_of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

fn timed_out(timeout: Duration, attempts: u32, last: Option<&Error>) -> Error {
    let last_words = last.map_or_else(|| "never sent".to_owned(), |last| format!("last: {last}"));
    let error = Error::new(
        ErrorKind::Timeout,
        format!("delivery.timeout.ms ({} ms) is over after {attempts} attempts; {last_words}", timeout.as_millis()),
    );
    match last {
        Some(last) => {
            let error = match last.code() {
                Some(code) => error.code_of(code),
                None => error,
            };
            let error = match last.hint() {
                Some(hint) => error.hinting(hint),
                None => error,
            };
            error.caused_by(last.clone())
        }
        None => error.hinting("is the partition's leader up, and can it be reached from here?"),
    }
}
