//! Apache Kafka's Java client as the other end: what one side writes the other reads, compared as lines of text.

use std::time::Duration;

use anyhow::anyhow;

use super::java_source;
use crate::{Failure, process};

const WITHIN: Duration = Duration::from_secs(180);

/// A record in the form in which two clients' views are compared: `partition offset timestamp key value header=value...`, bytes as `x`
/// and hexadecimal digits, null as `~`.
pub fn line<'a>(
    (partition, offset): (i32, i64),
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = (impl AsRef<str>, Option<&'a [u8]>)>,
) -> String {
    let mut line = format!("{partition} {offset} {timestamp} {} {}", text(key), text(value));
    for (name, value) in headers {
        line += &format!(" {}={}", name.as_ref(), text(value));
    }
    line
}

fn text(bytes: Option<&[u8]>) -> String {
    use std::fmt::Write;
    let Some(bytes) = bytes else { return "~".to_owned() };
    let mut text = String::with_capacity(1 + 2 * bytes.len());
    text.push('x');
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Java writes `count` records in each of the five codecs; their lines as acknowledged, sorted.
///
/// # Errors
/// [`Failure::Skip`] without Java or Kafka's jars; otherwise what Java said.
pub fn java_writes(bootstrap: &str, topic: &str, count: usize) -> Result<Vec<String>, Failure> {
    exchange(&["write", bootstrap, topic, &count.to_string()])
}

/// Java reads the topic from its beginning to its end; the lines, sorted.
///
/// # Errors
/// As [`java_writes`].
pub fn java_reads(bootstrap: &str, topic: &str) -> Result<Vec<String>, Failure> {
    exchange(&["read", bootstrap, topic])
}

fn exchange(arguments: &[&str]) -> Result<Vec<String>, Failure> {
    let finished = process::run(java_source("Exchange.java")?.args(arguments), "", WITHIN)?;
    if !finished.status.success() {
        return Err(anyhow!("Java: {}", process::tail(&finished.stderr)).into());
    }
    let mut lines: Vec<_> = finished.stdout.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    Ok(lines)
}

/// Panics with the first line that differs, shortened, unless both lists are the same.
///
/// # Panics
/// When they differ: for use in tests.
pub fn assert_same(expected: &[String], got: &[String]) {
    for (expected, got) in expected.iter().zip(got) {
        assert!(expected == got, "went in: {:.200}\ncame out: {:.200}", expected, got);
    }
    assert_eq!(expected.len(), got.len(), "number of records");
}
