//! `rd_kafka_t`: a producer or a consumer.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use felice::raw::Setup;
use felice::{Client, Error, ErrorKind};

use crate::background::Background;
use crate::boundary::{guard, set_last_error, without_signals, write_text};
use crate::brokers::Brokers;
use crate::conf::interceptors::ThreadType;
use crate::conf::{ClientKind, Conf, Interceptors, rd_kafka_conf_destroy, rd_kafka_conf_new};
use crate::consume::poll::polling;
use crate::consume::{ConsumerSide, Leaders};
use crate::event::kind;
use crate::fatal::Fatal;
use crate::fork::Process;
use crate::log::{Context, LogSettings, Logger, level};
use crate::mock::Mock;
use crate::op::serve_all;
use crate::produce::ProducerSide;
use crate::queue::Queue;
use crate::sasl::Sasl;
use crate::sockets;
use crate::topic::Topics;
use crate::types::{Message, RespErr};
use crate::wait::Deadline;

/// `RD_KAFKA_PRODUCER` of `rd_kafka_type_t`.
const PRODUCER: c_int = 0;
/// `RD_KAFKA_CONSUMER` of `rd_kafka_type_t`.
const CONSUMER: c_int = 1;

/// `RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE`: the group is not told.
const NO_CONSUMER_CLOSE: c_int = 0x8;

/// Handles that exist, and whoever waits for the last to go.
static LIVE: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

pub(crate) fn live() -> MutexGuard<'static, usize> {
    LIVE.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a handle as long as it is there.
#[derive(Debug)]
struct Counted;

impl Counted {
    fn new() -> Self {
        *live() += 1;
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *live() -= 1;
        LIVE.1.notify_all();
    }
}

/// Held by whatever calls the program on driver threads: the handle's end waits until nobody has it. Nothing is sent.
pub(crate) type Alive = mpsc::Sender<()>;

/// Driver threads that do not come back from the program's callbacks are waited for as long as this when a handle ends.
const DRIVER_PATIENCE: Duration = Duration::from_secs(10);

/// `rd_kafka_t`: what a program's pointer leads to. Whatever works for a handle holds an [`Arc`] of it; the program has one too.
#[derive(Debug)]
pub struct Kafka {
    pub(crate) name: CString,
    kind: c_int,
    pub(crate) conf: Conf,
    pub(crate) client: Client,
    pub(crate) topics: Arc<Topics>,
    /// What `rd_kafka_poll` serves.
    pub(crate) main: Arc<Queue>,
    pub(crate) producer: Option<Arc<ProducerSide>>,
    pub(crate) consumer: Option<Arc<ConsumerSide>>,
    pub(crate) log: Arc<Logger>,
    pub(crate) brokers: Arc<Brokers>,
    pub(crate) sasl: Sasl,
    pub(crate) background: Background,
    /// When it was made.
    pub(crate) since: Instant,
    /// It is being destroyed.
    ending: AtomicBool,
    /// Ends with the last [`Alive`].
    driver: Mutex<mpsc::Receiver<()>>,
    /// Of the Admin API.
    pub(crate) requests: crate::admin::Requests,
    pub(crate) fatal: Arc<Fatal>,
    /// Of partitions whose ends were asked for.
    pub(crate) leaders: Leaders,
    /// `rd_kafka_init_transactions` ran out of time, and is to be called again before anything else of its kind.
    pub(crate) initializes: AtomicBool,
    /// The process that made it: in a forked child nothing of it works.
    process: Process,
    this: Weak<Self>,
    /// The cluster of `test.mock.num.brokers`; whatever leads to it goes before.
    pub(crate) mock: Option<Box<Mock>>,
    /// Last: the handle is gone once all else is.
    _counted: Counted,
}

impl Kafka {
    /// Takes the configuration over where it succeeds, leaving an empty one.
    fn new(kind: c_int, conf: &mut Conf) -> Result<Arc<Self>, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let since = Instant::now();
        let (kind_name, client_kind) = match kind {
            PRODUCER => ("producer", ClientKind::Producer),
            CONSUMER => ("consumer", ClientKind::Consumer),
            _ => return Err(Error::new(ErrorKind::Config, format!("there is no type {kind} of handle"))),
        };
        let mut properties = conf.finalize(client_kind).map_err(|text| Error::new(ErrorKind::Config, text))?;
        let mock = Mock::from_conf(conf, &mut properties)?.map(Box::new);
        let produces = client_kind == ClientKind::Producer;
        let counted = Counted::new();
        let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        let id = conf.text("client.id").unwrap_or("rdkafka");
        let name = CString::new(format!("{id}#{kind_name}-{number}")).unwrap_or_default();
        let main = Queue::new();
        let log = Arc::new(Logger::new(LogSettings {
            name: name.clone(),
            level: c_int::try_from(conf.int("log_level")).unwrap_or(level::INFO),
            debug: u32::try_from(conf.int("debug")).unwrap_or(0),
            callback: conf.callbacks.log_cb,
            thread_name: conf.flag("log.thread.name"),
            queue: conf.flag("log.queue"),
        }));
        let errors = conf.callbacks.error_cb.is_some() || conf.enabled_events & kind::ERROR != 0;
        let brokers = Arc::new(Brokers::new(log.clone(), main.clone(), errors, conf));
        brokers.configured(properties.client_config()?.bootstrap.into_iter());
        let (alive, driver) = mpsc::channel();
        let (seen, observes) = (brokers.clone(), alive.clone());
        let sasl = Sasl::new(conf, &main);
        let setup = Setup::default()
            .observer(move |what| {
                let _alive: &Alive = &observes;
                seen.see(what);
            })
            .tokens(sasl.tokens(conf));
        let client = match sockets::connector(conf, &brokers.sockets, &alive) {
            Some(connector) => setup.connector(connector).client(properties.clone())?,
            None => setup.client(properties.clone())?,
        };
        let fatal = Arc::new(Fatal::default());
        let producer = if produces {
            Some(Arc::new(ProducerSide::new(&client, &properties, conf, &main, &fatal, &log)?))
        } else {
            None
        };
        let nowhere = OnceLock::new();
        let here = producer.as_ref().map_or(&nowhere, |producer| producer.topics());
        let topics = Topics::new(producer.clone(), conf.topic.opaque, here);
        let consumer = if produces {
            None
        } else {
            Some(ConsumerSide::new(&client, &properties, conf, topics.clone(), main.clone())?)
        };
        let conf = std::mem::replace(conf, Conf::new());
        let kafka = Arc::new_cyclic(|this| Self {
            name,
            kind,
            conf,
            client,
            topics,
            main,
            producer,
            consumer,
            log,
            brokers,
            sasl,
            background: Background::default(),
            since,
            ending: AtomicBool::new(false),
            driver: Mutex::new(driver),
            requests: crate::admin::Requests::default(),
            fatal,
            leaders: Leaders::default(),
            initializes: AtomicBool::new(false),
            process: Process::this(),
            this: this.clone(),
            mock,
            _counted: counted,
        });
        kafka.topics.belong_to(&kafka);
        kafka.log.attach(kafka.pointer());
        kafka.tell_threads(true);
        kafka.brokers.attach(kafka.pointer());
        if let Some(producer) = &kafka.producer {
            producer.attach(kafka.pointer());
        }
        if let Some(mock) = &kafka.mock {
            mock.attach(kafka.pointer());
        }
        crate::stats::start(&kafka);
        if kafka.conf.callbacks.background_event_cb.is_some() {
            kafka.background.queue(&kafka);
        }
        kafka.log.debug(Context::GENERIC, "INIT", || {
            format!(
                "librdkafka v2.16.0 (Felice {}) {} initialized",
                env!("CARGO_PKG_VERSION"),
                kafka.name.to_string_lossy()
            )
        });
        kafka.conf.tell(client_kind, &kafka.log);
        if let Some(group) = kafka.conf.text("group.id").filter(|_| kafka.consumer.is_some()) {
            let cgrp = |facility: &str, text: String| kafka.log.debug(Context::CGRP, facility, || text);
            cgrp("MEMBERID", format!("Group \"{group}\": updating member id \"(not-set)\" -> \"\""));
            cgrp("CGRPSTATE", format!("Group \"{group}\" changed state init -> query-coord (join-state init)"));
            cgrp("CGRPQUERY", format!("Group \"{group}\": querying for coordinator: intervaled in state query-coord"));
        }
        Ok(kafka)
    }

    /// Interceptors hear of the handle, and of threads as librdkafka has them: a main one, and one for each broker. Here all handles share a few.
    fn tell_threads(&self, start: bool) {
        if start {
            self.intercept(|all, rk| all.on_new(rk, &raw const self.conf));
        }
        let mut names = vec![(ThreadType::MAIN, c"main".to_owned()), (ThreadType::BROKER, c":0/internal".to_owned())];
        self.brokers.for_each(|broker| {
            if broker.is_configured() {
                names.push((ThreadType::BROKER, CString::new(broker.name()).unwrap_or_default()));
            }
        });
        for (kind, name) in &names {
            self.intercept(|all, rk| match start {
                true => all.on_thread_start(rk, *kind, name),
                false => all.on_thread_exit(rk, *kind, name),
            });
        }
        if !start {
            self.intercept(Interceptors::on_destroy);
        }
    }

    /// Has interceptors called, with nothing locked, and logs what they complain of.
    pub(crate) fn intercept(&self, call: impl FnOnce(&Interceptors, *mut Self) -> Vec<String>) {
        for line in call(&self.conf.interceptors, self.pointer()) {
            self.log.log(level::WARNING, "ICFAIL", &line);
        }
    }

    /// Interceptors see a message that is about to be the program's.
    #[inline]
    pub(crate) fn show_consumed(&self, message: *mut Message) {
        // SAFETY: the message was taken out of a queue, and nobody else has it.
        if !self.conf.interceptors.consumes_unseen() && unsafe { (*message).err } == RespErr::NO_ERROR {
            self.intercept(|all, rk| all.on_consume(rk, message));
        }
    }

    /// Ends what works for the handle on driver threads and waits for it: nothing calls the program afterwards. A callback on such a thread that
    /// destroys its own handle cannot wait for itself.
    fn end_driver(&self) {
        felice::raw::stop(&self.client);
        if !felice::raw::is_driver_thread() {
            let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody sends: it fails once all senders are gone.
            let _ = driver.recv_timeout(DRIVER_PATIENCE);
        }
    }

    pub(crate) fn is_producer(&self) -> bool {
        self.kind == PRODUCER
    }

    /// Whether it is being destroyed.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// The pointer that the program knows it by.
    pub(crate) fn pointer(&self) -> *mut Self {
        self.this.as_ptr().cast_mut()
    }

    /// Keeps it.
    pub(crate) fn hold(&self) -> Arc<Self> {
        // There is a reference to call this by, so there is an `Arc`; but for one that is going.
        self.this.upgrade().unwrap_or_else(|| unreachable!("a handle is used after its end"))
    }

    /// Whether it was made by a process of which this is a fork.
    pub(crate) fn is_forked(&self) -> bool {
        self.process.is_forked()
    }
}

/// A producer or consumer; it takes `conf` over where it succeeds. NULL where it does not, and `errstr` says why.
///
/// # Safety
/// `conf` is NULL or came from `rd_kafka_conf_new`; `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_new(
    kind: c_int,
    conf: *mut Conf,
    errstr: *mut c_char,
    errstr_size: usize,
) -> *mut Kafka {
    guard(std::ptr::null_mut(), || {
        let own = if conf.is_null() { rd_kafka_conf_new() } else { conf };
        // SAFETY: the caller vouches for `conf`, and nobody else has a new one.
        let Some(given) = (unsafe { own.as_mut() }) else { return std::ptr::null_mut() };
        let made = without_signals(|| Kafka::new(kind, given));
        if made.is_ok() || conf.is_null() {
            // SAFETY: it came from `Box::into_raw`; the program may not use it after this call's success, and does not know of a new one.
            unsafe { rd_kafka_conf_destroy(own) };
        }
        match made {
            Ok(kafka) => {
                set_last_error(RespErr::NO_ERROR, 0);
                Arc::into_raw(kafka).cast_mut()
            }
            Err(error) => {
                // SAFETY: the caller vouches for the buffer.
                unsafe { write_text(errstr, errstr_size, error.message()) };
                set_last_error(RespErr::of(&error), libc::EINVAL);
                std::ptr::null_mut()
            }
        }
    })
}

/// Ends a handle. What a producer has not delivered is dropped: `rd_kafka_flush` comes before. A consumer leaves its group first.
///
/// # Safety
/// `rk` is NULL or came from [`rd_kafka_new`]; neither it nor anything made from it, but topics and queues to be destroyed, is used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_destroy(rk: *mut Kafka) {
    // SAFETY: the same promises.
    unsafe { rd_kafka_destroy_flags(rk, 0) };
}

/// As [`rd_kafka_destroy`]; with `RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE` the group is not told.
///
/// # Safety
/// As for [`rd_kafka_destroy`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_destroy_flags(rk: *mut Kafka, flags: c_int) {
    guard((), || {
        if rk.is_null() {
            return;
        }
        // SAFETY: the caller vouches that this is the last use of what `Arc::into_raw` gave.
        let kafka = unsafe { Arc::from_raw(rk.cast_const()) };
        if kafka.is_forked() {
            // Its threads and connections are the parent's: all is left as it is.
            std::mem::forget(kafka);
            return;
        }
        kafka.ending.store(true, Ordering::Relaxed);
        kafka.requests.end();
        kafka.brokers.attach(std::ptr::null_mut());
        kafka.tell_threads(false);
        if let Some(consumer) = &kafka.consumer {
            consumer.end(&kafka, flags & NO_CONSUMER_CLOSE == 0);
        }
        if let Some(producer) = &kafka.producer {
            producer.attach(std::ptr::null_mut());
            producer.end();
        }
        kafka.main.close();
        kafka.sasl.end();
        kafka.background.end();
        kafka.log.detach();
        kafka.end_driver();
    });
}

/// How many threads work for the handles of this process.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_thread_cnt() -> c_int {
    guard(0, || c_int::try_from(felice::raw::threads() + crate::background::threads()).unwrap_or(c_int::MAX))
}

/// Waits until every handle of this process is gone: 0, or −1 where the time was up before.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_wait_destroyed(timeout_ms: c_int) -> c_int {
    guard(-1, || {
        let deadline = Deadline::after(timeout_ms);
        let mut count = live();
        while *count > 0 {
            let Some(left) = deadline.left() else {
                set_last_error(RespErr::TIMED_OUT, libc::ETIMEDOUT);
                return -1;
            };
            count = LIVE.1.wait_timeout(count, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        0
    })
}

/// Which kind of handle it is.
///
/// # Safety
/// `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_type(rk: *const Kafka) -> c_int {
    // SAFETY: the caller vouches for `rk`.
    guard(PRODUCER, || unsafe { rk.as_ref() }.map_or(PRODUCER, |rk| rk.kind))
}

/// Has the poll that runs on this thread come back after this callback.
///
/// # Safety
/// None is needed: `rk` is not looked at.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_yield(rk: *mut Kafka) {
    let _ = rk;
    crate::op::yield_this_thread();
}

/// The handle's name, valid as long as the handle.
///
/// # Safety
/// `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_name(rk: *const Kafka) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for `rk`.
        unsafe { rk.as_ref() }.map_or(std::ptr::null(), |rk| rk.name.as_ptr())
    })
}

/// The pointer set by `rd_kafka_conf_set_opaque`.
///
/// # Safety
/// `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_opaque(rk: *const Kafka) -> *mut c_void {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        unsafe { rk.as_ref() }.map_or(std::ptr::null_mut(), |rk| rk.conf.opaque)
    })
}

/// Calls back for what has happened; waits for it until the time is up. Returns how many calls were made.
///
/// # Safety
/// `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_poll(rk: *mut Kafka, timeout_ms: c_int) -> c_int {
    guard(0, || {
        // SAFETY: the caller vouches for `rk`.
        let Some(kafka) = (unsafe { rk.as_ref() }).filter(|kafka| !kafka.is_forked()) else { return 0 };
        polling(kafka, &kafka.main, || serve_all(kafka, &kafka.main, Deadline::after(timeout_ms)))
    })
}

/// Waits until everything handed over before is delivered or has failed, calling back for it; `__TIMED_OUT` where the time was up before.
///
/// # Safety
/// `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_flush(rk: *mut Kafka, timeout_ms: c_int) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for `rk`.
        let Some(handle) = (unsafe { rk.as_ref() }) else { return RespErr::INVALID_ARG };
        let Some(producer) = &handle.producer else { return RespErr::NOT_IMPLEMENTED };
        if handle.is_forked() {
            return RespErr::STATE;
        }
        if producer.flush(handle, Deadline::after(timeout_ms)) { RespErr::NO_ERROR } else { RespErr::TIMED_OUT }
    })
}

/// How many records are not delivered, or delivered and not reported, and how much else waits to be polled.
///
/// # Safety
/// `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_outq_len(rk: *mut Kafka) -> c_int {
    guard(0, || {
        // SAFETY: the caller vouches for `rk`.
        let Some(rk) = (unsafe { rk.as_ref() }).filter(|rk| !rk.is_forked()) else { return 0 };
        let records = rk.producer.as_ref().map_or(0, |producer| producer.in_queue());
        c_int::try_from(records + rk.main.others()).unwrap_or(c_int::MAX)
    })
}

/// librdkafka's version whose interface this is.
pub(crate) const VERSION: &str = "2.16.0";

/// librdkafka's version whose interface this is, as its header writes it.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_version() -> c_int {
    0x0210_00ff
}

/// The same as text.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_version_str() -> *const c_char {
    c"2.16.0".as_ptr()
}

/// Writes what a handle is and which brokers it knows, for people.
///
/// # Safety
/// `fp` is an open stream of C's; `rk` came from [`rd_kafka_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_dump(fp: *mut libc::FILE, rk: *mut Kafka) {
    guard((), || {
        // SAFETY: the caller vouches for `rk`.
        let Some(rk) = (unsafe { rk.as_ref() }).filter(|_| !fp.is_null()) else { return };
        let kind = if rk.is_producer() { "producer" } else { "consumer" };
        let mut text = format!("rd_kafka_t {}: {kind}, {} in the queue\n", rk.name.to_string_lossy(), rk.main.len());
        rk.brokers.for_each(|broker| text.push_str(&format!(" broker {} {}\n", broker.name(), broker.state.name())));
        for topic in rk.topics.names() {
            text.push_str(&format!(" topic {topic}\n"));
        }
        // SAFETY: the text has that many bytes, and the caller vouches for the stream.
        unsafe { libc::fwrite(text.as_ptr().cast(), 1, text.len(), fp) };
    });
}
