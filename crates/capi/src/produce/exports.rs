//! The C functions that hand records over.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

use super::record::Given;
use crate::boundary::{guard, set_last_error, text};
use crate::errors::object::ErrorObject;
use crate::handle::Kafka;
use crate::headers::{Headers, sized};
use crate::topic::Topic;
use crate::types::{Message, RespErr, msg_flag};
use crate::variadic::{Arguments, variadic};

/// The numbers of `rd_kafka_vtype_t`.
mod vtype {
    use std::ffi::c_int;

    pub(super) const END: c_int = 0;
    pub(super) const TOPIC: c_int = 1;
    pub(super) const RKT: c_int = 2;
    pub(super) const PARTITION: c_int = 3;
    pub(super) const VALUE: c_int = 4;
    pub(super) const KEY: c_int = 5;
    pub(super) const OPAQUE: c_int = 6;
    pub(super) const MSGFLAGS: c_int = 7;
    pub(super) const TIMESTAMP: c_int = 8;
    pub(super) const HEADER: c_int = 9;
    pub(super) const HEADERS: c_int = 10;
}

/// `RD_KAFKA_PURGE_F_QUEUE`.
const PURGE_QUEUE: c_int = 0x1;
/// `RD_KAFKA_PURGE_F_INFLIGHT`.
const PURGE_INFLIGHT: c_int = 0x2;
/// `RD_KAFKA_PURGE_F_NON_BLOCKING`.
const PURGE_NON_BLOCKING: c_int = 0x4;

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
        let given = Given {
            partition,
            flags: msgflags,
            payload,
            len,
            key,
            key_len: keylen,
            opaque: msg_opaque,
            ..Given::default()
        };
        // SAFETY: the caller vouches for all of it.
        let handed =
            unsafe { rkt.as_ref() }.map_or(Err(RespErr::INVALID_ARG), |topic| unsafe { topic.produce(&given) });
        match handed {
            Ok(()) => {
                set_last_error(RespErr::NO_ERROR, 0);
                0
            }
            Err(error) => {
                set_last_error(error, error.errno());
                -1
            }
        }
    })
}

/// Hands records over; each one's `err` says whether it was taken. Returns how many were.
///
/// # Safety
/// `rkt` came from `rd_kafka_topic_new` of a producer; `rkmessages` has `message_cnt` elements, for each of which what holds for
/// [`rd_kafka_produce`] does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_produce_batch(
    rkt: *mut Topic,
    partition: i32,
    msgflags: c_int,
    rkmessages: *mut Message,
    message_cnt: c_int,
) -> c_int {
    guard(0, || {
        let (false, Ok(count)) = (rkmessages.is_null(), usize::try_from(message_cnt)) else { return 0 };
        // SAFETY: the caller vouches for so many elements.
        let messages = unsafe { std::slice::from_raw_parts_mut(rkmessages, count) };
        // SAFETY: the caller vouches for the topic.
        let topic = unsafe { rkt.as_ref() };
        let (mut taken, mut for_all) = (0, None);
        for message in messages {
            if let Some(error) = for_all {
                message.err = error;
                continue;
            }
            let given = Given {
                partition: if msgflags & msg_flag::PARTITION != 0 { message.partition } else { partition },
                flags: msgflags,
                payload: message.payload,
                len: message.len,
                key: message.key,
                key_len: message.key_len,
                opaque: message.private,
                ..Given::default()
            };
            // SAFETY: the caller vouches for each.
            let handed = topic.map_or(Err(RespErr::INVALID_ARG), |topic| unsafe { topic.produce(&given) });
            message.err = handed.err().unwrap_or(RespErr::NO_ERROR);
            match message.err {
                RespErr::NO_ERROR => taken += 1,
                // There is no room for those behind it either: order is kept.
                RespErr::QUEUE_FULL | RespErr::FATAL | RespErr::STATE => for_all = Some(message.err),
                _ => {}
            }
        }
        taken
    })
}

/// A record that is put together from tagged arguments.
#[derive(Default)]
struct Assembled<'a> {
    given: Given<'a>,
    topic: Option<Found<'a>>,
    /// One by one.
    own: Option<Headers>,
    /// The program's list, which the library takes over with success.
    list: *mut Headers,
}

enum Found<'a> {
    Named(Arc<Topic>),
    Handle(&'a Topic),
}

impl std::ops::Deref for Found<'_> {
    type Target = Topic;

    fn deref(&self) -> &Topic {
        match self {
            Self::Named(topic) => topic,
            Self::Handle(topic) => topic,
        }
    }
}

/// What can be wrong with tagged arguments: librdkafka's words for it.
struct Wrong(RespErr, String);

impl Assembled<'_> {
    fn name(&mut self, rk: &Kafka, name: Option<&str>) {
        let name = name.filter(|name| !name.is_empty() && name.len() <= 512);
        self.topic = name.and_then(|name| rk.topics.get(name)).map(Found::Named);
    }

    /// # Safety
    /// Name and value have their sizes.
    unsafe fn header(&mut self, name: *const c_char, value: *const c_void, size: libc::ssize_t) -> Result<(), Wrong> {
        if !self.list.is_null() {
            let text = "VTYPE_HEADER and VTYPE_HEADERS are mutually exclusive";
            return Err(Wrong(RespErr::CONFLICT, text.to_owned()));
        }
        if name.is_null() {
            return Err(Wrong(
                RespErr::INVALID_ARG,
                "Failed to add header: Local: Invalid argument or configuration".to_owned(),
            ));
        }
        // SAFETY: the caller vouches for both.
        let (name, value) = unsafe { (CStr::from_ptr(name).to_bytes(), sized(value, size)) };
        self.own.get_or_insert_default().add(name, value);
        Ok(())
    }

    fn headers(&mut self, list: *mut Headers) -> Result<(), Wrong> {
        if self.own.is_some() {
            let text = "VTYPE_HEADERS and VTYPE_HEADER are mutually exclusive";
            return Err(Wrong(RespErr::CONFLICT, text.to_owned()));
        }
        self.list = list;
        Ok(())
    }

    /// # Safety
    /// What holds for [`rd_kafka_produce`] does.
    unsafe fn produce(self) -> Result<(), Wrong> {
        let Some(topic) = self.topic else {
            return Err(Wrong(RespErr::INVALID_ARG, "Topic name or object required".to_owned()));
        };
        // SAFETY: the caller vouches for the list.
        let headers = unsafe { self.list.as_ref() }.or(self.own.as_ref());
        // SAFETY: the caller vouches for the rest.
        let handed = unsafe { topic.produce(&Given { headers, ..self.given }) };
        handed.map_err(|error| {
            let verb = match error {
                RespErr::MSG_SIZE_TOO_LARGE | RespErr::QUEUE_FULL => "produce",
                _ => "enqueue",
            };
            Wrong(error, format!("Failed to {verb} message: {}", error.text()))
        })?;
        if !self.list.is_null() {
            // SAFETY: it came from `Box::into_raw`, and is the library's from this success on.
            drop(unsafe { Box::from_raw(self.list) });
        }
        Ok(())
    }
}

variadic! {
    /// Hands a record over that is given as tagged arguments, the first of which is the handle: `RD_KAFKA_V_…` of `rdkafka.h`, up to `RD_KAFKA_V_END`.
    ///
    /// # Safety
    /// The arguments are what their tags say, and what holds for [`rd_kafka_produce`] does. From Rust it cannot be called.
    rd_kafka_producev => producev -> RespErr
}

/// # Safety
/// As for [`rd_kafka_producev`], which calls it.
unsafe extern "C" fn producev(registers: *const u64, stack: *const u64) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for the arguments, up to the tag that ends them.
        let assembled = unsafe { read_tagged(&mut Arguments::new(registers, stack)) };
        // SAFETY: as above.
        match assembled.and_then(|assembled| unsafe { assembled.produce() }) {
            Ok(()) => RespErr::NO_ERROR,
            Err(Wrong(error, _)) => error,
        }
    })
}

/// # Safety
/// As for [`rd_kafka_producev`].
unsafe fn read_tagged<'a>(arguments: &mut Arguments) -> Result<Assembled<'a>, Wrong> {
    let mut assembled = Assembled::default();
    // SAFETY: the caller vouches for the arguments.
    unsafe {
        let rk = usable(arguments.next_pointer())?;
        loop {
            let given = &mut assembled.given;
            match arguments.next_int() {
                vtype::END => return Ok(assembled),
                vtype::TOPIC => assembled.name(rk, text(arguments.next_pointer())),
                vtype::RKT => assembled.topic = arguments.next_pointer::<Topic>().as_ref().map(Found::Handle),
                vtype::PARTITION => given.partition = arguments.next_int(),
                vtype::VALUE => (given.payload, given.len) = (arguments.next_pointer(), arguments.next_size()),
                vtype::KEY => (given.key, given.key_len) = (arguments.next_pointer(), arguments.next_size()),
                vtype::OPAQUE => given.opaque = arguments.next_pointer(),
                vtype::MSGFLAGS => given.flags = arguments.next_int(),
                vtype::TIMESTAMP => given.timestamp = arguments.next_long(),
                vtype::HEADER => {
                    let (name, value) = (arguments.next_pointer(), arguments.next_pointer());
                    assembled.header(name, value, arguments.next_size().cast_signed())?;
                }
                vtype::HEADERS => assembled.headers(arguments.next_pointer())?,
                other => return Err(unsupported(other)),
            }
        }
    }
}

fn unsupported(tag: c_int) -> Wrong {
    Wrong(RespErr::INVALID_ARG, format!("Unsupported VTYPE {tag}"))
}

/// A handle that takes records.
///
/// # Safety
/// `rk` is NULL or came from `rd_kafka_new`.
unsafe fn usable<'a>(rk: *const Kafka) -> Result<&'a Kafka, Wrong> {
    // SAFETY: the caller vouches for `rk`.
    let Some(rk) = (unsafe { rk.as_ref() }) else { return Err(Wrong(RespErr::INVALID_ARG, "rk is NULL".to_owned())) };
    let Some(side) = &rk.producer else {
        return Err(Wrong(RespErr::INVALID_ARG, "Only producers can produce".to_owned()));
    };
    match (side.check(), rk.fatal.get()) {
        (Ok(()), _) => Ok(rk),
        (Err(RespErr::FATAL), Some((_, text))) => {
            let text = text.to_string_lossy();
            let told = format!("Producing not allowed since a previous fatal error was raised: {text}");
            Err(Wrong(RespErr::FATAL, told))
        }
        (Err(error), _) => Err(Wrong(error, error.text())),
    }
}

/// `rd_kafka_vu_t`: one tagged argument.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TaggedArgument {
    tag: c_int,
    value: ArgumentValue,
}

#[repr(C)]
#[derive(Clone, Copy)]
union ArgumentValue {
    int: c_int,
    long: i64,
    pointer: *mut c_void,
    memory: (*mut c_void, usize),
    header: (*const c_char, *const c_void, libc::ssize_t),
    padding: [u64; 8],
}

impl std::fmt::Debug for TaggedArgument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaggedArgument").field("tag", &self.tag).finish_non_exhaustive()
    }
}

/// Hands a record over that is given as an array of tagged arguments: NULL, or an error.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `vus` has `cnt` elements that are what their tags say, and what holds for [`rd_kafka_produce`] does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_produceva(
    rk: *mut Kafka,
    vus: *const TaggedArgument,
    cnt: usize,
) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the arguments.
        let assembled = unsafe { read_array(rk, vus, cnt) };
        // SAFETY: as above.
        match assembled.and_then(|assembled| unsafe { assembled.produce() }) {
            Ok(()) => std::ptr::null_mut(),
            Err(Wrong(RespErr::FATAL, text)) => {
                // SAFETY: as above.
                let code = unsafe { rk.as_ref() }.and_then(|rk| rk.fatal.get()).map_or(RespErr::FATAL, |fatal| fatal.0);
                ErrorObject::new(code, text).fatal().give()
            }
            Err(Wrong(error, text)) => ErrorObject::new(error, text).give(),
        }
    })
}

/// # Safety
/// As for [`rd_kafka_produceva`].
unsafe fn read_array<'a>(rk: *const Kafka, all: *const TaggedArgument, count: usize) -> Result<Assembled<'a>, Wrong> {
    // SAFETY: the caller vouches for the handle.
    let rk = unsafe { usable(rk) }?;
    let mut assembled = Assembled::default();
    let all = if all.is_null() || count == 0 {
        &[]
    } else {
        // SAFETY: the caller vouches for so many elements.
        unsafe { std::slice::from_raw_parts(all, count) }
    };
    for TaggedArgument { tag, value } in all {
        let given = &mut assembled.given;
        // SAFETY: the caller vouches that the values are what the tags say.
        unsafe {
            match *tag {
                vtype::TOPIC => assembled.name(rk, text(value.pointer.cast())),
                vtype::RKT => assembled.topic = value.pointer.cast::<Topic>().as_ref().map(Found::Handle),
                vtype::PARTITION => given.partition = value.int,
                vtype::VALUE => (given.payload, given.len) = value.memory,
                vtype::KEY => (given.key, given.key_len) = (value.memory.0, value.memory.1),
                vtype::OPAQUE => given.opaque = value.pointer,
                vtype::MSGFLAGS => given.flags = value.int,
                vtype::TIMESTAMP => given.timestamp = value.long,
                vtype::HEADER => {
                    let (name, bytes, size) = value.header;
                    assembled.header(name, bytes, size)?;
                }
                vtype::HEADERS => assembled.headers(value.pointer.cast())?,
                other => return Err(unsupported(other)),
            }
        }
    }
    Ok(assembled)
}

/// Gives records up that are not done: those that wait, those that are in flight, as the flags say. They are reported as failed.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_purge(rk: *mut Kafka, purge_flags: c_int) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for `rk`.
        let Some(rk) = (unsafe { rk.as_ref() }) else { return RespErr::INVALID_ARG };
        let Some(side) = &rk.producer else { return RespErr::NOT_IMPLEMENTED };
        if purge_flags & !(PURGE_QUEUE | PURGE_INFLIGHT | PURGE_NON_BLOCKING) != 0 {
            return RespErr::INVALID_ARG;
        }
        if rk.is_forked() {
            return RespErr::STATE;
        }
        let (waiting, in_flight) = (purge_flags & PURGE_QUEUE != 0, purge_flags & PURGE_INFLIGHT != 0);
        if purge_flags & PURGE_NON_BLOCKING != 0 {
            side.start_purge(waiting, in_flight);
        } else if waiting || in_flight {
            side.purge(waiting, in_flight);
        }
        RespErr::NO_ERROR
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tagged_arguments_have_librdkafkas_layout() {
        assert_eq!(size_of::<TaggedArgument>(), 72);
        assert_eq!(std::mem::offset_of!(TaggedArgument, value), 8);
        assert_eq!(Given::default().partition, crate::types::PARTITION_UA);
    }
}
