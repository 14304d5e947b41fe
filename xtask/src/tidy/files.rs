//! What every tracked file keeps to: a size, a head, and nothing that is true on one machine only.

use super::TextFile;

/// Past this a file holds two concepts.
const LINES: usize = 600;

/// Where addresses in tracked text may point to. A package registry's mirror is nobody else's business.
const HOSTS: &[&str] = &[
    "127.0.0.1",
    "archive.apache.org",
    "choosealicense.com",
    "crates.io",
    "cwiki.apache.org",
    "datatracker.ietf.org",
    "doc.rust-lang.org",
    "docs.confluent.io",
    "docs.rs",
    "example.com",
    "github.com",
    "kafka.apache.org",
    "localhost",
    "maven.apache.org",
    "pkg.go.dev",
    "pypi.org",
    "repo.maven.apache.org",
    "repo1.maven.org",
    "rust-lang.github.io",
    "rust-lang.org",
    "rustup.rs",
    "rustsec.org",
    "semver.org",
    "www.apache.org",
    "www.rfc-editor.org",
];

/// Folders of one machine. Written in two halves, so that this file passes its own check.
const FOLDERS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Use", "rs/")];

pub(super) fn check(files: &[TextFile], findings: &mut Vec<String>) {
    for file in files {
        check_size(file, findings);
        check_head(file, findings);
        // The standard licence texts and lock files stand as they came.
        if !file.path.starts_with("LICENSE") && !is_foreign(file) {
            check_places(file, findings);
        }
    }
}

/// librdkafka's public headers are an input of the C ABI and stay as they are; recorded bytes are no prose.
fn is_foreign(file: &TextFile) -> bool {
    file.path.starts_with("crates/capi/include/") || file.path.contains("/testdata/") && file.path.ends_with(".txt")
}

fn is_generated(file: &TextFile) -> bool {
    file.text.lines().next().is_some_and(|line| line.contains(concat!("@gener", "ated")))
}

fn check_size(file: &TextFile, findings: &mut Vec<String>) {
    let counts = [".rs", ".java", ".go", ".py", ".c"].iter().any(|ending| file.path.ends_with(ending));
    let lines = file.text.lines().count();
    if counts && lines > LINES && !is_generated(file) && !is_foreign(file) {
        findings.push(format!("{}: {lines} lines; past {LINES}, ask which two concepts share the file", file.path));
    }
}

fn check_head(file: &TextFile, findings: &mut Vec<String>) {
    let Some(name) = file.path.rsplit('/').next().filter(|name| name.ends_with(".rs")) else {
        return;
    };
    let first = file.text.lines().next().unwrap_or_default();
    let marker = concat!("// @gener", "ated");
    if is_generated(file) && !first.starts_with(marker) {
        findings.push(format!("{}: a generated file starts with `{marker}`", file.path));
    }
    let maps_a_folder = ["lib.rs", "main.rs", "mod.rs"].contains(&name);
    if maps_a_folder && !is_generated(file) && !first.starts_with("//!") && !first.starts_with("#!") {
        findings.push(format!("{}: starts with `//!`, the map of its folder", file.path));
    }
    // Whoever edits the codec of a message by hand loses it with the next codegen: hand-written files there are few and named.
    let by_hand = ["mod.rs", "entry.rs", "frame.rs", "header.rs", "codec.rs", "tests.rs"];
    if file.path.starts_with("crates/protocol/src/messages/") && !is_generated(file) && !by_hand.contains(&name) {
        findings.push(format!("{}: a message's file starts with `{marker}`", file.path));
    }
}

fn check_places(file: &TextFile, findings: &mut Vec<String>) {
    for (number, line) in file.text.lines().enumerate() {
        let place = || format!("{}:{}", file.path, number + 1);
        for folder in FOLDERS {
            for (at, _) in line.match_indices(folder) {
                let before = line.get(..at).and_then(|text| text.chars().next_back());
                if !before.is_some_and(|c| c.is_alphanumeric() || "._-}*".contains(c)) {
                    findings.push(format!("{}: `{folder}` is a folder of one machine", place()));
                }
            }
        }
        for host in hosts(line) {
            if !HOSTS.contains(&host) && !host.ends_with(".example.com") && host.contains('.') {
                findings.push(format!(
                    "{}: an address on `{host}`, which is not among the known hosts (xtask/src/tidy/files.rs)",
                    place()
                ));
            }
        }
    }
}

/// The hosts of the line's `http` addresses.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("://").filter_map(move |(at, _)| {
        let scheme = line.get(..at)?;
        if !scheme.ends_with("http") && !scheme.ends_with("https") {
            return None;
        }
        let rest = line.get(at + 3..)?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-')).unwrap_or(rest.len());
        rest.get(..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&[TextFile { path: path.to_owned(), text: text.to_owned() }], &mut findings);
        findings
    }

    #[test]
    fn a_long_file_is_found_unless_it_is_generated() {
        let long = "\n".repeat(LINES + 1);
        assert_eq!(findings("crates/log/src/segment.rs", &long).len(), 1);
        assert!(findings("crates/log/src/segment.rs", &format!("{}{long}", concat!("// @gener", "ated"))).is_empty());
    }

    #[test]
    fn a_folder_of_one_machine_is_found() {
        assert_eq!(findings("docs/a.md", concat!("see /wo", "rk/x")).len(), 1);
        assert!(findings("docs/a.md", concat!("see target/wo", "rk/x")).is_empty());
    }

    #[test]
    fn an_unknown_host_is_found() {
        assert_eq!(findings("docs/a.md", concat!("from http", "://mirror.internal:8080/x")).len(), 1);
        assert!(findings("docs/a.md", "from https://docs.rs/bytes").is_empty());
    }
}
