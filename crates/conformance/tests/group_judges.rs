//! The judges of groups are judged first: every foreign client's members live through their scenario on Apache Kafka.

use felice_conformance::groups::{BROKER_PROPERTIES, tool};
use felice_conformance::kafka::{Kafka, KafkaOptions};
use felice_conformance::{Extent, Failure, wanted_in_full};

#[path = "support/group.rs"]
mod group;
#[path = "support/matrix.rs"]
mod matrix;
mod support;

use support::{asked_for, unless_skipped};

fn kafka(test: &str) -> Option<Kafka> {
    let properties = BROKER_PROPERTIES.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    unless_skipped(test, Kafka::start(KafkaOptions { properties, ..KafkaOptions::default() }))
}

#[test]
fn every_client_s_groups_live_on_apache_kafka() {
    let test = "every_client_s_groups_live_on_apache_kafka";
    let Some(extent) = asked_for(test) else { return };
    let Some(kafka) = kafka(test) else { return };
    matrix::judge(test, &kafka.bootstrap(), extent, [matrix::foreign(), matrix::mixed()].concat());
    kafka.stop().unwrap();
}

#[test]
fn our_members_live_on_apache_kafka() {
    let test = "our_members_live_on_apache_kafka";
    let Some(extent) = asked_for(test) else { return };
    let Some(kafka) = kafka(test) else { return };
    matrix::judge(test, &kafka.bootstrap(), extent, matrix::ours());
    kafka.stop().unwrap();
}

#[test]
fn our_members_live_on_three_nodes_one_of_which_is_killed() {
    let test = "our_members_live_on_three_nodes_one_of_which_is_killed";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let properties = BROKER_PROPERTIES.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = KafkaOptions { nodes: 3, properties, ..KafkaOptions::default() };
    let Some(kafka) = unless_skipped(test, Kafka::start(options)) else { return };
    matrix::judge_with_a_node_killed(test, kafka, Extent::Full);
}

#[test]
fn our_chained_groups_are_exact_on_apache_kafka() {
    let test = "our_chained_groups_are_exact_on_apache_kafka";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let Some(kafka) = kafka(test) else { return };
    matrix::judge_our_chains(&kafka.bootstrap(), Extent::Full);
    kafka.stop().unwrap();
}

#[test]
fn chained_groups_are_exact_on_apache_kafka() {
    let test = "chained_groups_are_exact_on_apache_kafka";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let Some(kafka) = kafka(test) else { return };
    matrix::judge_chains(test, &kafka.bootstrap(), Extent::Full);
    kafka.stop().unwrap();
}

#[test]
fn confluent_kafka_s_consumer_passes_on_apache_kafka() {
    let test = "confluent_kafka_s_consumer_passes_on_apache_kafka";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let Some(kafka) = kafka(test) else { return };
    matrix::judge_consumers(test, &kafka.bootstrap());
    kafka.stop().unwrap();
}

#[test]
fn the_group_tool_says_of_apache_kafka_what_was_recorded() {
    let test = "the_group_tool_says_of_apache_kafka_what_was_recorded";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let Some(kafka) = kafka(test) else { return };
    let Some(commands) = unless_skipped(test, tool::judge(&kafka.bootstrap())) else { return };
    eprintln!("{commands} commands");
    kafka.stop().unwrap();
}
