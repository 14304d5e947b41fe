//! `rd_kafka_error_t`: an error with a text of its own and what is to be done about it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use super::{rd_kafka_err2name, rd_kafka_err2str};
use crate::boundary::guard;
use crate::types::RespErr;

/// `rd_kafka_error_t`.
#[derive(Clone, Debug)]
pub struct ErrorObject {
    code: RespErr,
    /// None where the code's text says it all.
    text: Option<CString>,
    fatal: bool,
    retriable: bool,
    txn_requires_abort: bool,
}

impl ErrorObject {
    /// An error; without a text, the code's own holds.
    pub fn new(code: RespErr, text: impl Into<String>) -> Self {
        let text = CString::new(text.into()).ok().filter(|text| !text.is_empty());
        Self { code, text, fatal: false, retriable: false, txn_requires_abort: false }
    }

    /// The handle is of no use any more.
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.fatal = true;
        self
    }

    /// The call may be made again.
    #[must_use]
    pub fn retriable(mut self) -> Self {
        self.retriable = true;
        self
    }

    /// The transaction must be aborted.
    #[must_use]
    pub fn txn_requires_abort(mut self) -> Self {
        self.txn_requires_abort = true;
        self
    }

    /// Gives it to the program, which calls [`rd_kafka_error_destroy`].
    pub fn give(self) -> *mut Self {
        Box::into_raw(Box::new(self))
    }
}

/// The error's code; `NO_ERROR` for NULL.
///
/// # Safety
/// `error` is NULL or an error of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_error_code(error: *const ErrorObject) -> RespErr {
    // SAFETY: the caller vouches for `error`.
    guard(RespErr::FAIL, || unsafe { error.as_ref() }.map_or(RespErr::NO_ERROR, |error| error.code))
}

/// The name of the error's code; "" for NULL.
///
/// # Safety
/// `error` is NULL or an error of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_error_name(error: *const ErrorObject) -> *const c_char {
    // SAFETY: the caller vouches for `error`.
    guard(c"".as_ptr(), || unsafe { error.as_ref() }.map_or(c"".as_ptr(), |error| rd_kafka_err2name(error.code)))
}

/// The error's text, valid as long as the error; "" for NULL.
///
/// # Safety
/// `error` is NULL or an error of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_error_string(error: *const ErrorObject) -> *const c_char {
    guard(c"".as_ptr(), || {
        // SAFETY: the caller vouches for `error`.
        let Some(error) = (unsafe { error.as_ref() }) else { return c"".as_ptr() };
        error.text.as_ref().map_or_else(|| rd_kafka_err2str(error.code), |text| text.as_ptr())
    })
}

/// 1 where the handle is of no use any more.
///
/// # Safety
/// `error` is NULL or an error of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_error_is_fatal(error: *const ErrorObject) -> c_int {
    // SAFETY: the caller vouches for `error`.
    guard(0, || unsafe { error.as_ref() }.is_some_and(|error| error.fatal).into())
}

/// 1 where the call may be made again.
///
/// # Safety
/// `error` is NULL or an error of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_error_is_retriable(error: *const ErrorObject) -> c_int {
    // SAFETY: the caller vouches for `error`.
    guard(0, || unsafe { error.as_ref() }.is_some_and(|error| error.retriable).into())
}

/// 1 where the transaction must be aborted.
///
/// # Safety
/// `error` is NULL or an error of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_error_txn_requires_abort(error: *const ErrorObject) -> c_int {
    // SAFETY: the caller vouches for `error`.
    guard(0, || unsafe { error.as_ref() }.is_some_and(|error| error.txn_requires_abort).into())
}

/// Frees an error; NULL is nothing.
///
/// # Safety
/// `error` is NULL or an error that the program was given, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_error_destroy(error: *mut ErrorObject) {
    guard((), || {
        if !error.is_null() {
            // SAFETY: the caller vouches that this is the last use of what `Box::into_raw` gave.
            drop(unsafe { Box::from_raw(error) });
        }
    });
}

unsafe extern "C" {
    /// C's own: the list of arguments is a pointer to what the target's ABI keeps there.
    fn vsnprintf(buffer: *mut c_char, size: usize, format: *const c_char, arguments: *mut c_void) -> c_int;
}

/// An error with a text made as `printf` makes it; NULL or "" leaves the code's text.
///
/// # Safety
/// `format` is NULL or ends in a NUL byte; `arguments` is a list of arguments that fit it.
unsafe extern "C" fn new_formatted(code: RespErr, format: *const c_char, arguments: *mut c_void) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        let mut text = [0_u8; 1024];
        if !format.is_null() {
            // SAFETY: the buffer's size is given; the caller vouches for the rest. The list is read once.
            unsafe { vsnprintf(text.as_mut_ptr().cast(), text.len(), format, arguments) };
        }
        let text = CStr::from_bytes_until_nul(&text).unwrap_or_default().to_string_lossy();
        ErrorObject::new(code, text).give()
    })
}

/// An error with a text made as `printf` makes it from `fmt` and what follows; at most 1,023 bytes of it are kept.
///
/// # Safety
/// `fmt` is NULL or ends in a NUL byte, and the arguments fit it.
///
/// Defining a function of any number of arguments is not stable in Rust: this saves the registers in which they come, builds the System V list
/// of arguments over them, and calls on.
#[cfg(target_arch = "x86_64")]
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn rd_kafka_error_new(code: RespErr, fmt: *const c_char) -> *mut ErrorObject {
    // The frame: at 0 the list (24 bytes: two offsets, overflow area, save area), at 32 the save area (48 bytes of integer registers, then 128 of
    // vector ones), together 208; with the return address and 8 bytes more the stack is aligned to 16 at the call.
    std::arch::naked_asm!(
        "sub rsp, 216",
        "mov [rsp + 32], rdi",
        "mov [rsp + 40], rsi",
        "mov [rsp + 48], rdx",
        "mov [rsp + 56], rcx",
        "mov [rsp + 64], r8",
        "mov [rsp + 72], r9",
        "movaps [rsp + 80], xmm0",
        "movaps [rsp + 96], xmm1",
        "movaps [rsp + 112], xmm2",
        "movaps [rsp + 128], xmm3",
        "movaps [rsp + 144], xmm4",
        "movaps [rsp + 160], xmm5",
        "movaps [rsp + 176], xmm6",
        "movaps [rsp + 192], xmm7",
        // Two integer registers are taken by the named arguments; no vector ones.
        "mov dword ptr [rsp], 16",
        "mov dword ptr [rsp + 4], 48",
        "lea rax, [rsp + 224]",
        "mov [rsp + 8], rax",
        "lea rax, [rsp + 32]",
        "mov [rsp + 16], rax",
        "mov rdx, rsp",
        "call {new}",
        "add rsp, 216",
        "ret",
        new = sym new_formatted,
    )
}

/// An error with a text made as `printf` makes it from `fmt` and what follows; at most 1,023 bytes of it are kept.
///
/// # Safety
/// `fmt` is NULL or ends in a NUL byte, and the arguments fit it.
///
/// As on x86-64, with the list of AAPCS64: stack, tops of the two save areas, and their offsets, which count up to zero.
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn rd_kafka_error_new(code: RespErr, fmt: *const c_char) -> *mut ErrorObject {
    std::arch::naked_asm!(
        // The frame: at 0 the frame record, at 16 the list (32 bytes), at 48 eight integer registers, at 112 eight vector ones; together 240.
        "sub sp, sp, #240",
        "stp x29, x30, [sp]",
        "mov x29, sp",
        "stp x0, x1, [sp, #48]",
        "stp x2, x3, [sp, #64]",
        "stp x4, x5, [sp, #80]",
        "stp x6, x7, [sp, #96]",
        "stp q0, q1, [sp, #112]",
        "stp q2, q3, [sp, #144]",
        "stp q4, q5, [sp, #176]",
        "stp q6, q7, [sp, #208]",
        "add x9, sp, #240",
        "str x9, [sp, #16]",
        "add x10, sp, #112",
        "str x10, [sp, #24]",
        "str x9, [sp, #32]",
        // Two of eight integer registers are taken by the named arguments; no vector ones.
        "mov w9, #-48",
        "str w9, [sp, #40]",
        "mov w9, #-128",
        "str w9, [sp, #44]",
        "add x2, sp, #16",
        "bl {new}",
        "ldp x29, x30, [sp]",
        "add sp, sp, #240",
        "ret",
        new = sym new_formatted,
    )
}

/// An error with `fmt` as its text: what follows it cannot be read on this target.
///
/// # Safety
/// `fmt` is NULL or ends in a NUL byte.
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_os = "linux"))))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_error_new(code: RespErr, fmt: *const c_char) -> *mut ErrorObject {
    // SAFETY: the caller vouches for the text.
    let text = unsafe { crate::boundary::text(fmt) }.unwrap_or_default();
    guard(std::ptr::null_mut(), || ErrorObject::new(code, text).give())
}

#[cfg(test)]
mod tests {
    use super::*;

    type New = unsafe extern "C" fn(RespErr, *const c_char, ...) -> *mut ErrorObject;

    fn string(error: *mut ErrorObject) -> String {
        // SAFETY: made below, and freed here.
        unsafe {
            let text = CStr::from_ptr(rd_kafka_error_string(error)).to_str().unwrap().to_owned();
            rd_kafka_error_destroy(error);
            text
        }
    }

    #[test]
    #[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), ignore = "formats nothing on this target")]
    fn an_error_is_formatted_from_registers_and_stack() {
        // SAFETY: on the targets of this test it reads its arguments as C's `...` passes them.
        let new = unsafe {
            std::mem::transmute::<unsafe extern "C" fn(RespErr, *const c_char) -> *mut ErrorObject, New>(
                rd_kafka_error_new,
            )
        };
        let format = c"%s %d %ld %c %g %d %d %.2f %s %d %g %g %g %g %g %g %g %g";
        // SAFETY: the arguments fit the format.
        let error = unsafe {
            new(
                RespErr::INVALID_ARG,
                format.as_ptr(),
                c"text".as_ptr(),
                1,
                1_i64 << 40,
                c_int::from(b'x'),
                1.5,
                2,
                3,
                2.25,
                c"more".as_ptr(),
                -4,
                1.0,
                2.0,
                3.0,
                4.0,
                5.0,
                6.0,
                7.0,
                8.5,
            )
        };
        assert_eq!(string(error), "text 1 1099511627776 x 1.5 2 3 2.25 more -4 1 2 3 4 5 6 7 8.5");
        // SAFETY: no arguments are asked for.
        let plain = unsafe { new(RespErr::INVALID_ARG, std::ptr::null()) };
        assert_eq!(string(plain), "Local: Invalid argument or configuration");
    }

    #[test]
    fn an_error_says_what_is_to_be_done() {
        let error = ErrorObject::new(RespErr::STATE, "not now").retriable().txn_requires_abort().give();
        // SAFETY: made above; NULL is allowed everywhere.
        unsafe {
            assert_eq!(rd_kafka_error_code(error), RespErr::STATE);
            assert_eq!(CStr::from_ptr(rd_kafka_error_name(error)), c"_STATE");
            assert_eq!(rd_kafka_error_is_retriable(error), 1);
            assert_eq!(rd_kafka_error_txn_requires_abort(error), 1);
            assert_eq!(rd_kafka_error_is_fatal(error), 0);
            assert_eq!(rd_kafka_error_code(std::ptr::null()), RespErr::NO_ERROR);
            assert_eq!(CStr::from_ptr(rd_kafka_error_string(std::ptr::null())), c"");
        }
        assert_eq!(string(error), "not now");
    }
}
