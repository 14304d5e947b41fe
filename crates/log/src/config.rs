//! The properties of a topic that its logs follow.

use std::time::Duration;

use crate::bugs::Bugs;

/// The properties of a topic that its logs follow, with Kafka's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment that would grow beyond is closed first.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment this much older than the batch to append is closed first.
    pub segment_max_age: Duration,
    /// What is taken off `segment.ms` for this log, so that not all roll at once (`segment.jitter.ms` bounds it).
    pub segment_jitter: Duration,
    /// `segment.index.bytes`: a segment with a longer index is closed.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: bytes between two index entries.
    pub index_interval_bytes: u32,
    /// `retention.ms`; `None` keeps for ever.
    pub retention: Option<Duration>,
    /// `retention.bytes`; `None` keeps all.
    pub retention_bytes: Option<u64>,
    /// Whether `cleanup.policy` has `delete`: without, age and size delete nothing.
    pub delete: bool,
    /// Whether `cleanup.policy` has `compact`: then of each key the last record is kept, and offsets may be missing.
    pub compact: bool,
    /// `min.cleanable.dirty.ratio`: a log is cleaned once more than this part of its bytes is dirty.
    pub min_cleanable_ratio: f64,
    /// `min.compaction.lag.ms`: segments with a younger record are not cleaned yet.
    pub min_compaction_lag: Duration,
    /// `max.compaction.lag.ms`: a log with an older dirty record is cleaned, whatever its ratio.
    pub max_compaction_lag: Duration,
    /// `delete.retention.ms`: so long a tombstone or marker is kept once nothing in front of it needs it.
    pub delete_retention: Duration,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `producer.id.expiration.ms` (a property of the broker).
    pub producer_id_expiration: Duration,
    /// What the simulator planted.
    #[doc(hidden)]
    pub bugs: Bugs,
}

impl Default for LogConfig {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            segment_bytes: 1_073_741_824,
            segment_max_age: 7 * DAY,
            segment_jitter: Duration::ZERO,
            segment_index_bytes: 10_485_760,
            index_interval_bytes: 4096,
            retention: Some(7 * DAY),
            retention_bytes: None,
            delete: true,
            compact: false,
            min_cleanable_ratio: 0.5,
            min_compaction_lag: Duration::ZERO,
            max_compaction_lag: Duration::MAX,
            delete_retention: DAY,
            timestamp_type: TimestampType::CreateTime,
            producer_id_expiration: DAY,
            bugs: Bugs::default(),
        }
    }
}

impl LogConfig {
    /// `segment.ms`, and where the log is compacted `max.compaction.lag.ms`: what is in the segment that is written cannot be cleaned (KIP-354).
    pub(crate) fn max_segment_age(&self) -> Duration {
        if self.compact { self.segment_max_age.min(self.max_compaction_lag) } else { self.segment_max_age }
    }
}

/// Whose clock stamps records: `message.timestamp.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, at the append.
    LogAppendTime,
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
