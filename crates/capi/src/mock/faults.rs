//! What goes wrong in the cluster, and what it was asked.

use std::time::Duration;

use felice_broker::mock::{ApiKey, ErrorCode, Fault, TrackedRequest};

use super::{Mock, code, millis, on};
use crate::boundary::{guard, text};
use crate::types::RespErr;
use crate::variadic::{Arguments, variadic};

/// What C means by an error: 0 serves the request, `__TRANSPORT` closes the connection.
fn fault(err: RespErr) -> Fault {
    match err {
        RespErr::TRANSPORT => Fault::Disconnect,
        // Other errors that no broker knows are sent as they are.
        RespErr(number) => Fault::from(ErrorCode(i16::try_from(number).unwrap_or(-1))),
    }
}

/// Takes back the cluster's errors for an API.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_clear_request_errors(mcluster: *mut Mock, api_key: i16) {
    guard((), || {
        // SAFETY: the caller vouches for it.
        if let Some(mock) = unsafe { mcluster.as_ref() } {
            mock.cluster.with(|c, _| c.clear_faults(ApiKey(api_key)));
        }
    });
}

/// Has the next requests of an API fail, one with each error: 0 serves one, `__TRANSPORT` closes the connection.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `errors` has `cnt` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_push_request_errors_array(
    mcluster: *mut Mock,
    api_key: i16,
    cnt: usize,
    errors: *const RespErr,
) {
    guard((), || {
        // SAFETY: the caller vouches for it.
        let Some(mock) = (unsafe { mcluster.as_ref() }) else { return };
        if !errors.is_null() {
            // SAFETY: the caller vouches for the length.
            let errors = unsafe { std::slice::from_raw_parts(errors, cnt) };
            mock.cluster.with(|c, _| c.push_faults(ApiKey(api_key), errors.iter().map(|err| fault(*err))));
        }
    });
}

variadic! {
    /// `rd_kafka_mock_push_request_errors(mcluster, api_key, cnt, errors...)`: the same, its errors as arguments.
    ///
    /// # Safety
    /// `mcluster` is NULL or a cluster that lives; `cnt` errors follow.
    rd_kafka_mock_push_request_errors => push_request_errors -> ()
}

/// # Safety
/// Called by the trampoline, with the promises of the function above.
unsafe extern "C" fn push_request_errors(registers: *const u64, stack: *const u64) {
    guard((), || {
        // SAFETY: the trampoline vouches for the registers, the caller for what comes in them and for as many errors as it says.
        unsafe {
            let mut arguments = Arguments::new(registers, stack);
            let mcluster = arguments.next_pointer::<Mock>();
            let api_key = next_short(&mut arguments);
            let errors = next_errors(&mut arguments);
            rd_kafka_mock_push_request_errors_array(mcluster, api_key, errors.len(), errors.as_ptr());
        }
    });
}

/// # Safety
/// The caller gave an `int16_t` here.
unsafe fn next_short(arguments: &mut Arguments) -> i16 {
    // SAFETY: the caller vouches for it. Only the low half counts.
    let number = unsafe { arguments.next_int() };
    i16::from_ne_bytes([number.to_ne_bytes()[LOW], number.to_ne_bytes()[LOW + 1]])
}

/// Where the low half of an `int` begins.
const LOW: usize = if cfg!(target_endian = "little") { 0 } else { 2 };

/// A count, and as many errors.
///
/// # Safety
/// The caller gave them.
unsafe fn next_errors(arguments: &mut Arguments) -> Vec<RespErr> {
    // SAFETY: the caller vouches for it.
    unsafe {
        let count = arguments.next_size();
        (0..count).map(|_| RespErr(arguments.next_int())).collect()
    }
}

variadic! {
    /// `rd_kafka_mock_broker_push_request_error_rtts(mcluster, broker_id, api_key, cnt, {error, rtt_ms}...)`: has the next requests of an API to
    /// a broker fail, each answered so many milliseconds later. `__UNKNOWN_BROKER` where there is no such broker.
    ///
    /// # Safety
    /// `mcluster` is NULL or a cluster that lives; `cnt` pairs follow.
    rd_kafka_mock_broker_push_request_error_rtts => broker_push_request_error_rtts -> RespErr
}

/// # Safety
/// Called by the trampoline, with the promises of the function above.
unsafe extern "C" fn broker_push_request_error_rtts(registers: *const u64, stack: *const u64) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the trampoline vouches for the registers, the caller for what comes in them.
        let mut arguments = unsafe { Arguments::new(registers, stack) };
        // SAFETY: these are the function's named arguments.
        let (mcluster, broker_id, api_key, count) = unsafe {
            (arguments.next_pointer::<Mock>(), arguments.next_int(), next_short(&mut arguments), arguments.next_size())
        };
        let faults: Vec<(Fault, Duration)> = (0..count)
            // SAFETY: the caller vouches for so many pairs.
            .map(|_| unsafe { (fault(RespErr(arguments.next_int())), millis(arguments.next_int())) })
            .collect();
        let push = |mock: &Mock| match mock.cluster.with(|c, _| c.push_node_faults(broker_id, ApiKey(api_key), faults))
        {
            Ok(()) => RespErr::NO_ERROR,
            Err(_) => RespErr::UNKNOWN_BROKER,
        };
        // SAFETY: the caller vouches for the cluster.
        unsafe { on(mcluster, push) }
    })
}

/// How many of a broker's errors for an API were not met.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `cntp` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_broker_error_stack_cnt(
    mcluster: *mut Mock,
    broker_id: i32,
    api_key: i16,
    cntp: *mut usize,
) -> RespErr {
    // SAFETY: the caller vouches for both.
    unsafe {
        on(mcluster, |mock| {
            let Some(count) = cntp.as_mut() else { return RespErr::INVALID_ARG };
            match mock.cluster.with(|c, _| c.node_faults(broker_id, ApiKey(api_key))) {
                Ok(found) => {
                    *count = found;
                    RespErr::NO_ERROR
                }
                Err(_) => RespErr::UNKNOWN_BROKER,
            }
        })
    }
}

variadic! {
    /// `rd_kafka_mock_partition_push_request_errors(mcluster, topic, partition, api_key, cnt, errors...)`: has a partition's part of the next
    /// requests of an API fail.
    ///
    /// # Safety
    /// `mcluster` is NULL or a cluster that lives; `topic` is NULL or ends in a NUL byte; `cnt` errors follow.
    rd_kafka_mock_partition_push_request_errors => partition_push_request_errors -> RespErr
}

/// # Safety
/// Called by the trampoline, with the promises of the function above.
unsafe extern "C" fn partition_push_request_errors(registers: *const u64, stack: *const u64) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the trampoline vouches for the registers, the caller for what comes in them.
        unsafe {
            let mut arguments = Arguments::new(registers, stack);
            let mcluster = arguments.next_pointer::<Mock>();
            let topic = arguments.next_pointer();
            let partition = arguments.next_int();
            let api_key = ApiKey(next_short(&mut arguments));
            let errors = next_errors(&mut arguments);
            let codes = errors.iter().map(|err| ErrorCode(i16::try_from(err.0).unwrap_or(-1)));
            on(mcluster, |mock| {
                let Some(topic) = text(topic) else { return RespErr::INVALID_ARG };
                code(mock.cluster.with(|c, now| c.push_partition_errors(now, topic, partition, api_key, codes)))
            })
        }
    })
}

/// Forgets the requests that were tracked, and tracks from now on.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_start_request_tracking(mcluster: *mut Mock) {
    guard((), || {
        // SAFETY: the caller vouches for it.
        if let Some(mock) = unsafe { mcluster.as_ref() } {
            mock.cluster.with(|c, _| c.start_tracking());
        }
    });
}

/// Ends that, and forgets.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_stop_request_tracking(mcluster: *mut Mock) {
    guard((), || {
        // SAFETY: the caller vouches for it.
        if let Some(mock) = unsafe { mcluster.as_ref() } {
            mock.cluster.with(|c, _| c.stop_tracking());
        }
    });
}

/// Forgets the requests that were tracked, and goes on.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_clear_requests(mcluster: *mut Mock) {
    guard((), || {
        // SAFETY: the caller vouches for it.
        if let Some(mock) = unsafe { mcluster.as_ref() } {
            mock.cluster.with(|c, _| c.clear_requests());
        }
    });
}

/// `rd_kafka_mock_request_t`: a request that was tracked. It lives in C's memory.
#[repr(C)]
#[derive(Debug)]
pub struct Request {
    broker: i32,
    api_key: i16,
    timestamp_us: i64,
}

/// The requests that were tracked, the oldest first; NULL where there are none. Array and elements are the program's to free.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `cntp` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_get_requests(mcluster: *mut Mock, cntp: *mut usize) -> *mut *mut Request {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for both.
        let (Some(mock), Some(count)) = (unsafe { mcluster.as_ref() }, unsafe { cntp.as_mut() }) else {
            return std::ptr::null_mut();
        };
        let tracked = mock.cluster.with(|c, _| c.requests());
        *count = 0;
        if tracked.is_empty() {
            return std::ptr::null_mut();
        }
        // SAFETY: calloc of so many pointers.
        let array = unsafe { libc::calloc(tracked.len(), size_of::<*mut Request>()) }.cast::<*mut Request>();
        if array.is_null() {
            return std::ptr::null_mut();
        }
        for (index, request) in tracked.iter().enumerate() {
            // SAFETY: the array has as many elements as there are requests.
            unsafe { array.add(index).write(copy(request)) };
        }
        *count = tracked.len();
        array
    })
}

fn copy(request: &TrackedRequest) -> *mut Request {
    // SAFETY: malloc of one struct.
    let copy = unsafe { libc::malloc(size_of::<Request>()) }.cast::<Request>();
    if !copy.is_null() {
        let timestamp_us = i64::try_from(request.at.0 / 1000).unwrap_or(i64::MAX);
        // SAFETY: malloc gave room for it.
        unsafe { copy.write(Request { broker: request.node, api_key: request.api_key.0, timestamp_us }) };
    }
    copy
}

/// Frees a request.
///
/// # Safety
/// `mreq` is NULL or came from [`rd_kafka_mock_get_requests`], and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_request_destroy(mreq: *mut Request) {
    // SAFETY: it came from malloc.
    unsafe { libc::free(mreq.cast()) };
}

/// Frees an array of requests with its elements.
///
/// # Safety
/// `mreqs` is NULL or came from [`rd_kafka_mock_get_requests`] with `mreq_cnt` elements, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_request_destroy_array(mreqs: *mut *mut Request, mreq_cnt: usize) {
    if mreqs.is_null() {
        return;
    }
    // SAFETY: the caller vouches for the length, and that all of it came from malloc.
    unsafe {
        (0..mreq_cnt).for_each(|index| libc::free(mreqs.add(index).read().cast()));
        libc::free(mreqs.cast());
    }
}

/// The broker that a request has reached.
///
/// # Safety
/// `mreq` is NULL or came from [`rd_kafka_mock_get_requests`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_request_id(mreq: *const Request) -> i32 {
    // SAFETY: the caller vouches for it.
    unsafe { mreq.as_ref() }.map_or(-1, |request| request.broker)
}

/// A request's API.
///
/// # Safety
/// `mreq` is NULL or came from [`rd_kafka_mock_get_requests`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_request_api_key(mreq: *const Request) -> i16 {
    // SAFETY: the caller vouches for it.
    unsafe { mreq.as_ref() }.map_or(-1, |request| request.api_key)
}

/// When a request came, in microseconds since some time before.
///
/// # Safety
/// `mreq` is NULL or came from [`rd_kafka_mock_get_requests`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_request_timestamp(mreq: *const Request) -> i64 {
    // SAFETY: the caller vouches for it.
    unsafe { mreq.as_ref() }.map_or(-1, |request| request.timestamp_us)
}
