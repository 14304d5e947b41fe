//! Chained groups: records go through three groups of six members that come and go, each group writing what it takes to the next topic;
//! nobody dies, so every key comes exactly once, at every stage. See "Chained groups" in `peers/README.md`.

use std::ffi::OsString;
use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};

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

/// A group of so many of franz-go's members on a topic of so many partitions comes to rest, and does so again when every tenth has left;
/// gives the times that both took, in seconds.
///
/// # Errors
/// [`Failure::Skip`] without Go; otherwise how far it came.
pub fn crowd(
    bootstrap: &str,
    topic: &str,
    members: usize,
    partitions: usize,
    balancer: &str,
) -> Result<(f64, f64), Failure> {
    let mut program = peers::go("crowd")?;
    program.args([bootstrap, topic, &members.to_string(), &partitions.to_string(), balancer]);
    let json = reported(&mut program, balancer)?;
    let seconds = |name: &str| json[name].as_f64().with_context(|| format!("{balancer}: no {name}"));
    Ok((seconds("seconds")?, seconds("left_seconds")?))
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
    let json = reported(program.args(arguments), balancer)?;
    let number = |name: &str| json[name].as_u64().with_context(|| format!("{balancer}: no {name}"));
    let report = Report {
        client: json["client"].as_str().unwrap_or_default().to_owned(),
        records: number("records")?,
        members: number("members")?,
        seconds: json["seconds"].as_f64().unwrap_or_default(),
    };
    if report.records != records as u64 {
        return Err(anyhow!("{balancer}: {} records instead of {records}", report.records).into());
    }
    Ok(report)
}

/// Runs a program that prints a line of JSON, with `error` in it where it fails.
fn reported(program: &mut Command, balancer: &str) -> anyhow::Result<serde_json::Value> {
    let finished = process::run(program, "", WITHIN)?;
    let line = finished.stdout.lines().last().unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(line)
        .with_context(|| format!("{balancer}: no report ({}): {}", finished.status, process::tail(&finished.stderr)))?;
    if let Some(error) = json["error"].as_str() {
        bail!("{balancer}: {error}\n{}", process::tail(&finished.stderr));
    }
    ensure!(finished.status.success(), "{balancer}: {line} ({})", finished.status);
    Ok(json)
}
