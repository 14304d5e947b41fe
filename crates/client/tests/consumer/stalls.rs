//! Nothing stops silently: what makes no progress is told, with the reason.

use std::time::Duration;

use felice::{ConsumerEvent, StallReason};
use futures::TryStreamExt as _;

use crate::world::{World, event, take, while_reading, within};

fn stalled(event: &ConsumerEvent) -> Option<(i32, i64, StallReason)> {
    match event {
        ConsumerEvent::Stalled { partition, offset, reason, .. } => Some((partition.partition, *offset, *reason)),
        _ => None,
    }
}

#[tokio::test]
async fn a_record_that_is_never_done_is_told_and_stops_no_other() {
    let world = World::with(2).await;
    world.fill(2, 10).await;
    let mut consumer = world.member().max_processing(Duration::from_millis(100)).build().await.unwrap();
    let mut events = consumer.handle().events();
    let stuck = loop {
        let message = within(consumer.try_next()).await.unwrap().unwrap();
        if message.partition() == 1 {
            break message;
        }
        message.done();
    };
    let not_done = |event: &ConsumerEvent| stalled(event).filter(|(.., reason)| *reason == StallReason::NotDone);
    let told = while_reading(&mut consumer, event(&mut events, not_done)).await;
    assert_eq!(told, (1, stuck.offset(), StallReason::NotDone));
    world.fill_from(2, 10, 11).await;
    assert_eq!(take(&mut consumer, 2).await.len(), 2);
}

#[tokio::test]
async fn a_partition_that_rests_and_one_that_nobody_reads_are_told() {
    let world = World::with(1).await;
    world.fill(1, 10).await;
    let mut consumer = world.member().max_processing(Duration::from_millis(100)).build().await.unwrap();
    let handle = consumer.handle();
    let mut events = handle.events();
    take(&mut consumer, 1).await;
    handle.pause_all();
    let paused = |event: &ConsumerEvent| stalled(event).filter(|(.., reason)| *reason == StallReason::Paused);
    assert_eq!(event(&mut events, paused).await, (0, 1, StallReason::Paused));
    handle.resume_all();
    let not_taken = |event: &ConsumerEvent| stalled(event).filter(|(.., reason)| *reason == StallReason::NotTaken);
    assert_eq!(event(&mut events, not_taken).await, (0, 1, StallReason::NotTaken));
}

#[tokio::test]
async fn an_application_that_takes_nothing_is_told_before_it_leaves_and_comes_back_when_it_reads_on() {
    let world = World::with(1).await;
    world.fill(1, 10).await;
    let mut consumer = world
        .member()
        .set("max.poll.interval.ms", "1000")
        .set("heartbeat.interval.ms", "100")
        .max_processing(Duration::from_millis(200))
        .build()
        .await
        .unwrap();
    let handle = consumer.handle();
    let mut events = handle.events();
    assert_eq!(take(&mut consumer, 1).await, [(0, 0)]);
    let undone = within(consumer.try_next()).await.unwrap().unwrap();
    assert_eq!(undone.offset(), 1);
    let not_done = |event: &ConsumerEvent| stalled(event).filter(|(.., reason)| *reason == StallReason::NotDone);
    assert_eq!(event(&mut events, not_done).await, (0, 1, StallReason::NotDone));
    let silent =
        |event: &ConsumerEvent| if let ConsumerEvent::Silent { left, .. } = event { Some(*left) } else { None };
    assert!(!event(&mut events, silent).await, "it is told before");
    assert!(event(&mut events, silent).await);
    event(&mut events, |event| matches!(event, ConsumerEvent::Lost { .. }).then_some(())).await;
    assert!(handle.assignment_lost());
    // What was lost is done in vain, and told.
    undone.done();
    event(&mut events, |event| matches!(event, ConsumerEvent::LateDone { .. }).then_some(())).await;
    let again = take(&mut consumer, 9).await;
    assert_eq!(again.iter().map(|(_, n)| *n).collect::<Vec<_>>(), (again[0].1..again[0].1 + 9).collect::<Vec<_>>());
    assert!(again[0].1 <= 1);
    assert!(!handle.assignment_lost());
}
