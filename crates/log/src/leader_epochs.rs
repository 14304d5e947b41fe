//! Which leader epoch began at which offset: `leader-epoch-checkpoint`. In Java: `LeaderEpochFileCache`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint;
use crate::disk::Disk;

/// The first offset of a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The epoch.
    pub epoch: i32,
    /// The log's end when its leader began.
    pub start_offset: i64,
}

/// The epochs of a log, both numbers rising.
#[derive(Debug)]
pub(crate) struct LeaderEpochs {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    entries: Vec<EpochEntry>,
}

pub(crate) const FILE_NAME: &str = "leader-epoch-checkpoint";

impl LeaderEpochs {
    /// Reads the file; one that is missing or damaged holds nothing, recovery fills in what the batches say.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        let path = dir.join(FILE_NAME);
        let mut entries: Vec<EpochEntry> = Vec::new();
        for line in checkpoint::read_lines(&*disk, &path).unwrap_or_default() {
            let mut fields = line.split_ascii_whitespace().map(str::parse::<i64>);
            let (Some(Ok(epoch)), Some(Ok(start_offset))) = (fields.next(), fields.next()) else { break };
            let Ok(epoch) = i32::try_from(epoch) else { break };
            if entries.last().is_some_and(|last| last.epoch >= epoch || last.start_offset > start_offset) {
                break;
            }
            entries.push(EpochEntry { epoch, start_offset });
        }
        Self { disk, path, entries }
    }

    pub(crate) fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    pub(crate) fn latest(&self) -> Option<i32> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// Notes that `epoch` begins at `start_offset`. Says whether that is news; nothing is stored yet.
    pub(crate) fn note(&mut self, epoch: i32, start_offset: i64) -> bool {
        if epoch < 0 || self.latest().is_some_and(|latest| latest >= epoch) {
            return false;
        }
        self.entries.retain(|entry| entry.start_offset < start_offset);
        self.entries.push(EpochEntry { epoch, start_offset });
        true
    }

    /// Forgets what began at `offset` or later.
    pub(crate) fn truncate_from_end(&mut self, offset: i64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.start_offset < offset);
        self.entries.len() != before
    }

    /// Forgets what ended before `offset`; the epoch that `offset` is in begins there.
    pub(crate) fn truncate_from_start(&mut self, offset: i64) -> bool {
        let passed = self.entries.iter().take_while(|entry| entry.start_offset <= offset).count();
        let changed = match passed.checked_sub(1) {
            Some(last) => last > 0 || self.entries.get(last).is_some_and(|entry| entry.start_offset < offset),
            None => false,
        };
        if changed {
            self.entries.drain(..passed - 1);
            if let Some(first) = self.entries.first_mut() {
                first.start_offset = offset;
            }
        }
        changed
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The largest epoch that is not above `epoch`, and the offset behind its last record.
    pub(crate) fn end_offset_for(&self, epoch: i32, log_end_offset: i64) -> Option<EpochEntry> {
        if self.latest()? == epoch {
            return Some(EpochEntry { epoch, start_offset: log_end_offset });
        }
        let above = self.entries.iter().position(|entry| entry.epoch > epoch)?;
        let end = self.entries.get(above)?.start_offset;
        let found = above.checked_sub(1).and_then(|index| self.entries.get(index)).map_or(epoch, |entry| entry.epoch);
        Some(EpochEntry { epoch: found, start_offset: end })
    }

    pub(crate) fn epoch_for(&self, offset: i64) -> Option<i32> {
        self.entries.iter().rev().find(|entry| entry.start_offset <= offset).map(|entry| entry.epoch)
    }

    pub(crate) fn store(&self) -> io::Result<()> {
        let lines = self.entries.iter().map(|entry| format!("{} {}", entry.epoch, entry.start_offset));
        self.disk.write_atomic(&self.path, checkpoint::to_text(lines).as_bytes())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
