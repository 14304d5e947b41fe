//! `rd_kafka_topic_*`: one object a topic and handle, counted: the program's, and those that messages point to.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use crate::boundary::{guard, set_last_error, text};
use crate::handle::Kafka;
use crate::produce::ProducerSide;
use crate::types::RespErr;

/// `rd_kafka_topic_t`.
#[derive(Debug)]
pub struct Topic {
    pub(crate) name: String,
    c_name: CString,
    /// Where `rd_kafka_produce` goes, on a producer's topic.
    pub(crate) producer: Option<Arc<ProducerSide>>,
}

/// The topics of a handle, by name. They live as long as it does, so that a message may point to its own.
#[derive(Debug)]
pub(crate) struct Topics {
    producer: Option<Arc<ProducerSide>>,
    by_name: Mutex<BTreeMap<String, Arc<Topic>>>,
}

impl Topics {
    pub(crate) fn new(producer: Option<Arc<ProducerSide>>) -> Self {
        Self { producer, by_name: Mutex::default() }
    }

    /// The topic of this name; `None` for a name that C could not read.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = by_name.get(name) {
            return Some(topic.clone());
        }
        let c_name = CString::new(name).ok()?;
        let topic = Arc::new(Topic { name: name.to_owned(), c_name, producer: self.producer.clone() });
        by_name.insert(name.to_owned(), topic.clone());
        Some(topic)
    }

    /// The topics that there are handles of.
    pub(crate) fn names(&self) -> Vec<String> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The pointer that a message of this topic carries.
    pub(crate) fn pointer(&self, name: &str) -> *mut c_void {
        self.get(name).map_or(std::ptr::null_mut(), |topic| Arc::as_ptr(&topic).cast_mut().cast())
    }
}

/// A topic of this handle; NULL, with the last error, where the name cannot be one. Settings by topic do not exist yet: `conf` must be NULL.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `topic` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_new(rk: *mut Kafka, topic: *const c_char, conf: *mut c_void) -> *mut Topic {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for both.
        let (rk, name) = unsafe { (rk.as_ref(), text(topic)) };
        let name = name.filter(|name| !name.is_empty() && name.len() < 512);
        let (Some(rk), Some(name), true) = (rk, name, conf.is_null()) else {
            set_last_error(RespErr::INVALID_ARG, libc::EINVAL);
            return std::ptr::null_mut();
        };
        rk.topics.get(name).map_or(std::ptr::null_mut(), |topic| Arc::into_raw(topic).cast_mut())
    })
}

/// Gives a topic back.
///
/// # Safety
/// `rkt` is NULL or came from [`rd_kafka_topic_new`], once for each call of this.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_destroy(rkt: *mut Topic) {
    guard((), || {
        if !rkt.is_null() {
            // SAFETY: the caller vouches for one count of the `Arc` that `into_raw` gave.
            drop(unsafe { Arc::from_raw(rkt.cast_const()) });
        }
    });
}

/// A topic's name, valid as long as the topic is.
///
/// # Safety
/// `rkt` came from [`rd_kafka_topic_new`] or from a message that is still there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_name(rkt: *const Topic) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for `rkt`.
        let topic = unsafe { rkt.as_ref() };
        topic.map_or(std::ptr::null(), |topic| topic.c_name.as_ptr())
    })
}
