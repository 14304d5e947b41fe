//! Our client's part in the conformance tests.

use std::borrow::Cow;
use std::time::Duration;

use felice::{Client, Compression, NewRecord, Seek};
use felice_conformance::flights::{self, Checksum};
use felice_conformance::peers::exchange;

const CODECS: [(&str, Compression); 5] = [
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

/// Creates a topic of 4 partitions and waits until every partition has a leader.
pub(crate) async fn create(client: &Client, topic: &str) {
    client.admin().create_topic(topic).partitions(4).replicas(1).await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let partitions = client.admin().topic(topic).await.map(|t| t.partitions);
        if partitions.as_ref().is_ok_and(|p| p.len() == 4 && p.iter().all(|p| p.leader.is_some())) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{partitions:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Writes `count` records in every codec, keyed, with headers, nulls and empties; their lines as acknowledged, sorted.
pub(crate) async fn write(client: &Client, topic: &str, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (round, (codec, compression)) in CODECS.into_iter().enumerate() {
        let producer = client.producer().compression(compression).build().await.unwrap();
        let records: Vec<_> = (0..count).map(|i| record(topic, codec, round * count + i, i, count)).collect();
        let mut pending = Vec::new();
        for record in &records {
            pending.push(producer.enqueue(record.clone()).await.unwrap());
        }
        for (record, pending) in records.iter().zip(pending) {
            let delivery = tokio::time::timeout(Duration::from_secs(60), pending).await.unwrap().unwrap();
            assert_eq!(delivery.topic, topic);
            lines.push(exchange::line(
                (delivery.partition, delivery.offset),
                delivery.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                record.headers.iter().map(|(name, value)| (name, value.as_deref())),
            ));
        }
        producer.close(Duration::from_secs(10)).await.unwrap();
    }
    lines.sort_unstable();
    lines
}

fn record<'a>(topic: &'a str, codec: &str, number: usize, i: usize, count: usize) -> NewRecord<'a> {
    let text = |s: String| Some(Cow::Owned(s.into_bytes()));
    let mut record = NewRecord::to(topic).timestamp(1_700_000_000_000 + i64::try_from(number).unwrap() * 10);
    record.key = match i % 10 {
        0 => None,
        1 => text(String::new()),
        _ => text(format!("key-{}", i % 17)),
    };
    record.value = match i % 11 {
        _ if i + 1 == count => text("y".repeat(300_000)),
        0 => None,
        1 => text(String::new()),
        _ => text(format!("{codec}-{i}-{}", "x".repeat(i % 200))),
    };
    let headers = match i % 3 {
        0 => vec![],
        1 => vec![("trace", text(format!("t-{i}")))],
        _ => vec![("dup", text("1".into())), ("dup", text("2".into())), ("null", None), ("empty", text(String::new()))],
    };
    record.headers = headers.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
    record
}

/// Reads a topic from its beginning to its end; the lines, sorted.
pub(crate) async fn read(client: &Client, topic: &str) -> Vec<String> {
    let mut reader = client.reader().topic(topic).from(Seek::Start).until(Seek::End).open().await.unwrap();
    let mut lines = Vec::new();
    while let Some(mut batch) =
        tokio::time::timeout(Duration::from_secs(60), reader.next_batch()).await.unwrap().unwrap()
    {
        batch
            .for_each(|r| {
                let at = (r.partition(), r.offset());
                lines.push(exchange::line(at, r.timestamp(), r.key(), r.value(), r.headers()));
            })
            .unwrap();
    }
    lines.sort_unstable();
    lines
}

/// What went in comes out, in every codec; the topic is created before, listed, and deleted afterwards.
pub(crate) async fn round_trip(client: &Client, topic: &str, count: usize) {
    create(client, topic).await;
    let listed = |topics: &[felice::TopicInfo]| topics.iter().any(|t| t.name == *topic);
    assert!(listed(&client.admin().topics().await.unwrap()));
    let written = write(client, topic, count).await;
    assert_eq!(written.len(), 5 * count);
    exchange::assert_same(&written, &read(client, topic).await);
    client.admin().delete_topics([topic]).await.unwrap().all().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while listed(&client.admin().topics().await.unwrap()) {
        assert!(std::time::Instant::now() < deadline, "{topic} is still listed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// All flights keyed by carrier through producer, broker and reader: counts, and each key's lines in their order.
pub(crate) async fn flights_round_trip(client: &Client, flights: &[(String, String)]) {
    let topic = "flights";
    create(client, topic).await;
    let producer = client.producer().compression(Compression::Lz4).build().await.unwrap();
    for (carrier, line) in flights {
        let post = producer.post(NewRecord::to(topic).key(carrier.as_str()).value(line.as_str()));
        tokio::time::timeout(Duration::from_secs(30), post).await.unwrap().unwrap();
    }
    tokio::time::timeout(Duration::from_secs(60), producer.flush()).await.unwrap().unwrap();
    let expected = flights::checksums(flights.iter().map(|(c, l)| (c.as_bytes(), l.as_bytes())));

    let mut reader = client.reader().topic(topic).from(Seek::Start).until(Seek::End).open().await.unwrap();
    let mut got = Vec::<(Vec<u8>, Vec<u8>)>::new();
    let mut partitions = std::collections::BTreeMap::new();
    while let Some(mut batch) =
        tokio::time::timeout(Duration::from_secs(60), reader.next_batch()).await.unwrap().unwrap()
    {
        batch
            .for_each(|r| {
                let key = r.key().unwrap().to_vec();
                assert_eq!(
                    *partitions.entry(key.clone()).or_insert(r.partition()),
                    r.partition(),
                    "a key in two partitions"
                );
                got.push((key, r.value().unwrap().to_vec()));
            })
            .unwrap();
    }
    let got = flights::checksums(got.iter().map(|(c, l)| (c.as_slice(), l.as_slice())));
    assert_eq!(got.values().map(|sum: &Checksum| sum.count).sum::<usize>(), flights::ROWS);
    assert_eq!(got.len(), flights::CARRIERS);
    assert_eq!(expected, got, "a carrier's lines are not what went in, in its order");
}
