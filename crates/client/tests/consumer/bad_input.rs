//! What is wrong is a clear error with what to do, and changes nothing.

use std::collections::BTreeMap;

use felice::{Error, ErrorCode, ErrorKind, GroupProtocol, OffsetAndMetadata, TopicPartition};
use futures::TryStreamExt as _;

use crate::world::{World, take, within};

fn clear(error: &Error) {
    assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "nothing says what to do about {error:?}");
}

#[tokio::test]
async fn a_group_id_that_is_empty_or_too_long_is_refused_before_anything_is_sent() {
    let world = World::with(1).await;
    for id in ["", " ", &"g".repeat(40_000)] {
        let error = world.client.consumer(id).topics([&world.topic]).build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        clear(&error);
    }
}

#[tokio::test]
async fn a_session_timeout_outside_the_broker_s_range_is_told_by_the_stream() {
    let world = World::with(1).await;
    for millis in ["1000", "3600000"] {
        let mut consumer = world
            .member()
            .protocol(GroupProtocol::Classic)
            .set("heartbeat.interval.ms", "100")
            .set("session.timeout.ms", millis)
            .build()
            .await
            .unwrap();
        let error = within(consumer.try_next()).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::INVALID_SESSION_TIMEOUT), "{error:?}");
        clear(&error);
        assert!(within(consumer.try_next()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn assignors_that_nobody_shares_are_told() {
    let world = World::with(1).await;
    let classic = || world.member().protocol(GroupProtocol::Classic);
    let mut first = classic().assignors(["range"]).build().await.unwrap();
    world.fill(1, 1).await;
    take(&mut first, 1).await;
    let mut second = classic().assignors(["sticky"]).build().await.unwrap();
    let error = within(second.try_next()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INCONSISTENT_GROUP_PROTOCOL), "{error:?}");
    clear(&error);
    let error = classic().assignors(["alphabetical"]).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    clear(&error);
}

#[tokio::test]
async fn commits_that_do_not_fit_are_refused_and_leave_what_was_committed() {
    let world = World::with(1).await;
    world.fill(1, 5).await;
    let mut consumer = world.member().build().await.unwrap();
    let handle = consumer.handle();
    take(&mut consumer, 5).await;
    within(handle.commit()).await.unwrap();
    let long = OffsetAndMetadata { metadata: "m".repeat(5_000).into(), ..OffsetAndMetadata::new(1) };
    let error = within(handle.commit_offsets([(world.partition(0), long)])).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::OFFSET_METADATA_TOO_LARGE), "{error:?}");
    clear(&error);
    let error = within(handle.commit_offsets([(world.partition(0), OffsetAndMetadata::new(-7))])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    clear(&error);
    let foreign = TopicPartition::new("no-such-topic", 0);
    let error = within(handle.commit_offsets([(foreign, OffsetAndMetadata::new(1))])).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ILLEGAL_GENERATION), "{error:?}");
    clear(&error);
    assert_eq!(world.committed(1).await, BTreeMap::from([(0, 5)]));
    assert_eq!(handle.position(&world.partition(0)), Some(5));
    // One that stands outside of a group with members may not commit for it.
    let outside = world.client.consumer(&world.group).build().await.unwrap();
    let error = within(outside.handle().commit_offsets([(world.partition(0), OffsetAndMetadata::new(2))])).await;
    clear(&error.unwrap_err());
    assert_eq!(world.committed(1).await, BTreeMap::from([(0, 5)]));
}

#[tokio::test]
async fn wrong_names_patterns_and_properties_are_refused_when_the_consumer_is_built() {
    let world = World::with(1).await;
    for builder in [
        world.client.consumer(&world.group).pattern("orders["),
        world.client.consumer(&world.group).topics([""]),
        world.client.consumer(&world.group).topics(["t".repeat(250)]),
        world.member().set("sesion.timeout.ms", "1"),
        world.member().set("auto.offset.reset", "by_duration:soon"),
        world.client.ungrouped_consumer().topics([&world.topic]),
    ] {
        let error = builder.build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    }
}
