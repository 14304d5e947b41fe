//! The sparse indexes of a segment: offset to position (`.index`, 8 bytes an entry) and time to offset (`.timeindex`, 12 bytes).
//! In Java: `OffsetIndex`, `TimeIndex`.
//!
//! An index is a hint that can be made anew from its segment, and it is treated as one: entries are kept in memory and written when the segment
//! is flushed, rolled or closed; what a look-up yields is checked against the segment before it is believed.

use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::disk::{Disk, DiskFile, OpenMode};

/// An entry of fixed size, in the order of its key.
pub(crate) trait Entry: Copy {
    const SIZE: usize;
    fn read(bytes: &[u8]) -> Option<Self>;
    fn write(self, to: &mut Vec<u8>);
    /// Whether `next` may follow `self`.
    fn before(self, next: Self) -> bool;
}

/// Where the batch with an offset lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// The batch's last offset, less the segment's base offset.
    pub(crate) relative_offset: u32,
    pub(crate) position: u32,
}

impl Entry for OffsetEntry {
    const SIZE: usize = 8;

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            relative_offset: u32::from_be_bytes(*bytes.first_chunk()?),
            position: u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?),
        })
    }

    fn write(self, to: &mut Vec<u8>) {
        to.extend(self.relative_offset.to_be_bytes());
        to.extend(self.position.to_be_bytes());
    }

    fn before(self, next: Self) -> bool {
        self.relative_offset < next.relative_offset && self.position < next.position
    }
}

/// The largest timestamp up to an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    /// Of the last record of the batch that has it, less the segment's base offset.
    pub(crate) relative_offset: u32,
}

impl Entry for TimeEntry {
    const SIZE: usize = 12;

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            timestamp: i64::from_be_bytes(*bytes.first_chunk()?),
            relative_offset: u32::from_be_bytes(*bytes.get(8..)?.first_chunk()?),
        })
    }

    fn write(self, to: &mut Vec<u8>) {
        to.extend(self.timestamp.to_be_bytes());
        to.extend(self.relative_offset.to_be_bytes());
    }

    fn before(self, next: Self) -> bool {
        self.timestamp < next.timestamp && self.relative_offset <= next.relative_offset
    }
}

/// One index: a list of entries that grows at its end.
#[derive(Debug)]
pub(crate) struct Index<E> {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// The file's bytes and those to come; read when they are first wanted.
    entries: OnceLock<Vec<u8>>,
    /// How many bytes of `entries` are in the file; with `rewrite`, none are.
    written: usize,
    rewrite: bool,
    synced: bool,
    entry: PhantomData<E>,
}

impl<E: Entry> Index<E> {
    /// An index that is in its file.
    pub(crate) fn stored(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path, entries: OnceLock::new(), written: 0, rewrite: false, synced: true, entry: PhantomData }
    }

    /// Forgets all entries, whatever its file holds.
    pub(crate) fn clear(&mut self) {
        (self.written, self.rewrite, self.synced) = (0, true, false);
        self.entries = OnceLock::from(Vec::new());
    }

    /// Its file was renamed.
    pub(crate) fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Whether the file is there and its size and last entry can be those of an index.
    pub(crate) fn is_sane(&self) -> bool {
        let Ok(file) = self.disk.open(&self.path, OpenMode::Read) else { return false };
        let Ok(len) = file.len() else { return false };
        if len % E::SIZE as u64 != 0 {
            return false;
        }
        let tail = (2 * E::SIZE as u64).min(len);
        let Ok(bytes) = file.read_at(len - tail, 2 * E::SIZE) else { return false };
        let mut last = bytes.chunks_exact(E::SIZE).filter_map(E::read);
        match (last.next(), last.next()) {
            (Some(one), Some(next)) => one.before(next),
            _ => true,
        }
    }

    fn bytes(&self) -> &[u8] {
        self.entries.get_or_init(|| {
            let bytes = self.disk.read(&self.path).unwrap_or_default();
            let whole = bytes.len() - bytes.len() % E::SIZE;
            bytes.get(..whole).map(<[u8]>::to_vec).unwrap_or_default()
        })
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes().len()
    }

    fn at(&self, index: usize) -> Option<E> {
        E::read(self.bytes().get(index * E::SIZE..)?)
    }

    pub(crate) fn last(&self) -> Option<E> {
        self.at((self.size() / E::SIZE).checked_sub(1)?)
    }

    /// The last entry for which `holds`, which must be true of the entries up to some place and of none behind.
    pub(crate) fn last_where(&self, holds: impl Fn(E) -> bool) -> Option<E> {
        let (mut low, mut high) = (0, self.size() / E::SIZE);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.at(middle).is_some_and(&holds) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.at(low.checked_sub(1)?)
    }

    /// Adds an entry, where it may follow the last one.
    pub(crate) fn append(&mut self, entry: E) {
        if self.last().is_none_or(|last| last.before(entry)) {
            self.load();
            if let Some(entries) = self.entries.get_mut() {
                entry.write(entries);
                self.synced = false;
            }
        }
    }

    /// Drops the entries for which `keep` is not true, from the first such on.
    pub(crate) fn truncate_where(&mut self, keep: impl Fn(E) -> bool) {
        let kept = (0..self.size() / E::SIZE).take_while(|index| self.at(*index).is_some_and(&keep)).count() * E::SIZE;
        if let Some(entries) = self.entries.get_mut()
            && entries.len() > kept
        {
            entries.truncate(kept);
            self.rewrite = true;
            self.synced = false;
        }
    }

    fn load(&mut self) {
        if self.entries.get().is_none() {
            self.written = self.bytes().len();
        }
    }

    /// Writes what is not in the file yet. Gives the file where it has bytes that are not durable.
    pub(crate) fn write(&mut self) -> io::Result<Option<Arc<dyn DiskFile>>> {
        if self.synced {
            return Ok(None);
        }
        self.load();
        let Some(entries) = self.entries.get() else { return Ok(None) };
        let file = self.disk.open(&self.path, OpenMode::Create)?;
        if self.rewrite {
            file.truncate(0)?;
            self.written = 0;
            self.rewrite = false;
        }
        // Another entry may have been half written before.
        file.truncate(self.written as u64)?;
        if let Some(new) = entries.get(self.written..)
            && !new.is_empty()
        {
            file.write_at(self.written as u64, new)?;
        }
        self.written = entries.len();
        Ok(Some(file))
    }

    pub(crate) fn set_synced(&mut self, size: usize) {
        if size == self.size() {
            self.synced = true;
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// An aborted transaction, as the `.txnindex` of a segment has it (34 bytes). In Java: `AbortedTxn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: i64,
    /// The offset of its first record.
    pub first_offset: i64,
    /// The offset of its marker.
    pub last_offset: i64,
    /// The last stable offset when the marker was written.
    pub last_stable_offset: i64,
}

impl AbortedTransaction {
    pub(crate) const SIZE: usize = 34;

    pub(crate) fn read_all(bytes: &Bytes) -> Vec<Self> {
        bytes.chunks_exact(Self::SIZE).map_while(Self::read).collect()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(i64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        (bytes.first_chunk() == Some(&[0, 0])).then_some(())?;
        Some(Self {
            producer_id: number(2)?,
            first_offset: number(10)?,
            last_offset: number(18)?,
            last_stable_offset: number(26)?,
        })
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![0, 0];
        for number in [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset] {
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }
}
