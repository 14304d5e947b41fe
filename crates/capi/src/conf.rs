//! `rd_kafka_conf_*`: properties by name, and what is set by calls of its own.

use std::ffi::{c_char, c_int, c_void};

use felice::config::{Kind, find_property};
use felice::{Defaults, Properties};

use crate::boundary::{guard, text, write_text};
use crate::handle::Kafka;
use crate::types::Message;

/// `rd_kafka_conf_res_t`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfRes(pub c_int);

impl ConfRes {
    /// There is no such property.
    pub const UNKNOWN: Self = Self(-2);
    /// The value does not fit.
    pub const INVALID: Self = Self(-1);
    /// Done.
    pub const OK: Self = Self(0);
}

/// Called for each record whose fate is known.
pub type DrMsgCb = unsafe extern "C" fn(rk: *mut Kafka, message: *const Message, opaque: *mut c_void);
/// Called for each consumed message, by `rd_kafka_poll`.
pub type ConsumeCb = unsafe extern "C" fn(message: *mut Message, opaque: *mut c_void);
/// Called for an error of the handle.
pub type ErrorCb = unsafe extern "C" fn(rk: *mut Kafka, err: c_int, reason: *const c_char, opaque: *mut c_void);
/// Called with statistics; answers 1 where the program keeps and frees the text.
pub type StatsCb = unsafe extern "C" fn(rk: *mut Kafka, json: *mut c_char, len: usize, opaque: *mut c_void) -> c_int;
/// Called with a line of the log.
pub type LogCb = unsafe extern "C" fn(rk: *const Kafka, level: c_int, fac: *const c_char, buf: *const c_char);

/// The functions that a program wants called.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_field_names, reason = "librdkafka's names")]
pub(crate) struct Callbacks {
    pub(crate) dr_msg_cb: Option<DrMsgCb>,
    pub(crate) consume_cb: Option<ConsumeCb>,
    pub(crate) error_cb: Option<ErrorCb>,
    pub(crate) stats_cb: Option<StatsCb>,
    pub(crate) log_cb: Option<LogCb>,
}

/// `rd_kafka_conf_t`.
#[derive(Clone, Debug)]
pub struct Conf {
    pub(crate) properties: Properties,
    pub(crate) callbacks: Callbacks,
    pub(crate) enabled_events: c_int,
    pub(crate) opaque: *mut c_void,
}

// SAFETY: the pointers in it are the program's, which asked to be called with them from other threads; nothing here looks behind them.
unsafe impl Send for Conf {}
// SAFETY: as above.
unsafe impl Sync for Conf {}

impl Conf {
    pub(crate) fn new() -> Self {
        Self {
            properties: Properties::with_defaults(Defaults::Librdkafka),
            callbacks: Callbacks::default(),
            enabled_events: 0,
            opaque: std::ptr::null_mut(),
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), (ConfRes, String)> {
        let Some(property) = find_property(name) else {
            return Err((ConfRes::UNKNOWN, format!("No such configuration property: \"{name}\"")));
        };
        // librdkafka takes more spellings of yes and no than Java.
        let value = match property.kind {
            Kind::Bool => match value.to_ascii_lowercase().as_str() {
                "t" | "true" | "1" => "true",
                "f" | "false" | "0" => "false",
                _ => value,
            },
            _ => value,
        };
        self.properties.set(name, value).map_err(|error| {
            (ConfRes::INVALID, format!("Invalid value for configuration property \"{name}\": {}", error.message()))
        })
    }
}

/// A configuration with librdkafka's defaults.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_conf_new() -> *mut Conf {
    guard(std::ptr::null_mut(), || Box::into_raw(Box::new(Conf::new())))
}

/// Frees a configuration that no `rd_kafka_new` took.
///
/// # Safety
/// `conf` is NULL or came from [`rd_kafka_conf_new`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_destroy(conf: *mut Conf) {
    guard((), || {
        if !conf.is_null() {
            // SAFETY: the caller vouches that this is the last use of what `Box::into_raw` gave.
            drop(unsafe { Box::from_raw(conf) });
        }
    });
}

/// A copy of a configuration.
///
/// # Safety
/// `conf` is NULL or came from [`rd_kafka_conf_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_dup(conf: *const Conf) -> *mut Conf {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `conf`.
        let conf = unsafe { conf.as_ref() };
        conf.map_or(std::ptr::null_mut(), |conf| Box::into_raw(Box::new(conf.clone())))
    })
}

/// Sets a property; where that fails, `errstr` says why.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`], `name` and `value` end in a NUL byte or are NULL, `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_set(
    conf: *mut Conf,
    name: *const c_char,
    value: *const c_char,
    errstr: *mut c_char,
    errstr_size: usize,
) -> ConfRes {
    guard(ConfRes::INVALID, || {
        // SAFETY: the caller vouches for all three.
        let (conf, name, value) = unsafe { (conf.as_mut(), text(name), text(value)) };
        let result = match (conf, name, value) {
            (Some(conf), Some(name), Some(value)) => conf.set(name, value),
            (None, _, _) => Err((ConfRes::INVALID, "conf is NULL".to_owned())),
            (Some(_), None, _) => Err((ConfRes::UNKNOWN, "the name is NULL or not UTF-8".to_owned())),
            (Some(_), Some(name), None) => Err((
                ConfRes::INVALID,
                format!("Invalid value for configuration property \"{name}\": it is NULL or not UTF-8"),
            )),
        };
        match result {
            Ok(()) => ConfRes::OK,
            Err((code, message)) => {
                // SAFETY: the caller vouches for the buffer.
                unsafe { write_text(errstr, errstr_size, &message) };
                code
            }
        }
    })
}

/// Reads a property: its size with the NUL byte goes to `dest_size`, its text to `dest` where that is not NULL.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`], `name` ends in a NUL byte, `dest` has `*dest_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_get(
    conf: *const Conf,
    name: *const c_char,
    dest: *mut c_char,
    dest_size: *mut usize,
) -> ConfRes {
    guard(ConfRes::INVALID, || {
        // SAFETY: the caller vouches for all three.
        let (conf, name, size) = unsafe { (conf.as_ref(), text(name), dest_size.as_mut()) };
        let (Some(conf), Some(name), Some(size)) = (conf, name, size) else { return ConfRes::INVALID };
        if find_property(name).is_none() {
            return ConfRes::UNKNOWN;
        }
        let value = conf.properties.value(name).unwrap_or_default();
        // SAFETY: the caller vouches for the buffer.
        unsafe { write_text(dest, *size, value) };
        *size = value.len() + 1;
        ConfRes::OK
    })
}

/// Has `dr_msg_cb` called, from `rd_kafka_poll` and `rd_kafka_flush`, for each record whose fate is known.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_set_dr_msg_cb(conf: *mut Conf, dr_msg_cb: Option<DrMsgCb>) {
    guard((), || {
        // SAFETY: the caller vouches for `conf`.
        if let Some(conf) = unsafe { conf.as_mut() } {
            conf.callbacks.dr_msg_cb = dr_msg_cb;
        }
    });
}

/// The pointer that callbacks are given.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_set_opaque(conf: *mut Conf, opaque: *mut c_void) {
    guard((), || {
        // SAFETY: the caller vouches for `conf`.
        if let Some(conf) = unsafe { conf.as_mut() } {
            conf.opaque = opaque;
        }
    });
}
