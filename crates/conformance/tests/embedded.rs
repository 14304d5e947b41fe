//! Our client on our broker, with the input that the judges use.

use std::time::{Duration, Instant};

use felice::{Client, ErrorKind};
use felice_broker::Broker;
use felice_conformance::flights;
use felice_conformance::peers::exchange;

#[path = "support/ours.rs"]
mod ours;
mod support;

use support::{asked_for, unless_skipped};

/// Needs nothing that a machine may lack, so it always runs.
#[tokio::test]
async fn records_survive_on_the_embedded_broker() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    ours::round_trip(&client, "round-trip", 200).await;
    broker.shutdown().await.unwrap();
}

/// A topic that was created is there for whoever created it; one that does not exist is not waited for long.
#[tokio::test]
async fn a_topic_that_does_not_exist_is_refused_soon() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    let created = client.admin().create_topic("there").partitions(3).await.unwrap();
    assert_eq!(created.partitions.len(), 3);
    let started = Instant::now();
    let error = client.admin().topic("nowhere").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn every_flight_arrives_in_its_carriers_order() {
    let test = "every_flight_arrives_in_its_carriers_order";
    if asked_for(test).is_none() {
        return;
    }
    let Some(flights) = unless_skipped(test, flights::load()) else { return };
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    ours::flights_round_trip(&client, &flights).await;
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn java_and_we_read_each_other_over_the_embedded_broker() {
    let test = "java_and_we_read_each_other_over_the_embedded_broker";
    let Some(extent) = asked_for(test) else { return };
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    ours::create(&client, "ours").await;
    ours::create(&client, "java").await;
    let written = ours::write(&client, "ours", extent.records()).await;
    let (bootstrap, count) = (broker.bootstrap().to_owned(), extent.records());
    let java = tokio::task::spawn_blocking(move || {
        Ok((exchange::java_reads(&bootstrap, "ours")?, exchange::java_writes(&bootstrap, "java", count)?))
    });
    if let Some((read_by_java, written_by_java)) = unless_skipped(test, java.await.unwrap()) {
        exchange::assert_same(&written, &read_by_java);
        exchange::assert_same(&written_by_java, &ours::read(&client, "java").await);
    }
    broker.shutdown().await.unwrap();
}
