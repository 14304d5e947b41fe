//! [`Client`] and its builder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use felice_client_core::client::{CallOptions, CallTarget, ClientCore, decode_answer};
use felice_client_core::config::{ClientConfig, Properties, SaslMechanism};
use felice_client_core::connection::EncodeRequest;
use felice_client_core::error::{Error, ErrorKind};
use felice_net::{ConnectOptions, Security, TlsConfig};
use felice_protocol::messages::{MetadataRequest, Request};
use felice_protocol::sasl::BearerToken;
use tokio::sync::oneshot;

use crate::admin::Admin;
use crate::clock;
use crate::consumer::ConsumerBuilder;
use crate::driver::{Driver, DriverShared};
use crate::observe::Setup;
use crate::producer::ProducerBuilder;
use crate::reader::ReaderBuilder;
use crate::runtime::Seat;
use crate::token::TokenSource;

/// How a client authenticates (`sasl.mechanism`). Its `Debug` shows no password.
#[derive(Clone)]
#[non_exhaustive]
pub enum Sasl {
    /// User and password as they are: only over TLS.
    Plain {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// Salted challenge and response, SHA-256 (KIP-84).
    ScramSha256 {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// Salted challenge and response, SHA-512 (KIP-84).
    ScramSha512 {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that somebody else has issued (KIP-255): only over TLS. Made by [`Sasl::oauthbearer`] or [`Sasl::oauthbearer_pushed`].
    OAuthBearer(TokenSource),
}

impl Sasl {
    /// OAUTHBEARER with tokens from a function: it is called when one is needed first, again when four fifths of its life are over, and every ten
    /// seconds after a failure. It runs on the client's thread, and waits there without blocking it.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use felice_broker::{AcceptedToken, Broker, RejectedToken};
    /// # let accept = |token: &str, _: &[(String, String)]| match token {
    /// #     "sesame" => Ok(AcceptedToken { principal: "ali".into(), expires_at_ms: None }),
    /// #     _ => Err(RejectedToken::new("not the word")),
    /// # };
    /// # let broker = Broker::builder().in_memory().tokens(accept).start().await?;
    /// use felice::{BearerToken, Client, Sasl};
    /// use std::time::{Duration, SystemTime, UNIX_EPOCH};
    ///
    /// let sasl = Sasl::oauthbearer(|| async {
    ///     // Here a request to whoever issues tokens.
    ///     let expires_at = SystemTime::now().duration_since(UNIX_EPOCH)? + Duration::from_secs(300);
    ///     Ok(BearerToken {
    ///         value: "sesame".into(),
    ///         expires_at_ms: i64::try_from(expires_at.as_millis())?,
    ///         principal: "ali".to_owned(),
    ///         extensions: Vec::new(),
    ///     })
    /// });
    /// let client = Client::builder(broker.bootstrap()).sasl(sasl).connect().await?;
    /// # Ok(()) }
    /// ```
    pub fn oauthbearer<F>(provider: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<BearerToken, Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        Self::OAuthBearer(TokenSource::asked(provider))
    }

    /// OAUTHBEARER with tokens that come when they come: the function is told that one is needed, and somebody answers with
    /// [`Client::set_token`] or [`Client::set_token_failure`]. It is called on the client's thread, and must not block.
    pub fn oauthbearer_pushed(wanted: impl Fn() + Send + Sync + 'static) -> Self {
        Self::OAuthBearer(TokenSource::told(wanted))
    }
}

impl std::fmt::Debug for Sasl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Sasl");
        match self {
            Self::Plain { user, .. } | Self::ScramSha256 { user, .. } | Self::ScramSha512 { user, .. } => {
                shown.field("user", user)
            }
            Self::OAuthBearer(_) => shown.field("mechanism", &"OAUTHBEARER"),
        };
        shown.finish_non_exhaustive()
    }
}

/// Whom a client trusts over TLS.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Tls {
    /// Whom this machine trusts: its file of CA certificates, else Mozilla's list, which is built in.
    Platform,
    /// The authorities in this PEM file.
    CaFile(PathBuf),
}

/// Builds a [`Client`]: typed setters for what is set daily, [`ClientBuilder::set`] for every property.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// use felice::{Client, ErrorKind};
/// use std::time::Duration;
///
/// let client = Client::builder(broker.bootstrap()).client_id("invoices").set("request.timeout.ms", "5000").connect().await?;
/// client.shutdown(Duration::from_secs(1)).await?;
///
/// // A mistake in a setter is told by `connect` or `lazy`.
/// let error = Client::builder(broker.bootstrap()).set("request.timeout.ms", "soon").connect().await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Config);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    properties: Properties,
    tokens: Option<TokenSource>,
    error: Option<Error>,
}

impl ClientBuilder {
    /// Sets a property by its Java or librdkafka name. A mistake is reported by [`ClientBuilder::connect`].
    pub fn set(mut self, name: &str, value: &str) -> Self {
        if let Err(error) = self.properties.set(name, value) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Uses TLS (`security.protocol`, `ssl.ca.location`). A client certificate is set by [`Self::client_certificate`].
    pub fn tls(self, tls: Tls) -> Self {
        let sasl =
            self.properties.value("security.protocol").is_some_and(|p| p.to_ascii_lowercase().starts_with("sasl"));
        let builder = self.set("security.protocol", if sasl { "sasl_ssl" } else { "ssl" });
        match tls {
            Tls::Platform => builder,
            Tls::CaFile(path) => builder.set("ssl.ca.location", &path.to_string_lossy()),
        }
    }

    /// Shows a certificate (mutual TLS): files of its chain and of its key, PEM (`ssl.certificate.location`, `ssl.key.location`). The properties
    /// `ssl.certificate.pem` and `ssl.key.pem` take texts, `ssl.key.password` opens an encrypted key, and `ssl.keystore.location` with
    /// `ssl.keystore.password` names one file for both, PEM or PKCS#12.
    pub fn client_certificate(self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        self.set("ssl.certificate.location", &certificate.as_ref().to_string_lossy())
            .set("ssl.key.location", &key.as_ref().to_string_lossy())
    }

    /// Authenticates (`security.protocol`, `sasl.mechanism`, `sasl.username`, `sasl.password`). May stand before or after [`Self::tls`].
    pub fn sasl(mut self, sasl: Sasl) -> Self {
        let tls = self.properties.value("security.protocol").is_some_and(|p| p.to_ascii_lowercase().ends_with("ssl"));
        let (mechanism, user, password) = match sasl {
            Sasl::Plain { user, password } => ("PLAIN", user, password),
            Sasl::ScramSha256 { user, password } => ("SCRAM-SHA-256", user, password),
            Sasl::ScramSha512 { user, password } => ("SCRAM-SHA-512", user, password),
            Sasl::OAuthBearer(source) => {
                self.tokens = Some(source);
                let protocol = if tls { "sasl_ssl" } else { "sasl_plaintext" };
                return self.set("security.protocol", protocol).set("sasl.mechanism", "OAUTHBEARER");
            }
        };
        self.set("security.protocol", if tls { "sasl_ssl" } else { "sasl_plaintext" })
            .set("sasl.mechanism", mechanism)
            .set("sasl.username", &user)
            .set("sasl.password", &password)
    }

    /// Names this client in the broker's logs, metrics and quotas (`client.id`).
    pub fn client_id(self, id: &str) -> Self {
        self.set("client.id", id)
    }

    /// Connects: proves that one broker answers and takes the credentials.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a wrong property; [`ErrorKind::Connect`], [`ErrorKind::Tls`] or [`ErrorKind::Authentication`] where no
    /// broker answers as it should: as soon as every address was tried once.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn connect(self) -> Result<Client, Error> {
        let client = self.lazy()?;
        let options = CallOptions { fail_fast: true, ..client.options(CallTarget::Any) };
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        client.call(request, options).await?;
        Ok(client)
    }

    /// A client that connects when it is first used. Does no I/O, and needs no `await`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a wrong property.
    pub fn lazy(self) -> Result<Client, Error> {
        self.lazy_with(Setup::default())
    }

    pub(crate) fn lazy_with(self, setup: Setup) -> Result<Client, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let config = self.properties.client_config()?;
        let tokens = setup.tokens.or(self.tokens);
        if let Some(sasl) = &config.sasl
            && sasl.mechanism == SaslMechanism::OAuthBearer
            && sasl.unsecured_jwt.is_none()
            && tokens.is_none()
        {
            return Err(Error::new(ErrorKind::Config, "OAUTHBEARER needs somebody who gives tokens").hinting(
                "use ClientBuilder::sasl with Sasl::oauthbearer; for development, enable.sasl.oauthbearer.unsecure.jwt",
            ));
        }
        let mut options = connect_options(&config)?;
        if let Some(connector) = setup.connector {
            options.connector = connector;
        }
        let seat = Seat::take()?;
        let shared = DriverShared::new(seat.handle().clone());
        let core = ClientCore::new(config.clone(), seed());
        let mut driver = Driver::new(core, shared.clone(), options, config.receive_message_max_bytes, tokens);
        driver.observer = setup.observer;
        seat.handle().spawn(driver.run());
        Ok(Client { inner: Arc::new(Inner { shared, properties: self.properties, config, _seat: seat }) })
    }
}

/// A number that differs between clients and between runs.
pub(crate) fn seed() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one((COUNT.fetch_add(1, Ordering::Relaxed), std::process::id()))
}

fn connect_options(config: &ClientConfig) -> Result<ConnectOptions, Error> {
    let mut options = ConnectOptions::default();
    options.timeout = config.connection_setup_timeout;
    options.socket.send_buffer_bytes = Some(config.send_buffer_bytes).filter(|n| *n > 0);
    options.socket.receive_buffer_bytes = Some(config.receive_buffer_bytes).filter(|n| *n > 0);
    if !config.socket_keepalive {
        options.socket.keepalive = None;
    }
    if let Some(tls) = &config.tls {
        let wrong =
            |error: felice_net::TlsConfigError| Error::new(ErrorKind::Config, error.to_string()).caused_by(error);
        let mut builder = TlsConfig::builder();
        if let Some(path) = &tls.ca_location {
            builder = builder.ca_file(path).map_err(wrong)?;
        }
        if let Some(pem) = &tls.ca_pem {
            builder = builder.ca_pem(pem.clone());
        }
        if let Some(path) = &tls.certificate_location {
            builder = builder.certificate_file(path).map_err(wrong)?;
        }
        if let Some(pem) = &tls.certificate_pem {
            builder = builder.certificate_pem(pem.clone());
        }
        if let Some(path) = &tls.key_location {
            builder = builder.key_file(path).map_err(wrong)?;
        }
        if let Some(pem) = &tls.key_pem {
            builder = builder.key_pem(pem.reveal());
        }
        if let Some(path) = &tls.keystore_location {
            builder = builder.key_store_file(path).map_err(wrong)?;
        }
        if let Some(password) = &tls.keystore_password {
            builder = builder.key_store_password(password.reveal());
        }
        if let Some(password) = &tls.key_password {
            builder = builder.key_password(password.reveal());
        }
        if !tls.verify {
            builder = builder.danger_accept_any_certificate();
        } else if !tls.verify_hostname {
            builder = builder.danger_accept_any_name();
        }
        options.security = Security::Tls(builder.build().map_err(wrong)?);
    }
    Ok(options)
}

#[derive(Debug)]
struct Inner {
    shared: Arc<DriverShared>,
    properties: Properties,
    config: ClientConfig,
    _seat: Seat,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// A client of one cluster: a cheap clone; producers, readers and admins made from it share connections and metadata.
///
/// Dropping the last clone, and everything made from it, ends its connections without waiting; what producers had not sent then is lost:
/// [`Producer::flush`](crate::Producer::flush) or [`Client::shutdown`] first.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// let client = felice::Client::connect(broker.bootstrap()).await?;
/// assert_eq!(client.admin().cluster().await?.brokers.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

impl Client {
    /// Connects to a cluster through one or more `HOST:PORT`, with commas between.
    ///
    /// A port that is left out is 9092.
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn connect(bootstrap: impl AsRef<str>) -> Result<Self, Error> {
        Self::builder(bootstrap).connect().await
    }

    /// Begins a client of the cluster at these addresses.
    pub fn builder(bootstrap: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder { properties: Properties::default(), tokens: None, error: None }
            .set("bootstrap.servers", bootstrap.as_ref())
    }

    /// Begins a client from properties with Java's or librdkafka's names. Those of producers and readers may be among them, and hold for all
    /// that the client makes.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an unknown name, with the nearest known one, or a value that does not fit.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// let properties = [("bootstrap.servers", broker.bootstrap()), ("compression.type", "lz4"), ("queue.buffering.max.ms", "0")];
    /// let client = felice::Client::from_properties(properties)?.connect().await?;
    /// assert_eq!(client.properties().value("linger.ms"), Some("0"));
    /// let producer = client.producer().build().await?; // lz4, without linger
    /// # Ok(()) }
    /// ```
    pub fn from_properties<K: AsRef<str>, V: AsRef<str>>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<ClientBuilder, Error> {
        let mut all = Properties::default();
        for (name, value) in properties {
            all.set(name.as_ref(), value.as_ref())?;
        }
        Ok(Self::with_properties(all))
    }

    /// Begins a client from a ready set of properties.
    pub fn with_properties(properties: Properties) -> ClientBuilder {
        ClientBuilder { properties, tokens: None, error: None }
    }

    /// Begins a producer.
    pub fn producer(&self) -> ProducerBuilder {
        ProducerBuilder::new(self.clone())
    }

    /// Begins a reader of partitions, without a group.
    pub fn reader(&self) -> ReaderBuilder {
        ReaderBuilder::new(self.clone())
    }

    /// Begins a consumer in this group.
    pub fn consumer(&self, group: impl AsRef<str>) -> ConsumerBuilder {
        ConsumerBuilder::new(self.clone(), Some(group.as_ref()))
    }

    /// Begins a consumer without a group: it reads the partitions that it is told to, and commits nothing. A [`Reader`](crate::Reader) is simpler where they
    /// do not change.
    pub fn ungrouped_consumer(&self) -> ConsumerBuilder {
        ConsumerBuilder::new(self.clone(), None)
    }

    /// Gives a token for OAUTHBEARER, asked for or not: for connections that are made or authenticate again from now on. The next one is asked
    /// for when four fifths of its life are over.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where it cannot be sent or has expired; the one before stays.
    pub fn set_token(&self, token: BearerToken) -> Result<(), Error> {
        let wrong = |message: String| Error::new(ErrorKind::Config, message);
        token.check().map_err(|error| wrong(error.to_string()).caused_by(error))?;
        if token.expires_at_ms <= clock::now().wall_millis {
            return Err(wrong("the token has expired already".to_owned()));
        }
        self.inner.shared.command(move |driver, now| {
            if let Err(error) = driver.core.set_token(now, token) {
                driver.core.set_token_failure(now, error.message());
            }
        });
        Ok(())
    }

    /// Says that there is no token, and why: whoever waits for a connection hears it. It is asked for again in ten seconds.
    pub fn set_token_failure(&self, why: impl Into<String>) {
        let why = why.into();
        self.inner.shared.command(move |driver, now| driver.core.set_token_failure(now, &why));
    }

    /// Another user and password for PLAIN and SCRAM: for connections that are made or authenticate again from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the client uses neither.
    pub fn set_credentials(&self, user: impl Into<String>, password: impl Into<String>) -> Result<(), Error> {
        if !self.inner.config.sasl.as_ref().is_some_and(|sasl| sasl.mechanism != SaslMechanism::OAuthBearer) {
            return Err(Error::new(ErrorKind::Config, "this client authenticates by no user and password"));
        }
        let (user, password) = (user.into(), password.into());
        self.inner.shared.command(move |driver, _| {
            // Only a mechanism without a password refuses.
            let _ = driver.core.set_credentials(&user, &password);
        });
        Ok(())
    }

    /// Administrative calls.
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// The properties that this client was made with.
    pub fn properties(&self) -> &Properties {
        &self.inner.properties
    }

    /// Sends any request of the protocol to any broker and waits for its answer, as it came: error codes in it are the caller's matter. The
    /// version is the highest that both sides know. Where the connection breaks, it is sent again.
    ///
    /// # Errors
    /// Where no answer came within `default.api.timeout.ms`.
    ///
    /// # Cancel safety
    /// A request that has left is acted upon all the same; its answer is thrown away.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = felice_broker::Broker::start().await?;
    /// # let client = felice::Client::connect(broker.bootstrap()).await?;
    /// use felice::protocol::messages::DescribeClusterRequest;
    /// let answer = client.request(DescribeClusterRequest::default()).await?;
    /// assert_eq!(answer.brokers.len(), 1);
    /// # Ok(()) }
    /// ```
    pub async fn request<R: Request + Send + 'static>(&self, request: R) -> Result<R::Response, Error> {
        self.call(request, self.options(CallTarget::Any)).await
    }

    /// As [`Client::request`], to one broker.
    ///
    /// # Errors
    /// As [`Client::request`].
    ///
    /// # Cancel safety
    /// As [`Client::request`].
    pub async fn request_to<R: Request + Send + 'static>(&self, broker: i32, request: R) -> Result<R::Response, Error> {
        self.call(request, self.options(CallTarget::Broker(broker))).await
    }

    /// As [`Client::request`], to the broker that takes requests for the controller.
    ///
    /// # Errors
    /// As [`Client::request`].
    ///
    /// # Cancel safety
    /// As [`Client::request`].
    pub async fn request_to_controller<R: Request + Send + 'static>(&self, request: R) -> Result<R::Response, Error> {
        self.call(request, self.options(CallTarget::Controller)).await
    }

    pub(crate) fn options(&self, target: CallTarget) -> CallOptions {
        CallOptions { target, timeout: self.inner.config.api_timeout, retry: true, fail_fast: false }
    }

    pub(crate) async fn call<R: Request + Send + 'static>(
        &self,
        request: R,
        options: CallOptions,
    ) -> Result<R::Response, Error> {
        decode_answer::<R>(self.call_encoded(Box::new(request), options).await?)
    }

    /// The version and frame of an answer, for [`decode_answer`].
    pub(crate) async fn call_encoded(
        &self,
        request: Box<dyn EncodeRequest>,
        options: CallOptions,
    ) -> Result<(i16, Bytes), Error> {
        let (answer, answered) = oneshot::channel();
        self.inner.shared.command(move |driver, now| {
            // A target that needs metadata waits for it inside the core; the first metadata comes by itself.
            let id = driver.core.call(now, request, options);
            driver.calls.insert(id, answer);
        });
        answered.await.map_err(|_| closed())?
    }

    pub(crate) fn driver(&self) -> &Arc<DriverShared> {
        &self.inner.shared
    }

    /// A copy of the properties with more on top.
    pub(crate) fn with(&self, more: &BTreeMap<String, String>) -> Result<Properties, Error> {
        let mut properties = self.inner.properties.clone();
        for (name, value) in more {
            properties.set(name, value)?;
        }
        Ok(properties)
    }

    /// Sends what producers still have and ends, within a time.
    ///
    /// # Errors
    /// What was not delivered in time.
    ///
    /// # Cancel safety
    /// Producers that were told to close by then take no more records, and send those they have as long as the client lives.
    pub async fn shutdown(&self, within: Duration) -> Result<(), Error> {
        let (tell, told) = oneshot::channel();
        self.inner.shared.command(move |driver, _| {
            // Whoever asked may have gone.
            let _ = tell.send(driver.producers.values().cloned().collect::<Vec<_>>());
        });
        let producers = told.await.map_err(|_| closed())?;
        let deadline = clock::instant() + within;
        let mut result = Ok(());
        for producer in producers {
            if let Err(error) = producer.close(clock::until(deadline)).await {
                result = Err(error);
            }
        }
        self.inner.shared.stop();
        result
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the client was closed")
}
