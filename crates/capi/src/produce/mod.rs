//! `rd_kafka_produce`, and delivery reports from batches.

use std::borrow::Cow;
use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use felice::{Client, Error, FinishedBatch, NewRecord, Producer, Properties};

use crate::boundary::{bytes, guard, set_last_error};
use crate::conf::Conf;
use crate::event::kind;
use crate::handle::Kafka;
use crate::message::parts;
use crate::op::{Op, serve_all};
use crate::queue::Queue;
use crate::topic::Topic;
use crate::types::{Message, PARTITION_UA, RespErr, msg_flag, offset};
use crate::wait::{Deadline, Signal, block_on};

/// Records that the program has handed over and not heard of, or that are not done where it does not want to hear.
#[derive(Debug, Default)]
struct Deliveries {
    records: AtomicUsize,
    /// Set when some are done.
    signal: Signal,
}

impl Deliveries {
    fn forget(&self, count: usize) {
        self.records.fetch_sub(count, Ordering::SeqCst);
        self.signal.set();
    }
}

/// The producing half of a handle.
#[derive(Debug)]
pub(crate) struct ProducerSide {
    producer: Producer,
    deliveries: Arc<Deliveries>,
    max_messages: usize,
    /// The program hears of each record's fate through the main queue.
    reports: bool,
}

impl ProducerSide {
    pub(crate) fn new(client: &Client, properties: &Properties, conf: &Conf, main: &Arc<Queue>) -> Result<Self, Error> {
        let config = properties.producer_config()?;
        let deliveries = Arc::new(Deliveries::default());
        let reports = conf.callbacks.dr_msg_cb.is_some() || conf.enabled_events & kind::DR != 0;
        let (told, queue) = (deliveries.clone(), main.clone());
        let builder = client.producer().on_batch(move |batch| {
            if reports { queue.push(Op::Deliveries(batch)) } else { told.forget(batch.count()) }
        });
        let producer = block_on(builder.build())?;
        let max_messages = if config.max_messages == 0 { usize::MAX } else { config.max_messages };
        Ok(Self { producer, deliveries, max_messages, reports })
    }

    /// Records that are not done.
    pub(crate) fn in_queue(&self) -> usize {
        self.deliveries.records.load(Ordering::SeqCst)
    }

    fn try_produce(&self, record: &NewRecord<'_>, tag: Option<[usize; 2]>) -> Result<(), RespErr> {
        // Counted first: the report may come before this returns.
        let before = self.deliveries.records.fetch_add(1, Ordering::Relaxed);
        let result = if before >= self.max_messages {
            Err(RespErr::QUEUE_FULL)
        } else {
            match self.producer.try_post_tagged(record, tag) {
                Ok(true) => Ok(()),
                Ok(false) => Err(RespErr::QUEUE_FULL),
                Err(error) => Err(RespErr::of(&error)),
            }
        };
        if result.is_err() {
            self.deliveries.records.fetch_sub(1, Ordering::Relaxed);
        }
        result
    }

    fn produce(&self, record: &NewRecord<'_>, tag: Option<[usize; 2]>, block: bool) -> Result<(), RespErr> {
        loop {
            let seen = if block { self.deliveries.signal.count() } else { 0 };
            match self.try_produce(record, tag) {
                // Memory may come back without a report: so a look from time to time.
                Err(RespErr::QUEUE_FULL) if block => {
                    self.deliveries.signal.wait(seen, Deadline::after(100));
                }
                result => return result,
            }
        }
    }

    /// Serves until nothing is in the queue; `false` where the time was up before.
    pub(crate) fn flush(&self, kafka: &Kafka, deadline: Deadline) -> bool {
        // While this future is there, nothing lingers; it is not waited for.
        let mut flushing = Box::pin(self.producer.flush());
        let _ = flushing.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        let calls_back = self.reports && kafka.conf.enabled_events & kind::DR == 0;
        loop {
            let seen = self.deliveries.signal.count();
            if calls_back {
                serve_all(kafka, &kafka.main, Deadline::after(0));
            }
            if self.in_queue() == 0 {
                return true;
            }
            let in_time =
                if calls_back { kafka.main.wait(deadline) } else { self.deliveries.signal.wait(seen, deadline) };
            if !in_time {
                return false;
            }
        }
    }

    /// The handle goes.
    pub(crate) fn end(&self) {}
}

/// Tells the program of each record of a batch, and that it was told.
pub(crate) fn report(kafka: &Kafka, batch: &FinishedBatch) {
    tell(kafka.pointer(), kafka, batch);
    if let Some(producer) = &kafka.producer {
        producer.deliveries.forget(batch.count());
    }
}

/// The delivery reports of an event.
#[derive(Debug)]
pub(crate) struct Reports {
    kafka: Arc<Kafka>,
    batch: FinishedBatch,
}

impl Reports {
    pub(crate) fn new(kafka: &Kafka, batch: FinishedBatch) -> Self {
        Self { kafka: kafka.hold(), batch }
    }

    /// One of them, the event's.
    pub(crate) fn get(&self, _index: usize) -> Option<*const Message> {
        None
    }

    pub(crate) fn count(&self) -> usize {
        self.batch.count()
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        if let Some(producer) = &self.kafka.producer {
            producer.deliveries.forget(self.batch.count());
        }
    }
}

/// Calls `dr_msg_cb` for each record of a batch.
fn tell(rk: *mut Kafka, handle: &Kafka, batch: &FinishedBatch) {
    let Some(callback) = handle.conf.callbacks.dr_msg_cb else { return };
    let err = batch.result().map_or_else(RespErr::of_delivery, |_| RespErr::NO_ERROR);
    let base = batch.result().ok().filter(|base| *base >= 0);
    let rkt = handle.topics.pointer(batch.topic());
    batch.for_each(|record| {
        let [opaque, borrowed] = record.tag.unwrap_or_default();
        let (mut payload, len) = parts(record.value);
        let (key, key_len) = parts(record.key);
        if borrowed != 0 {
            // The program lent its payload and expects the same pointer back.
            payload = std::ptr::with_exposed_provenance_mut(borrowed);
        }
        let message = Message {
            err,
            rkt,
            partition: batch.partition(),
            payload,
            len,
            key,
            key_len,
            offset: base.map_or(offset::INVALID, |base| base + i64::from(record.index)),
            private: std::ptr::with_exposed_provenance_mut(opaque),
        };
        // SAFETY: the program's own function with the arguments that it was promised; no lock is held.
        unsafe { callback(rk, &raw const message, handle.conf.opaque) };
    });
}

/// Hands a record over: 0, or −1 with the last error and errno (`ENOBUFS` and `__QUEUE_FULL` where there is no room).
///
/// # Safety
/// `rkt` came from `rd_kafka_topic_new` of a producer; `payload` has `len` bytes and `key` has `keylen`, or they are NULL; with
/// `RD_KAFKA_MSG_F_FREE` the payload came from malloc, and without it and `RD_KAFKA_MSG_F_COPY` it stays until it is reported.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_produce(
    rkt: *mut Topic,
    partition: i32,
    msgflags: c_int,
    payload: *mut c_void,
    len: usize,
    key: *const c_void,
    keylen: usize,
    msg_opaque: *mut c_void,
) -> c_int {
    guard(-1, || {
        // SAFETY: the caller vouches for all three.
        let (topic, value, key) = unsafe { (rkt.as_ref(), bytes(payload, len), bytes(key, keylen)) };
        let (free, copy) = (msgflags & msg_flag::FREE != 0, msgflags & msg_flag::COPY != 0);
        let Some((topic, side)) = topic.and_then(|topic| Some((topic, topic.producer.as_ref()?))) else {
            set_last_error(RespErr::INVALID_ARG, libc::EINVAL);
            return -1;
        };
        if free && copy {
            set_last_error(RespErr::INVALID_ARG, libc::EINVAL);
            return -1;
        }
        let record = NewRecord {
            topic: Cow::Borrowed(&topic.name),
            partition: (partition != PARTITION_UA).then_some(partition),
            key: key.map(Cow::Borrowed),
            value: value.map(Cow::Borrowed),
            headers: Vec::new(),
            timestamp: None,
        };
        let lent = if free || copy { std::ptr::null_mut() } else { payload };
        let tag = (!msg_opaque.is_null() || !lent.is_null())
            .then(|| [msg_opaque.expose_provenance(), lent.expose_provenance()]);
        match side.produce(&record, tag, msgflags & msg_flag::BLOCK != 0) {
            Ok(()) => {
                if free {
                    // SAFETY: the caller vouches that it came from malloc, and gave it to the library with this call's success.
                    unsafe { libc::free(payload) };
                }
                0
            }
            Err(error) => {
                set_last_error(error, error.errno());
                -1
            }
        }
    })
}
