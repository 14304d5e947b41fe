//! Fatal errors: after one a handle takes nothing more. `Guarantee` says which failures of a producer's batches are that.

use std::ffi::{CStr, CString, c_char};
use std::sync::OnceLock;

use felice::{ErrorCode, ErrorKind, FinishedBatch};

use crate::boundary::{guard, text, write_text};
use crate::conf::Conf;
use crate::errors::text_of;
use crate::handle::Kafka;
use crate::op::Op;
use crate::types::RespErr;

/// A handle's fatal error, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Fatal(OnceLock<(RespErr, CString)>);

impl Fatal {
    /// The first fatal error.
    #[inline]
    pub(crate) fn get(&self) -> Option<(RespErr, &CStr)> {
        self.0.get().map(|(code, text)| (*code, text.as_c_str()))
    }
}

/// What an idempotent producer promises, so that it cannot go on where a batch has failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guarantee {
    idempotent: bool,
    /// `enable.gapless.guarantee`.
    gapless: bool,
}

impl Guarantee {
    pub(crate) fn of(conf: &Conf) -> Self {
        Self { idempotent: conf.flag("enable.idempotence"), gapless: conf.flag("enable.gapless.guarantee") }
    }

    /// The fatal error that a batch's failure is, with its words; what a program purged is no failure.
    pub(crate) fn broken_by(self, batch: &FinishedBatch) -> Option<(RespErr, String)> {
        let error = batch.result().err().filter(|_| self.idempotent)?;
        match error.code() {
            _ if matches!(error.kind(), ErrorKind::Purged | ErrorKind::Closed) => None,
            Some(
                code @ (ErrorCode::CLUSTER_AUTHORIZATION_FAILED | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
            ) => Some((RespErr(code.0.into()), error.to_string())),
            Some(ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED) => {
                Some((RespErr::FENCED, format!("Producer fenced by newer instance: {error}")))
            }
            _ if self.gapless => {
                let place = format!("{} [{}]", batch.topic(), batch.partition());
                Some((RespErr::GAPLESS_GUARANTEE, format!("{place}: {error}: unable to satisfy gap-less guarantee")))
            }
            _ => None,
        }
    }
}

impl Kafka {
    /// Makes an error the handle's fatal one: the program hears of it, and what a producer has not sent is given up. `false` where there was one
    /// before.
    pub(crate) fn set_fatal(&self, code: RespErr, reason: &str) -> bool {
        let reason = CString::new(reason).unwrap_or_default();
        if self.fatal.0.set((code, reason.clone())).is_err() {
            return false;
        }
        let words =
            text_of(code).map_or_else(|| format!("Err-{}?", code.0), |text| text.to_string_lossy().into_owned());
        let told = format!("Fatal error: {words}: {}", reason.to_string_lossy());
        match &self.consumer {
            // A consumer's program finds it where its messages are.
            Some(consumer) => consumer.tell_fatal(&told),
            None => {
                let text = CString::new(told).unwrap_or_default();
                self.main.push(Op::Error { code: RespErr::FATAL, text, fatal: true });
            }
        }
        if let Some(producer) = &self.producer {
            producer.start_purge(true, false);
        }
        true
    }
}

/// A handle's fatal error and its text; no error where it has none.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_fatal_error(rk: *mut Kafka, errstr: *mut c_char, errstr_size: usize) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for `rk`.
        let Some((code, text)) = (unsafe { rk.as_ref() }).and_then(|rk| rk.fatal.get()) else {
            return RespErr::NO_ERROR;
        };
        // SAFETY: the caller vouches for the buffer.
        unsafe { write_text(errstr, errstr_size, &text.to_string_lossy()) };
        code
    })
}

/// Makes an error fatal, for a program's tests; `__PREV_IN_PROGRESS` where there is one already.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `reason` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_test_fatal_error(rk: *mut Kafka, err: RespErr, reason: *const c_char) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (rk, reason) = unsafe { (rk.as_ref(), text(reason)) };
        let Some(rk) = rk else { return RespErr::INVALID_ARG };
        if rk.set_fatal(err, &format!("test_fatal_error: {}", reason.unwrap_or_default())) {
            RespErr::NO_ERROR
        } else {
            RespErr::PREV_IN_PROGRESS
        }
    })
}
