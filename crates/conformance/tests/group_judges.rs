//! The judges of groups are judged first: every foreign client's members live through their scenario on Apache Kafka.

use std::sync::Mutex;

use felice_conformance::groups::{BROKER_PROPERTIES, Program, tool};
use felice_conformance::kafka::{Kafka, KafkaOptions};
use felice_conformance::{Extent, Failure, wanted_in_full};

#[path = "support/group.rs"]
mod group;
#[path = "support/matrix.rs"]
mod matrix;
mod support;

use group::Writer;
use matrix::Group;
use support::{asked_for, unless_skipped};

fn kafka(test: &str) -> Option<Kafka> {
    let properties = BROKER_PROPERTIES.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    unless_skipped(test, Kafka::start(KafkaOptions { properties, ..KafkaOptions::default() }))
}

#[test]
fn every_client_s_groups_live_on_apache_kafka() {
    let test = "every_client_s_groups_live_on_apache_kafka";
    if unless_skipped(test, wanted_in_full().map_err(Failure::from)).is_none() {
        return;
    }
    let Some(kafka) = kafka(test) else { return };
    matrix::judge(test, &kafka.bootstrap(), Extent::Full, [matrix::foreign(), matrix::mixed()].concat());
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
    judge_with_a_node_killed(test, kafka);
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

/// Groups of ours on three nodes of Apache Kafka, one of which is killed while they read. Panics with what failed.
fn judge_with_a_node_killed(test: &str, kafka: Kafka) {
    let felice = &matrix::felice_member();
    let mut groups = vec![
        Group::of(felice, "cooperative-sticky", true),
        Group::of(felice, "consumer:uniform", true),
        Group::mixed(
            [
                (Program::Java, "cooperative-sticky"),
                (felice.clone(), "cooperative-sticky"),
                (Program::Java, "cooperative-sticky"),
            ],
            true,
        ),
    ];
    groups.retain(matrix::is_asked_for);
    let bootstrap = kafka.bootstrap();
    let writer = Writer::new(&bootstrap);
    let (kafka, failures) = (Mutex::new(Some(kafka)), Mutex::new(Vec::new()));
    let kill = || {
        // The first group that comes so far kills it; the others find it dead wherever they are.
        if let Some(kafka) = kafka.lock().unwrap().as_mut() {
            kafka.kill(0)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for group in &groups {
            let (writer, bootstrap, failures, kill) = (&writer, &bootstrap, &failures, &kill);
            scope.spawn(move || match matrix::live(writer, bootstrap, group, Extent::Full, Some(kill)) {
                Ok(verdict) => eprintln!("{}, a node killed: {verdict}", group.name()),
                Err(Failure::Skip(skip)) => skip.announce(&format!("{test}: {}", group.name())),
                Err(Failure::Failed(error)) => failures.lock().unwrap().push(format!("{}: {error:#}", group.name())),
            });
        }
    });
    drop(kafka.lock().unwrap().take());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
