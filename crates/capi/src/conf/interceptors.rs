//! Interceptors: functions of plugins or programs at fixed points of a handle's life.
//!
//! A configuration holds them; those of configurations ([`OnConfSet`], [`OnConfDup`], [`OnConfDestroy`]) are called here, the others by whoever
//! owns the moment, through the methods of [`Interceptors`]. A method gives back librdkafka's log line for each function that failed (facility
//! `ICFAIL`, level 4); the way goes on. No lock is held during a call, so an interceptor may register others.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Conf, ConfRes};
use crate::boundary::guard;
use crate::handle::Kafka;
use crate::types::{Message, RespErr, TopicPartitionList};

/// Called when a property is set; `UNKNOWN` where it is not the interceptor's.
pub type OnConfSet =
    unsafe extern "C" fn(*mut Conf, *const c_char, *const c_char, *mut c_char, usize, *mut c_void) -> ConfRes;
/// Called when a configuration was copied, before its properties are: new, old, filter and its length.
pub type OnConfDup = unsafe extern "C" fn(*mut Conf, *const Conf, usize, *const *const c_char, *mut c_void) -> RespErr;
/// Called when a configuration goes.
pub type OnConfDestroy = unsafe extern "C" fn(*mut c_void) -> RespErr;
/// Called for a new handle.
pub type OnNew = unsafe extern "C" fn(*mut Kafka, *const Conf, *mut c_void, *mut c_char, usize) -> RespErr;
/// Called when a handle goes.
pub type OnDestroy = unsafe extern "C" fn(*mut Kafka, *mut c_void) -> RespErr;
/// Called with a message: before it is sent, when its fate is known, when it is consumed.
pub type OnMessage = unsafe extern "C" fn(*mut Kafka, *mut Message, *mut c_void) -> RespErr;
/// Called when offsets were committed.
pub type OnCommit = unsafe extern "C" fn(*mut Kafka, *const TopicPartitionList, RespErr, *mut c_void) -> RespErr;
/// Called when a request has left: socket, broker's name and id, API key and version, correlation id, size.
pub type OnRequestSent =
    unsafe extern "C" fn(*mut Kafka, c_int, *const c_char, i32, i16, i16, i32, usize, *mut c_void) -> RespErr;
/// Called when an answer has come: as for requests, then its round-trip time in microseconds or −1, and an error.
pub type OnResponseReceived = unsafe extern "C" fn(
    *mut Kafka,
    c_int,
    *const c_char,
    i32,
    i16,
    i16,
    i32,
    usize,
    i64,
    RespErr,
    *mut c_void,
) -> RespErr;
/// Called on a new thread of the library's, or on one that ends: kind and name.
pub type OnThread = unsafe extern "C" fn(*mut Kafka, c_int, *const c_char, *mut c_void) -> RespErr;
/// Called when a broker's state changes: id, protocol, name, port, state.
pub type OnBrokerStateChange =
    unsafe extern "C" fn(*mut Kafka, i32, *const c_char, *const c_char, c_int, *const c_char, *mut c_void) -> RespErr;

/// `rd_kafka_thread_type_t`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadType(pub c_int);

impl ThreadType {
    /// The main thread of a handle.
    pub const MAIN: Self = Self(0);
    /// The thread of background events.
    pub const BACKGROUND: Self = Self(1);
    /// The thread of a broker.
    pub const BROKER: Self = Self(2);
}

/// One interceptor's function at one point.
#[derive(Debug)]
pub(super) struct Method<F> {
    name: CString,
    pub(super) call: F,
    pub(super) opaque: *mut c_void,
}

impl<F: Copy> Clone for Method<F> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), call: self.call, opaque: self.opaque }
    }
}

// SAFETY: functions and the program's pointers, which this library only hands back.
unsafe impl<F> Send for Method<F> {}
// SAFETY: as above.
unsafe impl<F> Sync for Method<F> {}

/// The functions at one point, in the order of their registration.
#[derive(Debug)]
pub(super) struct Methods<F> {
    any: AtomicBool,
    methods: RwLock<Arc<[Method<F>]>>,
}

impl<F> Default for Methods<F> {
    fn default() -> Self {
        Self { any: AtomicBool::new(false), methods: RwLock::new(Arc::new([])) }
    }
}

impl<F: Copy> Methods<F> {
    /// Adds a function; `false` where `unique` and the interceptor of this name has it already.
    fn add(&self, name: &CStr, call: F, address: impl Fn(F) -> usize, opaque: *mut c_void, unique: bool) -> bool {
        let mut methods = self.methods.write().unwrap_or_else(PoisonError::into_inner);
        if unique && methods.iter().any(|known| known.name.as_c_str() == name && address(known.call) == address(call)) {
            return false;
        }
        let method = Method { name: name.to_owned(), call, opaque };
        *methods = methods.iter().cloned().chain([method]).collect();
        self.any.store(true, Ordering::Release);
        true
    }

    #[inline]
    fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    pub(super) fn all(&self) -> Arc<[Method<F>]> {
        self.methods.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls each, with no lock held; the log lines of those that failed.
    #[inline]
    fn each(&self, point: &str, subject: &str, call: impl Fn(F, *mut c_void) -> RespErr) -> Vec<String> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut failures = Vec::new();
        for method in self.all().iter() {
            let error = call(method.call, method.opaque);
            if error != RespErr::NO_ERROR {
                let name = method.name.to_string_lossy();
                failures.push(format!("Interceptor {name} failed {point}{subject}: {}", error.text()));
            }
        }
        failures
    }
}

/// All interceptors of one configuration.
#[derive(Debug, Default)]
pub struct Interceptors {
    pub(super) on_conf_set: Methods<OnConfSet>,
    pub(super) on_conf_dup: Methods<OnConfDup>,
    pub(super) on_conf_destroy: Methods<OnConfDestroy>,
    on_new: Methods<OnNew>,
    on_destroy: Methods<OnDestroy>,
    on_send: Methods<OnMessage>,
    on_acknowledgement: Methods<OnMessage>,
    on_consume: Methods<OnMessage>,
    on_commit: Methods<OnCommit>,
    on_request_sent: Methods<OnRequestSent>,
    on_response_received: Methods<OnResponseReceived>,
    on_thread_start: Methods<OnThread>,
    on_thread_exit: Methods<OnThread>,
    on_broker_state_change: Methods<OnBrokerStateChange>,
}

/// What a request's or an answer's interceptors hear of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange<'a> {
    /// Its descriptor, −1 where there is none.
    pub(crate) socket: c_int,
    /// The broker's name.
    pub(crate) broker: &'a CStr,
    /// Its id, −1 where it is not known.
    pub(crate) broker_id: i32,
    /// The request's kind.
    pub(crate) api_key: i16,
    /// The version spoken.
    pub(crate) api_version: i16,
    /// Its number on the connection.
    pub(crate) correlation_id: i32,
    /// Bytes with the length in front.
    pub(crate) size: usize,
}

impl Interceptors {
    /// Whether there are interceptors of new handles, which may add others to them.
    pub(crate) fn has_new(&self) -> bool {
        !self.on_new.is_empty()
    }

    /// Whether nobody wants to see messages before they are sent.
    #[inline]
    pub(crate) fn sends_unseen(&self) -> bool {
        self.on_send.is_empty()
    }

    /// Whether nobody wants to see messages whose fate is known.
    #[inline]
    pub(crate) fn acknowledgements_unseen(&self) -> bool {
        self.on_acknowledgement.is_empty()
    }

    /// Whether nobody wants to see consumed messages.
    #[inline]
    pub(crate) fn consumes_unseen(&self) -> bool {
        self.on_consume.is_empty()
    }

    /// Whether nobody wants to hear of commits.
    pub(crate) fn commits_unseen(&self) -> bool {
        self.on_commit.is_empty()
    }

    /// Whether nobody wants to see requests or answers.
    #[inline]
    pub(crate) fn requests_unseen(&self) -> bool {
        self.on_request_sent.is_empty() && self.on_response_received.is_empty()
    }

    /// A handle is there: called on the thread of `rd_kafka_new`, before any other, with the handle's own configuration.
    pub(crate) fn on_new(&self, rk: *mut Kafka, conf: *const Conf) -> Vec<String> {
        let text = std::cell::RefCell::new([0 as c_char; 512]);
        self.on_new.each("on_new", "", |call, opaque| {
            let mut text = text.borrow_mut();
            // SAFETY: the program's own function with the arguments that it was promised.
            unsafe { call(rk, conf, opaque, text.as_mut_ptr(), text.len()) }
        })
    }

    /// A handle goes: called on the thread of `rd_kafka_destroy`.
    pub(crate) fn on_destroy(&self, rk: *mut Kafka) -> Vec<String> {
        // SAFETY: the program's own function with the arguments that it was promised.
        self.on_destroy.each("on_destroy", "", |call, opaque| unsafe { call(rk, opaque) })
    }

    /// A message was handed over and has its partition if the program gave one.
    pub(crate) fn on_send(&self, rk: *mut Kafka, message: *mut Message) -> Vec<String> {
        // SAFETY: the program's own function with the arguments that it was promised.
        self.on_send.each("on_send", " for message", |call, opaque| unsafe { call(rk, message, opaque) })
    }

    /// A message's fate is known.
    pub(crate) fn on_acknowledgement(&self, rk: *mut Kafka, message: *mut Message) -> Vec<String> {
        let each = &self.on_acknowledgement;
        // SAFETY: the program's own function with the arguments that it was promised.
        each.each("on_acknowledgement", " for message", |call, opaque| unsafe { call(rk, message, opaque) })
    }

    /// A message is about to be given to the program.
    pub(crate) fn on_consume(&self, rk: *mut Kafka, message: *mut Message) -> Vec<String> {
        // SAFETY: the program's own function with the arguments that it was promised.
        self.on_consume.each("on_consume", " for message", |call, opaque| unsafe { call(rk, message, opaque) })
    }

    /// Offsets were committed, or that failed.
    pub(crate) fn on_commit(&self, rk: *mut Kafka, offsets: *const TopicPartitionList, error: RespErr) -> Vec<String> {
        // SAFETY: the program's own function with the arguments that it was promised.
        self.on_commit.each("on_commit", "", |call, opaque| unsafe { call(rk, offsets, error, opaque) })
    }

    /// A request has left.
    pub(crate) fn on_request_sent(&self, rk: *mut Kafka, sent: Exchange<'_>) -> Vec<String> {
        // SAFETY: the program's own function with the arguments that it was promised.
        self.on_request_sent.each("on_request_sent", "", |call, opaque| unsafe {
            let Exchange { socket, broker, broker_id, api_key, api_version, correlation_id, size } = sent;
            call(rk, socket, broker.as_ptr(), broker_id, api_key, api_version, correlation_id, size, opaque)
        })
    }

    /// An answer has come; `rtt` in microseconds, −1 where it is not known.
    pub(crate) fn on_response_received(
        &self,
        rk: *mut Kafka,
        received: Exchange<'_>,
        rtt: i64,
        error: RespErr,
    ) -> Vec<String> {
        // SAFETY: the program's own function with the arguments that it was promised.
        self.on_response_received.each("on_response_received", "", |call, opaque| unsafe {
            let Exchange { socket, broker, broker_id, api_key, api_version, correlation_id, size } = received;
            let broker = broker.as_ptr();
            call(rk, socket, broker, broker_id, api_key, api_version, correlation_id, size, rtt, error, opaque)
        })
    }

    /// A thread begins: called on it.
    pub(crate) fn on_thread_start(&self, rk: *mut Kafka, kind: ThreadType, name: &CStr) -> Vec<String> {
        // SAFETY: the program's own function with the arguments that it was promised.
        self.on_thread_start
            .each("on_thread_start", "", |call, opaque| unsafe { call(rk, kind.0, name.as_ptr(), opaque) })
    }

    /// A thread ends: called on it.
    pub(crate) fn on_thread_exit(&self, rk: *mut Kafka, kind: ThreadType, name: &CStr) -> Vec<String> {
        // SAFETY: the program's own function with the arguments that it was promised.
        self.on_thread_exit
            .each("on_thread_exit", "", |call, opaque| unsafe { call(rk, kind.0, name.as_ptr(), opaque) })
    }

    /// A broker's state has changed.
    pub(crate) fn on_broker_state_change(
        &self,
        rk: *mut Kafka,
        broker_id: i32,
        [protocol, name, state]: [&CStr; 3],
        port: c_int,
    ) -> Vec<String> {
        // SAFETY: the program's own function with the arguments that it was promised.
        self.on_broker_state_change.each("on_broker_state_change", "", |call, opaque| unsafe {
            call(rk, broker_id, protocol.as_ptr(), name.as_ptr(), port, state.as_ptr(), opaque)
        })
    }
}

/// Registers a function; `__INVALID_ARG` where something is NULL, `__CONFLICT` where it is registered already.
///
/// # Safety
/// `name` is NULL or ends in a NUL byte.
unsafe fn register<F: Copy>(
    interceptors: Option<&Interceptors>,
    list: impl Fn(&Interceptors) -> &Methods<F>,
    name: *const c_char,
    function: Option<F>,
    address: impl Fn(F) -> usize,
    (opaque, unique): (*mut c_void, bool),
) -> RespErr {
    let (Some(interceptors), Some(function), false) = (interceptors, function, name.is_null()) else {
        return RespErr::INVALID_ARG;
    };
    // SAFETY: not NULL, and the caller vouches for the NUL byte.
    let name = unsafe { CStr::from_ptr(name) };
    if list(interceptors).add(name, function, address, opaque, unique) { RespErr::NO_ERROR } else { RespErr::CONFLICT }
}

macro_rules! registrations {
    ($($(#[$doc:meta])* $function:ident($holder:ident): $list:ident, $type:ty, $unique:literal;)*) => {
        $(
            $(#[$doc])*
            /// `ic_name` names the interceptor, `ic_opaque` is handed back. `__CONFLICT` where it is registered already.
            ///
            /// # Safety
            /// The first argument came from this library, `ic_name` ends in a NUL byte, and the function may be called as its type says.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $function(
                holder: *mut $holder,
                ic_name: *const c_char,
                function: Option<$type>,
                ic_opaque: *mut c_void,
            ) -> RespErr {
                guard(RespErr::FAIL, || {
                    // SAFETY: the caller vouches for the object and the name.
                    unsafe {
                        let interceptors = holder.as_ref().map(Holder::interceptors);
                        let address = |function: $type| function as usize;
                        register(interceptors, |all| &all.$list, ic_name, function, address, (ic_opaque, $unique))
                    }
                })
            }
        )*
    };
}

/// What keeps interceptors.
trait Holder {
    fn interceptors(&self) -> &Interceptors;
}

impl Holder for Conf {
    fn interceptors(&self) -> &Interceptors {
        &self.interceptors
    }
}

impl Holder for Kafka {
    fn interceptors(&self) -> &Interceptors {
        &self.conf.interceptors
    }
}

registrations! {
    /// Has `function` called when a property is set.
    rd_kafka_conf_interceptor_add_on_conf_set(Conf): on_conf_set, OnConfSet, true;
    /// Has `function` called when the configuration is copied.
    rd_kafka_conf_interceptor_add_on_conf_dup(Conf): on_conf_dup, OnConfDup, true;
    /// Has `function` called when the configuration goes.
    rd_kafka_conf_interceptor_add_on_conf_destroy(Conf): on_conf_destroy, OnConfDestroy, false;
    /// Has `function` called for the new handle.
    rd_kafka_conf_interceptor_add_on_new(Conf): on_new, OnNew, true;
    /// Has `function` called when the handle goes.
    rd_kafka_interceptor_add_on_destroy(Kafka): on_destroy, OnDestroy, true;
    /// Has `function` called with each message that is handed over.
    rd_kafka_interceptor_add_on_send(Kafka): on_send, OnMessage, true;
    /// Has `function` called with each message whose fate is known.
    rd_kafka_interceptor_add_on_acknowledgement(Kafka): on_acknowledgement, OnMessage, true;
    /// Has `function` called with each message that is consumed.
    rd_kafka_interceptor_add_on_consume(Kafka): on_consume, OnMessage, true;
    /// Has `function` called when offsets were committed.
    rd_kafka_interceptor_add_on_commit(Kafka): on_commit, OnCommit, true;
    /// Has `function` called when a request has left.
    rd_kafka_interceptor_add_on_request_sent(Kafka): on_request_sent, OnRequestSent, true;
    /// Has `function` called when an answer has come.
    rd_kafka_interceptor_add_on_response_received(Kafka): on_response_received, OnResponseReceived, true;
    /// Has `function` called on each thread that begins.
    rd_kafka_interceptor_add_on_thread_start(Kafka): on_thread_start, OnThread, true;
    /// Has `function` called on each thread that ends.
    rd_kafka_interceptor_add_on_thread_exit(Kafka): on_thread_exit, OnThread, true;
    /// Has `function` called when a broker's state changes.
    rd_kafka_interceptor_add_on_broker_state_change(Kafka): on_broker_state_change, OnBrokerStateChange, true;
}
