//! Opening a log after every kind of end.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use felice_log::{AppendOrigin, Disk, Log, LogConfig, MemDisk, OpenMode, RecoveryHint};
use support::*;

/// The files of the partition.
fn files(disk: &MemDisk) -> BTreeMap<String, Bytes> {
    disk.list(&dir()).unwrap().into_iter().map(|name| (name.clone(), disk.read(&dir().join(&name)).unwrap())).collect()
}

fn with_files(files: &BTreeMap<String, Bytes>) -> MemDisk {
    let disk = MemDisk::new();
    disk.create_dir_all(&dir()).unwrap();
    for (name, bytes) in files {
        write(&disk, name, bytes);
    }
    disk
}

fn write(disk: &MemDisk, name: &str, bytes: &[u8]) {
    let file = disk.open(&dir().join(name), OpenMode::Create).unwrap();
    file.truncate(0).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync().unwrap();
    disk.sync_dir(&dir()).unwrap();
}

fn filled() -> (MemDisk, Log) {
    let (disk, mut log) = fresh(small());
    for index in 0..12 {
        append(&mut log, from_producer(7, 0, index * 3, 3));
    }
    (disk, log)
}

#[test]
fn a_clean_stop_leaves_nothing_to_repair() {
    let (disk, log) = filled();
    let (records, producer) = (read_all(&log, 1000), log.producer(7).unwrap().clone());
    log.close(now(0)).unwrap();
    assert_eq!(disk.unsynced(), []);
    disk.crash();
    let before = files(&disk);
    let log = open(&disk, small(), after_clean_stop()).unwrap();
    assert_eq!(files(&disk), before, "opening changes nothing");
    assert_eq!(read_all(&log, 1000), records);
    assert_eq!(log.recovery_point(), 36);
    let found = log.producer(7).unwrap();
    assert_eq!((found.last_sequence(), found.batches.back()), (35, producer.batches.back()));
}

#[test]
fn indexes_made_anew_are_those_of_the_appends() {
    let (disk, log) = filled();
    log.close(now(0)).unwrap();
    let before = files(&disk);
    for spoil in [&b""[..], &[0; 24], &[0xff; 17], &[0xff; 24]] {
        let disk = with_files(&before);
        for name in before.keys().filter(|name| name.ends_with("index")) {
            if spoil.is_empty() { disk.remove_file(&dir().join(name)).unwrap() } else { write(&disk, name, spoil) }
        }
        let log = open(&disk, small(), after_clean_stop()).unwrap();
        assert_eq!(read_all(&log, 1000).len(), 36);
        log.close(now(0)).unwrap();
        assert_eq!(files(&disk), before, "spoiled with {spoil:?}");
    }
}

#[test]
fn a_log_cut_at_any_byte_keeps_every_batch_in_front_of_the_cut() {
    let (disk, mut log) = filled();
    let records = read_all(&log, 1000);
    let last = log.segment_base_offsets().next_back().unwrap();
    log.flush().unwrap();
    let before = files(&disk);
    for name in before.keys().filter(|name| name.ends_with(".log")) {
        let base: i64 = name[..20].parse().unwrap();
        for cut in 0..before[name].len() {
            let mut torn = before.clone();
            torn.insert(name.clone(), before[name].slice(..cut));
            let disk = with_files(&torn);
            let mut log = open(&disk, small(), after_crash(0)).unwrap();
            let found = read_all(&log, 1000);
            assert_eq!(found, records[..found.len()], "{name} cut at {cut}");
            let per_batch = before[name].len() / if base == last { (36 - last) as usize / 3 } else { 4 };
            assert!(
                found.len() >= base as usize + cut / (per_batch + 8) * 3,
                "{name} cut at {cut}: {} left",
                found.len()
            );
            assert!(found.len().is_multiple_of(3) && log.log_end_offset() == found.len() as i64);
            let sequence = i32::try_from(found.len()).unwrap();
            assert_eq!(log.producer(7).map_or(0, |p| p.last_sequence() + 1), sequence);
            assert_eq!(append(&mut log, from_producer(7, 0, sequence, 3)).first_offset, found.len() as i64);
            assert_eq!(read_all(&log, 100).len(), found.len() + 3);
        }
    }
}

#[test]
fn a_flipped_bit_cuts_the_log_in_front_of_it_and_is_never_served() {
    let (disk, mut log) = filled();
    let records = read_all(&log, 1000);
    log.flush().unwrap();
    let before = files(&disk);
    for name in before.keys().filter(|name| name.ends_with(".log")) {
        let base: usize = name[..20].parse().unwrap();
        for byte in (0..before[name].len()).filter(|byte| byte % 3 == 0 || byte % 400 < 70) {
            let mut flipped = before[name].to_vec();
            flipped[byte] ^= 1 << (byte % 8);
            let mut damaged = before.clone();
            damaged.insert(name.clone(), flipped.into());
            let log = open(&with_files(&damaged), small(), after_crash(0)).unwrap();
            let found = read_all(&log, 1000);
            // Offset and epoch of a batch are not under its checksum: a flipped bit can move a batch up, or only rename its epoch.
            let same = found.iter().zip(&records).take_while(|(found, record)| found.value == record.value).count();
            assert_eq!(same, found.len(), "{name}, byte {byte}");
            assert!(found.len() >= base.min(36), "{name}, byte {byte}: {}", found.len());
        }
    }
}

#[test]
fn any_bytes_open_without_a_panic() {
    let (disk, log) = filled();
    log.close(now(0)).unwrap();
    let before = files(&disk);
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = move |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % bound.max(1) as u64).unwrap()
    };
    for round in 0..1500 {
        let mut damaged = before.clone();
        for _ in 0..=next(3) {
            let name = before.keys().nth(next(before.len())).unwrap().clone();
            let mut bytes = damaged[&name].to_vec();
            match next(4) {
                0 => bytes.truncate(next(bytes.len() + 1)),
                1 => bytes.extend((0..next(200)).map(|_| next(256) as u8)),
                2 if !bytes.is_empty() => {
                    let at = next(bytes.len());
                    let end = (at + 1 + next(16)).min(bytes.len());
                    bytes[at..end].iter_mut().for_each(|byte| *byte = next(256) as u8);
                }
                _ => bytes = (0..next(300)).map(|_| next(256) as u8).collect(),
            }
            damaged.insert(name, bytes.into());
        }
        for extra in
            ["00000000000000000012.log.swap", "00000000000000000003.log.deleted", "99999999999999999999.log", "x.log"]
        {
            if next(6) == 0 {
                damaged.insert(extra.to_owned(), before.values().nth(next(before.len())).unwrap().clone());
            }
        }
        let hint = RecoveryHint {
            recovery_point: next(80) as i64 - 20,
            log_start_offset: next(50) as i64 - 5,
            clean_shutdown: round % 2 == 0,
        };
        let disk = with_files(&damaged);
        let Ok(mut log) = open(&disk, small(), hint) else { continue };
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        assert!(start <= end && log.recovery_point() <= end);
        for offset in start..=end.min(start + 100) {
            log.read(offset, 500, i64::MAX, true).ok();
        }
        log.offset_for_timestamp(START + 5).ok();
        log.max_timestamp().ok();
        let appended = log.append_as_leader(now(0), plain(0, 1), 0, AppendOrigin::Client).unwrap();
        assert_eq!(appended.first_offset, end);
        let read = log.read(end, 1000, i64::MAX, true).unwrap();
        assert_eq!(read.next_offset, end + 1, "what is appended can be read");
        log.close(now(0)).unwrap();
        assert_eq!(
            open(&disk, small(), RecoveryHint { log_start_offset: start, ..after_clean_stop() })
                .unwrap()
                .log_end_offset(),
            end + 1
        );
    }
}

#[test]
fn leftovers_of_deletion_and_cleaning_go_away() {
    let (disk, log) = filled();
    log.close(now(0)).unwrap();
    let before = files(&disk);
    for name in ["00000000000000000000.log.deleted", "00000000000000000000.log.cleaned", "00000000000000000099.index"] {
        write(&disk, name, b"whatever");
    }
    open(&disk, small(), after_clean_stop()).unwrap();
    assert_eq!(files(&disk), before);
}

#[test]
fn an_interrupted_swap_is_finished() {
    let (disk, log) = filled();
    let bases: Vec<i64> = log.segment_base_offsets().collect();
    let records = read_all(&log, 1000);
    log.close(now(0)).unwrap();
    let mut both = files(&disk)[&format!("{:020}.log", bases[0])].to_vec();
    both.extend(&files(&disk)[&format!("{:020}.log", bases[1])]);
    write(&disk, &format!("{:020}.log.swap", bases[0]), &both);
    let log = open(&disk, small(), after_crash(36)).unwrap();
    assert_eq!(log.segment_base_offsets().collect::<Vec<_>>(), [&bases[..1], &bases[2..]].concat());
    assert_eq!(read_all(&log, 1000), records);
}

/// What a run of appends, rolls, flushes and deletions had made durable, and had written, when the disk stopped.
struct Outcome {
    flushed: i64,
    appended: i64,
    start: i64,
    recovery_point: i64,
}

fn work(disk: &MemDisk, config: &LogConfig) -> Outcome {
    let mut outcome = Outcome { flushed: 0, appended: 0, start: 0, recovery_point: 0 };
    let Ok(mut log) = open(disk, config.clone(), RecoveryHint::default()) else { return outcome };
    for index in 0..30_i32 {
        // A retry after a failure, as a client's: what was written must be recognised.
        let appended =
            log.append_as_leader(now(0), from_producer(7, 0, index * 2, 2), index / 10, AppendOrigin::Client);
        match appended {
            Ok(info) => outcome.appended = info.last_offset + 1,
            Err(_) => return outcome,
        }
        if index % 7 == 6 {
            if log.flush().is_err() {
                return outcome;
            }
            (outcome.flushed, outcome.recovery_point) = (log.log_end_offset(), log.recovery_point());
        }
        if index == 20 {
            log.advance_log_start_offset(9).unwrap_or_default();
            outcome.start = 9;
            if log.delete_old_segments(now(0), 20).is_err() {
                return outcome;
            }
        }
    }
    if log.close(now(0)).is_ok() {
        outcome.flushed = outcome.appended;
    }
    outcome
}

#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_flushed() {
    let config = small();
    let total = {
        let disk = MemDisk::new();
        work(&disk, &config);
        disk.operations()
    };
    assert!(total > 80);
    for stop in 0..=total {
        for torn in 0..8_u64 {
            let disk = MemDisk::new();
            disk.fail(stop, u64::MAX);
            let outcome = work(&disk, &config);
            if torn == 0 {
                disk.crash()
            } else {
                disk.crash_torn(stop * 8 + torn)
            }
            let context = format!("stopped at operation {stop} of {total}, torn {torn}");
            let hint = RecoveryHint {
                recovery_point: outcome.recovery_point,
                log_start_offset: outcome.start,
                clean_shutdown: false,
            };
            let mut log = open(&disk, config.clone(), hint).expect(&context);
            let end = log.log_end_offset();
            assert!(end >= outcome.flushed, "{context}: {end} of {} flushed", outcome.flushed);
            assert!(end <= outcome.appended + 2, "{context}");
            let records = read_all(&log, 300);
            let first = records.first().map_or(end, |record| record.offset);
            assert!(
                first <= outcome.start.max(0)
                    && records.iter().zip(first..).all(|(record, offset)| record.offset == offset),
                "{context}"
            );
            if end > 0 {
                assert_eq!(log.producer(7).map(|producer| producer.last_sequence()), Some(end as i32 - 1), "{context}");
            }
            let sequence = i32::try_from(end).unwrap();
            assert_eq!(append(&mut log, from_producer(7, 0, sequence, 2)).first_offset, end, "{context}");
            log.close(now(0)).expect(&context);
            assert_eq!(disk.unsynced(), [], "{context}");
            disk.crash();
            let log = open(&disk, config.clone(), RecoveryHint { clean_shutdown: true, ..hint }).expect(&context);
            assert_eq!(log.log_end_offset(), end + 2, "{context}");
        }
    }
}

#[test]
fn snapshots_of_earlier_stops_go_away() {
    let (disk, mut log) = filled();
    for index in 12..20 {
        append(&mut log, from_producer(7, 0, index * 3, 3));
        log.close(now(0)).unwrap();
        log = open(&disk, LogConfig { segment_bytes: 1 << 20, ..small() }, after_clean_stop()).unwrap();
    }
    let snapshots = files(&disk).into_keys().filter(|name| name.ends_with("snapshot")).count();
    assert_eq!(snapshots, log.segment_base_offsets().count(), "one for each segment but the first, and the newest");
}

#[test]
fn a_read_is_right_whatever_the_index_says() {
    let (disk, log) = filled();
    let records = read_all(&log, 1000);
    log.close(now(0)).unwrap();
    let before = files(&disk);
    for name in before.keys().filter(|name| name.ends_with(".index")) {
        for byte in 0..before[name].len() {
            let mut damaged = before.clone();
            let mut index = before[name].to_vec();
            index[byte] ^= 0x15;
            damaged.insert(name.clone(), index.into());
            let log = open(&with_files(&damaged), small(), after_clean_stop()).unwrap();
            assert_eq!(read_all(&log, 300), records, "{name}, byte {byte}");
        }
    }
}

#[test]
fn a_snapshot_of_the_future_is_not_believed() {
    let (disk, log) = filled();
    log.close(now(0)).unwrap();
    let mut files = files(&disk);
    let snapshot = files[&format!("{:020}.snapshot", 36)].clone();
    files.insert(format!("{:020}.snapshot", 40), snapshot);
    let disk = with_files(&files);
    open(&disk, small(), after_clean_stop()).unwrap();
    assert!(!disk.exists(&dir().join(format!("{:020}.snapshot", 40))));
}

#[test]
fn the_files_of_a_data_directory_are_read_as_written() {
    use felice_log::checkpoint::{self, Offsets};
    use felice_log::data_dir::{self, MetaProperties};
    use felice_protocol::primitives::Uuid;
    let (disk, root) = (MemDisk::new(), Path::new("/data"));
    disk.create_dir_all(&root.join("t-0")).unwrap();
    let offsets = Offsets::from([(("a-b".to_owned(), 3), 7), (("t".to_owned(), 0), 9)]);
    let path = root.join(checkpoint::RECOVERY_POINT);
    checkpoint::write_offsets(&disk, &path, &offsets).unwrap();
    assert_eq!(disk.read(&path).unwrap(), "0\n2\na-b 3 7\nt 0 9\n");
    assert_eq!(checkpoint::read_offsets(&disk, &path).unwrap(), offsets);
    let meta = MetaProperties { cluster_id: "c".to_owned(), node_id: 1, directory_id: Some(Uuid::from_random(5)) };
    meta.write(&disk, root).unwrap();
    assert_eq!(MetaProperties::read(&disk, root).unwrap(), Some(meta));
    data_dir::write_clean_shutdown(&disk, root, 11).unwrap();
    assert_eq!(disk.read(&root.join(".kafka_cleanshutdown")).unwrap(), "{\"version\":0,\"brokerEpoch\":11}");
    assert!(data_dir::take_clean_shutdown(&disk, root).unwrap());
    assert!(!data_dir::take_clean_shutdown(&disk, root).unwrap());
    data_dir::write_partition_metadata(&disk, &root.join("t-0"), Uuid::from_random(9)).unwrap();
    assert_eq!(data_dir::read_partition_metadata(&disk, &root.join("t-0")).unwrap(), Some(Uuid::from_random(9)));
    assert_eq!(data_dir::parse_partition_dir("a-b-3"), Some(("a-b", 3)));
    for other in ["a", "a-", "-3", "a-03", "a-3.x-delete", "a-+3"] {
        assert_eq!(data_dir::parse_partition_dir(other), None, "{other}");
    }
    let _: Arc<dyn Disk> = Arc::new(disk);
}
