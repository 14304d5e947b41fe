//! One stream per partition: [`Partitions`] and [`PartitionStream`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use felice_client_core::consumer::TopicPartition;
use felice_client_core::error::Error;
use futures::Stream;

use super::handle::ConsumerHandle;
use super::message::{Batch, Message};
use super::partition::{Lease, PartitionShared, Taken};
use super::{CloseReport, Consumer};

/// The partitions of a consumer as they are assigned, each a stream of its own. From [`Consumer::partitions`].
///
/// Ends when the consumer is closed. Must be read, since the rebalance listener runs here; dropping it is dropping the consumer: it leaves its
/// group, and its partitions' streams end.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// # let client = felice::Client::connect(broker.bootstrap()).await?;
/// # client.producer().build().await?.send(felice::NewRecord::to("orders").value("x")).await?;
/// use felice::StartAt;
/// use futures::TryStreamExt;
///
/// let consumer = client.consumer("billing").topics(["orders"]).start_at(StartAt::Earliest).build().await?;
/// let handle = consumer.handle();
/// let mut partitions = consumer.partitions();
/// while let Some(mut partition) = partitions.try_next().await? {
///     let handle = handle.clone();
///     tokio::spawn(async move {
///         while let Some(message) = partition.try_next().await? {
///             println!("{:?}", message.value());
///             message.done();
/// #           let handle = handle.clone();
/// #           tokio::spawn(async move { handle.close().await });
///         }
///         Ok::<_, felice::Error>(()) // `partition` has ended, and is dropped: the group need not wait for it
///     });
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is read"]
pub struct Partitions {
    consumer: Consumer,
}

impl Partitions {
    pub(super) fn new(consumer: Consumer) -> Self {
        Self { consumer }
    }

    /// Commits, seeks, pauses, asks and closes from anywhere.
    pub fn handle(&self) -> ConsumerHandle {
        self.consumer.handle()
    }

    /// As [`Consumer::close`].
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) where it was closed before.
    ///
    /// # Cancel safety
    /// The consumer is closed in the background.
    pub async fn close(self) -> Result<CloseReport, Error> {
        self.consumer.close().await
    }
}

impl Stream for Partitions {
    type Item = Result<PartitionStream, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.consumer.poll_listener(cx);
        let shared = self.consumer.shared.clone();
        loop {
            let fresh = std::task::ready!(shared.poll_fresh(cx));
            return Poll::Ready(match fresh {
                Some(Ok(partition)) => match partition.lease() {
                    Some(lease) => Some(Ok(PartitionStream { partition, current: None, _lease: lease })),
                    // Ended before anybody saw it.
                    None => continue,
                },
                Some(Err(error)) => Some(Err(error)),
                None => None,
            });
        }
    }
}

/// One assigned partition: a stream of its messages that ends when the partition is revoked, lost, or the consumer is closed.
///
/// What was handed out can still be done after the end, until it is dropped and all its messages are, or the group's time for a rebalance is
/// over: the group waits that long. Dropping it before its end leaves the partition unread, which is told as
/// [`ConsumerEvent::Stalled`](crate::ConsumerEvent::Stalled).
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is read"]
pub struct PartitionStream {
    partition: Arc<PartitionShared>,
    current: Option<Taken>,
    _lease: Arc<Lease>,
}

impl PartitionStream {
    /// Which partition it is.
    pub fn id(&self) -> &TopicPartition {
        &self.partition.id
    }

    /// What one answer brought of the partition; `None` after its end.
    ///
    /// # Errors
    /// Where the partition cannot be read on; a seek revives it.
    ///
    /// # Cancel safety
    /// Nothing is lost: what has come is given by the next call.
    pub async fn next_batch(&mut self) -> Result<Option<Batch>, Error> {
        self.give_back();
        std::future::poll_fn(|cx| self.poll_take(cx, true)).await.map(|taken| taken.map(Batch::new))
    }

    /// What is left of a batch that was read record by record comes again, as part of the next.
    fn give_back(&mut self) {
        if self.current.take().is_some() {
            self.partition.give_back();
            let id = self.partition.id.clone();
            let key = self.partition.vitals.key;
            self.partition.vitals.driver.command(move |driver, now| {
                driver.with_consumer(key, now, |consumer, core, _| consumer.fetch_again(core, &id));
            });
        }
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, whole: bool) -> Poll<Result<Option<Taken>, Error>> {
        self.partition.vitals.beat();
        for last in [false, true] {
            if let Some(error) = self.partition.take_error() {
                return Poll::Ready(Err(error));
            }
            if let Some(taken) = self.partition.take(whole) {
                return Poll::Ready(Ok(Some(taken)));
            }
            if self.partition.is_ended() {
                return Poll::Ready(Ok(None));
            }
            if !last {
                self.partition.register(cx);
            }
        }
        Poll::Pending
    }
}

impl Stream for PartitionStream {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(current) = &mut self.current {
                match current.next() {
                    Some(next) => return Poll::Ready(Some(next.map(Message::new))),
                    None => self.current = None,
                }
            }
            match std::task::ready!(self.poll_take(cx, false)) {
                Ok(Some(taken)) => self.current = Some(taken),
                Ok(None) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}
