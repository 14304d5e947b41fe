//! Compaction: what stays, what goes, and that neither a crash nor a change of the log in between harms it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use felice_log::{
    AppendOrigin, Cleaner, CleanerConfig, CleanerStep, Disk, Log, LogConfig, LogError, MemDisk, RecoveryHint,
};
use felice_protocol::compression::{Compression, Decompressor};
use felice_protocol::records::{EndTransactionMarker, Producer, RecordBatches, TimestampType};
use support::*;

const DAY: i64 = 24 * 60 * 60 * 1000;

fn compacted() -> LogConfig {
    LogConfig {
        segment_bytes: 1200,
        index_interval_bytes: 200,
        compact: true,
        delete: false,
        min_cleanable_ratio: 0.0,
        producer_id_expiration: Duration::from_secs(1000 * 24 * 60 * 60),
        ..LogConfig::default()
    }
}

fn tiny_steps() -> CleanerConfig {
    CleanerConfig { step_bytes: 100, ..CleanerConfig::default() }
}

/// Cleans once, where there is something to clean.
fn clean_at(log: &mut Log, time: i64, config: CleanerConfig) -> Result<bool, LogError> {
    let end = log.log_end_offset();
    let Some(to_clean) = log.to_clean(now(time), end) else { return Ok(false) };
    let mut cleaner = Cleaner::new(config);
    cleaner.start(now(time), log, &to_clean)?;
    loop {
        match cleaner.step(now(time), log, end)? {
            CleanerStep::More(_) => {}
            CleanerStep::Sync(flush) => cleaner.handle_synced(log, flush.run())?,
            CleanerStep::Done(stats) => {
                assert_eq!(stats.end_offset, log.cleaner_checkpoint());
                assert!(stats.end_offset > stats.start_offset);
                return Ok(true);
            }
            CleanerStep::Abandoned => panic!("nobody touched the log"),
        }
    }
}

fn clean(log: &mut Log) -> bool {
    clean_at(log, 0, tiny_steps()).unwrap()
}

/// Rolls, so that everything may be cleaned, and cleans.
fn clean_all(log: &mut Log, time: i64) {
    log.roll(now(0)).unwrap();
    clean_at(log, time, tiny_steps()).unwrap();
}

fn put(log: &mut Log, records: &[(&str, Option<&str>)]) -> i64 {
    append(log, keyed(0, records, Compression::None, Producer::NONE, false)).first_offset
}

fn marker(log: &mut Log, id: i64, committed: bool) {
    let marker = EndTransactionMarker { committed, coordinator_epoch: 1 }.to_batch(0, START, 0, id, 0);
    log.append_as_leader(now(0), BytesMut::from(&marker[..]), 0, AppendOrigin::Coordinator).unwrap();
}

fn shown(log: &Log) -> Vec<String> {
    let text = |bytes: &Option<Bytes>| bytes.as_ref().map_or("-".into(), |b| String::from_utf8_lossy(b).into_owned());
    (read_all(log, 1 << 20).iter())
        .map(|r| {
            if r.is_control {
                format!("{}:marker", r.offset)
            } else {
                format!("{}:{}={}", r.offset, text(&r.key), text(&r.value))
            }
        })
        .collect()
}

/// What a reader of committed records gets, as a client filters it.
fn read_committed(log: &Log) -> Vec<Found> {
    let (start, end) = (log.log_start_offset(), log.last_stable_offset(log.log_end_offset()));
    let mut ahead = log.aborted_transactions(start, end).unwrap();
    ahead.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
    let (mut aborted, mut found, mut offset) = (BTreeSet::new(), Vec::new(), start);
    while offset < end {
        let read = log.read(offset, 700, end, true).unwrap();
        assert!(read.next_offset > offset, "nothing at {offset} before {end}");
        for batch in RecordBatches::new(read.records) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            while ahead.last().is_some_and(|transaction| transaction.first_offset <= batch.last_offset()) {
                aborted.insert(ahead.pop().unwrap().producer_id);
            }
            if batch.is_control() {
                if batch.end_transaction_marker().unwrap().is_some_and(|marker| !marker.committed) {
                    aborted.remove(&batch.producer_id());
                }
                continue;
            }
            if batch.is_transactional() && aborted.contains(&batch.producer_id()) {
                continue;
            }
            for record in &batch.records(&mut Decompressor::new(), 1 << 20).unwrap() {
                let record = record.unwrap();
                let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
                found.push(Found {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(copy),
                    value: record.value.map(copy),
                    headers: record.headers().map(|h| (copy(h.key), h.value.map(copy))).collect(),
                    is_control: false,
                });
            }
        }
        offset = read.next_offset;
    }
    found
}

fn last_values(records: &[Found]) -> BTreeMap<Bytes, (Option<i64>, Bytes)> {
    let mut last = BTreeMap::new();
    for record in records {
        let key = record.key.clone().unwrap();
        match &record.value {
            Some(value) => drop(last.insert(key, (Some(record.offset), value.clone()))),
            None => drop(last.remove(&key)),
        }
    }
    last
}

#[test]
fn of_each_key_the_last_record_stays_where_it_was() {
    let (_, mut log) = fresh(compacted());
    put(&mut log, &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))]);
    put(&mut log, &[("a", Some("3")), ("c", Some("1"))]);
    put(&mut log, &[("c", Some("2"))]);
    assert!(!clean(&mut log), "the segment that is written is not touched");
    log.roll(now(0)).unwrap();
    put(&mut log, &[("b", Some("9"))]);
    assert!(clean(&mut log));
    assert_eq!(shown(&log), ["1:b=1", "3:a=3", "5:c=2", "6:b=9"]);
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.cleaner_checkpoint()), (0, 7, 6));
    assert!(!clean(&mut log), "nothing is dirty");
    clean_all(&mut log, 0);
    assert_eq!(shown(&log), ["3:a=3", "5:c=2", "6:b=9"]);
}

#[test]
fn small_segments_become_one_and_the_last_offset_of_each_is_known() {
    let (disk, mut log) = fresh(compacted());
    for index in 0..60 {
        put(&mut log, &[("k", Some(&format!("{index} {}", "x".repeat(50))))]);
    }
    let before = log.segment_base_offsets().count();
    assert!(before > 5);
    clean_all(&mut log, 0);
    assert_eq!(shown(&log).len(), 1);
    clean_all(&mut log, 0);
    put(&mut log, &[("l", Some("1"))]);
    clean_all(&mut log, 0);
    assert_eq!(log.segment_base_offsets().collect::<Vec<_>>(), [0, 61], "all that is left fits into one");
    assert_eq!(log.read(3, 1 << 20, 100, true).unwrap().next_offset, 61, "a reader gets past the gap");
    log.close(now(0)).unwrap();
    let names = disk.list(&dir()).unwrap();
    assert!(!names.iter().any(|name| name.ends_with(".cleaned") || name.ends_with(".swap")), "{names:?}");
}

#[test]
fn a_tombstone_goes_delete_retention_ms_after_the_first_round_that_saw_it() {
    let (_, mut log) = fresh(compacted());
    put(&mut log, &[("a", Some("1")), ("b", Some("1"))]);
    put(&mut log, &[("a", None), ("c", Some("1"))]);
    clean_all(&mut log, 0);
    assert_eq!(shown(&log), ["1:b=1", "2:a=-", "3:c=1"]);
    let horizon = |log: &Log| {
        let read = log.read(2, 1 << 20, 100, true).unwrap();
        RecordBatches::new(read.records).next().unwrap().unwrap().delete_horizon_ms()
    };
    assert_eq!(horizon(&log), Some(START + DAY));
    let times: Vec<i64> = read_all(&log, 1 << 20).iter().map(|record| record.timestamp - START).collect();
    assert_eq!(times, [1, 0, 1], "timestamps survive the horizon");
    put(&mut log, &[("d", Some("1"))]);
    clean_all(&mut log, DAY - 1);
    assert_eq!(shown(&log), ["1:b=1", "2:a=-", "3:c=1", "4:d=1"]);
    assert_eq!(horizon(&log), Some(START + DAY), "the horizon does not move");
    put(&mut log, &[("d", Some("2"))]);
    clean_all(&mut log, DAY);
    assert_eq!(shown(&log), ["1:b=1", "3:c=1", "5:d=2"]);
}

#[test]
fn aborted_records_go_and_their_markers_wait_for_the_horizon() {
    let (disk, mut log) = fresh(compacted());
    put(&mut log, &[("a", Some("1")), ("b", Some("1"))]);
    let transaction = |log: &mut Log, id, sequence, value: &str| {
        let producer = Producer { id, epoch: 0, base_sequence: sequence };
        append(log, keyed(0, &[("a", Some(value)), ("b", Some(value))], Compression::Lz4, producer, true));
    };
    transaction(&mut log, 7, 0, "aborted");
    marker(&mut log, 7, false);
    transaction(&mut log, 8, 0, "committed");
    transaction(&mut log, 7, 2, "open");
    marker(&mut log, 8, true);
    log.roll(now(0)).unwrap();
    assert!(!clean(&mut log), "nothing behind the last stable offset is cleaned");
    marker(&mut log, 7, true);
    transaction(&mut log, 7, 4, "later");
    transaction(&mut log, 8, 2, "later");
    marker(&mut log, 7, true);
    marker(&mut log, 8, true);
    clean_all(&mut log, 0);
    assert_eq!(
        shown(&log),
        // 4 aborts 2 and 3, of which this round still saw batches, as it did of what 9 and 10 commit.
        ["4:marker", "9:marker", "10:marker", "13:a=later", "14:b=later", "15:marker", "16:marker"]
    );
    assert_eq!(log.aborted_transactions(0, 100).unwrap().len(), 1);
    put(&mut log, &[("z", Some("1"))]);
    clean_all(&mut log, DAY);
    assert!(shown(&log).contains(&"4:marker".to_owned()), "now it has its horizon");
    assert_eq!(log.aborted_transactions(0, 100).unwrap().len(), 0);
    put(&mut log, &[("z", Some("2"))]);
    clean_all(&mut log, 2 * DAY);
    assert_eq!(shown(&log), ["13:a=later", "14:b=later", "15:marker", "16:marker", "18:z=2"]);
    let end = log.log_end_offset();
    drop(log);
    let log = open(&disk, compacted(), after_crash(0)).unwrap();
    assert_eq!((log.log_end_offset(), log.last_stable_offset(end)), (end, end));
    assert!(log.open_transactions().next().is_none());
}

#[test]
fn an_idempotent_producer_goes_on_after_its_records_are_gone() {
    let (disk, mut log) = fresh(compacted());
    let send = |log: &mut Log, id, sequence| {
        let producer = Producer { id, epoch: 3, base_sequence: sequence };
        let records: Vec<(&str, Option<&str>)> = vec![("k", Some("v")); 5];
        log.append_as_leader(now(0), keyed(0, &records, Compression::Zstd, producer, false), 0, AppendOrigin::Client)
    };
    for index in 0..4 {
        send(&mut log, 1, index * 5).unwrap();
    }
    put(&mut log, &[("k", Some("last"))]);
    clean_all(&mut log, 0);
    assert_eq!(shown(&log), ["20:k=last"]);
    let state = |log: &Log| log.producer(1).map(|producer| (producer.producer_epoch, producer.last_sequence()));
    assert_eq!(state(&log), Some((3, 19)));
    log.flush().unwrap();
    for name in disk.list(&dir()).unwrap().iter().filter(|name| name.ends_with("snapshot")) {
        disk.remove_file(&dir().join(name)).unwrap();
    }
    drop(log);
    let mut log = open(&disk, compacted(), after_crash(0)).unwrap();
    assert_eq!(state(&log), Some((3, 19)), "the emptied batch has it");
    assert!(send(&mut log, 1, 15).unwrap().duplicate);
    assert!(send(&mut log, 1, 25).is_err());
    assert_eq!(send(&mut log, 1, 20).unwrap().first_offset, 21);
}

#[test]
fn a_producer_whose_last_batch_may_be_lost_keeps_the_others() {
    let (_, mut log) = fresh(compacted());
    let send = |log: &mut Log, sequence| {
        let producer = Producer { id: 1, epoch: 0, base_sequence: sequence };
        append(log, keyed(0, &[("k", Some("v"))], Compression::None, producer, false));
    };
    (0..3).for_each(|sequence| send(&mut log, sequence));
    put(&mut log, &[("k", Some("last"))]);
    log.roll(now(0)).unwrap();
    send(&mut log, 3);
    let high_watermark = 4;
    let to_clean = log.to_clean(now(0), high_watermark).unwrap();
    let mut cleaner = Cleaner::new(tiny_steps());
    cleaner.start(now(0), &log, &to_clean).unwrap();
    loop {
        match cleaner.step(now(0), &mut log, high_watermark).unwrap() {
            CleanerStep::Sync(flush) => cleaner.handle_synced(&mut log, flush.run()).unwrap(),
            CleanerStep::Done(_) => break,
            _ => {}
        }
    }
    let read = log.read(0, 1 << 20, 4, true).unwrap();
    let batches: Vec<_> = RecordBatches::new(read.records).map(|batch| batch.unwrap()).collect();
    assert_eq!(
        batches.iter().map(|batch| (batch.base_sequence(), batch.count())).collect::<Vec<_>>(),
        [(0, 0), (1, 0), (2, 0), (-1, 1)]
    );
}

#[test]
fn codec_timestamp_type_and_headers_are_kept() {
    for timestamp_type in [felice_log::TimestampType::CreateTime, felice_log::TimestampType::LogAppendTime] {
        let config = LogConfig { timestamp_type, segment_bytes: 100_000, ..compacted() };
        let (_, mut log) = fresh(config);
        let value = "v".repeat(100);
        for codec in Compression::ALL {
            let name = codec.name();
            let keys = [format!("{name} 1"), format!("{name} 2"), format!("{name} 3")];
            let value = Some(value.as_str());
            let records: Vec<_> = keys.iter().map(|key| (key.as_str(), value)).collect();
            let tombstone = [(keys[1].as_str(), None)];
            append(&mut log, keyed(10, &records, codec, Producer::NONE, false));
            append(&mut log, keyed(20, &tombstone, codec, Producer::NONE, false));
        }
        let before = read_all(&log, 1 << 20);
        let offsets = |records: &[Found]| records.iter().map(|record| record.offset % 4).collect::<Vec<_>>();
        clean_all(&mut log, 5);
        let after = read_all(&log, 1 << 20);
        assert_eq!(offsets(&after), [0, 2, 3].repeat(5));
        assert!(after.iter().all(|record| before.contains(record)));
        let read = log.read(0, 1 << 20, i64::MAX, true).unwrap();
        for (index, batch) in RecordBatches::new(read.records).enumerate() {
            let batch = batch.unwrap();
            assert_eq!(batch.compression(), Compression::ALL[index / 2]);
            let is_append_time = batch.timestamp_type() == TimestampType::LogAppendTime;
            assert_eq!(is_append_time, timestamp_type == felice_log::TimestampType::LogAppendTime);
            assert_eq!(batch.delete_horizon_ms(), (index % 2 == 1).then_some(START + 5 + DAY));
        }
    }
}

#[test]
fn a_log_is_cleaned_when_it_is_worth_it() {
    let config = LogConfig { min_cleanable_ratio: 0.5, ..compacted() };
    let (_, mut log) = fresh(config.clone());
    let fill = |log: &mut Log, keys: std::ops::Range<i32>| {
        for key in keys {
            put(log, &[(&format!("{key}"), Some(&"x".repeat(100)))]);
        }
        log.roll(now(0)).unwrap();
    };
    fill(&mut log, 0..20);
    assert_eq!(log.to_clean(now(0), 20).unwrap().cleanable_ratio(), 1.0);
    assert_eq!(log.to_clean(now(0), 0), None, "above the high watermark");
    assert!(clean(&mut log));
    fill(&mut log, 20..30);
    assert_eq!(log.to_clean(now(0), 30), None, "a third is dirty");
    let urgent = LogConfig { max_compaction_lag: Duration::from_millis(1000), ..config.clone() };
    log.set_config(urgent);
    assert_eq!(log.to_clean(now(1000), 30), None);
    assert!(log.to_clean(now(1001), 30).is_some_and(|to_clean| to_clean.needs_compaction_now));
    log.set_config(config.clone());
    fill(&mut log, 30..60);
    assert!(log.to_clean(now(0), 60).is_some());
    let lag = LogConfig { min_compaction_lag: Duration::from_millis(1000), ..config.clone() };
    log.set_config(lag);
    assert_eq!(log.to_clean(now(999), 60), None);
    assert!(log.to_clean(now(1000), 60).is_some());
    log.set_config(LogConfig { compact: false, ..config });
    assert_eq!(log.to_clean(now(1000), 60), None);
}

#[test]
fn more_keys_than_fit_into_memory_are_cleaned_in_several_rounds() {
    let (_, mut log) = fresh(LogConfig { segment_bytes: 20_000, ..compacted() });
    let keys: Vec<String> = (0..500).map(|key| format!("{}", key % 250)).collect();
    for some in keys.chunks(50) {
        let records: Vec<_> = some.iter().map(|key| (key.as_str(), Some("v"))).collect();
        put(&mut log, &records);
    }
    log.roll(now(0)).unwrap();
    let mut rounds = 0;
    while clean_at(&mut log, 0, CleanerConfig { dedupe_buffer_bytes: 0, ..tiny_steps() }).unwrap() {
        rounds += 1;
    }
    assert!(rounds > 5, "{rounds}");
    assert_eq!(
        read_all(&log, 1 << 20).iter().map(|record| record.offset).collect::<Vec<_>>(),
        (250..500).collect::<Vec<_>>()
    );
}

#[test]
fn a_log_that_changes_in_between_is_left_alone() {
    let fill = || {
        let (disk, mut log) = fresh(LogConfig { delete: true, ..compacted() });
        for index in 0..40 {
            put(&mut log, &[("k", Some(&format!("{index} {}", "x".repeat(50)))), ("l", Some("1"))]);
        }
        (disk, log)
    };
    let total = {
        let (_, mut log) = fill();
        let mut cleaner = Cleaner::new(tiny_steps());
        cleaner.start(now(0), &log, &log.to_clean(now(0), 80).unwrap()).unwrap();
        let mut steps = 0;
        loop {
            steps += 1;
            match cleaner.step(now(0), &mut log, 80).unwrap() {
                CleanerStep::Sync(flush) => cleaner.handle_synced(&mut log, flush.run()).unwrap(),
                CleanerStep::Done(_) => break steps,
                _ => {}
            }
        }
    };
    for stop in 0..total {
        for change in 0..3 {
            let (disk, mut log) = fill();
            let mut cleaner = Cleaner::new(tiny_steps());
            cleaner.start(now(0), &log, &log.to_clean(now(0), 80).unwrap()).unwrap();
            let change = |log: &mut Log| match change {
                0 => {
                    log.truncate_to(30, now(0)).unwrap();
                    put(log, &[("l", Some("1"))]);
                }
                1 => {
                    log.advance_log_start_offset(30).unwrap();
                    log.delete_old_segments(now(0), 80).unwrap();
                }
                _ => drop(put(log, &[("k", Some("new")), ("m", Some("1"))])),
            };
            for step in 0.. {
                let change_before = step == stop && stop % 2 == 0;
                if change_before {
                    change(&mut log);
                }
                let outcome = cleaner.step(now(0), &mut log, 80).unwrap();
                if step == stop && !change_before {
                    change(&mut log);
                }
                match outcome {
                    CleanerStep::Sync(flush) => cleaner.handle_synced(&mut log, flush.run()).unwrap(),
                    CleanerStep::Done(_) | CleanerStep::Abandoned => break,
                    CleanerStep::More(_) => {}
                }
            }
            assert!(!cleaner.is_busy());
            let end = log.log_end_offset();
            let (found, log_start) = (shown(&log), log.log_start_offset());
            log.close(now(0)).unwrap();
            let log =
                open(&disk, compacted(), RecoveryHint { log_start_offset: log_start, ..after_clean_stop() }).unwrap();
            assert_eq!((shown(&log), log.log_end_offset()), (found.clone(), end));
            let names = disk.list(&dir()).unwrap();
            assert!(!names.iter().any(|name| name.contains(".cleaned") || name.contains(".swap")), "{names:?}");
            assert!(found.iter().any(|record| record.ends_with("l=1")), "{found:?}");
        }
    }
}

/// Transactions of both ends, tombstones, idempotent producers, flushed; then a round, in a disk that may stop at any operation.
fn history(disk: &MemDisk) -> Log {
    let mut log = open(disk, compacted(), RecoveryHint::default()).unwrap();
    for index in 0..12_i32 {
        let value = format!("{index} {}", "x".repeat(60));
        let producer = Producer { id: 1, epoch: 0, base_sequence: index * 2 };
        let records = [("a", Some(value.as_str())), (["b", "c"][index as usize % 2], Some(value.as_str()))];
        append(&mut log, keyed(0, &records, Compression::None, producer, false));
        let producer = Producer { id: 2, epoch: 0, base_sequence: index };
        append(&mut log, keyed(0, &[("t", Some(value.as_str()))], Compression::Zstd, producer, true));
        marker(&mut log, 2, index % 3 != 2);
    }
    put(&mut log, &[("c", None)]);
    log.roll(now(0)).unwrap();
    put(&mut log, &[("d", Some("1"))]);
    log.flush().unwrap();
    log
}

#[test]
fn a_crash_at_any_operation_of_a_round_loses_nothing() {
    let (total, first) = {
        let disk = MemDisk::new();
        let mut log = history(&disk);
        let first = disk.operations();
        assert!(clean(&mut log));
        (disk.operations(), first)
    };
    assert!(total > first + 30);
    let (expected, end) = {
        let log = history(&MemDisk::new());
        (last_values(&read_committed(&log)), log.log_end_offset())
    };
    for stop in first..=total {
        // None of what was not synced, some of it, all of it.
        for torn in 0..8 {
            let disk = MemDisk::new();
            let mut log = history(&disk);
            disk.fail(stop, u64::MAX);
            let result = clean_at(&mut log, 0, tiny_steps());
            assert_eq!(result.is_ok(), stop == total, "stop {stop}");
            let recovery_point = log.recovery_point();
            drop(log);
            match torn {
                0 => disk.crash(),
                1 => disk.fail(u64::MAX, 0),
                seed => disk.crash_torn(stop * 8 + seed),
            }
            let context = format!("stopped at {stop} of {first} to {total}, torn {torn}");
            let hint = after_crash(if torn % 2 == 0 { recovery_point } else { 0 });
            let mut log = open(&disk, compacted(), hint).expect(&context);
            let check = |log: &Log| {
                assert_eq!(log.log_end_offset(), end, "{context}");
                assert_eq!(last_values(&read_committed(log)), expected, "{context}");
                let sequences: Vec<_> = log.producer_state().map(|producer| producer.last_sequence()).collect();
                assert_eq!(sequences, [23, 11], "{context}");
                assert_eq!(log.last_stable_offset(end), end, "{context}");
            };
            check(&log);
            assert!(clean(&mut log), "{context}");
            check(&log);
            log.close(now(0)).expect(&context);
            disk.crash();
            let names = disk.list(&dir()).unwrap();
            assert!(!names.iter().any(|name| name.contains(".cleaned") || name.contains(".swap")), "{names:?}");
            check(&open(&disk, compacted(), after_clean_stop()).expect(&context));
        }
    }
}

#[test]
fn a_record_goes_only_when_the_one_that_replaces_it_is_durable() {
    let prepare = |disk: &MemDisk| {
        let mut log = open(disk, compacted(), RecoveryHint::default()).unwrap();
        put(&mut log, &[("a", Some("old")), ("b", Some("old"))]);
        log.roll(now(0)).unwrap();
        log.flush().unwrap();
        put(&mut log, &[("a", Some("new"))]);
        log.roll(now(0)).unwrap();
        put(&mut log, &[("b", Some("new"))]);
        log.roll(now(0)).unwrap();
        log
    };
    let disk = MemDisk::new();
    let mut log = prepare(&disk);
    let first = disk.operations();
    clean(&mut log);
    let total = disk.operations();
    let mut seen = BTreeSet::new();
    for stop in first..=total {
        let disk = MemDisk::new();
        let mut log = prepare(&disk);
        disk.fail(stop, u64::MAX);
        clean_at(&mut log, 0, tiny_steps()).ok();
        disk.crash();
        let log = open(&disk, compacted(), after_crash(log.recovery_point())).unwrap();
        let values = last_values(&read_committed(&log));
        assert_eq!(values.len(), 2, "stopped at {stop}: {values:?}");
        seen.insert(values);
    }
    assert!(seen.len() > 1, "{seen:?}");
}

#[test]
fn a_disk_that_refuses_leaves_the_log_as_it_was() {
    let (total, first) = {
        let disk = MemDisk::new();
        let mut log = history(&disk);
        let first = disk.operations();
        clean(&mut log);
        (disk.operations(), first)
    };
    let before = last_values(&read_committed(&history(&MemDisk::new())));
    for stop in first..total {
        let disk = MemDisk::new();
        let mut log = history(&disk);
        disk.fail(stop, 1);
        if let Err(error) = clean_at(&mut log, 0, tiny_steps()) {
            if matches!(error, LogError::Offline { .. }) {
                assert!(log.offline().is_some());
                log = open(&disk, compacted(), after_crash(0)).unwrap();
            }
            assert_eq!(last_values(&read_committed(&log)), before, "operation {stop}");
            clean(&mut log);
        }
        assert_eq!(last_values(&read_committed(&log)), before, "operation {stop}");
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

#[test]
fn random_logs_mean_the_same_after_any_cleaning() {
    for seed in 1..=120_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let config = LogConfig {
            segment_bytes: [400, 900, 3000][dice.below(3) as usize],
            delete_retention: Duration::from_millis(dice.below(3) * 40),
            min_cleanable_ratio: dice.below(2) as f64 * 0.3,
            ..compacted()
        };
        let cleaner = CleanerConfig {
            dedupe_buffer_bytes: [0, 24 * 100, 1 << 20][dice.below(3) as usize],
            step_bytes: [1, 200, 5000][dice.below(3) as usize],
            seed,
            ..CleanerConfig::default()
        };
        let (disk, mut log) = fresh(config.clone());
        let (_, mut model) = fresh(LogConfig { compact: false, ..config.clone() });
        let mut sequences = [0_i32; 6];
        let mut open_transactions = [false; 6];
        let mut tombstones_gone = false;
        for time in 0..120 + i64::try_from(dice.below(60)).unwrap() {
            let id = dice.below(6) as usize;
            let is_transactional = id >= 4;
            let records: Vec<(String, Option<String>)> = (0..=dice.below(4))
                .map(|_| {
                    let value = (dice.below(5) > 0).then(|| format!("{time} {}", "v".repeat(dice.below(60) as usize)));
                    (format!("key {}", dice.below(12)), value)
                })
                .collect();
            let borrowed: Vec<_> = records.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
            let codec = Compression::ALL[dice.below(5) as usize];
            let producer = match id {
                0 => Producer::NONE,
                id => Producer { id: id as i64, epoch: 0, base_sequence: sequences[id] },
            };
            if id > 0 {
                sequences[id] += records.len() as i32;
            }
            let batch = keyed(time, &borrowed, codec, producer, is_transactional);
            append(&mut log, batch.clone());
            append(&mut model, batch);
            open_transactions[id] |= is_transactional;
            let ends = 4 + dice.below(2) as usize;
            if open_transactions[ends] && dice.below(3) == 0 {
                let committed = dice.below(2) == 0;
                marker(&mut log, ends as i64, committed);
                marker(&mut model, ends as i64, committed);
                open_transactions[ends] = false;
            }
            if dice.below(10) == 0 {
                log.roll(now(time)).unwrap();
            }
            if dice.below(8) == 0 {
                clean_at(&mut log, time, cleaner).unwrap();
                tombstones_gone = true;
            }
            if dice.below(25) == 0 {
                let checkpoint = log.cleaner_checkpoint();
                let is_clean = dice.below(2) == 0;
                if is_clean {
                    log.close(now(time)).unwrap();
                } else {
                    log.flush().unwrap();
                    drop(log);
                }
                disk.crash();
                let recovery_point = if dice.below(2) == 0 { 0 } else { model.log_end_offset() };
                let hint = RecoveryHint { clean_shutdown: is_clean, recovery_point, log_start_offset: 0 };
                log = open(&disk, config.clone(), hint).unwrap();
                log.set_cleaner_checkpoint(checkpoint);
            }
        }
        let context = format!("seed {seed}");
        let (found, all) = (read_committed(&log), read_committed(&model));
        assert_eq!(last_values(&found), last_values(&all), "{context}");
        assert!(found.iter().all(|record| all.contains(record)), "{context}: a record that was never written");
        assert!(tombstones_gone || found == all, "{context}");
        assert_eq!(log.log_end_offset(), model.log_end_offset(), "{context}");
        let end = log.log_end_offset();
        assert_eq!(log.last_stable_offset(end), model.last_stable_offset(end), "{context}");
        let states = |log: &Log| -> Vec<_> {
            let state = log.producer_state();
            state.map(|p| (p.producer_id, p.producer_epoch, p.last_sequence())).collect()
        };
        assert_eq!(states(&log), states(&model), "{context}");
        let dirty = log.cleaner_checkpoint();
        let tail =
            |records: &[Found]| records.iter().filter(|record| record.offset >= dirty).cloned().collect::<Vec<_>>();
        assert_eq!(tail(&read_all(&log, 500)), tail(&read_all(&model, 500)), "{context}");
        log.flush().unwrap();
        for name in disk.list(&dir()).unwrap().iter().filter(|name| !name.ends_with(".log")) {
            disk.remove_file(&dir().join(name)).unwrap();
        }
        drop(log);
        let log = open(&disk, config, after_crash(0)).unwrap();
        assert_eq!(states(&log), states(&model), "{context}: from segments alone");
        assert_eq!(log.last_stable_offset(end), model.last_stable_offset(end), "{context}: from segments alone");
        assert_eq!(last_values(&read_committed(&log)), last_values(&all), "{context}: from segments alone");
    }
}
