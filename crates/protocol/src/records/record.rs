use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::varint::{read32, read64};
use super::{RecordBatchError, RecordBatchHeader, TimestampType};
use crate::primitives::{DecodeError, DecodeErrorKind};

/// The fewest bytes that a record takes: length, attributes, two deltas, two null lengths, and a count of no headers.
const SMALLEST_RECORD: usize = 7;
/// The fewest bytes that a header takes: two lengths.
const SMALLEST_HEADER: usize = 2;

/// One header of a record. Keys may repeat, and their order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The key. Java always writes UTF-8; other clients write what they are given.
    pub key: &'a [u8],
    /// The value, which may be null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// A header with a value.
    pub fn new(key: &'a str, value: &'a [u8]) -> Self {
        Self { key: key.as_bytes(), value: Some(value) }
    }

    /// A header whose value is null.
    pub fn null(key: &'a str) -> Self {
        Self { key: key.as_bytes(), value: None }
    }

    /// The key as text; what is not UTF-8 in it is replaced, as Java does.
    pub fn key_str(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }
}

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// The offset.
    pub offset: i64,
    /// The timestamp in milliseconds since 1970; −1 where there is none.
    pub timestamp: i64,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> RecordRef<'a> {
    /// The headers, in their order.
    pub fn headers(&self) -> Headers<'a> {
        self.headers
    }
}

/// The headers of a record, read one at a time. They have been checked when the record was read.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: u32,
}

impl<'a> Headers<'a> {
    /// So many headers in these bytes, as [`Self::as_bytes`] gave them; fewer come where the bytes have fewer.
    pub fn from_bytes(bytes: &'a [u8], count: u32) -> Self {
        Self { bytes, left: count }
    }

    /// The headers that are left, as they are on the wire.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut at = 0;
        let key = read_bytes(self.bytes, &mut at).ok()??;
        let value = read_bytes(self.bytes, &mut at).ok()?;
        let header = Header {
            key: self.bytes.get(key)?,
            value: match value {
                Some(range) => Some(self.bytes.get(range)?),
                None => None,
            },
        };
        self.bytes = self.bytes.get(at..)?;
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// One record as ranges into the shared bytes of its [`Records`]: what a record that outlives the borrow is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRanges {
    /// The offset.
    pub offset: i64,
    /// The timestamp in milliseconds since 1970; −1 where there is none.
    pub timestamp: i64,
    key: Span,
    value: Span,
    headers: Span,
    headers_count: u32,
}

/// A range whose length is −1 where it is null. A batch is never larger than 2 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u32,
    length: i32,
}

impl Span {
    fn new(range: Option<Range<usize>>) -> Self {
        match range {
            Some(range) => Self { start: range.start as u32, length: (range.end - range.start) as i32 },
            None => Self { start: 0, length: -1 },
        }
    }

    fn range(self) -> Option<Range<usize>> {
        let length = usize::try_from(self.length).ok()?;
        Some(self.start as usize..self.start as usize + length)
    }

    fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(self.range()?)
    }
}

impl RecordRanges {
    /// Where the key is; `None` where it is null.
    pub fn key(&self) -> Option<Range<usize>> {
        self.key.range()
    }

    /// Where the value is; `None` where it is null.
    pub fn value(&self) -> Option<Range<usize>> {
        self.value.range()
    }

    /// How many headers there are.
    pub fn headers_count(&self) -> usize {
        self.headers_count as usize
    }

    /// The headers, from the bytes that the ranges are of.
    pub fn headers<'a>(&self, bytes: &'a [u8]) -> Headers<'a> {
        Headers { bytes: self.headers.of(bytes).unwrap_or_default(), left: self.headers_count }
    }

    /// The record, from the bytes that the ranges are of.
    pub fn of<'a>(&self, bytes: &'a [u8]) -> RecordRef<'a> {
        RecordRef {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.of(bytes),
            value: self.value.of(bytes),
            headers: self.headers(bytes),
        }
    }
}

/// The records of one batch, decoded one at a time and without an allocation. After an error nothing follows.
///
/// It is a cursor: [`next_record`](Self::next_record) borrows, [`next_ranges`](Self::next_ranges) does not, and both move it.
/// [`iter`](Self::iter) goes over what is left without moving it.
#[derive(Clone, Debug)]
pub struct Records {
    bytes: Bytes,
    cursor: Cursor,
}

impl Records {
    pub(super) fn new(header: &RecordBatchHeader, bytes: Bytes) -> Result<Self, RecordBatchError> {
        let count = u32::try_from(header.records_count).unwrap_or(0);
        if count as usize > bytes.len() / SMALLEST_RECORD || bytes.len() > i32::MAX as usize {
            return Err(RecordBatchError::Header(DecodeError {
                kind: DecodeErrorKind::BadLength(header.records_count.into()),
                offset: 57,
                field: "records_count",
            }));
        }
        let append_time = match header.timestamp_type() {
            TimestampType::LogAppendTime => Some(header.max_timestamp),
            TimestampType::CreateTime => None,
        };
        let cursor = Cursor {
            at: 0,
            index: 0,
            count,
            failed: false,
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta,
            base_timestamp: header.base_timestamp,
            append_time,
        };
        Ok(Self { bytes, cursor })
    }

    /// The plain bytes that [`RecordRanges`] are of.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many records are left.
    pub fn remaining(&self) -> usize {
        self.cursor.remaining()
    }

    /// The next record, borrowed.
    pub fn next_record(&mut self) -> Option<Result<RecordRef<'_>, RecordBatchError>> {
        let ranges = self.cursor.next(&self.bytes)?;
        Some(ranges.map(|ranges| ranges.of(&self.bytes)))
    }

    /// The next record, as ranges into [`bytes`](Self::bytes).
    pub fn next_ranges(&mut self) -> Option<Result<RecordRanges, RecordBatchError>> {
        self.cursor.next(&self.bytes)
    }

    /// The records that are left, borrowed.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter { bytes: &self.bytes, cursor: self.cursor.clone() }
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Result<RecordRef<'a>, RecordBatchError>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// Borrowed records, one after another. After an error nothing follows.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    bytes: &'a [u8],
    cursor: Cursor,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordRef<'a>, RecordBatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let ranges = self.cursor.next(self.bytes)?;
        Some(ranges.map(|ranges| ranges.of(self.bytes)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error may come early, or once more behind the last record.
        (0, Some(self.cursor.remaining() + 1))
    }
}

#[derive(Clone, Debug)]
struct Cursor {
    at: usize,
    index: u32,
    count: u32,
    failed: bool,
    base_offset: i64,
    last_offset_delta: i32,
    base_timestamp: i64,
    append_time: Option<i64>,
}

impl Cursor {
    fn remaining(&self) -> usize {
        if self.failed { 0 } else { (self.count - self.index) as usize }
    }

    #[inline]
    fn next(&mut self, bytes: &[u8]) -> Option<Result<RecordRanges, RecordBatchError>> {
        if self.failed {
            return None;
        }
        let left = bytes.len() - self.at;
        if self.index == self.count {
            return match left {
                0 => None,
                n => Some(Err(self.fail(DecodeErrorKind::LeftOver(n), self.at, ""))),
            };
        }
        let mut at = self.at;
        match self.read(bytes, &mut at) {
            Ok(ranges) => {
                self.at = at;
                self.index += 1;
                Some(Ok(ranges))
            }
            Err((kind, field)) => Some(Err(self.fail(kind, at, field))),
        }
    }

    #[cold]
    fn fail(&mut self, kind: DecodeErrorKind, offset: usize, field: &'static str) -> RecordBatchError {
        self.failed = true;
        let source = DecodeError { kind, offset, field };
        RecordBatchError::Record { base_offset: self.base_offset, index: self.index, source }
    }

    #[inline]
    fn read(&self, bytes: &[u8], at: &mut usize) -> Result<RecordRanges, (DecodeErrorKind, &'static str)> {
        let in_field = |field| move |kind| (kind, field);
        let length = read32(bytes, at).map_err(in_field("length"))?;
        let end = usize::try_from(length).ok().map(|length| *at + length).filter(|end| *end <= bytes.len());
        let Some(end) = end else {
            return Err((DecodeErrorKind::BadLength(length.into()), "length"));
        };
        // Nothing is read past the record's end, whatever its parts say.
        let bytes = bytes.get(..end).unwrap_or_default();
        // The attributes have no meaning yet.
        *at += 1;
        let timestamp_delta = read64(bytes, at).map_err(in_field("timestamp_delta"))?;
        let offset_delta = read32(bytes, at).map_err(in_field("offset_delta"))?;
        if !(0..=self.last_offset_delta).contains(&offset_delta) {
            return Err((DecodeErrorKind::BadLength(offset_delta.into()), "offset_delta"));
        }
        let key = read_bytes(bytes, at).map_err(in_field("key"))?;
        let value = read_bytes(bytes, at).map_err(in_field("value"))?;
        let headers_count = read32(bytes, at).map_err(in_field("headers"))?;
        let headers_start = *at;
        if headers_count != 0 {
            check_headers(bytes, at, headers_count)?;
        }
        if *at != end {
            return Err((DecodeErrorKind::LeftOver(end - *at), "length"));
        }
        Ok(RecordRanges {
            offset: self.base_offset + i64::from(offset_delta),
            timestamp: self.append_time.unwrap_or(self.base_timestamp.wrapping_add(timestamp_delta)),
            key: Span::new(key),
            value: Span::new(value),
            headers: Span::new(Some(headers_start..end)),
            headers_count: headers_count.cast_unsigned(),
        })
    }
}

fn check_headers(bytes: &[u8], at: &mut usize, count: i32) -> Result<(), (DecodeErrorKind, &'static str)> {
    if usize::try_from(count).is_err() || count as usize > (bytes.len() - *at) / SMALLEST_HEADER {
        return Err((DecodeErrorKind::BadLength(count.into()), "headers"));
    }
    for _ in 0..count {
        if read_bytes(bytes, at).map_err(|kind| (kind, "header key"))?.is_none() {
            return Err((DecodeErrorKind::UnexpectedNull, "header key"));
        }
        read_bytes(bytes, at).map_err(|kind| (kind, "header value"))?;
    }
    Ok(())
}

/// Reads a length, skips so many bytes, and returns where they are; −1 is null.
#[inline(always)]
fn read_bytes(bytes: &[u8], at: &mut usize) -> Result<Option<Range<usize>>, DecodeErrorKind> {
    let length = read32(bytes, at)?;
    if length < 0 {
        return if length == -1 { Ok(None) } else { Err(DecodeErrorKind::BadLength(length.into())) };
    }
    let left = bytes.len() - *at;
    if length as usize > left {
        return Err(DecodeErrorKind::Truncated { needed: length as usize, left });
    }
    let start = *at;
    *at += length as usize;
    Ok(Some(start..*at))
}
