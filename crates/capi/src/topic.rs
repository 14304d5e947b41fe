//! `rd_kafka_topic_*`: one object a topic and handle, counted: the program's, and those that messages point to.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use felice::{ErrorCode, Producer};

use crate::boundary::{guard, set_last_error, text};
use crate::conf::{ClientKind, TopicConf};
use crate::handle::Kafka;
use crate::produce::ProducerSide;
use crate::types::RespErr;

/// `rd_kafka_topic_t`.
#[derive(Debug)]
pub struct Topic {
    pub(crate) name: String,
    c_name: CString,
    /// Where `rd_kafka_produce` goes, on a producer's topic.
    pub(crate) route: Option<Route>,
    /// Settings of its own.
    pub(crate) conf: Option<Box<TopicConf>>,
    opaque: *mut c_void,
    handle: Weak<Kafka>,
    refused: Refused,
}

/// Brokers have refused a topic's records for good, and not only these: the error, zero for none, and the metadata's version then.
#[derive(Debug, Default)]
struct Refused {
    code: AtomicI32,
    version: AtomicU64,
}

// SAFETY: the pointer is the program's, and only handed back.
unsafe impl Send for Topic {}
// SAFETY: as above.
unsafe impl Sync for Topic {}

/// Where records of a topic go.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) side: Arc<ProducerSide>,
    /// The one of the handle's producers that has the topic's settings.
    pub(crate) producer: Producer,
}

impl Topic {
    pub(crate) fn c_name(&self) -> &CStr {
        &self.c_name
    }

    /// The handle that it belongs to; `None` once that is gone.
    pub(crate) fn handle(&self) -> Option<Arc<Kafka>> {
        self.handle.upgrade()
    }

    /// A record was not taken because of its topic.
    pub(crate) fn refuse(&self, code: ErrorCode) {
        let version = self.handle().map_or(0, |kafka| kafka.brokers.cluster().version);
        self.refused.version.store(version, Ordering::Relaxed);
        self.refused.code.store(code.0.into(), Ordering::Release);
    }

    /// Whether records are taken: not as long as the newest metadata is no newer than a refusal, or says the same.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), RespErr> {
        match self.refused.code.load(Ordering::Acquire) {
            0 => Ok(()),
            code => self.check_refused(code),
        }
    }

    #[cold]
    fn check_refused(&self, code: i32) -> Result<(), RespErr> {
        let Some(kafka) = self.handle() else { return Ok(()) };
        let cluster = kafka.brokers.cluster();
        let is_again = cluster.errors.get(self.name.as_str()).is_some_and(|again| i32::from(again.0) == code);
        if is_again || cluster.version <= self.refused.version.load(Ordering::Relaxed) {
            return Err(RespErr(code));
        }
        self.refused.code.store(0, Ordering::Release);
        Ok(())
    }

    /// Whether a partition is known and has a leader; only producers know.
    pub(crate) fn is_available(&self, partition: i32) -> bool {
        self.route.as_ref().is_some_and(|route| route.producer.is_available(&self.name, partition))
    }
}

#[derive(Debug, Default)]
struct Table {
    by_name: BTreeMap<String, Arc<Topic>>,
    /// Those that were replaced: messages may point to them.
    replaced: Vec<Arc<Topic>>,
}

/// The topics of a handle, by name. They live as long as it does, so that a message may point to its own.
#[derive(Debug)]
pub(crate) struct Topics {
    producer: Option<Arc<ProducerSide>>,
    opaque: *mut c_void,
    table: Mutex<Table>,
    handle: OnceLock<Weak<Kafka>>,
}

// SAFETY: the pointer is the program's, and only handed back.
unsafe impl Send for Topics {}
// SAFETY: as above.
unsafe impl Sync for Topics {}

impl Topics {
    /// `opaque` is that of topics without settings of their own; `here` is told where this is.
    pub(crate) fn new(
        producer: Option<Arc<ProducerSide>>,
        opaque: *mut c_void,
        here: &OnceLock<Weak<Self>>,
    ) -> Arc<Self> {
        let topics = Arc::new(Self { producer, opaque, table: Mutex::default(), handle: OnceLock::new() });
        // Set here alone.
        let _ = here.set(Arc::downgrade(&topics));
        topics
    }

    /// Said once, before the program has the handle.
    pub(crate) fn belong_to(&self, handle: &Arc<Kafka>) {
        let _ = self.handle.set(Arc::downgrade(handle));
    }

    /// The handle that they belong to.
    pub(crate) fn handle(&self) -> Weak<Kafka> {
        self.handle.get().cloned().unwrap_or_default()
    }

    /// The topic of this name; `None` for a name that C could not read.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = table.by_name.get(name) {
            return Some(topic.clone());
        }
        let route = self.producer.as_ref().map(|side| Route { side: side.clone(), producer: side.producer().clone() });
        let c_name = CString::new(name).ok()?;
        let (opaque, handle) = (self.opaque, self.handle());
        let topic = Arc::new(Topic {
            name: name.to_owned(),
            c_name,
            route,
            conf: None,
            opaque,
            handle,
            refused: Refused::default(),
        });
        table.by_name.insert(name.to_owned(), topic.clone());
        Some(topic)
    }

    /// Whether there is a handle of this topic.
    fn has(&self, name: &str) -> bool {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).by_name.contains_key(name)
    }

    /// The topics that there are handles of.
    pub(crate) fn names(&self) -> Vec<String> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).by_name.keys().cloned().collect()
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).by_name.len()
    }

    /// The topic of this name; settings of its own count where the program has none of it yet.
    fn get_with(&self, kafka: &Kafka, name: &str, mut conf: Box<TopicConf>) -> Result<Option<Arc<Topic>>, String> {
        let in_use = {
            let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            table.by_name.get(name).filter(|topic| Arc::strong_count(topic) > 1).cloned()
        };
        if in_use.is_some() {
            return Ok(in_use);
        }
        let kind = if self.producer.is_some() { ClientKind::Producer } else { ClientKind::Consumer };
        kafka.conf.finalize_topic(kind, &mut conf)?;
        let route = match &self.producer {
            None => None,
            Some(side) => Some(Route { side: side.clone(), producer: side.producer_for(&kafka.conf, &conf)? }),
        };
        let Ok(c_name) = CString::new(name) else { return Ok(None) };
        let opaque = conf.opaque;
        let handle = self.handle();
        let topic = Arc::new(Topic {
            name: name.to_owned(),
            c_name,
            route,
            conf: Some(conf),
            opaque,
            handle,
            refused: Refused::default(),
        });
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let before = table.by_name.insert(name.to_owned(), topic.clone());
        table.replaced.extend(before);
        Ok(Some(topic))
    }

    /// The pointer that a message of this topic carries.
    pub(crate) fn pointer(&self, name: &str) -> *mut c_void {
        self.get(name).map_or(std::ptr::null_mut(), |topic| Arc::as_ptr(&topic).cast_mut().cast())
    }
}

/// A topic of this handle; NULL, with the last error, where the name cannot be one or the settings do not fit. It takes `conf` over in any case;
/// NULL is the handle's settings. The first settings count as long as the program has the topic.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `topic` ends in a NUL byte; `conf` is NULL or came from `rd_kafka_topic_conf_new` and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_new(rk: *mut Kafka, topic: *const c_char, conf: *mut TopicConf) -> *mut Topic {
    guard(std::ptr::null_mut(), || {
        // The settings are taken whatever comes of it, as by librdkafka. SAFETY: they came from `Box::into_raw`, and the program may not use them
        // after this call.
        let given = (!conf.is_null()).then(|| unsafe { Box::from_raw(conf) });
        // SAFETY: the caller vouches for both.
        let (rk, name) = unsafe { (rk.as_ref(), text(topic)) };
        let name = name.filter(|name| !name.is_empty() && name.len() <= 512);
        let (Some(rk), Some(name)) = (rk, name) else {
            set_last_error(RespErr::INVALID_ARG, libc::EINVAL);
            return std::ptr::null_mut();
        };
        if !rk.topics.has(name) {
            // It is asked for at once, and made where the broker makes topics.
            felice::raw::want_topic(&rk.client, name);
        }
        let found = match given {
            None => Ok(rk.topics.get(name)),
            Some(given) => rk.topics.get_with(rk, name, given),
        };
        match found {
            Ok(Some(topic)) => {
                if let Some(route) = &topic.route {
                    route.producer.want_topic(name);
                }
                set_last_error(RespErr::NO_ERROR, 0);
                Arc::into_raw(topic).cast_mut()
            }
            Ok(None) | Err(_) => {
                set_last_error(RespErr::INVALID_ARG, libc::EINVAL);
                std::ptr::null_mut()
            }
        }
    })
}

/// Gives a topic back. Records that were handed over for it are sent all the same.
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

/// The pointer set by `rd_kafka_topic_conf_set_opaque`.
///
/// # Safety
/// `rkt` came from [`rd_kafka_topic_new`] or from a message that is still there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_opaque(rkt: *const Topic) -> *mut c_void {
    // SAFETY: the caller vouches for `rkt`.
    guard(std::ptr::null_mut(), || unsafe { rkt.as_ref() }.map_or(std::ptr::null_mut(), |topic| topic.opaque))
}
