//! librdkafka's C ABI on Felice's client: `librdkafka.so.1`.
//!
//! Each exported function checks its pointers, calls safe Rust, and converts the answer; all pass `boundary::guard`. Where things are:
//! - [`handle`]: `rd_kafka_t`, polling, flushing, versions
//! - `conf`: configurations
//! - [`queue`], [`event`], `op`: what happened, and how programs hear of it
//! - [`produce`], [`partitioner`]: producing and delivery reports
//! - [`consume`]: assigning, polling
//! - [`message`], [`headers`]: message objects, made and freed by the batch
//! - [`topic`], [`topic_partition`], `list`: topics and lists of partitions, as C has them and as this crate does
//! - [`errors`]: codes, names, texts, error objects
//! - [`uuid`], [`library`]: ids of topics; what belongs to no handle
//! - [`types`]: layouts and numbers
//! - [`metadata`]: what is asked about the cluster
//! - `log`, `stats`, `brokers`: what a handle tells of itself
//! - [`admin`]: the Admin API; [`unsupported`]: what Felice does not do, and how that is told
//! - `background`: the queue that a thread of the library serves
//! - [`mock`]: a cluster in this process, for tests
//! - `variadic`: functions with a variable number of arguments

pub mod admin;
pub mod background;
mod boundary;
pub mod brokers;
pub mod conf;
pub mod consume;
pub mod errors;
pub mod event;
pub mod fatal;
mod fork;
pub mod handle;
pub mod headers;
pub mod library;
mod list;
pub mod log;
pub mod message;
pub mod metadata;
pub mod mock;
mod op;
pub mod partitioner;
pub mod produce;
pub mod queue;
pub mod sasl;
mod sockets;
mod stats;
pub mod topic;
pub mod topic_partition;
pub mod types;
pub mod unsupported;
pub mod uuid;
mod variadic;
mod wait;
