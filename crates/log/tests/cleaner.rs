//! Compaction: what stays, what goes, and that a change of the log in between does not harm it.

#[path = "support/cleaning.rs"]
mod cleaning;
mod support;

use std::time::Duration;

use cleaning::*;
use felice_log::{AppendOrigin, Cleaner, CleanerConfig, CleanerStep, Disk, Log, LogConfig, RecoveryHint};
use felice_protocol::compression::Compression;
use felice_protocol::records::{Producer, RecordBatches, TimestampType};
use support::*;

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
fn nothing_seems_lost_between_cleaned_segments() {
    let (disk, mut log) = fresh(compacted());
    for index in 0..60 {
        put(&mut log, &[("k", Some(&format!("{index} {}", "x".repeat(50))))]);
    }
    log.roll(now(0)).unwrap();
    put(&mut log, &[("k", Some("last"))]);
    log.roll(now(0)).unwrap();
    put(&mut log, &[("l", Some("1"))]);
    clean(&mut log);
    assert!(log.segment_base_offsets().count() > 3);
    let expected = ["60:k=last", "61:l=1"];
    assert_eq!(shown(&log), expected);
    let read = log.read(0, 1 << 20, 60, true).unwrap();
    assert!(read.next_offset > 0, "a reader moves on although there is no record");
    log.flush().unwrap();
    drop(log);
    // With a policy of delete alone, a hole would be what a crash tore.
    let log = open(&disk, LogConfig { compact: false, ..compacted() }, after_crash(0)).unwrap();
    assert_eq!(
        (shown(&log), log.log_start_offset(), log.log_end_offset()),
        (expected.map(str::to_owned).into(), 0, 62)
    );
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
        // Nothing else takes the place of an aborted x.
        let other = if value == "aborted" { "x" } else { "b" };
        append(log, keyed(0, &[("a", Some(value)), (other, Some(value))], Compression::Lz4, producer, true));
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
