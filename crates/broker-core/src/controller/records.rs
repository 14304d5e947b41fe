//! The metadata records and the frame around each: frame version, type, version, all as unsigned varints, then the message.
//! Java: `MetadataRecordSerde`.

use bytes::Bytes;

use felice_protocol::messages::Message;
use felice_protocol::messages::data::{
    ConfigRecord, FeatureLevelRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord, RemoveTopicRecord,
    TopicRecord,
};
use felice_protocol::primitives::{DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder};

const FRAME_VERSION: u32 = 1;

/// A record of the metadata log.
#[derive(Debug)]
pub(super) enum MetadataRecord {
    RegisterBroker(RegisterBrokerRecord),
    Topic(TopicRecord),
    Partition(PartitionRecord),
    Config(ConfigRecord),
    RemoveTopic(RemoveTopicRecord),
    FeatureLevel(FeatureLevelRecord),
    ProducerIds(ProducerIdsRecord),
    /// A type that this broker has no use for.
    Other,
}

impl MetadataRecord {
    pub(super) fn encode(&self) -> Result<Bytes, EncodeError> {
        let mut e = Encoder::new();
        match self {
            Self::RegisterBroker(record) => framed(&mut e, RegisterBrokerRecord::API_KEY, 3, record)?,
            Self::Topic(record) => framed(&mut e, TopicRecord::API_KEY, 0, record)?,
            Self::Partition(record) => framed(&mut e, PartitionRecord::API_KEY, 2, record)?,
            Self::Config(record) => framed(&mut e, ConfigRecord::API_KEY, 0, record)?,
            Self::RemoveTopic(record) => framed(&mut e, RemoveTopicRecord::API_KEY, 0, record)?,
            Self::FeatureLevel(record) => framed(&mut e, FeatureLevelRecord::API_KEY, 0, record)?,
            Self::ProducerIds(record) => framed(&mut e, ProducerIdsRecord::API_KEY, 0, record)?,
            Self::Other => {}
        }
        Ok(e.finish().into_bytes())
    }

    pub(super) fn decode(value: Bytes) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(value);
        if d.unsigned_varint()? != FRAME_VERSION {
            return Err(d.error(DecodeErrorKind::Invalid("the frame version of a metadata record is not 1")));
        }
        let number = |d: &mut Decoder| {
            let number = d.unsigned_varint()?;
            i16::try_from(number).map_err(|_| d.error(DecodeErrorKind::BadLength(i64::from(number))))
        };
        let (api_key, version) = (number(&mut d)?, number(&mut d)?);
        let d = &mut d;
        Ok(match api_key {
            RegisterBrokerRecord::API_KEY => Self::RegisterBroker(RegisterBrokerRecord::decode(d, version)?),
            TopicRecord::API_KEY => Self::Topic(TopicRecord::decode(d, version)?),
            PartitionRecord::API_KEY => Self::Partition(PartitionRecord::decode(d, version)?),
            ConfigRecord::API_KEY => Self::Config(ConfigRecord::decode(d, version)?),
            RemoveTopicRecord::API_KEY => Self::RemoveTopic(RemoveTopicRecord::decode(d, version)?),
            FeatureLevelRecord::API_KEY => Self::FeatureLevel(FeatureLevelRecord::decode(d, version)?),
            ProducerIdsRecord::API_KEY => Self::ProducerIds(ProducerIdsRecord::decode(d, version)?),
            _ => Self::Other,
        })
    }
}

fn framed(e: &mut Encoder, api_key: i16, version: i16, record: &impl Message) -> Result<(), EncodeError> {
    e.unsigned_varint(FRAME_VERSION);
    e.unsigned_varint(api_key.unsigned_abs().into());
    e.unsigned_varint(version.unsigned_abs().into());
    record.encode(e, version)
}
