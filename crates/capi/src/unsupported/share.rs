//! Consumers of share groups (KIP-932): none is ever made, so that every other call has nothing to work on.

use std::ffi::{c_char, c_int, c_void};

use crate::boundary::{guard, set_last_error, write_text};
use crate::conf::Conf;
use crate::errors::object::ErrorObject;
use crate::queue::QueueRef;
use crate::types::{Message, RespErr, TopicPartition, TopicPartitionList};

const WHAT: &str = "Share consumers are";

/// `rd_kafka_share_t`: none is ever made.
#[derive(Debug)]
pub struct Share {}

/// `rd_kafka_messages_t`: none is ever made.
#[derive(Debug)]
pub struct Messages {}

/// `rd_kafka_share_partition_offsets_list_t`: none is ever made.
#[derive(Debug)]
pub struct PartitionOffsetsList {}

/// `rd_kafka_share_partition_offsets_t`: none is ever made.
#[derive(Debug)]
pub struct PartitionOffsets {}

/// NULL, and `errstr` says that there are none; `conf` stays the program's.
///
/// # Safety
/// `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_share_consumer_new(
    _conf: *mut Conf,
    errstr: *mut c_char,
    errstr_size: usize,
) -> *mut Share {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the buffer.
        unsafe { write_text(errstr, errstr_size, &format!("{WHAT} not supported in this build")) };
        set_last_error(RespErr::UNSUPPORTED_FEATURE, libc::ENOTSUP);
        std::ptr::null_mut()
    })
}

macro_rules! refused {
    ($($answer:ty, $value:expr; $($name:ident($($argument:ident: $type:ty),*))*;)*) => {
        $($(
            /// Refused: there is no share consumer.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($argument: $type),*) -> $answer {
                $(let _ = $argument;)*
                guard($value, || $value)
            }
        )*)*
    };
}

/// Called when acknowledgements were taken.
type AcknowledgementCb = unsafe extern "C" fn(*mut Share, *mut PartitionOffsetsList, RespErr, *mut c_void);

refused! {
    *mut ErrorObject, super::error(WHAT);
    rd_kafka_share_set_acknowledgement_commit_cb(share: *mut Share, callback: Option<AcknowledgementCb>, opaque: *mut c_void)
    rd_kafka_share_poll(share: *mut Share, timeout_ms: c_int, messages: *mut *mut Messages)
    rd_kafka_share_commit_async(share: *mut Share)
    rd_kafka_share_commit_sync(share: *mut Share, timeout_ms: c_int, partitions: *mut *mut TopicPartitionList)
    rd_kafka_share_consumer_close(share: *mut Share)
    rd_kafka_share_consumer_close_queue(share: *mut Share, queue: *mut QueueRef)
    rd_kafka_share_destroy(share: *mut Share)
    rd_kafka_share_destroy_flags(share: *mut Share, flags: c_int)
    rd_kafka_share_set_log_queue(share: *mut Share, queue: *mut QueueRef)
    rd_kafka_share_sasl_background_callbacks_enable(share: *mut Share)
    rd_kafka_share_sasl_set_credentials(share: *mut Share, username: *const c_char, password: *const c_char);

    RespErr, RespErr::UNSUPPORTED_FEATURE;
    rd_kafka_share_subscribe(share: *mut Share, topics: *const TopicPartitionList)
    rd_kafka_share_unsubscribe(share: *mut Share)
    rd_kafka_share_subscription(share: *mut Share, topics: *mut *mut TopicPartitionList)
    rd_kafka_share_acknowledge(share: *mut Share, message: *const Message)
    rd_kafka_share_acknowledge_type(share: *mut Share, message: *const Message, kind: c_int)
    rd_kafka_share_acknowledge_offset(share: *mut Share, topic: *const c_char, partition: i32, offset: i64, kind: c_int)
    rd_kafka_share_oauthbearer_set_token(
        share: *mut Share, token: *const c_char, lifetime_ms: i64, principal: *const c_char,
        extensions: *const *const c_char, extension_size: usize, errstr: *mut c_char, errstr_size: usize
    )
    rd_kafka_share_oauthbearer_set_token_failure(share: *mut Share, errstr: *const c_char);

    *mut QueueRef, std::ptr::null_mut();
    rd_kafka_share_queue_get_sasl(share: *mut Share);

    c_int, 1;
    rd_kafka_share_consumer_closed(share: *mut Share);

    usize, 0;
    rd_kafka_messages_count(messages: *const Messages)
    rd_kafka_share_partition_offsets_list_count(list: *const PartitionOffsetsList)
    rd_kafka_share_partition_offsets_offsets_cnt(partition: *const PartitionOffsets);

    *mut Message, std::ptr::null_mut();
    rd_kafka_messages_get(messages: *const Messages, index: usize);

    (), ();
    rd_kafka_messages_destroy(messages: *mut Messages)
    rd_kafka_share_partition_offsets_list_destroy(list: *mut PartitionOffsetsList);

    *const PartitionOffsets, std::ptr::null();
    rd_kafka_share_partition_offsets_list_get(list: *const PartitionOffsetsList, index: usize);

    *const TopicPartition, std::ptr::null();
    rd_kafka_share_partition_offsets_partition(partition: *const PartitionOffsets);

    *const i64, std::ptr::null();
    rd_kafka_share_partition_offsets_offsets(partition: *const PartitionOffsets);
}
