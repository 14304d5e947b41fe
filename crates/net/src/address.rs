use std::fmt;
use std::str::FromStr;

/// A host and a port, as in `bootstrap.servers`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// A name or an IP address, an IPv6 one without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Text that is not `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an address: write host:port, an IPv6 address in brackets ([::1]:9092)")]
pub struct AddressError(pub String);

impl HostPort {
    /// Parses `host:port`; without a port, `default_port` is taken.
    ///
    /// # Errors
    /// [`AddressError`] where there is no host, or something other than a port behind the colon.
    pub fn parse_or(text: &str, default_port: u16) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        let trimmed = text.trim();
        // A property may name the listener as well (`SASL_SSL://host:9093`), as Kafka allows.
        let address = trimmed.rsplit_once("://").map_or(trimmed, |(_, address)| address);
        let (host, port) = if let Some(bracketed) = address.strip_prefix('[') {
            let (host, rest) = bracketed.split_once(']').ok_or_else(wrong)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(wrong()),
            }
        } else {
            match address.rsplit_once(':') {
                // Two colons without brackets: an IPv6 address, whose end cannot be told from a port.
                Some((host, _)) if host.contains(':') => return Err(wrong()),
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            }
        };
        if host.is_empty() || host.contains(['/', ' ', ',']) {
            return Err(wrong());
        }
        let port = match port {
            Some(port) => port.parse().map_err(|_| wrong())?,
            None => default_port,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl FromStr for HostPort {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let parsed = Self::parse_or(text, 0)?;
        if parsed.port == 0 && !text.trim_end().ends_with(":0") {
            return Err(AddressError(text.to_owned()));
        }
        Ok(parsed)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_listener_names_are_understood() {
        let parsed = |text: &str| text.parse::<HostPort>().unwrap().to_string();
        assert_eq!(parsed("b1.example:9093"), "b1.example:9093");
        assert_eq!(parsed("[::1]:9092"), "[::1]:9092");
        assert_eq!(parsed(" SASL_SSL://b1:9094 "), "b1:9094");
        assert_eq!(HostPort::parse_or("b1", 9092).unwrap().to_string(), "b1:9092");
        for wrong in ["", "b1", ":9092", "b1:", "b1:x", "::1:9092", "[::1", "[::1]x", "b1:70000", "a,b:1"] {
            assert!(wrong.parse::<HostPort>().is_err(), "{wrong}");
        }
    }
}
