//! A topic's configuration: its own properties, else the broker's, else Kafka's defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use felice_log::{LogConfig, TimestampType};

use super::{BrokerConfig, ConfigError, Property, nearest, topic_properties};

/// The properties of a topic that the broker acts on, resolved.
#[derive(Clone, Debug)]
pub struct TopicConfig {
    /// What was set on the topic itself.
    pub overrides: BTreeMap<String, String>,
    /// `max.message.bytes`.
    pub max_message_bytes: usize,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// Whether `cleanup.policy` has `compact`.
    pub compact: bool,
    /// What the topic's logs follow.
    pub log: LogConfig,
}

/// A topic's properties and where a broker's default for each is set: the first that is set counts. The factor turns it into the topic's unit.
const SYNONYMS: &[(&str, &[(&str, i64)])] = &[
    ("cleanup.policy", &[("log.cleanup.policy", 1)]),
    ("compression.gzip.level", &[("compression.gzip.level", 1)]),
    ("compression.lz4.level", &[("compression.lz4.level", 1)]),
    ("compression.type", &[("compression.type", 1)]),
    ("compression.zstd.level", &[("compression.zstd.level", 1)]),
    ("delete.retention.ms", &[("log.cleaner.delete.retention.ms", 1)]),
    ("file.delete.delay.ms", &[("log.segment.delete.delay.ms", 1)]),
    ("flush.messages", &[("log.flush.interval.messages", 1)]),
    ("flush.ms", &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
    ("index.interval.bytes", &[("log.index.interval.bytes", 1)]),
    ("local.retention.bytes", &[("log.local.retention.bytes", 1)]),
    ("local.retention.ms", &[("log.local.retention.ms", 1)]),
    ("max.compaction.lag.ms", &[("log.cleaner.max.compaction.lag.ms", 1)]),
    ("max.message.bytes", &[("message.max.bytes", 1)]),
    ("message.timestamp.after.max.ms", &[("log.message.timestamp.after.max.ms", 1)]),
    ("message.timestamp.before.max.ms", &[("log.message.timestamp.before.max.ms", 1)]),
    ("message.timestamp.type", &[("log.message.timestamp.type", 1)]),
    ("min.cleanable.dirty.ratio", &[("log.cleaner.min.cleanable.ratio", 1)]),
    ("min.compaction.lag.ms", &[("log.cleaner.min.compaction.lag.ms", 1)]),
    ("min.insync.replicas", &[("min.insync.replicas", 1)]),
    ("preallocate", &[("log.preallocate", 1)]),
    ("retention.bytes", &[("log.retention.bytes", 1)]),
    ("retention.ms", &[("log.retention.ms", 1), ("log.retention.minutes", 60_000), ("log.retention.hours", 3_600_000)]),
    ("segment.bytes", &[("log.segment.bytes", 1)]),
    ("segment.index.bytes", &[("log.index.size.max.bytes", 1)]),
    ("segment.jitter.ms", &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", 3_600_000)]),
    ("segment.ms", &[("log.roll.ms", 1), ("log.roll.hours", 3_600_000)]),
    ("unclean.leader.election.enable", &[("unclean.leader.election.enable", 1)]),
];

/// The broker's properties that stand behind a topic's, the first that counts first.
pub(crate) fn broker_synonyms(name: &str) -> &'static [(&'static str, i64)] {
    SYNONYMS.iter().find(|(topic, _)| *topic == name).map_or(&[], |(_, broker)| *broker)
}

/// What the broker's configuration says about a topic's property; `None` where it says nothing.
pub(crate) fn broker_value(broker: &BrokerConfig, name: &str) -> Option<(String, &'static str)> {
    let (synonym, factor) = broker_synonyms(name).iter().find(|(synonym, _)| broker.is_set(synonym))?;
    let value = broker.property(synonym)?;
    let value = match (factor, value.parse::<i64>()) {
        (1, _) | (_, Err(_)) => value.to_owned(),
        (factor, Ok(number)) if number >= 0 => number.saturating_mul(*factor).to_string(),
        (_, Ok(number)) => number.to_string(),
    };
    Some((value, synonym))
}

/// Checks a property that is to be set on a topic.
///
/// # Errors
/// [`ConfigError`] where the name is unknown or the value cannot be.
pub(crate) fn check_topic_property(name: &str, value: &str) -> Result<(), ConfigError> {
    let property: &Property =
        topic_properties().find(|property| property.name == name).ok_or_else(|| ConfigError::Unknown {
            name: name.to_owned(),
            nearest: nearest(name, topic_properties().map(|property| property.name)),
        })?;
    property.check(value).map_err(ConfigError::Invalid)
}

impl TopicConfig {
    /// Resolves the overrides against the broker's configuration.
    pub fn new(broker: &BrokerConfig, overrides: BTreeMap<String, String>) -> Self {
        let text = |name: &str| -> Option<String> {
            overrides
                .get(name)
                .cloned()
                .or_else(|| broker_value(broker, name).map(|(value, _)| value))
                .or_else(|| topic_properties().find(|property| property.name == name)?.default.map(str::to_owned))
        };
        let number = |name: &str, otherwise: i64| text(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise);
        let bytes = |name: &str, otherwise: u32| u32::try_from(number(name, i64::from(otherwise))).unwrap_or(otherwise);
        let policy = text("cleanup.policy").unwrap_or_default();
        let days = |name: &str, otherwise: i64| {
            Duration::from_millis(u64::try_from(number(name, otherwise)).unwrap_or(u64::MAX))
        };
        let log = LogConfig {
            segment_bytes: bytes("internal.segment.bytes", bytes("segment.bytes", 1 << 30)),
            segment_max_age: days("segment.ms", 604_800_000),
            segment_jitter: Duration::ZERO,
            segment_index_bytes: bytes("segment.index.bytes", 10_485_760),
            index_interval_bytes: bytes("index.interval.bytes", 4096),
            retention: u64::try_from(number("retention.ms", 604_800_000)).ok().map(Duration::from_millis),
            retention_bytes: u64::try_from(number("retention.bytes", -1)).ok(),
            delete: policy.split(',').any(|part| part.trim() == "delete"),
            compact: policy.split(',').any(|part| part.trim() == "compact"),
            min_cleanable_ratio: text("min.cleanable.dirty.ratio").and_then(|value| value.parse().ok()).unwrap_or(0.5),
            min_compaction_lag: days("min.compaction.lag.ms", 0),
            max_compaction_lag: days("max.compaction.lag.ms", i64::MAX),
            delete_retention: days("delete.retention.ms", 86_400_000),
            timestamp_type: match text("message.timestamp.type").as_deref() {
                Some("LogAppendTime") => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            producer_id_expiration: broker.producer_id_expiration(),
            bugs: broker.bugs,
        };
        Self {
            max_message_bytes: usize::try_from(number("max.message.bytes", 1_048_588)).unwrap_or(0),
            timestamp_before_max_ms: number("message.timestamp.before.max.ms", i64::MAX),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms", 3_600_000),
            compact: policy.split(',').any(|part| part.trim() == "compact"),
            log,
            overrides,
        }
    }
}
