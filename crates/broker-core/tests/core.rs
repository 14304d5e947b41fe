//! What a client sees of the core: topics, produce, fetch, offsets, restarts.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "each test binary uses a part")]
mod support;

use bytes::Bytes;
use felice_broker_core::Output;
use felice_protocol::compression::Compression;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic};
use felice_protocol::messages::{
    ApiVersionsRequest, DeleteTopicsRequest, FetchRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest, delete_topics, metadata,
};
use felice_protocol::records::{Producer, RecordBatches};
use support::*;

fn values(records: &Bytes) -> Vec<String> {
    let mut decompressor = felice_protocol::compression::Decompressor::default();
    let mut values = Vec::new();
    for batch in RecordBatches::new(records.clone()) {
        let records = batch.unwrap().records(&mut decompressor, 1 << 20).unwrap();
        for record in &records {
            values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

fn no_transaction() -> InitProducerIdRequest {
    InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: 1000, ..Default::default() }
}

fn fetched(world: &mut World, topic: &str, offset: i64) -> Vec<String> {
    let response = world.fetch(topic, offset);
    values(response.responses[0].partitions[0].records.as_ref().unwrap())
}

#[test]
fn what_is_produced_is_fetched() {
    let mut world = World::new();
    assert_eq!(world.create_topic("t", 1, &[]), ErrorCode::NONE);
    let first = world.produce("t", batch(&["a", "b"]));
    assert_eq!((first.error_code, first.base_offset, first.log_append_time_ms), (ErrorCode::NONE, 0, -1));
    for codec in Compression::ALL {
        let produced = world.produce("t", batch_of(&["c"], Producer::NONE, codec, T0));
        assert_eq!(produced.error_code, ErrorCode::NONE, "{codec}");
    }
    assert_eq!(fetched(&mut world, "t", 0), ["a", "b", "c", "c", "c", "c", "c"]);
    let end = world.fetch("t", 7);
    let partition = &end.responses[0].partitions[0];
    assert_eq!(partition.records, Some(Bytes::new()), "empty, not null");
    assert_eq!((partition.high_watermark, partition.last_stable_offset, partition.log_start_offset), (7, 7, 0));
    assert_eq!(world.fetch("t", 8).responses[0].partitions[0].error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
}

#[test]
fn a_long_poll_is_answered_by_an_append() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    assert!(world.send(CLIENT, 12, &fetch_request("t", 0, 500, 1)).is_empty(), "nothing to give yet");
    let outputs = world.send(OTHER, 9, &produce_request("t", 0, -1, batch(&["a"])));
    assert!(response::<ProduceRequest>(&outputs, OTHER, 9).is_some());
    let answer = response::<FetchRequest>(&outputs, CLIENT, 12).unwrap();
    assert_eq!(values(answer.responses[0].partitions[0].records.as_ref().unwrap()), ["a"]);
}

#[test]
fn a_long_poll_ends_at_its_deadline_and_waits_for_min_bytes() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    assert!(world.send(CLIENT, 12, &fetch_request("t", 0, 500, 1000)).is_empty());
    let outputs = world.send(OTHER, 9, &produce_request("t", 0, -1, batch(&["a"])));
    assert!(response::<FetchRequest>(&outputs, CLIENT, 12).is_none(), "70 bytes are not 1000");
    world.pass(499);
    assert!(world.outputs().is_empty());
    world.pass(1);
    let outputs = world.outputs();
    let answer = response::<FetchRequest>(&outputs, CLIENT, 12).unwrap();
    assert_eq!(values(answer.responses[0].partitions[0].records.as_ref().unwrap()), ["a"]);
}

#[test]
fn a_client_that_goes_leaves_no_poll_behind() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    world.send(CLIENT, 12, &fetch_request("t", 0, 500, 1));
    world.core.handle_disconnect(world.now, CLIENT);
    world.pass(10_000);
    assert!(world.outputs().is_empty());
}

#[test]
fn a_poll_ends_when_its_topic_is_deleted() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    world.send(CLIENT, 12, &fetch_request("t", 0, 500, 1));
    let topic = delete_topics::request::DeleteTopicState { name: Some("t".into()), ..Default::default() };
    let outputs = world.send(OTHER, 6, &DeleteTopicsRequest { topics: vec![topic], ..Default::default() });
    let answer = response::<FetchRequest>(&outputs, CLIENT, 12).unwrap();
    assert_eq!(answer.responses[0].partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert!(response::<DeleteTopicsRequest>(&outputs, OTHER, 6).unwrap().responses[0].error_code.is_ok());
}

#[test]
fn the_first_batch_comes_whole_however_small_the_limits() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    world.produce("t", batch(&[&"x".repeat(5000)]));
    world.produce("t", batch(&["y"]));
    let mut request = fetch_request("t", 0, 0, 1);
    request.max_bytes = 10;
    request.topics[0].partitions[0].partition_max_bytes = 10;
    let answer = world.call(12, &request);
    assert_eq!(values(answer.responses[0].partitions[0].records.as_ref().unwrap()).len(), 1);
}

#[test]
fn an_incremental_fetch_session_tells_changes_only() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    let mut request = fetch_request("t", 0, 0, 1);
    request.session_epoch = 0;
    let full = world.call(12, &request);
    assert_ne!(full.session_id, 0);
    assert_eq!(full.responses.len(), 1, "a new session tells all");
    let mut next =
        FetchRequest { session_id: full.session_id, session_epoch: 1, max_bytes: 1 << 20, ..Default::default() };
    assert!(world.call(12, &next).responses.is_empty(), "nothing changed");
    world.produce("t", batch(&["a"]));
    next.session_epoch = 2;
    assert_eq!(world.call(12, &next).responses.len(), 1);
    assert_eq!(world.call(12, &next).error_code, ErrorCode::INVALID_FETCH_SESSION_EPOCH, "an epoch is used once");
    next.session_id += 1;
    assert_eq!(world.call(12, &next).error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn a_retried_batch_is_written_once() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    let id = world.call(4, &no_transaction());
    assert_eq!((id.error_code, id.producer_epoch), (ErrorCode::NONE, 0));
    let send = |world: &mut World, sequence, value| {
        world.produce("t", batch_of(&[value], producer(id.producer_id, 0, sequence), Compression::None, T0))
    };
    assert_eq!(send(&mut world, 0, "a").base_offset, 0);
    assert_eq!(send(&mut world, 1, "b").base_offset, 1);
    let again = send(&mut world, 0, "a");
    assert_eq!((again.error_code, again.base_offset), (ErrorCode::NONE, 0));
    assert_eq!(send(&mut world, 3, "d").error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(fetched(&mut world, "t", 0), ["a", "b"]);
}

#[test]
fn list_offsets_knows_every_special_timestamp() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    for (value, timestamp) in [("a", T0 - 1000), ("b", T0 + 1000), ("c", T0)] {
        world.produce("t", batch_of(&[value], Producer::NONE, Compression::None, timestamp));
    }
    let mut ask = |timestamp| {
        let partition = ListOffsetsPartition { timestamp, ..Default::default() };
        let topic = ListOffsetsTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let answer = world.call(11, &request).topics.remove(0).partitions.remove(0);
        assert_eq!(answer.error_code, ErrorCode::NONE);
        (answer.offset, answer.timestamp)
    };
    assert_eq!(ask(-1), (3, -1));
    assert_eq!(ask(-2), (0, -1));
    assert_eq!(ask(-3), (1, T0 + 1000));
    assert_eq!(ask(-4), (0, -1));
    assert_eq!(ask(-5), (-1, -1));
    assert_eq!(ask(T0 - 500), (1, T0 + 1000));
    assert_eq!(ask(T0 + 2000), (-1, -1));
}

#[test]
fn an_offset_by_time_is_found_within_a_batch() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    let mut builder = felice_protocol::records::RecordBatchBuilder::new(bytes::BytesMut::new());
    for offset in 0..10 {
        builder.append(T0 + offset, None, Some(b"x"), &[]);
    }
    let mut closed = builder.close(&mut Default::default(), Compression::Zstd, None);
    assert!(world.produce("t", closed.seal(Producer::NONE, false)).error_code.is_ok());
    let partition = ListOffsetsPartition { timestamp: T0 + 4, ..Default::default() };
    let topic = ListOffsetsTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let answer = world.call(7, &ListOffsetsRequest { topics: vec![topic], ..Default::default() });
    assert_eq!(answer.topics[0].partitions[0].offset, 4);
}

#[test]
fn topics_are_made_when_metadata_asks_for_them() {
    let mut world = World::with(&[("num.partitions", "3")]);
    assert_eq!(world.topic("t").error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let topic = metadata::request::MetadataRequestTopic { name: Some("t".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    assert_eq!(world.call(12, &request).topics[0].partitions.len(), 3);
    let bad = metadata::request::MetadataRequestTopic { name: Some("a b".into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![bad]), ..Default::default() };
    assert_eq!(world.call(12, &request).topics[0].error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
}

#[test]
fn metadata_of_version_0_means_all_by_an_empty_list_and_later_ones_none() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    let none = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    assert_eq!(world.call(0, &none).topics.len(), 1);
    assert_eq!(world.call(1, &none).topics.len(), 0);
    assert_eq!(world.call(1, &MetadataRequest { topics: None, ..Default::default() }).topics.len(), 1);
}

#[test]
fn topics_are_refused_for_the_right_reason() {
    let mut world = World::new();
    assert_eq!(world.create_topic("a.b", 1, &[]), ErrorCode::NONE);
    assert_eq!(world.create_topic("a.b", 1, &[]), ErrorCode::TOPIC_ALREADY_EXISTS);
    assert_eq!(world.create_topic("a_b", 1, &[]), ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert_eq!(world.create_topic("..", 1, &[]), ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert_eq!(world.create_topic("n", 0, &[]), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(world.create_topic("n", 1, &[("retention.msec", "1")]), ErrorCode::INVALID_CONFIG);
    assert_eq!(world.create_topic("n", 1, &[("retention.ms", "soon")]), ErrorCode::INVALID_CONFIG);
}

#[test]
fn a_newer_apiversions_is_answered_in_version_0() {
    let mut world = World::new();
    let mut frame = bytes::BytesMut::new();
    for word in [18_i16, 99, 0, 5] {
        frame.extend_from_slice(&word.to_be_bytes());
    }
    frame.extend_from_slice(&(-1_i16).to_be_bytes());
    frame.extend_from_slice(&[0, 1, 1, 0]);
    let outputs = world.send_bytes(CLIENT, frame.freeze());
    let answer = response::<ApiVersionsRequest>(&outputs, CLIENT, 0).unwrap();
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!((answer.api_keys.len(), answer.api_keys[0].api_key, answer.api_keys[0].max_version), (1, 18, 4));
}

#[test]
fn everything_is_there_after_a_clean_stop_and_after_a_crash() {
    for clean in [true, false] {
        let mut world = World::new();
        world.create_topic("kept", 2, &[("max.message.bytes", "2000")]);
        world.create_topic("gone", 1, &[]);
        world.produce("kept", batch(&["a", "b"]));
        let id = world.topic("kept").topic_id;
        let ids: Vec<i64> = (0..3).map(|_| world.call(4, &no_transaction()).producer_id).collect();
        let topic = delete_topics::request::DeleteTopicState { name: Some("gone".into()), ..Default::default() };
        world.call(6, &DeleteTopicsRequest { topics: vec![topic], ..Default::default() });
        if clean {
            world.core.shutdown(world.now).unwrap();
        }
        let mut world = World::open(world.disk.clone(), &[]);
        let kept = world.topic("kept");
        assert_eq!((kept.topic_id, kept.partitions.len()), (id, 2), "clean: {clean}");
        assert_eq!(world.topic("gone").error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(fetched(&mut world, "kept", 0), ["a", "b"]);
        assert_eq!(world.produce("kept", batch(&["c"])).base_offset, 2);
        assert_eq!(world.produce("kept", batch(&[&"x".repeat(2000)])).error_code, ErrorCode::MESSAGE_TOO_LARGE);
        let next = world.call(4, &no_transaction()).producer_id;
        assert!(!ids.contains(&next), "{next} was given out before");
    }
}

#[test]
fn a_topic_made_anew_has_a_new_id_and_none_of_the_old_records() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    world.produce("t", batch(&["old"]));
    let old = world.topic("t").topic_id;
    let topic = delete_topics::request::DeleteTopicState { topic_id: old, ..Default::default() };
    world.call(6, &DeleteTopicsRequest { topics: vec![topic], ..Default::default() });
    world.create_topic("t", 1, &[]);
    assert_ne!(world.topic("t").topic_id, old);
    assert_eq!(fetched(&mut world, "t", 0), Vec::<String>::new());
    let mut request = produce_request("", 0, -1, batch(&["x"]));
    request.topic_data[0].topic_id = old;
    assert_eq!(partition_of(world.call(13, &request)).error_code, ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn a_synced_produce_waits_for_the_disk_and_so_do_readers() {
    let mut world = World::with(&[("felice.flush", "batch")]);
    world.create_topic("t", 1, &[]);
    let outputs = world.send(CLIENT, 9, &produce_request("t", 0, -1, batch(&["a"])));
    assert!(matches!(outputs.as_slice(), [Output::Sync { .. }]), "{outputs:?}");
    // What comes meanwhile shares the next sync.
    assert!(world.send(OTHER, 9, &produce_request("t", 0, 1, batch(&["b"]))).is_empty());
    let outputs = world.sync(outputs);
    assert_eq!(partition_of(response::<ProduceRequest>(&outputs, CLIENT, 9).unwrap()).base_offset, 0);
    assert!(response::<ProduceRequest>(&outputs, OTHER, 9).is_none());
    assert_eq!(fetched(&mut world, "t", 0), ["a"], "what is not durable is not visible");
    let outputs = world.sync(outputs);
    assert_eq!(partition_of(response::<ProduceRequest>(&outputs, OTHER, 9).unwrap()).base_offset, 1);
    world.disk.crash();
    let mut world = World::open(world.disk.clone(), &[]);
    assert_eq!(fetched(&mut world, "t", 0), ["a", "b"], "acknowledged is durable");
}

#[test]
fn a_failed_sync_takes_the_partition_offline_and_acknowledges_nothing() {
    let mut world = World::with(&[("felice.flush", "batch")]);
    world.create_topic("t", 1, &[]);
    let outputs = world.send(CLIENT, 9, &produce_request("t", 0, -1, batch(&["a"])));
    let Some(Output::Sync { ticket, .. }) = outputs.into_iter().next() else { panic!("no sync") };
    world.core.handle_synced(world.now, ticket, Err(std::io::Error::other("the disk is gone")));
    let outputs = world.outputs();
    let answer = partition_of(response::<ProduceRequest>(&outputs, CLIENT, 9).unwrap());
    assert_eq!(answer.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    let answer = world.produce("t", batch(&["b"]));
    assert_eq!(answer.error_code, ErrorCode::KAFKA_STORAGE_ERROR);
}

#[test]
fn acks_0_is_not_answered_but_the_request_is_done() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    let outputs = world.send(CLIENT, 9, &produce_request("t", 0, 0, batch(&["a"])));
    assert!(matches!(outputs.as_slice(), [Output::Response { frame, .. }] if frame.is_empty()));
    let outputs = world.send(CLIENT, 9, &produce_request("nowhere", 0, 0, batch(&["a"])));
    assert!(close_reason(&outputs).contains("acks=0"));
}
