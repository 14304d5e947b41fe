//! The records of `__consumer_offsets`: a key that begins with the record's type, a value that begins with its version. Java:
//! `GroupCoordinatorRecordHelpers`, `CoordinatorRecordSerde`.

use bytes::Bytes;

use felice_protocol::messages::Message;
use felice_protocol::messages::data::{
    GroupMetadataKey, GroupMetadataValue, LegacyOffsetCommitKey, OffsetCommitKey, OffsetCommitValue,
};
use felice_protocol::primitives::{ByteStr, DecodeError, Decoder, EncodeError, Encoder};

/// A record that is to be written. Without a value it deletes what was written under its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupRecord {
    /// Type and key.
    pub(crate) key: Bytes,
    /// Version and value.
    pub(crate) value: Option<Bytes>,
}

impl GroupRecord {
    /// A record of the type `api_key`, its value in the given version.
    ///
    /// What comes from outside is short enough for every field by the time that it gets here.
    pub(crate) fn new<K: Message, V: Message>(api_key: i16, key: &K, version: i16, value: &V) -> Self {
        Self { key: prefixed(api_key, 0, key), value: Some(prefixed(version, version, value)) }
    }

    /// What deletes the record with this key.
    pub(crate) fn tombstone<K: Message>(api_key: i16, key: &K) -> Self {
        Self { key: prefixed(api_key, 0, key), value: None }
    }

    /// How many bytes it takes in a batch, at most.
    pub(crate) fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len) + 32
    }
}

fn prefixed(prefix: i16, version: i16, message: &impl Message) -> Bytes {
    let mut e = Encoder::new();
    e.i16(prefix);
    let encoded: Result<(), EncodeError> = message.encode(&mut e, version);
    debug_assert!(encoded.is_ok(), "{encoded:?}");
    e.finish().into_bytes()
}

/// A record of the log, read.
#[derive(Debug)]
pub(crate) enum ReplayRecord {
    /// A committed offset, or its deletion.
    Offset(OffsetCommitKey, Option<OffsetCommitValue>),
    /// A classic group, or its deletion.
    Group(ByteStr, Option<GroupMetadataValue>),
    /// A type of the consumer protocol: type, key and value behind their prefixes, the value's version.
    Consumer {
        /// The record's type.
        api_key: i16,
        /// The key, its type taken off.
        key: Decoder,
        /// The value's version, and the value.
        value: Option<(i16, Decoder)>,
    },
    /// A type that this broker has no use for.
    Other,
}

impl ReplayRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// A [`DecodeError`] where it is none.
    pub(crate) fn decode(key: Bytes, value: Option<Bytes>) -> Result<Self, DecodeError> {
        let mut key = Decoder::new(key);
        let api_key = key.i16()?;
        let value = match value {
            None => None,
            Some(value) => {
                let mut value = Decoder::new(value);
                Some((value.i16()?, value))
            }
        };
        Ok(match api_key {
            LegacyOffsetCommitKey::API_KEY | OffsetCommitKey::API_KEY => {
                Self::Offset(OffsetCommitKey::decode(&mut key, 0)?, decode_value(value)?)
            }
            GroupMetadataKey::API_KEY => {
                Self::Group(GroupMetadataKey::decode(&mut key, 0)?.group, decode_value(value)?)
            }
            3..=8 | 16 => Self::Consumer { api_key, key, value },
            _ => Self::Other,
        })
    }
}

/// A value behind its version.
pub(crate) fn decode_value<V: Message>(value: Option<(i16, Decoder)>) -> Result<Option<V>, DecodeError> {
    value.map(|(version, mut value)| V::decode(&mut value, version)).transpose()
}
