//! A whole request refused with one error, as the API's answer carries it: at the top, or at each thing that was asked for.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::consumer_group_describe::response::DescribedGroup as DescribedConsumerGroup;
use felice_protocol::messages::*;
use felice_protocol::primitives::{ByteStr, Frame};

use super::asked::Asked;
use crate::api::Refusal;

/// What a refused request is answered with.
pub(super) fn refuse(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    match asked.api_key {
        ApiKey::PRODUCE => produce(asked, error_code),
        ApiKey::FETCH => fetch(asked, error_code),
        ApiKey::LIST_OFFSETS => list_offsets(asked, error_code),
        ApiKey::OFFSET_FOR_LEADER_EPOCH => offset_for_leader_epoch(asked, error_code),
        ApiKey::DELETE_RECORDS => delete_records(asked, error_code),
        ApiKey::METADATA => metadata(asked, error_code),
        ApiKey::FIND_COORDINATOR => find_coordinator(asked, error_code),
        ApiKey::OFFSET_COMMIT => offset_commit(asked, error_code),
        ApiKey::OFFSET_FETCH => offset_fetch(asked, error_code),
        ApiKey::JOIN_GROUP => join_group(asked, error_code),
        ApiKey::SASL_HANDSHAKE => asked.answer(&SaslHandshakeResponse { error_code, ..Default::default() }),
        ApiKey::SASL_AUTHENTICATE => asked.answer(&SaslAuthenticateResponse { error_code, ..Default::default() }),
        ApiKey::HEARTBEAT => asked.answer(&HeartbeatResponse { error_code, ..Default::default() }),
        ApiKey::LEAVE_GROUP => asked.answer(&LeaveGroupResponse { error_code, ..Default::default() }),
        ApiKey::SYNC_GROUP => asked.answer(&SyncGroupResponse { error_code, ..Default::default() }),
        ApiKey::LIST_GROUPS => asked.answer(&ListGroupsResponse { error_code, ..Default::default() }),
        ApiKey::OFFSET_DELETE => asked.answer(&OffsetDeleteResponse { error_code, ..Default::default() }),
        ApiKey::CONSUMER_GROUP_HEARTBEAT => consumer_group_heartbeat(asked, error_code),
        ApiKey::INIT_PRODUCER_ID => asked.answer(&InitProducerIdResponse {
            error_code,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        }),
        // In the version that everyone can read, as a broker does.
        ApiKey::API_VERSIONS => asked.answer_in(0, &ApiVersionsResponse { error_code, ..Default::default() }),
        ApiKey::DESCRIBE_CLUSTER => asked.answer(&DescribeClusterResponse { error_code, ..Default::default() }),
        _ => admin(asked, error_code),
    }
}

/// Those that only an Admin client sends: an error for each thing that is named.
fn admin(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    match asked.api_key {
        ApiKey::CREATE_TOPICS => {
            let request: CreateTopicsRequest = asked.decode()?;
            let topics = request.topics.into_iter().map(|topic| create_topics::response::CreatableTopicResult {
                name: topic.name,
                error_code,
                configs: Some(Vec::new()),
                ..Default::default()
            });
            asked.answer(&CreateTopicsResponse { topics: topics.collect(), ..Default::default() })
        }
        ApiKey::DELETE_TOPICS => {
            let request: DeleteTopicsRequest = asked.decode()?;
            let by_name = request.topic_names.into_iter().map(|name| (Some(name), Default::default()));
            let by_either = request.topics.into_iter().map(|topic| (topic.name, topic.topic_id));
            let responses = by_name.chain(by_either).map(|(name, topic_id)| {
                delete_topics::response::DeletableTopicResult { name, topic_id, error_code, ..Default::default() }
            });
            asked.answer(&DeleteTopicsResponse { responses: responses.collect(), ..Default::default() })
        }
        ApiKey::CREATE_PARTITIONS => {
            let request: CreatePartitionsRequest = asked.decode()?;
            let results =
                request.topics.into_iter().map(|topic| create_partitions::response::CreatePartitionsTopicResult {
                    name: topic.name,
                    error_code,
                    ..Default::default()
                });
            asked.answer(&CreatePartitionsResponse { results: results.collect(), ..Default::default() })
        }
        ApiKey::DESCRIBE_CONFIGS => {
            let request: DescribeConfigsRequest = asked.decode()?;
            let results =
                request.resources.into_iter().map(|resource| describe_configs::response::DescribeConfigsResult {
                    error_code,
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name,
                    ..Default::default()
                });
            asked.answer(&DescribeConfigsResponse { results: results.collect(), ..Default::default() })
        }
        ApiKey::ALTER_CONFIGS => {
            let request: AlterConfigsRequest = asked.decode()?;
            let responses =
                request.resources.into_iter().map(|resource| alter_configs::response::AlterConfigsResourceResponse {
                    error_code,
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name,
                    ..Default::default()
                });
            asked.answer(&AlterConfigsResponse { responses: responses.collect(), ..Default::default() })
        }
        ApiKey::INCREMENTAL_ALTER_CONFIGS => {
            let request: IncrementalAlterConfigsRequest = asked.decode()?;
            let responses = request.resources.into_iter().map(|resource| {
                incremental_alter_configs::response::AlterConfigsResourceResponse {
                    error_code,
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name,
                    ..Default::default()
                }
            });
            asked.answer(&IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() })
        }
        ApiKey::DESCRIBE_GROUPS => {
            let request: DescribeGroupsRequest = asked.decode()?;
            let groups = request.groups.into_iter().map(|group_id| describe_groups::response::DescribedGroup {
                error_code,
                group_id,
                ..Default::default()
            });
            asked.answer(&DescribeGroupsResponse { groups: groups.collect(), ..Default::default() })
        }
        ApiKey::DELETE_GROUPS => {
            let request: DeleteGroupsRequest = asked.decode()?;
            let results = request.groups_names.into_iter().map(|group_id| {
                delete_groups::response::DeletableGroupResult { group_id, error_code, ..Default::default() }
            });
            asked.answer(&DeleteGroupsResponse { results: results.collect(), ..Default::default() })
        }
        ApiKey::CONSUMER_GROUP_DESCRIBE => {
            let request: ConsumerGroupDescribeRequest = asked.decode()?;
            let groups = request.group_ids.into_iter().map(|group_id| DescribedConsumerGroup {
                error_code,
                group_id,
                ..Default::default()
            });
            asked.answer(&ConsumerGroupDescribeResponse { groups: groups.collect(), ..Default::default() })
        }
        other => Err(Refusal(format!("the mock cluster has no error answer for {other}"))),
    }
}

fn produce(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    let request: ProduceRequest = asked.decode()?;
    if request.acks == 0 {
        // Nobody reads an answer: a broker says it by closing.
        return Err(Refusal(format!("a Produce without acknowledgement failed: {error_code}")));
    }
    let responses = request.topic_data.into_iter().map(|topic| produce::response::TopicProduceResponse {
        name: topic.name,
        topic_id: topic.topic_id,
        partition_responses: topic.partition_data.iter().map(|p| produced(p.index, error_code)).collect(),
        ..Default::default()
    });
    asked.answer(&ProduceResponse { responses: responses.collect(), ..Default::default() })
}

pub(super) fn produced(index: i32, error_code: ErrorCode) -> produce::response::PartitionProduceResponse {
    produce::response::PartitionProduceResponse { index, error_code, base_offset: -1, ..Default::default() }
}

fn fetch(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    let request: FetchRequest = asked.decode()?;
    let responses = request.topics.into_iter().map(|topic| fetch::response::FetchableTopicResponse {
        topic: topic.topic,
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|p| fetched(p.partition, error_code)).collect(),
        ..Default::default()
    });
    // From version 7 on the whole answer can have an error too; there it would only tell of sessions.
    asked.answer(&FetchResponse { responses: responses.collect(), ..Default::default() })
}

pub(super) fn fetched(partition_index: i32, error_code: ErrorCode) -> fetch::response::PartitionData {
    fetch::response::PartitionData {
        partition_index,
        error_code,
        high_watermark: -1,
        records: Some(bytes::Bytes::new()),
        ..Default::default()
    }
}

fn list_offsets(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    let request: ListOffsetsRequest = asked.decode()?;
    let topics = request.topics.into_iter().map(|topic| list_offsets::response::ListOffsetsTopicResponse {
        name: topic.name,
        partitions: topic.partitions.iter().map(|p| listed(p.partition_index, error_code)).collect(),
        ..Default::default()
    });
    asked.answer(&ListOffsetsResponse { topics: topics.collect(), ..Default::default() })
}

pub(super) fn listed(
    partition_index: i32,
    error_code: ErrorCode,
) -> list_offsets::response::ListOffsetsPartitionResponse {
    list_offsets::response::ListOffsetsPartitionResponse { partition_index, error_code, ..Default::default() }
}

fn offset_for_leader_epoch(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    let request: OffsetForLeaderEpochRequest = asked.decode()?;
    let topics =
        request.topics.into_iter().map(|topic| offset_for_leader_epoch::response::OffsetForLeaderTopicResult {
            topic: topic.topic,
            partitions: topic.partitions.iter().map(|p| epoch_end(p.partition, error_code)).collect(),
            ..Default::default()
        });
    asked.answer(&OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() })
}

pub(super) fn epoch_end(partition: i32, error_code: ErrorCode) -> offset_for_leader_epoch::response::EpochEndOffset {
    offset_for_leader_epoch::response::EpochEndOffset { partition, error_code, ..Default::default() }
}

fn delete_records(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    let request: DeleteRecordsRequest = asked.decode()?;
    let topics = request.topics.into_iter().map(|topic| delete_records::response::DeleteRecordsTopicResult {
        name: topic.name,
        partitions: topic.partitions.iter().map(|p| records_deleted(p.partition_index, error_code)).collect(),
        ..Default::default()
    });
    asked.answer(&DeleteRecordsResponse { topics: topics.collect(), ..Default::default() })
}

pub(super) fn records_deleted(
    partition_index: i32,
    error_code: ErrorCode,
) -> delete_records::response::DeleteRecordsPartitionResult {
    delete_records::response::DeleteRecordsPartitionResult {
        partition_index,
        error_code,
        low_watermark: -1,
        ..Default::default()
    }
}

fn metadata(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    let request: MetadataRequest = asked.decode()?;
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| {
        let name = if asked.version >= 12 { topic.name } else { Some(topic.name.unwrap_or_default()) };
        metadata::response::MetadataResponseTopic { error_code, name, topic_id: topic.topic_id, ..Default::default() }
    });
    let whole = if asked.version >= 13 { error_code } else { ErrorCode::NONE };
    asked.answer(&MetadataResponse {
        topics: topics.collect(),
        error_code: whole,
        controller_id: -1,
        ..Default::default()
    })
}

fn find_coordinator(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    let request: FindCoordinatorRequest = asked.decode()?;
    if asked.version < 4 {
        let response = FindCoordinatorResponse { error_code, node_id: -1, port: -1, ..Default::default() };
        return asked.answer(&response);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| find_coordinator::response::Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code,
        error_message: Some(ByteStr::default()),
        ..Default::default()
    });
    asked.answer(&FindCoordinatorResponse { coordinators: coordinators.collect(), ..Default::default() })
}

fn offset_commit(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    let request: OffsetCommitRequest = asked.decode()?;
    let topics = request.topics.into_iter().map(|topic| offset_commit::response::OffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|p| offset_commit::response::OffsetCommitResponsePartition {
                partition_index: p.partition_index,
                error_code,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    asked.answer(&OffsetCommitResponse { topics: topics.collect(), ..Default::default() })
}

/// At the top from version 2 on, at each group from version 8 on; before that at each partition.
fn offset_fetch(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    let request: OffsetFetchRequest = asked.decode()?;
    if asked.version >= 8 {
        let groups = request.groups.into_iter().map(|group| offset_fetch::response::OffsetFetchResponseGroup {
            group_id: group.group_id,
            error_code,
            ..Default::default()
        });
        return asked.answer(&OffsetFetchResponse { groups: groups.collect(), ..Default::default() });
    }
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| {
        let partitions = topic.partition_indexes.into_iter().map(|partition_index| {
            offset_fetch::response::OffsetFetchResponsePartition {
                partition_index,
                committed_offset: -1,
                metadata: Some(ByteStr::default()),
                error_code,
                ..Default::default()
            }
        });
        offset_fetch::response::OffsetFetchResponseTopic {
            name: topic.name,
            partitions: partitions.collect(),
            ..Default::default()
        }
    });
    let topics = topics.collect();
    let whole = if asked.version >= 2 { error_code } else { ErrorCode::NONE };
    asked.answer(&OffsetFetchResponse { topics, error_code: whole, ..Default::default() })
}

fn join_group(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    let request: JoinGroupRequest = asked.decode()?;
    asked.answer(&JoinGroupResponse {
        error_code,
        generation_id: -1,
        protocol_name: (asked.version < 7).then(ByteStr::default),
        member_id: request.member_id,
        ..Default::default()
    })
}

fn consumer_group_heartbeat(asked: &Asked, error_code: ErrorCode) -> Result<Frame, Refusal> {
    let request: ConsumerGroupHeartbeatRequest = asked.decode()?;
    asked.answer(&ConsumerGroupHeartbeatResponse {
        error_code,
        member_id: Some(request.member_id),
        member_epoch: request.member_epoch,
        ..Default::default()
    })
}
