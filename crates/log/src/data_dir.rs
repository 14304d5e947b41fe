//! The files of a data directory beside its partitions, and a partition's `partition.metadata`.

use std::io;
use std::path::{Path, PathBuf};

use felice_protocol::primitives::Uuid;

use crate::checkpoint::malformed;
use crate::disk::Disk;

const META_PROPERTIES: &str = "meta.properties";
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
const PARTITION_METADATA: &str = "partition.metadata";

/// `meta.properties`: whose directory this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// `cluster.id`, as text: Kafka takes any.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: i32,
    /// `directory.id`.
    pub directory_id: Option<Uuid>,
}

impl MetaProperties {
    /// Reads the file of a data directory; `None` where there is none.
    ///
    /// # Errors
    /// What the disk says; [`io::ErrorKind::InvalidData`] where the file is not one of version 1.
    pub fn read(disk: &dyn Disk, data_dir: &Path) -> io::Result<Option<Self>> {
        let path = data_dir.join(META_PROPERTIES);
        let Some(text) = read_text(disk, &path)? else { return Ok(None) };
        let property = |name: &str| {
            let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
            pairs.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        if property("version") != Some("1") {
            return Err(malformed(&path, "the version is not 1"));
        }
        let cluster_id = property("cluster.id").ok_or_else(|| malformed(&path, "no cluster.id"))?.to_owned();
        let node_id =
            property("node.id").and_then(|id| id.parse().ok()).ok_or_else(|| malformed(&path, "no node.id"))?;
        let directory_id = property("directory.id").and_then(Uuid::parse);
        Ok(Some(Self { cluster_id, node_id, directory_id }))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&self, disk: &dyn Disk, data_dir: &Path) -> io::Result<()> {
        let directory_id = self.directory_id.map(|id| format!("directory.id={id}\n")).unwrap_or_default();
        let text = format!("#\nnode.id={}\n{directory_id}version=1\ncluster.id={}\n", self.node_id, self.cluster_id);
        disk.write_atomic(&data_dir.join(META_PROPERTIES), text.as_bytes())
    }
}

/// Notes that every log was closed: the last thing that a broker writes.
///
/// # Errors
/// What the disk says.
pub fn write_clean_shutdown(disk: &dyn Disk, data_dir: &Path, broker_epoch: i64) -> io::Result<()> {
    let text = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
    disk.write_atomic(&data_dir.join(CLEAN_SHUTDOWN), text.as_bytes())
}

/// Whether every log was closed when the broker stopped. Takes the note away for good, so that a crash from now on is one.
///
/// Where there is none the directory is synced all the same: a start that failed may have removed it without making that durable, and the note
/// would come back with a crash of the machine and call it a clean stop.
///
/// # Errors
/// What the disk says.
pub fn take_clean_shutdown(disk: &dyn Disk, data_dir: &Path) -> io::Result<bool> {
    let was_clean = match disk.remove_file(&data_dir.join(CLEAN_SHUTDOWN)) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    disk.sync_dir(data_dir).map(|()| was_clean)
}

/// Reads the id of the topic that a partition's directory belongs to; `None` where there is no such file.
///
/// # Errors
/// What the disk says; [`io::ErrorKind::InvalidData`] where the file is not one of version 0.
pub fn read_partition_metadata(disk: &dyn Disk, partition_dir: &Path) -> io::Result<Option<Uuid>> {
    let path = partition_dir.join(PARTITION_METADATA);
    let Some(text) = read_text(disk, &path)? else { return Ok(None) };
    let mut lines = text.lines();
    if lines.next() != Some("version: 0") {
        return Err(malformed(&path, "the version is not 0"));
    }
    let id = lines.next().and_then(|line| line.strip_prefix("topic_id: ")).and_then(Uuid::parse);
    id.map(Some).ok_or_else(|| malformed(&path, "no topic_id"))
}

/// Writes the id of the topic that a partition's directory belongs to.
///
/// # Errors
/// What the disk says.
pub fn write_partition_metadata(disk: &dyn Disk, partition_dir: &Path, topic_id: Uuid) -> io::Result<()> {
    let text = format!("version: 0\ntopic_id: {topic_id}\n");
    disk.write_atomic(&partition_dir.join(PARTITION_METADATA), text.as_bytes())
}

/// The directory of a partition: `topic-N`.
pub fn partition_dir(data_dir: &Path, topic: &str, partition: i32) -> PathBuf {
    data_dir.join(format!("{topic}-{partition}"))
}

/// The topic and partition of a directory's name; `None` for other directories, among them those to delete (`-delete`) or astray (`-stray`).
pub fn parse_partition_dir(name: &str) -> Option<(&str, i32)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let number: i32 = partition.parse().ok()?;
    (!topic.is_empty() && number >= 0 && number.to_string() == partition).then_some((topic, number))
}

fn read_text(disk: &dyn Disk, path: &Path) -> io::Result<Option<String>> {
    match disk.read(path) {
        Ok(bytes) => String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| malformed(path, "not UTF-8")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem_disk::MemDisk;

    #[test]
    fn a_clean_stop_counts_once_even_where_the_first_start_after_it_failed() {
        let (disk, dir) = (MemDisk::new(), Path::new("/data"));
        disk.create_dir_all(dir).unwrap();
        write_clean_shutdown(&disk, dir, 1).unwrap();
        // the note is removed, but that is not made durable
        disk.fail(disk.operations() + 1, 1);
        take_clean_shutdown(&disk, dir).unwrap_err();
        assert!(!take_clean_shutdown(&disk, dir).unwrap());
        disk.crash();
        assert!(!take_clean_shutdown(&disk, dir).unwrap(), "the note came back with the crash");
    }
}
