//! DescribeConfigs (32): topics and this broker.

use std::collections::BTreeMap;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::describe_configs::request::DescribeConfigsResource;
use felice_protocol::messages::describe_configs::response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use felice_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use felice_protocol::primitives::ByteStr;

use crate::broker::BrokerCore;
use crate::config::{Kind, Property, broker_properties, broker_synonyms, broker_value, default_of, topic_properties};

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

const DYNAMIC_TOPIC: i8 = 1;
const STATIC_BROKER: i8 = 4;
const DEFAULT: i8 = 5;

/// A property with its value and where that comes from.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) property: &'static Property,
    pub(super) value: Option<String>,
    pub(super) source: i8,
    /// Name, value, source; the one that counts first.
    synonyms: Vec<(&'static str, Option<String>, i8)>,
}

pub(super) fn handle(core: &BrokerCore, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let include_synonyms = request.include_synonyms;
    let results = request.resources.into_iter().map(|resource| describe(core, resource, include_synonyms));
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }
}

fn describe(core: &BrokerCore, asked: DescribeConfigsResource, include_synonyms: bool) -> DescribeConfigsResult {
    let mut result = DescribeConfigsResult {
        resource_type: asked.resource_type,
        resource_name: asked.resource_name.clone(),
        ..Default::default()
    };
    let mut fail = |code: ErrorCode, message: String| {
        result.error_code = code;
        result.error_message = Some(message.into());
    };
    let entries = match asked.resource_type {
        TOPIC => match core.topics.by_name(&asked.resource_name) {
            Some(topic) => topic_entries(core, &topic.config.overrides),
            None => {
                match crate::controller::validate_name(&asked.resource_name) {
                    Ok(()) => fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "There is no such topic.".to_owned()),
                    Err(error) => fail(error.code, error.message),
                }
                return result;
            }
        },
        // The empty name asks for what is set for all brokers at run time: nothing.
        BROKER if asked.resource_name.is_empty() => Vec::new(),
        BROKER if asked.resource_name.parse() == Ok(core.config.node_id()) => broker_entries(core),
        BROKER => {
            let id = core.config.node_id();
            fail(ErrorCode::INVALID_REQUEST, format!("This is broker {id}, not {}.", asked.resource_name));
            return result;
        }
        other => {
            fail(ErrorCode::INVALID_REQUEST, format!("Config resources of type {other} are not supported."));
            return result;
        }
    };
    let is_wanted =
        |name: &str| asked.configuration_keys.as_ref().is_none_or(|keys| keys.iter().any(|key| *key == name));
    let read_only = asked.resource_type == BROKER;
    let wanted = entries.into_iter().filter(|entry| is_wanted(entry.property.name));
    result.configs = wanted.map(|entry| to_wire(entry, read_only, include_synonyms)).collect();
    result
}

fn to_wire(entry: Entry, read_only: bool, include_synonyms: bool) -> DescribeConfigsResourceResult {
    let is_sensitive = entry.property.kind == Kind::Password;
    let shown = |value: Option<String>| value.filter(|_| !is_sensitive).map(Into::into);
    let synonyms = entry.synonyms.into_iter().filter(|_| include_synonyms).map(|(name, value, source)| {
        DescribeConfigsSynonym { name: ByteStr::from_static(name), value: shown(value), source, ..Default::default() }
    });
    DescribeConfigsResourceResult {
        name: ByteStr::from_static(entry.property.name),
        read_only,
        config_source: entry.source,
        is_sensitive,
        synonyms: synonyms.collect(),
        config_type: entry.property.kind.wire(),
        value: shown(entry.value),
        documentation: None,
        ..Default::default()
    }
}

/// Every property of a topic that sets these.
pub(super) fn topic_entries(core: &BrokerCore, overrides: &BTreeMap<String, String>) -> Vec<Entry> {
    let entry = |property: &'static Property| {
        let mut synonyms = Vec::new();
        if let Some(value) = overrides.get(property.name) {
            synonyms.push((property.name, Some(value.clone()), DYNAMIC_TOPIC));
        }
        if let Some((value, name)) = broker_value(&core.config, property.name) {
            synonyms.push((name, Some(value), STATIC_BROKER));
        }
        if let Some((name, _)) = broker_synonyms(property.name).last() {
            synonyms.push((name, default_of(name).map(str::to_owned), DEFAULT));
        }
        let default = (property.name, property.default.map(str::to_owned), DEFAULT);
        // The unit of the broker's default may be another (`log.retention.hours`): the topic's own default is the same in its unit.
        let (_, value, source) = synonyms.first().filter(|(.., source)| *source != DEFAULT).unwrap_or(&default).clone();
        Entry { property, value, source, synonyms }
    };
    topic_properties().filter(|property| !property.name.starts_with("internal.")).map(entry).collect()
}

fn broker_entries(core: &BrokerCore) -> Vec<Entry> {
    let entry = |property: &'static Property| {
        let default = default_of(property.name).map(str::to_owned);
        let value = core.config.property(property.name).map(str::to_owned);
        let is_set = core.config.is_set(property.name);
        let mut synonyms = Vec::new();
        if is_set {
            synonyms.push((property.name, value.clone(), STATIC_BROKER));
        }
        if default.is_some() {
            synonyms.push((property.name, default, DEFAULT));
        }
        Entry { property, value, source: if is_set { STATIC_BROKER } else { DEFAULT }, synonyms }
    };
    broker_properties().map(entry).collect()
}
