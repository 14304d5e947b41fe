//! What an answer to a Produce request, or its absence, makes of each batch in it.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{ProduceResponse, produce};
use felice_protocol::time::Now;

use super::partition::{Flight, Unresolved};
use super::{Finished, Outcome, Overrule, PartitionId, ProduceFailure, Sender};
use crate::bugs::Bug;
use crate::error::{Error, ErrorKind, Persisted, RefusedRecord};
use crate::metadata::BrokerId;

impl<T> Sender<T> {
    /// An answer came. `broker` is the address for errors.
    pub fn handle_response(&mut self, now: Now, id: u64, response: &ProduceResponse, broker: &str) {
        let Some((broker_id, partitions)) = self.requests.remove(&id) else { return };
        self.release(broker_id);
        let mut unanswered = partitions;
        for topic in &response.responses {
            for answer in &topic.partition_responses {
                let found = unanswered.iter().position(|p| {
                    self.partition(*p).is_some_and(|p| {
                        p.index == answer.index
                            && (p.topic == topic.name || topic.name.is_empty() && p.topic_id == topic.topic_id)
                    })
                });
                // A partition that was not in the request, or is named twice, is none of ours.
                let Some(found) = found else { continue };
                let partition = unanswered.swap_remove(found);
                self.handle_partition_response(now, partition, id, answer, broker);
            }
        }
        for partition in unanswered {
            let error = Error::new(ErrorKind::Decode, "the broker's answer leaves the partition out").broker_at(broker);
            self.handle_unknown_outcome(now, partition, id, error, true);
        }
    }

    /// No answer will come.
    pub fn handle_failure(&mut self, now: Now, id: u64, failure: &ProduceFailure) {
        let Some((broker, partitions)) = self.requests.remove(&id) else { return };
        self.release(broker);
        self.refresh = true;
        for partition in partitions {
            self.handle_unknown_outcome(now, partition, id, failure.error.clone(), failure.sent);
        }
    }

    fn release(&mut self, broker: BrokerId) {
        if let Some(n) = self.in_flight.get_mut(&broker) {
            *n = n.saturating_sub(1);
        }
    }

    fn handle_partition_response(
        &mut self,
        now: Now,
        id: PartitionId,
        request: u64,
        answer: &produce::response::PartitionProduceResponse,
        broker: &str,
    ) {
        let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
        let Some(at) = p.position(request) else { return };
        let mut code = answer.error_code;
        if let (Some(Overrule(overrule)), Some(batch)) = (&mut self.overrule, p.unresolved.get(at)) {
            match i16::try_from(overrule(batch.broker, batch.first_record, code.0)) {
                Ok(made @ 0..) => code = ErrorCode(made),
                Ok(_) | Err(_) => {
                    let error = Error::new(ErrorKind::Timeout, "a test took the answer away").broker_at(broker);
                    self.handle_unknown_outcome(now, id, request, error, true);
                    return;
                }
            }
        }
        if code.is_ok() || code == ErrorCode::DUPLICATE_SEQUENCE_NUMBER {
            let Some(batch) = p.unresolved.remove(at) else { return };
            p.proven = true;
            p.backoff.reset();
            p.blocked_until = None;
            let base_offset = if code.is_ok() { answer.base_offset } else { -1 };
            let log_append_time = (answer.log_append_time_ms >= 0).then_some(answer.log_append_time_ms);
            self.report(id, batch, Outcome::Delivered { base_offset, log_append_time });
            return;
        }
        let topic = p.topic.clone();
        let index = p.index;
        let refused = answer
            .record_errors
            .iter()
            .map(|one| RefusedRecord { index: one.batch_index, message: one.batch_index_error_message.clone() });
        let error = Error::from_code(code, answer.error_message.as_deref())
            .on_partition(&topic, index)
            .broker_at(broker)
            .refusing(refused.collect());
        let Some(batch) = p.unresolved.get_mut(at) else { return };
        batch.flight = Flight::Retry;
        batch.last_error = Some(error.clone());
        batch.maybe_persisted |= may_have_appended(code);
        let (attempts, maybe, identity) = (batch.attempts, batch.maybe_persisted, batch.identity);
        // Behind an unresolved one, a batch is refused for being out of order: it waits for its turn, nothing else is wrong with it.
        if at > 0 && is_about_sequence(code) {
            return;
        }
        match recovery(code, self.config.idempotence) {
            Recovery::Backoff if attempts <= self.config.retries => p.pause(now),
            Recovery::RefreshMetadata if attempts <= self.config.retries => {
                p.pause(now);
                self.refresh = true;
            }
            // The broker keeps the last five batches of a producer, and no more are in flight: a batch that it had would have been known
            // as a duplicate. So this one is not in the log, unless the broker has lost the producer's state.
            Recovery::BumpEpoch if !maybe && attempts <= self.config.retries => {
                p.pause(now);
                if self.idempotence.identity() == Some(identity) {
                    self.idempotence.bump_epoch();
                }
            }
            Recovery::Backoff | Recovery::RefreshMetadata | Recovery::BumpEpoch | Recovery::Fail => {
                let persisted = if maybe { Persisted::Maybe } else { Persisted::No };
                self.drop_batch(id, at, error, persisted);
            }
        }
    }

    fn handle_unknown_outcome(&mut self, now: Now, id: PartitionId, request: u64, error: Error, sent: bool) {
        let retries = self.config.retries;
        let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
        let Some(at) = p.position(request) else { return };
        let error = error.on_partition(&p.topic, p.index);
        p.pause(now);
        let Some(batch) = p.unresolved.get_mut(at) else { return };
        batch.flight = Flight::Retry;
        batch.maybe_persisted |= sent;
        batch.last_error = Some(error.clone());
        if batch.attempts > retries {
            let persisted = if batch.maybe_persisted { Persisted::Maybe } else { Persisted::No };
            self.drop_batch(id, at, error, persisted);
        }
    }

    /// Gives a batch up that was written at least once.
    pub(super) fn drop_batch(&mut self, id: PartitionId, at: usize, error: Error, persisted: Persisted) {
        let idempotent = self.config.idempotence;
        let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
        let Some(batch) = p.unresolved.remove(at) else { return };
        // Those behind it carry sequences that leave a gap now. Where one may be in the log, writing it under a new epoch could write it
        // twice; so it shares the fate of the one before it. The others are numbered anew once all in flight are answered.
        let mut doomed = Vec::new();
        if idempotent {
            let mut i = at;
            while i < p.unresolved.len() {
                if p.unresolved[i].flight == Flight::Retry && p.unresolved[i].maybe_persisted {
                    doomed.extend(p.unresolved.remove(i));
                } else {
                    i += 1;
                }
            }
            if self.config.bugs.has(Bug::SequenceReusedAfterDrop) {
                p.next_sequence = batch.sequence;
            } else if self.idempotence.identity() == Some(batch.identity) {
                self.idempotence.bump_epoch();
            }
        }
        let lies = self.config.bugs.has(Bug::UnknownCalledFailed);
        let persisted = if lies { Persisted::No } else { persisted };
        self.report(id, batch, Outcome::Failed { error: error.clone(), persisted });
        for batch in doomed {
            self.report(id, batch, Outcome::Failed { error: error.clone(), persisted: Persisted::Maybe });
        }
    }

    fn report(&mut self, id: PartitionId, batch: Unresolved<T>, outcome: Outcome) {
        self.finished.push_back(Finished {
            partition: id,
            tag: batch.tag,
            outcome,
            batch: Some(batch.batch),
            broker: Some(batch.broker),
            opened_at: batch.opened_at,
            written_at: Some(batch.written_at),
            reserved: batch.reserved,
            count: batch.count,
        });
        if let Some(p) = self.partition(id)
            && p.unresolved.is_empty()
            && !p.has_batches
        {
            self.active.remove(&id);
        }
    }
}

/// Whether the records are, or may be, in the leader's log all the same.
fn may_have_appended(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::REQUEST_TIMED_OUT
            | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
            | ErrorCode::KAFKA_STORAGE_ERROR
            | ErrorCode::UNKNOWN_SERVER_ERROR
    )
}

fn is_about_sequence(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID | ErrorCode::INVALID_PRODUCER_EPOCH
    )
}

/// What Produce does about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    /// Write the same again after a pause.
    Backoff,
    /// Write the same again once the metadata is new.
    RefreshMetadata,
    /// Write it again under a new producer epoch.
    BumpEpoch,
    /// Give it up.
    Fail,
}

fn recovery(code: ErrorCode, idempotent: bool) -> Recovery {
    match code {
        code if is_about_sequence(code) && idempotent => Recovery::BumpEpoch,
        ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID => Recovery::RefreshMetadata,
        code if code.is_stale_metadata() => Recovery::RefreshMetadata,
        code if code.is_retriable() => Recovery::Backoff,
        _ => Recovery::Fail,
    }
}
