//! Reading as a member of a group.
//!
//! - this file: [`Consumer`]
//! - `builder`: [`ConsumerBuilder`], [`StartAt`], [`Commit`]
//! - `message`: what is handed out: [`Message`], [`Batch`]
//! - `streams`: one stream per partition
//! - `run`: many records at once
//! - `handle`: [`ConsumerHandle`], the remote control
//! - `listener`, `events`: what a consumer tells
//! - `partition`, `shared`: what the driver fills and the application empties
//! - `carry`: the driver's side
//!
//! What to read from where, what to commit when, and what to answer the group is decided in `felice_client_core::consumer::session`.

mod builder;
mod carry;
mod events;
mod handle;
mod listener;
mod message;
mod partition;
mod run;
mod shared;
mod streams;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use felice_client_core::error::Error;
use futures::Stream;

pub use self::builder::{Commit, ConsumerBuilder, StartAt};
pub(crate) use self::carry::{ConsumerDriver, ConsumerKey};
pub use self::events::ConsumerEvents;
pub use self::handle::{ConsumerHandle, Lag};
use self::listener::Listening;
pub use self::listener::RebalanceListener;
pub use self::message::{Batch, Message};
use self::partition::Taken;
pub use self::run::Order;
use self::shared::ConsumerShared;
pub use self::streams::{PartitionStream, Partitions};
pub use felice_client_core::consumer::session::CloseReport;

/// How long a close may take unless told.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);
/// How long a consumer that was dropped goes on in the background.
const DROP_WITHIN: Duration = Duration::from_secs(2);

/// Reads as a member of a group: a stream of [`Message`]s of all partitions that the group assigns, or batch by batch, or with a stream for
/// each partition.
///
/// - At least once, by what is *done*: a commit passes a record only once it and all before it in its partition were called
///   [done](Message::done), not because they were handed out.
/// - A partition that the group takes back stops at once; what was handed out of it can be done until it is dropped, or the rebalance time is over.
///   Then what is done is committed, and the group goes on.
/// - Heartbeats never wait for the application. One that takes and finishes nothing for `max.poll.interval.ms` is told so, and then leaves.
/// - A partition that makes no progress is a [`ConsumerEvent::Stalled`](crate::ConsumerEvent::Stalled) that says why.
///
/// Dropping it stops it without waiting: in the background it commits what is done and leaves the group, within two seconds.
/// [`Self::close`] is the orderly way. Java: `KafkaConsumer`.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// # let client = felice::Client::connect(broker.bootstrap()).await?;
/// # client.producer().build().await?.send(felice::NewRecord::to("orders").value("hello")).await?;
/// use felice::StartAt;
/// use futures::TryStreamExt;
///
/// let mut consumer = client.consumer("billing").topics(["orders"]).start_at(StartAt::Earliest).build().await?;
/// while let Some(message) = consumer.try_next().await? {
///     println!("{}[{}]@{}: {:?}", message.topic(), message.partition(), message.offset(), message.value());
///     message.done(); // committed in the background, in order
/// #   break;
/// }
/// let report = consumer.close().await?; // commits, leaves
/// assert!(report.is_clean());
///
/// // Batch by batch: the fastest.
/// let mut consumer = client.consumer("audit").topics(["orders"]).start_at(StartAt::Earliest).build().await?;
/// if let Some(mut batch) = consumer.next_batch().await? {
///     while let Some(record) = batch.next() {
///         println!("{:?}", record?.value());
///     }
///     batch.done();
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a consumer does nothing unless it is read"]
pub struct Consumer {
    handle: ConsumerHandle,
    shared: Arc<ConsumerShared>,
    listening: Listening,
    current: Option<Taken>,
}

impl Consumer {
    fn new(handle: ConsumerHandle, listening: Listening) -> Self {
        Self { shared: handle.shared.clone(), handle, listening, current: None }
    }

    /// Commits, seeks, pauses, asks and closes from anywhere.
    pub fn handle(&self) -> ConsumerHandle {
        self.handle.clone()
    }

    /// What one answer brought of one partition; its records are decoded as they are asked for. `None` once the consumer is closed.
    ///
    /// # Errors
    /// Where a partition cannot be read on (the others can: call again), or the membership fails.
    ///
    /// # Cancel safety
    /// Nothing is lost: what has come is given by the next call.
    pub async fn next_batch(&mut self) -> Result<Option<Batch>, Error> {
        self.give_back();
        let taken = std::future::poll_fn(|cx| self.poll_taken(cx, true)).await;
        Ok(taken.transpose()?.map(Batch::new))
    }

    /// What is left of a batch that was read record by record comes again, as part of the next.
    fn give_back(&mut self) {
        let Some(current) = self.current.take() else { return };
        let partition = current.token.partition().clone();
        partition.give_back();
        let id = partition.id.clone();
        self.handle.tell(move |consumer, core, _| consumer.fetch_again(core, &id));
    }

    fn poll_listener(&mut self, cx: &mut Context<'_>) {
        self.listening.poll(cx);
    }

    fn poll_taken(&mut self, cx: &mut Context<'_>, whole: bool) -> Poll<Option<Result<Taken, Error>>> {
        self.listening.poll(cx);
        self.shared.poll_take(cx, whole)
    }

    /// Each assigned partition as a stream of its own, for one task each.
    pub fn partitions(mut self) -> Partitions {
        self.give_back();
        self.shared.split();
        Partitions::new(self)
    }

    /// Closes within ten seconds: hands out nothing more, waits for what was handed out until it is done or dropped, commits what is done, and
    /// leaves the group. Says what it left undone; never takes longer.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) where it was closed before.
    ///
    /// # Cancel safety
    /// The consumer is closed in the background.
    pub async fn close(self) -> Result<CloseReport, Error> {
        self.close_within(CLOSE_WITHIN).await
    }

    /// As [`Self::close`], within another time.
    ///
    /// # Errors
    /// As [`Self::close`].
    ///
    /// # Cancel safety
    /// As [`Self::close`].
    pub async fn close_within(mut self, within: Duration) -> Result<CloseReport, Error> {
        self.current = None;
        let handle = self.handle.clone();
        let closing = handle.close_within(within);
        let mut closing = std::pin::pin!(closing);
        // The listener hears of the partitions that go.
        std::future::poll_fn(|cx| {
            self.listening.poll(cx);
            closing.as_mut().poll(cx)
        })
        .await
    }
}

impl Stream for Consumer {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(current) = &mut self.current {
                match current.next() {
                    Some(next) => return Poll::Ready(Some(next.map(Message::new))),
                    None => self.current = None,
                }
            }
            match std::task::ready!(self.poll_taken(cx, false)) {
                Some(Ok(taken)) => self.current = Some(taken),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if self.shared.is_closed() {
            return;
        }
        let client = self.handle.client.clone();
        self.handle.tell(move |consumer, _, now| consumer.detach(now, client, DROP_WITHIN));
    }
}
