//! What a log needs of a disk. The operating system's implementation lives in the broker, a faulty one in the simulator, [`MemDisk`] here.
//!
//! [`MemDisk`]: crate::MemDisk

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// To read; it must exist.
    Read,
    /// To read and write; it must exist.
    Write,
    /// To read and write; made where it does not exist, kept as it is where it does.
    Create,
}

/// A file system, as far as a log needs one. Nothing is durable before it is synced: neither a file's bytes ([`DiskFile::sync`]) nor that a file
/// is there, gone or renamed ([`Disk::sync_dir`]).
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where it must exist and does not, and whatever the disk says.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// The names in a directory, files and directories, sorted.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where there is no such directory, and whatever the disk says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes a directory and its parents.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Removes a file; open handles go on reading it.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where it does not exist, and whatever the disk says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all in it.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Renames a file or a directory, in place of a file of that name.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Whether a file or directory is there.
    fn exists(&self, path: &Path) -> bool;

    /// A whole (small) file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where it does not exist, and whatever the disk says.
    fn read(&self, path: &Path) -> io::Result<Bytes> {
        let file = self.open(path, OpenMode::Read)?;
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        file.read_at(0, len)
    }

    /// Replaces a (small) file so that a crash leaves the old bytes or the new, and the new once this returns: a file beside it, sync, rename,
    /// sync of the directory.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = Path::new(&temporary);
        let file = self.open(temporary, OpenMode::Create)?;
        file.truncate(0)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        self.rename(temporary, path)?;
        path.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }
}

/// An open file. Methods take `&self`, so that one handle can be read and synced while its log appends; the log alone orders its writes.
#[expect(clippy::len_without_is_empty, reason = "a file's length may fail to be read")]
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn len(&self) -> io::Result<u64>;

    /// The bytes at a position, fewer at the end of the file, in one allocation.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes>;

    /// Writes all of `bytes` at a position (a log appends with one call, at the tail it keeps). After an error any part may be written.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file to a length.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes the file's bytes durable (`fdatasync`). After an error nothing written since the last success can be believed.
    ///
    /// # Errors
    /// Whatever the disk says.
    fn sync(&self) -> io::Result<()>;
}
