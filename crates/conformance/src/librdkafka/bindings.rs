//! Programs and language bindings that were written for librdkafka, on ours: scripts in `librdkafka/bindings`, each printing a line a check.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};

use super::{Library, Suite, lists, step};
use crate::{Failure, Skip, cache, process};

/// A program or binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// kcat, as Debian built it.
    Kcat,
    /// librdkafka++ and upstream's examples in C and C++, compiled over the installation.
    Cpp,
    /// confluent-kafka-go with its tag `dynamic`: tests that need no broker.
    GoUnit,
    /// The same, and its integration tests.
    Go,
    /// confluent-kafka for Python: source distribution, and wheel with the library inside replaced.
    Python,
    /// rust-rdkafka with its feature `dynamic-linking`.
    Rust,
}

/// What a check of a binding came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// It held.
    Ok,
    /// It did not, and why.
    NotOk(String),
    /// The binding left it out.
    Skip,
}

/// What bindings are run over.
#[derive(Debug)]
pub struct Installation {
    prefix: tempfile::TempDir,
    library: PathBuf,
}

impl Installation {
    /// Installs a library with `cargo xtask capi-install`.
    ///
    /// # Errors
    /// When that fails.
    pub fn of(library: &Library) -> anyhow::Result<Self> {
        let Library::In(folder) = library else { return Err(anyhow!("only ours is installed")) };
        let (prefix, library) = (tempfile::tempdir()?, folder.join("librdkafka.so.1").canonicalize()?);
        let mut install = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        install
            .args(["run", "--quiet", "--locked", "--package", "xtask", "--", "capi-install", "--library"])
            .arg(&library);
        step(install.arg("--prefix").arg(prefix.path()).current_dir(root()), Duration::from_secs(600))?;
        Ok(Self { prefix, library })
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Binding {
    /// As the list of skips names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kcat => "kcat",
            Self::Cpp => "cpp",
            Self::GoUnit | Self::Go => "go",
            Self::Python => "python",
            Self::Rust => "rust",
        }
    }

    /// How many checks hold on the original library: fewer would mean that something was left out.
    pub fn checks(self) -> usize {
        match self {
            Self::Kcat => 19,
            Self::Cpp => 10,
            // `build` counts as one.
            Self::GoUnit => 38,
            Self::Go => 82,
            Self::Python => 5,
            // 62 names, and `build`.
            Self::Rust => 63,
        }
    }

    /// Runs it against the brokers; each check by name.
    ///
    /// # Errors
    /// [`Failure::Skip`] when the machine lacks what it is made of.
    pub fn run(
        self,
        installation: &Installation,
        suite: &Suite,
        bootstrap: &str,
    ) -> Result<BTreeMap<String, Check>, Failure> {
        let work = cache::dir("felice-conformance/librdkafka-bindings")?;
        let mut script = Command::new("sh");
        script.arg(lists().join("bindings").join(format!("{}.sh", self.name())));
        script.env("PREFIX", installation.prefix.path()).env("WORK", &work).env("BOOTSTRAP", bootstrap);
        script.env("ROOT", root()).env("SOURCES", suite.root()).env("RUST_BACKTRACE", "0").current_dir(&work);
        match self {
            // Its folder must hold nothing else: a path of the loader is searched for every library.
            Self::Kcat => script.env("LIBRARY", installation.prefix.path().join("lib")),
            Self::Python => script.env("LIBRARY", &installation.library),
            Self::Cpp => script.env("EXAMPLES", crate_source("rdkafka-sys", "4.10.0")?.join("librdkafka/examples")),
            Self::GoUnit => script.env("GO_TESTS", "unit"),
            Self::Go => script.env("GO_TESTS", "all"),
            Self::Rust => script.env("SOURCE", crate_source("rdkafka", "0.39.0")?),
        };
        let finished = process::run(&mut script, "", Duration::from_secs(3600))?;
        if finished.status.code() == Some(77) {
            let why =
                finished.stdout.lines().find_map(|line| line.strip_prefix("SKIP ")).unwrap_or("it did not say why");
            return Err(Skip(why.to_owned()).into());
        }
        Ok(parse(&finished.stdout))
    }
}

fn parse(output: &str) -> BTreeMap<String, Check> {
    let mut checks = BTreeMap::new();
    for line in output.lines() {
        let (name, check) = if let Some(name) = line.strip_prefix("ok ") {
            (name, Check::Ok)
        } else if let Some(rest) = line.strip_prefix("not ok ") {
            let (name, why) = rest.split_once(": ").unwrap_or((rest, ""));
            (name, Check::NotOk(why.to_owned()))
        } else if let Some(rest) = line.strip_prefix("skip ") {
            (rest.split(": ").next().unwrap_or(rest), Check::Skip)
        } else {
            continue;
        };
        checks.insert(name.to_owned(), check);
    }
    checks
}

/// What is wrong with the checks of a binding, seen with the list of skips (`BINDING/CHECK`).
pub fn faults(binding: Binding, checks: &BTreeMap<String, Check>, skips: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expected = binding.checks();
    for (name, check) in checks {
        let full = format!("{}/{name}", binding.name());
        match (check, skips.get(&full)) {
            (Check::NotOk(why), None) => faults.push(format!("{full}: {why}")),
            (Check::Ok, Some(reason)) => faults.push(format!("{full} holds, but stands among the skips: {reason}")),
            (Check::NotOk(_), Some(_)) => expected = expected.saturating_sub(1),
            (Check::Ok | Check::Skip, _) => {}
        }
    }
    let held = checks.values().filter(|check| **check == Check::Ok).count();
    if held < expected && faults.is_empty() {
        faults.push(format!("{}: only {held} checks held, {expected} do on the original", binding.name()));
    }
    faults
}

/// The source of a crate as the registry has it, fetched by cargo.
fn crate_source(name: &str, version: &str) -> Result<PathBuf, Failure> {
    let dir = cache::dir(&format!("felice-conformance/crate-{name}-{version}"))?;
    fs::create_dir_all(dir.join("src"))?;
    fs::write(dir.join("src/lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[dependencies]\n{name} = \"={version}\"\n[workspace]\n"
    );
    fs::write(dir.join("Cargo.toml"), manifest)?;
    let mut metadata = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    metadata.args(["metadata", "--format-version", "1"]).current_dir(&dir);
    let finished = process::run(&mut metadata, "", Duration::from_secs(600))?;
    if !finished.status.success() {
        return Err(Skip(format!("crate {name} cannot be fetched: {}", finished.cause())).into());
    }
    let json: serde_json::Value = serde_json::from_str(&finished.stdout).map_err(anyhow::Error::from)?;
    let packages = json["packages"].as_array().context("cargo metadata names no packages")?;
    let found = packages.iter().find(|package| package["name"] == name);
    let manifest = found.and_then(|package| package["manifest_path"].as_str()).context("no such package")?;
    let source = Path::new(manifest).parent().context("no folder")?.to_path_buf();
    ensure_folder(&source)?;
    Ok(source)
}

fn ensure_folder(path: &Path) -> anyhow::Result<()> {
    ensure!(path.is_dir(), "no {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_counts() {
        let checks = parse("ok a\nnot ok b: why: because\nskip c: reason\nsomething else\n");
        assert_eq!(checks.len(), 3);
        assert_eq!(checks["b"], Check::NotOk("why: because".to_owned()));
    }

    #[test]
    fn what_does_not_hold_must_be_on_the_list_and_the_rest_must_be_whole() {
        let all = |n: usize| (0..n).map(|i| (i.to_string(), Check::Ok)).collect::<BTreeMap<_, _>>();
        let none = BTreeMap::new();
        assert_eq!(faults(Binding::Kcat, &all(19), &none), Vec::<String>::new());
        assert_eq!(faults(Binding::Kcat, &all(3), &none).len(), 1, "too few");
        let mut failing = all(18);
        failing.insert("x".to_owned(), Check::NotOk("y".to_owned()));
        assert_eq!(faults(Binding::Kcat, &failing, &none).len(), 1);
        let skips = BTreeMap::from([("kcat/x".to_owned(), "reason".to_owned())]);
        assert_eq!(faults(Binding::Kcat, &failing, &skips), Vec::<String>::new());
        failing.insert("x".to_owned(), Check::Ok);
        assert_eq!(faults(Binding::Kcat, &failing, &skips).len(), 1, "it passes now");
    }
}
