//! [`ProducerBuilder`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use felice_client_core::config::Acks;
use felice_client_core::error::Error;
use felice_client_core::producer::sender::Overrule;
use felice_protocol::compression::Compression;

use super::Producer;
use super::completion::BatchReport;
use super::finished::{FinishedBatch, RecordTag};
use super::shared::{Hooks, ProducerShared};
use crate::client::{Client, seed};

/// Builds a [`Producer`]: idempotent, `acks=all` and `linger.ms=5` unless told otherwise. What is set here goes before what the client was
/// given.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// # let client = felice::Client::connect(broker.bootstrap()).await?;
/// use felice::Compression;
/// use std::time::Duration;
/// let producer = client
///     .producer()
///     .compression(Compression::Zstd)
///     .linger(Duration::from_millis(20))
///     .delivery_timeout(Duration::from_secs(30))
///     .on_delivery(|batch| println!("{} records to {}[{}]: {:?}", batch.count, batch.topic, batch.partition, batch.result))
///     .build()
///     .await?;
/// producer.send(felice::NewRecord::to("orders").value("hello")).await?;
/// # Ok(()) }
/// ```
#[must_use]
pub struct ProducerBuilder {
    client: Client,
    properties: BTreeMap<String, String>,
    hooks: Hooks,
}

impl fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBuilder").field("client", &self.client).finish_non_exhaustive()
    }
}

impl ProducerBuilder {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, properties: BTreeMap::new(), hooks: Hooks::default() }
    }

    /// Sets a property by its Java or librdkafka name. A mistake is reported by [`ProducerBuilder::build`].
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }

    /// How long a batch waits for more records (`linger.ms`): 5 ms unless told.
    pub fn linger(self, linger: Duration) -> Self {
        self.set("linger.ms", &linger.as_secs_f64().mul_add(1000.0, 0.0).to_string())
    }

    /// How batches are compressed (`compression.type`): not at all unless told.
    pub fn compression(self, compression: Compression) -> Self {
        self.set("compression.type", compression.name())
    }

    /// Most bytes of records that wait for their acknowledgement (`buffer.memory`): 32 MiB unless told.
    pub fn buffer_memory(self, bytes: usize) -> Self {
        self.set("buffer.memory", &bytes.to_string())
    }

    /// Largest batch, in bytes before compression (`batch.size`): 1 MB unless told.
    pub fn batch_size(self, bytes: usize) -> Self {
        self.set("batch.size", &bytes.to_string())
    }

    /// Which replicas must have a record before it counts as written (`acks`): all unless told. With fewer the producer is not idempotent.
    pub fn acks(self, acks: Acks) -> Self {
        self.set("acks", &acks.code().to_string())
    }

    /// When a record that is not acknowledged has failed (`delivery.timeout.ms`): 2 minutes unless told; covers metadata, network and retries.
    pub fn delivery_timeout(self, timeout: Duration) -> Self {
        self.set("delivery.timeout.ms", &timeout.as_millis().to_string())
    }

    /// Hears of every batch that is done, on the driver's thread: it must not block. Costs nothing per record.
    pub fn on_delivery(mut self, hear: impl Fn(&BatchReport) + Send + Sync + 'static) -> Self {
        self.hooks.on_delivery = Some(Box::new(hear));
        self
    }

    /// Takes every batch that is done, with its records and their tags, on the driver's thread: it must not block. For those who report
    /// record by record; [`Self::on_delivery`] is cheaper.
    pub fn on_batch(mut self, take: impl Fn(FinishedBatch) + Send + Sync + 'static) -> Self {
        self.hooks.on_batch = Some(Box::new(take));
        self
    }

    /// Chooses the partition of records that have none, from topic, key, number of partitions and the record's tag, in place of `partitioner`;
    /// `None` leaves the record to the partition that records without a key stick to. Called on any thread, with the topic's records locked
    /// where its partitions have just become known: it must neither block nor produce.
    pub fn choose_partition(
        mut self,
        choose: impl Fn(&str, Option<&[u8]>, usize, Option<RecordTag>) -> Option<i32> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.choose_partition = Some(Box::new(choose));
        self
    }

    /// Gives up records to a topic that the brokers have denied for so long, instead of waiting for `delivery.timeout.ms`.
    pub fn give_up_unknown_topic_after(mut self, time: Duration) -> Self {
        self.hooks.unknown_topic_after = Some(time);
        self
    }

    /// Keeps records to a topic that is not known at least so long, even if `delivery.timeout.ms` is shorter: whoever purges them meanwhile is
    /// told of the purge. One that is late when the topic becomes known is not sent.
    pub fn keep_unknown_topic_for(mut self, time: Duration) -> Self {
        self.hooks.unknown_topic_for = time;
        self
    }

    /// Has a test judge each answer to a batch: [`Overrule`].
    #[doc(hidden)]
    pub fn overrule(mut self, overrule: impl FnMut(i32, u64, i16) -> i32 + Send + 'static) -> Self {
        self.hooks.overrule = Mutex::new(Some(Overrule(Box::new(overrule))));
        self
    }

    /// Builds the producer. Nothing is sent yet; a producer id is asked for with the first record.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a property that is unknown or does not fit.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn build(self) -> Result<Producer, Error> {
        let config = self.client.with(&self.properties)?.producer_config()?;
        let shared = Arc::new(ProducerShared::new(config, &self.client, self.hooks, seed()));
        let (registered, done) = tokio::sync::oneshot::channel();
        let registering = shared.clone();
        self.client.driver().command(move |driver, _| {
            registering.register(driver);
            // Whoever builds may have gone.
            let _ = registered.send(());
        });
        done.await.map_err(|_| crate::client::closed())?;
        Ok(Producer::new(shared, self.client))
    }
}
