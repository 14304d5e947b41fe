//! The producer as an application sees it.
//!
//! - [`record`]: [`NewRecord`], borrowed until it has to wait
//! - [`completion`]: what became of a batch: [`Pending`], [`Delivery`], [`ProduceError`]
//! - [`finished`]: a finished batch as a whole, with its records' tags
//! - [`memory`]: the bounded buffer
//! - [`topic`]: a topic's partitions, and its records from before its partitions are known
//! - [`shared`]: what the application's threads and the driver share: appending, finishing, flushing
//! - `builder`: how a producer is configured
//! - `sink`: a producer as the end of a stream

mod builder;
mod completion;
mod finished;
mod memory;
mod record;
mod shared;
mod sink;
mod topic;

pub use builder::ProducerBuilder;
pub(crate) use completion::Tag;
pub use completion::{BatchReport, Delivery, FlushError, Pending, ProduceError, TryEnqueueError};
pub use finished::{FinishedBatch, FinishedHeaders, FinishedRecord, RecordTag};
pub use record::{NewHeader, NewRecord, RecordBytes};
pub(crate) use shared::ProducerShared;
pub use sink::ProducerSink;

use std::sync::Arc;
use std::time::Duration;

use felice_client_core::error::Error;

use crate::client::Client;

/// Writes records. A cheap clone; all clones are one producer.
///
/// Per partition, records are written in the order in which `enqueue`, `post` or their `try_` forms returned. Memory is bounded by
/// `buffer.memory`. Dropping it does not wait: what was not sent is lost with the client, so [`flush`](Self::flush) or [`close`](Self::close)
/// before the end of the program.
///
/// Java: `KafkaProducer`; idempotent as KIP-98 and KIP-360 have it, sticky without keys as KIP-480.
#[derive(Clone, Debug)]
pub struct Producer {
    shared: Arc<ProducerShared>,
    held: Arc<Held>,
}

/// What all clones of a producer share beside its buffers: the client, and the end of it all.
#[derive(Debug)]
struct Held {
    shared: Arc<ProducerShared>,
    /// Keeps the connections.
    client: Client,
}

impl Drop for Held {
    fn drop(&mut self) {
        let (shared, client) = (self.shared.clone(), self.client.clone());
        self.client.driver().spawn(async move {
            shared.retire().await;
            drop(client);
        });
    }
}

impl Producer {
    pub(crate) fn new(shared: Arc<ProducerShared>, client: Client) -> Self {
        Self { shared: shared.clone(), held: Arc::new(Held { shared, client }) }
    }

    pub(crate) fn shared(&self) -> &Arc<ProducerShared> {
        &self.shared
    }

    /// The client that this producer belongs to.
    pub fn client(&self) -> &Client {
        &self.held.client
    }

    /// Sends a record and waits for its acknowledgement.
    ///
    /// One at a time this is slow, whatever the client: it pays a round trip and `linger.ms` for each record. Use [`Producer::enqueue`] to
    /// have many on their way.
    ///
    /// # Errors
    /// [`ProduceError`], which says whether the record is in the log all the same.
    ///
    /// # Cancel safety
    /// While it waits for room, nothing has been handed over. From then on the record is sent all the same, and its acknowledgement is not heard.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// # let producer = client.producer().build().await?;
    /// use felice::{NewRecord, Persisted};
    /// let delivery = producer.send(NewRecord::to("orders").key("u42").value("hello")).await?;
    /// assert_eq!((delivery.partition, delivery.offset), (0, 0));
    ///
    /// let error = producer.send(NewRecord::to("orders").partition(7).value("hello")).await.unwrap_err();
    /// assert_eq!(error.persisted(), Persisted::No);
    /// assert_eq!(error.record().and_then(|record| record.partition), Some(7)); // it comes back
    /// # Ok(()) }
    /// ```
    pub async fn send(&self, record: NewRecord<'_>) -> Result<Delivery, ProduceError> {
        self.enqueue(record).await?.await
    }

    /// Hands a record over, waits for nothing but room in the buffer, and gives its acknowledgement to be awaited.
    ///
    /// # Errors
    /// [`ProduceError`] where there is no room within `max.block.ms`, or the record can never be sent.
    ///
    /// # Cancel safety
    /// While it waits for room, nothing has been handed over.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// # let producer = client.producer().build().await?;
    /// use felice::NewRecord;
    /// let mut pending = Vec::new();
    /// for n in 0..1000 {
    ///     pending.push(producer.enqueue(NewRecord::to("numbers").value(n.to_string())).await?);
    /// }
    /// for (n, pending) in (0..).zip(pending) {
    ///     assert_eq!(pending.await?.offset, n);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn enqueue(&self, record: NewRecord<'_>) -> Result<Pending, ProduceError> {
        match self.shared.append(&record, true) {
            Ok(Some(pending)) => Ok(pending),
            Ok(None) => Err(shared::bug(&record)),
            Err(shared::Refusal::Full) => {
                self.shared.append_when_free(record, true).await?.ok_or_else(shared::bug_without_record)
            }
            Err(shared::Refusal::Error(error)) => Err(ProduceError::not_written(error, record)),
        }
    }

    /// As [`Producer::enqueue`], for whoever does not want the acknowledgement: a failure is told by `on_delivery` and [`Producer::flush`].
    /// Cheaper than [`Pending::forget`] by two counts of a reference.
    ///
    /// # Errors
    /// As [`Producer::enqueue`].
    ///
    /// # Cancel safety
    /// As [`Producer::enqueue`].
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// # let producer = client.producer().build().await?;
    /// for n in 0..1000 {
    ///     producer.post(felice::NewRecord::to("numbers").value(n.to_string())).await?;
    /// }
    /// producer.flush().await?; // all thousand are in the log
    /// # Ok(()) }
    /// ```
    pub async fn post(&self, record: NewRecord<'_>) -> Result<(), ProduceError> {
        match self.shared.append(&record, false) {
            Ok(_) => Ok(()),
            Err(shared::Refusal::Full) => self.shared.append_when_free(record, false).await.map(|_| ()),
            Err(shared::Refusal::Error(error)) => Err(ProduceError::not_written(error, record)),
        }
    }

    /// As [`Producer::post`], but never waits: `Ok(false)` where the buffer has no room now, and nothing was taken.
    ///
    /// # Errors
    /// Where the record can never be sent.
    pub fn try_post(&self, record: &NewRecord<'_>) -> Result<bool, Error> {
        match self.shared.append(record, false) {
            Ok(_) => Ok(true),
            Err(shared::Refusal::Full) => Ok(false),
            Err(shared::Refusal::Error(error)) => Err(error),
        }
    }

    /// As [`Producer::try_post`], with two words that come back in the [`FinishedBatch`] given to `on_batch`.
    ///
    /// # Errors
    /// As [`Producer::try_post`].
    pub fn try_post_tagged(&self, record: &NewRecord<'_>, tag: Option<RecordTag>) -> Result<bool, Error> {
        match self.shared.append_tagged(record, tag) {
            Ok(()) => Ok(true),
            Err(shared::Refusal::Full) => Ok(false),
            Err(shared::Refusal::Error(error)) => Err(error),
        }
    }

    /// As [`Producer::enqueue`], but never waits: gives the record back where the buffer has no room.
    ///
    /// # Errors
    /// [`TryEnqueueError`].
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// use felice::{NewRecord, TryEnqueueError};
    /// let producer = client.producer().buffer_memory(100_000).build().await?;
    /// let value = vec![0; 50_000];
    /// let mut given_back = 0;
    /// for _ in 0..10 {
    ///     match producer.try_enqueue(NewRecord::to("blobs").value(&value)) {
    ///         Ok(pending) => pending.forget(),
    ///         Err(TryEnqueueError::Full(_record)) => given_back += 1,
    ///         Err(TryEnqueueError::Failed(error)) => return Err(error.into()),
    ///     }
    /// }
    /// assert!(given_back > 0);
    /// producer.flush().await?;
    /// # Ok(()) }
    /// ```
    pub fn try_enqueue<'a>(&self, record: NewRecord<'a>) -> Result<Pending, TryEnqueueError<'a>> {
        match self.shared.append(&record, true) {
            Ok(Some(pending)) => Ok(pending),
            Ok(None) => Err(TryEnqueueError::Failed(shared::bug(&record))),
            Err(shared::Refusal::Full) => Err(TryEnqueueError::Full(Box::new(record))),
            Err(shared::Refusal::Error(error)) => {
                Err(TryEnqueueError::Failed(ProduceError::not_written(error, record)))
            }
        }
    }

    /// Waits until every record that was handed over before is acknowledged or has failed. Nothing lingers meanwhile. Each record's fate is
    /// known by `delivery.timeout.ms` at the latest.
    ///
    /// # Errors
    /// [`FlushError`] where a record has failed since the last flush.
    ///
    /// # Cancel safety
    /// Records are sent all the same; those that linger, linger again.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// use felice::NewRecord;
    /// use std::time::Duration;
    /// let producer = client.producer().linger(Duration::from_secs(60)).build().await?;
    /// producer.post(NewRecord::to("orders").value("hello")).await?;
    /// producer.flush().await?; // does not wait for the minute
    /// # Ok(()) }
    /// ```
    pub async fn flush(&self) -> Result<(), FlushError> {
        self.shared.flush().await
    }

    /// Gives up records that were handed over before and wait to be sent, where `waiting`, and those that are in flight, where `in_flight`: they
    /// fail with [`ErrorKind::Purged`](crate::ErrorKind::Purged). What a thread compresses at this moment is sent all the same.
    ///
    /// # Cancel safety
    /// They are given up all the same.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// use felice::{ErrorKind, NewRecord, Persisted};
    /// use std::time::Duration;
    /// let producer = client.producer().linger(Duration::from_secs(60)).build().await?;
    /// let pending = producer.enqueue(NewRecord::to("orders").value("never mind")).await?;
    /// producer.purge(true, false).await;
    /// let error = pending.await.unwrap_err();
    /// assert_eq!((error.error().kind(), error.persisted()), (ErrorKind::Purged, Persisted::No));
    /// # Ok(()) }
    /// ```
    pub async fn purge(&self, waiting: bool, in_flight: bool) {
        self.shared.purge(waiting, in_flight).await;
    }

    /// As [`Self::purge`], without waiting for it.
    pub fn start_purge(&self, waiting: bool, in_flight: bool) {
        self.shared.start_purge(waiting, in_flight);
    }

    /// Looks a topic up before its first record comes: that one then waits for less, and a broker that makes topics when they are asked for makes it.
    pub fn want_topic(&self, topic: &str) {
        self.shared.want_topic(topic);
    }

    /// Whether a partition is known and has a leader.
    pub fn is_available(&self, topic: &str, partition: i32) -> bool {
        self.shared.is_available(topic, partition)
    }

    /// Takes no more records, and waits until those it has are done, within a time.
    ///
    /// # Errors
    /// What failed, or [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) with how much was still on its way when the time was up; it stays on
    /// its way as long as the client lives.
    ///
    /// # Cancel safety
    /// The producer is closed all the same, and sends what it has.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// # let producer = client.producer().build().await?;
    /// use felice::{ErrorKind, NewRecord};
    /// use std::time::Duration;
    /// producer.post(NewRecord::to("orders").value("last")).await?;
    /// producer.close(Duration::from_secs(10)).await?;
    /// let error = producer.send(NewRecord::to("orders").value("late")).await.unwrap_err();
    /// assert_eq!(error.error().kind(), ErrorKind::Closed);
    /// # Ok(()) }
    /// ```
    pub async fn close(&self, within: Duration) -> Result<(), Error> {
        self.shared.close(within).await
    }

    /// A sink of records for streams: `stream.forward(producer.sink())`. Flushing it waits for every acknowledgement.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// # let producer = client.producer().build().await?;
    /// use felice::NewRecord;
    /// use futures::{StreamExt, stream};
    /// let records = stream::iter(["a", "b", "c"]).map(|value| Ok(NewRecord::to("letters").value(value)));
    /// records.forward(producer.sink()).await?;
    /// # Ok(()) }
    /// ```
    pub fn sink(&self) -> ProducerSink {
        ProducerSink::new(self.clone())
    }
}
