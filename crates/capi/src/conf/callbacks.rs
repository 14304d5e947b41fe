//! The functions that a program has called back, and `rd_kafka_conf_set_*_cb`.

use std::ffi::{c_char, c_int, c_void};

use super::{Conf, ConfRes, TopicConf};
use crate::boundary::guard;
use crate::handle::Kafka;
use crate::topic::Topic;
use crate::types::{Message, RespErr, TopicPartitionList};

/// Called for each record whose fate is known.
pub type DrMsgCb = unsafe extern "C" fn(rk: *mut Kafka, message: *const Message, opaque: *mut c_void);
/// The same in its first form: payload, length, error, opaque, the record's opaque.
pub type DrCb = unsafe extern "C" fn(*mut Kafka, *mut c_void, usize, RespErr, *mut c_void, *mut c_void);
/// Called for an error: its code and text.
pub type ErrorCb = unsafe extern "C" fn(rk: *mut Kafka, err: c_int, reason: *const c_char, opaque: *mut c_void);
/// Called when a broker slowed the client down: its name, its id, milliseconds.
pub type ThrottleCb = unsafe extern "C" fn(*mut Kafka, *const c_char, i32, c_int, *mut c_void);
/// Called with statistics; 1 where the program frees the text itself.
pub type StatsCb = unsafe extern "C" fn(rk: *mut Kafka, json: *mut c_char, length: usize, opaque: *mut c_void) -> c_int;
/// Called with a line of the log: level, facility, text.
pub type LogCb = unsafe extern "C" fn(rk: *const Kafka, level: c_int, fac: *const c_char, buf: *const c_char);
/// Called on a background thread with an event.
pub type BackgroundEventCb = unsafe extern "C" fn(rk: *mut Kafka, event: *mut c_void, opaque: *mut c_void);
/// Called when partitions come or go.
pub type RebalanceCb = unsafe extern "C" fn(*mut Kafka, RespErr, *mut TopicPartitionList, *mut c_void);
/// Called when offsets are committed.
pub type OffsetCommitCb = unsafe extern "C" fn(*mut Kafka, RespErr, *mut TopicPartitionList, *mut c_void);
/// Called with a message.
pub type ConsumeCb = unsafe extern "C" fn(message: *mut Message, opaque: *mut c_void);
/// Called when a new token is wanted: `sasl.oauthbearer.config`.
pub type OauthbearerTokenRefreshCb = unsafe extern "C" fn(*mut Kafka, *const c_char, *mut c_void);
/// Makes a socket: domain, type, protocol.
pub type SocketCb = unsafe extern "C" fn(c_int, c_int, c_int, *mut c_void) -> c_int;
/// Connects a socket: descriptor, address, its length, the broker's name.
pub type ConnectCb = unsafe extern "C" fn(c_int, *const libc::sockaddr, c_int, *const c_char, *mut c_void) -> c_int;
/// Closes a socket.
pub type ClosesocketCb = unsafe extern "C" fn(c_int, *mut c_void) -> c_int;
/// Opens a file: path, flags, mode.
pub type OpenCb = unsafe extern "C" fn(*const c_char, c_int, libc::mode_t, *mut c_void) -> c_int;
/// Resolves a name, as `getaddrinfo` does; called with NULL for the first three to free an answer.
pub type ResolveCb = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const libc::addrinfo,
    *mut *mut libc::addrinfo,
    *mut c_void,
) -> c_int;
/// Judges a broker's certificate: name, id, error, depth, DER and its length, text and its size; 1 where it is good.
pub type SslCertVerifyCb = unsafe extern "C" fn(
    *mut Kafka,
    *const c_char,
    i32,
    *mut c_int,
    c_int,
    *const c_char,
    usize,
    *mut c_char,
    usize,
    *mut c_void,
) -> c_int;
/// Called before an answer to a Produce request is read, by tests: broker, message id, error.
pub type UtHandleProduceResponse = unsafe extern "C" fn(*mut Kafka, i32, u64, RespErr) -> RespErr;
/// Chooses a partition: topic, key and its length, number of partitions, the topic's opaque, the record's opaque.
pub type PartitionerCb = unsafe extern "C" fn(*const Topic, *const c_void, usize, i32, *mut c_void, *mut c_void) -> i32;
/// Compares two records, for the order in which they are sent.
pub type MsgOrderCmp = unsafe extern "C" fn(*const Message, *const Message) -> c_int;

macro_rules! callbacks {
    ($($field:ident: $type:ty = $name:literal, $doc:literal;)*) => {
        /// What the program has called back; `None` where it has not asked for it.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Callbacks {
            $(#[doc = $doc] pub $field: Option<$type>,)*
        }

        impl Callbacks {
            /// The address of the function of this property; `None` where there is none or no such property.
            pub(super) fn address(&self, name: &str) -> Option<usize> {
                match name {
                    $($name => self.$field.map(|function| function as usize),)*
                    _ => None,
                }
            }

            /// Takes the function of this property from another object.
            pub(super) fn copy(&mut self, name: &str, from: &Self) {
                match name {
                    $($name => self.$field = from.$field,)*
                    _ => {}
                }
            }
        }
    };
}

callbacks! {
    dr_msg_cb: DrMsgCb = "dr_msg_cb", "Delivery reports.";
    dr_cb: DrCb = "dr_cb", "Delivery reports in their first form.";
    error_cb: ErrorCb = "error_cb", "Errors.";
    throttle_cb: ThrottleCb = "throttle_cb", "Throttling.";
    stats_cb: StatsCb = "stats_cb", "Statistics.";
    log_cb: LogCb = "log_cb", "The log; standard error unless the program set another, `None` where it set NULL.";
    background_event_cb: BackgroundEventCb = "background_event_cb", "Events of the background queue.";
    rebalance_cb: RebalanceCb = "rebalance_cb", "Rebalances.";
    offset_commit_cb: OffsetCommitCb = "offset_commit_cb", "Commits.";
    consume_cb: ConsumeCb = "consume_cb", "Messages.";
    oauthbearer_token_refresh_cb: OauthbearerTokenRefreshCb = "oauthbearer_token_refresh_cb", "Tokens.";
    socket_cb: SocketCb = "socket_cb", "Making sockets; the library's own unless the program set another.";
    connect_cb: ConnectCb = "connect_cb", "Connecting sockets.";
    closesocket_cb: ClosesocketCb = "closesocket_cb", "Closing sockets.";
    open_cb: OpenCb = "open_cb", "Opening files; the library's own unless the program set another.";
    resolve_cb: ResolveCb = "resolve_cb", "Resolving names.";
    ssl_cert_verify_cb: SslCertVerifyCb = "ssl.certificate.verify_cb", "Judging certificates.";
    ut_handle_produce_response: UtHandleProduceResponse = "ut_handle_ProduceResponse", "For tests.";
}

/// Makes a socket that a child process does not inherit.
unsafe extern "C" fn default_socket(domain: c_int, kind: c_int, protocol: c_int, _opaque: *mut c_void) -> c_int {
    // SAFETY: no pointers.
    unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) }
}

/// Opens a file that a child process does not inherit.
unsafe extern "C" fn default_open(path: *const c_char, flags: c_int, mode: libc::mode_t, _: *mut c_void) -> c_int {
    // SAFETY: the caller gives a path that ends in a NUL byte.
    unsafe { libc::open(path, flags | libc::O_CLOEXEC, mode) }
}

impl Callbacks {
    /// What holds in a new configuration.
    pub(super) fn new() -> Self {
        Self {
            log_cb: Some(crate::log::rd_kafka_log_print),
            socket_cb: Some(default_socket),
            open_cb: Some(default_open),
            ..Self::default()
        }
    }

    /// The socket function of the program's own.
    pub(crate) fn own_socket_cb(&self) -> Option<SocketCb> {
        self.socket_cb.filter(|function| !std::ptr::fn_addr_eq(*function, default_socket as SocketCb))
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $function:ident: $field:ident, $type:ty, $name:literal;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// `conf` is NULL or came from `rd_kafka_conf_new`; the function may be called as its type says as long as the handle lives.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $function(conf: *mut Conf, callback: Option<$type>) {
                guard((), || {
                    // SAFETY: the caller vouches for `conf`.
                    if let Some(conf) = unsafe { conf.as_mut() } {
                        conf.callbacks.$field = callback;
                        conf.values.put_pointer($name);
                    }
                });
            }
        )*
    };
}

setters! {
    /// Has `callback` called, from `rd_kafka_poll` and `rd_kafka_flush`, for each record whose fate is known.
    rd_kafka_conf_set_dr_msg_cb: dr_msg_cb, DrMsgCb, "dr_msg_cb";
    /// The first form of [`rd_kafka_conf_set_dr_msg_cb`].
    rd_kafka_conf_set_dr_cb: dr_cb, DrCb, "dr_cb";
    /// Has `callback` called, from the poll functions, for errors of the handle.
    rd_kafka_conf_set_error_cb: error_cb, ErrorCb, "error_cb";
    /// Has `callback` called when a broker slows the client down.
    rd_kafka_conf_set_throttle_cb: throttle_cb, ThrottleCb, "throttle_cb";
    /// Has `callback` called every `statistics.interval.ms`.
    rd_kafka_conf_set_stats_cb: stats_cb, StatsCb, "stats_cb";
    /// Has the log go to `callback`; NULL for nowhere.
    rd_kafka_conf_set_log_cb: log_cb, LogCb, "log_cb";
    /// Has `callback` called with the events of the background queue, on a thread of the library's.
    rd_kafka_conf_set_background_event_cb: background_event_cb, BackgroundEventCb, "background_event_cb";
    /// Has `callback` called, from `rd_kafka_consumer_poll`, when partitions come or go.
    rd_kafka_conf_set_rebalance_cb: rebalance_cb, RebalanceCb, "rebalance_cb";
    /// Has `callback` called when offsets are committed.
    rd_kafka_conf_set_offset_commit_cb: offset_commit_cb, OffsetCommitCb, "offset_commit_cb";
    /// Has `callback` called with each message.
    rd_kafka_conf_set_consume_cb: consume_cb, ConsumeCb, "consume_cb";
    /// Has `callback` called when a new token is wanted.
    rd_kafka_conf_set_oauthbearer_token_refresh_cb:
        oauthbearer_token_refresh_cb, OauthbearerTokenRefreshCb, "oauthbearer_token_refresh_cb";
    /// Has sockets made by `callback`.
    rd_kafka_conf_set_socket_cb: socket_cb, SocketCb, "socket_cb";
    /// Has sockets connected by `callback`.
    rd_kafka_conf_set_connect_cb: connect_cb, ConnectCb, "connect_cb";
    /// Has sockets closed by `callback`.
    rd_kafka_conf_set_closesocket_cb: closesocket_cb, ClosesocketCb, "closesocket_cb";
    /// Has files opened by `callback`.
    rd_kafka_conf_set_open_cb: open_cb, OpenCb, "open_cb";
    /// Has names resolved by `callback`.
    rd_kafka_conf_set_resolve_cb: resolve_cb, ResolveCb, "resolve_cb";
}

/// Has `callback` judge the brokers' certificates.
///
/// # Safety
/// `conf` is NULL or came from `rd_kafka_conf_new`; the function may be called as its type says as long as the handle lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_set_ssl_cert_verify_cb(
    conf: *mut Conf,
    callback: Option<SslCertVerifyCb>,
) -> ConfRes {
    guard(ConfRes::INVALID, || {
        // SAFETY: the caller vouches for `conf`.
        let Some(conf) = (unsafe { conf.as_mut() }) else { return ConfRes::INVALID };
        conf.callbacks.ssl_cert_verify_cb = callback;
        conf.values.put_pointer("ssl.certificate.verify_cb");
        ConfRes::OK
    })
}

/// Has `partitioner` choose the partition of records that name none.
///
/// # Safety
/// `topic_conf` is NULL or came from `rd_kafka_topic_conf_new`; the function may be called as its type says as long as the topic lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_conf_set_partitioner_cb(
    topic_conf: *mut TopicConf,
    partitioner: Option<PartitionerCb>,
) {
    guard((), || {
        // SAFETY: the caller vouches for `topic_conf`.
        if let Some(conf) = unsafe { topic_conf.as_mut() } {
            conf.partitioner_cb = partitioner;
            conf.values.put_pointer("partitioner_cb");
        }
    });
}

/// Keeps a comparison of records that would order the queue of a partition; the order of produce calls holds all the same.
///
/// # Safety
/// `topic_conf` is NULL or came from `rd_kafka_topic_conf_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_conf_set_msg_order_cmp(
    topic_conf: *mut TopicConf,
    msg_order_cmp: Option<MsgOrderCmp>,
) {
    guard((), || {
        // SAFETY: the caller vouches for `topic_conf`.
        if let Some(conf) = unsafe { topic_conf.as_mut() } {
            conf.msg_order_cmp = msg_order_cmp;
            conf.values.put_pointer("msg_order_cmp");
        }
    });
}
