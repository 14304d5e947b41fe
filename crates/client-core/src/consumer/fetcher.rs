//! Reads partitions from positions, without a group. Only the driver touches it.
//!
//! One Fetch is in flight to each broker. When its answer comes, positions move on by the batches' headers alone and the next Fetch leaves
//! before a record is decoded; records are decoded where the application reads them. Answers that nobody has read yet are bounded by a
//! [`Budget`]. A seek or a removal makes a new generation of the partition, and what was fetched for an older one is dropped.
//! Java: `Fetcher`, `OffsetFetcher`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, fetch, list_offsets,
};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::records::RecordBatches;
use felice_protocol::time::{Instant, Now};

use super::budget::{Budget, Charge};
use crate::backoff::Backoff;
use crate::bugs::Bug;
use crate::config::{FetchConfig, OffsetReset};
use crate::error::{Error, ErrorKind, Recovery};
use crate::metadata::{Broker, BrokerId, ClusterMetadata};

/// A partition of one fetcher, by the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u32);

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// This offset.
    Offset(i64),
    /// The first record that is still there.
    Start,
    /// Behind the last record.
    End,
    /// This many records before the end.
    BeforeEnd(i64),
    /// The first record at or after this time, in milliseconds since 1970; the end where there is none.
    Time(i64),
}

impl Position {
    fn timestamp(self) -> Option<i64> {
        match self {
            Self::Offset(_) => None,
            Self::Start => Some(-2),
            Self::End | Self::BeforeEnd(_) => Some(-1),
            Self::Time(millis) => Some(millis),
        }
    }
}

/// What one answer brought of one partition: whole record batches, not decoded.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The partition.
    pub partition: FetchId,
    /// Its topic.
    pub topic: ByteStr,
    /// Its number.
    pub index: i32,
    /// The batches; the first may begin before `from`.
    pub records: Bytes,
    /// The offset that was asked for: records before it are skipped.
    pub from: i64,
    /// Records from here on are not wanted.
    pub until: Option<i64>,
    /// The end of what readers see.
    pub high_watermark: i64,
    /// The first offset that is still there.
    pub log_start_offset: i64,
    /// Aborted transactions, `(producer id, first offset)`.
    pub aborted: Arc<[(i64, i64)]>,
    /// Which life of the partition this belongs to.
    pub generation: u32,
    /// Holds the bytes in the budget.
    pub charge: Arc<Charge>,
}

/// What a fetcher tells.
#[derive(Clone, Debug)]
pub enum FetchEvent {
    /// Records.
    Data(Fetched),
    /// The position has been found.
    Positioned {
        /// Whose.
        partition: FetchId,
        /// Where reading starts.
        offset: i64,
        /// Where it ends, where it does.
        until: Option<i64>,
    },
    /// All that was wanted of the partition has been handed out.
    Ended {
        /// Whose.
        partition: FetchId,
    },
    /// The position is at the end of the log, for the first time since it moved.
    EndOfPartition {
        /// Whose.
        partition: FetchId,
        /// The end.
        offset: i64,
    },
    /// The partition is not read on.
    Failed {
        /// Whose.
        partition: FetchId,
        /// Why.
        error: Error,
    },
}

/// A leader that an answer named.
#[derive(Clone, Debug)]
pub struct LeaderHint {
    /// The topic.
    pub topic: ByteStr,
    /// The partition.
    pub index: i32,
    /// Who leads it.
    pub leader: BrokerId,
    /// Since which epoch.
    pub leader_epoch: i32,
    /// Where it listens.
    pub at: Option<Broker>,
}

/// A request of a fetcher.
#[derive(Debug)]
pub struct FetchOut<R> {
    /// To whom.
    pub broker: BrokerId,
    /// What.
    pub request: R,
    /// By which it is answered.
    pub id: u64,
    /// The highest version that may be used.
    pub max_version: i16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Start,
    End,
}

#[derive(Debug)]
struct Partition {
    topic: ByteStr,
    topic_id: Uuid,
    index: i32,
    leader: Option<BrokerId>,
    leader_epoch: i32,
    generation: u32,
    position: Option<i64>,
    start: Option<Position>,
    end: Option<Position>,
    until: Option<i64>,
    asking: bool,
    paused: bool,
    over: bool,
    told_end: bool,
    backoff: Backoff,
    blocked_until: Option<Instant>,
}

impl Partition {
    fn resolved(&self) -> Option<i64> {
        if self.start.is_none() && self.end.is_none() { self.position } else { None }
    }

    fn pause_after_error(&mut self, now: Now) {
        self.blocked_until = Some(now.instant() + self.backoff.next());
    }

    fn is_blocked(&self, now: Now) -> bool {
        self.blocked_until.is_some_and(|until| until > now.instant())
    }

    fn next_generation(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.told_end = false;
        self.over = false;
    }
}

#[derive(Debug)]
struct Asked {
    broker: BrokerId,
    partitions: Vec<(FetchId, u32, i64)>,
}

/// The fetcher.
#[derive(Debug)]
pub struct Fetcher {
    config: FetchConfig,
    budget: Arc<Budget>,
    partitions: BTreeMap<FetchId, Partition>,
    by_name: BTreeMap<(ByteStr, i32), FetchId>,
    next_partition: u32,
    fetches: BTreeMap<u64, Asked>,
    busy: BTreeSet<BrokerId>,
    listings: BTreeMap<u64, (Want, Asked)>,
    next_request: u64,
    rotation: u32,
    events: VecDeque<FetchEvent>,
    hints: Vec<LeaderHint>,
    refresh: bool,
}

impl Fetcher {
    /// A fetcher without partitions.
    pub fn new(config: FetchConfig, budget: Arc<Budget>) -> Self {
        Self {
            config,
            budget,
            partitions: BTreeMap::new(),
            by_name: BTreeMap::new(),
            next_partition: 0,
            fetches: BTreeMap::new(),
            busy: BTreeSet::new(),
            listings: BTreeMap::new(),
            next_request: 0,
            rotation: 0,
            events: VecDeque::new(),
            hints: Vec::new(),
            refresh: false,
        }
    }

    /// Reads a partition from `start`, up to `until` where that is given.
    pub fn add_partition(
        &mut self,
        topic: &ByteStr,
        index: i32,
        start: Position,
        until: Option<Position>,
        metadata: &ClusterMetadata,
    ) -> FetchId {
        let id = FetchId(self.next_partition);
        self.next_partition += 1;
        if let Some(old) = self.by_name.insert((topic.clone(), index), id) {
            self.partitions.remove(&old);
        }
        let mut p = Partition {
            topic: topic.clone(),
            topic_id: Uuid::default(),
            index,
            leader: None,
            leader_epoch: -1,
            generation: 0,
            position: None,
            start: None,
            end: until,
            until: None,
            asking: false,
            paused: false,
            over: false,
            told_end: false,
            backoff: Backoff::new(self.config.retry_backoff, self.config.retry_backoff_max, u64::from(id.0)),
            blocked_until: None,
        };
        place(&mut p, metadata);
        if let Some(Position::Offset(offset)) = until {
            p.end = None;
            p.until = Some(offset);
        }
        match start {
            Position::Offset(offset) => p.position = Some(offset),
            Position::Start | Position::End | Position::BeforeEnd(_) | Position::Time(_) => p.start = Some(start),
        }
        self.partitions.insert(id, p);
        self.check_over(id);
        id
    }

    /// Stops reading a partition.
    pub fn remove_partition(&mut self, id: FetchId) {
        if let Some(p) = self.partitions.remove(&id) {
            self.by_name.remove(&(p.topic, p.index));
        }
    }

    /// Reads on from another place. Nothing that was fetched before counts from here on: the new generation is returned.
    pub fn seek(&mut self, id: FetchId, to: Position) -> Option<u32> {
        let p = self.partitions.get_mut(&id)?;
        p.next_generation();
        match to {
            Position::Offset(offset) => {
                p.position = Some(offset);
                p.start = None;
            }
            Position::Start | Position::End | Position::BeforeEnd(_) | Position::Time(_) => p.start = Some(to),
        }
        Some(p.generation)
    }

    /// Pauses or resumes a partition.
    pub fn pause(&mut self, id: FetchId, paused: bool) {
        if let Some(p) = self.partitions.get_mut(&id) {
            p.paused = paused;
        }
    }

    /// The generation of a partition: data of another one is stale.
    pub fn generation(&self, id: FetchId) -> Option<u32> {
        self.partitions.get(&id).map(|p| p.generation)
    }

    /// The next offset to ask for.
    pub fn position(&self, id: FetchId) -> Option<i64> {
        self.partitions.get(&id)?.position
    }

    /// New metadata: partitions may have moved.
    pub fn handle_metadata(&mut self, metadata: &ClusterMetadata) {
        for p in self.partitions.values_mut() {
            place(p, metadata);
        }
    }

    /// The next ListOffsets request, if a broker that is `ready` can have one.
    pub fn poll_list_offsets(
        &mut self,
        now: Now,
        ready: &mut dyn FnMut(BrokerId) -> bool,
    ) -> Option<FetchOut<ListOffsetsRequest>> {
        for want in [Want::Start, Want::End] {
            let wanted = |p: &Partition| {
                let seek = match want {
                    Want::Start => p.start,
                    Want::End => p.end,
                };
                seek.and_then(Position::timestamp).filter(|_| !p.asking && !p.is_blocked(now) && !p.over)
            };
            let brokers: BTreeSet<BrokerId> =
                self.partitions.values().filter(|p| wanted(p).is_some()).filter_map(|p| p.leader).collect();
            let Some(broker) = brokers.into_iter().find(|broker| ready(*broker)) else { continue };
            let mut topics: Vec<list_offsets::request::ListOffsetsTopic> = Vec::new();
            let mut asked = Vec::new();
            for (id, p) in &mut self.partitions {
                let Some(timestamp) = wanted(p).filter(|_| p.leader == Some(broker)) else { continue };
                p.asking = true;
                asked.push((*id, p.generation, 0));
                let partition = list_offsets::request::ListOffsetsPartition {
                    partition_index: p.index,
                    current_leader_epoch: p.leader_epoch,
                    timestamp,
                    ..Default::default()
                };
                match topics.iter_mut().find(|t| t.name == p.topic) {
                    Some(topic) => topic.partitions.push(partition),
                    None => topics.push(list_offsets::request::ListOffsetsTopic {
                        name: p.topic.clone(),
                        partitions: vec![partition],
                        ..Default::default()
                    }),
                }
            }
            let id = self.next_request;
            self.next_request += 1;
            self.listings.insert(id, (want, Asked { broker, partitions: asked }));
            let request = ListOffsetsRequest {
                replica_id: -1,
                isolation_level: self.config.isolation_level.code(),
                topics,
                timeout_ms: i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX),
                ..ListOffsetsRequest::default()
            };
            return Some(FetchOut { broker, request, id, max_version: i16::MAX });
        }
        None
    }

    /// The answer to a ListOffsets, or why there is none.
    pub fn handle_list_offsets(&mut self, now: Now, id: u64, response: Result<&ListOffsetsResponse, &Error>) {
        let Some((want, asked)) = self.listings.remove(&id) else { return };
        for (id, generation, _) in asked.partitions {
            let Some(p) = self.partitions.get_mut(&id) else { continue };
            p.asking = false;
            if p.generation != generation {
                continue;
            }
            let answer = response.ok().and_then(|response| {
                let topic = response.topics.iter().find(|t| t.name == p.topic)?;
                topic.partitions.iter().find(|a| a.partition_index == p.index)
            });
            let Some(answer) = answer else {
                self.refresh |= response.is_err();
                p.pause_after_error(now);
                continue;
            };
            if let Err(code) = answer.error_code.ok() {
                p.pause_after_error(now);
                match list_offsets_recovery(code) {
                    Recovery::RefreshMetadata => self.refresh = true,
                    Recovery::Fail(code) => {
                        self.fail(id, Error::from_code(code, Some("the offset cannot be looked up")))
                    }
                    Recovery::Backoff | Recovery::FindCoordinator | Recovery::ResetOffset | Recovery::BumpEpoch => {}
                }
                continue;
            }
            p.backoff.reset();
            let seek = match want {
                Want::Start => p.start,
                Want::End => p.end,
            };
            let offset = match seek {
                // No record is that young: where the end is has to be asked on its own.
                Some(Position::Time(_)) if answer.offset < 0 => {
                    match want {
                        Want::Start => p.start = Some(Position::End),
                        Want::End => p.end = Some(Position::End),
                    }
                    continue;
                }
                Some(Position::BeforeEnd(n)) => (answer.offset - n).max(0),
                Some(_) | None => answer.offset,
            };
            match want {
                Want::Start => {
                    p.start = None;
                    p.position = Some(offset);
                }
                Want::End => {
                    p.end = None;
                    p.until = Some(offset);
                }
            }
            if let Some(offset) = p.resolved() {
                self.events.push_back(FetchEvent::Positioned { partition: id, offset, until: p.until });
                self.check_over(id);
            }
        }
    }

    fn fail(&mut self, id: FetchId, error: Error) {
        if let Some(p) = self.partitions.get_mut(&id) {
            p.over = true;
            let error = error.on_partition(&p.topic, p.index);
            self.events.push_back(FetchEvent::Failed { partition: id, error });
        }
    }

    fn check_over(&mut self, id: FetchId) {
        if let Some(p) = self.partitions.get_mut(&id)
            && let (Some(position), Some(until)) = (p.resolved(), p.until)
            && position >= until
            && !p.over
        {
            p.over = true;
            self.events.push_back(FetchEvent::Ended { partition: id });
        }
    }

    /// The next Fetch, if a broker that is `ready` can have one and there is room for the answer.
    pub fn poll_fetch(&mut self, now: Now, ready: &mut dyn FnMut(BrokerId) -> bool) -> Option<FetchOut<FetchRequest>> {
        let fetchable = |p: &Partition| p.resolved().filter(|_| !p.paused && !p.over && !p.is_blocked(now));
        let brokers: BTreeSet<BrokerId> = self
            .partitions
            .values()
            .filter(|p| fetchable(p).is_some())
            .filter_map(|p| p.leader)
            .filter(|broker| !self.busy.contains(broker))
            .collect();
        let broker = brokers.into_iter().find(|broker| ready(*broker))?;
        if !self.budget.has_room() {
            return None;
        }
        let id = self.next_request;
        self.next_request += 1;
        // The broker fills its answer from the front: each request begins with another partition.
        self.rotation = self.rotation.wrapping_add(1);
        let start = FetchId(self.rotation % self.next_partition.max(1));
        let mut topics: Vec<fetch::request::FetchTopic> = Vec::new();
        let mut asked = Vec::new();
        let mut ids_known = true;
        for (partition, p) in self.partitions.range(start..).chain(self.partitions.range(..start)) {
            let Some(offset) = fetchable(p).filter(|_| p.leader == Some(broker)) else { continue };
            ids_known &= p.topic_id != Uuid::default();
            asked.push((*partition, p.generation, offset));
            let entry = fetch::request::FetchPartition {
                partition: p.index,
                current_leader_epoch: p.leader_epoch,
                fetch_offset: offset,
                partition_max_bytes: self.config.max_partition_bytes,
                ..Default::default()
            };
            match topics.last_mut().filter(|t| t.topic == p.topic) {
                Some(topic) => topic.partitions.push(entry),
                None => topics.push(fetch::request::FetchTopic {
                    topic: p.topic.clone(),
                    topic_id: p.topic_id,
                    partitions: vec![entry],
                    ..Default::default()
                }),
            }
        }
        self.busy.insert(broker);
        self.fetches.insert(id, Asked { broker, partitions: asked });
        let request = FetchRequest {
            max_wait_ms: i32::try_from(self.config.max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.config.min_bytes,
            max_bytes: self.config.max_bytes,
            isolation_level: self.config.isolation_level.code(),
            // No session: id 0 and epoch −1.
            session_id: 0,
            session_epoch: -1,
            topics,
            rack_id: self.config.rack.as_str().into(),
            ..FetchRequest::default()
        };
        Some(FetchOut { broker, request, id, max_version: if ids_known { i16::MAX } else { 12 } })
    }

    /// An answer came, in this frame.
    pub fn handle_fetch(&mut self, now: Now, id: u64, response: FetchResponse, frame: Bytes) {
        let Some(asked) = self.fetches.remove(&id) else { return };
        self.busy.remove(&asked.broker);
        if let Err(code) = response.error_code.ok() {
            for (id, _, _) in asked.partitions {
                if let Some(p) = self.partitions.get_mut(&id) {
                    p.pause_after_error(now);
                }
            }
            self.refresh |= code.is_stale_metadata();
            return;
        }
        let charge = self.budget.charge(frame);
        let endpoints = response.node_endpoints;
        for topic in response.responses {
            for answer in topic.partitions {
                let found = asked.partitions.iter().find(|(id, _, _)| {
                    self.partitions.get(id).is_some_and(|p| {
                        p.index == answer.partition_index
                            && (p.topic == topic.topic || topic.topic.is_empty() && p.topic_id == topic.topic_id)
                    })
                });
                let Some(&(id, generation, offset)) = found else { continue };
                if answer.current_leader.leader_id >= 0
                    && let Some(p) = self.partitions.get(&id)
                {
                    let at = endpoints.iter().find(|e| e.node_id == answer.current_leader.leader_id);
                    self.hints.push(LeaderHint {
                        topic: p.topic.clone(),
                        index: p.index,
                        leader: answer.current_leader.leader_id,
                        leader_epoch: answer.current_leader.leader_epoch,
                        at: at.map(|e| Broker {
                            id: e.node_id,
                            host: e.host.clone(),
                            port: e.port,
                            rack: e.rack.clone(),
                        }),
                    });
                }
                self.handle_partition(now, id, generation, offset, answer, &charge);
            }
        }
    }

    fn handle_partition(
        &mut self,
        now: Now,
        id: FetchId,
        generation: u32,
        offset: i64,
        answer: fetch::response::PartitionData,
        charge: &Arc<Charge>,
    ) {
        let stale = self.config.bugs.has(Bug::StaleFetchTaken);
        let reset = self.config.offset_reset;
        let Some(p) = self
            .partitions
            .get_mut(&id)
            .filter(|p| stale || (p.generation == generation && p.position == Some(offset)))
        else {
            return;
        };
        if let Err(code) = answer.error_code.ok() {
            p.pause_after_error(now);
            match recovery(code) {
                Recovery::ResetOffset => match reset {
                    OffsetReset::Earliest => p.start = Some(Position::Start),
                    OffsetReset::Latest => p.start = Some(Position::End),
                    OffsetReset::Fail => {
                        let message = format!("offset {offset} is not in the log");
                        let error = Error::new(ErrorKind::OffsetOutOfRange, message).code_of(code);
                        self.fail(
                            id,
                            error.hinting("its records may have been deleted; seek, or set auto.offset.reset"),
                        );
                    }
                },
                Recovery::RefreshMetadata => self.refresh = true,
                Recovery::Fail(code) => self.fail(id, Error::from_code(code, None)),
                Recovery::Backoff | Recovery::FindCoordinator | Recovery::BumpEpoch => {}
            }
            return;
        }
        p.backoff.reset();
        let records = answer.records.unwrap_or_default();
        // Headers only: where the next request goes on. A batch that was cut off at the end is none.
        let mut next = offset;
        let mut corrupt = None;
        for batch in RecordBatches::new(records.clone()) {
            match batch {
                Ok(batch) => next = next.max(batch.last_offset().saturating_add(1)),
                Err(error) => {
                    corrupt = Some(error);
                    break;
                }
            }
        }
        if next > offset {
            p.position = Some(next);
            p.told_end = false;
            let aborted = answer.aborted_transactions.unwrap_or_default();
            self.events.push_back(FetchEvent::Data(Fetched {
                partition: id,
                topic: p.topic.clone(),
                index: p.index,
                records,
                from: offset,
                until: p.until,
                high_watermark: answer.high_watermark,
                log_start_offset: answer.log_start_offset,
                aborted: aborted.iter().map(|a| (a.producer_id, a.first_offset)).collect(),
                generation,
                charge: charge.clone(),
            }));
        } else if let Some(error) = corrupt {
            self.fail(
                id,
                Error::new(ErrorKind::Decode, format!("the batch at offset {offset} cannot be read: {error}")),
            );
            return;
        }
        let end =
            if self.config.isolation_level.code() == 1 { answer.last_stable_offset } else { answer.high_watermark };
        let Some(p) = self.partitions.get_mut(&id) else { return };
        if next >= end && !p.told_end {
            p.told_end = true;
            self.events.push_back(FetchEvent::EndOfPartition { partition: id, offset: next });
        }
        self.check_over(id);
    }

    /// A Fetch will not be answered.
    pub fn handle_fetch_failure(&mut self, now: Now, id: u64) {
        let Some(asked) = self.fetches.remove(&id) else { return };
        self.busy.remove(&asked.broker);
        self.refresh = true;
        for (id, _, _) in asked.partitions {
            if let Some(p) = self.partitions.get_mut(&id) {
                p.pause_after_error(now);
            }
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<FetchEvent> {
        self.events.pop_front()
    }

    /// Leaders that answers have named since the last call.
    pub fn poll_leader_hints(&mut self) -> Vec<LeaderHint> {
        std::mem::take(&mut self.hints)
    }

    /// Whether the metadata has proven old since the last call.
    pub fn poll_refresh(&mut self) -> bool {
        std::mem::take(&mut self.refresh)
    }

    /// When to poll for requests again without another input.
    pub fn poll_timeout(&self, now: Now) -> Option<Instant> {
        self.partitions
            .values()
            .filter(|p| !p.over)
            .filter_map(|p| p.blocked_until)
            .filter(|at| *at > now.instant())
            .min()
    }
}

fn place(p: &mut Partition, metadata: &ClusterMetadata) {
    let (Some(topic), Some(known)) = (metadata.topics.get(&p.topic), metadata.partition(&p.topic, p.index)) else {
        return;
    };
    p.topic_id = topic.id;
    if p.leader != known.leader || p.leader_epoch != known.leader_epoch {
        p.leader = known.leader;
        p.leader_epoch = known.leader_epoch;
        p.blocked_until = None;
    }
}

/// What Fetch does about a code.
fn recovery(code: ErrorCode) -> Recovery {
    match code {
        ErrorCode::OFFSET_OUT_OF_RANGE => Recovery::ResetOffset,
        ErrorCode::FENCED_LEADER_EPOCH
        | ErrorCode::UNKNOWN_LEADER_EPOCH
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::INCONSISTENT_TOPIC_ID => Recovery::RefreshMetadata,
        code if code.is_stale_metadata() => Recovery::RefreshMetadata,
        code if code.is_retriable() || code == ErrorCode::UNKNOWN_SERVER_ERROR => Recovery::Backoff,
        other => Recovery::Fail(other),
    }
}

/// What ListOffsets does about a code.
fn list_offsets_recovery(code: ErrorCode) -> Recovery {
    match code {
        ErrorCode::FENCED_LEADER_EPOCH | ErrorCode::UNKNOWN_LEADER_EPOCH => Recovery::RefreshMetadata,
        code if code.is_stale_metadata() => Recovery::RefreshMetadata,
        code if code.is_retriable() => Recovery::Backoff,
        other => Recovery::Fail(other),
    }
}
