//! `xtask capi-install --prefix DIR`: an installation as librdkafka's own `make install` leaves it, for whatever looks for it by
//! pkg-config, by library, or by SONAME. Headers come along once the C crate has some; until then a program is compiled with librdkafka's.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::run;

pub(crate) const SONAME: &str = "librdkafka.so.1";

/// The release of librdkafka whose ABI the C crate carries: what `rd_kafka_version_str` says.
const VERSION: &str = "2.15.0";

pub(crate) fn run(prefix: &Path) -> Result<()> {
    let prefix = std::path::absolute(prefix)?;
    run::check(&mut run::cargo(&["build", "--release", "--package", "felice-capi"]))?;
    let built = run::target_dir().join("release/librdkafka.so");
    // Cargo names the library without its SONAME; with the link the build folder serves as LD_LIBRARY_PATH.
    link("librdkafka.so", &built.with_file_name(SONAME))?;

    let library = prefix.join("lib");
    fs::create_dir_all(library.join("pkgconfig"))?;
    // A library in use is replaced, not overwritten: a process that has it mapped keeps the old one.
    let installed = library.join(SONAME);
    let fresh = library.join(format!("{SONAME}.new"));
    fs::copy(&built, &fresh).with_context(|| format!("cannot copy {}", built.display()))?;
    fs::rename(&fresh, &installed)?;
    link(SONAME, &library.join("librdkafka.so"))?;

    let headers = run::root().join("crates/capi/include/librdkafka");
    let cflags = if headers.is_dir() {
        let include = prefix.join("include/librdkafka");
        fs::create_dir_all(&include)?;
        for entry in fs::read_dir(&headers)? {
            let entry = entry?;
            fs::copy(entry.path(), include.join(entry.file_name()))?;
        }
        "Cflags: -I${includedir}\n"
    } else {
        ""
    };
    let shown = prefix.display();
    fs::write(
        library.join("pkgconfig/rdkafka.pc"),
        format!(
            "prefix={shown}\nlibdir=${{prefix}}/lib\nincludedir=${{prefix}}/include\n\n\
             Name: librdkafka\nDescription: The Apache Kafka C/C++ library (Felice)\nVersion: {VERSION}\n\
             {cflags}Libs: -L${{libdir}} -lrdkafka\n"
        ),
    )?;
    println!("installed {SONAME} {VERSION} below {shown}");
    if cflags.is_empty() {
        println!("no headers are installed: crates/capi has none yet; compile with librdkafka's own");
    }
    Ok(())
}

#[cfg(unix)]
fn link(target: &str, path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    std::os::unix::fs::symlink(target, path).with_context(|| format!("cannot link {}", path.display()))
}

#[cfg(not(unix))]
fn link(_target: &str, _path: &Path) -> Result<()> {
    anyhow::bail!("librdkafka.so.1 is for Linux and its kin")
}
