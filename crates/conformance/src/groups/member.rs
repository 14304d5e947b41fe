//! One member: a program, what it tells, what it is told.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use tempfile::TempDir;

use super::event::{self, Told};
use super::{PROCESS_MS, SESSION_MS, command};
use crate::{Failure, process};

/// Whose client a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Apache Kafka's own.
    Java,
    /// franz-go.
    FranzGo,
    /// sarama.
    Sarama,
    /// confluent-kafka for Python, with the librdkafka in its wheel.
    Python,
    /// librdkafka from C, as the system has it.
    C,
    /// Any other that keeps to the same lines.
    Other(PathBuf),
}

/// What arrives from a member: an event, or why there is none any more.
pub(crate) type Line = (usize, Result<Told, String>);

/// A member at work. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Member {
    child: Child,
    /// What it says on standard error.
    dir: TempDir,
}

impl Program {
    /// A short name, fit for a topic.
    pub fn name(&self) -> String {
        match self {
            Self::Other(path) => path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            program => format!("{program:?}").to_lowercase(),
        }
    }

    /// Starts a member of `group`; its events go to `lines` under the number `id`, and at its end an error.
    pub(crate) fn join(&self, id: usize, seat: &Seat<'_>, lines: Sender<Line>) -> Result<Member, Failure> {
        let dir = tempfile::tempdir()?;
        let mut command = command::member(self)?;
        command
            .args([seat.bootstrap, seat.group, seat.topic, seat.assignor, seat.instance.unwrap_or("-")])
            .env("SESSION_MS", SESSION_MS)
            .env("PROCESS_MS", PROCESS_MS)
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(dir.path().join("err"))?);
        let mut child = command.spawn().with_context(|| format!("cannot run {self:?}"))?;
        let out = child.stdout.take().context("standard output")?;
        thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                let told = line.map_err(|e| e.to_string()).and_then(|l| event::parse(&l).map_err(|e| e.to_string()));
                if lines.send((id, told)).is_err() {
                    return;
                }
            }
            let _ = lines.send((id, Err("its output ended".to_owned())));
        });
        Ok(Member { child, dir })
    }
}

/// Where a member is to join.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat<'a> {
    pub(crate) bootstrap: &'a str,
    pub(crate) group: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) assignor: &'a str,
    pub(crate) instance: Option<&'a str>,
}

impl Member {
    /// Gives it a command: `offsets`, or `leave`.
    pub(crate) fn command(&mut self, command: &str) -> anyhow::Result<()> {
        let input = self.child.stdin.as_mut().context("standard input")?;
        writeln!(input, "{command}").with_context(|| format!("it does not hear {command}: {}", self.stderr()))
    }

    /// Kills it the hard way, and gives the time at which it was dead, in microseconds since 1970.
    pub(crate) fn kill(&mut self) -> anyhow::Result<i64> {
        self.child.kill()?;
        self.child.wait()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(i64::try_from(now.as_micros())?)
    }

    /// The end of what it said on standard error.
    pub(crate) fn stderr(&self) -> String {
        let text = fs::read(self.dir.path().join("err")).unwrap_or_default();
        process::tail(&String::from_utf8_lossy(&text)).to_owned()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
