//! What a broker changes in a batch that it appends, in place. Base offset and leader epoch lie before the checksum's range; the
//! timestamp type lies within, so that LogAppendTime costs a new checksum.

use bytes::BytesMut;

use super::header::{ATTRIBUTES_AT, CRC_AT, LEADER_EPOCH_AT, LOG_APPEND_TIME, MAX_TIMESTAMP_AT};
use super::{HEADER_SIZE, RecordBatchError};
use crate::primitives::{DecodeError, DecodeErrorKind};

/// Sets the base offset, which moves every record's offset.
///
/// # Errors
/// [`RecordBatchError::Header`] where the bytes are shorter than a header.
pub fn set_base_offset(batch: &mut BytesMut, base_offset: i64) -> Result<(), RecordBatchError> {
    write(batch, 0, base_offset.to_be_bytes())
}

/// Sets the epoch of the leader that appends the batch.
///
/// # Errors
/// [`RecordBatchError::Header`] where the bytes are shorter than a header.
pub fn set_partition_leader_epoch(batch: &mut BytesMut, leader_epoch: i32) -> Result<(), RecordBatchError> {
    write(batch, LEADER_EPOCH_AT, leader_epoch.to_be_bytes())
}

/// Gives every record the time of appending: sets the timestamp type and the largest timestamp, then the checksum.
///
/// # Errors
/// [`RecordBatchError::Header`] where the bytes are shorter than a header.
pub fn set_log_append_time(batch: &mut BytesMut, timestamp: i64) -> Result<(), RecordBatchError> {
    let attributes =
        batch.get(ATTRIBUTES_AT..).and_then(|rest| rest.first_chunk()).copied().map_or(0, i16::from_be_bytes);
    write(batch, ATTRIBUTES_AT, (attributes | LOG_APPEND_TIME).to_be_bytes())?;
    write(batch, MAX_TIMESTAMP_AT, timestamp.to_be_bytes())?;
    update_crc(batch)
}

/// Sets the largest timestamp, then the checksum.
///
/// # Errors
/// [`RecordBatchError::Header`] where the bytes are shorter than a header.
pub fn set_max_timestamp(batch: &mut BytesMut, timestamp: i64) -> Result<(), RecordBatchError> {
    write(batch, MAX_TIMESTAMP_AT, timestamp.to_be_bytes())?;
    update_crc(batch)
}

/// Writes the checksum of the bytes as they are.
///
/// # Errors
/// [`RecordBatchError::Header`] where the bytes are shorter than a header.
pub fn update_crc(batch: &mut BytesMut) -> Result<(), RecordBatchError> {
    let crc = crc_fast::crc32_iscsi(batch.get(ATTRIBUTES_AT..).unwrap_or_default());
    write(batch, CRC_AT, crc.to_be_bytes())
}

fn write<const N: usize>(batch: &mut BytesMut, at: usize, value: [u8; N]) -> Result<(), RecordBatchError> {
    let left = batch.len();
    let place = batch.first_chunk_mut::<HEADER_SIZE>().and_then(|header| header.get_mut(at..at + N));
    match place {
        Some(place) => {
            place.copy_from_slice(&value);
            Ok(())
        }
        None => Err(RecordBatchError::Header(DecodeError {
            kind: DecodeErrorKind::Truncated { needed: HEADER_SIZE, left },
            offset: 0,
            field: "",
        })),
    }
}
