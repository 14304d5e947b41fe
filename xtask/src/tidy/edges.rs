//! Which crate may use which. Arrows go one way; who may use a crate may use what that crate may use.

use std::collections::BTreeSet;

use crate::metadata::Package;

struct Edges {
    name: &'static str,
    may_use: &'static [&'static str],
    /// Only in tests and examples.
    may_test_with: &'static [&'static str],
}

const EDGES: &[Edges] = &[
    Edges { name: "felice-protocol", may_use: &[], may_test_with: &[] },
    Edges { name: "felice-log", may_use: &["felice-protocol"], may_test_with: &[] },
    // The cores are tested against each other by hand, with a virtual clock.
    Edges { name: "felice-client-core", may_use: &["felice-protocol"], may_test_with: &["felice-broker-core"] },
    Edges {
        name: "felice-broker-core",
        may_use: &["felice-protocol", "felice-log"],
        may_test_with: &["felice-client-core"],
    },
    Edges { name: "felice-net", may_use: &["felice-protocol"], may_test_with: &[] },
    // The client's tests and examples start the embedded broker.
    Edges { name: "felice", may_use: &["felice-client-core", "felice-net"], may_test_with: &["felice-broker"] },
    // `felice` only behind the feature `client`, which is off by default.
    Edges { name: "felice-broker", may_use: &["felice-broker-core", "felice-net", "felice"], may_test_with: &[] },
    Edges { name: "felice-capi", may_use: &["felice", "felice-broker"], may_test_with: &[] },
    Edges { name: "felice-cli", may_use: &["felice", "felice-broker"], may_test_with: &[] },
    Edges {
        name: "felice-sim",
        may_use: &["felice-client-core", "felice-broker-core", "felice-log"],
        may_test_with: &[],
    },
    Edges { name: "felice-conformance", may_use: &["felice", "felice-broker"], may_test_with: &[] },
    Edges { name: "xtask", may_use: &[], may_test_with: &[] },
];

/// Crates that decide and do no I/O, and what would give them the means.
const CORES: &[&str] = &["felice-protocol", "felice-log", "felice-client-core", "felice-broker-core"];
const MEANS_OF_IO: &[&str] = &["tokio", "mio", "socket2", "rustls", "futures", "rand", "tempfile", "parking_lot"];

pub(super) fn check(packages: &[Package], findings: &mut Vec<String>) {
    for package in packages {
        let Some(edges) = EDGES.iter().find(|edges| edges.name == package.name) else {
            findings.push(format!(
                "{}: a crate without a place in the table of edges (xtask/src/tidy/edges.rs)",
                package.name
            ));
            continue;
        };
        let allowed = closure(edges.may_use);
        let allowed_in_tests = closure(edges.may_test_with);
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let ours = packages.iter().any(|other| other.name == name);
            let may = allowed.contains(name) || dependency.dev && allowed_in_tests.contains(name);
            if ours && !may && name != package.name {
                let kind = if dependency.dev { "in its tests " } else { "" };
                findings.push(format!("{} must not use {name} {kind}(style: arrows go one way)", package.name));
            }
            if CORES.contains(&edges.name) && !dependency.dev && MEANS_OF_IO.contains(&name) {
                findings.push(format!("{} is a core and must not use {name}", package.name));
            }
        }
    }
    for core in packages.iter().filter(|package| CORES.contains(&package.name.as_str())) {
        if !crate::run::root().join(&core.folder).join("clippy.toml").exists() {
            findings.push(format!(
                "{}: a core needs its clippy.toml, which bans clocks, locks, files and sockets",
                core.name
            ));
        }
    }
}

fn closure(names: &[&'static str]) -> BTreeSet<&'static str> {
    let mut found: BTreeSet<&'static str> = BTreeSet::new();
    let mut open: Vec<&'static str> = names.to_vec();
    while let Some(name) = open.pop() {
        if found.insert(name)
            && let Some(edges) = EDGES.iter().find(|edges| edges.name == name)
        {
            open.extend(edges.may_use);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn package(name: &str, uses: &str, dev: bool) -> Package {
        Package {
            name: name.to_owned(),
            version: String::new(),
            license: None,
            source: None,
            folder: String::new(),
            dependencies: vec![Dependency { name: uses.to_owned(), dev }],
            binaries: Vec::new(),
            features: Vec::new(),
        }
    }

    fn findings(name: &str, uses: &str, dev: bool) -> usize {
        let mut packages = vec![package(name, uses, dev)];
        if uses.starts_with("felice") {
            packages.push(package(uses, "bytes", false));
        }
        let mut findings = Vec::new();
        check(&packages, &mut findings);
        findings.iter().filter(|finding| finding.contains("must not use")).count()
    }

    #[test]
    fn an_arrow_goes_one_way() {
        assert_eq!(findings("felice-broker-core", "felice-log", false), 0);
        assert_eq!(findings("felice-log", "felice-broker-core", false), 1);
        assert_eq!(findings("felice-net", "felice-log", false), 1);
    }

    #[test]
    fn the_client_may_use_the_broker_in_its_tests_only() {
        assert_eq!(findings("felice", "felice-broker", true), 0);
        assert_eq!(findings("felice", "felice-broker", false), 1);
    }

    #[test]
    fn a_core_may_not_use_what_does_io() {
        assert_eq!(findings("felice-client-core", "tokio", false), 1);
    }
}
