//! Kafka's checkpoint files: a version, a count, and a line for each entry.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::disk::Disk;

/// `recovery-point-offset-checkpoint`: up to where each partition is known to be durable.
pub const RECOVERY_POINT: &str = "recovery-point-offset-checkpoint";
/// `log-start-offset-checkpoint`: where each partition starts, where that is not the start of a segment.
pub const LOG_START_OFFSET: &str = "log-start-offset-checkpoint";
/// `replication-offset-checkpoint`: each partition's high watermark.
pub const REPLICATION_OFFSET: &str = "replication-offset-checkpoint";

/// `cleaner-offset-checkpoint`: up to where each compacted partition is clean.
pub const CLEANER_OFFSET: &str = "cleaner-offset-checkpoint";

/// Offsets by topic and partition.
pub type Offsets = BTreeMap<(String, i32), i64>;

/// Reads an offset checkpoint ([`RECOVERY_POINT`], [`LOG_START_OFFSET`], [`REPLICATION_OFFSET`], [`CLEANER_OFFSET`]); empty where the file is not there.
///
/// # Errors
/// What the disk says; [`io::ErrorKind::InvalidData`] where it is no checkpoint.
pub fn read_offsets(disk: &dyn Disk, path: &Path) -> io::Result<Offsets> {
    let lines = match read_lines(disk, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Offsets::new()),
        lines => lines?,
    };
    let entry = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let topic = fields.next()?.to_owned();
        let partition = fields.next()?.parse().ok()?;
        let offset = fields.next()?.parse().ok()?;
        fields.next().is_none().then_some(((topic, partition), offset))
    };
    lines.iter().map(|line| entry(line).ok_or_else(|| malformed(path, line))).collect()
}

/// Replaces an offset checkpoint.
///
/// # Errors
/// What the disk says.
pub fn write_offsets(disk: &dyn Disk, path: &Path, offsets: &Offsets) -> io::Result<()> {
    let lines = offsets.iter().map(|((topic, partition), offset)| format!("{topic} {partition} {offset}"));
    disk.write_atomic(path, to_text(lines).as_bytes())
}

pub(crate) fn to_text(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    let mut text = format!("0\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

pub(crate) fn read_lines(disk: &dyn Disk, path: &Path) -> io::Result<Vec<String>> {
    let bytes = disk.read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed(path, "not UTF-8"))?;
    let mut lines = text.lines();
    if lines.next() != Some("0") {
        return Err(malformed(path, "the version is not 0"));
    }
    let count: usize =
        lines.next().and_then(|line| line.parse().ok()).ok_or_else(|| malformed(path, "there is no count"))?;
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    if lines.len() != count {
        return Err(malformed(path, "the count is wrong"));
    }
    Ok(lines)
}

pub(crate) fn malformed(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}
