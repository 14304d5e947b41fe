//! Configurations of topics, brokers and groups: described and altered.

use std::collections::BTreeSet;
use std::ffi::{CString, c_char, c_int};

use felice::ErrorCode;
use felice::protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, alter_configs, describe_configs,
    incremental_alter_configs,
};

use crate::admin::options::AdminOptions;
use crate::admin::result::{ALTER_CONFIGS, DESCRIBE_CONFIGS, INCREMENTAL_ALTER_CONFIGS, error_text, optional};
use crate::admin::{Array, Failure, Items, Run, Target, Work, c_text, destroyers, getters, launch, taken};
use crate::boundary::{guard, text};
use crate::errors::object::ErrorObject;
use crate::errors::rd_kafka_err2str;
use crate::handle::Kafka;
use crate::queue::QueueRef;
use crate::types::RespErr;

/// `RD_KAFKA_RESOURCE_BROKER`.
const BROKER: c_int = 4;
/// `RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE`; SET is 0, the last one, SUBTRACT, 3.
const DELETE: c_int = 1;
/// Kafka's number for a value that nobody has set.
const DEFAULT_CONFIG: i8 = 5;

/// librdkafka's number of a kind of resource, and that of the protocol.
const RESOURCE_TYPES: &[(c_int, i8)] = &[(2, 2), (BROKER, 4), (3, 32)];

fn to_protocol(kind: c_int) -> i8 {
    RESOURCE_TYPES.iter().find(|row| row.0 == kind).map_or(0, |row| row.1)
}

fn of_protocol(kind: i8) -> c_int {
    RESOURCE_TYPES.iter().find(|row| row.1 == kind).map_or(0, |row| row.0)
}

/// `rd_kafka_ConfigEntry_t`.
#[derive(Clone, Debug, Default)]
pub struct ConfigEntry {
    name: CString,
    value: Option<CString>,
    source: i8,
    read_only: bool,
    default: bool,
    sensitive: bool,
    synonym: bool,
    /// What an incremental change does.
    operation: i8,
    synonyms: Array<ConfigEntry>,
}

getters! { ConfigEntry;
    /// The property's name.
    rd_kafka_ConfigEntry_name -> *const c_char = std::ptr::null(), |entry| entry.name.as_ptr();
    /// Its value; NULL where there is none or it is a secret.
    rd_kafka_ConfigEntry_value -> *const c_char = std::ptr::null(), |entry| optional(entry.value.as_ref());
    /// Where the value comes from.
    rd_kafka_ConfigEntry_source -> c_int = 0, |entry| entry.source.into();
    /// 1 where it cannot be changed.
    rd_kafka_ConfigEntry_is_read_only -> c_int = 0, |entry| entry.read_only.into();
    /// 1 where nobody has set it.
    rd_kafka_ConfigEntry_is_default -> c_int = 0, |entry| entry.default.into();
    /// 1 where it is a secret.
    rd_kafka_ConfigEntry_is_sensitive -> c_int = 0, |entry| entry.sensitive.into();
    /// 1 for one of another entry's synonyms.
    rd_kafka_ConfigEntry_is_synonym -> c_int = 0, |entry| entry.synonym.into();
}

getters! { ConfigEntry [array];
    /// Where the value would come from otherwise, the nearest first.
    rd_kafka_ConfigEntry_synonyms -> ConfigEntry = |entry| Some(&entry.synonyms);
}

/// `rd_kafka_ConfigResource_t`.
#[derive(Clone, Debug)]
pub struct ConfigResource {
    kind: c_int,
    name: CString,
    entries: Array<ConfigEntry>,
    error: RespErr,
    text: Option<CString>,
}

impl ConfigResource {
    fn named(kind: c_int, name: &str) -> Self {
        Self { kind, name: c_text(name), entries: Array::default(), error: RespErr::NO_ERROR, text: None }
    }

    fn answered(kind: i8, name: &str, code: ErrorCode, message: Option<&str>) -> Self {
        let text = error_text(code, message);
        Self { error: RespErr(code.0.into()), text, ..Self::named(of_protocol(kind), name) }
    }

    fn name(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }
}

getters! { ConfigResource;
    /// What kind of resource it is.
    rd_kafka_ConfigResource_type -> c_int = 0, |resource| resource.kind;
    /// Its name; of a broker, its id.
    rd_kafka_ConfigResource_name -> *const c_char = std::ptr::null(), |resource| resource.name.as_ptr();
    /// Its error in a result.
    rd_kafka_ConfigResource_error -> RespErr = RespErr::NO_ERROR, |resource| resource.error;
    /// The text of its error; NULL where there is none.
    rd_kafka_ConfigResource_error_string -> *const c_char = std::ptr::null(), |resource| match &resource.text {
        Some(text) => text.as_ptr(),
        None if resource.error == RespErr::NO_ERROR => std::ptr::null(),
        None => rd_kafka_err2str(resource.error),
    };
}

getters! { ConfigResource [array];
    /// Its properties.
    rd_kafka_ConfigResource_configs -> ConfigEntry = |resource| Some(&resource.entries);
}

destroyers! { ConfigResource: rd_kafka_ConfigResource_destroy rd_kafka_ConfigResource_destroy_array; }

/// A resource, by kind and name; NULL without a name.
///
/// # Safety
/// `resname` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_ConfigResource_new(restype: c_int, resname: *const c_char) -> *mut ConfigResource {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        match unsafe { text(resname) } {
            Some(name) if !name.is_empty() && restype >= 0 => {
                Box::into_raw(Box::new(ConfigResource::named(restype, name)))
            }
            Some(_) | None => std::ptr::null_mut(),
        }
    })
}

/// A property that the resource is to have.
///
/// # Safety
/// `config` came from [`rd_kafka_ConfigResource_new`]; both texts are NULL or end in NUL bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_ConfigResource_set_config(
    config: *mut ConfigResource,
    name: *const c_char,
    value: *const c_char,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for all three.
        match unsafe { (config.as_mut(), text(name), text(value)) } {
            (Some(config), Some(name), Some(value)) if !name.is_empty() => {
                let value = Some(c_text(value));
                config.entries.push(ConfigEntry { name: c_text(name), value, ..Default::default() });
                RespErr::NO_ERROR
            }
            _ => RespErr::INVALID_ARG,
        }
    })
}

/// A change of one property: 0 sets it, 1 deletes it, 2 adds to a list, 3 takes from a list.
///
/// # Safety
/// As for [`rd_kafka_ConfigResource_set_config`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_ConfigResource_add_incremental_config(
    config: *mut ConfigResource,
    name: *const c_char,
    op_type: c_int,
    value: *const c_char,
) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for all three.
        let (config, name, value) = unsafe { (config.as_mut(), text(name), text(value)) };
        let operation = i8::try_from(op_type).ok().filter(|operation| (0..4).contains(operation));
        let outcome = match (operation, name) {
            (None, _) => Err("Invalid alter config operation type"),
            (Some(_), None) => Err("Config name is required"),
            (Some(_), Some("")) => Err("Config name mustn't be empty"),
            (Some(_), Some(_)) if op_type != DELETE && value.is_none() => Err("Config value is required"),
            (Some(operation), Some(name)) => {
                Ok(ConfigEntry { name: c_text(name), value: value.map(c_text), operation, ..Default::default() })
            }
        };
        match (outcome, config) {
            (Ok(entry), Some(config)) => {
                config.entries.push(entry);
                std::ptr::null_mut()
            }
            (Ok(_), None) => ErrorObject::new(RespErr::INVALID_ARG, "Config resource is required").give(),
            (Err(text), _) => ErrorObject::new(RespErr::INVALID_ARG, text).give(),
        }
    })
}

/// Who is asked: the broker where one is among the resources, else the controller.
fn target(resources: &[ConfigResource]) -> Result<Target, Failure> {
    let mut target = Target::Controller;
    for broker in resources.iter().filter(|resource| resource.kind == BROKER) {
        if target != Target::Controller {
            let text = "Only one ConfigResource of type BROKER is allowed per call";
            return Err(Failure::new(RespErr::CONFLICT, text));
        }
        let digits = broker.name().trim_start();
        let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
        let Some(Ok(id)) = digits.get(..end).map(str::parse) else {
            let name = broker.name();
            let text = format!("Expected an int32 broker_id for ConfigResource(type=BROKER, name={name})");
            return Err(Failure::argument(text));
        };
        target = Target::Broker(id);
    }
    Ok(target)
}

/// A resource that is there twice, or one of its properties, is no good.
fn without_duplicates(resources: &[ConfigResource]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for resource in resources {
        if !seen.insert((resource.kind, &resource.name)) {
            return Err(Failure::argument("Duplicate ConfigResource found"));
        }
        let mut names = BTreeSet::new();
        if !resource.entries.iter().all(|entry| names.insert(&entry.name)) {
            return Err(Failure::argument("Duplicate ConfigEntry found"));
        }
    }
    Ok(())
}

/// Results in the request's order; what was not asked for is left out.
fn in_order(asked: &[ConfigResource], mut answered: Vec<ConfigResource>) -> Items {
    let take = |resource: &ConfigResource| {
        let index = answered.iter().position(|a| (a.kind, &a.name) == (resource.kind, &resource.name))?;
        Some(answered.swap_remove(index))
    };
    Items::Resources(asked.iter().filter_map(take).collect())
}

fn value(entry: &ConfigEntry) -> Option<felice::protocol::primitives::ByteStr> {
    entry.value.as_ref().map(|value| value.to_str().unwrap_or_default().into())
}

/// Starts a request about resources.
///
/// # Safety
/// As for [`rd_kafka_AlterConfigs`].
unsafe fn about(
    (rk, options, rkqu): (*mut Kafka, *const AdminOptions, *mut QueueRef),
    (configs, config_cnt): (*const *mut ConfigResource, usize),
    kind: &'static crate::admin::result::Kind,
    check: fn(&[ConfigResource]) -> Result<(), Failure>,
    work: impl FnOnce(Run, Target, Vec<ConfigResource>) -> Work,
) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, kind, |run| {
            let resources: Vec<ConfigResource> = taken(configs, config_cnt).into_iter().cloned().collect();
            check(&resources)?;
            let target = target(&resources)?;
            Ok(work(run, target, resources))
        });
    }
}

/// Gives resources these configurations, and no others.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL; there are as
/// many resources as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AlterConfigs(
    rk: *mut Kafka,
    configs: *const *mut ConfigResource,
    config_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    use alter_configs::request::{AlterConfigsResource, AlterableConfig};
    let work = |run: Run, target, resources: Vec<ConfigResource>| -> Work {
        Box::pin(async move {
            let config = |entry: &ConfigEntry| AlterableConfig {
                name: entry.name.to_str().unwrap_or_default().into(),
                value: value(entry),
                ..Default::default()
            };
            let resource = |resource: &ConfigResource| AlterConfigsResource {
                resource_type: to_protocol(resource.kind),
                resource_name: resource.name().into(),
                configs: resource.entries.iter().map(config).collect(),
                ..Default::default()
            };
            let request = AlterConfigsRequest {
                resources: resources.iter().map(resource).collect(),
                validate_only: run.settings.validate_only,
                ..Default::default()
            };
            let answer = run.ask(target, request).await?;
            let result = |r: &alter_configs::response::AlterConfigsResourceResponse| {
                ConfigResource::answered(r.resource_type, &r.resource_name, r.error_code, r.error_message.as_deref())
            };
            Ok(in_order(&resources, answer.responses.iter().map(result).collect()))
        })
    };
    // SAFETY: the same promises.
    unsafe { about((rk, options, rkqu), (configs, config_cnt), &ALTER_CONFIGS, |_| Ok(()), work) };
}

/// Changes single properties of resources.
///
/// # Safety
/// As for [`rd_kafka_AlterConfigs`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_IncrementalAlterConfigs(
    rk: *mut Kafka,
    configs: *const *mut ConfigResource,
    config_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    use incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig};
    let work = |run: Run, target, resources: Vec<ConfigResource>| -> Work {
        Box::pin(async move {
            let config = |entry: &ConfigEntry| AlterableConfig {
                name: entry.name.to_str().unwrap_or_default().into(),
                config_operation: entry.operation,
                value: value(entry),
                ..Default::default()
            };
            let resource = |resource: &ConfigResource| AlterConfigsResource {
                resource_type: to_protocol(resource.kind),
                resource_name: resource.name().into(),
                configs: resource.entries.iter().map(config).collect(),
                ..Default::default()
            };
            let request = IncrementalAlterConfigsRequest {
                resources: resources.iter().map(resource).collect(),
                validate_only: run.settings.validate_only,
                ..Default::default()
            };
            let answer = run.ask(target, request).await?;
            let result = |r: &incremental_alter_configs::response::AlterConfigsResourceResponse| {
                ConfigResource::answered(r.resource_type, &r.resource_name, r.error_code, r.error_message.as_deref())
            };
            Ok(in_order(&resources, answer.responses.iter().map(result).collect()))
        })
    };
    let check = without_duplicates;
    // SAFETY: the same promises.
    unsafe { about((rk, options, rkqu), (configs, config_cnt), &INCREMENTAL_ALTER_CONFIGS, check, work) };
}

/// The configurations of resources: all properties, or those that are set on the objects.
///
/// # Safety
/// As for [`rd_kafka_AlterConfigs`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DescribeConfigs(
    rk: *mut Kafka,
    configs: *const *mut ConfigResource,
    config_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    use describe_configs::request::DescribeConfigsResource;
    let work = |run: Run, target, resources: Vec<ConfigResource>| -> Work {
        Box::pin(async move {
            let resource = |resource: &ConfigResource| {
                let names = resource.entries.iter().map(|entry| entry.name.to_str().unwrap_or_default().into());
                DescribeConfigsResource {
                    resource_type: to_protocol(resource.kind),
                    resource_name: resource.name().into(),
                    configuration_keys: (resource.entries.len() > 0).then(|| names.collect()),
                    ..Default::default()
                }
            };
            let request = DescribeConfigsRequest {
                resources: resources.iter().map(resource).collect(),
                include_synonyms: true,
                ..Default::default()
            };
            let answer = run.ask(target, request).await?;
            Ok(in_order(&resources, answer.results.iter().map(described).collect()))
        })
    };
    // SAFETY: the same promises.
    unsafe { about((rk, options, rkqu), (configs, config_cnt), &DESCRIBE_CONFIGS, |_| Ok(()), work) };
}

fn described(result: &describe_configs::response::DescribeConfigsResult) -> ConfigResource {
    let entry = |config: &describe_configs::response::DescribeConfigsResourceResult| {
        let synonym = |synonym: &describe_configs::response::DescribeConfigsSynonym| ConfigEntry {
            name: c_text(&synonym.name),
            value: synonym.value.as_deref().map(c_text),
            source: synonym.source,
            read_only: config.read_only,
            default: synonym.source == DEFAULT_CONFIG,
            sensitive: config.is_sensitive,
            synonym: true,
            ..Default::default()
        };
        ConfigEntry {
            name: c_text(&config.name),
            value: config.value.as_deref().map(c_text),
            source: config.config_source,
            read_only: config.read_only,
            default: config.config_source == DEFAULT_CONFIG,
            sensitive: config.is_sensitive,
            synonyms: config.synonyms.iter().map(synonym).collect(),
            ..Default::default()
        }
    };
    let message = result.error_message.as_deref();
    let mut resource =
        ConfigResource::answered(result.resource_type, &result.resource_name, result.error_code, message);
    resource.entries = result.configs.iter().map(entry).collect();
    resource
}
