//! What producers and consumers tell of their partitions.

use crate::handle::Kafka;

/// A partition, as statistics show it.
#[derive(Clone, Debug)]
pub(crate) struct PartitionStats {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The program asked for it.
    pub(crate) desired: bool,
    /// Records that wait to be sent, and their bytes.
    pub(crate) queued: (u64, u64),
    /// Records in flight.
    pub(crate) in_flight: u64,
    /// Fetched records that wait to be taken, and their bytes.
    pub(crate) fetched: (u64, u64),
    pub(crate) fetch_state: &'static str,
    pub(crate) next_offset: i64,
    /// Behind the last record that the program took.
    pub(crate) app_offset: i64,
    pub(crate) stored_offset: i64,
    pub(crate) committed_offset: i64,
    pub(crate) eof_offset: i64,
    pub(crate) low: i64,
    pub(crate) high: i64,
    pub(crate) last_stable: i64,
    /// Records, and their bytes, produced.
    pub(crate) sent: (u64, u64),
    /// Records, and their bytes, consumed.
    pub(crate) received: (u64, u64),
}

impl PartitionStats {
    /// A partition of which nothing is known.
    pub(crate) fn new(topic: &str, partition: i32) -> Self {
        const NONE: i64 = crate::types::offset::INVALID;
        Self {
            topic: topic.to_owned(),
            partition,
            desired: false,
            queued: (0, 0),
            in_flight: 0,
            fetched: (0, 0),
            fetch_state: "none",
            next_offset: 0,
            app_offset: NONE,
            stored_offset: NONE,
            committed_offset: NONE,
            eof_offset: NONE,
            low: NONE,
            high: NONE,
            last_stable: NONE,
            sent: (0, 0),
            received: (0, 0),
        }
    }
}

/// The partitions of a handle.
pub(super) fn partitions(kafka: &Kafka) -> Vec<PartitionStats> {
    kafka.consumer.as_ref().map_or_else(Vec::new, |consumer| consumer.partition_stats())
}
