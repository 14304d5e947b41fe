//! Topics: created, deleted, and given more partitions.

use std::ffi::{c_char, c_int};

use felice::ErrorCode;
use felice::protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, create_partitions, create_topics, delete_topics,
};

use crate::admin::options::{AdminOptions, Settings};
use crate::admin::result::{CREATE_PARTITIONS, CREATE_TOPICS, DELETE_TOPICS, TopicResult};
use crate::admin::{Items, Target, destroyers, launch, taken};
use crate::boundary::{guard, text, write_text};
use crate::handle::Kafka;
use crate::queue::QueueRef;
use crate::types::RespErr;

/// The most partitions of a topic.
const MAX_PARTITIONS: c_int = 100_000;
/// The most replicas of a partition.
const MAX_BROKERS: c_int = 10_000;

/// `rd_kafka_NewTopic_t`.
#[derive(Clone, Debug)]
pub struct NewTopic {
    name: String,
    partitions: c_int,
    replicas: i16,
    assignments: Assignments,
    configs: Vec<(String, Option<String>)>,
}

/// The brokers of each partition, in order.
#[derive(Clone, Debug, Default)]
struct Assignments(Vec<Vec<i32>>);

impl Assignments {
    /// # Safety
    /// `brokers` has `count` numbers.
    unsafe fn add(&mut self, what: &str, partition: i32, brokers: *const i32, count: usize) -> Result<(), String> {
        let next = self.0.len();
        if usize::try_from(partition) != Ok(next) {
            return Err(format!(
                "Partitions must be added in order, starting at 0: expecting {what} {next}, not {partition}"
            ));
        }
        if c_int::try_from(count).is_ok_and(|count| count <= MAX_BROKERS) {
            let given = if brokers.is_null() || count == 0 {
                Vec::new()
            } else {
                // SAFETY: the caller vouches for so many.
                unsafe { std::slice::from_raw_parts(brokers, count) }.to_vec()
            };
            self.0.push(given);
            return Ok(());
        }
        Err(format!("Too many brokers specified (RD_KAFKAP_BROKERS_MAX={MAX_BROKERS})"))
    }
}

/// Tells by code and text.
///
/// # Safety
/// `errstr` has `errstr_size` bytes or is NULL.
unsafe fn told(outcome: Result<(), String>, errstr: *mut c_char, errstr_size: usize) -> RespErr {
    match outcome {
        Ok(()) => RespErr::NO_ERROR,
        Err(text) => {
            // SAFETY: the caller vouches for the buffer.
            unsafe { write_text(errstr, errstr_size, &text) };
            RespErr::INVALID_ARG
        }
    }
}

/// A topic to be created; −1 for either number is the broker's default. NULL where an argument is no good, and `errstr` says why.
///
/// # Safety
/// `topic` is NULL or ends in a NUL byte; `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_NewTopic_new(
    topic: *const c_char,
    num_partitions: c_int,
    replication_factor: c_int,
    errstr: *mut c_char,
    errstr_size: usize,
) -> *mut NewTopic {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the name.
        let name = unsafe { text(topic) };
        let outcome = match (name, i16::try_from(replication_factor)) {
            (None, _) => Err("Invalid topic name".to_owned()),
            (Some(_), _) if !(-1..=MAX_PARTITIONS).contains(&num_partitions) => {
                Err(format!("num_partitions out of expected range 1..{MAX_PARTITIONS} or -1 for broker default"))
            }
            (Some(name), Ok(replicas)) if (-1..=MAX_BROKERS).contains(&replication_factor) => Ok(NewTopic {
                name: name.to_owned(),
                partitions: num_partitions,
                replicas,
                assignments: Assignments::default(),
                configs: Vec::new(),
            }),
            (Some(_), _) => Err(format!("replication_factor out of expected range -1..{MAX_BROKERS}")),
        };
        match outcome {
            Ok(topic) => Box::into_raw(Box::new(topic)),
            Err(text) => {
                // SAFETY: the caller vouches for the buffer.
                unsafe { write_text(errstr, errstr_size, &text) };
                std::ptr::null_mut()
            }
        }
    })
}

/// The brokers of the next partition; partitions come in order.
///
/// # Safety
/// `new_topic` came from [`rd_kafka_NewTopic_new`]; there are as many brokers as is said; `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_NewTopic_set_replica_assignment(
    new_topic: *mut NewTopic,
    partition: i32,
    broker_ids: *mut i32,
    broker_id_cnt: usize,
    errstr: *mut c_char,
    errstr_size: usize,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for it.
        let Some(topic) = (unsafe { new_topic.as_mut() }) else { return RespErr::INVALID_ARG };
        let outcome = if topic.replicas != -1 {
            Err("Specifying a replication factor and a replica assignment are mutually exclusive".to_owned())
        } else if topic.partitions == -1 {
            Err("Specifying a default partition count and a replica assignment are mutually exclusive".to_owned())
        } else {
            // SAFETY: the caller vouches for the brokers.
            unsafe { topic.assignments.add("partition", partition, broker_ids, broker_id_cnt) }
        };
        // SAFETY: the caller vouches for the buffer.
        unsafe { told(outcome, errstr, errstr_size) }
    })
}

/// A property of the topic; the broker checks it.
///
/// # Safety
/// `new_topic` came from [`rd_kafka_NewTopic_new`]; both texts are NULL or end in NUL bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_NewTopic_set_config(
    new_topic: *mut NewTopic,
    name: *const c_char,
    value: *const c_char,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for all three.
        let (topic, name, value) = unsafe { (new_topic.as_mut(), text(name), text(value)) };
        let (Some(topic), Some(name)) = (topic, name) else { return RespErr::INVALID_ARG };
        topic.configs.push((name.to_owned(), value.map(str::to_owned)));
        RespErr::NO_ERROR
    })
}

/// `rd_kafka_DeleteTopic_t`.
#[derive(Clone, Debug)]
pub struct DeleteTopic {
    name: String,
}

/// A topic to be deleted.
///
/// # Safety
/// `topic` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DeleteTopic_new(topic: *const c_char) -> *mut DeleteTopic {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        let Some(name) = (unsafe { text(topic) }) else { return std::ptr::null_mut() };
        Box::into_raw(Box::new(DeleteTopic { name: name.to_owned() }))
    })
}

/// `rd_kafka_NewPartitions_t`.
#[derive(Clone, Debug)]
pub struct NewPartitions {
    topic: String,
    total: i32,
    assignments: Assignments,
}

/// A topic that is to have so many partitions in all; NULL where that is out of range.
///
/// # Safety
/// `topic` ends in a NUL byte; `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_NewPartitions_new(
    topic: *const c_char,
    new_total_cnt: usize,
    errstr: *mut c_char,
    errstr_size: usize,
) -> *mut NewPartitions {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        let Some(topic) = (unsafe { text(topic) }) else { return std::ptr::null_mut() };
        match i32::try_from(new_total_cnt) {
            Ok(total @ 1..=MAX_PARTITIONS) => {
                let topic = topic.to_owned();
                Box::into_raw(Box::new(NewPartitions { topic, total, assignments: Assignments::default() }))
            }
            Ok(_) | Err(_) => {
                let text = format!("new_total_cnt out of expected range 1..{MAX_PARTITIONS}");
                // SAFETY: the caller vouches for the buffer.
                unsafe { write_text(errstr, errstr_size, &text) };
                std::ptr::null_mut()
            }
        }
    })
}

/// The brokers of the next new partition; the first new one has index 0.
///
/// # Safety
/// `new_parts` came from [`rd_kafka_NewPartitions_new`]; there are as many brokers as is said; `errstr` has `errstr_size` bytes or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_NewPartitions_set_replica_assignment(
    new_parts: *mut NewPartitions,
    new_partition_idx: i32,
    broker_ids: *mut i32,
    broker_id_cnt: usize,
    errstr: *mut c_char,
    errstr_size: usize,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for it.
        let Some(partitions) = (unsafe { new_parts.as_mut() }) else { return RespErr::INVALID_ARG };
        // SAFETY: the caller vouches for the brokers and for the buffer.
        unsafe {
            let outcome = partitions.assignments.add("partition index", new_partition_idx, broker_ids, broker_id_cnt);
            told(outcome, errstr, errstr_size)
        }
    })
}

destroyers! {
    NewTopic: rd_kafka_NewTopic_destroy rd_kafka_NewTopic_destroy_array;
    DeleteTopic: rd_kafka_DeleteTopic_destroy rd_kafka_DeleteTopic_destroy_array;
    NewPartitions: rd_kafka_NewPartitions_destroy rd_kafka_NewPartitions_destroy_array;
}

/// What came of each topic, in the request's order; one that the answer leaves out is left out. A broker that was told not to wait says that
/// the time was up, which is no error.
fn in_order<'a>(
    asked: &[String],
    settings: &Settings,
    answer: impl Iterator<Item = (&'a str, ErrorCode, Option<&'a str>)> + Clone,
) -> Items {
    let result = |name: &String| {
        let (name, code, message) = answer.clone().find(|(answered, ..)| answered == name)?;
        let begun = code == ErrorCode::REQUEST_TIMED_OUT && settings.operation_timeout <= 0;
        Some(TopicResult::new(name, if begun { ErrorCode::NONE } else { code }, message))
    };
    Items::Topics(asked.iter().filter_map(result).collect())
}

/// Creates topics.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL; there are as
/// many topics as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_CreateTopics(
    rk: *mut Kafka,
    new_topics: *const *mut NewTopic,
    new_topic_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    use create_topics::request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &CREATE_TOPICS, |run| {
            let topics: Vec<NewTopic> = taken(new_topics, new_topic_cnt).into_iter().cloned().collect();
            Ok(Box::pin(async move {
                let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
                let topic = |topic: NewTopic| {
                    let assigned = !topic.assignments.0.is_empty();
                    let assignment = |(broker_ids, partition_index)| CreatableReplicaAssignment {
                        partition_index,
                        broker_ids,
                        ..Default::default()
                    };
                    let config = |(name, value): (String, Option<String>)| CreatableTopicConfig {
                        name: name.as_str().into(),
                        value: value.map(|value| value.as_str().into()),
                        ..Default::default()
                    };
                    CreatableTopic {
                        name: topic.name.as_str().into(),
                        num_partitions: if assigned { -1 } else { topic.partitions },
                        replication_factor: if assigned { -1 } else { topic.replicas },
                        assignments: topic.assignments.0.into_iter().zip(0..).map(assignment).collect(),
                        configs: topic.configs.into_iter().map(config).collect(),
                        ..Default::default()
                    }
                };
                let request = CreateTopicsRequest {
                    topics: topics.into_iter().map(topic).collect(),
                    timeout_ms: run.settings.operation_timeout,
                    validate_only: run.settings.validate_only,
                    ..Default::default()
                };
                let answer = run.ask(Target::Controller, request).await?;
                let topics = answer.topics.iter().map(|t| (&*t.name, t.error_code, t.error_message.as_deref()));
                Ok(in_order(&names, &run.settings, topics))
            }))
        });
    }
}

/// Deletes topics.
///
/// # Safety
/// As for [`rd_kafka_CreateTopics`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DeleteTopics(
    rk: *mut Kafka,
    del_topics: *const *mut DeleteTopic,
    del_topic_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    use delete_topics::request::DeleteTopicState;
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &DELETE_TOPICS, |run| {
            let names: Vec<String> = taken(del_topics, del_topic_cnt).into_iter().map(|t| t.name.clone()).collect();
            Ok(Box::pin(async move {
                let state = |name: &String| DeleteTopicState { name: Some(name.as_str().into()), ..Default::default() };
                let request = DeleteTopicsRequest {
                    topics: names.iter().map(state).collect(),
                    topic_names: names.iter().map(|name| name.as_str().into()).collect(),
                    timeout_ms: run.settings.operation_timeout,
                    ..Default::default()
                };
                let answer = run.ask(Target::Controller, request).await?;
                // The code's own text is what programs know, not the broker's.
                let topics =
                    answer.responses.iter().map(|t| (t.name.as_deref().unwrap_or_default(), t.error_code, None));
                Ok(in_order(&names, &run.settings, topics))
            }))
        });
    }
}

/// Gives topics more partitions.
///
/// # Safety
/// As for [`rd_kafka_CreateTopics`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_CreatePartitions(
    rk: *mut Kafka,
    new_parts: *const *mut NewPartitions,
    new_parts_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    use create_partitions::request::{CreatePartitionsAssignment, CreatePartitionsTopic};
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &CREATE_PARTITIONS, |run| {
            let topics: Vec<NewPartitions> = taken(new_parts, new_parts_cnt).into_iter().cloned().collect();
            Ok(Box::pin(async move {
                let names: Vec<String> = topics.iter().map(|topic| topic.topic.clone()).collect();
                let topic = |topic: NewPartitions| {
                    let assigned = topic.assignments.0;
                    let assignment = |broker_ids| CreatePartitionsAssignment { broker_ids, ..Default::default() };
                    CreatePartitionsTopic {
                        name: topic.topic.as_str().into(),
                        count: topic.total,
                        assignments: (!assigned.is_empty()).then(|| assigned.into_iter().map(assignment).collect()),
                        ..Default::default()
                    }
                };
                let request = CreatePartitionsRequest {
                    topics: topics.into_iter().map(topic).collect(),
                    timeout_ms: run.settings.operation_timeout,
                    validate_only: run.settings.validate_only,
                    ..Default::default()
                };
                let answer = run.ask(Target::Controller, request).await?;
                let topics = answer.results.iter().map(|t| (&*t.name, t.error_code, t.error_message.as_deref()));
                Ok(in_order(&names, &run.settings, topics))
            }))
        });
    }
}
