use std::fmt;

use bytes::Bytes;

use super::{ByteStr, RawTaggedField, Uuid};

/// Why bytes from outside could not be read, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}{}", InField(.field))]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The offset in the decoded buffer.
    pub offset: usize,
    /// The innermost named field, `""` where none is known.
    pub field: &'static str,
}

struct InField<'a>(&'a &'static str);

impl fmt::Display for InField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (field {})", self.0) }
    }
}

impl DecodeError {
    /// Names the field, where no inner one has been named.
    #[must_use]
    pub fn in_field(mut self, field: &'static str) -> Self {
        if self.field.is_empty() {
            self.field = field;
        }
        self
    }
}

/// What can be wrong with bytes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end before the value does.
    #[error("the bytes end early: {needed} needed, {left} left")]
    Truncated {
        /// Bytes that the value needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A length or count that cannot be: negative, or more than the bytes at hand could hold.
    #[error("a length of {0} cannot be")]
    BadLength(i64),
    /// Null where the protocol does not allow it.
    #[error("null where a value must be")]
    UnexpectedNull,
    /// A string that is not UTF-8.
    #[error("a string that is not UTF-8")]
    NotUtf8,
    /// A variable-length integer that does not end.
    #[error("a variable-length integer that does not end")]
    BadVarint,
    /// Bytes that are left over behind the message.
    #[error("{0} bytes left over behind the message")]
    LeftOver(usize),
    /// A version that the message does not have.
    #[error("version {0} of this message is not known")]
    UnknownVersion(i16),
    /// Anything else, in words.
    #[error("{0}")]
    Invalid(&'static str),
}

/// Reads one buffer, front to back. Strings and bytes share its memory; no count is believed before it is bounded by the bytes at hand.
#[derive(Clone, Debug)]
pub struct Decoder {
    buffer: Bytes,
    position: usize,
}

impl Decoder {
    /// Starts at the front of `buffer`.
    pub fn new(buffer: Bytes) -> Self {
        Self { buffer, position: 0 }
    }

    /// The offset of the next byte.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.buffer.len() - self.position
    }

    /// An error of `kind` at this place.
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { kind, offset: self.position, field: "" }
    }

    /// The rest, shared.
    pub fn rest(&self) -> Bytes {
        self.buffer.slice(self.position..)
    }

    /// # Errors
    /// [`DecodeErrorKind::LeftOver`] where bytes remain.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            n => Err(self.error(DecodeErrorKind::LeftOver(n))),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.buffer.get(self.position..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(chunk) => {
                self.position += N;
                Ok(*chunk)
            }
            None => Err(self.error(DecodeErrorKind::Truncated { needed: N, left: self.remaining() })),
        }
    }

    /// Takes `length` bytes, shared.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] where there are fewer.
    pub fn take(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        if length > self.remaining() {
            return Err(self.error(DecodeErrorKind::Truncated { needed: length, left: self.remaining() }));
        }
        let bytes = self.buffer.slice(self.position..self.position + length);
        self.position += length;
        Ok(bytes)
    }
}

macro_rules! fixed {
    ($($name:ident $type:ty),*) => {$(
        #[doc = concat!("Reads a big-endian `", stringify!($type), "`.")]
        /// # Errors
        /// [`DecodeErrorKind::Truncated`].
        pub fn $name(&mut self) -> Result<$type, DecodeError> {
            Ok(<$type>::from_be_bytes(self.array()?))
        }
    )*};
}

/// The protocol's types, one method each. Every method fails with [`DecodeErrorKind::Truncated`] where the bytes end early.
impl Decoder {
    fixed!(i8 i8, i16 i16, u16 u16, i32 i32, u32 u32, i64 i64, f64 f64);

    /// Reads a byte that means true where it is not zero.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`].
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? != 0)
    }

    /// Reads a UUID.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`].
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid(self.array()?))
    }

    /// Reads an unsigned variable-length integer of up to 32 bits.
    ///
    /// # Errors
    /// [`DecodeErrorKind::BadVarint`] where it is longer.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array::<1>()?;
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error(DecodeErrorKind::BadVarint))
    }

    /// Bounds a count by the bytes at hand: each element takes one at least.
    fn bounded(&self, length: i64) -> Result<usize, DecodeError> {
        match usize::try_from(length) {
            Ok(n) if n <= self.remaining() => Ok(n),
            Ok(_) | Err(_) => Err(self.error(DecodeErrorKind::BadLength(length))),
        }
    }

    /// Reads a length: compact (unsigned varint of length + 1) where `flexible`, else a 32-bit integer. `None` is null.
    fn length32(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        let length = if flexible { i64::from(self.unsigned_varint()?) - 1 } else { i64::from(self.i32()?) };
        if length == -1 { Ok(None) } else { self.bounded(length).map(Some) }
    }

    fn length16(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        if flexible {
            return self.length32(true);
        }
        let length = self.i16()?;
        if length == -1 { Ok(None) } else { self.bounded(i64::from(length)).map(Some) }
    }

    /// Reads a string that may be null.
    ///
    /// # Errors
    /// [`DecodeErrorKind::NotUtf8`], [`DecodeErrorKind::BadLength`].
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<ByteStr>, DecodeError> {
        let Some(length) = self.length16(flexible)? else {
            return Ok(None);
        };
        let bytes = self.take(length)?;
        ByteStr::from_utf8(bytes).map(Some).map_err(|_| self.error(DecodeErrorKind::NotUtf8))
    }

    /// Reads a string.
    ///
    /// # Errors
    /// As [`Self::nullable_string`], and [`DecodeErrorKind::UnexpectedNull`].
    pub fn string(&mut self, flexible: bool) -> Result<ByteStr, DecodeError> {
        self.nullable_string(flexible)?.ok_or_else(|| self.error(DecodeErrorKind::UnexpectedNull))
    }

    /// Reads bytes (or records) that may be null.
    ///
    /// # Errors
    /// [`DecodeErrorKind::BadLength`].
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        match self.length32(flexible)? {
            Some(length) => self.take(length).map(Some),
            None => Ok(None),
        }
    }

    /// Reads bytes (or records).
    ///
    /// # Errors
    /// As [`Self::nullable_bytes`], and [`DecodeErrorKind::UnexpectedNull`].
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, DecodeError> {
        self.nullable_bytes(flexible)?.ok_or_else(|| self.error(DecodeErrorKind::UnexpectedNull))
    }

    /// Reads an array that may be null, each element by `element`.
    ///
    /// # Errors
    /// [`DecodeErrorKind::BadLength`], and what `element` gives.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.length32(flexible)? else {
            return Ok(None);
        };
        // A hostile count costs no more memory than the frame itself did; a true one grows past it.
        let affordable = self.remaining() / size_of::<T>().max(1) + 1;
        let mut elements = Vec::with_capacity(count.min(affordable));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// Reads an array, each element by `element`.
    ///
    /// # Errors
    /// As [`Self::nullable_array`], and [`DecodeErrorKind::UnexpectedNull`].
    pub fn vec<T>(
        &mut self,
        flexible: bool,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(flexible, element)?.ok_or_else(|| self.error(DecodeErrorKind::UnexpectedNull))
    }

    /// Reads a struct that may be null: a byte below zero says so.
    ///
    /// # Errors
    /// What `element` gives.
    pub fn nullable_struct<T>(
        &mut self,
        element: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.i8()? < 0 { Ok(None) } else { element(self).map(Some) }
    }

    /// Reads the tagged fields at the end of a flexible struct: `known` reads those it knows from a decoder of just their bytes and
    /// answers true; the rest is returned as it came.
    ///
    /// # Errors
    /// What `known` gives, and [`DecodeErrorKind::LeftOver`] where it leaves bytes.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<Vec<RawTaggedField>, DecodeError> {
        let count = self.unsigned_varint()?;
        let mut unknown = Vec::new();
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()?;
            let size = self.bounded(i64::from(size))?;
            let end = self.position + size;
            let mut field = Self { buffer: self.buffer.slice(..end), position: self.position };
            if known(tag, &mut field)? {
                field.finish()?;
            } else {
                unknown.push(RawTaggedField { tag, data: self.buffer.slice(self.position..end) });
            }
            self.position = end;
        }
        Ok(unknown)
    }
}
