//! `rd_kafka_metadata`, `rd_kafka_list_groups`, and what else is asked about the cluster.

use std::ffi::{CString, c_char, c_int, c_void};

use felice::protocol::messages::metadata::request::MetadataRequestTopic;
use felice::protocol::messages::{DescribeGroupsRequest, ListGroupsRequest, MetadataRequest, MetadataResponse};
use felice::{Client, Error, ErrorCode, ErrorKind};

use crate::boundary::{guard, malloc_text, text};
use crate::handle::Kafka;
use crate::topic::Topic;
use crate::types::RespErr;
use crate::wait::{Deadline, block_until};

/// `struct rd_kafka_metadata_broker`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MetadataBroker {
    /// Its id.
    pub id: i32,
    /// Its host.
    pub host: *mut c_char,
    /// Its port.
    pub port: c_int,
}

/// `struct rd_kafka_metadata_partition`.
#[repr(C)]
#[derive(Debug)]
pub struct MetadataPartition {
    /// Its number.
    pub id: i32,
    /// Its error.
    pub err: RespErr,
    /// Its leader, −1 for none.
    pub leader: i32,
    /// How many replicas.
    pub replica_cnt: c_int,
    /// Them.
    pub replicas: *mut i32,
    /// How many of them are in sync.
    pub isr_cnt: c_int,
    /// Them.
    pub isrs: *mut i32,
}

/// `struct rd_kafka_metadata_topic`.
#[repr(C)]
#[derive(Debug)]
pub struct MetadataTopic {
    /// Its name.
    pub topic: *mut c_char,
    /// How many partitions.
    pub partition_cnt: c_int,
    /// Them.
    pub partitions: *mut MetadataPartition,
    /// Its error.
    pub err: RespErr,
}

/// `struct rd_kafka_metadata`.
#[repr(C)]
#[derive(Debug)]
pub struct Metadata {
    /// How many brokers.
    pub broker_cnt: c_int,
    /// Them.
    pub brokers: *mut MetadataBroker,
    /// How many topics.
    pub topic_cnt: c_int,
    /// Them.
    pub topics: *mut MetadataTopic,
    /// Who answered.
    pub orig_broker_id: i32,
    /// Its name.
    pub orig_broker_name: *mut c_char,
}

/// What an answer lent to C leads to: all of it is freed at once.
#[derive(Debug, Default)]
struct Arena {
    texts: Vec<CString>,
    blobs: Vec<Box<[u8]>>,
    numbers: Vec<Box<[i32]>>,
    partitions: Vec<Box<[MetadataPartition]>>,
    brokers: Box<[MetadataBroker]>,
    topics: Box<[MetadataTopic]>,
    members: Vec<Box<[GroupMemberInfo]>>,
    groups: Box<[GroupInfo]>,
}

impl Arena {
    fn text(&mut self, text: &str) -> *mut c_char {
        let text = CString::new(text).unwrap_or_default();
        let pointer = text.as_ptr().cast_mut();
        self.texts.push(text);
        pointer
    }

    fn blob(&mut self, bytes: &[u8]) -> (*mut c_void, c_int) {
        let blob: Box<[u8]> = bytes.into();
        let found = (blob.as_ptr().cast_mut().cast(), count(blob.len()));
        self.blobs.push(blob);
        found
    }

    fn numbers(&mut self, numbers: &[i32]) -> (*mut i32, c_int) {
        let numbers: Box<[i32]> = numbers.into();
        let found = (numbers.as_ptr().cast_mut(), count(numbers.len()));
        self.numbers.push(numbers);
        found
    }
}

fn count(len: usize) -> c_int {
    c_int::try_from(len).unwrap_or(c_int::MAX)
}

/// An answer, at whose start is what C sees.
#[repr(C)]
struct Lent<T> {
    root: T,
    arena: Arena,
}

impl<T> Lent<T> {
    fn hand_out(root: T, arena: Arena) -> *const T {
        Box::into_raw(Box::new(Self { root, arena })).cast_const().cast()
    }

    /// # Safety
    /// `root` is NULL or came from [`Self::hand_out`] and is not used again.
    unsafe fn take_back(root: *const T) {
        if !root.is_null() {
            // SAFETY: the root is the first field of what `Box::into_raw` gave.
            drop(unsafe { Box::from_raw(root.cast_mut().cast::<Self>()) });
        }
    }
}

fn metadata(answer: &MetadataResponse, from: &str) -> *const Metadata {
    let mut arena = Arena::default();
    let brokers: Box<[MetadataBroker]> = answer
        .brokers
        .iter()
        .map(|broker| MetadataBroker { id: broker.node_id, host: arena.text(&broker.host), port: broker.port })
        .collect();
    let mut topics = Vec::with_capacity(answer.topics.len());
    for topic in &answer.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let (replicas, replica_cnt) = arena.numbers(&partition.replica_nodes);
            let (isrs, isr_cnt) = arena.numbers(&partition.isr_nodes);
            partitions.push(MetadataPartition {
                id: partition.partition_index,
                err: RespErr(partition.error_code.0.into()),
                leader: partition.leader_id,
                replica_cnt,
                replicas,
                isr_cnt,
                isrs,
            });
        }
        partitions.sort_by_key(|partition| partition.id);
        let mut partitions = partitions.into_boxed_slice();
        topics.push(MetadataTopic {
            topic: arena.text(topic.name.as_deref().unwrap_or_default()),
            partition_cnt: count(partitions.len()),
            partitions: partitions.as_mut_ptr(),
            err: RespErr(topic.error_code.0.into()),
        });
        arena.partitions.push(partitions);
    }
    let orig_broker_name = arena.text(from);
    arena.brokers = brokers;
    arena.topics = topics.into_boxed_slice();
    let root = Metadata {
        broker_cnt: count(arena.brokers.len()),
        brokers: arena.brokers.as_mut_ptr(),
        topic_cnt: count(arena.topics.len()),
        topics: arena.topics.as_mut_ptr(),
        orig_broker_id: answer.brokers.first().map_or(-1, |broker| broker.node_id),
        orig_broker_name,
    };
    Lent::hand_out(root, arena)
}

/// The answer of a call that had so long; where no broker could even be reached, librdkafka says so.
pub(crate) fn in_time<T>(deadline: Deadline, call: impl Future<Output = Result<T, Error>>) -> Result<T, RespErr> {
    match block_until(call, deadline) {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) if matches!(error.kind(), ErrorKind::Connect) => Err(RespErr::TRANSPORT),
        Some(Err(error)) => Err(RespErr::of(&error)),
        None => Err(RespErr::TIMED_OUT),
    }
}

/// What a broker knows of all topics, or of one, or of those that the program has made handles of. Given back with
/// [`rd_kafka_metadata_destroy`].
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `only_rkt` from `rd_kafka_topic_new` or is NULL; `metadatap` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_metadata(
    rk: *mut Kafka,
    all_topics: c_int,
    only_rkt: *mut Topic,
    metadatap: *mut *const Metadata,
    timeout_ms: c_int,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for all three.
        let (rk, only, place) = unsafe { (rk.as_ref(), only_rkt.as_ref(), metadatap.as_mut()) };
        let (Some(rk), Some(place)) = (rk, place) else { return RespErr::INVALID_ARG };
        let wanted = match only {
            Some(topic) => Some(vec![topic.name.clone()]),
            None if all_topics != 0 => None,
            None => Some(rk.topics.names()),
        };
        let topic = |name: String| MetadataRequestTopic { name: Some(name.as_str().into()), ..Default::default() };
        let request = MetadataRequest {
            topics: wanted.map(|names| names.into_iter().map(topic).collect()),
            allow_auto_topic_creation: rk.conf.flag("allow.auto.create.topics"),
            ..MetadataRequest::default()
        };
        let reachable = rk.brokers.is_any_up();
        match in_time(Deadline::after(timeout_ms), rk.client.request(request)) {
            Ok(answer) => {
                let from = answer.brokers.first().map(|b| format!("{}:{}/{}", b.host, b.port, b.node_id));
                *place = metadata(&answer, &from.unwrap_or_default());
                RespErr::NO_ERROR
            }
            // It waited for a connection, not for an answer.
            Err(RespErr::TIMED_OUT) if !reachable && !rk.brokers.is_any_up() => RespErr::TRANSPORT,
            Err(error) => error,
        }
    })
}

/// Gives metadata back.
///
/// # Safety
/// `metadata` is NULL or came from [`rd_kafka_metadata`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_metadata_destroy(metadata: *const Metadata) {
    // SAFETY: the caller vouches for it.
    guard((), || unsafe { Lent::take_back(metadata) });
}

/// The cluster's id, to be freed by `rd_kafka_mem_free`; NULL where it is not known in time.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_clusterid(rk: *mut Kafka, timeout_ms: c_int) -> *mut c_char {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        let Some(rk) = (unsafe { rk.as_ref() }) else { return std::ptr::null_mut() };
        if takes_brokers_for_ancient(rk) {
            return std::ptr::null_mut();
        }
        let id = rk.brokers.await_cluster(Deadline::after(timeout_ms), |cluster| cluster.cluster_id.clone());
        id.map_or(std::ptr::null_mut(), |id| malloc_text(&id))
    })
}

/// The broker that takes requests for the controller; −1 where it is not known in time.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_controllerid(rk: *mut Kafka, timeout_ms: c_int) -> i32 {
    guard(-1, || {
        // SAFETY: the caller vouches for `rk`.
        let Some(rk) = (unsafe { rk.as_ref() }) else { return -1 };
        if takes_brokers_for_ancient(rk) {
            return -1;
        }
        // Brokers with KRaft name any of them, another each time they are asked: what the handle knows stays for a while.
        rk.brokers.await_cluster(Deadline::after(timeout_ms), |cluster| cluster.controller).unwrap_or(-1)
    })
}

/// Whether the program says that its brokers are too old to name their cluster: `api.version.request` is false and `broker.version.fallback` below 0.10.
fn takes_brokers_for_ancient(rk: &Kafka) -> bool {
    let old = |version: &str| ["0.7", "0.8", "0.9"].iter().any(|old| version.starts_with(old));
    !rk.conf.flag("api.version.request") && rk.conf.text("broker.version.fallback").is_some_and(old)
}

/// `struct rd_kafka_group_member_info`.
#[repr(C)]
#[derive(Debug)]
pub struct GroupMemberInfo {
    /// Its id.
    pub member_id: *mut c_char,
    /// Its client's id.
    pub client_id: *mut c_char,
    /// Its host.
    pub client_host: *mut c_char,
    /// What it told when it joined.
    pub member_metadata: *mut c_void,
    /// Its size.
    pub member_metadata_size: c_int,
    /// What it was given.
    pub member_assignment: *mut c_void,
    /// Its size.
    pub member_assignment_size: c_int,
}

/// `struct rd_kafka_group_info`.
#[repr(C)]
#[derive(Debug)]
pub struct GroupInfo {
    /// Its coordinator.
    pub broker: MetadataBroker,
    /// Its id.
    pub group: *mut c_char,
    /// Its error.
    pub err: RespErr,
    /// Its state.
    pub state: *mut c_char,
    /// `consumer`, as a rule.
    pub protocol_type: *mut c_char,
    /// The assignor.
    pub protocol: *mut c_char,
    /// The members.
    pub members: *mut GroupMemberInfo,
    /// How many.
    pub member_cnt: c_int,
}

/// `struct rd_kafka_group_list`.
#[repr(C)]
#[derive(Debug)]
pub struct GroupList {
    /// The groups.
    pub groups: *mut GroupInfo,
    /// How many.
    pub group_cnt: c_int,
}

/// One group, or all of them, from every broker.
async fn groups(client: &Client, only: Option<&str>) -> Result<*const GroupList, Error> {
    let mut arena = Arena::default();
    let mut found = Vec::new();
    let cluster = client.request(MetadataRequest::default()).await?;
    for broker in &cluster.brokers {
        let listed = client.request_to(broker.node_id, ListGroupsRequest::default()).await?;
        if listed.error_code != ErrorCode::NONE {
            return Err(Error::from_code(listed.error_code, None));
        }
        let names: Vec<_> = listed
            .groups
            .into_iter()
            .map(|group| group.group_id)
            .filter(|id| only.is_none_or(|only| *id == *only))
            .collect();
        if names.is_empty() {
            continue;
        }
        let request = DescribeGroupsRequest { groups: names, ..DescribeGroupsRequest::default() };
        for group in client.request_to(broker.node_id, request).await?.groups {
            let mut members: Box<[GroupMemberInfo]> = group
                .members
                .iter()
                .map(|member| {
                    let (member_metadata, member_metadata_size) = arena.blob(&member.member_metadata);
                    let (member_assignment, member_assignment_size) = arena.blob(&member.member_assignment);
                    GroupMemberInfo {
                        member_id: arena.text(&member.member_id),
                        client_id: arena.text(&member.client_id),
                        client_host: arena.text(&member.client_host),
                        member_metadata,
                        member_metadata_size,
                        member_assignment,
                        member_assignment_size,
                    }
                })
                .collect();
            found.push(GroupInfo {
                broker: MetadataBroker { id: broker.node_id, host: arena.text(&broker.host), port: broker.port },
                group: arena.text(&group.group_id),
                err: RespErr(group.error_code.0.into()),
                state: arena.text(&group.group_state),
                protocol_type: arena.text(&group.protocol_type),
                protocol: arena.text(&group.protocol_data),
                members: members.as_mut_ptr(),
                member_cnt: count(members.len()),
            });
            arena.members.push(members);
        }
    }
    arena.groups = found.into_boxed_slice();
    let root = GroupList { groups: arena.groups.as_mut_ptr(), group_cnt: count(arena.groups.len()) };
    Ok(Lent::hand_out(root, arena))
}

/// A group, or all of them for NULL, with their members. Given back with [`rd_kafka_group_list_destroy`].
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `group` is NULL or ends in a NUL byte; `grplistp` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_list_groups(
    rk: *mut Kafka,
    group: *const c_char,
    grplistp: *mut *const GroupList,
    timeout_ms: c_int,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for all three.
        let (rk, group, place) = unsafe { (rk.as_ref(), text(group), grplistp.as_mut()) };
        let (Some(rk), Some(place)) = (rk, place) else { return RespErr::INVALID_ARG };
        match in_time(Deadline::after(timeout_ms), groups(&rk.client, group)) {
            Ok(list) => {
                *place = list;
                RespErr::NO_ERROR
            }
            Err(error) => error,
        }
    })
}

/// Gives a list of groups back.
///
/// # Safety
/// `grplist` is NULL or came from [`rd_kafka_list_groups`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_group_list_destroy(grplist: *const GroupList) {
    // SAFETY: the caller vouches for it.
    guard((), || unsafe { Lent::take_back(grplist) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn structs_have_librdkafkas_layout() {
        assert_eq!(
            [
                size_of::<MetadataBroker>(),
                size_of::<MetadataPartition>(),
                size_of::<MetadataTopic>(),
                size_of::<Metadata>()
            ],
            [24, 40, 32, 48]
        );
        assert_eq!([size_of::<GroupMemberInfo>(), size_of::<GroupInfo>(), size_of::<GroupList>()], [56, 80, 16]);
        assert_eq!(offset_of!(GroupInfo, member_cnt), 72);
        assert_eq!(offset_of!(Metadata, orig_broker_name), 40);
    }
}
