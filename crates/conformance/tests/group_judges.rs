//! The judges of groups are judged first: every foreign client's members live through their scenario on Apache Kafka.

use felice_conformance::groups::BROKER_PROPERTIES;
use felice_conformance::kafka::{Kafka, KafkaOptions};

#[path = "support/group.rs"]
mod group;
#[path = "support/matrix.rs"]
mod matrix;
mod support;

use support::{asked_for, unless_skipped};

#[test]
fn every_client_s_groups_live_on_apache_kafka() {
    let test = "every_client_s_groups_live_on_apache_kafka";
    let Some(extent) = asked_for(test) else { return };
    let properties = BROKER_PROPERTIES.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = KafkaOptions { properties, ..KafkaOptions::default() };
    let Some(kafka) = unless_skipped(test, Kafka::start(options)) else { return };
    matrix::judge(test, &kafka.bootstrap(), extent, matrix::foreign());
    kafka.stop().unwrap();
}
