//! Making a log durable, in three steps so that nobody holds the log while the disk works.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use felice_protocol::time::Now;

use crate::bugs::Bug;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::LogError;
use crate::log::Log;

/// What has to be synced so that the log is durable up to an offset. Needs nothing of the log while it [runs](Self::run).
#[derive(Debug)]
pub struct Flush {
    up_to: i64,
    files: Vec<Arc<dyn DiskFile>>,
    /// Segments with their sizes, and the sizes of their indexes.
    segments: Vec<(i64, u64, usize, usize)>,
    dir: Option<(Arc<dyn Disk>, PathBuf)>,
    truncations: u64,
}

impl Flush {
    /// A sync of the cleaner's: files, and the directory. It moves no recovery point.
    pub(crate) fn of_files(files: Vec<Arc<dyn DiskFile>>, dir: Option<(Arc<dyn Disk>, PathBuf)>) -> Self {
        Self { up_to: 0, files, segments: Vec::new(), dir, truncations: 0 }
    }

    /// The offset that the log is durable up to, once this ran and [`Log::complete_flush`] took its result.
    pub fn up_to(&self) -> i64 {
        self.up_to
    }

    /// Syncs.
    ///
    /// # Errors
    /// What the disk says first.
    pub fn run(&self) -> io::Result<()> {
        self.files.iter().try_for_each(|file| file.sync())?;
        self.dir.as_ref().map_or(Ok(()), |(disk, dir)| disk.sync_dir(dir))
    }
}

impl Log {
    /// The first step of a flush: what there is to sync; `None` where everything is durable. It must be completed, whatever comes of it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn start_flush(&mut self) -> Result<Option<Flush>, LogError> {
        self.check_online()?;
        if self.recovery_point >= self.log_end_offset && !self.dir_dirty && self.unsynced_files.is_empty() {
            return Ok(None);
        }
        let mut files = Vec::new();
        let mut segments = Vec::new();
        for (base_offset, segment) in &mut self.segments {
            let indexes = segment.write_indexes()?;
            if segment.synced < segment.size || !indexes.is_empty() {
                files.push(Arc::clone(&segment.file));
                files.extend(indexes);
                segments.push((*base_offset, segment.size, segment.offset_index.size(), segment.time_index.size()));
            }
        }
        for path in &self.unsynced_files {
            match self.disk.open(path, OpenMode::Write) {
                Ok(file) => files.push(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(LogError::io("open", path)(error)),
            }
        }
        self.unsynced_files.clear();
        let dir_dirty = self.dir_dirty && !self.config.bugs.has(Bug::DirectoryNotSynced);
        let dir = dir_dirty.then(|| (Arc::clone(&self.disk), self.dir.clone()));
        self.dir_dirty = false;
        Ok(Some(Flush { up_to: self.log_end_offset, files, segments, dir, truncations: self.truncations }))
    }

    /// The last step of a flush: the recovery point moves, or the log goes offline, for after a failed sync nobody knows what is on the disk.
    ///
    /// # Errors
    /// [`LogError::Offline`] where the sync failed.
    pub fn complete_flush(&mut self, flush: &Flush, result: io::Result<()>) -> Result<(), LogError> {
        if let Err(error) = result {
            let reason = format!("could not sync {}: {error}", self.dir.display());
            return Err(self.failed(LogError::Offline { reason }));
        }
        self.check_online()?;
        if flush.truncations != self.truncations {
            return Ok(());
        }
        for (base_offset, size, offset_index, time_index) in &flush.segments {
            if let Some(segment) = self.segments.get_mut(base_offset) {
                segment.synced = segment.synced.max(*size);
                segment.offset_index.set_synced(*offset_index);
                segment.time_index.set_synced(*time_index);
            }
        }
        self.recovery_point = self.recovery_point.max(flush.up_to);
        Ok(())
    }

    /// Makes everything up to the log's end durable, now.
    ///
    /// # Errors
    /// What the disk says; [`LogError::Offline`] where the sync failed.
    pub fn flush(&mut self) -> Result<(), LogError> {
        let Some(flush) = self.start_flush()? else { return Ok(()) };
        let result = flush.run();
        self.complete_flush(&flush, result)
    }

    /// Stops cleanly: writes the producers' snapshot and makes everything durable, so that opening it with
    /// [`clean_shutdown`](crate::RecoveryHint::clean_shutdown) has nothing to repair.
    ///
    /// # Errors
    /// What the disk says.
    pub fn close(mut self, _now: Now) -> Result<(), LogError> {
        self.check_online()?;
        self.active_mut()?.index_max_timestamp();
        self.write_producer_snapshot()?;
        self.flush()
    }
}
