//! `xtask bench`: runs the benchmarks, which live in a workspace of their own beside the peers' libraries.

use anyhow::{Result, bail};

use crate::run;

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let manifest = run::root().join("benches/Cargo.toml");
    if !manifest.exists() {
        bail!("there is no benches/ yet; `felice perf` measures the client and the broker from outside");
    }
    run::check(run::cargo(&["bench", "--manifest-path"]).arg(manifest).args(arguments))
}
