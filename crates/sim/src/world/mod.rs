//! The world: one queue of things to come, in order of time and then of their making, one source of chance, and everything that has a part in it.
//!
//! - this file: the queue, the phases of a run, and the clients' and the readers' lives
//! - `driving`: the broker's process, connections, syncs
//! - `mischief`: what each fault does
//! - `groups`: consumer groups, their members' lives, and who owns what
//!
//! A run has three phases. While it is *active* there is load and evil. Then the faults end, everything is repaired, and it *recovers*: every
//! producer sends a marker to every partition, every marker must be acknowledged, read by every reader, and every earlier record's fate told. Then it
//! is *quiet*: the same again, but at once, so that whoever sleeps on without a reason is found out.

mod driving;
mod groups;
mod mischief;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use felice_broker_core::SyncTicket;
use felice_client_core::client::ConnectionId;
use felice_log::Flush;
use felice_protocol::time::{Instant, Now};

use crate::broker_host::BrokerHost;
use crate::checkers::{Checkers, Violation};
use crate::client_host::{ClientHost, Effect};
use crate::clock::Clock;
use crate::faults::{FaultCounts, FaultKind};
use crate::history::{Event, History, Outage, RecordId};
use crate::network::{Link, Network, UnderWay};
use crate::plan::{Plan, Settings};
use crate::rng::Rng;

/// How long everything may take to come to rest once the faults are over.
///
/// A reader has one Fetch in flight; partitions that have to look for their position again may each wait for one to end, and `fetch.max.wait.ms` is up
/// to 20 s here, a dead connection is found after `request.timeout.ms` more.
const RECOVERY_LIMIT: Duration = Duration::from_secs(240);
/// How long a marker may take, there and back, when nothing is wrong.
const QUIET_LIMIT: Duration = Duration::from_secs(5);
/// More steps than this at one instant mean that something runs in circles.
const STEPS_PER_INSTANT: u64 = 100_000;

/// Something that will happen.
#[derive(Debug)]
enum Job {
    Arrive(UnderWay),
    /// A client's attempt to connect reaches the broker's machine.
    Connecting(usize, ConnectionId),
    Connected(usize, ConnectionId, Link),
    Refused(usize, ConnectionId),
    ClientTimer(usize, Instant),
    ClientGoesOn(usize),
    /// The application's next burst of records, or the reader's next whim.
    ClientActs(usize),
    BrokerWorks(u64),
    BrokerTimer(u64, Instant),
    BrokerStarts(Outage),
    /// The disk was to stop within a number of operations that did not come.
    BrokerDies(u64),
    SyncStarts(u64, SyncTicket, Vec<Arc<Flush>>),
    SyncEnds(u64, SyncTicket, Result<(), std::io::ErrorKind>),
    /// A marker that could not be delivered is sent again.
    Marker(usize, i32, RecordId),
    MemberStarts(usize),
    /// A member's client goes on where it stood still.
    MemberThaws(usize),
    /// It takes the subscription again that it gave up.
    MemberSubscribes(usize),
    NextMemberFault,
    /// Every group must have settled.
    GroupsDeadline,
    NextFault,
    FaultEnds(FaultKind),
    Calm,
    Quiet,
    Deadline(&'static str),
}

#[derive(Debug)]
struct Scheduled {
    at: Instant,
    sequence: u64,
    job: Job,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    /// The earliest is the greatest, so that a heap gives it first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Active,
    Recovering,
    Resting,
    Quiet,
    /// Every member closes.
    Closing,
    Over,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What was found, if anything.
    pub violation: Option<Violation>,
    /// Virtual time that passed.
    pub simulated: Duration,
    /// Faults that were made, and operations of the disk that failed.
    pub faults: FaultCounts,
    /// Records that were handed over.
    pub records: u64,
    /// Records that readers got.
    pub reads: u64,
    /// Steps of the world.
    pub steps: u64,
    /// The hash of the history.
    pub hash: u64,
    /// The history's text, where it was wanted.
    pub text: String,
}

/// A simulated world.
pub struct World {
    settings: Settings,
    plan: Plan,
    clock: Clock,
    queue: BinaryHeap<Scheduled>,
    sequence: u64,
    rng: Rng,
    network: Network,
    broker: BrokerHost,
    broker_timer: Option<Instant>,
    broker_runs: bool,
    clients: Vec<ClientHost>,
    history: History,
    checkers: Checkers,
    phase: Phase,
    violation: Option<Violation>,
    faults: FaultCounts,
    /// Whether the outage that lasts, or began last, lost what was not synced.
    outage: Outage,
    records: u64,
    reads: u64,
    steps: u64,
    /// Markers that a reader has yet to get, and those whose fate is open.
    unread_markers: BTreeSet<(usize, RecordId)>,
    open_markers: BTreeMap<RecordId, (usize, i32)>,
    sending_marker: Option<(usize, i32)>,
    /// A machine lost what it never promised to keep: a producer may find that its sequences have a gap.
    lost_records: bool,
    groups: groups::Groups,
}

impl World {
    /// A world before its first event.
    ///
    /// # Errors
    /// Where it cannot even begin: a broker that does not start on an empty disk, for instance.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let plan = Plan::new(&settings);
        let mut rng = Rng::new(settings.seed);
        let network = Network::new(plan.weather, rng.fork());
        let broker = BrokerHost::new(&plan, rng.fork(), settings.bug)?;
        let mut clients = Vec::new();
        for (number, producer) in (0_u32..).zip(&plan.producers) {
            clients.push(ClientHost::producer(number, &plan, producer, &mut rng, settings.bug)?);
        }
        for (number, reader) in plan.readers.iter().enumerate() {
            clients.push(ClientHost::reader(number, &plan, reader, &mut rng, settings.bug)?);
        }
        let checkers = Checkers::new(plan.groups.as_ref().map_or(0, |groups| groups.groups));
        let history = History::new(settings.keep_text, settings.trace);
        let mut world = Self {
            plan,
            clock: Clock::default(),
            queue: BinaryHeap::new(),
            sequence: 0,
            rng,
            network,
            broker,
            broker_timer: None,
            broker_runs: false,
            clients,
            history,
            checkers,
            phase: Phase::Active,
            violation: None,
            faults: FaultCounts::default(),
            outage: Outage::Shutdown,
            records: 0,
            reads: 0,
            steps: 0,
            unread_markers: BTreeSet::new(),
            open_markers: BTreeMap::new(),
            sending_marker: None,
            lost_records: false,
            groups: groups::Groups::default(),
            settings,
        };
        world.history.trace(world.clock, format_args!("{:?}", world.plan));
        world.create_topic()?;
        Ok(world)
    }

    /// Runs the world to its end, or to the first thing that is wrong.
    pub fn run(mut self) -> Report {
        for client in 0..self.clients.len() {
            let after = self.random_millis(50);
            self.after(after, Job::ClientActs(client));
            self.clients[client].start(self.clock.now());
            self.settle_client(client);
        }
        if !self.plan.faults.is_empty() {
            let after = self.random_millis(self.plan.fault_gap_millis);
            self.after(after, Job::NextFault);
        }
        self.start_groups();
        self.after(self.plan.active, Job::Calm);
        let mut steps_here = 0;
        while self.phase != Phase::Over && self.violation.is_none() {
            let Some(next) = self.queue.pop() else {
                self.wrong("the world stands still", "nothing is left to happen".to_owned());
                break;
            };
            steps_here = if next.at > self.clock.instant() { 0 } else { steps_here + 1 };
            if steps_here > STEPS_PER_INSTANT {
                self.wrong(
                    "time goes on",
                    format!("{steps_here} steps without time passing; the next: {:?}", next.job),
                );
                break;
            }
            self.clock.advance(next.at);
            self.steps += 1;
            self.step(next.job);
        }
        if let Some(violation) = &self.violation {
            self.history.add(self.clock, &format_args!("VIOLATION    {}: {}", violation.checker, violation.what));
        }
        Report {
            seed: self.settings.seed,
            violation: self.violation,
            simulated: self.clock.elapsed(),
            faults: self.faults,
            records: self.records,
            reads: self.reads,
            steps: self.steps,
            hash: self.history.hash(),
            text: self.history.into_text(),
        }
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn at(&mut self, at: Instant, job: Job) {
        self.sequence += 1;
        self.queue.push(Scheduled { at: at.max(self.clock.instant()), sequence: self.sequence, job });
    }

    fn after(&mut self, delay: Duration, job: Job) {
        self.at(self.clock.instant() + delay, job);
    }

    fn random_millis(&mut self, bound: u64) -> Duration {
        Duration::from_micros(self.rng.below(bound * 1000 + 1))
    }

    fn trace(&self, text: fmt::Arguments<'_>) {
        self.history.trace(self.clock, text);
    }

    fn tell(&mut self, event: &Event) {
        self.history.add(self.clock, event);
        match event {
            Event::Sent { record, .. } => {
                self.records += 1;
                if let Some(marker) = self.sending_marker {
                    self.open_markers.insert(*record, marker);
                    let groups = self.plan.groups.as_ref().map_or(0, |groups| groups.groups);
                    let readers = self.plan.readers.len() + groups;
                    self.unread_markers.extend((0..readers).map(|reader| (reader, *record)));
                }
            }
            Event::Read { reader, record, .. } => {
                self.reads += 1;
                self.unread_markers.remove(&(*reader, *record));
            }
            Event::Acknowledged { record, partition, offset } => {
                if self.open_markers.remove(record).is_some() && self.lost_records {
                    self.forgive_readers_ahead(*record, *partition, *offset);
                }
            }
            Event::Failed { record, error, .. } => {
                let marker = self.open_markers.remove(record);
                // it may have joined a batch that was opened long before, or come behind one that was lost: it is sent again
                if let Some((client, partition)) = marker.filter(|_| self.phase == Phase::Recovering) {
                    self.after(Duration::from_millis(10), Job::Marker(client, partition, *record));
                } else if marker.is_some() {
                    self.wrong("everything settles", format!("{record}, sent after the faults, failed: {error}"));
                }
            }
            Event::Started { keeps_all: false, .. } => self.lost_records = true,
            Event::Group(event) => self.after_group_event(event),
            Event::Started { .. } | Event::Sought { .. } | Event::Fault(_) | Event::Settled { .. } | Event::Note(_) => {
            }
        }
        if self.violation.is_none() {
            self.violation = self.checkers.observe(event).err();
        }
    }

    fn wrong(&mut self, checker: &'static str, what: String) {
        self.violation.get_or_insert(Violation { checker, what });
    }

    fn step(&mut self, job: Job) {
        let Some(job) = self.for_the_living(job) else { return };
        match job {
            Job::Arrive(under_way) => self.arrive(&under_way),
            Job::Connecting(client, id) => self.connecting(client, id),
            Job::Connected(client, id, link) => self.connected(client, id, link),
            Job::Refused(client, id) => {
                self.clients[client].handle_refused(self.clock.now(), id);
                self.settle_client(client);
            }
            Job::ClientTimer(client, at) => {
                if self.clients[client].timer == Some(at) {
                    self.clients[client].timer = None;
                    self.clients[client].handle_timeout(self.clock.now());
                    self.settle_client(client);
                }
            }
            Job::ClientGoesOn(client) => {
                let effects = self.clients[client].go_on(self.clock.now());
                self.carry_out(client, effects);
                self.settle_client(client);
            }
            Job::ClientActs(client) => self.client_acts(client),
            Job::BrokerWorks(incarnation) => self.broker_works(incarnation),
            Job::BrokerTimer(incarnation, at) => self.broker_timer(incarnation, at),
            Job::BrokerStarts(after) => self.broker_starts(after),
            Job::BrokerDies(incarnation) => self.broker_dies_at_last(incarnation),
            Job::SyncStarts(incarnation, ticket, flushes) => self.sync(incarnation, ticket, &flushes),
            Job::SyncEnds(incarnation, ticket, result) => self.sync_ends(incarnation, ticket, result),
            Job::Marker(client, partition, failed) => {
                self.send_marker(client, partition);
                self.unread_markers.retain(|(_, record)| *record != failed);
            }
            Job::MemberStarts(member) => self.member_starts(member),
            Job::MemberThaws(client) => self.member_thaws(client),
            Job::MemberSubscribes(client) => self.member_subscribes(client),
            Job::NextMemberFault => self.next_member_fault(),
            Job::GroupsDeadline => self.groups_deadline(),
            Job::NextFault => self.next_fault(),
            Job::FaultEnds(kind) => self.fault_ends(kind),
            Job::Calm => self.calm(),
            Job::Quiet => {
                self.phase = Phase::Quiet;
                self.send_markers();
                self.after(QUIET_LIMIT, Job::Deadline("quiet"));
            }
            Job::Deadline(phase) => self.deadline(phase),
        }
        self.check_phase();
    }

    // ----- Clients.

    fn client_acts(&mut self, client: usize) {
        if self.phase != Phase::Active {
            return;
        }
        let producers = self.plan.producers.len();
        let effects = if client < producers {
            let plan = self.plan.producers[client].clone();
            let mut effects = Vec::new();
            for _ in 0..self.rng.between(1, plan.burst) {
                let key = self.rng.below(20);
                let size = usize::try_from(self.rng.below(plan.value_size)).unwrap_or(0);
                effects.extend(self.clients[client].send(self.clock.now(), None, key, size));
            }
            let pause = self.random_millis(plan.pause_millis * 2);
            self.after(pause, Job::ClientActs(client));
            effects
        } else {
            let pause = self.random_millis(2000);
            self.after(pause, Job::ClientActs(client));
            let seeks = self.plan.readers[client - producers].seek_per_mille;
            if !self.rng.chance(seeks) {
                return;
            }
            let partition =
                i32::try_from(self.rng.below(u64::try_from(self.plan.partitions).unwrap_or(1))).unwrap_or(0);
            self.clients[client].seek(partition, &mut self.rng)
        };
        self.carry_out(client, effects);
        self.settle_client(client);
    }

    fn settle_client(&mut self, client: usize) {
        let effects = self.clients[client].drain(self.clock.now());
        self.carry_out(client, effects);
        let wanted = self.clients[client].poll_timeout(self.clock.now()).map(|at| at.max(self.clock.instant()));
        if wanted != self.clients[client].timer {
            self.clients[client].timer = wanted;
            if let Some(at) = wanted {
                self.at(at, Job::ClientTimer(client, at));
            }
        }
    }

    fn carry_out(&mut self, client: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Connect(id) => {
                    let latency = self.network.latency();
                    self.after(latency, Job::Connecting(client, id));
                }
                Effect::Send(link, frame) => self.send_from_client(link, frame),
                Effect::Close(link) => self.close_from_client(link),
                Effect::Tell(Event::Group(mut event)) => {
                    self.before_group_event(&mut event);
                    self.tell(&Event::Group(event));
                }
                Effect::Tell(event) => self.tell(&event),
                Effect::Continue => {
                    // a thread has to wake up for this
                    let delay = Duration::from_nanos(self.rng.between(1000, 200_000));
                    self.after(delay, Job::ClientGoesOn(client));
                }
                Effect::ContinueAt(at) => self.at(at, Job::ClientGoesOn(client)),
                Effect::Exit => self.member_ends(client, false),
                Effect::Wrong(what) => self.wrong("clients work", what),
            }
        }
    }

    // ----- Phases.

    fn calm(&mut self) {
        self.phase = Phase::Recovering;
        self.end_all_faults();
        self.calm_groups();
        self.send_markers();
        self.after(RECOVERY_LIMIT, Job::Deadline("recovering"));
    }

    fn send_markers(&mut self) {
        for client in 0..self.clients.len() {
            if self.clients[client].is_idempotent_producer() {
                for partition in 0..self.plan.partitions {
                    self.send_marker(client, partition);
                }
            }
        }
    }

    fn send_marker(&mut self, client: usize, partition: i32) {
        self.sending_marker = Some((client, partition));
        // larger than any fetch.min.bytes, and hard to compress below it
        let effects = self.clients[client].send(self.clock.now(), Some(partition), 0, 4000);
        self.carry_out(client, effects);
        self.sending_marker = None;
        self.settle_client(client);
    }

    /// Where a machine lost what it never promised to keep, a reader may be further than the log was then, and miss what takes those offsets.
    fn forgive_readers_ahead(&mut self, record: RecordId, partition: i32, offset: Option<i64>) {
        for reader in 0..self.plan.readers.len() {
            let position = self.clients[self.plan.producers.len() + reader].position(partition);
            if position.zip(offset).is_none_or(|(position, offset)| position > offset) {
                self.unread_markers.remove(&(reader, record));
            }
        }
    }

    fn has_settled(&self) -> bool {
        self.groups_have_settled()
            && self.unread_markers.is_empty()
            && self.open_markers.is_empty()
            && self.clients.iter().all(|client| client.unresolved() == 0)
    }

    fn check_phase(&mut self) {
        if self.phase == Phase::Active || !self.has_settled() || self.violation.is_some() {
            return;
        }
        match self.phase {
            Phase::Recovering => {
                self.phase = Phase::Resting;
                self.tell(&Event::Note("recovered".to_owned()));
                // readers that look for their positions again are through by then
                let rest = if self.lost_records { Duration::from_secs(90) } else { Duration::from_secs(1) };
                self.after(rest, Job::Quiet);
            }
            Phase::Quiet => {
                self.phase = Phase::Closing;
                self.close_groups();
                self.check_phase();
            }
            Phase::Closing if self.members_left() == 0 => {
                match self.contents() {
                    Ok(contents) => self.tell(&Event::Settled { contents }),
                    Err(what) => self.wrong("files are whole", what),
                }
                self.find_commits();
                self.phase = Phase::Over;
            }
            Phase::Active | Phase::Resting | Phase::Closing | Phase::Over => {}
        }
    }

    fn deadline(&mut self, phase: &'static str) {
        let still = match self.phase {
            Phase::Recovering => phase == "recovering",
            Phase::Quiet => phase == "quiet",
            Phase::Closing => phase == "closing",
            Phase::Active | Phase::Resting | Phase::Over => false,
        };
        if !still {
            return;
        }
        let members = self.members_left();
        let unresolved: u64 = self.clients.iter().map(ClientHost::unresolved).sum();
        let unread: Vec<String> =
            self.unread_markers.iter().take(3).map(|(reader, record)| format!("{record} by r{reader}")).collect();
        self.wrong(
            "everything settles",
            format!(
                "{phase}: {members} members are there, the fate of {unresolved} records is not told, {} markers are not read ({} …), {} not acknowledged",
                self.unread_markers.len(),
                unread.join(", "),
                self.open_markers.len()
            ),
        );
    }
}
