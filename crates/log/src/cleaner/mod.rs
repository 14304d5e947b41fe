//! Compaction: of each key the last record is kept. In Java: `Cleaner`, `LogCleaner`.
//!
//! A round first reads the dirty part of a log and notes each key's last offset, then copies the log's segments from the first on without what is
//! no longer needed, several small ones into one. The work is cut into [steps](Cleaner::step), each of a bounded number of bytes, between which
//! the log goes on; syncs are handed out, to be made where they block nobody. A log that is truncated, or loses a segment that is being copied,
//! is left as it is.
//!
//! What stays: every offset; the last record of each key; a tombstone or a marker for `delete.retention.ms` after the first round that could do
//! without it (its delete horizon, KIP-534); the last batch of each producer and of each segment, emptied if need be. Batches of aborted
//! transactions go.
//!
//! - `to_clean`: which part of a log, and when
//! - `offset_map`: each key's last offset, in bounded memory
//! - `transactions`: which batches were aborted, which markers are needless
//! - `filter`: what is left of a batch
//! - `swap`: the cleaned segment takes its place

mod filter;
mod offset_map;
mod swap;
mod to_clean;
mod transactions;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use felice_protocol::compression::Decompressor;
use felice_protocol::records::RecordBatch;
use felice_protocol::time::Now;

use crate::batch::{self, BatchHeader, crc_is_right};
use crate::config::millis;
use crate::disk::OpenMode;
use crate::error::LogError;
use crate::flush::Flush;
use crate::log::Log;
use crate::segment::{Scan, Segment, file_name};
use filter::{Codecs, DECOMPRESSED_LIMIT, Filter, Left};
use offset_map::OffsetMap;
pub use to_clean::LogToClean;
use transactions::{CleanedTransactions, Marker};

/// How a cleaner works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.dedupe.buffer.size`: bytes for the keys of a round, 24 a key.
    pub dedupe_buffer_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`: how full that memory may get.
    pub load_factor: f64,
    /// `log.cleaner.io.buffer.size`: bytes that a step reads, or has when they are decompressed; at least one batch.
    pub step_bytes: usize,
    /// Seeds the hashes of keys.
    pub seed: u64,
}

impl Default for CleanerConfig {
    fn default() -> Self {
        Self { dedupe_buffer_bytes: 128 << 20, load_factor: 0.9, step_bytes: 512 << 10, seed: 0 }
    }
}

/// What a step came to.
#[derive(Clone, Debug)]
pub enum CleanerStep {
    /// There is more to do. So many bytes were read and written.
    More(usize),
    /// Run this, best where it blocks nobody, and hand its result to [`Cleaner::handle_synced`]; no step before that.
    Sync(Arc<Flush>),
    /// The round is over. The log's [`cleaner_checkpoint`](Log::cleaner_checkpoint) has moved.
    Done(CleanerStats),
    /// The log was truncated, or lost a segment that was being copied: the round is over, and nothing more was changed.
    Abandoned,
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanerStats {
    /// Where it began to note keys.
    pub start_offset: i64,
    /// Up to where the log is clean.
    pub end_offset: i64,
    /// Bytes of the segments that were copied.
    pub bytes_read: u64,
    /// Bytes of their copies.
    pub bytes_written: u64,
}

/// Cleans logs, one at a time, step by step.
#[derive(Debug)]
pub struct Cleaner {
    config: CleanerConfig,
    codecs: Codecs,
    round: Option<Round>,
}

/// The cleaning of one log.
#[derive(Debug)]
struct Round {
    /// The wall time at which it began.
    now: i64,
    truncations: u64,
    first_uncleanable_offset: i64,
    map: OffsetMap,
    transactions: CleanedTransactions,
    groups: VecDeque<Vec<i64>>,
    stage: Stage,
    stats: CleanerStats,
}

#[derive(Debug)]
enum Stage {
    /// Noting keys: the batch at a position of a segment is next.
    BuildMap { segment: i64, position: u64 },
    /// What replaces older records is made durable, so that no crash can take both.
    SyncSources(Arc<Flush>),
    /// Between two groups.
    NextGroup,
    /// Copying.
    Copy(Box<Group>),
    /// The copy is made durable.
    SyncCopy(Box<Group>, Arc<Flush>),
    /// The copy's names are made durable.
    SyncNames(Arc<Flush>),
}

/// Segments that become one.
#[derive(Debug)]
struct Group {
    sources: Vec<i64>,
    /// The source that is being copied, and where in it.
    index: usize,
    position: u64,
    cleaned: Segment,
    /// What is not written yet: the end of `cleaned`.
    buffer: Vec<u8>,
    aborted: Vec<u8>,
    is_changed: bool,
}

impl Cleaner {
    /// A cleaner without work.
    pub fn new(config: CleanerConfig) -> Self {
        let config = CleanerConfig { step_bytes: config.step_bytes.max(1), ..config };
        Self { config, codecs: Codecs::default(), round: None }
    }

    /// Whether a round is under way.
    pub fn is_busy(&self) -> bool {
        self.round.is_some()
    }

    /// Begins a round with a log; what was under way is [abandoned](Self::abandon) first.
    ///
    /// # Errors
    /// What the disk says.
    pub fn start(&mut self, now: Now, log: &Log, to_clean: &LogToClean) -> Result<(), LogError> {
        self.abandon(log);
        let (start, end) = (to_clean.first_dirty_offset, to_clean.first_uncleanable_offset);
        let offsets = u64::try_from(end - start).unwrap_or(0);
        let config = &self.config;
        let map = OffsetMap::new(offsets, config.dedupe_buffer_bytes, config.load_factor, config.seed);
        let segment = log.segments.range(..=start).next_back().or_else(|| log.segments.iter().next());
        let (segment, position) = match segment {
            Some((base, segment)) => (*base, segment.find(start)?.map_or(segment.size, |(position, _)| position)),
            None => return Err(LogError::Bug("a log without a segment")),
        };
        self.round = Some(Round {
            now: now.wall_millis,
            truncations: log.truncations,
            first_uncleanable_offset: end,
            map,
            transactions: CleanedTransactions::new(log.aborted_transactions(start, end)?),
            groups: VecDeque::new(),
            stage: Stage::BuildMap { segment, position },
            stats: CleanerStats { start_offset: start, ..CleanerStats::default() },
        });
        Ok(())
    }

    /// Does a bounded piece of work on the log that the round was begun with.
    ///
    /// # Errors
    /// What the disk says, or that a batch cannot be read; the round is over then. The log is as it was, unless it is offline.
    pub fn step(&mut self, now: Now, log: &mut Log, high_watermark: i64) -> Result<CleanerStep, LogError> {
        let Some(mut round) = self.round.take() else { return Ok(CleanerStep::Abandoned) };
        let step = if round.is_overtaken(log) {
            Ok(CleanerStep::Abandoned)
        } else {
            round.step(&self.config, &mut self.codecs, now, log, high_watermark)
        };
        match step {
            Ok(CleanerStep::More(_) | CleanerStep::Sync(_)) => self.round = Some(round),
            Ok(CleanerStep::Done(_) | CleanerStep::Abandoned) | Err(_) => round.discard(log),
        }
        step
    }

    /// Takes in the result of a [`CleanerStep::Sync`].
    ///
    /// # Errors
    /// What the sync said: the round is over. [`LogError::Offline`] where the log itself was to be synced.
    pub fn handle_synced(&mut self, log: &mut Log, result: io::Result<()>) -> Result<(), LogError> {
        let Some(mut round) = self.round.take() else { return Ok(()) };
        let outcome = match result {
            Ok(()) => {
                if !round.is_overtaken(log) {
                    round.synced(log)?;
                }
                self.round = Some(round);
                return Ok(());
            }
            Err(error) if matches!(round.stage, Stage::SyncCopy(..)) => Err(LogError::io("sync", &log.dir)(error)),
            Err(error) => Err(log.go_offline(&LogError::io("sync", &log.dir)(error))),
        };
        round.discard(log);
        outcome
    }

    /// Ends the round, if there is one, and removes what it left beside the log.
    pub fn abandon(&mut self, log: &Log) {
        if let Some(round) = self.round.take() {
            round.discard(log);
        }
    }

    /// Ends the round; its log is gone.
    pub fn forget(&mut self) {
        self.round = None;
    }
}

impl Round {
    /// Whether the log is no longer the one that was looked at.
    fn is_overtaken(&self, log: &Log) -> bool {
        let sources = match &self.stage {
            Stage::Copy(group) | Stage::SyncCopy(group, _) => group.sources.as_slice(),
            _ => &[],
        };
        log.truncations != self.truncations || !sources.iter().all(|base| log.segments.contains_key(base))
    }

    fn step(
        &mut self,
        config: &CleanerConfig,
        codecs: &mut Codecs,
        now: Now,
        log: &mut Log,
        high_watermark: i64,
    ) -> Result<CleanerStep, LogError> {
        log.check_online()?;
        match &mut self.stage {
            Stage::BuildMap { segment, position } => {
                let at = (*segment, *position);
                self.build_map(at, config, &mut codecs.decompressor, log)
            }
            Stage::SyncSources(flush) | Stage::SyncCopy(_, flush) | Stage::SyncNames(flush) => {
                Ok(CleanerStep::Sync(Arc::clone(flush)))
            }
            Stage::NextGroup => self.next_group(now, log),
            Stage::Copy(group) => {
                let source = group.sources.get(group.index).and_then(|base| log.segments.get(base));
                let Some(source) = source else { return self.finish_group(log) };
                let filter = Rules {
                    map: &self.map,
                    now: self.now,
                    delete_retention: millis(log.config.delete_retention),
                    high_watermark,
                };
                filter
                    .copy(group, &mut self.transactions, config.step_bytes, codecs, log, source)
                    .map(CleanerStep::More)
            }
        }
    }

    /// Notes the keys of the next batches.
    fn build_map(
        &mut self,
        (base, position): (i64, u64),
        config: &CleanerConfig,
        decompressor: &mut Decompressor,
        log: &Log,
    ) -> Result<CleanerStep, LogError> {
        let Some(segment) = log.segments.get(&base) else { return Ok(CleanerStep::Abandoned) };
        let start_offset = self.stats.start_offset;
        let mut scan = Scan::by(segment, position, config.step_bytes);
        let mut is_full = false;
        let (mut read, mut plain_bytes) = (0, 0);
        while read.max(plain_bytes) < config.step_bytes && !is_full {
            let Some((at, header, bytes)) = scan.next_batch()? else { break };
            read += header.size;
            let corrupt = |cause: String| segment.corrupt(at, cause);
            if !crc_is_right(&header, &bytes) {
                return Err(corrupt("the checksum is wrong".to_owned()));
            }
            if header.is_control() {
                let marker = batch::marker(&header, &bytes).map_err(|cause| corrupt(cause.to_owned()))?;
                self.transactions.pass_marker(&header, marker.map(|marker| marker.committed));
            } else if !self.transactions.pass_batch(&header) {
                let batch = RecordBatch::parse(bytes).map_err(|error| corrupt(error.to_string()))?;
                let records = batch.records(decompressor, DECOMPRESSED_LIMIT);
                let records = records.map_err(|error| corrupt(error.to_string()))?;
                plain_bytes += records.bytes().len();
                for record in &records {
                    let record = record.map_err(|error| corrupt(error.to_string()))?;
                    let Some(key) = record.key.filter(|_| record.offset >= start_offset) else { continue };
                    if !self.map.put(key, record.offset) {
                        is_full = true;
                        break;
                    }
                    self.map.latest_offset = record.offset;
                }
            }
            if !is_full {
                self.map.latest_offset = self.map.latest_offset.max(header.last_offset());
            }
        }
        let position = scan.position();
        if !is_full && position < segment.size {
            self.stage = Stage::BuildMap { segment: base, position };
            return Ok(CleanerStep::More(read));
        }
        if !is_full {
            let next = log.segments.range(base + 1..).next().map_or(log.log_end_offset, |(next, _)| *next);
            // Offsets may be missing at the end of a segment.
            self.map.latest_offset = self.map.latest_offset.max(next - 1);
            if next < self.first_uncleanable_offset {
                self.stage = Stage::BuildMap { segment: next, position: 0 };
                return Ok(CleanerStep::More(read));
            }
        }
        self.plan(log)?;
        Ok(CleanerStep::More(read))
    }

    /// All keys are noted: decides what is copied into what, and what has to be durable before.
    fn plan(&mut self, log: &Log) -> Result<(), LogError> {
        self.stats.end_offset = self.map.latest_offset + 1;
        let end_offset = self.stats.end_offset;
        self.groups = group_segments(log, end_offset, self.first_uncleanable_offset);
        let aborted = log.aborted_transactions(log.segments.keys().next().copied().unwrap_or(0), end_offset)?;
        self.transactions = CleanedTransactions::new(aborted);
        let unsynced = log.segments.range(..end_offset).filter(|(_, segment)| segment.synced < segment.size);
        let files: Vec<_> = unsynced.map(|(_, segment)| Arc::clone(&segment.file)).collect();
        self.stage = match files.is_empty() {
            true => Stage::NextGroup,
            false => {
                let dir = Some((Arc::clone(&log.disk), log.dir.clone()));
                Stage::SyncSources(Arc::new(Flush::of_files(files, dir)))
            }
        };
        Ok(())
    }

    fn next_group(&mut self, now: Now, log: &mut Log) -> Result<CleanerStep, LogError> {
        let Some(sources) = self.groups.pop_front() else {
            log.cleaner_checkpoint = self.stats.end_offset;
            return Ok(CleanerStep::Done(self.stats));
        };
        let present = sources.iter().all(|base| log.segments.contains_key(base));
        let Some(base_offset) = sources.first().copied().filter(|_| present) else { return Ok(CleanerStep::Abandoned) };
        let cleaned = Segment::create_as(&log.disk, &log.dir, base_offset, ".cleaned", now.wall_millis)?;
        let is_changed = sources.len() > 1;
        self.stage = Stage::Copy(Box::new(Group {
            sources,
            index: 0,
            position: 0,
            cleaned,
            buffer: Vec::new(),
            aborted: Vec::new(),
            is_changed,
        }));
        Ok(CleanerStep::More(0))
    }

    /// All is copied: the copy's files are complete, to be synced.
    fn finish_group(&mut self, log: &mut Log) -> Result<CleanerStep, LogError> {
        let Stage::Copy(mut group) = std::mem::replace(&mut self.stage, Stage::NextGroup) else {
            return Err(LogError::Bug("no group to finish"));
        };
        let size = |base: &i64| log.segments.get(base).map_or(0, |segment| segment.size);
        self.stats.bytes_read += group.sources.iter().map(size).sum::<u64>();
        self.stats.bytes_written += group.cleaned.size;
        if !group.is_changed {
            group.remove_files(log);
            return Ok(CleanerStep::More(0));
        }
        group.cleaned.index_max_timestamp();
        let mut files = group.cleaned.write_indexes()?;
        if !group.aborted.is_empty() {
            let path = log.dir.join(file_name(group.cleaned.base_offset, "txnindex.cleaned"));
            let write = || {
                let file = log.disk.open(&path, OpenMode::Create)?;
                file.truncate(0)?;
                file.write_at(0, &group.aborted).map(|()| file)
            };
            files.push(write().map_err(LogError::io("write", &path))?);
        }
        files.push(Arc::clone(&group.cleaned.file));
        let flush = Arc::new(Flush::of_files(files, None));
        self.stage = Stage::SyncCopy(group, Arc::clone(&flush));
        Ok(CleanerStep::Sync(flush))
    }

    /// What was handed out to be synced is durable.
    fn synced(&mut self, log: &mut Log) -> Result<(), LogError> {
        match std::mem::replace(&mut self.stage, Stage::NextGroup) {
            Stage::SyncSources(_) => {
                let active = log.active()?.base_offset;
                for (_, segment) in log.segments.range_mut(..active.min(self.stats.end_offset)) {
                    segment.synced = segment.size;
                }
            }
            Stage::SyncCopy(group, _) => {
                let group = *group;
                log.replace_segments(&group.sources, group.cleaned)?;
                let dir = Some((Arc::clone(&log.disk), log.dir.clone()));
                self.stage = Stage::SyncNames(Arc::new(Flush::of_files(Vec::new(), dir)));
            }
            Stage::SyncNames(_) | Stage::NextGroup => {}
            other @ (Stage::BuildMap { .. } | Stage::Copy(_)) => self.stage = other,
        }
        Ok(())
    }

    /// Removes a copy that is not to be.
    fn discard(self, log: &Log) {
        if let Stage::Copy(group) | Stage::SyncCopy(group, _) = self.stage {
            group.remove_files(log);
        }
    }
}

impl Group {
    fn remove_files(&self, log: &Log) {
        for kind in ["log", "index", "timeindex", "txnindex"] {
            let path = log.dir.join(file_name(self.cleaned.base_offset, &format!("{kind}.cleaned")));
            if log.disk.exists(&path) {
                // What stays is removed at the next start.
                log.disk.remove_file(&path).ok();
            }
        }
    }
}

/// What decides about the batches of a group.
#[derive(Debug)]
struct Rules<'a> {
    map: &'a OffsetMap,
    now: i64,
    delete_retention: i64,
    high_watermark: i64,
}

impl Rules<'_> {
    /// Copies the next batches of a source. Gives the bytes read and written.
    fn copy(
        &self,
        group: &mut Group,
        transactions: &mut CleanedTransactions,
        step_bytes: usize,
        codecs: &mut Codecs,
        log: &Log,
        source: &Segment,
    ) -> Result<usize, LogError> {
        let is_last_source = group.index + 1 == group.sources.len();
        let mut scan = Scan::by(source, group.position, step_bytes);
        let mut read = 0;
        codecs.plain_bytes = 0;
        while read.max(codecs.plain_bytes) < step_bytes && group.buffer.len() < 2 * step_bytes.max(1) {
            let Some((position, header, bytes)) = scan.next_batch()? else { break };
            read += header.size;
            let corrupt = |cause: String| source.corrupt(position, cause);
            if !crc_is_right(&header, &bytes) {
                return Err(corrupt("the checksum is wrong".to_owned()));
            }
            let mut aborts = None;
            let is_discardable = if header.is_control() {
                let marker = batch::marker(&header, &bytes).map_err(|cause| corrupt(cause.to_owned()))?;
                let marker = transactions.pass_marker(&header, marker.map(|marker| marker.committed));
                if let Marker::Aborts(transaction) = marker {
                    aborts = Some(transaction);
                }
                marker == Marker::Needless
            } else {
                transactions.pass_batch(&header)
            };
            let filter = Filter {
                map: self.map,
                now: self.now,
                delete_retention: self.delete_retention,
                is_discardable,
                // Without it, nothing would tell what lies between this segment and the next.
                keeps_header: (is_last_source && scan.position() >= source.size)
                    || self.is_producers_last(log, &header),
            };
            let batch = RecordBatch::parse(bytes.clone()).map_err(|error| corrupt(error.to_string()))?;
            let left = filter.apply(&batch, codecs).map_err(|error| corrupt(error.to_string()))?;
            let kept: &[u8] = match &left {
                Left::Whole => &bytes,
                Left::Part(part) => part,
                Left::Nothing => &[],
            };
            group.is_changed |= left != Left::Whole;
            if let Some(aborted) = aborts {
                group.aborted.extend(aborted.to_bytes());
            }
            if !kept.is_empty() {
                let header = BatchHeader::parse(kept).map_err(|cause| corrupt(cause.to_owned()))?;
                group.buffer.extend_from_slice(kept);
                group.cleaned.take_in(&header, log.config.index_interval_bytes);
            }
        }
        group.position = scan.position();
        let written = group.buffer.len();
        if written > 0 {
            let at = group.cleaned.size - written as u64;
            let path = &group.cleaned.path;
            group.cleaned.file.write_at(at, &group.buffer).map_err(LogError::io("write", path))?;
            group.buffer.clear();
        }
        if group.position >= source.size {
            (group.index, group.position) = (group.index + 1, 0);
        }
        Ok(read + written)
    }

    /// Whether a producer's sequence, or its epoch, would be forgotten with this batch.
    fn is_producers_last(&self, log: &Log, batch: &BatchHeader) -> bool {
        let Some(producer) = log.producers.entry(batch.producer_id) else { return false };
        match producer.batches.back() {
            // A crash may still take its last one: then another must be there.
            Some(last) if last.last_offset >= self.high_watermark => true,
            Some(last) => last.last_offset == batch.last_offset(),
            None => batch.is_control() && batch.producer_epoch == producer.producer_epoch,
        }
    }
}

/// Segments up to an offset, together as many as fit into one.
fn group_segments(log: &Log, end_offset: i64, first_uncleanable_offset: i64) -> VecDeque<Vec<i64>> {
    let mut groups: VecDeque<Vec<i64>> = VecDeque::new();
    let (mut bytes, mut offset_index, mut time_index) = (0, 0, 0);
    let index_limit = log.config.segment_index_bytes as usize;
    for (base, segment) in log.segments.range(..end_offset.min(first_uncleanable_offset)) {
        let next = log.segments.range(base + 1..).next().map_or(log.log_end_offset, |(next, _)| *next);
        bytes += segment.size;
        offset_index += segment.offset_index.size();
        time_index += segment.time_index.size();
        let joins = |first: i64| {
            bytes <= u64::from(log.config.segment_bytes)
                && offset_index.max(time_index) <= index_limit
                && i32::try_from(next - 1 - first).is_ok()
        };
        match groups.back_mut() {
            Some(group) if group.first().is_some_and(|first| joins(*first)) => group.push(*base),
            _ => {
                groups.push_back(vec![*base]);
                (bytes, offset_index, time_index) =
                    (segment.size, segment.offset_index.size(), segment.time_index.size());
            }
        }
    }
    groups
}
