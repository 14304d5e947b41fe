//! An async client for Apache Kafka: fast, and pleasant to use. Producing, reading partitions, consumer groups, topics; transactions are not there yet.
//!
//! ```
//! use felice::{Client, NewRecord, Seek};
//! use futures::TryStreamExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = felice_broker::Broker::start().await?;
//! let client = Client::connect(broker.bootstrap()).await?; // or "localhost:9092"
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
//! A Kafka in a unit test, with crate `felice-broker`:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = felice_broker::Broker::start().await?;               // a free port, a temporary directory, the real code
//! let client = felice::Client::connect(broker.bootstrap()).await?;
//! let producer = client.producer().build().await?;                   // idempotent, acks=all
//! producer.send(felice::NewRecord::to("orders").key("u42").value("hello")).await?;
//! # Ok(()) }
//! ```
//!
//! Where things are:
//! - [`Client`], [`ClientBuilder`]: connections and metadata, shared by all that is made from them
//! - [`Producer`]: [`NewRecord`] in, [`Delivery`] or [`ProduceError`] out
//! - [`Reader`]: partitions without a group, as a stream or batch by batch
//! - [`Consumer`]: a member of a group: a stream of [`Message`]s, batches, a stream per partition; [`ConsumerHandle`] steers it
//! - [`Admin`]: topics, configurations, cluster
//! - [`Error`]: what went wrong, where, and what to do: [`Error::hint`] for a person, [`Error::disposition`] for a program
//! - [`config`]: the table of properties; Java's and librdkafka's names are both understood
//!
//! # Errors
//! There is one error type. It names the place, carries Kafka's code where a broker gave one, says what the caller does about it, and, where the
//! commonest cause is known, what a person does about it:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use felice::{Client, Disposition, ErrorKind};
//!
//! let error = Client::connect("localhost:1").await.unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::Connect);
//! assert_eq!(error.disposition(), Disposition::Retry);
//! assert!(error.hint().unwrap_or_default().contains("is the broker running"), "{error:?}");
//!
//! let error = Client::builder("localhost:9092").set("linger", "5").lazy().unwrap_err();
//! assert_eq!(error.to_string(), "no property is called \"linger\"; did you mean \"linger.ms\"?");
//! # Ok(()) }
//! ```
//!
//! # Runtimes
//! Any executor will do: the examples use tokio's, but nothing here needs one of the caller's. All futures are `Send`, and can be dropped at any
//! time; under *Cancel safety* each says what that means.
//!
//! Every decision is made in `felice_client_core`, which does no I/O; this crate holds the threads, sockets and locks around it. A client
//! runs on one of at most four threads of Felice's own, so that nothing waits behind the application's code.

#![warn(clippy::unwrap_used)]

mod admin;
mod client;
mod clock;
mod consumer;
mod driver;
mod fetched_batch;
mod observe;
mod producer;
#[doc(hidden)]
pub mod raw;
mod reader;
mod record;
mod runtime;
mod token;

pub use admin::{
    Admin, BrokerInfo, ClusterInfo, ConfigChange, ConfigEntry, ConfigResource, CreateTopic, Group, GroupDescription,
    GroupListing, GroupMemberInfo, GroupType, ListedOffset, Move, OffsetSpec, PartitionInfo, PartitionLag, PerItem,
    PlanSeek, SeekPlan, TopicInfo,
};
pub use client::{Client, ClientBuilder, Sasl, Tls};
pub mod config {
    //! The table of properties that Felice understands: names, aliases, types, defaults.
    pub use felice_client_core::config::table::{Kind, PROPERTIES, Property};
    pub use felice_client_core::config::{find as find_property, nearest as nearest_property};
}
pub use consumer::{
    Batch, CloseReport, Commit, Consumer, ConsumerBuilder, ConsumerEvents, ConsumerHandle, Lag, Message, Order,
    PartitionStream, Partitions, RebalanceListener, StartAt,
};
pub use felice_client_core::config::GroupProtocol;
pub use felice_client_core::config::{Acks, Defaults, IsolationLevel, Properties};
pub use felice_client_core::consumer::assignor;
pub use felice_client_core::consumer::event::{ConsumerEvent, StallReason};
pub use felice_client_core::consumer::group::{GroupMetadata, Subscription};
pub use felice_client_core::consumer::{OffsetAndMetadata, TopicPartition};
pub use felice_client_core::error::{Disposition, Error, ErrorKind, Persisted, RefusedRecord};
pub use felice_protocol as protocol;
pub use felice_protocol::compression::Compression;
pub use felice_protocol::error_code::ErrorCode;
pub use felice_protocol::sasl::BearerToken;
pub use fetched_batch::FetchedBatch;
pub use producer::{
    BatchReport, Delivery, FinishedBatch, FinishedHeaders, FinishedRecord, FlushError, NewHeader, NewRecord, Pending,
    ProduceError, Producer, ProducerBuilder, ProducerSink, RecordBytes, RecordTag, TryEnqueueError,
};
pub use reader::{Reader, ReaderBuilder, Seek};
pub use record::{BatchHold, BorrowedRecord, Record};
pub use token::TokenSource;
