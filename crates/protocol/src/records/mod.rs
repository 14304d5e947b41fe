//! Record batches, format 2 (Kafka 0.11 and later): built once, sealed, viewed, and decoded lazily.
//!
//! - [`RecordBatchBuilder`] encodes each record straight into the batch's buffer behind room for the header; [`ClosedBatch`] holds the
//!   compressed records and writes header and checksum, again where a retry needs another producer epoch
//! - [`RecordBatchHeader`] is the fixed header, [`RecordBatch`] a batch as a view of shared bytes, [`RecordBatches`] many in a row
//! - [`Records`] decodes a batch's records one at a time, as borrowed [`RecordRef`]s or as [`RecordRanges`] into shared bytes
//! - [`validate`](RecordBatch::validate) checks a whole batch, as a broker must before it appends one
//! - [`patch`] changes in place what a broker assigns; [`control`] builds and reads transaction markers
//!
//! ```
//! use felice_protocol::compression::{Compression, Compressor, Decompressor};
//! use felice_protocol::records::{Producer, RecordBatch, RecordBatchBuilder};
//!
//! let mut builder = RecordBatchBuilder::new(bytes::BytesMut::new());
//! builder.append(1_700_000_000_000, Some(b"u42"), Some(b"hello"), &[]);
//! let mut closed = builder.close(&mut Compressor::default(), Compression::Lz4, None);
//! let sealed = closed.seal(Producer::NONE, false);
//!
//! let batch = RecordBatch::parse(sealed)?;
//! batch.verify_crc()?;
//! let records = batch.records(&mut Decompressor::default(), 1 << 20)?;
//! for record in &records {
//!     assert_eq!(record?.value, Some(b"hello".as_slice()));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Java knows these as `DefaultRecordBatch`, `DefaultRecord` and `MemoryRecords` in `org.apache.kafka.common.record`.

mod batch;
mod builder;
pub mod control;
mod error;
mod header;
pub mod patch;
mod record;
#[cfg(test)]
mod tests;
mod validate;
mod varint;

pub use batch::{RecordBatch, RecordBatches};
pub use builder::{ClosedBatch, Producer, RecordBatchBuilder};
pub use control::EndTransactionMarker;
pub use error::RecordBatchError;
pub use header::{HEADER_SIZE, LENGTH_OFFSET, NO_TIMESTAMP, RecordBatchHeader, TimestampType};
pub use record::{Header, Headers, RecordIter, RecordRanges, RecordRef, Records};
