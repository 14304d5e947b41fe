//! `rd_kafka_t`: a producer or a consumer.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use felice::{Client, Error, ErrorKind};

use crate::boundary::{guard, set_last_error, write_text};
use crate::conf::Conf;
use crate::consumer::ConsumerSide;
use crate::producer::ProducerSide;
use crate::topic::Topics;
use crate::types::RespErr;
use crate::wait::Deadline;

/// `RD_KAFKA_PRODUCER` of `rd_kafka_type_t`.
const PRODUCER: c_int = 0;
/// `RD_KAFKA_CONSUMER` of `rd_kafka_type_t`.
const CONSUMER: c_int = 1;

/// `rd_kafka_t`.
#[derive(Debug)]
pub struct Kafka {
    name: CString,
    pub(crate) conf: Conf,
    pub(crate) topics: Arc<Topics>,
    pub(crate) producer: Option<Arc<ProducerSide>>,
    pub(crate) consumer: Option<Arc<ConsumerSide>>,
}

impl Kafka {
    fn new(kind: c_int, conf: Conf) -> Result<Self, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (kind_name, produces) = match kind {
            PRODUCER => ("producer", true),
            CONSUMER => ("consumer", false),
            _ => return Err(Error::new(ErrorKind::Config, format!("there is no type {kind} of handle"))),
        };
        if !produces {
            conf.properties.fetch_config()?;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        let id = conf.properties.value("client.id").unwrap_or("rdkafka");
        let name = CString::new(format!("{id}#{kind_name}-{number}")).unwrap_or_default();
        let client = Client::with_properties(conf.properties.clone()).lazy()?;
        let producer = if produces { Some(Arc::new(ProducerSide::new(&client, &conf)?)) } else { None };
        let topics = Arc::new(Topics::new(producer.clone()));
        let consumer = if produces { None } else { Some(Arc::new(ConsumerSide::new(client, topics.clone()))) };
        Ok(Self { name, conf, topics, producer, consumer })
    }
}

/// Runs `body` with all signals blocked, so that threads started in it, and those that they start, never handle one of the program's.
fn without_signals<T>(body: impl FnOnce() -> T) -> T {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are written before they are read.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = body();
    if blocked {
        // SAFETY: `before` was written by the call that succeeded.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }
    result
}

/// A producer or consumer; it takes `conf` over where it succeeds. NULL where it does not, and `errstr` says why.
///
/// # Safety
/// `conf` is NULL or came from `rd_kafka_conf_new`; `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_new(
    kind: c_int,
    conf: *mut Conf,
    errstr: *mut c_char,
    errstr_size: usize,
) -> *mut Kafka {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `conf`.
        let given = unsafe { conf.as_ref() };
        let made = without_signals(|| Kafka::new(kind, given.cloned().unwrap_or_else(Conf::new)));
        match made {
            Ok(kafka) => {
                if !conf.is_null() {
                    // SAFETY: it came from `Box::into_raw`, and the program may not use it after this call's success.
                    drop(unsafe { Box::from_raw(conf) });
                }
                Box::into_raw(Box::new(kafka))
            }
            Err(error) => {
                // SAFETY: the caller vouches for the buffer.
                unsafe { write_text(errstr, errstr_size, &error.to_string()) };
                set_last_error(RespErr::of(&error), libc::EINVAL);
                std::ptr::null_mut()
            }
        }
    })
}

/// Ends a handle. What a producer has not delivered is dropped: `rd_kafka_flush` comes before.
///
/// # Safety
/// `rk` is NULL or came from [`rd_kafka_new`]; neither it nor anything made from it, but topics to be destroyed, is used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_destroy(rk: *mut Kafka) {
    guard((), || {
        if rk.is_null() {
            return;
        }
        // SAFETY: the caller vouches that this is the last use of what `Box::into_raw` gave.
        let kafka = unsafe { Box::from_raw(rk) };
        if let Some(consumer) = &kafka.consumer {
            consumer.close();
        }
        if let Some(producer) = &kafka.producer {
            producer.end();
        }
    });
}

/// The handle's name, valid as long as the handle.
///
/// # Safety
/// `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_name(rk: *const Kafka) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for `rk`.
        unsafe { rk.as_ref() }.map_or(std::ptr::null(), |rk| rk.name.as_ptr())
    })
}

/// The pointer set by `rd_kafka_conf_set_opaque`.
///
/// # Safety
/// `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_opaque(rk: *const Kafka) -> *mut c_void {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        unsafe { rk.as_ref() }.map_or(std::ptr::null_mut(), |rk| rk.conf.opaque)
    })
}

/// Calls back for what has happened; waits for it until the time is up. Returns how many calls were made.
///
/// # Safety
/// `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_poll(rk: *mut Kafka, timeout_ms: c_int) -> c_int {
    guard(0, || {
        // SAFETY: the caller vouches for `rk`.
        let Some(handle) = (unsafe { rk.as_ref() }) else { return 0 };
        let Some(producer) = &handle.producer else {
            // A consumer has no callbacks yet; its time passes all the same.
            let deadline = Deadline::after(timeout_ms);
            while let Some(left) = deadline.left() {
                std::thread::sleep(left);
            }
            return 0;
        };
        c_int::try_from(producer.serve(rk, handle, Deadline::after(timeout_ms))).unwrap_or(c_int::MAX)
    })
}

/// Waits until everything handed over before is delivered or has failed, calling back for it; `__TIMED_OUT` where the time was up before.
///
/// # Safety
/// `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_flush(rk: *mut Kafka, timeout_ms: c_int) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for `rk`.
        let Some(handle) = (unsafe { rk.as_ref() }) else { return RespErr::INVALID_ARG };
        let Some(producer) = &handle.producer else { return RespErr::NOT_IMPLEMENTED };
        if producer.flush(rk, handle, Deadline::after(timeout_ms)) { RespErr::NO_ERROR } else { RespErr::TIMED_OUT }
    })
}

/// How many records are not delivered, or delivered and not reported.
///
/// # Safety
/// `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_outq_len(rk: *mut Kafka) -> c_int {
    guard(0, || {
        // SAFETY: the caller vouches for `rk`.
        let producer = unsafe { rk.as_ref() }.and_then(|rk| rk.producer.as_ref());
        producer.map_or(0, |producer| c_int::try_from(producer.in_queue()).unwrap_or(c_int::MAX))
    })
}

/// librdkafka's version whose interface this is, as its header writes it.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_version() -> c_int {
    0x020f_00ff
}

/// The same as text.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_version_str() -> *const c_char {
    c"2.15.0".as_ptr()
}
