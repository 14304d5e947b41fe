//! Members that come and go: revocation, listeners, protocols, subscriptions.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use felice::{ConsumerEvent, ConsumerHandle, GroupProtocol, NewRecord, RebalanceListener, StartAt, TopicPartition};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::world::{World, event, take, until, while_reading, within};

/// Protocol and assignor: all that a group may speak.
const WAYS: [(GroupProtocol, Option<&str>); 5] = [
    (GroupProtocol::Consumer, None),
    (GroupProtocol::Classic, Some("range")),
    (GroupProtocol::Classic, Some("roundrobin")),
    (GroupProtocol::Classic, Some("sticky")),
    (GroupProtocol::Classic, Some("cooperative-sticky")),
];

#[tokio::test]
async fn two_members_share_every_partition_under_every_protocol() {
    for (protocol, assignor) in WAYS {
        let world = World::with(4).await;
        let member = || {
            let builder = world.member().protocol(protocol).set("heartbeat.interval.ms", "100");
            match assignor {
                Some(name) => builder.assignors([name]),
                None => builder,
            }
        };
        let mut first = member().build().await.unwrap();
        let mut second = member().build().await.unwrap();
        let (one, two) = (first.handle(), second.handle());
        let settled = until(async || {
            let (a, b) = (one.assignment(), two.assignment());
            a.len() == 2 && b.len() == 2 && a.iter().chain(&b).collect::<BTreeSet<_>>().len() == 4
        });
        let reading = async {
            while let Some(message) = second.try_next().await.unwrap() {
                message.done()
            }
        };
        tokio::select! {
            () = while_reading(&mut first, settled) => {}
            () = reading => panic!("a stream has ended"),
        }
        within(first.close()).await.unwrap();
        while_reading(&mut second, until(async || two.assignment().len() == 4)).await;
        within(second.close()).await.unwrap();
    }
}

#[tokio::test]
async fn a_revoked_partition_s_stream_ends_and_what_it_handed_out_can_be_done_until_then() {
    let world = World::with(2).await;
    world.fill(2, 10).await;
    let first = world.member().set("heartbeat.interval.ms", "100").build().await.unwrap();
    let mut partitions = first.partitions();
    let mut one = within(partitions.try_next()).await.unwrap().unwrap();
    let mut two = within(partitions.try_next()).await.unwrap().unwrap();
    let of_one = within(one.try_next()).await.unwrap().unwrap();
    let of_two = within(two.try_next()).await.unwrap().unwrap();

    let mut second = world.member().set("heartbeat.interval.ms", "100").build().await.unwrap();
    let mut events = second.handle().events();
    let ended = async {
        // One of the two goes; the other goes on.
        let which = futures::future::select(
            Box::pin(async {
                while let Some(message) = one.next().await {
                    drop(message)
                }
            }),
            Box::pin(async {
                while let Some(message) = two.next().await {
                    drop(message)
                }
            }),
        );
        match which.await {
            futures::future::Either::Left(_) => 0,
            futures::future::Either::Right(_) => 1,
        }
    };
    let ended = tokio::select! {
        ended = within(ended) => ended,
        _ = async { while partitions.next().await.is_some() {} } => panic!("the consumer has ended"),
    };
    let (gone, stays) = if ended == 0 { (one, two) } else { (two, one) };
    let (of_gone, of_other) = if ended == 0 { (of_one, of_two) } else { (of_two, of_one) };
    let id = gone.id().clone();
    assert!(!events_have_assignment(&mut events));
    // The group waits for these two.
    of_gone.done();
    drop(gone);
    let assigned = event(&mut events, |event| match event {
        ConsumerEvent::Assigned(partitions) if !partitions.is_empty() => Some(partitions.clone()),
        _ => None,
    });
    assert_eq!(assigned.await, std::slice::from_ref(&id));
    let message = within(second.try_next()).await.unwrap().unwrap();
    assert_eq!((message.partition(), message.offset()), (id.partition, 1), "what was done before the end is committed");
    drop((of_other, stays));
}

fn events_have_assignment(events: &mut felice::ConsumerEvents) -> bool {
    use futures::FutureExt as _;
    while let Some(Some(event)) = events.next().now_or_never() {
        if matches!(&event, ConsumerEvent::Assigned(partitions) if !partitions.is_empty()) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn a_cooperative_rebalance_leaves_the_others_without_a_gap() {
    for (protocol, assignor) in [WAYS[0], WAYS[4]] {
        let world = World::with(2).await;
        world.fill(2, 5).await;
        let member = || {
            let builder = world.member().protocol(protocol).set("heartbeat.interval.ms", "100");
            match assignor {
                Some(name) => builder.assignors([name]),
                None => builder,
            }
        };
        let mut first = member().build().await.unwrap();
        let handle = first.handle();
        let mut events = handle.events();
        take(&mut first, 10).await;
        let mut second = member().build().await.unwrap();
        let revoked = event(&mut events, |event| match event {
            ConsumerEvent::Revoked(partitions) => Some(partitions.clone()),
            ConsumerEvent::Lost { .. } => panic!("{event:?}"),
            _ => None,
        });
        let revoked = while_reading(&mut first, revoked).await;
        assert_eq!(revoked.len(), 1);
        assert_eq!(handle.assignment().len(), 1);
        world.fill_from(2, 5, 6).await;
        let mine = take(&mut first, 1).await;
        let yours = take(&mut second, 1).await;
        assert_eq!((mine[0].1, yours[0].1), (5, 5));
        assert_ne!(mine[0].0, yours[0].0);
    }
}

/// Notes what it hears, and commits where it is asked to go.
struct Notes(Arc<Mutex<Vec<String>>>);

impl RebalanceListener for Notes {
    async fn assigned(&mut self, ctx: &ConsumerHandle, partitions: &[TopicPartition]) {
        tokio::task::yield_now().await;
        for partition in partitions {
            if partition.partition == 1 {
                ctx.seek(partition, felice::Seek::Offset(3)).await.unwrap();
            }
        }
        self.0.lock().unwrap().push(format!("assigned {}", partitions.len()));
    }

    async fn revoking(&mut self, ctx: &ConsumerHandle, partitions: &[TopicPartition]) {
        ctx.commit().await.unwrap();
        self.0.lock().unwrap().push(format!("revoking {}", partitions.len()));
    }
}

#[tokio::test]
async fn a_listener_hears_before_the_first_record_and_before_the_end_and_may_seek_and_commit() {
    let world = World::with(2).await;
    world.fill(2, 5).await;
    let notes = Arc::new(Mutex::new(Vec::new()));
    let mut consumer =
        world.member().commit(felice::Commit::Manual).listener(Notes(notes.clone())).build().await.unwrap();
    let first = within(consumer.try_next()).await.unwrap().unwrap();
    assert_eq!(*notes.lock().unwrap(), ["assigned 2"]);
    let mut taken = vec![(first.partition(), first.offset())];
    first.done();
    taken.extend(take(&mut consumer, 6).await);
    taken.sort_unstable();
    assert_eq!(taken, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 3), (1, 4)]);
    assert!(within(consumer.close()).await.unwrap().is_clean());
    assert_eq!(*notes.lock().unwrap(), ["assigned 2", "revoking 2"]);
    assert_eq!(world.committed(2).await.values().sum::<i64>(), 10);
}

#[tokio::test]
async fn a_static_member_comes_back_without_a_rebalance_and_a_second_of_its_name_is_fenced() {
    for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let world = World::with(2).await;
        world.fill(2, 5).await;
        let member = || world.member().protocol(protocol).set("heartbeat.interval.ms", "100").instance_id("one");
        let mut first = member().build().await.unwrap();
        take(&mut first, 10).await;
        let second = member().build().await.unwrap();
        let (mut failed, mut other) = (first, second);
        // Under the classic protocol the newer member fences the older one; under KIP-848 the older one stays.
        let error = within(async {
            tokio::select! {
                error = async { loop { if let Err(error) = failed.try_next().await { return error } } } => error,
                error = async { loop { if let Err(error) = other.try_next().await { return error } } } => error,
            }
        })
        .await;
        assert!(error.hint().is_some(), "{error:?}");
    }
}

#[tokio::test]
async fn a_pattern_takes_topics_that_appear_later() {
    let world = World::with(1).await;
    world.fill(1, 1).await;
    let mut consumer = world
        .client
        .consumer(&world.group)
        .pattern(&format!("{}(-later)?", world.topic))
        .start_at(StartAt::Earliest)
        .build()
        .await
        .unwrap();
    assert_eq!(take(&mut consumer, 1).await, [(0, 0)]);
    let later = format!("{}-later", world.topic);
    world.client.admin().create_topic(&later).partitions(1).await.unwrap();
    let producer = world.client.producer().build().await.unwrap();
    producer.send(NewRecord::to(later.as_str()).value("77")).await.unwrap();
    assert_eq!(take(&mut consumer, 1).await, [(0, 77)]);
}

#[tokio::test]
async fn a_subscription_can_change_and_end() {
    let world = World::with(1).await;
    world.fill(1, 3).await;
    let other = format!("{}-other", world.topic);
    world.client.admin().create_topic(&other).partitions(1).await.unwrap();
    let producer = world.client.producer().build().await.unwrap();
    producer.send(NewRecord::to(other.as_str()).value("9")).await.unwrap();
    let mut consumer = world.member().set("heartbeat.interval.ms", "100").build().await.unwrap();
    let handle = consumer.handle();
    assert_eq!(take(&mut consumer, 3).await.len(), 3);
    within(handle.subscribe([&other])).await.unwrap();
    assert_eq!(take(&mut consumer, 1).await, [(0, 9)]);
    assert_eq!(handle.assignment(), [TopicPartition::new(other.as_str(), 0)]);
    let mut events = handle.events();
    within(handle.unsubscribe()).await.unwrap();
    let left = event(&mut events, |event| matches!(event, ConsumerEvent::Left).then_some(()));
    while_reading(&mut consumer, left).await;
    assert!(handle.assignment().is_empty());
    world.fill_from(1, 3, 4).await;
    within(handle.subscribe([&world.topic])).await.unwrap();
    assert_eq!(take(&mut consumer, 1).await, [(0, 3)]);
    assert!(within(consumer.close()).await.unwrap().is_clean());
}

#[tokio::test]
async fn a_topic_that_is_made_anew_is_read_from_its_start() {
    let world = World::with(1).await;
    world.fill(1, 5).await;
    let mut consumer = world.member().set("heartbeat.interval.ms", "100").build().await.unwrap();
    take(&mut consumer, 5).await;
    world.client.admin().delete_topics([&world.topic]).await.unwrap().all().unwrap();
    world.client.admin().create_topic(&world.topic).partitions(1).await.unwrap();
    let producer = world.client.producer().build().await.unwrap();
    producer.send(NewRecord::to(world.topic.as_str()).value("100")).await.unwrap();
    assert_eq!(take(&mut consumer, 1).await, [(0, 100)]);
}

#[tokio::test]
async fn the_first_record_comes_soon_after_joining() {
    let world = World::with(1).await;
    world.fill(1, 1).await;
    // Whatever is done once for a group is done.
    let mut warm =
        world.client.consumer("warm").topics([&world.topic]).start_at(StartAt::Earliest).build().await.unwrap();
    take(&mut warm, 1).await;
    let begun = std::time::Instant::now();
    let mut consumer = world.member().build().await.unwrap();
    take(&mut consumer, 1).await;
    println!("from build to the first record: {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(10));
}

/// Gives everything to the member of the last id.
struct WinnerTakesAll;

impl felice::assignor::PartitionAssignor for WinnerTakesAll {
    fn name(&self) -> &str {
        "winner-takes-all"
    }

    fn assign(&self, group: &felice::assignor::GroupSubscription<'_>) -> felice::assignor::Assignments {
        let mut assignments = felice::assignor::Assignments::new();
        let winner = group.members.iter().map(|member| &member.member_id).max();
        for member in group.members {
            let mut assignment = felice::assignor::Assignment::default();
            if winner == Some(&member.member_id) {
                let topics = &member.topics;
                assignment.partitions =
                    topics.iter().flat_map(|t| (0..3).map(move |p| TopicPartition::new(t.clone(), p))).collect();
            }
            assignments.insert(member.member_id.clone(), assignment);
        }
        assignments
    }
}

#[tokio::test]
async fn an_assignor_of_one_s_own_divides_the_partitions() {
    let world = World::with(3).await;
    world.fill(3, 2).await;
    let member = || world.member().set("heartbeat.interval.ms", "100").custom_assignor(Arc::new(WinnerTakesAll));
    let (mut first, mut second) = (member().build().await.unwrap(), member().build().await.unwrap());
    let (one, two) = (first.handle(), second.handle());
    let settled = until(async || {
        let mut counts = [one.assignment().len(), two.assignment().len()];
        counts.sort_unstable();
        let joined = [&one, &two].iter().all(|handle| !handle.group_metadata().member_id.is_empty());
        counts == [0, 3] && joined
    });
    let reading = async {
        while let Some(message) = second.try_next().await.unwrap() {
            message.done()
        }
    };
    tokio::select! {
        () = while_reading(&mut first, settled) => {}
        () = reading => panic!("a stream has ended"),
    }
    assert_eq!(one.rebalance_protocol(), Some("EAGER"));
}
