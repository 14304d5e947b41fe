//! [`Consumer::run`]: many records at once, in the order that is asked for.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::task::Poll;

use felice_client_core::error::{Error, ErrorKind};
use futures::Stream;
use futures::stream::FuturesUnordered;

use super::Consumer;
use super::message::Message;
use crate::record::Record;

/// Which records [`Consumer::run`] never has at work at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those of one partition with the same key: each key's records one after another. Those without a key are free.
    Key,
    /// Those of one partition.
    Partition,
    /// None are kept apart.
    Unordered,
}

impl Order {
    /// What records that must not overlap have in common; `None` for a free one.
    fn lane(self, record: &Record) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        (record.topic(), record.partition()).hash(&mut hasher);
        match self {
            Self::Key => record.key()?.hash(&mut hasher),
            Self::Partition => {}
            Self::Unordered => return None,
        }
        Some(hasher.finish())
    }
}

/// How many records wait behind others of their lane, for each that may be at work, before no more are taken.
const WAITING_PER_WORKER: usize = 16;

impl Consumer {
    /// Calls `f` with every record, at most `n` at once, in the order asked for, and calls each done when its call has succeeded; what is done
    /// without a gap is committed in the background. All calls run on the task that awaits this, so they overlap where they wait; spawn inside `f` to
    /// use more cores. Ends when the consumer is closed ([`ConsumerHandle::close`](super::ConsumerHandle::close)), after the calls at work, and closes it.
    ///
    /// # Errors
    /// The first failure of `f` as [`ErrorKind::Application`], naming the record, once the calls at work are over: the record is not done, and comes
    /// again to whoever has its partition next. The consumer's own errors as they are.
    ///
    /// # Cancel safety
    /// What is at work is dropped and not done; the consumer is dropped.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// # client.producer().build().await?.send(felice::NewRecord::to("orders").key("u1").value("x")).await?;
    /// use felice::{Order, StartAt};
    /// let consumer = client.consumer("billing").topics(["orders"]).start_at(StartAt::Earliest).build().await?;
    /// let handle = consumer.handle();
    /// consumer
    ///     .run(64, Order::Key, |record| {
    ///         let handle = handle.clone();
    ///         async move {
    ///             println!("{:?} {:?}", record.key(), record.value());
    ///             tokio::spawn(async move { handle.close().await }); // one is enough here
    ///             Ok::<_, std::io::Error>(())
    ///         }
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub async fn run<F, Fut, E>(mut self, n: usize, order: Order, f: F) -> Result<(), Error>
    where
        F: Fn(Record) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let n = n.max(1);
        let mut at_work = FuturesUnordered::new();
        // Who waits behind the one of its lane that is at work.
        let mut lanes: BTreeMap<u64, VecDeque<Message>> = BTreeMap::new();
        let mut startable: VecDeque<(Option<u64>, Message)> = VecDeque::new();
        let mut waiting = 0_usize;
        let mut result = Ok(());
        let mut open = true;
        let work = |lane: Option<u64>, message: Message| {
            let call = f(message.record().clone());
            async move { (lane, message, call.await) }
        };
        loop {
            while at_work.len() < n
                && open
                && let Some((lane, message)) = startable.pop_front()
            {
                waiting -= 1;
                at_work.push(work(lane, message));
            }
            let step = std::future::poll_fn(|cx| {
                if let Poll::Ready(Some(finished)) = Pin::new(&mut at_work).poll_next(cx) {
                    return Poll::Ready(Step::Finished(finished));
                }
                if open && waiting < n.saturating_mul(WAITING_PER_WORKER) {
                    if let Poll::Ready(next) = Pin::new(&mut self).poll_next(cx) {
                        return Poll::Ready(Step::Next(next));
                    }
                } else {
                    self.poll_listener(cx);
                }
                if !open && at_work.is_empty() { Poll::Ready(Step::Over) } else { Poll::Pending }
            })
            .await;
            match step {
                Step::Finished((lane, message, outcome)) => {
                    if let Some(key) = lane
                        && let Entry::Occupied(mut behind) = lanes.entry(key)
                    {
                        match behind.get_mut().pop_front() {
                            Some(next) => startable.push_front((lane, next)),
                            None => {
                                behind.remove();
                            }
                        }
                    }
                    match outcome {
                        Ok(()) => message.done(),
                        Err(error) => {
                            open = false;
                            let cause: Box<dyn std::error::Error + Send + Sync> = error.into();
                            let text = format!("offset {}: {cause}", message.offset());
                            let failed = Error::new(ErrorKind::Application, text)
                                .on_partition(message.topic(), message.partition());
                            result = result.and(Err(failed));
                        }
                    }
                }
                Step::Next(Some(Ok(message))) => {
                    waiting += 1;
                    match order.lane(message.record()) {
                        None => startable.push_back((None, message)),
                        Some(key) => match lanes.entry(key) {
                            Entry::Occupied(mut behind) => behind.get_mut().push_back(message),
                            Entry::Vacant(lane) => {
                                lane.insert(VecDeque::new());
                                startable.push_back((Some(key), message));
                            }
                        },
                    }
                }
                Step::Next(Some(Err(error))) => {
                    open = false;
                    result = result.and(Err(error));
                }
                Step::Next(None) => open = false,
                Step::Over => break,
            }
        }
        // What was not begun is somebody else's.
        drop((lanes, startable, at_work));
        let closed = self.close().await;
        result?;
        match closed {
            Err(error) if error.kind() != ErrorKind::Closed => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

enum Step<T> {
    Finished(T),
    Next(Option<Result<Message, Error>>),
    Over,
}
