//! Cutting the end of a log off: what a follower does that has other records than its leader.

use felice_protocol::time::Now;

use crate::error::LogError;
use crate::log::Log;
use crate::segment::Segment;

impl Log {
    /// Takes away every batch that ends at `offset` or later.
    ///
    /// # Errors
    /// What the disk says; the log is offline then.
    pub fn truncate_to(&mut self, offset: i64, now: Now) -> Result<(), LogError> {
        self.check_online()?;
        if offset >= self.log_end_offset {
            return Ok(());
        }
        if offset < self.active_base_of_first() {
            return self.truncate_fully_and_start_at(offset, now);
        }
        let truncated = self.truncate_inner(offset, now);
        truncated.map_err(|error| self.go_offline(&error))
    }

    fn truncate_inner(&mut self, offset: i64, now: Now) -> Result<(), LogError> {
        self.truncations += 1;
        while self.segments.len() > 1 && self.active()?.base_offset > offset {
            self.remove_segment(self.active()?.base_offset)?;
        }
        let active = self.active_mut()?;
        let offset = active.truncate(offset)?;
        active.load_first_timestamp();
        self.log_end_offset = offset;
        self.recovery_point = self.recovery_point.min(offset);
        self.cleaner_checkpoint = self.cleaner_checkpoint.min(offset);
        self.log_start_offset = self.log_start_offset.min(offset);
        if self.epochs.truncate_from_end(offset) {
            self.store_epochs()?;
        }
        self.reload_producer_state(now, Some(self.active()?.base_offset))?;
        // What was known of producers behind the cut must not come back with a crash.
        self.disk.sync_dir(&self.dir).map_err(LogError::io("sync", &self.dir))
    }

    /// Takes everything away, and goes on at `offset`.
    ///
    /// # Errors
    /// What the disk says; the log is offline then.
    pub fn truncate_fully_and_start_at(&mut self, offset: i64, now: Now) -> Result<(), LogError> {
        self.check_online()?;
        let restarted = self.restart_inner(offset, now);
        restarted.map_err(|error| self.go_offline(&error))
    }

    pub(crate) fn restart_inner(&mut self, offset: i64, now: Now) -> Result<(), LogError> {
        self.truncations += 1;
        let bases: Vec<i64> = self.segments.keys().copied().collect();
        for base_offset in bases {
            self.remove_segment(base_offset)?;
        }
        let segment = Segment::create(&self.disk, &self.dir, offset, now.wall_millis)?;
        self.segments.insert(offset, segment);
        (self.log_start_offset, self.log_end_offset, self.recovery_point) = (offset, offset, offset);
        self.cleaner_checkpoint = 0;
        self.epochs.clear();
        self.store_epochs()?;
        self.producers.clear();
        self.remove_snapshots(|_| false)
    }

    fn active_base_of_first(&self) -> i64 {
        self.segments.keys().next().copied().unwrap_or(0)
    }
}
