//! AlterConfigs (33), which replaces all that is set, and IncrementalAlterConfigs (44), which changes single properties. Topics only: a broker
//! takes its configuration at its start.

use std::collections::BTreeMap;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::incremental_alter_configs::request::AlterableConfig;
use felice_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
    alter_configs, incremental_alter_configs,
};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::Now;

use super::describe_configs::{BROKER, TOPIC, topic_entries};
use crate::broker::BrokerCore;
use crate::config::{Kind, topic_properties};
use crate::controller::{ConfigChanges, Controller, TopicError};
use crate::topics::Topic;

/// A resource's type and name.
type Resource = (i8, ByteStr);

pub(super) fn handle(core: &mut BrokerCore, now: Now, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let resources: Vec<Resource> =
        request.resources.iter().map(|r| (r.resource_type, r.resource_name.clone())).collect();
    let altered = request.resources.into_iter().zip(&resources).map(|(asked, resource)| {
        let changes = |_: &BrokerCore, topic: &Topic| {
            let mut changes: ConfigChanges = topic.config.overrides.keys().map(|name| (name.clone(), None)).collect();
            once_each(asked.configs.iter().map(|config| &config.name))?;
            for config in asked.configs {
                let value = config.value.ok_or_else(|| null_value(&config.name))?;
                changes.insert(config.name.to_string(), Some(value.to_string()));
            }
            Ok(changes)
        };
        let (error_code, error_message) = alter(core, now, resource, &resources, request.validate_only, changes);
        alter_configs::response::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: asked.resource_type,
            resource_name: asked.resource_name,
            ..Default::default()
        }
    });
    let responses = altered.collect();
    AlterConfigsResponse { responses, ..Default::default() }
}

pub(super) fn handle_incremental(
    core: &mut BrokerCore,
    now: Now,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let resources: Vec<Resource> =
        request.resources.iter().map(|r| (r.resource_type, r.resource_name.clone())).collect();
    let altered = request.resources.into_iter().zip(&resources).map(|(asked, resource)| {
        let changes = |core: &BrokerCore, topic: &Topic| {
            once_each(asked.configs.iter().map(|config| &config.name))?;
            asked.configs.into_iter().map(|config| incremental(core, topic, config)).collect()
        };
        let (error_code, error_message) = alter(core, now, resource, &resources, request.validate_only, changes);
        incremental_alter_configs::response::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: asked.resource_type,
            resource_name: asked.resource_name,
            ..Default::default()
        }
    });
    let responses = altered.collect();
    IncrementalAlterConfigsResponse { responses, ..Default::default() }
}

fn error(code: ErrorCode, message: impl Into<String>) -> TopicError {
    TopicError { code, message: message.into() }
}

fn null_value(name: &str) -> TopicError {
    error(ErrorCode::INVALID_REQUEST, format!("Null value not supported for: {name}"))
}

fn once_each<'a>(names: impl Iterator<Item = &'a ByteStr>) -> Result<(), TopicError> {
    let mut names: Vec<&ByteStr> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(error(ErrorCode::INVALID_REQUEST, format!("Property {} is named twice.", pair[0]))),
        None => Ok(()),
    }
}

/// Alters one resource of a request that names all of these.
fn alter(
    core: &mut BrokerCore,
    now: Now,
    resource: &Resource,
    all: &[Resource],
    validate_only: bool,
    changes: impl FnOnce(&BrokerCore, &Topic) -> Result<ConfigChanges, TopicError>,
) -> (ErrorCode, Option<ByteStr>) {
    let altered = find(core, resource, all).and_then(|id| {
        let Some(topic) = core.topics.get(&id) else { return Ok(()) };
        let changes = changes(core, topic)?;
        if validate_only { Controller::check_configs(&changes) } else { core.alter_topic_configs(now, id, changes) }
    });
    match altered {
        Ok(()) => (ErrorCode::NONE, None),
        Err(error) => (error.code, Some(error.message.into())),
    }
}

fn find(core: &BrokerCore, resource: &Resource, all: &[Resource]) -> Result<Uuid, TopicError> {
    if all.iter().filter(|other| *other == resource).count() > 1 {
        return Err(error(ErrorCode::INVALID_REQUEST, "A resource is named twice in one request."));
    }
    match resource {
        (TOPIC, name) if name.is_empty() => {
            Err(error(ErrorCode::INVALID_REQUEST, "Default topic resources are not allowed."))
        }
        (TOPIC, name) => core.topics.id_of(name).ok_or_else(|| {
            crate::controller::validate_name(name)
                .err()
                .unwrap_or_else(|| error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "There is no such topic."))
        }),
        (BROKER, _) => Err(error(
            ErrorCode::INVALID_REQUEST,
            "A broker's configuration cannot be changed while it runs: set it where the broker is started.",
        )),
        (other, _) => Err(error(
            ErrorCode::INVALID_REQUEST,
            format!("Config resources of type {other} cannot be altered, only topics."),
        )),
    }
}

/// What one operation makes of a property.
fn incremental(
    core: &BrokerCore,
    topic: &Topic,
    config: AlterableConfig,
) -> Result<(String, Option<String>), TopicError> {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    const APPEND: i8 = 2;
    const SUBTRACT: i8 = 3;

    let name = config.name.to_string();
    if config.config_operation == DELETE {
        return Ok((name, None));
    }
    let value = config.value.ok_or_else(|| null_value(&name))?.to_string();
    let is_append = match config.config_operation {
        SET => return Ok((name, Some(value))),
        APPEND => true,
        SUBTRACT => false,
        other => {
            return Err(error(ErrorCode::INVALID_REQUEST, format!("Unknown operation {other} on {name}.")));
        }
    };
    if topic_properties().any(|property| property.name == name && property.kind != Kind::List) {
        return Err(error(
            ErrorCode::INVALID_CONFIG,
            format!("{name} is no list: values cannot be appended to it or subtracted from it."),
        ));
    }
    let current = current_value(core, &topic.config.overrides, &name);
    let mut parts = list(&current);
    for part in list(&value) {
        if !is_append {
            parts.retain(|there| *there != part);
        } else if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let altered = parts.join(",");
    Ok((name, Some(altered)))
}

fn list(value: &str) -> Vec<&str> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn current_value(core: &BrokerCore, overrides: &BTreeMap<String, String>, name: &str) -> String {
    let entry = topic_entries(core, overrides).into_iter().find(|entry| entry.property.name == name);
    entry.and_then(|entry| entry.value).unwrap_or_default()
}
