//! A broker, a client and a topic of one's own for each test.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use felice::{Client, Consumer, ConsumerBuilder, ConsumerEvent, ConsumerEvents, NewRecord, StartAt, TopicPartition};
use felice_broker::Broker;
use futures::{StreamExt as _, TryStreamExt as _};

/// Longer than anything here takes where it works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    _broker: Option<Broker>,
    pub(crate) client: Client,
    pub(crate) topic: String,
    pub(crate) group: String,
}

impl World {
    /// With a topic of so many partitions.
    pub(crate) async fn with(partitions: i32) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (broker, bootstrap) = match std::env::var("FELICE_TEST_BOOTSTRAP") {
            Ok(bootstrap) => (None, bootstrap),
            Err(_) => {
                let broker = Broker::builder().in_memory().start().await.unwrap();
                let bootstrap = broker.bootstrap().to_owned();
                (Some(broker), bootstrap)
            }
        };
        // What appears later is seen soon.
        let client = Client::builder(&bootstrap).set("metadata.max.age.ms", "300").connect().await.unwrap();
        let topic = format!("t-{unique}");
        client.admin().create_topic(&topic).partitions(partitions).await.unwrap();
        Self { _broker: broker, client, topic, group: format!("g-{unique}") }
    }

    pub(crate) fn partition(&self, index: i32) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), index)
    }

    /// A member of the group that starts at the first record.
    pub(crate) fn member(&self) -> ConsumerBuilder {
        self.client.consumer(&self.group).topics([&self.topic]).start_at(StartAt::Earliest)
    }

    /// Writes `0..count` to each of the partitions.
    pub(crate) async fn fill(&self, partitions: i32, count: i64) {
        self.fill_from(partitions, 0, count).await;
    }

    pub(crate) async fn fill_from(&self, partitions: i32, from: i64, to: i64) {
        let producer = self.client.producer().build().await.unwrap();
        for n in from..to {
            for p in 0..partitions {
                let record = NewRecord::to(self.topic.as_str()).partition(p).value(n.to_string());
                producer.post(record).await.unwrap();
            }
        }
        producer.flush().await.unwrap();
    }

    /// What the group has committed.
    pub(crate) async fn committed(&self, partitions: i32) -> BTreeMap<i32, i64> {
        let asking = self.client.consumer(&self.group).build().await.unwrap();
        let all: Vec<_> = (0..partitions).map(|p| self.partition(p)).collect();
        let found = within(asking.handle().committed(all)).await.unwrap();
        found.into_iter().filter_map(|(p, place)| Some((p.partition, place?.offset))).collect()
    }
}

/// Waits for a future, not for ever.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing came of it for too long")
}

/// The next `count` records as (partition, value), each done.
pub(crate) async fn take(consumer: &mut Consumer, count: usize) -> Vec<(i32, i64)> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let message = within(consumer.try_next()).await.unwrap().expect("the stream has ended");
        taken.push((message.partition(), message.value_str().unwrap().parse().unwrap()));
        message.done();
    }
    taken
}

/// Waits for an event that fits.
pub(crate) async fn event<T>(events: &mut ConsumerEvents, fits: impl Fn(&ConsumerEvent) -> Option<T>) -> T {
    within(async {
        loop {
            let event = events.next().await.expect("the consumer is gone");
            if let Some(found) = fits(&event) {
                return found;
            }
        }
    })
    .await
}

/// Reads in the background so that a consumer's listener and group go on, until what is awaited comes.
pub(crate) async fn while_reading<T>(consumer: &mut Consumer, awaited: impl Future<Output = T>) -> T {
    let mut awaited = std::pin::pin!(awaited);
    within(async {
        loop {
            tokio::select! {
                found = &mut awaited => return found,
                message = consumer.try_next() => if let Some(message) = message.unwrap() { message.done() },
            }
        }
    })
    .await
}

/// Waits until a condition holds.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    within(async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
