//! What is between the group coordinator, which decides, and this broker, which has the log and the connections: requests and time go in,
//! records are appended to `__consumer_offsets`, and answers leave when what they tell is as durable as the flush policy promises.

use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;
use felice_protocol::compression::{Compression, Compressor};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::ByteStr;
use felice_protocol::records::control::ControlRecordType;
use felice_protocol::records::{Producer, RecordBatchBuilder, RecordBatches};
use felice_protocol::time::{Instant, Now};

use crate::api::{Refusal, Reply, RequestContext};
use crate::broker::{BrokerCore, Output};
use crate::config::{BrokerConfig, FlushPolicy, GroupConfig};
use crate::controller::NewTopic;
use crate::groups::{Caller, Effect, GroupAnswer, GroupCoordinator, GroupRecord, OFFSETS_TOPIC, TopicsView, Waiter};
use crate::purgatory::{PartitionKey, Purgatory};

/// How much of `__consumer_offsets` is read at once.
const LOAD_BYTES: usize = 1 << 20;

/// The group coordinator and who waits for it.
#[derive(Debug)]
pub(crate) struct Coordination {
    pub(crate) groups: GroupCoordinator,
    /// Requests without an answer, by their operation.
    waiters: BTreeMap<u64, RequestContext>,
    /// Answers that wait for what they tell to be durable.
    answers: Purgatory<DelayedAnswers>,
    commit_timeout: std::time::Duration,
    next_delayed: u64,
    /// Partitions that memory is ahead of, or that are offline: they are read again, where they can be.
    lost: BTreeSet<i32>,
}

/// Answers that leave when the last of their partitions is durable.
#[derive(Debug)]
struct DelayedAnswers {
    answers: Vec<(Waiter, GroupAnswer)>,
    waits: Vec<(PartitionKey, i64)>,
}

impl DelayedAnswers {
    fn reached(&mut self, key: &PartitionKey, end: i64) -> bool {
        self.waits.retain(|(other, needed)| other != key || *needed > end);
        self.waits.is_empty()
    }
}

impl Coordination {
    pub(crate) fn new(config: &BrokerConfig, seed: u64, now: Now) -> Self {
        let config = GroupConfig::new(config);
        Self {
            commit_timeout: config.commit_timeout,
            groups: GroupCoordinator::new(config, seed, now),
            waiters: BTreeMap::new(),
            answers: Purgatory::default(),
            next_delayed: 0,
            lost: BTreeSet::new(),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        let answers = self.answers.next_deadline();
        answers.map_or(self.groups.poll_timeout(), |deadline| deadline.min(self.groups.poll_timeout()))
    }

    /// A connection is gone that waited in this operation: its member lives on until its session ends.
    pub(crate) fn handle_disconnect(&mut self, operation: u64) {
        self.waiters.remove(&operation);
    }
}

/// Hands a request to the coordinator, and does what that asks for.
pub(crate) fn handle(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    request: impl FnOnce(&mut GroupCoordinator, TopicsView<'_>, &Caller),
) -> Result<Reply, Refusal> {
    let operation = core.new_operation(context.connection);
    // Who waits does not hold on to the request's memory.
    core.coordination.waiters.insert(operation, RequestContext { client_id: None, ..context.clone() });
    let caller = Caller {
        waiter: Waiter(operation),
        version: context.version,
        client_id: context.client_id.clone().unwrap_or_default(),
        client_host: core.host(context.connection),
    };
    request(&mut core.coordination.groups, TopicsView::Broker(&core.topics), &caller);
    run(core, now);
    Ok(Reply::Later)
}

/// The time of [`Coordination::poll_timeout`] may have come.
pub(crate) fn handle_timeout(core: &mut BrokerCore, now: Now) {
    for operation in core.coordination.answers.expired(now.instant()) {
        finish(core, operation, Some(ErrorCode::COORDINATOR_NOT_AVAILABLE));
    }
    if core.coordination.groups.poll_timeout() <= now.instant() {
        core.coordination.groups.handle_timeout(now, TopicsView::Broker(&core.topics));
        run(core, now);
    }
}

/// Topics have come, grown or gone; `deleted` is one that has gone.
pub(crate) fn handle_topics_changed(core: &mut BrokerCore, now: Now, deleted: Option<&str>) {
    if deleted == Some(OFFSETS_TOPIC) {
        let partitions = core.coordination.groups.partitions();
        (0..partitions).for_each(|partition| core.coordination.groups.unload(now, partition));
    }
    let partitions = core.topics.by_name(OFFSETS_TOPIC).map_or(0, |topic| topic.partitions.len());
    core.coordination.groups.handle_offsets_topic(i32::try_from(partitions).unwrap_or(i32::MAX));
    if let Some(name) = deleted {
        core.coordination.groups.handle_topic_deleted(name);
    }
    core.coordination.groups.handle_topics_changed();
    run(core, now);
}

/// Makes `__consumer_offsets` where it does not exist.
///
/// # Errors
/// Why it cannot be.
pub(crate) fn ensure_offsets_topic(core: &mut BrokerCore, now: Now) -> Result<(), ErrorCode> {
    if core.coordination.groups.has_offsets_topic() {
        return Ok(());
    }
    let config = |name: &str| core.config.property(name).unwrap_or_default().to_owned();
    let new = NewTopic {
        name: ByteStr::from_static(OFFSETS_TOPIC),
        partitions: config("offsets.topic.num.partitions").parse().unwrap_or(50),
        configs: BTreeMap::from([
            ("cleanup.policy".to_owned(), "compact".to_owned()),
            ("compression.type".to_owned(), "producer".to_owned()),
            ("segment.bytes".to_owned(), config("offsets.topic.segment.bytes")),
        ]),
    };
    core.create_topic(now, new).map(drop).map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

/// Does what the coordinator asks for.
pub(crate) fn run(core: &mut BrokerCore, now: Now) {
    while let Some(effect) = core.coordination.groups.poll_effect() {
        perform(core, now, effect);
    }
    for partition in std::mem::take(&mut core.coordination.lost) {
        // The log is what counts.
        core.coordination.groups.unload(now, partition);
        load(core, now, partition);
        while let Some(effect) = core.coordination.groups.poll_effect() {
            answer(core, effect.answers);
        }
    }
}

/// Appends, and answers or lets the answers wait.
fn perform(core: &mut BrokerCore, now: Now, effect: Effect) {
    let topic_id = core.topics.id_of(OFFSETS_TOPIC).unwrap_or_default();
    let mut waits = Vec::new();
    let mut failure = None;
    for (index, records) in effect.appends {
        let key = (topic_id, index);
        if !records.is_empty()
            && let Err(code) = append(core, now, key, &records)
        {
            failure = Some(code);
            core.coordination.lost.insert(index);
        }
        if !core.config.bugs.has(felice_log::Bug::CommitBeforeSync)
            && let Some(partition) = core.topics.partition_mut(&topic_id, index)
            && partition.log_end_offset() > partition.high_watermark()
            && !partition.is_offline()
        {
            waits.push((key, partition.log_end_offset()));
        }
    }
    let mut delayed = DelayedAnswers { answers: effect.answers, waits };
    if let Some(code) = failure {
        delayed.waits.clear();
        fail(&mut delayed, code);
    }
    if delayed.waits.is_empty() {
        answer(core, delayed.answers);
    } else if !delayed.answers.is_empty() {
        let coordination = &mut core.coordination;
        coordination.next_delayed += 1;
        let watches = delayed.waits.iter().map(|(key, _)| *key).collect();
        let deadline = now.instant() + coordination.commit_timeout;
        coordination.answers.park(coordination.next_delayed, delayed, watches, deadline);
    }
}

/// One batch, whole or not at all.
fn append(core: &mut BrokerCore, now: Now, key: PartitionKey, records: &[GroupRecord]) -> Result<(), ErrorCode> {
    let mut builder = RecordBatchBuilder::new(BytesMut::new());
    for record in records {
        builder.append(now.wall_millis, Some(&record.key), record.value.as_deref(), &[]);
    }
    let batch = builder.close(&mut Compressor::default(), Compression::None, None).seal(Producer::NONE, false);
    let size = batch.len();
    let Some(partition) = core.topics.partition_mut(&key.0, key.1) else { return Err(ErrorCode::NOT_COORDINATOR) };
    let appended = partition.append(now, BytesMut::from(batch));
    let is_offline = partition.is_offline();
    appended.map_err(|error| {
        let message = format!("{OFFSETS_TOPIC}-{}: {error}", key.1);
        core.outputs.push_back(Output::Log { message });
        match error.error_code() {
            _ if is_offline => ErrorCode::NOT_COORDINATOR,
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => ErrorCode::UNKNOWN_SERVER_ERROR,
            _ => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        }
    })?;
    if core.limits.flush_policy == FlushPolicy::Batch {
        core.flusher.mark(key, size);
    } else {
        core.partition_advanced(key, size);
    }
    Ok(())
}

fn fail(delayed: &mut DelayedAnswers, code: ErrorCode) {
    let answers = std::mem::take(&mut delayed.answers);
    delayed.answers = answers.into_iter().map(|(waiter, answer)| (waiter, answer.failed(code))).collect();
}

fn answer(core: &mut BrokerCore, answers: Vec<(Waiter, GroupAnswer)>) {
    for (waiter, answer) in answers {
        // The client may be gone by now.
        let Some(context) = core.coordination.waiters.remove(&waiter.0) else { continue };
        let connection = context.connection;
        match answer.encode(&context) {
            Ok(frame) => core.respond(connection, frame),
            Err(Refusal(reason)) => core.outputs.push_back(Output::Close { connection, last: None, reason }),
        }
    }
}

/// A partition is durable up to `end`.
pub(crate) fn handle_durable(core: &mut BrokerCore, key: PartitionKey, end: i64) {
    for operation in core.coordination.answers.ready(&key, |delayed| delayed.reached(&key, end)) {
        finish(core, operation, None);
    }
}

/// A partition is gone or out of order: nothing that waits for it becomes durable any more.
pub(crate) fn handle_offline(core: &mut BrokerCore, key: PartitionKey) {
    if core.topics.id_of(OFFSETS_TOPIC) == Some(key.0) {
        core.coordination.lost.insert(key.1);
    }
    for operation in core.coordination.answers.ready(&key, |_| true) {
        finish(core, operation, Some(ErrorCode::NOT_COORDINATOR));
    }
}

fn finish(core: &mut BrokerCore, operation: u64, failure: Option<ErrorCode>) {
    let Some(mut delayed) = core.coordination.answers.take(operation) else { return };
    if let Some(code) = failure {
        fail(&mut delayed, code);
    }
    answer(core, delayed.answers);
}

/// Reads all of `__consumer_offsets`, at start.
pub(crate) fn load_all(core: &mut BrokerCore, now: Now) {
    let partitions = core.topics.by_name(OFFSETS_TOPIC).map_or(0, |topic| topic.partitions.len());
    let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
    core.coordination.groups.handle_offsets_topic(partitions);
    (0..partitions).for_each(|partition| load(core, now, partition));
}

/// Reads a partition of `__consumer_offsets` from its start to its end. One that cannot be read stays without a coordinator.
fn load(core: &mut BrokerCore, now: Now, index: i32) {
    match replay(core, index) {
        Ok(()) => core.coordination.groups.loaded(now, index),
        Err(why) => {
            let message = format!("{OFFSETS_TOPIC}-{index} cannot be read, so its groups have no coordinator: {why}");
            core.outputs.push_back(Output::Log { message });
            core.coordination.groups.unload(now, index);
        }
    }
}

fn replay(core: &mut BrokerCore, index: i32) -> Result<(), String> {
    let Some(partition) = core.topics.by_name(OFFSETS_TOPIC).and_then(|topic| topic.partition(index)) else {
        return Err("there is no such partition".to_owned());
    };
    if let Some(why) = partition.offline() {
        return Err(why.to_owned());
    }
    let groups = &mut core.coordination.groups;
    // Records of transactions count when their marker says so.
    let mut open: BTreeMap<i64, Vec<GroupRecord>> = BTreeMap::new();
    let (mut offset, end) = (partition.log_start_offset(), partition.log_end_offset());
    while offset < end {
        let (bytes, next) = partition.read(offset, LOAD_BYTES, end, true).map_err(|code| format!("{code:?}"))?;
        if next <= offset {
            break;
        }
        offset = next;
        for batch in RecordBatches::new(bytes) {
            let batch = batch.map_err(|error| error.to_string())?;
            let records = batch.records(&mut core.decompressor, core.limits.request_max_bytes);
            for record in &records.map_err(|error| error.to_string())? {
                let record = record.map_err(|error| error.to_string())?;
                let Some(key) = record.key else { continue };
                let producer = batch.producer_id();
                if batch.is_control() {
                    let records = open.remove(&producer).unwrap_or_default();
                    if ControlRecordType::parse(Some(key)) == Ok(ControlRecordType::Commit) {
                        for record in records {
                            let _ = groups.replay(record.key, record.value);
                        }
                    }
                    continue;
                }
                let copy = |bytes: &[u8]| bytes::Bytes::copy_from_slice(bytes);
                let record = GroupRecord { key: copy(key), value: record.value.map(copy) };
                if batch.is_transactional() {
                    open.entry(producer).or_default().push(record);
                } else if let Err(error) = groups.replay(record.key, record.value) {
                    let message = format!("{OFFSETS_TOPIC}-{index}: a record is passed over: {error}");
                    core.outputs.push_back(Output::Log { message });
                }
            }
        }
    }
    Ok(())
}
