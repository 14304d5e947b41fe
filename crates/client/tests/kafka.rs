//! The client against a real broker: `FELICE_TEST_BOOTSTRAP=HOST:PORT cargo test -p felice --test kafka`. Without it, these do nothing.

use std::time::Duration;

use felice::{Acks, Client, Compression, ErrorKind, NewRecord, Persisted, Seek};
use futures::{SinkExt, StreamExt, TryStreamExt};

fn bootstrap() -> Option<String> {
    std::env::var("FELICE_TEST_BOOTSTRAP").ok()
}

fn name(prefix: &str) -> String {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("{prefix}-{nanos}")
}

macro_rules! against_a_broker {
    ($($test:ident, |$client:ident, $topic:ident| $body:block)*) => {$(
        #[tokio::test]
        async fn $test() {
            let Some(bootstrap) = bootstrap() else { return };
            let $client = Client::connect(bootstrap).await.unwrap();
            let $topic = name(stringify!($test));
            $client.admin().create_topic(&$topic).partitions(4).await.unwrap();
            $body
        }
    )*};
}

against_a_broker! {
    a_record_comes_back_as_it_was_sent, |client, topic| {
        let producer = client.producer().build().await.unwrap();
        let record = NewRecord::to(&topic).key("k").value("v").header("h", "1").header("h", "2").partition(2).timestamp(1_700_000_000_000);
        let delivery = producer.send(record).await.unwrap();
        assert_eq!((delivery.partition, delivery.offset), (2, 0));
        let mut reader = client.reader().topic(&topic).from(Seek::Start).until(Seek::End).open().await.unwrap();
        let record = reader.try_next().await.unwrap().unwrap();
        assert_eq!((record.partition(), record.offset(), record.timestamp()), (2, 0, 1_700_000_000_000));
        assert_eq!((record.key(), record.value()), (Some(&b"k"[..]), Some(&b"v"[..])));
        let headers: Vec<_> = record.headers().map(|(k, v)| (k.into_owned(), v.map(<[u8]>::to_vec))).collect();
        assert_eq!(headers, [("h".to_owned(), Some(b"1".to_vec())), ("h".to_owned(), Some(b"2".to_vec()))]);
        assert!(reader.try_next().await.unwrap().is_none());
    }

    every_codec_comes_back, |client, topic| {
        for compression in Compression::ALL {
            let producer = client.producer().compression(compression).build().await.unwrap();
            for n in 0..1000 {
                producer.enqueue(NewRecord::to(&topic).partition(0).value(format!("{compression:?} {n}"))).await.unwrap().forget();
            }
            producer.flush().await.unwrap();
        }
        let reader = client.reader().topic(&topic).until(Seek::End).open().await.unwrap();
        let records: Vec<_> = reader.try_collect().await.unwrap();
        assert_eq!(records.len(), 5000);
        for (n, record) in records.iter().enumerate() {
            assert!(record.value_str().unwrap().ends_with(&format!(" {}", n % 1000)));
        }
    }

    order_holds_within_a_partition, |client, topic| {
        let producer = client.producer().batch_size(10_000).build().await.unwrap();
        let mut pending = Vec::new();
        for n in 0..50_000_u64 {
            pending.push(producer.enqueue(NewRecord::to(&topic).key(&(n % 16).to_be_bytes()).value(&n.to_be_bytes())).await.unwrap());
        }
        for ack in pending {
            ack.await.unwrap();
        }
        let mut reader = client.reader().topic(&topic).until(Seek::End).open().await.unwrap();
        let mut last = [0_u64; 16];
        let mut count = 0;
        while let Some(mut batch) = reader.next_batch().await.unwrap() {
            while let Some(record) = batch.next() {
                let record = record.unwrap();
                let key = u64::from_be_bytes(record.key().unwrap().try_into().unwrap()) as usize;
                let value = u64::from_be_bytes(record.value().unwrap().try_into().unwrap());
                assert!(value >= last[key]);
                last[key] = value;
                count += 1;
            }
        }
        assert_eq!(count, 50_000);
    }

    every_kind_of_acks_works, |client, topic| {
        for acks in [Acks::All, Acks::Leader, Acks::None] {
            let producer = client.producer().acks(acks).build().await.unwrap();
            producer.send(NewRecord::to(&topic).value("x")).await.unwrap();
            producer.close(Duration::from_secs(5)).await.unwrap();
            let error = producer.send(NewRecord::to(&topic).value("x")).await.unwrap_err();
            assert_eq!((error.error().kind(), error.persisted()), (ErrorKind::Closed, Persisted::No));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let reader = client.reader().topic(&topic).until(Seek::End).open().await.unwrap();
        assert_eq!(reader.count().await, 3);
    }

    a_sink_takes_a_stream, |client, topic| {
        let producer = client.producer().build().await.unwrap();
        let records = futures::stream::iter((0..1000).map(|n| Ok(NewRecord::to(topic.clone()).value(format!("{n}")))));
        let mut sink = producer.sink();
        sink.send_all(&mut { records }).await.unwrap();
        let reader = client.reader().topic(&topic).until(Seek::End).open().await.unwrap();
        assert_eq!(reader.count().await, 1000);
    }

    a_record_too_large_is_refused_before_it_is_sent, |client, topic| {
        let producer = client.producer().build().await.unwrap();
        let error = producer.send(NewRecord::to(&topic).value(vec![0; 2 << 20])).await.unwrap_err();
        assert_eq!((error.error().kind(), error.persisted()), (ErrorKind::RecordTooLarge, Persisted::No));
        assert_eq!(error.into_record().unwrap().value.unwrap().len(), 2 << 20);
    }

    a_batch_too_large_for_the_topic_says_so, |client, topic| {
        let small = format!("{topic}-small");
        client.admin().create_topic(&small).partitions(1).config("max.message.bytes", "1000").await.unwrap();
        let producer = client.producer().build().await.unwrap();
        let error = producer.send(NewRecord::to(&small).value(vec![0; 5000])).await.unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::RecordTooLarge);
        assert_eq!(error.record().unwrap().value.as_ref().unwrap().len(), 5000);
        assert!(error.hint().unwrap().contains("max.message.bytes"), "{error}");
        // The next one has a sequence of its own: it is neither refused nor taken for the one before.
        assert_eq!(producer.send(NewRecord::to(&small).value("fits")).await.unwrap().offset, 0);
    }

    an_unknown_partition_is_refused, |client, topic| {
        let producer = client.producer().build().await.unwrap();
        producer.send(NewRecord::to(&topic).value("x")).await.unwrap();
        let error = producer.send(NewRecord::to(&topic).partition(9).value("x")).await.unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::UnknownTopic);
    }

    a_topic_that_does_not_exist_times_out_with_its_name, |client, topic| {
        let lost = format!("{topic}-?");
        let producer = client.producer().delivery_timeout(Duration::from_millis(700)).build().await.unwrap();
        let error = producer.send(NewRecord::to(&lost).value("x")).await.unwrap_err();
        assert_eq!(error.persisted(), Persisted::No);
        assert!(error.to_string().contains(&lost), "{error}");
        assert_eq!(client.reader().topic(&lost).open().await.unwrap_err().topic(), Some(lost.as_str()));
    }

    reading_starts_and_ends_where_it_is_told, |client, topic| {
        let producer = client.producer().build().await.unwrap();
        for n in 0..100_i64 {
            producer.enqueue(NewRecord::to(&topic).partition(1).value(format!("{n}")).timestamp(1_000_000 + n)).await.unwrap().forget();
        }
        producer.flush().await.unwrap();
        for (from, until, expected) in [
            (Seek::Offset(10), Seek::Offset(20), 10..20),
            (Seek::BeforeEnd(5), Seek::End, 95..100),
            (Seek::Time(1_000_050), Seek::End, 50..100),
            (Seek::Start, Seek::Time(1_000_003), 0..3),
            (Seek::Time(9_000_000), Seek::End, 100..100),
        ] {
            let reader = client.reader().topic(&topic).partitions([1]).from(from).until(until).open().await.unwrap();
            let offsets: Vec<i64> = reader.map_ok(|record| record.offset()).try_collect().await.unwrap();
            assert_eq!(offsets, expected.collect::<Vec<_>>(), "{from:?} {until:?}");
        }
        let mut reader = client.reader().topic(&topic).partitions([1]).from(Seek::Offset(500)).open().await.unwrap();
        assert_eq!(reader.try_next().await.unwrap_err().kind(), ErrorKind::OffsetOutOfRange);
    }

    topics_are_described_configured_and_deleted, |client, topic| {
        let admin = client.admin();
        let info = admin.topic(&topic).await.unwrap();
        assert_eq!(info.partitions.len(), 4);
        assert!(admin.topics().await.unwrap().iter().any(|t| t.name == topic.as_str()));
        let again = admin.create_topic(&topic).await.unwrap_err();
        assert_eq!(again.code(), Some(felice::ErrorCode::TOPIC_ALREADY_EXISTS));
        admin.create_topic(&topic).if_not_exists().await.unwrap();
        let configs = admin.configs(&felice::ConfigResource::Topic(topic.clone())).await.unwrap();
        assert!(configs.iter().any(|c| c.name == "retention.ms" && c.is_default()));
        assert!(!admin.cluster().await.unwrap().brokers.is_empty());
        admin.delete_topics([&topic]).await.unwrap().all().unwrap();
        assert_eq!(admin.delete_topics(["no-such-topic"]).await.unwrap().failed().count(), 1);
    }

    memory_is_bounded_and_waiters_are_served, |client, topic| {
        let producer = client.producer().buffer_memory(300_000).batch_size(100_000).build().await.unwrap();
        let value = vec![1; 1000];
        let tasks: Vec<_> = (0..8).map(|_| {
            let (producer, topic, value) = (producer.clone(), topic.clone(), value.clone());
            tokio::spawn(async move {
                for _ in 0..500 {
                    producer.enqueue(NewRecord::to(&topic).value(&value)).await.unwrap().forget();
                }
            })
        }).collect();
        for task in tasks {
            task.await.unwrap();
        }
        producer.flush().await.unwrap();
        let reader = client.reader().topic(&topic).until(Seek::End).open().await.unwrap();
        assert_eq!(reader.count().await, 4000);
    }
}

#[tokio::test]
async fn nobody_at_an_address_is_named() {
    let error = Client::connect("127.0.0.1:1,127.0.0.1:2").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1") && text.contains("127.0.0.1:2"), "{text}");
}

#[tokio::test]
async fn an_unknown_property_proposes_another() {
    let error = Client::builder("127.0.0.1:1").set("linger.m", "1").connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("linger.ms"), "{error}");
}

#[test]
fn a_client_works_without_a_runtime() {
    let Some(bootstrap) = bootstrap() else { return };
    futures::executor::block_on(async {
        let client = Client::connect(bootstrap).await.unwrap();
        assert!(!client.admin().cluster().await.unwrap().brokers.is_empty());
        let error = client
            .producer()
            .set("delivery.timeout.ms", "300")
            .build()
            .await
            .unwrap()
            .send(NewRecord::to("no such?").value("x"))
            .await;
        assert_eq!(error.unwrap_err().persisted(), Persisted::No);
    });
}
