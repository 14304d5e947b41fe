//! Where downloads and builds are kept between runs: `$XDG_CACHE_HOME`, else `~/.cache`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::{Failure, Skip};

/// The folder `name` in the user's cache folder, made if missing.
///
/// # Errors
/// [`Failure::Skip`] when there is no home; otherwise when the folder cannot be made.
pub fn dir(name: &str) -> Result<PathBuf, Failure> {
    let base = match (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
        (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
        (_, Some(home)) => Path::new(&home).join(".cache"),
        _ => return Err(Skip("neither XDG_CACHE_HOME nor HOME is set".to_owned()).into()),
    };
    let dir = base.join(name);
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Fills `dir` once: calls `fill` unless the marker `.complete` is there, holding an exclusive lock so that processes that run at the
/// same time fill it one after the other.
///
/// # Errors
/// What `fill` fails with; the marker is not left then.
pub fn once(dir: &Path, fill: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let marker = dir.join(".complete");
    if marker.exists() {
        return Ok(());
    }
    let lock = lock(dir)?;
    if !marker.exists() {
        fill()?;
        File::create(&marker)?;
    }
    drop(lock);
    Ok(())
}

/// An exclusive lock on `dir`, held until the file is dropped.
pub(crate) fn lock(dir: &Path) -> io::Result<File> {
    let file = File::create(dir.join(".lock"))?;
    file.lock()?;
    Ok(file)
}
