//! `__consumer_offsets` on disk, before Apache Kafka's own tool: every record is one that it knows, and together they say what is committed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::Value;

use crate::{Failure, kafka, process};

const WITHIN: Duration = Duration::from_secs(60);

/// Group, topic, partition.
pub type Place = (String, String, i32);

/// What lies in the partitions of `__consumer_offsets`.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    /// How many records there are of each type of key.
    pub types: BTreeMap<String, usize>,
    /// The last committed offset that stands there, by place.
    pub committed: BTreeMap<Place, i64>,
}

/// The directories of `__consumer_offsets` in a data directory.
///
/// # Errors
/// When the directory cannot be read, or has none.
pub fn partitions(data_dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for entry in fs::read_dir(data_dir).with_context(|| data_dir.display().to_string())? {
        let path = entry?.path();
        if path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("__consumer_offsets-")) {
            dirs.push(path);
        }
    }
    ensure!(!dirs.is_empty(), "{} has no __consumer_offsets", data_dir.display());
    dirs.sort();
    Ok(dirs)
}

/// Lets `DumpLogSegments --offsets-decoder` read all segments of `__consumer_offsets` in a data directory.
///
/// # Errors
/// [`Failure::Skip`] without Java or Kafka's jars; otherwise the first complaint of the tool, or the first record that it does not decode.
pub fn dump(data_dir: &Path) -> Result<Offsets, Failure> {
    let mut segments = Vec::new();
    for dir in partitions(data_dir)? {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "log") {
                segments.push(path.display().to_string());
            }
        }
    }
    segments.sort();
    let mut command = kafka::java(kafka::VERSION)?;
    command.args(["-XX:TieredStopAtLevel=1", "org.apache.kafka.tools.DumpLogSegments", "--offsets-decoder", "--files"]);
    let finished = process::run(command.arg(segments.join(",")), "", WITHIN)?;
    if !finished.status.success() {
        return Err(anyhow!("{}{}", process::tail(&finished.stdout), process::tail(&finished.stderr)).into());
    }
    Ok(read(&finished.stdout)?)
}

fn read(dump: &str) -> anyhow::Result<Offsets> {
    let mut offsets = Offsets::default();
    for line in dump.lines() {
        let batch = line.starts_with("baseOffset: ");
        let known =
            batch || line.starts_with("Dumping ") || line.starts_with("Log starting offset") || line.starts_with("| ");
        ensure!(known, "the tool says: {line:.300}");
        ensure!(!batch || line.ends_with("isvalid: true"), "a batch is not valid: {line:.300}");
        if line.starts_with("| ") {
            record(line, &mut offsets).with_context(|| format!("{line:.600}"))?;
        }
    }
    ensure!(!offsets.types.is_empty(), "there is no record: {dump:.300}");
    Ok(offsets)
}

fn record(line: &str, offsets: &mut Offsets) -> anyhow::Result<()> {
    let (_, rest) = line.split_once(" key: ").context("no key")?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    let key = values.next().context("no key")??;
    let payload = rest.get(values.byte_offset()..).and_then(|r| r.trim_start().strip_prefix("payload: "));
    let payload = payload.context("no payload")?;
    let kind = key["type"].as_str().context("no type")?.to_owned();
    let deleted = payload == "<DELETE>";
    let value: Value = if deleted { Value::Null } else { serde_json::from_str(payload)? };
    if !deleted && !value["version"].is_string() {
        bail!("no version");
    }
    if kind == "0" || kind == "1" {
        let text = |name: &str| key["data"][name].as_str().map(str::to_owned).with_context(|| format!("no {name}"));
        let partition = i32::try_from(key["data"]["partition"].as_i64().context("no partition")?)?;
        let place = (text("group")?, text("topic")?, partition);
        if deleted {
            offsets.committed.remove(&place);
        } else {
            offsets.committed.insert(place, value["data"]["offset"].as_i64().context("no offset")?);
        }
    }
    *offsets.types.entry(kind).or_default() += 1;
    Ok(())
}

/// Puts the groups of another data directory into that of a stopped Apache Kafka, which has as many partitions of `__consumer_offsets`:
/// its next start must recover and load them.
///
/// # Errors
/// When files cannot be copied, or the partitions are not the same.
pub fn transplant(from: &Path, to: &Path) -> anyhow::Result<()> {
    let (ours, theirs) = (partitions(from)?, partitions(to)?);
    let names = |dirs: &[PathBuf]| dirs.iter().filter_map(|d| d.file_name().map(ToOwned::to_owned)).collect::<Vec<_>>();
    ensure!(names(&ours) == names(&theirs), "{ours:?} are not the same partitions as {theirs:?}");
    for (from, to) in ours.iter().zip(&theirs) {
        let kept = |path: &Path| path.file_name().is_some_and(|n| n == "partition.metadata");
        for entry in fs::read_dir(to)? {
            let path = entry?.path();
            if !kept(&path) {
                fs::remove_file(path)?;
            }
        }
        for entry in fs::read_dir(from)? {
            let path = entry?.path();
            if !kept(&path) {
                fs::copy(&path, to.join(path.file_name().context("a name")?))?;
            }
        }
    }
    // What it knows of its own files, and that it stopped cleanly, is no longer so.
    for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint", ".kafka_cleanshutdown"] {
        let path = to.join(name);
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Dumping a.log\nLog starting offset: 0\nbaseOffset: 0 crc: 1 isvalid: true\n";

    fn commit(offset: i64, payload: &str) -> String {
        let key = r#"{"type":"1","data":{"group":"g key: x","topic":"t","partition":2}}"#;
        format!("| offset: {offset} keySize: 1 headerKeys: [] key: {key} payload: {payload}\n")
    }

    #[test]
    fn the_last_commit_counts_and_a_deletion_removes_it() {
        let value = |offset| format!(r#"{{"version":"4","data":{{"offset":{offset},"metadata":""}}}}"#);
        let dump = format!("{HEAD}{}{}", commit(0, &value(5)), commit(1, &value(9)));
        let read_back = read(&dump).unwrap();
        assert_eq!(read_back.types, BTreeMap::from([("1".to_owned(), 2)]));
        assert_eq!(read_back.committed, BTreeMap::from([(("g key: x".to_owned(), "t".to_owned(), 2), 9)]));
        assert!(read(&format!("{dump}{}", commit(2, "<DELETE>"))).unwrap().committed.is_empty());
    }

    #[test]
    fn what_the_tool_complains_of_is_a_failure() {
        assert!(read(&format!("{HEAD}Found timestamp mismatch in :a.timeindex\n")).is_err());
        assert!(read(&HEAD.replace("true", "false")).is_err());
        assert!(read(&format!("{HEAD}| offset: 0 keySize: 1 payload: x\n")).is_err());
        assert!(read(&format!("{HEAD}{}", commit(0, "unknown"))).is_err());
    }
}
