//! Opening a log: after a clean stop quickly, after any other by reading what may not be durable. In Java: `LogLoader`.
//!
//! Whatever bytes lie in the directory, opening does not panic; what cannot be batches is cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use felice_protocol::time::Now;

use crate::batch;
use crate::bugs::Bug;
use crate::config::{LogConfig, millis};
use crate::disk::Disk;
use crate::error::LogError;
use crate::leader_epochs::LeaderEpochs;
use crate::log::Log;
use crate::producer_snapshot;
use crate::producer_state::ProducerState;
use crate::segment::{INDEXES, Scan, Segment, file_name, parse_file_name};

/// What a broker's checkpoints say of a log that is to be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryHint {
    /// From `recovery-point-offset-checkpoint`: what is in front was durable.
    pub recovery_point: i64,
    /// From `log-start-offset-checkpoint`, 0 where it is not in there.
    pub log_start_offset: i64,
    /// Whether the log was [closed](Log::close).
    pub clean_shutdown: bool,
}

impl Log {
    /// Opens the log in a directory, which is made where it does not exist.
    ///
    /// Without a clean stop, segments from the recovery point on are read whole: the first batch that is bad and all behind it are cut off,
    /// indexes are made anew, and the producers' state is read from the newest snapshot and the batches behind it.
    ///
    /// # Errors
    /// What the disk says. Bad bytes are no error.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        config: LogConfig,
        recovery: RecoveryHint,
        now: Now,
    ) -> Result<Self, LogError> {
        disk.create_dir_all(&dir).map_err(LogError::io("create", &dir))?;
        let epochs = LeaderEpochs::open(Arc::clone(&disk), &dir);
        let mut log = Self {
            disk,
            dir,
            config,
            segments: BTreeMap::new(),
            log_start_offset: 0,
            log_end_offset: 0,
            recovery_point: 0,
            cleaner_checkpoint: 0,
            producers: ProducerState::default(),
            epochs,
            offline: None,
            dir_dirty: !recovery.clean_shutdown,
            unsynced_files: Vec::new(),
            truncations: 0,
        };
        log.load_segments(now)?;
        let recovered_from = log.recover_segments(&recovery)?;
        let first = log.segments.keys().next().copied();
        let start = recovery.log_start_offset.max(first.unwrap_or(0)).max(0);
        if first.is_none() || start > log.log_end_offset {
            log.restart_inner(start, now)?;
        }
        log.log_start_offset = start;
        let trusted = if recovery.clean_shutdown { i64::MAX } else { recovery.recovery_point.max(0) };
        log.recovery_point = trusted.min(log.log_end_offset);
        log.tidy_epochs()?;
        log.reload_producer_state(now, recovered_from)?;
        if recovered_from.is_some() {
            // A snapshot or segment that was taken away must not come back with the next crash.
            log.disk.sync_dir(&log.dir).map_err(LogError::io("sync", &log.dir))?;
        }
        Ok(log)
    }

    /// Takes away what an interrupted deletion or cleaning left, finishes swaps, and opens every segment.
    fn load_segments(&mut self, now: Now) -> Result<(), LogError> {
        let names = self.disk.list(&self.dir).map_err(LogError::io("list", &self.dir))?;
        let mut swaps = Vec::new();
        for name in &names {
            let path = self.dir.join(name);
            if name.ends_with(".cleaned") || name.ends_with(".deleted") || name.ends_with(".tmp") {
                self.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
                self.dir_dirty = true;
            } else if let Some(name) = name.strip_suffix(".swap") {
                swaps.push(name);
            }
        }
        let mut bases: BTreeSet<i64> = (names.iter().filter_map(|name| parse_file_name(name)))
            .filter(|(_, suffix)| *suffix == "log")
            .map(|(base_offset, _)| base_offset)
            .collect();
        self.finish_swaps(&names, &swaps, &mut bases, now)?;
        for name in &names {
            if let Some((base_offset, "index" | "timeindex" | "txnindex")) = parse_file_name(name)
                && !bases.contains(&base_offset)
                && self.disk.exists(&self.dir.join(name))
            {
                let path = self.dir.join(name);
                self.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
                self.dir_dirty = true;
            }
        }
        for base_offset in bases {
            let segment = Segment::open(&self.disk, &self.dir, base_offset, now.wall_millis)?;
            self.segments.insert(base_offset, segment);
        }
        Ok(())
    }

    /// A `.swap` is a cleaned segment, whole and synced, about to replace those whose offsets it spans: what [`replace_segments`] was doing when
    /// the machine stopped is done now.
    ///
    /// [`replace_segments`]: Self::replace_segments
    fn finish_swaps(
        &mut self,
        names: &[String],
        swaps: &[&str],
        bases: &mut BTreeSet<i64>,
        now: Now,
    ) -> Result<(), LogError> {
        for name in swaps {
            let Some((base_offset, "log")) = parse_file_name(name) else { continue };
            let mut segment = Segment::open_as(&self.disk, &self.dir, base_offset, ".swap", now.wall_millis)?;
            let (next_offset, _) = segment.recover(self.config.index_interval_bytes, |_| {})?;
            // The log keeps this name until all that it replaces is gone: a crash in between begins here again.
            let replaced: Vec<i64> = bases.range(base_offset + 1..next_offset.max(base_offset + 1)).copied().collect();
            for old in replaced {
                bases.remove(&old);
                self.remove_segment(old)?;
            }
            for suffix in INDEXES {
                self.remove_if_there(&file_name(base_offset, suffix))?;
            }
            self.rename(&format!("{name}.swap"), name)?;
            segment.handle_renamed(&self.dir);
            segment.write_indexes()?;
            bases.insert(base_offset);
            self.dir_dirty = true;
        }
        for name in swaps.iter().filter(|name| !name.ends_with(".log")) {
            // An index's name changes after its log's: without its own one the log waits for this.
            let is_awaited = parse_file_name(name).is_some_and(|(base_offset, suffix)| {
                let had_cleaned = names.contains(&file_name(base_offset, "log.cleaned"));
                INDEXES.contains(&suffix) && bases.contains(&base_offset) && !had_cleaned
            });
            if is_awaited && !self.disk.exists(&self.dir.join(name)) {
                self.rename(&format!("{name}.swap"), name)?;
            } else {
                self.remove_if_there(&format!("{name}.swap"))?;
            }
        }
        Ok(())
    }

    /// Finds the log's end. Gives the base offset of the first segment that was read whole.
    fn recover_segments(&mut self, recovery: &RecoveryHint) -> Result<Option<i64>, LogError> {
        let bases: Vec<i64> = self.segments.keys().copied().collect();
        let durable = if recovery.clean_shutdown { i64::MAX } else { recovery.recovery_point };
        let mut recovered_from = None;
        let mut next_offset = None;
        for (index, base_offset) in bases.iter().enumerate() {
            let next_base = bases.get(index + 1).copied();
            let is_durable = next_base.map_or(recovery.clean_shutdown, |next| next <= durable);
            let is_empty = self.segments.get(base_offset).is_some_and(|segment| segment.size == 0);
            // An empty segment is what a failed roll leaves, where the one before it went on.
            let is_left_over = is_empty && next_offset.is_some_and(|next| *base_offset < next);
            if is_left_over || (is_empty && is_durable && next_base.is_some()) {
                self.remove_segment(*base_offset)?;
                continue;
            }
            // Batches whose place is taken, or, where nothing is known to be durable, behind some that a crash lost, go with all that follow.
            let is_gap = !self.config.compact && !is_durable;
            if next_offset.is_some_and(|next| *base_offset < next || (is_gap && *base_offset > next)) {
                self.remove_from(bases.get(index..).unwrap_or_default())?;
                break;
            }
            let (end, is_bad) = self.recover_segment(*base_offset, next_base, is_durable, &mut recovered_from)?;
            next_offset = Some(end);
            if is_bad {
                self.remove_from(bases.get(index + 1..).unwrap_or_default())?;
                break;
            }
        }
        self.log_end_offset = next_offset.unwrap_or(0);
        if recovered_from.is_some() {
            for segment in self.segments.values().filter(|segment| segment.synced < segment.size || segment.size == 0) {
                segment.file.sync().map_err(LogError::io("sync", &segment.path))?;
            }
        }
        Ok(recovered_from)
    }

    fn remove_from(&mut self, bases: &[i64]) -> Result<(), LogError> {
        bases.iter().try_for_each(|base_offset| self.remove_segment(*base_offset))
    }

    /// Finds a segment's end, and whether what follows it is lost: from its indexes where it is durable and they are sane, else from its bytes.
    fn recover_segment(
        &mut self,
        base_offset: i64,
        next_base: Option<i64>,
        is_durable: bool,
        recovered_from: &mut Option<i64>,
    ) -> Result<(i64, bool), LogError> {
        let is_durable = is_durable || self.config.bugs.has(Bug::TornTailBelieved);
        let interval = self.config.index_interval_bytes;
        let next_is_empty = next_base.is_some_and(|next| self.segments.get(&next).is_some_and(|next| next.size == 0));
        let segment = self.segments.get_mut(&base_offset).ok_or(LogError::Bug("a segment that is not there"))?;
        if is_durable && segment.offset_index.is_sane() && segment.time_index.is_sane() {
            segment.load_first_timestamp();
            segment.load_max_timestamp();
            segment.synced = segment.size;
            let end = match next_base {
                Some(next) if !next_is_empty => Some(next),
                _ => segment.check().ok(),
            };
            if let Some(end) = end {
                return Ok((end, false));
            }
        }
        let epochs = &mut self.epochs;
        let (end, cause) = segment.recover(interval, |header| {
            epochs.note(header.leader_epoch, header.base_offset);
        })?;
        recovered_from.get_or_insert(base_offset);
        self.dir_dirty = true;
        Ok((end, cause.is_some() && !is_durable))
    }

    fn tidy_epochs(&mut self) -> Result<(), LogError> {
        let end = self.epochs.truncate_from_end(self.log_end_offset.max(1));
        let start = self.epochs.truncate_from_start(self.log_start_offset);
        if end || start || !self.disk.exists(self.epochs.path()) { self.store_epochs() } else { Ok(()) }
    }

    /// Builds the producers' state from the newest snapshot and the batches behind it. With `from`, aborted transactions of the segments from
    /// there on are written anew, and only snapshots up to there are used.
    pub(crate) fn reload_producer_state(&mut self, now: Now, from: Option<i64>) -> Result<(), LogError> {
        let log_end_offset = self.log_end_offset;
        self.remove_snapshots(|offset| offset <= log_end_offset)?;
        // A clean stop leaves one between segments: the newest is enough.
        let newest = self.snapshots()?.last().copied();
        let bases: BTreeSet<i64> = self.segments.keys().copied().collect();
        self.remove_snapshots(|offset| Some(offset) == newest || bases.contains(&offset))?;
        let limit = from.unwrap_or(i64::MAX).min(log_end_offset);
        self.producers.clear();
        let mut offset = self.segments.keys().next().copied().unwrap_or(0).max(0);
        for snapshot in self.snapshots()?.into_iter().rev().filter(|offset| *offset <= limit) {
            let path = self.dir.join(file_name(snapshot, "snapshot"));
            let bytes = self.disk.read(&path).map_err(LogError::io("read", &path))?;
            if let Some(entries) = producer_snapshot::decode(&bytes) {
                let expiration = millis(self.config.producer_id_expiration);
                self.producers.load(entries, now.wall_millis, expiration);
                offset = snapshot;
                break;
            }
            self.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
            self.dir_dirty = true;
        }
        for base_offset in self.segments.keys().copied().filter(|base| from.is_some_and(|from| *base >= from)) {
            let path = self.dir.join(file_name(base_offset, "txnindex"));
            if self.disk.exists(&path) {
                self.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
                self.dir_dirty = true;
            }
        }
        if self.config.bugs.has(Bug::ProducerStateForgotten) {
            return Ok(());
        }
        self.replay(offset, from)
    }

    fn replay(&mut self, offset: i64, rewrite_from: Option<i64>) -> Result<(), LogError> {
        let mut aborted = Vec::new();
        let floor = self.segments.range(..=offset).next_back().map_or(offset, |(base, _)| *base);
        for (base_offset, segment) in self.segments.range(floor..) {
            let mut scan = match segment.find(offset.max(*base_offset)) {
                Ok(Some((position, _))) => Scan::new(segment, position, true),
                Ok(None) | Err(LogError::Corrupt { .. }) => continue,
                Err(error) => return Err(error),
            };
            loop {
                match scan.next_batch() {
                    Ok(Some((_, header, batch))) if header.base_offset >= offset => {
                        let marker = batch::marker(&header, &batch).unwrap_or_default();
                        let ended = self.producers.apply(&header, marker);
                        aborted.extend(ended.map(|ended| (*base_offset, ended)));
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(LogError::Corrupt { .. }) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        for (base_offset, aborted) in aborted {
            if rewrite_from.is_some_and(|from| base_offset >= from) {
                self.append_aborted_to(base_offset, &aborted)?;
            }
        }
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), LogError> {
        let path = self.dir.join(from);
        self.dir_dirty = true;
        self.disk.rename(&path, &self.dir.join(to)).map_err(LogError::io("rename", &path))
    }

    pub(crate) fn remove_if_there(&mut self, name: &str) -> Result<(), LogError> {
        let path = self.dir.join(name);
        if self.disk.exists(&path) {
            self.dir_dirty = true;
            self.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
        }
        Ok(())
    }

    fn snapshots(&self) -> Result<Vec<i64>, LogError> {
        let names = self.disk.list(&self.dir).map_err(LogError::io("list", &self.dir))?;
        let snapshot =
            |name: &String| parse_file_name(name).filter(|(_, suffix)| *suffix == "snapshot").map(|(at, _)| at);
        Ok(names.iter().filter_map(snapshot).collect())
    }

    pub(crate) fn remove_snapshots(&mut self, keep: impl Fn(i64) -> bool) -> Result<(), LogError> {
        for offset in self.snapshots()?.into_iter().filter(|offset| !keep(*offset)) {
            let path = self.dir.join(file_name(offset, "snapshot"));
            self.disk.remove_file(&path).map_err(LogError::io("remove", &path))?;
            self.dir_dirty = true;
        }
        Ok(())
    }
}
