//! Topics with `cleanup.policy=compact`, as a client sees them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "each test binary uses a part")]
mod support;

use bytes::{Bytes, BytesMut};
use felice_broker_core::Output;
use felice_log::Disk;
use felice_protocol::compression::{Compression, Compressor, Decompressor};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{DeleteTopicsRequest, delete_topics};
use felice_protocol::records::{Producer, RecordBatchBuilder, RecordBatches};
use support::*;

const COMPACT: &[(&str, &str)] = &[("cleanup.policy", "compact"), ("internal.segment.bytes", "2000")];

fn record(key: Option<&str>, value: &str) -> Bytes {
    let mut builder = RecordBatchBuilder::new(BytesMut::new());
    builder.append(T0, key.map(str::as_bytes), Some(value.as_bytes()), &[]);
    builder.close(&mut Compressor::default(), Compression::Lz4, None).seal(Producer::NONE, false)
}

fn fill(world: &mut World, topic: &str) {
    for index in 0..100 {
        let produced = world.produce(topic, record(Some(&format!("key {}", index % 3)), &format!("{index}")));
        assert_eq!((produced.error_code, produced.base_offset), (ErrorCode::NONE, index));
    }
}

/// Offsets and values that a reader gets.
fn read(world: &mut World, topic: &str) -> Vec<(i64, String)> {
    let (mut found, mut offset) = (Vec::new(), 0);
    loop {
        let response = world.fetch(topic, offset);
        let records = response.responses[0].partitions[0].records.clone().unwrap();
        if records.is_empty() {
            return found;
        }
        for batch in RecordBatches::new(records) {
            let batch = batch.unwrap();
            for record in &batch.records(&mut Decompressor::default(), 1 << 20).unwrap() {
                let record = record.unwrap();
                found.push((record.offset, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
            }
            offset = batch.next_offset();
        }
    }
}

/// Lets the cleaner work; gives what the core said.
fn work(world: &mut World, millis: u64) -> Vec<String> {
    let mut said = Vec::new();
    for _ in 0..millis {
        world.pass(1);
        let outputs = world.outputs();
        for output in world.sync(outputs) {
            if let Output::Log { message } = output {
                said.push(message);
            }
        }
    }
    said
}

#[test]
fn a_compacted_topic_is_cleaned_while_it_is_used() {
    let mut world = World::with(&[("log.cleaner.backoff.ms", "100")]);
    world.create_topic("t", 1, COMPACT);
    world.create_topic("kept", 1, &[("internal.segment.bytes", "2000")]);
    fill(&mut world, "t");
    fill(&mut world, "kept");
    assert_eq!(work(&mut world, 300), Vec::<String>::new());
    let found = read(&mut world, "t");
    assert!(found.len() < 40, "{found:?}");
    let last: Vec<_> = found.iter().rev().take(3).map(|(offset, value)| (*offset, value.as_str())).collect();
    assert_eq!(last, [(99, "99"), (98, "98"), (97, "97")]);
    assert_eq!(read(&mut world, "kept").len(), 100);
    let checkpoint = world.disk.read("/data/cleaner-offset-checkpoint".as_ref()).unwrap();
    let checkpoint = String::from_utf8(checkpoint.to_vec()).unwrap();
    assert!(checkpoint.starts_with("0\n1\nt 0 "), "{checkpoint}");
    // What was cleaned before is known after a restart, whatever its end.
    for clean in [true, false] {
        if clean {
            world.core.shutdown(world.now).unwrap();
        }
        world = World::open(world.disk.clone(), &[("log.cleaner.backoff.ms", "100")]);
        let operations = world.disk.operations();
        work(&mut world, 300);
        assert_eq!(world.disk.operations(), operations, "nothing to clean");
        assert_eq!(read(&mut world, "t"), found);
    }
}

#[test]
fn a_topic_that_goes_while_it_is_cleaned_leaves_the_cleaner_to_others() {
    for delete_after in 100..140 {
        let mut world = World::with(&[("log.cleaner.backoff.ms", "100")]);
        world.create_topic("a", 1, COMPACT);
        fill(&mut world, "a");
        work(&mut world, delete_after);
        let topic = delete_topics::request::DeleteTopicState { name: Some("a".into()), ..Default::default() };
        world.call(6, &DeleteTopicsRequest { topics: vec![topic], ..Default::default() });
        world.create_topic("a", 1, COMPACT);
        fill(&mut world, "a");
        work(&mut world, 300);
        assert!(read(&mut world, "a").len() < 40, "{delete_after}");
    }
}

#[test]
fn a_batch_that_cannot_be_read_stops_compaction_of_its_partition_alone() {
    let mut world = World::with(&[("log.cleaner.backoff.ms", "100")]);
    for topic in ["a", "b"] {
        world.create_topic(topic, 1, COMPACT);
        fill(&mut world, topic);
    }
    let file = world.disk.open("/data/a-0/00000000000000000000.log".as_ref(), felice_log::OpenMode::Write).unwrap();
    file.write_at(70, b"!").unwrap();
    let said = work(&mut world, 500);
    assert!(matches!(said.as_slice(), [message] if message.starts_with("a-0: compaction failed")), "{said:?}");
    assert!(read(&mut world, "b").len() < 40);
}

#[test]
fn a_compacted_topic_refuses_records_without_a_key() {
    let mut world = World::new();
    world.create_topic("t", 1, COMPACT);
    let refused = world.produce("t", record(None, "v"));
    assert_eq!((refused.error_code, refused.base_offset), (ErrorCode::INVALID_RECORD, -1));
    assert_eq!(refused.record_errors[0].batch_index, 0);
    assert_eq!(world.produce("t", record(Some("k"), "v")).base_offset, 0);
}
