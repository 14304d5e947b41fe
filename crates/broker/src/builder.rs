//! [`Broker`] and how it is made.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use felice_broker_core::{BrokerConfig, BrokerCore, ConfigError, ListenerConfig, SecurityProtocol, TokenValidator};
use felice_log::{Disk, MemDisk};
use felice_net::Listener;
use felice_protocol::sasl::{AcceptedToken, RejectedToken, Secret};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::Error;
use crate::connection::Limits;
use crate::disk_os::OsDisk;
use crate::driver::{Clock, Driver};
use crate::lock::DirLock;
use crate::server::Server;
use crate::tls;

/// How long dropping a broker may block.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// A running broker, on a thread of its own. Dropping it stops it, waiting for a second at most; [`shutdown`](Self::shutdown) waits and says
/// how it went.
///
/// Java: `kafka.server.KafkaRaftServer` with the roles `broker,controller`.
#[derive(Debug)]
pub struct Broker {
    /// Name and address of each listener; at least one.
    listeners: Vec<(String, String)>,
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
    ///
    /// Of several listeners this is the first.
    pub fn bootstrap(&self) -> &str {
        self.listeners.first().map_or("", |(_, address)| address)
    }

    /// The same of one listener, by its name, as in `SASL_SSL`; `None` where there is none of that name.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), felice_broker::Error> {
    /// let broker = felice_broker::Broker::builder()
    ///     .in_memory()
    ///     .listener("PLAINTEXT://127.0.0.1:0")
    ///     .listener("SASL_PLAINTEXT://127.0.0.1:0")
    ///     .user("alice", "alice-secret")
    ///     .start()
    ///     .await?;
    /// assert_eq!(broker.bootstrap_of("PLAINTEXT"), Some(broker.bootstrap()));
    /// assert_ne!(broker.bootstrap_of("SASL_PLAINTEXT"), Some(broker.bootstrap()));
    /// # Ok(()) }
    /// ```
    pub fn bootstrap_of(&self, listener: &str) -> Option<&str> {
        let found = self.listeners.iter().find(|(name, _)| name.eq_ignore_ascii_case(listener));
        found.map(|(_, address)| address.as_str())
    }

    /// Name and address of every listener, in the order in which they were asked for.
    pub fn listeners(&self) -> impl Iterator<Item = (&str, &str)> {
        self.listeners.iter().map(|(name, address)| (name.as_str(), address.as_str()))
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
    listen: Option<String>,
    listeners: Vec<String>,
    storage: Storage,
    config: BrokerConfig,
    error: Option<ConfigError>,
}

impl Default for BrokerBuilder {
    fn default() -> Self {
        Self {
            listen: None,
            listeners: Vec::new(),
            storage: Storage::Temporary,
            config: BrokerConfig::new(""),
            error: None,
        }
    }
}

impl BrokerBuilder {
    /// Listens on `host:port`; port 0, the default, takes a free one. With [users](Self::user) its clients authenticate by SASL, with a
    /// [certificate](Self::tls) they speak TLS.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Adds a listener in Kafka's words, `NAME://HOST:PORT`, where the name is also how it is protected: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or
    /// `SASL_SSL`. Other names go through the property `listener.security.protocol.map`, and all of them may stand in the property `listeners`.
    #[must_use]
    pub fn listener(mut self, listener: impl Into<String>) -> Self {
        self.listeners.push(listener.into());
        self
    }

    /// Adds a user with a password, for SASL PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = felice_broker::Broker::builder().in_memory().user("alice", "alice-secret").start().await?;
    /// // Clients set security.protocol=SASL_PLAINTEXT, sasl.mechanism=SCRAM-SHA-256, and the name and password.
    /// println!("point any Kafka client at {}", broker.bootstrap());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.config.users.insert(name.into(), Secret::from(password.into()));
        self
    }

    /// The listeners' certificate chain and key, as PEM texts (`ssl.keystore.certificate.chain`, `ssl.keystore.key`). Files, PKCS#12, passwords and
    /// certificates of clients go through Kafka's properties `ssl.*`.
    #[must_use]
    pub fn tls(self, certificate_chain: impl AsRef<str>, key: impl AsRef<str>) -> Self {
        self.config("ssl.keystore.certificate.chain", certificate_chain).config("ssl.keystore.key", key)
    }

    /// Asks clients of TLS listeners for a certificate that one of these authorities, as PEM text, has signed (`ssl.client.auth=required`).
    #[must_use]
    pub fn client_authorities(self, pem: impl AsRef<str>) -> Self {
        self.config("ssl.truststore.certificates", pem).config("ssl.client.auth", "required")
    }

    /// Takes tokens (SASL OAUTHBEARER) that this function accepts, given the token and the extensions beside it. It is called on the broker's
    /// thread: it answers at once, from keys that it has.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), felice_broker::Error> {
    /// use felice_broker::{AcceptedToken, Broker, RejectedToken};
    /// let broker = Broker::builder()
    ///     .in_memory()
    ///     .tokens(|token, _extensions| match token {
    ///         "sesame" => Ok(AcceptedToken { principal: "ali".to_owned(), expires_at_ms: None }),
    ///         _ => Err(RejectedToken::new("not the word")),
    ///     })
    ///     .start()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn tokens(
        mut self,
        validate: impl Fn(&str, &[(String, String)]) -> Result<AcceptedToken, RejectedToken> + Send + Sync + 'static,
    ) -> Self {
        self.config.token_validator = Some(TokenValidator::new(validate));
        self
    }

    /// For development only: takes tokens (SASL OAUTHBEARER) that nobody has signed, as Kafka's `OAuthBearerUnsecuredValidatorCallbackHandler`
    /// does. Anybody can make one for any user.
    #[must_use]
    pub fn danger_unsecured_tokens(self) -> Self {
        self.config("oauthbearer.sasl.jaas.config", "OAuthBearerLoginModule required;")
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
            Ok(Ok(Ready { listeners, data_dir })) => {
                Ok(Broker { listeners, data_dir, stop: Some(stop), ended: Some(ended), done })
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
        let wanted = self.wanted_listeners()?;
        let mut listeners = Vec::new();
        for listener in wanted {
            listeners.push(self.bind(&listener).await?);
        }
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
        if let Some((host, port)) = listeners.first().and_then(|(name, _)| self.config.advertised.get(name)) {
            (self.config.advertised_host, self.config.advertised_port) = (host.clone(), *port);
        }
        let address = |(name, _): &(String, Listener)| {
            let (host, port) = self.config.advertised.get(name)?;
            Some((name.clone(), format!("{}:{port}", in_brackets(host))))
        };
        let ready = listeners.iter().filter_map(address).collect();
        let limits = Limits {
            max_frame: self.config.socket_request_max_bytes(),
            max_stranger_frame: self.config.sasl_max_receive_bytes(),
            max_idle: self.config.connections_max_idle(),
        };
        let max_connections = self.config.max_connections();
        let data_dir = (!matches!(self.storage, Storage::Memory)).then(|| self.config.data_dir.clone());
        let clock = Clock::start();
        let core = BrokerCore::open(self.config, disk, seed(), clock.now())?;
        let server = Server { listeners, driver: Driver::new(core, clock), limits, max_connections };
        Ok((server, Ready { listeners: ready, data_dir }, kept))
    }

    /// The listeners that were asked for; one that is as safe as its users and certificate allow where none was.
    fn wanted_listeners(&mut self) -> Result<Vec<ListenerConfig>, Error> {
        if !self.listeners.is_empty() {
            if self.listen.is_some() {
                let both = "listen and listener were both called; write the address as one more listener";
                return Err(ConfigError::Invalid(both.to_owned()).into());
            }
            self.config.set("listeners", &self.listeners.join(","))?;
        }
        let named = self.config.listeners()?;
        if !named.is_empty() && self.listen.is_none() {
            return Ok(named);
        }
        let listen = self.listen.clone().unwrap_or_else(|| "127.0.0.1:0".to_owned());
        let has_tls = ["ssl.keystore.location", "ssl.keystore.certificate.chain"]
            .into_iter()
            .any(|property| self.config.property(property).is_some());
        let protocol = match (self.has_users(), has_tls) {
            (false, false) => SecurityProtocol::Plaintext,
            (false, true) => SecurityProtocol::Ssl,
            (true, false) => SecurityProtocol::SaslPlaintext,
            (true, true) => SecurityProtocol::SaslSsl,
        };
        self.config.set("listeners", &format!("{protocol}://{listen}"))?;
        if self.config.listeners().is_err() {
            // The system is to say what is wrong with the address.
            let (host, port) = listen.rsplit_once(':').unwrap_or((&listen, ""));
            let source = std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                format!("\"{host}\" and \"{port}\" are no host and port: write HOST:PORT"),
            );
            return Err(Error::Listen { address: listen, source });
        }
        Ok(self.config.listeners()?)
    }

    /// Whether anything says whom to let in.
    fn has_users(&self) -> bool {
        let jaas = |mechanism| self.config.mechanism_property("", mechanism, "sasl.jaas.config").is_some();
        !self.config.users.is_empty()
            || self.config.token_validator.is_some()
            || ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"].into_iter().any(jaas)
    }

    async fn bind(&mut self, listener: &ListenerConfig) -> Result<(String, Listener), Error> {
        let tls = match listener.protocol.is_tls() {
            true => Some(tls::of_listener(&self.config, &listener.name)?),
            false => None,
        };
        let address = listener.address();
        let failed = |source| Error::Listen { address: address.clone(), source };
        let bound = Listener::bind(&address, tls).await.map_err(failed)?;
        let local = bound.local_addr().map_err(failed)?;
        let told = self.config.advertised_listener(&listener.name)?;
        let advertised = told.map_or_else(
            || (if local.ip().is_unspecified() { "localhost".to_owned() } else { listener.host.clone() }, local.port()),
            |(host, port)| {
                let host = if host.is_empty() { "localhost".to_owned() } else { host };
                (host, if port == 0 { local.port() } else { port })
            },
        );
        self.config.advertised.insert(listener.name.clone(), advertised);
        Ok((listener.name.clone(), bound))
    }
}

#[derive(Debug)]
struct Ready {
    /// Name and advertised address.
    listeners: Vec<(String, String)>,
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

fn in_brackets(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
