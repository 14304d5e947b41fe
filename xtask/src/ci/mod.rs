//! `xtask ci`: everything that must hold before a commit, apart from the tests themselves (`cargo test --workspace`).
//!
//! Every step runs, is timed, and stands in the summary; what a machine cannot run is shown as skipped, with the reason.

mod capi;
mod leftovers;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::metadata::{self, Package};
use crate::{codegen, deny, fuzz, oracle, run, tidy};

enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

struct Report<'a> {
    /// The steps asked for; all, where none is.
    only: &'a [&'a str],
    steps: Vec<(&'static str, Outcome, Duration)>,
}

impl Report<'_> {
    fn step(&mut self, name: &'static str, step: impl FnOnce() -> Result<Outcome>) {
        if !self.only.is_empty() && !self.only.contains(&name) {
            return;
        }
        println!("\n=== {name}");
        let begin = Instant::now();
        let outcome = step().unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        match &outcome {
            Outcome::Passed => {}
            Outcome::Skipped(reason) => println!("SKIP {name}: {reason}"),
            Outcome::Failed(reason) => eprintln!("FAIL {name}: {reason}"),
        }
        self.steps.push((name, outcome, begin.elapsed()));
    }

    fn finish(self) -> Result<()> {
        let mut failed = Vec::new();
        println!("\n{:<14} {:>7}  result", "step", "s");
        for (name, outcome, time) in &self.steps {
            let result = match outcome {
                Outcome::Passed => "ok".to_owned(),
                Outcome::Skipped(reason) => format!("SKIP {reason}"),
                Outcome::Failed(reason) => {
                    failed.push(*name);
                    format!("FAIL {reason}")
                }
            };
            println!("{name:<14} {:>7.1}  {result}", time.as_secs_f64());
        }
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        if self.steps.is_empty() {
            bail!("no step is called {}", self.only.join(" or "));
        }
        Ok(())
    }
}

pub(crate) fn run(full: bool, only: &[&str]) -> Result<()> {
    let marker = leftovers::marker();
    let packages = metadata::workspace()?;
    let mut report = Report { only, steps: Vec::new() };
    report.step("fmt", || cargo(&["fmt", "--all", "--", "--check"]));
    report.step("clippy", || cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]));
    report.step("doc", doc);
    report.step("tidy", || tidy::run().map(|()| Outcome::Passed));
    report.step("deny", || deny::run().map(|()| Outcome::Passed));
    report.step("sim", || sim(&packages, full));
    report.step("fuzz", fuzz_short);
    report.step("conformance", || conformance(&packages, full));
    // After the step that fetches Apache Kafka where it can.
    report.step("codegen", || with_kafka(|| codegen::run(true)));
    report.step("oracle", || with_kafka(|| oracle::run(true)));
    report.step("capi", || capi::check(&packages));
    if full || !only.is_empty() {
        report.step("features", || features(&packages));
        report.step("msrv", msrv);
        report.step("miri", miri);
    }
    report.step("leftovers", || leftovers::check(&marker));
    report.finish()
}

fn cargo(arguments: &[&str]) -> Result<Outcome> {
    run::check(&mut run::cargo(arguments)).map(|()| Outcome::Passed)
}

fn doc() -> Result<Outcome> {
    let mut command = run::cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    run::check(command.env("RUSTDOCFLAGS", "-D warnings")).map(|()| Outcome::Passed)
}

fn with_kafka(step: impl FnOnce() -> Result<()>) -> Result<Outcome> {
    if codegen::kafka_libs().is_none() {
        return Ok(Outcome::Skipped("Apache Kafka 4.3.1's jars are not here (FELICE_KAFKA_LIBS)".to_owned()));
    }
    step().map(|()| Outcome::Passed)
}

/// Fixed seeds and fresh ones, more of these with `--full`; the simulator prints the command that replays a failure.
fn sim(packages: &[Package], full: bool) -> Result<Outcome> {
    let has_binary = packages.iter().any(|package| package.name == "felice-sim" && !package.binaries.is_empty());
    if !has_binary {
        return Ok(Outcome::Skipped("felice-sim has no binary yet".to_owned()));
    }
    let fresh_seconds = if full { "90" } else { "2" };
    let run = ["run", "--profile", "sim", "--locked", "--package", "felice-sim", "--"];
    cargo(&[&run[..], &["--hunt"]].concat())?;
    cargo(&[&run[..], &["--ci", "--fresh-seconds", fresh_seconds]].concat())
}

fn fuzz_short() -> Result<Outcome> {
    if let Some(reason) = fuzz::missing() {
        return Ok(Outcome::Skipped(reason.to_owned()));
    }
    fuzz::run(&[]).map(|()| Outcome::Passed)
}

/// A sample against a real Apache Kafka and foreign clients; which of them are there, the tests say themselves.
fn conformance(packages: &[Package], full: bool) -> Result<Outcome> {
    if !packages.iter().any(|package| package.name == "felice-conformance") {
        return Ok(Outcome::Skipped("there is no felice-conformance".to_owned()));
    }
    if !run::available("java", &["-version"]) {
        return Ok(Outcome::Skipped("no java, so no Apache Kafka to compare with".to_owned()));
    }
    let mut command = run::cargo(&["test", "--locked", "--package", "felice-conformance"]);
    run::check(command.env("FELICE_CONFORMANCE", if full { "full" } else { "1" })).map(|()| Outcome::Passed)
}

/// Features only add: each crate builds with none, with each alone, and with all.
fn features(packages: &[Package]) -> Result<Outcome> {
    for package in packages.iter().filter(|package| !package.features.is_empty()) {
        let mut sets = vec![vec!["--no-default-features".to_owned()], vec!["--all-features".to_owned()]];
        for feature in package.features.iter().filter(|feature| *feature != "default") {
            sets.push(vec!["--no-default-features".to_owned(), "--features".to_owned(), feature.clone()]);
        }
        for set in sets {
            run::check(run::cargo(&["check", "--locked", "--package", &package.name]).args(set))?;
        }
    }
    Ok(Outcome::Passed)
}

/// The compiler that `rust-version` promises.
fn msrv() -> Result<Outcome> {
    let manifest = std::fs::read_to_string(run::root().join("Cargo.toml"))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let Some(version) = version else { bail!("Cargo.toml names no rust-version") };
    on_toolchain(version, &["check", "--workspace", "--locked"])
}

/// Miri on the crate that handles bytes from outside, as far as it runs there in minutes.
fn miri() -> Result<Outcome> {
    if !run::available("rustup", &["run", "nightly", "cargo", "miri", "--version"]) {
        return Ok(Outcome::Skipped("no nightly toolchain with miri".to_owned()));
    }
    on_toolchain("nightly", &["miri", "test", "--locked", "--package", "felice-protocol", "--lib", "primitives"])
}

fn on_toolchain(toolchain: &str, arguments: &[&str]) -> Result<Outcome> {
    if !run::available("rustup", &["run", toolchain, "rustc", "--version"]) {
        return Ok(Outcome::Skipped(format!("toolchain {toolchain} is not installed")));
    }
    let mut command = std::process::Command::new("rustup");
    command.args(["run", toolchain, "cargo"]).args(arguments).current_dir(run::root());
    command.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
    // Another compiler's artifacts would push out those of the everyday one.
    command.env("CARGO_TARGET_DIR", run::target_dir().join(toolchain));
    run::check(&mut command).map(|()| Outcome::Passed)
}
