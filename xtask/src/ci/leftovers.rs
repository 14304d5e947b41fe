//! No step may leave a process behind: a broker that outlives its test holds a port and hides the next failure.
//!
//! Every process started here inherits a variable with this run's name; one that still carries it at the end, and is not among our own
//! ancestors, is a leftover.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::Result;

use super::Outcome;

const VARIABLE: &str = "FELICE_CI_RUN";

/// How this run's processes are known: `.ci/run` may have set it already, so that the tests before this are covered too.
pub(super) struct Marker(Option<String>);

pub(super) fn marker() -> Marker {
    Marker(std::env::var(VARIABLE).ok().map(|run| format!("{VARIABLE}={run}")))
}

pub(super) fn check(marker: &Marker) -> Result<Outcome> {
    let Some(marker) = &marker.0 else {
        return Ok(Outcome::Skipped(format!("{VARIABLE} is not set (`.ci/run` sets it)")));
    };
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::Skipped("processes are looked up in /proc".to_owned()));
    }
    let ancestors = ancestors();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let ours = environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes());
        // `cargo xtask ci | tee log`: who was started beside us is no leftover; a leftover has lost its parent.
        let beside_us = parent(pid).is_some_and(|parent| parent != std::process::id() && ancestors.contains(&parent));
        if ours && !beside_us && !ancestors.contains(&pid) {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            found.push(format!("{pid} {}", command.chars().take(120).collect::<String>()));
            // It carries this run's name, so it is ours to end.
            Command::new("kill").arg(pid.to_string()).status()?;
        }
    }
    Ok(if found.is_empty() { Outcome::Passed } else { Outcome::Failed(format!("left behind: {}", found.join("; "))) })
}

fn ancestors() -> BTreeSet<u32> {
    let mut pids = BTreeSet::new();
    let mut pid = std::process::id();
    while pid > 1 && pids.insert(pid) {
        pid = parent(pid).unwrap_or(0);
    }
    pids
}

fn parent(pid: u32) -> Option<u32> {
    // The fields after the command, which stands in brackets and may hold anything: state, parent, …
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}
