//! One entry of the suite, in a process and a folder of its own.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::{Library, Suite};
use crate::cache;

/// How an entry is run.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The suite.
    pub suite: &'a Suite,
    /// The library under it.
    pub library: &'a Library,
    /// Bootstrap servers, and the folder with Kafka's scripts in `bin`.
    pub brokers: Option<(&'a str, &'a Path)>,
    /// `default`, or `noautocreate` for a cluster that creates no topics by itself.
    pub scenario: &'a str,
    /// When to give up.
    pub limit: Duration,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ran and everything held.
    Pass,
    /// A check failed.
    Fail,
    /// It found that it cannot run here.
    Skip,
    /// The process ended by a signal.
    Crash,
    /// It did not end in time.
    Timeout,
    /// Nobody has run it.
    Unrun,
}

impl Verdict {
    /// As the table spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Crash => "crash",
            Self::Timeout => "timeout",
            Self::Unrun => "unrun",
        }
    }

    /// The verdict of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Pass, Self::Fail, Self::Skip, Self::Crash, Self::Timeout, Self::Unrun]
            .into_iter()
            .find(|v| v.name() == name)
    }
}

/// The verdict, and what it rests on.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// How many parts of the entry passed. An entry that leaves parts out may pass and prove nothing.
    pub parts: usize,
    /// How long it took.
    pub time: Duration,
    /// The first thing that failed, or why it was skipped; empty for a pass.
    pub why: String,
    /// The whole output.
    pub log: PathBuf,
}

impl Run<'_> {
    /// Runs the entry of this name. `NAME@consumer` runs it with `group.protocol=consumer`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn entry(&self, name: &str) -> anyhow::Result<Outcome> {
        let (entry, protocol) = name.split_once('@').unwrap_or((name, "classic"));
        let side = if *self.library == Library::Original { "original" } else { "ours" };
        let logs = cache::dir("felice-conformance/librdkafka-logs")?;
        let log = logs.join(format!("{name}.{side}.log"));
        // Beside the suite's own `src`, which some entries look for beside the folder that they run in.
        let dir = tempfile::Builder::new().prefix("run-").tempdir_in(self.suite.root())?;
        for folder in ["interceptor_test", "fixtures", "java"] {
            std::os::unix::fs::symlink(self.suite.tests().join(folder), dir.path().join(folder))?;
        }
        let mut conf = "test.topic.random=true\ntest.timeout.multiplier=2\n".to_owned();
        let mut paths: Vec<PathBuf> = self.suite.libraries().into();
        if let Library::In(folder) = self.library {
            paths.insert(0, folder.clone());
        }
        let mut command = Command::new(self.suite.tests().join("test-runner"));
        command.args(["-p1", "-K"]).current_dir(dir.path()).stdin(Stdio::null());
        command.env("LD_LIBRARY_PATH", std::env::join_paths(paths)?).env("RUST_BACKTRACE", "0");
        command.env("TESTS", entry).env("TEST_KAFKA_VERSION", crate::kafka::VERSION);
        command.env("TEST_SCENARIO", self.scenario).env("TEST_CONSUMER_GROUP_PROTOCOL", protocol);
        if protocol == "classic" {
            command.env_remove("TEST_CONSUMER_GROUP_PROTOCOL");
        }
        if let Some((brokers, scripts)) = self.brokers {
            conf += &format!("metadata.broker.list={brokers}\n");
            command.env("BROKERS", brokers).env("KAFKA_PATH", scripts);
        }
        fs::write(dir.path().join("test.conf"), conf)?;
        let output = File::create(&log)?;
        command.stdout(output.try_clone()?).stderr(output);
        let begin = Instant::now();
        let status = within(&mut command, self.limit).with_context(|| format!("cannot run {entry}"))?;
        let time = begin.elapsed();
        let text = plain(&fs::read(&log)?);
        let (verdict, why) = judge(entry, status, &text);
        Ok(Outcome { verdict, parts: parts(&text), time, why, log })
    }
}

/// The end of a process, or `None` when it had to be killed.
fn within(command: &mut Command, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let mut child = command.spawn()?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The output without its colours.
fn plain(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (index, piece) in String::from_utf8_lossy(bytes).split("\u{1b}[").enumerate() {
        let rest = piece.split_once('m').filter(|(code, _)| code.bytes().all(|b| b.is_ascii_digit() || b == b';'));
        text.push_str(if index == 0 { piece } else { rest.map_or(piece, |(_, rest)| rest) });
    }
    text
}

fn parts(text: &str) -> usize {
    text.lines().filter(|line| line.contains(": PASS (")).count()
}

fn judge(entry: &str, status: Option<ExitStatus>, text: &str) -> (Verdict, String) {
    let failed = text.lines().find(|line| line.starts_with("### Test \"") && line.contains(" failed at "));
    let verdict = match status {
        None => Verdict::Timeout,
        // A failed check aborts the process; without one the signal came from elsewhere.
        Some(status) if status.signal().is_some() && failed.is_none() => Verdict::Crash,
        Some(status) if !status.success() => Verdict::Fail,
        Some(_) if text.contains(&format!("Test {entry} PASSED")) => Verdict::Pass,
        Some(_) => Verdict::Skip,
    };
    let why = match verdict {
        Verdict::Pass | Verdict::Unrun => None,
        Verdict::Skip => text.lines().find(|line| line.contains("SKIPPING TEST")),
        Verdict::Fail | Verdict::Crash | Verdict::Timeout => failed
            .or_else(|| text.lines().find(|line| line.contains("panicked at") || line.contains("symbol lookup error")))
            .or_else(|| text.lines().rev().find(|line| !line.trim().is_empty())),
    };
    (verdict, why.unwrap_or_default().trim().chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_judged_by_its_end_and_its_output() {
        let ended = |code: i32| Some(ExitStatus::from_raw(code));
        let passed = "[x] ==== Test 0004_conf PASSED ====\n";
        assert_eq!(judge("0004_conf", ended(0), passed).0, Verdict::Pass);
        assert_eq!(judge("0004_conf", ended(256), passed).0, Verdict::Fail, "the end of the process decides");
        assert_eq!(judge("0004_conf", None, passed).0, Verdict::Timeout);
        assert_eq!(judge("0004_conf", ended(11), "").0, Verdict::Crash);
        assert_eq!(judge("0004_conf", ended(0), "WARN: SKIPPING TEST: no").0, Verdict::Skip);
        let failed = judge("0004_conf", ended(6), "a\n### Test \"0004_conf\" failed at 0004-conf.c:1:main() ###\nb");
        assert_eq!(failed.0, Verdict::Fail);
        assert!(failed.1.contains("0004-conf.c:1"), "{}", failed.1);
    }

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(plain(b"\x1b[36m[a]\x1b[0m b\x1b[1;31mc"), "[a] bc");
        assert_eq!(parts("[ x: PASS (0.1s) ]\n[ y: PASS (2.00s) ]\nother"), 2);
    }
}
