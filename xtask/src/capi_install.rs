//! `xtask capi-install --prefix DIR`: an installation as librdkafka's own `make install` leaves it, for whatever looks for it by
//! pkg-config, by header and library, or by SONAME.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run;

pub(crate) const SONAME: &str = "librdkafka.so.1";

/// The release of librdkafka whose ABI and header the C crate carries.
const VERSION: &str = "2.15.1";

pub(crate) fn run(prefix: &Path) -> Result<()> {
    let headers = run::root().join("crates/capi/include/librdkafka");
    if !headers.is_dir() {
        bail!("crates/capi has no headers yet, so there is nothing to install");
    }
    let prefix = std::path::absolute(prefix)?;
    run::check(&mut run::cargo(&["build", "--release", "--package", "felice-capi"]))?;
    let library = prefix.join("lib");
    let include = prefix.join("include/librdkafka");
    fs::create_dir_all(library.join("pkgconfig"))?;
    fs::create_dir_all(&include)?;
    let built = run::target_dir().join("release/librdkafka.so");
    // A library in use is replaced, not overwritten: a process that has it mapped keeps the old one.
    let installed = library.join(SONAME);
    let fresh = library.join(format!("{SONAME}.new"));
    fs::copy(&built, &fresh).with_context(|| format!("cannot copy {}", built.display()))?;
    fs::rename(&fresh, &installed)?;
    link(&library.join("librdkafka.so"))?;
    for entry in fs::read_dir(&headers)? {
        let entry = entry?;
        fs::copy(entry.path(), include.join(entry.file_name()))?;
    }
    let prefix = prefix.display();
    fs::write(
        library.join("pkgconfig/rdkafka.pc"),
        format!(
            "prefix={prefix}\nlibdir=${{prefix}}/lib\nincludedir=${{prefix}}/include\n\n\
             Name: librdkafka\nDescription: The Apache Kafka C/C++ library (Felice)\nVersion: {VERSION}\n\
             Cflags: -I${{includedir}}\nLibs: -L${{libdir}} -lrdkafka\n"
        ),
    )?;
    println!("installed {SONAME} {VERSION} below {prefix}");
    Ok(())
}

#[cfg(unix)]
fn link(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    std::os::unix::fs::symlink(SONAME, path).with_context(|| format!("cannot link {}", path.display()))
}

#[cfg(not(unix))]
fn link(_path: &Path) -> Result<()> {
    bail!("librdkafka.so.1 is for Linux and its kin")
}
