//! librdkafka's error codes, their names and texts, and which of them a [`felice::Error`] is.
//!
//! - `codes`: the table; [`object`]: `rd_kafka_error_t`

pub(crate) mod codes;
pub mod object;

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::thread::LocalKey;

use felice::{Error, ErrorKind};

use crate::boundary::{guard, last_error};
use crate::types::RespErr;
use codes::{DESCRIPTIONS, ErrDesc, described};

impl RespErr {
    /// The code for an error of the client.
    pub(crate) fn of(error: &Error) -> Self {
        if let Some(code) = error.code() {
            return Self(code.0.into());
        }
        match error.kind() {
            ErrorKind::Connect => Self::TRANSPORT,
            ErrorKind::Authentication => Self::AUTHENTICATION,
            ErrorKind::Tls => Self::SSL,
            ErrorKind::Timeout => Self::TIMED_OUT,
            ErrorKind::UnknownTopic if error.partition().is_some() => Self::UNKNOWN_PARTITION,
            ErrorKind::UnknownTopic => Self::UNKNOWN_TOPIC,
            ErrorKind::RecordTooLarge => Self::MSG_SIZE_TOO_LARGE,
            ErrorKind::BufferFull => Self::QUEUE_FULL,
            ErrorKind::Closed => Self::DESTROY,
            ErrorKind::Config => Self::INVALID_ARG,
            ErrorKind::Decode => Self::BAD_MSG,
            ErrorKind::Unsupported => Self::UNSUPPORTED_FEATURE,
            ErrorKind::OffsetOutOfRange => Self::OFFSET_OUT_OF_RANGE,
            ErrorKind::LogTruncated => Self::LOG_TRUNCATION,
            _ => Self::FAIL,
        }
    }

    /// A human's text.
    pub(crate) fn text(self) -> String {
        text_of(self).map_or_else(|| format!("Err-{}?", self.0), |text| text.to_string_lossy().into_owned())
    }

    /// The errno that goes with the code where a call of the legacy API fails.
    pub(crate) fn errno(self) -> i32 {
        match self {
            Self::QUEUE_FULL => libc::ENOBUFS,
            Self::UNKNOWN_PARTITION => libc::ESRCH,
            Self::UNKNOWN_TOPIC => libc::ENOENT,
            Self::MSG_SIZE_TOO_LARGE => libc::EMSGSIZE,
            Self::FATAL => libc::ECANCELED,
            _ => libc::EINVAL,
        }
    }
}

thread_local! {
    static UNKNOWN_TEXT: RefCell<CString> = RefCell::default();
    static UNKNOWN_NAME: RefCell<CString> = RefCell::default();
}

/// A text of its own for a code without one: valid on this thread until the next that is held there.
fn unknown(held: &'static LocalKey<RefCell<CString>>, text: String) -> *const c_char {
    held.with_borrow_mut(|held| {
        *held = CString::new(text).unwrap_or_default();
        held.as_ptr()
    })
}

/// The text of a code that has one.
pub(crate) fn text_of(code: RespErr) -> Option<&'static CStr> {
    // SAFETY: the table's texts are constants that end in NUL bytes.
    described(code).map(|row| unsafe { CStr::from_ptr(row.desc) })
}

/// A human's text for an error code; static, but for unknown codes, where it is valid until the thread's next call.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_err2str(err: RespErr) -> *const c_char {
    guard(c"".as_ptr(), || {
        described(err).map_or_else(|| unknown(&UNKNOWN_TEXT, format!("Err-{}?", err.0)), |row| row.desc)
    })
}

/// The name of an error code, without its prefix; static, but for unknown codes, where it is valid until the thread's next call.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_err2name(err: RespErr) -> *const c_char {
    guard(c"".as_ptr(), || {
        described(err).map_or_else(|| unknown(&UNKNOWN_NAME, format!("ERR_{}?", err.0)), |row| row.name)
    })
}

/// All codes, by code + 200, with gaps that have no name; static.
///
/// # Safety
/// Both are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_get_err_descs(errdescs: *mut *const ErrDesc, cntp: *mut usize) {
    guard((), || {
        // SAFETY: the caller vouches for both.
        unsafe {
            if let Some(errdescs) = errdescs.as_mut() {
                *errdescs = DESCRIPTIONS.as_ptr();
            }
            if let Some(cntp) = cntp.as_mut() {
                *cntp = DESCRIPTIONS.len();
            }
        }
    });
}

/// The error of this thread's last call of the legacy API.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_last_error() -> RespErr {
    last_error()
}

/// The errno of this thread's last call.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_errno() -> c_int {
    errno::errno().0
}

/// The code that an errno of the legacy API stands for.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_errno2err(errnox: c_int) -> RespErr {
    match errnox {
        libc::EINVAL => RespErr::INVALID_ARG,
        libc::EBUSY => RespErr::CONFLICT,
        libc::ENOENT => RespErr::UNKNOWN_TOPIC,
        libc::ESRCH => RespErr::UNKNOWN_PARTITION,
        libc::ETIMEDOUT => RespErr::TIMED_OUT,
        libc::EMSGSIZE => RespErr::MSG_SIZE_TOO_LARGE,
        libc::ENOBUFS => RespErr::QUEUE_FULL,
        libc::ECANCELED => RespErr::FATAL,
        _ => RespErr::FAIL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(code: i32) -> String {
        // SAFETY: valid until the next such call on this thread.
        unsafe { CStr::from_ptr(rd_kafka_err2name(RespErr(code))) }.to_str().unwrap().to_owned()
    }

    fn text(code: i32) -> String {
        // SAFETY: valid until the next such call on this thread.
        unsafe { CStr::from_ptr(rd_kafka_err2str(RespErr(code))) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn names_and_texts_are_those_that_programs_compare() {
        assert_eq!([name(-184), text(-184)], ["_QUEUE_FULL", "Local: Queue full"]);
        assert_eq!([name(0), text(0)], ["NO_ERROR", "Success"]);
        assert_eq!([name(3), text(3)], ["UNKNOWN_TOPIC_OR_PART", "Broker: Unknown topic or partition"]);
        assert_eq!(
            [name(133), text(133)],
            ["SHARE_SESSION_LIMIT_REACHED", "Broker: The limit of share sessions has been reached"]
        );
    }

    #[test]
    fn an_unknown_code_has_a_text_too() {
        for code in [-201, -200, -100, -2, 98, 134, i32::MIN, i32::MAX] {
            assert_eq!([name(code), text(code)], [format!("ERR_{code}?"), format!("Err-{code}?")]);
        }
    }

    #[test]
    fn the_table_has_all_codes_in_their_places() {
        let named = DESCRIPTIONS.iter().filter(|row| !row.name.is_null()).count();
        assert_eq!(named, 190);
        for (index, row) in DESCRIPTIONS.iter().enumerate().filter(|row| !row.1.name.is_null()) {
            assert_eq!(row.code.0 + 200, i32::try_from(index).unwrap());
        }
        assert_eq!(size_of::<ErrDesc>(), 24);
    }
}
