//! A Kafka broker to embed in a program or a test: [`Broker::start`] gives one on a free port of this machine, ready in milliseconds.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), felice_broker::Error> {
//! let broker = felice_broker::Broker::start().await?;
//! println!("point any Kafka client at {}", broker.bootstrap());
//! broker.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! [`Broker::builder`] says where it listens, where it keeps its data (a directory that goes away with it unless told), and takes Kafka's
//! broker properties. With the crate's feature `client`, `broker.client()` gives a client that is connected to it.
//!
//! Serves producing, fetching, consumer groups and administration to every Kafka client, over TLS and with SASL where it is told to; no
//! transactions yet: `docs/broker.md` has the table of APIs.
//!
//! [`mock::MockCluster`] is several nodes over one broker, with faults on request, for tests of clients: `docs/mock.md`.
//!
//! The decisions are `felice_broker_core`'s; here are the sockets ([`server`](self)), the loop that feeds the core (`driver`), and the
//! operating system's disk (`disk_os`). A broker runs on one thread of its own.

#![warn(clippy::unwrap_used)]
#![forbid(unsafe_code)]

mod builder;
mod connection;
mod disk_os;
mod driver;
mod error;
mod lock;
pub mod mock;
mod server;
mod tls;

pub use builder::{Broker, BrokerBuilder};
pub use disk_os::OsDisk;
pub use error::Error;
pub use felice_broker_core::{SecurityProtocol, TokenValidator};
pub use felice_protocol::sasl::{AcceptedToken, RejectedToken};
