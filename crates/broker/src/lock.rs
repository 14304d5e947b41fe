//! `.lock`: one broker for each data directory. The system frees it when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::Error;

/// The lock, held for as long as it lives.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    pub(crate) fn acquire(data_dir: &Path) -> Result<Self, Error> {
        let fail = |action: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Dir { action, path, source }
        };
        std::fs::create_dir_all(data_dir).map_err(fail("create", data_dir))?;
        let path = data_dir.join(".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(fail("write", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let holder = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                return Err(Error::Locked { data_dir: data_dir.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(fail("lock", &path)(source)),
        }
        // Only a help for whoever finds the directory locked.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}
