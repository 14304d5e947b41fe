//! What is known of a handle's connections, broker by broker: counted for statistics, and told as errors and log lines where they break.
//!
//! - this file: what is counted and told
//! - `exchange`: requests and answers as they pass
//! - [`exports`]: the C functions

mod exchange;
pub mod exports;
#[cfg(test)]
mod tests;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use felice::raw::{ClusterMetadata, ConnectError, ConnectErrorKind, NOT_SET_UP, NOT_USED, Observed};
use felice::{Error, ErrorKind};

use self::exchange::{Addressed, Request, correlation_id};
use crate::conf::Conf;
use crate::conf::interceptors::Interceptors;
use crate::handle::Kafka;
use crate::log::{Context, Logger, level};
use crate::op::Op;
use crate::queue::Queue;
use crate::sockets::{Socket, Sockets};
use crate::stats::Window;
use crate::types::RespErr;
use crate::wait::Deadline;

/// The same error of a broker is told again after this long.
const SAME_ERROR_AGAIN: Duration = Duration::from_secs(30);

/// What a broker's connections are doing, by librdkafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Init,
    Down,
    Connect,
    Up,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Down => "DOWN",
            Self::Connect => "CONNECT",
            Self::Up => "UP",
        }
    }
}

/// A broker, or an address of `bootstrap.servers`, with all its connections.
#[derive(Debug)]
pub(crate) struct Broker {
    /// −1 for an address of `bootstrap.servers`.
    pub(crate) id: i32,
    pub(crate) address: String,
    pub(crate) state: State,
    pub(crate) state_since: Instant,
    pub(crate) connects: u64,
    pub(crate) disconnects: u64,
    pub(crate) requests: u64,
    pub(crate) request_bytes: u64,
    pub(crate) answers: u64,
    pub(crate) answer_bytes: u64,
    pub(crate) failures: u64,
    /// Requests that were not answered in time.
    pub(crate) timeouts: u64,
    /// Connections that broke while answers could come, and answers that could not be read.
    pub(crate) receive_errors: u64,
    /// Answers to no request that waits: they came too late.
    pub(crate) unexpected: u64,
    pub(crate) by_api: BTreeMap<i16, u64>,
    pub(crate) sent_at: Option<Instant>,
    pub(crate) received_at: Option<Instant>,
    pub(crate) rtt: Window,
    /// For how many milliseconds each answer that says so holds this client back.
    pub(crate) throttle: Window,
    connections: BTreeMap<u64, Connection>,
    last_error: Option<(String, Instant)>,
}

#[derive(Debug)]
struct Connection {
    /// Where the program may be told its descriptor.
    socket: Weak<Socket>,
    connected: bool,
    since: Instant,
    /// What was sent and will be answered: answers come in order.
    in_flight: VecDeque<Request>,
}

impl Broker {
    fn new(id: i32, address: &str) -> Self {
        Self {
            id,
            address: address.to_owned(),
            state: State::Init,
            state_since: Instant::now(),
            connects: 0,
            disconnects: 0,
            requests: 0,
            request_bytes: 0,
            answers: 0,
            answer_bytes: 0,
            failures: 0,
            timeouts: 0,
            receive_errors: 0,
            unexpected: 0,
            by_api: BTreeMap::new(),
            sent_at: None,
            received_at: None,
            rtt: Window::default(),
            throttle: Window::default(),
            connections: BTreeMap::new(),
            last_error: None,
        }
    }

    /// `host:port/id`, or `host:port/bootstrap`.
    pub(crate) fn name(&self) -> String {
        name(self.id, &self.address)
    }

    /// Whether it is an address of `bootstrap.servers`.
    pub(crate) fn is_configured(&self) -> bool {
        self.id < 0
    }

    fn addressed(&self, connection: u64) -> Addressed {
        let socket = self.connections.get(&connection).and_then(|connection| connection.socket.upgrade());
        Addressed { name: CString::new(self.name()).unwrap_or_default(), id: self.id, socket }
    }

    /// Requests that wait for their answers.
    pub(crate) fn in_flight(&self) -> usize {
        self.connections.values().map(|connection| connection.in_flight.len()).sum()
    }

    fn update(&mut self) {
        let state = if self.connections.values().any(|connection| connection.connected) {
            State::Up
        } else if self.connections.is_empty() {
            State::Down
        } else {
            State::Connect
        };
        if state != self.state {
            self.state = state;
            self.state_since = Instant::now();
        }
    }
}

fn name(id: i32, address: &str) -> String {
    if id < 0 { format!("{address}/bootstrap") } else { format!("{address}/{id}") }
}

#[derive(Debug, Default)]
struct Table {
    brokers: BTreeMap<String, Broker>,
    by_connection: BTreeMap<u64, String>,
    all_down: bool,
    cluster: Arc<ClusterMetadata>,
    /// When each topic of it was told of last.
    topics_since: BTreeMap<String, Instant>,
}

/// The brokers of a handle.
#[derive(Debug)]
pub(crate) struct Brokers {
    table: Mutex<Table>,
    /// There is new metadata.
    learned: Condvar,
    log: Arc<Logger>,
    main: Arc<Queue>,
    /// The program hears errors; where it does not, they are logged.
    errors: bool,
    close_is_logged: bool,
    /// Somebody asks for how long brokers hold this client back.
    watches_throttling: bool,
    /// The program hears of it.
    tells_throttling: bool,
    /// The last answer held it back.
    throttled: AtomicBool,
    interceptors: Arc<Interceptors>,
    pub(crate) sockets: Arc<Sockets>,
    /// For interceptors; NULL before the handle has an address, and when it goes.
    rk: AtomicPtr<Kafka>,
}

impl Brokers {
    pub(crate) fn new(log: Arc<Logger>, main: Arc<Queue>, errors: bool, conf: &Conf) -> Self {
        let tells_throttling = conf.callbacks.throttle_cb.is_some();
        Self {
            table: Mutex::default(),
            learned: Condvar::new(),
            log,
            main,
            errors,
            close_is_logged: conf.flag("log.connection.close"),
            watches_throttling: tells_throttling || conf.int("statistics.interval.ms") > 0,
            tells_throttling,
            throttled: AtomicBool::new(false),
            interceptors: conf.interceptors.clone(),
            sockets: Arc::default(),
            rk: AtomicPtr::default(),
        }
    }

    /// Interceptors are called with this from now on; with NULL no more.
    pub(crate) fn attach(&self, rk: *mut Kafka) {
        self.rk.store(rk, Ordering::Release);
    }

    /// Has interceptors called, with nothing locked, and logs what they complain of.
    fn intercept(&self, facility: &str, call: impl FnOnce(&Interceptors, *mut Kafka) -> Vec<String>) {
        let rk = self.rk.load(Ordering::Acquire);
        if !rk.is_null() {
            for line in call(&self.interceptors, rk) {
                self.log.log(level::WARNING, facility, &line);
            }
        }
    }

    fn state_changed(&self, id: i32, address: &str, state: State) {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "9092"));
        let text = |text: &str| CString::new(text).unwrap_or_default();
        let (host, state, port) = (text(host), text(state.name()), port.parse().unwrap_or(9092));
        self.intercept("ICSTATE", |all, rk| {
            all.on_broker_state_change(rk, id, [c"plaintext", host.as_c_str(), state.as_c_str()], port)
        });
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Addresses that nobody has tried yet. Gives those that are new.
    pub(crate) fn configured(&self, addresses: impl Iterator<Item = String>) -> Vec<String> {
        let mut table = self.lock();
        let mut new = Vec::new();
        for address in addresses {
            if let Entry::Vacant(place) = table.brokers.entry(name(-1, &address)) {
                place.insert(Broker::new(-1, &address));
                new.push(address);
            }
        }
        new
    }

    /// Reads, or takes out of, every broker.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&mut Broker)) {
        self.lock().brokers.values_mut().for_each(&mut f);
    }

    /// Whether any connection stands.
    pub(crate) fn is_any_up(&self) -> bool {
        self.lock().brokers.values().any(|broker| broker.state == State::Up)
    }

    /// Whether a connection to this broker stands.
    pub(crate) fn is_up(&self, id: i32) -> bool {
        self.lock().brokers.values().any(|broker| broker.id == id && broker.state == State::Up)
    }

    /// What is known of the cluster.
    pub(crate) fn cluster(&self) -> Arc<ClusterMetadata> {
        self.lock().cluster.clone()
    }

    /// How old is what is known of a topic.
    pub(crate) fn metadata_age(&self, topic: &str) -> Option<Duration> {
        self.lock().topics_since.get(topic).map(Instant::elapsed)
    }

    /// What `find` finds in the metadata, as soon as it does; `None` where the time was up before.
    pub(crate) fn await_cluster<T>(
        &self,
        deadline: Deadline,
        find: impl Fn(&ClusterMetadata) -> Option<T>,
    ) -> Option<T> {
        let mut table = self.lock();
        loop {
            if let Some(found) = find(&table.cluster) {
                return Some(found);
            }
            let left = deadline.left()?;
            table = self.learned.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// An error of the handle: an event or a callback where the program wants them, else a line of the log.
    pub(crate) fn tell(&self, code: RespErr, text: &str) {
        if self.errors {
            self.main.push(Op::Error { code, text: CString::new(text).unwrap_or_default(), fatal: false });
        } else {
            self.log.log(level::ERR, "ERROR", &format!("{}: {text}", self.log.name()));
        }
    }

    /// On the driver's thread.
    pub(crate) fn see(&self, what: Observed<'_>) {
        match what {
            Observed::Connecting { connection, broker, address } => {
                let id = broker.unwrap_or(-1);
                let key = name(id, address);
                let mut table = self.lock();
                let entry = table.brokers.entry(key.clone()).or_insert_with(|| Broker::new(id, address));
                let new = Connection {
                    socket: Weak::new(),
                    connected: false,
                    since: Instant::now(),
                    in_flight: VecDeque::new(),
                };
                entry.connections.insert(connection.0, new);
                entry.update();
                let entry_state = entry.state;
                table.by_connection.insert(connection.0, key.clone());
                drop(table);
                self.state_changed(id, address, entry_state);
                self.log.debug(Context::BROKER, "CONNECT", || format!("{key}: Connecting to {address}"));
            }
            Observed::Connected { connection, local } => {
                let socket = self.sockets.find(local);
                let up = self.with(connection.0, |broker, id| {
                    broker.connects += 1;
                    if let Some(connection) = broker.connections.get_mut(&id) {
                        connection.connected = true;
                        connection.socket = socket;
                        connection.since = Instant::now();
                    }
                    broker.update();
                    broker.last_error = None;
                    (broker.name(), broker.id, broker.address.clone())
                });
                self.lock().all_down = false;
                if let Some((name, id, address)) = up {
                    self.state_changed(id, &address, State::Up);
                    self.log.debug(Context::BROKER, "STATE", || format!("{name}: Broker changed state CONNECT -> UP"));
                }
            }
            Observed::Sent { connection, frame, answered } => {
                let Some(request) = Request::read(frame) else { return };
                let bytes = frame.len();
                let sent = self.with(connection.0, |broker, id| {
                    broker.requests += 1;
                    broker.request_bytes += bytes as u64;
                    broker.sent_at = Some(request.sent_at);
                    *broker.by_api.entry(request.api_key).or_default() += 1;
                    if let Some(connection) = broker.connections.get_mut(&id).filter(|_| answered) {
                        connection.in_flight.push_back(request);
                    }
                    (!self.interceptors.requests_unseen()).then(|| broker.addressed(id))
                });
                if let Some(Some(to)) = sent {
                    let exchange = request.exchange(&to, bytes);
                    self.intercept("ICREQ", |all, rk| all.on_request_sent(rk, exchange));
                    if let Some(socket) = to.socket {
                        socket.follow();
                    }
                }
            }
            Observed::Received { connection, frame } => self.received(connection.0, frame),
            Observed::GaveUp { connection } => {
                self.with(connection.0, |broker, id| {
                    broker.timeouts += 1;
                    broker.connections.get_mut(&id).and_then(|connection| connection.in_flight.pop_front())
                });
            }
            Observed::Closed { connection, why: None } => {
                self.gone(connection.0);
            }
            Observed::Closed { connection, why: Some(error) } | Observed::Disconnected { connection, error } => {
                self.broken(connection.0, error);
            }
            Observed::Metadata(metadata) => self.learned(metadata),
            _ => {}
        }
    }

    fn received(&self, connection: u64, answer: &Bytes) {
        let received = self.with(connection, |broker, id| {
            let now = Instant::now();
            broker.answers += 1;
            broker.answer_bytes += answer.len() as u64;
            broker.received_at = Some(now);
            let in_flight = &mut broker.connections.get_mut(&id)?.in_flight;
            let Some(request) =
                in_flight.pop_front_if(|request| Some(request.correlation_id) == correlation_id(answer))
            else {
                broker.unexpected += 1;
                return None;
            };
            let rtt = i64::try_from((now - request.sent_at).as_micros()).unwrap_or(i64::MAX);
            broker.rtt.add(rtt);
            let throttle = if self.watches_throttling { request.throttle_time(answer) } else { None };
            if let Some(time @ 1..) = throttle {
                broker.throttle.add(i64::from(time));
            }
            // The end of it is told too.
            let is_told =
                |time: &i32| self.tells_throttling && (self.throttled.swap(*time > 0, Ordering::Relaxed) || *time > 0);
            let throttle = throttle.filter(is_told).map(|time| {
                let broker_name = CString::new(broker.address.as_str()).unwrap_or_default();
                Op::Throttle { broker: broker_name, id: broker.id, time }
            });
            let seen = (!self.interceptors.requests_unseen()).then(|| (broker.addressed(id), request, rtt));
            Some((throttle, seen))
        });
        let Some(Some((throttle, seen))) = received else { return };
        if let Some(throttle) = throttle {
            self.main.push(throttle);
        }
        if let Some((from, request, rtt)) = seen {
            let exchange = request.exchange(&from, answer.len() + 4);
            let seen = |all: &Interceptors, rk| all.on_response_received(rk, exchange, rtt, RespErr::NO_ERROR);
            self.intercept("ICRESP", seen);
        }
    }

    fn with<T>(&self, connection: u64, f: impl FnOnce(&mut Broker, u64) -> T) -> Option<T> {
        let mut table = self.lock();
        let Table { brokers, by_connection, .. } = &mut *table;
        let broker = brokers.get_mut(by_connection.get(&connection)?)?;
        Some(f(broker, connection))
    }

    fn gone(&self, connection: u64) -> Option<(String, State, Duration)> {
        let told = self.with(connection, |broker, id| {
            let gone = broker.connections.remove(&id)?;
            broker.disconnects += u64::from(gone.connected);
            broker.update();
            let was = if gone.connected { State::Up } else { State::Connect };
            Some((broker.name(), was, gone.since.elapsed()))
        });
        self.lock().by_connection.remove(&connection);
        told.flatten()
    }

    /// The cluster has changed: brokers that are in it no more go, and those that moved are told of.
    fn learned(&self, metadata: &Arc<ClusterMetadata>) {
        let (mut lines, mut ends) = (Vec::new(), Vec::new());
        let other_cluster = {
            let mut table = self.lock();
            let before = std::mem::replace(&mut table.cluster, metadata.clone());
            table.topics_since.retain(|topic, _| metadata.topics.contains_key(topic.as_str()));
            for (name, topic) in &metadata.topics {
                // What was told anew is a new object, even where it says the same.
                if !before.topics.get(name).is_some_and(|old| Arc::ptr_eq(old, topic)) {
                    table.topics_since.insert(name.to_string(), Instant::now());
                }
            }
            self.learned.notify_all();
            for (id, broker) in &metadata.brokers {
                if let Some(old) = before.brokers.get(id).filter(|old| old.address() != broker.address()) {
                    let name = name(*id, &old.address());
                    lines.push(format!("{name}: Nodename changed from {} to {}", old.address(), broker.address()));
                }
            }
            for (id, broker) in &before.brokers {
                if !metadata.brokers.contains_key(id) {
                    let name = name(*id, &broker.address());
                    let state = table.brokers.get(&name).map_or(State::Init, |broker| broker.state);
                    ends.push(format!("{name}: Handle terminates in state {}", state.name()));
                }
            }
            table.brokers.retain(|_, broker| {
                broker.id < 0
                    || !broker.connections.is_empty()
                    || metadata.brokers.get(&broker.id).is_some_and(|known| known.address() == broker.address)
            });
            before.cluster_id.clone().zip(metadata.cluster_id.clone()).filter(|(old, new)| old != new)
        };
        for line in lines {
            self.log.debug(Context::BROKER, "UPDATE", || line);
        }
        if !ends.is_empty() && self.log.debugs(Context::BROKER) {
            let log = self.log.clone();
            // In librdkafka they are the last words of a broker's own thread, where programs may take their time.
            std::thread::spawn(move || {
                ends.into_iter().for_each(|line| log.debug(Context::BROKER, "TERMINATE", || line))
            });
        }
        if let Some((old, new)) = other_cluster {
            let text = format!(
                "A broker reports different ClusterId \"{new}\" than previously known \"{old}\": \
                 a client must not be simultaneously connected to multiple clusters"
            );
            self.log.log(level::WARNING, "CLUSTERID", &text);
        }
    }

    fn broken(&self, connection: u64, error: &Error) {
        let Some((name, was, after)) = self.gone(connection) else { return };
        let unresolved = unresolved(error);
        let code = match error.kind() {
            _ if unresolved.is_some() => RespErr::RESOLVE,
            ErrorKind::Tls => RespErr::SSL,
            ErrorKind::Authentication => RespErr::AUTHENTICATION,
            _ => RespErr::TRANSPORT,
        };
        let idle = error.message() == NOT_USED;
        let what = match was {
            _ if idle => "Connection max idle time exceeded".to_owned(),
            _ if error.message() == NOT_SET_UP => "Connection setup timed out".to_owned(),
            State::Up => "Disconnected".to_owned(),
            _ if let Some(text) = unresolved => text,
            _ => error.message().to_owned(),
        };
        let text = format!("{name}: {what} (after {}ms in state {})", after.as_millis(), was.name());
        let (tell, all_down, (id, address, state)) = {
            let mut table = self.lock();
            let Table { brokers, all_down, .. } = &mut *table;
            let Some(broker) = brokers.get_mut(&name) else { return };
            broker.failures += 1;
            // What waited longest was late.
            broker.timeouts += u64::from(error.kind() == ErrorKind::Timeout);
            broker.receive_errors += u64::from(was == State::Up && !idle && error.kind() != ErrorKind::Timeout);
            let (id, address, state) = (broker.id, broker.address.clone(), broker.state);
            let again =
                broker.last_error.as_ref().is_some_and(|(last, at)| *last == what && at.elapsed() < SAME_ERROR_AGAIN);
            if !again {
                broker.last_error = Some((what, Instant::now()));
            }
            let count = brokers.len();
            let down = brokers.values().all(|broker| matches!(broker.state, State::Down | State::Init));
            let newly = down && !std::mem::replace(all_down, down);
            (!again, newly.then_some(count), (id, address, state))
        };
        self.state_changed(id, &address, state);
        if idle {
            // Nothing is wrong: it is made again when it is needed.
            self.log.debug(Context::BROKER, "FAIL", || text);
            return;
        }
        if tell && (was != State::Up || self.close_is_logged) {
            self.log.log(if was == State::Up { level::INFO } else { level::ERR }, "FAIL", &text);
            self.tell(code, &text);
        }
        if let Some(count) = all_down {
            self.tell(RespErr::ALL_BROKERS_DOWN, &format!("{count}/{count} brokers are down"));
        }
    }
}

/// The text of a name that is not known, where an error is that.
fn unresolved(error: &Error) -> Option<String> {
    let error: &ConnectError = std::error::Error::source(error)?.downcast_ref()?;
    let unknown = error.kind() == ConnectErrorKind::UnknownHost;
    unknown.then(|| match error.decisive() {
        Some(attempt) => {
            let cause = attempt.cause.to_string();
            let cause = cause.strip_prefix("failed to lookup address information: ").unwrap_or(&cause);
            format!("Failed to resolve '{}': {cause}", error.target())
        }
        None => format!("Failed to resolve '{}'", error.target()),
    })
}
