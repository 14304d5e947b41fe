//! A disk that may be slow, fail, stop at any operation, and lose what was not synced.
//!
//! Two crashes are told apart. When the broker's *process* dies, the page cache lives on: everything that was written is still there. When the
//! *machine* dies, of everything un-synced only some is: of a file any length of its tail, whose last bytes may be zero or rubbish; of an
//! overwritten file any mixture of old and new pages; of created, renamed and removed names, a prefix of the changes. Either may happen between
//! any two operations, and in the middle of a write ([`SimDisk::stop_after`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use felice_log::{Disk, DiskFile, OpenMode};

use crate::rng::Rng;

const PAGE: usize = 4096;

/// A simulated disk. A clone is the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// How a disk ails at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ailment {
    /// Writes, syncs and reads that fail, in a thousand.
    pub failing_per_mille: u64,
    /// The longest that an operation takes, in nanoseconds; most take less.
    pub slow_nanos: u64,
}

#[derive(Debug)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    /// Names as the running machine sees them.
    names: BTreeMap<PathBuf, u64>,
    dirs: BTreeSet<PathBuf>,
    /// Names as a machine finds them that starts after a crash, if nothing of `pending` got through.
    durable_names: BTreeMap<PathBuf, u64>,
    pending: Vec<NameChange>,
    /// Handles from before the last crash are dead.
    generation: u64,
    ailment: Ailment,
    stop_after: Option<u64>,
    stopped: bool,
    busy_nanos: u64,
    failures: u64,
    operations: u64,
    rng: Rng,
}

#[derive(Debug)]
struct Inode {
    data: Vec<u8>,
    durable: Durable,
}

/// What surely is left of a file after the machine crashed.
#[derive(Debug)]
enum Durable {
    /// The first so many bytes as they are now.
    Prefix(usize),
    /// Other bytes than there are now.
    Copy(Vec<u8>),
}

#[derive(Clone, Debug)]
enum NameChange {
    Create(PathBuf, u64),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl NameChange {
    /// Whether a sync of this directory makes it durable: a change of a name in it, or of its own name or one above, before which nothing can
    /// be in it that is in it now.
    fn touches(&self, dir: &Path) -> bool {
        let inside = |path: &PathBuf| path.parent() == Some(dir) || dir.starts_with(path);
        match self {
            Self::Create(path, _) | Self::Remove(path) => inside(path),
            Self::Rename(from, to) => inside(from) || inside(to),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Create(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
            Self::Rename(from, to) => {
                let moved: Vec<_> =
                    names.iter().filter(|(name, _)| name.starts_with(from)).map(|(n, i)| (n.clone(), *i)).collect();
                for (name, inode) in moved {
                    names.remove(&name);
                    names.insert(moved_path(&name, from, to), inode);
                }
            }
        }
    }
}

fn moved_path(name: &Path, from: &Path, to: &Path) -> PathBuf {
    match name.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
        Ok(rest) => to.join(rest),
        Err(_) => name.to_owned(),
    }
}

impl SimDisk {
    /// An empty, healthy disk.
    pub fn new(rng: Rng) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                inodes: BTreeMap::new(),
                next_inode: 1,
                names: BTreeMap::new(),
                dirs: BTreeSet::new(),
                durable_names: BTreeMap::new(),
                pending: Vec::new(),
                generation: 0,
                ailment: Ailment::default(),
                stop_after: None,
                stopped: false,
                busy_nanos: 0,
                failures: 0,
                operations: 0,
                rng,
            })),
        }
    }

    /// Makes the disk ail, or well again.
    pub fn set_ailment(&self, ailment: Ailment) {
        self.lock().ailment = ailment;
    }

    /// After so many further changes the disk stops in the middle of the next: what the process does from then on has no effect, as if it had
    /// died there.
    pub fn stop_after(&self, changes: u64) {
        self.lock().stop_after = Some(changes);
    }

    /// Whether it has stopped; the process is dead then.
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// The time that operations took since this was last asked.
    pub fn take_busy_nanos(&self) -> u64 {
        std::mem::take(&mut self.lock().busy_nanos)
    }

    /// Operations that were made to fail so far.
    pub fn failures(&self) -> u64 {
        self.lock().failures
    }

    /// Changes and syncs so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// The process died: its handles are dead, the page cache is not.
    pub fn crash_process(&self) {
        let mut state = self.lock();
        state.generation += 1;
        state.stop_after = None;
        state.stopped = false;
        state.busy_nanos = 0;
    }

    /// The machine died: what was not synced is there, gone or torn.
    pub fn crash_machine(&self) {
        self.crash_process();
        let mut state = self.lock();
        let state = &mut *state;
        let pending = std::mem::take(&mut state.pending);
        let through = state.rng.index(pending.len() + 1);
        for change in pending.iter().take(through) {
            change.apply(&mut state.durable_names);
        }
        state.names = state.durable_names.clone();
        for path in state.names.keys() {
            state.dirs.extend(path.ancestors().skip(1).map(Path::to_owned));
        }
        let live: BTreeSet<u64> = state.names.values().copied().collect();
        state.inodes.retain(|inode, _| live.contains(inode));
        for inode in state.inodes.values_mut() {
            inode.crash(&mut state.rng);
        }
    }

    /// All bytes of a file, past every fault: for checkers.
    pub fn inspect(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock();
        let inode = state.names.get(path)?;
        state.inodes.get(inode).map(|inode| inode.data.clone())
    }

    /// The names of all files under a directory, sorted, past every fault: for checkers.
    pub fn inspect_dir(&self, dir: &Path) -> Vec<PathBuf> {
        self.lock().names.keys().filter(|path| path.starts_with(dir)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of one operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    /// Fails, with any part of its effect.
    Fails,
    /// The process dies in the middle of it.
    Stops,
}

impl Fate {
    fn result(self) -> io::Result<()> {
        match self {
            Self::Done => Ok(()),
            Self::Fails => Err(io::Error::other("the simulated disk failed")),
            Self::Stops => Err(stopped()),
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the simulated process is dead")
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{}: no such file or directory", path.display()))
}

impl State {
    fn spend(&mut self) {
        if self.ailment.slow_nanos > 0 {
            // mostly short, at times the whole: the smaller of two draws
            let bound = self.ailment.slow_nanos;
            self.busy_nanos += self.rng.below(bound).min(self.rng.below(bound));
        }
    }

    fn change(&mut self) -> io::Result<Fate> {
        if self.stopped {
            return Err(stopped());
        }
        self.operations += 1;
        self.spend();
        if let Some(left) = self.stop_after {
            if left == 0 {
                self.stopped = true;
                return Ok(Fate::Stops);
            }
            self.stop_after = Some(left - 1);
        }
        Ok(self.draw_failure())
    }

    fn draw_failure(&mut self) -> Fate {
        if self.ailment.failing_per_mille > 0 && self.rng.chance(self.ailment.failing_per_mille) {
            self.failures += 1;
            return Fate::Fails;
        }
        Fate::Done
    }

    fn reading(&mut self) -> io::Result<()> {
        if self.stopped {
            return Err(stopped());
        }
        // reads mostly hit the page cache: they fail and dawdle more seldom than writes
        if self.rng.chance(100) {
            self.spend();
            return self.draw_failure().result();
        }
        Ok(())
    }

    /// A change of names happens whole or not at all.
    fn rename_all(&mut self, change: NameChange) -> io::Result<()> {
        match self.change()? {
            Fate::Done => {
                change.apply(&mut self.names);
                self.pending.push(change);
                Ok(())
            }
            fate => fate.result(),
        }
    }
}

impl Inode {
    fn crash(&mut self, rng: &mut Rng) {
        match std::mem::replace(&mut self.durable, Durable::Prefix(0)) {
            Durable::Prefix(synced) => {
                let tail = self.data.len().saturating_sub(synced);
                let kept = match rng.below(4) {
                    0 => 0,
                    1 => tail,
                    _ => rng.index(tail + 1),
                };
                self.data.truncate(synced + kept);
                // the length reached the disk, the last bytes did not
                let torn = if rng.chance(400) { rng.index(kept.min(PAGE) + 1) } else { 0 };
                let rubbish = rng.chance(300);
                for byte in self.data.iter_mut().rev().take(torn) {
                    *byte = if rubbish { u8::try_from(rng.below(256)).unwrap_or(0) } else { 0 };
                }
            }
            Durable::Copy(old) => {
                // each page is the old one or the new
                let mut mixed = if rng.chance(500) { self.data.len() } else { old.len() };
                mixed = mixed.min(self.data.len().max(old.len()));
                let mut data = vec![0; mixed];
                for start in (0..mixed).step_by(PAGE) {
                    let source = if rng.chance(500) { &self.data } else { &old };
                    let end = (start + PAGE).min(mixed).min(source.len());
                    if start < end {
                        data[start..end].copy_from_slice(&source[start..end]);
                    }
                }
                self.data = data;
            }
        }
        self.durable = Durable::Prefix(self.data.len());
    }

    /// Keeps the durable bytes aside before the file changes from `position` on.
    fn diverge(&mut self, position: usize) {
        if let Durable::Prefix(len) = self.durable
            && position < len
        {
            self.durable = Durable::Copy(self.data[..len.min(self.data.len())].to_vec());
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        let found = state.names.get(path).copied();
        let inode = match (found, mode) {
            (Some(inode), _) => {
                state.reading()?;
                inode
            }
            (None, OpenMode::Read | OpenMode::Write) => {
                state.reading()?;
                return Err(not_found(path));
            }
            (None, OpenMode::Create) => {
                let inode = state.next_inode;
                state.next_inode += 1;
                state.inodes.insert(inode, Inode { data: Vec::new(), durable: Durable::Prefix(0) });
                state.rename_all(NameChange::Create(path.to_owned(), inode))?;
                inode
            }
        };
        let generation = state.generation;
        Ok(Arc::new(SimFile { disk: self.clone(), inode, generation }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.lock();
        state.reading()?;
        if !state.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        let names: BTreeSet<String> = (state.names.keys().chain(&state.dirs))
            .filter(|path| path.parent() == Some(dir))
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        Ok(names.into_iter().collect())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?.result()?;
        for ancestor in dir.ancestors() {
            state.dirs.insert(ancestor.to_owned());
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if !state.names.contains_key(path) {
            return Err(not_found(path));
        }
        state.rename_all(NameChange::Remove(path.to_owned()))
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.rename_all(NameChange::Remove(dir.to_owned()))?;
        state.dirs.retain(|path| !path.starts_with(dir));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if !state.names.contains_key(from) && !state.dirs.contains(from) {
            return Err(not_found(from));
        }
        state.rename_all(NameChange::Rename(from.to_owned(), to.to_owned()))?;
        let moved: Vec<PathBuf> = state.dirs.iter().filter(|dir| dir.starts_with(from)).cloned().collect();
        for dir in moved {
            let to = moved_path(&dir, from, to);
            state.dirs.remove(&dir);
            state.dirs.insert(to);
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?.result()?;
        let state = &mut *state;
        let (through, left): (Vec<_>, Vec<_>) = state.pending.drain(..).partition(|change| change.touches(dir));
        for change in &through {
            change.apply(&mut state.durable_names);
        }
        state.pending = left;
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.lock();
        state.names.contains_key(path) || state.dirs.contains(path)
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: u64,
    generation: u64,
}

impl SimFile {
    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        if state.generation == self.generation { Ok(state) } else { Err(stopped()) }
    }
}

fn gone() -> io::Error {
    io::Error::other("the file's inode is gone")
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.alive()?;
        state.reading()?;
        state.inodes.get(&self.inode).map(|inode| inode.data.len() as u64).ok_or_else(gone)
    }

    fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes> {
        let mut state = self.alive()?;
        state.reading()?;
        let data = &state.inodes.get(&self.inode).ok_or_else(gone)?.data;
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(data.len());
        let to = from.saturating_add(len).min(data.len());
        Ok(Bytes::copy_from_slice(&data[from..to]))
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.alive()?;
        let fate = state.change()?;
        let state = &mut *state;
        let written = if fate == Fate::Done { bytes.len() } else { state.rng.index(bytes.len() + 1) };
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(gone)?;
        let from = usize::try_from(position).map_err(io::Error::other)?;
        let to = from + written;
        inode.diverge(from);
        if inode.data.len() < to {
            inode.data.resize(to, 0);
        }
        inode.data[from..to].copy_from_slice(&bytes[..written]);
        fate.result()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.alive()?;
        let fate = state.change()?;
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(gone)?;
        if fate == Fate::Done {
            let len = usize::try_from(len).map_err(io::Error::other)?;
            inode.diverge(len);
            inode.data.resize(len, 0);
        }
        fate.result()
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.alive()?;
        let fate = state.change()?;
        let inode = state.inodes.get_mut(&self.inode).ok_or_else(gone)?;
        if fate == Fate::Done {
            inode.durable = Durable::Prefix(inode.data.len());
        }
        fate.result()
    }
}

#[cfg(test)]
mod tests;
