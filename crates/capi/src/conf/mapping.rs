//! From librdkafka's properties to those of our client.

use felice::config::find_property;
use felice::{Defaults, Properties};

use super::table::{Kind, Scope, properties};
use super::{Conf, TopicConf};

/// Properties that our client knows under the same name with another meaning.
const OTHERS: &[&str] = &[
    // Here it is how long a topic is remembered; our client's is when it is looked up again, which here is called
    // topic.metadata.refresh.interval.ms.
    "metadata.max.age.ms",
    // Of topics; of consumers there.
    "auto.commit.enable",
    // Of topics, and handled by itself.
    "request.timeout.ms",
    "compression.codec",
    // Numbers that our client names.
    "request.required.acks",
];

impl Conf {
    /// The settings of our client that follow from these.
    ///
    /// # Errors
    /// Where our client refuses a value that librdkafka accepts.
    pub(super) fn properties(&self) -> Result<Properties, String> {
        let mut mapped = Properties::with_defaults(Defaults::Librdkafka);
        let secured = self.text("security.protocol").is_some_and(|name| name.to_ascii_lowercase().ends_with("ssl"));
        let alone = secured && self.is_certificate_alone()?;
        for property in properties(Scope::Global) {
            let known = find_property(property.name).is_some() && !OTHERS.contains(&property.name);
            let is_left_out = alone && property.name.starts_with("ssl.certificate.");
            if !known || is_left_out || self.values.current(property.name).is_none() {
                continue;
            }
            let value = match property.kind {
                Kind::Float { .. } => Some(self.values.float(property.name).to_string()),
                _ => self.values.shown(property),
            };
            if let Some(value) = value {
                put(&mut mapped, property.name, &value)?;
            }
        }
        let pem = [
            ("ssl.certificate.pem", if alone { &None } else { &self.certificates.certificate }),
            ("ssl.key.pem", &self.certificates.key),
            ("ssl.ca.pem", &self.certificates.ca),
        ];
        for (name, pem) in pem {
            if let Some(pem) = pem {
                put(&mut mapped, name, pem)?;
            }
        }
        for (name, value) in self.topic.properties(self) {
            put(&mut mapped, name, &value)?;
        }
        Ok(mapped)
    }
}

impl TopicConf {
    /// The settings of our client's producers that follow from these.
    pub(crate) fn properties(&self, conf: &Conf) -> Vec<(&'static str, String)> {
        let mut mapped = Vec::new();
        for property in properties(Scope::Topic) {
            let known = find_property(property.name).is_some() && !OTHERS.contains(&property.name);
            let global = super::find_exact(Scope::Global, property.name).is_some();
            if !known || global || self.values.current(property.name).is_none() {
                continue;
            }
            if let Some(value) = self.values.shown(property) {
                mapped.push((property.name, value));
            }
        }
        let acks = match self.int("acks") {
            0 => "0",
            1 => "1",
            // Brokers know no other number.
            _ => "all",
        };
        mapped.push(("acks", acks.to_owned()));
        mapped.push(("request.timeout.produce.ms", self.int("request.timeout.ms").to_string()));
        let codec = match self.text("compression.codec") {
            Some("inherit") | None => conf.text("compression.codec").unwrap_or("none"),
            Some(own) => own,
        };
        mapped.push(("compression.type", codec.to_owned()));
        mapped
    }
}

fn put(mapped: &mut Properties, name: &str, value: &str) -> Result<(), String> {
    mapped.set(name, value).map_err(|error| error.message().to_owned())
}
