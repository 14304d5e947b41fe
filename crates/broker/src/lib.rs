//! A Kafka broker to embed in a program or a test: [`Broker::start`] gives one on a free port of this machine, ready in milliseconds.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let broker = felice_broker::Broker::start().await?;
//! println!("point any Kafka client at {}", broker.bootstrap());
//! broker.shutdown().await?;
//! # Ok::<(), felice_broker::Error>(()) }).unwrap();
//! ```
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
mod server;

pub use builder::{Broker, BrokerBuilder};
pub use disk_os::OsDisk;
pub use error::Error;
