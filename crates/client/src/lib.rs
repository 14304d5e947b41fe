//! An async client for Apache Kafka: complete, fast, and pleasant to use.
//!
//! ```no_run
//! use felice::{Client, NewRecord, Seek};
//! use futures::TryStreamExt;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("localhost:9092").await?;
//! let producer = client.producer().build().await?;
//! let delivery = producer.send(NewRecord::to("orders").key("u42").value("hello")).await?;
//! println!("{}[{}]@{}", delivery.topic, delivery.partition, delivery.offset);
//!
//! let mut reader = client.reader().topic("orders").from(Seek::Start).until(Seek::End).open().await?;
//! while let Some(record) = reader.try_next().await? {
//!     println!("{:?}", record.value());
//! }
//! # Ok(()) }
//! ```
//!
//! Where things are:
//! - [`Client`], [`ClientBuilder`]: connections and metadata, shared by all that is made from them
//! - [`Producer`]: [`NewRecord`] in, [`Delivery`] or [`ProduceError`] out
//! - [`Reader`]: partitions without a group, as a stream or batch by batch
//! - [`Admin`]: topics, configurations, cluster
//!
//! Every decision is made in `felice_client_core`, which does no I/O; this crate holds the threads, sockets and locks around it. A client
//! runs on one of at most four threads of Felice's own, so that nothing waits behind the application's code.

#![warn(clippy::unwrap_used)]

mod admin;
mod client;
mod clock;
mod driver;
mod producer;
mod reader;
mod record;
mod runtime;

pub use admin::{
    Admin, BrokerInfo, ClusterInfo, ConfigEntry, ConfigResource, CreateTopic, PartitionInfo, PerItem, TopicInfo,
};
pub use client::{Client, ClientBuilder, Sasl, Tls};
pub mod config {
    //! The table of properties that Felice understands: names, aliases, types, defaults.
    pub use felice_client_core::config::table::{Kind, PROPERTIES, Property};
    pub use felice_client_core::config::{find as find_property, nearest as nearest_property};
}
pub use felice_client_core::config::{Acks, Defaults, IsolationLevel, Properties};
pub use felice_client_core::error::{Disposition, Error, ErrorKind, Persisted};
pub use felice_protocol as protocol;
pub use felice_protocol::compression::Compression;
pub use felice_protocol::error_code::ErrorCode;
pub use producer::{
    BatchReport, Delivery, FinishedBatch, FinishedRecord, FlushError, NewHeader, NewRecord, Pending, ProduceError,
    Producer, ProducerBuilder, ProducerSink, RecordBytes, RecordTag, TryEnqueueError,
};
pub use reader::{FetchedBatch, Reader, ReaderBuilder, Seek};
pub use record::{BatchHold, BorrowedRecord, Record};
