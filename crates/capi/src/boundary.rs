//! Where C meets Rust: panics stop here, strings and handles are checked here, errno and the last error are set here.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::types::RespErr;

/// Runs `body`; a panic becomes `failure` instead of ending the host process.
pub(crate) fn guard<T>(failure: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        set_last_error(RespErr::FAIL, libc::EFAULT);
        failure
    })
}

thread_local! {
    static LAST_ERROR: Cell<RespErr> = const { Cell::new(RespErr::NO_ERROR) };
}

/// What `rd_kafka_last_error` answers on this thread from now on, and errno beside it.
pub(crate) fn set_last_error(error: RespErr, errno: i32) {
    LAST_ERROR.set(error);
    errno::set_errno(errno::Errno(errno));
}

/// The error of the last call on this thread that has one.
pub(crate) fn last_error() -> RespErr {
    LAST_ERROR.get()
}

/// The text of a C string; `None` for NULL or what is not UTF-8.
///
/// # Safety
/// `text` is NULL or ends in a NUL byte, and stays unchanged while the answer is in use.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, and the caller vouches for the NUL byte.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

/// The bytes of a buffer; `None` for NULL.
///
/// # Safety
/// `data` is NULL or points to `length` bytes that stay unchanged while the answer is in use.
pub(crate) unsafe fn bytes<'a>(data: *const std::ffi::c_void, length: usize) -> Option<&'a [u8]> {
    if data.is_null() {
        return None;
    }
    // SAFETY: not NULL, and the caller vouches for the length.
    Some(unsafe { std::slice::from_raw_parts(data.cast(), length) })
}

/// Writes an error text into a C buffer, cut where it does not fit, always ended by NUL.
///
/// # Safety
/// `buffer` is NULL or points to `size` writable bytes.
pub(crate) unsafe fn write_text(buffer: *mut c_char, size: usize, message: &str) {
    if buffer.is_null() || size == 0 {
        return;
    }
    let mut length = message.len().min(size - 1);
    while !message.is_char_boundary(length) {
        length -= 1;
    }
    // SAFETY: `length + 1` is at most `size`.
    unsafe {
        std::ptr::copy_nonoverlapping(message.as_ptr(), buffer.cast(), length);
        *buffer.add(length) = 0;
    }
}

/// A copy of a text in memory of C's, for the program to free; NULL where there is none, or where C could not read it.
pub(crate) fn malloc_text(text: &str) -> *mut c_char {
    // SAFETY: strdup reads up to the NUL byte that `CString` has put there.
    std::ffi::CString::new(text).map_or(std::ptr::null_mut(), |text| unsafe { libc::strdup(text.as_ptr()) })
}

/// Runs `body` with all signals blocked, so that threads started in it, and those that they start, never handle one of the program's.
pub(crate) fn without_signals<T>(body: impl FnOnce() -> T) -> T {
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
