//! The accepting side.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::connector::SocketOptions;
use crate::server_tls::ServerTls;
use crate::stream::{Stream, Transport};
use crate::tcp::Tcp;

/// Accepts connections on one address.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    tls: Option<ServerTls>,
    options: SocketOptions,
}

impl Listener {
    /// Listens on `address` (`host:port`; port 0 takes a free one), with TLS if `tls` is given.
    ///
    /// # Errors
    /// What the system answers: the address is in use, not ours, or not allowed.
    pub async fn bind(address: &str, tls: Option<ServerTls>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, tls, options: SocketOptions::default() })
    }

    /// Takes over a socket that listens already.
    ///
    /// # Errors
    /// What the system answers.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn from_std(listener: std::net::TcpListener, tls: Option<ServerTls>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: TcpListener::from_std(listener)?, tls, options: SocketOptions::default() })
    }

    /// The address listened on, with the port that was taken.
    ///
    /// # Errors
    /// What the system answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for the next connection. TLS is not agreed yet: [`Incoming::handshake`] does that, on the connection's own task, so that a slow
    /// client holds up nobody.
    ///
    /// # Errors
    /// What the system answers. Too many open files is one that passes: wait a little and call again.
    ///
    /// # Cancel safety
    /// No connection is lost.
    pub async fn accept(&self) -> io::Result<Incoming> {
        let (socket, peer) = self.listener.accept().await?;
        Ok(Incoming { socket, peer, tls: self.tls.clone(), options: self.options.clone() })
    }
}

/// A connection that was accepted and has said nothing yet.
#[derive(Debug)]
pub struct Incoming {
    socket: TcpStream,
    peer: SocketAddr,
    tls: Option<ServerTls>,
    options: SocketOptions,
}

impl Incoming {
    /// The client's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Sets the socket up and agrees on TLS, within `limit`.
    ///
    /// # Errors
    /// The client is gone, speaks no TLS, or shows no acceptable certificate.
    pub async fn handshake(self, limit: Duration) -> io::Result<Stream> {
        self.options.apply(&self.socket)?;
        let transport = Transport::Tcp(Tcp::new(self.socket));
        let Some(tls) = self.tls else { return Ok(Stream::Plain(transport)) };
        match timeout(limit, tls.acceptor().accept(transport)).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream?.into()))),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not finish the TLS handshake")),
        }
    }
}
