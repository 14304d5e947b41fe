//! Reads a partition's files straight from the disk, past broker and log: what the checkers hold the others to.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use felice_protocol::compression::Decompressor;
use felice_protocol::records::RecordBatches;

use crate::disk::SimDisk;
use crate::history::{Contents, RecordId};

/// Decompressed batches are bounded; nothing here is that large.
const LIMIT: usize = 16 << 20;

/// What the files of a topic's partitions have.
///
/// # Errors
/// Where a file is anything but whole, right batches whose offsets follow one another: a log that is open never looks like that between calls.
pub fn contents(disk: &SimDisk, data_dir: &Path, topic: &str, partitions: i32) -> Result<Contents, String> {
    let mut contents = Contents::new();
    for partition in 0..partitions {
        let dir = data_dir.join(format!("{topic}-{partition}"));
        let records = contents.entry(partition).or_default();
        let segments: Vec<PathBuf> = disk
            .inspect_dir(&dir)
            .into_iter()
            .filter(|path| path.extension().is_some_and(|suffix| suffix == "log"))
            .collect();
        let mut next = None;
        for path in segments {
            let bytes = disk.inspect(&path).unwrap_or_default();
            let place =
                path.file_name().map(|name| format!("{topic}-{partition}/{}", name.display())).unwrap_or_default();
            read_segment(&place, bytes.into(), &mut next, records)?;
        }
    }
    Ok(contents)
}

fn read_segment(
    place: &str,
    bytes: Bytes,
    next: &mut Option<i64>,
    records: &mut std::collections::BTreeMap<i64, RecordId>,
) -> Result<(), String> {
    let mut decompressor = Decompressor::default();
    let mut batches = RecordBatches::new(bytes);
    for batch in batches.by_ref() {
        let at = |what: &dyn std::fmt::Display| format!("{place}, after offset {next:?}: {what}");
        let batch = batch.map_err(|error| at(&error))?;
        batch.verify_crc().map_err(|error| at(&error))?;
        if next.is_some_and(|next| next != batch.base_offset()) {
            return Err(at(&format!("a batch begins at offset {}", batch.base_offset())));
        }
        let decoded = batch.records(&mut decompressor, LIMIT).map_err(|error| at(&error))?;
        for record in &decoded {
            let record = record.map_err(|error| at(&error))?;
            let Some(id) = record.value.and_then(RecordId::from_value) else {
                return Err(at(&format!("offset {} has a record that nobody wrote", record.offset)));
            };
            records.insert(record.offset, id);
        }
        *next = Some(batch.last_offset() + 1);
    }
    if !batches.remaining().is_empty() {
        return Err(format!("{place}: {} bytes behind the last whole batch", batches.remaining().len()));
    }
    Ok(())
}
