//! Groups: which there are, who is in them. Java: `Admin.listGroups`, `describeConsumerGroups`, `deleteConsumerGroups`.

use std::collections::BTreeMap;
use std::fmt;

use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::assignor::protocol::{decode_assignment, decode_subscription};
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DeleteGroupsRequest, DescribeGroupsRequest,
    DescribeGroupsResponse, ListGroupsRequest, consumer_group_describe, describe_groups,
};
use felice_protocol::primitives::ByteStr;

use super::coordinator::ask;
use super::group::Group;
use super::{Admin, PerItem, check};

/// The protocol by which a group's members agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum GroupType {
    /// Members agree among themselves; the leader assigns.
    Classic,
    /// The coordinator assigns (KIP-848).
    Consumer,
    /// Records are given out one by one (KIP-932).
    Share,
    /// Kafka Streams (KIP-1071).
    Streams,
    /// The broker is too old to say, or too new to be understood.
    Unknown,
}

impl GroupType {
    fn parse(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "classic" => Self::Classic,
            "consumer" => Self::Consumer,
            "share" => Self::Share,
            "streams" => Self::Streams,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for GroupType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
            Self::Share => "share",
            Self::Streams => "streams",
            Self::Unknown => "unknown",
        })
    }
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupListing {
    /// Its id.
    pub id: ByteStr,
    /// By which protocol its members agree.
    pub group_type: GroupType,
    /// What the members do: `consumer`, `connect`, …; empty for a group that only has offsets.
    pub protocol_type: ByteStr,
    /// Kafka's name of its state (`Stable`, `Empty`, `PreparingRebalance`, `Reconciling` …); empty where the broker is too old to say.
    pub state: ByteStr,
}

/// A group with its members.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// Its id.
    pub id: ByteStr,
    /// By which protocol its members agree.
    pub group_type: GroupType,
    /// Kafka's name of its state.
    pub state: ByteStr,
    /// The assignor that is used; empty where there is none now.
    pub assignor: ByteStr,
    /// The group's epoch; `None` for a classic group, whose generation no broker tells.
    pub group_epoch: Option<i32>,
    /// The epoch of the newest assignment, as above.
    pub assignment_epoch: Option<i32>,
    /// Its members.
    pub members: Vec<GroupMemberInfo>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMemberInfo {
    /// Its id.
    pub id: ByteStr,
    /// `group.instance.id`, where the member is static.
    pub instance_id: Option<ByteStr>,
    /// `client.id`.
    pub client_id: ByteStr,
    /// Where it connects from.
    pub client_host: ByteStr,
    /// The member's epoch; `None` in a classic group.
    pub epoch: Option<i32>,
    /// The topics that it wants.
    pub subscription: Vec<ByteStr>,
    /// The regular expression by which it wants more.
    pub subscription_regex: Option<ByteStr>,
    /// What it has.
    pub assignment: Vec<TopicPartition>,
    /// What it is to have, where that differs in time (KIP-848); in a classic group the same as `assignment`.
    pub target_assignment: Vec<TopicPartition>,
}

impl Admin {
    /// One group: its offsets, its lag, its members, and their changes.
    pub fn group(&self, id: impl Into<ByteStr>) -> Group {
        Group::new(self.clone(), id.into())
    }

    /// All groups of the cluster, by id. Each broker is asked for those that it coordinates.
    ///
    /// # Errors
    /// Where a broker does not answer: a list with gaps would be taken for the whole.
    pub async fn groups(&self) -> Result<Vec<GroupListing>, Error> {
        let mut groups = BTreeMap::new();
        for broker in self.cluster().await?.brokers {
            let response = self.client.request_to(broker.id, ListGroupsRequest::default()).await?;
            check(response.error_code, None)
                .map_err(|error| error.broker_at(format!("{}:{}", broker.host, broker.port)))?;
            for group in response.groups {
                let listing = GroupListing {
                    id: group.group_id.clone(),
                    group_type: GroupType::parse(&group.group_type),
                    protocol_type: group.protocol_type,
                    state: group.group_state,
                };
                groups.insert(group.group_id, listing);
            }
        }
        Ok(groups.into_values().collect())
    }

    /// Groups with their members; each has a result of its own, [`ErrorCode::GROUP_ID_NOT_FOUND`] where there is none.
    ///
    /// # Errors
    /// Where no answer came.
    pub async fn describe_groups<T: AsRef<str>>(
        &self,
        ids: impl IntoIterator<Item = T>,
    ) -> Result<PerItem<String, GroupDescription>, Error> {
        let mut results = Vec::new();
        for id in ids {
            let id = id.as_ref();
            let result = self.describe_group(id).await;
            match result {
                Err(error) if error.code().is_none() => return Err(error),
                result => results.push((id.to_owned(), result)),
            }
        }
        Ok(PerItem(results))
    }

    /// A group of either kind: asked for as one of KIP-848 first, as Java does, since no answer but this tells the kind.
    pub(super) async fn describe_group(&self, id: &str) -> Result<GroupDescription, Error> {
        let group_ids: Vec<ByteStr> = vec![id.into()];
        let build = move |_| ConsumerGroupDescribeRequest { group_ids: group_ids.clone(), ..Default::default() };
        let code = |r: &ConsumerGroupDescribeResponse| r.groups.first().map_or(ErrorCode::NONE, |g| g.error_code);
        match ask(&self.client, id, i16::MAX, build, code).await {
            Ok(response) => {
                let group = response.groups.into_iter().next().ok_or_else(left_out)?;
                match group.error_code {
                    ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNSUPPORTED_VERSION => {}
                    code => {
                        check(code, group.error_message.as_deref())?;
                        return Ok(consumer_group(group));
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
        let groups: Vec<ByteStr> = vec![id.into()];
        let build = move |_| DescribeGroupsRequest { groups: groups.clone(), ..Default::default() };
        let code = |r: &DescribeGroupsResponse| r.groups.first().map_or(ErrorCode::NONE, |g| g.error_code);
        let response = ask(&self.client, id, i16::MAX, build, code).await?;
        let group = response.groups.into_iter().next().ok_or_else(left_out)?;
        check(group.error_code, group.error_message.as_deref())?;
        // Brokers before Kafka 4.0 call a group that does not exist dead.
        if group.group_state.as_str() == "Dead" {
            return Err(Error::from_code(ErrorCode::GROUP_ID_NOT_FOUND, None));
        }
        Ok(classic_group(group))
    }

    /// Deletes groups with their offsets. A group must have no members.
    ///
    /// # Errors
    /// Where no answer came; each group has a result of its own: [`ErrorCode::NON_EMPTY_GROUP`], [`ErrorCode::GROUP_ID_NOT_FOUND`].
    pub async fn delete_groups<T: AsRef<str>>(
        &self,
        ids: impl IntoIterator<Item = T>,
    ) -> Result<PerItem<String, ()>, Error> {
        let mut results = Vec::new();
        for id in ids {
            let id = id.as_ref();
            let groups_names: Vec<ByteStr> = vec![id.into()];
            let build = move |_| DeleteGroupsRequest { groups_names: groups_names.clone(), ..Default::default() };
            let response = ask(&self.client, id, i16::MAX, build, |r| {
                r.results.first().map_or(ErrorCode::NONE, |result| result.error_code)
            });
            let result = response.await?.results.into_iter().next().ok_or_else(left_out)?;
            results.push((id.to_owned(), result.error_code.ok().map_err(group_error)));
        }
        Ok(PerItem(results))
    }
}

fn left_out() -> Error {
    Error::new(ErrorKind::Decode, "the broker's answer leaves the group out")
}

/// A broker's refusal, with what to do about it.
pub(super) fn group_error(code: ErrorCode) -> Error {
    let error = Error::from_code(code, None);
    match code {
        ErrorCode::NON_EMPTY_GROUP | ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::REBALANCE_IN_PROGRESS => {
            error.hinting("the group has members: stop them first, or remove them")
        }
        ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC => error.hinting("the group's members read this topic: stop them first"),
        _ => error,
    }
}

fn consumer_group(group: consumer_group_describe::response::DescribedGroup) -> GroupDescription {
    let members = group.members.into_iter().map(|member| GroupMemberInfo {
        id: member.member_id,
        instance_id: member.instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        epoch: Some(member.member_epoch),
        subscription: member.subscribed_topic_names,
        subscription_regex: member.subscribed_topic_regex.filter(|regex| !regex.is_empty()),
        assignment: partitions(member.assignment),
        target_assignment: partitions(member.target_assignment),
    });
    GroupDescription {
        id: group.group_id,
        group_type: GroupType::Consumer,
        state: group.group_state,
        assignor: group.assignor_name,
        group_epoch: Some(group.group_epoch),
        assignment_epoch: Some(group.assignment_epoch),
        members: members.collect(),
    }
}

fn partitions(assignment: consumer_group_describe::response::Assignment) -> Vec<TopicPartition> {
    let all = assignment.topic_partitions.into_iter();
    sorted(all.flat_map(|t| t.partitions.into_iter().map(move |p| TopicPartition::new(t.topic_name.clone(), p))))
}

fn sorted(partitions: impl Iterator<Item = TopicPartition>) -> Vec<TopicPartition> {
    let mut partitions: Vec<_> = partitions.collect();
    partitions.sort();
    partitions
}

fn classic_group(group: describe_groups::response::DescribedGroup) -> GroupDescription {
    let is_consumer = group.protocol_type.as_str() == "consumer";
    let members = group.members.into_iter().map(|member| {
        // What members tell each other is theirs: bytes that are no consumer's are no error here.
        let (id, instance_id) = (member.member_id, member.group_instance_id);
        let subscription = decode_subscription(id.clone(), instance_id.clone(), member.member_metadata).ok();
        let assignment = decode_assignment(member.member_assignment).ok();
        let assignment =
            sorted(assignment.filter(|_| is_consumer).map(|a| a.partitions).unwrap_or_default().into_iter());
        GroupMemberInfo {
            id,
            instance_id,
            client_id: member.client_id,
            client_host: member.client_host,
            epoch: None,
            subscription: subscription.filter(|_| is_consumer).map(|s| s.topics).unwrap_or_default(),
            subscription_regex: None,
            target_assignment: assignment.clone(),
            assignment,
        }
    });
    GroupDescription {
        id: group.group_id,
        group_type: GroupType::Classic,
        state: group.group_state,
        assignor: group.protocol_data,
        group_epoch: None,
        assignment_epoch: None,
        members: members.collect(),
    }
}
