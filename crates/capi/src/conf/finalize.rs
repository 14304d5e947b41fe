//! What `rd_kafka_new` checks and adjusts before a handle exists. The texts are librdkafka's: programs compare them.

use felice::Properties;

use super::values::Value;
use super::{ClientKind, Conf};

/// `RD_KAFKA_EVENT_REBALANCE`.
const EVENT_REBALANCE: i32 = 0x10;

fn refuse(text: impl Into<String>) -> Result<(), String> {
    Err(text.into())
}

/// What a share consumer has no use for, and where librdkafka says so in other words.
const NOT_FOR_SHARE: &[(&str, &str)] = &[
    ("enable.auto.commit", ""),
    ("group.protocol", ""),
    ("socket.max.fails", "`socket.max.fails` must be 1 for share consumer; changing it is not allowed"),
    ("partition.assignment.strategy", ""),
    ("group.instance.id", ""),
    ("isolation.level", ""),
    ("group.remote.assignor", ""),
    ("queued.min.messages", ""),
    ("queued.max.messages.kbytes", ""),
    ("fetch.queue.backoff.ms", ""),
    ("fetch.error.backoff.ms", ""),
    ("enable.partition.eof", ""),
    ("message.copy.max.bytes", ""),
    ("topic.blacklist", ""),
    (
        "allow.auto.create.topics",
        "allow.auto.create.topics is currently not supported for share consumer \
         and will be enabled in the General Availability (GA) release",
    ),
    ("auto.offset.reset", ""),
    ("consume.callback.max.messages", ""),
];

impl Conf {
    /// Checks what was set for a handle of this kind, adjusts what was not, and gives the settings of our client.
    ///
    /// # Errors
    /// librdkafka's text for what cannot go together.
    pub(crate) fn finalize(&mut self, kind: ClientKind) -> Result<Properties, String> {
        self.check_identity()?;
        self.check_security()?;
        if kind.consumes() {
            self.check_consumer(kind)?;
            self.values.adjust_int("enable.idempotence", 0);
        } else {
            self.check_producer()?;
        }
        self.check_client(kind)?;
        if self.has_topic && kind == ClientKind::Producer {
            let (timeout, linger) = (self.topic.values.int("message.timeout.ms"), self.float("linger.ms"));
            if timeout != 0 && f64::from(timeout) <= linger {
                if self.is_set("linger.ms") {
                    return Err("`message.timeout.ms` must be greater than `linger.ms`".to_owned());
                }
                self.values.adjust("linger.ms", Value::Float(f64::from(timeout) - 0.1));
            }
        }
        let mut topic = std::mem::replace(&mut *self.topic, super::TopicConf::new());
        let checked = self.finalize_topic(kind, &mut topic);
        *self.topic = topic;
        // Where the program has not touched them, each topic is checked when it is made.
        if self.has_topic {
            checked?;
        }
        self.check_assignors()?;
        self.check_sasl()?;
        if self.int("debug") != 0 {
            self.values.adjust_int("log_level", 7);
        }
        self.properties()
    }

    fn check_identity(&mut self) -> Result<(), String> {
        let defaults = [("client.software.name", "librdkafka"), ("client.software.version", crate::handle::VERSION)];
        for (name, default) in defaults {
            let clean = sanitized(self.text(name).unwrap_or(default));
            self.values.adjust(name, Value::Text(Some(clean)));
        }
        if self.callbacks.socket_cb.is_none() {
            return refuse("Mandatory config property `socket_cb` not set");
        }
        if self.callbacks.open_cb.is_none() {
            return refuse("Mandatory config property `open_cb` not set");
        }
        Ok(())
    }

    fn check_security(&self) -> Result<(), String> {
        if self.text("ssl.keystore.location").is_some() && self.text("ssl.keystore.password").is_none() {
            return refuse("`ssl.keystore.password` is mandatory when `ssl.keystore.location` is set");
        }
        let ca_by_name = self.text("ssl.ca.location").or(self.text("ssl.ca.pem"));
        if self.certificates.ca.is_some() && ca_by_name.is_some() {
            return refuse(
                "`ssl.ca.location` or `ssl.ca.pem`, and memory-based set_ssl_cert(CERT_CA) are mutually exclusive.",
            );
        }
        let oauthbearer = self.text("sasl.mechanisms").is_some_and(|name| name.eq_ignore_ascii_case("OAUTHBEARER"));
        let refreshes = self.callbacks.oauthbearer_token_refresh_cb.is_some();
        if oauthbearer && self.flag("enable.sasl.oauthbearer.unsecure.jwt") && refreshes {
            return refuse(
                "`enable.sasl.oauthbearer.unsecure.jwt` and `oauthbearer_token_refresh_cb` are mutually exclusive",
            );
        }
        Ok(())
    }

    fn check_share(&mut self) -> Result<(), String> {
        let not_applicable = |name: &str| format!("`{name}` is not applicable for share consumer");
        let callbacks = [
            ("rebalance_cb", self.callbacks.rebalance_cb.is_some()),
            ("RD_KAFKA_EVENT_REBALANCE", self.enabled_events & EVENT_REBALANCE != 0),
            ("offset_commit_cb", self.callbacks.offset_commit_cb.is_some()),
            ("consume_cb", self.callbacks.consume_cb.is_some()),
        ];
        if let Some((name, _)) = callbacks.iter().find(|callback| callback.1) {
            return Err(not_applicable(name));
        }
        if let Some((name, text)) = NOT_FOR_SHARE.iter().find(|row| self.is_set(row.0)) {
            return Err(if text.is_empty() { not_applicable(name) } else { (*text).to_owned() });
        }
        for (name, value) in [
            ("connections.max.idle.ms", 540_000),
            ("reconnect.backoff.ms", 50),
            ("reconnect.backoff.max.ms", 1000),
            ("receive.message.max.bytes", i32::MAX),
        ] {
            if !self.is_set(name) {
                self.values.adjust_int(name, value);
            }
        }
        self.values.adjust_int("enable.auto.commit", 0);
        self.values.adjust_int("group.protocol", 1);
        self.values.adjust_int("socket.max.fails", 1);
        Ok(())
    }

    fn check_consumer(&mut self, kind: ClientKind) -> Result<(), String> {
        let shares = kind == ClientKind::ShareConsumer;
        if shares {
            self.check_share()?;
        } else if !(1..=100_000_000).contains(&self.int("fetch.min.bytes")) {
            return refuse("Configuration property \"fetch.min.bytes\" value is outside allowed range 1..100000000");
        }
        if self.text("group.protocol") == Some("classic") {
            if self.int("max.poll.interval.ms") < self.int("session.timeout.ms") {
                return refuse("`max.poll.interval.ms`must be >= `session.timeout.ms`");
            }
        } else {
            let by_broker = "for `group.protocol=consumer` or share consumer. It is defined broker side";
            if self.is_set("session.timeout.ms") {
                return refuse(format!("`session.timeout.ms` is not supported {by_broker}"));
            }
            if self.is_set("partition.assignment.strategy") {
                return refuse(
                    "`partition.assignment.strategy` is not supported for `group.protocol=consumer`. \
                     Use `group.remote.assignor` instead",
                );
            }
            if self.is_set("group.protocol.type") {
                return refuse(
                    "`group.protocol.type` is not supported for `group.protocol=consumer` or share consumer",
                );
            }
            if self.is_set("heartbeat.interval.ms") {
                return refuse(format!("`heartbeat.interval.ms` is not supported {by_broker}"));
            }
        }
        let message_max = self.values.int("message.max.bytes");
        if !shares && self.is_set("fetch.max.bytes") {
            if self.values.int("fetch.max.bytes") < message_max {
                return refuse("`fetch.max.bytes` must be >= `message.max.bytes`");
            }
        } else if !shares {
            let queue = self.values.int("queued.max.messages.kbytes").saturating_mul(1024);
            let fetch_max = self.values.int("fetch.max.bytes").min(queue).max(message_max);
            self.values.adjust_int("fetch.max.bytes", fetch_max);
        }
        let needed = self.values.int("fetch.max.bytes").saturating_add(512);
        let receive_max = self.values.int("receive.message.max.bytes");
        if self.is_set("receive.message.max.bytes") {
            if needed > receive_max {
                return refuse("`receive.message.max.bytes` must be >= `fetch.max.bytes` + 512");
            }
        } else {
            self.values.adjust_int("receive.message.max.bytes", receive_max.max(needed));
        }
        Ok(())
    }

    fn check_producer(&mut self) -> Result<(), String> {
        if self.text("transactional.id").is_some() {
            if !self.flag("enable.idempotence") {
                if self.is_set("enable.idempotence") {
                    return refuse("`transactional.id` requires `enable.idempotence=true`");
                }
                self.values.adjust_int("enable.idempotence", 1);
            }
            let transaction = self.values.int("transaction.timeout.ms");
            if !self.is_set("socket.timeout.ms") {
                self.values.adjust_int("socket.timeout.ms", (transaction - 100).max(900));
            } else if transaction.saturating_add(100) < self.values.int("socket.timeout.ms") {
                return refuse("`socket.timeout.ms` must be set <= `transaction.timeout.ms` + 100");
            }
        }
        if self.flag("enable.idempotence") {
            let in_flight = self.values.int("max.in.flight");
            if !self.is_set("max.in.flight") {
                self.values.adjust_int("max.in.flight", in_flight.min(5));
            } else if in_flight > 5 {
                return refuse("`max.in.flight` must be set <= 5 when `enable.idempotence` is true");
            }
            if !self.is_set("retries") {
                self.values.adjust_int("retries", i32::MAX);
            } else if self.int("retries") < 1 {
                return refuse("`retries` must be set >= 1 when `enable.idempotence` is true");
            }
            let threshold = "queue.buffering.backpressure.threshold";
            if self.is_set(threshold) && self.int(threshold) > 1 {
                return refuse(format!("`{threshold}` must be set to 1 when `enable.idempotence` is true"));
            }
        } else if self.flag("enable.gapless.guarantee") && self.is_set("enable.gapless.guarantee") {
            return refuse("`enable.gapless.guarantee` requires `enable.idempotence` to be enabled");
        }
        if !self.is_set("sticky.partitioning.linger.ms") {
            // At most 900 000: the conversion cuts the fraction.
            let linger = (2.0 * self.float("linger.ms")).min(900_000.0) as i32;
            self.values.adjust_int("sticky.partitioning.linger.ms", linger);
        }
        Ok(())
    }

    fn check_client(&mut self, kind: ClientKind) -> Result<(), String> {
        let refresh = self.values.int("topic.metadata.refresh.interval.ms");
        if !self.is_set("metadata.max.age.ms") && refresh > 0 {
            self.values.adjust_int("metadata.max.age.ms", refresh.saturating_mul(3));
        }
        if self.int("reconnect.backoff.max.ms") < self.int("reconnect.backoff.ms") {
            return refuse("`reconnect.backoff.max.ms` must be >= `reconnect.backoff.ms`");
        }
        if !self.is_set("topic.metadata.refresh.fast.interval.ms") {
            let backoff = self.values.int("retry.backoff.ms");
            self.values.adjust_int("topic.metadata.refresh.fast.interval.ms", backoff);
        }
        let brokers = self.text("bootstrap.servers").unwrap_or_default().to_ascii_lowercase();
        if !self.is_set("connections.max.idle.ms") && brokers.contains("azure") {
            self.values.adjust_int("connections.max.idle.ms", 230_000);
        }
        if !self.is_set("allow.auto.create.topics") {
            self.values.adjust_int("allow.auto.create.topics", (!kind.consumes()).into());
        }
        Ok(())
    }

    /// Checks and adjusts settings of a topic: the default ones, and each object that `rd_kafka_topic_new` gets.
    ///
    /// # Errors
    /// librdkafka's text for what cannot go together.
    pub(crate) fn finalize_topic(&self, kind: ClientKind, topic: &mut super::TopicConf) -> Result<(), String> {
        if kind.consumes() {
            return Ok(());
        }
        if self.flag("enable.idempotence") {
            if !topic.is_set("acks") {
                topic.values.adjust_int("acks", -1);
            } else if topic.int("acks") != -1 {
                return refuse("`acks` must be set to `all` when `enable.idempotence` is true");
            }
            if !topic.is_set("queuing.strategy") {
                topic.values.adjust_int("queuing.strategy", 0);
            } else if topic.text("queuing.strategy") != Some("fifo") {
                return refuse("`queuing.strategy` must be set to `fifo` when `enable.idempotence` is true");
            }
            if self.text("transactional.id").is_some() {
                let transaction = self.values.int("transaction.timeout.ms");
                if !topic.is_set("message.timeout.ms") {
                    topic.values.adjust_int("message.timeout.ms", transaction);
                } else if topic.values.int("message.timeout.ms") > transaction {
                    return refuse("`message.timeout.ms` must be set <= `transaction.timeout.ms`");
                }
            }
        }
        let timeout = topic.values.int("message.timeout.ms");
        if timeout != 0 && f64::from(timeout) <= self.float("linger.ms") && self.is_set("linger.ms") {
            return refuse("`message.timeout.ms` must be greater than `linger.ms`");
        }
        Ok(())
    }

    fn check_assignors(&self) -> Result<(), String> {
        let strategy = self.text("partition.assignment.strategy").unwrap_or_default();
        let mut cooperative = [false; 2];
        for name in strategy.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "range" | "roundrobin" => cooperative[0] = true,
                "cooperative-sticky" => cooperative[1] = true,
                _ => return refuse(format!("Unsupported partition.assignment.strategy: {name}")),
            }
        }
        if cooperative == [true; 2] {
            return refuse(format!(
                "All partition.assignment.strategy ({strategy}) assignors must have the same protocol type, \
                 online migration between assignors with different protocol types is not supported"
            ));
        }
        Ok(())
    }

    fn check_sasl(&self) -> Result<(), String> {
        if !self.text("security.protocol").unwrap_or_default().starts_with("sasl") {
            return Ok(());
        }
        let mechanism = self.text("sasl.mechanisms").unwrap_or_default();
        match mechanism {
            "GSSAPI" => refuse(
                "No provider for SASL mechanism GSSAPI: recompile librdkafka with libsasl2 or openssl support. \
                 Current build options: PLAIN SASL_SCRAM OAUTHBEARER",
            ),
            "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
                match (self.text("sasl.username"), self.text("sasl.password")) {
                    (Some(_), Some(_)) => Ok(()),
                    _ => refuse("sasl.username and sasl.password must be set"),
                }
            }
            "OAUTHBEARER" => Ok(()),
            other => refuse(format!("Unsupported SASL mechanism: {other}")),
        }
    }
}

/// A name as brokers accept it in ApiVersions (KIP-511): letters, digits, dots and dashes, a letter or digit first and last.
fn sanitized(name: &str) -> String {
    let inner = name.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
    inner.chars().map(|letter| if allowed(letter) { letter } else { '-' }).collect()
}
