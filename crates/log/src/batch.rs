//! The fixed part of a record batch as it lies in a segment: what a log reads and patches without looking at records.

use bytes::Bytes;
use felice_protocol::records::{EndTransactionMarker, RecordBatch};

/// Bytes of a batch in front of its records.
pub(crate) const HEADER_BYTES: usize = 61;
/// Offset and length, which the length does not count.
pub(crate) const LOG_OVERHEAD: usize = 12;

const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const TIMESTAMP_TYPE: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// The header of a batch of format 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) base_offset: i64,
    /// Of the whole batch in bytes.
    pub(crate) size: usize,
    pub(crate) leader_epoch: i32,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    /// Records that are in it; 0 where compaction left the header alone.
    pub(crate) count: i32,
}

fn be<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], &'static str> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or("the header is cut off")
}

impl BatchHeader {
    /// Reads a header from the front of `bytes`, which may end before the batch does.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let bytes = bytes.get(..HEADER_BYTES).ok_or("the header is cut off")?;
        if bytes.get(16) != Some(&2) {
            return Err("the format is not 2");
        }
        let length = i32::from_be_bytes(be(bytes, 8)?);
        let size = usize::try_from(length).unwrap_or(0).saturating_add(LOG_OVERHEAD);
        if size < HEADER_BYTES {
            return Err("the length is too small");
        }
        let header = Self {
            base_offset: i64::from_be_bytes(be(bytes, 0)?),
            size,
            leader_epoch: i32::from_be_bytes(be(bytes, 12)?),
            crc: u32::from_be_bytes(be(bytes, CRC_AT)?),
            attributes: i16::from_be_bytes(be(bytes, ATTRIBUTES_AT)?),
            last_offset_delta: i32::from_be_bytes(be(bytes, 23)?),
            max_timestamp: i64::from_be_bytes(be(bytes, 35)?),
            producer_id: i64::from_be_bytes(be(bytes, 43)?),
            producer_epoch: i16::from_be_bytes(be(bytes, 51)?),
            base_sequence: i32::from_be_bytes(be(bytes, 53)?),
            count: i32::from_be_bytes(be(bytes, 57)?),
        };
        if header.base_offset < 0 || header.last_offset_delta < 0 || header.base_offset.checked_add(1 << 32).is_none() {
            return Err("the offsets cannot be");
        }
        Ok(header)
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    pub(crate) fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// Sequences go round from the largest to 0.
    pub(crate) fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        i32::try_from(last).unwrap_or_else(|_| i32::try_from(last - (1 << 31)).unwrap_or(0))
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }
}

/// Whether the bytes of a whole batch are what its checksum was made of.
pub(crate) fn crc_is_right(header: &BatchHeader, batch: &[u8]) -> bool {
    batch.get(ATTRIBUTES_AT..).is_some_and(|bytes| crc32c(bytes) == header.crc)
}

pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// Gives a batch its place in the log. Neither field is under the checksum.
pub(crate) fn assign(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    put(batch, 0, &base_offset.to_be_bytes());
    put(batch, 12, &leader_epoch.to_be_bytes());
}

/// Stamps a batch with the time of its append, and makes its checksum anew.
pub(crate) fn stamp(batch: &mut [u8], attributes: i16, log_append_time: i64) {
    put(batch, ATTRIBUTES_AT, &(attributes | TIMESTAMP_TYPE).to_be_bytes());
    put(batch, 35, &log_append_time.to_be_bytes());
    let crc = crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default());
    put(batch, CRC_AT, &crc.to_be_bytes());
}

fn put(batch: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = batch.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// The end of a transaction that a batch holds, if it does.
pub(crate) fn marker(header: &BatchHeader, batch: &[u8]) -> Result<Option<EndTransactionMarker>, &'static str> {
    if !header.is_control() {
        return Ok(None);
    }
    let batch = RecordBatch::parse(Bytes::copy_from_slice(batch)).map_err(|_| "the control batch cannot be read")?;
    batch.end_transaction_marker().map_err(|_| "the control record cannot be read")
}
