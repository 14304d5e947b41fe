//! Groups: listed, described, deleted.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int};

use felice::ErrorCode;
use felice::assignor::protocol::decode_assignment;
use felice::protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DeleteGroupsRequest, DescribeGroupsRequest,
    DescribeGroupsResponse, ListGroupsRequest, MetadataRequest, consumer_group_describe, describe_groups, list_groups,
};
use felice::protocol::primitives::ByteStr;
use tokio::task::JoinSet;

use crate::admin::describe::{Node, Operations, texts};
use crate::admin::options::AdminOptions;
use crate::admin::result::{
    DELETE_GROUPS, DESCRIBE_CONSUMER_GROUPS, GroupResult, LIST_CONSUMER_GROUPS, object, optional,
};
use crate::admin::{Array, Failure, Items, Run, Target, c_text, destroyers, getters, launch, names, taken};
use crate::boundary::{guard, text};
use crate::errors::object::ErrorObject;
use crate::handle::Kafka;
use crate::list::List;
use crate::queue::QueueRef;
use crate::types::{RespErr, TopicPartitionList};

/// `RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER`.
const CONSUMER: c_int = 1;
/// `RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC`.
const CLASSIC: c_int = 2;
/// The last version of DescribeGroups in which a group that does not exist is dead, instead of an error.
const WITHOUT_NOT_FOUND: i16 = 5;

/// `rd_kafka_ConsumerGroupListing_t`.
#[derive(Debug)]
pub struct ConsumerGroupListing {
    id: CString,
    is_simple: bool,
    state: c_int,
    kind: c_int,
}

impl ConsumerGroupListing {
    /// `None` for a group of another protocol than consumers'.
    fn of(group: &list_groups::response::ListedGroup) -> Option<Self> {
        let is_simple = group.protocol_type.is_empty();
        (is_simple || group.protocol_type.as_str() == "consumer").then(|| Self {
            id: c_text(&group.group_id),
            is_simple,
            state: names::number(names::GROUP_STATES, &group.group_state),
            kind: names::number(names::GROUP_TYPES, &group.group_type),
        })
    }
}

getters! { ConsumerGroupListing;
    /// The group's id.
    rd_kafka_ConsumerGroupListing_group_id -> *const c_char = std::ptr::null(), |group| group.id.as_ptr();
    /// 1 for a group that only has offsets.
    rd_kafka_ConsumerGroupListing_is_simple_consumer_group -> c_int = 0, |group| group.is_simple.into();
    /// Its state.
    rd_kafka_ConsumerGroupListing_state -> c_int = 0, |group| group.state;
    /// Its type.
    rd_kafka_ConsumerGroupListing_type -> c_int = 0, |group| group.kind;
}

/// Lists the groups of the cluster: every broker is asked, and tells its own error.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_ListConsumerGroups(
    rk: *mut Kafka,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &LIST_CONSUMER_GROUPS, |run| {
            Ok(Box::pin(async move {
                let brokers = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
                let brokers = match run.ask(Target::Brokers, brokers).await {
                    Ok(answer) => answer.brokers,
                    Err(failure) => {
                        let errors = [ErrorObject::new(failure.code, "")].into_iter().collect();
                        return Ok(Items::GroupListings(Array::default(), errors));
                    }
                };
                let mut asked = JoinSet::new();
                for broker in brokers {
                    asked.spawn(list(run.clone(), broker.node_id));
                }
                let (mut groups, mut errors) = (BTreeMap::new(), Vec::new());
                while let Some(answered) = asked.join_next().await {
                    // It neither panics nor is it stopped.
                    let Ok((answered, error)) = answered else { continue };
                    groups.extend(answered.into_iter().map(|group| (group.id.clone(), group)));
                    errors.extend(error);
                }
                Ok(Items::GroupListings(groups.into_values().collect(), errors.into_iter().collect()))
            }))
        });
    }
}

async fn list(run: Run, broker: i32) -> (Vec<ConsumerGroupListing>, Option<ErrorObject>) {
    let all = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    let (states, types): (Vec<ByteStr>, Vec<ByteStr>) =
        (all(&run.settings.group_states), all(&run.settings.group_types));
    let build = move |version| ListGroupsRequest {
        states_filter: if version >= 4 { states.clone() } else { Vec::new() },
        types_filter: if version >= 5 { types.clone() } else { Vec::new() },
        ..Default::default()
    };
    match run.ask_by_version::<ListGroupsRequest, _>(Target::Broker(broker), i16::MAX, build).await {
        Ok(answer) => {
            let code = RespErr(answer.error_code.0.into());
            let error = || ErrorObject::new(code, format!("Broker [{broker}] ListConsumerGroups: {}", code.text()));
            let groups = answer.groups.iter().filter_map(ConsumerGroupListing::of);
            (groups.collect(), (code != RespErr::NO_ERROR).then(error))
        }
        Err(failure) => (Vec::new(), Some(ErrorObject::new(failure.code, ""))),
    }
}

/// `rd_kafka_MemberAssignment_t`.
#[derive(Debug)]
pub struct MemberAssignment {
    partitions: List,
}

impl MemberAssignment {
    fn of<'a>(partitions: impl Iterator<Item = (&'a str, i32)>) -> Self {
        let mut list = List::new();
        for (topic, partition) in partitions {
            list.add(topic, partition);
        }
        Self { partitions: list }
    }

    fn told(assignment: &consumer_group_describe::response::Assignment) -> Self {
        let topics = assignment.topic_partitions.iter();
        Self::of(topics.flat_map(|topic| topic.partitions.iter().map(|partition| (&*topic.topic_name, *partition))))
    }
}

getters! { MemberAssignment;
    /// The partitions.
    rd_kafka_MemberAssignment_partitions -> *const TopicPartitionList = std::ptr::null(),
        |assignment| assignment.partitions.as_ptr();
}

/// `rd_kafka_MemberDescription_t`.
#[derive(Debug)]
pub struct MemberDescription {
    client_id: CString,
    consumer_id: CString,
    instance_id: Option<CString>,
    host: CString,
    assignment: MemberAssignment,
    target: Option<MemberAssignment>,
}

getters! { MemberDescription;
    /// The member's `client.id`.
    rd_kafka_MemberDescription_client_id -> *const c_char = std::ptr::null(), |member| member.client_id.as_ptr();
    /// Its `group.instance.id`; NULL where it has none.
    rd_kafka_MemberDescription_group_instance_id -> *const c_char = std::ptr::null(),
        |member| optional(member.instance_id.as_ref());
    /// Its id.
    rd_kafka_MemberDescription_consumer_id -> *const c_char = std::ptr::null(), |member| member.consumer_id.as_ptr();
    /// Where it connects from.
    rd_kafka_MemberDescription_host -> *const c_char = std::ptr::null(), |member| member.host.as_ptr();
    /// What it has.
    rd_kafka_MemberDescription_assignment -> *const MemberAssignment = std::ptr::null(),
        |member| &raw const member.assignment;
    /// What it is to have; NULL in a classic group.
    rd_kafka_MemberDescription_target_assignment -> *const MemberAssignment = std::ptr::null(),
        |member| object(member.target.as_ref());
}

/// `rd_kafka_ConsumerGroupDescription_t`.
#[derive(Debug)]
pub struct ConsumerGroupDescription {
    id: CString,
    error: Option<ErrorObject>,
    is_simple: bool,
    assignor: Option<CString>,
    operations: Operations,
    state: c_int,
    kind: c_int,
    coordinator: Option<Node>,
    members: Array<MemberDescription>,
}

impl ConsumerGroupDescription {
    fn failed(id: &str, error: ErrorObject) -> Self {
        Self {
            id: c_text(id),
            error: Some(error),
            is_simple: false,
            assignor: None,
            operations: Operations::default(),
            state: 0,
            kind: 0,
            coordinator: None,
            members: Array::default(),
        }
    }

    /// Of a group whose members agree by way of the coordinator.
    fn consumer(group: &consumer_group_describe::response::DescribedGroup, coordinator: Node) -> Self {
        let member = |member: &consumer_group_describe::response::Member| MemberDescription {
            client_id: c_text(&member.client_id),
            consumer_id: c_text(&member.member_id),
            instance_id: member.instance_id.as_deref().map(c_text),
            host: c_text(&member.client_host),
            assignment: MemberAssignment::told(&member.assignment),
            target: Some(MemberAssignment::told(&member.target_assignment)),
        };
        Self {
            id: c_text(&group.group_id),
            error: None,
            is_simple: false,
            assignor: Some(c_text(&group.assignor_name)),
            operations: Operations::of(group.authorized_operations),
            state: names::number(names::GROUP_STATES, &group.group_state),
            kind: CONSUMER,
            coordinator: Some(coordinator),
            members: group.members.iter().map(member).collect(),
        }
    }

    /// Of a group whose members agree among themselves.
    fn classic(group: describe_groups::response::DescribedGroup, coordinator: Node) -> Self {
        let is_simple = group.protocol_type.is_empty();
        let member = |member: describe_groups::response::DescribedGroupMember| {
            // What members tell each other is theirs: bytes that are no consumer's are no error here.
            let assigned = decode_assignment(member.member_assignment).map(|found| found.partitions);
            let assigned = assigned.unwrap_or_default();
            MemberDescription {
                client_id: c_text(&member.client_id),
                consumer_id: c_text(&member.member_id),
                instance_id: member.group_instance_id.as_deref().map(c_text),
                host: c_text(&member.client_host),
                assignment: MemberAssignment::of(assigned.iter().map(|p| (&*p.topic, p.partition))),
                target: None,
            }
        };
        Self {
            id: c_text(&group.group_id),
            error: None,
            is_simple,
            assignor: Some(c_text(&group.protocol_data)),
            operations: Operations::of(group.authorized_operations),
            state: names::number(names::GROUP_STATES, &group.group_state),
            kind: CLASSIC,
            coordinator: Some(coordinator),
            members: group.members.into_iter().map(member).collect(),
        }
    }
}

getters! { ConsumerGroupDescription;
    /// The group's id.
    rd_kafka_ConsumerGroupDescription_group_id -> *const c_char = std::ptr::null(), |group| group.id.as_ptr();
    /// Its error; NULL where there is none.
    rd_kafka_ConsumerGroupDescription_error -> *const ErrorObject = std::ptr::null(),
        |group| object(group.error.as_ref());
    /// 1 for a group that only has offsets.
    rd_kafka_ConsumerGroupDescription_is_simple_consumer_group -> c_int = 0, |group| group.is_simple.into();
    /// The assignor that is used; NULL where the group has an error.
    rd_kafka_ConsumerGroupDescription_partition_assignor -> *const c_char = std::ptr::null(),
        |group| optional(group.assignor.as_ref());
    /// Its state.
    rd_kafka_ConsumerGroupDescription_state -> c_int = 0, |group| group.state;
    /// Its type.
    rd_kafka_ConsumerGroupDescription_type -> c_int = 0, |group| group.kind;
    /// The broker that coordinates it; NULL where the group has an error.
    rd_kafka_ConsumerGroupDescription_coordinator -> *const Node = std::ptr::null(),
        |group| object(group.coordinator.as_ref());
    /// How many members it has.
    rd_kafka_ConsumerGroupDescription_member_count -> usize = 0, |group| group.members.len();
}

/// A member; NULL behind the last.
///
/// # Safety
/// `grpdesc` is NULL or lent by a result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_ConsumerGroupDescription_member(
    grpdesc: *const ConsumerGroupDescription,
    idx: usize,
) -> *const MemberDescription {
    // SAFETY: the caller vouches for it.
    guard(std::ptr::null(), || unsafe { grpdesc.as_ref() }.map_or(std::ptr::null(), |group| group.members.get(idx)))
}

/// What the program may do with the group, and how much that is through `cntp`; NULL where it was not asked for.
///
/// # Safety
/// `grpdesc` is NULL or lent by a result; `cntp` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_ConsumerGroupDescription_authorized_operations(
    grpdesc: *const ConsumerGroupDescription,
    cntp: *mut usize,
) -> *const c_int {
    // SAFETY: the caller vouches for both.
    guard(std::ptr::null(), || unsafe {
        grpdesc.as_ref().map_or(std::ptr::null(), |group| group.operations.lend(cntp))
    })
}

/// Does something for each group, all at once; results in the request's order.
async fn for_each<T, F>(run: &Run, groups: Vec<String>, work: impl Fn(Run, String) -> F) -> Array<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (index, group) in groups.into_iter().enumerate() {
        let work = work(run.clone(), group);
        tasks.spawn(async move { (index, work.await) });
    }
    let mut results = BTreeMap::new();
    while let Some(done) = tasks.join_next().await {
        // It neither panics nor is it stopped.
        results.extend(done);
    }
    results.into_values().collect()
}

fn has_duplicates(groups: &[String]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    !groups.iter().all(|group| seen.insert(group))
}

/// Describes groups with their members.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL; there are as
/// many groups as is said, each ending in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DescribeConsumerGroups(
    rk: *mut Kafka,
    groups: *const *const c_char,
    groups_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &DESCRIBE_CONSUMER_GROUPS, |run| {
            let groups = texts(groups, groups_cnt);
            if groups.is_empty() {
                return Err(Failure::argument("No groups to describe"));
            }
            if has_duplicates(&groups) {
                return Err(Failure::argument("Duplicate groups not allowed"));
            }
            Ok(Box::pin(async move {
                let describe = |run: Run, id: String| async move {
                    let failed =
                        |failure: Failure| ConsumerGroupDescription::failed(&id, ErrorObject::new(failure.code, ""));
                    describe(&run, &id).await.unwrap_or_else(failed)
                };
                Ok(Items::GroupDescriptions(for_each(&run, groups, describe).await))
            }))
        });
    }
}

/// As a group whose coordinator assigns, else as a classic one: no other answer tells which it is.
async fn describe(run: &Run, id: &str) -> Result<ConsumerGroupDescription, Failure> {
    let (group, operations) = (ByteStr::from(id), run.settings.authorized_operations);
    let build = {
        let group = group.clone();
        move |_| ConsumerGroupDescribeRequest {
            group_ids: vec![group.clone()],
            include_authorized_operations: operations,
            ..Default::default()
        }
    };
    let code = |r: &ConsumerGroupDescribeResponse| r.groups.first().map_or(ErrorCode::NONE, |g| g.error_code);
    match run.ask_coordinator::<ConsumerGroupDescribeRequest, _>(id, i16::MAX, build, code).await {
        Ok((node, answer)) => match answer.groups.first() {
            Some(group) if group.error_code == ErrorCode::NONE => {
                return Ok(ConsumerGroupDescription::consumer(group, run.node(node)));
            }
            Some(group)
                if !matches!(group.error_code, ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNSUPPORTED_VERSION) =>
            {
                let message = group.error_message.as_deref().unwrap_or_default();
                let text = format!("ConsumerGroupDescribe: {message}");
                let error = ErrorObject::new(RespErr(group.error_code.0.into()), text);
                return Ok(ConsumerGroupDescription::failed(id, error));
            }
            Some(_) | None => {}
        },
        Err(failure) if failure.code == RespErr::UNSUPPORTED_FEATURE => {}
        Err(failure) => return Err(failure),
    }
    let build = move |version| DescribeGroupsRequest {
        groups: vec![group.clone()],
        include_authorized_operations: operations && version >= 3,
        ..Default::default()
    };
    let code = |r: &DescribeGroupsResponse| r.groups.first().map_or(ErrorCode::NONE, |g| g.error_code);
    let (node, answer) = run.ask_coordinator::<DescribeGroupsRequest, _>(id, WITHOUT_NOT_FOUND, build, code).await?;
    let Some(group) = answer.groups.into_iter().next() else {
        return Err(Failure::new(RespErr::BAD_MSG, "The answer leaves the group out"));
    };
    let protocol_type = group.protocol_type.as_str();
    let error = if group.error_code != ErrorCode::NONE {
        let code = RespErr(group.error_code.0.into());
        ErrorObject::new(code, format!("DescribeConsumerGroups: {}", code.text()))
    } else if !protocol_type.is_empty() && protocol_type != "consumer" {
        let text = format!("GroupId {id} is not a consumer group ({protocol_type}).");
        ErrorObject::new(RespErr::INVALID_ARG, text)
    } else {
        return Ok(ConsumerGroupDescription::classic(group, run.node(node)));
    };
    Ok(ConsumerGroupDescription::failed(id, error))
}

/// `rd_kafka_DeleteGroup_t`.
#[derive(Clone, Debug)]
pub struct DeleteGroup {
    id: String,
}

/// A group to be deleted.
///
/// # Safety
/// `group` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DeleteGroup_new(group: *const c_char) -> *mut DeleteGroup {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        let Some(id) = (unsafe { text(group) }) else { return std::ptr::null_mut() };
        Box::into_raw(Box::new(DeleteGroup { id: id.to_owned() }))
    })
}

destroyers! { DeleteGroup: rd_kafka_DeleteGroup_destroy rd_kafka_DeleteGroup_destroy_array; }

/// Deletes groups with their offsets.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL; there are as
/// many groups as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DeleteGroups(
    rk: *mut Kafka,
    del_groups: *const *mut DeleteGroup,
    del_group_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe {
        launch(rk, options, rkqu, &DELETE_GROUPS, |run| {
            let groups: Vec<String> = taken(del_groups, del_group_cnt).into_iter().map(|g| g.id.clone()).collect();
            if groups.is_empty() {
                return Err(Failure::argument("No groups to delete"));
            }
            if has_duplicates(&groups) {
                return Err(Failure::argument("Duplicate groups not allowed"));
            }
            Ok(Box::pin(async move { Ok(Items::Groups(for_each(&run, groups, delete).await)) }))
        });
    }
}

async fn delete(run: Run, id: String) -> GroupResult {
    let group = ByteStr::from(id.as_str());
    let build = move |_| DeleteGroupsRequest { groups_names: vec![group.clone()], ..Default::default() };
    let answer = run
        .ask_coordinator::<DeleteGroupsRequest, _>(&id, i16::MAX, build, |answer| {
            answer.results.first().map_or(ErrorCode::NONE, |result| result.error_code)
        })
        .await;
    let code = match &answer {
        Ok((_, answer)) => {
            answer.results.first().map_or(RespErr::BAD_MSG, |result| RespErr(result.error_code.0.into()))
        }
        Err(failure) => failure.code,
    };
    match code {
        RespErr::NO_ERROR => GroupResult::new(&id, None),
        code => GroupResult::failed(&id, ErrorObject::new(code, "")),
    }
}
