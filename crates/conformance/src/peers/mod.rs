//! The foreign clients: what each needs, how it is built, and how it is run. Their programs and the scenario are in
//! `crates/conformance/peers` (see its README).

use std::fs;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use crate::{Failure, Skip, cache, kafka, process};

mod console;
pub mod exchange;
pub mod secured;

const RUN_WITHIN: Duration = Duration::from_secs(180);
const BUILD_WITHIN: Duration = Duration::from_secs(600);
/// Pinned, so that a verdict does not change by itself.
const CONFLUENT_KAFKA: &str = "confluent-kafka==2.16.1";

/// The checks of the programs' scenario (see the README beside them). One that a program does not report is a failure, so that nothing
/// drops out of a verdict unseen; Kafka's console tools have a scenario of their own.
const SCENARIO: [&str; 17] = [
    "create",
    "create-again",
    "produce-none",
    "produce-gzip",
    "produce-snappy",
    "produce-lz4",
    "produce-zstd",
    "consume",
    "offsets",
    "acks",
    "wakeup",
    "out-of-range",
    "cluster",
    "configs",
    "partitions",
    "delete-records",
    "delete",
];

/// A client that is not ours, as a judge of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Apache Kafka's own Java client.
    Java,
    /// franz-go with kadm, in Go.
    FranzGo,
    /// sarama, in Go.
    Sarama,
    /// confluent-kafka for Python with the newest librdkafka in its wheel.
    Python,
    /// librdkafka from C, as the system has it.
    C,
    /// Kafka's console tools.
    Console,
}

/// What a peer said of a broker that passed.
#[derive(Clone, Debug)]
pub struct Report {
    /// The client with its version.
    pub client: String,
    /// The checks that ran and held.
    pub checks: Vec<String>,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Java, Self::FranzGo, Self::Sarama, Self::Python, Self::C, Self::Console];

    /// Builds the peer if need be and lets it judge the broker at `bootstrap`: topic `topic` is made and deleted, `count` records a
    /// codec go through it.
    ///
    /// # Errors
    /// [`Failure::Skip`] when the machine lacks what the peer is made of; otherwise the check that failed and what differed.
    pub fn judge(self, bootstrap: &str, topic: &str, count: usize) -> Result<Report, Failure> {
        let mut command = match self {
            Self::Console => return console::judge(bootstrap, topic, count),
            Self::Java => java_source("Peer.java")?,
            Self::FranzGo => go("franz")?,
            Self::Sarama => go("sarama")?,
            Self::Python => python("peer.py")?,
            Self::C => c("peer")?,
        };
        command.args([bootstrap, topic, &count.to_string()]);
        let finished = process::run(&mut command, "", RUN_WITHIN)?;
        let report = read_report(&finished)?;
        check_complete(&report, &SCENARIO)?;
        Ok(report)
    }
}

pub(crate) fn check_complete(report: &Report, checks: &[&str]) -> anyhow::Result<()> {
    let missing: Vec<_> = checks.iter().filter(|check| report.checks.iter().all(|done| done != *check)).collect();
    anyhow::ensure!(missing.is_empty(), "{}: checks that did not run: {missing:?}", report.client);
    Ok(())
}

pub(crate) fn read_report(finished: &process::Finished) -> anyhow::Result<Report> {
    let line = finished.stdout.lines().last().unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(line)
        .with_context(|| format!("no report ({}): {}", finished.status, process::tail(&finished.stderr)))?;
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    let checks = json["checks"].as_array().into_iter().flatten().filter_map(|c| Some(c.as_str()?.to_owned())).collect();
    let report = Report { client: text("client"), checks };
    if json["ok"] != true || !finished.status.success() {
        let (failed, error) = (text("failed"), text("error"));
        bail!(
            "{}: check `{failed}` failed: {error}\nheld before: {:?}\n{}",
            report.client,
            report.checks,
            process::tail(&finished.stderr)
        );
    }
    Ok(report)
}

/// The folder of the peers' sources.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// A Java program of one source file, with the class path of the judging version.
///
/// # Errors
/// [`Failure::Skip`] without Java's compiler or Kafka's jars.
pub fn java_source(file: &str) -> Result<Command, Failure> {
    let mut command = kafka::java(kafka::VERSION)?;
    if !process::exists("javac", "-version") {
        return Err(Skip("no Java compiler (`javac`), only a runtime".to_owned()).into());
    }
    command.arg(sources().join("java").join(file));
    Ok(command)
}

/// A Java program of one source file, compiled once into the cache, under the judging version's class path: what is started often.
///
/// # Errors
/// As [`java_source`].
pub(crate) fn java_compiled(class: &str) -> Result<Command, Failure> {
    java_source(&format!("{class}.java"))?;
    let source = sources().join("java").join(format!("{class}.java"));
    let text = fs::read(&source)?;
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&text);
    let dir = cache::dir(&format!("felice-conformance/java-{}-{class}-{:016x}", kafka::VERSION, hasher.finish()))?;
    let class_path = kafka::jars(kafka::VERSION)?.join("*");
    cache::once(&dir, || {
        let mut javac = Command::new("javac");
        javac.arg("-d").arg(&dir).arg("-cp").arg(&class_path).arg(&source);
        let built = process::run(&mut javac, "", BUILD_WITHIN)?;
        if !built.status.success() {
            return Err(anyhow!("javac {class}.java: {}", process::tail(&built.stderr)).into());
        }
        Ok(())
    })?;
    let mut class_path = class_path.into_os_string();
    class_path.push(":");
    class_path.push(&dir);
    let mut command = Command::new("java");
    // Started fast, not made for measuring; many run at a time.
    command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]).arg(class_path).arg(class);
    Ok(command)
}

pub(crate) fn go(program: &str) -> Result<Command, Failure> {
    if !process::exists("go", "version") {
        return Err(Skip("no `go`".to_owned()).into());
    }
    let bin = cache::dir("felice-conformance/go")?;
    let lock = cache::lock(&bin)?;
    let module = sources().join("go");
    let fetched = process::run(Command::new("go").args(["mod", "download"]).current_dir(&module), "", BUILD_WITHIN)?;
    if !fetched.status.success() {
        return Err(Skip(format!("Go modules cannot be fetched: {}", fetched.cause())).into());
    }
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&bin).arg(format!("./{program}")).current_dir(&module);
    let built = process::run(&mut build, "", BUILD_WITHIN)?;
    if !built.status.success() {
        return Err(anyhow!("go build {program}: {}", process::tail(&built.stderr)).into());
    }
    drop(lock);
    Ok(Command::new(bin.join(program)))
}

pub(crate) fn python(program: &str) -> Result<Command, Failure> {
    if !process::exists("python3", "--version") {
        return Err(Skip("no `python3`".to_owned()).into());
    }
    let venv = cache::dir(&format!("felice-conformance/{}", CONFLUENT_KAFKA.replace("==", "-")))?;
    cache::once(&venv, || {
        let made = process::run(Command::new("python3").args(["-m", "venv"]).arg(&venv), "", BUILD_WITHIN)?;
        if !made.status.success() {
            return Err(Skip(format!("python3 cannot make a venv: {}", made.cause())).into());
        }
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["install", "-q", "--only-binary", ":all:", CONFLUENT_KAFKA]);
        let installed = process::run(&mut pip, "", BUILD_WITHIN)?;
        if !installed.status.success() {
            return Err(Skip(format!("pip cannot fetch {CONFLUENT_KAFKA}: {}", installed.cause())).into());
        }
        Ok(())
    })?;
    let mut command = Command::new(venv.join("bin/python"));
    command.arg(sources().join("python").join(program));
    Ok(command)
}

pub(crate) fn c(name: &str) -> Result<Command, Failure> {
    let mut pkg_config = Command::new("pkg-config");
    let flags = process::run(pkg_config.args(["--cflags", "--libs", "rdkafka"]), "", BUILD_WITHIN);
    let flags = match flags {
        Ok(finished) if finished.status.success() => finished.stdout,
        _ => return Err(Skip("no librdkafka for C (`pkg-config rdkafka`; Debian: librdkafka-dev)".to_owned()).into()),
    };
    let dir = cache::dir("felice-conformance/c")?;
    let lock = cache::lock(&dir)?;
    let program = dir.join(name);
    let source = sources().join("c").join(format!("{name}.c"));
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-O1", "-g", "-o"]).arg(&program).arg(&source).args(flags.split_whitespace());
    let built = process::run(&mut cc, "", BUILD_WITHIN)?;
    if !built.status.success() {
        return Err(anyhow!("cc {name}.c: {}", process::tail(&built.stderr)).into());
    }
    drop(lock);
    Ok(Command::new(program))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn report(code: i32, stdout: &str) -> anyhow::Result<Report> {
        let finished = process::Finished {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.to_owned(),
            stderr: "why".to_owned(),
        };
        read_report(&finished)
    }

    #[test]
    fn a_verdict_counts_only_with_a_report_and_a_clean_exit() {
        let ok = r#"{"client":"x 1","ok":true,"checks":["create","delete"]}"#;
        assert_eq!(report(0, ok).unwrap().checks, ["create", "delete"]);
        let incomplete = check_complete(&report(0, ok).unwrap(), &SCENARIO).unwrap_err().to_string();
        assert!(incomplete.contains("create-again") && !incomplete.contains(r#""create""#), "{incomplete}");
        assert!(report(1, ok).is_err());
        assert!(report(0, "").unwrap_err().to_string().contains("why"));
        let failed = r#"{"client":"x 1","ok":false,"checks":[],"failed":"create","error":"no leader"}"#;
        assert!(report(0, failed).unwrap_err().to_string().contains("no leader"));
    }
}
