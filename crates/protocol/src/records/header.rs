use super::RecordBatchError;
use crate::compression::Compression;
use crate::primitives::{DecodeError, DecodeErrorKind};

/// Bytes before the first record.
pub const HEADER_SIZE: usize = 61;
/// Bytes that a batch's length does not count: base offset and length itself.
pub const LENGTH_OFFSET: usize = 12;
/// The timestamp that says that there is none.
pub const NO_TIMESTAMP: i64 = -1;

/// Where the checksum is; it covers everything behind it.
pub(super) const CRC_AT: usize = 17;
/// Where the attributes are, the first bytes under the checksum.
pub(super) const ATTRIBUTES_AT: usize = 21;
/// Where the leader epoch is.
pub(super) const LEADER_EPOCH_AT: usize = 12;
/// Where the largest timestamp is.
pub(super) const MAX_TIMESTAMP_AT: usize = 35;
/// The only message format that is read and written.
pub(super) const MAGIC: i8 = 2;

const COMPRESSION_MASK: i16 = 0x07;
pub(super) const LOG_APPEND_TIME: i16 = 0x08;
pub(super) const TRANSACTIONAL: i16 = 0x10;
pub(super) const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// Who gave a batch's records their timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer: every record has its own.
    #[default]
    CreateTime,
    /// The broker: every record has the batch's largest.
    LogAppendTime,
}

/// The fixed header of a batch: its first 61 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordBatchHeader {
    /// The offset of the first record, even where compaction has removed that.
    pub base_offset: i64,
    /// Bytes behind this field.
    pub batch_length: i32,
    /// The epoch of the leader that appended the batch, −1 before that.
    pub partition_leader_epoch: i32,
    /// The message format: 2.
    pub magic: i8,
    /// The CRC-32C of everything behind it.
    pub crc: u32,
    /// The attributes' bits; the methods read them.
    pub attributes: i16,
    /// The last record's offset less the base offset.
    pub last_offset_delta: i32,
    /// What the records' timestamps count from.
    pub base_timestamp: i64,
    /// The largest timestamp in the batch.
    pub max_timestamp: i64,
    /// The producer's id, −1 where it has none.
    pub producer_id: i64,
    /// The producer's epoch, −1 where it has none.
    pub producer_epoch: i16,
    /// The first record's sequence number, −1 where it has none.
    pub base_sequence: i32,
    /// How many records there are.
    pub records_count: i32,
}

impl RecordBatchHeader {
    /// Reads a header and checks what can be checked without the records: format, length, count, codec.
    ///
    /// # Errors
    /// [`RecordBatchError::Magic`], and [`RecordBatchError::Header`] with the place of the field that cannot be.
    pub fn parse(bytes: &[u8; HEADER_SIZE]) -> Result<Self, RecordBatchError> {
        let header = Self::read(bytes);
        if header.magic != MAGIC {
            return Err(RecordBatchError::Magic { base_offset: header.base_offset, magic: header.magic });
        }
        let bad = |kind, offset, field| Err(RecordBatchError::Header(DecodeError { kind, offset, field }));
        if header.batch_length < (HEADER_SIZE - LENGTH_OFFSET) as i32 {
            return bad(DecodeErrorKind::BadLength(header.batch_length.into()), 8, "batch_length");
        }
        if header.last_offset_delta < 0 || header.base_offset.checked_add(header.last_offset_delta.into()).is_none() {
            return bad(DecodeErrorKind::BadLength(header.last_offset_delta.into()), 23, "last_offset_delta");
        }
        if header.records_count < 0 || i64::from(header.records_count) > i64::from(header.last_offset_delta) + 1 {
            return bad(DecodeErrorKind::BadLength(header.records_count.into()), 57, "records_count");
        }
        if Compression::from_id((header.attributes & COMPRESSION_MASK) as u8).is_err() {
            return bad(DecodeErrorKind::Invalid("a compression id that is not known"), 21, "attributes");
        }
        Ok(header)
    }

    /// Reads the fields, whatever they say.
    fn read(bytes: &[u8; HEADER_SIZE]) -> Self {
        Self {
            base_offset: i64::from_be_bytes(array(bytes, 0)),
            batch_length: i32::from_be_bytes(array(bytes, 8)),
            partition_leader_epoch: i32::from_be_bytes(array(bytes, LEADER_EPOCH_AT)),
            magic: i8::from_be_bytes(array(bytes, 16)),
            crc: u32::from_be_bytes(array(bytes, CRC_AT)),
            attributes: i16::from_be_bytes(array(bytes, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(array(bytes, 23)),
            base_timestamp: i64::from_be_bytes(array(bytes, 27)),
            max_timestamp: i64::from_be_bytes(array(bytes, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(array(bytes, 43)),
            producer_epoch: i16::from_be_bytes(array(bytes, 51)),
            base_sequence: i32::from_be_bytes(array(bytes, 53)),
            records_count: i32::from_be_bytes(array(bytes, 57)),
        }
    }

    /// The header's 61 bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let mut rest = bytes.as_mut_slice();
        put(&mut rest, self.base_offset.to_be_bytes());
        put(&mut rest, self.batch_length.to_be_bytes());
        put(&mut rest, self.partition_leader_epoch.to_be_bytes());
        put(&mut rest, self.magic.to_be_bytes());
        put(&mut rest, self.crc.to_be_bytes());
        put(&mut rest, self.attributes.to_be_bytes());
        put(&mut rest, self.last_offset_delta.to_be_bytes());
        put(&mut rest, self.base_timestamp.to_be_bytes());
        put(&mut rest, self.max_timestamp.to_be_bytes());
        put(&mut rest, self.producer_id.to_be_bytes());
        put(&mut rest, self.producer_epoch.to_be_bytes());
        put(&mut rest, self.base_sequence.to_be_bytes());
        put(&mut rest, self.records_count.to_be_bytes());
        bytes
    }

    /// The offset of the first record.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// The offset of the last record, even where compaction has removed that.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(self.last_offset_delta.into())
    }

    /// The offset behind the last record.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// The epoch of the leader that appended the batch.
    pub fn partition_leader_epoch(&self) -> i32 {
        self.partition_leader_epoch
    }

    /// The message format: 2.
    pub fn magic(&self) -> i8 {
        self.magic
    }

    /// The checksum that the header carries.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Compression {
        // `parse` has refused every other id.
        Compression::from_id((self.attributes & COMPRESSION_MASK) as u8).unwrap_or_default()
    }

    /// Who gave the records their timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch holds control records, which no application sees.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// When the cleaner may remove the batch's tombstones and markers, where it has noted that: then it stands in the base timestamp.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// What the records' timestamps count from.
    pub fn base_timestamp(&self) -> i64 {
        self.base_timestamp
    }

    /// The largest timestamp in the batch.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// The producer's id, −1 where it has none.
    pub fn producer_id(&self) -> i64 {
        self.producer_id
    }

    /// Whether a producer id is there.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id >= 0
    }

    /// The producer's epoch, −1 where it has none.
    pub fn producer_epoch(&self) -> i16 {
        self.producer_epoch
    }

    /// The first record's sequence number, −1 where it has none.
    pub fn base_sequence(&self) -> i32 {
        self.base_sequence
    }

    /// The last record's sequence number, −1 where it has none. Behind the largest number comes 0.
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence {
            none @ ..0 => none,
            base => base.wrapping_add(self.last_offset_delta) & i32::MAX,
        }
    }

    /// How many records there are.
    pub fn count(&self) -> i32 {
        self.records_count
    }

    /// The batch's size with everything.
    pub fn size_in_bytes(&self) -> usize {
        usize::try_from(self.batch_length).unwrap_or(0) + LENGTH_OFFSET
    }
}

fn array<const N: usize>(bytes: &[u8; HEADER_SIZE], at: usize) -> [u8; N] {
    // Every caller's place is a constant within the header.
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn put<const N: usize>(rest: &mut &mut [u8], value: [u8; N]) {
    if let Some((front, back)) = std::mem::take(rest).split_first_chunk_mut() {
        *front = value;
        *rest = back;
    }
}
