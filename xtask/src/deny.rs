//! `xtask deny`: what may come in from outside. The rules are read from `cargo metadata`, so that they hold without another tool;
//! where cargo-deny is installed, it is asked too (`deny.toml`).

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::{metadata, run};

/// Licences that ask for no more than their notice.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Crates that must not come in, each with its reason.
const BANNED: &[(&str, &str)] = &[
    ("aws-lc-sys", "needs CMake; ring is the default, aws-lc-rs a choice of the application"),
    ("chrono", "the standard library's and the protocol's own time suffice"),
    ("kafka-protocol", "the messages are our own"),
    ("native-tls", "TLS is rustls"),
    ("openssl", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls"),
    ("rdkafka", "Felice takes librdkafka's place; peers live in benches/"),
    ("rdkafka-sys", "Felice takes librdkafka's place; peers live in benches/"),
];

/// Where crates may come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn run() -> Result<()> {
    let packages = metadata::resolved()?;
    let mut findings = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &packages {
        let name = format!("{} {}", package.name, package.version);
        versions.entry(&package.name).or_default().push(&package.version);
        match package.license.as_deref() {
            Some(licence) if allowed(licence) => {}
            Some(licence) => findings.push(format!("{name}: licence `{licence}` is not on the list")),
            None => findings.push(format!("{name}: names no licence")),
        }
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == package.name) {
            findings.push(format!("{name} is banned: {why}"));
        }
        if package.source.as_deref().is_some_and(|source| source != REGISTRY) {
            findings.push(format!("{name}: does not come from crates.io"));
        }
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        println!("deny: note: {name} is there {} times ({})", versions.len(), versions.join(", "));
    }
    for finding in &findings {
        eprintln!("deny: {finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    println!("deny: {} packages, all licensed as we can pass on, none banned", packages.len());
    cargo_deny()
}

fn cargo_deny() -> Result<()> {
    if !run::available("cargo", &["deny", "--version"]) {
        println!("SKIP cargo-deny: not installed (advisories are not looked up; the rules above are)");
        return Ok(());
    }
    run::check(&mut run::cargo(&["deny", "--locked", "check", "licenses", "bans", "sources"]))?;
    // The database of advisories is fetched; a machine without a way out must still be able to check the rest.
    if run::check(&mut run::cargo(&["deny", "fetch", "db"])).is_err() {
        println!("SKIP advisories: their database cannot be reached");
        return Ok(());
    }
    run::check(&mut run::cargo(&["deny", "--locked", "check", "advisories"]))
}

/// Evaluates a licence expression: `OR` (or the older `/`) needs one side, `AND` both.
fn allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let result = either(&mut rest);
    result && rest.is_empty()
}

fn either(rest: &mut &[&str]) -> bool {
    let mut result = both(rest);
    while let [word, behind @ ..] = rest
        && word.eq_ignore_ascii_case("or")
    {
        *rest = behind;
        result |= both(rest);
    }
    result
}

fn both(rest: &mut &[&str]) -> bool {
    let mut result = one(rest);
    while let [word, behind @ ..] = rest
        && word.eq_ignore_ascii_case("and")
    {
        *rest = behind;
        result &= one(rest);
    }
    result
}

fn one(rest: &mut &[&str]) -> bool {
    match *rest {
        ["(", behind @ ..] => {
            *rest = behind;
            let result = either(rest);
            match *rest {
                [")", behind @ ..] => *rest = behind,
                _ => return false,
            }
            result
        }
        [licence, with, exception, behind @ ..] if with.eq_ignore_ascii_case("with") => {
            *rest = behind;
            LICENCES.contains(&format!("{licence} WITH {exception}").as_str())
        }
        [licence, behind @ ..] => {
            *rest = behind;
            LICENCES.contains(licence)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_side_of_an_or_and_both_of_an_and_must_be_allowed() {
        assert!(allowed("MIT OR GPL-3.0"));
        assert!(allowed("MIT/Apache-2.0"));
        assert!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR GPL-2.0"));
        assert!(!allowed("MIT AND GPL-3.0"));
        assert!(!allowed("GPL-2.0 OR (MIT AND LGPL-2.1)"));
        assert!(!allowed("(MIT"));
        assert!(!allowed(""));
    }
}
