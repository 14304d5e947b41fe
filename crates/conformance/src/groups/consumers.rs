//! confluent-kafka's consumer in groups: what an application may do with it beyond the shared scenario. See "Consumers" in
//! `peers/README.md`.

use std::time::Duration;

use crate::peers::{self, Report};
use crate::{Failure, process};

const WITHIN: Duration = Duration::from_secs(180);

const CHECKS: [&str; 13] = [
    "commit-message",
    "auto-commit",
    "store-offsets",
    "resume",
    "incremental",
    "own-offsets",
    "regex",
    "grown",
    "resubscribe",
    "stranger",
    "static-twice",
    "refused",
    "administration",
];

/// Lets confluent-kafka judge the broker at `bootstrap` by a protocol, `classic` or `consumer`.
///
/// # Errors
/// [`Failure::Skip`] without Python or its package; otherwise the check that failed.
pub fn judge(bootstrap: &str, prefix: &str, protocol: &str) -> Result<Report, Failure> {
    let mut command = peers::python("group.py")?;
    let finished = process::run(command.args([bootstrap, prefix, protocol]), "", WITHIN)?;
    let report = peers::read_report(&finished)?;
    peers::check_complete(&report, &CHECKS)?;
    Ok(report)
}
