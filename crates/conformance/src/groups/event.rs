//! What a member's program tells: one line of JSON an event.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::Value;

/// One event with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Microseconds since 1970, by the clock that all programs of the machine share.
    pub at: i64,
    /// What happened.
    pub event: Event,
}

/// What a member can tell. A partition is `TOPIC-NUMBER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client's name and version.
    Client(String),
    /// These partitions came in addition.
    Assigned(Vec<String>),
    /// These were given back, after their offsets had been committed.
    Revoked(Vec<String>),
    /// These were taken away: the member was thought dead.
    Lost(Vec<String>),
    /// Records `key:value` with offsets that follow each other.
    Records {
        /// Where they lie.
        partition: String,
        /// The first record's offset.
        offset: i64,
        /// Their keys and values.
        values: Vec<String>,
    },
    /// Next offsets that the coordinator accepted.
    Committed(BTreeMap<String, i64>),
    /// An answer to the command `offsets`: what is committed (-1: nothing), and the ends.
    Offsets {
        /// As the coordinator says.
        committed: BTreeMap<String, i64>,
        /// As the partitions' leaders say.
        end: BTreeMap<String, i64>,
    },
    /// The member closed its consumer.
    Left,
    /// The program ends with an error.
    Failed(String),
}

/// Reads one line.
///
/// # Errors
/// When it is no event.
pub fn parse(line: &str) -> anyhow::Result<Told> {
    let json: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line:.200}"))?;
    let at = json["at"].as_i64().with_context(|| format!("no time: {line:.200}"))?;
    let text = |name: &str| json[name].as_str().map(str::to_owned).with_context(|| format!("no {name}: {line:.200}"));
    let texts = |name: &str| -> anyhow::Result<Vec<String>> {
        let values = json[name].as_array().with_context(|| format!("no {name}: {line:.200}"))?;
        values.iter().map(|v| v.as_str().map(str::to_owned).with_context(|| format!("{name}: {v}"))).collect()
    };
    let offsets = |name: &str| -> anyhow::Result<BTreeMap<String, i64>> {
        let values = json[name].as_object().with_context(|| format!("no {name}: {line:.200}"))?;
        values.iter().map(|(p, o)| Ok((p.clone(), o.as_i64().with_context(|| format!("{name}: {o}"))?))).collect()
    };
    let event = match json["event"].as_str() {
        Some("client") => Event::Client(text("name")?),
        Some("assigned") => Event::Assigned(texts("partitions")?),
        Some("revoked") => Event::Revoked(texts("partitions")?),
        Some("lost") => Event::Lost(texts("partitions")?),
        Some("records") => Event::Records {
            partition: text("partition")?,
            offset: json["offset"].as_i64().with_context(|| format!("no offset: {line:.200}"))?,
            values: texts("values")?,
        },
        Some("committed") => Event::Committed(offsets("offsets")?),
        Some("offsets") => Event::Offsets { committed: offsets("committed")?, end: offsets("end")? },
        Some("left") => Event::Left,
        Some("failed") => Event::Failed(text("error")?),
        _ => bail!("no event: {line:.200}"),
    };
    Ok(Told { at, event })
}
