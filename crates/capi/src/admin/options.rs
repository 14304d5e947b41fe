//! `rd_kafka_AdminOptions_t`: how a request is made.

use std::ffi::{c_char, c_int, c_void};
use std::time::Duration;

use crate::admin::{destroyers, names};
use crate::boundary::{guard, write_text};
use crate::errors::object::ErrorObject;
use crate::handle::Kafka;
use crate::types::RespErr;

/// The numbers of `rd_kafka_admin_op_t` that options look at.
mod api {
    use std::ffi::c_int;

    pub(super) const ANY: c_int = 0;
    pub(super) const CREATE_TOPICS: c_int = 1;
    pub(super) const DELETE_TOPICS: c_int = 2;
    pub(super) const CREATE_PARTITIONS: c_int = 3;
    pub(super) const ALTER_CONFIGS: c_int = 4;
    pub(super) const DELETE_RECORDS: c_int = 6;
    pub(super) const LIST_CONSUMER_GROUPS: c_int = 12;
    pub(super) const DESCRIBE_CONSUMER_GROUPS: c_int = 13;
    pub(super) const LIST_CONSUMER_GROUP_OFFSETS: c_int = 14;
    pub(super) const INCREMENTAL_ALTER_CONFIGS: c_int = 16;
    pub(super) const DESCRIBE_TOPICS: c_int = 19;
    pub(super) const DESCRIBE_CLUSTER: c_int = 20;
    pub(super) const LIST_OFFSETS: c_int = 21;
    pub(super) const ELECT_LEADERS: c_int = 22;
    pub(super) const COUNT: c_int = 23;
}

/// The longest timeout, in milliseconds.
const HOUR: c_int = 3_600_000;

/// What options say, without what is C's.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// In milliseconds.
    request_timeout: c_int,
    /// In milliseconds; −1 to 0 is: do not wait.
    pub(crate) operation_timeout: c_int,
    pub(crate) validate_only: bool,
    pub(crate) broker: Option<i32>,
    pub(crate) require_stable_offsets: bool,
    pub(crate) authorized_operations: bool,
    /// Names.
    pub(crate) group_states: Vec<String>,
    /// Names.
    pub(crate) group_types: Vec<String>,
    pub(crate) isolation_level: i8,
}

impl Settings {
    fn new(kafka: &Kafka) -> Self {
        let timeout = c_int::try_from(kafka.conf.int("socket.timeout.ms")).unwrap_or(60_000);
        Self {
            request_timeout: timeout,
            operation_timeout: timeout,
            validate_only: false,
            broker: None,
            require_stable_offsets: false,
            authorized_operations: false,
            group_states: Vec::new(),
            group_types: Vec::new(),
            isolation_level: 0,
        }
    }

    /// How long a request may take in all.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.request_timeout).unwrap_or(0))
    }
}

/// `rd_kafka_AdminOptions_t`.
#[derive(Debug)]
pub struct AdminOptions {
    api: c_int,
    settings: Settings,
    opaque: *mut c_void,
}

impl AdminOptions {
    /// What options say, and the program's pointer; NULL says nothing.
    ///
    /// # Safety
    /// `options` is NULL or came from [`rd_kafka_AdminOptions_new`].
    pub(crate) unsafe fn read(options: *const Self, kafka: &Kafka) -> (Settings, *mut c_void) {
        // SAFETY: the caller vouches for it.
        match unsafe { options.as_ref() } {
            Some(options) => (options.settings.clone(), options.opaque),
            None => (Settings::new(kafka), std::ptr::null_mut()),
        }
    }

    fn check(&self, name: &str, apis: &[c_int]) -> Result<(), String> {
        if self.api == api::ANY || apis.contains(&self.api) {
            return Ok(());
        }
        Err(format!("\"{name}\" is not supported for this operation"))
    }
}

fn in_range(name: &str, value: c_int, min: c_int, max: c_int) -> Result<c_int, String> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(format!("Invalid value type for \"{name}\": expecting integer in range {min}..{max}"))
}

/// Options for a request, or for any (0); NULL where there is no such request.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AdminOptions_new(rk: *mut Kafka, for_api: c_int) -> *mut AdminOptions {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        match unsafe { rk.as_ref() } {
            Some(kafka) if (0..api::COUNT).contains(&for_api) => Box::into_raw(Box::new(AdminOptions {
                api: for_api,
                settings: Settings::new(kafka),
                opaque: std::ptr::null_mut(),
            })),
            Some(_) | None => std::ptr::null_mut(),
        }
    })
}

destroyers! { AdminOptions: rd_kafka_AdminOptions_destroy; }

/// Runs a setter that tells by code and text.
///
/// # Safety
/// `options` came from [`rd_kafka_AdminOptions_new`]; `errstr` has `errstr_size` bytes or is NULL.
unsafe fn set(
    options: *mut AdminOptions,
    errstr: *mut c_char,
    errstr_size: usize,
    set: impl FnOnce(&mut AdminOptions) -> Result<(), String>,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let Some(options) = (unsafe { options.as_mut() }) else { return RespErr::INVALID_ARG };
        match set(options) {
            Ok(()) => RespErr::NO_ERROR,
            Err(text) => {
                // SAFETY: as above.
                unsafe { write_text(errstr, errstr_size, &text) };
                RespErr::INVALID_ARG
            }
        }
    })
}

/// Runs a setter that tells by an error object.
///
/// # Safety
/// `options` came from [`rd_kafka_AdminOptions_new`].
unsafe fn try_set(
    options: *mut AdminOptions,
    set: impl FnOnce(&mut AdminOptions) -> Result<(), String>,
) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        let outcome = match unsafe { options.as_mut() } {
            Some(options) => set(options),
            None => Err("Options are required".to_owned()),
        };
        match outcome {
            Ok(()) => std::ptr::null_mut(),
            Err(text) => ErrorObject::new(RespErr::INVALID_ARG, text).give(),
        }
    })
}

/// How long the request may take in all, in milliseconds; `socket.timeout.ms` unless told.
///
/// # Safety
/// `options` came from [`rd_kafka_AdminOptions_new`]; `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AdminOptions_set_request_timeout(
    options: *mut AdminOptions,
    timeout_ms: c_int,
    errstr: *mut c_char,
    errstr_size: usize,
) -> RespErr {
    // SAFETY: the same promises.
    unsafe {
        set(options, errstr, errstr_size, |options| {
            options.settings.request_timeout = in_range("request_timeout", timeout_ms, 0, HOUR)?;
            Ok(())
        })
    }
}

/// How long the broker may wait until what was asked for is done, in milliseconds; with 0 or less it only begins.
///
/// # Safety
/// As for [`rd_kafka_AdminOptions_set_request_timeout`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AdminOptions_set_operation_timeout(
    options: *mut AdminOptions,
    timeout_ms: c_int,
    errstr: *mut c_char,
    errstr_size: usize,
) -> RespErr {
    const APIS: &[c_int] = &[
        api::CREATE_TOPICS,
        api::DELETE_TOPICS,
        api::CREATE_PARTITIONS,
        api::DELETE_RECORDS,
        api::LIST_OFFSETS,
        api::ELECT_LEADERS,
    ];
    // SAFETY: the same promises.
    unsafe {
        set(options, errstr, errstr_size, |options| {
            options.check("operation_timeout", APIS)?;
            options.settings.operation_timeout = in_range("operation_timeout", timeout_ms, -1, HOUR)?;
            Ok(())
        })
    }
}

/// Whether the broker only checks the request.
///
/// # Safety
/// As for [`rd_kafka_AdminOptions_set_request_timeout`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AdminOptions_set_validate_only(
    options: *mut AdminOptions,
    true_or_false: c_int,
    errstr: *mut c_char,
    errstr_size: usize,
) -> RespErr {
    const APIS: &[c_int] =
        &[api::CREATE_TOPICS, api::CREATE_PARTITIONS, api::ALTER_CONFIGS, api::INCREMENTAL_ALTER_CONFIGS];
    // SAFETY: the same promises.
    unsafe {
        set(options, errstr, errstr_size, |options| {
            options.check("validate_only", APIS)?;
            options.settings.validate_only = in_range("validate_only", true_or_false, 0, 1)? == 1;
            Ok(())
        })
    }
}

/// Which broker is asked, instead of the controller.
///
/// # Safety
/// As for [`rd_kafka_AdminOptions_set_request_timeout`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AdminOptions_set_broker(
    options: *mut AdminOptions,
    broker_id: i32,
    errstr: *mut c_char,
    errstr_size: usize,
) -> RespErr {
    // SAFETY: the same promises.
    unsafe {
        set(options, errstr, errstr_size, |options| {
            options.settings.broker = Some(in_range("broker", broker_id, 0, i32::MAX)?);
            Ok(())
        })
    }
}

/// Whether offsets of open transactions are waited for.
///
/// # Safety
/// `options` came from [`rd_kafka_AdminOptions_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AdminOptions_set_require_stable_offsets(
    options: *mut AdminOptions,
    true_or_false: c_int,
) -> *mut ErrorObject {
    // SAFETY: the same promises.
    unsafe {
        try_set(options, |options| {
            options.check("require_stable_offsets", &[api::LIST_CONSUMER_GROUP_OFFSETS])?;
            options.settings.require_stable_offsets = in_range("require_stable_offsets", true_or_false, 0, 1)? == 1;
            Ok(())
        })
    }
}

/// Whether the answer says what the program may do.
///
/// # Safety
/// `options` came from [`rd_kafka_AdminOptions_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AdminOptions_set_include_authorized_operations(
    options: *mut AdminOptions,
    true_or_false: c_int,
) -> *mut ErrorObject {
    const APIS: &[c_int] = &[api::DESCRIBE_CONSUMER_GROUPS, api::DESCRIBE_CLUSTER, api::DESCRIBE_TOPICS];
    // SAFETY: the same promises.
    unsafe {
        try_set(options, |options| {
            options.check("include_authorized_operations", APIS)?;
            options.settings.authorized_operations =
                in_range("include_authorized_operations", true_or_false, 0, 1)? == 1;
            Ok(())
        })
    }
}

/// Which records count: 0 all, 1 only those of transactions that are committed.
///
/// # Safety
/// `options` came from [`rd_kafka_AdminOptions_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AdminOptions_set_isolation_level(
    options: *mut AdminOptions,
    value: c_int,
) -> *mut ErrorObject {
    // SAFETY: the same promises.
    unsafe {
        try_set(options, |options| {
            options.check("isolation_level", &[api::LIST_OFFSETS])?;
            options.settings.isolation_level = i8::from(in_range("isolation_level", value, 0, 1)? == 1);
            Ok(())
        })
    }
}

/// The numbers of an array of C's.
///
/// # Safety
/// `numbers` is NULL or has `count` of them.
unsafe fn numbers(numbers: *const c_int, count: usize) -> Vec<c_int> {
    if numbers.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller vouches for so many.
    unsafe { std::slice::from_raw_parts(numbers, count) }.to_vec()
}

/// Whether a number is there twice.
fn repeats(numbers: &[c_int]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    !numbers.iter().all(|number| seen.insert(number))
}

fn named(known: &'static [&'static std::ffi::CStr], numbers: &[c_int]) -> Vec<String> {
    numbers.iter().filter_map(|number| Some(names::name(known, *number)?.to_str().ok()?.to_owned())).collect()
}

/// Only groups in these states are listed.
///
/// # Safety
/// `options` came from [`rd_kafka_AdminOptions_new`]; there are as many states as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AdminOptions_set_match_consumer_group_states(
    options: *mut AdminOptions,
    consumer_group_states: *const c_int,
    consumer_group_states_cnt: usize,
) -> *mut ErrorObject {
    // SAFETY: the same promises.
    unsafe {
        let states = numbers(consumer_group_states, consumer_group_states_cnt);
        try_set(options, |options| {
            if states.iter().any(|state| names::name(names::GROUP_STATES, *state).is_none()) {
                return Err("Invalid group state value".to_owned());
            }
            if repeats(&states) {
                return Err("Duplicate states not allowed".to_owned());
            }
            options.check("match_consumer_group_states", &[api::LIST_CONSUMER_GROUPS])?;
            options.settings.group_states = named(names::GROUP_STATES, &states);
            Ok(())
        })
    }
}

/// Only groups of these types are listed.
///
/// # Safety
/// `options` came from [`rd_kafka_AdminOptions_new`]; there are as many types as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AdminOptions_set_match_consumer_group_types(
    options: *mut AdminOptions,
    consumer_group_types: *const c_int,
    consumer_group_types_cnt: usize,
) -> *mut ErrorObject {
    // SAFETY: the same promises.
    unsafe {
        let types = numbers(consumer_group_types, consumer_group_types_cnt);
        try_set(options, |options| {
            if types.iter().any(|kind| names::name(names::GROUP_TYPES, *kind).is_none()) {
                return Err("Only a valid type is allowed".to_owned());
            }
            if types.contains(&0) {
                return Err("UNKNOWN type is not allowed".to_owned());
            }
            if repeats(&types) {
                return Err("Duplicate types not allowed".to_owned());
            }
            options.check("match_consumer_group_types", &[api::LIST_CONSUMER_GROUPS])?;
            options.settings.group_types = named(names::GROUP_TYPES, &types);
            Ok(())
        })
    }
}

/// The program's pointer, which comes with the event.
///
/// # Safety
/// `options` came from [`rd_kafka_AdminOptions_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AdminOptions_set_opaque(options: *mut AdminOptions, ev_opaque: *mut c_void) {
    guard((), || {
        // SAFETY: the caller vouches for it.
        if let Some(options) = unsafe { options.as_mut() } {
            options.opaque = ev_opaque;
        }
    });
}
