//! librdkafka's own test suite, its examples and its bindings as judges of our `librdkafka.so.1`.
//!
//! - [`Suite`]: the suite, fetched and built once into the user's cache: upstream's library, its C++ layer and its `test-runner`, which is linked
//!   with the shared library and so runs on ours by `LD_LIBRARY_PATH` alone.
//! - [`Run`]: one entry in a process of its own, against brokers or without.
//! - [`table`]: what the original passes (`librdkafka/entries.tsv`), and what ours does not pass with the reason (`librdkafka/skips`).
//! - [`cluster`]: Apache Kafka as upstream's own test clusters are set up.
//! - [`bindings`]: programs and language bindings that were written for librdkafka.
//! - [`header`]: our header against upstream's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::process;

pub mod bindings;
mod campaign;
pub mod cluster;
mod entry;
pub mod header;
mod suite;
pub mod table;

pub use campaign::Campaign;
pub use entry::{Outcome, Run, Verdict};
pub use suite::{Suite, VERSION};

/// Which library runs under a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Library {
    /// Upstream's, built with the suite.
    Original,
    /// The `librdkafka.so.1` in this folder.
    In(PathBuf),
}

impl Library {
    /// Ours, built by cargo beside the running test.
    ///
    /// # Errors
    /// When it does not compile.
    pub fn ours() -> anyhow::Result<Self> {
        let test = std::env::current_exe()?;
        let target = test.ancestors().nth(3).context("no target folder")?;
        let profile = test.ancestors().nth(2).context("no profile folder")?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--locked", "--package", "felice-capi", "--target-dir"]).arg(target);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        ensure!(build.status()?.success(), "felice-capi does not compile");
        Self::at(profile)
    }

    /// The library in a folder.
    ///
    /// # Errors
    /// When there is none: it must not be upstream's that is tried by mistake.
    pub fn at(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        ensure!(folder.join("librdkafka.so.1").exists(), "no librdkafka.so.1 in {}", folder.display());
        Ok(Self::In(folder))
    }
}

/// The folder of the committed lists.
pub(crate) fn lists() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("librdkafka")
}

/// Runs a build step; its output's end is the error.
fn step(command: &mut Command, limit: Duration) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let finished = process::run(command, "", limit)?;
    ensure!(
        finished.status.success(),
        "{shown}: {}\n{}",
        process::tail(&finished.stdout),
        process::tail(&finished.stderr)
    );
    Ok(())
}
