use crate::compression::CompressionError;
use crate::primitives::DecodeError;

/// Why a record batch cannot be read or is not valid. Every variant names the batch by its base offset, where that could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordBatchError {
    /// The fixed header says what cannot be.
    #[error("record batch: {0}")]
    Header(DecodeError),
    /// Another message format than 2.
    #[error(
        "record batch at offset {base_offset}: message format {magic} is not supported, only format 2 is (Kafka 0.11 and later write it)"
    )]
    Magic {
        /// The batch's base offset.
        base_offset: i64,
        /// The format.
        magic: i8,
    },
    /// The checksum does not fit the bytes.
    #[error("record batch at offset {base_offset}: the CRC-32C is {computed:#010x}, the header says {stored:#010x}")]
    Crc {
        /// The batch's base offset.
        base_offset: i64,
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The records do not decompress.
    #[error("record batch at offset {base_offset}: {source}")]
    Compression {
        /// The batch's base offset.
        base_offset: i64,
        /// What the codec says.
        source: CompressionError,
    },
    /// A record that cannot be read; the error's offset counts from the first byte of the decompressed records.
    #[error("record batch at offset {base_offset}, record {index}: {source}")]
    Record {
        /// The batch's base offset.
        base_offset: i64,
        /// The record's place in the batch, from 0.
        index: u32,
        /// What is wrong.
        source: DecodeError,
    },
    /// Every part can be read, but they do not fit together.
    #[error("record batch at offset {base_offset}: {reason}")]
    Invalid {
        /// The batch's base offset.
        base_offset: i64,
        /// What does not fit.
        reason: Box<str>,
    },
}
