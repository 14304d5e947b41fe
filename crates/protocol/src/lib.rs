//! Kafka's wire protocol: messages, record batches, compression, and the state of a connection. Nothing here does I/O or asks the clock.
//!
//! - [`primitives`]: the types of the protocol, `Decoder` and `Encoder`
//! - [`messages`]: every request, response and data message, generated from Kafka's schemas by `cargo xtask codegen`
//! - [`records`]: record batches, format 2
//! - [`compression`]: gzip, snappy, lz4, zstd
//! - [`sasl`]: PLAIN and SCRAM, both sides
//! - [`division`]: partitions divided evenly, as members and brokers do it
//! - [`error_code`]: Kafka's error codes
//! - [`time`]: the time as it is passed in
//!
//! A request as it goes over the wire, and back:
//!
//! ```
//! use felice_protocol::messages::{MetadataRequest, Message, decode_request_header, encode_request};
//! use felice_protocol::primitives::Decoder;
//!
//! let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
//! let frame = encode_request(7, Some("docs"), 12, &request)?;
//!
//! let mut decoder = Decoder::new(frame.into_bytes().slice(4..)); // behind the length
//! let header = decode_request_header(&mut decoder)?;
//! assert_eq!((header.request_api_version, header.correlation_id), (12, 7));
//! assert_eq!(MetadataRequest::decode(&mut decoder, 12)?, request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(clippy::unwrap_used)]

pub mod compression;
pub mod division;
pub mod error_code;
pub mod messages;
pub mod primitives;
pub mod records;
pub mod sasl;
pub mod time;
