//! A record that was read: [`BorrowedRecord`] from a batch that lends it, [`Record`] to keep.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use felice_client_core::consumer::budget::Charge;
use felice_protocol::primitives::ByteStr;
use felice_protocol::records::{Header, Headers, RecordRanges, RecordRef, TimestampType};

/// What all records of a batch share.
#[derive(Debug)]
pub(crate) struct BatchData {
    pub(crate) topic: ByteStr,
    pub(crate) partition: i32,
    pub(crate) leader_epoch: i32,
    /// The records, decompressed.
    pub(crate) bytes: Bytes,
    /// Holds the response in the fetch budget.
    pub(crate) charge: Arc<Charge>,
    pub(crate) timestamp_type: TimestampType,
}

/// Keeps the bytes of one record batch, and with them every slice that its records lend.
#[derive(Clone, Debug)]
pub struct BatchHold(pub(crate) Arc<BatchData>);

impl BatchHold {
    /// Who gave the records their timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        self.0.timestamp_type
    }

    /// The leader's epoch in which they were written; −1 where the broker did not say.
    pub fn leader_epoch(&self) -> i32 {
        self.0.leader_epoch
    }

    /// The broker that they were fetched from.
    pub fn broker(&self) -> i32 {
        self.0.charge.broker()
    }
}

/// A record borrowed from the batch it came in: nothing is copied or counted.
#[derive(Clone, Copy)]
pub struct BorrowedRecord<'a> {
    pub(crate) data: &'a BatchData,
    pub(crate) record: RecordRef<'a>,
}

impl<'a> BorrowedRecord<'a> {
    /// The topic.
    pub fn topic(&self) -> &'a str {
        self.data.topic.as_str()
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.data.partition
    }

    /// The offset.
    pub fn offset(&self) -> i64 {
        self.record.offset
    }

    /// Milliseconds since 1970: the producer's time, or the broker's where the topic says so.
    pub fn timestamp(&self) -> i64 {
        self.record.timestamp
    }

    /// The key.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.record.key
    }

    /// The value; `None` is a tombstone.
    pub fn value(&self) -> Option<&'a [u8]> {
        self.record.value
    }

    /// The headers, in order; a name may come twice.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'a, str>, Option<&'a [u8]>)> + use<'a> {
        self.record.headers().map(|Header { key, value }| (String::from_utf8_lossy(key), value))
    }

    /// The headers as bytes, whatever their encoding.
    pub fn raw_headers(&self) -> Headers<'a> {
        self.record.headers()
    }

    /// Who gave the record its timestamp.
    pub fn timestamp_type(&self) -> TimestampType {
        self.data.timestamp_type
    }
}

impl fmt::Debug for BorrowedRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "BorrowedRecord", self.data, &self.record)
    }
}

fn show(f: &mut fmt::Formatter<'_>, name: &str, data: &BatchData, record: &RecordRef<'_>) -> fmt::Result {
    f.debug_struct(name)
        .field("topic", &data.topic)
        .field("partition", &data.partition)
        .field("offset", &record.offset)
        .field("key_len", &record.key.map(<[u8]>::len))
        .field("value_len", &record.value.map(<[u8]>::len))
        .finish_non_exhaustive()
}

/// A record that was read: a reference to the batch it came in, and where in it. `'static`, `Send`, `Sync`, cheap to clone.
///
/// It keeps its whole batch in memory, and counts against `fetch.buffer.bytes`: copy out what is to be kept for long. Java: `ConsumerRecord`.
#[derive(Clone)]
pub struct Record {
    pub(crate) data: Arc<BatchData>,
    pub(crate) ranges: RecordRanges,
}

impl Record {
    fn record(&self) -> RecordRef<'_> {
        self.ranges.of(&self.data.bytes)
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.data.topic.as_str()
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.data.partition
    }

    /// The leader's epoch in which it was written; `None` where the broker did not say.
    pub fn leader_epoch(&self) -> Option<i32> {
        (self.data.leader_epoch >= 0).then_some(self.data.leader_epoch)
    }

    /// The offset.
    pub fn offset(&self) -> i64 {
        self.record().offset
    }

    /// Milliseconds since 1970: the producer's time, or the broker's where the topic says so.
    pub fn timestamp(&self) -> i64 {
        self.record().timestamp
    }

    /// The key.
    pub fn key(&self) -> Option<&[u8]> {
        self.ranges.key().and_then(|range| self.data.bytes.get(range))
    }

    /// The value; `None` is a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        self.ranges.value().and_then(|range| self.data.bytes.get(range))
    }

    /// The value as text.
    ///
    /// # Errors
    /// Where it is not UTF-8; a tombstone reads as empty text.
    pub fn value_str(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(self.value().unwrap_or_default())
    }

    /// The value as shared bytes, without a copy.
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.ranges.value().map(|range| self.data.bytes.slice(range))
    }

    /// The key as shared bytes, without a copy.
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.ranges.key().map(|range| self.data.bytes.slice(range))
    }

    /// The headers, in order; a name may come twice.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Option<&[u8]>)> {
        self.ranges.headers(&self.data.bytes).map(|Header { key, value }| (String::from_utf8_lossy(key), value))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "Record", &self.data, &self.record())
    }
}
