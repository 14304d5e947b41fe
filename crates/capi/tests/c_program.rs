//! A C program of our own, linked with the library, against the embedded broker. The programs of others are tried by hand: `docs/capi.md`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod program;

use felice::Client;
use felice_broker::Broker;

use program::{build, run};

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
    works_on_a_topic("produce.c", 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_c_program_reads_statistics() {
    works_on_a_topic("stats.c", 1).await;
}

/// A program that wants a broker and a topic, and says that all is well.
async fn works_on_a_topic(source: &str, partitions: i32) {
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = build(dir.path(), source) else { return };
    let broker = Broker::builder().in_memory().start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    client.admin().create_topic("topic").partitions(partitions).await.unwrap();
    let output = run(&program, [broker.bootstrap(), "topic"]).await;
    assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n");
    broker.shutdown().await.unwrap();
}
