//! `xtask tidy`: what no compiler checks and every reader relies on. Each check is one small file; all run, and all findings are shown.

mod edges;
mod files;
mod manifests;

use anyhow::{Context, Result, bail};

use crate::{metadata, run};

/// A tracked text file.
pub(crate) struct TextFile {
    /// Its path in the repository.
    pub path: String,
    pub text: String,
}

pub(crate) fn run() -> Result<()> {
    let packages = metadata::workspace()?;
    let files = tracked_files()?;
    let mut findings = Vec::new();
    edges::check(&packages, &mut findings);
    manifests::check(&packages, &files, &mut findings);
    files::check(&files, &mut findings);
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    println!("tidy: {} crates and {} files are in order", packages.len(), files.len());
    Ok(())
}

/// What git tracks or would track, as far as it is text.
fn tracked_files() -> Result<Vec<TextFile>> {
    let mut git = std::process::Command::new("git");
    git.current_dir(run::root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let names = run::output(&mut git).context("tidy reads the list of files from git")?;
    let mut files = Vec::new();
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        // Deleted but not yet committed, or not text: nothing to read.
        if let Ok(text) = std::fs::read_to_string(run::root().join(name)) {
            files.push(TextFile { path: name.to_owned(), text });
        }
    }
    Ok(files)
}
