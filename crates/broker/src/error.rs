//! Why a broker does not start or stop.

use std::io;
use std::path::PathBuf;

use felice_broker_core::{ConfigError, StartError};

/// Why a broker does not start or stop: every message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A property that cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A listener's certificate, key or authorities cannot be used.
    #[error("listener {listener}: {source}")]
    Tls {
        /// The listener.
        listener: String,
        /// What is wrong.
        source: felice_net::TlsConfigError,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", listen_hint(.source))]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// Another broker has the data directory.
    #[error("{} is in use by another broker{}: stop it, or choose another data directory", .data_dir.display(), .holder)]
    Locked {
        /// The directory.
        data_dir: PathBuf,
        /// Who, as far as known.
        holder: String,
    },
    /// The data directory cannot be made or locked.
    #[error("cannot {action} {}: {source}{}", .path.display(), dir_hint(.source))]
    Dir {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The data directory cannot be opened or closed.
    #[error(transparent)]
    Data(#[from] StartError),
    /// The broker's thread cannot be started, or ended by itself.
    #[error("the broker's thread failed: {0}")]
    Thread(String),
}

fn listen_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            " (another program has the port: stop it, or choose another; port 0 takes a free one)"
        }
        io::ErrorKind::AddrNotAvailable => " (this machine does not have that address)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need rights of their own: choose a higher one)",
        _ => "",
    }
}

fn dir_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => " (give this user write permission, or choose another data directory)",
        io::ErrorKind::ReadOnlyFilesystem => " (the file system is read-only; choose another data directory)",
        io::ErrorKind::StorageFull => " (the disk is full)",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => " (there is a file of that name)",
        _ => "",
    }
}
