//! The broker's groups before clients that are not ours.

use felice_broker::Broker;
use felice_conformance::groups::{BROKER_PROPERTIES, tool};

#[path = "support/group.rs"]
mod group;
#[path = "support/matrix.rs"]
mod matrix;
mod support;

use support::{asked_for, unless_skipped};

/// A broker with quick groups.
async fn broker() -> Broker {
    let builder = Broker::builder().config("offsets.topic.num.partitions", "4");
    BROKER_PROPERTIES.into_iter().fold(builder, |b, (name, value)| b.config(name, value)).start().await.unwrap()
}

#[tokio::test]
#[ignore = "the broker has no group coordinator yet"]
async fn every_client_s_groups_live_on_the_broker() {
    let test = "every_client_s_groups_live_on_the_broker";
    let Some(extent) = asked_for(test) else { return };
    let broker = broker().await;
    let bootstrap = broker.bootstrap().to_owned();
    tokio::task::spawn_blocking(move || {
        matrix::judge(test, &bootstrap, extent, [matrix::foreign(), matrix::mixed()].concat())
    })
    .await
    .unwrap();
    broker.shutdown().await.unwrap();
}

#[tokio::test]
#[ignore = "the broker has no group coordinator yet"]
async fn chained_groups_are_exact_on_the_broker() {
    let test = "chained_groups_are_exact_on_the_broker";
    let Some(extent) = asked_for(test) else { return };
    let broker = broker().await;
    let bootstrap = broker.bootstrap().to_owned();
    tokio::task::spawn_blocking(move || matrix::judge_chains(test, &bootstrap, extent)).await.unwrap();
    broker.shutdown().await.unwrap();
}

#[tokio::test]
#[ignore = "the broker has no group coordinator yet"]
async fn confluent_kafka_s_consumer_accepts_the_broker() {
    let test = "confluent_kafka_s_consumer_accepts_the_broker";
    if asked_for(test).is_none() {
        return;
    }
    let broker = broker().await;
    let bootstrap = broker.bootstrap().to_owned();
    tokio::task::spawn_blocking(move || matrix::judge_consumers(test, &bootstrap)).await.unwrap();
    broker.shutdown().await.unwrap();
}

#[tokio::test]
#[ignore = "the broker has no group coordinator yet"]
async fn the_group_tool_says_of_the_broker_what_it_says_of_apache_kafka() {
    let test = "the_group_tool_says_of_the_broker_what_it_says_of_apache_kafka";
    if asked_for(test).is_none() {
        return;
    }
    let broker = broker().await;
    let bootstrap = broker.bootstrap().to_owned();
    let judged = tokio::task::spawn_blocking(move || tool::judge(&bootstrap)).await.unwrap();
    if let Some(commands) = unless_skipped(test, judged) {
        eprintln!("{commands} commands");
    }
    broker.shutdown().await.unwrap();
}
