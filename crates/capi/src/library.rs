//! What belongs to the library and not to a handle: its version, its allocator, and names that only its own tests ask for.

use std::ffi::{c_char, c_int, c_void};

use crate::boundary::guard;
use crate::handle::Kafka;

/// The contexts that `debug` takes, with commas between.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_get_debug_contexts() -> *const c_char {
    c"all,generic,broker,topic,metadata,feature,queue,msg,protocol,cgrp,security,fetch,interceptor,plugin,consumer,admin,eos,mock,assignor,conf"
        .as_ptr()
}

/// Memory of the allocator with which this library's blocks are freed; `rk` is not looked at.
///
/// # Safety
/// None is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mem_malloc(rk: *mut Kafka, size: usize) -> *mut c_void {
    let _ = rk;
    // SAFETY: any size may be asked for.
    guard(std::ptr::null_mut(), || unsafe { libc::malloc(size) })
}

/// As [`rd_kafka_mem_malloc`], all zero.
///
/// # Safety
/// None is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mem_calloc(rk: *mut Kafka, num: usize, size: usize) -> *mut c_void {
    let _ = rk;
    // SAFETY: any size may be asked for.
    guard(std::ptr::null_mut(), || unsafe { libc::calloc(num, size) })
}

/// Frees a block that this library gave; `rk` is not looked at.
///
/// # Safety
/// `ptr` is NULL or a block of this library's or of [`rd_kafka_mem_malloc`], and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mem_free(rk: *mut Kafka, ptr: *mut c_void) {
    let _ = rk;
    // SAFETY: the caller vouches for the block.
    guard((), || unsafe { libc::free(ptr) });
}

/// librdkafka's tests of its insides: there are none here, so none fails.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_unittest() -> c_int {
    0
}
