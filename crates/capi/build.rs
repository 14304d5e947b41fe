//! Gives the library librdkafka's SONAME, and the name that loaders look for.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,librdkafka.so.1");
    // Threads and thread-locals outlive a dlclose.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    link_beside();
}

/// Cargo names the library `librdkafka.so`, whatever its SONAME: a link beside it makes the build folder fit for LD_LIBRARY_PATH. It leads
/// nowhere until the library is there. Where it cannot be made, the build is none the worse, and `cargo xtask capi-install` makes one.
fn link_beside() {
    let Some(out) = std::env::var_os("OUT_DIR").map(PathBuf::from) else { return };
    // OUT_DIR is <profile>/build/felice-capi-<hash>/out.
    let Some(profile) = out.ancestors().nth(3) else { return };
    let link = profile.join("librdkafka.so.1");
    if link.symlink_metadata().is_err() {
        // Reported, not fatal.
        if let Err(error) = symlink(Path::new("librdkafka.so"), &link) {
            println!("cargo:warning=no link {}: {error}", link.display());
        }
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(_target: &Path, _link: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
