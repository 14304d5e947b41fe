//! A message without its type: by name, as tests and tools walk them.

use bytes::Bytes;

use super::Message;
use crate::primitives::{DecodeError, Decoder, EncodeError, Encoder, Frame};

/// One message type.
#[derive(Clone, Copy, Debug)]
pub struct MessageEntry {
    /// Kafka's name, as `ProduceRequest`.
    pub name: &'static str,
    /// The lowest version.
    pub min_version: i16,
    /// The highest version.
    pub max_version: i16,
    /// Reads a message from bytes that hold nothing else, and writes it again.
    pub recode: fn(Bytes, i16) -> Result<Frame, RecodeError>,
}

/// Why bytes did not survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecodeError {
    /// They are not such a message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// What was read cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

pub(super) fn recode<M: Message>(bytes: Bytes, version: i16) -> Result<Frame, RecodeError> {
    let mut d = Decoder::new(bytes);
    let message = M::decode(&mut d, version)?;
    d.finish()?;
    let mut e = Encoder::new();
    message.encode(&mut e, version)?;
    Ok(e.finish())
}
