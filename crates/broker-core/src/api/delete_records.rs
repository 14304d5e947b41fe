//! DeleteRecords (21).

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::delete_records::response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use felice_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::broker::{BrokerCore, Output};
use crate::data_dir;
use crate::topics::{Topic, is_internal};

/// Stands for the low watermark where there is an error.
const NO_LOW_WATERMARK: i64 = -1;

pub(super) fn handle(core: &mut BrokerCore, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut topics = Vec::new();
    let mut any = false;
    for asked in request.topics {
        let id = core.topics.id_of(&asked.name);
        let mut topic = id.and_then(|id| core.topics.get_mut(&id));
        let partitions = asked.partitions.iter().map(|wanted| {
            let (low_watermark, error_code) = match delete(topic.as_deref_mut(), wanted.partition_index, wanted.offset)
            {
                Ok(low_watermark) => (low_watermark, ErrorCode::NONE),
                Err(code) => (NO_LOW_WATERMARK, code),
            };
            any |= error_code.is_ok();
            let partition_index = wanted.partition_index;
            DeleteRecordsPartitionResult { partition_index, low_watermark, error_code, ..Default::default() }
        });
        let partitions = partitions.collect();
        topics.push(DeleteRecordsTopicResult { name: asked.name, partitions, ..Default::default() });
    }
    if any {
        // Only the checkpoint remembers where a log starts: what was deleted must not come back after a crash.
        if let Err(error) = data_dir::write_checkpoints(&core.config, &*core.disk, &core.topics) {
            core.outputs.push_back(Output::Log { message: error.to_string() });
            for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                if partition.error_code.is_ok() {
                    partition.error_code = ErrorCode::KAFKA_STORAGE_ERROR;
                    partition.low_watermark = NO_LOW_WATERMARK;
                }
            }
        }
    }
    DeleteRecordsResponse { topics, ..Default::default() }
}

fn delete(topic: Option<&mut Topic>, index: i32, offset: i64) -> Result<i64, ErrorCode> {
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if is_internal(&topic.name) {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    // A compacted log keeps each key's last record; that is not to be undone from the front.
    let may_delete = topic.config.log.delete || !topic.config.compact;
    let partition = usize::try_from(index).ok().and_then(|index| topic.partitions.get_mut(index));
    let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if !may_delete {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    partition.check_leader(-1)?;
    partition.delete_records_before(offset)
}
