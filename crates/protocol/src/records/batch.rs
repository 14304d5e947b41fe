use std::ops::Deref;

use bytes::Bytes;

use super::header::{ATTRIBUTES_AT, MAGIC};
use super::{HEADER_SIZE, LENGTH_OFFSET, RecordBatchError, RecordBatchHeader, Records};
use crate::compression::{Compression, Decompressor};
use crate::primitives::{DecodeError, DecodeErrorKind};

/// One batch, as a view of shared bytes. The header's getters are its own; the records are looked at only by [`records`](Self::records).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBatch {
    header: RecordBatchHeader,
    bytes: Bytes,
}

impl RecordBatch {
    /// Reads the header of the batch that `bytes` is, exactly.
    ///
    /// # Errors
    /// Another format than 2, a header that cannot be, or bytes that are fewer or more than the batch's length says.
    pub fn parse(bytes: Bytes) -> Result<Self, RecordBatchError> {
        let batch = Self::parse_first(&bytes)?;
        match bytes.len() - batch.bytes.len() {
            0 => Ok(batch),
            n => Err(header_error(DecodeErrorKind::LeftOver(n), batch.bytes.len(), "")),
        }
    }

    /// Reads the header of the batch that `bytes` begin with.
    fn parse_first(bytes: &Bytes) -> Result<Self, RecordBatchError> {
        let truncated = |needed| header_error(DecodeErrorKind::Truncated { needed, left: bytes.len() }, 0, "");
        // Older formats have shorter headers: they are to be refused for what they are.
        if let (Some(magic), Some(base_offset)) = (bytes.get(16), bytes.first_chunk())
            && magic.cast_signed() != MAGIC
        {
            let base_offset = i64::from_be_bytes(*base_offset);
            return Err(RecordBatchError::Magic { base_offset, magic: magic.cast_signed() });
        }
        let header = RecordBatchHeader::parse(bytes.first_chunk().ok_or(truncated(HEADER_SIZE))?)?;
        let size = header.size_in_bytes();
        if size > bytes.len() {
            return Err(truncated(size));
        }
        Ok(Self { header, bytes: bytes.slice(..size) })
    }

    /// The fixed header.
    pub fn header(&self) -> &RecordBatchHeader {
        &self.header
    }

    /// The whole batch.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The whole batch, taken out.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The records as they are in the batch, compressed or not.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(HEADER_SIZE..)
    }

    /// Compares the checksum with the bytes.
    ///
    /// # Errors
    /// [`RecordBatchError::Crc`].
    pub fn verify_crc(&self) -> Result<(), RecordBatchError> {
        let computed = crc_fast::crc32_iscsi(self.bytes.get(ATTRIBUTES_AT..).unwrap_or_default());
        if computed == self.header.crc {
            return Ok(());
        }
        Err(RecordBatchError::Crc { base_offset: self.header.base_offset, stored: self.header.crc, computed })
    }

    /// The records, decompressed to at most `limit` bytes where they are compressed, and otherwise a slice of this batch. They are decoded
    /// one at a time, as they are asked for. The checksum is not looked at.
    ///
    /// # Errors
    /// [`RecordBatchError::Compression`], and [`RecordBatchError::Header`] where the header counts more records than the bytes can hold.
    pub fn records(&self, decompressor: &mut Decompressor, limit: usize) -> Result<Records, RecordBatchError> {
        let payload = self.payload();
        let plain = match self.header.compression() {
            Compression::None => payload,
            // Compaction leaves a header alone where it has removed every record.
            _ if payload.is_empty() && self.header.records_count == 0 => payload,
            codec => decompressor
                .decompress(codec, &payload, limit)
                .map_err(|source| RecordBatchError::Compression { base_offset: self.header.base_offset, source })?
                .into(),
        };
        Records::new(&self.header, plain)
    }
}

impl Deref for RecordBatch {
    type Target = RecordBatchHeader;

    fn deref(&self) -> &RecordBatchHeader {
        &self.header
    }
}

/// The batches in a fetch response's or a log's bytes, one after another. A batch that is cut off ends them without an error, as a broker
/// may cut the last one: [`remaining`](Self::remaining) has its bytes. After an error nothing follows.
#[derive(Clone, Debug)]
pub struct RecordBatches {
    rest: Bytes,
    failed: bool,
}

impl RecordBatches {
    /// Starts at the front of `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        Self { rest: bytes, failed: false }
    }

    /// The bytes not yet returned: once the iteration has ended, the tail that is cut off or the batch that could not be read.
    pub fn remaining(&self) -> &Bytes {
        &self.rest
    }

    /// The size of the next batch as its header has it, also where it is cut off: what a fetch must ask for to get it whole.
    pub fn next_size(&self) -> Option<usize> {
        let length = self.rest.get(8..LENGTH_OFFSET)?.first_chunk()?;
        usize::try_from(i32::from_be_bytes(*length)).ok().map(|length| length + LENGTH_OFFSET)
    }
}

impl Iterator for RecordBatches {
    type Item = Result<RecordBatch, RecordBatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Format and length are the first 17 bytes.
        if self.failed || self.rest.len() < 17 {
            return None;
        }
        let plausible = self.next_size().is_some_and(|size| size >= HEADER_SIZE);
        if plausible && self.rest.get(16) == Some(&MAGIC.cast_unsigned()) && self.next_size()? > self.rest.len() {
            return None;
        }
        let batch = if plausible || self.rest.get(16) != Some(&MAGIC.cast_unsigned()) {
            RecordBatch::parse_first(&self.rest)
        } else {
            let length = self.rest.get(8..).and_then(|rest| rest.first_chunk()).copied().map_or(0, i32::from_be_bytes);
            Err(header_error(DecodeErrorKind::BadLength(length.into()), 8, "batch_length"))
        };
        match &batch {
            Ok(batch) => self.rest = self.rest.slice(batch.bytes.len()..),
            Err(_) => self.failed = true,
        }
        Some(batch)
    }
}

fn header_error(kind: DecodeErrorKind, offset: usize, field: &'static str) -> RecordBatchError {
    RecordBatchError::Header(DecodeError { kind, offset, field })
}
