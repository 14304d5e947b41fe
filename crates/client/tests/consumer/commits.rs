//! What is committed, and what is not.

use std::collections::BTreeMap;
use std::time::Duration;

use felice::{Commit, ConsumerEvent, ErrorKind, OffsetAndMetadata, Seek};
use futures::TryStreamExt as _;

use crate::world::{World, event, take, until, while_reading, within};

#[tokio::test]
async fn what_is_done_is_committed_in_the_background_up_to_the_first_gap() {
    let world = World::with(1).await;
    world.fill(1, 10).await;
    let mut consumer = world.member().commit_every(Duration::from_millis(20)).build().await.unwrap();
    let mut kept = None;
    for n in 0..10 {
        let message = within(consumer.try_next()).await.unwrap().unwrap();
        if n == 4 { kept = Some(message) } else { message.done() }
    }
    until(async || world.committed(1).await.get(&0) == Some(&4)).await;
    kept.unwrap().done();
    until(async || world.committed(1).await.get(&0) == Some(&10)).await;
}

#[tokio::test]
async fn what_was_handed_out_and_not_done_comes_again() {
    let world = World::with(1).await;
    world.fill(1, 10).await;
    let mut first = world.member().build().await.unwrap();
    take(&mut first, 6).await;
    let undone = within(first.try_next()).await.unwrap().unwrap();
    assert_eq!(undone.offset(), 6);
    drop(undone);
    let report = within(first.close()).await.unwrap();
    assert_eq!(report.undone, [(world.partition(0), 6)]);
    let mut second = world.member().build().await.unwrap();
    assert_eq!(take(&mut second, 4).await, (6..10).map(|n| (0, n)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_consumer_that_is_dropped_commits_what_is_done_and_leaves_without_being_waited_for() {
    let world = World::with(1).await;
    world.fill(1, 10).await;
    let mut first = world.member().build().await.unwrap();
    take(&mut first, 3).await;
    drop(first);
    // The session timeout is 45 s: a member that had not left would keep its partition that long.
    let mut second = world.member().build().await.unwrap();
    assert_eq!(take(&mut second, 1).await, [(0, 3)]);
}

#[tokio::test]
async fn a_manual_commit_is_what_the_application_says_and_nothing_else() {
    let world = World::with(2).await;
    world.fill(2, 10).await;
    let mut consumer = world.member().commit(Commit::Manual).build().await.unwrap();
    let handle = consumer.handle();
    take(&mut consumer, 20).await;
    let place = OffsetAndMetadata { metadata: "from the ledger".into(), ..OffsetAndMetadata::new(7) };
    within(handle.commit_offsets([(world.partition(1), place.clone())])).await.unwrap();
    assert_eq!(world.committed(2).await, BTreeMap::from([(1, 7)]));
    let told = within(handle.committed([world.partition(1)])).await.unwrap();
    assert_eq!(told[0].1.as_ref().unwrap().metadata, place.metadata);
    assert!(within(consumer.close()).await.unwrap().is_clean());
    assert_eq!(world.committed(2).await, BTreeMap::from([(1, 7)]));
}

#[tokio::test]
async fn a_commit_by_hand_takes_what_is_done_batch_by_batch() {
    let world = World::with(1).await;
    world.fill(1, 10).await;
    let mut consumer = world.member().commit(Commit::Manual).build().await.unwrap();
    let mut batch = within(consumer.next_batch()).await.unwrap().unwrap();
    let count = batch.records().count();
    let next = batch.next_offset();
    assert_eq!(usize::try_from(next).unwrap(), count);
    within(consumer.handle().commit()).await.unwrap();
    assert_eq!(world.committed(1).await, BTreeMap::new());
    batch.done();
    within(consumer.handle().commit()).await.unwrap();
    assert_eq!(world.committed(1).await, BTreeMap::from([(0, next)]));
}

#[tokio::test]
async fn what_is_stored_is_committed_forwards_and_on_purpose_back() {
    let world = World::with(1).await;
    world.fill(1, 10).await;
    let mut consumer = world.member().commit(Commit::Stored).build().await.unwrap();
    let handle = consumer.handle();
    for _ in 0..6 {
        let message = within(consumer.try_next()).await.unwrap().unwrap();
        if message.offset() == 3 {
            message.store();
        }
    }
    within(handle.commit()).await.unwrap();
    assert_eq!(world.committed(1).await[&0], 4);
    handle.store(&world.partition(0), OffsetAndMetadata::new(2)).unwrap();
    within(consumer.close()).await.unwrap();
    assert_eq!(world.committed(1).await[&0], 2);
    assert_eq!(handle.store(&world.partition(0), OffsetAndMetadata::new(2)).unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn kafka_s_automatic_commit_is_of_what_was_handed_out() {
    let world = World::with(1).await;
    world.fill(1, 10).await;
    let mut consumer = world.member().commit(Commit::Delivered).build().await.unwrap();
    for _ in 0..4 {
        drop(within(consumer.try_next()).await.unwrap().unwrap());
    }
    assert!(within(consumer.close()).await.unwrap().is_clean());
    assert_eq!(world.committed(1).await[&0], 4);
}

#[tokio::test]
async fn a_close_waits_for_what_is_at_work_and_never_longer_than_its_time() {
    let world = World::with(1).await;
    world.fill(1, 3).await;
    let mut consumer = world.member().build().await.unwrap();
    let message = within(consumer.try_next()).await.unwrap().unwrap();
    let closing = tokio::spawn(consumer.close());
    tokio::task::yield_now().await;
    message.done();
    assert!(within(closing).await.unwrap().unwrap().is_clean());
    assert_eq!(world.committed(1).await[&0], 1);

    let mut consumer = world.member().build().await.unwrap();
    let handle = consumer.handle();
    let held = within(consumer.try_next()).await.unwrap().unwrap();
    assert_eq!(held.offset(), 1);
    let begun = std::time::Instant::now();
    let report = within(consumer.close_within(Duration::from_millis(500))).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(report.undone, [(world.partition(0), 1)]);
    assert!(!report.is_clean());
    // Too late: nobody commits it.
    held.done();
    assert_eq!(world.committed(1).await[&0], 1);
    assert_eq!(handle.close().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_position_that_is_not_in_the_log_is_reset_as_chosen_and_told() {
    let world = World::with(1).await;
    world.fill(1, 5).await;
    let far = [(world.partition(0), OffsetAndMetadata::new(99))];
    let by_hand = world.client.consumer(&world.group).build().await.unwrap();
    within(by_hand.handle().commit_offsets(far.clone())).await.unwrap();

    let mut strict = world.member().start_at(felice::StartAt::Fail).build().await.unwrap();
    let error = within(strict.try_next()).await.unwrap_err();
    assert_eq!((error.kind(), error.partition()), (ErrorKind::OffsetOutOfRange, Some(0)));
    assert!(error.hint().is_some());
    // A seek revives it.
    within(strict.handle().seek(&world.partition(0), Seek::Offset(4))).await.unwrap();
    assert_eq!(within(strict.try_next()).await.unwrap().unwrap().offset(), 4);
    within(strict.close()).await.unwrap();
    within(by_hand.handle().commit_offsets(far.clone())).await.unwrap();

    let mut early = world.member().build().await.unwrap();
    let mut events = early.handle().events();
    assert_eq!(within(early.try_next()).await.unwrap().unwrap().offset(), 0);
    let reset = event(&mut events, |event| match event {
        ConsumerEvent::OffsetReset { from, to, .. } => Some((*from, *to)),
        _ => None,
    });
    assert_eq!(reset.await, (Some(99), 0));
    within(early.close()).await.unwrap();
    within(by_hand.handle().commit_offsets(far)).await.unwrap();

    let mut late = world.member().start_at(felice::StartAt::Latest).build().await.unwrap();
    let mut events = late.handle().events();
    let reset = event(&mut events, |event| match event {
        ConsumerEvent::OffsetReset { from, to, .. } => Some((*from, *to)),
        _ => None,
    });
    assert_eq!(while_reading(&mut late, reset).await, (Some(99), 5));
    world.fill_from(1, 5, 6).await;
    assert_eq!(take(&mut late, 1).await, [(0, 5)]);
}

#[tokio::test]
async fn without_a_committed_offset_the_start_is_what_was_chosen_or_an_error() {
    let world = World::with(1).await;
    world.fill(1, 5).await;
    let mut strict = world.client.consumer(&world.group).topics([&world.topic]).build().await.unwrap();
    let error = within(strict.try_next()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OffsetOutOfRange);
    assert!(error.hint().unwrap().contains("StartAt"), "{error:?}");
    within(strict.close()).await.unwrap();
    let hour = felice::StartAt::ByDuration(Duration::from_secs(3600));
    let mut young = world.member().start_at(hour).build().await.unwrap();
    assert_eq!(take(&mut young, 1).await, [(0, 0)]);
}
