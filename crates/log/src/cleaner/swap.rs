//! Putting a cleaned segment in the place of those that it was made of. In Java: `LocalLog.replaceSegments`.
//!
//! ```text
//! N.log.cleaned, N.index.cleaned, ..  written and synced                             a crash: they are removed
//! N.txnindex.swap, .., last N.log.swap    renamed, directory synced                  a crash: what follows is done at the next start
//! the other segments' files are removed, then N's indexes
//! N.log, then its indexes             renamed: each file is replaced in one instant
//! ```

use crate::error::LogError;
use crate::log::Log;
use crate::segment::{INDEXES, Segment, file_name};

impl Log {
    /// Replaces `sources` by `cleaned`, whose files are durable under names that end in `.cleaned`, and which begins where the first of them does.
    ///
    /// # Errors
    /// What the disk says. The log is as it was where nothing was renamed, else offline: the next start finishes it.
    pub(crate) fn replace_segments(&mut self, sources: &[i64], mut cleaned: Segment) -> Result<(), LogError> {
        let base_offset = cleaned.base_offset;
        let mut is_begun = false;
        let swapped = self.swap(sources, base_offset, &mut is_begun);
        if let Err(error) = swapped {
            return Err(if is_begun { self.go_offline(&error) } else { error });
        }
        cleaned.handle_renamed(&self.dir);
        cleaned.synced = cleaned.size;
        self.segments.insert(base_offset, cleaned);
        Ok(())
    }

    fn swap(&mut self, sources: &[i64], base_offset: i64, is_begun: &mut bool) -> Result<(), LogError> {
        let kinds = ["txnindex", "timeindex", "index", "log"];
        for kind in kinds {
            let name = file_name(base_offset, kind);
            if kind != "txnindex" || self.disk.exists(&self.dir.join(format!("{name}.cleaned"))) {
                self.rename(&format!("{name}.cleaned"), &format!("{name}.swap"))?;
                *is_begun = true;
            }
        }
        self.disk.sync_dir(&self.dir).map_err(LogError::io("sync", &self.dir))?;
        for source in sources.iter().filter(|source| **source != base_offset) {
            self.remove_segment(*source)?;
        }
        for kind in INDEXES {
            self.remove_if_there(&file_name(base_offset, kind))?;
        }
        for kind in kinds.into_iter().rev() {
            let name = file_name(base_offset, kind);
            if kind != "txnindex" || self.disk.exists(&self.dir.join(format!("{name}.swap"))) {
                self.rename(&format!("{name}.swap"), &name)?;
            }
        }
        Ok(())
    }
}
