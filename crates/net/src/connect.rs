//! From a name to a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::address::HostPort;
use crate::connect_error::{Attempt, Cause, ConnectError, Phase};
use crate::connector::{Connector, SocketOptions, TcpConnector};
use crate::stream::{Stream, Transport};
use crate::tls::{Security, TlsConfig};

/// How to connect; cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// With TLS or without.
    pub security: Security,
    /// For everything together: names, every address, TLS.
    pub timeout: Duration,
    /// Options of the sockets.
    pub socket: SocketOptions,
    /// Where sockets come from.
    pub connector: Arc<dyn Connector>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            security: Security::Plaintext,
            timeout: Duration::from_secs(10),
            socket: SocketOptions::default(),
            connector: Arc::new(TcpConnector),
        }
    }
}

/// Connects to `address` (`host:port`) with the default options.
///
/// # Errors
/// [`ConnectError`], which keeps every attempt and answers [`hint`](ConnectError::hint).
pub async fn connect(address: &str, security: &Security, timeout: Duration) -> Result<Stream, ConnectError> {
    ConnectOptions { security: security.clone(), timeout, ..ConnectOptions::default() }.connect(address).await
}

impl ConnectOptions {
    /// Connects to `address` (`host:port`): tries each address of the name until one answers, within [`timeout`](Self::timeout).
    ///
    /// # Errors
    /// [`ConnectError`], which keeps every attempt and answers [`hint`](ConnectError::hint).
    ///
    /// # Cancel safety
    /// Dropping the future closes what was opened.
    pub async fn connect(&self, address: &str) -> Result<Stream, ConnectError> {
        match address.parse::<HostPort>() {
            Ok(target) => self.connect_to(&target).await,
            Err(error) => Err(ConnectError::new(
                address.to_owned(),
                self.security.is_tls(),
                vec![Attempt::new(None, Phase::Address, Cause::Address(error))],
            )),
        }
    }

    /// As [`connect`](Self::connect), with the address already taken apart.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_to(&self, target: &HostPort) -> Result<Stream, ConnectError> {
        let started = Instant::now();
        let deadline = started + self.timeout;
        let failed = |attempts| ConnectError::new(target.to_string(), self.security.is_tls(), attempts);

        let resolved = match timeout_at(deadline, self.connector.resolve(&target.host, target.port)).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => addresses,
            Ok(Ok(_)) => return Err(failed(vec![Attempt::new(None, Phase::Dns, Cause::NoAddress)])),
            Ok(Err(error)) => return Err(failed(vec![Attempt::new(None, Phase::Dns, Cause::Io(error))])),
            Err(_) => return Err(failed(vec![Attempt::new(None, Phase::Dns, Cause::TimedOut(started.elapsed()))])),
        };

        let mut attempts = Vec::new();
        for (tried, address) in resolved.iter().enumerate() {
            match self.attempt(target, *address, share(deadline, resolved.len() - tried)).await {
                Ok(stream) => {
                    tracing::debug!(%target, %address, tls = stream.is_tls(), elapsed = ?started.elapsed(), "connected");
                    return Ok(stream);
                }
                Err(attempt) => {
                    tracing::debug!(%target, %attempt, "attempt failed");
                    attempts.push(attempt);
                }
            }
        }
        Err(failed(attempts))
    }

    async fn attempt(&self, target: &HostPort, address: SocketAddr, deadline: Instant) -> Result<Stream, Attempt> {
        let started = Instant::now();
        let transport = match timeout_at(deadline, self.connector.open(address, &self.socket)).await {
            Ok(Ok(transport)) => transport,
            Ok(Err(error)) => return Err(Attempt::new(Some(address), Phase::Tcp, Cause::Io(error))),
            Err(_) => return Err(Attempt::new(Some(address), Phase::Tcp, Cause::TimedOut(started.elapsed()))),
        };
        let Security::Tls(tls) = &self.security else { return Ok(Stream::Plain(transport)) };
        let started = Instant::now();
        match timeout_at(deadline, handshake(tls, target, transport)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(cause)) => Err(Attempt::new(Some(address), Phase::Tls, cause)),
            Err(_) => Err(Attempt::new(Some(address), Phase::Tls, Cause::TimedOut(started.elapsed()))),
        }
    }
}

/// An even share of the time left, so that one address that swallows packets leaves time for the next.
fn share(deadline: Instant, addresses_left: usize) -> Instant {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    now + left / u32::try_from(addresses_left.max(1)).unwrap_or(u32::MAX)
}

async fn handshake(tls: &TlsConfig, target: &HostPort, transport: Transport) -> Result<Stream, Cause> {
    let name = tls.server_name_for(&target.host).map_err(Cause::ServerName)?;
    let stream = TlsConnector::from(tls.client_config()).connect(name, transport).await.map_err(Cause::from_tls)?;
    Ok(Stream::Tls(Box::new(stream.into())))
}
