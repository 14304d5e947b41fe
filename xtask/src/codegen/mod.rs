//! Writes `crates/protocol/src/messages/` from Kafka's own message schemas, which lie as JSON in its jars.
//!
//! [`schema`] reads the jars, [`emit`] writes plain Rust, one file an API; the result is formatted by rustfmt and committed. Kafka's texts
//! about the fields are not carried over: a field's documentation is its schema in one line.

mod emit;
mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Generates the messages; with `check`, only compares them with what is committed.
pub(crate) fn run(check: bool) -> Result<()> {
    let Some(libs) = kafka_libs() else {
        if check {
            println!(
                "SKIP codegen check: Kafka 4.3.1's jars are not here (FELICE_KAFKA_LIBS, or `cargo xtask oracle` fetches them)"
            );
            return Ok(());
        }
        bail!("Kafka 4.3.1's jars are not here: set FELICE_KAFKA_LIBS to their folder");
    };
    let messages = schema::load(&libs)?;
    let files = emit::files(&messages)?;
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/protocol/src/messages");
    let scratch = target.join("../../../../target/codegen");
    let formatted = format(&scratch, &files)?;
    if check { compare(&target, &formatted) } else { write(&target, &formatted) }
}

/// The folder with Kafka 4.3.1's jars, where there is one.
pub(crate) fn kafka_libs() -> Option<PathBuf> {
    let cache = || {
        let home = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
        Some(home.join("apache-kafka/4.3.1"))
    };
    std::env::var_os("FELICE_KAFKA_LIBS")
        .map(PathBuf::from)
        .or_else(cache)
        .filter(|libs| libs.join("kafka-clients-4.3.1.jar").exists())
}

type Files = BTreeMap<PathBuf, String>;

fn format(scratch: &Path, files: &Files) -> Result<Files> {
    let _ = std::fs::remove_dir_all(scratch);
    for (name, text) in files {
        let path = scratch.join(name);
        std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        std::fs::write(&path, text)?;
    }
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rustfmt.toml");
    let status = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(config)
        .args(files.keys().filter(|name| !name.ends_with("mod.rs")).map(|name| scratch.join(name)))
        .status()
        .context("rustfmt does not start: `rustup component add rustfmt`")?;
    if !status.success() {
        bail!("rustfmt did not like the generated code in {}", scratch.display());
    }
    files.keys().map(|name| Ok((name.clone(), std::fs::read_to_string(scratch.join(name))?))).collect()
}

fn existing(target: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in [target.to_path_buf(), target.join("data")] {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            let generated = path.extension().is_some_and(|e| e == "rs")
                && std::fs::read_to_string(&path)?.starts_with(emit::HEADER.trim_end());
            if generated {
                found.push(path.strip_prefix(target)?.to_path_buf());
            }
        }
    }
    Ok(found)
}

fn write(target: &Path, files: &Files) -> Result<()> {
    for stale in existing(target)?.iter().filter(|name| !files.contains_key(*name)) {
        std::fs::remove_file(target.join(stale))?;
    }
    for (name, text) in files {
        let path = target.join(name);
        std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        if std::fs::read_to_string(&path).is_ok_and(|old| old == *text) {
            continue;
        }
        std::fs::write(path, text)?;
    }
    println!("{} files in {}", files.len(), target.display());
    Ok(())
}

fn compare(target: &Path, files: &Files) -> Result<()> {
    let differing: Vec<_> = files
        .iter()
        .filter(|(name, text)| std::fs::read_to_string(target.join(name)).ok().as_ref() != Some(*text))
        .map(|(name, _)| name.clone())
        .chain(existing(target)?.into_iter().filter(|name| !files.contains_key(name)))
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    bail!("these files are not what the schemas give; run `cargo xtask codegen`: {differing:?}")
}
