//! Our client before the judge that counts: real Apache Kafka, in the clear, over TLS and with SASL, today's version and the last 3.9.

use std::sync::OnceLock;
use std::time::Duration;

use felice::{Client, ClientBuilder, ErrorKind, Sasl, Tls};
use felice_conformance::kafka::{self, Kafka, KafkaOptions, PASSWORD, SecurityProtocol, USER};
use felice_conformance::peers::exchange;
use felice_conformance::{Extent, Failure, Skip, flights, wanted_in_full};

#[path = "support/ours.rs"]
mod ours;
mod support;

use support::{asked_for, unless_skipped};

/// The one node with all listeners that the tests of this file share. It ends with this process.
fn secured(test: &str) -> Option<&'static Kafka> {
    static KAFKA: OnceLock<Result<Kafka, Skip>> = OnceLock::new();
    let kafka = KAFKA.get_or_init(|| match Kafka::start(KafkaOptions { secure: true, ..KafkaOptions::default() }) {
        Ok(kafka) => Ok(kafka),
        Err(Failure::Skip(skip)) => Err(skip),
        Err(Failure::Failed(error)) => panic!("{error:#}"),
    });
    kafka.as_ref().map_err(|skip| skip.announce(test)).ok()
}

/// What goes in over a listener comes out of it.
async fn round_trip(test: &'static str, protocol: SecurityProtocol, secure: impl Fn(ClientBuilder) -> ClientBuilder) {
    let Some(extent) = asked_for(test) else { return };
    let Some(kafka) = secured(test) else { return };
    let client = secure(Client::builder(kafka.bootstrap_of(protocol))).connect().await.unwrap();
    ours::round_trip(&client, &test.replace('_', "-"), extent.records()).await;
    client.shutdown(Duration::from_secs(10)).await.unwrap();
}

fn trusted(builder: ClientBuilder) -> ClientBuilder {
    match secured("") {
        Some(kafka) => builder.tls(Tls::CaFile(kafka.ca_pem())),
        None => builder,
    }
}

fn plain() -> Sasl {
    Sasl::Plain { user: USER.to_owned(), password: PASSWORD.to_owned() }
}

fn scram_256() -> Sasl {
    Sasl::ScramSha256 { user: USER.to_owned(), password: PASSWORD.to_owned() }
}

fn scram_512() -> Sasl {
    Sasl::ScramSha512 { user: USER.to_owned(), password: PASSWORD.to_owned() }
}

#[tokio::test]
async fn records_survive_in_the_clear() {
    round_trip("records_survive_in_the_clear", SecurityProtocol::Plaintext, |b| b).await;
}

#[tokio::test]
async fn records_survive_over_tls() {
    round_trip("records_survive_over_tls", SecurityProtocol::Ssl, trusted).await;
}

#[tokio::test]
async fn records_survive_with_sasl_plain() {
    round_trip("records_survive_with_sasl_plain", SecurityProtocol::SaslPlaintext, |b| b.sasl(plain())).await;
}

#[tokio::test]
async fn records_survive_with_scram_sha_256() {
    round_trip("records_survive_with_scram_sha_256", SecurityProtocol::SaslPlaintext, |b| b.sasl(scram_256())).await;
}

#[tokio::test]
async fn records_survive_with_scram_sha_512() {
    round_trip("records_survive_with_scram_sha_512", SecurityProtocol::SaslPlaintext, |b| b.sasl(scram_512())).await;
}

#[tokio::test]
async fn records_survive_with_scram_sha_512_over_tls() {
    let test = "records_survive_with_scram_sha_512_over_tls";
    round_trip(test, SecurityProtocol::SaslSsl, |b| trusted(b).sasl(scram_512())).await;
}

#[tokio::test]
async fn a_wrong_password_is_an_authentication_error() {
    let test = "a_wrong_password_is_an_authentication_error";
    if asked_for(test).is_none() {
        return;
    }
    let Some(kafka) = secured(test) else { return };
    let (user, password) = (USER.to_owned(), "wrong".to_owned());
    for sasl in [
        Sasl::Plain { user: user.clone(), password: password.clone() },
        Sasl::ScramSha256 { user: user.clone(), password: password.clone() },
        Sasl::ScramSha512 { user, password },
    ] {
        let builder = Client::builder(kafka.bootstrap_of(SecurityProtocol::SaslPlaintext)).sasl(sasl);
        let answer = tokio::time::timeout(Duration::from_secs(30), builder.connect()).await.unwrap();
        let error = answer.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error:?}");
        assert!(!format!("{error:?} {error}").contains("wrong"), "the password is in the error");
    }
}

#[tokio::test]
async fn records_survive_on_the_last_3_9() {
    let test = "records_survive_on_the_last_3_9";
    let Some(extent) = asked_for(test) else { return };
    let started = Kafka::start_async(KafkaOptions::version(kafka::VERSION_3_9)).await;
    let Some(kafka) = unless_skipped(test, started) else { return };
    let client = Client::connect(kafka.bootstrap()).await.unwrap();
    ours::round_trip(&client, "round-trip", extent.records()).await;
}

#[tokio::test]
async fn records_survive_on_three_nodes() {
    let test = "records_survive_on_three_nodes";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let started = Kafka::start_async(KafkaOptions { nodes: 3, ..KafkaOptions::default() }).await;
    let Some(kafka) = unless_skipped(test, started) else { return };
    let client = Client::connect(kafka.bootstrap()).await.unwrap();
    ours::round_trip(&client, "round-trip", Extent::Full.records()).await;
}

#[tokio::test]
async fn java_reads_what_we_wrote() {
    let test = "java_reads_what_we_wrote";
    let Some(extent) = asked_for(test) else { return };
    let Some(kafka) = secured(test) else { return };
    let client = Client::connect(kafka.bootstrap()).await.unwrap();
    ours::create(&client, test).await;
    let written = ours::write(&client, test, extent.records()).await;
    let read = tokio::task::spawn_blocking(|| exchange::java_reads(&kafka.bootstrap(), "java_reads_what_we_wrote"));
    if let Some(read) = unless_skipped(test, read.await.unwrap()) {
        exchange::assert_same(&written, &read);
    }
}

#[tokio::test]
async fn we_read_what_java_wrote() {
    let test = "we_read_what_java_wrote";
    let Some(extent) = asked_for(test) else { return };
    let Some(kafka) = secured(test) else { return };
    let client = Client::connect(kafka.bootstrap()).await.unwrap();
    ours::create(&client, test).await;
    let count = extent.records();
    let written = tokio::task::spawn_blocking(move || {
        exchange::java_writes(&kafka.bootstrap(), "we_read_what_java_wrote", count)
    });
    if let Some(written) = unless_skipped(test, written.await.unwrap()) {
        exchange::assert_same(&written, &ours::read(&client, test).await);
    }
}

#[tokio::test]
async fn every_flight_arrives_in_its_carriers_order() {
    let test = "every_flight_arrives_in_its_carriers_order";
    if asked_for(test).is_none() {
        return;
    }
    let Some(flights) = unless_skipped(test, flights::load()) else { return };
    let Some(kafka) = secured(test) else { return };
    let client = Client::connect(kafka.bootstrap()).await.unwrap();
    ours::flights_round_trip(&client, &flights).await;
}
