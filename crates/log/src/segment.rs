//! One segment: a file of batches, and its indexes. In Java: `LogSegment`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{BatchHeader, HEADER_BYTES, crc_is_right};
use crate::config::{LogConfig, millis};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::LogError;
use crate::index::{AbortedTransaction, Index, OffsetEntry, TimeEntry};

/// The largest timestamp of a segment, and the last offset of the batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaxTimestamp {
    pub(crate) timestamp: i64,
    pub(crate) offset: i64,
}

/// One segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: i64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    /// The tail: bytes behind it are of a write that failed.
    pub(crate) size: u64,
    /// How much of it is durable.
    pub(crate) synced: u64,
    pub(crate) offset_index: Index<OffsetEntry>,
    pub(crate) time_index: Index<TimeEntry>,
    pub(crate) max_timestamp: Option<MaxTimestamp>,
    /// Of the first batch: `segment.ms` counts from it.
    first_timestamp: Option<i64>,
    /// When this log opened or made it: `segment.ms` counts from here where batches have no time.
    created: i64,
    bytes_since_index_entry: u64,
}

/// The kinds of a segment's indexes, as their files' names end.
pub(crate) const INDEXES: [&str; 3] = ["index", "timeindex", "txnindex"];

fn index_path(dir: &Path, base_offset: i64, kind: &str, suffix: &str) -> PathBuf {
    dir.join(file_name(base_offset, &format!("{kind}{suffix}")))
}

pub(crate) fn file_name(base_offset: i64, suffix: &str) -> String {
    format!("{base_offset:020}.{suffix}")
}

/// The offset and suffix of a segment's file: 20 digits, a dot, a suffix.
pub(crate) fn parse_file_name(name: &str) -> Option<(i64, &str)> {
    let (digits, suffix) = name.split_once('.')?;
    let whole = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((digits.parse().ok().filter(|_| whole)?, suffix))
}

impl Segment {
    /// Makes a segment; files of that name are emptied.
    pub(crate) fn create(disk: &Arc<dyn Disk>, dir: &Path, base_offset: i64, now: i64) -> Result<Self, LogError> {
        let mut segment = Self::create_as(disk, dir, base_offset, "", now)?;
        segment.write_indexes()?;
        Ok(segment)
    }

    /// Makes a segment whose files' names end in `suffix`; its indexes are not written yet.
    pub(crate) fn create_as(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        base_offset: i64,
        suffix: &str,
        now: i64,
    ) -> Result<Self, LogError> {
        let path = dir.join(file_name(base_offset, &format!("log{suffix}")));
        let file = disk.open(&path, OpenMode::Create).map_err(LogError::io("create", &path))?;
        file.truncate(0).map_err(LogError::io("truncate", &path))?;
        let mut segment = Self::with(disk, dir, base_offset, suffix, path, file, 0, now);
        segment.empty_indexes();
        Ok(segment)
    }

    /// Opens a segment as it lies there; what its indexes say is not believed before [`Self::check`].
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, base_offset: i64, now: i64) -> Result<Self, LogError> {
        Self::open_as(disk, dir, base_offset, "", now)
    }

    /// Opens a segment whose files' names end in `suffix`.
    pub(crate) fn open_as(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        base_offset: i64,
        suffix: &str,
        now: i64,
    ) -> Result<Self, LogError> {
        let path = dir.join(file_name(base_offset, &format!("log{suffix}")));
        let file = disk.open(&path, OpenMode::Write).map_err(LogError::io("open", &path))?;
        let size = file.len().map_err(LogError::io("open", &path))?;
        Ok(Self::with(disk, dir, base_offset, suffix, path, file, size, now))
    }

    /// Its files were renamed to their final names.
    pub(crate) fn handle_renamed(&mut self, dir: &Path) {
        self.path = dir.join(file_name(self.base_offset, "log"));
        self.offset_index.set_path(dir.join(file_name(self.base_offset, "index")));
        self.time_index.set_path(dir.join(file_name(self.base_offset, "timeindex")));
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a segment that are not the same for all")]
    fn with(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        base_offset: i64,
        suffix: &str,
        path: PathBuf,
        file: Arc<dyn DiskFile>,
        size: u64,
        now: i64,
    ) -> Self {
        Self {
            base_offset,
            path,
            file,
            size,
            synced: 0,
            offset_index: Index::stored(Arc::clone(disk), index_path(dir, base_offset, "index", suffix)),
            time_index: Index::stored(Arc::clone(disk), index_path(dir, base_offset, "timeindex", suffix)),
            max_timestamp: None,
            first_timestamp: None,
            created: now,
            bytes_since_index_entry: 0,
        }
    }

    pub(crate) fn empty_indexes(&mut self) {
        self.offset_index.clear();
        self.time_index.clear();
        self.max_timestamp = None;
        self.bytes_since_index_entry = 0;
    }

    /// When `segment.ms` and `max.compaction.lag.ms` began to count: the largest timestamp of the first batch.
    pub(crate) fn first_timestamp(&self) -> Option<i64> {
        self.first_timestamp.filter(|timestamp| *timestamp >= 0)
    }

    /// Whether a batch of `size` bytes up to `last_offset` belongs into a new segment.
    pub(crate) fn must_roll(
        &self,
        config: &LogConfig,
        size: usize,
        max_timestamp: i64,
        last_offset: i64,
        now: i64,
    ) -> bool {
        if self.size == 0 {
            return i32::try_from(last_offset - self.base_offset).is_err();
        }
        let age = match self.first_timestamp {
            Some(first) if first >= 0 => max_timestamp.saturating_sub(first),
            _ => now.saturating_sub(self.created),
        };
        let limit = millis(config.max_segment_age()).saturating_sub(millis(config.segment_jitter));
        let index_limit = config.segment_index_bytes as usize;
        self.size + size as u64 > u64::from(config.segment_bytes)
            || age > limit
            || self.offset_index.size() + 8 > index_limit
            || self.time_index.size() + 24 > index_limit
            || i32::try_from(last_offset - self.base_offset).is_err()
    }

    /// Writes a batch at the tail. After an error the file is as it was, or, with [`LogError::Offline`], unknown.
    pub(crate) fn append(&mut self, batch: &[u8], header: &BatchHeader, interval: u32) -> Result<(), LogError> {
        if let Err(error) = self.file.write_at(self.size, batch) {
            return Err(match self.file.truncate(self.size) {
                Ok(()) => LogError::io("append to", &self.path)(error),
                Err(second) => LogError::Offline {
                    reason: format!("could not append to {}: {error}; nor undo it: {second}", self.path.display()),
                },
            });
        }
        self.take_in(header, interval);
        Ok(())
    }

    /// Moves the tail behind a batch, and indexes it where it is time.
    pub(crate) fn take_in(&mut self, header: &BatchHeader, interval: u32) {
        // No record of an emptied batch is there to be found by its time.
        if header.count != 0 && self.max_timestamp.is_none_or(|max| max.timestamp < header.max_timestamp) {
            self.max_timestamp = Some(MaxTimestamp { timestamp: header.max_timestamp, offset: header.last_offset() });
        }
        self.first_timestamp.get_or_insert(header.max_timestamp);
        if self.bytes_since_index_entry > u64::from(interval)
            && let (Ok(relative_offset), Ok(position)) =
                (u32::try_from(header.last_offset() - self.base_offset), u32::try_from(self.size))
        {
            self.offset_index.append(OffsetEntry { relative_offset, position });
            self.index_max_timestamp();
            self.bytes_since_index_entry = 0;
        }
        self.size += header.size as u64;
        self.bytes_since_index_entry += header.size as u64;
    }

    /// Puts the largest timestamp so far into the time index; the last entry of a closed segment is its largest timestamp.
    pub(crate) fn index_max_timestamp(&mut self) {
        if let Some(max) = self.max_timestamp
            && max.timestamp >= 0
            && let Ok(relative_offset) = u32::try_from(max.offset - self.base_offset)
        {
            self.time_index.append(TimeEntry { timestamp: max.timestamp, relative_offset });
        }
    }

    /// Writes index entries that are only in memory. Gives files with bytes that are not durable, and what to call durable when they are.
    pub(crate) fn write_indexes(&mut self) -> Result<Vec<Arc<dyn DiskFile>>, LogError> {
        let offset = self.offset_index.write().map_err(LogError::io("write", self.offset_index.path()))?;
        let time = self.time_index.write().map_err(LogError::io("write", self.time_index.path()))?;
        Ok(offset.into_iter().chain(time).collect())
    }

    pub(crate) fn corrupt(&self, position: u64, cause: impl Into<String>) -> LogError {
        LogError::Corrupt { path: self.path.clone(), position, cause: cause.into() }
    }

    /// The header at a position.
    pub(crate) fn header_at(&self, position: u64) -> Result<BatchHeader, LogError> {
        let bytes = self.read_bytes(position, HEADER_BYTES)?;
        let header = BatchHeader::parse(&bytes).map_err(|cause| self.corrupt(position, cause))?;
        if header.base_offset < self.base_offset {
            return Err(self.corrupt(position, "an offset below the segment's"));
        }
        if position + header.size as u64 > self.size {
            return Err(self.corrupt(position, "the batch is cut off"));
        }
        Ok(header)
    }

    pub(crate) fn read_bytes(&self, position: u64, len: usize) -> Result<Bytes, LogError> {
        let left = usize::try_from(self.size.saturating_sub(position)).unwrap_or(usize::MAX);
        self.file.read_at(position, len.min(left)).map_err(LogError::io("read", &self.path))
    }

    /// Where the index says that a batch at or before `offset` lies.
    fn floor_hint(&self, offset: i64) -> u64 {
        let relative = offset - self.base_offset;
        let entry = self.offset_index.last_where(|entry| i64::from(entry.relative_offset) <= relative);
        entry.map_or(0, |entry| u64::from(entry.position))
    }

    /// A place at or before the batch that holds `offset`: the index is believed where such a batch lies there.
    fn floor(&self, offset: i64) -> u64 {
        let position = self.floor_hint(offset);
        match self.header_at(position) {
            Ok(header) if header.base_offset <= offset => position,
            _ => 0,
        }
    }

    /// The position and header of the first batch that ends at `offset` or later.
    pub(crate) fn find(&self, offset: i64) -> Result<Option<(u64, BatchHeader)>, LogError> {
        let mut scan = Scan::new(self, self.floor(offset), false);
        while let Some((position, header)) = scan.next_header()? {
            if header.last_offset() >= offset {
                return Ok(Some((position, header)));
            }
        }
        Ok(None)
    }

    /// A scan of the headers from the batch that holds `offset`, or one before it.
    pub(crate) fn scan_from(&self, offset: i64) -> Scan<'_> {
        Scan::new(self, self.floor(offset), false)
    }

    /// The first offset that is not in a whole and well-formed batch; the tail is put behind that batch's. Reads from the last index entry on.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] where bytes are left behind the last batch.
    pub(crate) fn check(&mut self) -> Result<i64, LogError> {
        let from = self.offset_index.last().map_or(0, |entry| u64::from(entry.position));
        let from = if self.header_at(from).is_ok() { from } else { 0 };
        let mut next_offset = self.base_offset;
        let mut max = self.time_index.last().map(|entry| MaxTimestamp {
            timestamp: entry.timestamp,
            offset: self.base_offset + i64::from(entry.relative_offset),
        });
        let mut scan = Scan::new(self, from, false);
        while let Some((_, header)) = scan.next_header()? {
            if header.base_offset < next_offset {
                return Err(self.corrupt(scan.position, "the offsets go back"));
            }
            next_offset = header.next_offset();
            if header.count != 0 && max.is_none_or(|max| max.timestamp < header.max_timestamp) {
                max = Some(MaxTimestamp { timestamp: header.max_timestamp, offset: header.last_offset() });
            }
        }
        self.max_timestamp = max;
        self.bytes_since_index_entry = self.size - from;
        self.load_first_timestamp();
        Ok(next_offset)
    }

    pub(crate) fn load_first_timestamp(&mut self) {
        self.first_timestamp = self.header_at(0).ok().map(|header| header.max_timestamp);
    }

    /// Takes over the largest timestamp from the time index: enough for a closed segment.
    pub(crate) fn load_max_timestamp(&mut self) {
        self.max_timestamp = self.time_index.last().map(|entry| MaxTimestamp {
            timestamp: entry.timestamp,
            offset: self.base_offset + i64::from(entry.relative_offset),
        });
    }

    /// Reads the whole segment, checks every batch, makes the indexes anew, and cuts the file behind the last batch before one that is bad.
    /// `see` is shown every good batch. Gives the next offset, and what was bad.
    pub(crate) fn recover(
        &mut self,
        interval: u32,
        mut see: impl FnMut(&BatchHeader),
    ) -> Result<(i64, Option<String>), LogError> {
        self.empty_indexes();
        self.first_timestamp = None;
        let full = self.size;
        let mut next_offset = self.base_offset;
        let mut good = Vec::new();
        let mut scan = Scan::new(self, 0, true);
        let bad = loop {
            match scan.next_batch() {
                Err(LogError::Corrupt { position, cause, .. }) => break Some(format!("byte {position}: {cause}")),
                Err(other) => return Err(other),
                Ok(None) => break None,
                Ok(Some((position, header, batch))) => {
                    let cause = match () {
                        () if header.base_offset < next_offset => "the offsets go back",
                        () if i32::try_from(header.last_offset() - self.base_offset).is_err() => {
                            "an offset too far from the segment's"
                        }
                        () if !crc_is_right(&header, &batch) => "the checksum is wrong",
                        () => {
                            next_offset = header.next_offset();
                            good.push(header);
                            continue;
                        }
                    };
                    break Some(format!("byte {position}: {cause}"));
                }
            }
        };
        self.size = 0;
        for header in &good {
            self.take_in(header, interval);
            see(header);
        }
        if self.size < full {
            self.file.truncate(self.size).map_err(LogError::io("truncate", &self.path))?;
        }
        self.index_max_timestamp();
        self.synced = 0;
        Ok((next_offset, bad))
    }

    /// Cuts the segment before the first batch that ends at `offset` or later. Gives the offset that comes next.
    pub(crate) fn truncate(&mut self, offset: i64) -> Result<i64, LogError> {
        let Some((position, header)) = self.find(offset)? else { return Ok(offset) };
        self.file.truncate(position).map_err(LogError::io("truncate", &self.path))?;
        self.size = position;
        self.synced = self.synced.min(position);
        let relative = offset - self.base_offset;
        self.offset_index.truncate_where(|entry| u64::from(entry.position) < position);
        self.time_index.truncate_where(|entry| i64::from(entry.relative_offset) < relative);
        self.load_max_timestamp();
        self.check()?;
        Ok(offset.min(header.base_offset))
    }

    /// The bytes of batches from the one that holds `from`: whole ones, before `up_to`, of at most `max_bytes` unless the first alone is larger
    /// and `min_one_batch`. Nothing where the segment has none.
    pub(crate) fn read(
        &self,
        from: i64,
        max_bytes: usize,
        up_to: i64,
        min_one_batch: bool,
        interval: u32,
    ) -> Result<Option<SegmentRead>, LogError> {
        // One read is enough where the index is right and no batch in front is larger than the gap between its entries.
        let ahead = max_bytes.saturating_add(interval as usize + HEADER_BYTES);
        let mut floor = self.floor_hint(from);
        let mut window = self.read_bytes(floor, ahead)?;
        let believed = |header: BatchHeader| (self.base_offset..=from).contains(&header.base_offset);
        if floor > 0 && !BatchHeader::parse(&window).is_ok_and(believed) {
            floor = 0;
            window = self.read_bytes(0, ahead)?;
        }
        let mut at = 0_usize;
        let (start, first) = loop {
            let rest = window.get(at..).unwrap_or_default();
            let header = match BatchHeader::parse(rest) {
                Ok(header) => header,
                Err(_) if rest.len() < HEADER_BYTES => match self.find(from)? {
                    Some((position, header)) => {
                        break (usize::try_from(position - floor).unwrap_or(usize::MAX), header);
                    }
                    None => return Ok(None),
                },
                Err(cause) => return Err(self.corrupt(floor + at as u64, cause)),
            };
            if header.last_offset() >= from {
                break (at, header);
            }
            at = at.saturating_add(header.size);
        };
        if first.base_offset >= up_to {
            return Ok(Some(SegmentRead { position: floor + start as u64, bytes: Bytes::new(), next_offset: from }));
        }
        let position = floor + start as u64;
        if first.size > max_bytes {
            if !min_one_batch {
                return Ok(Some(SegmentRead { position, bytes: Bytes::new(), next_offset: from }));
            }
            let bytes = match window.get(start..).filter(|rest| rest.len() >= first.size) {
                Some(_) => window.slice(start..start + first.size),
                None => self.read_bytes(position, first.size)?,
            };
            if bytes.len() < first.size {
                return Err(self.corrupt(position, "the batch is cut off"));
            }
            return Ok(Some(SegmentRead { position, bytes, next_offset: first.next_offset() }));
        }
        let whole = window.len().saturating_sub(start) >= max_bytes || floor + window.len() as u64 >= self.size;
        let bytes = if whole && start <= window.len() {
            window.slice(start..window.len().min(start.saturating_add(max_bytes)))
        } else {
            self.read_bytes(position, max_bytes)?
        };
        let (mut end, mut next_offset) = (0_usize, from);
        while let Some(rest) = bytes.get(end..) {
            if rest.len() < HEADER_BYTES {
                break;
            }
            let header = BatchHeader::parse(rest).map_err(|cause| self.corrupt(position + end as u64, cause))?;
            if header.base_offset >= up_to || header.size > rest.len() {
                break;
            }
            end += header.size;
            next_offset = header.next_offset();
        }
        if end == 0 {
            return Err(self.corrupt(position, "the batch is cut off"));
        }
        Ok(Some(SegmentRead { position, bytes: bytes.slice(..end), next_offset }))
    }

    /// The aborted transactions that end in this segment.
    pub(crate) fn aborted(&self, disk: &dyn Disk) -> Result<Vec<AbortedTransaction>, LogError> {
        let path = self.path.with_extension("txnindex");
        match disk.read(&path) {
            Ok(bytes) => Ok(AbortedTransaction::read_all(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(LogError::io("read", path)(error)),
        }
    }
}

/// What a segment gives to a reader.
#[derive(Debug)]
pub(crate) struct SegmentRead {
    pub(crate) position: u64,
    pub(crate) bytes: Bytes,
    pub(crate) next_offset: i64,
}

/// Goes through the batches of a segment, reading it by the piece.
pub(crate) struct Scan<'a> {
    segment: &'a Segment,
    position: u64,
    window: Bytes,
    window_at: u64,
    ahead: usize,
}

/// Bytes that a scan reads at once.
const SCAN_BYTES: usize = 1 << 20;

impl<'a> Scan<'a> {
    pub(crate) fn new(segment: &'a Segment, position: u64, all: bool) -> Self {
        let ahead = if all { SCAN_BYTES } else { 8 << 10 };
        Self { segment, position, window: Bytes::new(), window_at: 0, ahead }
    }

    /// A scan that reads so many bytes at once.
    pub(crate) fn by(segment: &'a Segment, position: u64, ahead: usize) -> Self {
        Self { ahead, ..Self::new(segment, position, false) }
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    fn bytes(&mut self, len: usize) -> Result<Bytes, LogError> {
        let inside = |scan: &Self| {
            let from = usize::try_from(scan.position.checked_sub(scan.window_at)?).ok()?;
            let to = from.checked_add(len)?;
            (to <= scan.window.len()).then(|| scan.window.slice(from..to))
        };
        if let Some(bytes) = inside(self) {
            return Ok(bytes);
        }
        self.window = self.segment.read_bytes(self.position, len.max(self.ahead))?;
        self.window_at = self.position;
        inside(self).ok_or_else(|| self.segment.corrupt(self.position, "the batch is cut off"))
    }

    fn header(&mut self) -> Result<Option<BatchHeader>, LogError> {
        if self.position >= self.segment.size {
            return Ok(None);
        }
        let bytes = self.bytes(HEADER_BYTES)?;
        let header = BatchHeader::parse(&bytes).map_err(|cause| self.segment.corrupt(self.position, cause))?;
        if self.position + header.size as u64 > self.segment.size {
            return Err(self.segment.corrupt(self.position, "the batch is cut off"));
        }
        Ok(Some(header))
    }

    /// The next batch's place and header.
    pub(crate) fn next_header(&mut self) -> Result<Option<(u64, BatchHeader)>, LogError> {
        let Some(header) = self.header()? else { return Ok(None) };
        let position = self.position;
        self.position += header.size as u64;
        Ok(Some((position, header)))
    }

    /// The next batch, whole. The length was bounded by the file's before it is read.
    pub(crate) fn next_batch(&mut self) -> Result<Option<(u64, BatchHeader, Bytes)>, LogError> {
        let Some(header) = self.header()? else { return Ok(None) };
        let batch = self.bytes(header.size)?;
        let position = self.position;
        self.position += header.size as u64;
        Ok(Some((position, header, batch)))
    }
}
