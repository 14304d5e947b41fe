//! Configuration: one table of properties ([`table`]), a set of values by name ([`Properties`]), and the typed settings that the cores read
//! from it ([`ClientConfig`], [`ProducerConfig`], [`FetchConfig`], [`ConsumerConfig`]).

mod consumer;
mod settings;
pub mod table;

pub use consumer::{ConsumerConfig, GroupProtocol};
pub use settings::{
    Acks, ClientConfig, FetchConfig, IsolationLevel, OffsetReset, Partitioner, ProducerConfig, SaslConfig,
    SaslMechanism, Secret, TlsConfig,
};

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind};
use table::{Kind, PROPERTIES, Property};

/// Whose defaults hold for a property that is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Defaults {
    /// Felice's own.
    #[default]
    Felice,
    /// Apache Kafka's Java client's.
    Java,
    /// librdkafka's; the C ABI uses these.
    Librdkafka,
}

/// Values by property name. Java's and librdkafka's names are both understood; an unknown one is an error that proposes the nearest.
///
/// ```
/// use felice_client_core::config::Properties;
/// let mut properties = Properties::default();
/// properties.set("queue.buffering.max.ms", "20").unwrap();
/// assert_eq!(properties.value("linger.ms"), Some("20"));
/// let error = properties.set("bootstrap.server", "x:1").unwrap_err();
/// assert!(error.to_string().contains("bootstrap.servers"), "{error}");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Properties {
    defaults: Defaults,
    values: BTreeMap<&'static str, Secret>,
}

impl Properties {
    /// No values; what is not set falls back to these defaults.
    pub fn with_defaults(defaults: Defaults) -> Self {
        Self { defaults, values: BTreeMap::new() }
    }

    /// Sets one property by any of its names.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an unknown name or a value that does not fit.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let Some(property) = find(name) else {
            let nearest = nearest(name);
            return Err(Error::new(
                ErrorKind::Config,
                format!("no property is called \"{name}\"; did you mean \"{nearest}\"?"),
            )
            .hinting(format!("use {nearest}")));
        };
        property.check(value.trim())?;
        self.values.insert(property.name, Secret::new(value.trim()));
        Ok(())
    }

    /// The value of a property, or its default; `None` where it has neither or is not known.
    pub fn value(&self, name: &str) -> Option<&str> {
        let property = find(name)?;
        match self.values.get(property.name) {
            Some(value) => Some(value.reveal()),
            None => property.default_of(self.defaults),
        }
    }

    /// Whether a value was set.
    pub fn is_set(&self, name: &str) -> bool {
        find(name).is_some_and(|property| self.values.contains_key(property.name))
    }
}

/// The property of this name or alias.
pub fn find(name: &str) -> Option<&'static Property> {
    PROPERTIES.iter().find(|p| p.name == name || p.aliases.contains(&name))
}

/// The known name nearest to an unknown one.
pub fn nearest(name: &str) -> &'static str {
    let names = PROPERTIES.iter().flat_map(|p| std::iter::once(p.name).chain(p.aliases.iter().copied()));
    names.min_by_key(|known| distance(name, known)).unwrap_or("bootstrap.servers")
}

/// Edit distance by insertions, deletions and replacements.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl Property {
    /// The default under these defaults; `None` where the property has none.
    pub fn default_of(&self, defaults: Defaults) -> Option<&'static str> {
        let value = match defaults {
            Defaults::Felice => self.felice,
            Defaults::Java => self.java,
            Defaults::Librdkafka => self.librdkafka,
        };
        if value.is_empty() { None } else { Some(value) }
    }

    /// Checks a value against the property's type and range.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where it does not fit.
    pub fn check(&self, value: &str) -> Result<(), Error> {
        let complain = |expected: String| {
            let shown = if matches!(self.kind, Kind::Secret) { "the value" } else { value };
            Error::new(ErrorKind::Config, format!("{}: \"{shown}\" is not {expected}", self.name))
        };
        match self.kind {
            Kind::Text | Kind::List | Kind::Secret => Ok(()),
            Kind::Bool => match value {
                "true" | "false" | "1" | "0" => Ok(()),
                _ => Err(complain("true or false".into())),
            },
            Kind::Int(low, high) => match value.parse::<f64>() {
                Ok(n) if n >= low as f64 && n <= high as f64 => Ok(()),
                Ok(_) | Err(_) => Err(complain(format!("a number from {low} to {high}"))),
            },
            Kind::Enum(allowed) => {
                let fits = |known: &&str| {
                    known.eq_ignore_ascii_case(value)
                        || known.ends_with(':') && value.starts_with(*known) && value.len() > known.len()
                };
                if allowed.iter().any(fits) { Ok(()) } else { Err(complain(format!("one of {}", allowed.join(", ")))) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once_and_every_default_fits() {
        let mut seen = std::collections::BTreeSet::new();
        for property in PROPERTIES {
            for name in std::iter::once(&property.name).chain(property.aliases) {
                assert!(seen.insert(*name), "{name} twice");
            }
            for defaults in [Defaults::Felice, Defaults::Java, Defaults::Librdkafka] {
                if let Some(value) = property.default_of(defaults) {
                    property.check(value).unwrap();
                }
            }
        }
    }

    #[test]
    fn an_unknown_name_proposes_the_nearest() {
        assert_eq!(nearest("lingerms"), "linger.ms");
        assert_eq!(nearest("compresion.type"), "compression.type");
    }

    #[test]
    fn a_value_out_of_range_is_refused_and_a_secret_never_shown() {
        let mut p = Properties::default();
        assert!(p.set("acks", "2").is_err());
        assert!(p.set("linger.ms", "-1").is_err());
        p.set("sasl.password", "hunter2").unwrap();
        assert!(!format!("{p:?}").contains("hunter2"));
    }
}
