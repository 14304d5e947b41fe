//! Every crate takes the workspace's lints, and with them `unsafe_code = "forbid"`. Only the C ABI has a table of its own.

use super::TextFile;
use crate::metadata::Package;

const MAY_BE_UNSAFE: &str = "felice-capi";
const ITS_LINTS: &[&str] = &["unsafe_op_in_unsafe_fn", "undocumented_unsafe_blocks", "missing_safety_doc"];

pub(super) fn check(packages: &[Package], files: &[TextFile], findings: &mut Vec<String>) {
    let text = |path: &str| files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    if !text("Cargo.toml").contains("unsafe_code = \"forbid\"") {
        findings.push("Cargo.toml: the workspace's lints must forbid unsafe code".to_owned());
    }
    for package in packages {
        let path = format!("{}/Cargo.toml", package.folder);
        let manifest = text(&path);
        let inherits = manifest.contains("[lints]\nworkspace = true");
        if package.name == MAY_BE_UNSAFE {
            for lint in ITS_LINTS.iter().filter(|lint| !manifest.contains(**lint)) {
                findings.push(format!("{path}: the one crate that may be unsafe needs the lint {lint}"));
            }
        } else if !inherits {
            findings.push(format!("{path}: `[lints] workspace = true` is missing"));
        }
        if package.license.as_deref() != Some("MIT OR Apache-2.0") {
            findings.push(format!("{path}: `license.workspace = true` is missing"));
        }
        let prefix = format!("{}/src/", package.folder);
        for file in files.iter().filter(|file| file.path.starts_with(&prefix)) {
            // The lint forbids it; an attribute that would lower the lint is found here.
            if package.name != MAY_BE_UNSAFE && file.text.contains(concat!("allow(un", "safe_code)")) {
                findings.push(format!("{}: unsafe code is for {MAY_BE_UNSAFE} alone", file.path));
            }
        }
    }
}
