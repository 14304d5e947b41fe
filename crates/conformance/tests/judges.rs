//! The judges are judged first: every foreign client passes its own scenario on Apache Kafka.

use felice_conformance::kafka::{self, Kafka, KafkaOptions, SecurityProtocol};
use felice_conformance::peers::{Peer, exchange};
use felice_conformance::{Failure, flights, wanted_in_full};

mod support;

use support::{asked_for, unless_skipped};

#[test]
fn every_peer_passes_on_apache_kafka() {
    let test = "every_peer_passes_on_apache_kafka";
    let Some(extent) = asked_for(test) else { return };
    let Some(kafka) = unless_skipped(test, Kafka::start(KafkaOptions::default())) else { return };
    for peer in Peer::ALL {
        let topic = format!("judged-{peer:?}").to_lowercase();
        if let Some(report) = unless_skipped(test, peer.judge(&kafka.bootstrap(), &topic, extent.records())) {
            eprintln!("{}: {}", report.client, report.checks.join(" "));
            assert!(report.checks.len() >= 10, "{report:?}");
        }
    }
    kafka.stop().unwrap();
}

#[test]
fn three_nodes_start_and_know_each_other() {
    let test = "three_nodes_start_and_know_each_other";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let options = KafkaOptions { nodes: 3, ..KafkaOptions::default() };
    let Some(kafka) = unless_skipped(test, Kafka::start(options)) else { return };
    assert_eq!(kafka.bootstrap().split(',').count(), 3);
    kafka.stop().unwrap();
}

#[test]
fn the_last_3_9_starts_with_secured_listeners() {
    let test = "the_last_3_9_starts_with_secured_listeners";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let options = KafkaOptions { secure: true, ..KafkaOptions::version(kafka::VERSION_3_9) };
    let Some(kafka) = unless_skipped(test, Kafka::start(options)) else { return };
    assert!(!kafka.bootstrap_of(SecurityProtocol::SaslSsl).is_empty());
}

#[test]
fn the_flights_are_what_they_should_be() {
    let test = "the_flights_are_what_they_should_be";
    if asked_for(test).is_none() {
        return;
    }
    let Some(flights) = unless_skipped(test, flights::load()) else { return };
    assert_eq!(flights.len(), flights::ROWS);
}

#[test]
fn java_reads_what_java_wrote() {
    let test = "java_reads_what_java_wrote";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let Some(kafka) = unless_skipped(test, Kafka::start(KafkaOptions::default())) else { return };
    let Some(written) = unless_skipped(test, exchange::java_writes(&kafka.bootstrap(), "exchange", 300)) else {
        return;
    };
    let Some(read) = unless_skipped(test, exchange::java_reads(&kafka.bootstrap(), "exchange")) else { return };
    assert_eq!(written.len(), 1500);
    exchange::assert_same(&written, &read);
}
