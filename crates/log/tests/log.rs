//! What a log promises while it runs: appends, idempotence, reads, time, retention, epochs, transactions.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::time::Duration;

use bytes::BytesMut;
use felice_log::{AppendError, AppendOrigin, LogConfig, LogError, TimestampType};
use felice_protocol::compression::Compression;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::records::{EndTransactionMarker, Producer, RecordBatches};
use support::*;

fn refused(log: &mut felice_log::Log, batch: BytesMut) -> ErrorCode {
    let (end, size) = (log.log_end_offset(), log.size());
    let error = log.append_as_leader(now(0), batch, 0, AppendOrigin::Client).unwrap_err();
    assert_eq!((log.log_end_offset(), log.size()), (end, size), "a refused batch leaves no trace");
    error.error_code()
}

fn marker(committed: bool, id: i64, epoch: i16, coordinator_epoch: i32) -> BytesMut {
    BytesMut::from(&EndTransactionMarker { committed, coordinator_epoch }.to_batch(0, START, 0, id, epoch)[..])
}

#[test]
fn batches_get_the_next_offsets_and_come_out_again() {
    let (_, mut log) = fresh(small());
    for index in 0..40 {
        let compression = [Compression::None, Compression::Gzip, Compression::Lz4, Compression::Zstd][index % 4];
        let info = append(&mut log, batch(index as i64 * 10, 3, compression, Producer::NONE, false));
        assert_eq!((info.first_offset, info.last_offset), (index as i64 * 3, index as i64 * 3 + 2));
    }
    assert!(log.segment_base_offsets().count() > 2, "segments rolled");
    for max_bytes in [1, 100, 400, 1000, 1 << 20] {
        let records = read_all(&log, max_bytes);
        assert_eq!(records.len(), 120);
        assert!(records.iter().enumerate().all(|(index, record)| record.offset == index as i64));
    }
}

#[test]
fn a_read_gives_whole_batches_within_its_bounds() {
    let (_, mut log) = fresh(LogConfig { segment_bytes: 1 << 20, ..small() });
    for index in 0..20 {
        append(&mut log, plain(100 + index * 10, 3));
    }
    let one = log.read(0, 1, i64::MAX, true).unwrap().records.len();
    for from in 0..60 {
        let first = from - from % 3;
        for max_bytes in [0, 1, one - 1, one, one + 1, 3 * one, 100 * one] {
            for up_to in [0, from, from + 1, from + 4, 60] {
                for min_one_batch in [false, true] {
                    let read = log.read(from, max_bytes, up_to, min_one_batch).unwrap();
                    let bases: Vec<i64> =
                        RecordBatches::new(read.records.clone()).map(|batch| batch.unwrap().base_offset()).collect();
                    let room = (max_bytes / one).max(usize::from(min_one_batch));
                    let expected: Vec<i64> = (0..20)
                        .map(|i| i * 3)
                        .filter(|base| *base >= first && *base < up_to && from < up_to)
                        .take(room)
                        .collect();
                    assert_eq!(bases, expected, "from {from}, {max_bytes} bytes, up to {up_to}, {min_one_batch}");
                    assert_eq!(read.next_offset, expected.last().map_or(from, |base| base + 3));
                    assert_eq!(read.records.len(), expected.len() * one);
                }
            }
        }
    }
    assert!(log.read(60, 100, i64::MAX, true).unwrap().records.is_empty());
    assert!(matches!(log.read(61, 100, i64::MAX, true), Err(LogError::OffsetOutOfRange { .. })));
}

#[test]
fn a_read_finds_its_way_past_a_batch_larger_than_its_window() {
    let (_, mut log) = fresh(LogConfig { segment_bytes: 1 << 20, ..small() });
    append(&mut log, plain(0, 1000));
    append(&mut log, plain(2000, 1));
    let read = log.read(1000, 500, i64::MAX, true).unwrap();
    assert_eq!(RecordBatches::new(read.records).next().unwrap().unwrap().base_offset(), 1000);
}

#[test]
fn a_repeated_batch_among_the_last_five_is_not_written_again() {
    let (_, mut log) = fresh(small());
    for index in 0..6 {
        append(&mut log, from_producer(7, 0, index * 2, 2));
    }
    let end = log.log_end_offset();
    for index in 1..6 {
        let info = append(&mut log, from_producer(7, 0, index * 2, 2));
        assert!(info.duplicate);
        assert_eq!(info.first_offset, i64::from(index * 2));
    }
    assert_eq!(refused(&mut log, from_producer(7, 0, 0, 2)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(log.log_end_offset(), end);
    assert_eq!(log.producer(7).unwrap().batches.len(), 5);
}

#[test]
fn sequences_follow_each_other_and_go_round() {
    let (_, mut log) = fresh(small());
    append(&mut log, from_producer(7, 0, i32::MAX - 3, 2));
    assert_eq!(refused(&mut log, from_producer(7, 0, 0, 2)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    append(&mut log, from_producer(7, 0, i32::MAX - 1, 4));
    assert_eq!(log.producer(7).unwrap().last_sequence(), 1);
    assert!(append(&mut log, from_producer(7, 0, i32::MAX - 1, 4)).duplicate);
    append(&mut log, from_producer(7, 0, 2, 1));
}

#[test]
fn epochs_only_rise_and_begin_at_sequence_zero() {
    let (_, mut log) = fresh(small());
    append(&mut log, from_producer(7, 3, 100, 1));
    assert_eq!(refused(&mut log, from_producer(7, 2, 101, 1)), ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(refused(&mut log, from_producer(7, 4, 101, 1)), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    append(&mut log, from_producer(7, 4, 0, 1));
    assert_eq!(refused(&mut log, from_producer(7, 3, 101, 1)), ErrorCode::INVALID_PRODUCER_EPOCH);
}

#[test]
fn an_open_transaction_holds_the_last_stable_offset_until_its_marker_is_replicated() {
    let (disk, mut log) = fresh(small());
    append(&mut log, plain(0, 2));
    append(&mut log, transactional(1, 0, 0, 2));
    append(&mut log, transactional(2, 0, 0, 2));
    assert_eq!(refused(&mut log, from_producer(1, 0, 2, 1)), ErrorCode::INVALID_TXN_STATE);
    assert_eq!(log.last_stable_offset(6), 2);
    let coordinator =
        |log: &mut felice_log::Log, batch| log.append_as_leader(now(0), batch, 0, AppendOrigin::Coordinator);
    coordinator(&mut log, marker(false, 1, 0, 5)).unwrap();
    assert_eq!(log.last_stable_offset(6), 2, "the marker is above the high watermark");
    assert_eq!(log.last_stable_offset(7), 4);
    let fenced = coordinator(&mut log, marker(true, 1, 0, 4)).unwrap_err();
    assert_eq!(fenced.error_code(), ErrorCode::TRANSACTION_COORDINATOR_FENCED);
    coordinator(&mut log, marker(true, 2, 0, 5)).unwrap();
    log.handle_high_watermark(8);
    assert_eq!(log.last_stable_offset(8), 8);
    let aborted = |log: &felice_log::Log| log.aborted_transactions(0, 8).unwrap();
    assert_eq!(aborted(&log).len(), 1);
    assert_eq!(
        (aborted(&log)[0].first_offset, aborted(&log)[0].last_offset, aborted(&log)[0].last_stable_offset),
        (2, 6, 4)
    );
    assert!(log.aborted_transactions(7, 8).unwrap().is_empty());
    let before = aborted(&log);
    log.flush().unwrap();
    drop(log);
    disk.crash();
    assert_eq!(aborted(&open(&disk, small(), after_crash(0)).unwrap()), before, "made anew by recovery");
}

#[test]
fn log_append_time_is_stamped_under_a_right_checksum() {
    let (_, mut log) = fresh(LogConfig { timestamp_type: TimestampType::LogAppendTime, ..small() });
    let info = log.append_as_leader(now(12345), plain(0, 3), 0, AppendOrigin::Client).unwrap();
    assert_eq!(info.log_append_time, START + 12345);
    assert!(read_all(&log, 1000).iter().all(|record| record.timestamp == START + 12345));
}

#[test]
fn a_batch_larger_than_a_segment_is_refused() {
    let (_, mut log) = fresh(small());
    assert_eq!(refused(&mut log, plain(0, 100)), ErrorCode::RECORD_LIST_TOO_LARGE);
    assert!(matches!(
        log.append_as_leader(now(0), BytesMut::from(&plain(0, 1)[..70]), 0, AppendOrigin::Client),
        Err(AppendError::CorruptMessage(_))
    ));
}

#[test]
fn a_record_is_found_by_its_time() {
    let (_, mut log) = fresh(small());
    for index in 0..50 {
        append(&mut log, batch(index * 10, 3, Compression::Lz4, Producer::NONE, false));
    }
    for (time, offset) in [(-5, 0), (0, 0), (1, 1), (2, 2), (3, 3), (10, 3), (251, 76), (492, 149)] {
        let found = log.offset_for_timestamp(START + time).unwrap().unwrap();
        assert_eq!(found.offset, offset, "at {time}");
    }
    assert_eq!(log.offset_for_timestamp(START + 493).unwrap(), None);
    assert_eq!(log.max_timestamp().unwrap().unwrap().offset, 149);
    log.advance_log_start_offset(77).unwrap();
    assert_eq!(log.offset_for_timestamp(START).unwrap().unwrap().offset, 77);
}

#[test]
fn old_segments_go_and_the_log_start_rises() {
    let (_, mut log) = fresh(small());
    for index in 0..40 {
        append(&mut log, plain(index * 10, 3));
    }
    let bases: Vec<i64> = log.segment_base_offsets().collect();
    log.advance_log_start_offset(bases[2] + 1).unwrap();
    assert_eq!(log.delete_old_segments(now(0), 0).unwrap(), 0, "none above the high watermark");
    assert_eq!(log.delete_old_segments(now(0), 120).unwrap(), 2);
    assert!(matches!(log.read(0, 100, i64::MAX, true), Err(LogError::OffsetOutOfRange { .. })));
    assert_eq!(log.read(bases[2] + 1, 100, i64::MAX, true).unwrap().segment_base_offset, bases[2]);
    log.set_config(LogConfig { retention_bytes: Some(4000), ..small() });
    log.delete_old_segments(now(0), 120).unwrap();
    assert!(log.size() >= 4000 && log.size() < 6000);
    log.set_config(LogConfig { retention: Some(Duration::from_secs(1)), ..small() });
    log.delete_old_segments(now(10_000), 120).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset(), log.size()), (120, 120, 0));
    append(&mut log, plain(20_000, 1));
    assert_eq!(read_all(&log, 100)[0].offset, 120);
}

#[test]
fn segments_roll_by_age_and_when_asked() {
    let (_, mut log) = fresh(LogConfig { segment_bytes: 1 << 20, segment_max_age: Duration::from_secs(1), ..small() });
    append(&mut log, plain(0, 1));
    assert!(!append(&mut log, plain(1000, 1)).rolled);
    assert!(append(&mut log, plain(1001, 1)).rolled);
    log.roll(now(0)).unwrap();
    log.roll(now(0)).unwrap();
    assert_eq!(log.segment_base_offsets().collect::<Vec<_>>(), [0, 2, 3]);
}

#[test]
fn an_epoch_ends_where_the_next_begins() {
    let (disk, mut log) = fresh(small());
    assert_eq!(log.end_offset_for_epoch(0), None);
    for epoch in [1, 1, 3, 3, 3, 7] {
        log.append_as_leader(now(0), plain(0, 2), epoch, AppendOrigin::Client).unwrap();
    }
    let check = |log: &felice_log::Log| {
        let ends: Vec<_> = [0, 1, 2, 3, 5, 7, 8].iter().map(|epoch| log.end_offset_for_epoch(*epoch)).collect();
        let expected = [Some((0, 0)), Some((1, 4)), Some((1, 4)), Some((3, 10)), Some((3, 10)), Some((7, 12)), None];
        assert_eq!(ends, expected);
    };
    check(&log);
    log.close(now(0)).unwrap();
    let mut log = open(&disk, small(), after_clean_stop()).unwrap();
    check(&log);
    log.truncate_to(7, now(0)).unwrap();
    assert_eq!((log.log_end_offset(), log.latest_epoch()), (6, Some(3)));
}

#[test]
fn a_follower_takes_batches_as_they_are_and_can_cut_them_off() {
    let (_, mut leader) = fresh(small());
    for index in 0..30 {
        append(&mut leader, from_producer(7, 0, index * 2, 2));
    }
    let (_, mut follower) = fresh(small());
    while follower.log_end_offset() < 60 {
        let records = leader.read(follower.log_end_offset(), 500, i64::MAX, true).unwrap().records;
        follower.append_as_follower(now(0), &records).unwrap();
    }
    assert_eq!(read_all(&follower, 500), read_all(&leader, 500));
    assert_eq!(follower.producer(7), leader.producer(7));
    follower.truncate_to(20, now(0)).unwrap();
    assert_eq!(follower.log_end_offset(), 20);
    assert_eq!(follower.producer(7).unwrap().last_sequence(), 19);
    append(&mut follower, from_producer(7, 0, 20, 2));
    assert_eq!(read_all(&follower, 500), read_all(&leader, 500)[..22]);
    follower.truncate_fully_and_start_at(1000, now(0)).unwrap();
    assert_eq!(append(&mut follower, plain(0, 1)).first_offset, 1000);
}

#[test]
fn a_write_that_fails_is_undone_and_the_log_goes_on() {
    let (disk, mut log) = fresh(small());
    append(&mut log, from_producer(7, 0, 0, 2));
    disk.fail(disk.operations(), 1);
    let error = log.append_as_leader(now(0), from_producer(7, 0, 2, 2), 0, AppendOrigin::Client).unwrap_err();
    assert_eq!(error.error_code(), ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(log.offline(), None);
    assert!(!append(&mut log, from_producer(7, 0, 2, 2)).duplicate);
    assert_eq!(read_all(&log, 1000).len(), 4);
}

#[test]
fn a_write_that_cannot_be_undone_takes_the_log_offline() {
    let (disk, mut log) = fresh(small());
    append(&mut log, plain(0, 2));
    disk.fail(disk.operations(), 2);
    log.append_as_leader(now(0), plain(0, 2), 0, AppendOrigin::Client).unwrap_err();
    assert!(log.offline().is_some());
    let error = log.append_as_leader(now(0), plain(0, 2), 0, AppendOrigin::Client).unwrap_err();
    assert!(matches!(error, AppendError::Log(LogError::Offline { .. })));
    assert!(matches!(log.read(0, 100, 2, true), Err(LogError::Offline { .. })));
}

#[test]
fn a_sync_that_fails_takes_the_log_offline() {
    let (disk, mut log) = fresh(small());
    append(&mut log, plain(0, 2));
    let flush = log.start_flush().unwrap().unwrap();
    disk.fail(disk.operations(), 1);
    let result = flush.run();
    assert!(result.is_err());
    log.complete_flush(&flush, result).unwrap_err();
    assert!(log.offline().is_some());
    assert_eq!(log.recovery_point(), 0);
}

#[test]
fn a_flush_leaves_nothing_that_a_crash_could_lose() {
    let (disk, mut log) = fresh(small());
    for index in 0..40 {
        append(&mut log, from_producer(7, 0, index * 3, 3));
    }
    assert!(!disk.unsynced().is_empty());
    log.flush().unwrap();
    assert_eq!(disk.unsynced(), []);
    assert_eq!(log.recovery_point(), 120);
    let (before, operations) = (read_all(&log, 1000), disk.operations());
    log.flush().unwrap();
    assert_eq!(disk.operations(), operations, "nothing is left to flush");
    drop(log);
    disk.crash();
    let log = open(&disk, small(), after_crash(120)).unwrap();
    assert_eq!(read_all(&log, 1000), before);
}
