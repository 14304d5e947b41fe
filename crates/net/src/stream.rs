//! One connection, whatever it runs over.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use crate::tcp::{Tcp, TcpReader, TcpWriter};

/// What a [`Connector`](crate::Connector) may bring instead of a TCP socket: a pipe in memory, a socket of a C host.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection below TLS.
pub enum Transport {
    /// A TCP socket.
    Tcp(Tcp),
    /// Anything else that bytes go through.
    Other(Box<dyn Io>),
}

/// A connection, with TLS or without.
#[derive(Debug)]
pub enum Stream {
    /// Bytes as they are.
    Plain(Transport),
    /// Encrypted, from either side.
    Tls(Box<TlsStream<Transport>>),
}

/// The reading half of a [`Stream`].
#[derive(Debug)]
pub enum ReadHalf {
    /// Of a TCP socket, without a lock.
    Tcp(TcpReader),
    /// Of a stream whose halves share state (TLS).
    Shared(tokio::io::ReadHalf<Stream>),
}

/// The writing half of a [`Stream`].
#[derive(Debug)]
pub enum WriteHalf {
    /// Of a TCP socket, without a lock.
    Tcp(TcpWriter),
    /// Of a stream whose halves share state (TLS).
    Shared(tokio::io::WriteHalf<Stream>),
}

impl Stream {
    /// A stream over anything that bytes go through, such as `tokio::io::duplex`.
    pub fn from_io(io: impl Io + 'static) -> Self {
        Self::Plain(Transport::Other(Box::new(io)))
    }

    /// A reading and a writing half; those of a plain TCP socket share no lock.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Plain(Transport::Tcp(tcp)) => {
                let (reader, writer) = tcp.into_split();
                (ReadHalf::Tcp(reader), WriteHalf::Tcp(writer))
            }
            shared => {
                let (reader, writer) = tokio::io::split(shared);
                (ReadHalf::Shared(reader), WriteHalf::Shared(writer))
            }
        }
    }

    /// Whether the bytes are encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The TLS version and cipher suite, for people: `TLSv1_3 TLS13_AES_256_GCM_SHA384`.
    pub fn tls_summary(&self) -> Option<String> {
        let Self::Tls(tls) = self else { return None };
        let (_, session) = tls.get_ref();
        Some(format!("{:?} {:?}", session.protocol_version()?, session.negotiated_cipher_suite()?.suite()))
    }

    /// The certificates that the other side showed, its own first; empty without TLS or where it showed none.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        match self {
            Self::Plain(_) => &[],
            Self::Tls(tls) => tls.get_ref().1.peer_certificates().unwrap_or_default(),
        }
    }

    /// The other side's address, where this is a socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.tcp()?.socket().peer_addr().ok()
    }

    /// Our side's address, where this is a socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.tcp()?.socket().local_addr().ok()
    }

    fn tcp(&self) -> Option<&Tcp> {
        let transport = match self {
            Self::Plain(transport) => transport,
            Self::Tls(tls) => tls.get_ref().0,
        };
        match transport {
            Transport::Tcp(tcp) => Some(tcp),
            Transport::Other(_) => None,
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(tcp) => tcp.fmt(f),
            Self::Other(_) => f.write_str("Other"),
        }
    }
}

macro_rules! forward_read {
    ($type:ty, $($variant:path),+) => {
        impl AsyncRead for $type {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($variant(inner) => Pin::new(inner).poll_read(cx, buf),)+ }
            }
        }
    };
}

macro_rules! forward_write {
    ($type:ty, $($variant:path),+) => {
        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() { $($variant(inner) => Pin::new(inner).poll_write(cx, buf),)+ }
            }

            fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
                match self.get_mut() { $($variant(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),)+ }
            }

            fn is_write_vectored(&self) -> bool {
                match self { $($variant(inner) => inner.is_write_vectored(),)+ }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($variant(inner) => Pin::new(inner).poll_flush(cx),)+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($variant(inner) => Pin::new(inner).poll_shutdown(cx),)+ }
            }
        }
    };
}

forward_read!(Transport, Transport::Tcp, Transport::Other);
forward_write!(Transport, Transport::Tcp, Transport::Other);
forward_read!(Stream, Stream::Plain, Stream::Tls);
forward_write!(Stream, Stream::Plain, Stream::Tls);
forward_read!(ReadHalf, ReadHalf::Tcp, ReadHalf::Shared);
forward_write!(WriteHalf, WriteHalf::Tcp, WriteHalf::Shared);
