//! JoinGroup (11), SyncGroup (14), Heartbeat (12), LeaveGroup (13), OffsetCommit (8), OffsetFetch (9), as long as there is no group
//! coordinator: librdkafka wants them offered before it does anything with a group id, even with partitions assigned by hand.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
    SyncGroupResponse, offset_commit, offset_fetch,
};
use felice_protocol::primitives::ByteStr;

const NOT_AVAILABLE: ErrorCode = ErrorCode::COORDINATOR_NOT_AVAILABLE;

pub(super) fn join_group(request: JoinGroupRequest) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: NOT_AVAILABLE,
        protocol_name: Some(ByteStr::default()),
        member_id: request.member_id,
        ..Default::default()
    }
}

pub(super) fn sync_group(_: SyncGroupRequest) -> SyncGroupResponse {
    SyncGroupResponse { error_code: NOT_AVAILABLE, ..Default::default() }
}

pub(super) fn heartbeat(_: HeartbeatRequest) -> HeartbeatResponse {
    HeartbeatResponse { error_code: NOT_AVAILABLE, ..Default::default() }
}

pub(super) fn leave_group(_: LeaveGroupRequest) -> LeaveGroupResponse {
    LeaveGroupResponse { error_code: NOT_AVAILABLE, ..Default::default() }
}

pub(super) fn offset_commit(request: OffsetCommitRequest) -> OffsetCommitResponse {
    use offset_commit::response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
    let topics = request.topics.into_iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: NOT_AVAILABLE,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    OffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}

pub(super) fn offset_fetch(request: OffsetFetchRequest) -> OffsetFetchResponse {
    use offset_fetch::response::{OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic};
    let groups = request.groups.into_iter().map(|group| OffsetFetchResponseGroup {
        group_id: group.group_id,
        error_code: NOT_AVAILABLE,
        ..Default::default()
    });
    // Version 1 has no error of its own, only one for each partition.
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partition_indexes
            .iter()
            .map(|index| OffsetFetchResponsePartition {
                partition_index: *index,
                committed_offset: -1,
                metadata: Some(ByteStr::default()),
                error_code: NOT_AVAILABLE,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    let groups: Vec<_> = groups.collect();
    OffsetFetchResponse {
        error_code: if groups.is_empty() { NOT_AVAILABLE } else { ErrorCode::NONE },
        topics: topics.collect(),
        groups,
        ..Default::default()
    }
}
