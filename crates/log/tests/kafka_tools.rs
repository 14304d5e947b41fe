//! Apache Kafka's own tool reads what the log wrote: `DumpLogSegments` on every file. Its jars are looked for in `FELICE_KAFKA_LIBS`, else where
//! the project's scripts put them; without them, or without java, the tests say SKIP.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::BytesMut;
use felice_log::{
    AppendOrigin, Cleaner, CleanerConfig, CleanerStats, CleanerStep, Log, LogConfig, RecoveryHint, TimestampType,
};
use felice_protocol::compression::{Compression, Decompressor};
use felice_protocol::records::{EndTransactionMarker, Producer, RecordBatches};
use support::*;

fn class_path() -> Option<String> {
    let libs = std::env::var_os("FELICE_KAFKA_LIBS").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
        Some(cache.join("apache-kafka/4.3.1"))
    })?;
    let has_jars = std::fs::read_dir(&libs)
        .ok()?
        .flatten()
        .any(|file| file.file_name().to_string_lossy().starts_with("kafka-tools"));
    let has_java = Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success());
    (has_jars && has_java).then(|| format!("{}/*", libs.display()))
}

/// What the tool prints of files, after a look for complaints.
fn dump(class_path: &str, dir: &Path, suffix: &str, options: &[&str]) -> String {
    let mut files: Vec<String> = (std::fs::read_dir(dir).unwrap().flatten())
        .map(|file| file.path().display().to_string())
        .filter(|path| path.ends_with(suffix))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no {suffix} in {}", dir.display());
    let output = Command::new("java")
        .args(["-Xmx256m", "-cp", class_path, "org.apache.kafka.tools.DumpLogSegments"])
        .args(options)
        .args(["--files", &files.join(",")])
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let complaints =
        ["isvalid: false", "invalid bytes", "ismatch", "xception", "Found ", "failed", "out of order", "Error"];
    for complaint in complaints {
        assert!(!text.contains(complaint), "{suffix}: the tool says {complaint:?}:\n{text}");
    }
    assert!(output.status.success(), "{suffix}: {text}");
    text
}

/// A log with everything in it: codecs, idempotent producers, a transaction of each end, rolls, epochs.
fn write_log(dir: &Path, config: &LogConfig) -> Log {
    let mut log = Log::open(Arc::new(OsDisk), dir.to_owned(), config.clone(), RecoveryHint::default(), now(0)).unwrap();
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for index in 0..60_i32 {
        let codec = codecs[index as usize % codecs.len()];
        let producer = match index % 3 {
            0 => Producer::NONE,
            kind => Producer { id: i64::from(1000 + kind), epoch: 0, base_sequence: index / 3 * 4 },
        };
        let batch = batch(i64::from(index) * 10 - i64::from(index % 7) * 20, 4, codec, producer, false);
        log.append_as_leader(now(0), batch, index / 20, AppendOrigin::Client).unwrap();
    }
    for (transaction, committed) in [true, false].into_iter().enumerate() {
        let sequence = i32::try_from(transaction).unwrap() * 3;
        append(&mut log, transactional(2000, 1, sequence, 3));
        let marker = EndTransactionMarker { committed, coordinator_epoch: 4 }.to_batch(0, START + 700, 0, 2000, 1);
        let marker = BytesMut::from(&marker[..]);
        log.append_as_leader(now(0), marker, 2, AppendOrigin::Coordinator).unwrap();
    }
    append(&mut log, transactional(3000, 0, 0, 2));
    log
}

fn judge(class_path: &str, dir: &Path) {
    let text = dump(class_path, dir, ".log", &["--deep-iteration", "--print-data-log"]);
    assert_eq!(text.matches("| offset: ").count() + text.matches("|-> ").count(), 250, "{text}");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        assert!(text.contains(&format!("compresscodec: {codec}")), "{codec}: {text}");
    }
    assert!(text.contains("endTxnMarker: COMMIT coordinatorEpoch: 4") && text.contains("endTxnMarker: ABORT"));
    for options in [&[][..], &["--verify-index-only"], &["--index-sanity-check"]] {
        dump(class_path, dir, ".index", options);
        dump(class_path, dir, ".timeindex", options);
    }
    let text = dump(class_path, dir, ".snapshot", &[]);
    assert!(text.contains("producerId: 2000") && text.contains("producerId: 1001"), "{text}");
    assert!(text.contains("currentTxnFirstOffset: OptionalLong[248]"), "{text}");
    let text = dump(class_path, dir, ".txnindex", &[]);
    assert!(text.contains("producerId: 2000 firstOffset: 244 lastOffset: 247"), "{text}");
}

#[test]
fn apache_kafka_reads_what_was_written() {
    let Some(class_path) = class_path() else {
        println!("SKIP: neither java nor Apache Kafka's jars (FELICE_KAFKA_LIBS)");
        return;
    };
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("felice-0");
    let config = LogConfig { segment_bytes: 4000, index_interval_bytes: 300, ..small() };
    let log = write_log(&dir, &config);
    assert!(log.segment_base_offsets().count() > 3);
    log.close(now(0)).unwrap();
    judge(&class_path, &dir);
    // And what recovery makes anew.
    for file in std::fs::read_dir(&dir).unwrap().flatten() {
        if file.file_name().to_string_lossy().ends_with("index") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    let log = Log::open(Arc::new(OsDisk), dir.clone(), config, RecoveryHint::default(), now(0)).unwrap();
    log.close(now(0)).unwrap();
    judge(&class_path, &dir);
}

/// A log to be compacted with everything in it: codecs, tombstones, idempotent producers, transactions of each end.
fn write_dirty_log(dir: &Path, timestamp_type: TimestampType) -> Log {
    let config = LogConfig {
        compact: true,
        delete: false,
        min_cleanable_ratio: 0.0,
        segment_bytes: 4000,
        index_interval_bytes: 300,
        timestamp_type,
        ..small()
    };
    Log::open(Arc::new(OsDisk), dir.to_owned(), config, RecoveryHint::default(), now(0)).unwrap()
}

/// What the log's producers have sent.
#[derive(Default)]
struct Sequences {
    idempotent: i32,
    transactional: i32,
}

fn fill(log: &mut Log, time: i64, round: i32, sequences: &mut Sequences) {
    let four = |next: &mut i32| std::mem::replace(next, *next + 4);
    for index in 0..60_i32 {
        let codec = Compression::ALL[index as usize % 5];
        let values: Vec<(String, Option<String>)> = (0..4)
            .map(|record| {
                let key = (index * 7 + record * 5) % 40;
                (format!("key {key}"), (key % 9 > 0).then(|| format!("value {round} {index} {}", "v".repeat(40))))
            })
            .collect();
        let records: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        let producer = match index % 3 {
            0 => Producer::NONE,
            _ => Producer { id: 1000, epoch: 0, base_sequence: four(&mut sequences.idempotent) },
        };
        let send = |log: &mut Log, batch, origin| log.append_as_leader(now(time), batch, 0, origin).unwrap();
        let batch = keyed(time + i64::from(index) * 10, &records, codec, producer, false);
        send(log, batch, AppendOrigin::Client);
        if index % 10 == 4 {
            let producer = Producer { id: 2000, epoch: 1, base_sequence: four(&mut sequences.transactional) };
            send(log, keyed(time, &records, codec, producer, true), AppendOrigin::Client);
            let marker = EndTransactionMarker { committed: index % 20 == 4, coordinator_epoch: 4 };
            let marker = BytesMut::from(&marker.to_batch(0, START + time + 700, 0, 2000, 1)[..]);
            send(log, marker, AppendOrigin::Coordinator);
        }
    }
    log.roll(now(time)).unwrap();
}

fn clean(log: &mut Log, time: i64) -> CleanerStats {
    let end = log.log_end_offset();
    let mut cleaner = Cleaner::new(CleanerConfig { step_bytes: 1000, ..CleanerConfig::default() });
    cleaner.start(now(time), log, &log.to_clean(now(time), end).unwrap()).unwrap();
    loop {
        match cleaner.step(now(time), log, end).unwrap() {
            CleanerStep::Sync(flush) => cleaner.handle_synced(log, flush.run()).unwrap(),
            CleanerStep::Done(stats) => return stats,
            _ => {}
        }
    }
}

fn write_cleaned_log(dir: &Path, timestamp_type: TimestampType) -> Log {
    let mut log = write_dirty_log(dir, timestamp_type);
    let mut sequences = Sequences::default();
    for round in 0..2_i32 {
        fill(&mut log, 0, round, &mut sequences);
        let stats = clean(&mut log, 0);
        assert!(stats.bytes_written < stats.bytes_read * 2 / 3, "{stats:?}");
    }
    log
}

/// Apache Kafka 4.3.1 cleaned the same log: what it left is in `compacted.tsv`. Felice leaves that, and beside it the header of a segment's last batch.
#[test]
fn a_log_is_cleaned_as_apache_kafka_cleans_it() {
    let temporary = tempfile::tempdir().unwrap();
    let mut log = write_dirty_log(temporary.path(), TimestampType::CreateTime);
    fill(&mut log, 0, 0, &mut Sequences::default());
    clean(&mut log, 0);
    let mut cleaned = Vec::new();
    let mut offset = 0;
    while offset < log.log_end_offset() {
        let read = log.read(offset, 1 << 20, i64::MAX, true).unwrap();
        for batch in RecordBatches::new(read.records) {
            let batch = batch.unwrap();
            let records = batch.records(&mut Decompressor::new(), 1 << 20).unwrap();
            let offsets: Vec<String> = records.iter().map(|record| record.unwrap().offset.to_string()).collect();
            let is_segments_last = batch.count() == 0
                && batch.producer_id() < 0
                && log.segment_base_offsets().any(|base| base == batch.next_offset());
            if !is_segments_last {
                cleaned.push(format!(
                    "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
                    batch.base_offset(),
                    batch.last_offset(),
                    batch.count(),
                    batch.base_sequence(),
                    batch.producer_id(),
                    batch.is_transactional(),
                    batch.is_control(),
                    if batch.delete_horizon_ms().is_some() { "horizon" } else { "-" },
                    batch.compression(),
                    offsets.join(",")
                ));
            }
        }
        offset = read.next_offset;
    }
    let kafkas = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kafka-4.3.1/compacted.tsv");
    let kafkas = std::fs::read_to_string(kafkas).unwrap();
    assert_eq!(cleaned, kafkas.lines().collect::<Vec<_>>());
}

/// Writes the same log twice under `FELICE_LOG_DIR`, once as it was written and once cleaned, with records of the time that `FELICE_TIME` says (in
/// milliseconds): for a broker of Apache Kafka to read the one and to clean the other.
#[test]
#[ignore = "a tool: writes partitions where FELICE_LOG_DIR says"]
fn write_compacted_partitions_for_apache_kafka() {
    let dir = PathBuf::from(std::env::var_os("FELICE_LOG_DIR").unwrap());
    let time = std::env::var("FELICE_TIME").unwrap().parse::<i64>().unwrap() - START;
    for name in ["dirty", "clean"] {
        let mut log = write_dirty_log(&dir.join(name), TimestampType::CreateTime);
        fill(&mut log, time, 0, &mut Sequences::default());
        if name == "clean" {
            clean(&mut log, time);
        }
        log.close(now(time)).unwrap();
    }
}

#[test]
fn apache_kafka_reads_what_was_cleaned() {
    let Some(class_path) = class_path() else {
        println!("SKIP: neither java nor Apache Kafka's jars (FELICE_KAFKA_LIBS)");
        return;
    };
    for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("felice-0");
        let log = write_cleaned_log(&dir, timestamp_type);
        let records = read_all(&log, 1 << 20);
        log.close(now(0)).unwrap();
        let text = dump(&class_path, &dir, ".log", &["--deep-iteration", "--print-data-log"]);
        assert_eq!(text.matches("| offset: ").count() + text.matches("|-> ").count(), records.len(), "{text}");
        for record in records.iter().filter(|record| !record.is_control) {
            let line = |line: &&str| line.starts_with(&format!("| offset: {} ", record.offset));
            let line = text.lines().find(line).unwrap_or_else(|| panic!("no offset {}: {text}", record.offset));
            let key = String::from_utf8_lossy(record.key.as_ref().unwrap()).into_owned();
            assert!(
                line.contains(&format!("CreateTime: {} ", record.timestamp))
                    || line.contains(&format!("LogAppendTime: {} ", record.timestamp)),
                "{line}"
            );
            assert!(line.contains(&format!("key: {key}")), "{line}");
            assert_eq!(line.contains("payload: value"), record.value.is_some(), "{line}");
        }
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            assert!(text.contains(&format!("compresscodec: {codec}")), "{codec}: {text}");
        }
        assert!(text.contains("deleteHorizonMs: OptionalLong[17"), "{text}");
        assert!(text.contains("count: 0 "), "an emptied batch: {text}");
        for options in [&[][..], &["--verify-index-only"], &["--index-sanity-check"]] {
            dump(&class_path, &dir, ".index", options);
            dump(&class_path, &dir, ".timeindex", options);
        }
        dump(&class_path, &dir, ".snapshot", &[]);
        let text = dump(&class_path, &dir, ".txnindex", &[]);
        assert!(text.contains("producerId: 2000"), "{text}");
    }
}

/// Writes the log into `FELICE_LOG_DIR`, for a broker of Apache Kafka to be started on it by hand.
#[test]
#[ignore = "a tool: writes a partition where FELICE_LOG_DIR says"]
fn write_a_partition_for_apache_kafka() {
    let dir = PathBuf::from(std::env::var_os("FELICE_LOG_DIR").unwrap());
    let log = write_log(&dir, &LogConfig { segment_bytes: 4000, index_interval_bytes: 300, ..small() });
    log.close(now(0)).unwrap();
}
