//! Broker and topic configuration under Kafka's names.
//!
//! Every property of Kafka's is accepted and kept, so that an existing `server.properties` works; those that Felice honours have a typed
//! field in [`BrokerConfig`] or [`TopicConfig`]. An unknown name is an error that proposes the nearest.

mod groups;
mod listeners;
mod property;
mod table;
mod topic;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use felice_protocol::sasl::Secret;

use crate::sasl::TokenValidator;

pub(crate) use groups::GroupConfig;
pub use listeners::{ListenerConfig, SecurityProtocol};
pub(crate) use property::{Kind, Property};
pub use topic::TopicConfig;
pub(crate) use topic::{broker_synonyms, broker_value, check_topic_property};

/// Properties of Felice's own.
const FELICE_PROPERTIES: &[Property] =
    &[property::property("felice.flush", Kind::String, Some("none"), "[none, batch]")];

/// Where Felice's defaults differ from Kafka's: an embedded broker has no crowd of members to wait for.
const FELICE_DEFAULTS: &[(&str, &str)] = &[
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.consumer.assignment.interval.ms", "0"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("node.id", "1"),
    ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"),
];

/// A property that cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A name that neither Kafka nor Felice knows.
    #[error("unknown property {name}{}", did_you_mean(.nearest.as_deref()))]
    Unknown {
        /// The name as it was given.
        name: String,
        /// The known name that is most like it.
        nearest: Option<String>,
    },
    /// A value of the wrong type or out of range.
    #[error("{0}")]
    Invalid(String),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// When appended batches are made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushPolicy {
    /// Kafka's: the page cache holds them, so a crash of the process loses nothing, one of the machine may.
    #[default]
    None,
    /// Every batch is synced to the disk before it is acknowledged; batches that arrive together share a sync.
    Batch,
}

/// What a broker is started with. Its `Debug` shows no password.
#[derive(Clone)]
pub struct BrokerConfig {
    /// The directory of `meta.properties`, the checkpoints and the partitions.
    pub data_dir: PathBuf,
    /// The host that clients are told to connect to.
    pub advertised_host: String,
    /// The port that clients are told to connect to.
    pub advertised_port: u16,
    /// The same for each listener, by its name, where there are several.
    pub advertised: BTreeMap<String, (String, u16)>,
    /// Users and passwords for PLAIN and SCRAM, on every listener, beside those of `sasl.jaas.config`.
    pub users: BTreeMap<String, Secret>,
    /// Who looks at the tokens of OAUTHBEARER.
    pub token_validator: Option<TokenValidator>,
    /// What the simulator planted.
    #[doc(hidden)]
    pub bugs: felice_log::Bugs,
    properties: BTreeMap<String, String>,
}

impl fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_secret = |name: &str| {
            let bare = listeners::without_prefix(name).map_or(name, |(_, bare)| bare);
            broker_property(bare).is_none_or(|property| property.kind == Kind::Password)
        };
        let shown = |(name, value): (&String, &String)| {
            (name.clone(), if is_secret(name) { "[hidden]".to_owned() } else { value.clone() })
        };
        f.debug_struct("BrokerConfig")
            .field("data_dir", &self.data_dir)
            .field("users", &self.users)
            .field("properties", &self.properties.iter().map(shown).collect::<BTreeMap<_, _>>())
            .finish_non_exhaustive()
    }
}

impl BrokerConfig {
    /// Kafka's defaults, with a data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            advertised_host: "127.0.0.1".to_owned(),
            advertised_port: 9092,
            advertised: BTreeMap::new(),
            users: BTreeMap::new(),
            token_validator: None,
            bugs: felice_log::Bugs::default(),
            properties: BTreeMap::new(),
        }
    }

    /// Sets a property under its name in Kafka; `listener.name.NAME.` and a mechanism may stand in front.
    ///
    /// # Errors
    /// [`ConfigError`] where the name is unknown or the value cannot be.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let (kept, bare) = listeners::without_prefix(name).unwrap_or_else(|| (name.to_owned(), name));
        let property = broker_property(bare).ok_or_else(|| ConfigError::Unknown {
            name: name.to_owned(),
            nearest: nearest(bare, broker_properties().map(|property| property.name)),
        })?;
        property.check(value).map_err(ConfigError::Invalid)?;
        self.properties.insert(kept, value.to_owned());
        Ok(())
    }

    /// Where clients of a listener are told to connect to.
    pub(crate) fn advertised(&self, listener: &str) -> (&str, u16) {
        match self.advertised.get(listener) {
            Some((host, port)) => (host, *port),
            None => (&self.advertised_host, self.advertised_port),
        }
    }

    /// The value that was set, or the default; `None` where neither is.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str).or_else(|| default_of(name))
    }

    /// Whether the property was set.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.properties.contains_key(name)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.property(name)?.trim().parse().ok()
    }

    fn number_or(&self, name: &str, otherwise: i64) -> i64 {
        self.number(name).unwrap_or(otherwise)
    }

    fn flag(&self, name: &str) -> bool {
        self.property(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn duration(&self, name: &str, otherwise: u64) -> Duration {
        let millis = self.number(name).and_then(|millis| u64::try_from(millis).ok()).unwrap_or(otherwise);
        Duration::from_millis(millis)
    }

    fn count(&self, name: &str, otherwise: usize) -> usize {
        self.number(name).and_then(|count| usize::try_from(count).ok()).unwrap_or(otherwise)
    }

    /// `node.id`, or the older `broker.id`.
    pub fn node_id(&self) -> i32 {
        let name = if !self.is_set("node.id") && self.is_set("broker.id") { "broker.id" } else { "node.id" };
        self.number(name).and_then(|id| i32::try_from(id).ok()).filter(|id| *id >= 0).unwrap_or(1)
    }

    /// `broker.rack`.
    pub fn rack(&self) -> Option<&str> {
        self.property("broker.rack")
    }

    /// `socket.request.max.bytes`: the longest frame that is read.
    pub fn socket_request_max_bytes(&self) -> usize {
        self.count("socket.request.max.bytes", 104_857_600)
    }

    /// `connections.max.idle.ms`; `None` where it is negative: never.
    pub fn connections_max_idle(&self) -> Option<Duration> {
        u64::try_from(self.number_or("connections.max.idle.ms", 600_000)).ok().map(Duration::from_millis)
    }

    /// `sasl.server.max.receive.size`: the longest frame that is read from a client before it is authenticated.
    pub fn sasl_max_receive_bytes(&self) -> usize {
        self.count("sasl.server.max.receive.size", 524_288)
    }

    /// `connection.failed.authentication.delay.ms`.
    pub(crate) fn failed_authentication_delay(&self) -> Duration {
        self.duration("connection.failed.authentication.delay.ms", 100)
    }

    /// `max.connections`.
    pub fn max_connections(&self) -> usize {
        self.count("max.connections", usize::MAX)
    }

    /// `auto.create.topics.enable`.
    pub fn auto_create_topics(&self) -> bool {
        self.flag("auto.create.topics.enable")
    }

    /// `delete.topic.enable`.
    pub fn delete_topic_enable(&self) -> bool {
        self.flag("delete.topic.enable")
    }

    /// `num.partitions`.
    pub fn num_partitions(&self) -> i32 {
        i32::try_from(self.number_or("num.partitions", 1)).unwrap_or(1)
    }

    /// `fetch.max.bytes`.
    pub fn fetch_max_bytes(&self) -> usize {
        self.count("fetch.max.bytes", 57_671_680)
    }

    /// `max.incremental.fetch.session.cache.slots`.
    pub fn fetch_session_slots(&self) -> usize {
        self.count("max.incremental.fetch.session.cache.slots", 1000)
    }

    /// `log.retention.check.interval.ms`.
    pub fn retention_check_interval(&self) -> Duration {
        self.duration("log.retention.check.interval.ms", 300_000)
    }

    /// `log.flush.offset.checkpoint.interval.ms`.
    pub fn checkpoint_interval(&self) -> Duration {
        self.duration("log.flush.offset.checkpoint.interval.ms", 60_000).max(Duration::from_millis(100))
    }

    /// `producer.id.expiration.ms`.
    pub fn producer_id_expiration(&self) -> Duration {
        self.duration("producer.id.expiration.ms", 86_400_000)
    }

    /// `felice.flush`, or what `log.flush.interval.messages` says in Kafka's words.
    pub fn flush_policy(&self) -> FlushPolicy {
        let every_message = self.number("log.flush.interval.messages") == Some(1);
        if every_message || self.property("felice.flush") == Some("batch") {
            FlushPolicy::Batch
        } else {
            FlushPolicy::None
        }
    }
}

/// All names that a broker takes.
pub(crate) fn broker_properties() -> impl Iterator<Item = &'static Property> {
    table::BROKER_PROPERTIES.iter().chain(FELICE_PROPERTIES)
}

/// All names that a topic takes.
pub(crate) fn topic_properties() -> impl Iterator<Item = &'static Property> {
    table::TOPIC_PROPERTIES.iter()
}

fn broker_property(name: &str) -> Option<&'static Property> {
    broker_properties().find(|property| property.name == name)
}

/// Felice's default, else Kafka's.
pub(crate) fn default_of(name: &str) -> Option<&'static str> {
    let own = FELICE_DEFAULTS.iter().find(|(property, _)| *property == name).map(|(_, value)| *value);
    own.or_else(|| broker_property(name).and_then(|property| property.default))
}

/// The name that needs the fewest edits, where they are few enough to be a slip.
fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<String> {
    known
        .map(|candidate| (edits(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len() / 3)
        .map(|(_, candidate)| candidate.to_owned())
}

/// Levenshtein's distance.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_property_proposes_the_nearest() {
        let mut config = BrokerConfig::new("/data");
        let error = config.set("log.segmnet.bytes", "1048576").unwrap_err();
        assert_eq!(error.to_string(), "unknown property log.segmnet.bytes; did you mean log.segment.bytes?");
        assert!(config.set("zzz", "1").unwrap_err().to_string().ends_with("unknown property zzz"));
    }

    #[test]
    fn values_are_checked_against_type_and_range() {
        let mut config = BrokerConfig::new("/data");
        assert!(config.set("log.segment.bytes", "1024").is_err(), "below the minimum");
        assert!(config.set("num.partitions", "many").is_err());
        assert!(config.set("log.cleanup.policy", "compact,delete").is_ok());
        assert!(config.set("log.cleanup.policy", "shred").is_err());
        assert!(config.set("compression.gzip.level", "-1").is_ok());
        assert!(config.set("auto.create.topics.enable", "maybe").is_err());
        assert!(config.set("log.flush.interval.messages", "1").is_ok());
        assert_eq!(config.flush_policy(), FlushPolicy::Batch);
    }

    #[test]
    fn every_default_in_the_table_passes_its_own_check() {
        for property in broker_properties().chain(topic_properties()) {
            if let Some(default) = property.default {
                assert_eq!(property.check(default), Ok(()));
            }
        }
    }
}
