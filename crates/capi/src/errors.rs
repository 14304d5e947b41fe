//! librdkafka's error codes: the local ones, Kafka's own, their names and texts, and which of them a [`felice::Error`] is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::sync::OnceLock;

use felice::{Error, ErrorCode, ErrorKind};

use crate::boundary::{guard, last_error};
use crate::types::RespErr;

macro_rules! local_errors {
    ($($name:ident = $code:literal $text:literal;)*) => {
        impl RespErr {
            $(
                #[doc = concat!("`", stringify!($name), "`: ", $text, ".")]
                pub const $name: Self = Self($code);
            )*
        }

        /// Code, name without its leading underscore, text.
        const LOCAL: &[(i32, &str, &str)] = &[$(($code, stringify!($name), $text)),*];
    };
}

local_errors! {
    BAD_MSG = -199 "Local: Bad message format";
    DESTROY = -197 "Local: Broker handle destroyed";
    FAIL = -196 "Local: Communication failure with broker";
    TRANSPORT = -195 "Local: Broker transport failure";
    MSG_TIMED_OUT = -192 "Local: Message timed out";
    PARTITION_EOF = -191 "Broker: No more messages";
    UNKNOWN_PARTITION = -190 "Local: Unknown partition";
    UNKNOWN_TOPIC = -188 "Local: Unknown topic";
    ALL_BROKERS_DOWN = -187 "Local: All broker connections are down";
    INVALID_ARG = -186 "Local: Invalid argument or configuration";
    TIMED_OUT = -185 "Local: Timed out";
    QUEUE_FULL = -184 "Local: Queue full";
    SSL = -181 "Local: SSL error";
    STATE = -172 "Local: Erroneous state";
    NOT_IMPLEMENTED = -170 "Local: Not implemented";
    UNKNOWN_BROKER = -146 "Local: Unknown broker";
    NOT_CONFIGURED = -145 "Local: Functionality not configured";
    AUTHENTICATION = -169 "Local: Authentication failure";
    UNSUPPORTED_FEATURE = -165 "Local: Required feature not supported by broker";
    NOENT = -156 "Local: No such entry";
    PURGE_QUEUE = -152 "Local: Purged in queue";
    PURGE_INFLIGHT = -151 "Local: Purged in flight";
    FATAL = -150 "Local: Fatal error";
    CONFLICT = -173 "Local: Conflicting use";
    AUTO_OFFSET_RESET = -140 "Local: No offset to automatically reset to";
}

impl RespErr {
    /// No error.
    pub const NO_ERROR: Self = Self(0);
    /// Any error of a broker that has no better code.
    pub const UNKNOWN: Self = Self(-1);
    /// A record larger than is allowed.
    pub const MSG_SIZE_TOO_LARGE: Self = Self(10);

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
            ErrorKind::OffsetOutOfRange => Self(ErrorCode::OFFSET_OUT_OF_RANGE.0.into()),
            _ => Self::FAIL,
        }
    }

    /// A human's text.
    pub(crate) fn text(self) -> String {
        text_of(self).map_or_else(|| format!("Err-{}?", self.0), |text| text.to_string_lossy().into_owned())
    }

    /// The code in a delivery report: a record whose time was up has one of its own.
    pub(crate) fn of_delivery(error: &Error) -> Self {
        match Self::of(error) {
            Self::TIMED_OUT => Self::MSG_TIMED_OUT,
            other => other,
        }
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

/// Where librdkafka's name of a broker's code is not Kafka's.
const OTHER_NAMES: &[(i32, &str)] = &[
    (-1, "UNKNOWN"),
    (0, "NO_ERROR"),
    (2, "INVALID_MSG"),
    (3, "UNKNOWN_TOPIC_OR_PART"),
    (4, "INVALID_MSG_SIZE"),
    (6, "NOT_LEADER_FOR_PARTITION"),
    (10, "MSG_SIZE_TOO_LARGE"),
    (11, "STALE_CTRL_EPOCH"),
    (17, "TOPIC_EXCEPTION"),
];

/// Where a broker's code has another text than its name in words.
const OTHER_TEXTS: &[(i32, &str)] = &[
    (-1, "Unknown broker error"),
    (0, "Success"),
    (2, "Broker: Invalid message"),
    (6, "Broker: Not leader for partition"),
    (10, "Broker: Message size too large"),
    (17, "Broker: Invalid topic"),
];

struct Described {
    name: CString,
    text: CString,
}

fn table() -> &'static BTreeMap<i32, Described> {
    static TABLE: OnceLock<BTreeMap<i32, Described>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let text = |text: &str| CString::new(text).unwrap_or_default();
        let other = |table: &[(i32, &'static str)], code: i32| table.iter().find(|row| row.0 == code).map(|row| row.1);
        let mut all = BTreeMap::new();
        for (code, name, words) in LOCAL {
            all.insert(*code, Described { name: text(&format!("_{name}")), text: text(words) });
        }
        for code in ErrorCode::ALL {
            let Some(kafkas) = code.name() else { continue };
            let code = i32::from(code.0);
            let words = other(OTHER_TEXTS, code).map_or_else(|| format!("Broker: {}", in_words(kafkas)), str::to_owned);
            all.insert(code, Described { name: text(other(OTHER_NAMES, code).unwrap_or(kafkas)), text: text(&words) });
        }
        all
    })
}

/// `TOPIC_ALREADY_EXISTS` as "Topic already exists".
fn in_words(name: &str) -> String {
    let lower = name.to_ascii_lowercase().replace('_', " ");
    let mut letters = lower.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

thread_local! {
    static UNKNOWN: RefCell<CString> = RefCell::default();
}

/// The text for a code without one: valid on this thread until the next such call.
fn unknown(code: i32) -> *const c_char {
    UNKNOWN.with_borrow_mut(|held| {
        *held = CString::new(format!("Err-{code}?")).unwrap_or_default();
        held.as_ptr()
    })
}

/// The text of a code that has one.
pub(crate) fn text_of(code: RespErr) -> Option<&'static CStr> {
    table().get(&code.0).map(|known| known.text.as_c_str())
}

/// A human's text for an error code; static, but for unknown codes, where it is valid until the thread's next call.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_err2str(err: RespErr) -> *const c_char {
    guard(c"".as_ptr(), || text_of(err).map_or_else(|| unknown(err.0), CStr::as_ptr))
}

/// The name of an error code, without its prefix; static, but for unknown codes, where it is valid until the thread's next call.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_err2name(err: RespErr) -> *const c_char {
    guard(c"".as_ptr(), || table().get(&err.0).map_or_else(|| unknown(err.0), |known| known.name.as_ptr()))
}

/// The error of this thread's last call of the legacy API.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_last_error() -> RespErr {
    last_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(code: i32) -> (String, String) {
        let known = &table()[&code];
        (known.name.to_str().unwrap().to_owned(), known.text.to_str().unwrap().to_owned())
    }

    #[test]
    fn names_and_texts_are_those_that_programs_compare() {
        assert_eq!(described(-184), ("_QUEUE_FULL".into(), "Local: Queue full".into()));
        assert_eq!(described(0), ("NO_ERROR".into(), "Success".into()));
        assert_eq!(described(3), ("UNKNOWN_TOPIC_OR_PART".into(), "Broker: Unknown topic or partition".into()));
        assert_eq!(described(36), ("TOPIC_ALREADY_EXISTS".into(), "Broker: Topic already exists".into()));
        assert_eq!(described(10), ("MSG_SIZE_TOO_LARGE".into(), "Broker: Message size too large".into()));
    }

    #[test]
    fn an_unknown_code_has_a_text_too() {
        // SAFETY: the text is valid until the next such call on this thread.
        let text = unsafe { CStr::from_ptr(rd_kafka_err2str(RespErr(4711))) };
        assert_eq!(text, c"Err-4711?");
    }
}
