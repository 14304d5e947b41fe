//! Transactions: refused, on producers that ask for them; on others as librdkafka does.

use std::ffi::{c_int, c_void};

use crate::boundary::guard;
use crate::errors::object::ErrorObject;
use crate::handle::Kafka;
use crate::types::{RespErr, TopicPartitionList};

/// # Safety
/// `rk` is NULL or came from `rd_kafka_new`.
unsafe fn refuse(rk: *const Kafka) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        match unsafe { rk.as_ref() } {
            Some(kafka)
                if kafka.is_producer() && kafka.conf.text("transactional.id").is_some_and(|id| !id.is_empty()) =>
            {
                super::error("Transactions are")
            }
            Some(kafka) if kafka.is_producer() => {
                let text = "The Transactional API requires transactional.id to be configured";
                ErrorObject::new(RespErr::NOT_CONFIGURED, text).give()
            }
            Some(_) | None => {
                let text = "The Transactional API can only be used on producer instances";
                ErrorObject::new(RespErr::INVALID_ARG, text).give()
            }
        }
    })
}

/// Refused.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_init_transactions(rk: *mut Kafka, _timeout_ms: c_int) -> *mut ErrorObject {
    // SAFETY: the same promise.
    unsafe { refuse(rk) }
}

/// Refused.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_begin_transaction(rk: *mut Kafka) -> *mut ErrorObject {
    // SAFETY: the same promise.
    unsafe { refuse(rk) }
}

/// Refused.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_send_offsets_to_transaction(
    rk: *mut Kafka,
    offsets: *const TopicPartitionList,
    cgmetadata: *const c_void,
    _timeout_ms: c_int,
) -> *mut ErrorObject {
    if cgmetadata.is_null() || offsets.is_null() {
        let text = "consumer group metadata and offsets are required";
        return guard(std::ptr::null_mut(), || ErrorObject::new(RespErr::INVALID_ARG, text).give());
    }
    // SAFETY: the same promise.
    unsafe { refuse(rk) }
}

/// Refused.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_commit_transaction(rk: *mut Kafka, _timeout_ms: c_int) -> *mut ErrorObject {
    // SAFETY: the same promise.
    unsafe { refuse(rk) }
}

/// Refused.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_abort_transaction(rk: *mut Kafka, _timeout_ms: c_int) -> *mut ErrorObject {
    // SAFETY: the same promise.
    unsafe { refuse(rk) }
}
