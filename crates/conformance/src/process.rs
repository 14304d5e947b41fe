//! Running other programs with a deadline and keeping what they say.

use std::fs::{self, File};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// What a program left behind.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// The last line on standard error that says something: mostly the cause.
    pub(crate) fn cause(&self) -> String {
        let line = self.stderr.lines().rev().map(str::trim).find(|l| !l.is_empty());
        line.unwrap_or("it said nothing").to_owned()
    }
}

/// Runs a program to its end, with `input` as standard input; kills it at the deadline.
///
/// Output goes through files: a pipe that nobody drains would block the program.
pub(crate) fn run(command: &mut Command, input: &str, limit: Duration) -> anyhow::Result<Finished> {
    let dir = tempfile::tempdir()?;
    let (out, err, inp) = (dir.path().join("out"), dir.path().join("err"), dir.path().join("in"));
    fs::write(&inp, input)?;
    let name = command.get_program().to_string_lossy().into_owned();
    // Cargo's tests run with the build folder in LD_LIBRARY_PATH, and there lies a `librdkafka.so.1` of ours: a foreign program has its own.
    let mut child = command
        .env_remove("LD_LIBRARY_PATH")
        .stdin(File::open(&inp)?)
        .stdout(File::create(&out)?)
        .stderr(File::create(&err)?)
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("{name} did not end within {} s; it said: {}", limit.as_secs(), tail(&fs::read_to_string(&err)?));
        }
        thread::sleep(Duration::from_millis(20));
    };
    let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Finished { status, stdout: read(&out)?, stderr: read(&err)? })
}

/// Whether the program is there: it starts and exits, however it exits.
pub(crate) fn exists(program: &str, argument: &str) -> bool {
    let quiet =
        Command::new(program).arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// The last kilobyte of a text.
pub(crate) fn tail(text: &str) -> &str {
    let from = text.len().saturating_sub(1024);
    let from = (from..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len());
    &text[from..]
}
