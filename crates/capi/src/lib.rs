//! librdkafka's C ABI on Felice's client: `librdkafka.so.1`.
//!
//! Each exported function checks its pointers, calls safe Rust, and converts the answer; all pass `boundary::guard`. Where things are:
//! - [`handle`]: `rd_kafka_t`, polling, flushing, versions
//! - `conf`: configurations
//! - [`producer`]: producing and delivery reports
//! - [`consumer`]: assigning, polling, queues
//! - [`message`]: message objects, made and freed by the batch
//! - [`topic`], [`topic_partition`]: topics and lists of partitions
//! - [`errors`]: codes, names, texts
//! - [`types`]: layouts and numbers

mod boundary;
pub mod conf;
pub mod consumer;
pub mod errors;
pub mod handle;
pub mod message;
pub mod producer;
pub mod topic;
pub mod topic_partition;
pub mod types;
mod wait;
