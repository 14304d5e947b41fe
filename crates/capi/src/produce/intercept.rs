//! Interceptors of what is produced, and the tests' hook for answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::conf::Conf;
use crate::conf::callbacks::UtHandleProduceResponse;
use crate::conf::interceptors::Interceptors;
use crate::handle::Kafka;
use crate::headers::Headers;
use crate::log::{Logger, level};
use crate::message::{HeadersOf, Shared, WholeMessage, timestamp_type};
use crate::types::RespErr;

/// Who sees records before they are sent and once their fate is known.
#[derive(Debug)]
pub(crate) struct Interception {
    all: Arc<Interceptors>,
    overrule: Option<UtHandleProduceResponse>,
    log: Arc<Logger>,
    /// NULL before the handle has an address, and when it goes.
    rk: AtomicPtr<Kafka>,
}

impl Interception {
    pub(crate) fn new(conf: &Conf, log: &Arc<Logger>) -> Self {
        Self {
            all: conf.interceptors.clone(),
            overrule: conf.callbacks.ut_handle_produce_response,
            log: log.clone(),
            rk: AtomicPtr::default(),
        }
    }

    /// Programs are called with this from now on; with NULL no more.
    pub(crate) fn attach(&self, rk: *mut Kafka) {
        self.rk.store(rk, Ordering::Release);
    }

    #[inline]
    pub(crate) fn sees_sends(&self) -> bool {
        !self.all.sends_unseen()
    }

    #[inline]
    pub(crate) fn sees_acknowledgements(&self) -> bool {
        !self.all.acknowledgements_unseen()
    }

    pub(crate) fn overrules(&self) -> bool {
        self.overrule.is_some()
    }

    /// What a test makes of an answer.
    pub(crate) fn overrule(&self, broker: i32, first_record: u64, code: i16) -> i32 {
        let rk = self.rk.load(Ordering::Acquire);
        match self.overrule {
            // SAFETY: the program's own function with the arguments that it was promised; no lock is held.
            Some(call) if !rk.is_null() => unsafe { call(rk, broker, first_record, RespErr(code.into())).0 },
            _ => code.into(),
        }
    }

    fn call(&self, call: impl FnOnce(&Interceptors, *mut Kafka) -> Vec<String>) {
        let rk = self.rk.load(Ordering::Acquire);
        if !rk.is_null() {
            for line in call(&self.all, rk) {
                self.log.log(level::WARNING, "ICFAIL", &line);
            }
        }
    }

    /// Shows a message before it is sent; gives back its headers, which may be others now.
    pub(crate) fn send(&self, mut message: WholeMessage) -> Option<Box<Headers>> {
        let shared = Shared { timestamp_type: timestamp_type::CREATE_TIME, ..Shared::default() };
        message.shared = &raw const shared;
        let whole = &raw mut message;
        self.call(|all, rk| all.on_send(rk, whole.cast()));
        std::mem::replace(&mut message.headers, HeadersOf::NONE).into_read()
    }

    /// Shows a message whose fate is known.
    pub(crate) fn acknowledge(&self, mut message: WholeMessage) {
        let own = Shared::default();
        if message.shared.is_null() {
            message.shared = &raw const own;
        }
        let whole = &raw mut message;
        self.call(|all, rk| all.on_acknowledgement(rk, whole.cast()));
    }
}
