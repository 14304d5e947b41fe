//! Reads `__consumer_offsets` straight from the disk, past broker and log: the last commit of every group and partition.
//!
//! Kafka's layout: the key is its version (0 or 1: a committed offset), group, topic and partition; the value its version, then the offset.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use felice_protocol::compression::Decompressor;
use felice_protocol::primitives::Decoder;
use felice_protocol::records::RecordBatches;

use crate::disk::SimDisk;
use crate::group_history::{GroupPartition, group_number, partition_number};

/// Decompressed batches are bounded; nothing here is that large.
const LIMIT: usize = 16 << 20;

/// The last commit of each partition.
///
/// # Errors
/// Where a batch cannot be read.
pub fn commits(disk: &SimDisk, data_dir: &Path) -> Result<BTreeMap<GroupPartition, i64>, String> {
    let mut offsets = BTreeMap::new();
    let is_segment = |path: &PathBuf| {
        let dir = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        dir.is_some_and(|dir| dir.starts_with("__consumer_offsets-"))
            && path.extension().is_some_and(|suffix| suffix == "log")
    };
    // sorted by partition and base offset; a group is in one partition
    for path in disk.inspect_dir(data_dir).into_iter().filter(is_segment) {
        let bytes = Bytes::from(disk.inspect(&path).unwrap_or_default());
        read(bytes, &mut offsets).map_err(|what| format!("{}: {what}", path.display()))?;
    }
    Ok(offsets)
}

fn read(bytes: Bytes, offsets: &mut BTreeMap<GroupPartition, i64>) -> Result<(), String> {
    let mut decompressor = Decompressor::default();
    for batch in RecordBatches::new(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        if batch.is_control() {
            continue;
        }
        let records = batch.records(&mut decompressor, LIMIT).map_err(|error| error.to_string())?;
        for record in &records {
            let record = record.map_err(|error| error.to_string())?;
            let Some(key) = record.key.and_then(parse_key) else { continue };
            match record.value.and_then(parse_offset) {
                Some(offset) => offsets.insert(key, offset),
                None => offsets.remove(&key),
            };
        }
    }
    Ok(())
}

fn parse_key(key: &[u8]) -> Option<GroupPartition> {
    let mut d = Decoder::new(Bytes::copy_from_slice(key));
    let version = d.i16().ok()?;
    if !(0..=1).contains(&version) {
        return None;
    }
    let mut text = || {
        let len = usize::try_from(d.i16().ok()?).ok()?;
        let bytes: Option<Vec<u8>> = (0..len).map(|_| d.i8().ok().map(i8::cast_unsigned)).collect();
        String::from_utf8(bytes?).ok()
    };
    let (group, topic) = (text()?, text()?);
    Some((group_number(&group)?, partition_number(&topic, d.i32().ok()?)?))
}

fn parse_offset(value: &[u8]) -> Option<i64> {
    let offset = value.get(2..10)?;
    Some(i64::from_be_bytes(offset.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_s_key_and_value_are_read() {
        let mut key = vec![0, 1, 0, 7];
        key.extend_from_slice(b"group-3");
        key.extend_from_slice(&[0, 6]);
        key.extend_from_slice(b"more-1");
        key.extend_from_slice(&[0, 0, 0, 2]);
        assert_eq!(parse_key(&key), Some((3, 1002)));
        key[1] = 2;
        assert_eq!(parse_key(&key), None, "a group's own record");
        let mut value = vec![0, 3];
        value.extend_from_slice(&77_i64.to_be_bytes());
        value.extend_from_slice(&[0, 0, 0, 0]);
        assert_eq!(parse_offset(&value), Some(77));
    }
}
