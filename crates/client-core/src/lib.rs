//! The Kafka client's decisions, without I/O: no socket, no thread, no clock. Fed inputs, polled for outputs, the same under the driver in
//! crate `felice` and in a simulator.
//!
//! - [`client`]: [`client::ClientCore`], all of it put together: connections, metadata, producers, readers, calls. Frames in, frames out.
//! - [`connection`]: one connection: handshake, versions, requests in flight
//! - [`metadata`]: the snapshot of the cluster, and when to ask again
//! - [`producer`]: accumulator, partitioner, sender, idempotence
//! - [`consumer`]: the fetcher, which reads partitions without a group
//! - [`config`]: the table of properties and the typed settings
//! - [`error`]: the client's one error
//!
//! Driving a core by hand:
//!
//! ```text
//! loop {
//!     while let Some(output) = core.poll_output(now) { /* connect, send a frame, close */ }
//!     while let Some(event) = core.poll_event() { /* metadata, finished batches, fetched data, answers to calls */ }
//!     /* sleep until core.poll_timeout() or until a connection has something; feed handle_connected, handle_frame, handle_disconnected */
//! }
//! ```

#![warn(clippy::unwrap_used)]

pub mod backoff;
#[doc(hidden)]
pub mod bugs;
pub mod client;
pub mod config;
pub mod connection;
pub mod consumer;
pub mod error;
pub mod metadata;
pub mod producer;
mod sasl;
mod token;
pub mod unsecured_jwt;
