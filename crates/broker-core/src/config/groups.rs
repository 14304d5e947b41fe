//! The properties of the group coordinator, resolved once.

use std::time::Duration;

use super::BrokerConfig;
use crate::groups::ConsumerGroupConfig;

/// What the group coordinator follows.
#[derive(Clone, Debug)]
pub(crate) struct GroupConfig {
    /// `group.min.session.timeout.ms`, `group.max.session.timeout.ms`.
    pub(crate) session_timeouts: std::ops::RangeInclusive<i32>,
    /// `group.max.size`.
    pub(crate) max_size: usize,
    /// `group.initial.rebalance.delay.ms`.
    pub(crate) initial_rebalance_delay: Duration,
    /// `offset.metadata.max.bytes`.
    pub(crate) metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub(crate) offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub(crate) offsets_retention_check_interval: Duration,
    /// `offsets.commit.timeout.ms`.
    pub(crate) commit_timeout: Duration,
    /// `group.consumer.*`.
    pub(crate) consumer: ConsumerGroupConfig,
    /// What the simulator planted.
    pub(crate) bugs: felice_log::Bugs,
}

impl GroupConfig {
    pub(crate) fn new(broker: &BrokerConfig) -> Self {
        let millis = |name: &str, otherwise: i64| i32::try_from(broker.number_or(name, otherwise)).unwrap_or(i32::MAX);
        Self {
            session_timeouts: millis("group.min.session.timeout.ms", 6_000)
                ..=millis("group.max.session.timeout.ms", 1_800_000),
            max_size: broker.count("group.max.size", usize::MAX),
            initial_rebalance_delay: broker.duration("group.initial.rebalance.delay.ms", 0),
            metadata_max_bytes: broker.count("offset.metadata.max.bytes", 4096),
            offsets_retention_ms: broker.number_or("offsets.retention.minutes", 10_080).saturating_mul(60_000),
            offsets_retention_check_interval: broker.duration("offsets.retention.check.interval.ms", 600_000),
            commit_timeout: broker.duration("offsets.commit.timeout.ms", 5_000),
            consumer: ConsumerGroupConfig::new(broker),
            bugs: broker.bugs,
        }
    }
}
