//! Which part of a log may be cleaned, and whether it is worth it. In Java: `LogCleanerManager.cleanableOffsets`, `LogToClean`.

use felice_protocol::time::Now;

use crate::config::millis;
use crate::log::Log;

/// The part of a log that may be cleaned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogToClean {
    /// Behind what was cleaned before.
    pub first_dirty_offset: i64,
    /// Nothing from here on is touched: the first offset of a segment.
    pub first_uncleanable_offset: i64,
    /// Bytes in front of the dirty ones.
    pub clean_bytes: u64,
    /// Bytes that are dirty and may be cleaned.
    pub cleanable_bytes: u64,
    /// Whether a dirty record is older than `max.compaction.lag.ms`.
    pub needs_compaction_now: bool,
}

impl LogToClean {
    /// The dirty part of the bytes, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    pub fn cleanable_ratio(&self) -> f64 {
        match self.clean_bytes + self.cleanable_bytes {
            0 => 0.0,
            total => self.cleanable_bytes as f64 / total as f64,
        }
    }
}

impl Log {
    /// What there is to clean; `None` where `cleanup.policy` is without `compact`, nothing may be cleaned, or it is not worth it yet.
    ///
    /// Never cleaned are the segment that is written, what a reader of committed records may not see, and segments with a record younger than
    /// `min.compaction.lag.ms`.
    pub fn to_clean(&self, now: Now, high_watermark: i64) -> Option<LogToClean> {
        if !self.config.compact || self.offline.is_some() {
            return None;
        }
        let first = *self.segments.keys().next()?;
        let active = *self.segments.keys().next_back()?;
        let checkpoint = self.cleaner_checkpoint;
        let is_valid = (self.log_start_offset..=self.log_end_offset).contains(&checkpoint);
        let first_dirty_offset = if is_valid { checkpoint } else { self.log_start_offset };
        let dirty = self.segments.range(..=first_dirty_offset).next_back().map_or(first, |(base, _)| *base);

        let lag = millis(self.config.min_compaction_lag);
        let youngest = now.wall_millis.saturating_sub(lag);
        let is_young = |max: i64| lag > 0 && max > youngest;
        let young = (self.segments.range(dirty..active))
            .find(|(_, segment)| segment.max_timestamp.is_some_and(|max| is_young(max.timestamp)));
        let stable = self.last_stable_offset(high_watermark);
        let uncleanable = young.map_or(active, |(base, _)| *base).min(stable).min(active);
        // Segments are cleaned whole.
        let first_uncleanable_offset = *self.segments.range(..=uncleanable).next_back()?.0;
        if first_uncleanable_offset <= first_dirty_offset {
            return None;
        }

        let oldest = (self.segments.range(dirty..first_uncleanable_offset))
            .filter_map(|(_, segment)| segment.first_timestamp())
            .min();
        let latest_start = now.wall_millis.saturating_sub(millis(self.config.max_compaction_lag));
        let size = |segments: std::collections::btree_map::Range<'_, i64, crate::segment::Segment>| {
            segments.map(|(_, segment)| segment.size).sum()
        };
        let to_clean = LogToClean {
            first_dirty_offset,
            first_uncleanable_offset,
            clean_bytes: size(self.segments.range(..dirty)),
            cleanable_bytes: size(self.segments.range(dirty..first_uncleanable_offset)),
            needs_compaction_now: oldest.is_some_and(|oldest| oldest < latest_start),
        };
        let is_worth_it = to_clean.needs_compaction_now || to_clean.cleanable_ratio() > self.config.min_cleanable_ratio;
        (is_worth_it && to_clean.cleanable_bytes > 0).then_some(to_clean)
    }

    /// What is in front of it was cleaned: what belongs into `cleaner-offset-checkpoint`.
    pub fn cleaner_checkpoint(&self) -> i64 {
        self.cleaner_checkpoint
    }

    /// Takes over what `cleaner-offset-checkpoint` says, after opening; too much is not believed.
    pub fn set_cleaner_checkpoint(&mut self, offset: i64) {
        self.cleaner_checkpoint = offset;
    }
}
