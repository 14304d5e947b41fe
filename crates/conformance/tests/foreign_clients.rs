//! The broker before judges that are not ours: each foreign client performs its scenario on an embedded broker.

use felice_broker::Broker;
use felice_conformance::peers::{Peer, exchange};

mod support;

use support::{asked_for, unless_skipped};

/// Lets a peer judge a fresh broker.
async fn judged_by(peer: Peer, test: &'static str) {
    let Some(extent) = asked_for(test) else { return };
    let broker = Broker::start().await.unwrap();
    let bootstrap = broker.bootstrap().to_owned();
    let verdict =
        tokio::task::spawn_blocking(move || peer.judge(&bootstrap, "judged", extent.records())).await.unwrap();
    if let Some(report) = unless_skipped(test, verdict) {
        eprintln!("{}: {}", report.client, report.checks.join(" "));
        assert!(report.checks.len() >= 10, "{report:?}");
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_java_client_accepts_the_broker() {
    judged_by(Peer::Java, "the_java_client_accepts_the_broker").await;
}

#[tokio::test]
async fn franz_go_accepts_the_broker() {
    judged_by(Peer::FranzGo, "franz_go_accepts_the_broker").await;
}

#[tokio::test]
async fn sarama_accepts_the_broker() {
    judged_by(Peer::Sarama, "sarama_accepts_the_broker").await;
}

#[tokio::test]
async fn confluent_kafka_for_python_accepts_the_broker() {
    judged_by(Peer::Python, "confluent_kafka_for_python_accepts_the_broker").await;
}

#[tokio::test]
async fn librdkafka_from_c_accepts_the_broker() {
    judged_by(Peer::C, "librdkafka_from_c_accepts_the_broker").await;
}

#[tokio::test]
async fn the_console_tools_accept_the_broker() {
    judged_by(Peer::Console, "the_console_tools_accept_the_broker").await;
}

#[tokio::test]
async fn java_reads_from_the_broker_what_java_wrote_to_it() {
    let test = "java_reads_from_the_broker_what_java_wrote_to_it";
    let Some(extent) = asked_for(test) else { return };
    let broker = Broker::start().await.unwrap();
    let bootstrap = broker.bootstrap().to_owned();
    let exchanged = tokio::task::spawn_blocking(move || {
        let written = exchange::java_writes(&bootstrap, "exchange", extent.records())?;
        Ok((written, exchange::java_reads(&bootstrap, "exchange")?))
    });
    if let Some((written, read)) = unless_skipped(test, exchanged.await.unwrap()) {
        assert_eq!(written.len(), 5 * extent.records());
        exchange::assert_same(&written, &read);
    }
    broker.shutdown().await.unwrap();
}
