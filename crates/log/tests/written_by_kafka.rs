//! A directory that Apache Kafka 4.3.1 wrote opens, and every record is what Kafka's own consumer printed.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use felice_log::{Disk, Log, LogConfig, MemDisk, OpenMode, RecoveryHint, data_dir};
use felice_protocol::time::Now;
use support::*;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kafka-4.3.1")
}

/// A copy of a recorded partition.
fn disk_of(partition: &str) -> MemDisk {
    let disk = MemDisk::new();
    disk.create_dir_all(&dir()).unwrap();
    for name in OsDisk.list(&testdata().join(partition)).unwrap() {
        let bytes = OsDisk.read(&testdata().join(partition).join(&name)).unwrap();
        disk.open(&dir().join(name), OpenMode::Create).unwrap().write_at(0, &bytes).unwrap();
    }
    disk
}

/// Shortly after the recording, so that no producer has expired.
const RECORDED: Now = Now { monotonic_nanos: 0, wall_millis: 1_795_265_300_000 };

fn open_recorded(disk: &MemDisk, clean_shutdown: bool) -> Log {
    let hint = RecoveryHint { clean_shutdown, ..RecoveryHint::default() };
    let config = LogConfig { index_interval_bytes: 512, ..LogConfig::default() };
    Log::open(Arc::new(disk.clone()), dir(), config, hint, RECORDED).unwrap()
}

fn as_printed(record: &Found) -> String {
    let text =
        |bytes: &Option<Bytes>| bytes.as_ref().map_or("null".into(), |b| String::from_utf8_lossy(b).into_owned());
    let headers: Vec<String> =
        record.headers.iter().map(|(key, value)| format!("{}:{}", String::from_utf8_lossy(key), text(value))).collect();
    let headers = if headers.is_empty() { "NO_HEADERS".to_owned() } else { headers.join(",") };
    let (key, value) = (text(&record.key), text(&record.value));
    format!("CreateTime:{}\tOffset:{}\t{headers}\t{key}\t{value}", record.timestamp, record.offset)
}

fn check_records(log: &Log, expected: &str) {
    let expected = String::from_utf8(OsDisk.read(&testdata().join(expected)).unwrap().to_vec()).unwrap();
    let records = read_all(log, 3000);
    let printed: Vec<String> = records.iter().filter(|record| !record.is_control).map(as_printed).collect();
    assert_eq!(printed, expected.lines().collect::<Vec<_>>());
}

#[test]
fn every_record_and_producer_of_a_kafka_partition_is_read() {
    for clean_shutdown in [true, false] {
        let disk = disk_of("recorded-0");
        let log = open_recorded(&disk, clean_shutdown);
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 300));
        assert_eq!(log.segment_base_offsets().collect::<Vec<_>>(), [0, 126]);
        check_records(&log, "recorded.tsv");
        let producers: Vec<_> = log.producer_state().collect();
        assert_eq!(producers.len(), 5, "one for each console producer");
        for producer in producers {
            assert_eq!((producer.producer_epoch, producer.last_sequence()), (0, 59));
        }
        assert_eq!(log.epoch_entries().len(), 1);
        for record in read_all(&log, 1 << 20) {
            let found = log.offset_for_timestamp(record.timestamp).unwrap().unwrap();
            assert!(found.offset <= record.offset && found.timestamp == record.timestamp);
        }
        assert!(data_dir::read_partition_metadata(&disk, &dir()).unwrap().is_some());
    }
}

#[test]
fn recovery_makes_the_indexes_and_snapshots_that_kafka_made() {
    for partition in ["recorded-0", "transactions-0"] {
        let disk = disk_of(partition);
        let names = disk.list(&dir()).unwrap();
        let kafkas: Vec<Bytes> = names.iter().map(|name| disk.read(&dir().join(name)).unwrap()).collect();
        for name in names.iter().filter(|name| name.ends_with("index")) {
            disk.remove_file(&dir().join(name)).unwrap();
        }
        let last_snapshot = names.iter().rfind(|name| name.ends_with("snapshot")).unwrap();
        disk.remove_file(&dir().join(last_snapshot)).unwrap();
        open_recorded(&disk, false).close(RECORDED).unwrap();
        for (name, bytes) in names.iter().zip(kafkas) {
            let ours = disk.read(&dir().join(name)).unwrap();
            if name.ends_with("snapshot") {
                // Entries come in the order of a hash map there.
                let entries = |bytes: &Bytes| {
                    let mut entries: Vec<Vec<u8>> = bytes[10..].chunks(46).map(<[u8]>::to_vec).collect();
                    entries.sort();
                    entries
                };
                assert_eq!(entries(&ours), entries(&bytes), "{partition}/{name}");
            } else {
                assert_eq!(ours, bytes, "{partition}/{name}");
            }
        }
    }
}

#[test]
fn committed_transactions_of_kafka_are_known_as_over() {
    let disk = disk_of("transactions-0");
    let log = open_recorded(&disk, true);
    check_records(&log, "transactions.tsv");
    assert_eq!(log.last_stable_offset(log.log_end_offset()), log.log_end_offset());
    assert!(log.open_transactions().next().is_none());
    assert_eq!(log.producer_state().count(), 1);
}
