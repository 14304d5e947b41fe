//! Produce (0): checks each batch, appends it, and answers when it is as safe as was asked. Java: `ReplicaManager.appendRecords`.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use felice_log::{AppendInfo, Bug};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::produce::response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
};
use felice_protocol::messages::{ProduceRequest, ProduceResponse};
use felice_protocol::primitives::{ByteStr, Frame, Uuid};
use felice_protocol::records::patch;
use felice_protocol::time::Now;

use super::validation::{Invalid, Rules, validate};
use super::{Refusal, Reply, RequestContext};
use crate::broker::{BrokerCore, Output};
use crate::config::FlushPolicy;
use crate::purgatory::PartitionKey;
use crate::topics::is_internal;

/// The client id by which Kafka's own tools may write internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// A produce whose batches are appended and wait to be durable.
#[derive(Debug)]
pub(crate) struct DelayedProduce {
    context: RequestContext,
    response: ProduceResponse,
    waits: Vec<Wait>,
}

/// A partition's part of the answer, given from `end` on.
#[derive(Debug)]
struct Wait {
    key: PartitionKey,
    end: i64,
    /// Topic and partition in the response.
    place: (usize, usize),
}

impl DelayedProduce {
    /// A partition is durable up to `end`; answers whether that was the last thing missing.
    pub(crate) fn reached(&mut self, key: &PartitionKey, end: i64) -> bool {
        self.waits.retain(|wait| wait.key != *key || wait.end > end);
        self.waits.is_empty()
    }

    fn fail(&mut self, error_code: ErrorCode) {
        for wait in &self.waits {
            let topic = self.response.responses.get_mut(wait.place.0);
            if let Some(partition) = topic.and_then(|topic| topic.partition_responses.get_mut(wait.place.1)) {
                let index = partition.index;
                *partition = PartitionProduceResponse { index, error_code, base_offset: -1, ..Default::default() };
            }
        }
    }
}

pub(super) fn handle(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    request: ProduceRequest,
) -> Result<Reply, Refusal> {
    let mut response = ProduceResponse::default();
    let mut waits = Vec::new();
    let mut advanced = Vec::new();
    let mut first_error = None;
    let bugs = core.config.bugs;
    let is_durable_at_once = core.limits.flush_policy == FlushPolicy::None || bugs.has(Bug::AcknowledgedBeforeSync);
    for topic in request.topic_data {
        let mut answers = Vec::with_capacity(topic.partition_data.len());
        let by_id = context.version >= 13;
        let topic_id = if by_id { Some(topic.topic_id) } else { core.topics.id_of(&topic.name) };
        for data in topic.partition_data {
            let target = Target { by_id, topic_id, index: data.index };
            let appended = if !matches!(request.acks, -1..=1) {
                Err(Invalid::new(ErrorCode::INVALID_REQUIRED_ACKS, "acks must be 0, 1 or -1"))
            } else if request.transactional_id.is_some() {
                Err(Invalid::new(ErrorCode::INVALID_TXN_STATE, "this broker has no transaction coordinator yet"))
            } else {
                append(core, now, context, target, data.records)
            };
            answers.push(match appended {
                Ok((key, size, info)) => {
                    if is_durable_at_once {
                        advanced.push((key, size));
                    } else {
                        let place = (response.responses.len(), answers.len());
                        waits.push(Wait { key, end: info.last_offset + 1, place });
                    }
                    PartitionProduceResponse {
                        index: data.index,
                        base_offset: info.first_offset,
                        log_append_time_ms: info.log_append_time,
                        log_start_offset: info.log_start_offset,
                        ..Default::default()
                    }
                }
                Err(invalid)
                    if bugs.has(Bug::AcknowledgedBeforeAppend) && invalid.code == ErrorCode::KAFKA_STORAGE_ERROR =>
                {
                    PartitionProduceResponse { index: data.index, base_offset: -1, ..Default::default() }
                }
                Err(invalid) => {
                    first_error.get_or_insert((invalid.code, invalid.message.clone()));
                    failed(data.index, invalid)
                }
            });
        }
        response.responses.push(TopicProduceResponse {
            name: topic.name,
            topic_id: topic.topic_id,
            partition_responses: answers,
            ..Default::default()
        });
    }
    let connection = context.connection;
    let mut outcome = Ok(Reply::Later);
    if request.acks == 0 {
        // The client listens to nothing but the connection itself.
        match first_error {
            Some((code, message)) => {
                outcome = Err(Refusal(format!("a produce with acks=0 failed with {code:?}: {message}")));
            }
            None => core.respond(connection, Frame::default()),
        }
    } else if waits.is_empty() {
        let frame = context.encode(&response)?;
        core.respond(connection, frame);
    } else {
        let watches = waits.iter().map(|wait| wait.key).collect();
        let wait = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        let delayed = DelayedProduce { context: detached(context), response, waits };
        let operation = core.new_operation(connection);
        core.produces.park(operation, delayed, watches, now.instant() + wait);
    }
    for (key, size) in advanced {
        core.partition_advanced(key, size);
    }
    outcome
}

/// What waits does not hold on to the request's memory.
fn detached(context: &RequestContext) -> RequestContext {
    RequestContext { client_id: None, ..context.clone() }
}

/// All batches of a waiting produce are durable, or their partition is out of order.
pub(crate) fn complete(core: &mut BrokerCore, operation: u64) {
    finish(core, operation, ErrorCode::KAFKA_STORAGE_ERROR);
}

/// A produce waited for as long as the client allows: what is not durable yet may become so, or not.
pub(crate) fn expire(core: &mut BrokerCore, operation: u64) {
    finish(core, operation, ErrorCode::REQUEST_TIMED_OUT);
}

fn finish(core: &mut BrokerCore, operation: u64, code_of_missing: ErrorCode) {
    let Some(mut delayed) = core.produces.take(operation) else { return };
    delayed.fail(code_of_missing);
    let connection = delayed.context.connection;
    match delayed.context.encode(&delayed.response) {
        Ok(frame) => core.respond(connection, frame),
        Err(Refusal(reason)) => core.outputs.push_back(Output::Close { connection, last: None, reason }),
    }
}

fn failed(index: i32, invalid: Invalid) -> PartitionProduceResponse {
    let record_errors = invalid.records.into_iter().map(|(batch_index, message)| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: Some(ByteStr::from_static(message)),
        ..Default::default()
    });
    PartitionProduceResponse {
        index,
        error_code: invalid.code,
        base_offset: -1,
        record_errors: record_errors.collect(),
        error_message: Some(invalid.message.into()),
        current_leader: LeaderIdAndEpoch::default(),
        ..Default::default()
    }
}

#[derive(Clone, Copy, Debug)]
struct Target {
    by_id: bool,
    topic_id: Option<Uuid>,
    index: i32,
}

fn append(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    target: Target,
    records: Option<Bytes>,
) -> Result<(PartitionKey, usize, AppendInfo), Invalid> {
    let unknown = if target.by_id { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
    let not_here = |code| Invalid::new(code, "this server does not host this topic-partition");
    let id = target.topic_id.ok_or_else(|| not_here(unknown))?;
    let topic = core.topics.get_mut(&id).ok_or_else(|| not_here(unknown))?;
    if is_internal(&topic.name) && context.client_id.as_deref() != Some(ADMIN_CLIENT_ID) {
        return Err(Invalid::new(ErrorCode::INVALID_TOPIC_EXCEPTION, "clients may not write internal topics"));
    }
    let partition = usize::try_from(target.index).ok().and_then(|index| topic.partitions.get_mut(index));
    let partition = partition.ok_or_else(|| not_here(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
    if partition.is_offline() {
        return Err(Invalid::new(ErrorCode::KAFKA_STORAGE_ERROR, "the partition is offline after a disk error"));
    }
    let records = records.unwrap_or_default();
    let rules = Rules {
        topic: &topic.config,
        produce_version: context.version,
        wall_millis: now.wall_millis,
        decompression_limit: core.limits.request_max_bytes,
    };
    let newest = validate(&records, &rules, &mut core.decompressor)?;
    let size = records.len();
    let mut batch = BytesMut::from(records);
    if let Some(newest) = newest {
        patch::set_max_timestamp(&mut batch, newest)
            .map_err(|error| Invalid::new(ErrorCode::CORRUPT_MESSAGE, error.to_string()))?;
    }
    let info = partition.append(now, batch).map_err(|error| Invalid::new(error.error_code(), error.to_string()))?;
    let key = (id, target.index);
    if core.limits.flush_policy == FlushPolicy::Batch {
        core.flusher.mark(key, size);
    }
    Ok((key, size, info))
}
