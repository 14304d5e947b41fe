use bytes::{Bytes, BytesMut};

use super::header::{ATTRIBUTES_AT, CONTROL, CRC_AT, MAGIC, TRANSACTIONAL};
use super::varint::{size32, write_unsigned, zigzag32, zigzag64};
use super::{HEADER_SIZE, Header, LENGTH_OFFSET, NO_TIMESTAMP, RecordBatchError, RecordBatchHeader, Records};
use crate::compression::{Compression, Compressor, Decompressor};

/// Room for the varints in front of a record's key: length, attributes, timestamp delta, offset delta, key length.
const HEAD: usize = 32;
/// Where the head's part behind the length starts, so that the length fits in front whatever its size.
const HEAD_START: usize = 5;
/// More than a record's own fields ever take: the four above, the value's length and the count of headers.
const MOST_OVERHEAD: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;

/// Encodes records into one batch, each once and straight into the batch's buffer.
#[derive(Debug)]
pub struct RecordBatchBuilder {
    buffer: BytesMut,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl RecordBatchBuilder {
    /// Starts a batch in `buffer`, whose capacity is used and whose content is not.
    pub fn new(mut buffer: BytesMut) -> Self {
        buffer.clear();
        buffer.resize(HEADER_SIZE, 0);
        Self { buffer, count: 0, base_timestamp: NO_TIMESTAMP, max_timestamp: NO_TIMESTAMP }
    }

    /// Encodes a record and returns its place in the batch, which is its offset less the base offset.
    ///
    /// # Panics
    /// Where the batch would come to 2 GiB: [`size_of_record`](Self::size_of_record) tells in time.
    #[inline]
    pub fn append(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> i32 {
        let offset_delta = self.count;
        if offset_delta == 0 {
            self.base_timestamp = timestamp;
        }
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);

        let (key_bytes, value_bytes) = (key.unwrap_or_default(), value.unwrap_or_default());
        let most = MOST_OVERHEAD + key_bytes.len() + value_bytes.len() + most_of_headers(headers);
        assert!(self.buffer.len() + most <= i32::MAX as usize, "a record batch of 2 GiB");
        self.buffer.reserve(most);

        let mut head = [0_u8; HEAD];
        // One byte of attributes, which stay 0.
        let mut at = HEAD_START + 1;
        at = write_unsigned(&mut head, at, zigzag64(timestamp_delta));
        at = write_unsigned(&mut head, at, zigzag32(offset_delta).into());
        at = write_unsigned(&mut head, at, length_of(key));
        let mut middle = [0_u8; 8];
        let middle_end = write_unsigned(&mut middle, 0, length_of(value));

        let headers_size = if headers.is_empty() { 1 } else { size_of_headers(headers) };
        let length = at - HEAD_START + key_bytes.len() + middle_end + value_bytes.len() + headers_size;
        let length_at = HEAD_START - size32(length as i32);
        write_unsigned(&mut head, length_at, (length as u64) << 1);

        self.buffer.extend_from_slice(&head[length_at..at]);
        if !key_bytes.is_empty() {
            self.buffer.extend_from_slice(key_bytes);
        }
        self.buffer.extend_from_slice(&middle[..middle_end]);
        self.buffer.extend_from_slice(value_bytes);
        if headers.is_empty() {
            self.buffer.extend_from_slice(&[0]);
        } else {
            append_headers(&mut self.buffer, headers);
        }

        self.count += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        offset_delta
    }

    /// The batch's size so far, with its header and not compressed.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// How many records there are.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes that the buffer holds memory for.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// The largest timestamp so far.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// An upper bound of what a record adds to any batch, a few bytes above what it will be.
    pub fn size_of_record(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> usize {
        MOST_OVERHEAD
            .saturating_add(key.unwrap_or_default().len())
            .saturating_add(value.unwrap_or_default().len())
            .saturating_add(most_of_headers(headers))
    }

    /// Compresses the records into a fresh buffer, or keeps this one where there is no compression. A codec that fails, for want of memory
    /// or for a level that it does not have, leaves the batch without compression, which every reader takes: check levels with
    /// [`Compression::check_level`].
    pub fn close(self, compressor: &mut Compressor, compression: Compression, level: Option<i32>) -> ClosedBatch {
        let plain_size = self.buffer.len() - HEADER_SIZE;
        let compressed = match compression {
            Compression::None => None,
            codec => {
                let mut output = Vec::with_capacity(HEADER_SIZE + plain_size / 2 + 64);
                output.resize(HEADER_SIZE, 0);
                let plain = self.buffer.get(HEADER_SIZE..).unwrap_or_default();
                compressor.compress(codec, level, plain, &mut output).ok().map(|()| output)
            }
        };
        let (bytes, codec) = match compressed {
            Some(output) => (Bytes::from(output), compression),
            None => (self.buffer.freeze(), Compression::None),
        };
        let header = RecordBatchHeader {
            base_offset: 0,
            batch_length: (bytes.len() - LENGTH_OFFSET) as i32,
            partition_leader_epoch: -1,
            magic: MAGIC,
            crc: 0,
            attributes: codec.id().into(),
            last_offset_delta: (self.count - 1).max(0),
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            records_count: self.count,
        };
        let records_crc = crc_fast::crc32_iscsi(bytes.get(HEADER_SIZE..).unwrap_or_default());
        ClosedBatch { header, bytes, plain_size, records_crc }
    }
}

/// Who writes a batch, and the place of its first record among all that it wrote to the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// The producer's id.
    pub id: i64,
    /// The producer's epoch.
    pub epoch: i16,
    /// The sequence number of the first record.
    pub base_sequence: i32,
}

impl Producer {
    /// A producer that is neither idempotent nor transactional.
    pub const NONE: Self = Self { id: -1, epoch: -1, base_sequence: -1 };
}

/// A batch whose records are final: only the header is still to be written, as often as needed.
#[derive(Clone, Debug)]
pub struct ClosedBatch {
    header: RecordBatchHeader,
    bytes: Bytes,
    plain_size: usize,
    /// The checksum of what follows the header: taken by whoever closes the batch, whose cache holds the records; sealing adds the header's.
    records_crc: u32,
}

impl ClosedBatch {
    /// Writes header and checksum and returns the batch as it goes out. With what it was last sealed with, it returns the same bytes; with
    /// anything else it changes them in place, or copies them where an earlier request still holds them.
    pub fn seal(&mut self, producer: Producer, transactional: bool) -> Bytes {
        let attributes = if transactional { TRANSACTIONAL } else { 0 };
        self.seal_as(producer, attributes)
    }

    /// Seals a control batch.
    pub(super) fn seal_control(&mut self, producer: Producer, base_offset: i64, leader_epoch: i32) -> Bytes {
        self.header.base_offset = base_offset;
        self.header.partition_leader_epoch = leader_epoch;
        self.seal_as(producer, TRANSACTIONAL | CONTROL)
    }

    fn seal_as(&mut self, producer: Producer, attributes: i16) -> Bytes {
        let mut header = self.header;
        header.attributes = i16::from(header.compression().id()) | attributes;
        header.producer_id = producer.id;
        header.producer_epoch = producer.epoch;
        header.base_sequence = producer.base_sequence;
        let sealed = self.bytes.get(16) == Some(&MAGIC.cast_unsigned());
        if !sealed || header != self.header {
            let mut bytes =
                std::mem::take(&mut self.bytes).try_into_mut().unwrap_or_else(|held| BytesMut::from(&held[..]));
            if let Some(front) = bytes.get_mut(..HEADER_SIZE) {
                front.copy_from_slice(&header.to_bytes());
            }
            header.crc = self.whole_crc(&bytes);
            if let Some(at) = bytes.get_mut(CRC_AT..ATTRIBUTES_AT) {
                at.copy_from_slice(&header.crc.to_be_bytes());
            }
            self.header = header;
            self.bytes = bytes.freeze();
        }
        self.bytes.clone()
    }

    /// The checksum from the attributes to the end.
    fn whole_crc(&self, bytes: &[u8]) -> u32 {
        let front = crc_fast::crc32_iscsi(bytes.get(ATTRIBUTES_AT..HEADER_SIZE).unwrap_or_default());
        let length = bytes.len().saturating_sub(HEADER_SIZE) as u64;
        let algorithm = crc_fast::CrcAlgorithm::Crc32Iscsi;
        crc_fast::checksum_combine(algorithm, front.into(), self.records_crc.into(), length) as u32
    }

    /// The header as it was last sealed.
    pub fn header(&self) -> &RecordBatchHeader {
        &self.header
    }

    /// How many records there are.
    pub fn count(&self) -> i32 {
        self.header.records_count
    }

    /// The size on the wire.
    pub fn size_in_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The size with the header before compression: over [`size_in_bytes`](Self::size_in_bytes) it is the compression ratio.
    pub fn uncompressed_size_in_bytes(&self) -> usize {
        self.plain_size + HEADER_SIZE
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Compression {
        self.header.compression()
    }

    /// Decodes the records back, so that an error can return them.
    ///
    /// # Errors
    /// As [`RecordBatch::records`](super::RecordBatch::records); none is expected of a batch that was built here.
    pub fn records(&self, decompressor: &mut Decompressor) -> Result<Records, RecordBatchError> {
        let payload = self.bytes.slice(HEADER_SIZE..);
        let plain = match self.compression() {
            Compression::None => payload,
            codec => decompressor
                .decompress(codec, &payload, self.plain_size)
                .map_err(|source| RecordBatchError::Compression { base_offset: 0, source })?
                .into(),
        };
        Records::new(&self.header, plain)
    }
}

/// The length of a nullable value as a zigzag integer's bits: null is −1.
fn length_of(value: Option<&[u8]>) -> u64 {
    match value {
        Some(value) => (value.len() as u64) << 1,
        None => 1,
    }
}

fn most_of_headers(headers: &[Header<'_>]) -> usize {
    headers.iter().fold(0, |size, header| {
        size.saturating_add(10).saturating_add(header.key.len()).saturating_add(header.value.unwrap_or_default().len())
    })
}

fn size_of_headers(headers: &[Header<'_>]) -> usize {
    let each = headers.iter().map(|header| {
        let value = header.value.unwrap_or_default();
        let value_length = if header.value.is_some() { size32(value.len() as i32) } else { 1 };
        size32(header.key.len() as i32) + header.key.len() + value_length + value.len()
    });
    size32(headers.len() as i32) + each.sum::<usize>()
}

fn append_headers(buffer: &mut BytesMut, headers: &[Header<'_>]) {
    let mut varint = [0_u8; 10];
    let end = write_unsigned(&mut varint, 0, (headers.len() as u64) << 1);
    buffer.extend_from_slice(&varint[..end]);
    for header in headers {
        for part in [Some(header.key), header.value] {
            let end = write_unsigned(&mut varint, 0, length_of(part));
            buffer.extend_from_slice(&varint[..end]);
            buffer.extend_from_slice(part.unwrap_or_default());
        }
    }
}
