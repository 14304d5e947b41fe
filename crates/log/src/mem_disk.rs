//! A disk in memory: for in-memory brokers, and for tests that crash it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
#[expect(clippy::disallowed_types, reason = "the disk is shared by its handles, as a real one is")]
use std::sync::Mutex;
use std::sync::{Arc, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::disk::{Disk, DiskFile, OpenMode};

/// A disk in memory. A clone is the same disk.
///
/// [`crash`](Self::crash) forgets everything that was not synced: bytes without [`DiskFile::sync`], entries without [`Disk::sync_dir`].
/// Directories themselves are durable at once.
#[derive(Clone, Debug, Default)]
pub struct MemDisk {
    #[expect(clippy::disallowed_types, reason = "the disk is shared by its handles, as a real one is")]
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    files: BTreeMap<PathBuf, u64>,
    durable_files: BTreeMap<PathBuf, u64>,
    dirs: std::collections::BTreeSet<PathBuf>,
    operations: u64,
    fail_from: Option<u64>,
    fail_until: u64,
    /// Handles from before a crash are dead.
    generation: u64,
}

#[derive(Debug)]
struct Inode {
    data: Vec<u8>,
    durable: Durable,
}

/// What a crash leaves of a file.
#[derive(Debug)]
enum Durable {
    /// The first so many bytes as they are now: the common case, a file that only grows.
    Prefix(usize),
    /// Other bytes than there are now.
    Copy(Vec<u8>),
}

impl Inode {
    /// Keeps the durable bytes aside before the file changes from `position` on.
    fn diverge(&mut self, position: usize) {
        if let Durable::Prefix(len) = self.durable
            && position < len
        {
            self.durable = Durable::Copy(self.data.get(..len).unwrap_or(&self.data).to_vec());
        }
    }
}

impl MemDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Power fails: everything that was not synced is gone, open handles are dead, planned failures are over.
    pub fn crash(&self) {
        self.crash_keeping(|_| 0);
    }

    /// Power fails, and of what was not synced a part chosen by `seed` is there: any length of each file's tail, the last bytes of it perhaps
    /// zero, directory entries or not.
    pub fn crash_torn(&self, seed: u64) {
        let mut random = seed | 1;
        self.crash_keeping(move |bound| {
            // xorshift64*: enough to choose among crash states, the same for the same seed
            random ^= random >> 12;
            random ^= random << 25;
            random ^= random >> 27;
            (random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound.max(1)
        });
    }

    /// `choose(n)` gives a number below `n`; 0 everywhere means that nothing un-synced stays.
    fn crash_keeping(&self, mut choose: impl FnMut(u64) -> u64) {
        let mut state = self.lock();
        let state = &mut *state;
        state.generation += 1;
        state.fail_from = None;
        let keeps_entries = choose(2) == 1;
        if !keeps_entries {
            state.files = state.durable_files.clone();
        }
        state.durable_files = state.files.clone();
        let live: std::collections::BTreeSet<u64> = state.files.values().copied().collect();
        state.inodes.retain(|id, _| live.contains(id));
        for inode in state.inodes.values_mut() {
            match std::mem::replace(&mut inode.durable, Durable::Prefix(0)) {
                Durable::Prefix(len) => {
                    let tail = inode.data.len().saturating_sub(len);
                    let kept = len + usize::try_from(choose(tail as u64 + 1)).unwrap_or(0);
                    inode.data.truncate(kept);
                    let zeroed = usize::try_from(choose(512)).unwrap_or(0).min(kept.saturating_sub(len));
                    let from = kept - zeroed;
                    inode.data.iter_mut().skip(from).for_each(|byte| *byte = 0);
                }
                Durable::Copy(old) => {
                    if choose(2) == 0 {
                        inode.data = old;
                    }
                }
            }
            inode.durable = Durable::Prefix(inode.data.len());
        }
    }

    /// Files with bytes that a crash would lose or change, each with how many bytes are not durable.
    pub fn unsynced(&self) -> Vec<(PathBuf, u64)> {
        let state = self.lock();
        let mut found = Vec::new();
        for (path, id) in &state.files {
            let Some(inode) = state.inodes.get(id) else { continue };
            let bytes = match &inode.durable {
                Durable::Prefix(len) => inode.data.len() - (*len).min(inode.data.len()),
                Durable::Copy(_) => inode.data.len(),
            };
            if bytes > 0 {
                found.push((path.clone(), bytes as u64));
            } else if state.durable_files.get(path) != Some(id) {
                found.push((path.clone(), inode.data.len() as u64));
            }
        }
        found
    }

    /// How many operations that change the disk or sync it were asked for so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// From operation number `operation` on (as [`operations`](Self::operations) counts), `count` operations that change or sync fail; a write
    /// that fails leaves half its bytes.
    pub fn fail(&self, operation: u64, count: u64) {
        let mut state = self.lock();
        state.fail_from = Some(operation);
        state.fail_until = operation.saturating_add(count);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn change(&mut self) -> io::Result<()> {
        let operation = self.operations;
        self.operations += 1;
        match self.fail_from {
            Some(from) if operation >= from && operation < self.fail_until => {
                Err(io::Error::other("planned failure of the disk in memory"))
            }
            _ => Ok(()),
        }
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file or directory", path.display()))
}

impl Disk for MemDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        let inode = match (state.files.get(path), mode) {
            (Some(inode), _) => *inode,
            (None, OpenMode::Read | OpenMode::Write) => return Err(not_found(path)),
            (None, OpenMode::Create) => {
                state.change()?;
                let inode = state.next_inode;
                state.next_inode += 1;
                state.inodes.insert(inode, Inode { data: Vec::new(), durable: Durable::Prefix(0) });
                state.files.insert(path.to_owned(), inode);
                inode
            }
        };
        let generation = state.generation;
        Ok(Arc::new(MemFile { disk: self.clone(), inode, generation }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        if !state.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        // What is below a directory stands together behind it.
        let below = (Bound::Excluded(dir), Bound::Unbounded);
        let files = state.files.range::<Path, _>(below).map(|(path, _)| path).take_while(|path| path.starts_with(dir));
        let dirs = state.dirs.range::<Path, _>(below).take_while(|path| path.starts_with(dir));
        let mut names: Vec<String> = (files.chain(dirs))
            .filter(|path| path.parent() == Some(dir))
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        for ancestor in dir.ancestors() {
            state.dirs.insert(ancestor.to_owned());
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        state.files.remove(path).map(drop).ok_or_else(|| not_found(path))
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        state.files.retain(|path, _| !path.starts_with(dir));
        state.durable_files.retain(|path, _| !path.starts_with(dir));
        state.dirs.retain(|path| !path.starts_with(dir));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        if let Some(inode) = state.files.remove(from) {
            state.files.insert(to.to_owned(), inode);
            return Ok(());
        }
        if !state.dirs.contains(from) {
            return Err(not_found(from));
        }
        let moved = |path: &PathBuf| path.strip_prefix(from).map_or_else(|_| path.clone(), |rest| join(to, rest));
        state.files = state.files.iter().map(|(path, inode)| (moved(path), *inode)).collect();
        state.durable_files = state.durable_files.iter().map(|(path, inode)| (moved(path), *inode)).collect();
        state.dirs = state.dirs.iter().map(moved).collect();
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        let inside: Vec<_> = (state.files.iter())
            .filter(|(path, _)| path.parent() == Some(dir))
            .map(|(path, inode)| (path.clone(), *inode))
            .collect();
        state.durable_files.retain(|path, _| path.parent() != Some(dir));
        state.durable_files.extend(inside);
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.lock();
        state.files.contains_key(path) || state.dirs.contains(path)
    }
}

fn join(to: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) }
}

#[derive(Debug)]
struct MemFile {
    disk: MemDisk,
    inode: u64,
    generation: u64,
}

impl MemFile {
    fn with<T>(&self, change: bool, work: impl FnOnce(&mut Inode, bool) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.lock();
        let failed = if change { state.change().err() } else { None };
        if state.generation != self.generation {
            return Err(io::Error::other("the disk in memory crashed since this file was opened"));
        }
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(|| io::Error::other("file of a crashed disk"))?;
        let done = work(inode, failed.is_some());
        match failed {
            Some(error) => Err(error),
            None => done,
        }
    }
}

impl DiskFile for MemFile {
    fn len(&self) -> io::Result<u64> {
        self.with(false, |inode, _| Ok(inode.data.len() as u64))
    }

    fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes> {
        self.with(false, |inode, _| {
            let from = usize::try_from(position).unwrap_or(usize::MAX).min(inode.data.len());
            let to = from.saturating_add(len).min(inode.data.len());
            Ok(inode.data.get(from..to).map(Bytes::copy_from_slice).unwrap_or_default())
        })
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(true, |inode, failed| {
            let bytes = if failed { bytes.get(..bytes.len() / 2).unwrap_or_default() } else { bytes };
            let from = usize::try_from(position).map_err(io::Error::other)?;
            inode.diverge(from);
            let to = from + bytes.len();
            if inode.data.len() < to {
                inode.data.resize(to, 0);
            }
            if let Some(place) = inode.data.get_mut(from..to) {
                place.copy_from_slice(bytes);
            }
            Ok(())
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(true, |inode, failed| {
            let len = usize::try_from(len).map_err(io::Error::other)?;
            if !failed {
                inode.diverge(len);
                inode.data.resize(len, 0);
            }
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(true, |inode, failed| {
            if !failed {
                inode.durable = Durable::Prefix(inode.data.len());
            }
            Ok(())
        })
    }
}
