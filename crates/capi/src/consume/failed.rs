//! Errors that calls return as objects.

use std::ffi::{CString, c_void};

use crate::types::RespErr;

/// An error, for the program to destroy.
pub(super) fn failed(err: RespErr, text: &str) -> *mut c_void {
    let text = CString::new(text).unwrap_or_default();
    Box::into_raw(Box::new((err, text))).cast()
}
