//! The log: appends, reads, and what is known of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use felice_protocol::records::EndTransactionMarker;
use felice_protocol::time::Now;

use crate::batch::{self, BatchHeader};
use crate::bugs::Bug;
use crate::config::{LogConfig, TimestampType, millis};
use crate::disk::{Disk, OpenMode};
use crate::error::{AppendError, LogError};
use crate::index::AbortedTransaction;
use crate::leader_epochs::{EpochEntry, LeaderEpochs};
use crate::producer_snapshot;
use crate::producer_state::{AppendOrigin, ProducerState, ProducerStateEntry};
use crate::segment::{Segment, file_name};

/// One partition on disk.
#[derive(Debug)]
pub struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) config: LogConfig,
    /// By base offset; never empty once open. The last is the one that is written.
    pub(crate) segments: BTreeMap<i64, Segment>,
    pub(crate) log_start_offset: i64,
    pub(crate) log_end_offset: i64,
    pub(crate) recovery_point: i64,
    /// What is in front of it was cleaned.
    pub(crate) cleaner_checkpoint: i64,
    pub(crate) producers: ProducerState,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) offline: Option<String>,
    /// Whether files came or went since the directory was synced.
    pub(crate) dir_dirty: bool,
    /// Small files beside the segments that are not durable.
    pub(crate) unsynced_files: Vec<PathBuf>,
    /// How often the end went back: a flush from before counts no more.
    pub(crate) truncations: u64,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendInfo {
    /// The offset of its first record.
    pub first_offset: i64,
    /// The offset of its last record.
    pub last_offset: i64,
    /// The time that the broker stamped it with; -1 where the producer's time counts. For a duplicate its largest timestamp, as in Kafka.
    pub log_append_time: i64,
    /// Where the log starts.
    pub log_start_offset: i64,
    /// Whether it was here before, and nothing was written.
    pub duplicate: bool,
    /// Whether a new segment was begun: a time to flush the one before.
    pub rolled: bool,
    /// The bytes written.
    pub size: usize,
}

/// What a read gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRead {
    /// Whole batches, the first of which may begin before the offset asked for.
    pub records: Bytes,
    /// The offset behind the last of them; the offset asked for where there are none.
    pub next_offset: i64,
    /// The base offset of the segment that they are in.
    pub segment_base_offset: i64,
    /// Where in that segment the first begins.
    pub position: u64,
}

impl Log {
    /// Appends one batch of format 2, whose records somebody checked: gives it the next offsets and the leader's epoch, and writes it with one
    /// call. A client's batch that repeats one of its producer's last five is not written again.
    ///
    /// # Errors
    /// [`AppendError`]; the log, and what it knows of the producer, is then as it was.
    pub fn append_as_leader(
        &mut self,
        now: Now,
        mut batch: BytesMut,
        leader_epoch: i32,
        origin: AppendOrigin,
    ) -> Result<AppendInfo, AppendError> {
        self.check_online()?;
        let header = BatchHeader::parse(&batch).map_err(AppendError::CorruptMessage)?;
        if header.size != batch.len() {
            return Err(AppendError::CorruptMessage("the length is not the batch's"));
        }
        let marker = batch::marker(&header, &batch).map_err(AppendError::CorruptMessage)?;
        let duplicate = self.producers.check(&header, marker, origin)?;
        if let Some(duplicate) = duplicate.filter(|_| !self.config.bugs.has(Bug::NoDedupWindow)) {
            let elsewhere = self.config.bugs.has(Bug::DuplicateElsewhere);
            return Ok(AppendInfo {
                first_offset: if elsewhere { self.log_end_offset } else { duplicate.first_offset() },
                last_offset: duplicate.last_offset,
                log_append_time: duplicate.timestamp,
                log_start_offset: self.log_start_offset,
                duplicate: true,
                rolled: false,
                size: 0,
            });
        }
        if batch.len() > self.config.segment_bytes as usize {
            return Err(AppendError::RecordListTooLarge {
                size: batch.len(),
                segment_bytes: self.config.segment_bytes,
            });
        }
        batch::assign(&mut batch, self.log_end_offset, leader_epoch);
        let mut log_append_time = -1;
        if self.config.timestamp_type == TimestampType::LogAppendTime {
            log_append_time = now.wall_millis;
            batch::stamp(&mut batch, header.attributes, log_append_time);
        }
        let header = BatchHeader::parse(&batch).map_err(AppendError::CorruptMessage)?;
        let rolled = self.append(now, &batch, &header, marker)?;
        Ok(AppendInfo {
            first_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time,
            log_start_offset: self.log_start_offset,
            duplicate: false,
            rolled,
            size: header.size,
        })
    }

    /// Appends batches as a leader gave them, with the offsets that they have.
    ///
    /// # Errors
    /// [`AppendError::CorruptMessage`] where they are not whole, in order, right by their checksum and behind the log's end; those in front of
    /// the first such are appended.
    pub fn append_as_follower(&mut self, now: Now, records: &Bytes) -> Result<AppendInfo, AppendError> {
        self.check_online()?;
        let mut info = AppendInfo {
            first_offset: self.log_end_offset,
            last_offset: self.log_end_offset - 1,
            log_append_time: -1,
            log_start_offset: self.log_start_offset,
            duplicate: false,
            rolled: false,
            size: 0,
        };
        let mut rest = records.clone();
        while !rest.is_empty() {
            let header = BatchHeader::parse(&rest).map_err(AppendError::CorruptMessage)?;
            if header.size > rest.len() {
                return Err(AppendError::CorruptMessage("the batch is cut off"));
            }
            let batch = rest.split_to(header.size);
            if !batch::crc_is_right(&header, &batch) {
                return Err(AppendError::CorruptMessage("the checksum is wrong"));
            }
            if header.base_offset < self.log_end_offset {
                return Err(AppendError::CorruptMessage("the offsets go back"));
            }
            let marker = batch::marker(&header, &batch).map_err(AppendError::CorruptMessage)?;
            if info.size == 0 {
                info.first_offset = header.base_offset;
            }
            info.rolled |= self.append(now, &batch, &header, marker)?;
            info.last_offset = header.last_offset();
            info.size += header.size;
        }
        Ok(info)
    }

    /// Writes a batch that has its place, and takes it in. Says whether the log rolled.
    fn append(
        &mut self,
        now: Now,
        batch: &[u8],
        header: &BatchHeader,
        marker: Option<EndTransactionMarker>,
    ) -> Result<bool, LogError> {
        let (config, active) = (&self.config, self.active()?);
        let must_roll =
            active.must_roll(config, batch.len(), header.max_timestamp, header.last_offset(), now.wall_millis);
        if must_roll {
            self.roll_at(header.base_offset, now)?;
        }
        self.note_epoch(header.leader_epoch, header.base_offset)?;
        let interval = self.config.index_interval_bytes;
        let appended = self.active_mut()?.append(batch, header, interval);
        appended.map_err(|error| self.failed(error))?;
        self.log_end_offset = header.next_offset();
        if let Some(aborted) = self.producers.apply(header, marker) {
            let written = self.append_aborted(&aborted);
            written.map_err(|error| self.go_offline(&error))?;
        }
        Ok(must_roll)
    }

    fn append_aborted(&mut self, aborted: &AbortedTransaction) -> Result<(), LogError> {
        let base_offset = self.active()?.base_offset;
        self.append_aborted_to(base_offset, aborted)
    }

    pub(crate) fn append_aborted_to(&mut self, segment: i64, aborted: &AbortedTransaction) -> Result<(), LogError> {
        let path = self.dir.join(file_name(segment, "txnindex"));
        let write = || {
            let file = self.disk.open(&path, OpenMode::Create)?;
            let len = file.len()?;
            file.write_at(len - len % AbortedTransaction::SIZE as u64, &aborted.to_bytes())
        };
        write().map_err(LogError::io("write", &path))?;
        self.dir_dirty = true;
        if self.unsynced_files.last() != Some(&path) {
            self.unsynced_files.push(path);
        }
        Ok(())
    }

    /// Begins a new segment at the end of the log, where the last one holds anything.
    ///
    /// # Errors
    /// What the disk says; the log goes on in the segment it has.
    pub fn roll(&mut self, now: Now) -> Result<(), LogError> {
        self.check_online()?;
        self.roll_at(self.log_end_offset, now)
    }

    pub(crate) fn roll_at(&mut self, base_offset: i64, now: Now) -> Result<(), LogError> {
        let active = self.active_mut()?;
        if active.size == 0 && active.base_offset == base_offset {
            return Ok(());
        }
        active.index_max_timestamp();
        active.write_indexes()?;
        self.write_producer_snapshot()?;
        let created = Segment::create(&self.disk, &self.dir, base_offset, now.wall_millis);
        self.dir_dirty = true;
        match created {
            Ok(segment) => {
                if self.active()?.size == 0 {
                    self.remove_segment(self.active()?.base_offset)?;
                }
                self.segments.insert(base_offset, segment);
                Ok(())
            }
            Err(error) => {
                // Whatever is left of it is empty, and opening the log takes it away.
                for suffix in ["log", "index", "timeindex"] {
                    self.disk.remove_file(&self.dir.join(file_name(base_offset, suffix))).ok();
                }
                Err(error)
            }
        }
    }

    /// Stores what is known of the producers, beside the segment that begins (or will) at the log's end. A crash may lose or tear it: then an
    /// older one is read, and batches from there on.
    pub(crate) fn write_producer_snapshot(&mut self) -> Result<(), LogError> {
        let path = self.dir.join(file_name(self.log_end_offset, "snapshot"));
        let bytes = producer_snapshot::encode(self.producers.entries());
        let write = || {
            let file = self.disk.open(&path, OpenMode::Create)?;
            file.truncate(0)?;
            file.write_at(0, &bytes)
        };
        write().map_err(LogError::io("write", &path))?;
        self.unsynced_files.push(path);
        self.dir_dirty = true;
        Ok(())
    }

    /// Reads whole batches from the one that holds `from` on, of one segment: at most `max_bytes`, unless the first is larger and
    /// `min_one_batch`, and none that begins at `up_to` (a high watermark, for instance) or later. Nothing at the log's end.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`], [`LogError::Corrupt`], what the disk says.
    pub fn read(&self, from: i64, max_bytes: usize, up_to: i64, min_one_batch: bool) -> Result<LogRead, LogError> {
        self.check_online()?;
        if from < self.log_start_offset || from > self.log_end_offset {
            return Err(LogError::OffsetOutOfRange {
                offset: from,
                log_start_offset: self.log_start_offset,
                log_end_offset: self.log_end_offset,
            });
        }
        let floor = self.segments.range(..=from).next_back().map_or(from, |(base, _)| *base);
        // A segment may end before the next begins: its last records were compacted away.
        for (base_offset, segment) in self.segments.range(floor..) {
            if *base_offset >= up_to || from >= up_to {
                break;
            }
            let read = segment.read(
                from + i64::from(self.config.bugs.has(Bug::LookupOffByOne)),
                max_bytes,
                up_to,
                min_one_batch,
                self.config.index_interval_bytes,
            )?;
            if let Some(read) = read {
                return Ok(LogRead {
                    records: read.bytes,
                    next_offset: read.next_offset,
                    segment_base_offset: *base_offset,
                    position: read.position,
                });
            }
        }
        Ok(LogRead { records: Bytes::new(), next_offset: from, segment_base_offset: floor, position: 0 })
    }

    /// The first offset there is.
    pub fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    /// The offset that the next record gets.
    pub fn log_end_offset(&self) -> i64 {
        self.log_end_offset
    }

    /// Everything in front of it is durable.
    pub fn recovery_point(&self) -> i64 {
        self.recovery_point
    }

    /// Bytes of batches, in all segments.
    pub fn size(&self) -> u64 {
        self.segments.values().map(|segment| segment.size).sum()
    }

    /// The base offsets of the segments, the one that is written last.
    pub fn segment_base_offsets(&self) -> impl DoubleEndedIterator<Item = i64> {
        self.segments.keys().copied()
    }

    /// Why the log takes and gives nothing, where that is so.
    pub fn offline(&self) -> Option<&str> {
        self.offline.as_deref()
    }

    /// The partition's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The properties it follows.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Follows other properties from now on.
    pub fn set_config(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// What is known of each producer, by id.
    pub fn producer_state(&self) -> impl Iterator<Item = &ProducerStateEntry> {
        self.producers.entries()
    }

    /// What is known of one producer.
    pub fn producer(&self, producer_id: i64) -> Option<&ProducerStateEntry> {
        self.producers.entry(producer_id)
    }

    /// Forgets producers that were silent for `producer.id.expiration.ms`.
    pub fn remove_expired_producers(&mut self, now: Now) {
        self.producers.remove_expired(now.wall_millis, millis(self.config.producer_id_expiration));
    }

    /// The first offset of the earliest transaction that is open, or whose marker is not below the high watermark.
    pub fn first_unstable_offset(&self, high_watermark: i64) -> Option<i64> {
        self.producers.first_unstable_offset(high_watermark)
    }

    /// How far a reader of committed records may read.
    pub fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        self.first_unstable_offset(high_watermark).map_or(high_watermark, |offset| offset.min(high_watermark))
    }

    /// The transactions that are open, as (first offset, producer id).
    pub fn open_transactions(&self) -> impl Iterator<Item = (i64, i64)> {
        self.producers.open_transactions()
    }

    /// Forgets transactions that ended below the high watermark.
    pub fn handle_high_watermark(&mut self, high_watermark: i64) {
        self.producers.handle_high_watermark(high_watermark);
    }

    /// The aborted transactions that touch the offsets from `from` up to, and without, `up_to`: what an answer to a reader of committed
    /// records lists.
    ///
    /// # Errors
    /// What the disk says.
    pub fn aborted_transactions(&self, from: i64, up_to: i64) -> Result<Vec<AbortedTransaction>, LogError> {
        let mut found = Vec::new();
        let floor = self.segments.range(..=from).next_back().map_or(from, |(base, _)| *base);
        for segment in self.segments.range(floor..).map(|(_, segment)| segment) {
            for aborted in segment.aborted(&*self.disk)? {
                if aborted.last_offset >= from && aborted.first_offset < up_to {
                    found.push(aborted);
                }
                if aborted.last_stable_offset >= up_to {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// Notes that a leader's epoch begins at an offset: what a new leader does first, with the log's end.
    ///
    /// # Errors
    /// What the disk says.
    pub fn assign_epoch_start_offset(&mut self, epoch: i32, start_offset: i64) -> Result<(), LogError> {
        self.check_online()?;
        self.note_epoch(epoch, start_offset)
    }

    fn note_epoch(&mut self, epoch: i32, start_offset: i64) -> Result<(), LogError> {
        if self.epochs.note(epoch, start_offset) { self.store_epochs() } else { Ok(()) }
    }

    pub(crate) fn store_epochs(&mut self) -> Result<(), LogError> {
        self.epochs.store().map_err(LogError::io("write", self.epochs.path()))
    }

    /// The largest epoch that is not above `epoch`, and the offset behind its last record; `None` where `epoch` is above all, or none is known.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        self.epochs.end_offset_for(epoch, self.log_end_offset).map(|entry| (entry.epoch, entry.start_offset))
    }

    /// The newest epoch.
    pub fn latest_epoch(&self) -> Option<i32> {
        self.epochs.latest()
    }

    /// The epoch that an offset belongs to.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        self.epochs.epoch_for(offset)
    }

    /// Each epoch with its first offset, both rising.
    pub fn epoch_entries(&self) -> &[EpochEntry] {
        self.epochs.entries()
    }

    pub(crate) fn active(&self) -> Result<&Segment, LogError> {
        self.segments.values().next_back().ok_or(LogError::Bug("a log without a segment"))
    }

    pub(crate) fn active_mut(&mut self) -> Result<&mut Segment, LogError> {
        self.segments.values_mut().next_back().ok_or(LogError::Bug("a log without a segment"))
    }

    pub(crate) fn check_online(&self) -> Result<(), LogError> {
        match &self.offline {
            Some(reason) => Err(LogError::Offline { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Takes the log offline where the error says that its files are not known.
    pub(crate) fn failed(&mut self, error: LogError) -> LogError {
        if let LogError::Offline { reason } = &error {
            self.offline.get_or_insert_with(|| reason.clone());
        }
        error
    }

    pub(crate) fn go_offline(&mut self, error: &LogError) -> LogError {
        let reason = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        self.failed(LogError::Offline { reason })
    }

    /// Takes a segment's files away. Readers that have its file go on.
    pub(crate) fn remove_segment(&mut self, base_offset: i64) -> Result<(), LogError> {
        self.segments.remove(&base_offset);
        self.dir_dirty = true;
        for suffix in ["log", "index", "timeindex", "txnindex", "snapshot"] {
            let path = self.dir.join(file_name(base_offset, suffix));
            if self.disk.exists(&path) {
                self.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
            }
        }
        Ok(())
    }
}
