use bytes::{BufMut, Bytes, BytesMut};

use super::{RawTaggedField, Uuid};

/// Why a message cannot be written in the asked version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The version cannot carry a field that is set to something other than its default.
    #[error("version {version} cannot carry field {field}")]
    FieldNotInVersion {
        /// The field's name.
        field: &'static str,
        /// The asked version.
        version: i16,
    },
    /// A field is null where the version does not allow it.
    #[error("field {field} must not be null in version {version}")]
    NullNotInVersion {
        /// The field's name.
        field: &'static str,
        /// The asked version.
        version: i16,
    },
    /// A string, byte or element count above what its length field holds.
    #[error("a length of {0} is more than the protocol can carry")]
    TooLong(usize),
    /// A version that the message does not have.
    #[error("version {0} of this message is not known")]
    UnknownVersion(i16),
}

/// Bytes of this length and above become chunks of their own instead of being copied.
const SHARE_FROM: usize = 4096;

/// Encoded bytes, in the order in which they go out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The chunks; none is empty.
    pub chunks: Vec<Bytes>,
}

impl Frame {
    /// The sum of the chunks' lengths.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// One contiguous buffer: copies, unless there is a single chunk.
    pub fn into_bytes(mut self) -> Bytes {
        if self.chunks.len() == 1 {
            return self.chunks.remove(0);
        }
        let mut all = BytesMut::with_capacity(self.len());
        for chunk in &self.chunks {
            all.put_slice(chunk);
        }
        all.freeze()
    }
}

/// Writes messages front to back.
#[derive(Debug, Default)]
pub struct Encoder {
    chunks: Vec<Bytes>,
    buffer: BytesMut,
    chunked: usize,
}

impl Encoder {
    /// An empty encoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.chunked + self.buffer.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was written.
    pub fn finish(mut self) -> Frame {
        self.cut();
        Frame { chunks: self.chunks }
    }

    /// What was written, behind its length as a 32-bit integer: a frame as it goes over a connection.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] past 2 GiB.
    pub fn finish_framed(mut self) -> Result<Frame, EncodeError> {
        let length = i32::try_from(self.len()).map_err(|_| EncodeError::TooLong(self.len()))?;
        self.cut();
        let mut chunks = Vec::with_capacity(self.chunks.len() + 1);
        chunks.push(Bytes::copy_from_slice(&length.to_be_bytes()));
        chunks.append(&mut self.chunks);
        Ok(Frame { chunks })
    }

    fn cut(&mut self) {
        if !self.buffer.is_empty() {
            let chunk = self.buffer.split().freeze();
            self.chunked += chunk.len();
            self.chunks.push(chunk);
        }
    }

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// Writes bytes as they are, without copying them where they are many.
    pub fn raw_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARE_FROM {
            return self.raw(bytes);
        }
        self.cut();
        self.chunked += bytes.len();
        self.chunks.push(bytes.clone());
    }
}

macro_rules! fixed {
    ($($name:ident $type:ty),*) => {$(
        #[doc = concat!("Writes a big-endian `", stringify!($type), "`.")]
        pub fn $name(&mut self, value: $type) {
            self.buffer.put_slice(&value.to_be_bytes());
        }
    )*};
}

/// The protocol's types, one method each.
impl Encoder {
    fixed!(i8 i8, i16 i16, u16 u16, i32 i32, u32 u32, i64 i64, f64 f64);

    /// Writes 1 or 0.
    pub fn bool(&mut self, value: bool) {
        self.i8(i8::from(value));
    }

    /// Writes a UUID.
    pub fn uuid(&mut self, value: Uuid) {
        self.raw(&value.0);
    }

    /// Writes an unsigned variable-length integer.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value.to_le_bytes()[0]);
    }

    fn length32(&mut self, flexible: bool, length: Option<usize>) -> Result<(), EncodeError> {
        let Some(length) = length else {
            if flexible {
                self.unsigned_varint(0)
            } else {
                self.i32(-1)
            }
            return Ok(());
        };
        let n = i32::try_from(length).ok().filter(|n| *n < i32::MAX).ok_or(EncodeError::TooLong(length))?;
        if flexible {
            self.unsigned_varint(n.unsigned_abs() + 1)
        } else {
            self.i32(n)
        }
        Ok(())
    }

    /// Writes a string that may be null.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`].
    pub fn nullable_string(&mut self, flexible: bool, text: Option<&str>) -> Result<(), EncodeError> {
        if flexible {
            self.length32(true, text.map(str::len))?;
        } else {
            match text {
                None => self.i16(-1),
                Some(text) => self.i16(i16::try_from(text.len()).map_err(|_| EncodeError::TooLong(text.len()))?),
            }
        }
        self.raw(text.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// Writes a string.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`].
    pub fn string(&mut self, flexible: bool, text: &str) -> Result<(), EncodeError> {
        self.nullable_string(flexible, Some(text))
    }

    /// Writes bytes (or records) that may be null; many are shared, not copied.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`].
    pub fn nullable_bytes(&mut self, flexible: bool, bytes: Option<&Bytes>) -> Result<(), EncodeError> {
        self.length32(flexible, bytes.map(Bytes::len))?;
        if let Some(bytes) = bytes {
            self.raw_shared(bytes);
        }
        Ok(())
    }

    /// Writes bytes (or records); many are shared, not copied.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`].
    pub fn bytes(&mut self, flexible: bool, bytes: &Bytes) -> Result<(), EncodeError> {
        self.nullable_bytes(flexible, Some(bytes))
    }

    /// Writes an array that may be null, each element by `element`.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`], and what `element` gives.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        elements: Option<&[T]>,
        mut element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.length32(flexible, elements.map(<[T]>::len))?;
        for one in elements.unwrap_or_default() {
            element(self, one)?;
        }
        Ok(())
    }

    /// Writes an array, each element by `element`.
    ///
    /// # Errors
    /// As [`Self::nullable_array`].
    pub fn array<T>(
        &mut self,
        flexible: bool,
        elements: &[T],
        element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.nullable_array(flexible, Some(elements), element)
    }

    /// Writes how many tagged fields follow.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`].
    pub fn tag_count(&mut self, count: usize) -> Result<(), EncodeError> {
        self.unsigned_varint(u32::try_from(count).map_err(|_| EncodeError::TooLong(count))?);
        Ok(())
    }

    /// Writes one tagged field: tag, size, then what `content` writes.
    ///
    /// # Errors
    /// What `content` gives.
    pub fn tagged_field(
        &mut self,
        tag: u32,
        content: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut inner = Self::new();
        content(&mut inner)?;
        self.unsigned_varint(tag);
        self.unsigned_varint(u32::try_from(inner.len()).map_err(|_| EncodeError::TooLong(inner.len()))?);
        for chunk in inner.finish().chunks {
            self.raw_shared(&chunk);
        }
        Ok(())
    }

    /// Writes unknown tagged fields as they came.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`].
    pub fn raw_tagged_fields(&mut self, fields: &[RawTaggedField]) -> Result<(), EncodeError> {
        for field in fields {
            self.unsigned_varint(field.tag);
            self.unsigned_varint(u32::try_from(field.data.len()).map_err(|_| EncodeError::TooLong(field.data.len()))?);
            self.raw_shared(&field.data);
        }
        Ok(())
    }
}
