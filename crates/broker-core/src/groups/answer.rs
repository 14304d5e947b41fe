//! What a group request is answered with, whichever it was.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, DeleteGroupsResponse, DescribeGroupsResponse,
    HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, ListGroupsResponse, OffsetCommitResponse,
    OffsetDeleteResponse, OffsetFetchResponse, SyncGroupResponse,
};
use felice_protocol::primitives::{ByteStr, Frame};

use crate::api::{Refusal, RequestContext};

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum GroupAnswer {
    JoinGroup(JoinGroupResponse),
    SyncGroup(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    LeaveGroup(LeaveGroupResponse),
    OffsetCommit(OffsetCommitResponse),
    OffsetFetch(OffsetFetchResponse),
    OffsetDelete(OffsetDeleteResponse),
    DescribeGroups(DescribeGroupsResponse),
    ListGroups(ListGroupsResponse),
    DeleteGroups(DeleteGroupsResponse),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    ConsumerGroupDescribe(ConsumerGroupDescribeResponse),
}

impl GroupAnswer {
    /// A refused JoinGroup; the member id that the client gave goes back with it.
    pub(crate) fn join_failed(member_id: &ByteStr, error_code: ErrorCode) -> Self {
        Self::JoinGroup(JoinGroupResponse {
            error_code,
            member_id: member_id.clone(),
            protocol_type: None,
            protocol_name: None,
            ..Default::default()
        })
    }

    /// A refused SyncGroup.
    pub(crate) fn sync_failed(error_code: ErrorCode) -> Self {
        Self::SyncGroup(SyncGroupResponse { error_code, ..Default::default() })
    }

    /// A Heartbeat's answer.
    pub(crate) fn heartbeat(error_code: ErrorCode) -> Self {
        Self::Heartbeat(HeartbeatResponse { error_code, ..Default::default() })
    }

    /// The same answer, of a request whose records could not be written.
    pub(crate) fn failed(self, error_code: ErrorCode) -> Self {
        match self {
            Self::JoinGroup(answer) => Self::join_failed(&answer.member_id, error_code),
            Self::SyncGroup(_) => Self::sync_failed(error_code),
            Self::Heartbeat(_) => Self::heartbeat(error_code),
            Self::LeaveGroup(_) => Self::LeaveGroup(LeaveGroupResponse { error_code, ..Default::default() }),
            Self::OffsetCommit(mut answer) => {
                let partitions = answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
                partitions
                    .filter(|partition| partition.error_code.is_ok())
                    .for_each(|partition| partition.error_code = error_code);
                Self::OffsetCommit(answer)
            }
            Self::OffsetDelete(_) => Self::OffsetDelete(OffsetDeleteResponse { error_code, ..Default::default() }),
            Self::DeleteGroups(mut answer) => {
                let results = answer.results.iter_mut().filter(|result| result.error_code.is_ok());
                results.for_each(|result| result.error_code = error_code);
                Self::DeleteGroups(answer)
            }
            Self::OffsetFetch(mut answer) => {
                answer.error_code = error_code;
                for topic in &mut answer.topics {
                    topic.partitions.iter_mut().for_each(|partition| partition.error_code = error_code);
                }
                for group in &mut answer.groups {
                    group.error_code = error_code;
                    group.topics.clear();
                }
                Self::OffsetFetch(answer)
            }
            Self::DescribeGroups(mut answer) => {
                answer.groups.iter_mut().for_each(|group| group.error_code = error_code);
                Self::DescribeGroups(answer)
            }
            Self::ListGroups(_) => Self::ListGroups(ListGroupsResponse { error_code, ..Default::default() }),
            Self::ConsumerGroupHeartbeat(_) => {
                Self::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse { error_code, ..Default::default() })
            }
            Self::ConsumerGroupDescribe(mut answer) => {
                answer.groups.iter_mut().for_each(|group| group.error_code = error_code);
                Self::ConsumerGroupDescribe(answer)
            }
        }
    }

    /// As a frame, in the version in which it was asked.
    pub(crate) fn encode(self, context: &RequestContext) -> Result<Frame, Refusal> {
        match self {
            Self::JoinGroup(mut answer) => {
                if context.version < 7 {
                    // Null came with version 7.
                    answer.protocol_name.get_or_insert_default();
                }
                context.encode(&answer)
            }
            Self::SyncGroup(answer) => context.encode(&answer),
            Self::Heartbeat(answer) => context.encode(&answer),
            Self::LeaveGroup(mut answer) => {
                if context.version < 3
                    && let Some(member) = std::mem::take(&mut answer.members).first()
                    && answer.error_code.is_ok()
                {
                    // One member, whose error is the answer's.
                    answer.error_code = member.error_code;
                }
                context.encode(&answer)
            }
            Self::OffsetCommit(answer) => context.encode(&answer),
            Self::OffsetFetch(answer) => context.encode(&answer),
            Self::OffsetDelete(answer) => context.encode(&answer),
            Self::DescribeGroups(answer) => context.encode(&answer),
            Self::ListGroups(answer) => context.encode(&answer),
            Self::DeleteGroups(answer) => context.encode(&answer),
            Self::ConsumerGroupHeartbeat(answer) => context.encode(&answer),
            Self::ConsumerGroupDescribe(answer) => context.encode(&answer),
        }
    }
}
