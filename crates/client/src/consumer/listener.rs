//! [`RebalanceListener`], and how it is called: on the task that reads the consumer, one call after another.

use std::pin::Pin;
use std::task::{Context, Poll};

use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::session::{Hearing, Ticket};
use tokio::sync::mpsc::UnboundedReceiver;

use super::handle::ConsumerHandle;

/// Hears when partitions come and go. Every method has a default that does nothing, is `async`, and gets a handle that may commit, seek and ask
/// for positions.
///
/// It runs on the task that reads the consumer, between two records, so it needs the consumer to be read: what it takes longer than the group
/// waits (`max.poll.interval.ms`) is cut short for the group, not for the listener. Java: `ConsumerRebalanceListener`; sarama:
/// `ConsumerGroupHandler`'s `Setup` and `Cleanup`.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// # let client = felice::Client::connect(broker.bootstrap()).await?;
/// # client.producer().build().await?.send(felice::NewRecord::to("orders").value("x")).await?;
/// use felice::{ConsumerHandle, RebalanceListener, StartAt, TopicPartition};
/// use futures::TryStreamExt;
///
/// #[derive(Default)]
/// struct SaveState(Vec<String>);
///
/// impl RebalanceListener for SaveState {
///     async fn assigned(&mut self, _ctx: &ConsumerHandle, partitions: &[TopicPartition]) {
///         self.0.extend(partitions.iter().map(ToString::to_string));
///     }
///     async fn revoking(&mut self, ctx: &ConsumerHandle, _partitions: &[TopicPartition]) {
///         ctx.commit().await.ok();
///     }
/// }
///
/// let mut consumer = client
///     .consumer("billing")
///     .topics(["orders"])
///     .start_at(StartAt::Earliest)
///     .listener(SaveState::default())
///     .build()
///     .await?;
/// assert_eq!(consumer.try_next().await?.unwrap().value_str()?, "x");
/// consumer.close().await?;
/// # Ok(()) }
/// ```
pub trait RebalanceListener: Send + 'static {
    /// These came. Nothing of them has been fetched: a seek in here is where they start.
    fn assigned(&mut self, ctx: &ConsumerHandle, partitions: &[TopicPartition]) -> impl Future<Output = ()> + Send {
        let _ = (ctx, partitions);
        async {}
    }

    /// These go. Nothing more of them is handed out; what is done, or committed in here, counts until this and all their messages are dropped,
    /// or the group's time for it is over.
    fn revoking(&mut self, ctx: &ConsumerHandle, partitions: &[TopicPartition]) -> impl Future<Output = ()> + Send {
        let _ = (ctx, partitions);
        async {}
    }

    /// These are gone without asking: nothing can be committed for them any more.
    fn lost(&mut self, ctx: &ConsumerHandle, partitions: &[TopicPartition]) -> impl Future<Output = ()> + Send {
        let _ = (ctx, partitions);
        async {}
    }
}

/// What a listener is to hear.
pub(super) type Heard = (Ticket, Hearing, Vec<TopicPartition>);

/// The listener at work, for ever.
pub(super) struct Listening(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listening").field(&self.0.is_some()).finish()
    }
}

impl Listening {
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) fn new(
        mut listener: impl RebalanceListener,
        mut calls: UnboundedReceiver<Heard>,
        handle: ConsumerHandle,
    ) -> Self {
        Self(Some(Box::pin(async move {
            while let Some((ticket, what, partitions)) = calls.recv().await {
                match what {
                    Hearing::Assigned => listener.assigned(&handle, &partitions).await,
                    Hearing::Revoking => listener.revoking(&handle, &partitions).await,
                    Hearing::Lost => listener.lost(&handle, &partitions).await,
                }
                handle.heard(ticket);
            }
        })))
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(future) = &mut self.0
            && let Poll::Ready(()) = future.as_mut().poll(cx)
        {
            self.0 = None;
        }
    }
}
