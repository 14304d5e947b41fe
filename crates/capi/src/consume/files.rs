//! Offsets in files (`offset.store.method=file`), for the consumer without a group: one small file a partition, a number as text.

use std::fs;
use std::path::{Path, PathBuf};

use super::ConsumerSide;
use super::slot::Slot;

/// Where the offsets of topics are stored that have no settings of their own.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) wanted: bool,
    pub(super) path: String,
}

impl ConsumerSide {
    /// The file of a partition's offset; `None` where the group keeps it.
    pub(super) fn file(&self, slot: &Slot) -> Option<PathBuf> {
        let files = &self.settings.files;
        let (wanted, path) = match &slot.topic.conf {
            Some(conf) => (conf.text("offset.store.method") == Some("file"), conf.text("offset.store.path")),
            None => (files.wanted, Some(files.path.as_str())),
        };
        if !wanted {
            return None;
        }
        let path = Path::new(path.unwrap_or("."));
        if !path.is_dir() {
            return Some(path.to_owned());
        }
        let (topic, partition) = (&slot.name.topic, slot.name.partition);
        let name = match &self.settings.group {
            Some(group) => format!("{topic}-{partition}-{}.offset", group.group_id),
            None => format!("{topic}-{partition}.offset"),
        };
        Some(path.join(name.replace('/', "%2F").replace(':', "%3A").replace('\\', "%5C")))
    }

    /// Writes what is stored of a partition, where a file keeps it.
    pub(super) fn save(&self, slot: &Slot) {
        let offset = slot.stored.offset();
        if offset >= 0
            && let Some(path) = self.file(slot)
            && fs::write(path, format!("{offset}\n")).is_ok()
        {
            slot.committed.set(offset, -1);
        }
    }
}

/// The offset in a file; `None` where there is none.
pub(super) fn load(path: &Path) -> Option<i64> {
    fs::read_to_string(path).ok()?.trim().parse().ok().filter(|offset| *offset >= 0)
}
