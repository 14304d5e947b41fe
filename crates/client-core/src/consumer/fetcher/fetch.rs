//! Fetch requests and what their answers bring.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{FetchRequest, FetchResponse, fetch};
use felice_protocol::primitives::Uuid;
use felice_protocol::records::{RecordBatchError, RecordBatches};
use felice_protocol::time::Now;

use super::partition::Partition;
use super::{Asked, AskedPartition, FetchEvent, FetchId, FetchOut, Fetched, Fetcher, Position, PositionCause};
use crate::bugs::Bug;
use crate::config::OffsetReset;
use crate::consumer::budget::Charge;
use crate::error::{Error, ErrorKind};
use crate::metadata::{Broker, BrokerId, LeaderHint};

impl Fetcher {
    /// The next Fetch, if a broker that is `ready` can have one and there is room for the answer.
    pub fn poll_fetch(&mut self, now: Now, ready: &mut dyn FnMut(BrokerId) -> bool) -> Option<FetchOut<FetchRequest>> {
        let fetchable = |p: &Partition| {
            let held = p.paused || p.throttled || p.over || p.is_doubtful() || p.is_blocked(now);
            p.resolved().filter(|_| !held)
        };
        let brokers: BTreeSet<BrokerId> = self
            .partitions
            .values()
            .filter(|p| fetchable(p).is_some())
            .filter_map(|p| p.source(now))
            .filter(|broker| !self.busy.contains(broker))
            .collect();
        let broker = brokers.into_iter().find(|broker| ready(*broker))?;
        if !self.budget.has_room() {
            return None;
        }
        let id = self.next_request;
        self.next_request += 1;
        // The broker fills its answer from the front: each request begins with another partition.
        self.rotation = self.rotation.wrapping_add(1);
        let start = FetchId(self.rotation % self.next_partition.max(1));
        let mut topics: Vec<fetch::request::FetchTopic> = Vec::new();
        let mut asked = Vec::new();
        let mut ids_known = true;
        for (partition, p) in self.partitions.range(start..).chain(self.partitions.range(..start)) {
            let Some(offset) = fetchable(p).filter(|_| p.source(now) == Some(broker)) else { continue };
            ids_known &= p.topic_id != Uuid::default();
            asked.push(AskedPartition::new(*partition, p, offset));
            let entry = fetch::request::FetchPartition {
                partition: p.index,
                current_leader_epoch: p.leader_epoch,
                fetch_offset: offset,
                partition_max_bytes: self.config.max_partition_bytes,
                ..Default::default()
            };
            match topics.last_mut().filter(|t| t.topic == p.topic) {
                Some(topic) => topic.partitions.push(entry),
                None => topics.push(fetch::request::FetchTopic {
                    topic: p.topic.clone(),
                    topic_id: p.topic_id,
                    partitions: vec![entry],
                    ..Default::default()
                }),
            }
        }
        self.busy.insert(broker);
        self.fetches.insert(id, Asked { broker, partitions: asked });
        let request = FetchRequest {
            max_wait_ms: i32::try_from(self.config.max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.config.min_bytes,
            max_bytes: self.config.max_bytes,
            isolation_level: self.config.isolation_level.code(),
            // No session: id 0 and epoch −1.
            session_id: 0,
            session_epoch: -1,
            topics,
            rack_id: self.config.rack.as_str().into(),
            ..FetchRequest::default()
        };
        Some(FetchOut { broker, request, id, max_version: if ids_known { i16::MAX } else { 12 } })
    }

    /// An answer came, in this frame.
    pub fn handle_fetch(&mut self, now: Now, id: u64, response: FetchResponse, frame: Bytes) {
        let Some(asked) = self.fetches.remove(&id) else { return };
        self.busy.remove(&asked.broker);
        if let Err(code) = response.error_code.ok() {
            self.pause_together(now, &asked);
            self.refresh |= code.is_stale_metadata();
            return;
        }
        let charge = self.budget.charge_from(asked.broker, frame);
        let endpoints = response.node_endpoints;
        for topic in response.responses {
            for answer in topic.partitions {
                let found = asked.partitions.iter().find(|of| {
                    self.partitions.get(&of.id).is_some_and(|p| {
                        p.index == answer.partition_index
                            && (p.topic == topic.topic || topic.topic.is_empty() && p.topic_id == topic.topic_id)
                    })
                });
                let Some(&of) = found else { continue };
                if answer.current_leader.leader_id >= 0
                    && let Some(p) = self.partitions.get(&of.id)
                {
                    let at = endpoints.iter().find(|e| e.node_id == answer.current_leader.leader_id);
                    self.hints.push(LeaderHint {
                        topic: p.topic.clone(),
                        index: p.index,
                        leader: answer.current_leader.leader_id,
                        leader_epoch: answer.current_leader.leader_epoch,
                        at: at.map(|e| Broker {
                            id: e.node_id,
                            host: e.host.clone(),
                            port: e.port,
                            rack: e.rack.clone(),
                        }),
                    });
                }
                self.handle_partition(now, of, answer, &charge);
            }
        }
    }

    fn handle_partition(
        &mut self,
        now: Now,
        of: AskedPartition,
        answer: fetch::response::PartitionData,
        charge: &Arc<Charge>,
    ) {
        let AskedPartition { id, generation, offset, leader_epoch } = of;
        let stale = self.config.bugs.has(Bug::StaleFetchTaken);
        let Some(p) = self
            .partitions
            .get_mut(&id)
            // What an old leader had may be gone: it comes again from the new one.
            .filter(|p| stale || (p.generation == generation && p.position == Some(offset) && !p.is_doubtful()))
        else {
            return;
        };
        if let Err(code) = answer.error_code.ok() {
            p.pause_after_error(now);
            // A follower may be behind: what an offset is worth, the leader says.
            if recovery(code) == Recovery::Backoff
                || p.follower.take().is_none()
                || recovery(code) != Recovery::ResetOffset
            {
                self.handle_partition_error(now, id, offset, code);
            }
            return;
        }
        p.backoff.reset();
        p.hear(now);
        let nearer = answer.preferred_read_replica;
        if nearer >= 0 && p.leader != Some(nearer) {
            if self.brokers.contains(&nearer) {
                p.follow(now, nearer);
            } else {
                // The leader knows more of the cluster than we do; it is asked again.
                self.refresh = true;
                p.pause_after_error(now);
            }
        }
        let records = answer.records.unwrap_or_default();
        let (next, epoch, corrupt) = next_offset(&records, offset);
        p.validated = p.validated.max(leader_epoch);
        if next > offset {
            p.position = Some(next);
            p.position_epoch = epoch;
            p.told_end = false;
            let aborted = answer.aborted_transactions.unwrap_or_default();
            self.events.push_back(FetchEvent::Data(Fetched {
                partition: id,
                topic: p.topic.clone(),
                index: p.index,
                records,
                from: offset,
                next,
                until: p.until,
                high_watermark: answer.high_watermark,
                log_start_offset: answer.log_start_offset,
                aborted: aborted.iter().map(|a| (a.producer_id, a.first_offset)).collect(),
                generation,
                charge: charge.clone(),
            }));
        } else if let Some(error) = corrupt {
            self.fail(
                id,
                Error::new(ErrorKind::Decode, format!("the batch at offset {offset} cannot be read: {error}")),
            );
            return;
        }
        let end =
            if self.config.isolation_level.code() == 1 { answer.last_stable_offset } else { answer.high_watermark };
        let Some(p) = self.partitions.get_mut(&id) else { return };
        if next >= end && !p.told_end {
            p.told_end = true;
            self.events.push_back(FetchEvent::EndOfPartition { partition: id, offset: next });
        }
        self.check_over(id);
    }

    fn handle_partition_error(&mut self, now: Now, id: FetchId, offset: i64, code: ErrorCode) {
        match recovery(code) {
            Recovery::Backoff => {}
            Recovery::RefreshMetadata => self.refresh = true,
            Recovery::ResetOffset => self.reset_position(now, id, offset),
            Recovery::Fail(code) => self.fail(id, Error::from_code(code, None)),
        }
    }

    /// An offset is not in the log: what `auto.offset.reset` says.
    pub(super) fn reset_position(&mut self, now: Now, id: FetchId, offset: i64) {
        let Some(p) = self.partitions.get_mut(&id) else { return };
        let start = match self.config.offset_reset {
            OffsetReset::Earliest => Position::Start,
            OffsetReset::Latest => Position::End,
            OffsetReset::ByDuration(age) => Position::not_older(now, age),
            OffsetReset::Fail => {
                let message = format!("offset {offset} is not in the log");
                let error = Error::new(ErrorKind::OffsetOutOfRange, message).code_of(ErrorCode::OFFSET_OUT_OF_RANGE);
                self.fail(id, error.hinting("its records may have been deleted; seek, or set auto.offset.reset"));
                return;
            }
        };
        p.start = Some(start);
        p.cause = PositionCause::OutOfRange(offset);
    }

    /// A Fetch will not be answered.
    pub fn handle_fetch_failure(&mut self, now: Now, id: u64) {
        let Some(asked) = self.fetches.remove(&id) else { return };
        self.busy.remove(&asked.broker);
        self.refresh = true;
        self.pause_together(now, &asked);
    }

    /// What failed together is asked for together again: the one to wake first would have a Fetch of its own, and all others would wait for it,
    /// `fetch.max.wait.ms` long.
    fn pause_together(&mut self, now: Now, asked: &Asked) {
        let failed = || asked.partitions.iter().map(|of| of.id);
        for id in failed() {
            if let Some(p) = self.partitions.get_mut(&id) {
                p.follower = None;
                p.pause_after_error(now);
            }
        }
        let until = failed().filter_map(|id| self.partitions.get(&id)?.blocked_until).max();
        for id in failed() {
            if let Some(p) = self.partitions.get_mut(&id) {
                p.blocked_until = until;
            }
        }
    }
}

/// Where the next request goes on, by the batches' headers alone, the epoch of the last record before that, and why it does not get further. A batch
/// that was cut off at the end is none.
fn next_offset(records: &Bytes, from: i64) -> (i64, i32, Option<RecordBatchError>) {
    let (mut next, mut epoch) = (from, -1);
    for batch in RecordBatches::new(records.clone()) {
        match batch {
            Ok(batch) => {
                next = next.max(batch.last_offset().saturating_add(1));
                epoch = batch.partition_leader_epoch();
            }
            Err(error) => return (next, epoch, Some(error)),
        }
    }
    (next, epoch, None)
}

/// What Fetch does about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    /// Ask the same again after a pause.
    Backoff,
    /// Ask the same again once the metadata is new.
    RefreshMetadata,
    /// Look the position up again as `auto.offset.reset` says.
    ResetOffset,
    /// Read no further.
    Fail(ErrorCode),
}

fn recovery(code: ErrorCode) -> Recovery {
    match code {
        ErrorCode::OFFSET_OUT_OF_RANGE => Recovery::ResetOffset,
        ErrorCode::FENCED_LEADER_EPOCH
        | ErrorCode::UNKNOWN_LEADER_EPOCH
        // What keeps a broker from reading a partition may have made another the leader.
        | ErrorCode::REPLICA_NOT_AVAILABLE
        | ErrorCode::OFFSET_NOT_AVAILABLE
        | ErrorCode::KAFKA_STORAGE_ERROR
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::INCONSISTENT_TOPIC_ID => Recovery::RefreshMetadata,
        code if code.is_stale_metadata() => Recovery::RefreshMetadata,
        code if code.is_retriable() || code == ErrorCode::UNKNOWN_SERVER_ERROR => Recovery::Backoff,
        other => Recovery::Fail(other),
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::config::Properties;
    use crate::consumer::budget::Budget;
    use crate::metadata::{ClusterMetadata, Partition as Known, Topic};

    /// An answer of a partition without records.
    fn answer(code: ErrorCode, preferred_read_replica: i32) -> FetchResponse {
        let partition =
            fetch::response::PartitionData { error_code: code, preferred_read_replica, ..Default::default() };
        let topic = fetch::response::FetchableTopicResponse {
            topic: "t".into(),
            topic_id: Uuid([1; 16]),
            partitions: vec![partition],
            ..Default::default()
        };
        FetchResponse { responses: vec![topic], ..FetchResponse::default() }
    }

    #[test]
    fn a_follower_is_read_from_until_it_fails_and_never_resets_an_offset() {
        let partition = Known { leader: Some(1), leader_epoch: 0, ..Known::default() };
        let topic = Topic { name: "t".into(), id: Uuid([1; 16]), partitions: vec![partition], ..Topic::default() };
        let broker = |id| (id, Broker { id, host: "h".into(), port: 1, rack: None });
        let metadata = ClusterMetadata {
            topics: [("t".into(), Arc::new(topic))].into(),
            brokers: [broker(1), broker(2)].into(),
            ..ClusterMetadata::default()
        };
        let config = Properties::default().fetch_config().unwrap();
        let mut fetcher = Fetcher::new(config, Budget::new(1 << 20, Waker::noop().clone()));
        fetcher.add_partition(&"t".into(), 0, Position::Offset(5), None, &metadata);
        let mut now = Now::default();
        let mut round = |code: ErrorCode, nearer: i32| {
            let out = fetcher.poll_fetch(now, &mut |_| true).unwrap();
            fetcher.handle_fetch(now, out.id, answer(code, nearer), Bytes::new());
            now.monotonic_nanos += 1_000_000_000;
            (out.broker, out.request.topics[0].partitions[0].fetch_offset)
        };
        assert_eq!(round(ErrorCode::NONE, 19), (1, 5), "nobody knows that follower");
        assert_eq!(round(ErrorCode::NONE, 2), (1, 5));
        assert_eq!(round(ErrorCode::NONE, -1), (2, 5));
        assert_eq!(round(ErrorCode::OFFSET_OUT_OF_RANGE, -1), (2, 5));
        assert_eq!(round(ErrorCode::NONE, 2), (1, 5), "the leader has the last word");
        assert_eq!(round(ErrorCode::NONE, -1), (2, 5));
        now.monotonic_nanos += 31_000_000_000;
        let out = fetcher.poll_fetch(now, &mut |_| true).unwrap();
        assert_eq!(out.broker, 1, "a follower that was silent for long is left");
    }

    #[test]
    fn partitions_of_a_fetch_that_failed_are_asked_for_together_again() {
        let partitions = vec![Known { leader: Some(1), leader_epoch: 0, ..Known::default() }; 8];
        let topic = Topic { name: "t".into(), id: Uuid([1; 16]), partitions, ..Topic::default() };
        let metadata = ClusterMetadata { topics: [("t".into(), Arc::new(topic))].into(), ..ClusterMetadata::default() };
        let config = Properties::default().fetch_config().unwrap();
        let mut fetcher = Fetcher::new(config, Budget::new(1 << 20, Waker::noop().clone()));
        for index in 0..8 {
            fetcher.add_partition(&"t".into(), index, Position::Offset(0), None, &metadata);
        }
        let mut now = Now::default();
        for _ in 0..3 {
            let first = fetcher.poll_fetch(now, &mut |_| true).unwrap();
            assert_eq!(first.request.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>(), 8);
            fetcher.handle_fetch_failure(now, first.id);
            assert!(fetcher.poll_fetch(now, &mut |_| true).is_none(), "not at once");
            let next = fetcher.poll_timeout(now).unwrap();
            now.monotonic_nanos = next.0;
        }
    }
}
