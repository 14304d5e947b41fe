//! Sockets and TLS under Felice's client and broker.
//!
//! This crate opens connections, accepts them, and moves frames over them. What the frames mean is `felice_protocol`'s matter; when to connect
//! again is the client core's.
//!
//! - [`connect()`] and [`ConnectOptions`]: a name becomes a [`Stream`]; a [`ConnectError`] keeps every attempt and says what to do
//! - [`Security`], [`TlsConfig`]: whom to trust and who we are
//! - [`FrameReader`], [`FrameWriter`]: length-prefixed frames, shared and never copied again
//! - [`Listener`], [`ServerTls`]: the other side
//! - [`Identity`], [`Authorities`]: certificates and keys from PEM and PKCS#12
//! - [`Connector`]: where sockets come from, for a host that brings its own
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use felice_net::{DEFAULT_MAX_FRAME, FrameReader, FrameWriter, Listener, Security, connect};
//! use std::time::Duration;
//!
//! let listener = Listener::bind("127.0.0.1:0", None).await?;
//! let address = listener.local_addr()?.to_string();
//! let second = Duration::from_secs(1);
//! let (client, server) = tokio::join!(connect(&address, &Security::Plaintext, second), listener.accept());
//! let (client, server) = (client?, server?.handshake(second).await?);
//!
//! let mut writer = FrameWriter::new(client.into_split().1);
//! writer.push_bytes(bytes::Bytes::from_static(&[0, 0, 0, 2, b'h', b'i']));
//! writer.flush().await?;
//! let mut reader = FrameReader::new(server.into_split().0, DEFAULT_MAX_FRAME);
//! assert_eq!(reader.next().await?.as_deref(), Some(b"hi".as_slice()));
//! # Ok(()) }
//! ```
//!
//! Every write of a TCP socket goes through one function (`tcp::send`), which asks the system not to raise SIGPIPE: a C program that loads Felice
//! as a library would die of it.

#![warn(clippy::unwrap_used)]

mod address;
mod connect;
mod connect_error;
mod connector;
mod frame_reader;
mod frame_writer;
pub mod hint;
mod listener;
#[cfg_attr(not(feature = "pkcs12"), path = "no_pkcs12.rs")]
mod pkcs12;
mod server_tls;
mod stores;
mod stream;
mod tcp;
mod tls;

pub use address::{AddressError, HostPort};
pub use connect::{ConnectOptions, connect};
pub use connect_error::{Attempt, Cause, ConnectError, ConnectErrorKind, Phase};
pub use connector::{BoxFuture, Connector, SocketOptions, TcpConnector};
pub use frame_reader::{DEFAULT_MAX_FRAME, FrameError, FrameReader};
pub use frame_writer::{FrameWriter, write_frames};
pub use listener::{Incoming, Listener};
pub use server_tls::{ClientAuth, ServerTls};
pub use stores::{Authorities, Identity, armored, check_certificates};
pub use stream::{Io, ReadHalf, Stream, Transport, WriteHalf};
pub use tcp::{Tcp, TcpReader, TcpWriter};
pub use tls::{Security, TlsConfig, TlsConfigBuilder, TlsConfigError};
