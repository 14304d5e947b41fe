//! Lines of the log: to the program's callback, to a queue (`log.queue`), or to standard error. What `debug` turns on is told by context.

use std::ffi::{CString, c_char, c_int};
use std::io::Write;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::boundary::{guard, text};
use crate::conf::DEBUG_CONTEXTS;
use crate::conf::callbacks::LogCb;
use crate::handle::Kafka;
use crate::op::Op;
use crate::queue::{Queue, QueueRef};
use crate::types::RespErr;

/// Severities, as syslog has them.
pub(crate) mod level {
    use std::ffi::c_int;

    pub(crate) const ERR: c_int = 3;
    pub(crate) const WARNING: c_int = 4;
    pub(crate) const INFO: c_int = 6;
    pub(crate) const DEBUG: c_int = 7;
}

/// A context of property `debug`, as a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context(u32);

impl Context {
    pub(crate) const GENERIC: Self = Self(1);
    pub(crate) const BROKER: Self = Self(1 << 1);
    pub(crate) const CGRP: Self = Self(1 << 8);
    pub(crate) const CONF: Self = Self(1 << 18);

    /// The names of bits, with commas between.
    pub(crate) fn names(bits: u32) -> String {
        let single = |bit: &i32| bit.count_ones() == 1 && u32::try_from(*bit).is_ok_and(|bit| bits & bit != 0);
        let names = DEBUG_CONTEXTS.iter().filter(|(bit, _)| single(bit)).map(|(_, name)| *name);
        names.collect::<Vec<_>>().join(",")
    }
}

/// A line of the log.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) level: c_int,
    /// The bits of its debug contexts; none but for debug lines.
    pub(crate) contexts: u32,
    /// What it is about, in one word.
    pub(crate) facility: CString,
    pub(crate) text: CString,
}

/// Where a handle's lines go.
#[derive(Debug)]
pub(crate) struct Logger {
    name: CString,
    /// For the callback; NULL before the handle has an address.
    rk: AtomicPtr<Kafka>,
    level: AtomicI32,
    contexts: u32,
    callback: Option<LogCb>,
    thread_name: bool,
    /// With `log.queue`.
    queue: Option<Arc<Queue>>,
    /// Lines from before the handle had an address, for the callback; `None` from then on.
    early: Mutex<Option<Vec<Line>>>,
}

/// What a [`Logger`] is made with.
#[derive(Debug)]
pub(crate) struct LogSettings {
    pub(crate) name: CString,
    pub(crate) level: c_int,
    /// The bits of `debug`.
    pub(crate) debug: u32,
    pub(crate) callback: Option<LogCb>,
    pub(crate) thread_name: bool,
    pub(crate) queue: bool,
}

impl Logger {
    pub(crate) fn new(settings: LogSettings) -> Self {
        let contexts = settings.debug;
        // Whoever asks for debug lines wants to see them.
        let level = if contexts == 0 { settings.level } else { settings.level.max(level::DEBUG) };
        Self {
            name: settings.name,
            rk: AtomicPtr::default(),
            level: AtomicI32::new(level),
            contexts,
            callback: settings.callback,
            thread_name: settings.thread_name,
            queue: settings.queue.then(Queue::new),
            early: Mutex::new(Some(Vec::new())),
        }
    }

    fn early(&self) -> MutexGuard<'_, Option<Vec<Line>>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handle's name.
    pub(crate) fn name(&self) -> std::borrow::Cow<'_, str> {
        self.name.to_string_lossy()
    }

    /// The handle has an address: the callback is called from now on.
    pub(crate) fn attach(&self, rk: *mut Kafka) {
        self.rk.store(rk, Ordering::Release);
        let early = self.early().take();
        for line in early.into_iter().flatten() {
            self.print(&line);
        }
    }

    /// The handle goes: nothing calls back any more.
    pub(crate) fn detach(&self) {
        self.rk.store(std::ptr::null_mut(), Ordering::Release);
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }

    /// Whether a debug line of that context is wanted: ask before the text is made.
    pub(crate) fn debugs(&self, context: Context) -> bool {
        self.contexts & context.0 != 0
    }

    /// A debug line, where its context is wanted.
    pub(crate) fn debug(&self, context: Context, facility: &str, text: impl FnOnce() -> String) {
        if self.debugs(context) {
            self.line(level::DEBUG, context.0, facility, &text());
        }
    }

    /// A line.
    pub(crate) fn log(&self, level: c_int, facility: &str, text: &str) {
        self.line(level, 0, facility, text);
    }

    fn line(&self, level: c_int, contexts: u32, facility: &str, text: &str) {
        if level > self.level.load(Ordering::Relaxed) {
            return;
        }
        let text = if self.thread_name {
            let thread = std::thread::current();
            CString::new(format!("[thrd:{}]: {text}", thread.name().unwrap_or("app")))
        } else {
            CString::new(text)
        };
        let (Ok(facility), Ok(text)) = (CString::new(facility), text) else { return };
        let line = Line { level, contexts, facility, text };
        match &self.queue {
            Some(queue) => queue.push(Op::Log(Box::new(line))),
            None => {
                if let Some(early) = self.early().as_mut() {
                    return early.push(line);
                }
                self.print(&line);
            }
        }
    }

    /// Gives a line to the program's callback, if there is one.
    pub(crate) fn print(&self, line: &Line) {
        if let Some(callback) = self.callback {
            let rk = self.rk.load(Ordering::Acquire);
            if rk.is_null() {
                return;
            }
            // SAFETY: the program's own function; the texts live until it has come back.
            unsafe { callback(rk, line.level, line.facility.as_ptr(), line.text.as_ptr()) };
        }
    }
}

/// Lines above this severity are not logged: 0 (emergencies) to 7 (debug).
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_set_log_level(rk: *mut Kafka, level: c_int) {
    guard((), || {
        // SAFETY: the caller vouches for `rk`.
        if let Some(rk) = unsafe { rk.as_ref() } {
            rk.log.level.store(level, Ordering::Relaxed);
        }
    });
}

/// Has the log's lines go to a queue, the main one for NULL; with property `log.queue` only.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `rkqu` came from a call that gives a queue, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_set_log_queue(rk: *mut Kafka, rkqu: *mut QueueRef) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (rk, rkqu) = unsafe { (rk.as_ref(), rkqu.as_ref()) };
        let Some(rk) = rk else { return RespErr::INVALID_ARG };
        let Some(queue) = &rk.log.queue else { return RespErr::NOT_CONFIGURED };
        queue.forward_to(Some(rkqu.map_or_else(|| rk.main.clone(), |rkqu| rkqu.queue.clone())));
        RespErr::NO_ERROR
    })
}

/// Sets what logs of all handles go to, in a way that no longer has an effect: it is `rd_kafka_conf_set_log_cb` now.
///
/// # Safety
/// None is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_set_logger(rk: *mut Kafka, func: Option<LogCb>) {
    let _ = (rk, func);
}

/// Writes a line to standard error, in librdkafka's form: what logs a handle's lines unless told otherwise.
///
/// # Safety
/// `rk` is NULL or a handle; both texts end in a NUL byte or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_log_print(rk: *const Kafka, level: c_int, fac: *const c_char, buf: *const c_char) {
    guard((), || {
        // SAFETY: the caller vouches for all three.
        let (rk, fac, buf) = unsafe { (rk.as_ref(), text(fac), text(buf)) };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = rk.map_or_else(|| "".into(), |rk| rk.name.to_string_lossy());
        let (fac, buf) = (fac.unwrap_or_default(), buf.unwrap_or_default());
        let line = format!("%{level}|{}.{:03}|{fac}|{name}| {buf}\n", now.as_secs(), now.subsec_millis());
        // Where standard error is closed there is nobody to tell.
        let _ = std::io::stderr().write_all(line.as_bytes());
    });
}

/// Writes a line to syslog.
///
/// # Safety
/// `rk` is NULL or a handle; both texts end in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_log_syslog(rk: *const Kafka, level: c_int, fac: *const c_char, buf: *const c_char) {
    guard((), || {
        // SAFETY: the caller vouches for all three.
        let (rk, fac, buf) = unsafe { (rk.as_ref(), text(fac), text(buf)) };
        let name = rk.map_or_else(|| "".into(), |rk| rk.name.to_string_lossy());
        let line = CString::new(format!("{}: {name}: {}", fac.unwrap_or_default(), buf.unwrap_or_default()));
        if let Ok(line) = line {
            // SAFETY: a format with one text, and a text.
            unsafe { libc::syslog(level, c"%s".as_ptr(), line.as_ptr()) };
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_names() {
        assert_eq!(Context::names(0), "");
        assert_eq!(Context::names(0x101), "generic,cgrp");
    }
}
