//! Compaction on disks that stop, refuse and forget, and of random logs: what the log says stays the same.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/cleaning.rs"]
mod cleaning;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use cleaning::*;
use felice_log::{CleanerConfig, Disk, Log, LogConfig, LogError, MemDisk, RecoveryHint};
use felice_protocol::compression::Compression;
use felice_protocol::records::Producer;
use support::*;

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
        for torn in 0..4 {
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
                seed => disk.crash_torn(stop * 4 + seed),
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
        // Each in a segment of its own, before and after.
        let other = "x".repeat(700);
        put(&mut log, &[("a", Some("old")), ("1", Some(&other))]);
        log.roll(now(0)).unwrap();
        log.flush().unwrap();
        put(&mut log, &[("a", Some("new")), ("2", Some(&other))]);
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
        let mut values = last_values(&read_committed(&log));
        values.retain(|key, _| key == "a");
        assert_eq!(values.len(), 1, "stopped at {stop}");
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
    for seed in 1..=50_u64 {
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
