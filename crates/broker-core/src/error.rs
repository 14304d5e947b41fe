//! Why a broker cannot start.

use std::path::PathBuf;

use felice_log::LogError;

use crate::config::ConfigError;

/// Why a broker cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Properties that do not go together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file or directory cannot be read or written.
    #[error("cannot {action} {}: {source}{}", .path.display(), hint(.source))]
    Io {
        /// What was tried, as in "create".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A log cannot be opened.
    #[error("cannot open the log in {}: {source}", .path.display())]
    Log {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: LogError,
    },
    /// The data directory belongs to something else, or its contents contradict each other.
    #[error("{}: {problem}", .path.display())]
    DataDir {
        /// The file that shows it.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
}

fn hint(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::PermissionDenied => " (give this user write permission, or choose another data directory)",
        std::io::ErrorKind::ReadOnlyFilesystem => " (the file system is read-only; choose another data directory)",
        std::io::ErrorKind::StorageFull => " (the disk is full)",
        _ => "",
    }
}
