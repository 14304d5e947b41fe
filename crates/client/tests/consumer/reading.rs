//! Records out: order, batches, partitions, seek, pause, cancel safety.

use std::collections::BTreeMap;
use std::time::Duration;

use felice::{Commit, ErrorKind, Order, Seek, StartAt};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use crate::world::{World, take, until, within};

#[tokio::test]
async fn records_come_in_the_order_of_their_partition_and_a_close_is_clean() {
    let world = World::with(3).await;
    world.fill(3, 50).await;
    let mut consumer = world.member().build().await.unwrap();
    let mut by_partition: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for (partition, value) in take(&mut consumer, 150).await {
        by_partition.entry(partition).or_default().push(value);
    }
    for values in by_partition.values() {
        assert_eq!(*values, (0..50).collect::<Vec<_>>());
    }
    let report = within(consumer.close()).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(world.committed(3).await, BTreeMap::from([(0, 50), (1, 50), (2, 50)]));
}

#[tokio::test]
async fn a_next_that_is_dropped_loses_nothing() {
    let world = World::with(1).await;
    let mut consumer = world.member().build().await.unwrap();
    let mut seen = Vec::new();
    let feeding = async {
        for n in 0..50 {
            world.fill_from(1, n, n + 1).await;
        }
    };
    let reading = async {
        while seen.len() < 50 {
            let next = tokio::time::timeout(Duration::from_millis(1), consumer.try_next()).await;
            if let Ok(message) = next {
                seen.push(message.unwrap().unwrap().value_str().unwrap().parse::<i64>().unwrap());
            }
        }
    };
    within(async { tokio::join!(feeding, reading) }).await;
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn batches_and_messages_can_be_mixed_without_losing_or_repeating() {
    let world = World::with(1).await;
    world.fill(1, 30).await;
    let mut consumer = world.member().build().await.unwrap();
    let mut seen = take(&mut consumer, 10).await.into_iter().map(|(_, n)| n).collect::<Vec<_>>();
    while seen.len() < 30 {
        let mut batch = within(consumer.next_batch()).await.unwrap().unwrap();
        for record in batch.records() {
            seen.push(record.unwrap().value_str().unwrap().parse().unwrap());
        }
        batch.done();
    }
    assert_eq!(seen, (0..30).collect::<Vec<_>>());
    assert!(within(consumer.close()).await.unwrap().is_clean());
    assert_eq!(world.committed(1).await[&0], 30);
}

#[tokio::test]
async fn after_a_seek_no_older_record_comes_and_what_was_handed_out_before_counts_no_more() {
    let world = World::with(1).await;
    world.fill(1, 100).await;
    let mut consumer = world.member().commit(Commit::Manual).build().await.unwrap();
    let handle = consumer.handle();
    let first = within(consumer.try_next()).await.unwrap().unwrap();
    assert_eq!(first.offset(), 0);
    assert_eq!(within(handle.seek(&world.partition(0), Seek::Offset(70))).await.unwrap(), 70);
    let next = within(consumer.try_next()).await.unwrap().unwrap();
    assert_eq!(next.offset(), 70);
    first.done();
    next.done();
    assert_eq!(within(handle.seek(&world.partition(0), Seek::Start)).await.unwrap(), 0);
    assert_eq!(within(consumer.try_next()).await.unwrap().unwrap().offset(), 0);
    assert_eq!(within(handle.seek(&world.partition(0), Seek::End)).await.unwrap(), 100);
    world.fill_from(1, 100, 101).await;
    let last = within(consumer.try_next()).await.unwrap().unwrap();
    assert_eq!(last.offset(), 100);
    last.done();
    within(handle.commit()).await.unwrap();
    assert_eq!(world.committed(1).await[&0], 101);
    let error = handle.seek(&world.partition(5), Seek::Start).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_paused_partition_rests_and_goes_on_where_it_stood() {
    let world = World::with(2).await;
    world.fill(2, 40).await;
    let mut consumer = world.member().build().await.unwrap();
    let handle = consumer.handle();
    let before = take(&mut consumer, 10).await;
    let paused = before[9].0;
    let other = 1 - paused;
    handle.pause([world.partition(paused)]);
    assert_eq!(handle.paused(), [world.partition(paused)]);
    let of_other = before.iter().filter(|(p, _)| *p == other).count();
    let rest = take(&mut consumer, 40 - of_other).await;
    assert!(rest.iter().all(|(p, _)| *p == other), "{rest:?}");
    assert!(consumer.try_next().now_or_never().is_none());
    handle.resume([world.partition(paused)]);
    let of_paused = before.iter().filter(|(p, _)| *p == paused).map(|(_, n)| *n);
    let resumed = take(&mut consumer, 40 - (10 - of_other)).await;
    let all: Vec<i64> = of_paused.chain(resumed.iter().map(|(_, n)| *n)).collect();
    assert_eq!(all, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn each_partition_is_a_stream_and_a_slow_one_does_not_slow_another() {
    let world = World::with(3).await;
    world.fill(3, 100).await;
    let consumer = world.member().set("fetch.buffer.bytes", "4096").build().await.unwrap();
    let handle = consumer.handle();
    let mut partitions = consumer.partitions();
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(within(partitions.try_next()).await.unwrap().unwrap());
    }
    streams.sort_by_key(|stream| stream.id().clone());
    // Nobody reads the first.
    for stream in &mut streams[1..] {
        for n in 0..100 {
            let message = within(stream.try_next()).await.unwrap().unwrap();
            assert_eq!(message.value_str().unwrap(), n.to_string());
            message.done();
        }
    }
    let closing = tokio::spawn(async move { handle.close().await });
    for mut stream in streams {
        // The first has records until the close has reached it.
        while within(stream.next()).await.is_some() {}
    }
    assert!(within(partitions.next()).await.is_none());
    let report = within(closing).await.unwrap().unwrap();
    assert!(report.left && report.uncommitted.is_empty() && report.error.is_none(), "{report:?}");
    assert_eq!(world.committed(3).await, BTreeMap::from([(1, 100), (2, 100)]));
}

#[tokio::test]
async fn run_keeps_the_order_of_a_key_and_ends_with_the_consumer() {
    let world = World::with(2).await;
    let producer = world.client.producer().build().await.unwrap();
    for n in 0..200 {
        let record = felice::NewRecord::to(world.topic.as_str()).key(format!("k{}", n % 7)).value(n.to_string());
        producer.post(record).await.unwrap();
    }
    producer.flush().await.unwrap();
    let consumer = world.member().build().await.unwrap();
    let handle = consumer.handle();
    let seen = std::sync::Mutex::new(BTreeMap::<Vec<u8>, Vec<i64>>::new());
    let at_once = std::sync::atomic::AtomicUsize::new(0);
    let most = std::sync::atomic::AtomicUsize::new(0);
    let run = consumer.run(4, Order::Key, |record| {
        let (seen, at_once, most, handle) = (&seen, &at_once, &most, &handle);
        async move {
            use std::sync::atomic::Ordering::SeqCst;
            most.fetch_max(at_once.fetch_add(1, SeqCst) + 1, SeqCst);
            // Others overtake here, if they are allowed to.
            for _ in 0..record.offset() % 5 {
                tokio::task::yield_now().await;
            }
            let value = record.value_str().unwrap().parse().unwrap();
            let total = {
                let mut seen = seen.lock().unwrap();
                seen.entry(record.key().unwrap().to_vec()).or_default().push(value);
                seen.values().map(Vec::len).sum::<usize>()
            };
            at_once.fetch_sub(1, SeqCst);
            if total == 200 {
                let handle = handle.clone();
                tokio::spawn(async move { handle.close().await });
            }
            Ok::<_, std::io::Error>(())
        }
    });
    within(run).await.unwrap();
    for values in seen.into_inner().unwrap().values() {
        assert!(values.is_sorted(), "{values:?}");
    }
    assert!((2..=4).contains(&most.into_inner()));
    assert_eq!(world.committed(2).await.values().sum::<i64>(), 200);
}

#[tokio::test]
async fn run_ends_with_the_first_failure_and_leaves_its_record_undone() {
    let world = World::with(1).await;
    world.fill(1, 20).await;
    let consumer = world.member().build().await.unwrap();
    let run = consumer.run(1, Order::Partition, |record| async move {
        if record.offset() == 7 { Err(std::io::Error::other("no such customer")) } else { Ok(()) }
    });
    let error = within(run).await.unwrap_err();
    assert_eq!((error.kind(), error.partition()), (ErrorKind::Application, Some(0)));
    assert!(error.to_string().contains("offset 7: no such customer"), "{error}");
    assert_eq!(world.committed(1).await[&0], 7);
}

#[tokio::test]
async fn positions_lag_and_watermarks_are_told() {
    let world = World::with(1).await;
    world.fill(1, 10).await;
    let mut consumer = world.member().build().await.unwrap();
    let handle = consumer.handle();
    take(&mut consumer, 4).await;
    assert_eq!(handle.assignment(), [world.partition(0)]);
    assert_eq!(handle.position(&world.partition(0)), Some(4));
    let lag = within(handle.lag()).await.unwrap();
    assert_eq!((lag[0].position, lag[0].end, lag[0].records), (Some(4), 10, 6));
    assert_eq!(within(handle.watermarks(&world.partition(0))).await.unwrap(), (0, 10));
    assert_eq!(handle.cached_watermarks(&world.partition(0)), Some((0, 10)));
    let times = within(handle.offsets_for_times([(world.partition(0), 0)])).await.unwrap();
    assert_eq!(times[&world.partition(0)], Some(0));
    assert_eq!(handle.group_metadata().group_id.as_str(), world.group);
    assert!(!handle.group_metadata().member_id.is_empty());
}

#[tokio::test]
async fn partitions_can_be_assigned_by_hand_with_and_without_a_group() {
    let world = World::with(3).await;
    world.fill(3, 10).await;
    let mut consumer = world
        .client
        .consumer(&world.group)
        .start_at(StartAt::Earliest)
        .assign(world.partition(0), Some(Seek::Offset(5)))
        .build()
        .await
        .unwrap();
    let handle = consumer.handle();
    assert_eq!(take(&mut consumer, 5).await, (5..10).map(|n| (0, n)).collect::<Vec<_>>());
    within(handle.commit()).await.unwrap();
    assert_eq!(world.committed(3).await, BTreeMap::from([(0, 10)]));
    within(handle.incremental_assign([(world.partition(1), None)])).await.unwrap();
    assert_eq!(take(&mut consumer, 10).await, (0..10).map(|n| (1, n)).collect::<Vec<_>>());
    within(handle.assign([(world.partition(2), Some(Seek::BeforeEnd(2)))])).await.unwrap();
    assert_eq!(take(&mut consumer, 2).await, [(2, 8), (2, 9)]);
    until(async || world.committed(3).await.get(&1) == Some(&10)).await;
    within(handle.unassign()).await.unwrap();
    assert!(handle.assignment().is_empty());
    assert!(within(consumer.close()).await.unwrap().is_clean());

    let builder = world.client.ungrouped_consumer();
    let mut alone = builder.assign(world.partition(2), Some(Seek::Start)).build().await.unwrap();
    assert_eq!(take(&mut alone, 10).await.len(), 10);
    assert_eq!(within(alone.handle().committed([world.partition(2)])).await.unwrap_err().kind(), ErrorKind::Config);
    assert!(within(alone.close()).await.unwrap().is_clean());
}
