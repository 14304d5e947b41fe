//! The tool.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The tool, built once where this test was built.
pub(crate) fn felice() -> &'static Path {
    static FELICE: OnceLock<PathBuf> = OnceLock::new();
    FELICE.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().nth(3).unwrap();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--locked", "--package", "felice-cli", "--target-dir"]).arg(target);
        assert!(build.status().unwrap().success());
        target.join("debug/felice")
    })
}
