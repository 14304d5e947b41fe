//! Where a broker listens, and how each listener is protected: `listeners`, `advertised.listeners`, `listener.security.protocol.map`, and the
//! properties that hold for one listener or mechanism only (`listener.name.NAME.…`). Java: `EndPoint`, `SecurityProtocol`, `ListenerName`.

use std::fmt;

use super::{BrokerConfig, ConfigError};

/// How a listener is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Not at all.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without encryption.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl];

    /// As Kafka spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// Whether its connections are encrypted.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether its clients authenticate by SASL.
    pub fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Its number in metadata records.
    pub(crate) fn wire(self) -> i16 {
        match self {
            Self::Plaintext => 0,
            Self::Ssl => 1,
            Self::SaslPlaintext => 2,
            Self::SaslSsl => 3,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A listener as the properties have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Its name, upper case.
    pub name: String,
    /// How it is protected.
    pub protocol: SecurityProtocol,
    /// The address to listen on; all of this machine's where it was left out.
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
}

impl ListenerConfig {
    /// `HOST:PORT`, an IPv6 address in brackets.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl BrokerConfig {
    /// The listeners for clients that `listeners` names, in its order; none where it is not set. Those of controllers are left out: this broker
    /// is its own.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], which says what would be right.
    pub fn listeners(&self) -> Result<Vec<ListenerConfig>, ConfigError> {
        if !self.is_set("listeners") {
            return Ok(Vec::new());
        }
        let controllers = names(self.property("controller.listener.names").unwrap_or_default());
        let mut listeners: Vec<ListenerConfig> = Vec::new();
        for text in names(self.property("listeners").unwrap_or_default()) {
            let (name, host, port) = end_point("listeners", text)?;
            if controllers.iter().any(|controller| controller.eq_ignore_ascii_case(&name)) {
                continue;
            }
            if listeners.iter().any(|listener| listener.name == name) {
                return Err(ConfigError::Invalid(format!("listeners has {name} twice; give one of them another name")));
            }
            let host = if host.is_empty() { "0.0.0.0".to_owned() } else { host };
            listeners.push(ListenerConfig { protocol: self.protocol_of(&name)?, name, host, port });
        }
        if listeners.is_empty() {
            return Err(ConfigError::Invalid("listeners names none for clients".to_owned()));
        }
        Ok(listeners)
    }

    /// What `advertised.listeners` says of a listener: host and port.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] where it cannot be read.
    pub fn advertised_listener(&self, name: &str) -> Result<Option<(String, u16)>, ConfigError> {
        for text in names(self.property("advertised.listeners").unwrap_or_default()) {
            let (listener, host, port) = end_point("advertised.listeners", text)?;
            if listener.eq_ignore_ascii_case(name) {
                return Ok(Some((host, port)));
            }
        }
        Ok(None)
    }

    /// Name, advertised address and protection of every listener, for the broker's own entry in the metadata.
    pub(crate) fn end_points(&self) -> Vec<(String, String, u16, SecurityProtocol)> {
        let listeners = self.listeners().unwrap_or_default();
        if listeners.is_empty() {
            let name = SecurityProtocol::Plaintext.name().to_owned();
            return vec![(name, self.advertised_host.clone(), self.advertised_port, SecurityProtocol::Plaintext)];
        }
        let end_point = |listener: ListenerConfig| {
            let (host, port) = self.advertised(&listener.name);
            (listener.name.clone(), host.to_owned(), port, listener.protocol)
        };
        listeners.into_iter().map(end_point).collect()
    }

    fn protocol_of(&self, listener: &str) -> Result<SecurityProtocol, ConfigError> {
        let map = self.property("listener.security.protocol.map").unwrap_or_default();
        for entry in names(map) {
            let protocol = entry
                .split_once(':')
                .and_then(|(name, protocol)| Some((name.trim(), SecurityProtocol::named(protocol.trim())?)));
            let Some((name, protocol)) = protocol else {
                return Err(ConfigError::Invalid(format!(
                    "listener.security.protocol.map has \"{entry}\"; write NAME:PROTOCOL, where the protocol is one of PLAINTEXT, SSL, \
                     SASL_PLAINTEXT, SASL_SSL"
                )));
            };
            if name.eq_ignore_ascii_case(listener) {
                return Ok(protocol);
            }
        }
        SecurityProtocol::named(listener).ok_or_else(|| {
            ConfigError::Invalid(format!(
                "nothing says how listener {listener} is protected; add {listener}:SSL, or another protocol, to listener.security.protocol.map"
            ))
        })
    }

    /// A property as it holds for a listener: its own (`listener.name.NAME.…`), else everyone's.
    pub fn listener_property(&self, listener: &str, property: &str) -> Option<&str> {
        self.own_property(&format!("listener.name.{}.{property}", listener.to_ascii_lowercase()))
            .or_else(|| self.property(property))
    }

    /// A property as it holds for a mechanism of SASL on a listener.
    pub fn mechanism_property(&self, listener: &str, mechanism: &str, property: &str) -> Option<&str> {
        let (listener, mechanism) = (listener.to_ascii_lowercase(), mechanism.to_ascii_lowercase());
        self.own_property(&format!("listener.name.{listener}.{mechanism}.{property}"))
            .or_else(|| self.own_property(&format!("listener.name.{listener}.{property}")))
            .or_else(|| self.own_property(&format!("{mechanism}.{property}")))
            .or_else(|| self.property(property))
    }

    fn own_property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }
}

/// The property behind a listener's or mechanism's prefix, and the name under which it is kept; `None` where there is no prefix.
pub(super) fn without_prefix(name: &str) -> Option<(String, &str)> {
    let behind_listener = match name.strip_prefix("listener.name.") {
        Some(rest) => Some(rest.split_once('.')?.1),
        None => None,
    };
    let rest = behind_listener.unwrap_or(name);
    let mechanism =
        ["plain.", "scram-sha-256.", "scram-sha-512.", "oauthbearer.", "gssapi."].iter().find_map(|known| {
            let prefix = rest.get(..known.len())?;
            prefix.eq_ignore_ascii_case(known).then(|| &rest[known.len()..])
        });
    let property = mechanism.or(behind_listener)?;
    let prefix = &name[..name.len() - property.len()];
    Some((format!("{}{property}", prefix.to_ascii_lowercase()), property))
}

fn names(list: &str) -> Vec<&str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

/// `NAME://HOST:PORT`.
fn end_point(property: &str, text: &str) -> Result<(String, String, u16), ConfigError> {
    let parsed = text.split_once("://").and_then(|(name, address)| {
        let (host, port) = address.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        valid.then_some((name.to_ascii_uppercase(), host, port.parse().ok()?))
    });
    parsed.ok_or_else(|| {
        ConfigError::Invalid(format!(
            "{property} has \"{text}\"; write NAME://HOST:PORT, as in SASL_SSL://0.0.0.0:9093"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(properties: &[(&str, &str)]) -> BrokerConfig {
        let mut config = BrokerConfig::new("/data");
        for (name, value) in properties {
            config.set(name, value).unwrap();
        }
        config
    }

    #[test]
    fn listeners_have_a_name_a_protocol_and_an_address() {
        let config = config(&[
            ("listeners", "PLAINTEXT://127.0.0.1:9092, Outside://:0,CONTROLLER://[::1]:9094,V6://[::1]:1"),
            ("listener.security.protocol.map", "plaintext:PLAINTEXT,OUTSIDE:sasl_ssl,CONTROLLER:PLAINTEXT,V6:SSL"),
            ("controller.listener.names", "CONTROLLER"),
            ("advertised.listeners", "PLAINTEXT://inside:1,OUTSIDE://outside:2"),
        ]);
        let found: Vec<_> = config
            .listeners()
            .unwrap()
            .into_iter()
            .map(|listener| format!("{} {} {}", listener.name, listener.protocol, listener.address()))
            .collect();
        assert_eq!(found, ["PLAINTEXT PLAINTEXT 127.0.0.1:9092", "OUTSIDE SASL_SSL 0.0.0.0:0", "V6 SSL [::1]:1"]);
        assert_eq!(config.advertised_listener("outside").unwrap(), Some(("outside".to_owned(), 2)));
        assert_eq!(config.advertised_listener("V6").unwrap(), None);
    }

    #[test]
    fn what_cannot_be_is_said_with_what_would_be_right() {
        for (listeners, says) in [
            ("127.0.0.1:9092", "write NAME://HOST:PORT"),
            ("SSL://x", "write NAME://HOST:PORT"),
            ("SSL://x:99999", "write NAME://HOST:PORT"),
            ("OUTSIDE://x:1", "add OUTSIDE:SSL"),
            ("SSL://x:1,SSL://x:2", "twice"),
            (" , ", "none for clients"),
        ] {
            let error = config(&[("listeners", listeners)]).listeners().unwrap_err();
            assert!(error.to_string().contains(says), "{listeners}: {error}");
        }
        let wrong = config(&[("listeners", "SSL://x:1"), ("listener.security.protocol.map", "SSL:TLS")]);
        assert!(wrong.listeners().unwrap_err().to_string().contains("SSL:TLS"));
    }

    #[test]
    fn a_listener_s_own_property_comes_first() {
        let config = config(&[
            ("ssl.client.auth", "requested"),
            ("listener.name.MTLS.ssl.client.auth", "required"),
            ("listener.name.outside.scram-sha-256.sasl.jaas.config", "x"),
            ("plain.sasl.jaas.config", "y"),
        ]);
        assert_eq!(config.listener_property("mtls", "ssl.client.auth"), Some("required"));
        assert_eq!(config.listener_property("SSL", "ssl.client.auth"), Some("requested"));
        assert_eq!(config.mechanism_property("OUTSIDE", "SCRAM-SHA-256", "sasl.jaas.config"), Some("x"));
        assert_eq!(config.mechanism_property("OUTSIDE", "PLAIN", "sasl.jaas.config"), Some("y"));
        let mut config = config;
        assert!(config.set("listener.name.mtls.ssl.client.auth", "maybe").is_err());
        assert!(config.set("listener.name.mtls.ssl.client.auht", "none").is_err());
        assert!(config.set("listener.name.mtls", "none").is_err());
    }
}
