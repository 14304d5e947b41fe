//! Kafka's wire protocol: messages, record batches, compression, and the state of a connection. Nothing here does I/O or asks the clock.
//!
//! - [`primitives`]: the types of the protocol, `Decoder` and `Encoder`
//! - [`messages`]: every request, response and data message, generated from Kafka's schemas by `cargo xtask codegen`
//! - [`records`]: record batches, format 2
//! - [`compression`]: gzip, snappy, lz4, zstd
//! - [`error_code`]: Kafka's error codes
//! - [`time`]: the time as it is passed in

#![warn(clippy::unwrap_used)]

pub mod compression;
pub mod error_code;
pub mod messages;
pub mod primitives;
pub mod records;
pub mod sasl;
pub mod time;
