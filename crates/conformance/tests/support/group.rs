//! Records for groups: our client writes what their members read.

use std::ops::Range;
use std::time::Duration;

use felice::{Client, NewRecord};
use felice_conformance::groups::scenario::{PARTITIONS, Written};
use tokio::runtime::Runtime;

/// Writes to any number of topics from any number of threads.
pub(crate) struct Writer {
    runtime: Runtime,
    client: Client,
}

impl Writer {
    pub(crate) fn new(bootstrap: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(Client::connect(bootstrap)).unwrap();
        Self { runtime, client }
    }

    /// Creates a topic of as many partitions as the scenario has, and waits until it can be written to.
    pub(crate) fn create(&self, topic: &str, replicas: i16) {
        self.runtime.block_on(async {
            self.client
                .admin()
                .create_topic(topic)
                .partitions(i32::try_from(PARTITIONS).unwrap())
                .replicas(replicas)
                .await
                .unwrap();
            let deadline = std::time::Instant::now() + Duration::from_secs(20);
            loop {
                let partitions = self.client.admin().topic(topic).await.map(|t| t.partitions);
                if partitions.as_ref().is_ok_and(|p| p.len() == PARTITIONS && p.iter().all(|p| p.leader.is_some())) {
                    return;
                }
                assert!(std::time::Instant::now() < deadline, "{partitions:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }

    /// Writes the records with these numbers, keyed; where they lie, in the order of their offsets within a partition.
    pub(crate) fn write(&self, topic: &str, numbers: Range<usize>) -> anyhow::Result<Vec<Written>> {
        self.runtime.block_on(async {
            let producer = self.client.producer().build().await?;
            let mut pending = Vec::new();
            for number in numbers {
                let (key, value) = (format!("key-{}", number % 101), number.to_string());
                let record = NewRecord::to(topic).key(key.clone()).value(value.clone());
                pending.push((format!("{key}:{value}"), producer.enqueue(record).await?));
            }
            let mut written = Vec::new();
            for (text, pending) in pending {
                let delivery = tokio::time::timeout(Duration::from_secs(60), pending).await??;
                written.push((delivery.partition, delivery.offset, text));
            }
            producer.close(Duration::from_secs(10)).await?;
            written.sort();
            Ok(written)
        })
    }
}
