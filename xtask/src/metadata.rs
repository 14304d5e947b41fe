//! What `cargo metadata` says about the workspace, as much of it as the checks need.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run;

/// One package, ours or foreign.
pub(crate) struct Package {
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    /// `None` where the package lies in this repository.
    pub source: Option<String>,
    /// The folder, relative to the repository where it lies in it.
    pub folder: String,
    pub dependencies: Vec<Dependency>,
    pub binaries: Vec<String>,
    pub features: Vec<String>,
}

pub(crate) struct Dependency {
    pub name: String,
    pub dev: bool,
}

/// The workspace's own packages.
pub(crate) fn workspace() -> Result<Vec<Package>> {
    packages(&["metadata", "--format-version", "1", "--no-deps"])
}

/// Every package of the resolved graph, as built for Linux: for other systems cargo would first have to download theirs.
pub(crate) fn resolved() -> Result<Vec<Package>> {
    packages(&["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
}

pub(crate) fn packages(arguments: &[&str]) -> Result<Vec<Package>> {
    let text = run::output(&mut run::cargo(arguments))?;
    let value: Value = serde_json::from_str(&text).context("cargo metadata wrote no JSON")?;
    let root = format!("{}/", run::root().display());
    list(&value, "packages").map(|package| parse(package, &root)).collect()
}

fn parse(package: &Value, root: &str) -> Result<Package> {
    let manifest = string(package, "manifest_path").context("a package without a manifest")?;
    let folder = manifest.trim_end_matches("Cargo.toml").trim_end_matches('/');
    let binaries = list(package, "targets").filter(|target| list(target, "kind").any(|kind| kind == "bin"));
    Ok(Package {
        name: string(package, "name").context("a package without a name")?,
        version: string(package, "version").unwrap_or_default(),
        license: string(package, "license"),
        source: string(package, "source"),
        folder: folder.strip_prefix(root).unwrap_or(folder).to_owned(),
        dependencies: list(package, "dependencies")
            .map(|dependency| Dependency {
                name: string(dependency, "name").unwrap_or_default(),
                dev: string(dependency, "kind").as_deref() == Some("dev"),
            })
            .collect(),
        binaries: binaries.filter_map(|target| string(target, "name")).collect(),
        features: package
            .get("features")
            .and_then(Value::as_object)
            .map(|features| features.keys().cloned().collect())
            .unwrap_or_default(),
    })
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn string(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}
