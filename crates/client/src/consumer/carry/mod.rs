//! Carries out on the driver's thread what a consumer's session decides: between the group member, the fetcher, and what the application shares.
//!
//! - this file: what the session wants done
//! - `incoming`: what fetcher and member tell
//! - `commands`: what the application wants

mod commands;
mod incoming;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use felice_client_core::client::{ClientCore, ReaderKey};
use felice_client_core::config::ConsumerConfig;
use felice_client_core::consumer::budget::Budget;
use felice_client_core::consumer::event::ConsumerEvent;
use felice_client_core::consumer::fetcher::{FetchId, Position, Standing};
use felice_client_core::consumer::group::{MemberKey, RequestId};
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
pub(in crate::consumer) type CommittedOffsets = Vec<(TopicPartition, Result<Option<OffsetAndMetadata>, Error>)>;

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
    pub(in crate::consumer) session: Session,
    pub(in crate::consumer) member: Option<MemberKey>,
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
pub(in crate::consumer) struct Limits {
    pub(in crate::consumer) api_timeout: Duration,
    pub(in crate::consumer) max_poll_interval: Duration,
    pub(in crate::consumer) buffer_bytes: usize,
    pub(in crate::consumer) partition_bytes: usize,
    /// Whether offsets of open transactions are waited for.
    pub(in crate::consumer) require_stable: bool,
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
    pub(in crate::consumer) fn new(
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
                    self.session.handle_unheard(now, ticket, &view(&self.partitions));
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
            Step::Accept(proposal) => {
                if let Some(member) = self.member.and_then(|key| core.member(key)) {
                    member.accept(now, proposal);
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
    pub(in crate::consumer) fn discard(mut self, core: &mut Core) {
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
}

impl Limits {
    pub(in crate::consumer) fn new(
        config: Option<&ConsumerConfig>,
        fetch: &felice_client_core::config::FetchConfig,
    ) -> Self {
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
