//! What came of a request: the event, its error, and the things that were asked for, each with its own.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use felice::ErrorCode;

use crate::admin::configs::ConfigResource;
use crate::admin::describe::{ClusterDescription, TopicDescription};
use crate::admin::groups::{ConsumerGroupDescription, ConsumerGroupListing};
use crate::admin::records::ListedOffset;
use crate::admin::{Array, Failure, c_text, getters};
use crate::boundary::guard;
use crate::errors::object::ErrorObject;
use crate::event::{Body, Event};
use crate::list::List;
use crate::op::Op;
use crate::types::{RespErr, TopicPartition, TopicPartitionList};

/// A kind of request.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Of its event.
    pub(crate) event: c_int,
    /// Of its event.
    pub(crate) name: &'static CStr,
    /// As texts of errors name it.
    pub(crate) operation: &'static str,
}

macro_rules! kinds {
    ($($kind:ident = $event:literal $name:literal $operation:literal $cast:ident;)*) => {
        $(
            pub(crate) static $kind: Kind = Kind { event: $event, name: $name, operation: $operation };

            /// The event itself, as the result that it carries; NULL where it is another event.
            ///
            /// # Safety
            /// `rkev` is NULL or an event that is not destroyed.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $cast(rkev: *const Event) -> *const Event {
                // SAFETY: the same promise.
                unsafe { of_event(rkev, &$kind) }
            }
        )*
    };
}

kinds! {
    CREATE_TOPICS = 100 c"CreateTopicsResult" "CREATETOPICS" rd_kafka_event_CreateTopics_result;
    DELETE_TOPICS = 101 c"DeleteTopicsResult" "DELETETOPICS" rd_kafka_event_DeleteTopics_result;
    CREATE_PARTITIONS = 102 c"CreatePartitionsResult" "CREATEPARTITIONS" rd_kafka_event_CreatePartitions_result;
    ALTER_CONFIGS = 103 c"AlterConfigsResult" "ALTERCONFIGS" rd_kafka_event_AlterConfigs_result;
    DESCRIBE_CONFIGS = 104 c"DescribeConfigsResult" "DESCRIBECONFIGS" rd_kafka_event_DescribeConfigs_result;
    DELETE_RECORDS = 105 c"DeleteRecordsResult" "DELETERECORDS" rd_kafka_event_DeleteRecords_result;
    DELETE_GROUPS = 106 c"DeleteGroupsResult" "DELETEGROUPS" rd_kafka_event_DeleteGroups_result;
    DELETE_CONSUMER_GROUP_OFFSETS = 107 c"DeleteConsumerGroupOffsetsResult" "DELETECONSUMERGROUPOFFSETS"
        rd_kafka_event_DeleteConsumerGroupOffsets_result;
    CREATE_ACLS = 0x400 c"CreateAclsResult" "CREATEACLS" rd_kafka_event_CreateAcls_result;
    DESCRIBE_ACLS = 0x800 c"DescribeAclsResult" "DESCRIBEACLS" rd_kafka_event_DescribeAcls_result;
    DELETE_ACLS = 0x1000 c"DeleteAclsResult" "DELETEACLS" rd_kafka_event_DeleteAcls_result;
    LIST_CONSUMER_GROUPS = 0x2000 c"ListConsumerGroupsResult" "LISTCONSUMERGROUPS"
        rd_kafka_event_ListConsumerGroups_result;
    DESCRIBE_CONSUMER_GROUPS = 0x4000 c"DescribeConsumerGroupsResult" "DESCRIBECONSUMERGROUPS"
        rd_kafka_event_DescribeConsumerGroups_result;
    LIST_CONSUMER_GROUP_OFFSETS = 0x8000 c"ListConsumerGroupOffsetsResult" "LISTCONSUMERGROUPOFFSETS"
        rd_kafka_event_ListConsumerGroupOffsets_result;
    ALTER_CONSUMER_GROUP_OFFSETS = 0x10000 c"AlterConsumerGroupOffsetsResult" "ALTERCONSUMERGROUPOFFSETS"
        rd_kafka_event_AlterConsumerGroupOffsets_result;
    INCREMENTAL_ALTER_CONFIGS = 0x20000 c"IncrementalAlterConfigsResult" "INCREMENTALALTERCONFIGS"
        rd_kafka_event_IncrementalAlterConfigs_result;
    DESCRIBE_USER_SCRAM_CREDENTIALS = 0x40000 c"DescribeUserScramCredentials" "DESCRIBEUSERSCRAMCREDENTIALS"
        rd_kafka_event_DescribeUserScramCredentials_result;
    ALTER_USER_SCRAM_CREDENTIALS = 0x80000 c"AlterUserScramCredentials" "ALTERUSERSCRAMCREDENTIALS"
        rd_kafka_event_AlterUserScramCredentials_result;
    DESCRIBE_TOPICS = 0x100000 c"DescribeTopicsResult" "DESCRIBETOPICS" rd_kafka_event_DescribeTopics_result;
    DESCRIBE_CLUSTER = 0x200000 c"DescribeClusterResult" "DESCRIBECLUSTER" rd_kafka_event_DescribeCluster_result;
    LIST_OFFSETS = 0x400000 c"ListOffsetsResult" "LISTOFFSETS" rd_kafka_event_ListOffsets_result;
    ELECT_LEADERS = 0x800000 c"ElectLeadersResult" "ELECTLEADERS" rd_kafka_event_ElectLeaders_result;
}

/// # Safety
/// `rkev` is NULL or an event that is not destroyed.
unsafe fn of_event(rkev: *const Event, kind: &'static Kind) -> *const Event {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for the event.
        match unsafe { rkev.as_ref() }.map(|event| &event.body) {
            Some(Body::Op(Op::Admin(result))) if result.kind.event == kind.event => rkev,
            _ => std::ptr::null(),
        }
    })
}

/// The program's pointer, on its way to the event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opaque(pub(crate) *mut c_void);

// SAFETY: it is only handed back.
unsafe impl Send for Opaque {}

/// What came of a request. `rd_kafka_CreateTopics_result_t` and its siblings are the event that has it: programs pass either for the other.
#[derive(Debug)]
pub(crate) struct AdminResult {
    kind: &'static Kind,
    opaque: Opaque,
    error: RespErr,
    text: Option<CString>,
    items: Items,
}

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) enum Items {
    /// Nothing, as where the whole request failed.
    #[default]
    None,
    Topics(Array<TopicResult>),
    Groups(Array<GroupResult>),
    Partitions(Array<PartitionResult>),
    Resources(Array<ConfigResource>),
    Records(List),
    ListedOffsets(Array<ListedOffset>),
    Descriptions(Array<TopicDescription>),
    Cluster(Box<ClusterDescription>),
    GroupListings(Array<ConsumerGroupListing>, Array<ErrorObject>),
    GroupDescriptions(Array<ConsumerGroupDescription>),
}

impl AdminResult {
    pub(crate) fn new(kind: &'static Kind, opaque: Opaque, outcome: Result<Items, Failure>) -> Self {
        let (items, error, text) = match outcome {
            Ok(items) => (items, RespErr::NO_ERROR, None),
            Err(failure) => (Items::None, failure.code, Some(c_text(&failure.text))),
        };
        Self { kind, opaque, error, text, items }
    }

    pub(crate) fn event_kind(&self) -> c_int {
        self.kind.event
    }

    pub(crate) fn name(&self) -> &'static CStr {
        self.kind.name
    }

    pub(crate) fn error(&self) -> (RespErr, Option<&CStr>) {
        (self.error, self.text.as_deref())
    }

    pub(crate) fn opaque(&self) -> *mut c_void {
        self.opaque.0
    }
}

/// The text of a broker's error: its own, else the code's; none where there is no error.
pub(crate) fn error_text(code: ErrorCode, message: Option<&str>) -> Option<CString> {
    let own = message.filter(|message| !message.is_empty());
    let text = || own.map_or_else(|| RespErr(code.0.into()).text(), str::to_owned);
    (code != ErrorCode::NONE).then(|| c_text(&text()))
}

/// `rd_kafka_topic_result_t`.
#[derive(Debug)]
pub struct TopicResult {
    name: CString,
    error: RespErr,
    text: Option<CString>,
}

impl TopicResult {
    pub(crate) fn new(name: &str, code: ErrorCode, message: Option<&str>) -> Self {
        Self { name: c_text(name), error: RespErr(code.0.into()), text: error_text(code, message) }
    }
}

getters! { TopicResult;
    /// The topic's error.
    rd_kafka_topic_result_error -> RespErr = RespErr::NO_ERROR, |topic| topic.error;
    /// The text of the topic's error; NULL where there is none.
    rd_kafka_topic_result_error_string -> *const c_char = std::ptr::null(), |topic| optional(topic.text.as_ref());
    /// The topic's name.
    rd_kafka_topic_result_name -> *const c_char = std::ptr::null(), |topic| topic.name.as_ptr();
}

/// A text, or NULL.
pub(crate) fn optional(text: Option<&CString>) -> *const c_char {
    text.map_or(std::ptr::null(), |text| text.as_ptr())
}

/// An object, or NULL.
pub(crate) fn object<T>(object: Option<&T>) -> *const T {
    object.map_or(std::ptr::null(), std::ptr::from_ref)
}

/// `rd_kafka_group_result_t`.
#[derive(Debug)]
pub struct GroupResult {
    name: CString,
    partitions: Option<List>,
    error: Option<ErrorObject>,
}

impl GroupResult {
    pub(crate) fn new(name: &str, partitions: Option<List>) -> Self {
        Self { name: c_text(name), partitions, error: None }
    }

    pub(crate) fn failed(name: &str, error: ErrorObject) -> Self {
        Self { name: c_text(name), partitions: None, error: Some(error) }
    }
}

getters! { GroupResult;
    /// The group's error; NULL where there is none.
    rd_kafka_group_result_error -> *const ErrorObject = std::ptr::null(), |group| object(group.error.as_ref());
    /// The group's id.
    rd_kafka_group_result_name -> *const c_char = std::ptr::null(), |group| group.name.as_ptr();
    /// The group's partitions; NULL where the request is not about them.
    rd_kafka_group_result_partitions -> *const TopicPartitionList = std::ptr::null(),
        |group| group.partitions.as_ref().map_or(std::ptr::null(), |list| list.as_ptr().cast_const());
}

/// `rd_kafka_topic_partition_result_t`.
#[derive(Debug)]
pub struct PartitionResult {
    partition: List,
    error: ErrorObject,
}

impl PartitionResult {
    pub(crate) fn new(topic: &str, partition: i32, code: ErrorCode, message: Option<&str>) -> Self {
        let mut list = List::new();
        let error = RespErr(code.0.into());
        if let Some(element) = list.add(topic, partition) {
            element.err = error;
        }
        let text = message.filter(|message| !message.is_empty()).map_or_else(|| error.text(), str::to_owned);
        Self { partition: list, error: ErrorObject::new(error, text) }
    }
}

getters! { PartitionResult;
    /// The partition.
    rd_kafka_topic_partition_result_partition -> *const TopicPartition = std::ptr::null(), |result| result.partition.first();
    /// The partition's error, with code 0 where there is none.
    rd_kafka_topic_partition_result_error -> *const ErrorObject = std::ptr::null(), |result| &raw const result.error;
}

/// What an event of this API tells.
pub(crate) fn items(event: &Event) -> Option<&Items> {
    if let Body::Op(Op::Admin(result)) = &event.body { Some(&result.items) } else { None }
}

fn topics(result: &Event) -> Option<&Array<TopicResult>> {
    if let Some(Items::Topics(topics)) = items(result) { Some(topics) } else { None }
}

fn groups(result: &Event) -> Option<&Array<GroupResult>> {
    if let Some(Items::Groups(groups)) = items(result) { Some(groups) } else { None }
}

fn resources(result: &Event) -> Option<&Array<ConfigResource>> {
    if let Some(Items::Resources(resources)) = items(result) { Some(resources) } else { None }
}

getters! { Event [array];
    /// The topics, in the request's order.
    rd_kafka_CreateTopics_result_topics -> TopicResult = topics;
    /// The topics, in the request's order.
    rd_kafka_DeleteTopics_result_topics -> TopicResult = topics;
    /// The topics, in the request's order.
    rd_kafka_CreatePartitions_result_topics -> TopicResult = topics;
    /// The groups, in the request's order.
    rd_kafka_DeleteGroups_result_groups -> GroupResult = groups;
    /// The group, with its partitions.
    rd_kafka_DeleteConsumerGroupOffsets_result_groups -> GroupResult = groups;
    /// The group, with its partitions.
    rd_kafka_ListConsumerGroupOffsets_result_groups -> GroupResult = groups;
    /// The group, with its partitions.
    rd_kafka_AlterConsumerGroupOffsets_result_groups -> GroupResult = groups;
    /// The resources, in the request's order.
    rd_kafka_AlterConfigs_result_resources -> ConfigResource = resources;
    /// The resources, in the request's order.
    rd_kafka_IncrementalAlterConfigs_result_resources -> ConfigResource = resources;
    /// The resources, in the request's order.
    rd_kafka_DescribeConfigs_result_resources -> ConfigResource = resources;
    /// The partitions.
    rd_kafka_ElectLeaders_result_partitions -> PartitionResult =
        |result| if let Some(Items::Partitions(partitions)) = items(result) { Some(partitions) } else { None };
    /// The partitions with their offsets, in the request's order.
    rd_kafka_ListOffsets_result_infos -> ListedOffset =
        |result| if let Some(Items::ListedOffsets(offsets)) = items(result) { Some(offsets) } else { None };
    /// The topics, in the request's order.
    rd_kafka_DescribeTopics_result_topics -> TopicDescription =
        |result| if let Some(Items::Descriptions(topics)) = items(result) { Some(topics) } else { None };
    /// The groups.
    rd_kafka_ListConsumerGroups_result_valid -> ConsumerGroupListing =
        |result| if let Some(Items::GroupListings(groups, _)) = items(result) { Some(groups) } else { None };
    /// The errors of brokers that were asked.
    rd_kafka_ListConsumerGroups_result_errors -> ErrorObject =
        |result| if let Some(Items::GroupListings(_, errors)) = items(result) { Some(errors) } else { None };
    /// The groups, in the request's order.
    rd_kafka_DescribeConsumerGroups_result_groups -> ConsumerGroupDescription =
        |result| if let Some(Items::GroupDescriptions(groups)) = items(result) { Some(groups) } else { None };
}

getters! { Event;
    /// The partitions with their first offsets from now on, and their errors; NULL where the whole request failed.
    rd_kafka_DeleteRecords_result_offsets -> *const TopicPartitionList = std::ptr::null(),
        |result| if let Some(Items::Records(list)) = items(result) { list.as_ptr() } else { std::ptr::null() };
}
