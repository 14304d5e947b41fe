//! The requests of a member and their answers. Older versions of some APIs carry one group, member or topic list in other fields: the
//! request is rewritten for those when it is encoded.

use felice_protocol::messages::{
    self, ApiKey, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, LeaveGroupResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
    OffsetFetchResponse, Request, SyncGroupRequest, SyncGroupResponse, leave_group, offset_fetch,
};
use felice_protocol::primitives::{EncodeError, Frame};
use std::time::Duration;

use bytes::Bytes;

use crate::connection::EncodeRequest;
use crate::error::Error;
use crate::metadata::BrokerId;

/// Whom a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupTarget {
    /// Any broker.
    Any,
    /// The coordinator.
    Coordinator {
        /// The broker.
        broker: BrokerId,
        /// `host:port`.
        address: String,
        /// Whether it goes over the connection that is kept for joining and heartbeats; otherwise over the one for everything else.
        membership: bool,
    },
}

/// A request of a member.
#[derive(Clone, Debug)]
pub enum GroupRequest {
    /// Who coordinates the group?
    FindCoordinator(FindCoordinatorRequest),
    /// Joins a classic group.
    JoinGroup(JoinGroupRequest),
    /// Gets or, from the leader, gives assignments.
    SyncGroup(SyncGroupRequest),
    /// A classic member lives.
    Heartbeat(HeartbeatRequest),
    /// A classic member leaves.
    LeaveGroup(LeaveGroupRequest),
    /// All of KIP-848.
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest),
    /// Commits.
    OffsetCommit(OffsetCommitRequest),
    /// Looks committed offsets up.
    OffsetFetch(OffsetFetchRequest),
}

/// The answer to one.
#[derive(Clone, Debug)]
pub enum GroupResponse {
    /// To [`GroupRequest::FindCoordinator`].
    FindCoordinator(FindCoordinatorResponse),
    /// To [`GroupRequest::JoinGroup`].
    JoinGroup(JoinGroupResponse),
    /// To [`GroupRequest::SyncGroup`].
    SyncGroup(SyncGroupResponse),
    /// To [`GroupRequest::Heartbeat`].
    Heartbeat(HeartbeatResponse),
    /// To [`GroupRequest::LeaveGroup`].
    LeaveGroup(LeaveGroupResponse),
    /// To [`GroupRequest::ConsumerGroupHeartbeat`].
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    /// To [`GroupRequest::OffsetCommit`].
    OffsetCommit(OffsetCommitResponse),
    /// To [`GroupRequest::OffsetFetch`].
    OffsetFetch(OffsetFetchResponse),
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct GroupOut {
    /// By which it is answered.
    pub id: u64,
    /// To whom.
    pub to: GroupTarget,
    /// What.
    pub request: GroupRequest,
    /// The highest version that may be used.
    pub max_version: i16,
    /// How long the answer may take.
    pub timeout: Duration,
}

impl GroupRequest {
    /// The API.
    pub fn api_key(&self) -> ApiKey {
        self.api().0
    }
}

/// Reads the answer to a request of this API.
///
/// # Errors
/// [`crate::error::ErrorKind::Decode`] where the frame is not that answer.
pub(crate) fn decode(api: ApiKey, version: i16, frame: Bytes) -> Result<GroupResponse, Error> {
    fn read<R: Request>(version: i16, frame: Bytes) -> Result<R::Response, Error> {
        Ok(messages::decode_response::<R>(version, frame)?.1)
    }
    Ok(match api {
        FindCoordinatorRequest::API_KEY => {
            GroupResponse::FindCoordinator(read::<FindCoordinatorRequest>(version, frame)?)
        }
        JoinGroupRequest::API_KEY => GroupResponse::JoinGroup(read::<JoinGroupRequest>(version, frame)?),
        SyncGroupRequest::API_KEY => GroupResponse::SyncGroup(read::<SyncGroupRequest>(version, frame)?),
        HeartbeatRequest::API_KEY => GroupResponse::Heartbeat(read::<HeartbeatRequest>(version, frame)?),
        LeaveGroupRequest::API_KEY => GroupResponse::LeaveGroup(read::<LeaveGroupRequest>(version, frame)?),
        ConsumerGroupHeartbeatRequest::API_KEY => {
            GroupResponse::ConsumerGroupHeartbeat(read::<ConsumerGroupHeartbeatRequest>(version, frame)?)
        }
        OffsetCommitRequest::API_KEY => GroupResponse::OffsetCommit(read::<OffsetCommitRequest>(version, frame)?),
        _ => GroupResponse::OffsetFetch(read::<OffsetFetchRequest>(version, frame)?),
    })
}

impl EncodeRequest for GroupRequest {
    fn api(&self) -> (ApiKey, i16, i16) {
        match self {
            Self::FindCoordinator(request) => request.api(),
            Self::JoinGroup(request) => request.api(),
            Self::SyncGroup(request) => request.api(),
            Self::Heartbeat(request) => request.api(),
            Self::LeaveGroup(request) => request.api(),
            Self::ConsumerGroupHeartbeat(request) => request.api(),
            Self::OffsetCommit(request) => request.api(),
            Self::OffsetFetch(request) => request.api(),
        }
    }

    fn encode(&self, correlation_id: i32, client_id: &str, version: i16) -> Result<Frame, EncodeError> {
        let id = correlation_id;
        match self {
            Self::FindCoordinator(request) if version < 4 => {
                let mut request = request.clone();
                request.key = std::mem::take(&mut request.coordinator_keys).into_iter().next().unwrap_or_default();
                EncodeRequest::encode(&request, id, client_id, version)
            }
            Self::FindCoordinator(request) => EncodeRequest::encode(request, id, client_id, version),
            Self::JoinGroup(request) => EncodeRequest::encode(request, id, client_id, version),
            Self::SyncGroup(request) => EncodeRequest::encode(request, id, client_id, version),
            Self::Heartbeat(request) => EncodeRequest::encode(request, id, client_id, version),
            Self::LeaveGroup(request) if version < 3 => {
                let mut request = request.clone();
                let member: Option<leave_group::request::MemberIdentity> =
                    std::mem::take(&mut request.members).into_iter().next();
                request.member_id = member.map(|member| member.member_id).unwrap_or_default();
                EncodeRequest::encode(&request, id, client_id, version)
            }
            Self::LeaveGroup(request) => EncodeRequest::encode(request, id, client_id, version),
            Self::ConsumerGroupHeartbeat(request) => EncodeRequest::encode(request, id, client_id, version),
            Self::OffsetCommit(request) => EncodeRequest::encode(request, id, client_id, version),
            Self::OffsetFetch(request) if version < 8 => {
                let mut request = request.clone();
                let group: Option<offset_fetch::request::OffsetFetchRequestGroup> =
                    std::mem::take(&mut request.groups).into_iter().next();
                let group = group.unwrap_or_default();
                request.group_id = group.group_id;
                request.require_stable &= version >= 7;
                request.topics = group.topics.map(|topics| {
                    let old = |topic: offset_fetch::request::OffsetFetchRequestTopics| {
                        offset_fetch::request::OffsetFetchRequestTopic {
                            name: topic.name,
                            partition_indexes: topic.partition_indexes,
                            ..Default::default()
                        }
                    };
                    topics.into_iter().map(old).collect()
                });
                EncodeRequest::encode(&request, id, client_id, version)
            }
            Self::OffsetFetch(request) => EncodeRequest::encode(request, id, client_id, version),
        }
    }
}
