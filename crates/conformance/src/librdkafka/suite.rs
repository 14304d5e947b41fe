//! Fetching and building upstream's test suite.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::step;
use crate::{Failure, Skip, cache, process};

/// The version of librdkafka whose suite judges: the newest that a package registry carries with its tests.
pub const VERSION: &str = "2.15.1";
/// The npm package that carries it.
const PACKAGE: &str = "@confluentinc/kafka-javascript@1.10.1";
const BUILD_WITHIN: Duration = Duration::from_secs(1200);

/// The suite chooses entries by their number, which several share. One line more lets it take a whole name.
const CHOICE: &str = "if (tests_to_run && !strstr(tests_to_run, testnum)) {";
const CHOICE_BY_NAME: &str = "if (tests_to_run && (strchr(tests_to_run, '_') ? strcmp(tests_to_run, test->name) != 0 \
                              : !strstr(tests_to_run, testnum))) {";

/// Upstream's sources with what was built of them.
#[derive(Clone, Debug)]
pub struct Suite {
    root: PathBuf,
}

impl Suite {
    /// Fetches and builds it, or finds it built.
    ///
    /// # Errors
    /// [`Failure::Skip`] without npm, a C and a C++ compiler, make, Python, or the headers of OpenSSL and zlib.
    pub fn build() -> Result<Self, Failure> {
        let dir = cache::dir(&format!("felice-conformance/librdkafka-{VERSION}"))?;
        let root = dir.join("package/deps/librdkafka");
        cache::once(&dir, || {
            for (tool, argument) in [
                ("npm", "--version"),
                ("cc", "--version"),
                ("c++", "--version"),
                ("make", "--version"),
                ("python3", "-V"),
            ] {
                if !process::exists(tool, argument) {
                    return Err(Skip(format!("no `{tool}`")).into());
                }
            }
            fetch(&dir)?;
            Ok(compile(&root)?)
        })?;
        Ok(Self { root })
    }

    /// Upstream's sources.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the tests and of the `test-runner`.
    pub fn tests(&self) -> PathBuf {
        self.root.join("tests")
    }

    /// The folders of upstream's libraries: C, and C++ over C.
    pub fn libraries(&self) -> [PathBuf; 2] {
        [self.root.join("src"), self.root.join("src-cpp")]
    }

    /// The suite's entries in the order in which it runs them, read from its table.
    ///
    /// # Errors
    /// When the sources cannot be read.
    pub fn entries(&self) -> anyhow::Result<Vec<String>> {
        let source = fs::read_to_string(self.tests().join("test.c"))?;
        let table = source.split_once("struct test tests[] = {").context("no table of tests")?.1;
        let table = table.split_once("\n};").map_or(table, |(table, _)| table);
        let names = table.split("_TEST(").skip(1).filter_map(|row| row.split([',', ')']).next());
        Ok(names.map(|name| name.trim().to_owned()).collect())
    }
}

fn fetch(dir: &Path) -> Result<(), Failure> {
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", PACKAGE, "--pack-destination"]).arg(dir).current_dir(dir);
    let packed = process::run(&mut pack, "", BUILD_WITHIN)?;
    let file = packed.stdout.lines().last().unwrap_or_default().trim().to_owned();
    if !packed.status.success() || !dir.join(&file).is_file() {
        return Err(Skip(format!("npm cannot fetch {PACKAGE}: {}", packed.cause())).into());
    }
    step(Command::new("tar").arg("xzf").arg(&file).current_dir(dir), BUILD_WITHIN)?;
    fs::remove_file(dir.join(file))?;
    Ok(())
}

fn compile(root: &Path) -> anyhow::Result<()> {
    let source = root.join("tests/test.c");
    let text = fs::read_to_string(&source)?;
    ensure!(text.contains(CHOICE), "the suite's choice of entries has changed");
    fs::write(&source, text.replace(CHOICE, CHOICE_BY_NAME))?;
    // A package has lost its scripts' permissions.
    let mut permit = Command::new("sh");
    permit.args(["-c", "chmod +x configure lds-gen.py mklove/*"]).current_dir(root);
    step(&mut permit, BUILD_WITHIN)?;
    let mut configure = Command::new("./configure");
    configure.args(["--disable-gssapi", "--disable-curl", "--disable-lz4-ext"]).env("CFLAGS", "-O1").current_dir(root);
    step(&mut configure, BUILD_WITHIN)?;
    let jobs = std::thread::available_parallelism().map_or(2, usize::from);
    let make = |arguments: &[&str]| {
        let mut make = Command::new("make");
        make.arg(format!("-j{jobs}")).args(arguments).current_dir(root);
        step(&mut make, BUILD_WITHIN)
    };
    make(&["libs"])?;
    make(&["-C", "tests", "build"])
}
