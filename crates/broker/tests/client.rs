//! The feature `client`: a broker that gives a client of itself.

#![cfg(feature = "client")]

use felice::{NewRecord, Seek};
use felice_broker::Broker;
use futures::TryStreamExt;

#[tokio::test]
async fn a_broker_s_client_writes_and_reads() {
    let broker = Broker::start().await.unwrap();
    let client = broker.client().await.unwrap();
    let producer = client.producer().build().await.unwrap();
    let delivery = producer.send(NewRecord::to("orders").key("u42").value("hello")).await.unwrap();
    assert_eq!((delivery.partition, delivery.offset), (0, 0));

    let reader = client.reader().topic("orders").from(Seek::Start).until(Seek::End).open().await.unwrap();
    let records: Vec<felice::Record> = reader.try_collect().await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].value_str().unwrap(), "hello");
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn two_brokers_in_one_process_know_nothing_of_each_other() {
    let (first, second) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    first.client().await.unwrap().admin().create_topic("orders").await.unwrap();
    assert!(second.client().await.unwrap().admin().topics().await.unwrap().is_empty());
}
