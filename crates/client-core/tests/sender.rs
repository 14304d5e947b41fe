//! The sender against a broker played by hand, on a virtual clock.

use std::time::Duration;

use bytes::BytesMut;
use felice_client_core::config::Properties;
use felice_client_core::error::Persisted;
use felice_client_core::metadata::{Broker, ClusterMetadata, Partition, Topic};
use felice_client_core::producer::accumulator::{Accumulator, Limits, Memory, RecordData, Taken};
use felice_client_core::producer::sender::{
    Available, BatchSource, Finished, IdentityState, Outcome, PartitionId, ProduceFailure, ProduceOut, Sender,
    SenderStanding,
};
use felice_protocol::compression::Compressor;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{InitProducerIdResponse, ProduceResponse, produce};
use felice_protocol::primitives::Uuid;
use felice_protocol::records::RecordBatch;
use felice_protocol::time::{Instant, Now};

struct Unlimited;

impl Memory for Unlimited {
    fn try_reserve(&self, _: usize) -> bool {
        true
    }

    fn buffer(&self, capacity: usize) -> BytesMut {
        BytesMut::with_capacity(capacity)
    }
}

struct Source(Accumulator<u64>);

impl BatchSource<u64> for Source {
    fn take(&mut self, now: Now, _: PartitionId, force: bool) -> Available<u64> {
        match self.0.take(now, force, &mut Compressor::default()) {
            Taken::Batch(batch) => Available::Batch(batch),
            Taken::Lingering(until) => Available::Lingering(until),
            Taken::Closing => Available::Closing,
            Taken::Empty => Available::Empty,
            Taken::Compress(_) => panic!("nothing is compressed here"),
        }
    }

    fn oldest(&mut self, _: PartitionId) -> Option<Instant> {
        self.0.oldest()
    }
}

/// One partition, its leader, and a clock that only the test moves.
struct World {
    sender: Sender<u64>,
    source: Source,
    now: Now,
    id: PartitionId,
}

fn metadata(leader: Option<i32>, leader_epoch: i32) -> ClusterMetadata {
    let mut metadata = ClusterMetadata::default();
    for id in [1, 2] {
        metadata.brokers.insert(id, Broker { id, host: "h".into(), port: 1, rack: None });
    }
    let partitions = vec![Partition { leader, leader_epoch, ..Partition::default() }];
    let topic = Topic { name: "t".into(), partitions, ..Topic::default() };
    metadata.topics.insert("t".into(), topic.into());
    metadata
}

impl World {
    fn new(leader: Option<i32>) -> Self {
        let mut properties = Properties::default();
        properties.set("linger.ms", "0").unwrap();
        properties.set("delivery.timeout.ms", "10000").unwrap();
        let config = properties.producer_config().unwrap();
        let source = Source(Accumulator::new(Limits::from(&config)));
        let mut sender = Sender::new(config, 1);
        let id = sender.add_partition(&"t".into(), 0, &metadata(leader, 0));
        let mut world = Self { sender, source, now: Now::default(), id };
        assert!(world.sender.poll_init_producer_id(world.now).is_some());
        let response = InitProducerIdResponse { producer_id: 7, producer_epoch: 0, ..Default::default() };
        world.sender.handle_init_producer_id(world.now, Ok(&response));
        world
    }

    /// A batch of one record, closed at once.
    fn batch(&mut self, tag: u64) {
        let record = RecordData { timestamp: 0, key: None, value: Some(b"x"), headers: &[] };
        let now = self.now.instant();
        self.source.0.append(|| now, &record, &Unlimited, || tag, |_, _| ()).unwrap();
        self.sender.handle_ready(self.now, self.id);
    }

    fn pass(&mut self, time: Duration) {
        self.now.monotonic_nanos += u64::try_from(time.as_nanos()).unwrap();
        self.sender.handle_timeout(self.now, &mut self.source);
    }

    fn request(&mut self) -> Option<Sent> {
        let out = self.sender.poll_request(self.now, &mut self.source, &mut |_| true)?;
        Some(Sent::new(out))
    }

    fn sent(&mut self) -> Sent {
        self.request().expect("a request")
    }

    fn answer(&mut self, sent: &Sent, code: ErrorCode, base_offset: i64) {
        let partition =
            produce::response::PartitionProduceResponse { error_code: code, base_offset, ..Default::default() };
        let topic = produce::response::TopicProduceResponse {
            name: "t".into(),
            partition_responses: vec![partition],
            ..Default::default()
        };
        let response = ProduceResponse { responses: vec![topic], ..Default::default() };
        self.sender.handle_response(self.now, sent.id, &response, "h:1");
    }

    fn lose(&mut self, sent: &Sent) {
        let error = felice_client_core::error::Error::new(felice_client_core::error::ErrorKind::Connect, "lost");
        self.sender.handle_failure(self.now, sent.id, &ProduceFailure { error, sent: true });
    }

    /// Tag and fate of the next batch that is done.
    fn done(&mut self) -> Option<(Option<u64>, Result<i64, Persisted>)> {
        let Finished { tag, outcome, .. } = self.sender.poll_finished()?;
        Some(match outcome {
            Outcome::Delivered { base_offset, .. } => (tag, Ok(base_offset)),
            Outcome::Failed { persisted, .. } => (tag, Err(persisted)),
        })
    }

    /// The leader has taken a batch, so that more than one may be in flight.
    fn prove(&mut self) {
        self.batch(0);
        let first = self.sent();
        self.answer(&first, ErrorCode::NONE, 0);
        assert_eq!(self.done(), Some((Some(0), Ok(0))));
    }
}

struct Sent {
    id: u64,
    broker: i32,
    epoch: i16,
    sequence: i32,
}

impl Sent {
    fn new(out: ProduceOut) -> Self {
        let records = out.request.topic_data[0].partition_data[0].records.clone().unwrap();
        let batch = RecordBatch::parse(records).unwrap();
        assert_eq!(batch.producer_id(), 7);
        Self { id: out.id, broker: out.broker, epoch: batch.producer_epoch(), sequence: batch.base_sequence() }
    }

    fn identity(&self) -> (i16, i32) {
        (self.epoch, self.sequence)
    }
}

#[test]
fn only_one_batch_is_in_flight_until_the_leader_has_taken_one() {
    let mut world = World::new(Some(1));
    world.batch(1);
    let first = world.sent();
    world.batch(2);
    assert!(world.request().is_none());
    world.answer(&first, ErrorCode::NONE, 0);
    for tag in 3..10 {
        let sent = world.sent();
        assert_eq!(sent.identity(), (0, i32::try_from(tag).unwrap() - 2));
        world.batch(tag);
        if tag == 7 {
            // Five are in flight.
            assert!(world.request().is_none());
            break;
        }
    }
}

#[test]
fn retries_keep_order_and_sequence() {
    let mut world = World::new(Some(1));
    world.prove();
    world.batch(1);
    let a = world.sent();
    world.batch(2);
    let b = world.sent();
    assert_eq!((a.identity(), b.identity()), ((0, 1), (0, 2)));
    world.answer(&a, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    world.batch(3);
    assert!(world.request().is_none(), "nothing overtakes a batch that waits");
    world.answer(&b, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    world.pass(Duration::from_secs(1));
    assert!(world.sender.poll_refresh());
    let again = world.sent();
    assert_eq!(again.identity(), (0, 1));
    assert!(world.request().is_none(), "the second waits for the first");
    world.answer(&again, ErrorCode::NONE, 1);
    let second = world.sent();
    assert_eq!(second.identity(), (0, 2));
    world.answer(&second, ErrorCode::NONE, 2);
    assert_eq!(world.sent().identity(), (0, 3));
    assert_eq!(world.done(), Some((Some(1), Ok(1))));
    assert_eq!(world.done(), Some((Some(2), Ok(2))));
}

#[test]
fn a_sequence_is_never_used_again_after_a_batch_was_given_up() {
    let mut world = World::new(Some(1));
    world.prove();
    world.batch(1);
    let refused = world.sent();
    assert_eq!(refused.identity(), (0, 1));
    world.answer(&refused, ErrorCode::MESSAGE_TOO_LARGE, -1);
    assert_eq!(world.done(), Some((Some(1), Err(Persisted::No))));
    world.batch(2);
    assert_eq!(world.sent().identity(), (1, 0), "a new epoch, from its first sequence");
}

#[test]
fn a_sender_tells_how_far_it_is() {
    let mut world = World::new(Some(1));
    world.prove();
    let standing = |world: &World| {
        let SenderStanding { identity, identities, partitions } = world.sender.standing();
        let mut partition = partitions[0].clone();
        world.source.0.count(&mut partition.queued);
        let in_flight = partition.in_flight.map(|(broker, sent)| (broker, sent.records));
        let IdentityState::Ready(identity) = identity else { panic!("{identity:?}") };
        assert_eq!((partition.topic.as_str(), partition.index, identity.id), ("t", 0, 7));
        let queued = (partition.queued.batches, partition.queued.records);
        ((identity.epoch, identities), queued, in_flight, (partition.next_sequence, partition.done))
    };
    assert_eq!(standing(&world), ((0, 1), (0, 0), None, (1, 1)));
    world.batch(1);
    assert_eq!(standing(&world), ((0, 1), (1, 1), None, (1, 1)));
    let first = world.sent();
    world.batch(2);
    let second = world.sent();
    assert_eq!(standing(&world), ((0, 1), (0, 0), Some((1, 2)), (1, 1)));
    world.answer(&first, ErrorCode::NONE, 1);
    assert_eq!(standing(&world), ((0, 1), (0, 0), Some((1, 1)), (2, 2)));
    world.lose(&second);
    assert_eq!(standing(&world), ((0, 1), (1, 1), None, (2, 2)), "it waits to be sent again");
    world.pass(Duration::from_secs(1));
    let again = world.sent();
    world.answer(&again, ErrorCode::DUPLICATE_SEQUENCE_NUMBER, -1);
    world.batch(3);
    let refused = world.sent();
    world.answer(&refused, ErrorCode::MESSAGE_TOO_LARGE, -1);
    assert_eq!(standing(&world).0, (1, 2), "a new epoch is a new identity");
}

#[test]
fn a_batch_behind_one_that_was_given_up_is_numbered_anew() {
    let mut world = World::new(Some(1));
    world.prove();
    world.batch(1);
    let a = world.sent();
    world.batch(2);
    let b = world.sent();
    world.answer(&a, ErrorCode::INVALID_RECORD, -1);
    world.answer(&b, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    assert_eq!(world.done(), Some((Some(1), Err(Persisted::No))));
    world.pass(Duration::from_secs(1));
    let again = world.sent();
    assert_eq!(again.identity(), (1, 0));
    world.answer(&again, ErrorCode::NONE, 5);
    assert_eq!(world.done(), Some((Some(2), Ok(5))));
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_sequence() {
    let mut world = World::new(Some(1));
    world.prove();
    world.batch(1);
    let lost = world.sent();
    world.lose(&lost);
    world.pass(Duration::from_secs(1));
    let again = world.sent();
    assert_eq!(again.identity(), lost.identity());
    world.answer(&again, ErrorCode::DUPLICATE_SEQUENCE_NUMBER, -1);
    assert_eq!(world.done(), Some((Some(1), Ok(-1))));
}

#[test]
fn what_left_and_was_never_answered_is_perhaps_in_the_log() {
    let mut world = World::new(Some(1));
    world.prove();
    world.batch(1);
    let a = world.sent();
    world.batch(2);
    let b = world.sent();
    world.lose(&a);
    world.lose(&b);
    // Nobody can be reached until the time is up.
    world.pass(Duration::from_secs(11));
    assert_eq!(world.done(), Some((Some(1), Err(Persisted::Maybe))));
    assert_eq!(
        world.done(),
        Some((Some(2), Err(Persisted::Maybe))),
        "it may be in the log as well: it is not written twice"
    );
    world.batch(3);
    assert_eq!(world.sent().identity(), (1, 0));
}

#[test]
fn a_batch_in_flight_is_reported_in_time_and_its_sequence_kept_until_its_fate_is_known() {
    let mut world = World::new(Some(1));
    world.prove();
    world.batch(1);
    let slow = world.sent();
    world.pass(Duration::from_secs(11));
    assert_eq!(world.done(), Some((Some(1), Err(Persisted::Maybe))));
    world.batch(2);
    world.answer(&slow, ErrorCode::NONE, 1);
    assert_eq!(world.done(), Some((None, Ok(1))));
    assert_eq!(world.sent().identity(), (0, 2));
}

#[test]
fn without_a_leader_records_fail_when_their_time_is_up_and_were_never_written() {
    let mut world = World::new(None);
    world.batch(1);
    assert!(world.request().is_none());
    world.pass(Duration::from_secs(9));
    assert_eq!(world.done(), None);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.done(), Some((Some(1), Err(Persisted::No))));
}

#[test]
fn a_new_leader_gets_nothing_before_the_old_one_has_answered() {
    let mut world = World::new(Some(1));
    world.prove();
    world.batch(1);
    let old = world.sent();
    world.sender.handle_metadata(&metadata(Some(2), 1));
    world.batch(2);
    assert!(world.request().is_none());
    world.answer(&old, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    world.pass(Duration::from_secs(1));
    let again = world.sent();
    assert_eq!((again.broker, again.identity()), (2, (0, 1)));
}

#[test]
fn a_refused_producer_id_fails_what_waits() {
    let mut properties = Properties::default();
    properties.set("linger.ms", "0").unwrap();
    let config = properties.producer_config().unwrap();
    let source = Source(Accumulator::new(Limits::from(&config)));
    let mut sender = Sender::new(config, 1);
    let id = sender.add_partition(&"t".into(), 0, &metadata(Some(1), 0));
    let mut world = World { sender, source, now: Now::default(), id };
    world.batch(1);
    assert!(world.sender.poll_init_producer_id(world.now).is_some());
    let refused = InitProducerIdResponse { error_code: ErrorCode::CLUSTER_AUTHORIZATION_FAILED, ..Default::default() };
    world.sender.handle_init_producer_id(world.now, Ok(&refused));
    assert!(world.request().is_none());
    assert_eq!(world.done(), Some((Some(1), Err(Persisted::No))));
}

#[test]
fn what_is_purged_in_flight_is_told_once_and_what_waits_was_never_written() {
    let mut world = World::new(Some(1));
    world.prove();
    world.batch(1);
    let sent = world.sent();
    world.batch(2);
    world.sender.purge(world.now, &mut world.source, false, true);
    assert_eq!(world.done(), Some((Some(1), Err(Persisted::Maybe))));
    world.sender.purge(world.now, &mut world.source, true, false);
    assert_eq!(world.done(), Some((Some(2), Err(Persisted::No))));
    // The answer to what was given up frees its place, and tells nobody.
    world.answer(&sent, ErrorCode::NONE, 1);
    assert_eq!(world.done(), Some((None, Ok(1))));
    world.batch(3);
    let next = world.sent();
    assert_eq!(next.identity(), (0, 2));
    world.answer(&next, ErrorCode::NONE, 2);
    assert_eq!(world.done(), Some((Some(3), Ok(2))));
}

#[test]
fn a_batch_that_waits_to_be_written_again_is_purged_under_a_new_epoch() {
    let mut world = World::new(Some(1));
    world.prove();
    world.batch(1);
    let sent = world.sent();
    world.lose(&sent);
    world.batch(2);
    world.sender.purge(world.now, &mut world.source, true, false);
    assert_eq!(world.done(), Some((Some(1), Err(Persisted::Maybe))));
    assert_eq!(world.done(), Some((Some(2), Err(Persisted::No))));
    world.pass(Duration::from_secs(5));
    world.batch(3);
    // It may be in the log: nothing is written under its epoch again.
    assert_eq!(world.sent().identity(), (1, 0));
}

#[test]
fn a_test_overrules_answers_by_the_number_of_the_first_record() {
    let mut world = World::new(Some(1));
    let overrule = |broker, first, code: i16| {
        assert_eq!(broker, 1);
        if first == 2 && code == 0 { -1 } else { code.into() }
    };
    world.sender.overrule(felice_client_core::producer::sender::Overrule(Box::new(overrule)));
    world.prove();
    world.batch(1);
    let sent = world.sent();
    world.answer(&sent, ErrorCode::NONE, 1);
    assert_eq!(world.done(), None);
    world.pass(Duration::from_secs(5));
    let again = world.sent();
    assert_eq!(again.identity(), sent.identity());
    world.answer(&again, ErrorCode::DUPLICATE_SEQUENCE_NUMBER, -1);
    assert_eq!(world.done(), Some((Some(1), Ok(-1))));
}

#[test]
fn the_records_that_a_broker_blames_are_named() {
    let mut world = World::new(Some(1));
    world.batch(0);
    let sent = world.sent();
    let blamed = produce::response::BatchIndexAndErrorMessage {
        batch_index: 3,
        batch_index_error_message: Some("no key".into()),
        ..Default::default()
    };
    let partition = produce::response::PartitionProduceResponse {
        error_code: ErrorCode::INVALID_RECORD,
        record_errors: vec![blamed],
        ..Default::default()
    };
    let topic = produce::response::TopicProduceResponse {
        name: "t".into(),
        partition_responses: vec![partition],
        ..Default::default()
    };
    let response = ProduceResponse { responses: vec![topic], ..Default::default() };
    world.sender.handle_response(world.now, sent.id, &response, "h:1");
    let Some(Finished { outcome: Outcome::Failed { error, .. }, .. }) = world.sender.poll_finished() else {
        panic!("it fails")
    };
    let named: Vec<_> = error.refused_records().iter().map(|one| (one.index, one.message.as_deref())).collect();
    assert_eq!(named, [(3, Some("no key"))]);
}

#[test]
fn records_for_a_partition_that_is_no_more_fail() {
    let mut world = World::new(Some(1));
    world.batch(0);
    let sent = world.sent();
    world.answer(&sent, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1);
    world.batch(1);
    let without = |id| {
        let mut fewer = metadata(Some(1), 0);
        fewer.topics.insert("t".into(), Topic { name: "t".into(), id, ..Topic::default() }.into());
        fewer
    };
    // The same topic cannot have fewer: that broker is behind.
    world.sender.handle_metadata(&without(Uuid::default()));
    world.pass(Duration::ZERO);
    assert_eq!(world.done(), None);
    world.sender.handle_metadata(&without(Uuid([1; 16])));
    world.pass(Duration::ZERO);
    assert_eq!(world.done(), Some((Some(0), Err(Persisted::No))));
    assert_eq!(world.done(), Some((Some(1), Err(Persisted::No))));
    // It comes back with more partitions.
    world.sender.handle_metadata(&metadata(Some(1), 1));
    world.batch(2);
    let sent = world.sent();
    world.answer(&sent, ErrorCode::NONE, 0);
    assert_eq!(world.done(), Some((Some(2), Ok(0))));
}
