//! Chained groups: records go through three groups of six members that come and go, each group writing what it takes to the next topic;
//! nobody dies, so every key comes exactly once, at every stage. See "Chained groups" in `peers/README.md`.

use std::ffi::OsString;
use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, anyhow};

use crate::{Failure, peers, process};

const WITHIN: Duration = Duration::from_secs(570);

/// What franz-go's members can speak.
pub const FRANZ_GO: [&str; 6] =
    ["range", "roundrobin", "sticky", "cooperative-sticky", "consumer:uniform", "consumer:range"];

/// How a chain went.
#[derive(Clone, Debug)]
pub struct Report {
    /// The client.
    pub client: String,
    /// Records that went through.
    pub records: u64,
    /// Members there were in all.
    pub members: u64,
    /// How long it took.
    pub seconds: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, records, members, seconds } = self;
        write!(f, "{client}: {records} records through three groups, {members} members, {seconds:.1} s")
    }
}

/// A chain of franz-go's members.
///
/// # Errors
/// [`Failure::Skip`] without Go; otherwise what was not exact.
pub fn franz_go(bootstrap: &str, prefix: &str, records: usize, balancer: &str) -> Result<Report, Failure> {
    judge(peers::go("chain")?, bootstrap, prefix, records, balancer)
}

/// A chain of a program that takes `BOOTSTRAP PREFIX COUNT BALANCER` and prints a line of JSON.
///
/// # Errors
/// What was not exact.
pub fn judge(
    mut program: Command,
    bootstrap: &str,
    prefix: &str,
    records: usize,
    balancer: &str,
) -> Result<Report, Failure> {
    let arguments: [OsString; 4] = [bootstrap.into(), prefix.into(), records.to_string().into(), balancer.into()];
    let finished = process::run(program.args(arguments), "", WITHIN)?;
    let line = finished.stdout.lines().last().unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(line)
        .with_context(|| format!("{balancer}: no report ({}): {}", finished.status, process::tail(&finished.stderr)))?;
    if let Some(error) = json["error"].as_str() {
        return Err(anyhow!("{balancer}: {error}\n{}", process::tail(&finished.stderr)).into());
    }
    let number = |name: &str| json[name].as_u64().with_context(|| format!("{balancer}: no {name}: {line}"));
    let report = Report {
        client: json["client"].as_str().unwrap_or_default().to_owned(),
        records: number("records")?,
        members: number("members")?,
        seconds: json["seconds"].as_f64().unwrap_or_default(),
    };
    if report.records != records as u64 || !finished.status.success() {
        return Err(anyhow!("{balancer}: {line} ({})", finished.status).into());
    }
    Ok(report)
}
