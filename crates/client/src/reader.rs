//! Reading partitions without a group.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use felice_client_core::client::ReaderKey;
use felice_client_core::config::FetchConfig;
use felice_client_core::consumer::budget::Budget;
use felice_client_core::consumer::fetcher::{FetchEvent, FetchId, Fetched, Fetcher, Position};
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::compression::Decompressor;
use felice_protocol::primitives::ByteStr;
use felice_protocol::records::{RecordBatch, RecordBatches, Records};
use futures::Stream;
use futures::task::AtomicWaker;
use tokio::sync::oneshot;

use crate::client::{Client, closed};
use crate::driver::waker;
use crate::record::{BatchData, BatchHold, BorrowedRecord, Record};

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
    /// This many records before the end.
    BeforeEnd(i64),
    /// The first record at or after this time, in milliseconds since 1970.
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

/// Most bytes that one batch may decompress to.
const DECOMPRESSED_MAX: usize = 256 << 20;

/// What one answer brought of one partition: lends its records, decoding each when it is asked for. `'static` and `Send`.
pub struct FetchedBatch {
    batches: RecordBatches,
    check_crcs: bool,
    current: Option<(Arc<BatchData>, Records)>,
    /// Offsets below are skipped: a batch may begin before the position.
    from: i64,
    until: i64,
    decompressor: Decompressor,
    /// Producers whose transaction is aborted where the batches stand now.
    aborting: BTreeSet<i64>,
    aborted: VecDeque<(i64, i64)>,
    failed: bool,
    /// An error met by a run that had records to hand out first.
    deferred: Option<Error>,
    /// Last, because its charge must outlive all that refers to the response: then the response's memory is used again.
    fetched: Fetched,
}

impl std::fmt::Debug for FetchedBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchedBatch")
            .field("topic", &self.fetched.topic)
            .field("partition", &self.fetched.index)
            .field("from", &self.fetched.from)
            .finish_non_exhaustive()
    }
}

impl FetchedBatch {
    fn new(fetched: Fetched, check_crcs: bool) -> Self {
        let mut aborted: Vec<(i64, i64)> = fetched.aborted.to_vec();
        // The protocol promises no order.
        aborted.sort_by_key(|(_, first_offset)| *first_offset);
        Self {
            batches: RecordBatches::new(fetched.records.clone()),
            check_crcs,
            current: None,
            from: fetched.from,
            until: fetched.until.unwrap_or(i64::MAX),
            decompressor: Decompressor::default(),
            aborting: BTreeSet::new(),
            aborted: aborted.into(),
            failed: false,
            deferred: None,
            fetched,
        }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.fetched.topic.as_str()
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.fetched.index
    }

    /// The end of what readers see, as of this answer.
    pub fn high_watermark(&self) -> i64 {
        self.fetched.high_watermark
    }

    /// The first offset that is still there, as of this answer.
    pub fn log_start_offset(&self) -> i64 {
        self.fetched.log_start_offset
    }

    /// The size of the answer's part for this partition, in bytes.
    pub fn size_in_bytes(&self) -> usize {
        self.fetched.records.len()
    }

    /// The next record, borrowed; `None` where the batch is done.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] where it cannot be read, which ends the batch.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from itself")]
    #[inline]
    pub fn next(&mut self) -> Option<Result<BorrowedRecord<'_>, Error>> {
        if let Err(error) = self.advance()? {
            return Some(Err(error));
        }
        // `advance` stands before a record that is wanted.
        let (data, records) = self.current.as_mut()?;
        let ranges = match records.next_ranges()? {
            Ok(ranges) => ranges,
            Err(error) => {
                self.failed = true;
                let error = decode_error(&self.fetched, &error);
                return Some(Err(error));
            }
        };
        Some(Ok(BorrowedRecord { data, record: ranges.of(&data.bytes) }))
    }

    /// Calls `f` with at most `most` records of one record batch, and how many of it were left before each, and gives what keeps their bytes
    /// where they are: for callers who hand out pointers into them. `None` where no record is left.
    ///
    /// # Errors
    /// Where a record cannot be read; those before it were given to `f` by earlier calls.
    pub fn next_run(
        &mut self,
        most: usize,
        mut f: impl FnMut(usize, BorrowedRecord<'_>),
    ) -> Option<Result<BatchHold, Error>> {
        if let Some(error) = self.deferred.take() {
            return Some(Err(error));
        }
        if let Err(error) = self.advance()? {
            return Some(Err(error));
        }
        let (data, records) = self.current.as_mut()?;
        let hold = BatchHold(data.clone());
        for given in 0..most {
            let left = records.remaining();
            match records.next_ranges() {
                Some(Ok(ranges)) if ranges.offset < self.until => {
                    f(left, BorrowedRecord { data, record: ranges.of(&data.bytes) });
                }
                Some(Ok(_)) => {
                    self.failed = true;
                    break;
                }
                Some(Err(error)) => {
                    self.failed = true;
                    let error = decode_error(&self.fetched, &error);
                    if given == 0 {
                        return Some(Err(error));
                    }
                    self.deferred = Some(error);
                    break;
                }
                None => break,
            }
        }
        Some(Ok(hold))
    }

    /// The next record, to keep; `None` where the batch is done.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn next_owned(&mut self) -> Option<Result<Record, Error>> {
        if let Err(error) = self.advance()? {
            return Some(Err(error));
        }
        let (data, records) = self.current.as_mut()?;
        match records.next_ranges()? {
            Ok(ranges) => Some(Ok(Record { data: data.clone(), ranges })),
            Err(error) => {
                self.failed = true;
                Some(Err(decode_error(&self.fetched, &error)))
            }
        }
    }

    /// Calls `f` with every record that is left: the fastest way through a batch.
    ///
    /// # Errors
    /// Where a record cannot be read; those before it were given to `f`.
    pub fn for_each(&mut self, mut f: impl FnMut(BorrowedRecord<'_>)) -> Result<(), Error> {
        while let Some(ready) = self.advance() {
            ready?;
            let Some((data, records)) = self.current.take() else { return Ok(()) };
            for record in &records {
                let record = record.map_err(|error| decode_error(&self.fetched, &error))?;
                if record.offset >= self.until {
                    self.failed = true;
                    return Ok(());
                }
                f(BorrowedRecord { data: &data, record });
            }
        }
        Ok(())
    }

    /// Stands before the next wanted record, `None` where there is none.
    #[inline]
    fn advance(&mut self) -> Option<Result<(), Error>> {
        loop {
            if self.failed {
                return None;
            }
            if let Some((_, records)) = &mut self.current {
                if records.remaining() > 0 {
                    return self.skip();
                }
                self.current = None;
            }
            match self.batches.next()? {
                Ok(batch) => {
                    if let Err(error) = self.open(&batch) {
                        self.failed = true;
                        return Some(Err(error));
                    }
                }
                Err(error) => {
                    self.failed = true;
                    return Some(Err(decode_error(&self.fetched, &error)));
                }
            }
        }
    }

    /// Passes records before the position, and ends at the last that is wanted.
    #[inline]
    fn skip(&mut self) -> Option<Result<(), Error>> {
        // Only the first batch can begin too early, and only one with an end needs to be looked at.
        if self.from == i64::MIN && self.until == i64::MAX {
            return Some(Ok(()));
        }
        let (_, records) = self.current.as_mut()?;
        loop {
            let mut ahead = records.iter();
            let Some(Ok(next)) = ahead.next() else {
                // The error, or the end, shows when the record is read.
                return Some(Ok(()));
            };
            if next.offset >= self.until {
                self.failed = true;
                return None;
            }
            if next.offset >= self.from {
                self.from = i64::MIN;
                return Some(Ok(()));
            }
            records.next_ranges();
        }
    }

    /// Begins a batch: checksum, decompression, transactions.
    fn open(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        while let Some(&(producer, _)) = self.aborted.front().filter(|(_, first)| *first <= batch.last_offset()) {
            self.aborting.insert(producer);
            self.aborted.pop_front();
        }
        if batch.is_control() {
            if !self.aborting.is_empty()
                && let Ok(Some(_)) = batch.end_transaction_marker()
            {
                self.aborting.remove(&batch.producer_id());
            }
            return Ok(());
        }
        let unwanted = batch.last_offset() < self.from
            || batch.base_offset() >= self.until
            || (batch.is_transactional() && self.aborting.contains(&batch.producer_id()));
        if unwanted {
            return Ok(());
        }
        if self.check_crcs {
            batch.verify_crc().map_err(|error| decode_error(&self.fetched, &error))?;
        }
        if batch.base_offset() >= self.from {
            self.from = i64::MIN;
        }
        let records = batch
            .records(&mut self.decompressor, DECOMPRESSED_MAX)
            .map_err(|error| decode_error(&self.fetched, &error))?;
        let data = BatchData {
            topic: self.fetched.topic.clone(),
            partition: self.fetched.index,
            leader_epoch: batch.partition_leader_epoch(),
            bytes: records.bytes().clone(),
            _charge: self.fetched.charge.clone(),
        };
        self.current = Some((Arc::new(data), records));
        Ok(())
    }
}

fn decode_error(fetched: &Fetched, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Decode, format!("a record batch cannot be read: {error}"))
        .on_partition(&fetched.topic, fetched.index)
}
