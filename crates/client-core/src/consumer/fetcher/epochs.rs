//! Whether a position is still in the log after its leader has changed (KIP-320). The record before it was written under some leader's epoch; a new
//! leader tells where that epoch ended in its own log, and a position behind that end is of records that are gone. Java: `OffsetsForLeaderEpochClient`.

use std::collections::BTreeSet;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, offset_for_leader_epoch};
use felice_protocol::time::Now;

use super::partition::Partition;
use super::{Asked, AskedPartition, FetchEvent, FetchId, FetchOut, Fetcher, PositionCause};
use crate::config::OffsetReset;
use crate::error::{Error, ErrorKind};
use crate::metadata::BrokerId;

impl Fetcher {
    /// The record before a partition's position was written under this epoch: before it is read on under a newer one, the leader is asked whether
    /// the position is still in the log. −1 where it is not known; then nobody is asked.
    pub fn written_under(&mut self, id: FetchId, epoch: i32) {
        if let Some(p) = self.partitions.get_mut(&id) {
            p.forget_epochs();
            p.position_epoch = epoch;
        }
    }

    /// The next OffsetForLeaderEpoch, if a broker that is `ready` can have one.
    pub fn poll_epoch_ends(
        &mut self,
        now: Now,
        ready: &mut dyn FnMut(BrokerId) -> bool,
    ) -> Option<FetchOut<OffsetForLeaderEpochRequest>> {
        let doubted = |p: &Partition| {
            p.is_doubtful() && p.validating.is_none() && p.resolved().is_some() && !p.over && !p.is_blocked(now)
        };
        let brokers: BTreeSet<BrokerId> =
            self.partitions.values().filter(|p| doubted(p)).filter_map(|p| p.leader).collect();
        let broker = brokers.into_iter().find(|broker| ready(*broker))?;
        let id = self.next_request;
        self.next_request += 1;
        let mut topics: Vec<offset_for_leader_epoch::request::OffsetForLeaderTopic> = Vec::new();
        let mut asked = Vec::new();
        for (partition, p) in &mut self.partitions {
            let Some(offset) = p.resolved().filter(|_| doubted(p) && p.leader == Some(broker)) else { continue };
            p.validating = Some(id);
            asked.push(AskedPartition::new(*partition, p, offset));
            let entry = offset_for_leader_epoch::request::OffsetForLeaderPartition {
                partition: p.index,
                current_leader_epoch: p.leader_epoch,
                leader_epoch: p.position_epoch,
                ..Default::default()
            };
            match topics.iter_mut().find(|t| t.topic == p.topic) {
                Some(topic) => topic.partitions.push(entry),
                None => topics.push(offset_for_leader_epoch::request::OffsetForLeaderTopic {
                    topic: p.topic.clone(),
                    partitions: vec![entry],
                    ..Default::default()
                }),
            }
        }
        self.validations.insert(id, Asked { broker, partitions: asked });
        let request = OffsetForLeaderEpochRequest { replica_id: -1, topics, ..OffsetForLeaderEpochRequest::default() };
        Some(FetchOut { broker, request, id, max_version: i16::MAX })
    }

    /// The answer to that, or why there is none.
    pub fn handle_epoch_ends(&mut self, now: Now, id: u64, response: Result<&OffsetForLeaderEpochResponse, &Error>) {
        let Some(asked) = self.validations.remove(&id) else { return };
        for of in asked.partitions {
            // A leader that came since is asked anew.
            let Some(p) = self.partitions.get_mut(&of.id).filter(|p| p.validating == Some(id)) else { continue };
            p.validating = None;
            if p.generation != of.generation {
                continue;
            }
            if response.is_err_and(|error| error.kind() == ErrorKind::Unsupported) {
                // Such a broker cannot tell, and neither could it before.
                p.validated = of.leader_epoch;
                continue;
            }
            let answer = response.ok().and_then(|response| {
                let topic = response.topics.iter().find(|t| t.topic == p.topic)?;
                topic.partitions.iter().find(|a| a.partition == p.index)
            });
            let code = answer.map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |answer| answer.error_code);
            match (answer, code.ok()) {
                (Some(answer), Ok(())) => {
                    p.backoff.reset();
                    p.validated = of.leader_epoch;
                    let known = answer.leader_epoch >= 0 && answer.end_offset >= 0;
                    if !known || answer.end_offset < of.offset {
                        self.truncated(now, of.id, of.offset, known.then_some(answer.end_offset));
                    }
                }
                (_, Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED)) => self.fail(of.id, Error::from_code(code, None)),
                // No error of the broker's says anything of the log: it is asked again until it does.
                _ => {
                    p.pause_after_error(now);
                    self.refresh = true;
                }
            }
        }
    }

    /// The log was cut off below a position, at this offset where that is known.
    fn truncated(&mut self, now: Now, id: FetchId, was: i64, diverges: Option<i64>) {
        let Some(p) = self.partitions.get_mut(&id) else { return };
        match (self.config.offset_reset, diverges) {
            (OffsetReset::Fail, _) => {
                p.position = diverges;
                let message = match diverges {
                    Some(at) => {
                        format!("the log was cut off at offset {at}, below {was}: what was read from there is gone")
                    }
                    None => format!("the log was cut off below offset {was}: what was read there is gone"),
                };
                let error = Error::new(ErrorKind::LogTruncated, message)
                    .hinting("a leader was elected that had not all records; seek, or set auto.offset.reset");
                self.fail(id, error);
            }
            (_, Some(at)) => {
                p.next_generation();
                p.position = Some(at);
                p.forget_epochs();
                let event = FetchEvent::Positioned {
                    partition: id,
                    offset: at,
                    until: p.until,
                    cause: PositionCause::OutOfRange(was),
                    generation: p.generation,
                };
                self.events.push_back(event);
            }
            (_, None) => self.reset_position(now, id, was),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;

    use felice_protocol::primitives::Uuid;

    use super::*;
    use crate::config::Properties;
    use crate::consumer::budget::Budget;
    use crate::consumer::fetcher::Position;
    use crate::metadata::{ClusterMetadata, Partition as Known, Topic};

    fn metadata(leader: i32, leader_epoch: i32) -> ClusterMetadata {
        let partition = Known { leader: Some(leader), leader_epoch, ..Known::default() };
        let topic = Topic { name: "t".into(), id: Uuid([1; 16]), partitions: vec![partition], ..Topic::default() };
        ClusterMetadata { topics: [("t".into(), Arc::new(topic))].into(), ..ClusterMetadata::default() }
    }

    /// A fetcher at offset 5 of a partition, whose record 4 is of epoch 0.
    fn fetcher(reset: &str) -> (Fetcher, FetchId) {
        let mut properties = Properties::default();
        properties.set("auto.offset.reset", reset).unwrap();
        let mut fetcher = Fetcher::new(properties.fetch_config().unwrap(), Budget::new(1 << 20, Waker::noop().clone()));
        let id = fetcher.add_partition(&"t".into(), 0, Position::Offset(5), None, &metadata(1, 0));
        fetcher.written_under(id, 0);
        (fetcher, id)
    }

    fn answer(error_code: ErrorCode, leader_epoch: i32, end_offset: i64) -> OffsetForLeaderEpochResponse {
        let end = offset_for_leader_epoch::response::EpochEndOffset {
            error_code,
            leader_epoch,
            end_offset,
            ..Default::default()
        };
        let topic = offset_for_leader_epoch::response::OffsetForLeaderTopicResult {
            topic: "t".into(),
            partitions: vec![end],
            ..Default::default()
        };
        OffsetForLeaderEpochResponse { topics: vec![topic], ..Default::default() }
    }

    #[test]
    fn a_position_is_validated_under_a_newer_epoch_and_only_then_read_on() {
        let ((mut fetcher, _), now) = (fetcher("earliest"), Now::default());
        assert!(fetcher.poll_epoch_ends(now, &mut |_| true).is_none(), "the epoch of its own record");
        fetcher.handle_metadata(&metadata(2, 1));
        assert!(fetcher.poll_fetch(now, &mut |_| true).is_none());
        let out = fetcher.poll_epoch_ends(now, &mut |_| true).unwrap();
        let asked = &out.request.topics[0].partitions[0];
        assert_eq!((out.broker, asked.current_leader_epoch, asked.leader_epoch), (2, 1, 0));
        assert!(fetcher.poll_epoch_ends(now, &mut |_| true).is_none(), "one at a time");
        fetcher.handle_epoch_ends(now, out.id, Ok(&answer(ErrorCode::NONE, 0, 5)));
        let fetch = fetcher.poll_fetch(now, &mut |_| true).unwrap();
        assert_eq!(fetch.request.topics[0].partitions[0].fetch_offset, 5);
        fetcher.handle_metadata(&metadata(3, 1));
        assert!(fetcher.poll_epoch_ends(now, &mut |_| true).is_none(), "another leader of the same epoch");
    }

    #[test]
    fn a_leader_that_comes_meanwhile_is_asked_anew_and_errors_are_asked_again() {
        let ((mut fetcher, _), mut now) = (fetcher("earliest"), Now::default());
        fetcher.handle_metadata(&metadata(2, 1));
        let old = fetcher.poll_epoch_ends(now, &mut |_| true).unwrap();
        fetcher.handle_metadata(&metadata(1, 2));
        let new = fetcher.poll_epoch_ends(now, &mut |_| true).unwrap();
        fetcher.handle_epoch_ends(now, old.id, Ok(&answer(ErrorCode::NONE, 0, 5)));
        assert!(fetcher.poll_fetch(now, &mut |_| true).is_none(), "the old leader does not count");
        fetcher.handle_epoch_ends(now, new.id, Ok(&answer(ErrorCode::KAFKA_STORAGE_ERROR, -1, -1)));
        assert!(fetcher.poll_refresh());
        assert!(fetcher.poll_epoch_ends(now, &mut |_| true).is_none(), "not at once");
        now.monotonic_nanos = fetcher.poll_timeout(now).unwrap().0;
        let again = fetcher.poll_epoch_ends(now, &mut |_| true).unwrap();
        fetcher.handle_epoch_ends(now, again.id, Ok(&answer(ErrorCode::NONE, 0, 9)));
        assert!(fetcher.poll_fetch(now, &mut |_| true).is_some());
    }

    #[test]
    fn a_log_that_was_cut_off_is_read_from_where_it_differs_or_as_the_reset_says() {
        let now = Now::default();
        for (reset, end, position) in
            [("latest", 3, Some(3)), ("latest", -1, None), ("none", 3, Some(3)), ("none", -1, None)]
        {
            let (mut fetcher, id) = fetcher(reset);
            fetcher.handle_metadata(&metadata(2, 1));
            let out = fetcher.poll_epoch_ends(now, &mut |_| true).unwrap();
            let epoch = if end < 0 { -1 } else { 0 };
            fetcher.handle_epoch_ends(now, out.id, Ok(&answer(ErrorCode::NONE, epoch, end)));
            match (reset, position, fetcher.poll_event()) {
                ("none", at, Some(FetchEvent::Failed { error, .. })) => {
                    assert_eq!((error.kind(), fetcher.position(id)), (ErrorKind::LogTruncated, at));
                }
                ("latest", Some(at), Some(FetchEvent::Positioned { offset, cause, .. })) => {
                    assert_eq!((offset, cause), (at, PositionCause::OutOfRange(5)));
                    assert!(fetcher.poll_fetch(now, &mut |_| true).is_some());
                }
                ("latest", None, None) => assert!(fetcher.poll_list_offsets(now, &mut |_| true).is_some()),
                other => panic!("{other:?}"),
            }
        }
    }
}
