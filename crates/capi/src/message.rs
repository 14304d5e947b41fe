//! Message objects: librdkafka's public fields first, what only its functions tell behind them. Consumed ones of one batch are made together,
//! up to `RUN` at a time, and freed together when the last is given back; key and value point into the bytes that were fetched, which live as
//! long. Delivered ones live as long as their callback or event.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::time::Instant;

use felice::protocol::records::{self, TimestampType};
use felice::{BatchHold, BorrowedRecord, Error, FetchedBatch};

use crate::boundary::guard;
use crate::errors::text_of;
use crate::headers::Headers;
use crate::topic::Topics;
use crate::types::{Message, RespErr, offset};

/// Messages made at once: few enough to stay in the nearest cache until the program has read them.
pub(crate) const RUN: usize = 64;

/// `rd_kafka_timestamp_type_t`.
pub mod timestamp_type {
    use std::ffi::c_int;

    /// There is none.
    pub const NOT_AVAILABLE: c_int = 0;
    /// The producer's.
    pub const CREATE_TIME: c_int = 1;
    /// The broker's.
    pub const LOG_APPEND_TIME: c_int = 2;
}

/// `rd_kafka_msg_status_t`.
pub mod status {
    use std::ffi::c_int;

    /// It is not in the log.
    pub const NOT_PERSISTED: c_int = 0;
    /// It was sent and not acknowledged.
    pub const POSSIBLY_PERSISTED: c_int = 1;
    /// It is in the log.
    pub const PERSISTED: c_int = 2;
}

/// What the messages of a batch have in common, beside their public fields.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) consumed: bool,
    pub(crate) timestamp_type: c_int,
    pub(crate) broker: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) status: c_int,
    /// When the program produced it.
    pub(crate) since: Option<Instant>,
    /// The broker's own words for why it refused a produced record.
    pub(crate) errstr: Option<CString>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            consumed: false,
            timestamp_type: timestamp_type::NOT_AVAILABLE,
            broker: -1,
            leader_epoch: -1,
            status: status::NOT_PERSISTED,
            since: None,
            errstr: None,
        }
    }
}

/// A message's headers: as they came, and as the program sees or has set them.
#[derive(Debug)]
pub(crate) struct HeadersOf {
    /// As they are on the wire: where, how many bytes, how many headers.
    wire: (*const u8, u32, u32),
    /// Read, or set by the program.
    read: Option<Box<Headers>>,
}

impl HeadersOf {
    pub(crate) const NONE: Self = Self { wire: (std::ptr::null(), 0, 0), read: None };

    /// As they are on the wire; the bytes must stay where they are as long as the message is there.
    #[inline]
    pub(crate) fn wire(headers: &records::Headers<'_>) -> Self {
        let bytes = headers.as_bytes();
        let (length, count) = (u32::try_from(bytes.len()).unwrap_or(0), u32::try_from(headers.len()).unwrap_or(0));
        Self { wire: (bytes.as_ptr(), length, count), read: None }
    }

    pub(crate) fn given(headers: Option<Box<Headers>>) -> Self {
        Self { read: headers, ..Self::NONE }
    }

    /// Those that were read or set.
    pub(crate) fn into_read(self) -> Option<Box<Headers>> {
        self.read
    }

    /// Reads them where nobody has yet.
    ///
    /// # Safety
    /// The bytes that they were made of are still there.
    unsafe fn read(&mut self) -> &mut Option<Box<Headers>> {
        let (bytes, length, count) = self.wire;
        if self.read.is_none() && count > 0 {
            // SAFETY: the caller vouches for the bytes.
            let bytes = unsafe { std::slice::from_raw_parts(bytes, length as usize) };
            self.read = Some(Box::new(Headers::read(records::Headers::from_bytes(bytes, count))));
        }
        &mut self.read
    }

    /// The program has taken or set them: those of a produced record are gone for good, those of a consumed one can be read again.
    fn forget_wire(&mut self, shared: *const Shared) {
        // SAFETY: what a message shares lives as long as it; interceptors may see one that shares nothing.
        if !unsafe { shared.as_ref() }.is_some_and(|shared| shared.consumed) {
            self.wire.2 = 0;
        }
    }
}

/// A whole message: what a pointer to a [`Message`] that this library handed out leads to.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct WholeMessage {
    pub(crate) public: Message,
    /// In milliseconds since 1970.
    pub(crate) timestamp: i64,
    pub(crate) headers: HeadersOf,
    /// Outlives the message.
    pub(crate) shared: *const Shared,
}

/// What the messages' pointers lead to.
#[expect(dead_code, reason = "held, never looked at")]
enum Held {
    Nothing,
    Records(BatchHold),
    Text(CString),
}

/// Messages that were made together.
struct Run {
    /// Messages that are still to be given back.
    left: AtomicUsize,
    /// Its elements are C's from the moment they are handed out.
    messages: Vec<WholeMessage>,
    shared: Shared,
    held: Held,
}

/// Messages that are ready to be handed out.
pub(crate) struct Ready {
    run: *mut Run,
    next: *mut WholeMessage,
    left: usize,
}

// SAFETY: the pointers are this value's alone until `take` hands a message out, and the counting is atomic.
unsafe impl Send for Ready {}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Ready {
    /// The next records of a batch; `None` where it has no more.
    pub(crate) fn read(batch: &mut FetchedBatch, topics: &Topics) -> Option<Result<Self, Error>> {
        let rkt = topics.pointer(batch.topic());
        let partition = batch.partition();
        // Messages point to what they share, so that comes first.
        let run =
            Run { left: AtomicUsize::new(0), messages: Vec::new(), shared: Shared::default(), held: Held::Nothing };
        let run = Box::into_raw(Box::new(run));
        // SAFETY: made above; only the messages' own pointers look at it beside this function.
        let (messages, shared) = unsafe { (&mut (*run).messages, &raw const (*run).shared) };
        let add = |left: usize, record: BorrowedRecord<'_>| {
            if messages.capacity() == 0 {
                messages.reserve_exact(left.min(RUN));
            }
            let (payload, len) = parts(record.value());
            let (key, key_len) = parts(record.key());
            messages.push(WholeMessage {
                public: Message {
                    err: RespErr::NO_ERROR,
                    rkt,
                    partition,
                    payload,
                    len,
                    key,
                    key_len,
                    offset: record.offset(),
                    private: run.cast(),
                },
                timestamp: record.timestamp(),
                headers: HeadersOf::wire(&record.raw_headers()),
                shared,
            });
        };
        let read = batch.next_run(RUN, add);
        // SAFETY: made above, and handed to nobody.
        let forget = || drop(unsafe { Box::from_raw(run) });
        let hold = match read {
            Some(Ok(hold)) => hold,
            Some(Err(error)) => {
                forget();
                return Some(Err(error));
            }
            None => {
                forget();
                return None;
            }
        };
        let shared = Shared {
            consumed: true,
            timestamp_type: match hold.timestamp_type() {
                TimestampType::CreateTime => timestamp_type::CREATE_TIME,
                TimestampType::LogAppendTime => timestamp_type::LOG_APPEND_TIME,
            },
            broker: hold.broker(),
            leader_epoch: hold.leader_epoch(),
            status: status::PERSISTED,
            since: None,
            errstr: None,
        };
        // SAFETY: made above, and handed to nobody yet.
        unsafe {
            (*run).shared = shared;
            (*run).held = Held::Records(hold);
            Some(Ok(Self::finish(run)))
        }
    }

    /// # Safety
    /// The run came from `Box::into_raw`, and nobody else has it.
    unsafe fn finish(run: *mut Run) -> Self {
        // SAFETY: the caller vouches for it.
        unsafe {
            let messages = &mut (*run).messages;
            let (next, left) = (messages.as_mut_ptr(), messages.len());
            (*run).left.store(left, Ordering::Relaxed);
            Self { run, next, left }
        }
    }

    /// A message that tells an error.
    pub(crate) fn error(error: &Error, topics: &Topics) -> Self {
        let err = RespErr::of(error);
        let text = CString::new(error.to_string())
            .unwrap_or_else(|_| text_of(err).map_or_else(CString::default, CString::from));
        let rkt = error.topic().map_or(std::ptr::null_mut(), |topic| topics.pointer(topic));
        Self::told(err, rkt, error.partition().unwrap_or(-1), offset::INVALID, text)
    }

    /// A message that tells something of a partition: an error, or its end.
    pub(crate) fn told(err: RespErr, rkt: *mut c_void, partition: i32, offset: i64, text: CString) -> Self {
        let (payload, len) = (text.as_ptr().cast_mut().cast(), text.as_bytes().len());
        let run = Run {
            left: AtomicUsize::new(0),
            messages: Vec::with_capacity(1),
            shared: Shared::default(),
            held: Held::Text(text),
        };
        let run = Box::into_raw(Box::new(run));
        // SAFETY: made above, and nobody else has it.
        let (messages, shared) = unsafe { (&mut (*run).messages, &raw const (*run).shared) };
        messages.push(WholeMessage {
            public: Message {
                err,
                rkt,
                partition,
                payload,
                len,
                key: std::ptr::null_mut(),
                key_len: 0,
                offset,
                private: run.cast(),
            },
            timestamp: -1,
            headers: HeadersOf::NONE,
            shared,
        });
        // SAFETY: as above.
        unsafe { Self::finish(run) }
    }

    /// The leader's epoch of the records.
    pub(crate) fn leader_epoch(&self) -> i32 {
        // SAFETY: the run lives until its last message is given back; some are this value's where `left` is not 0.
        if self.left == 0 { -1 } else { unsafe { (*self.run).shared.leader_epoch } }
    }

    /// How many are left.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// The next message, the program's from here on.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<*mut Message> {
        self.left = self.left.checked_sub(1)?;
        let message = self.next;
        // SAFETY: at most one past the end, after as many steps as there are messages.
        self.next = unsafe { message.add(1) };
        Some(message.cast())
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        // SAFETY: those that were not handed out are given back here.
        unsafe { give_back(self.run, self.left) };
    }
}

/// Gives messages of a run back, and with the last of them the run.
///
/// # Safety
/// So many messages of the run are still to be given back, and `count` of them by the caller.
unsafe fn give_back(run: *mut Run, count: usize) {
    if count == 0 {
        return;
    }
    // SAFETY: the run lives until its last message is given back; the caller still has some.
    let left = unsafe { &(*run).left };
    if left.fetch_sub(count, Ordering::Release) == count {
        fence(Ordering::Acquire);
        // SAFETY: nobody else has a message of it any more; it came from `Box::into_raw`.
        drop(unsafe { Box::from_raw(run) });
    }
}

/// Pointer and length of a key or value, NULL for none.
pub(crate) fn parts(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    bytes.map_or((std::ptr::null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut().cast(), bytes.len()))
}

/// The whole of a message.
///
/// # Safety
/// `message` is NULL or one that this library handed out and that is still there.
unsafe fn whole<'a>(message: *const Message) -> Option<&'a WholeMessage> {
    // SAFETY: the caller vouches that it is one of ours: those are whole.
    unsafe { message.cast::<WholeMessage>().as_ref() }
}

/// What the message shares with others.
///
/// # Safety
/// As for [`whole`].
unsafe fn shared<'a>(message: *const Message) -> Option<&'a Shared> {
    // SAFETY: the caller vouches for the message, and what it shares lives as long.
    unsafe { whole(message).and_then(|message| message.shared.as_ref()) }
}

/// Gives a consumed message back. Messages of delivery reports are not given back.
///
/// # Safety
/// `rkmessage` is NULL or came from a call that consumes, once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_destroy(rkmessage: *mut Message) {
    guard((), || {
        // SAFETY: the caller vouches for the message.
        let Some(message) = (unsafe { rkmessage.as_ref() }) else { return };
        let run = message.private.cast::<Run>();
        if !run.is_null() {
            // SAFETY: a consumed message's `private` is its run, and this one message was not given back before.
            unsafe { give_back(run, 1) };
        }
    });
}

/// The text of a consumed message's error; NULL where it has none. For delivery reports it is [`rd_kafka_message_produce_errstr`].
///
/// # Safety
/// `rkmessage` is NULL or a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_errstr(rkmessage: *const Message) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for the message.
        match unsafe { rkmessage.as_ref() } {
            None => std::ptr::null(),
            Some(message) if message.err == RespErr::NO_ERROR => std::ptr::null(),
            Some(message) if !message.payload.is_null() => message.payload.cast(),
            Some(message) => crate::errors::rd_kafka_err2str(message.err),
        }
    })
}

/// The broker's own words for why it refused a produced record; NULL where it had none.
///
/// # Safety
/// `rkmessage` is NULL or the message of a delivery report.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_produce_errstr(rkmessage: *const Message) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for the message.
        let text = unsafe { shared(rkmessage) }.and_then(|shared| shared.errstr.as_deref());
        text.map_or(std::ptr::null(), CStr::as_ptr)
    })
}

/// A message's timestamp in milliseconds since 1970, and whose it is; −1 where there is none.
///
/// # Safety
/// `rkmessage` is NULL or a message that this library handed out; `tstype` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_timestamp(rkmessage: *const Message, tstype: *mut c_int) -> i64 {
    guard(-1, || {
        // SAFETY: the caller vouches for both.
        let (message, shared, kind) = unsafe { (whole(rkmessage), shared(rkmessage), tstype.as_mut()) };
        let (timestamp, its_kind) = match (message, shared) {
            (Some(message), Some(shared)) if message.public.err == RespErr::NO_ERROR => {
                (message.timestamp, shared.timestamp_type)
            }
            _ => (-1, timestamp_type::NOT_AVAILABLE),
        };
        if let Some(kind) = kind {
            *kind = its_kind;
        }
        timestamp
    })
}

/// Microseconds since the program produced the message; −1 for consumed ones.
///
/// # Safety
/// `rkmessage` is NULL or a message that this library handed out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_latency(rkmessage: *const Message) -> i64 {
    guard(-1, || {
        // SAFETY: the caller vouches for the message.
        let since = unsafe { shared(rkmessage) }.and_then(|shared| shared.since);
        since.map_or(-1, |since| i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX))
    })
}

/// The broker that a message was produced to or fetched from; −1 where it is not known.
///
/// # Safety
/// `rkmessage` is NULL or a message that this library handed out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_broker_id(rkmessage: *const Message) -> i32 {
    // SAFETY: the caller vouches for the message.
    guard(-1, || unsafe { shared(rkmessage) }.map_or(-1, |shared| shared.broker))
}

/// Whether a message is in the log.
///
/// # Safety
/// `rkmessage` is NULL or a message that this library handed out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_status(rkmessage: *const Message) -> c_int {
    guard(status::NOT_PERSISTED, || {
        // SAFETY: the caller vouches for the message.
        unsafe { shared(rkmessage) }.map_or(status::NOT_PERSISTED, |shared| shared.status)
    })
}

/// The leader's epoch in which a consumed message was written; −1 where it is not known.
///
/// # Safety
/// `rkmessage` is NULL or a message that this library handed out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_leader_epoch(rkmessage: *const Message) -> i32 {
    // SAFETY: the caller vouches for the message.
    guard(-1, || unsafe { shared(rkmessage) }.map_or(-1, |shared| shared.leader_epoch))
}

/// How often a share group was given the message; 0, as there are no share groups here.
///
/// # Safety
/// None is needed: the message is not looked at.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_delivery_count(rkmessage: *const Message) -> i16 {
    let _ = rkmessage;
    0
}

/// The message's headers, which stay its own; `__NOENT` where it has none.
///
/// # Safety
/// `rkmessage` is a message that this library handed out, used by one thread at a time; `hdrsp` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_headers(rkmessage: *const Message, hdrsp: *mut *mut Headers) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: one of ours; the const is for the public fields, which stay as they are.
        let message = unsafe { rkmessage.cast_mut().cast::<WholeMessage>().as_mut() };
        // SAFETY: the caller vouches for the place.
        let (Some(message), Some(place)) = (message, unsafe { hdrsp.as_mut() }) else { return RespErr::INVALID_ARG };
        // SAFETY: the bytes live as long as the message.
        match unsafe { message.headers.read() } {
            Some(headers) => {
                *place = &raw mut **headers;
                RespErr::NO_ERROR
            }
            None => RespErr::NOENT,
        }
    })
}

/// Takes a message's headers out: they are the program's from here on. `__NOENT` where it has none.
///
/// # Safety
/// As for [`rd_kafka_message_headers`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_detach_headers(rkmessage: *mut Message, hdrsp: *mut *mut Headers) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (Some(message), Some(place)) = (unsafe { (rkmessage.cast::<WholeMessage>().as_mut(), hdrsp.as_mut()) })
        else {
            return RespErr::INVALID_ARG;
        };
        // SAFETY: the bytes live as long as the message.
        match unsafe { message.headers.read() }.take() {
            Some(headers) => {
                message.headers.forget_wire(message.shared);
                *place = Box::into_raw(headers);
                RespErr::NO_ERROR
            }
            None => RespErr::NOENT,
        }
    })
}

/// Gives a message other headers, which are its own from here on; NULL takes them away.
///
/// # Safety
/// `rkmessage` is a message that this library handed out; `hdrs` is NULL or the program's, which does not use them again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_message_set_headers(rkmessage: *mut Message, hdrs: *mut Headers) {
    guard((), || {
        // SAFETY: the caller vouches for the message.
        let Some(message) = (unsafe { rkmessage.cast::<WholeMessage>().as_mut() }) else { return };
        // SAFETY: the caller gave what `Box::into_raw` gave it, or NULL.
        message.headers.read = (!hdrs.is_null()).then(|| unsafe { Box::from_raw(hdrs) });
        message.headers.forget_wire(message.shared);
    });
}
