//! A C program of `tests/c`: compiled, linked with the library that cargo has built, and run.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The C program, linked with the library that cargo has built beside this test; `None` where there is no C compiler.
pub(crate) fn build(dir: &Path, source: &str) -> Option<PathBuf> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if Command::new(&compiler).arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no C compiler ({compiler})");
        return None;
    }
    let library = std::env::current_exe().unwrap().parent().unwrap().join("librdkafka.so");
    assert!(library.exists(), "cargo has built no {}", library.display());
    symlink(&library, dir.join("librdkafka.so.1")).unwrap();
    symlink("librdkafka.so.1", dir.join("librdkafka.so")).unwrap();
    let program = dir.join("program");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = manifest.join("tests/c").join(source);
    let compiled = Command::new(&compiler)
        .args(["-std=c99", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-g", "-o"])
        .args([&program, &source])
        .arg("-isystem")
        .arg(manifest.join("include"))
        .arg("-L")
        .arg(dir)
        .args(["-lrdkafka", "-pthread"])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Some(program)
}

/// Runs it with the library beside it.
pub(crate) async fn run<const N: usize>(program: &Path, arguments: [&str; N]) -> Output {
    let (program, dir) = (program.to_owned(), program.parent().unwrap().to_owned());
    let arguments = arguments.map(str::to_owned);
    tokio::task::spawn_blocking(move || {
        // A wrapper such as "valgrind -q --error-exitcode=9" goes in front.
        let wrapper = std::env::var("CAPI_WRAPPER").unwrap_or_default();
        let mut words = wrapper.split_whitespace();
        let mut command = match words.next() {
            None => Command::new(&program),
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(&program);
                command
            }
        };
        command.args(arguments).env("LD_LIBRARY_PATH", dir).output().unwrap()
    })
    .await
    .unwrap()
}
