//! What became of records: one object a batch, shared by its records.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use felice_client_core::error::{Disposition, Error, ErrorKind, Persisted};
use felice_protocol::compression::Decompressor;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::ByteStr;
use felice_protocol::records::ClosedBatch;

use super::finished::RecordTag;
use super::record::NewRecord;

/// A record that is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its topic.
    pub topic: ByteStr,
    /// Its partition.
    pub partition: i32,
    /// Its offset; −1 where the broker was not asked (`acks=0`).
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970: the broker's on topics with `message.timestamp.type=LogAppendTime`.
    pub timestamp: i64,
}

/// What became of a whole batch, for `on_delivery`.
#[derive(Clone, Debug)]
pub struct BatchReport {
    /// The topic.
    pub topic: ByteStr,
    /// The partition.
    pub partition: i32,
    /// How many records.
    pub count: u32,
    /// The offset of the first, or why they failed.
    pub result: Result<i64, Error>,
    /// Whether they are in the log.
    pub persisted: Persisted,
}

/// A record that was not acknowledged: why, the record itself, and whether it is in the log all the same.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// # let client = felice::Client::connect(broker.bootstrap()).await?;
/// # let producer = client.producer().build().await?;
/// use felice::{NewRecord, Persisted};
/// match producer.send(NewRecord::to("orders").value(vec![0; 2_000_000])).await {
///     Ok(_) => unreachable!("it is above max.request.size"),
///     Err(error) if error.persisted() == Persisted::No => {
///         println!("{error}; {}", error.hint().unwrap_or_default());
///         let record = error.into_record(); // to be sent elsewhere: this cannot write it twice
///         assert!(record.is_some());
///     }
///     Err(error) => return Err(error.into()), // perhaps it is in the log
/// }
/// # Ok(()) }
/// ```
pub struct ProduceError {
    error: Error,
    record: Option<Box<NewRecord<'static>>>,
    persisted: Persisted,
}

impl ProduceError {
    pub(crate) fn new(error: Error, record: Option<NewRecord<'static>>, persisted: Persisted) -> Self {
        Self { error, record: record.map(Box::new), persisted }
    }

    pub(crate) fn not_written(error: Error, record: NewRecord<'_>) -> Self {
        Self::new(error, Some(record.into_owned()), Persisted::No)
    }

    /// Why.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The record; `None` where its bytes were still on their way when its time was up.
    pub fn record(&self) -> Option<&NewRecord<'static>> {
        self.record.as_deref()
    }

    /// Takes the record out.
    pub fn into_record(self) -> Option<NewRecord<'static>> {
        self.record.map(|record| *record)
    }

    /// Whether it is in the log: only after [`Persisted::No`] can sending it again not write it twice.
    pub fn persisted(&self) -> Persisted {
        self.persisted
    }

    /// Kafka's code.
    pub fn code(&self) -> Option<ErrorCode> {
        self.error.code()
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.error.hint()
    }

    /// What the caller does about it.
    pub fn disposition(&self) -> Disposition {
        self.error.disposition()
    }
}

impl fmt::Display for ProduceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.persisted {
            Persisted::No => "the record was not written",
            Persisted::Maybe => "nobody knows whether the record was written",
            Persisted::Yes => "the record was written",
        };
        write!(f, "{fate}: {}", self.error)
    }
}

impl fmt::Debug for ProduceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProduceError")
            .field("error", &self.error)
            .field("persisted", &self.persisted)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for ProduceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<ProduceError> for Error {
    fn from(error: ProduceError) -> Self {
        error.error
    }
}

/// Why `try_enqueue` took nothing.
#[derive(Debug)]
pub enum TryEnqueueError<'a> {
    /// The buffer has no room: here is the record.
    Full(Box<NewRecord<'a>>),
    /// The record cannot be sent at all.
    Failed(ProduceError),
}

impl fmt::Display for TryEnqueueError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the buffer has no room (buffer.memory)"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TryEnqueueError<'_> {}

/// Records have failed since the last flush: what [`Producer::flush`](crate::Producer::flush) tells.
#[derive(Debug)]
pub struct FlushError {
    /// How many.
    pub failed: u64,
    /// Why the first of them did.
    pub first: Error,
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records failed since the last flush; the first: {}", self.failed, self.first)
    }
}

impl std::error::Error for FlushError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.first)
    }
}

impl From<FlushError> for Error {
    fn from(error: FlushError) -> Self {
        error.first
    }
}

/// How a batch ended.
#[derive(Debug)]
pub(crate) enum BatchEnd {
    Delivered { base_offset: i64, log_append_time: Option<i64> },
    Failed { error: Error, persisted: Persisted, batch: Option<ClosedBatch> },
}

/// The one object that a batch's records share.
#[derive(Debug)]
pub(crate) struct BatchCompletion {
    /// Counts batches: a flush waits for all up to a number.
    pub(crate) number: u64,
    pub(crate) topic: ByteStr,
    pub(crate) partition: i32,
    end: OnceLock<BatchEnd>,
    /// Of the records that have one, in order. Written within the accumulator's lock.
    tags: Mutex<Vec<(u32, RecordTag)>>,
    waiters: Mutex<BTreeMap<u32, Waker>>,
}

/// What the core holds of a batch. Where it is dropped with the batch not done, because the producer or its driver is gone, whoever waits
/// for the batch hears of that instead of waiting for ever.
#[derive(Debug)]
pub(crate) struct Tag(Arc<BatchCompletion>);

impl Tag {
    pub(crate) fn new(number: u64, topic: ByteStr, partition: i32) -> Self {
        Self(Arc::new(BatchCompletion {
            number,
            topic,
            partition,
            end: OnceLock::new(),
            tags: Mutex::default(),
            waiters: Mutex::default(),
        }))
    }

    pub(crate) fn completion(&self) -> Arc<BatchCompletion> {
        self.0.clone()
    }
}

impl std::ops::Deref for Tag {
    type Target = BatchCompletion;

    fn deref(&self) -> &BatchCompletion {
        &self.0
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        if self.0.end.get().is_none() {
            let error = crate::client::closed().on_partition(&self.0.topic, self.0.partition);
            self.0.finish(BatchEnd::Failed { error, persisted: Persisted::Maybe, batch: None });
        }
    }
}

impl BatchCompletion {
    /// Tags a record; records come in order.
    pub(crate) fn tag(&self, index: u32, tag: RecordTag) {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner).push((index, tag));
    }

    pub(crate) fn take_tags(&self) -> Vec<(u32, RecordTag)> {
        std::mem::take(&mut *self.tags.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn waiters(&self) -> MutexGuard<'_, BTreeMap<u32, Waker>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The batch is done: everybody who waits hears of it.
    pub(crate) fn finish(&self, end: BatchEnd) {
        let woken = {
            let mut waiters = self.waiters();
            // A second end changes nothing: the first was told.
            let _ = self.end.set(end);
            std::mem::take(&mut *waiters)
        };
        for waker in woken.into_values() {
            waker.wake();
        }
    }

    fn result(&self, index: u32, timestamp: i64) -> Option<Result<Delivery, ProduceError>> {
        Some(match self.end.get()? {
            BatchEnd::Delivered { base_offset, log_append_time } => Ok(Delivery {
                topic: self.topic.clone(),
                partition: self.partition,
                offset: if *base_offset < 0 { -1 } else { base_offset + i64::from(index) },
                timestamp: log_append_time.unwrap_or(timestamp),
            }),
            BatchEnd::Failed { error, persisted, batch } => {
                let record = batch.as_ref().and_then(|batch| self.record(batch, index));
                Err(ProduceError::new(error.clone(), record, *persisted))
            }
        })
    }

    /// Reads a record back from its batch.
    fn record(&self, batch: &ClosedBatch, index: u32) -> Option<NewRecord<'static>> {
        let mut records = batch.records(&mut Decompressor::default()).ok()?;
        for _ in 0..index {
            records.next_ranges()?.ok()?;
        }
        let record = records.next_record()?.ok()?;
        Some(NewRecord {
            topic: self.topic.as_str().to_owned().into(),
            partition: Some(self.partition),
            key: record.key.map(|key| key.to_vec().into()),
            value: record.value.map(|value| value.to_vec().into()),
            headers: record
                .headers()
                .map(|h| (h.key_str().into_owned().into(), h.value.map(|value| value.to_vec().into())))
                .collect(),
            timestamp: Some(record.timestamp),
        })
    }

    fn poll(&self, index: u32, timestamp: i64, cx: &mut Context<'_>) -> Poll<Result<Delivery, ProduceError>> {
        if let Some(result) = self.result(index, timestamp) {
            return Poll::Ready(result);
        }
        let mut waiters = self.waiters();
        if self.end.get().is_none() {
            waiters.insert(index, cx.waker().clone());
            return Poll::Pending;
        }
        drop(waiters);
        self.result(index, timestamp).map_or(Poll::Pending, Poll::Ready)
    }
}

/// A record that waits for its topic's partitions: where it went once they were known.
#[derive(Debug)]
pub(crate) struct WaitingCell(Mutex<CellState>);

#[derive(Debug)]
enum CellState {
    Waiting(Option<Waker>),
    Moved(Arc<BatchCompletion>, u32, i64),
    Failed(Option<ProduceError>),
}

impl WaitingCell {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(CellState::Waiting(None))))
    }

    fn change(&self, to: CellState) {
        let old = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), to);
        if let CellState::Waiting(Some(waker)) = old {
            waker.wake();
        }
    }

    pub(crate) fn moved(&self, completion: Arc<BatchCompletion>, index: u32, timestamp: i64) {
        self.change(CellState::Moved(completion, index, timestamp));
    }

    pub(crate) fn fail(&self, error: ProduceError) {
        self.change(CellState::Failed(Some(error)));
    }
}

#[derive(Debug)]
pub(crate) enum PendingState {
    Batch { completion: Arc<BatchCompletion>, index: u32, timestamp: i64 },
    Waiting(Arc<WaitingCell>),
}

/// The acknowledgement of a record: `'static`, `Send`, and safe to drop at any time. Dropping it does not recall the record.
///
/// It is ready within `delivery.timeout.ms`, whatever happens. Java: the `Future<RecordMetadata>` of `KafkaProducer.send`.
#[derive(Debug)]
#[must_use = "the record is sent all the same; `forget()` says that its acknowledgement is not wanted"]
pub struct Pending(pub(crate) PendingState);

impl Pending {
    /// The acknowledgement is not wanted; failures are told by `on_delivery` and `flush`.
    pub fn forget(self) {}
}

impl Future for Pending {
    type Output = Result<Delivery, ProduceError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match &self.0 {
                PendingState::Batch { completion, index, timestamp } => return completion.poll(*index, *timestamp, cx),
                PendingState::Waiting(cell) => {
                    let mut state = cell.0.lock().unwrap_or_else(PoisonError::into_inner);
                    match &mut *state {
                        CellState::Waiting(waker) => {
                            *waker = Some(cx.waker().clone());
                            return Poll::Pending;
                        }
                        CellState::Moved(completion, index, timestamp) => {
                            PendingState::Batch { completion: completion.clone(), index: *index, timestamp: *timestamp }
                        }
                        CellState::Failed(error) => {
                            let again = || {
                                ProduceError::new(
                                    Error::new(ErrorKind::Bug, "polled after it was ready"),
                                    None,
                                    Persisted::No,
                                )
                            };
                            return Poll::Ready(Err(error.take().unwrap_or_else(again)));
                        }
                    }
                }
            };
            self.0 = next;
        }
    }
}
