//! CreatePartitions (37).

use std::collections::BTreeMap;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::create_partitions::request::CreatePartitionsTopic;
use felice_protocol::messages::create_partitions::response::CreatePartitionsTopicResult;
use felice_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Now;

use crate::broker::BrokerCore;
use crate::controller::TopicError;

pub(super) fn handle(core: &mut BrokerCore, now: Now, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut times: BTreeMap<ByteStr, usize> = BTreeMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.clone()).or_default() += 1;
    }
    let mut results: Vec<CreatePartitionsTopicResult> = Vec::new();
    for topic in request.topics {
        let grown = if times.get(&topic.name).is_some_and(|times| *times > 1) {
            if results.iter().any(|done| done.name == topic.name) {
                continue;
            }
            Err(TopicError { code: ErrorCode::INVALID_REQUEST, message: "Duplicate topic name.".to_owned() })
        } else {
            grow(core, now, &topic, request.validate_only)
        };
        let mut result = CreatePartitionsTopicResult { name: topic.name, ..Default::default() };
        if let Err(error) = grown {
            result.error_code = error.code;
            result.error_message = Some(error.message.into());
        }
        results.push(result);
    }
    CreatePartitionsResponse { results, ..Default::default() }
}

fn grow(core: &mut BrokerCore, now: Now, asked: &CreatePartitionsTopic, validate_only: bool) -> Result<(), TopicError> {
    let Some(id) = core.topics.id_of(&asked.name) else {
        return Err(TopicError {
            code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            message: "There is no such topic.".to_owned(),
        });
    };
    let new = core.controller.check_growth(&id, asked.count)?;
    if let Some(assignments) = &asked.assignments {
        let on_this_broker = [core.config.node_id()];
        if assignments.len() != new.len() || assignments.iter().any(|a| a.broker_ids != on_this_broker) {
            return Err(TopicError {
                code: ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                message: format!(
                    "Each of the {} new partitions must be on broker {}; {} were assigned.",
                    new.len(),
                    on_this_broker[0],
                    assignments.len()
                ),
            });
        }
    }
    if validate_only { Ok(()) } else { core.add_partitions(now, id, new) }
}
