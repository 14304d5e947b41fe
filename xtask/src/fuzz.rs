//! `xtask fuzz`: builds the targets of `fuzz/` with coverage and AddressSanitizer and runs each for a while, with memory bounded.
//!
//! The flags are those that cargo-fuzz would pass, so nothing has to be installed beyond a nightly toolchain and a C++ compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{metadata, run};

const HOST: &str = "x86_64-unknown-linux-gnu";

/// As cargo-fuzz builds. One codegen unit: the coverage pass wants whole crates.
const FLAGS: &str = "--cfg fuzzing -Zsanitizer=address -Ccodegen-units=1 -Cdebuginfo=line-tables-only -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// A frame of 64 KiB must not cost more than this, all told and in one allocation.
const BOUNDS: &[&str] =
    &["-max_len=65536", "-rss_limit_mb=1024", "-malloc_limit_mb=256", "-timeout=10", "-print_final_stats=1"];

/// Parses `[--seconds N] [TARGET]`.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (seconds, only) = match arguments {
        [] => (10, None),
        ["--seconds", seconds] => (seconds.parse()?, None),
        ["--seconds", seconds, target] => (seconds.parse()?, Some(*target)),
        [target] => (10, Some(*target)),
        _ => bail!("usage: cargo xtask fuzz [--seconds N] [TARGET]"),
    };
    if let Some(reason) = missing() {
        println!("SKIP fuzz: {reason}");
        return Ok(());
    }
    let targets = targets()?;
    if let Some(only) = only.filter(|only| !targets.iter().any(|target| target == only)) {
        bail!("no target {only}: there are {}", targets.join(", "));
    }
    let binaries = build()?;
    let mut failed = Vec::new();
    for target in targets.iter().filter(|target| only.is_none_or(|only| only == *target)) {
        println!("fuzz: {target}, {seconds} s");
        if let Err(error) = run_target(&binaries, target, seconds) {
            eprintln!("fuzz: {target}: {error:#}");
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("{} failed; what brought it about lies in fuzz/artifacts", failed.join(", "));
    }
    Ok(())
}

/// What stands in the way on this machine.
pub(crate) fn missing() -> Option<&'static str> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Some("only built for x86-64 Linux");
    }
    if !run::available("rustup", &["run", "nightly", "rustc", "--version"]) {
        return Some("no nightly toolchain");
    }
    if !run::available("c++", &["--version"]) {
        return Some("no C++ compiler for libFuzzer");
    }
    None
}

fn targets() -> Result<Vec<String>> {
    let manifest = folder().join("Cargo.toml");
    let manifest = manifest.to_str().context("a path that is not UTF-8")?;
    let packages =
        metadata::packages(&["metadata", "--format-version", "1", "--no-deps", "--manifest-path", manifest])?;
    Ok(packages.into_iter().flat_map(|package| package.binaries).collect())
}

fn folder() -> PathBuf {
    run::root().join("fuzz")
}

fn build() -> Result<PathBuf> {
    let target_dir = run::target_dir().join("fuzz");
    run::check(
        Command::new("rustup")
            .args(["run", "nightly", "cargo", "build", "--release", "--bins", "--target", HOST])
            .current_dir(folder())
            // The stable toolchain that runs this names itself to its children.
            .env_remove("CARGO")
            .env_remove("RUSTC")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("CARGO_TARGET_DIR", &target_dir)
            .env("RUSTFLAGS", FLAGS),
    )?;
    Ok(target_dir.join(HOST).join("release"))
}

fn run_target(binaries: &Path, target: &str, seconds: u32) -> Result<()> {
    let corpus = folder().join("corpus").join(target);
    let artifacts = folder().join("artifacts").join(target);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    seed(target, &corpus)?;
    let log = run::target_dir().join("fuzz").join(format!("{target}.log"));
    let result = run::check(
        Command::new(binaries.join(target))
            .arg(&corpus)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(BOUNDS)
            .current_dir(folder())
            .stderr(fs::File::create(&log)?)
            .env("ASAN_OPTIONS", "allocator_may_return_null=0:detect_leaks=0"),
    );
    // libFuzzer tells a great deal; of interest are how much was tried, and where it broke.
    let told = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    for line in told.lines().filter(|line| line.starts_with("stat::") || result.is_err() && tells_why(line)).take(60) {
        println!("  {line}");
    }
    result.with_context(|| format!("the whole story is in {}", log.display()))
}

fn tells_why(line: &str) -> bool {
    ["panicked", "ERROR", "SUMMARY", "felice", "Test unit", "assertion", "left:", "right:"]
        .iter()
        .any(|word| line.contains(word))
}

/// Gives the message targets what Apache Kafka wrote to start from: without it ten seconds find no way into a nested array.
fn seed(target: &str, corpus: &Path) -> Result<()> {
    let messages = run::root().join("crates/protocol/testdata/messages");
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&messages)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".txt").filter(|name| *name != "headers").map(str::to_owned));
    }
    names.sort();
    for (index, name) in names.iter().enumerate() {
        let text = fs::read_to_string(messages.join(format!("{name}.txt")))?;
        for line in text.lines().filter(|line| line.contains(" filled ") || line.contains(" extremes ")) {
            let [version, case, hex] = line.split(' ').collect::<Vec<_>>()[..] else { bail!("{name}: {line}") };
            let version: i16 = version.parse()?;
            let body = unhex(hex)?;
            let input = match target {
                // The table of all messages is ordered by name, as the files are.
                "message_roundtrip" => {
                    [&u16::try_from(index)?.to_be_bytes()[..], &[u8::try_from(version)?], &body].concat()
                }
                "frames" | "broker" => {
                    let Some(header) = request_header(name, version, &messages)? else { continue };
                    let frame = [&header[..], &body].concat();
                    let length = u16::try_from(frame.len())?.to_be_bytes();
                    if target == "broker" { [&length[..], &frame].concat() } else { frame }
                }
                _ => return Ok(()),
            };
            let file = corpus.join(format!("kafka-{name}-{version}-{case}"));
            if !file.exists() {
                fs::write(file, input)?;
            }
        }
    }
    Ok(())
}

/// The header that goes before a request of this name: key, version, correlation id, client id, and tagged fields where flexible.
fn request_header(name: &str, version: i16, messages: &Path) -> Result<Option<Vec<u8>>> {
    let Some(api) = name.strip_suffix("Request") else {
        return Ok(None);
    };
    let headers = fs::read_to_string(messages.join("headers.txt"))?;
    for line in headers.lines() {
        if let [key, name, at, header, _] = line.split(' ').collect::<Vec<_>>()[..]
            && name == api
            && at.parse() == Ok(version)
        {
            let mut bytes = key.parse::<i16>()?.to_be_bytes().to_vec();
            bytes.extend(version.to_be_bytes());
            bytes.extend([0, 0, 0, 1, 0, 1, b'c']);
            if header == "2" {
                bytes.push(0);
            }
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn unhex(hex: &str) -> Result<Vec<u8>> {
    if hex == "-" {
        return Ok(Vec::new());
    }
    let pair = |at: usize| hex.get(at..at + 2).context("half a byte");
    (0..hex.len()).step_by(2).map(|at| Ok(u8::from_str_radix(pair(at)?, 16)?)).collect()
}
