//! The client on the embedded broker: what only shows with a driver, threads and time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use felice::protocol::messages::{DeleteRecordsRequest, delete_records};
use felice::{Client, ErrorKind, NewRecord, Persisted, Seek};
use felice_broker::Broker;
use futures::TryStreamExt as _;

async fn values(client: &Client, topic: &str, from: Seek) -> Vec<String> {
    let reader = client.reader().topic(topic).from(from).until(Seek::End).open().await.unwrap();
    let records: Vec<_> = reader.try_collect().await.unwrap();
    records.iter().map(|record| record.value_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_producer_that_is_dropped_still_sends_what_it_was_given() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    client.admin().create_topic("t").await.unwrap();
    let producer = client.producer().linger(Duration::from_secs(60)).build().await.unwrap();
    producer.post(NewRecord::to("t").value("kept")).await.unwrap();
    drop(producer);
    let deadline = Instant::now() + Duration::from_secs(10);
    while values(&client, "t", Seek::Start).await != ["kept"] {
        assert!(Instant::now() < deadline, "a dropped producer has lost its record");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_acknowledgement_is_told_when_everything_it_came_from_is_gone() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    client.admin().create_topic("t").await.unwrap();
    let producer = client.producer().build().await.unwrap();
    let known = producer.send(NewRecord::to("t").value("before")).await.unwrap();
    assert_eq!(known.offset, 0);
    // Nobody answers any more, so nothing that follows can be acknowledged.
    broker.shutdown().await.unwrap();
    let pending = producer.enqueue(NewRecord::to("t").value("lost")).await.unwrap();
    drop(producer);
    drop(client);
    let error = tokio::time::timeout(Duration::from_secs(10), pending).await.unwrap().unwrap_err();
    assert_eq!((error.error().kind(), error.persisted()), (ErrorKind::Closed, Persisted::Maybe), "{error}");
}

#[tokio::test]
async fn so_many_before_the_end_begins_where_records_are_left() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    client.admin().create_topic("t").await.unwrap();
    let producer = client.producer().build().await.unwrap();
    for n in 0..10 {
        producer.post(NewRecord::to("t").value(n.to_string())).await.unwrap();
    }
    producer.flush().await.unwrap();
    assert_eq!(values(&client, "t", Seek::BeforeEnd(3)).await, ["7", "8", "9"]);
    assert_eq!(values(&client, "t", Seek::BeforeEnd(30)).await.len(), 10);
    let partition = delete_records::request::DeleteRecordsPartition { offset: 8, ..Default::default() };
    let topic = delete_records::request::DeleteRecordsTopic {
        name: "t".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 5000, ..Default::default() };
    let leader = client.admin().topic("t").await.unwrap().partitions[0].leader.unwrap();
    client.request_to(leader, request).await.unwrap();
    assert_eq!(values(&client, "t", Seek::BeforeEnd(5)).await, ["8", "9"]);
}

#[tokio::test]
async fn what_came_before_the_topic_was_known_keeps_its_order_while_more_comes() {
    let broker = Broker::start().await.unwrap();
    let client = Client::connect(broker.bootstrap()).await.unwrap();
    client.admin().create_topic("t").await.unwrap();
    let (acknowledged, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let told = acknowledged.clone();
    let producer = client.producer().buffer_memory(1 << 30);
    let producer = producer.on_delivery(move |_| told.store(true, Ordering::SeqCst)).build().await.unwrap();
    let poster = tokio::task::spawn_blocking({
        let (producer, seen) = (producer.clone(), seen.clone());
        move || {
            while !acknowledged.load(Ordering::SeqCst) {
                let n = seen.fetch_add(1, Ordering::SeqCst);
                let taken = producer.try_post(&NewRecord::to("t").value(n.to_string())).unwrap();
                assert!(taken, "{n} records, and none has left");
            }
        }
    });
    poster.await.unwrap();
    producer.flush().await.unwrap();
    let expected: Vec<String> = (0..seen.load(Ordering::SeqCst)).map(|n| n.to_string()).collect();
    let came = values(&client, "t", Seek::Start).await;
    assert!(came == expected, "{} of {} records, or another order", came.len(), expected.len());
}
