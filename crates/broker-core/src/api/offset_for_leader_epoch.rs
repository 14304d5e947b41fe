//! OffsetForLeaderEpoch (23): where an epoch ended, so that a client notices a log that was cut off under it (KIP-320).

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::offset_for_leader_epoch::response::{EpochEndOffset, OffsetForLeaderTopicResult};
use felice_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::broker::BrokerCore;

pub(super) fn handle(core: &BrokerCore, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|asked| {
        let topic = core.topics.by_name(&asked.topic);
        let partitions = asked.partitions.iter().map(|wanted| {
            let mut answer = EpochEndOffset { partition: wanted.partition, ..Default::default() };
            match topic.and_then(|topic| topic.partition(wanted.partition)) {
                None => answer.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Some(partition) => match partition.check_leader(wanted.current_leader_epoch) {
                    Err(code) => answer.error_code = code,
                    Ok(()) => {
                        if let Some((epoch, end_offset)) = partition.end_offset_for_epoch(wanted.leader_epoch) {
                            (answer.leader_epoch, answer.end_offset) = (epoch, end_offset);
                        }
                    }
                },
            }
            answer
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult { topic: asked.topic, partitions, ..Default::default() }
    });
    OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
}
