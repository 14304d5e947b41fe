//! The decisions of a Kafka broker, without I/O but for the [`Disk`](felice_log::Disk) it is given: requests go in as frames, answers come
//! out as frames, time is passed in.
//!
//! - [`BrokerCore`]: the broker; a driver feeds its `handle_*` and drains its `poll_*`
//! - [`api`](self): one file for each Kafka API, one table of the versions that are offered
//! - `controller`: topics, topic configs and producer ids, kept in `__cluster_metadata-0` as Kafka's own metadata records
//! - `topics`, `partition`: what this broker leads, with log end offset and high watermark
//! - `sasl`: who may speak on a listener that asks for it
//! - `purgatory`: requests that wait (long polls, batches that wait for their sync)
//! - [`BrokerConfig`], [`TopicConfig`]: Kafka's property names

#![warn(clippy::unwrap_used)]
#![forbid(unsafe_code)]

mod api;
mod broker;
mod cleaner;
mod config;
mod connection;
mod controller;
mod coordinator;
mod data_dir;
mod error;
mod fetch_session;
mod flush;
mod groups;
mod maintenance;
pub mod mock;
mod partition;
mod purgatory;
mod random;
mod sasl;
mod topics;

pub use broker::{BrokerCore, Output, SyncTicket};
pub use config::{BrokerConfig, ConfigError, FlushPolicy, ListenerConfig, SecurityProtocol, TopicConfig};
pub use connection::ConnectionId;
pub use error::StartError;
pub use sasl::TokenValidator;
