//! Reading partitions without a group.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use felice_client_core::client::ReaderKey;
use felice_client_core::config::FetchConfig;
use felice_client_core::consumer::budget::Budget;
use felice_client_core::consumer::fetcher::{FetchEvent, FetchId, Fetcher, Position};
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::primitives::ByteStr;
use futures::Stream;
use futures::task::AtomicWaker;
use tokio::sync::oneshot;

use crate::client::{Client, closed};
use crate::driver::waker;
use crate::fetched_batch::FetchedBatch;
use crate::record::Record;

/// A place in a partition: where a [`Reader`] starts or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seek {
    /// This offset.
    Offset(i64),
    /// The first record that is still there.
    Start,
    /// Behind the last record that readers may see.
    End,
    /// This many offsets before the end of each partition. Where records were deleted up to there, the first that is left.
    BeforeEnd(i64),
    /// The first record at or after this time, in milliseconds since 1970; the end where there is none.
    Time(i64),
}

impl From<Seek> for Position {
    fn from(seek: Seek) -> Self {
        match seek {
            Seek::Offset(offset) => Self::Offset(offset),
            Seek::Start => Self::Start,
            Seek::End => Self::End,
            Seek::BeforeEnd(n) => Self::BeforeEnd(n),
            Seek::Time(millis) => Self::Time(millis),
        }
    }
}

/// Builds a [`Reader`], from [`Client::reader`].
#[derive(Debug)]
#[must_use]
pub struct ReaderBuilder {
    client: Client,
    topics: Vec<ByteStr>,
    partitions: Option<Vec<i32>>,
    /// Partitions with places of their own; nobody has looked whether they exist.
    assigned: Vec<(ByteStr, i32, Seek)>,
    from: Seek,
    until: Option<Seek>,
    properties: BTreeMap<String, String>,
}

impl ReaderBuilder {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            topics: Vec::new(),
            partitions: None,
            assigned: Vec::new(),
            from: Seek::Start,
            until: None,
            properties: BTreeMap::new(),
        }
    }

    /// Reads this topic, beside those named before.
    pub fn topic(mut self, topic: impl AsRef<str>) -> Self {
        self.topics.push(topic.as_ref().into());
        self
    }

    /// Reads only these partitions, of every topic named by [`Self::topic`]; all of them unless told.
    pub fn partitions(mut self, partitions: impl IntoIterator<Item = i32>) -> Self {
        self.partitions = Some(partitions.into_iter().collect());
        self
    }

    /// Reads this partition from a place of its own, beside those named before. Whether it exists shows when it is read:
    /// [`Self::open`] asks no broker about it.
    pub fn partition_from(mut self, topic: impl AsRef<str>, partition: i32, from: Seek) -> Self {
        self.assigned.push((topic.as_ref().into(), partition, from));
        self
    }

    /// Where to start: at the start unless told otherwise.
    pub fn from(mut self, from: Seek) -> Self {
        self.from = from;
        self
    }

    /// Where to end: before this offset, or the end as it is when the reader opens. Without it the reader goes on for ever.
    pub fn until(mut self, until: Seek) -> Self {
        self.until = Some(until);
        self
    }

    /// Sets a property by its Java or librdkafka name. A mistake is reported by [`ReaderBuilder::open`].
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Finds the topics and begins to read.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownTopic`] where a topic or partition does not exist; [`ErrorKind::Config`]; or no broker answers.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn open(self) -> Result<Reader, Error> {
        let config = self.client.with(&self.properties)?.fetch_config()?;
        let mut wanted: Vec<(ByteStr, i32, Position)> =
            self.assigned.iter().map(|(topic, p, from)| (topic.clone(), *p, (*from).into())).collect();
        let mut topics: BTreeSet<ByteStr> = self.topics.iter().cloned().collect();
        topics.extend(self.assigned.into_iter().map(|(topic, ..)| topic));
        let topics: Vec<ByteStr> = topics.into_iter().collect();
        let from = Position::from(self.from);
        for topic in &self.topics {
            let count = self.client.admin().topic(topic).await?.partitions.len();
            match &self.partitions {
                None => wanted.extend((0..i32::try_from(count).unwrap_or(i32::MAX)).map(|p| (topic.clone(), p, from))),
                Some(partitions) => {
                    for partition in partitions {
                        if usize::try_from(*partition).is_ok_and(|p| p < count) {
                            wanted.push((topic.clone(), *partition, from));
                        } else {
                            let message = format!("topic {topic} has {count} partitions");
                            return Err(Error::new(ErrorKind::UnknownTopic, message).on_partition(topic, *partition));
                        }
                    }
                }
            }
        }
        let shared = Arc::new(ReaderShared::default());
        let driver = self.client.driver();
        let spares = driver.spares.clone();
        let recycler = Box::new(move |response| spares.put(response));
        let budget = Budget::with_recycler(config.buffer_bytes, waker(driver), recycler);
        let (opened, answer) = oneshot::channel();
        let (registering, wanted_topics) = (shared.clone(), topics.clone());
        let (until, fetch_config) = (self.until.map(Position::from), config.clone());
        self.client.driver().command(move |driver, now| {
            for topic in &wanted_topics {
                driver.core.want_topic(now, topic);
            }
            let metadata = driver.core.metadata().clone();
            let mut fetcher = Fetcher::new(fetch_config, budget);
            let ids: Vec<FetchId> = wanted
                .iter()
                .map(|(topic, p, from)| fetcher.add_partition(topic, *p, *from, until, &metadata))
                .collect();
            let key = driver.core.add_reader(fetcher);
            driver.readers.insert(key, registering);
            // Whoever opens may have gone; then nobody would remove the reader.
            if opened.send((key, ids)).is_err() {
                driver.core.remove_reader(key);
                driver.readers.remove(&key);
            }
        });
        let (key, ids) = answer.await.map_err(|_| closed())?;
        Ok(Reader { client: self.client, shared, key, topics, open: ids.into_iter().collect(), config, current: None })
    }
}

/// What a reader's driver has for it.
#[derive(Debug, Default)]
pub(crate) struct ReaderShared {
    queue: Mutex<VecDeque<FetchEvent>>,
    waker: AtomicWaker,
}

impl ReaderShared {
    fn queue(&self) -> MutexGuard<'_, VecDeque<FetchEvent>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, event: FetchEvent) {
        let was_empty = {
            let mut queue = self.queue();
            queue.push_back(event);
            queue.len() == 1
        };
        if was_empty {
            self.waker.wake();
        }
    }

    /// The driver is gone.
    pub(crate) fn abandon(&self) {
        self.push(FetchEvent::Failed { partition: FetchId(u32::MAX), error: closed() });
    }
}

/// Reads partitions from a position, without a group and without committing anything. A stream of [`Record`], or batch by batch.
///
/// Reads ahead of what is asked for, up to `fetch.buffer.bytes`; records of aborted transactions are left out (`isolation.level`). Dropping it
/// ends the reading without waiting. Java: `KafkaConsumer` with `assign` and `seek`.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// # let client = felice::Client::connect(broker.bootstrap()).await?;
/// # let producer = client.producer().build().await?;
/// use felice::{NewRecord, Seek};
/// use futures::TryStreamExt;
/// for value in ["a", "b", "c"] {
///     producer.send(NewRecord::to("letters").value(value)).await?;
/// }
///
/// // Record by record, as a stream; a `Record` can be kept.
/// let reader = client.reader().topic("letters").from(Seek::BeforeEnd(2)).until(Seek::End).open().await?;
/// let records: Vec<felice::Record> = reader.try_collect().await?;
/// assert_eq!(records[0].value_str()?, "b");
///
/// // Batch by batch: the fastest.
/// let mut reader = client.reader().topic("letters").from(Seek::Start).until(Seek::End).open().await?;
/// let mut bytes = 0;
/// while let Some(mut batch) = reader.next_batch().await? {
///     batch.for_each(|record| bytes += record.value().map_or(0, <[u8]>::len))?;
/// }
/// assert_eq!(bytes, 3);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Reader {
    client: Client,
    shared: Arc<ReaderShared>,
    key: ReaderKey,
    topics: Vec<ByteStr>,
    /// Partitions that have not ended.
    open: BTreeSet<FetchId>,
    config: FetchConfig,
    current: Option<FetchedBatch>,
}

impl Reader {
    /// What one answer brought of one partition; its records are decoded as they are asked for. `None` where all partitions have ended.
    ///
    /// # Errors
    /// Where a partition cannot be read on. The others can: call again.
    ///
    /// # Cancel safety
    /// Nothing is lost: what has come is given by the next call.
    pub async fn next_batch(&mut self) -> Result<Option<FetchedBatch>, Error> {
        std::future::poll_fn(|cx| self.poll_batch(cx)).await
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<FetchedBatch>, Error>> {
        if let Some(batch) = self.current.take() {
            return Poll::Ready(Ok(Some(batch)));
        }
        let mut registered = false;
        loop {
            let event = self.shared.queue().pop_front();
            match event {
                Some(FetchEvent::Data(fetched)) => {
                    return Poll::Ready(Ok(Some(FetchedBatch::new(fetched, self.config.check_crcs))));
                }
                Some(FetchEvent::Ended { partition }) => {
                    self.open.remove(&partition);
                }
                Some(FetchEvent::Failed { partition, error }) => {
                    self.open.remove(&partition);
                    if error.kind() == ErrorKind::Closed {
                        self.open.clear();
                    }
                    return Poll::Ready(Err(error));
                }
                Some(FetchEvent::Positioned { .. } | FetchEvent::EndOfPartition { .. }) => {}
                None if self.open.is_empty() => return Poll::Ready(Ok(None)),
                None if registered => return Poll::Pending,
                None => {
                    self.shared.waker.register(cx.waker());
                    registered = true;
                }
            }
        }
    }

    /// The client that this reader belongs to.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Stream for Reader {
    type Item = Result<Record, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(batch) = &mut self.current {
                match batch.next_owned() {
                    Some(record) => return Poll::Ready(Some(record)),
                    None => self.current = None,
                }
            }
            match self.poll_batch(cx) {
                Poll::Ready(Ok(Some(batch))) => self.current = Some(batch),
                Poll::Ready(Ok(None)) => return Poll::Ready(None),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let (key, topics) = (self.key, std::mem::take(&mut self.topics));
        self.client.driver().command(move |driver, _| {
            driver.core.remove_reader(key);
            driver.readers.remove(&key);
            for topic in &topics {
                driver.core.unwant_topic(topic);
            }
        });
    }
}
