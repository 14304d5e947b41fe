//! The typed settings that cores and drivers read, made from [`Properties`].

use std::fmt;
use std::time::Duration;

use felice_protocol::compression::Compression;
use felice_protocol::sasl::jaas_options;

use super::{Defaults, Properties};
use crate::bugs::Bugs;
use crate::error::{Error, ErrorKind};
use crate::unsecured_jwt::UnsecuredJwt;

/// Text that is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Which replicas must have a record before it counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// None is asked; nobody learns whether the record arrived.
    None,
    /// The leader.
    Leader,
    /// All that are in sync.
    #[default]
    All,
}

impl Acks {
    /// The number in a Produce request.
    pub fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How a record without an explicit partition finds one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partitioner {
    /// By murmur2 of the key, as Java; records without a key stick to a partition until a batch is full.
    #[default]
    Murmur2Random,
    /// The same, and records without a key are hashed too.
    Murmur2,
    /// By CRC-32 of the key, as librdkafka.
    ConsistentRandom,
    /// The same, and records without a key are hashed too.
    Consistent,
    /// By FNV-1a of the key, as sarama.
    Fnv1aRandom,
    /// The same, and records without a key are hashed too.
    Fnv1a,
    /// Keys are not looked at.
    Random,
}

/// Where to start without a valid position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// At the first record that is at most this old (KIP-1106).
    ByDuration(Duration),
    /// Nowhere: it is an error.
    #[default]
    Fail,
}

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IsolationLevel {
    /// All.
    ReadUncommitted,
    /// Those of committed transactions and of none.
    #[default]
    ReadCommitted,
}

impl IsolationLevel {
    /// The number in a request.
    pub fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// A mechanism of SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// User and password as they are; only sensible over TLS.
    Plain,
    /// Salted challenge and response with SHA-256.
    ScramSha256,
    /// Salted challenge and response with SHA-512.
    ScramSha512,
    /// A token that somebody else has issued (KIP-255); only sensible over TLS.
    OAuthBearer,
}

impl SaslMechanism {
    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }
}

/// How to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslConfig {
    /// The mechanism.
    pub mechanism: SaslMechanism,
    /// The user; empty for OAUTHBEARER.
    pub username: String,
    /// The password; empty for OAUTHBEARER.
    pub password: Secret,
    /// What the tokens say where the client makes them itself, for development.
    pub unsecured_jwt: Option<UnsecuredJwt>,
}

/// How to use TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// File of the authorities to trust.
    pub ca_location: Option<String>,
    /// The authorities to trust, PEM.
    pub ca_pem: Option<String>,
    /// File of this client's chain.
    pub certificate_location: Option<String>,
    /// This client's chain, PEM.
    pub certificate_pem: Option<String>,
    /// File of this client's key.
    pub key_location: Option<String>,
    /// This client's key, PEM.
    pub key_pem: Option<Secret>,
    /// File of both chain and key, PEM or PKCS#12.
    pub keystore_location: Option<String>,
    /// The password of that file.
    pub keystore_password: Option<Secret>,
    /// The password of the key.
    pub key_password: Option<Secret>,
    /// Whether the certificate must carry the broker's name.
    pub verify_hostname: bool,
    /// Whether the certificate is checked at all.
    pub verify: bool,
}

/// What connections, metadata and calls need to know.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where to start.
    pub bootstrap: Vec<String>,
    /// The client's name.
    pub client_id: String,
    /// The client's rack.
    pub rack: String,
    /// When metadata is old.
    pub metadata_max_age: Duration,
    /// Whether a look-up may create a topic.
    pub allow_auto_create_topics: bool,
    /// How long a request may stay unanswered.
    pub request_timeout: Duration,
    /// How many of those in a row, with no answer between, end a connection; `None`: any number leaves it.
    pub max_late_requests: Option<u32>,
    /// First pause between connection attempts.
    pub reconnect_backoff: Duration,
    /// Longest pause between connection attempts.
    pub reconnect_backoff_max: Duration,
    /// First pause between attempts of a request.
    pub retry_backoff: Duration,
    /// Longest pause between attempts of a request.
    pub retry_backoff_max: Duration,
    /// Time to connect and authenticate.
    pub connection_setup_timeout: Duration,
    /// When an unused connection is closed; zero for never.
    pub connections_max_idle: Duration,
    /// Longest frame accepted.
    pub receive_message_max_bytes: usize,
    /// Size of the socket's send buffer; zero leaves it.
    pub send_buffer_bytes: usize,
    /// Size of the socket's receive buffer; zero leaves it.
    pub receive_buffer_bytes: usize,
    /// Keep-alive probes.
    pub socket_keepalive: bool,
    /// How long an administrative call may take.
    pub api_timeout: Duration,
    /// TLS, where it is used.
    pub tls: Option<TlsConfig>,
    /// SASL, where it is used.
    pub sasl: Option<SaslConfig>,
}

/// What a producer needs to know.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// Which replicas must have a record.
    pub acks: Acks,
    /// Whether retries write nothing twice.
    pub idempotence: bool,
    /// How long a batch waits for more.
    pub linger: Duration,
    /// Largest batch.
    pub batch_size: usize,
    /// Most records in a batch.
    pub batch_num_messages: i32,
    /// Largest record.
    pub max_request_size: usize,
    /// The codec.
    pub compression: Compression,
    /// How hard it works.
    pub compression_level: Option<i32>,
    /// Unanswered requests to one broker.
    pub max_in_flight: usize,
    /// When a record has failed.
    pub delivery_timeout: Duration,
    /// How long a broker waits for its replicas.
    pub request_timeout: Duration,
    /// How often a batch is sent again.
    pub retries: u32,
    /// First pause before that.
    pub retry_backoff: Duration,
    /// Longest pause before that.
    pub retry_backoff_max: Duration,
    /// Most bytes that wait.
    pub buffer_memory: usize,
    /// Most records that wait; zero for no limit.
    pub max_messages: usize,
    /// How long a call waits for room.
    pub max_block: Duration,
    /// Which partition a record goes to.
    pub partitioner: Partitioner,
    /// What the simulator planted.
    #[doc(hidden)]
    pub bugs: Bugs,
}

/// What reading needs to know.
#[derive(Clone, Debug)]
pub struct FetchConfig {
    /// The broker answers once it has this much.
    pub min_bytes: i32,
    /// Most bytes in an answer.
    pub max_bytes: i32,
    /// The broker answers after this time.
    pub max_wait: Duration,
    /// Most bytes of one partition in an answer.
    pub max_partition_bytes: i32,
    /// Most bytes that wait to be read.
    pub buffer_bytes: usize,
    /// Which records are seen.
    pub isolation_level: IsolationLevel,
    /// Whether checksums are verified.
    pub check_crcs: bool,
    /// Where to start without a valid position.
    pub offset_reset: OffsetReset,
    /// First pause between attempts.
    pub retry_backoff: Duration,
    /// Longest pause between attempts.
    pub retry_backoff_max: Duration,
    /// The rack, to read from replicas near it.
    pub rack: String,
    /// How long a request may stay unanswered.
    pub request_timeout: Duration,
    /// What the simulator planted.
    #[doc(hidden)]
    pub bugs: Bugs,
}

impl Properties {
    pub(super) fn text(&self, name: &str) -> String {
        self.value(name).unwrap_or_default().to_owned()
    }

    pub(super) fn some_text(&self, name: &str) -> Option<String> {
        self.value(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    pub(super) fn number<N: std::str::FromStr + Default>(&self, name: &str) -> N {
        self.value(name)
            .and_then(|value| value.split('.').next())
            .and_then(|value| value.parse().ok())
            .unwrap_or_default()
    }

    /// `linger.ms` may carry a fraction, as librdkafka's does; a negative time, which some properties use for "never", is a very long one.
    pub(super) fn duration(&self, name: &str) -> Duration {
        let millis = self.value(name).and_then(|value| value.parse::<f64>().ok()).unwrap_or_default();
        if millis < 0.0 {
            return Duration::from_secs(100 * 365 * 86_400);
        }
        Duration::try_from_secs_f64(millis / 1000.0).unwrap_or(Duration::MAX)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some("true" | "1"))
    }

    /// What connections, metadata and calls read.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for settings that cannot go together.
    pub fn client_config(&self) -> Result<ClientConfig, Error> {
        let bootstrap: Vec<String> = self
            .value("bootstrap.servers")
            .unwrap_or_default()
            .split(',')
            .map(|address| strip_protocol(address.trim()).to_owned())
            .filter(|address| !address.is_empty())
            .map(|address| if has_port(&address) { address } else { format!("{address}:9092") })
            .collect();
        // A program of librdkafka's may make a handle first and add brokers later.
        if bootstrap.is_empty() && self.defaults != Defaults::Librdkafka {
            return Err(
                Error::new(ErrorKind::Config, "bootstrap.servers is not set").hinting("give HOST:PORT of a broker")
            );
        }
        let protocol = self.text("security.protocol").to_ascii_lowercase();
        let tls = protocol.ends_with("ssl").then(|| TlsConfig {
            ca_location: self.some_text("ssl.ca.location"),
            ca_pem: self.some_text("ssl.ca.pem"),
            certificate_location: self.some_text("ssl.certificate.location"),
            certificate_pem: self.some_text("ssl.certificate.pem"),
            key_location: self.some_text("ssl.key.location"),
            key_pem: self.some_text("ssl.key.pem").map(Secret::new),
            keystore_location: self.some_text("ssl.keystore.location"),
            keystore_password: self.some_text("ssl.keystore.password").map(Secret::new),
            key_password: self.some_text("ssl.key.password").map(Secret::new),
            verify_hostname: self.value("ssl.endpoint.identification.algorithm") == Some("https"),
            verify: self.flag("enable.ssl.certificate.verification"),
        });
        let sasl = if protocol.starts_with("sasl") { Some(self.sasl()?) } else { None };
        Ok(ClientConfig {
            bootstrap,
            client_id: self.text("client.id"),
            rack: self.text("client.rack"),
            metadata_max_age: self.duration("metadata.max.age.ms"),
            allow_auto_create_topics: self.flag("allow.auto.create.topics"),
            request_timeout: self.duration("request.timeout.ms"),
            max_late_requests: Some(self.number("socket.max.fails")).filter(|most| *most > 0),
            reconnect_backoff: self.duration("reconnect.backoff.ms"),
            reconnect_backoff_max: self.duration("reconnect.backoff.max.ms"),
            retry_backoff: self.duration("retry.backoff.ms"),
            retry_backoff_max: self.duration("retry.backoff.max.ms"),
            connection_setup_timeout: self.duration("socket.connection.setup.timeout.ms"),
            connections_max_idle: self.duration("connections.max.idle.ms"),
            receive_message_max_bytes: self.number("receive.message.max.bytes"),
            send_buffer_bytes: self.number("send.buffer.bytes"),
            receive_buffer_bytes: self.number("receive.buffer.bytes"),
            socket_keepalive: self.flag("socket.keepalive.enable"),
            api_timeout: self.duration("default.api.timeout.ms"),
            tls,
            sasl,
        })
    }

    fn sasl(&self) -> Result<SaslConfig, Error> {
        let mechanism = match self.value("sasl.mechanism").unwrap_or_default().to_ascii_uppercase().as_str() {
            "PLAIN" => SaslMechanism::Plain,
            "SCRAM-SHA-256" => SaslMechanism::ScramSha256,
            "SCRAM-SHA-512" => SaslMechanism::ScramSha512,
            "OAUTHBEARER" => SaslMechanism::OAuthBearer,
            "" => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "security.protocol asks for SASL, but sasl.mechanism is not set",
                )
                .hinting("set sasl.mechanism to PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"));
            }
            other => return Err(Error::new(ErrorKind::Config, format!("sasl.mechanism {other} is not supported"))),
        };
        let (mut username, mut password) = (self.some_text("sasl.username"), self.some_text("sasl.password"));
        let jaas = match self.value("sasl.jaas.config") {
            Some(line) => jaas_options(line).ok_or_else(|| {
                Error::new(ErrorKind::Config, "sasl.jaas.config cannot be read")
                    .hinting("write MODULE required username=\"…\" password=\"…\";")
            })?,
            None => Vec::new(),
        };
        if mechanism == SaslMechanism::OAuthBearer {
            let unsecured_jwt = if self.flag("enable.sasl.oauthbearer.unsecure.jwt") {
                Some(UnsecuredJwt::parse(self.value("sasl.oauthbearer.config").unwrap_or_default())?)
            } else {
                UnsecuredJwt::from_jaas(&jaas)?
            };
            return Ok(SaslConfig { mechanism, username: String::new(), password: Secret::default(), unsecured_jwt });
        }
        let option = |name: &str| jaas.iter().find(|(option, _)| option == name).map(|(_, value)| value.clone());
        username = username.or_else(|| option("username"));
        password = password.or_else(|| option("password"));
        match (username, password) {
            (Some(username), Some(password)) => {
                Ok(SaslConfig { mechanism, username, password: Secret::new(password), unsecured_jwt: None })
            }
            _ => Err(Error::new(
                ErrorKind::Config,
                format!("{} needs sasl.username and sasl.password", mechanism.name()),
            )),
        }
    }

    /// What a producer reads.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for settings that cannot go together.
    pub fn producer_config(&self) -> Result<ProducerConfig, Error> {
        let acks = match self.value("acks") {
            Some("0") => Acks::None,
            Some("1") => Acks::Leader,
            _ => Acks::All,
        };
        let max_in_flight: usize = self.number("max.in.flight.requests.per.connection");
        let idempotence = self.flag("enable.idempotence");
        if idempotence && self.is_set("enable.idempotence") && acks != Acks::All {
            return Err(Error::new(ErrorKind::Config, "enable.idempotence needs acks=all")
                .hinting("set acks to all, or enable.idempotence to false"));
        }
        let idempotence = idempotence && acks == Acks::All;
        let buffer_memory = if self.is_set("queue.buffering.max.kbytes")
            || !self.is_set("buffer.memory") && self.value("queue.buffering.max.kbytes").is_some()
        {
            self.number::<usize>("queue.buffering.max.kbytes").saturating_mul(1024)
        } else {
            self.number("buffer.memory")
        };
        let partitioner = match self.value("partitioner").unwrap_or_default() {
            "consistent" => Partitioner::Consistent,
            "consistent_random" => Partitioner::ConsistentRandom,
            "fnv1a" => Partitioner::Fnv1a,
            "fnv1a_random" => Partitioner::Fnv1aRandom,
            "murmur2" => Partitioner::Murmur2,
            "random" => Partitioner::Random,
            _ => Partitioner::Murmur2Random,
        };
        let compression = self.text("compression.type").parse().map_err(|_| {
            Error::new(
                ErrorKind::Config,
                format!("compression.type: no codec is called {}", self.text("compression.type")),
            )
        })?;
        let delivery_timeout = self.duration("delivery.timeout.ms");
        Ok(ProducerConfig {
            acks,
            idempotence,
            linger: self.duration("linger.ms"),
            batch_size: self.number("batch.size"),
            batch_num_messages: self.number("batch.num.messages"),
            max_request_size: self.number("max.request.size"),
            compression,
            compression_level: self
                .value("compression.level")
                .and_then(|level| level.parse().ok())
                .filter(|level| *level != -1),
            max_in_flight: if idempotence { max_in_flight.min(5) } else { max_in_flight.max(1) },
            // Zero is librdkafka's "never".
            delivery_timeout: if delivery_timeout.is_zero() {
                Duration::from_secs(86_400 * 365)
            } else {
                delivery_timeout
            },
            request_timeout: self.produce_timeout(),
            retries: self.number("retries"),
            retry_backoff: self.duration("retry.backoff.ms"),
            retry_backoff_max: self.duration("retry.backoff.max.ms"),
            buffer_memory,
            max_messages: self.number("queue.buffering.max.messages"),
            max_block: self.duration("max.block.ms"),
            partitioner,
            bugs: Bugs::default(),
        })
    }

    /// How long the broker may wait for its replicas: as long as for any answer, unless it is set for itself. librdkafka has two defaults.
    fn produce_timeout(&self) -> Duration {
        let own = self.is_set("request.timeout.produce.ms") || self.defaults == Defaults::Librdkafka;
        self.duration(if own { "request.timeout.produce.ms" } else { "request.timeout.ms" })
    }

    /// What reading needs.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an `auto.offset.reset` that is not understood.
    pub fn fetch_config(&self) -> Result<FetchConfig, Error> {
        let kbytes = "queued.max.messages.kbytes";
        let buffer_bytes = match self.value(kbytes) {
            Some(_) if self.is_set(kbytes) || !self.is_set("fetch.buffer.bytes") => {
                self.number::<usize>(kbytes).saturating_mul(1024)
            }
            Some(_) | None => self.number("fetch.buffer.bytes"),
        };
        Ok(FetchConfig {
            min_bytes: self.number("fetch.min.bytes"),
            max_bytes: self.number("fetch.max.bytes"),
            max_wait: self.duration("fetch.max.wait.ms"),
            max_partition_bytes: self.number("max.partition.fetch.bytes"),
            buffer_bytes: if buffer_bytes == 0 { 64 << 20 } else { buffer_bytes },
            isolation_level: match self.value("isolation.level") {
                Some("read_uncommitted") => IsolationLevel::ReadUncommitted,
                _ => IsolationLevel::ReadCommitted,
            },
            check_crcs: self.flag("check.crcs"),
            offset_reset: self.offset_reset()?,
            retry_backoff: self.duration("retry.backoff.ms"),
            retry_backoff_max: self.duration("retry.backoff.max.ms"),
            rack: self.text("client.rack"),
            request_timeout: self.duration("request.timeout.ms"),
            bugs: Bugs::default(),
        })
    }
}

/// librdkafka lets an address carry its protocol: `SASL_SSL://host:port`.
fn strip_protocol(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, rest)| rest)
}

fn has_port(address: &str) -> bool {
    let behind_host = address.rsplit(']').next().unwrap_or(address);
    behind_host.contains(':') && (address.starts_with('[') || address.matches(':').count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_s_login_line_gives_user_and_password() {
        let mut p = Properties::default();
        for (name, value) in [
            ("bootstrap.servers", "PLAINTEXT://a:1, b"),
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            (
                "sasl.jaas.config",
                r#"org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="p\"q";"#,
            ),
        ] {
            p.set(name, value).unwrap();
        }
        let config = p.client_config().unwrap();
        assert_eq!(config.bootstrap, ["a:1", "b:9092"]);
        let sasl = config.sasl.unwrap();
        assert_eq!((sasl.username.as_str(), sasl.password.reveal()), ("u", "p\"q"));
    }

    #[test]
    fn idempotence_asked_for_needs_all_acks_and_otherwise_yields() {
        let mut p = Properties::default();
        p.set("acks", "1").unwrap();
        assert!(!p.producer_config().unwrap().idempotence);
        p.set("enable.idempotence", "true").unwrap();
        assert!(p.producer_config().is_err());
    }

    #[test]
    fn librdkafka_s_defaults_are_its_own() {
        let p = Properties::with_defaults(Defaults::Librdkafka);
        let config = p.producer_config().unwrap();
        assert_eq!(
            (config.buffer_memory, config.max_messages, config.partitioner),
            (1 << 30, 100_000, Partitioner::ConsistentRandom)
        );
        assert_eq!(p.fetch_config().unwrap().buffer_bytes, 64 << 20);
    }
}
