//! Record batches against Apache Kafka's own: `testdata/oracle/BatchOracle.java` has written `testdata/batches/kafka.txt`, and reads what
//! is written here.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::{Bytes, BytesMut};
use felice_protocol::compression::{Compression, Compressor, Decompressor};
use felice_protocol::records::{
    EndTransactionMarker, Header, Producer, RecordBatch, RecordBatchBuilder, RecordBatches, TimestampType, patch,
};

const LIMIT: usize = 1 << 20;
const KAFKA: &str = include_str!("../testdata/batches/kafka.txt");

/// What the oracle prints of a batch.
fn describe(name: &str, bytes: &Bytes) -> String {
    let mut text = format!("batch {name} {}\n", hex(bytes));
    let mut batches = RecordBatches::new(bytes.clone());
    for batch in &mut batches {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        let timestamp_type = match batch.timestamp_type() {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        };
        writeln!(
            text,
            "info {} {} {} {} {timestamp_type} {} {} {} {} {} {} {} {}",
            batch.base_offset(),
            batch.last_offset(),
            batch.partition_leader_epoch(),
            batch.compression(),
            batch.producer_id(),
            batch.producer_epoch(),
            batch.base_sequence(),
            batch.last_sequence(),
            batch.is_transactional(),
            batch.is_control(),
            batch.max_timestamp(),
            batch.count(),
        )
        .unwrap();
        for record in &batch.validate(&mut Decompressor::new(), LIMIT).unwrap() {
            let record = record.unwrap();
            let headers: Vec<_> =
                record.headers().map(|header| format!("{}={}", value(Some(header.key)), value(header.value))).collect();
            let headers = if headers.is_empty() { "-".to_owned() } else { headers.join(",") };
            let (key, value) = (value(record.key), value(record.value));
            writeln!(text, "record {} {} {key} {value} {headers}", record.offset, record.timestamp).unwrap();
        }
    }
    assert!(batches.remaining().is_empty());
    text
}

fn value(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".into(),
        Some(bytes) if bytes.len() <= 64 => format!("h:{}", hex(bytes)),
        Some(bytes) => {
            let mut crc = flate2::Crc::new();
            crc.update(bytes);
            format!("crc:{}:{:x}", bytes.len(), crc.sum())
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The recorded batches: name and bytes.
fn recorded() -> impl Iterator<Item = (&'static str, Bytes)> {
    KAFKA.lines().filter_map(|line| line.strip_prefix("batch ")).map(|line| {
        let (name, hex) = line.split_once(' ').unwrap();
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
        (name, hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect())
    })
}

#[test]
fn every_batch_of_kafkas_reads_as_kafka_reads_it() {
    let ours: String = recorded().map(|(name, bytes)| describe(name, &bytes)).collect();
    for (ours, kafkas) in ours.lines().zip(KAFKA.lines()) {
        assert_eq!(ours, kafkas);
    }
    assert_eq!(ours.lines().count(), KAFKA.lines().count());
    assert!(recorded().count() > 30);
}

/// The records of `batch` in a new batch with the same header.
fn rebuild(batch: &RecordBatch, codec: Compression) -> Bytes {
    let mut builder = RecordBatchBuilder::new(BytesMut::new());
    let records = batch.records(&mut Decompressor::new(), LIMIT).unwrap();
    for record in &records {
        let record = record.unwrap();
        let headers: Vec<Header<'_>> = record.headers().collect();
        builder.append(record.timestamp, record.key, record.value, &headers);
    }
    let producer =
        Producer { id: batch.producer_id(), epoch: batch.producer_epoch(), base_sequence: batch.base_sequence() };
    let sealed = builder.close(&mut Compressor::new(), codec, None).seal(producer, batch.is_transactional());
    let mut bytes = BytesMut::from(&sealed[..]);
    patch::set_base_offset(&mut bytes, batch.base_offset()).unwrap();
    patch::set_partition_leader_epoch(&mut bytes, batch.partition_leader_epoch()).unwrap();
    bytes.freeze()
}

#[test]
fn uncompressed_batches_are_written_as_kafka_writes_them() {
    let mut seen = 0;
    for (name, bytes) in recorded().filter(|(name, _)| name.starts_with("none-CreateTime") || *name == "none-one") {
        let batch = RecordBatch::parse(bytes).unwrap();
        assert_eq!(rebuild(&batch, Compression::None), *batch.bytes(), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn markers_are_written_as_kafka_writes_them() {
    for (name, committed) in [("marker-commit", true), ("marker-abort", false)] {
        let (_, bytes) = recorded().find(|(recorded, _)| *recorded == name).unwrap();
        let marker = EndTransactionMarker { committed, coordinator_epoch: 12 };
        assert_eq!(marker.to_batch(77, 1_700_000_000_123, 9, 4711, 3), bytes);
        assert_eq!(RecordBatch::parse(bytes).unwrap().end_transaction_marker().unwrap(), Some(marker));
    }
}

#[test]
fn kafka_reads_every_batch_of_ours_as_we_do() {
    let mut ours = String::new();
    for (name, bytes) in recorded().filter(|(name, _)| name.starts_with("none-")) {
        let batch = RecordBatch::parse(bytes).unwrap();
        for codec in Compression::ALL {
            let rebuilt = rebuild(&batch, codec);
            ours += &describe(&format!("{codec}-{name}"), &rebuilt);
            let mut stamped = BytesMut::from(&rebuilt[..]);
            patch::set_log_append_time(&mut stamped, 1_800_000_000_000).unwrap();
            ours += &describe(&format!("{codec}-{name}-stamped"), &stamped.freeze());
        }
    }
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(100_000)
    .collect();
    for codec in Compression::ALL {
        for level in [codec.levels().map(|(range, _)| *range.start()), codec.levels().map(|(range, _)| *range.end())] {
            let mut builder = RecordBatchBuilder::new(BytesMut::new());
            for part in noise.chunks(30_000) {
                builder.append(7, Some(b"noise"), Some(part), &[]);
                builder.append(8, Some(b"zeros"), Some(&[0; 30_000]), &[]);
            }
            let bytes = builder.close(&mut Compressor::new(), codec, level).seal(Producer::NONE, false);
            assert_eq!(RecordBatch::parse(bytes.clone()).unwrap().compression(), codec);
            ours += &describe(&format!("{codec}-noise"), &bytes);
        }
    }
    let Some(kafkas) = ask_kafka(&ours) else { return };
    for (ours, kafkas) in ours.lines().zip(kafkas.lines()) {
        assert_eq!(ours, kafkas);
    }
    assert_eq!(ours.lines().count(), kafkas.lines().count());
}

/// What Kafka reads in the batches; `None`, said aloud, where Java or Kafka's jars are missing.
fn ask_kafka(batches: &str) -> Option<String> {
    let jars = std::env::var_os("FELICE_KAFKA_LIBS").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(Path::new(&home).join(".cache/apache-kafka/4.3.1"))
    })?;
    let java = Command::new("java").arg("-version").stderr(Stdio::null()).status();
    if !jars.is_dir() || !java.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no java, or no jars of Apache Kafka in {} (FELICE_KAFKA_LIBS)", jars.display());
        return None;
    }
    let mut child = Command::new("java")
        .arg("-cp")
        .arg(jars.join("*"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/oracle/BatchOracle.java"))
        .arg("describe")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = batches.to_owned();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}
