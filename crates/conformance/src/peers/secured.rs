//! Foreign clients on secured listeners: one program a client, which goes in by every way that it is told, produces and reads back.

use std::collections::BTreeMap;

use anyhow::ensure;

use super::{RUN_WITHIN, go, java_source, python};
use crate::{Failure, process};

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Apache Kafka's own, in Java.
    Java,
    /// confluent-kafka for Python.
    Python,
    /// franz-go.
    FranzGo,
}

/// One way in: names and values as `peers/README.md` has them.
pub type Way = BTreeMap<&'static str, String>;

/// Lets a client go in by each way; fails with all that failed.
///
/// # Errors
/// [`Failure::Skip`] where the client cannot be had; otherwise what it said.
pub fn go_in(client: Client, ways: &[Way]) -> Result<(), Failure> {
    let mut command = match client {
        Client::Java => java_source("Secured.java")?,
        Client::Python => python("secured.py")?,
        Client::FranzGo => go("secured")?,
    };
    let mut input = String::new();
    for way in ways {
        for (name, value) in way {
            input.push_str(&format!("{name}={value}\n"));
        }
        input.push('\n');
    }
    let finished = process::run(&mut command, &input, RUN_WITHIN)?;
    let names: Vec<_> = ways.iter().filter_map(|way| way.get("name")).map(|name| format!("ok {name}")).collect();
    // Java's client logs there as well.
    let is_verdict = |line: &&str| line.starts_with("ok ") || line.starts_with("failed ");
    let said: Vec<_> = finished.stdout.lines().filter(is_verdict).collect();
    let check = || {
        ensure!(
            finished.status.success() && said == names,
            "{client:?} says:\n{}\n{}",
            said.join("\n"),
            process::tail(&finished.stderr)
        );
        Ok(())
    };
    Ok(check()?)
}
