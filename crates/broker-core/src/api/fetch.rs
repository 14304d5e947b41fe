//! Fetch (1): a long poll. What is there is read at once; where it is too little the request waits for appends or its deadline.
//! Java: `ReplicaManager.fetchMessages`, `DelayedFetch`.

use std::time::Duration;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::fetch::response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, PartitionData,
};
use felice_protocol::messages::{FetchRequest, FetchResponse};
use felice_protocol::time::Now;

use super::{Refusal, Reply, RequestContext};
use crate::broker::{BrokerCore, Output};
use crate::fetch_session::{SessionMode, Wanted};
use crate::partition::Partition;
use crate::purgatory::PartitionKey;

/// A fetch that waits for bytes.
#[derive(Debug)]
pub(crate) struct DelayedFetch {
    context: RequestContext,
    mode: SessionMode,
    wanted: Vec<Wanted>,
    limits: Limits,
    bytes_missing: usize,
}

impl DelayedFetch {
    /// Counts appended bytes; only when they are enough is the log read again.
    pub(crate) fn has_enough_with(&mut self, bytes: usize) -> bool {
        self.bytes_missing = self.bytes_missing.saturating_sub(bytes);
        self.bytes_missing == 0
    }
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    max_bytes: usize,
    min_bytes: usize,
    read_committed: bool,
}

#[derive(Debug)]
struct Outcome {
    answers: Vec<(Wanted, PartitionData)>,
    bytes: usize,
    /// Something that the client should hear at once.
    is_urgent: bool,
}

pub(super) fn handle(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    request: FetchRequest,
) -> Result<Reply, Refusal> {
    let resolved = core.sessions.resolve(now.instant(), &mut core.random, context.version, &request);
    let (mode, wanted) = match resolved {
        Ok(resolved) => resolved,
        Err(error_code) => {
            return context.encode(&FetchResponse { error_code, ..Default::default() }).map(Reply::Frame);
        }
    };
    let limits = Limits {
        max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(core.limits.fetch_max_bytes),
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
        read_committed: request.isolation_level == 1,
    };
    let outcome = read(core, wanted, limits);
    let wait = u64::try_from(request.max_wait_ms).unwrap_or(0);
    if wait == 0 || outcome.is_urgent || outcome.answers.is_empty() || outcome.bytes >= limits.min_bytes {
        return answer(core, context, mode, outcome).map(Reply::Frame);
    }
    let wanted: Vec<Wanted> = outcome.answers.into_iter().map(|(wanted, _)| wanted).collect();
    let watches = wanted.iter().filter_map(|wanted| key_of(core, wanted)).collect();
    let delayed = DelayedFetch {
        context: context.clone(),
        mode,
        wanted,
        limits,
        bytes_missing: limits.min_bytes - outcome.bytes,
    };
    let operation = core.new_operation(context.connection);
    core.fetches.park(operation, delayed, watches, now.instant() + Duration::from_millis(wait));
    Ok(Reply::Later)
}

/// Answers a waiting fetch with what there is now.
pub(crate) fn complete(core: &mut BrokerCore, operation: u64) {
    let Some(delayed) = core.fetches.take(operation) else { return };
    let outcome = read(core, delayed.wanted, delayed.limits);
    let connection = delayed.context.connection;
    match answer(core, &delayed.context, delayed.mode, outcome) {
        Ok(frame) => core.respond(connection, frame),
        Err(Refusal(reason)) => core.outputs.push_back(Output::Close { connection, last: None, reason }),
    }
}

fn answer(
    core: &mut BrokerCore,
    context: &RequestContext,
    mode: SessionMode,
    mut outcome: Outcome,
) -> Result<felice_protocol::primitives::Frame, Refusal> {
    let session_id = core.sessions.note(mode, &mut outcome.answers);
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    for (wanted, data) in outcome.answers {
        match responses.last_mut() {
            Some(last) if last.topic_id == wanted.topic_id && last.topic == wanted.topic => last.partitions.push(data),
            _ => responses.push(FetchableTopicResponse {
                topic: wanted.topic,
                topic_id: wanted.topic_id,
                partitions: vec![data],
                ..Default::default()
            }),
        }
    }
    context.encode(&FetchResponse { session_id, responses, ..Default::default() })
}

fn key_of(core: &BrokerCore, wanted: &Wanted) -> Option<PartitionKey> {
    let id = if wanted.topic_id.is_zero() { core.topics.id_of(&wanted.topic)? } else { wanted.topic_id };
    Some((id, wanted.partition))
}

/// Reads in the order asked, within the answer's budget. The first batch of the answer comes whole, however large it is: else a client
/// with small limits would never get past it.
fn read(core: &BrokerCore, wanted: Vec<Wanted>, limits: Limits) -> Outcome {
    let mut outcome = Outcome { answers: Vec::with_capacity(wanted.len()), bytes: 0, is_urgent: false };
    for wanted in wanted {
        let budget = limits.max_bytes.saturating_sub(outcome.bytes).min(wanted.max_bytes);
        let (data, is_cut_off) = match find(core, &wanted) {
            Ok(partition) => read_partition(partition, &wanted, budget, outcome.bytes == 0, limits.read_committed),
            Err(error_code) => (failed(&wanted, error_code), false),
        };
        outcome.bytes += data.records.as_ref().map_or(0, Bytes::len);
        // What the limits cut off is there to be fetched: a reader that catches up does not wait for fetch.min.bytes.
        outcome.is_urgent |= is_cut_off || !data.error_code.is_ok() || data.diverging_epoch.epoch >= 0;
        outcome.answers.push((wanted, data));
    }
    outcome
}

fn find<'a>(core: &'a BrokerCore, wanted: &Wanted) -> Result<&'a Partition, ErrorCode> {
    let topic = if wanted.topic_id.is_zero() {
        core.topics.by_name(&wanted.topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?
    } else {
        core.topics.get(&wanted.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?
    };
    topic.partition(wanted.partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

fn failed(wanted: &Wanted, error_code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: wanted.partition,
        error_code,
        high_watermark: -1,
        records: Some(Bytes::new()),
        ..Default::default()
    }
}

/// Gives the answer, and whether there is more than its limits let through.
fn read_partition(
    partition: &Partition,
    wanted: &Wanted,
    budget: usize,
    whole_first_batch: bool,
    read_committed: bool,
) -> (PartitionData, bool) {
    if let Err(code) = partition.check_leader(wanted.current_leader_epoch) {
        return (failed(wanted, code), false);
    }
    let mut data = PartitionData {
        partition_index: wanted.partition,
        high_watermark: partition.high_watermark(),
        last_stable_offset: partition.last_stable_offset(),
        log_start_offset: partition.log_start_offset(),
        records: Some(Bytes::new()),
        ..Default::default()
    };
    if wanted.last_fetched_epoch >= 0 {
        let (epoch, end_offset) = partition.end_offset_for_epoch(wanted.last_fetched_epoch).unwrap_or((-1, -1));
        if epoch < 0 {
            return (failed(wanted, ErrorCode::OFFSET_OUT_OF_RANGE), false);
        }
        if epoch < wanted.last_fetched_epoch || end_offset < wanted.fetch_offset {
            data.diverging_epoch = EpochEndOffset { epoch, end_offset, ..Default::default() };
            return (data, false);
        }
    }
    let up_to = if read_committed { partition.last_stable_offset() } else { partition.high_watermark() };
    let read = partition.read(wanted.fetch_offset, budget, up_to, whole_first_batch).and_then(|(records, next)| {
        data.records = Some(records);
        if read_committed {
            let aborted = partition.aborted_transactions(wanted.fetch_offset, next)?.into_iter();
            let to_wire =
                |(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset, ..Default::default() };
            data.aborted_transactions = Some(aborted.map(to_wire).collect());
        }
        Ok(next < up_to)
    });
    match read {
        Ok(is_cut_off) => (data, is_cut_off),
        Err(code) => (failed(wanted, code), false),
    }
}
