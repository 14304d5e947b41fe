//! The primitive types of Kafka's protocol, and the two ends that read and write them.
//!
//! [`Decoder`] slices one frame: strings and bytes share the frame's memory. [`Encoder`] writes into one growing buffer and keeps large
//! shared slices (record batches) as chunks of their own, so that a frame goes out by vectored I/O without copying them.

mod byte_str;
mod decoder;
mod encoder;
mod uuid;

pub use byte_str::ByteStr;
pub use decoder::{DecodeError, DecodeErrorKind, Decoder};
pub use encoder::{EncodeError, Encoder, Frame};
pub use uuid::Uuid;

use bytes::Bytes;

/// A tagged field that this version of Felice does not know: kept as it came, and written back as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTaggedField {
    /// The field's tag.
    pub tag: u32,
    /// The field's bytes, without tag and size.
    pub data: Bytes,
}
