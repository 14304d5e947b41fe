//! The cluster and its topics, described.

use std::ffi::{CString, c_char, c_int};

use felice::ErrorCode;
use felice::protocol::messages::metadata::request::MetadataRequestTopic;
use felice::protocol::messages::metadata::response::{MetadataResponseBroker, MetadataResponseTopic};
use felice::protocol::messages::{MetadataRequest, MetadataResponse};

use crate::admin::options::AdminOptions;
use crate::admin::result::{DESCRIBE_CLUSTER, DESCRIBE_TOPICS, items, object, optional};
use crate::admin::{Array, Failure, Items, Target, c_text, destroyers, getters, launch};
use crate::boundary::{guard, text};
use crate::errors::object::ErrorObject;
use crate::event::Event;
use crate::handle::Kafka;
use crate::queue::QueueRef;
use crate::types::RespErr;
use crate::uuid::Uuid;

/// The last version of Metadata that tells what may be done with the cluster.
const WITH_CLUSTER_OPERATIONS: i16 = 10;

/// `rd_kafka_Node_t`.
#[derive(Clone, Debug)]
pub struct Node {
    id: i32,
    host: Option<CString>,
    port: u16,
    rack: Option<CString>,
}

impl Node {
    /// A broker as metadata has it; without an address where they do not.
    pub(crate) fn of(id: i32, brokers: &[MetadataResponseBroker]) -> Self {
        match brokers.iter().find(|broker| broker.node_id == id) {
            Some(broker) => Self {
                id,
                host: Some(c_text(&broker.host)),
                port: u16::try_from(broker.port).unwrap_or(0),
                rack: broker.rack.as_deref().map(c_text),
            },
            None => Self { id, host: None, port: 0, rack: None },
        }
    }

    pub(crate) fn at(id: i32, host: Option<&str>, port: i32) -> Self {
        Self { id, host: host.map(c_text), port: u16::try_from(port).unwrap_or(0), rack: None }
    }
}

getters! { Node;
    /// The broker's id.
    rd_kafka_Node_id -> c_int = -1, |node| node.id;
    /// Its host; NULL where it is not known.
    rd_kafka_Node_host -> *const c_char = std::ptr::null(), |node| optional(node.host.as_ref());
    /// Its port.
    rd_kafka_Node_port -> u16 = 0, |node| node.port;
    /// Its rack; NULL where it has none.
    rd_kafka_Node_rack -> *const c_char = std::ptr::null(), |node| optional(node.rack.as_ref());
}

/// What a program may do, as numbers of `rd_kafka_AclOperation_t`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operations(Option<Vec<c_int>>);

impl Operations {
    /// Of a broker's bits; none at all where they were not asked for.
    pub(crate) fn of(bits: i32) -> Self {
        Self((bits >= 0).then(|| (3..13).filter(|operation| bits >> operation & 1 == 1).collect()))
    }

    /// The array, and its length through `cntp`; NULL where it was not asked for.
    ///
    /// # Safety
    /// `cntp` is NULL or writable.
    pub(crate) unsafe fn lend(&self, cntp: *mut usize) -> *const c_int {
        // SAFETY: the caller vouches for it.
        if let Some(place) = unsafe { cntp.as_mut() } {
            *place = self.0.as_ref().map_or(0, Vec::len);
        }
        self.0.as_ref().map_or(std::ptr::null(), |operations| operations.as_ptr())
    }
}

/// `rd_kafka_TopicCollection_t`.
#[derive(Clone, Debug)]
pub struct TopicCollection {
    names: Vec<String>,
}

/// Topics by name.
///
/// # Safety
/// There are as many names as is said, each ending in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_TopicCollection_of_topic_names(
    topics: *const *const c_char,
    topics_cnt: usize,
) -> *mut TopicCollection {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for them.
        let names = unsafe { texts(topics, topics_cnt) };
        Box::into_raw(Box::new(TopicCollection { names }))
    })
}

/// The texts of an array of C's; one that cannot be read is an empty one.
///
/// # Safety
/// `items` is NULL or has `count` texts, each ending in a NUL byte.
pub(crate) unsafe fn texts(items: *const *const c_char, count: usize) -> Vec<String> {
    if items.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller vouches for so many.
    let items = unsafe { std::slice::from_raw_parts(items, count) };
    // SAFETY: and for each.
    items.iter().map(|item| unsafe { text(*item) }.unwrap_or_default().to_owned()).collect()
}

destroyers! { TopicCollection: rd_kafka_TopicCollection_destroy; }

/// `rd_kafka_TopicPartitionInfo_t`.
#[derive(Debug)]
pub struct TopicPartitionInfo {
    partition: i32,
    leader: Option<Node>,
    in_sync: Array<Node>,
    replicas: Array<Node>,
}

getters! { TopicPartitionInfo;
    /// The partition's number.
    rd_kafka_TopicPartitionInfo_partition -> c_int = -1, |info| info.partition;
    /// The broker that leads it; NULL where there is none.
    rd_kafka_TopicPartitionInfo_leader -> *const Node = std::ptr::null(), |info| object(info.leader.as_ref());
}

getters! { TopicPartitionInfo [array];
    /// The brokers that have all of it.
    rd_kafka_TopicPartitionInfo_isr -> Node = |info| Some(&info.in_sync);
    /// The brokers that are to have it.
    rd_kafka_TopicPartitionInfo_replicas -> Node = |info| Some(&info.replicas);
}

/// `rd_kafka_TopicDescription_t`.
#[derive(Debug)]
pub struct TopicDescription {
    name: CString,
    id: Uuid,
    is_internal: bool,
    partitions: Array<TopicPartitionInfo>,
    operations: Operations,
    error: Option<ErrorObject>,
}

impl TopicDescription {
    fn of(topic: &MetadataResponseTopic, brokers: &[MetadataResponseBroker]) -> Self {
        let (high, low) = topic.topic_id.0.split_at(8);
        let half = |bytes: &[u8]| bytes.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte)).cast_signed();
        let nodes = |ids: &[i32]| ids.iter().map(|id| Node::of(*id, brokers)).collect();
        let failed = topic.error_code != ErrorCode::NONE;
        let mut partitions: Vec<_> = topic.partitions.iter().filter(|_| !failed).collect();
        partitions.sort_by_key(|partition| partition.partition_index);
        let partitions = partitions.into_iter().map(|partition| TopicPartitionInfo {
            partition: partition.partition_index,
            leader: (partition.leader_id >= 0).then(|| Node::of(partition.leader_id, brokers)),
            in_sync: nodes(&partition.isr_nodes),
            replicas: nodes(&partition.replica_nodes),
        });
        Self {
            name: c_text(topic.name.as_deref().unwrap_or_default()),
            id: Uuid::new(half(high), half(low)),
            is_internal: topic.is_internal && !failed,
            partitions: partitions.collect(),
            operations: if failed { Operations::default() } else { Operations::of(topic.topic_authorized_operations) },
            error: failed.then(|| ErrorObject::new(RespErr(topic.error_code.0.into()), "")),
        }
    }
}

getters! { TopicDescription;
    /// The topic's name.
    rd_kafka_TopicDescription_name -> *const c_char = std::ptr::null(), |topic| topic.name.as_ptr();
    /// Its id.
    rd_kafka_TopicDescription_topic_id -> *const Uuid = std::ptr::null(), |topic| &raw const topic.id;
    /// 1 where Kafka made it for itself.
    rd_kafka_TopicDescription_is_internal -> c_int = 0, |topic| topic.is_internal.into();
    /// Its error; NULL where there is none.
    rd_kafka_TopicDescription_error -> *const ErrorObject = std::ptr::null(), |topic| object(topic.error.as_ref());
}

getters! { TopicDescription [array];
    /// Its partitions, by number.
    rd_kafka_TopicDescription_partitions -> TopicPartitionInfo = |topic| Some(&topic.partitions);
}

/// What the program may do with the topic, and how much that is through `cntp`; NULL where it was not asked for.
///
/// # Safety
/// `topicdesc` is NULL or lent by a result; `cntp` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_TopicDescription_authorized_operations(
    topicdesc: *const TopicDescription,
    cntp: *mut usize,
) -> *const c_int {
    // SAFETY: the caller vouches for both.
    guard(std::ptr::null(), || unsafe {
        topicdesc.as_ref().map_or(std::ptr::null(), |topic| topic.operations.lend(cntp))
    })
}

/// Describes topics.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL; `topics` came
/// from [`rd_kafka_TopicCollection_of_topic_names`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DescribeTopics(
    rk: *mut Kafka,
    topics: *const TopicCollection,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &DESCRIBE_TOPICS, |run| {
            let names = topics.as_ref().map(|topics| topics.names.clone()).unwrap_or_default();
            let mut seen = std::collections::BTreeSet::new();
            if !names.iter().all(|name| seen.insert(name)) {
                return Err(Failure::argument("Duplicate topics not allowed"));
            }
            if let Some(index) = names.iter().position(String::is_empty) {
                return Err(Failure::argument(format!("Empty topic name at index {index} isn't allowed")));
            }
            Ok(Box::pin(async move {
                if names.is_empty() {
                    return Ok(Items::Descriptions(Array::default()));
                }
                let topic =
                    |name: &String| MetadataRequestTopic { name: Some(name.as_str().into()), ..Default::default() };
                let request = MetadataRequest {
                    topics: Some(names.iter().map(topic).collect()),
                    allow_auto_topic_creation: false,
                    include_topic_authorized_operations: run.settings.authorized_operations,
                    ..Default::default()
                };
                let answer = run.ask(Target::Controller, request).await?;
                let described = |name: &String| {
                    let topic = answer.topics.iter().find(|topic| topic.name.as_deref() == Some(name))?;
                    Some(TopicDescription::of(topic, &answer.brokers))
                };
                Ok(Items::Descriptions(names.iter().filter_map(described).collect()))
            }))
        });
    }
}

/// What is told of a cluster.
#[derive(Debug)]
pub(crate) struct ClusterDescription {
    id: Option<CString>,
    controller: Option<Node>,
    nodes: Array<Node>,
    operations: Operations,
}

impl ClusterDescription {
    fn of(answer: &MetadataResponse) -> Self {
        Self {
            id: answer.cluster_id.as_deref().map(c_text),
            controller: (answer.controller_id >= 0).then(|| Node::of(answer.controller_id, &answer.brokers)),
            nodes: answer.brokers.iter().map(|broker| Node::of(broker.node_id, &answer.brokers)).collect(),
            operations: Operations::of(answer.cluster_authorized_operations),
        }
    }
}

fn cluster(result: &Event) -> Option<&ClusterDescription> {
    if let Some(Items::Cluster(cluster)) = items(result) { Some(cluster) } else { None }
}

getters! { Event;
    /// The broker that takes requests for the controller; NULL where there is none.
    rd_kafka_DescribeCluster_result_controller -> *const Node = std::ptr::null(),
        |result| object(cluster(result).and_then(|cluster| cluster.controller.as_ref()));
    /// The cluster's id; NULL where it has none.
    rd_kafka_DescribeCluster_result_cluster_id -> *const c_char = std::ptr::null(),
        |result| optional(cluster(result).and_then(|cluster| cluster.id.as_ref()));
}

getters! { Event [array];
    /// The brokers.
    rd_kafka_DescribeCluster_result_nodes -> Node = |result| cluster(result).map(|cluster| &cluster.nodes);
}

/// What the program may do with the cluster, and how much that is through `cntp`; NULL where it was not asked for.
///
/// # Safety
/// `result` is NULL or lent by an event; `cntp` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DescribeCluster_result_authorized_operations(
    result: *const Event,
    cntp: *mut usize,
) -> *const c_int {
    // SAFETY: the caller vouches for both.
    guard(std::ptr::null(), || unsafe {
        let none = Operations::default();
        let found = result.as_ref().and_then(cluster).map(|cluster| &cluster.operations);
        found.unwrap_or(&none).lend(cntp)
    })
}

/// Describes the cluster.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DescribeCluster(rk: *mut Kafka, options: *const AdminOptions, rkqu: *mut QueueRef) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &DESCRIBE_CLUSTER, |run| {
            Ok(Box::pin(async move {
                let operations = run.settings.authorized_operations;
                let max_version = if operations { WITH_CLUSTER_OPERATIONS } else { i16::MAX };
                let build = move |_| MetadataRequest {
                    topics: Some(Vec::new()),
                    allow_auto_topic_creation: false,
                    include_cluster_authorized_operations: operations,
                    ..Default::default()
                };
                let answer = run.ask_by_version(Target::Controller, max_version, build).await?;
                Ok(Items::Cluster(Box::new(ClusterDescription::of(&answer))))
            }))
        });
    }
}
