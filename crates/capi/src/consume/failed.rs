//! Errors that calls return as objects.

use crate::errors::object::ErrorObject;
use crate::types::RespErr;

/// An error, for the program to destroy.
pub(super) fn failed(err: RespErr, text: &str) -> *mut ErrorObject {
    ErrorObject::new(err, text).give()
}
