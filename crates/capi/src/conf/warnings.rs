//! What a new handle says of its configuration: facility `CONFWARN`.

use super::show::meaning;
use super::table::{Role, Scope, properties};
use super::values::Values;
use super::{ClientKind, Conf};
use crate::log::{Context, Logger, level};

/// Between a warning and information.
const NOTICE: std::ffi::c_int = 5;

impl Conf {
    /// Logs, for a new handle, what is wrong without being an error, and with `debug=conf` what the program has set.
    pub(crate) fn tell(&self, kind: ClientKind, log: &Logger) {
        for line in self.warnings(kind) {
            log.log(level::WARNING, "CONFWARN", &line);
        }
        if self.text("bootstrap.servers").is_none() && self.int("test.mock.num.brokers") == 0 {
            let line = "No `bootstrap.servers` configured: client will not be able to connect to Kafka cluster";
            log.log(NOTICE, "CONFWARN", line);
        }
        if !log.debugs(Context::CONF) {
            return;
        }
        let topic = properties(Scope::Topic).filter_map(|property| {
            self.topic.values.set_value(property.name)?;
            Some((property.name, self.topic.shown(property)?))
        });
        for (title, pairs) in
            [("Client configuration", self.set_and_shown()), ("Default topic configuration", topic.collect())]
        {
            if !pairs.is_empty() {
                log.debug(Context::CONF, "CONF", || format!("{title}:"));
            }
            for (name, value) in pairs {
                log.debug(Context::CONF, "CONF", || format!("  {name} = {value}"));
            }
        }
    }

    /// What is wrong without being an error.
    pub(crate) fn warnings(&self, kind: ClientKind) -> Vec<String> {
        let mut lines = marked(&self.values, kind);
        if self.has_topic {
            lines.extend(marked(&self.topic.values, kind));
        }
        if self.topic_overwritten {
            lines.push(
                "Topic configuration properties set in the global configuration were overwritten by explicitly \
                 setting a default_topic_conf: recommend not using set_default_topic_conf"
                    .to_owned(),
            );
        }
        let backoff_max = self.int("retry.backoff.max.ms");
        for name in ["retry.backoff.ms", "topic.metadata.refresh.fast.interval.ms"] {
            let backoff = self.int(name);
            if backoff > backoff_max && (name == "retry.backoff.ms" || self.is_set(name)) {
                lines.push(format!(
                    "Configuration `{name}` with value {backoff} is greater than configuration `retry.backoff.max.ms` \
                     with value {backoff_max}. A static backoff with value `retry.backoff.max.ms` will be applied."
                ));
            }
        }
        let (wait, timeout) = (self.int("fetch.wait.max.ms"), self.int("socket.timeout.ms"));
        if kind.consumes() && wait + 1000 > timeout {
            lines.push(format!(
                "Configuration property `fetch.wait.max.ms` ({wait}) should be set lower than `socket.timeout.ms` \
                 ({timeout}) by at least 1000ms to avoid blocking and timing out sub-sequent requests"
            ));
        }
        let mechanism = self.text("sasl.mechanisms").unwrap_or_default();
        let sasl = self.text("security.protocol").unwrap_or_default().starts_with("sasl");
        if self.is_set("sasl.mechanisms") && !sasl {
            lines.push(format!(
                "Configuration property `sasl.mechanism` set to `{mechanism}` but `security.protocol` is not configured \
                 for SASL: recommend setting `security.protocol` to SASL_SSL or SASL_PLAINTEXT"
            ));
        }
        if self.is_set("sasl.username") && !mechanism.starts_with("SCRAM") && mechanism != "PLAIN" {
            lines.push(
                "Configuration property `sasl.username` only applies when `sasl.mechanism` is set to \
                 PLAIN or SCRAM-SHA-.."
                    .to_owned(),
            );
        }
        lines
    }
}

/// What is logged of properties that are set and deprecated, experimental, or not for this kind of handle.
fn marked(values: &Values, kind: ClientKind) -> Vec<String> {
    let (other, own, others) = match kind {
        ClientKind::Producer => (Role::Consumer, "producer", "consumer"),
        ClientKind::Consumer | ClientKind::ShareConsumer => (Role::Producer, "consumer", "producer"),
    };
    let mut lines = Vec::new();
    for property in properties(values.scope()).filter(|property| values.set_value(property.name).is_some()) {
        let name = property.name;
        let mark = match (property.deprecated, property.experimental) {
            (true, true) => Some("deprecated and experimental"),
            (true, false) => Some("deprecated"),
            (false, true) => Some("experimental"),
            (false, false) => None,
        };
        if let Some(mark) = mark {
            lines.push(format!("Configuration property {name} is {mark}: {}", meaning(property)));
        }
        if property.role == other {
            lines.push(format!(
                "Configuration property {name} is a {others} property and will be ignored by this {own} instance"
            ));
        }
    }
    lines
}
