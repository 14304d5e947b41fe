//! What a log forgets: segments that are too old or too many, and records in front of its start.

use felice_protocol::time::Now;

use crate::config::millis;
use crate::error::LogError;
use crate::log::Log;

impl Log {
    /// Deletes segments that `retention.ms`, `retention.bytes` or the log's start ask to delete: the oldest first, up to the first that stays,
    /// and none that reaches above the high watermark. Says how many.
    ///
    /// # Errors
    /// What the disk says.
    pub fn delete_old_segments(&mut self, now: Now, high_watermark: i64) -> Result<usize, LogError> {
        self.check_online()?;
        let bases: Vec<i64> = self.segments.keys().copied().collect();
        let mut excess = (self.config.retention_bytes.filter(|_| self.config.delete))
            .map_or(0, |limit| self.size().saturating_sub(limit));
        let retention = self.config.retention.filter(|_| self.config.delete).map(millis);
        let mut doomed = Vec::new();
        // Compaction took every record out of these: they have no time of their own, and go with what follows.
        let mut hollow = Vec::new();
        for (index, base_offset) in bases.iter().enumerate() {
            let next = bases.get(index + 1).copied();
            let end = next.unwrap_or(self.log_end_offset);
            let Some(segment) = self.segments.get(base_offset) else { break };
            if end > high_watermark || (next.is_none() && segment.size == 0) {
                break;
            }
            let largest = segment.max_timestamp.map(|max| max.timestamp).filter(|timestamp| *timestamp >= 0);
            let too_old = matches!((retention, largest), (Some(limit), Some(largest)) if now.wall_millis.saturating_sub(largest) > limit);
            let too_many = segment.size > 0 && excess >= segment.size;
            let passed = next.is_some_and(|next| next <= self.log_start_offset);
            if !(too_old || too_many || passed) {
                if self.config.compact && segment.max_timestamp.is_none() && next.is_some() {
                    hollow.push((*base_offset, end));
                    continue;
                }
                break;
            }
            if too_many {
                excess -= segment.size;
            }
            doomed.append(&mut hollow);
            doomed.push((*base_offset, end));
        }
        if doomed.len() == bases.len() {
            self.roll_at(self.log_end_offset, now)?;
        }
        for (base_offset, end) in &doomed {
            self.log_start_offset = self.log_start_offset.max(*end);
            self.remove_segment(*base_offset)?;
        }
        if !doomed.is_empty() && self.epochs.truncate_from_start(self.log_start_offset) {
            self.store_epochs()?;
        }
        Ok(doomed.len())
    }

    /// Moves the log's start up to an offset (what DeleteRecords does; it never goes back): records in front are no longer read, their segments
    /// go with [`delete_old_segments`](Self::delete_old_segments). The caller keeps it in `log-start-offset-checkpoint`.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`] above the log's end.
    pub fn advance_log_start_offset(&mut self, offset: i64) -> Result<(), LogError> {
        self.check_online()?;
        if offset > self.log_end_offset {
            return Err(LogError::OffsetOutOfRange {
                offset,
                log_start_offset: self.log_start_offset,
                log_end_offset: self.log_end_offset,
            });
        }
        if offset > self.log_start_offset {
            self.log_start_offset = offset;
            if self.epochs.truncate_from_start(offset) {
                self.store_epochs()?;
            }
        }
        Ok(())
    }
}
