//! Offsets by time.

use bytes::Bytes;
use felice_protocol::compression::Decompressor;
use felice_protocol::records::{RecordBatch, RecordBatchError};

use crate::error::LogError;
use crate::log::Log;

/// A batch that decompresses to more than this is not looked into.
const DECOMPRESSED_LIMIT: usize = 256 << 20;

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp.
    pub timestamp: i64,
    /// The epoch of the leader that appended it.
    pub leader_epoch: i32,
}

impl Log {
    /// The first record, at the log's start or later, with this timestamp or a larger one.
    ///
    /// # Errors
    /// [`LogError::Corrupt`], what the disk says.
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<TimestampOffset>, LogError> {
        self.check_online()?;
        for segment in self.segments.values() {
            if segment.max_timestamp.is_none_or(|max| max.timestamp < timestamp) {
                continue;
            }
            let floor = segment.time_index.last_where(|entry| entry.timestamp < timestamp);
            let from = segment.base_offset + floor.map_or(0, |entry| i64::from(entry.relative_offset));
            let mut scan = segment.scan_from(from.max(self.log_start_offset));
            while let Some((position, header)) = scan.next_header()? {
                if header.max_timestamp < timestamp || header.last_offset() < self.log_start_offset {
                    continue;
                }
                let batch = segment.read_bytes(position, header.size)?;
                let found = first_record(batch, timestamp, self.log_start_offset);
                let found = found.map_err(|error| segment.corrupt(position, error.to_string()))?;
                if let Some((offset, timestamp)) = found {
                    return Ok(Some(TimestampOffset { offset, timestamp, leader_epoch: header.leader_epoch }));
                }
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp, the first of them.
    ///
    /// # Errors
    /// [`LogError::Corrupt`], what the disk says.
    pub fn max_timestamp(&self) -> Result<Option<TimestampOffset>, LogError> {
        self.check_online()?;
        let largest = (self.segments.values().filter_map(|segment| segment.max_timestamp))
            .map(|max| max.timestamp)
            .max()
            .filter(|timestamp| *timestamp >= 0);
        match largest {
            Some(timestamp) => self.offset_for_timestamp(timestamp),
            None => Ok(None),
        }
    }
}

/// The first record of a batch with this timestamp or a larger one, from an offset on.
fn first_record(batch: Bytes, timestamp: i64, from: i64) -> Result<Option<(i64, i64)>, RecordBatchError> {
    let batch = RecordBatch::parse(batch)?;
    let mut records = batch.records(&mut Decompressor::new(), DECOMPRESSED_LIMIT)?;
    while let Some(record) = records.next_record() {
        let record = record?;
        if record.timestamp >= timestamp && record.offset >= from {
            return Ok(Some((record.offset, record.timestamp)));
        }
    }
    Ok(None)
}
