//! What a program hands over.

use std::borrow::Cow;
use std::ffi::{c_int, c_void};
use std::sync::atomic::Ordering;

use felice::{NewRecord, Producer};

use super::ProducerSide;
use crate::boundary::bytes;
use crate::headers::Headers;
use crate::message::{HeadersOf, WholeMessage};
use crate::topic::{Route, Topic};
use crate::types::{Message, PARTITION_UA, RespErr, msg_flag, offset};
use crate::wait::Deadline;

/// Most bytes that a record takes beside its key, value and headers.
const OVERHEAD: usize = 36;

/// A record as the program gives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    pub(crate) partition: i32,
    pub(crate) flags: c_int,
    pub(crate) payload: *mut c_void,
    pub(crate) len: usize,
    pub(crate) key: *const c_void,
    pub(crate) key_len: usize,
    pub(crate) opaque: *mut c_void,
    /// Milliseconds since 1970; zero is now.
    pub(crate) timestamp: i64,
    pub(crate) headers: Option<&'a Headers>,
}

impl Default for Given<'_> {
    fn default() -> Self {
        Self {
            partition: PARTITION_UA,
            flags: 0,
            payload: std::ptr::null_mut(),
            len: 0,
            key: std::ptr::null(),
            key_len: 0,
            opaque: std::ptr::null_mut(),
            timestamp: 0,
            headers: None,
        }
    }
}

impl ProducerSide {
    /// Whether records are taken at all.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), RespErr> {
        if self.process.is_forked() {
            // The threads that would send it are the parent's.
            return Err(RespErr::STATE);
        }
        match self.fatal.get() {
            None => Ok(()),
            Some(_) => Err(RespErr::FATAL),
        }
    }

    fn try_produce(&self, producer: &Producer, record: &NewRecord<'_>, tag: Option<[usize; 2]>) -> Result<(), RespErr> {
        // Counted first: the report may come before this returns.
        let before = self.deliveries.records.fetch_add(1, Ordering::Relaxed);
        let result = if before >= self.max_messages {
            Err(RespErr::QUEUE_FULL)
        } else {
            match producer.try_post_tagged(record, tag) {
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
}

impl Topic {
    /// Hands a record over. With `RD_KAFKA_MSG_F_FREE` the payload is the library's from a success on.
    ///
    /// # Safety
    /// Payload and key have their lengths or are NULL; with `RD_KAFKA_MSG_F_FREE` the payload came from malloc, and without it and
    /// `RD_KAFKA_MSG_F_COPY` it stays until it is reported.
    pub(crate) unsafe fn produce(&self, given: &Given<'_>) -> Result<(), RespErr> {
        let Some(Route { side, producer }) = &self.route else { return Err(RespErr::INVALID_ARG) };
        side.check()?;
        self.check()?;
        if side.interception.sees_sends() || side.interception.sees_acknowledgements() {
            // SAFETY: the caller vouches for all of it.
            return unsafe { self.produce_seen(side, producer, given) };
        }
        // SAFETY: as above.
        unsafe { self.produce_unseen(side, producer, given) }
    }

    fn message(&self, given: &Given<'_>, err: RespErr) -> WholeMessage {
        WholeMessage {
            public: Message {
                err,
                rkt: std::ptr::from_ref(self).cast_mut().cast(),
                partition: given.partition,
                payload: given.payload,
                len: given.len,
                key: given.key.cast_mut(),
                key_len: given.key_len,
                offset: offset::INVALID,
                private: given.opaque,
            },
            timestamp: given.timestamp,
            headers: HeadersOf::given(given.headers.map(|headers| Box::new(headers.clone()))),
            shared: std::ptr::null(),
        }
    }

    /// As [`Self::produce`], where interceptors look on.
    ///
    /// # Safety
    /// As for [`Self::produce`].
    unsafe fn produce_seen(&self, side: &ProducerSide, producer: &Producer, given: &Given<'_>) -> Result<(), RespErr> {
        let headers = side.interception.send(self.message(given, RespErr::NO_ERROR));
        let given = Given { headers: headers.as_deref(), ..*given };
        // SAFETY: the caller vouches for all of it.
        let handed = unsafe { self.produce_unseen(side, producer, &given) };
        if let Err(error) = handed {
            side.interception.acknowledge(self.message(&given, error));
        }
        handed
    }

    /// # Safety
    /// As for [`Self::produce`].
    unsafe fn produce_unseen(
        &self,
        side: &ProducerSide,
        producer: &Producer,
        given: &Given<'_>,
    ) -> Result<(), RespErr> {
        // SAFETY: the caller vouches for both.
        let (value, key) = unsafe { (bytes(given.payload, given.len), bytes(given.key, given.key_len)) };
        let headers: Vec<_> = given.headers.map_or_else(Vec::new, |headers| {
            headers.iter().map(|(name, value)| (String::from_utf8_lossy(name), value.map(Cow::Borrowed))).collect()
        });
        let (value_len, key_len) = (value.map_or(0, <[u8]>::len), key.map_or(0, <[u8]>::len));
        let headers_len = given.headers.map_or(0, Headers::size);
        let size = value_len.saturating_add(key_len).saturating_add(headers_len).saturating_add(OVERHEAD);
        if size > side.max_bytes {
            return Err(RespErr::MSG_SIZE_TOO_LARGE);
        }
        let record = NewRecord {
            topic: Cow::Borrowed(&self.name),
            partition: (given.partition != PARTITION_UA).then_some(given.partition),
            key: key.map(Cow::Borrowed),
            value: value.map(Cow::Borrowed),
            headers,
            timestamp: (given.timestamp != 0).then_some(given.timestamp),
        };
        let copies = given.flags & msg_flag::COPY != 0;
        let frees = !copies && given.flags & msg_flag::FREE != 0;
        // The program expects back what it lent, and not our copy of it.
        let lent = if copies || frees { std::ptr::null_mut() } else { given.payload };
        let tag = (!given.opaque.is_null() || !lent.is_null())
            .then(|| [given.opaque.expose_provenance(), lent.expose_provenance()]);
        loop {
            let blocks = given.flags & msg_flag::BLOCK != 0;
            let seen = if blocks { side.deliveries.signal.count() } else { 0 };
            match side.try_produce(producer, &record, tag) {
                // Memory may come back without a report: so a look from time to time.
                Err(RespErr::QUEUE_FULL) if blocks => {
                    side.deliveries.signal.wait(seen, Deadline::after(100));
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        if frees {
            // SAFETY: the caller vouches that it came from malloc, and gave it to the library with this call's success.
            unsafe { libc::free(given.payload) };
        }
        Ok(())
    }
}
