//! What changes a topic that is there: its properties, its partitions, where its records begin.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "each test binary uses a part")]
mod support;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::alter_configs::request::{AlterConfigsResource, AlterableConfig};
use felice_protocol::messages::create_partitions::request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use felice_protocol::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, DescribeConfigsRequest, DescribeConfigsResponse, describe_configs,
};
use support::*;

/// Changes topic `t`; gives the error.
fn change(world: &mut World, changes: &[(&str, i8, Option<&str>)]) -> ErrorCode {
    world.call(1, &incremental(2, "t", changes)).responses[0].error_code
}

/// Value and source of a property of topic `t`.
fn property(world: &mut World, name: &str) -> (String, i8) {
    let resource = describe_configs::request::DescribeConfigsResource {
        resource_type: 2,
        resource_name: "t".into(),
        configuration_keys: Some(vec![name.into()]),
        ..Default::default()
    };
    let mut described: DescribeConfigsResponse =
        world.call(4, &DescribeConfigsRequest { resources: vec![resource], ..Default::default() });
    let config = described.results.remove(0).configs.remove(0);
    (config.value.unwrap().to_string(), config.config_source)
}

fn grow(world: &mut World, count: i32, brokers: Option<&[i32]>) -> ErrorCode {
    let assignments = brokers.map(|brokers| {
        let on = |id: &i32| CreatePartitionsAssignment { broker_ids: vec![*id], ..Default::default() };
        brokers.iter().map(on).collect()
    });
    let topic = CreatePartitionsTopic { name: "t".into(), count, assignments, ..Default::default() };
    world.call(3, &CreatePartitionsRequest { topics: vec![topic], ..Default::default() }).results[0].error_code
}

/// Error and low watermark of deleting what is in front of an offset.
fn delete(world: &mut World, topic: &str, offset: i64) -> (ErrorCode, i64) {
    let partition = world.call(2, &delete_records(topic, offset)).topics.remove(0).partitions.remove(0);
    (partition.error_code, partition.low_watermark)
}

#[test]
fn a_changed_property_counts_at_once_and_after_a_restart() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    let large = batch(&[&"x".repeat(2000)]);
    assert!(world.produce("t", large.clone()).error_code.is_ok());
    assert_eq!(change(&mut world, &[("max.message.bytes", 0, Some("1000"))]), ErrorCode::NONE);
    assert_eq!(world.produce("t", large.clone()).error_code, ErrorCode::MESSAGE_TOO_LARGE);
    let mut world = World::open(world.disk.clone(), &[]);
    assert_eq!(property(&mut world, "max.message.bytes"), ("1000".to_owned(), 1));
    assert_eq!(world.produce("t", large.clone()).error_code, ErrorCode::MESSAGE_TOO_LARGE);
    assert_eq!(change(&mut world, &[("max.message.bytes", 1, None)]), ErrorCode::NONE);
    assert!(world.produce("t", large).error_code.is_ok());
    assert_eq!(property(&mut world, "max.message.bytes"), ("1048588".to_owned(), 5));
}

#[test]
fn a_shorter_retention_deletes_what_is_older() {
    let mut world = World::with(&[("log.retention.check.interval.ms", "1000")]);
    world.create_topic("t", 1, &[]);
    world.produce("t", batch(&["a", "b"]));
    world.pass(5000);
    assert_eq!(world.fetch("t", 0).responses[0].partitions[0].log_start_offset, 0);
    assert_eq!(change(&mut world, &[("retention.ms", 0, Some("1000"))]), ErrorCode::NONE);
    world.pass(5000);
    assert_eq!(world.fetch("t", 2).responses[0].partitions[0].log_start_offset, 2);
}

#[test]
fn lists_grow_and_shrink_by_their_parts() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    for (operation, part, altered) in
        [(2, "compact", "delete,compact"), (2, "compact", "delete,compact"), (3, "delete", "compact")]
    {
        assert_eq!(change(&mut world, &[("cleanup.policy", operation, Some(part))]), ErrorCode::NONE);
        assert_eq!(property(&mut world, "cleanup.policy").0, altered);
    }
    assert_eq!(change(&mut world, &[("retention.ms", 2, Some("1"))]), ErrorCode::INVALID_CONFIG);
}

#[test]
fn wrong_changes_change_nothing() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    let good = ("retention.bytes", 0, Some("5"));
    for (bad, code) in [
        (("retention.msec", 0, Some("1")), ErrorCode::INVALID_CONFIG),
        (("retention.ms", 0, Some("soon")), ErrorCode::INVALID_CONFIG),
        (("retention.ms", 0, None), ErrorCode::INVALID_REQUEST),
        (("retention.ms", 7, Some("1")), ErrorCode::INVALID_REQUEST),
        (("retention.bytes", 0, Some("6")), ErrorCode::INVALID_REQUEST),
    ] {
        assert_eq!(change(&mut world, &[good, bad]), code, "{bad:?}");
        assert_eq!(property(&mut world, "retention.bytes").1, 5, "{bad:?}");
    }
    let mut dry = incremental(2, "t", &[good]);
    dry.validate_only = true;
    assert!(world.call(1, &dry).responses[0].error_code.is_ok());
    assert_eq!(property(&mut world, "retention.bytes").1, 5);
    let mut twice = incremental(2, "t", &[good]);
    twice.resources.push(twice.resources[0].clone());
    assert_eq!(world.call(1, &twice).responses[1].error_code, ErrorCode::INVALID_REQUEST);
    for (resource_type, name, code) in [
        (2, "nowhere", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (2, "a b", ErrorCode::INVALID_TOPIC_EXCEPTION),
        (2, "", ErrorCode::INVALID_REQUEST),
        (4, "1", ErrorCode::INVALID_REQUEST),
        (32, "g", ErrorCode::INVALID_REQUEST),
    ] {
        assert_eq!(world.call(1, &incremental(resource_type, name, &[good])).responses[0].error_code, code, "{name}");
    }
}

#[test]
fn alter_configs_replaces_all_that_was_set() {
    let mut world = World::new();
    world.create_topic("t", 1, &[("retention.ms", "1000"), ("retention.bytes", "5")]);
    let config = AlterableConfig { name: "retention.ms".into(), value: Some("2000".into()), ..Default::default() };
    let resource = AlterConfigsResource {
        resource_type: 2,
        resource_name: "t".into(),
        configs: vec![config],
        ..Default::default()
    };
    let request = AlterConfigsRequest { resources: vec![resource], ..Default::default() };
    assert!(world.call(2, &request).responses[0].error_code.is_ok());
    assert_eq!(property(&mut world, "retention.ms"), ("2000".to_owned(), 1));
    assert_eq!(property(&mut world, "retention.bytes"), ("-1".to_owned(), 5));
}

#[test]
fn a_topic_grows_and_stays_grown() {
    let mut world = World::new();
    world.create_topic("t", 2, &[]);
    world.produce("t", batch(&["a"]));
    assert_eq!(grow(&mut world, 4, None), ErrorCode::NONE);
    assert_eq!(grow(&mut world, 5, Some(&[1])), ErrorCode::NONE);
    for check_again in [false, true] {
        if check_again {
            world = World::open(world.disk.clone(), &[]);
        }
        assert_eq!(world.topic("t").partitions.len(), 5);
        let request = produce_request("t", 4, -1, batch(&["a"]));
        assert_eq!(partition_of(world.call(9, &request)).base_offset, i64::from(check_again));
        assert_eq!(world.produce("t", batch(&["a"])).base_offset, 1 + i64::from(check_again));
    }
    assert_eq!(grow(&mut world, 5, None), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(grow(&mut world, 4, None), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(grow(&mut world, i32::MAX, None), ErrorCode::INVALID_PARTITIONS);
    assert_eq!(grow(&mut world, 7, Some(&[1])), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    assert_eq!(grow(&mut world, 6, Some(&[2])), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    assert_eq!(world.topic("t").partitions.len(), 5);
}

#[test]
fn growth_that_fails_on_the_disk_leaves_the_topic_as_it_was() {
    let mut failed = 0;
    for failing in 0..12 {
        let mut world = World::new();
        world.create_topic("t", 1, &[]);
        world.disk.fail(world.disk.operations() + failing, 1);
        let code = grow(&mut world, 2, None);
        failed += usize::from(!code.is_ok());
        let partitions = if code.is_ok() { 2 } else { 1 };
        assert_eq!(world.topic("t").partitions.len(), partitions, "{failing}");
        let mut world = World::open(world.disk.clone(), &[]);
        assert!(world.topic("t").partitions.len() >= partitions, "{failing}");
    }
    assert!(failed > 2, "{failed} failures");
}

#[test]
fn a_topic_that_was_made_at_the_second_attempt_keeps_its_records() {
    let mut failed = 0;
    for failing in 0..40 {
        let mut world = World::new();
        world.disk.fail(world.disk.operations() + failing, 1);
        let first = world.create_topic("t", 3, &[]);
        world.disk.fail(0, 0);
        if !first.is_ok() {
            if !world.create_topic("t", 3, &[]).is_ok() {
                // The log of the metadata could not be synced: nothing is made any more before the next start.
                continue;
            }
            failed += 1;
        }
        for index in 0..3 {
            let request = produce_request("t", index, -1, batch(&["a"]));
            assert_eq!(partition_of(world.call(9, &request)).base_offset, 0, "{failing}");
        }
        let mut world = World::open(world.disk.clone(), &[]);
        for index in 0..3 {
            let request = produce_request("t", index, -1, batch(&["a"]));
            assert_eq!(
                partition_of(world.call(9, &request)).base_offset,
                1,
                "{failing}: partition {index} has lost a record"
            );
        }
    }
    assert!(failed > 10, "{failed} failures");
}

#[test]
fn deleted_records_stay_deleted() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    for value in ["a", "b", "c"] {
        world.produce("t", batch(&[value]));
    }
    assert_eq!(delete(&mut world, "t", 2), (ErrorCode::NONE, 2));
    assert_eq!(delete(&mut world, "t", 1), (ErrorCode::NONE, 2), "it never goes back");
    assert_eq!(delete(&mut world, "t", 4), (ErrorCode::OFFSET_OUT_OF_RANGE, -1));
    assert_eq!(delete(&mut world, "t", -2), (ErrorCode::OFFSET_OUT_OF_RANGE, -1));
    assert_eq!(delete(&mut world, "nowhere", 0), (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1));
    let mut world = World::open(world.disk.clone(), &[]);
    assert_eq!(world.fetch("t", 1).responses[0].partitions[0].error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert!(world.fetch("t", 2).responses[0].partitions[0].error_code.is_ok());
    assert_eq!(delete(&mut world, "t", -1), (ErrorCode::NONE, 3));
    assert_eq!(world.produce("t", batch(&["d"])).base_offset, 3);
}

#[test]
fn deleted_records_stay_deleted_when_the_machine_fails_before_the_log_is_synced() {
    let mut world = World::new();
    world.create_topic("t", 1, &[]);
    world.produce("t", batch(&["a", "b", "c"]));
    assert_eq!(delete(&mut world, "t", 2), (ErrorCode::NONE, 2));
    world.disk.crash();
    let mut world = World::open(world.disk.clone(), &[]);
    let produced = world.produce("t", batch(&["d"]));
    assert!(produced.error_code.is_ok() && produced.base_offset >= 2, "{produced:?}");
    assert!(world.fetch("t", produced.base_offset).responses[0].partitions[0].error_code.is_ok());
}

#[test]
fn a_compacted_topic_keeps_its_records() {
    let mut world = World::new();
    world.create_topic("t", 1, &[("cleanup.policy", "compact")]);
    world.produce("t", batch(&["a"]));
    assert_eq!(delete(&mut world, "t", 1), (ErrorCode::POLICY_VIOLATION, -1));
}
