//! OAUTHBEARER's tokens and SASL's credentials while a handle lives: who is asked for a token, and how the program gives one.

use std::ffi::{CStr, CString, c_char};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use felice::protocol::sasl::{BearerToken, Secret};
use felice::raw::TokenSource;

use crate::boundary::{guard, text, write_text};
use crate::conf::Conf;
use crate::errors::object::ErrorObject;
use crate::event::{Body, Event};
use crate::handle::Kafka;
use crate::op::Op;
use crate::queue::{Queue, QueueRef};
use crate::types::RespErr;

/// Where a handle asks for tokens.
#[derive(Debug)]
pub(crate) struct Sasl {
    bearer: bool,
    /// With `rd_kafka_conf_enable_sasl_queue`; else the main queue is asked.
    queue: Option<Arc<Queue>>,
    refresh: Arc<Refresh>,
}

#[derive(Debug)]
struct Refresh {
    queue: Arc<Queue>,
    config: CString,
    /// Somebody was asked and has not answered.
    asked: AtomicBool,
}

impl Refresh {
    fn ask(&self) {
        if !self.asked.swap(true, Ordering::SeqCst) {
            self.queue.push(Op::OauthRefresh(self.config.clone()));
        }
    }
}

impl Sasl {
    pub(crate) fn new(conf: &Conf, main: &Arc<Queue>) -> Self {
        let queue = conf.flag("enable_sasl_queue").then(Queue::new);
        let refresh = Refresh {
            queue: queue.as_ref().unwrap_or(main).clone(),
            config: CString::new(conf.text("sasl.oauthbearer.config").unwrap_or_default()).unwrap_or_default(),
            asked: AtomicBool::new(false),
        };
        let bearer = conf.text("sasl.mechanisms").is_some_and(|name| name.eq_ignore_ascii_case("OAUTHBEARER"))
            && conf.text("security.protocol").is_some_and(|protocol| protocol.starts_with("sasl"));
        Self { bearer, queue, refresh: Arc::new(refresh) }
    }

    /// Asks the program for tokens; `None` where it uses none, or the client makes them.
    pub(crate) fn tokens(&self, conf: &Conf) -> Option<TokenSource> {
        if !self.bearer || conf.flag("enable.sasl.oauthbearer.unsecure.jwt") {
            return None;
        }
        let refresh = self.refresh.clone();
        // The first is asked for at once, as programs expect, whether or not there is a broker.
        refresh.ask();
        Some(TokenSource::told(move || refresh.ask()))
    }

    /// The handle goes.
    pub(crate) fn end(&self) {
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }
}

fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// # Safety
/// `extensions` is NULL or has `size` texts.
unsafe fn pairs(extensions: *const *const c_char, size: usize) -> Option<Vec<(String, String)>> {
    let texts = if extensions.is_null() {
        &[][..]
    } else {
        // SAFETY: the caller vouches for the array.
        unsafe { std::slice::from_raw_parts(extensions, size) }
    };
    // SAFETY: the caller vouches for each of them.
    let owned = |pointer: *const c_char| unsafe { text(pointer) }.map(str::to_owned);
    texts.chunks_exact(2).map(|pair| Some((owned(*pair.first()?)?, owned(*pair.get(1)?)?))).collect()
}

/// Gives a token that ends at `md_lifetime_ms`, milliseconds since 1970; `extensions` has names and values in turn. `__STATE` where the handle uses
/// no tokens, `__INVALID_ARG` with a text where it cannot be used.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; the texts end in NUL bytes; `extensions` has `extension_size` of them or is NULL; `errstr` has `errstr_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_oauthbearer_set_token(
    rk: *mut Kafka,
    token_value: *const c_char,
    md_lifetime_ms: i64,
    md_principal_name: *const c_char,
    extensions: *const *const c_char,
    extension_size: usize,
    errstr: *mut c_char,
    errstr_size: usize,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for all of them.
        let (rk, value, principal) = unsafe { (rk.as_ref(), text(token_value), text(md_principal_name)) };
        let refuse = |code: RespErr, why: &str| {
            // SAFETY: the caller vouches for the buffer.
            unsafe { write_text(errstr, errstr_size, why) };
            code
        };
        let (Some(rk), Some(value), Some(principal)) = (rk, value, principal) else {
            return refuse(RespErr::INVALID_ARG, "the handle, the token or the principal is missing");
        };
        if !rk.sasl.bearer {
            return refuse(RespErr::STATE, "SASL/OAUTHBEARER is not the configured authentication mechanism");
        }
        if !extension_size.is_multiple_of(2) {
            let why = format!("Incorrect extension size (must be a non-negative multiple of 2): {extension_size}");
            return refuse(RespErr::INVALID_ARG, &why);
        }
        let now = now_millis();
        if md_lifetime_ms <= now {
            let why = format!("Must supply an unexpired token: now={now}ms, exp={md_lifetime_ms}ms");
            return refuse(RespErr::INVALID_ARG, &why);
        }
        // SAFETY: the caller vouches for the array.
        let Some(extensions) = (unsafe { pairs(extensions, extension_size) }) else {
            return refuse(RespErr::INVALID_ARG, "an extension is missing or not UTF-8");
        };
        let token = BearerToken {
            value: Secret::new(value.to_owned()),
            expires_at_ms: md_lifetime_ms,
            principal: principal.to_owned(),
            extensions,
        };
        match rk.client.set_token(token) {
            Ok(()) => {
                rk.sasl.refresh.asked.store(false, Ordering::SeqCst);
                RespErr::NO_ERROR
            }
            Err(error) => refuse(RespErr::INVALID_ARG, error.message()),
        }
    })
}

/// Says that there is no token, and why; it is asked for again in ten seconds.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `errstr` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_oauthbearer_set_token_failure(rk: *mut Kafka, errstr: *const c_char) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (rk, why) = unsafe { (rk.as_ref(), text(errstr)) };
        let (Some(rk), Some(why)) = (rk, why.filter(|why| !why.is_empty())) else { return RespErr::INVALID_ARG };
        if !rk.sasl.bearer {
            return RespErr::STATE;
        }
        rk.sasl.refresh.asked.store(false, Ordering::SeqCst);
        rk.client.set_token_failure(why);
        rk.brokers.tell(RespErr::AUTHENTICATION, &format!("Failed to acquire SASL OAUTHBEARER token: {why}"));
        RespErr::NO_ERROR
    })
}

/// Another user and password, for connections that are made from now on. NULL, or an error object.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; both texts end in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_sasl_set_credentials(
    rk: *mut Kafka,
    username: *const c_char,
    password: *const c_char,
) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for all three.
        let (rk, user, password) = unsafe { (rk.as_ref(), text(username), text(password)) };
        let (Some(rk), Some(user), Some(password)) = (rk, user, password) else {
            return ErrorObject::new(RespErr::INVALID_ARG, "Username and password are required").give();
        };
        // A handle without SASL, or with tokens, takes them as well and never uses them.
        let _ = rk.client.set_credentials(user, password);
        std::ptr::null_mut()
    })
}

/// The queue on which tokens are asked for; NULL without `rd_kafka_conf_enable_sasl_queue`.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_get_sasl(rk: *mut Kafka) -> *mut QueueRef {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        let Some(rk) = (unsafe { rk.as_ref() }) else { return std::ptr::null_mut() };
        rk.sasl.queue.as_ref().map_or(std::ptr::null_mut(), |queue| QueueRef::hand_out(rk, queue))
    })
}

/// Has a thread of the library's ask for tokens, so that the program need not poll. NULL, or an error object.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_sasl_background_callbacks_enable(rk: *mut Kafka) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        let Some(rk) = (unsafe { rk.as_ref() }) else { return std::ptr::null_mut() };
        let Some(queue) = &rk.sasl.queue else {
            let why = "SASL queue is not enabled, see rd_kafka_conf_enable_sasl_queue()";
            return ErrorObject::new(RespErr::NOT_CONFIGURED, why).give();
        };
        match rk.background.queue(rk) {
            Some(background) => {
                queue.forward_to(Some(background));
                std::ptr::null_mut()
            }
            None => ErrorObject::new(RespErr::FAIL, "the background thread cannot be started").give(),
        }
    })
}

/// Calls the program for a token.
pub(crate) fn call(kafka: &Kafka, config: &CStr) {
    if let Some(callback) = kafka.conf.callbacks.oauthbearer_token_refresh_cb {
        let config = if config.is_empty() { std::ptr::null() } else { config.as_ptr() };
        // SAFETY: the program's own function; the text lives until it has come back.
        unsafe { callback(kafka.pointer(), config, kafka.conf.opaque) };
    }
}

/// `sasl.oauthbearer.config`, of an event that asks for a token; NULL for other events, and where it is not set.
///
/// # Safety
/// `rkev` is NULL or came from `rd_kafka_queue_poll`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_event_config_string(rkev: *mut Event) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for the event.
        match unsafe { rkev.as_ref() }.map(|event| &event.body) {
            Some(Body::Op(Op::OauthRefresh(config))) if !config.is_empty() => config.as_ptr(),
            _ => std::ptr::null(),
        }
    })
}
