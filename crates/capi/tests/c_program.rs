//! A C program of our own, linked with the library, against the embedded broker. The programs of others are tried by hand: `docs/capi.md`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use felice::Client;
use felice_broker::Broker;

/// The C program, linked with the library that cargo has built beside this test; `None` where there is no C compiler.
fn build(dir: &Path, source: &str) -> Option<PathBuf> {
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
        .arg("-lrdkafka")
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Some(program)
}

async fn run<const N: usize>(program: &Path, arguments: [&str; N]) -> Output {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_c_program_gets_back_what_it_produced() {
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = build(dir.path(), "roundtrip.c") else { return };
    let broker = Broker::builder().in_memory().start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    for compression in ["none", "lz4", "gzip", "zstd", "snappy"] {
        let topic = format!("roundtrip-{compression}");
        client.admin().create_topic(topic.as_str()).partitions(3).await.unwrap();
        let output = run(&program, [broker.bootstrap(), &topic, "3", "5000", compression]).await;
        assert!(
            output.status.success(),
            "{compression}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), "5000 records\n");
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_c_program_commands_a_mock_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = build(dir.path(), "mock.c") else { return };
    let output = run(&program, []).await;
    assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_c_program_is_in_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = build(dir.path(), "group.c") else { return };
    let broker = Broker::builder().in_memory().start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    for (protocol, strategy) in [("classic", "range"), ("classic", "cooperative-sticky"), ("consumer", "")] {
        let topic = format!("group-{protocol}-{strategy}");
        client.admin().create_topic(topic.as_str()).partitions(3).await.unwrap();
        let output = run(&program, [broker.bootstrap(), &topic, "3", protocol, strategy]).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{protocol} {strategy}: {}\n{errors}", output.status);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n");
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_c_program_produces_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = build(dir.path(), "produce.c") else { return };
    let broker = Broker::builder().in_memory().start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    client.admin().create_topic("produced").partitions(3).await.unwrap();
    let output = run(&program, [broker.bootstrap(), "produced"]).await;
    assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n");
    broker.shutdown().await.unwrap();
}
