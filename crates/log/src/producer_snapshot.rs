//! The `.snapshot` files: what a partition knew of its producers at an offset. Kafka's `ProducerSnapshot`, version 1.

use std::collections::VecDeque;

use crate::batch::crc32c;
use crate::producer_state::{BatchMetadata, ProducerStateEntry};

const VERSION: [u8; 2] = [0, 1];
const CRC_AT: usize = 2;
const ENTRIES_AT: usize = 6;
const ENTRY_BYTES: usize = 46;

/// Only a producer's last batch is kept: after a restart, older duplicates are out of order.
pub(crate) fn encode<'a>(entries: impl Iterator<Item = &'a ProducerStateEntry>) -> Vec<u8> {
    let mut bytes = [&VERSION[..], &[0; 8]].concat();
    let mut count = 0_i32;
    for entry in entries {
        let last = entry.batches.back();
        bytes.extend(entry.producer_id.to_be_bytes());
        bytes.extend(entry.producer_epoch.to_be_bytes());
        bytes.extend(entry.last_sequence().to_be_bytes());
        bytes.extend(last.map_or(-1, |batch| batch.last_offset).to_be_bytes());
        bytes.extend(last.map_or(0, |batch| batch.offset_delta).to_be_bytes());
        bytes.extend(entry.last_timestamp.to_be_bytes());
        bytes.extend(entry.coordinator_epoch.to_be_bytes());
        bytes.extend(entry.current_txn_first_offset.unwrap_or(-1).to_be_bytes());
        count += 1;
    }
    for (at, value) in [(ENTRIES_AT, count.to_be_bytes())] {
        if let Some(place) = bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&value);
        }
    }
    let crc = crc32c(bytes.get(ENTRIES_AT..).unwrap_or_default());
    if let Some(place) = bytes.get_mut(CRC_AT..ENTRIES_AT) {
        place.copy_from_slice(&crc.to_be_bytes());
    }
    bytes
}

/// `None` where the bytes are no whole snapshot: a crash can leave any.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<ProducerStateEntry>> {
    let body = bytes.get(ENTRIES_AT..)?;
    let crc = u32::from_be_bytes(*bytes.get(CRC_AT..)?.first_chunk()?);
    if bytes.first_chunk() != Some(&VERSION) || crc != crc32c(body) {
        return None;
    }
    let count = usize::try_from(i32::from_be_bytes(*body.first_chunk()?)).ok()?;
    let entries = body.get(4..)?;
    if entries.len() != count.checked_mul(ENTRY_BYTES)? {
        return None;
    }
    entries.chunks_exact(ENTRY_BYTES).map(decode_entry).collect()
}

fn decode_entry(bytes: &[u8]) -> Option<ProducerStateEntry> {
    let long = |at: usize| Some(i64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let int = |at: usize| Some(i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let (last_sequence, last_offset, offset_delta) = (int(10)?, long(14)?, int(22)?);
    let last_timestamp = long(26)?;
    let mut batches = VecDeque::new();
    if last_offset >= 0 {
        if offset_delta < 0 {
            return None;
        }
        batches.push_back(BatchMetadata { last_sequence, last_offset, offset_delta, timestamp: last_timestamp });
    }
    Some(ProducerStateEntry {
        producer_id: long(0)?,
        producer_epoch: i16::from_be_bytes(*bytes.get(8..)?.first_chunk()?),
        coordinator_epoch: int(34)?,
        last_timestamp,
        current_txn_first_offset: Some(long(38)?).filter(|offset| *offset >= 0),
        batches,
    })
}
