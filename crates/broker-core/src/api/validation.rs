//! What a batch from a client must be before it is appended. Java: `LogValidator`.

use bytes::{Bytes, BytesMut};
use felice_log::TimestampType;
use felice_protocol::compression::{Compression, Decompressor};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::records::{self, RecordBatch};

use crate::config::TopicConfig;

const HEADER_BYTES: usize = 61;
const NO_TIMESTAMP: i64 = -1;

/// Why a batch is refused, with the records that are to blame where it is some of them.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) code: ErrorCode,
    pub(super) message: String,
    pub(super) records: Vec<(i32, &'static str)>,
}

impl Invalid {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), records: Vec::new() }
    }

    fn record(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INVALID_RECORD, message)
    }
}

/// What a check needs to know beside the batch.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    pub(super) topic: &'a TopicConfig,
    pub(super) produce_version: i16,
    pub(super) wall_millis: i64,
    /// More plain bytes than this are not taken out of a compressed batch.
    pub(super) decompression_limit: usize,
}

/// Checks all of a batch: its frame, its header, its checksum, each record. Gives the time of its newest record where the header says another:
/// librdkafka says 0 where its records have none.
pub(super) fn validate(
    bytes: &Bytes,
    rules: &Rules<'_>,
    decompressor: &mut Decompressor,
) -> Result<Option<i64>, Invalid> {
    let one_batch = "a partition's records must be one batch of format 2";
    if bytes.len() < HEADER_BYTES {
        return Err(Invalid::record(format!("{one_batch}, and these are {} bytes", bytes.len())));
    }
    if bytes[16] != 2 {
        return Err(Invalid::record(format!("{one_batch}, and this has format {}", bytes[16])));
    }
    let declared = i32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    let size = usize::try_from(declared).unwrap_or(0) + 12;
    if size > bytes.len() || size < HEADER_BYTES {
        let message = format!("the batch says that it has {size} bytes, and {} have come", bytes.len());
        return Err(Invalid::new(ErrorCode::CORRUPT_MESSAGE, message));
    }
    if size < bytes.len() {
        return Err(Invalid::record(format!("{one_batch}, and there is more behind the first")));
    }
    let limit = rules.topic.max_message_bytes;
    if size > limit {
        let message = format!("the batch has {size} bytes, and max.message.bytes is {limit}");
        return Err(Invalid::new(ErrorCode::MESSAGE_TOO_LARGE, message));
    }
    let corrupt = |error: &dyn std::fmt::Display| Invalid::new(ErrorCode::CORRUPT_MESSAGE, error.to_string());
    let batch = RecordBatch::parse(bytes.clone()).map_err(|error| {
        // Whether it is the client that errs or the wire: only the latter is worth a retry.
        if has_right_crc(bytes) { Invalid::record(error.to_string()) } else { corrupt(&error) }
    })?;
    batch.verify_crc().map_err(|error| corrupt(&error))?;
    check_header(&batch, rules)?;
    check_records(&batch, rules, decompressor)
}

fn has_right_crc(bytes: &Bytes) -> bool {
    let mut copy = BytesMut::from(&bytes[..]);
    records::patch::update_crc(&mut copy).is_ok() && copy == *bytes
}

fn check_header(batch: &RecordBatch, rules: &Rules<'_>) -> Result<(), Invalid> {
    if batch.compression() == Compression::Zstd && rules.produce_version < 7 {
        let message = "zstd needs Produce version 7 or newer";
        return Err(Invalid::new(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, message));
    }
    if batch.base_offset() != 0 {
        return Err(Invalid::record(format!("the base offset must be 0 and is {}", batch.base_offset())));
    }
    let (count, last) = (i64::from(batch.count()), batch.last_offset());
    if count <= 0 || last + 1 != count {
        return Err(Invalid::record(format!("the batch counts {count} records and its last offset is {last}")));
    }
    if batch.is_control() {
        return Err(Invalid::record("clients may not write control batches"));
    }
    if batch.producer_id() >= 0 && batch.base_sequence() < 0 {
        return Err(Invalid::record("a batch with a producer id must have a sequence number"));
    }
    if batch.is_transactional() {
        return Err(Invalid::new(ErrorCode::INVALID_TXN_STATE, "this broker has no transaction coordinator yet"));
    }
    if batch.timestamp_type() == records::TimestampType::LogAppendTime {
        let message = "clients may not stamp batches with LogAppendTime";
        return Err(Invalid::new(ErrorCode::INVALID_TIMESTAMP, message));
    }
    Ok(())
}

fn check_records(
    batch: &RecordBatch,
    rules: &Rules<'_>,
    decompressor: &mut Decompressor,
) -> Result<Option<i64>, Invalid> {
    let unreadable = |error: &dyn std::fmt::Display| Invalid::record(format!("the records cannot be read: {error}"));
    let records = batch.records(decompressor, rules.decompression_limit).map_err(|error| unreadable(&error))?;
    let topic = rules.topic;
    let checks_time = topic.log.timestamp_type == TimestampType::CreateTime;
    let (oldest, newest) = (
        rules.wall_millis.saturating_sub(topic.timestamp_before_max_ms),
        rules.wall_millis.saturating_add(topic.timestamp_after_max_ms),
    );
    let (mut expected, mut max_timestamp) = (0_i64, NO_TIMESTAMP);
    let (mut without_key, mut wrong_time) = (Vec::new(), Vec::new());
    for record in &records {
        let record = record.map_err(|error| unreadable(&error))?;
        if record.offset != expected {
            return Err(Invalid::record(format!("record {expected} has the offset {}", record.offset)));
        }
        let index = i32::try_from(expected).unwrap_or(i32::MAX);
        if topic.compact && record.key.is_none() {
            without_key.push((index, "Compacted topic cannot accept message without key."));
        }
        let timestamp = record.timestamp;
        if checks_time && timestamp != NO_TIMESTAMP && !(oldest..=newest).contains(&timestamp) {
            wrong_time.push((index, "Timestamp out of range."));
        }
        max_timestamp = max_timestamp.max(timestamp);
        expected += 1;
    }
    if expected != i64::from(batch.count()) {
        return Err(Invalid::record(format!("the batch counts {} records and has {expected}", batch.count())));
    }
    if !without_key.is_empty() {
        let mut invalid = Invalid::record("One or more records have been rejected: a compacted topic needs keys");
        invalid.records = without_key;
        return Err(invalid);
    }
    if !wrong_time.is_empty() {
        let message = format!("a timestamp is not from {oldest} to {newest}");
        let mut invalid = Invalid::new(ErrorCode::INVALID_TIMESTAMP, message);
        invalid.records = wrong_time;
        return Err(invalid);
    }
    // The time index would believe a wrong one.
    Ok(Some(max_timestamp).filter(|newest| checks_time && *newest != batch.max_timestamp()))
}
