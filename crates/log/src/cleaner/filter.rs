//! What a cleaning leaves of a batch, and the batch made of it. In Java: `Cleaner.cleanInto` and `MemoryRecords.filterTo`.
//!
//! A batch keeps its base offset, its last offset, and so its last sequence, whatever is taken out of it. Records that stay keep their bytes,
//! unless the batch gets a delete horizon (KIP-534): that stands in the base timestamp, from which the records' timestamps then count.

use bytes::BytesMut;
use felice_protocol::compression::{Compression, Compressor, Decompressor};
use felice_protocol::records::{
    HEADER_SIZE, LENGTH_OFFSET, RecordBatch, RecordBatchError, RecordBatchHeader, RecordRef,
};
use felice_protocol::records::{TimestampType, patch};

use super::offset_map::OffsetMap;

/// A batch that decompresses to more than this is not cleaned.
pub(crate) const DECOMPRESSED_LIMIT: usize = 256 << 20;

const COMPRESSION: i16 = 0x07;
const DELETE_HORIZON: i16 = 0x40;

/// What decides about a batch.
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    pub(crate) map: &'a OffsetMap,
    /// The wall time at which the round began.
    pub(crate) now: i64,
    /// `delete.retention.ms`.
    pub(crate) delete_retention: i64,
    /// Whether the transaction that the batch belongs to was aborted, or the marker in it is needless.
    pub(crate) is_discardable: bool,
    /// Whether the header stays although every record goes: a producer's last batch, or the last before the next segment.
    pub(crate) keeps_header: bool,
}

/// What is left of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// All.
    Whole,
    /// This.
    Part(BytesMut),
    /// Nothing.
    Nothing,
}

/// The codecs, kept from batch to batch.
#[derive(Default)]
pub(crate) struct Codecs {
    pub(crate) compressor: Compressor,
    pub(crate) decompressor: Decompressor,
    /// Bytes of records that were looked at, as they are without compression: what the work is measured by.
    pub(crate) plain_bytes: usize,
}

impl std::fmt::Debug for Codecs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codecs")
    }
}

impl Filter<'_> {
    pub(crate) fn apply(&self, batch: &RecordBatch, codecs: &mut Codecs) -> Result<Left, RecordBatchError> {
        let horizon = batch.delete_horizon_ms();
        let is_past = horizon.is_some_and(|horizon| horizon <= self.now);
        let drops_records = self.is_discardable && (!batch.is_control() || is_past);
        let mut kept = Kept::default();
        if !drops_records && batch.count() > 0 {
            let mut records = batch.records(&mut codecs.decompressor, DECOMPRESSED_LIMIT)?;
            let plain = records.bytes().clone();
            codecs.plain_bytes += plain.len();
            let mut rest = plain.as_ref();
            while let Some(ranges) = records.next_ranges() {
                let record = ranges?.of(&plain);
                // The record was read, so that it is there.
                let Some(raw) = take_record(&mut rest) else { break };
                if batch.is_control() || self.keeps(batch, &record) {
                    kept.has_tombstone |= record.value.is_none() && !batch.is_control();
                    kept.records.push((raw, record.timestamp));
                }
            }
            let needs_horizon =
                horizon.is_none() && (kept.has_tombstone || (self.is_discardable && batch.is_control()));
            if !kept.records.is_empty() {
                if !needs_horizon && kept.records.len() == usize::try_from(batch.count()).unwrap_or(0) {
                    return Ok(Left::Whole);
                }
                let horizon = needs_horizon.then(|| self.now.saturating_add(self.delete_retention));
                return kept.to_batch(batch, horizon, &mut codecs.compressor).map(Left::Part);
            }
        }
        Ok(match (self.keeps_header, batch.count()) {
            (false, _) => Left::Nothing,
            (true, 0) => Left::Whole,
            (true, _) => Left::Part(emptied(batch)),
        })
    }

    fn keeps(&self, batch: &RecordBatch, record: &RecordRef<'_>) -> bool {
        if record.offset > self.map.latest_offset {
            return true;
        }
        // Such are refused when they come; they are of a time when the topic was not compacted.
        let Some(key) = record.key else { return false };
        let is_latest = self.map.get(key).is_none_or(|latest| record.offset >= latest);
        is_latest && (record.value.is_some() || batch.delete_horizon_ms().is_none_or(|horizon| self.now < horizon))
    }
}

/// The records that stay, each with its timestamp.
#[derive(Debug, Default)]
struct Kept<'a> {
    records: Vec<(RawRecord<'a>, i64)>,
    has_tombstone: bool,
}

impl Kept<'_> {
    fn to_batch(
        &self,
        batch: &RecordBatch,
        new_horizon: Option<i64>,
        compressor: &mut Compressor,
    ) -> Result<BytesMut, RecordBatchError> {
        let mut plain = Vec::new();
        for (record, timestamp) in &self.records {
            match new_horizon {
                Some(horizon) => record.write_with(timestamp.wrapping_sub(horizon), &mut plain),
                None => plain.extend_from_slice(record.whole),
            }
        }
        let mut bytes = vec![0; HEADER_SIZE];
        let codec = batch.compression();
        (compressor.compress(codec, None, &plain, &mut bytes))
            .map_err(|source| RecordBatchError::Compression { base_offset: batch.base_offset(), source })?;
        let mut header = *batch.header();
        if let Some(horizon) = new_horizon {
            header.attributes |= DELETE_HORIZON;
            header.base_timestamp = horizon;
        }
        if batch.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = self.records.iter().map(|(_, timestamp)| *timestamp).max().unwrap_or(-1);
        }
        header.records_count = i32::try_from(self.records.len()).unwrap_or(i32::MAX);
        Ok(with_header(header, BytesMut::from(bytes.as_slice())))
    }
}

/// The header alone: what it says of offsets, sequences, producer and time stays.
fn emptied(batch: &RecordBatch) -> BytesMut {
    let mut header = *batch.header();
    header.attributes &= !(COMPRESSION | DELETE_HORIZON);
    header.attributes |= i16::from(Compression::None.id());
    (header.base_timestamp, header.records_count) = (-1, 0);
    with_header(header, BytesMut::zeroed(HEADER_SIZE))
}

fn with_header(mut header: RecordBatchHeader, mut bytes: BytesMut) -> BytesMut {
    header.batch_length = i32::try_from(bytes.len() - LENGTH_OFFSET).unwrap_or(i32::MAX);
    if let Some(front) = bytes.first_chunk_mut::<HEADER_SIZE>() {
        *front = header.to_bytes();
    }
    // Fails only where there is no room for a header.
    patch::update_crc(&mut bytes).ok();
    bytes
}

/// A record's bytes.
#[derive(Clone, Copy, Debug)]
struct RawRecord<'a> {
    whole: &'a [u8],
    attributes: u8,
    /// What follows the timestamp: offset, key, value, headers.
    rest: &'a [u8],
}

impl RawRecord<'_> {
    fn write_with(&self, timestamp_delta: i64, to: &mut Vec<u8>) {
        let mut delta = Vec::with_capacity(10);
        write_varint(timestamp_delta, &mut delta);
        let length = 1 + delta.len() + self.rest.len();
        write_varint(i64::try_from(length).unwrap_or(i64::MAX), to);
        to.push(self.attributes);
        to.extend_from_slice(&delta);
        to.extend_from_slice(self.rest);
    }
}

/// Cuts the next record off.
fn take_record<'a>(bytes: &mut &'a [u8]) -> Option<RawRecord<'a>> {
    let mut behind_length = *bytes;
    let length = usize::try_from(read_varint(&mut behind_length)?).ok()?;
    let body = behind_length.get(..length)?;
    let (attributes, mut rest) = body.split_first()?;
    read_varint(&mut rest)?;
    let (whole, next) = bytes.split_at_checked(bytes.len() - behind_length.len() + length)?;
    *bytes = next;
    Some(RawRecord { whole, attributes: *attributes, rest })
}

fn read_varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    None
}

fn write_varint(value: i64, to: &mut Vec<u8>) {
    let mut value = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while value >= 0x80 {
        to.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    to.push(u8::try_from(value).unwrap_or(0));
}
