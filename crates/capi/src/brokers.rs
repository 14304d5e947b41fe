//! What is known of a handle's connections, broker by broker: counted for statistics, and told as errors and log lines where they break.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use felice::raw::{ClusterMetadata, Observed};
use felice::{Error, ErrorKind};

use crate::log::{Context, Logger, level};
use crate::op::Op;
use crate::queue::Queue;
use crate::stats::Window;
use crate::types::RespErr;

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
    pub(crate) by_api: BTreeMap<i16, u64>,
    pub(crate) sent_at: Option<Instant>,
    pub(crate) received_at: Option<Instant>,
    pub(crate) rtt: Window,
    connections: BTreeMap<u64, Connection>,
    last_error: Option<(String, Instant)>,
}

#[derive(Debug)]
struct Connection {
    connected: bool,
    since: Instant,
    /// When what is in flight was sent: answers come in order.
    in_flight: VecDeque<Instant>,
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
            by_api: BTreeMap::new(),
            sent_at: None,
            received_at: None,
            rtt: Window::default(),
            connections: BTreeMap::new(),
            last_error: None,
        }
    }

    /// `host:port/id`, or `host:port/bootstrap`.
    pub(crate) fn name(&self) -> String {
        name(self.id, &self.address)
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
}

/// The brokers of a handle.
#[derive(Debug)]
pub(crate) struct Brokers {
    table: Mutex<Table>,
    log: Arc<Logger>,
    main: Arc<Queue>,
    /// The program hears errors; where it does not, they are logged.
    errors: bool,
    close_is_logged: bool,
}

impl Brokers {
    pub(crate) fn new(log: Arc<Logger>, main: Arc<Queue>, errors: bool, close_is_logged: bool) -> Self {
        Self { table: Mutex::default(), log, main, errors, close_is_logged }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Addresses that nobody has tried yet.
    pub(crate) fn configured<'a>(&self, addresses: impl Iterator<Item = &'a str>) {
        let mut table = self.lock();
        for address in addresses {
            table.brokers.entry(name(-1, address)).or_insert_with(|| Broker::new(-1, address));
        }
    }

    /// Reads, or takes out of, every broker.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&mut Broker)) {
        self.lock().brokers.values_mut().for_each(&mut f);
    }

    /// Whether any connection stands.
    pub(crate) fn is_any_up(&self) -> bool {
        self.lock().brokers.values().any(|broker| broker.state == State::Up)
    }

    /// What is known of the cluster.
    pub(crate) fn cluster(&self) -> Arc<ClusterMetadata> {
        self.lock().cluster.clone()
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
                let new = Connection { connected: false, since: Instant::now(), in_flight: VecDeque::new() };
                entry.connections.insert(connection.0, new);
                entry.update();
                table.by_connection.insert(connection.0, key.clone());
                drop(table);
                self.log.debug(Context::BROKER, "CONNECT", || format!("{key}: Connecting to {address}"));
            }
            Observed::Connected { connection } => {
                let up = self.with(connection.0, |broker, id| {
                    broker.connects += 1;
                    if let Some(connection) = broker.connections.get_mut(&id) {
                        connection.connected = true;
                        connection.since = Instant::now();
                    }
                    broker.update();
                    broker.last_error = None;
                    broker.name()
                });
                self.lock().all_down = false;
                if let Some(name) = up {
                    self.log.debug(Context::BROKER, "STATE", || format!("{name}: Broker changed state CONNECT -> UP"));
                }
            }
            Observed::Sent { connection, frame } => {
                let api = frame.chunks.first().and_then(|chunk| chunk.get(4..6)).map(|key| {
                    let mut bytes = [0; 2];
                    bytes.copy_from_slice(key);
                    i16::from_be_bytes(bytes)
                });
                let bytes = frame.len() as u64;
                self.with(connection.0, |broker, id| {
                    let now = Instant::now();
                    broker.requests += 1;
                    broker.request_bytes += bytes;
                    broker.sent_at = Some(now);
                    if let Some(api) = api {
                        *broker.by_api.entry(api).or_default() += 1;
                    }
                    if let Some(connection) = broker.connections.get_mut(&id) {
                        connection.in_flight.push_back(now);
                    }
                });
            }
            Observed::Received { connection, bytes } => {
                self.with(connection.0, |broker, id| {
                    let now = Instant::now();
                    broker.answers += 1;
                    broker.answer_bytes += bytes as u64;
                    broker.received_at = Some(now);
                    let sent = broker.connections.get_mut(&id).and_then(|c| c.in_flight.pop_front());
                    if let Some(sent) = sent {
                        broker.rtt.add(i64::try_from((now - sent).as_micros()).unwrap_or(i64::MAX));
                    }
                });
            }
            Observed::Closed { connection } => {
                self.gone(connection.0);
            }
            Observed::Disconnected { connection, error } => self.broken(connection.0, error),
            Observed::Metadata(metadata) => self.lock().cluster = metadata.clone(),
            _ => {}
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

    fn broken(&self, connection: u64, error: &Error) {
        let Some((name, was, after)) = self.gone(connection) else { return };
        let code = match error.kind() {
            ErrorKind::Tls => RespErr::SSL,
            ErrorKind::Authentication => RespErr::AUTHENTICATION,
            _ => RespErr::TRANSPORT,
        };
        let what = match was {
            State::Up => "Disconnected".to_owned(),
            _ => error.message().to_owned(),
        };
        let text = format!("{name}: {what} (after {}ms in state {})", after.as_millis(), was.name());
        let (tell, all_down) = {
            let mut table = self.lock();
            let Table { brokers, all_down, .. } = &mut *table;
            let Some(broker) = brokers.get_mut(&name) else { return };
            broker.failures += 1;
            let again =
                broker.last_error.as_ref().is_some_and(|(last, at)| *last == what && at.elapsed() < SAME_ERROR_AGAIN);
            if !again {
                broker.last_error = Some((what, Instant::now()));
            }
            let count = brokers.len();
            let down = brokers.values().all(|broker| matches!(broker.state, State::Down | State::Init));
            let newly = down && !std::mem::replace(all_down, down);
            (!again, newly.then_some(count))
        };
        if tell && (was != State::Up || self.close_is_logged) {
            self.log.log(if was == State::Up { level::INFO } else { level::ERR }, "FAIL", &text);
            self.tell(code, &text);
        }
        if let Some(count) = all_down {
            self.tell(RespErr::ALL_BROKERS_DOWN, &format!("{count}/{count} brokers are down"));
        }
    }
}
