//! The properties `group.consumer.*`, typed.

use std::time::Duration;

use crate::config::BrokerConfig;
use crate::groups::assignor::ServerAssignor;

/// Which way a group may change its protocol while it has members: `group.consumer.migration.policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MigrationPolicy {
    /// Neither way.
    Disabled,
    /// From classic to consumer.
    Upgrade,
    /// From consumer to classic.
    Downgrade,
    /// Both ways.
    Bidirectional,
}

impl MigrationPolicy {
    pub(crate) fn allows_upgrade(self) -> bool {
        matches!(self, Self::Upgrade | Self::Bidirectional)
    }

    pub(crate) fn allows_downgrade(self) -> bool {
        matches!(self, Self::Downgrade | Self::Bidirectional)
    }
}

/// What a consumer group is run by.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerGroupConfig {
    /// Whether `group.coordinator.rebalance.protocols` has `consumer` in it.
    pub(crate) enabled: bool,
    /// `group.consumer.session.timeout.ms`.
    pub(crate) session_timeout: Duration,
    /// `group.consumer.heartbeat.interval.ms`, as it is told to members.
    pub(crate) heartbeat_interval_ms: i32,
    /// `group.consumer.max.size`.
    pub(crate) max_size: usize,
    /// `group.consumer.assignors`, the default first.
    pub(crate) assignors: Vec<ServerAssignor>,
    /// `group.consumer.assignment.interval.ms`.
    pub(crate) assignment_interval_ms: i64,
    /// `group.consumer.regex.refresh.interval.ms`.
    pub(crate) regex_refresh_interval_ms: i64,
    /// `group.consumer.migration.policy`.
    pub(crate) migration_policy: MigrationPolicy,
    /// `group.max.size`: what a group must not exceed to become classic.
    pub(crate) classic_max_size: usize,
    /// What the simulator planted.
    pub(crate) bugs: felice_log::Bugs,
}

impl ConsumerGroupConfig {
    pub(crate) fn new(config: &BrokerConfig) -> Self {
        let number = |name: &str, otherwise: i64| -> i64 {
            config.property(name).and_then(|value| value.trim().parse().ok()).unwrap_or(otherwise)
        };
        let size = |name: &str| usize::try_from(number(name, i64::from(i32::MAX))).unwrap_or(usize::MAX);
        let session = number("group.consumer.session.timeout.ms", 45_000);
        let heartbeat = number("group.consumer.heartbeat.interval.ms", 5_000);
        let list = |name: &str, otherwise: &str| -> Vec<String> {
            let value = config.property(name).unwrap_or(otherwise);
            value.split(',').map(|item| item.trim().to_ascii_lowercase()).filter(|item| !item.is_empty()).collect()
        };
        let mut assignors: Vec<ServerAssignor> = list("group.consumer.assignors", "uniform,range")
            .iter()
            .filter_map(|name| ServerAssignor::named(name))
            .collect();
        if assignors.is_empty() {
            assignors = vec![ServerAssignor::Uniform, ServerAssignor::Range];
        }
        let policy = config.property("group.consumer.migration.policy").unwrap_or("bidirectional").to_ascii_lowercase();
        Self {
            enabled: list("group.coordinator.rebalance.protocols", "classic,consumer,streams")
                .iter()
                .any(|protocol| protocol == "consumer"),
            session_timeout: Duration::from_millis(u64::try_from(session).unwrap_or(45_000)),
            heartbeat_interval_ms: i32::try_from(heartbeat).unwrap_or(5_000),
            max_size: size("group.consumer.max.size"),
            assignors,
            assignment_interval_ms: number("group.consumer.assignment.interval.ms", 1_000),
            regex_refresh_interval_ms: number("group.consumer.regex.refresh.interval.ms", 600_000),
            migration_policy: match policy.as_str() {
                "disabled" => MigrationPolicy::Disabled,
                "upgrade" => MigrationPolicy::Upgrade,
                "downgrade" => MigrationPolicy::Downgrade,
                _ => MigrationPolicy::Bidirectional,
            },
            classic_max_size: size("group.max.size"),
            bugs: config.bugs,
        }
    }
}
