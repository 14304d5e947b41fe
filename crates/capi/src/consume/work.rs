//! What the driver's thread does for a consumer, with the cores at hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use felice::protocol::primitives::ByteStr;
use felice::raw::{
    ClusterMetadata, FetchEvent, FetchId, Fetched, Instant, OffsetReset, Position, RawCore, RawEvent, RequestId,
    TopicPattern, batch,
};
use felice::{Error, ErrorCode, ErrorKind, OffsetAndMetadata, TopicPartition};

use super::commit::{Asking, Commit, CommitReply, CommitResult};
use super::slot::Slot;
use super::{ConsumerSide, Failure, Messages};
use crate::errors::text_of;
use crate::log::Context;
use crate::op::Op;
use crate::queue::Queue;
use crate::types::{RespErr, offset};

/// How long an answer to a look-up or commit may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Until committed offsets that could not be told, or a partition that could not be read, are asked for again.
const AGAIN: Duration = Duration::from_millis(500);
/// Until an offset that could not be looked up is asked for again.
const QUERY_AGAIN: Duration = Duration::from_millis(100);

/// What is committed for partitions, each with its own error.
pub(super) type Found = Result<Vec<(TopicPartition, Result<Option<OffsetAndMetadata>, RespErr>)>, RespErr>;

/// Tells what became of a look-up of committed offsets.
pub(super) type Told = Box<dyn FnOnce(Found) + Send>;

/// A partition that starts once it is known where, and for which turn and version of it that is asked.
#[derive(Clone, Debug)]
pub(super) struct Starting {
    pub(super) slot: Arc<Slot>,
    pub(super) turn: u32,
}

/// Who waits for the answer to a request of the member.
pub(super) enum Asked {
    Start(Vec<Starting>),
    Commit(Commit),
    Committed(Told),
}

/// What is done once nothing is locked.
pub(super) enum Out {
    Push(Arc<Queue>, Op),
    /// Interceptors hear what came of a commit.
    Show(CommitResult),
    /// The handle has a fatal error.
    Fatal(RespErr, String),
    /// A line of the log, of the group.
    Log(&'static str, String),
    /// Whoever waits for a commit hears what came of it.
    Answer(std::sync::mpsc::Sender<CommitResult>, CommitResult),
}

impl Out {
    pub(super) fn carry_out(self, side: &ConsumerSide) {
        match self {
            Self::Push(queue, op) => queue.push(op),
            Self::Show(result) => {
                if let Some(kafka) = side.topics.handle().upgrade() {
                    kafka.intercept(|all, rk| all.on_commit(rk, result.list.as_ptr(), result.err));
                }
            }
            Self::Fatal(err, why) => {
                if let Some(kafka) = side.topics.handle().upgrade() {
                    kafka.set_fatal(err, &why);
                }
            }
            Self::Log(facility, text) => {
                if let Some(kafka) = side.topics.handle().upgrade() {
                    kafka.log.debug(Context::CGRP, facility, || text);
                }
            }
            // Whoever asked may have gone.
            Self::Answer(told, result) => drop(told.send(result)),
        }
    }
}

/// What only the driver's thread touches.
#[derive(Default)]
pub(super) struct Carry {
    by_fetch: BTreeMap<FetchId, Arc<Slot>>,
    pub(super) requests: BTreeMap<RequestId, Asked>,
    pub(super) out: Vec<Out>,
    /// Topics that were told to be unknown, with the error, and since when others are.
    pub(super) unknown: BTreeMap<ByteStr, ErrorCode>,
    /// Patterns that nothing matched, and when that is told.
    pub(super) unmatched: BTreeMap<ByteStr, Instant>,
    /// The patterns that are subscribed to, where the client matches them.
    pub(super) patterns: Vec<(ByteStr, TopicPattern)>,
    missing: BTreeMap<TopicPartition, (Instant, bool)>,
    /// The last error told of a partition, so that it is told once.
    failing: BTreeMap<TopicPartition, RespErr>,
    /// Partitions of topics that are no more, of which the program was not told yet.
    pub(super) gone: Vec<TopicPartition>,
    /// It was told that the program has not polled for long.
    pub(super) stalled: bool,
    /// The member has left; the end waits for commits.
    pub(super) left: bool,
}

/// A consumer and its cores.
pub(super) struct Work<'a, 'b> {
    pub(super) side: &'a ConsumerSide,
    pub(super) core: &'a mut RawCore<'b>,
    pub(super) carry: &'a mut Carry,
}

impl Work<'_, '_> {
    pub(super) fn handle(&mut self, event: RawEvent) {
        match event {
            RawEvent::Fetch(event) => self.handle_fetch(event),
            RawEvent::Group(event) => self.handle_group(event),
            RawEvent::Metadata(metadata) => self.handle_metadata(&metadata),
        }
    }

    pub(super) fn out(&mut self, queue: &Arc<Queue>, op: Op) {
        self.carry.out.push(Out::Push(queue.clone(), op));
    }

    fn handle_fetch(&mut self, event: FetchEvent) {
        match event {
            FetchEvent::Data(fetched) => self.deliver(fetched),
            FetchEvent::Positioned { partition, offset, .. } => {
                if let Some(slot) = self.carry.by_fetch.get(&partition) {
                    slot.set_start(Some(Position::Offset(offset)));
                }
            }
            FetchEvent::EndOfPartition { partition, offset } => {
                let Some(slot) = self.carry.by_fetch.get(&partition).cloned() else { return };
                self.carry.failing.remove(&slot.name);
                slot.high.store(offset, Ordering::Release);
                slot.end.store(offset, Ordering::Release);
                if self.side.settings.tells_end {
                    let text = format!("Fetch reached end of partition at offset {offset}");
                    let failure = Failure::new(RespErr::PARTITION_EOF, &text).on(&slot, slot.fetched_for(), offset);
                    self.out(&slot.queue, Op::ConsumerError(Box::new(failure)));
                }
            }
            FetchEvent::Failed { partition, error } => {
                if let Some(slot) = self.carry.by_fetch.get(&partition).cloned() {
                    self.failed(&slot, partition, &error);
                }
            }
            FetchEvent::Ended { .. } => {}
        }
    }

    fn deliver(&mut self, mut fetched: Fetched) {
        let Some(slot) = self.carry.by_fetch.get(&fetched.partition) else { return };
        slot.low.store(fetched.log_start_offset, Ordering::Release);
        slot.high.store(fetched.high_watermark, Ordering::Release);
        let version = slot.fetched_for();
        if slot.version() != version {
            return;
        }
        let slot = slot.clone();
        if !self.carry.failing.is_empty() {
            self.carry.failing.remove(&slot.name);
        }
        // One whose queue the program reads on its own must not take the room of the others.
        if !slot.queue.leads_to(&self.side.queue) {
            let waiting = slot.waiting.load(Ordering::Acquire) + fetched.records.len();
            let fetch = &self.side.settings.fetch;
            let share = fetch.buffer_bytes / 4 / self.carry.by_fetch.len().max(1);
            if waiting > share.max(usize::try_from(fetch.max_partition_bytes).unwrap_or(0)) {
                slot.throttled.store(true, Ordering::Release);
                if let Some((fetcher, _)) = self.core.fetcher() {
                    fetcher.throttle(fetched.partition, true);
                }
            }
            if waiting > fetched.records.len() {
                self.core.set_apart(&mut fetched);
            }
        }
        let offsets = u64::try_from(fetched.next - fetched.from).unwrap_or(0);
        if slot.queued.load(Ordering::Acquire) + offsets >= self.side.settings.queued_min {
            slot.full.store(true, Ordering::Release);
            if let Some((fetcher, _)) = self.core.fetcher() {
                fetcher.throttle(fetched.partition, true);
            }
        }
        let batch = batch(fetched, self.side.settings.fetch.check_crcs);
        let messages = Messages::new(slot.clone(), version, batch, offsets, self.side);
        self.out(&slot.queue, Op::Messages(messages));
    }

    /// What waited of a partition was taken.
    pub(super) fn unthrottle(&mut self, slot: &Slot) {
        let held = slot.throttled.load(Ordering::Acquire) || slot.full.load(Ordering::Acquire);
        if let Some(id) = slot.fetch()
            && let Some((fetcher, _)) = self.core.fetcher()
        {
            fetcher.throttle(id, held);
        }
    }

    /// The fetcher reads a partition no more.
    fn failed(&mut self, slot: &Arc<Slot>, id: FetchId, error: &Error) {
        let position = self.core.fetcher().and_then(|(fetcher, _)| fetcher.position(id)).unwrap_or(offset::INVALID);
        if error.kind() == ErrorKind::OffsetOutOfRange {
            let err = RespErr(ErrorCode::OFFSET_OUT_OF_RANGE.0.into());
            self.reset(slot, position, err, "fetch failed due to requested offset not available on the broker");
            return;
        }
        let err = RespErr::of(error);
        if error.kind() == ErrorKind::LogTruncated {
            // Where the logs part, where the leader could tell; it is a reset all the same.
            let diverges = self.core.fetcher().and_then(|(fetcher, _)| fetcher.position(id));
            match diverges.filter(|_| self.reset_of(slot) != OffsetReset::Fail) {
                Some(at) => self.read(slot, slot.fetched_for(), Position::Offset(at)),
                None => self.reset(slot, position, err, error.message()),
            }
            return;
        }
        if !matches!(slot.start(), Some(Position::Offset(_))) {
            // Where to start could not be asked.
            let (slot, turn) = (slot.clone(), slot.turn());
            self.later(QUERY_AGAIN, move |work| {
                if slot.turn() == turn {
                    work.reset(&slot, position, err, "failed to query logical offset");
                }
            });
            return;
        }
        if self.carry.failing.insert(slot.name.clone(), err) != Some(err) {
            let text = match text_of(err).filter(|_| error.code().is_some()) {
                Some(text) => format!("Fetch failed at offset {position}: {}", text.to_string_lossy()),
                None => format!("Fetch failed at offset {position}: {error}"),
            };
            let failure = Failure::new(err, &text).on(slot, slot.fetched_for(), position);
            self.out(&slot.queue, Op::ConsumerError(Box::new(failure)));
        }
        // What cannot be read is passed; all else is tried again.
        let (slot, turn) = (slot.clone(), slot.turn());
        if error.kind() != ErrorKind::Decode {
            self.later(AGAIN, move |work| {
                if slot.turn() == turn
                    && let Some(start) = slot.start()
                {
                    let at = if position >= 0 { Position::Offset(position) } else { start };
                    work.read(&slot, slot.fetched_for(), at);
                }
            });
        }
    }

    /// Does something after a while.
    pub(super) fn later(&self, pause: Duration, what: impl FnOnce(&mut Work<'_, '_>) + Send + 'static) {
        let this = self.side.this.clone();
        felice::raw::spawn(&self.side.client, async move {
            felice::raw::sleep(pause).await;
            if let Some(side) = this.upgrade() {
                side.command(what);
            }
        });
    }

    /// `auto.offset.reset` of a partition's topic.
    fn reset_of(&self, slot: &Slot) -> OffsetReset {
        reset_of(slot).unwrap_or(self.side.settings.reset)
    }

    /// The record before the position of a partition that is being read was written under this epoch.
    pub(super) fn written_under(&mut self, slot: &Slot, epoch: i32) {
        if let Some(id) = slot.fetch()
            && let Some((fetcher, _)) = self.core.fetcher()
        {
            fetcher.written_under(id, epoch);
        }
    }

    /// There is no offset to read from: what `auto.offset.reset` says.
    pub(super) fn reset(&mut self, slot: &Arc<Slot>, at: i64, err: RespErr, why: &str) {
        slot.looking.store(false, Ordering::Release);
        let to = match self.reset_of(slot) {
            OffsetReset::Earliest => Position::Start,
            OffsetReset::Latest => Position::End,
            OffsetReset::ByDuration(age) => Position::not_older(self.core.now(), age),
            OffsetReset::Fail => {
                let text = text_of(err).map_or_else(Default::default, |text| text.to_string_lossy());
                let failure = Failure::new(RespErr::AUTO_OFFSET_RESET, &format!("{why}: {text}"));
                let failure = failure.on(slot, slot.version(), at);
                self.out(&slot.queue, Op::ConsumerError(Box::new(failure)));
                return;
            }
        };
        self.read(slot, slot.fetched_for(), to);
    }

    /// Reads a partition from here on.
    pub(super) fn read(&mut self, slot: &Arc<Slot>, version: u32, at: Position) {
        slot.set_start(Some(at));
        slot.looking.store(false, Ordering::Release);
        slot.set_fetched_for(version);
        if slot.fetch().is_none() {
            self.core.want_topic(&slot.name.topic);
        }
        let Some((fetcher, metadata)) = self.core.fetcher() else { return };
        let id = match slot.fetch() {
            Some(id) => {
                fetcher.seek(id, at);
                id
            }
            None => {
                let id = fetcher.add_partition(&slot.name.topic, slot.name.partition, at, None, &metadata);
                slot.set_fetch(Some(id));
                self.carry.by_fetch.insert(id, slot.clone());
                id
            }
        };
        fetcher.pause(id, slot.paused.load(Ordering::Acquire));
        self.check_known(slot, &metadata);
    }

    /// Reads a partition no more.
    pub(super) fn stop(&mut self, slot: &Arc<Slot>) {
        slot.set_start(None);
        self.carry.missing.remove(&slot.name);
        self.carry.failing.remove(&slot.name);
        let Some(id) = slot.fetch() else { return };
        slot.set_fetch(None);
        self.carry.by_fetch.remove(&id);
        if let Some((fetcher, _)) = self.core.fetcher() {
            fetcher.remove_partition(id);
        }
        self.core.unwant_topic(&slot.name.topic);
    }

    /// Reads from this offset, as C names it.
    pub(super) fn read_from(&mut self, slot: &Arc<Slot>, version: u32, from: i64) {
        match position(from) {
            Some(position) => self.read(slot, version, position),
            None => {
                slot.set_fetched_for(version);
                self.reset(slot, from, RespErr::NO_OFFSET, "no previously committed offset available");
            }
        }
    }

    /// Asks the group where partitions start.
    pub(super) fn look_up(&mut self, starting: Vec<Starting>) {
        if starting.is_empty() {
            return;
        }
        let stable = self.side.settings.fetch.isolation_level == felice::IsolationLevel::ReadCommitted;
        let now = self.core.now();
        let names = starting.iter().map(|starting| starting.slot.name.clone()).collect();
        match self.core.member() {
            Some(member) => {
                let request = member.committed(now, names, stable, PATIENCE);
                self.carry.requests.insert(request, Asked::Start(starting));
            }
            None => {
                for Starting { slot, .. } in starting {
                    self.read_from(&slot, slot.version(), offset::INVALID);
                }
            }
        }
    }

    /// What the group has committed came.
    pub(super) fn found(&mut self, starting: Vec<Starting>, found: Found) {
        let mut again = Vec::new();
        let found = match found {
            Ok(found) => found.into_iter().collect::<BTreeMap<_, _>>(),
            Err(_) => BTreeMap::new(),
        };
        for Starting { slot, turn } in starting {
            if slot.turn() != turn {
                continue;
            }
            match found.get(&slot.name) {
                Some(Ok(Some(place))) => {
                    slot.committed.set(place.offset, place.leader_epoch);
                    self.read(&slot, slot.version(), Position::Offset(place.offset));
                    self.written_under(&slot, place.leader_epoch);
                }
                Some(Ok(None)) => {
                    slot.committed.clear();
                    self.read_from(&slot, slot.version(), offset::INVALID);
                }
                Some(Err(err)) => {
                    if self.carry.failing.insert(slot.name.clone(), *err) != Some(*err) {
                        let group = self.side.settings.group.as_ref().map_or("", |group| group.group_id.as_str());
                        let why = text_of(*err).map_or_else(Default::default, |text| text.to_string_lossy());
                        let (topic, partition) = (&slot.name.topic, slot.name.partition);
                        let text = format!(
                            "Failed to fetch committed offset for group \"{group}\" topic {topic} [{partition}]: {why}"
                        );
                        let failure = Failure::new(*err, &text).on(&slot, slot.version(), offset::INVALID);
                        let queue = self.side.queue.clone();
                        self.out(&queue, Op::ConsumerError(Box::new(failure)));
                    }
                    again.push(Starting { slot, turn });
                }
                None => again.push(Starting { slot, turn }),
            }
        }
        if !again.is_empty() {
            self.later(AGAIN, move |work| {
                let still = again.into_iter().filter(|starting| starting.slot.turn() == starting.turn).collect();
                work.look_up(still);
            });
        }
    }

    /// Commits, and answers to `reply`.
    pub(super) fn commit(
        &mut self,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        reply: CommitReply,
        asking: Asking,
    ) {
        let now = self.core.now();
        let commit = Commit { offsets, reply };
        match self.core.member() {
            Some(member) => {
                let wanted = commit.offsets.iter().filter(|named| super::commit::is_one(named)).cloned().collect();
                let request = match asking {
                    Asking::Program => member.commit_once(now, wanted, PATIENCE),
                    Asking::Library => member.commit(now, wanted, PATIENCE),
                };
                self.carry.requests.insert(request, Asked::Commit(commit));
            }
            None => self.committed(commit, Err(RespErr::UNKNOWN_GROUP)),
        }
    }

    /// Commits that are open fail.
    pub(super) fn end_commits(&mut self) {
        let is_commit = |(id, asked): (&RequestId, &Asked)| matches!(asked, Asked::Commit(_)).then_some(*id);
        let open: Vec<RequestId> = self.carry.requests.iter().filter_map(is_commit).collect();
        for id in open {
            if let Some(Asked::Commit(commit)) = self.carry.requests.remove(&id) {
                self.committed(commit, Err(RespErr::DESTROY));
            }
        }
    }

    /// Whether a commit is not answered.
    pub(super) fn is_committing(&self) -> bool {
        self.carry.requests.values().any(|asked| matches!(asked, Asked::Commit(_)))
    }

    fn handle_metadata(&mut self, metadata: &Arc<ClusterMetadata>) {
        self.check_subscribed(metadata, metadata.complete);
        let slots: Vec<Arc<Slot>> = self.carry.by_fetch.values().cloned().collect();
        for slot in slots {
            self.check_known(&slot, metadata);
        }
    }

    /// Tells of a partition that does not exist, once it has not existed for long.
    fn check_known(&mut self, slot: &Arc<Slot>, metadata: &ClusterMetadata) {
        let name = &slot.name;
        let wrong = match metadata.topics.get(&name.topic) {
            Some(_) if metadata.partition(&name.topic, name.partition).is_some() => None,
            Some(_) => Some(RespErr::UNKNOWN_PARTITION),
            None => metadata.errors.get(&name.topic).map(|code| RespErr(code.0.into())),
        };
        let Some(err) = wrong else {
            self.carry.missing.remove(name);
            return;
        };
        let now = self.core.now().instant();
        let missing = self.carry.missing.entry(name.clone()).or_insert((now, false));
        let due = missing.0 + self.side.settings.patience;
        if missing.1 {
            return;
        }
        if is_missing(err) && due > now {
            if err == RespErr::UNKNOWN_PARTITION {
                // It may be so new that it is not known yet. The answer leads here again.
                self.core.refresh_metadata();
            }
            return;
        }
        missing.1 = true;
        let text = match text_of(err) {
            Some(text) => format!("desired partition is not available: {}", text.to_string_lossy()),
            None => "desired partition is not available".to_owned(),
        };
        let text = format!("{} [{}]: {text}", name.topic, name.partition);
        let failure = Failure::new(err, &text).on(slot, slot.version(), offset::INVALID);
        self.out(&slot.queue, Op::ConsumerError(Box::new(failure)));
    }
}

fn is_missing(err: RespErr) -> bool {
    err == RespErr::UNKNOWN_PARTITION || err.0 == i32::from(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0)
}

/// What the settings of its topic say about a partition without an offset.
fn reset_of(slot: &Slot) -> Option<OffsetReset> {
    let conf = slot.topic.conf.as_ref()?;
    match conf.text("auto.offset.reset")? {
        "smallest" | "earliest" | "beginning" => Some(OffsetReset::Earliest),
        "largest" | "latest" | "end" => Some(OffsetReset::Latest),
        _ => Some(OffsetReset::Fail),
    }
}

/// A place as C names it; `None` for what only a group or `auto.offset.reset` knows.
pub(super) fn position(at: i64) -> Option<Position> {
    match at {
        offset::BEGINNING => Some(Position::Start),
        offset::END => Some(Position::End),
        0.. => Some(Position::Offset(at)),
        _ if at <= offset::TAIL_BASE => Some(Position::BeforeEnd(offset::TAIL_BASE - at)),
        _ => None,
    }
}
