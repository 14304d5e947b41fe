//! `xtask capi-install`: puts the C library where programs look for it.
//!
//! - `--prefix DIR`: as librdkafka's own `make install` leaves it, for whatever looks by header, by pkg-config, by library or by SONAME.
//! - `--into-wheel DIR`: in the place of the library that an installed `confluent_kafka` wheel brought along, under the name that wheel gave it;
//!   `--out-of-wheel DIR` puts the wheel's own back.
//!
//! `--library FILE` takes a library that is built already; without it a release build is made.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run;

pub(crate) const SONAME: &str = "librdkafka.so.1";

/// The wheel's own library keeps this ending as long as ours lies in its place.
const KEPT: &str = "original";

pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (library, arguments) = match arguments {
        ["--library", library, rest @ ..] => (Some(std::path::absolute(library)?), rest),
        _ => (None, arguments),
    };
    let built = || library.clone().map_or_else(build, Ok);
    match arguments {
        ["--prefix", prefix] => into_prefix(&built()?, &std::path::absolute(prefix)?),
        ["--into-wheel", wheel] => into_wheel(&built()?, Path::new(wheel)),
        ["--out-of-wheel", wheel] => out_of_wheel(Path::new(wheel)),
        _ => bail!("capi-install [--library FILE] --prefix DIR | --into-wheel DIR | --out-of-wheel DIR"),
    }
}

/// The library, built for use.
fn build() -> Result<PathBuf> {
    run::check(&mut run::cargo(&["build", "--release", "--package", "felice-capi"]))?;
    let built = run::target_dir().join("release/librdkafka.so");
    // Cargo names the library without its SONAME; with the link the build folder serves as LD_LIBRARY_PATH.
    link("librdkafka.so", &built.with_file_name(SONAME))?;
    Ok(built)
}

/// The folder of the headers that are installed.
pub(crate) fn headers() -> PathBuf {
    run::root().join("crates/capi/include/librdkafka")
}

/// The release of librdkafka whose ABI the C library carries, as its header says.
pub(crate) fn version() -> Result<String> {
    let header = fs::read_to_string(headers().join("rdkafka.h")).context("no header")?;
    let number = header.lines().find_map(|line| line.strip_prefix("#define RD_KAFKA_VERSION 0x"));
    let number = u32::from_str_radix(number.context("no RD_KAFKA_VERSION in the header")?.trim(), 16)?;
    Ok(format!("{}.{}.{}", number >> 24, (number >> 16) & 0xff, (number >> 8) & 0xff))
}

fn into_prefix(built: &Path, prefix: &Path) -> Result<()> {
    let version = version()?;
    let library = prefix.join("lib");
    fs::create_dir_all(library.join("pkgconfig"))?;
    replace(built, &library.join(SONAME))?;
    link(SONAME, &library.join("librdkafka.so"))?;

    let include = prefix.join("include/librdkafka");
    fs::create_dir_all(&include)?;
    for entry in fs::read_dir(headers())? {
        let entry = entry?;
        fs::copy(entry.path(), include.join(entry.file_name()))?;
    }
    // Who asks for the static library gets the shared one: there is no other, and configure scripts ask for this name first.
    for name in ["rdkafka", "rdkafka-static"] {
        fs::write(library.join(format!("pkgconfig/{name}.pc")), pkg_config(prefix, name, &version))?;
    }
    println!("installed {SONAME} {version} below {}", prefix.display());
    Ok(())
}

fn pkg_config(prefix: &Path, name: &str, version: &str) -> String {
    format!(
        "prefix={}\nlibdir=${{prefix}}/lib\nincludedir=${{prefix}}/include\n\n\
         Name: lib{name}\nDescription: The Apache Kafka C/C++ library (Felice)\nVersion: {version}\n\
         Cflags: -I${{includedir}}\nLibs: -L${{libdir}} -lrdkafka\n",
        prefix.display()
    )
}

fn into_wheel(built: &Path, wheel: &Path) -> Result<()> {
    let bundled = bundled(wheel)?;
    let kept = kept(&bundled);
    if !kept.exists() {
        fs::copy(&bundled, &kept).with_context(|| format!("cannot keep {}", bundled.display()))?;
    }
    replace(built, &bundled)?;
    println!("{} is {SONAME} {} now; the wheel's own is beside it", bundled.display(), version()?);
    Ok(())
}

fn out_of_wheel(wheel: &Path) -> Result<()> {
    let bundled = bundled(wheel)?;
    let kept = kept(&bundled);
    if !kept.exists() {
        bail!("{} is the wheel's own", bundled.display());
    }
    fs::rename(&kept, &bundled)?;
    println!("{} is the wheel's own again", bundled.display());
    Ok(())
}

fn kept(bundled: &Path) -> PathBuf {
    let mut kept = bundled.as_os_str().to_owned();
    kept.push(".");
    kept.push(KEPT);
    kept.into()
}

/// The library inside a wheel: `confluent_kafka.libs/librdkafka-HASH.so.1`, in the folder named, below its `site-packages`, or in the folder of
/// libraries itself.
fn bundled(wheel: &Path) -> Result<PathBuf> {
    let mut folders = vec![wheel.to_path_buf(), wheel.join("confluent_kafka.libs")];
    for python in fs::read_dir(wheel.join("lib")).into_iter().flatten().flatten() {
        folders.push(python.path().join("site-packages/confluent_kafka.libs"));
    }
    for folder in folders {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("librdkafka-") && name.ends_with(".so.1") {
                return Ok(entry.path());
            }
        }
    }
    bail!("no confluent_kafka.libs/librdkafka-….so.1 in {} nor in its lib/python…/site-packages", wheel.display())
}

/// A library in use is replaced, not overwritten: a process that has it mapped keeps the old one.
fn replace(built: &Path, installed: &Path) -> Result<()> {
    let mut fresh = installed.as_os_str().to_owned();
    fresh.push(".new");
    fs::copy(built, &fresh).with_context(|| format!("cannot copy {}", built.display()))?;
    fs::rename(&fresh, installed).with_context(|| format!("cannot replace {}", installed.display()))
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
    bail!("librdkafka.so.1 is for Linux and its kin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_gets_the_library_under_its_own_name_and_gives_it_back() {
        let dir = std::env::temp_dir().join(format!("xtask-wheel-{}", std::process::id()));
        let libs = dir.join("lib/python3.11/site-packages/confluent_kafka.libs");
        fs::create_dir_all(&libs).unwrap();
        let (bundled, ours) = (libs.join("librdkafka-0cb94173.so.1"), dir.join("ours"));
        fs::write(&bundled, "theirs").unwrap();
        fs::write(&ours, "ours").unwrap();
        for _ in 0..2 {
            into_wheel(&ours, &dir).unwrap();
            assert_eq!(fs::read_to_string(&bundled).unwrap(), "ours");
        }
        out_of_wheel(&dir).unwrap();
        assert_eq!(fs::read_to_string(&bundled).unwrap(), "theirs");
        assert!(out_of_wheel(&dir).is_err(), "nothing to put back");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn an_installation_is_found_by_pkg_config() {
        let text = pkg_config(Path::new("/opt/x"), "rdkafka", &version().unwrap());
        assert!(text.contains("prefix=/opt/x\n") && text.contains("\nVersion: 2.16.0\n"), "{text}");
    }
}
