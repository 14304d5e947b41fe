//! Message objects. Those of one batch are made together, up to `RUN` at a time, and freed together when the last is given back; key and
//! value point into the bytes that were fetched, which live as long.

use std::ffi::{CString, c_void};
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use felice::{BatchHold, BorrowedRecord, Error, FetchedBatch};

use crate::boundary::guard;
use crate::errors::text_of;
use crate::topic::Topics;
use crate::types::{Message, RespErr, offset};

/// Messages made at once: few enough to stay in the nearest cache until the program has read them.
pub(crate) const RUN: usize = 64;

/// What the messages' pointers lead to.
#[expect(dead_code, reason = "held, never looked at")]
enum Held {
    Records(BatchHold),
    Text(CString),
}

/// Messages that were made together.
struct Run {
    /// Messages that are still to be given back.
    left: AtomicUsize,
    /// Its elements are C's from the moment they are handed out.
    messages: Vec<Message>,
    _held: Held,
}

/// Messages that are ready to be handed out.
pub(crate) struct Ready {
    run: *mut Run,
    next: *mut Message,
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
    fn new(messages: Vec<Message>, held: Held) -> Self {
        let count = messages.len();
        let run = Box::into_raw(Box::new(Run { left: AtomicUsize::new(count), messages, _held: held }));
        // SAFETY: `run` was made above and nobody else has it.
        let messages = unsafe { &mut (*run).messages };
        for message in messages.iter_mut() {
            message.private = run.cast();
        }
        Self { run, next: messages.as_mut_ptr(), left: count }
    }

    /// The next records of a batch; `None` where it has no more.
    pub(crate) fn read(batch: &mut FetchedBatch, topics: &Topics) -> Option<Result<Self, Error>> {
        let rkt = topics.pointer(batch.topic());
        let partition = batch.partition();
        let mut messages = Vec::new();
        let add = |left: usize, record: BorrowedRecord<'_>| {
            if messages.capacity() == 0 {
                messages.reserve_exact(left.min(RUN));
            }
            let (payload, len) = parts(record.value());
            let (key, key_len) = parts(record.key());
            messages.push(Message {
                err: RespErr::NO_ERROR,
                rkt,
                partition,
                payload,
                len,
                key,
                key_len,
                offset: record.offset(),
                private: std::ptr::null_mut(),
            });
        };
        Some(batch.next_run(RUN, add)?.map(|hold| Self::new(messages, Held::Records(hold))))
    }

    /// A message that tells an error.
    pub(crate) fn error(error: &Error, topics: &Topics) -> Self {
        let err = RespErr::of(error);
        let text = CString::new(error.to_string())
            .unwrap_or_else(|_| text_of(err).map_or_else(CString::default, CString::from));
        let message = Message {
            err,
            rkt: error.topic().map_or(std::ptr::null_mut(), |topic| topics.pointer(topic)),
            partition: error.partition().unwrap_or(-1),
            payload: text.as_ptr().cast_mut().cast(),
            len: text.as_bytes().len(),
            key: std::ptr::null_mut(),
            key_len: 0,
            offset: offset::INVALID,
            private: std::ptr::null_mut(),
        };
        Self::new(vec![message], Held::Text(text))
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
        Some(message)
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

/// Gives a consumed message back. Messages of delivery callbacks are not given back.
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
