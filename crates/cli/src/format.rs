//! How `consume` writes a record: its value alone, one JSON object a line, or a text with `%` escapes.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::failure::Failure;

/// What is shown of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970; below zero where the record has none.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

/// One way to write records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The value and a line's end: what `consume | grep` wants.
    Value,
    /// One object a line, lossless.
    Json,
    /// Two lines for people.
    Human,
    /// A text with escapes.
    Text(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(String),
    Topic,
    Partition,
    Offset,
    Key,
    Value,
    Headers,
    Timestamp,
}

impl Layout {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "json" => return Ok(Self::Json),
            "value" => return Ok(Self::Value),
            "table" => return Ok(Self::Human),
            _ if !text.contains('%') => {
                return Err(Failure::usage(format!("'{text}' is not an output format"))
                    .fix("-f json, -f value, or a text with %t %p %o %k %v %h %T, as -f '%p@%o %k %v\\n'"));
            }
            _ => {}
        }
        let text = crate::args::unescape(text);
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                literal.push(c);
                continue;
            }
            let part = match chars.next() {
                Some('t') => Part::Topic,
                Some('p') => Part::Partition,
                Some('o') => Part::Offset,
                Some('k') => Part::Key,
                Some('v' | 's') => Part::Value,
                Some('h') => Part::Headers,
                Some('T') => Part::Timestamp,
                Some('%') => {
                    literal.push('%');
                    continue;
                }
                other => {
                    let escape = other.map(String::from).unwrap_or_default();
                    return Err(Failure::usage(format!("%{escape} is not known in a format")).fix(
                        "known are %t topic, %p partition, %o offset, %k key, %v value, %h headers, %T timestamp, %%",
                    ));
                }
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self::Text(parts))
    }

    /// Whether what it writes can be read back into the same records.
    pub(crate) fn is_lossless(&self, record: &Shown<'_>) -> bool {
        match self {
            Self::Value => record.value.is_some_and(|v| !v.contains(&b'\n') && std::str::from_utf8(v).is_ok()),
            Self::Json | Self::Human | Self::Text(_) => true,
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>, record: &Shown<'_>) {
        match self {
            Self::Value => {
                out.extend_from_slice(record.value.unwrap_or_default());
                out.push(b'\n');
            }
            Self::Json => {
                out.extend_from_slice(as_json(record).to_string().as_bytes());
                out.push(b'\n');
            }
            Self::Human => write_human(out, record),
            Self::Text(parts) => {
                for part in parts {
                    write_part(out, part, record);
                }
            }
        }
    }
}

fn write_human(out: &mut Vec<u8>, record: &Shown<'_>) {
    let mut head = format!("{}[{}] @ {}", record.topic, record.partition, record.offset);
    if let Ok(timestamp) = jiff::Timestamp::from_millisecond(record.timestamp)
        && record.timestamp >= 0
    {
        let local = timestamp.to_zoned(jiff::tz::TimeZone::system());
        let _ = write!(head, "  {}", local.strftime("%Y-%m-%d %H:%M:%S%.3f"));
    }
    if let Some(key) = record.key {
        let _ = write!(head, "  key {}", readable(key));
    }
    out.extend_from_slice(head.as_bytes());
    out.push(b'\n');
    for (name, value) in record.headers {
        let value = value.map_or("null".into(), readable);
        out.extend_from_slice(format!("  {}  {value}\n", readable(name)).as_bytes());
    }
    out.extend_from_slice(format!("  {}\n", record.value.map_or("null".into(), readable)).as_bytes());
}

/// Text as it is, else hexadecimal.
fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn write_part(out: &mut Vec<u8>, part: &Part, record: &Shown<'_>) {
    match part {
        Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
        Part::Topic => out.extend_from_slice(record.topic.as_bytes()),
        Part::Partition => out.extend_from_slice(record.partition.to_string().as_bytes()),
        Part::Offset => out.extend_from_slice(record.offset.to_string().as_bytes()),
        Part::Timestamp => out.extend_from_slice(record.timestamp.to_string().as_bytes()),
        Part::Key => out.extend_from_slice(record.key.unwrap_or_default()),
        Part::Value => out.extend_from_slice(record.value.unwrap_or_default()),
        Part::Headers => {
            for (at, (name, value)) in record.headers.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(name);
                out.push(b'=');
                out.extend_from_slice(value.unwrap_or_default());
            }
        }
    }
}

/// A record as an object; bytes that are not UTF-8 stand as `{"hex": …}`.
fn as_json(record: &Shown<'_>) -> Value {
    let headers: Vec<Value> =
        record.headers.iter().map(|(name, value)| json!({"name": text(Some(name)), "value": text(*value)})).collect();
    json!({
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": text(record.key),
        "value": text(record.value),
        "headers": headers,
    })
}

fn text(bytes: Option<&[u8]>) -> Value {
    match bytes.map(std::str::from_utf8) {
        None => Value::Null,
        Some(Ok(text)) => Value::String(text.to_owned()),
        Some(Err(_)) => json!({"hex": bytes.map(|b| hex(b)[2..].to_owned())}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Shown<'_> = Shown {
        topic: "t",
        partition: 1,
        offset: 7,
        timestamp: 1_000,
        key: Some(b"k"),
        value: Some(b"v"),
        headers: &[(b"h", None), (b"h", Some(b"2"))],
    };

    fn written(layout: &str, record: &Shown<'_>) -> String {
        let mut out = Vec::new();
        Layout::parse(layout).unwrap().write(&mut out, record);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_stand_for_the_records_parts() {
        assert_eq!(written(r"%t[%p]@%o %k=%v %h %T%%\n", &RECORD), "t[1]@7 k=v h=,h=2 1000%\n");
    }

    #[test]
    fn json_keeps_null_apart_from_empty_and_bytes_apart_from_text() {
        let record = Shown { key: None, value: Some(b"\xff"), headers: &[], ..RECORD };
        let json: Value = serde_json::from_str(&written("json", &record)).unwrap();
        assert_eq!(json["key"], Value::Null);
        assert_eq!(json["value"]["hex"], "ff");
    }

    #[test]
    fn an_unknown_format_says_what_is_known() {
        assert!(Layout::parse("yaml").is_err());
        assert!(Layout::parse("%q").unwrap_err().what.contains("%q"));
    }
}
