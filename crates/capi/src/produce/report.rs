//! Delivery reports: messages made from batches whose fate is known, called back one by one or handed out as an event.

use std::collections::BTreeMap;
use std::ffi::{CString, c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use felice::{ErrorCode, ErrorKind, FinishedBatch, FinishedHeaders, FinishedRecord, Persisted};

use super::intercept::Interception;
use crate::handle::Kafka;
use crate::headers::Headers;
use crate::message::{HeadersOf, Shared, WholeMessage, parts, status, timestamp_type};
use crate::op::is_yielding;
use crate::topic::Topics;
use crate::types::{Message, RespErr, offset};

/// Records whose fate is known, and from where on the program has not heard of them.
#[derive(Debug)]
pub(crate) struct Delivered {
    batch: FinishedBatch,
    told: u32,
    /// No broker was asked what became of them: `acks=0`.
    unanswered: bool,
}

impl Delivered {
    pub(crate) fn new(batch: FinishedBatch, unanswered: bool) -> Self {
        Self { batch, told: 0, unanswered }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.batch.result().is_err()
    }

    /// Shows each record to interceptors.
    pub(crate) fn acknowledge(&self, interception: &Interception, topics: &Topics) {
        let common = self.common(topics);
        self.batch.for_each(|record| interception.acknowledge(common.message(&record)));
    }

    /// How many records are left to be told.
    pub(crate) fn left(&self) -> usize {
        self.batch.count().saturating_sub(self.told as usize)
    }

    /// The error in the reports.
    fn code(&self) -> RespErr {
        let Err(error) = self.batch.result() else { return RespErr::NO_ERROR };
        match (error.kind(), self.batch.persisted()) {
            (ErrorKind::Timeout, _) => RespErr::MSG_TIMED_OUT,
            (ErrorKind::Purged, Persisted::No) => RespErr::PURGE_QUEUE,
            (ErrorKind::Purged, Persisted::Maybe | Persisted::Yes) => RespErr::PURGE_INFLIGHT,
            _ => RespErr::of(error),
        }
    }

    fn status(&self) -> c_int {
        match self.batch.persisted() {
            Persisted::Yes if self.unanswered => status::POSSIBLY_PERSISTED,
            Persisted::Yes => status::PERSISTED,
            // librdkafka takes a broken disk for one that has kept nothing.
            Persisted::Maybe if self.code() == RespErr(ErrorCode::KAFKA_STORAGE_ERROR.0.into()) => {
                status::NOT_PERSISTED
            }
            Persisted::Maybe => status::POSSIBLY_PERSISTED,
            Persisted::No => status::NOT_PERSISTED,
        }
    }

    fn common(&self, topics: &Topics) -> Common {
        let batch = &self.batch;
        let error = batch.result().err();
        let shared = |words: Option<&str>| Shared {
            consumed: false,
            timestamp_type: match batch.log_append_time() {
                Some(_) => timestamp_type::LOG_APPEND_TIME,
                None => timestamp_type::CREATE_TIME,
            },
            broker: batch.broker().unwrap_or(-1),
            leader_epoch: -1,
            status: self.status(),
            since: Instant::now().checked_sub(batch.age()),
            errstr: words.and_then(|words| CString::new(words).ok()),
        };
        let named = error.map_or(&[][..], |error| error.refused_records());
        // Where a broker names one record, its code is that record's; for several it says only that the batch is refused.
        let code = match named {
            [_, _, ..] => RespErr(ErrorCode::INVALID_RECORD.0.into()),
            _ => self.code(),
        };
        let refused = named.iter().filter_map(|one| Some((u32::try_from(one.index).ok()?, one.message.as_deref())));
        let refused: BTreeMap<u32, Shared> = refused.map(|(index, words)| (index, shared(words))).collect();
        let of_rest = match error {
            Some(error) if refused.is_empty() => error.code().map(|_| error.message()),
            Some(_) => Some(BESIDE_INVALID),
            None => None,
        };
        Common {
            rest: if refused.is_empty() { self.code() } else { RespErr::INVALID_DIFFERENT_RECORD },
            code,
            rkt: topics.pointer(batch.topic()),
            partition: batch.partition(),
            base: batch.result().ok().filter(|base| *base >= 0),
            append_time: batch.log_append_time(),
            shared: Arc::new((shared(of_rest), refused)),
        }
    }
}

/// What is said of a record that is refused for another one's sake.
const BESIDE_INVALID: &str =
    "Failed to append record because it was part of a batch which had one more more invalid records";

/// What the messages of a batch have in common.
struct Common {
    /// Of records that the broker named.
    code: RespErr,
    /// Of all others.
    rest: RespErr,
    rkt: *mut c_void,
    partition: i32,
    base: Option<i64>,
    append_time: Option<i64>,
    /// What messages point to: of most, and of records that the broker named.
    shared: Arc<(Shared, BTreeMap<u32, Shared>)>,
}

impl Common {
    #[inline]
    fn message(&self, record: &FinishedRecord<'_>) -> WholeMessage {
        let (rest, refused) = &*self.shared;
        let (err, shared) = match refused.get(&record.index) {
            Some(shared) => (self.code, shared),
            None => (self.rest, rest),
        };
        let [opaque, lent] = record.tag.unwrap_or_default();
        let (mut payload, len) = parts(record.value);
        let (key, key_len) = parts(record.key);
        if lent != 0 {
            // The program lent its payload and expects the same pointer back.
            payload = std::ptr::with_exposed_provenance_mut(lent);
        }
        WholeMessage {
            public: Message {
                err,
                rkt: self.rkt,
                partition: self.partition,
                payload,
                len,
                key,
                key_len,
                offset: self.base.map_or(offset::INVALID, |base| base + i64::from(record.index)),
                private: std::ptr::with_exposed_provenance_mut(opaque),
            },
            timestamp: self.append_time.unwrap_or(record.timestamp),
            headers: match record.headers {
                FinishedHeaders::Wire(headers) => HeadersOf::wire(&headers),
                FinishedHeaders::Given([]) => HeadersOf::NONE,
                FinishedHeaders::Given(given) => {
                    let mut headers = Headers::default();
                    for (name, value) in given {
                        headers.add(name.as_bytes(), value.as_deref());
                    }
                    HeadersOf::given(Some(Box::new(headers)))
                }
            },
            shared: &raw const *shared,
        }
    }
}

/// Tells the program of records, one by one, until it yields; `false` where some are left.
pub(crate) fn report(kafka: &Kafka, delivered: &mut Delivered) -> bool {
    let Some(producer) = &kafka.producer else { return true };
    let deliveries = &producer.deliveries;
    let callbacks = &kafka.conf.callbacks;
    if callbacks.dr_msg_cb.is_none() && callbacks.dr_cb.is_none() {
        // It wanted them as events, and now does not fetch them as such.
        deliveries.forget(delivered.left());
        return true;
    }
    let common = delivered.common(&kafka.topics);
    let (rk, opaque) = (kafka.pointer(), kafka.conf.opaque);
    delivered.told = delivered.batch.for_each_from(delivered.told, |record| {
        let message = common.message(&record);
        let public = &raw const message;
        if let Some(callback) = callbacks.dr_msg_cb {
            // SAFETY: the program's own function with the arguments that it was promised; no lock is held.
            unsafe { callback(rk, public.cast(), opaque) };
        } else if let Some(callback) = callbacks.dr_cb {
            let message = &message.public;
            // SAFETY: as above.
            unsafe { callback(rk, message.payload, message.len, message.err, opaque, message.private) };
        }
        deliveries.records.fetch_sub(1, Ordering::SeqCst);
        !is_yielding()
    });
    deliveries.signal.set();
    delivered.left() == 0
}

/// The delivery reports of an event.
#[derive(Debug)]
pub(crate) struct Reports {
    kafka: Arc<Kafka>,
    /// They point into the batch and to what they share.
    messages: Vec<WholeMessage>,
    _shared: Arc<(Shared, BTreeMap<u32, Shared>)>,
    delivered: Box<Delivered>,
}

impl Reports {
    pub(crate) fn new(kafka: &Kafka, delivered: Box<Delivered>) -> Self {
        let common = delivered.common(&kafka.topics);
        let mut messages = Vec::with_capacity(delivered.left());
        delivered.batch.for_each_from(delivered.told, |record| {
            messages.push(common.message(&record));
            true
        });
        Self { kafka: kafka.hold(), messages, _shared: common.shared, delivered }
    }

    /// One of them, the event's.
    pub(crate) fn get(&self, index: usize) -> Option<*const Message> {
        self.messages.get(index).map(|message| (&raw const *message).cast())
    }

    pub(crate) fn count(&self) -> usize {
        self.messages.len()
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        if let Some(producer) = &self.kafka.producer {
            producer.deliveries.forget(self.delivered.left());
        }
    }
}
