use bytes::Bytes;
use felice_protocol::messages::{self, ApiKey};
use felice_protocol::messages::{DescribeConfigsRequest, Request, describe_configs};
use felice_protocol::primitives::{ByteStr, EncodeError, Frame};

use super::PerItem;
use crate::client::decode_answer;
use crate::connection::EncodeRequest;
use crate::error::Error;

/// What properties are asked of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigResource {
    /// A topic.
    Topic(ByteStr),
    /// A broker, by its id.
    Broker(ByteStr),
}

/// A property as a broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Kafka's name.
    pub name: ByteStr,
    /// The value; `None` where it is null or secret.
    pub value: Option<ByteStr>,
    /// Whether nobody has set it.
    pub is_default: bool,
    /// Whether it cannot be changed.
    pub is_read_only: bool,
    /// Whether its value is kept secret.
    pub is_sensitive: bool,
}

/// Asks for the properties of topics or brokers. To any broker, a broker's own to that broker.
#[derive(Clone, Debug)]
pub struct DescribeConfigs(DescribeConfigsRequest);

/// `ConfigResource.Type.TOPIC`.
const TOPIC: i8 = 2;
/// `ConfigResource.Type.BROKER`.
const BROKER: i8 = 4;
/// `ConfigSource.DEFAULT_CONFIG`.
const DEFAULT_CONFIG: i8 = 5;

impl DescribeConfigs {
    /// Asks for all properties of each.
    pub fn new(resources: &[ConfigResource]) -> Self {
        let resource = |resource: &ConfigResource| {
            let (resource_type, resource_name) = match resource {
                ConfigResource::Topic(name) => (TOPIC, name.clone()),
                ConfigResource::Broker(id) => (BROKER, id.clone()),
            };
            describe_configs::request::DescribeConfigsResource { resource_type, resource_name, ..Default::default() }
        };
        Self(DescribeConfigsRequest { resources: resources.iter().map(resource).collect(), ..Default::default() })
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(answer: (i16, Bytes)) -> Result<PerItem<Vec<ConfigEntry>>, Error> {
        let response = decode_answer::<DescribeConfigsRequest>(answer)?;
        let described = response.results.into_iter().map(|resource| {
            let name = resource.resource_name;
            let result = match resource.error_code.ok() {
                Ok(()) => Ok(resource.configs.into_iter().map(entry).collect()),
                Err(code) => Err(Error::from_code(code, resource.error_message.as_deref()).on_topic(&name)),
            };
            (name, result)
        });
        Ok(described.collect())
    }
}

fn entry(config: describe_configs::response::DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: config.name,
        value: config.value,
        is_default: config.config_source == DEFAULT_CONFIG,
        is_read_only: config.read_only,
        is_sensitive: config.is_sensitive,
    }
}

impl EncodeRequest for DescribeConfigs {
    fn api(&self) -> (ApiKey, i16, i16) {
        (ApiKey::DESCRIBE_CONFIGS, DescribeConfigsRequest::MIN_VERSION, DescribeConfigsRequest::MAX_VERSION)
    }

    fn encode(&self, correlation_id: i32, client_id: &str, version: i16) -> Result<Frame, EncodeError> {
        messages::encode_request(correlation_id, Some(client_id), version, &self.0)
    }
}
