//! Offsets by time.

use crate::error::LogError;
use crate::log::Log;

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
            while let Some((_, header)) = scan.next_header()? {
                if header.max_timestamp >= timestamp && header.last_offset() >= self.log_start_offset {
                    return Ok(Some(TimestampOffset {
                        offset: header.base_offset.max(self.log_start_offset),
                        timestamp: header.max_timestamp,
                        leader_epoch: header.leader_epoch,
                    }));
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
