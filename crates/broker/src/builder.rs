//! [`Broker`] and how it is made.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use felice_broker_core::{BrokerConfig, BrokerCore, ConfigError};
use felice_log::{Disk, MemDisk};
use felice_net::Listener;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::Error;
use crate::connection::Limits;
use crate::disk_os::OsDisk;
use crate::driver::{Clock, Driver};
use crate::lock::DirLock;
use crate::server::Server;

/// How long dropping a broker may block.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// A running broker, on a thread of its own. Dropping it stops it, waiting for a second at most; [`shutdown`](Self::shutdown) waits and says
/// how it went.
///
/// Java: `kafka.server.KafkaRaftServer` with the roles `broker,controller`.
#[derive(Debug)]
pub struct Broker {
    bootstrap: String,
    data_dir: Option<PathBuf>,
    stop: Option<oneshot::Sender<()>>,
    ended: Option<oneshot::Receiver<Result<(), Error>>>,
    /// Closed when the thread is done.
    done: mpsc::Receiver<()>,
}

impl Broker {
    /// Starts a broker on a free port of this machine, in a directory that goes away with it.
    ///
    /// Nothing is synced to the disk in a directory that goes away.
    ///
    /// # Errors
    /// [`Error`], with what to do.
    ///
    /// # Cancel safety
    /// A broker whose start is given up stops at once and takes its directory with it.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), felice_broker::Error> {
    /// let broker = felice_broker::Broker::start().await?;
    /// let (host, port) = broker.bootstrap().rsplit_once(':').unwrap_or_default();
    /// assert_eq!(host, "127.0.0.1");
    /// assert_ne!(port, "0");
    /// # Ok(()) }
    /// ```
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// Begins a broker: where to listen, where to keep data, and Kafka's properties.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), felice_broker::Error> {
    /// use felice_broker::Broker;
    /// let broker = Broker::builder().in_memory().config("num.partitions", "4").start().await?;
    /// assert_eq!(broker.data_dir(), None);
    /// broker.shutdown().await?;
    ///
    /// let wrong = Broker::builder().config("num.partition", "4").start().await.unwrap_err();
    /// assert!(wrong.to_string().contains("num.partitions"), "{wrong}");
    /// # Ok(()) }
    /// ```
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::default()
    }

    /// The address to give to clients as `bootstrap.servers`: `HOST:PORT`, as `advertised.listeners` says where that is set.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The data directory; `None` where the broker is [in memory](BrokerBuilder::in_memory).
    pub fn data_dir(&self) -> Option<&std::path::Path> {
        self.data_dir.as_deref()
    }

    /// A client of this broker. Only with the crate's feature `client`.
    ///
    /// # Errors
    /// As [`felice::Client::connect`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = felice_broker::Broker::start().await?;
    /// let client = broker.client().await?;
    /// let producer = client.producer().build().await?;
    /// assert_eq!(producer.send(felice::NewRecord::to("orders").value("hello")).await?.offset, 0);
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "client")]
    pub async fn client(&self) -> Result<felice::Client, felice::Error> {
        felice::Client::connect(self.bootstrap()).await
    }

    /// Stops cleanly: logs synced and closed, checkpoints written, `.kafka_cleanshutdown` left behind.
    ///
    /// # Errors
    /// Where that fails; the next start then recovers as after a crash.
    ///
    /// # Cancel safety
    /// The broker stops all the same; only how it went is not heard.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        self.stop.take();
        match self.ended.take() {
            Some(ended) => ended.await.unwrap_or_else(|_| Err(Error::Thread("it ended without a word".to_owned()))),
            None => Ok(()),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.take();
        if self.ended.is_some() {
            // Either way it is over: the thread is done, or stops behind our back.
            let _ = self.done.recv_timeout(DROP_WAIT);
        }
    }
}

#[derive(Debug, Default)]
enum Storage {
    /// A directory that goes away with the broker.
    #[default]
    Temporary,
    Dir(PathBuf),
    Memory,
}

/// Says what a broker is to be like; [`start`](Self::start) starts it. Without a word: a free port of 127.0.0.1, a directory that goes away
/// with the broker, and Kafka's defaults but for those in `docs/broker.md`.
#[derive(Debug)]
pub struct BrokerBuilder {
    listen: String,
    storage: Storage,
    config: BrokerConfig,
    error: Option<ConfigError>,
}

impl Default for BrokerBuilder {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            storage: Storage::Temporary,
            config: BrokerConfig::new(""),
            error: None,
        }
    }
}

impl BrokerBuilder {
    /// Listens on `host:port`; port 0, the default, takes a free one.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// Keeps its data in a directory, in Apache Kafka's file format; without, in one that goes away with the broker. One broker at a time has a
    /// directory.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use felice_broker::{Broker, Error};
    /// let dir = tempfile::tempdir()?;
    /// let broker = Broker::builder().data_dir(dir.path()).start().await?;
    /// let second = Broker::builder().data_dir(dir.path()).start().await;
    /// assert!(matches!(second, Err(Error::Locked { .. })));
    /// broker.shutdown().await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.storage = Storage::Dir(dir.into());
        self
    }

    /// Keeps its data in memory, and touches no file; all of it is gone with the broker.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.storage = Storage::Memory;
        self
    }

    /// Sets one of Kafka's broker properties, such as `num.partitions`, or `felice.flush` (`none`, Kafka's way, or `batch`: synced before
    /// it is acknowledged). [`start`](Self::start) says what is wrong with it.
    #[must_use]
    pub fn config(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if let Err(error) = self.config.set(name.as_ref(), value.as_ref()) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Starts the broker; it accepts connections when this returns.
    ///
    /// Logs that were not closed cleanly are recovered first.
    ///
    /// # Errors
    /// [`Error`], with what to do.
    ///
    /// # Cancel safety
    /// A broker whose start is given up stops at once.
    pub async fn start(self) -> Result<Broker, Error> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let (alive, done) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("felice-broker".to_owned());
        let spawned = thread.spawn(move || {
            let _alive = alive;
            let outcome = self.run(ready, stopped);
            let _ = end.send(outcome);
        });
        spawned.map_err(|error| Error::Thread(error.to_string()))?;
        match is_ready.await {
            Ok(Ok(Ready { bootstrap, data_dir })) => {
                Ok(Broker { bootstrap, data_dir, stop: Some(stop), ended: Some(ended), done })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Thread("it ended before it was ready".to_owned())),
        }
    }

    /// All of the broker's life, on its thread.
    fn run(self, ready: oneshot::Sender<Result<Ready, Error>>, stop: oneshot::Receiver<()>) -> Result<(), Error> {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = ready.send(Err(Error::Thread(error.to_string())));
                return Ok(());
            }
        };
        let tasks = LocalSet::new();
        let prepared = tasks.block_on(&runtime, self.prepare());
        let (server, ready_info, kept) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let _ = ready.send(Err(error));
                return Ok(());
            }
        };
        // Whoever asked may have given up: then `stop` is gone too, and the broker stops at once.
        let _ = ready.send(Ok(ready_info));
        let outcome = runtime.block_on(server.run(&tasks, stop));
        // Connections, and with them what they hold of the data, go before the directory does.
        drop(tasks);
        drop(runtime);
        drop(kept);
        outcome
    }

    async fn prepare(mut self) -> Result<(Server, Ready, Kept), Error> {
        let listener = Listener::bind(&self.listen, None)
            .await
            .map_err(|source| Error::Listen { address: self.listen.clone(), source })?;
        let address = listener.local_addr().map_err(|source| Error::Listen { address: self.listen.clone(), source })?;
        let mut kept = Kept::default();
        let disk: Arc<dyn Disk> = match &self.storage {
            Storage::Memory => {
                self.config.data_dir = PathBuf::from("/felice");
                Arc::new(MemDisk::new())
            }
            Storage::Temporary => {
                let dir = tempfile::Builder::new().prefix("felice-").tempdir().map_err(|source| Error::Dir {
                    action: "create a directory in",
                    path: std::env::temp_dir(),
                    source,
                })?;
                self.config.data_dir = dir.path().to_owned();
                kept.temporary = Some(dir);
                Arc::new(OsDisk::ephemeral())
            }
            Storage::Dir(dir) => {
                kept.lock = Some(DirLock::acquire(dir)?);
                self.config.data_dir.clone_from(dir);
                Arc::new(OsDisk::new())
            }
        };
        (self.config.advertised_host, self.config.advertised_port) = advertised(&self.config, &self.listen, address);
        let bootstrap = format!("{}:{}", in_brackets(&self.config.advertised_host), self.config.advertised_port);
        let limits =
            Limits { max_frame: self.config.socket_request_max_bytes(), max_idle: self.config.connections_max_idle() };
        let max_connections = self.config.max_connections();
        let data_dir = (!matches!(self.storage, Storage::Memory)).then(|| self.config.data_dir.clone());
        let clock = Clock::start();
        let core = BrokerCore::open(self.config, disk, seed(), clock.now())?;
        let server = Server { listener, driver: Driver::new(core, clock), limits, max_connections };
        Ok((server, Ready { bootstrap, data_dir }, kept))
    }
}

#[derive(Debug)]
struct Ready {
    bootstrap: String,
    data_dir: Option<PathBuf>,
}

/// What lives as long as the broker.
#[derive(Debug, Default)]
struct Kept {
    lock: Option<DirLock>,
    temporary: Option<tempfile::TempDir>,
}

/// Random enough for ids: the standard library keys its hash maps by the system's randomness.
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// `advertised.listeners`, else what is listened on; an address that means "all" is nothing that a client could connect to.
fn advertised(config: &BrokerConfig, listen: &str, address: std::net::SocketAddr) -> (String, u16) {
    let first = config.property("advertised.listeners").and_then(|listeners| listeners.split(',').next());
    let named = first.and_then(|listener| listener.split_once("://")).map(|(_, address)| address);
    if let Some((host, port)) = named.and_then(|named| named.rsplit_once(':'))
        && let Ok(port) = port.parse()
    {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = if port == 0 { address.port() } else { port };
        return (if host.is_empty() { "localhost" } else { host }.to_owned(), port);
    }
    let host = if address.ip().is_unspecified() {
        "localhost".to_owned()
    } else {
        listen.rsplit_once(':').map_or(listen, |(host, _)| host).trim_matches(['[', ']']).to_owned()
    };
    (host, address.port())
}

fn in_brackets(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
