//! What clients must not get away with: bytes that are no request, batches that are none, bombs.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "each test binary uses a part")]
mod support;

use bytes::{BufMut, Bytes, BytesMut};
use felice_broker_core::Output;
use felice_protocol::compression::Compression;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::*;
use felice_protocol::records::Producer;
use support::*;

fn world() -> World {
    let mut world = World::new();
    assert_eq!(world.create_topic("t", 1, &[]), ErrorCode::NONE);
    world
}

/// Changes a batch and makes its checksum right again.
fn forged(change: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::from(&batch(&["a", "b"])[..]);
    change(&mut bytes);
    felice_protocol::records::patch::update_crc(&mut bytes).unwrap();
    bytes.freeze()
}

#[test]
fn an_unknown_api_or_version_closes_the_connection() {
    for (key, version) in [(999_i16, 0_i16), (-1, 0), (1, 99), (1, 3), (0, 2), (3, -1)] {
        let mut frame = BytesMut::new();
        frame.put_i16(key);
        frame.put_i16(version);
        frame.put_i32(1);
        frame.put_i16(-1);
        frame.put_slice(&[0; 8]);
        let outputs = world().send_bytes(CLIENT, frame.freeze());
        assert!(close_reason(&outputs).contains("not supported"), "{key} v{version}: {outputs:?}");
    }
}

#[test]
fn every_cut_off_request_closes_the_connection_and_none_panics() {
    let whole = encode_request(1, Some("test"), 9, &produce_request("t", 0, -1, batch(&["a"]))).unwrap();
    let whole = whole.into_bytes().slice(4..);
    for length in 0..whole.len() {
        let outputs = world().send_bytes(CLIENT, whole.slice(..length));
        assert!(!close_reason(&outputs).is_empty(), "{length}");
    }
}

#[test]
fn requests_with_flipped_bytes_never_panic_and_are_always_settled() {
    let produce = encode_request(1, Some("test"), 9, &produce_request("t", 0, -1, batch(&["a"]))).unwrap();
    let fetch = encode_request(1, Some("test"), 12, &fetch_request("t", 0, 0, 1)).unwrap();
    let mut wholes = vec![produce.into_bytes().slice(4..), fetch.into_bytes().slice(4..)];
    wholes.extend(group_requests());
    for whole in wholes {
        let mut world = World::with(&[("offsets.topic.num.partitions", "1")]);
        world.create_topic("t", 1, &[]);
        world.call(3, &FindCoordinatorRequest { key: "g".into(), ..Default::default() });
        for at in 4..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = BytesMut::from(&whole[..]);
                bytes[at] ^= flip;
                let outputs = world.send_bytes(CLIENT, bytes.freeze());
                // A flipped bit may ask for a long poll.
                if outputs.is_empty() {
                    world.core.handle_disconnect(world.now, CLIENT);
                    world.core.handle_connect(world.now, CLIENT, "PLAINTEXT");
                }
            }
        }
    }
}

/// What members and administrators of groups send, each in a version with tagged fields.
fn group_requests() -> Vec<Bytes> {
    fn frame<R: Request>(version: i16, request: &R) -> Bytes {
        encode_request(1, Some("test"), version, request).unwrap().into_bytes().slice(4..)
    }
    let protocol = join_group::request::JoinGroupRequestProtocol {
        name: "range".into(),
        metadata: Bytes::from_static(&[0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 0, 0, 0, 0, 0]),
        ..Default::default()
    };
    let join = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        group_instance_id: Some("i".into()),
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    let assignment = sync_group::request::SyncGroupRequestAssignment { member_id: "m".into(), ..Default::default() };
    let sync = SyncGroupRequest {
        group_id: "g".into(),
        generation_id: 1,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: vec![assignment],
        ..Default::default()
    };
    let partition = offset_commit::request::OffsetCommitRequestPartition {
        committed_metadata: Some("metadata".into()),
        ..Default::default()
    };
    let topic = offset_commit::request::OffsetCommitRequestTopic {
        name: "t".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let commit = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    let group =
        offset_fetch::request::OffsetFetchRequestGroup { group_id: "g".into(), topics: None, ..Default::default() };
    let leave = leave_group::request::MemberIdentity { group_instance_id: Some("i".into()), ..Default::default() };
    let heartbeat = ConsumerGroupHeartbeatRequest {
        group_id: "c".into(),
        member_id: "m".into(),
        rebalance_timeout_ms: 1000,
        subscribed_topic_names: Some(vec!["t".into()]),
        subscribed_topic_regex: Some("t.*".into()),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    vec![
        frame(9, &join),
        frame(5, &sync),
        frame(9, &commit),
        frame(9, &OffsetFetchRequest { groups: vec![group], ..Default::default() }),
        frame(5, &LeaveGroupRequest { group_id: "g".into(), members: vec![leave], ..Default::default() }),
        frame(5, &ListGroupsRequest { states_filter: vec!["Stable".into()], ..Default::default() }),
        frame(2, &DeleteGroupsRequest { groups_names: vec!["g".into()], ..Default::default() }),
        frame(1, &heartbeat),
    ]
}

#[test]
fn bytes_behind_a_request_are_ignored_as_kafka_ignores_them() {
    let whole = encode_request(1, Some("test"), 12, &fetch_request("t", 0, 0, 1)).unwrap().into_bytes();
    let mut bytes = BytesMut::from(&whole[4..]);
    bytes.put_u8(0);
    let outputs = world().send_bytes(CLIENT, bytes.freeze());
    assert!(outputs.iter().any(|output| matches!(output, Output::Response { .. })), "{outputs:?}");
}

#[test]
fn a_batch_whose_checksum_is_wrong_is_corrupt() {
    let mut bytes = BytesMut::from(&batch(&["a"])[..]);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let answer = world().produce("t", bytes.freeze());
    assert_eq!(answer.error_code, ErrorCode::CORRUPT_MESSAGE);
    assert_eq!(answer.base_offset, -1);
}

#[test]
fn a_header_that_lies_is_an_invalid_record() {
    let cases: [(&str, Bytes, ErrorCode); 9] = [
        (
            "an old format",
            {
                let mut b = BytesMut::from(&batch(&["a"])[..]);
                b[16] = 1;
                b.freeze()
            },
            ErrorCode::INVALID_RECORD,
        ),
        ("a base offset", forged(|b| b[7] = 5), ErrorCode::INVALID_RECORD),
        ("a count too high", forged(|b| b[60] = 3), ErrorCode::INVALID_RECORD),
        ("a last delta too high", forged(|b| b[26] = 2), ErrorCode::INVALID_RECORD),
        (
            "both too high",
            forged(|b| {
                b[26] = 2;
                b[60] = 3
            }),
            ErrorCode::INVALID_RECORD,
        ),
        ("a control batch", forged(|b| b[22] |= 0x20), ErrorCode::INVALID_RECORD),
        ("LogAppendTime", forged(|b| b[22] |= 0x08), ErrorCode::INVALID_TIMESTAMP),
        ("an unknown codec", forged(|b| b[22] |= 0x07), ErrorCode::INVALID_RECORD),
        (
            "a length too high",
            {
                let mut b = BytesMut::from(&batch(&["a"])[..]);
                b[10] = 1;
                b.freeze()
            },
            ErrorCode::CORRUPT_MESSAGE,
        ),
    ];
    for (name, bytes, expected) in cases {
        let mut world = world();
        assert_eq!(world.produce("t", bytes).error_code, expected, "{name}");
        assert_eq!(world.fetch("t", 0).responses[0].partitions[0].high_watermark, 0, "{name} was written");
    }
}

#[test]
fn a_header_with_a_wrong_newest_time_is_put_right() {
    // As librdkafka sends it where records have no time.
    let timeless = {
        let mut b = BytesMut::from(&batch_of(&["a"], Producer::NONE, Compression::None, -1)[..]);
        felice_protocol::records::patch::set_max_timestamp(&mut b, 0).unwrap();
        b.freeze()
    };
    for (bytes, newest) in [(timeless, -1), (forged(|b| b[42] ^= 1), T0)] {
        let mut world = world();
        assert_eq!(world.produce("t", bytes).error_code, ErrorCode::NONE);
        let fetched = world.fetch("t", 0);
        let stored = fetched.responses[0].partitions[0].records.clone().unwrap();
        let stored = felice_protocol::records::RecordBatch::parse(stored).unwrap();
        stored.verify_crc().unwrap();
        assert_eq!(stored.max_timestamp(), newest);
    }
}

#[test]
fn two_batches_or_none_in_one_partition_are_refused() {
    let mut two = BytesMut::from(&batch(&["a"])[..]);
    two.extend_from_slice(&batch(&["b"]));
    assert_eq!(world().produce("t", two.freeze()).error_code, ErrorCode::INVALID_RECORD);
    assert_eq!(world().produce("t", Bytes::new()).error_code, ErrorCode::INVALID_RECORD);
}

#[test]
fn a_decompression_bomb_is_refused() {
    let mut world = World::with(&[("socket.request.max.bytes", "1000000")]);
    world.create_topic("t", 1, &[]);
    let zeros = "0".repeat(20_000_000);
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd, Compression::Snappy] {
        let bomb = batch_of(&[&zeros], Producer::NONE, codec, T0);
        let answer = world.produce("t", bomb);
        assert!(!answer.error_code.is_ok(), "{codec} inflated");
        assert_eq!(world.fetch("t", 0).responses[0].partitions[0].high_watermark, 0);
    }
}

#[test]
fn compressed_bytes_that_are_garbage_are_refused() {
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd, Compression::Snappy] {
        let mut bytes = BytesMut::from(&batch_of(&["some text here"], Producer::NONE, codec, T0)[..]);
        for byte in &mut bytes[70..] {
            *byte ^= 0x5a;
        }
        felice_protocol::records::patch::update_crc(&mut bytes).unwrap();
        assert!(!world().produce("t", bytes.freeze()).error_code.is_ok(), "{codec}");
    }
}

#[test]
fn a_batch_above_max_message_bytes_is_too_large() {
    let answer = world().produce("t", batch(&[&"x".repeat(1_048_600)]));
    assert_eq!(answer.error_code, ErrorCode::MESSAGE_TOO_LARGE);
    assert!(answer.error_message.unwrap().contains("max.message.bytes"));
}

#[test]
fn timestamps_out_of_range_name_the_records() {
    let answer = world()
        .call(9, &produce_request("t", 0, -1, batch_of(&["a"], Producer::NONE, Compression::None, T0 + 3_600_001)));
    let answer = partition_of(answer);
    assert_eq!(answer.error_code, ErrorCode::INVALID_TIMESTAMP);
    assert_eq!(answer.record_errors[0].batch_index, 0);
}

#[test]
fn a_compacted_topic_wants_keys() {
    let mut world = World::new();
    world.create_topic("t", 1, &[("cleanup.policy", "compact")]);
    let mut builder = felice_protocol::records::RecordBatchBuilder::new(BytesMut::new());
    builder.append(T0, Some(b"k"), Some(b"v"), &[]);
    builder.append(T0, None, Some(b"v"), &[]);
    let bytes = builder.close(&mut Default::default(), Compression::None, None).seal(Producer::NONE, false);
    let answer = world.produce("t", bytes);
    assert_eq!(answer.error_code, ErrorCode::INVALID_RECORD);
    assert_eq!(answer.record_errors.len(), 1);
    assert_eq!(answer.record_errors[0].batch_index, 1);
}

#[test]
fn unknown_places_and_wrong_acks_have_their_codes() {
    let mut world = world();
    assert_eq!(world.produce("nowhere", batch(&["a"])).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let answer = world.call(9, &produce_request("t", 7, -1, batch(&["a"])));
    assert_eq!(partition_of(answer).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let answer = world.call(9, &produce_request("t", 0, 5, batch(&["a"])));
    assert_eq!(partition_of(answer).error_code, ErrorCode::INVALID_REQUIRED_ACKS);
    let answer = world.call(3, &produce_request("t", 0, 1, batch_of(&["a"], Producer::NONE, Compression::Zstd, T0)));
    assert_eq!(partition_of(answer).error_code, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
}
