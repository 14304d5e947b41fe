//! Transactions: refused, on producers that ask for them once a broker is there; on others, and before that, as librdkafka does.

use std::ffi::{c_int, c_void};
use std::sync::atomic::Ordering;
use std::time::Duration;

use felice::ErrorKind;
use felice::protocol::messages::MetadataRequest;
use felice::raw::CallTarget;

use crate::boundary::guard;
use crate::errors::object::ErrorObject;
use crate::handle::Kafka;
use crate::topic_partition::elements;
use crate::types::{RespErr, TopicPartitionList};
use crate::wait::block_on;

/// The handle, where transactions may be asked of it.
///
/// # Safety
/// `rk` is NULL or came from `rd_kafka_new`.
unsafe fn transactional<'a>(rk: *const Kafka) -> Result<&'a Kafka, ErrorObject> {
    // SAFETY: the caller vouches for it.
    match unsafe { rk.as_ref() } {
        Some(kafka) if kafka.is_producer() && kafka.conf.text("transactional.id").is_some_and(|id| !id.is_empty()) => {
            Ok(kafka)
        }
        Some(kafka) if kafka.is_producer() => {
            let text = "The Transactional API requires transactional.id to be configured";
            Err(ErrorObject::new(RespErr::NOT_CONFIGURED, text))
        }
        Some(_) | None => {
            let text = "The Transactional API can only be used on producer instances";
            Err(ErrorObject::new(RespErr::INVALID_ARG, text))
        }
    }
}

/// What every other call says while `rd_kafka_init_transactions` is to be called again.
fn open(kafka: &Kafka) -> Option<ErrorObject> {
    let text = "Conflicting init_transactions API call is already in progress";
    let open = kafka.initializes.load(Ordering::Acquire);
    open.then(|| ErrorObject::new(RespErr::CONFLICT, text).retriable())
}

/// What every call says that needs `rd_kafka_init_transactions` to have worked, which it never does.
///
/// # Safety
/// `rk` is NULL or came from `rd_kafka_new`.
unsafe fn refuse(rk: *const Kafka) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        match unsafe { transactional(rk) } {
            Ok(kafka) => open(kafka)
                .unwrap_or_else(|| ErrorObject::new(RespErr::STATE, "Operation not valid in state Init"))
                .give(),
            Err(error) => error.give(),
        }
    })
}

/// Refused once a broker has answered; where none does, the time is up, as always.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_init_transactions(rk: *mut Kafka, timeout_ms: c_int) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        let kafka = match unsafe { transactional(rk) } {
            Ok(kafka) => kafka,
            Err(error) => return error.give(),
        };
        if kafka.is_forked() {
            return ErrorObject::new(RespErr::STATE, "The handle belongs to the process that this is a fork of").give();
        }
        let millis = match u64::try_from(timeout_ms) {
            Ok(millis) => millis,
            Err(_) => 2 * u64::try_from(kafka.conf.int("transaction.timeout.ms")).unwrap_or(0),
        };
        let anybody = |_| MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
        let within = Duration::from_millis(millis);
        let answer = block_on(felice::raw::call(&kafka.client, CallTarget::Any, within, i16::MAX, anybody));
        let is_late = answer.is_err_and(|error| matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Connect));
        kafka.initializes.store(is_late, Ordering::Release);
        if is_late {
            let text = "Timed out waiting for operation to finish, retry call to resume";
            return ErrorObject::new(RespErr::TIMED_OUT, text).retriable().give();
        }
        super::error("Transactions are")
    })
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

/// Refused, but for no offsets, of which nothing would come.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `offsets` is NULL or came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_send_offsets_to_transaction(
    rk: *mut Kafka,
    offsets: *const TopicPartitionList,
    cgmetadata: *const c_void,
    _timeout_ms: c_int,
) -> *mut ErrorObject {
    // SAFETY: the caller vouches for the list.
    let (false, Some(offsets)) = (cgmetadata.is_null(), unsafe { offsets.as_ref() }) else {
        let text = "cgmetadata and offsets are required parameters";
        return guard(std::ptr::null_mut(), || ErrorObject::new(RespErr::INVALID_ARG, text).give());
    };
    // SAFETY: the caller vouches for its elements.
    let is_one = unsafe { elements(offsets) }.iter().any(|element| element.offset >= 0);
    // SAFETY: the same promise.
    if !is_one && unsafe { transactional(rk) }.is_ok_and(|kafka| open(kafka).is_none()) {
        return std::ptr::null_mut();
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
