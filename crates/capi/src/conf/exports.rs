//! `rd_kafka_conf_*` and `rd_kafka_topic_conf_*` but for the callbacks.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use super::table::{Scope, properties};
use super::{Conf, ConfRes, Failure, TopicConf, duplicate, set_through, show};
use crate::boundary::{guard, text, write_text};
use crate::handle::Kafka;

/// A configuration with librdkafka's defaults.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_conf_new() -> *mut Conf {
    guard(std::ptr::null_mut(), || Box::into_raw(Box::new(Conf::new())))
}

/// Frees a configuration that no `rd_kafka_new` took.
///
/// # Safety
/// `conf` is NULL or came from [`rd_kafka_conf_new`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_destroy(conf: *mut Conf) {
    guard((), || {
        if !conf.is_null() {
            // SAFETY: the caller vouches that this is the last use of what `Box::into_raw` gave.
            drop(unsafe { Box::from_raw(conf) });
        }
    });
}

/// A copy of a configuration: what was set.
///
/// # Safety
/// `conf` is NULL or came from [`rd_kafka_conf_new`] or `rd_kafka_conf`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_dup(conf: *const Conf) -> *mut Conf {
    // SAFETY: no filter; the caller vouches for `conf`.
    unsafe { rd_kafka_conf_dup_filter(conf, 0, std::ptr::null()) }
}

/// A copy without the properties whose names begin with one of `filter`.
///
/// # Safety
/// `conf` is NULL or came from [`rd_kafka_conf_new`] or `rd_kafka_conf`; `filter` has `filter_cnt` texts that end in NUL bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_dup_filter(
    conf: *const Conf,
    filter_cnt: usize,
    filter: *const *const c_char,
) -> *mut Conf {
    guard(std::ptr::null_mut(), || {
        if conf.is_null() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller vouches for both.
        unsafe { duplicate(conf, filter_cnt, filter) }
    })
}

/// The code of a result; its text goes to the program's buffer.
///
/// # Safety
/// `errstr` has `errstr_size` bytes or is NULL.
unsafe fn answer(result: Result<(), Failure>, errstr: *mut c_char, errstr_size: usize) -> ConfRes {
    match result {
        Ok(()) => ConfRes::OK,
        Err((code, message)) => {
            if let Some(message) = message {
                // SAFETY: the caller vouches for the buffer.
                unsafe { write_text(errstr, errstr_size, &message) };
            }
            code
        }
    }
}

/// Sets a property; where that fails, `errstr` says why. NULL and "" unset a text and are refused elsewhere.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`], `name` and `value` end in a NUL byte or are NULL, `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_set(
    conf: *mut Conf,
    name: *const c_char,
    value: *const c_char,
    errstr: *mut c_char,
    errstr_size: usize,
) -> ConfRes {
    guard(ConfRes::INVALID, || {
        if conf.is_null() || name.is_null() {
            // SAFETY: the caller vouches for the buffer.
            return unsafe { answer(Err((ConfRes::UNKNOWN, Some("no name".to_owned()))), errstr, errstr_size) };
        }
        // SAFETY: the caller vouches for everything.
        unsafe {
            let result = set_through(conf, CStr::from_ptr(name), value, errstr, errstr_size);
            answer(result, errstr, errstr_size)
        }
    })
}

/// Gives a value to a program that asked for it: its size with the NUL byte goes to `size`, its text to `dest` where that is not NULL.
///
/// # Safety
/// `size` is NULL or valid, `dest` has `*size` bytes or is NULL.
unsafe fn give(value: Option<String>, dest: *mut c_char, size: *mut usize) -> ConfRes {
    // SAFETY: the caller vouches for it.
    let (Some(value), Some(size)) = (value, unsafe { size.as_mut() }) else { return ConfRes::UNKNOWN };
    // SAFETY: the caller vouches for the buffer.
    unsafe { write_text(dest, *size, &value) };
    *size = value.len() + 1;
    ConfRes::OK
}

/// Reads a property: its size with the NUL byte goes to `dest_size`, its text to `dest` where that is not NULL.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`], `name` ends in a NUL byte, `dest` has `*dest_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_get(
    conf: *const Conf,
    name: *const c_char,
    dest: *mut c_char,
    dest_size: *mut usize,
) -> ConfRes {
    guard(ConfRes::INVALID, || {
        // SAFETY: the caller vouches for all.
        unsafe {
            let value = conf.as_ref().zip(text(name)).and_then(|(conf, name)| conf.get(name));
            give(value, dest, dest_size)
        }
    })
}

/// Names and values, one after the other, in C's memory; their number goes to `count`.
///
/// # Safety
/// `count` is NULL or valid.
unsafe fn dump(pairs: Vec<(&'static str, String)>, count: *mut usize) -> *mut *const c_char {
    let texts = pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    let texts: Vec<CString> = texts.map(|text| CString::new(text).unwrap_or_default()).collect();
    // SAFETY: calloc of as many pointers as are written, and one.
    let array = unsafe { libc::calloc(texts.len() + 1, size_of::<*const c_char>()) }.cast::<*const c_char>();
    if array.is_null() {
        return array;
    }
    for (index, text) in texts.iter().enumerate() {
        // SAFETY: `index` is below the number of pointers allocated.
        unsafe { *array.add(index) = libc::strdup(text.as_ptr()) };
    }
    // SAFETY: the caller vouches for it.
    if let Some(count) = unsafe { count.as_mut() } {
        *count = texts.len();
    }
    array
}

/// All properties and their values, freed by [`rd_kafka_conf_dump_free`]; names and values alternate, `cntp` counts both.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`]; `cntp` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_dump(conf: *mut Conf, cntp: *mut usize) -> *mut *const c_char {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `conf`.
        let Some(conf) = (unsafe { conf.as_ref() }) else { return std::ptr::null_mut() };
        let pairs = properties(Scope::Global).filter_map(|property| Some((property.name, conf.shown(property)?)));
        // SAFETY: the caller vouches for `cntp`.
        unsafe { dump(pairs.collect(), cntp) }
    })
}

/// The same of a topic's settings.
///
/// # Safety
/// `conf` came from [`rd_kafka_topic_conf_new`]; `cntp` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_conf_dump(conf: *mut TopicConf, cntp: *mut usize) -> *mut *const c_char {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `conf`.
        let Some(conf) = (unsafe { conf.as_ref() }) else { return std::ptr::null_mut() };
        let pairs = properties(Scope::Topic).filter_map(|property| Some((property.name, conf.shown(property)?)));
        // SAFETY: the caller vouches for `cntp`.
        unsafe { dump(pairs.collect(), cntp) }
    })
}

/// Frees what [`rd_kafka_conf_dump`] gave.
///
/// # Safety
/// `arr` is NULL or came from a dump with this count, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_dump_free(arr: *mut *const c_char, cnt: usize) {
    guard((), || {
        if arr.is_null() {
            return;
        }
        // SAFETY: the caller vouches for the array; its texts and itself came from C's allocator.
        unsafe {
            for index in 0..cnt {
                libc::free((*arr.add(index)).cast_mut().cast());
            }
            libc::free(arr.cast());
        }
    });
}

/// Prints all properties with their ranges and defaults, as Markdown.
///
/// # Safety
/// `fp` is a `FILE` that can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_properties_show(fp: *mut libc::FILE) {
    guard((), || {
        if fp.is_null() {
            return;
        }
        let text = CString::new(show::table()).unwrap_or_default();
        // SAFETY: the caller vouches for the file; the text ends in a NUL byte.
        unsafe { libc::fputs(text.as_ptr(), fp) };
    });
}

/// A handle's own configuration, to read or copy; valid as long as the handle.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf(rk: *mut Kafka) -> *const Conf {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for `rk`.
        unsafe { rk.as_ref() }.map_or(std::ptr::null(), |rk| std::ptr::from_ref(&rk.conf))
    })
}

/// The pointer that callbacks are given.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_set_opaque(conf: *mut Conf, opaque: *mut c_void) {
    guard((), || {
        // SAFETY: the caller vouches for `conf`.
        if let Some(conf) = unsafe { conf.as_mut() } {
            conf.opaque = opaque;
            conf.values.put_pointer("opaque");
        }
    });
}

/// Which events come as events: `RD_KAFKA_EVENT_*`, or'ed.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_set_events(conf: *mut Conf, events: c_int) {
    guard((), || {
        // SAFETY: the caller vouches for `conf`.
        if let Some(conf) = unsafe { conf.as_mut() } {
            // A number that is no set of events changes nothing.
            let _ = conf.set("enabled_events", Some(&events.to_string()));
        }
    });
}

/// Whether events of SASL go to a queue of their own.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_enable_sasl_queue(conf: *mut Conf, enable: c_int) {
    guard((), || {
        // SAFETY: the caller vouches for `conf`.
        if let Some(conf) = unsafe { conf.as_mut() } {
            // Both values are good.
            let _ = conf.set("enable_sasl_queue", Some(if enable == 0 { "false" } else { "true" }));
        }
    });
}

/// Keeps a pointer for OpenSSL's engines, which this build has not.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_set_engine_callback_data(conf: *mut Conf, callback_data: *mut c_void) {
    guard((), || {
        // SAFETY: the caller vouches for `conf`.
        if let Some(conf) = unsafe { conf.as_mut() } {
            conf.engine_callback_data = callback_data;
            conf.values.put_pointer("ssl_engine_callback_data");
        }
    });
}

/// Settings of topics that have none of their own; `conf` takes them over.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`]; `tconf` is NULL or came from [`rd_kafka_topic_conf_new`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_set_default_topic_conf(conf: *mut Conf, tconf: *mut TopicConf) {
    guard((), || {
        // SAFETY: the caller vouches for both.
        unsafe {
            let topic = if tconf.is_null() { None } else { Some(Box::from_raw(tconf)) };
            if let Some(conf) = conf.as_mut() {
                conf.set_topic(topic);
            }
        }
    });
}

/// The settings of topics that have none of their own, NULL where the program has touched none; they stay the configuration's.
///
/// # Safety
/// `conf` came from [`rd_kafka_conf_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_conf_get_default_topic_conf(conf: *mut Conf) -> *mut TopicConf {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `conf`.
        let conf = unsafe { conf.as_mut() }.filter(|conf| conf.has_topic);
        conf.map_or(std::ptr::null_mut(), |conf| std::ptr::from_mut(&mut *conf.topic))
    })
}

/// Settings of a topic, with librdkafka's defaults.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_topic_conf_new() -> *mut TopicConf {
    guard(std::ptr::null_mut(), || Box::into_raw(Box::new(TopicConf::new())))
}

/// A copy of a topic's settings: what was set.
///
/// # Safety
/// `conf` is NULL or came from [`rd_kafka_topic_conf_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_conf_dup(conf: *const TopicConf) -> *mut TopicConf {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `conf`.
        let conf = unsafe { conf.as_ref() };
        conf.map_or(std::ptr::null_mut(), |conf| Box::into_raw(Box::new(conf.duplicate())))
    })
}

/// A copy of a handle's settings of topics that have none of their own.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_default_topic_conf_dup(rk: *mut Kafka) -> *mut TopicConf {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        let rk = unsafe { rk.as_ref() };
        rk.map_or(std::ptr::null_mut(), |rk| Box::into_raw(Box::new(rk.conf.topic.duplicate())))
    })
}

/// Frees settings that neither a configuration nor a topic took.
///
/// # Safety
/// `topic_conf` is NULL or came from [`rd_kafka_topic_conf_new`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_conf_destroy(topic_conf: *mut TopicConf) {
    guard((), || {
        if !topic_conf.is_null() {
            // SAFETY: the caller vouches that this is the last use of what `Box::into_raw` gave.
            drop(unsafe { Box::from_raw(topic_conf) });
        }
    });
}

/// Sets a property of a topic; where that fails, `errstr` says why.
///
/// # Safety
/// `conf` came from [`rd_kafka_topic_conf_new`], `name` and `value` end in a NUL byte or are NULL, `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_conf_set(
    conf: *mut TopicConf,
    name: *const c_char,
    value: *const c_char,
    errstr: *mut c_char,
    errstr_size: usize,
) -> ConfRes {
    guard(ConfRes::INVALID, || {
        // SAFETY: the caller vouches for all three.
        let (conf, name) = unsafe { (conf.as_mut(), text(name)) };
        let (Some(conf), Some(name)) = (conf, name) else { return ConfRes::UNKNOWN };
        // SAFETY: not NULL, and the caller vouches for the NUL byte.
        let value = (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_string_lossy());
        let result = conf.set(name, value.as_deref().filter(|value| !value.is_empty()));
        // SAFETY: the caller vouches for the buffer.
        unsafe { answer(result.map_err(|(code, text)| (code, Some(text))), errstr, errstr_size) }
    })
}

/// Reads a property of a topic: its size with the NUL byte goes to `dest_size`, its text to `dest` where that is not NULL.
///
/// # Safety
/// `conf` came from [`rd_kafka_topic_conf_new`], `name` ends in a NUL byte, `dest` has `*dest_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_conf_get(
    conf: *const TopicConf,
    name: *const c_char,
    dest: *mut c_char,
    dest_size: *mut usize,
) -> ConfRes {
    guard(ConfRes::INVALID, || {
        // SAFETY: the caller vouches for all.
        unsafe {
            let value = conf.as_ref().zip(text(name)).and_then(|(conf, name)| conf.get(name));
            give(value, dest, dest_size)
        }
    })
}

/// The pointer that partitioners of this topic are given.
///
/// # Safety
/// `topic_conf` came from [`rd_kafka_topic_conf_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_conf_set_opaque(topic_conf: *mut TopicConf, opaque: *mut c_void) {
    guard((), || {
        // SAFETY: the caller vouches for `topic_conf`.
        if let Some(conf) = unsafe { topic_conf.as_mut() } {
            conf.opaque = opaque;
            conf.values.put_pointer("opaque");
        }
    });
}
