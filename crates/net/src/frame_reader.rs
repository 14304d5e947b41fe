//! Frames from a connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::hint;

/// `socket.request.max.bytes` of a broker, and more than any client asks for: 100 MiB.
pub const DEFAULT_MAX_FRAME: usize = 100 * 1024 * 1024;

/// One read asks for this much at first, and for up to the other as long as reads fill it.
const READ_MIN: usize = 8 * 1024;
const READ_MAX: usize = 64 * 1024;

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The connection ended within a frame.
    #[error("the connection ended within a frame: {received} of {expected} bytes had arrived")]
    EndWithinFrame {
        /// Bytes of the frame that had arrived, its length's included.
        received: usize,
        /// Bytes of the whole, as far as known.
        expected: usize,
    },
    /// A frame above the limit.
    #[error("a frame of {length} bytes is above the limit of {max}")]
    TooLarge {
        /// The length it claims.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// No length of a frame is negative.
    #[error("a frame cannot have {0} bytes: this is not Kafka's protocol")]
    NegativeLength(i32),
    /// The other side speaks TLS, we do not: these are the first bytes of an alert or of a greeting.
    #[error("the other side speaks TLS, this connection is plaintext: got {first:02x?} where a length should be")]
    Tls {
        /// The first four bytes.
        first: [u8; 4],
    },
    /// The other side speaks HTTP.
    #[error("the other side speaks HTTP, not Kafka's protocol: got {:?} where a length should be", String::from_utf8_lossy(.first))]
    Http {
        /// The first four bytes.
        first: [u8; 4],
    },
}

impl FrameError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Tls { first: [0x16, ..] } => {
                Some("a client speaks TLS to a listener without it: it is to use security.protocol=PLAINTEXT, or the port of a TLS listener".to_owned())
            }
            Self::Tls { .. } => {
                Some("this listener wants TLS: use security.protocol=SSL (SASL_SSL with SASL), or the port of a listener without TLS".to_owned())
            }
            Self::Http { .. } => Some("this is the port of a web server (a REST proxy, a console): use the port of a Kafka listener".to_owned()),
            Self::NegativeLength(_) => Some("something other than a Kafka broker answers on this port, or the two sides disagree about TLS".to_owned()),
            Self::TooLarge { .. } => Some("raise receive.message.max.bytes (a broker's socket.request.max.bytes) if frames of this size are meant".to_owned()),
            Self::Io(error) => hint::for_io(error),
            Self::EndWithinFrame { .. } => None,
        }
    }

    /// Recognises other protocols by their first bytes.
    fn recognise(first: [u8; 4]) -> Option<Self> {
        match &first {
            // A record's type, the major version that is 3 in every TLS, a minor one.
            [0x14..=0x17, 0x03, 0x00..=0x04, _] => Some(Self::Tls { first }),
            b"HTTP" | b"GET " | b"POST" | b"PUT " | b"HEAD" | b"OPTI" | b"DELE" | b"PRI " => Some(Self::Http { first }),
            _ => None,
        }
    }
}

/// Cuts a connection's bytes into frames. One read may bring many frames, which then share a buffer; a frame larger than that is read straight into
/// a buffer of its own size. No byte of a frame is copied but those of a large one that came along with its length.
#[derive(Debug)]
pub struct FrameReader<R> {
    reader: R,
    buffer: BytesMut,
    /// The frame whose length has been read; its length's bytes are gone from `buffer`.
    expected: Option<usize>,
    max_frame: usize,
    read_size: usize,
    /// Memory for the next large frame.
    spare: Option<BytesMut>,
    frames: u64,
    bytes: u64,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads frames of at most `max_frame` bytes.
    pub fn new(reader: R, max_frame: usize) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
            expected: None,
            max_frame,
            read_size: READ_MIN,
            spare: None,
            frames: 0,
            bytes: 0,
        }
    }

    /// The next frame, without its length; `None` where the connection ended between frames.
    ///
    /// # Errors
    /// [`FrameError`]; the connection is of no further use.
    ///
    /// # Cancel safety
    /// No byte is lost.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Self::next), for a loop that polls.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, FrameError>> {
        loop {
            if let Some(frame) = self.next_buffered()? {
                return Poll::Ready(Ok(Some(frame)));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                let received = self.buffer.len() + if self.expected.is_some() { 4 } else { 0 };
                return Poll::Ready(match received {
                    0 => Ok(None),
                    _ => Err(FrameError::EndWithinFrame { received, expected: 4 + self.expected.unwrap_or(0) }),
                });
            }
        }
    }

    /// A frame that has already arrived: call it until it gives none before waiting again.
    ///
    /// # Errors
    /// [`FrameError`]; the connection is of no further use.
    pub fn next_buffered(&mut self) -> Result<Option<Bytes>, FrameError> {
        let length = match self.expected {
            Some(length) => length,
            None => {
                let Some(first) = self.buffer.first_chunk::<4>().copied() else { return Ok(None) };
                let length = self.check(first)?;
                self.buffer.advance(4);
                self.expected = Some(length);
                length
            }
        };
        if self.buffer.len() < length {
            return Ok(None);
        }
        self.expected = None;
        self.frames += 1;
        if length > READ_MAX && self.buffer.len() == length {
            // The buffer is the frame's own. Where one frame is large the next may be: read little of it before its length is known, as those
            // bytes are copied.
            self.read_size = READ_MIN;
            return Ok(Some(std::mem::take(&mut self.buffer).freeze()));
        }
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// Gives memory of an earlier frame back, to be used for the next large one that fits.
    pub fn lend(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        self.spare = Some(buffer);
    }

    /// Whether there is memory that was given back.
    pub fn has_spare(&self) -> bool {
        self.spare.is_some()
    }

    /// How many frames have been read.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// How many bytes have been read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bounds frames anew, for those whose length has not been read yet.
    pub fn set_max_frame(&mut self, max_frame: usize) {
        self.max_frame = max_frame;
    }

    fn check(&self, first: [u8; 4]) -> Result<usize, FrameError> {
        // Only where a conversation begins can it be of another kind; later the same bytes are a length.
        if self.frames == 0
            && let Some(other) = FrameError::recognise(first)
        {
            return Err(other);
        }
        let length = i32::from_be_bytes(first);
        match usize::try_from(length) {
            Err(_) => Err(FrameError::NegativeLength(length)),
            Ok(length) if length > self.max_frame => Err(FrameError::TooLarge { length, max: self.max_frame }),
            Ok(length) => Ok(length),
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let wanted = match self.expected {
            // What is missing of a large frame, and nothing behind it: its buffer is its own.
            Some(length) if length > READ_MAX => {
                if self.buffer.capacity() < length {
                    let spare = self.spare.take().filter(|spare| spare.capacity() >= length);
                    let mut own = spare.unwrap_or_else(|| BytesMut::with_capacity(length));
                    own.put_slice(&self.buffer);
                    self.buffer = own;
                }
                length - self.buffer.len()
            }
            expected => {
                let missing = expected.unwrap_or(4).saturating_sub(self.buffer.len());
                if self.buffer.capacity() - self.buffer.len() < missing.max(READ_MIN / 2) {
                    self.buffer.reserve(missing.max(self.read_size));
                }
                (self.buffer.capacity() - self.buffer.len()).min(READ_MAX)
            }
        };
        let mut target = (&mut self.buffer).limit(wanted);
        // `read_buf` keeps no state of its own, so that its future may be made anew at every poll.
        let count = ready!(pin!(self.reader.read_buf(&mut target)).poll(cx))?;
        self.bytes += count as u64;
        if count == wanted && self.read_size < READ_MAX {
            self.read_size *= 2;
        }
        Poll::Ready(Ok(count))
    }
}
