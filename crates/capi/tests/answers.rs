//! What the library answers about configuration, errors and lists, against what the original answered (2.15.1, recorded in `golden/answers.txt`).
//!
//! `CAPI_ORIGINAL=DIR cargo test -p felice-capi --test answers` records anew from the `librdkafka.so.1` in DIR; the file's diff is the review.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Properties whose answers differ on purpose: this build has no OpenSSL, so neither its engines nor its providers.
const DIFFERENT: &[&str] = &["ssl.engine.location", "ssl.engine.id", "ssl_engine_callback_data", "ssl.providers"];

/// The directory of this crate's tests.
fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// What the C program prints with this library; `None` where there is no C compiler.
fn answers(library: &Path) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if Command::new(&compiler).arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no C compiler ({compiler})");
        return None;
    }
    assert!(library.exists(), "there is no {}", library.display());
    symlink(library, dir.path().join("librdkafka.so.1")).unwrap();
    symlink("librdkafka.so.1", dir.path().join("librdkafka.so")).unwrap();
    let program = dir.path().join("answers");
    let compiled = Command::new(&compiler)
        .args([
            "-std=c99",
            "-D_GNU_SOURCE",
            "-Wall",
            "-Wextra",
            "-Wno-unused-parameter",
            "-Wno-ignored-qualifiers",
            "-g",
        ])
        .arg("-I")
        .arg(tests().join("../include"))
        .arg("-o")
        .args([&program, &tests().join("c/answers.c")])
        .arg("-L")
        .arg(dir.path())
        .arg("-lrdkafka")
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(&program).env("LD_LIBRARY_PATH", dir.path()).output().unwrap();
    assert!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The same with the 15,000 lines about setting properties put together: which values have the same outcome, which properties the same outcomes.
fn summary(printed: &str) -> String {
    let mut by_property: BTreeMap<&str, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    let mut rest = String::new();
    for line in printed.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let ["SET", name, value, set, text, get, got] = fields[..] else {
            rest += line;
            rest.push('\n');
            continue;
        };
        if DIFFERENT.contains(&name) {
            continue;
        }
        let trimmed = value.trim_start();
        let same = |text: &str| !trimmed.is_empty() && trimmed != "NULL" && text == trimmed;
        let text = text.replace(&format!("\"{name}\""), "\"NAME\"");
        let text = if trimmed.is_empty() || value == "NULL" {
            text
        } else {
            let end = format!(": {trimmed}");
            let text = text.replace(&format!("\"{trimmed}\""), "\"VALUE\"");
            text.strip_suffix(&end).map_or(text.clone(), |front| format!("{front}: VALUE"))
        };
        let text = text.replace(&format!(" {trimmed} is outside"), " VALUE is outside");
        let got = if same(got) { "VALUE" } else { got };
        let outcome = format!("{set} [{text}] {get} [{got}]");
        by_property.entry(name).or_default().entry(outcome).or_default().push(value);
    }
    let mut groups: BTreeMap<BTreeMap<String, Vec<&str>>, Vec<&str>> = BTreeMap::new();
    for (name, outcomes) in by_property {
        groups.entry(outcomes).or_default().push(name);
    }
    let mut groups: Vec<_> = groups.into_iter().map(|(outcomes, names)| (names, outcomes)).collect();
    groups.sort();
    let mut text = String::new();
    for (names, outcomes) in groups {
        text += &format!("SET {}\n", names.join(", "));
        for (outcome, values) in outcomes {
            text += &format!("    {outcome} <- {}\n", values.join(" | "));
        }
    }
    text + &rest
}

#[test]
fn every_property_error_and_list_answers_as_the_original_does() {
    let golden = tests().join("golden/answers.txt");
    if let Some(original) = std::env::var_os("CAPI_ORIGINAL") {
        if let Some(printed) = answers(&Path::new(&original).join("librdkafka.so.1")) {
            std::fs::write(&golden, summary(&printed)).unwrap();
        }
        return;
    }
    let library = std::env::current_exe().unwrap().parent().unwrap().join("librdkafka.so");
    let Some(printed) = answers(&library) else { return };
    let (ours, originals) = (summary(&printed), std::fs::read_to_string(&golden).unwrap());
    let wrong: Vec<String> = (1..)
        .zip(originals.lines().zip(ours.lines()))
        .filter(|(_, (original, ours))| original != ours)
        .map(|(number, (original, ours))| format!("line {number}\n  original {original}\n  ours     {ours}"))
        .take(20)
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(ours.lines().count(), originals.lines().count());
}
