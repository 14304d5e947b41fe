//! Configurations: `rd_kafka_conf_t` and `rd_kafka_topic_conf_t`.
//!
//! - `table`: every property; `values`: reading and keeping them; `patterns`: lists of regular expressions
//! - [`callbacks`]: functions of the program, [`interceptors`] and `plugins`: those of others
//! - `topic`: settings by topic; `certificates`: keys and certificates from memory
//! - `finalize`: what `rd_kafka_new` checks and adjusts; `warnings`: what it says of that; `mapping`: which settings of our client that makes
//! - `exports`: the C functions; `show`: the table as text

pub mod callbacks;
pub mod certificates;
pub mod exports;
mod finalize;
pub mod interceptors;
mod mapping;
mod patterns;
mod plugins;
mod show;
mod table;
mod topic;
mod values;
mod warnings;

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::Arc;

pub use callbacks::Callbacks;
pub use exports::{rd_kafka_conf_destroy, rd_kafka_conf_new};
pub use interceptors::Interceptors;
pub(crate) use table::DEBUG_CONTEXTS;
pub use topic::TopicConf;

use certificates::Certificates;
use plugins::Plugin;
use table::{Kind, Property, Scope, find, find_exact, properties};
use values::{Refusal, Values};

/// `rd_kafka_conf_res_t`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfRes(pub c_int);

impl ConfRes {
    /// There is no such property.
    pub const UNKNOWN: Self = Self(-2);
    /// The value does not fit.
    pub const INVALID: Self = Self(-1);
    /// Done.
    pub const OK: Self = Self(0);
}

/// Which kind of handle a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientKind {
    Producer,
    Consumer,
    /// A consumer of a share group (KIP-932).
    ShareConsumer,
}

impl ClientKind {
    fn consumes(self) -> bool {
        self != Self::Producer
    }
}

/// `rd_kafka_conf_t`. The handle takes it over; `rd_kafka_conf` gives a pointer to the handle's own.
#[derive(Debug)]
pub struct Conf {
    values: Values,
    /// What the program has called back.
    pub callbacks: Callbacks,
    /// The pointer that callbacks are given.
    pub opaque: *mut c_void,
    /// Which events the program wants as events: `RD_KAFKA_EVENT_*`, or'ed.
    pub enabled_events: c_int,
    /// Settings of topics that have none of their own.
    pub topic: Box<TopicConf>,
    /// Whether the program has given or touched settings of topics.
    has_topic: bool,
    /// Settings of topics that were set by name were replaced by an object afterwards.
    topic_overwritten: bool,
    /// Functions of plugins.
    pub interceptors: Arc<Interceptors>,
    /// What interceptors took for themselves, for copies.
    taken: Vec<(CString, Option<CString>)>,
    plugins: Vec<Plugin>,
    certificates: Certificates,
    engine_callback_data: *mut c_void,
}

// SAFETY: the raw pointers are the program's, which this library only hands back; whoever calls a callback answers for its thread.
unsafe impl Send for Conf {}
// SAFETY: as above; nothing is changed through a shared reference but interceptors, which have a lock.
unsafe impl Sync for Conf {}

impl Drop for Conf {
    fn drop(&mut self) {
        for method in self.interceptors.on_conf_destroy.all().iter() {
            // SAFETY: the program's own function with the argument that it was promised. Its answer has nobody to go to.
            unsafe { (method.call)(method.opaque) };
        }
    }
}

impl Conf {
    /// librdkafka's defaults.
    pub(crate) fn new() -> Self {
        Self {
            values: Values::new(Scope::Global),
            callbacks: Callbacks::new(),
            opaque: std::ptr::null_mut(),
            enabled_events: 0,
            topic: Box::new(TopicConf::new()),
            has_topic: false,
            topic_overwritten: false,
            interceptors: Arc::default(),
            taken: Vec::new(),
            plugins: Vec::new(),
            certificates: Certificates::default(),
            engine_callback_data: std::ptr::null_mut(),
        }
    }

    /// A text, or the name of a choice; a property of topics is read from their default settings.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values_of(name).text(name)
    }

    /// A number, a choice's or flags' number, or 0 and 1 for no and yes.
    pub(crate) fn int(&self, name: &str) -> i64 {
        self.values_of(name).int(name).into()
    }

    /// A number that may have a fraction.
    pub(crate) fn float(&self, name: &str) -> f64 {
        self.values_of(name).float(name)
    }

    /// Yes or no.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.values_of(name).int(name) != 0
    }

    /// Whether the program has set it.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values_of(name).is_set(name)
    }

    fn values_of(&self, name: &str) -> &Values {
        if find_exact(Scope::Global, name).is_some() { &self.values } else { &self.topic.values }
    }

    /// Sets a property by name, asking no interceptor; `None` unsets it.
    ///
    /// # Errors
    /// librdkafka's code and text.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Refusal> {
        if find_exact(Scope::Global, name).is_some() {
            self.values.set(name, value)?;
            self.enabled_events = self.values.int("enabled_events");
            return Ok(());
        }
        if !self.has_topic {
            self.has_topic = true;
            self.values.put_pointer("default_topic_conf");
        }
        self.topic.set(name, value)
    }

    /// The value of a property of this object as it is shown; `None` where it has none.
    fn shown(&self, property: &Property) -> Option<String> {
        match property.kind {
            Kind::Pointer => {
                let address = match property.name {
                    "opaque" => self.opaque.addr(),
                    "default_topic_conf" if self.has_topic => std::ptr::from_ref(&*self.topic).addr(),
                    "ssl_engine_callback_data" => self.engine_callback_data.addr(),
                    name => self.callbacks.address(name).unwrap_or(0),
                };
                (address != 0).then(|| format!("{address:#x}"))
            }
            _ => self.values.shown(property),
        }
    }

    /// The value of a property, of topics too where the program has touched their settings.
    fn get(&self, name: &str) -> Option<String> {
        match find(Scope::Global, name) {
            Some(property) => self.shown(property),
            None if self.has_topic => self.topic.get(name),
            None => None,
        }
    }

    /// What the program has set, by name, as `debug=conf` logs it: no passwords.
    fn set_and_shown(&self) -> Vec<(&'static str, String)> {
        let set = properties(Scope::Global).filter(|property| self.values.set_value(property.name).is_some());
        set.filter_map(|property| {
            let shown = if property.sensitive { Some("[redacted]".to_owned()) } else { self.shown(property) };
            Some((property.name, shown?))
        })
        .collect()
    }

    /// The program's settings of topics take the place of those that are there.
    fn set_topic(&mut self, topic: Option<Box<TopicConf>>) {
        if self.has_topic && self.topic.values.is_any_set() {
            self.topic_overwritten = true;
        }
        self.has_topic = topic.is_some();
        self.topic = topic.unwrap_or_else(|| Box::new(TopicConf::new()));
        self.values.put_pointer("default_topic_conf");
    }
}

/// Why [`set_through`] failed; no text where an interceptor has written it into the program's buffer.
pub(crate) type Failure = (ConfRes, Option<String>);

/// Sets a property of `conf`, asking interceptors first. `value` is the program's pointer: for the hidden property that takes a function it is that
/// function, and no text.
///
/// # Errors
/// librdkafka's code and text.
///
/// # Safety
/// `conf` is valid and nobody else uses it, but interceptors that are called; `name` ends in a NUL byte, so does `value` unless it is NULL or the
/// property takes a function; `errstr` has `errstr_size` bytes or is NULL.
pub(crate) unsafe fn set_through(
    conf: *mut Conf,
    name: &CStr,
    value: *const c_char,
    errstr: *mut c_char,
    errstr_size: usize,
) -> Result<(), Failure> {
    let text = name.to_string_lossy();
    let exact = find_exact(Scope::Global, &text);
    let takes_function = exact.is_some_and(|property| matches!(property.kind, Kind::Pointer) && property.hidden);
    // SAFETY: no function is there, so it is NULL or a text.
    let value = if !takes_function && !value.is_null() && unsafe { *value } == 0 { std::ptr::null() } else { value };
    let asking = Asking { conf, value, errstr, errstr_size };
    // SAFETY: the caller vouches for everything; no borrow lasts over a call of an interceptor.
    unsafe {
        if takes_function {
            (*conf).callbacks.ut_handle_produce_response =
                std::mem::transmute::<*const c_char, Option<callbacks::UtHandleProduceResponse>>(value);
            (*conf).values.put_pointer(&text);
            return Ok(());
        }
        if let Some(answer) = asking.ask(name) {
            return answer;
        }
        // The interceptors hear of an alias's property too, and once more when it is set.
        if let Some(property) = exact {
            let (own, times) = match property.kind {
                Kind::Alias(of) => (of, 2),
                Kind::Pointer | Kind::Internal => (property.name, 0),
                _ => (property.name, 1),
            };
            let own = CString::new(own).unwrap_or_default();
            for _ in 0..times {
                if let Some(answer) = asking.ask(&own) {
                    return answer;
                }
            }
            if own.as_c_str() == c"plugin.library.paths" {
                let paths = if value.is_null() { None } else { Some(CStr::from_ptr(value)) };
                plugins::load(conf, paths).map_err(|text| (ConfRes::INVALID, Some(text)))?;
            }
        }
        let value = if value.is_null() { None } else { Some(CStr::from_ptr(value).to_string_lossy()) };
        (*conf).set(&text, value.as_deref()).map_err(|(code, text)| (code, Some(text)))
    }
}

/// A question to the interceptors: is this property yours?
struct Asking {
    conf: *mut Conf,
    value: *const c_char,
    errstr: *mut c_char,
    errstr_size: usize,
}

impl Asking {
    /// `None` where it is nobody's.
    ///
    /// # Safety
    /// As for [`set_through`].
    unsafe fn ask(&self, name: &CStr) -> Option<Result<(), Failure>> {
        // SAFETY: the caller vouches for `conf`; the list is a copy, so no borrow lasts over the calls.
        let methods = unsafe {
            let interceptors = &(*self.conf).interceptors;
            interceptors.on_conf_set.all()
        };
        for method in methods.iter() {
            let (conf, value, opaque) = (self.conf, self.value, method.opaque);
            // SAFETY: the program's own function with the arguments that it was promised.
            let answer = unsafe { (method.call)(conf, name.as_ptr(), value, self.errstr, self.errstr_size, opaque) };
            match answer {
                ConfRes::UNKNOWN => {}
                ConfRes::OK => {
                    // SAFETY: not NULL, and what an interceptor takes is text.
                    let value = (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_owned());
                    // SAFETY: the caller vouches for `conf`.
                    let taken = unsafe { &mut (*conf).taken };
                    taken.push((name.to_owned(), value));
                    return Some(Ok(()));
                }
                other => return Some(Err((other, None))),
            }
        }
        None
    }
}

/// A copy of what the program has set, but for properties whose names begin with one of `filter`; interceptors are told.
///
/// # Safety
/// `old` is valid; `filter` has `filter_count` texts.
unsafe fn duplicate(old: *const Conf, filter_count: usize, filter: *const *const c_char) -> *mut Conf {
    let new = Box::into_raw(Box::new(Conf::new()));
    // SAFETY: `old` is valid, `new` was just made; no borrow lasts over a call of an interceptor.
    unsafe {
        let interceptors = &(*old).interceptors;
        for method in interceptors.on_conf_dup.all().iter() {
            // Its error has nobody to go to.
            let _ = (method.call)(new, old, filter_count, filter, method.opaque);
        }
        let prefixes: Vec<&CStr> = if filter.is_null() {
            Vec::new()
        } else {
            std::slice::from_raw_parts(filter, filter_count).iter().map(|prefix| CStr::from_ptr(*prefix)).collect()
        };
        let left_out = |name: &[u8]| prefixes.iter().any(|prefix| name.starts_with(prefix.to_bytes()));
        for property in properties(Scope::Global).filter(|property| !left_out(property.name.as_bytes())) {
            copy(new, old, property, &left_out);
        }
        (*new).enabled_events = (*new).values.int("enabled_events");
    }
    new
}

/// Copies one property.
///
/// # Safety
/// Both are valid and not the same.
unsafe fn copy(new: *mut Conf, old: *const Conf, property: &'static Property, left_out: &dyn Fn(&[u8]) -> bool) {
    // SAFETY: the caller vouches for both; no borrow lasts over a call of an interceptor.
    unsafe {
        match (property.kind, property.name) {
            (Kind::Internal, "interceptors") => {
                for (name, value) in (*old).taken.clone().iter().filter(|taken| !left_out(taken.0.to_bytes())) {
                    let value = value.as_ref().map_or(std::ptr::null(), |value| value.as_ptr());
                    // As librdkafka has it, what is refused is left out.
                    let _ = set_through(new, name, value, std::ptr::null_mut(), 0);
                }
                return;
            }
            (Kind::Internal, _) => {
                (*new).certificates = (*old).certificates.clone();
                return;
            }
            _ => {}
        }
        let Some(value) = (*old).values.set_value(property.name).cloned() else { return };
        match (property.kind, property.name) {
            (Kind::Pointer, "opaque") => (*new).opaque = (*old).opaque,
            (Kind::Pointer, "ssl_engine_callback_data") => (*new).engine_callback_data = (*old).engine_callback_data,
            (Kind::Pointer, "default_topic_conf") => {
                (*new).has_topic = (*old).has_topic;
                let topic = &(*old).topic;
                *(*new).topic = topic.duplicate();
            }
            (Kind::Pointer, name) => {
                let from = (*old).callbacks;
                (*new).callbacks.copy(name, &from);
            }
            _ => {
                let shown = (*old).values.shown(property).and_then(|shown| CString::new(shown).ok());
                let pointer = shown.as_ref().map_or(std::ptr::null(), |shown| shown.as_ptr());
                let name = CString::new(property.name).unwrap_or_default();
                let asking = Asking { conf: new, value: pointer, errstr: std::ptr::null_mut(), errstr_size: 0 };
                if asking.ask(&name).is_some() {
                    return;
                }
                if property.name == "plugin.library.paths" && plugins::load(new, shown.as_deref()).is_err() {
                    return;
                }
            }
        }
        (*new).values.put(property, value);
    }
}

#[cfg(test)]
mod tests;
