//! The C library against the list of names that librdkafka exports and against its header: all of them, no other, under the SONAME that programs
//! look for.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use super::Outcome;
use crate::capi_install::{self, SONAME};
use crate::metadata::Package;
use crate::run;

pub(super) fn check(packages: &[Package]) -> Result<Outcome> {
    if !packages.iter().any(|package| package.name == "felice-capi") {
        return Ok(Outcome::Skipped("there is no felice-capi".to_owned()));
    }
    for tool in ["nm", "readelf"] {
        if !run::available(tool, &["--version"]) {
            return Ok(Outcome::Skipped(format!("no {tool}")));
        }
    }
    run::check(&mut run::cargo(&["build", "--release", "--locked", "--package", "felice-capi"]))?;
    let library = run::target_dir().join("release/librdkafka.so");
    let dynamic = run::output(Command::new("readelf").arg("-d").arg(&library))?;
    if !dynamic.lines().any(|line| line.contains("SONAME") && line.contains(&format!("[{SONAME}]"))) {
        bail!("{} does not call itself {SONAME}", library.display());
    }
    let symbols = run::output(Command::new("nm").args(["-D", "--defined-only"]).arg(&library))?;
    let exported: BTreeSet<&str> = symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    // Versioned symbols are listed as name@@VERSION.
    let exported: BTreeSet<&str> = exported.iter().filter_map(|name| name.split('@').next()).collect();
    let foreign: Vec<&str> = exported.iter().copied().filter(|name| !name.starts_with("rd_kafka_")).collect();
    if !foreign.is_empty() {
        bail!("a host program would see these names too: {}", foreign.join(" "));
    }
    let mut promised = BTreeSet::new();
    for entry in fs::read_dir(capi_install::headers())? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "h") {
            promised.extend(functions(&fs::read_to_string(path)?));
        }
    }
    let list = fs::read_to_string(run::root().join("crates/capi/tests/exports-2.16.0.txt"))?;
    let listed: BTreeSet<&str> = list.lines().collect();
    let promised: BTreeSet<&str> = promised.iter().map(String::as_str).collect();
    println!(
        "capi: {} names in librdkafka, {} in the header, {} in the library",
        listed.len(),
        promised.len(),
        exported.len()
    );
    let differ = |what: &str, from: &BTreeSet<&str>, to: &BTreeSet<&str>| -> Option<String> {
        let names: Vec<&str> = from.difference(to).copied().collect();
        (!names.is_empty()).then(|| format!("{what}: {}", names.join(" ")))
    };
    let faults: Vec<String> = [
        differ("missing in the library", &listed, &exported),
        differ("exported beyond librdkafka", &exported, &listed),
        differ("missing in the header", &listed, &promised),
        differ("in the header beyond librdkafka", &promised, &listed),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !faults.is_empty() {
        bail!("{}", faults.join("; "));
    }
    Ok(Outcome::Passed)
}

/// The names of the functions that a header declares with `RD_EXPORT`.
fn functions(header: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for declaration in header.split("RD_EXPORT").skip(1) {
        // `RD_EXPORT type *name(...`: the last word before the first bracket, where that is a name and not a function pointer's.
        let Some((before, _)) = declaration.split_once('(') else { continue };
        let name = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
        if name.starts_with("rd_kafka") && !before.contains(['#', ';', '/']) {
            names.insert(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::functions;

    #[test]
    fn functions_are_read_from_a_header() {
        let header = "#define RD_EXPORT x\nRD_EXPORT\nint rd_kafka_version(void);\nRD_EXPORT const char *rd_kafka_err2str(\n  int e);";
        assert_eq!(functions(header).into_iter().collect::<Vec<_>>(), ["rd_kafka_err2str", "rd_kafka_version"]);
    }
}
