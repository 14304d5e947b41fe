//! The producer's cores.
//!
//! - [`accumulator`]: one per partition: records are encoded straight into the open batch
//! - [`partitioner`]: which partition a record goes to
//! - [`sender`]: batches into Produce requests, answers into outcomes, retries in order
//! - [`idempotence`]: the producer's id and epoch
//!
//! A partition's life: an application's thread appends to the [`accumulator::Accumulator`], under that partition's own lock; a batch that
//! opens or fills is announced to the [`sender::Sender`], which only the driver touches and which takes batches through
//! [`sender::BatchSource`] when the broker can have them. Java: `RecordAccumulator`, `Sender`, `TransactionManager`.

pub mod accumulator;
pub mod idempotence;
pub mod partitioner;
pub mod sender;
