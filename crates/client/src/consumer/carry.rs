//! Carries out on the driver's thread what a consumer's session decides: between the group member, the fetcher, and what the application shares.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use felice_client_core::client::{ClientCore, ReaderKey};
use felice_client_core::config::ConsumerConfig;
use felice_client_core::consumer::assignor::RebalanceProtocol;
use felice_client_core::consumer::budget::Budget;
use felice_client_core::consumer::event::ConsumerEvent;
use felice_client_core::consumer::fetcher::{FetchEvent, FetchId, Fetched, Position, PositionCause, Standing};
use felice_client_core::consumer::group::{GroupEvent, MemberKey, ProposalId, RequestId, Subscription};
use felice_client_core::consumer::offsets::CommitSource;
use felice_client_core::consumer::session::{CloseReport, Ledger, Progress, Session, Step, Ticket};
use felice_client_core::consumer::{OffsetAndMetadata, TopicPartition};
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::time::{Instant, Now};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::listener::Heard;
use super::partition::PartitionShared;
use super::shared::ConsumerShared;
use crate::client::Client;
use crate::producer::Tag;

/// A consumer of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConsumerKey(pub(crate) u32);

type Core = ClientCore<Tag>;
/// What the group has committed, partition by partition.
pub(super) type CommittedOffsets = Vec<(TopicPartition, Result<Option<OffsetAndMetadata>, Error>)>;

struct Entry {
    shared: Arc<PartitionShared>,
    fetch: Option<FetchId>,
    /// Who waits until it is known where reading goes on.
    seekers: Vec<oneshot::Sender<Result<i64, Error>>>,
}

enum Asked {
    Session(Ticket),
    Application(oneshot::Sender<Result<CommittedOffsets, Error>>),
}

/// One consumer, as its driver has it.
pub(crate) struct ConsumerDriver {
    pub(super) session: Session,
    pub(super) member: Option<MemberKey>,
    pub(crate) reader: ReaderKey,
    shared: Arc<ConsumerShared>,
    budget: Arc<Budget>,
    limits: Limits,
    partitions: BTreeMap<TopicPartition, Entry>,
    by_fetch: BTreeMap<FetchId, TopicPartition>,
    requests: BTreeMap<RequestId, Asked>,
    commits: BTreeMap<Ticket, oneshot::Sender<Result<(), Error>>>,
    closers: Vec<oneshot::Sender<CloseReport>>,
    close_by: Instant,
    listener: Option<UnboundedSender<Heard>>,
    pulse_at: Instant,
    /// Keeps the client alive until a consumer that was dropped has left.
    keep: Option<Client>,
    over: bool,
}

/// Settings that the driver needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) api_timeout: Duration,
    pub(super) max_poll_interval: Duration,
    pub(super) buffer_bytes: usize,
    pub(super) partition_bytes: usize,
    /// Whether offsets of open transactions are waited for.
    pub(super) require_stable: bool,
}

struct View<'a> {
    partitions: &'a BTreeMap<TopicPartition, Entry>,
    standing: BTreeMap<TopicPartition, Standing>,
}

impl Ledger for View<'_> {
    fn to_commit(&self, partition: &TopicPartition, source: CommitSource) -> Option<OffsetAndMetadata> {
        self.partitions.get(partition)?.shared.to_commit(source)
    }

    fn progress(&self, partition: &TopicPartition) -> Progress {
        let Some(entry) = self.partitions.get(partition) else { return Progress::default() };
        Progress { standing: self.standing.get(partition).copied(), ..entry.shared.progress() }
    }

    fn committed(&self, partition: &TopicPartition, offset: i64) {
        if let Some(entry) = self.partitions.get(partition) {
            entry.shared.committed(offset);
        }
    }
}

fn view(partitions: &BTreeMap<TopicPartition, Entry>) -> View<'_> {
    View { partitions, standing: BTreeMap::new() }
}

fn no_group() -> Error {
    Error::new(ErrorKind::Config, "this consumer has no group").hinting("give it one: client.consumer(\"group\")")
}

fn not_held(partition: &TopicPartition) -> Error {
    Error::new(ErrorKind::Closed, "the partition is not assigned to this consumer")
        .on_partition(&partition.topic, partition.partition)
}

impl ConsumerDriver {
    #[expect(clippy::too_many_arguments, reason = "a struct for them would be taken apart again at once")]
    pub(super) fn new(
        session: Session,
        member: Option<MemberKey>,
        reader: ReaderKey,
        shared: Arc<ConsumerShared>,
        budget: Arc<Budget>,
        limits: Limits,
        listener: Option<UnboundedSender<Heard>>,
        now: Now,
    ) -> Self {
        Self {
            session,
            member,
            reader,
            shared,
            budget,
            limits,
            partitions: BTreeMap::new(),
            by_fetch: BTreeMap::new(),
            requests: BTreeMap::new(),
            commits: BTreeMap::new(),
            closers: Vec::new(),
            close_by: Instant(0),
            listener,
            pulse_at: now.instant(),
            keep: None,
            over: false,
        }
    }

    /// Its member of the group.
    pub(crate) fn member(&self) -> Option<MemberKey> {
        self.member
    }

    /// Whether it has closed: it can be removed.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Does everything that is to be done now; tells whether there was something.
    pub(crate) fn work(&mut self, core: &mut Core, now: Now) -> bool {
        self.pulse(core, now);
        let mut worked = false;
        loop {
            let mut standing = BTreeMap::new();
            if self.session.is_watch_due(now)
                && let Some((fetcher, _)) = core.reader(self.reader)
            {
                for (name, entry) in &self.partitions {
                    if let Some(stands) = entry.fetch.and_then(|id| fetcher.standing(now, id)) {
                        standing.insert(name.clone(), stands);
                    }
                }
            }
            self.session.handle_timeout(now, &View { partitions: &self.partitions, standing });
            if !self.session.has_steps() {
                return worked;
            }
            worked = true;
            while let Some(step) = self.session.poll_step() {
                self.carry_out(core, now, step);
            }
        }
    }

    /// Tells the member, a few times in `max.poll.interval.ms`, whether the application has work, and whether it does some.
    fn pulse(&mut self, core: &mut Core, now: Now) {
        if self.pulse_at > now.instant() {
            return;
        }
        self.pulse_at = now.instant()
            + (self.limits.max_poll_interval / 10).clamp(Duration::from_millis(10), Duration::from_millis(500));
        let Some(member) = self.member.and_then(|key| core.member(key)) else { return };
        let waits = |entry: &Entry| {
            let progress = entry.shared.progress();
            progress.waiting || (progress.held && progress.outstanding.is_some())
        };
        let pending = self.partitions.values().any(waits) || self.session.is_hearing();
        member.pending(now, pending);
        if self.shared.vitals.take_progress() {
            member.handle_progress(now);
        }
    }

    /// When to [`Self::work`] next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout().into_iter().chain(self.member.map(|_| self.pulse_at)).min()
    }

    fn carry_out(&mut self, core: &mut Core, now: Now, step: Step) {
        match step {
            Step::Hold(partition) => {
                core.want_topic(now, &partition.topic);
                let shared = PartitionShared::new(partition.clone(), self.shared.vitals.clone());
                self.shared.hold(shared.clone());
                self.partitions.insert(partition, Entry { shared, fetch: None, seekers: Vec::new() });
            }
            Step::FindCommitted { ticket, partitions } => self.find_committed(core, now, ticket, partitions),
            Step::Start { partition, from, paused, committed } => self.start(core, &partition, from, paused, committed),
            Step::Seek { partition, to } => {
                if let Some(id) = self.fetch_id(&partition)
                    && let Some((fetcher, _)) = core.reader(self.reader)
                {
                    fetcher.seek(id, to);
                }
            }
            Step::Pause { partition, paused } => self.pause_fetching(core, &partition, paused),
            Step::End(partition) => self.end(core, &partition),
            Step::Drop(partition) => {
                self.end(core, &partition);
                if let Some(entry) = self.partitions.remove(&partition) {
                    entry.shared.close();
                    self.shared.drop_partition(&partition);
                    core.unwant_topic(&partition.topic);
                }
            }
            Step::Hear { ticket, what, partitions } => {
                let sent = !partitions.is_empty()
                    && self.listener.as_ref().is_some_and(|listener| listener.send((ticket, what, partitions)).is_ok());
                if sent {
                    self.shared.wake();
                } else {
                    self.session.handle_heard(now, ticket, &view(&self.partitions));
                }
            }
            Step::Commit { ticket, offsets } => match self.member.and_then(|key| core.member(key)) {
                Some(member) => {
                    let request = member.commit(now, offsets, self.limits.api_timeout);
                    self.requests.insert(request, Asked::Session(ticket));
                }
                None => self.session.handle_committed(ticket, Err(no_group()), &view(&self.partitions)),
            },
            Step::Committed { ticket, result } => {
                if let Some(asked) = self.commits.remove(&ticket) {
                    // Whoever asked may have gone.
                    let _ = asked.send(result);
                }
            }
            Step::Accept(number) => {
                if let Some(member) = self.member.and_then(|key| core.member(key)) {
                    member.accept(now, ProposalId(number));
                }
            }
            Step::Leave => {
                let left = (self.close_by - now.instant()).max(Duration::from_millis(10));
                match self.member.and_then(|key| core.member(key)) {
                    Some(member) => member.leave(now, left),
                    None => self.session.handle_left(Ok(())),
                }
            }
            Step::Closed(report) => self.closed(core, &report),
            Step::Tell(event) => {
                if matches!(event, ConsumerEvent::Lost { .. }) {
                    self.shared.set_lost();
                }
                self.shared.vitals.events.tell(&event);
            }
            Step::Fail(error) => self.fail(error),
        }
    }

    fn fetch_id(&self, partition: &TopicPartition) -> Option<FetchId> {
        self.partitions.get(partition)?.fetch
    }

    fn find_committed(&mut self, core: &mut Core, now: Now, ticket: Ticket, partitions: Vec<TopicPartition>) {
        let (stable, timeout) = (self.limits.require_stable, self.limits.api_timeout);
        match self.member.and_then(|key| core.member(key)) {
            Some(member) => {
                let request = member.committed(now, partitions, stable, timeout);
                self.requests.insert(request, Asked::Session(ticket));
            }
            None => {
                let nothing = partitions.into_iter().map(|partition| (partition, Ok(None))).collect();
                self.session.handle_committed_offsets(now, ticket, Ok(nothing));
            }
        }
    }

    fn start(
        &mut self,
        core: &mut Core,
        partition: &TopicPartition,
        from: Position,
        paused: bool,
        committed: Option<i64>,
    ) {
        let Some(entry) = self.partitions.get_mut(partition) else { return };
        let Some((fetcher, metadata)) = core.reader(self.reader) else { return };
        let at = if let Position::Offset(offset) = from { Some(offset) } else { None };
        entry.shared.open(at, committed);
        let id = fetcher.add_partition(&partition.topic, partition.partition, from, None, &metadata);
        fetcher.pause(id, paused);
        entry.fetch = Some(id);
        self.by_fetch.insert(id, partition.clone());
        if let Some(offset) = at {
            for seeker in entry.seekers.drain(..) {
                let _ = seeker.send(Ok(offset));
            }
        }
        self.shared.started(&entry.shared);
    }

    fn pause_fetching(&mut self, core: &mut Core, partition: &TopicPartition, paused: bool) {
        let Some(entry) = self.partitions.get(partition) else { return };
        let (Some(id), Some((fetcher, _))) = (entry.fetch, core.reader(self.reader)) else { return };
        fetcher.pause(id, paused);
        // What waited was dropped: it comes again.
        if paused && let Some(position) = entry.shared.position() {
            fetcher.seek(id, Position::Offset(position));
        }
    }

    fn end(&mut self, core: &mut Core, partition: &TopicPartition) {
        let Some(entry) = self.partitions.get_mut(partition) else { return };
        entry.shared.end();
        if let Some(id) = entry.fetch.take() {
            self.by_fetch.remove(&id);
            if let Some((fetcher, _)) = core.reader(self.reader) {
                fetcher.remove_partition(id);
            }
        }
        for seeker in entry.seekers.drain(..) {
            let _ = seeker.send(Err(not_held(partition)));
        }
    }

    fn fail(&mut self, error: Error) {
        let of = error.topic().zip(error.partition()).map(|(topic, index)| TopicPartition::new(topic, index));
        match of.and_then(|partition| self.partitions.get(&partition)).filter(|_| self.shared.is_split()) {
            Some(entry) => {
                // A stream that was not given out yet is given out for its error.
                if entry.fetch.is_none() {
                    self.shared.started(&entry.shared);
                }
                entry.shared.fail(error);
            }
            None => self.shared.fail(error),
        }
    }

    fn closed(&mut self, core: &mut Core, report: &CloseReport) {
        self.over = true;
        for name in self.partitions.keys().cloned().collect::<Vec<_>>() {
            self.end(core, &name);
            if let Some(entry) = self.partitions.remove(&name) {
                entry.shared.close();
                self.shared.drop_partition(&name);
                core.unwant_topic(&name.topic);
            }
        }
        core.remove_reader(self.reader);
        if let Some(member) = self.member.take() {
            core.remove_member(member);
        }
        for closer in self.closers.drain(..) {
            let _ = closer.send(report.clone());
        }
        self.commits.clear();
        self.requests.clear();
        self.shared.end();
    }

    /// It was never given out.
    pub(super) fn discard(mut self, core: &mut Core) {
        self.closed(core, &CloseReport::default());
    }

    /// The client is gone: whoever waits hears of it.
    pub(crate) fn abandon(&mut self) {
        self.shared.fail(crate::client::closed());
        self.shared.end_after_errors();
        for entry in self.partitions.values() {
            entry.shared.fail(crate::client::closed());
            entry.shared.close();
        }
    }

    // What comes from below.

    pub(crate) fn handle_fetch(&mut self, core: &mut Core, event: FetchEvent) {
        match event {
            FetchEvent::Data(fetched) => self.push(core, fetched),
            FetchEvent::Positioned { partition, offset, cause, generation, .. } => {
                let Some(name) = self.by_fetch.get(&partition).cloned() else { return };
                let current = core.reader(self.reader).and_then(|(fetcher, _)| fetcher.generation(partition));
                let Some(entry) = self.partitions.get_mut(&name).filter(|_| current == Some(generation)) else {
                    return;
                };
                match cause {
                    PositionCause::OutOfRange(was) if offset >= was => entry.shared.skip(was, offset),
                    PositionCause::OutOfRange(_) | PositionCause::Recreated | PositionCause::Asked => {
                        entry.shared.positioned(offset);
                    }
                }
                for seeker in entry.seekers.drain(..) {
                    let _ = seeker.send(Ok(offset));
                }
                self.session.handle_positioned(&name, offset, cause);
            }
            FetchEvent::EndOfPartition { partition, offset } => {
                if let Some(partition) = self.by_fetch.get(&partition).cloned() {
                    self.shared.vitals.events.tell(&ConsumerEvent::EndOfPartition { partition, offset });
                }
            }
            FetchEvent::Failed { partition, error } => {
                let Some(name) = self.by_fetch.get(&partition).cloned() else { return };
                if let Some(entry) = self.partitions.get_mut(&name) {
                    for seeker in entry.seekers.drain(..) {
                        let _ = seeker.send(Err(error.clone()));
                    }
                }
                self.session.handle_failed(&name, error);
            }
            FetchEvent::Ended { .. } => {}
        }
    }

    fn push(&mut self, core: &mut Core, mut fetched: Fetched) {
        let Some(entry) = self.by_fetch.get(&fetched.partition).and_then(|name| self.partitions.get(name)) else {
            return;
        };
        let Some((fetcher, _)) = core.reader(self.reader) else { return };
        if fetcher.generation(fetched.partition) != Some(fetched.generation) {
            return;
        }
        let split = self.shared.is_split();
        let limit = if split { self.limits.of_partition(self.partitions.len()) } else { usize::MAX };
        if split && entry.shared.is_behind() {
            // One that lags must not hold the whole answer in memory, which is others' too.
            let copy = bytes::Bytes::copy_from_slice(&fetched.records);
            fetched.charge = self.budget.charge(copy.clone());
            fetched.records = copy;
        }
        let id = fetched.partition;
        let pushed = entry.shared.push(fetched, limit);
        if pushed.list && !split {
            self.shared.list(&entry.shared);
        }
        if pushed.throttle {
            fetcher.throttle(id, true);
        }
    }

    pub(crate) fn unthrottle(&mut self, core: &mut Core, partition: &TopicPartition) {
        if let Some(id) = self.fetch_id(partition)
            && let Some((fetcher, _)) = core.reader(self.reader)
        {
            fetcher.throttle(id, false);
        }
    }

    pub(crate) fn handle_group(&mut self, core: &mut Core, now: Now, event: GroupEvent) {
        match event {
            GroupEvent::Assign { id, partitions, deadline, .. } => {
                self.session.handle_assign(now, id.0, partitions, deadline);
            }
            GroupEvent::Revoke { id, partitions, deadline, .. } => {
                self.session.handle_revoke(now, id.0, partitions, deadline);
            }
            GroupEvent::Lost { id, partitions, error } => self.session.handle_lost(now, id.0, partitions, error),
            GroupEvent::Committed { request, result } => {
                if let Some(Asked::Session(ticket)) = self.requests.remove(&request) {
                    self.session.handle_committed(ticket, result, &view(&self.partitions));
                }
            }
            GroupEvent::Offsets { request, result } => {
                let named =
                    |(partition, answer): (TopicPartition, Result<_, felice_protocol::error_code::ErrorCode>)| {
                        let answer = answer.map_err(|code| {
                            Error::from_code(code, Some("the committed offset cannot be told"))
                                .on_partition(&partition.topic, partition.partition)
                        });
                        (partition, answer)
                    };
                let result = result.map(|found| found.into_iter().map(named).collect::<CommittedOffsets>());
                match self.requests.remove(&request) {
                    Some(Asked::Session(ticket)) => self.session.handle_committed_offsets(now, ticket, result),
                    Some(Asked::Application(asked)) => {
                        // Whoever asked may have gone.
                        let _ = asked.send(result);
                    }
                    None => {}
                }
            }
            GroupEvent::Joined(metadata) => {
                let protocol = self.member.and_then(|key| core.member(key)).and_then(|member| {
                    member.rebalance_protocol().map(|protocol| match protocol {
                        RebalanceProtocol::Eager => "EAGER",
                        RebalanceProtocol::Cooperative => "COOPERATIVE",
                    })
                });
                let event = ConsumerEvent::Joined {
                    member_id: metadata.member_id.to_string(),
                    generation: metadata.generation_or_epoch,
                };
                self.shared.set_metadata(metadata, protocol);
                self.shared.vitals.events.tell(&event);
            }
            GroupEvent::Stalled { since, left, .. } => {
                self.shared.vitals.events.tell(&ConsumerEvent::Silent { age: now.instant() - since, left });
            }
            GroupEvent::Delayed { state, since, error } => {
                let event = ConsumerEvent::Delayed { doing: state.to_string(), age: now.instant() - since, error };
                self.shared.vitals.events.tell(&event);
            }
            GroupEvent::Failed(error) => {
                self.shared.vitals.events.tell(&ConsumerEvent::Failed(error.clone()));
                if self.session.is_closing() {
                    self.session.handle_left(Err(error));
                } else {
                    self.shared.fail_for_good(error);
                }
            }
            GroupEvent::Left => {
                self.shared.vitals.events.tell(&ConsumerEvent::Left);
                self.session.handle_left(Ok(()));
            }
        }
    }

    // What the application wants.

    pub(super) fn subscribe(
        &mut self,
        core: &mut Core,
        now: Now,
        subscription: Option<Subscription>,
    ) -> Result<(), Error> {
        let member = self.member.and_then(|key| core.member(key)).ok_or_else(no_group)?;
        match subscription.clone() {
            Some(subscription) => member.subscribe(now, subscription)?,
            None => member.unsubscribe(now),
        }
        self.shared.set_subscription(subscription);
        Ok(())
    }

    pub(super) fn heard(&mut self, now: Now, ticket: Ticket) {
        self.session.handle_heard(now, ticket, &view(&self.partitions));
    }

    pub(super) fn commit(
        &mut self,
        named: Option<Vec<(TopicPartition, OffsetAndMetadata)>>,
        asked: oneshot::Sender<Result<(), Error>>,
    ) {
        let ticket = self.session.application_ticket();
        self.commits.insert(ticket, asked);
        self.session.commit(ticket, named, &view(&self.partitions));
    }

    pub(super) fn committed(
        &mut self,
        core: &mut Core,
        now: Now,
        partitions: Vec<TopicPartition>,
        asked: oneshot::Sender<Result<CommittedOffsets, Error>>,
    ) {
        let (stable, timeout) = (self.limits.require_stable, self.limits.api_timeout);
        match self.member.and_then(|key| core.member(key)) {
            Some(member) => {
                let request = member.committed(now, partitions, stable, timeout);
                self.requests.insert(request, Asked::Application(asked));
            }
            None => {
                let _ = asked.send(Err(no_group()));
            }
        }
    }

    pub(super) fn seek(
        &mut self,
        core: &mut Core,
        now: Now,
        partition: &TopicPartition,
        to: Position,
        asked: oneshot::Sender<Result<i64, Error>>,
    ) {
        let sought = self.session.seek(partition, to);
        match self.partitions.get_mut(partition).filter(|_| sought) {
            Some(entry) => match to {
                Position::Offset(offset) => {
                    let _ = asked.send(Ok(offset));
                }
                _ => entry.seekers.push(asked),
            },
            None => {
                let _ = asked.send(Err(not_held(partition)));
            }
        }
        self.work(core, now);
        if let Some(entry) = self.partitions.get(partition) {
            entry.shared.moved();
        }
    }

    /// Pauses, resumes; or only fetches again what was taken and not handed out.
    pub(super) fn pause(&mut self, core: &mut Core, now: Now, partition: &TopicPartition, paused: bool) {
        self.session.pause(partition, paused);
        self.work(core, now);
        if paused && let Some(entry) = self.partitions.get(partition) {
            entry.shared.moved();
        }
    }

    pub(super) fn fetch_again(&mut self, core: &mut Core, partition: &TopicPartition) {
        let Some(entry) = self.partitions.get(partition) else { return };
        if let Some((fetcher, _)) = core.reader(self.reader)
            && let (Some(id), Some(position)) = (entry.fetch, entry.shared.position())
        {
            fetcher.seek(id, Position::Offset(position));
        }
        entry.shared.moved();
    }

    pub(super) fn close(&mut self, now: Now, within: Duration, closer: Option<oneshot::Sender<CloseReport>>) {
        self.close_by = now.instant() + within;
        self.closers.extend(closer);
        self.session.close(now, self.close_by);
    }

    /// Nobody reads the consumer any more.
    pub(super) fn detach(&mut self, now: Now, client: Client, within: Duration) {
        self.keep = Some(client);
        self.listener = None;
        let unheard = self.session.hearings();
        for ticket in unheard {
            self.heard(now, ticket);
        }
        self.close(now, within, None);
    }
}

impl Limits {
    pub(super) fn new(config: Option<&ConsumerConfig>, fetch: &felice_client_core::config::FetchConfig) -> Self {
        let (api_timeout, max_poll_interval) = config
            .map_or((Duration::from_secs(60), Duration::from_secs(300)), |c| (c.api_timeout, c.max_poll_interval));
        Self {
            api_timeout,
            max_poll_interval,
            buffer_bytes: fetch.buffer_bytes,
            partition_bytes: usize::try_from(fetch.max_partition_bytes).unwrap_or(1 << 20),
            require_stable: fetch.isolation_level.code() == 1,
        }
    }

    /// How much of one partition may wait where each has a stream of its own.
    fn of_partition(&self, partitions: usize) -> usize {
        (self.buffer_bytes / 4 / partitions.max(1)).max(self.partition_bytes)
    }
}
