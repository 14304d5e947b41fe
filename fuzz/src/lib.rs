//! What the targets share: taking an input apart, and building batches worth damaging.

use bytes::{Bytes, BytesMut};
use felice_protocol::compression::{Compression, Compressor};
use felice_protocol::records::{Header, Producer, RecordBatchBuilder};

/// Every codec, and none.
pub const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// A fuzzer's bytes, taken from the front. Past the end everything is zero.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    /// The next two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// The next `length` bytes, fewer at the end.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Whether all is taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A codec.
    pub fn codec(&mut self) -> Compression {
        CODECS[usize::from(self.byte()) % CODECS.len()]
    }

    /// Up to 7 changes of a byte each, at places and to values that the input names.
    pub fn damage(&mut self, bytes: &mut [u8]) {
        for _ in 0..self.byte() % 8 {
            let (at, value) = (usize::from(self.short()), self.byte());
            if !bytes.is_empty() {
                let at = at % bytes.len();
                bytes[at] = value;
            }
        }
    }

    /// A batch as a producer would send it, of up to 8 records that the input describes.
    pub fn batch(&mut self) -> Bytes {
        let (codec, flags) = (self.codec(), self.byte());
        let mut builder = RecordBatchBuilder::new(BytesMut::new());
        for n in 0..i64::from(self.byte() % 8) + 1 {
            let (key_length, value_length) = (self.byte(), self.byte());
            let key = (key_length != 255).then(|| self.take(usize::from(key_length)));
            let value = (value_length != 255).then(|| self.take(usize::from(value_length) * 4));
            let headers = [Header::new("h", b"1"), Header::null("h")];
            let headers = &headers[..usize::from(flags % 3)];
            builder.append(1_000 + n, key, value, headers);
        }
        let mut closed = builder.close(&mut Compressor::new(), codec, None);
        let producer = match flags & 4 {
            0 => Producer { id: -1, epoch: -1, base_sequence: -1 },
            _ => Producer { id: i64::from(flags >> 5), epoch: 0, base_sequence: i32::from(self.byte()) },
        };
        closed.seal(producer, flags & 12 == 12)
    }
}
