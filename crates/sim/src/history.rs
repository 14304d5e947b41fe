//! What happened in a world, as its applications and its operator saw it: the checkers' input, and the text that two runs of a seed must share.

use std::collections::BTreeMap;
use std::fmt;

use felice_client_core::error::Persisted;

use crate::clock::Clock;
use crate::group_history::GroupEvent;

/// A record's identity, which travels in its value: no two records of a world share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    /// Which producer made it.
    pub producer: u32,
    /// The how-manieth of that producer, in the order in which it was handed over.
    pub number: u64,
}

impl RecordId {
    /// The value of the record: its identity, and filling up to a size.
    pub fn to_value(self, size: usize) -> Vec<u8> {
        let mut value = Vec::with_capacity(size.max(16));
        value.extend_from_slice(b"rec!");
        value.extend_from_slice(&self.producer.to_be_bytes());
        value.extend_from_slice(&self.number.to_be_bytes());
        while value.len() < size {
            // some of it compresses, some does not
            value.push(u8::try_from((self.number.wrapping_mul(31) >> (value.len() % 7)) & 0xff).unwrap_or(0));
        }
        value
    }

    /// Reads it back; `None` for bytes that no producer of this world wrote.
    pub fn from_value(value: &[u8]) -> Option<Self> {
        let value = value.strip_prefix(b"rec!")?;
        let (producer, rest) = value.split_first_chunk::<4>()?;
        let (number, _) = rest.split_first_chunk::<8>()?;
        Some(Self { producer: u32::from_be_bytes(*producer), number: u64::from_be_bytes(*number) })
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}#{}", self.producer, self.number)
    }
}

/// What each partition's log has, by offset.
pub type Contents = BTreeMap<i32, BTreeMap<i64, RecordId>>;

/// What a producer was promised about its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// An acknowledged record stays (acks other than 0).
    pub kept: bool,
    /// A record is never written twice, and order holds (idempotence).
    pub once: bool,
}

/// How the broker went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// It stopped in order.
    Shutdown,
    /// Its process died; the page cache did not.
    Process,
    /// The machine died.
    Machine,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// An application handed a record over.
    Sent {
        /// Which.
        record: RecordId,
        /// With what promise.
        promise: Promise,
    },
    /// A record was reported as written.
    Acknowledged {
        /// Which.
        record: RecordId,
        /// Where.
        partition: i32,
        /// At which offset, if the broker said.
        offset: Option<i64>,
    },
    /// A record was reported as not delivered.
    Failed {
        /// Which.
        record: RecordId,
        /// Whether it may be in the log all the same.
        persisted: Persisted,
        /// Why.
        error: String,
    },
    /// A reader was sent to an offset, or (with none) looked for a new position by itself.
    Sought {
        /// Which reader.
        reader: usize,
        /// Of which partition.
        partition: i32,
        /// Where to.
        offset: Option<i64>,
    },
    /// A reader got a record.
    Read {
        /// Which reader.
        reader: usize,
        /// Of which partition.
        partition: i32,
        /// At which offset.
        offset: i64,
        /// Which record.
        record: RecordId,
    },
    /// The broker is up (again).
    Started {
        /// How it had gone down.
        after: Outage,
        /// Whether everything acknowledged and read up to now must still be there.
        keeps_all: bool,
        /// What its files have, read past the broker.
        contents: Contents,
    },
    /// A fault began or ended.
    Fault(String),
    /// The world is at rest.
    Settled {
        /// What the broker's files have, read past the broker.
        contents: Contents,
    },
    /// Something happened in a consumer group.
    Group(GroupEvent),
    /// Something nobody promises anything about, for the reader of a trace.
    Note(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { record, .. } => write!(f, "sent         {record}"),
            Self::Acknowledged { record, partition, offset: Some(offset) } => {
                write!(f, "acknowledged {record} at {partition}@{offset}")
            }
            Self::Acknowledged { record, partition, offset: None } => write!(f, "acknowledged {record} at {partition}"),
            Self::Failed { record, persisted, error } => {
                write!(f, "failed       {record} persisted {persisted:?}: {error}")
            }
            Self::Sought { reader, partition, offset } => write!(f, "sought       r{reader} {partition}@{offset:?}"),
            Self::Read { reader, partition, offset, record } => {
                write!(f, "read         r{reader} {partition}@{offset} {record}")
            }
            Self::Started { after, contents, .. } => write!(f, "started      after {after:?}, {}", Ends(contents)),
            Self::Fault(text) => write!(f, "fault        {text}"),
            Self::Settled { contents } => write!(f, "settled      {}", Ends(contents)),
            Self::Group(event) => event.fmt(f),
            Self::Note(text) => write!(f, "note         {text}"),
        }
    }
}

struct Ends<'a>(&'a Contents);

impl fmt::Display for Ends<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the log has")?;
        for (partition, records) in self.0 {
            match (records.first_key_value(), records.last_key_value()) {
                (Some((first, _)), Some((last, _))) => write!(f, " {partition}@{first}..={last}")?,
                _ => write!(f, " {partition}@-")?,
            }
        }
        Ok(())
    }
}

/// The history's text as a hash, and whole where it is wanted.
#[derive(Debug)]
pub struct History {
    hash: u64,
    lines: u64,
    text: Option<String>,
    trace: bool,
    line: String,
}

impl History {
    /// An empty history; `keep` keeps its text, `trace` prints it as it grows.
    pub fn new(keep: bool, trace: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: 0, text: keep.then(String::new), trace, line: String::new() }
    }

    /// Adds what happened.
    pub fn add(&mut self, clock: Clock, event: &dyn fmt::Display) {
        use fmt::Write as _;
        self.line.clear();
        let _ = writeln!(self.line, "{clock} {event}");
        // FNV-1a: the hash tells runs apart, it defends against nobody
        for byte in self.line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.lines += 1;
        if let Some(text) = &mut self.text {
            text.push_str(&self.line);
        }
        if self.trace {
            eprint!("{}", self.line);
        }
    }

    /// Prints a line of the trace that is no part of the history.
    pub fn trace(&self, clock: Clock, text: fmt::Arguments<'_>) {
        if self.trace {
            eprintln!("{clock}   . {text}");
        }
    }

    /// The hash of all lines.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many lines there are.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The text, where it was kept.
    pub fn into_text(self) -> String {
        self.text.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_s_identity_comes_back_from_its_value() {
        let record = RecordId { producer: 3, number: 1 << 40 };
        assert_eq!(RecordId::from_value(&record.to_value(100)), Some(record));
        assert_eq!(RecordId::from_value(&record.to_value(0)), Some(record));
        assert_eq!(RecordId::from_value(b"rec!"), None);
    }
}
