//! Logs to be compacted, what cleans them, and what a reader then gets.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "every test binary uses another part of it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use felice_log::{AppendOrigin, Cleaner, CleanerConfig, CleanerStep, Log, LogConfig, LogError};
use felice_protocol::compression::{Compression, Decompressor};
use felice_protocol::records::{EndTransactionMarker, Producer, RecordBatches};

use crate::support::*;

pub const DAY: i64 = 24 * 60 * 60 * 1000;

pub fn compacted() -> LogConfig {
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

pub fn tiny_steps() -> CleanerConfig {
    CleanerConfig { step_bytes: 100, ..CleanerConfig::default() }
}

/// Cleans once, where there is something to clean.
pub fn clean_at(log: &mut Log, time: i64, config: CleanerConfig) -> Result<bool, LogError> {
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

pub fn clean(log: &mut Log) -> bool {
    clean_at(log, 0, tiny_steps()).unwrap()
}

/// Rolls, so that everything may be cleaned, and cleans.
pub fn clean_all(log: &mut Log, time: i64) {
    log.roll(now(0)).unwrap();
    clean_at(log, time, tiny_steps()).unwrap();
}

pub fn put(log: &mut Log, records: &[(&str, Option<&str>)]) -> i64 {
    append(log, keyed(0, records, Compression::None, Producer::NONE, false)).first_offset
}

pub fn marker(log: &mut Log, id: i64, committed: bool) {
    let marker = EndTransactionMarker { committed, coordinator_epoch: 1 }.to_batch(0, START, 0, id, 0);
    log.append_as_leader(now(0), BytesMut::from(&marker[..]), 0, AppendOrigin::Coordinator).unwrap();
}

pub fn shown(log: &Log) -> Vec<String> {
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
pub fn read_committed(log: &Log) -> Vec<Found> {
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

pub fn last_values(records: &[Found]) -> BTreeMap<Bytes, (Option<i64>, Bytes)> {
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
