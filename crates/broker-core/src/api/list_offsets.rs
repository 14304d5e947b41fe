//! ListOffsets (2): offsets by timestamp, and the special ones.

use felice_protocol::compression::Decompressor;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::list_offsets::response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use felice_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use crate::broker::BrokerCore;
use crate::partition::Partition;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
/// Without tiered storage all data is local.
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// The replica id by which a debugging consumer reads past the high watermark.
const DEBUGGING_CONSUMER: i32 = -2;

pub(super) fn handle(core: &mut BrokerCore, version: i16, request: &ListOffsetsRequest) -> ListOffsetsResponse {
    let limit = core.limits.request_max_bytes;
    let (topics, decompressor) = (&core.topics, &mut core.decompressor);
    let topics = request.topics.iter().map(|asked| {
        let topic = topics.by_name(&asked.name);
        let partitions = asked.partitions.iter().map(|wanted| {
            let found = match topic.and_then(|topic| topic.partition(wanted.partition_index)) {
                None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                Some(partition) => partition
                    .check_leader(wanted.current_leader_epoch)
                    .and_then(|()| find(partition, wanted.timestamp, request, decompressor, limit)),
            };
            let mut answer =
                ListOffsetsPartitionResponse { partition_index: wanted.partition_index, ..Default::default() };
            match found {
                Ok(Some((offset, timestamp, leader_epoch))) => {
                    (answer.offset, answer.timestamp) = (offset, timestamp);
                    if version >= 4 {
                        answer.leader_epoch = leader_epoch;
                    }
                }
                Ok(None) => {}
                Err(code) => answer.error_code = code,
            }
            answer
        });
        ListOffsetsTopicResponse { name: asked.name.clone(), partitions: partitions.collect(), ..Default::default() }
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
}

/// Offset, timestamp and leader epoch; `None` where there is no such record.
fn find(
    partition: &Partition,
    timestamp: i64,
    request: &ListOffsetsRequest,
    decompressor: &mut Decompressor,
    limit: usize,
) -> Result<Option<(i64, i64, i32)>, ErrorCode> {
    let epoch = partition.leader_epoch();
    match timestamp {
        LATEST => {
            let end = match (request.replica_id, request.isolation_level) {
                (DEBUGGING_CONSUMER, _) => partition.log_end_offset(),
                (_, 1) => partition.last_stable_offset(),
                _ => partition.high_watermark(),
            };
            Ok(Some((end, -1, epoch)))
        }
        EARLIEST | EARLIEST_LOCAL | EARLIEST_PENDING_UPLOAD => {
            Ok(Some((partition.log_start_offset(), -1, partition.first_epoch())))
        }
        LATEST_TIERED => Ok(None),
        MAX_TIMESTAMP => partition.max_timestamp(decompressor, limit),
        timestamp if timestamp >= 0 => partition.offset_for_timestamp(timestamp, decompressor, limit),
        _ => Err(ErrorCode::INVALID_REQUEST),
    }
}
