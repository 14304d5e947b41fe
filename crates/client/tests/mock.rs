//! The client on a mock cluster: what goes wrong in a cluster, and that the client gets over it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::future::Future;
use std::time::Duration;

use felice::{Client, NewRecord, Seek, StartAt};
use felice_broker::mock::{ApiKey, CoordinatorKind, ErrorCode, Fault, MockCluster};
use futures::TryStreamExt as _;

/// Not for ever.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it takes too long")
}

async fn client_of(cluster: &MockCluster) -> Client {
    Client::builder(cluster.bootstrap())
        .set("retry.backoff.ms", "10")
        .set("reconnect.backoff.ms", "10")
        .connect()
        .await
        .unwrap()
}

async fn values(client: &Client, topic: &str) -> Vec<String> {
    let reader = client.reader().topic(topic).from(Seek::Start).until(Seek::End).open().await.unwrap();
    let records: Vec<_> = within(reader.try_collect()).await.unwrap();
    records.iter().map(|record: &felice::Record| record.value_str().unwrap().to_owned()).collect()
}

fn requests(cluster: &MockCluster, api_key: ApiKey) -> Vec<i32> {
    let tracked = cluster.with(|c, _| c.requests());
    tracked.iter().filter(|request| request.api_key == api_key).map(|request| request.node).collect()
}

#[tokio::test]
async fn errors_that_pass_are_retried_and_nothing_is_written_twice() {
    let cluster = MockCluster::start(3).unwrap();
    cluster.with(|c, now| c.create_topic(now, "t", 1, 3)).unwrap();
    let client = client_of(&cluster).await;
    let producer = client.producer().build().await.unwrap();
    cluster.with(|c, _| {
        c.start_tracking();
        c.push_faults(
            ApiKey::PRODUCE,
            [
                Fault::Error(ErrorCode::REQUEST_TIMED_OUT),
                Fault::Disconnect,
                Fault::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER),
                Fault::Error(ErrorCode::NOT_ENOUGH_REPLICAS),
            ],
        );
    });
    for n in 0..3 {
        let delivery = within(producer.send(NewRecord::to("t").value(n.to_string()))).await.unwrap();
        assert_eq!(delivery.offset, n);
    }
    assert_eq!(requests(&cluster, ApiKey::PRODUCE).len(), 3 + 4);
    assert_eq!(values(&client, "t").await, ["0", "1", "2"]);
}

#[tokio::test]
async fn an_error_that_stays_is_told() {
    let cluster = MockCluster::start(1).unwrap();
    let client = client_of(&cluster).await;
    let producer = client.producer().build().await.unwrap();
    within(producer.send(NewRecord::to("t").partition(0).value("a"))).await.unwrap();
    cluster.with(|c, _| c.push_faults(ApiKey::PRODUCE, [Fault::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED)]));
    let error = within(producer.send(NewRecord::to("t").partition(0).value("b"))).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED), "{error}");
}

#[tokio::test]
async fn a_leader_that_moves_is_followed_by_producer_and_reader() {
    let cluster = MockCluster::start(3).unwrap();
    cluster.with(|c, now| c.create_topic(now, "t", 1, 3)).unwrap();
    let client = client_of(&cluster).await;
    let producer = client.producer().build().await.unwrap();
    let mut reader = client.reader().topic("t").from(Seek::Start).open().await.unwrap();
    cluster.with(|c, _| c.start_tracking());
    for (n, leader) in [1, 2, 3, 1].into_iter().enumerate() {
        cluster.with(|c, now| c.set_leader(now, "t", 0, Some(leader))).unwrap();
        within(producer.send(NewRecord::to("t").value(n.to_string()))).await.unwrap();
        assert_eq!(requests(&cluster, ApiKey::PRODUCE).last(), Some(&leader));
        let record = within(reader.try_next()).await.unwrap().unwrap();
        assert_eq!((record.value_str().unwrap(), record.offset()), (n.to_string().as_str(), n as i64));
    }
}

#[tokio::test]
async fn a_node_that_goes_down_and_comes_back_loses_nothing() {
    let cluster = MockCluster::start(2).unwrap();
    cluster.with(|c, now| c.create_topic(now, "t", 2, 2)).unwrap();
    let client = client_of(&cluster).await;
    let producer = client.producer().build().await.unwrap();
    for partition in 0..2 {
        within(producer.send(NewRecord::to("t").partition(partition).value("before"))).await.unwrap();
    }
    cluster.set_down(2).unwrap();
    // The other node goes on, and what belongs to this one waits for it.
    let waits = producer.enqueue(NewRecord::to("t").partition(1).value("while")).await.unwrap();
    within(producer.send(NewRecord::to("t").partition(0).value("while"))).await.unwrap();
    cluster.set_up(2).unwrap();
    assert_eq!(within(waits).await.unwrap().offset, 1);
    // And where it stays away another takes its partitions over.
    cluster.remove_node(2).unwrap();
    assert_eq!(within(producer.send(NewRecord::to("t").partition(1).value("after"))).await.unwrap().offset, 2);
    assert_eq!(values(&client, "t").await.len(), 5);
}

#[tokio::test]
async fn slow_round_trips_do_not_add_up() {
    let cluster = MockCluster::start(1).unwrap();
    let client = client_of(&cluster).await;
    let producer = client.producer().build().await.unwrap();
    within(producer.send(NewRecord::to("t").value("first"))).await.unwrap();
    cluster.with(|c, now| c.set_rtt(now, 1, Duration::from_millis(100))).unwrap();
    cluster.with(|c, _| c.start_tracking());
    for n in 0..50 {
        producer.post(NewRecord::to("t").value(n.to_string())).await.unwrap();
    }
    within(producer.flush()).await.unwrap();
    assert!(requests(&cluster, ApiKey::PRODUCE).len() < 50);
    assert_eq!(values(&client, "t").await.len(), 51);
}

#[tokio::test]
async fn a_coordinator_that_moves_is_found_again() {
    let cluster = MockCluster::start(3).unwrap();
    cluster.with(|c, now| c.create_topic(now, "t", 1, 3)).unwrap();
    cluster.with(|c, _| c.set_coordinator(CoordinatorKind::Group, "g", 1));
    let client = client_of(&cluster).await;
    let producer = client.producer().build().await.unwrap();
    let mut consumer = client.consumer("g").topics(["t"]).start_at(StartAt::Earliest).build().await.unwrap();
    for (n, coordinator) in [1, 2, 3].into_iter().enumerate() {
        cluster.with(|c, _| {
            c.set_coordinator(CoordinatorKind::Group, "g", coordinator);
            c.start_tracking();
        });
        within(producer.send(NewRecord::to("t").value(n.to_string()))).await.unwrap();
        let message = within(consumer.try_next()).await.unwrap().unwrap();
        assert_eq!(message.record().value_str().unwrap(), n.to_string());
        message.done();
        within(consumer.handle().commit()).await.unwrap();
        assert_eq!(requests(&cluster, ApiKey::OFFSET_COMMIT).last(), Some(&coordinator));
    }
    within(consumer.close()).await.unwrap();
}

#[tokio::test]
async fn errors_of_the_group_s_requests_are_gotten_over() {
    let cluster = MockCluster::start(2).unwrap();
    cluster.with(|c, now| c.create_topic(now, "t", 1, 2)).unwrap();
    cluster.with(|c, _| {
        c.push_faults(ApiKey::FIND_COORDINATOR, [Fault::Error(ErrorCode::COORDINATOR_NOT_AVAILABLE)]);
        c.push_faults(ApiKey::JOIN_GROUP, [Fault::Error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), Fault::Disconnect]);
        c.push_faults(ApiKey::SYNC_GROUP, [Fault::Error(ErrorCode::NOT_COORDINATOR)]);
        c.push_faults(ApiKey::CONSUMER_GROUP_HEARTBEAT, [Fault::Error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)]);
        c.push_faults(ApiKey::OFFSET_FETCH, [Fault::Error(ErrorCode::NOT_COORDINATOR)]);
        c.push_faults(ApiKey::LIST_OFFSETS, [Fault::Error(ErrorCode::LEADER_NOT_AVAILABLE)]);
        c.push_faults(ApiKey::FETCH, [Fault::Error(ErrorCode::UNKNOWN_SERVER_ERROR), Fault::Disconnect]);
        c.push_faults(ApiKey::OFFSET_COMMIT, [Fault::Error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)]);
    });
    let client = client_of(&cluster).await;
    let producer = client.producer().build().await.unwrap();
    within(producer.send(NewRecord::to("t").value("a"))).await.unwrap();
    for protocol in [felice::GroupProtocol::Classic, felice::GroupProtocol::Consumer] {
        let group = format!("{protocol:?}");
        let consumer = client.consumer(&group).topics(["t"]).protocol(protocol).start_at(StartAt::Earliest);
        let mut consumer = consumer.build().await.unwrap();
        let message = within(consumer.try_next()).await.unwrap().unwrap();
        message.done();
        within(consumer.handle().commit()).await.unwrap();
        within(consumer.close()).await.unwrap();
    }
}
