//! What a consumer reads: from "the group gives you these" to records, and from "give them back" to a commit and a yes.
//!
//! The group member only proposes. The session carries out: on Assign it asks for the committed offsets, applies `auto.offset.reset`, lets the
//! listener look, and begins to fetch; on Revoke it ends delivery, waits for what was handed out (never beyond the deadline), commits, stops
//! fetching, and only then accepts. It does none of that itself: it says what to do ([`Step`]) and is told what came of it. What was done of
//! each partition it reads from a [`Ledger`], which whoever delivers the records keeps. Java: `ConsumerCoordinator`, `ConsumerMembershipManager`.
//!
//! - this file: state, inputs that the application makes, outputs, time
//! - `proposals`: assign, revoke, lost, close
//! - `commits`: what is committed when, and for whom
//! - `watch`: partitions that make no progress

mod commits;
mod proposals;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use felice_protocol::time::{Instant, Now};

use self::commits::{Commit, Loss};
use self::proposals::Proposal;
use self::watch::Watch;
use super::event::ConsumerEvent;
use super::fetcher::{Position, PositionCause, Standing};
use super::group::ProposalId;
use super::offsets::CommitSource;
use super::{OffsetAndMetadata, TopicPartition};
use crate::config::OffsetReset;
use crate::error::{Error, ErrorKind};

/// What to do, by the session's own count; answered by the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// Partitions came; they are read once it has come back.
    Assigned,
    /// Partitions go; they are committed once it has come back.
    Revoking,
    /// Partitions are gone.
    Lost,
}

/// A partition and what is committed for it, or why that is not known.
pub type CommittedOffset = (TopicPartition, Result<Option<OffsetAndMetadata>, Error>);

/// What the session wants done.
#[derive(Debug)]
pub enum Step {
    /// A partition is held from now on; nothing of it is fetched yet.
    Hold(TopicPartition),
    /// Ask the group for committed offsets, and answer by [`Session::handle_committed_offsets`].
    FindCommitted {
        /// Answer with this.
        ticket: Ticket,
        /// Of these.
        partitions: Vec<TopicPartition>,
    },
    /// Fetch a partition from there.
    Start {
        /// Which.
        partition: TopicPartition,
        /// From where.
        from: Position,
        /// Whether it is paused for now.
        paused: bool,
        /// What was committed of it when it was looked at.
        committed: Option<i64>,
    },
    /// Read on from there; what is buffered counts no more.
    Seek {
        /// Which.
        partition: TopicPartition,
        /// From where.
        to: Position,
    },
    /// Hold a partition's fetching, or go on with it.
    Pause {
        /// Which.
        partition: TopicPartition,
        /// Whether it rests.
        paused: bool,
    },
    /// Hand out nothing more of a partition; what was handed out may still be done.
    End(TopicPartition),
    /// A partition is gone: stop fetching, and nothing counts any more.
    Drop(TopicPartition),
    /// Let the listener hear, and answer by [`Session::handle_heard`]; where there is none, at once by [`Session::handle_unheard`].
    Hear {
        /// Answer with this.
        ticket: Ticket,
        /// What.
        what: Hearing,
        /// Of these.
        partitions: Vec<TopicPartition>,
    },
    /// Commit, and answer by [`Session::handle_committed`].
    Commit {
        /// Answer with this.
        ticket: Ticket,
        /// What.
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    },
    /// A commit of the application is answered.
    Committed {
        /// What the application gave it.
        ticket: Ticket,
        /// What came of it.
        result: Result<(), Error>,
    },
    /// Tell the member that its proposal has been carried out.
    Accept(ProposalId),
    /// Leave the group; answer by [`Session::handle_left`].
    Leave,
    /// All is closed.
    Closed(CloseReport),
    /// Tell the application, if it listens.
    Tell(ConsumerEvent),
    /// The application's next record is this error.
    Fail(Error),
}

/// What a close left undone.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CloseReport {
    /// Partitions of which records were handed out and not done when the time was up, with the first of them.
    pub undone: Vec<(TopicPartition, i64)>,
    /// Partitions whose last commit did not arrive, with the offset that it would have had.
    pub uncommitted: Vec<(TopicPartition, i64)>,
    /// Whether the group was told; it notices by itself after `session.timeout.ms`.
    pub left: bool,
    /// What went wrong, where something did.
    pub error: Option<Error>,
}

impl CloseReport {
    /// Whether nothing was left undone.
    pub fn is_clean(&self) -> bool {
        self.undone.is_empty() && self.uncommitted.is_empty() && self.left && self.error.is_none()
    }
}

/// How far the reader of a partition has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The next record to hand out, where it is known.
    pub position: Option<i64>,
    /// The first record that was handed out and is not done.
    pub outstanding: Option<i64>,
    /// Whether anything that was handed out can still be done.
    pub held: bool,
    /// Whether records wait to be taken.
    pub waiting: bool,
    /// What the fetcher waits for.
    pub standing: Option<Standing>,
}

/// What was handed out and done, of each partition. Kept by whoever hands out.
pub trait Ledger {
    /// What a commit from that source would write and is not committed yet.
    fn to_commit(&self, partition: &TopicPartition, source: CommitSource) -> Option<OffsetAndMetadata>;
    /// How far it has come.
    fn progress(&self, partition: &TopicPartition) -> Progress;
    /// This much is committed.
    fn committed(&self, partition: &TopicPartition, offset: i64);
}

/// What a session needs to know.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// What is committed in the background, and before partitions go; `None` where only the application commits.
    pub commit: Option<CommitSource>,
    /// How often.
    pub commit_interval: Duration,
    /// Where to start without a committed offset.
    pub offset_reset: OffsetReset,
    /// After how long without progress a partition is told of.
    pub max_processing: Duration,
    /// Pause before committed offsets are asked for again.
    pub retry_backoff: Duration,
    /// Whether there is a group to ask for committed offsets.
    pub grouped: bool,
}

impl SessionConfig {
    /// What a commit by the application takes where it names nothing.
    fn source(&self) -> CommitSource {
        self.commit.unwrap_or(CommitSource::Done)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The listener has not come back, or nobody knows yet where to start.
    Pending,
    /// It is fetched.
    Reading,
    /// Nothing says where to start.
    Failed,
    /// Nothing more of it is handed out.
    Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    Asked,
    Again(Instant),
    Answered,
}

impl Lookup {
    fn again(self) -> Option<Instant> {
        if let Self::Again(at) = self { Some(at) } else { None }
    }
}

#[derive(Debug)]
struct Held {
    state: State,
    /// The listener has come back.
    heard: bool,
    lookup: Lookup,
    /// Where to start, once it is known.
    start: Option<Position>,
    /// What the group has committed.
    committed: Option<i64>,
    /// The start came from `auto.offset.reset`, because nothing was committed.
    reset: bool,
    paused: bool,
    watch: Watch,
}

/// The session of one consumer.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    partitions: BTreeMap<TopicPartition, Held>,
    proposals: Vec<Proposal>,
    lookups: BTreeMap<Ticket, Vec<TopicPartition>>,
    commits: BTreeMap<Ticket, Commit>,
    loss: Option<Loss>,
    next_ticket: u64,
    commit_at: Option<Instant>,
    watch_at: Option<Instant>,
    /// When the first of the look-ups that failed is made again.
    look_at: Option<Instant>,
    closing: Option<Closing>,
    steps: VecDeque<Step>,
}

#[derive(Debug)]
struct Closing {
    /// What of the time is left then is for leaving the group.
    deadline: Instant,
    report: CloseReport,
    left: bool,
}

impl Session {
    /// A session that holds nothing.
    pub fn new(config: SessionConfig) -> Self {
        Self {
            config,
            partitions: BTreeMap::new(),
            proposals: Vec::new(),
            lookups: BTreeMap::new(),
            commits: BTreeMap::new(),
            loss: None,
            next_ticket: 0,
            commit_at: None,
            watch_at: None,
            look_at: None,
            closing: None,
            steps: VecDeque::new(),
        }
    }

    fn ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    /// What is held, in order.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.iter().filter(|(_, held)| held.state != State::Ending).map(|(partition, _)| partition)
    }

    /// Whether a partition is held and not on its way out.
    pub fn is_held(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_some_and(|held| held.state != State::Ending)
    }

    /// Whether a partition rests.
    pub fn is_paused(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_some_and(|held| held.paused)
    }

    /// Reads a partition on from elsewhere. `false` where it is not held.
    pub fn seek(&mut self, partition: &TopicPartition, to: Position) -> bool {
        let Some(held) = self.partitions.get_mut(partition) else { return false };
        match held.state {
            State::Ending => return false,
            State::Pending | State::Failed => {
                held.state = State::Pending;
                held.start = Some(to);
                held.reset = false;
                self.begin(partition);
            }
            State::Reading => self.steps.push_back(Step::Seek { partition: partition.clone(), to }),
        }
        true
    }

    /// Pauses or resumes a partition. `false` where it is not held.
    pub fn pause(&mut self, partition: &TopicPartition, paused: bool) -> bool {
        let Some(held) = self.partitions.get_mut(partition).filter(|held| held.state != State::Ending) else {
            return false;
        };
        held.paused = paused;
        if held.state == State::Reading {
            self.steps.push_back(Step::Pause { partition: partition.clone(), paused });
        }
        true
    }

    /// Begins to fetch a partition, if the listener has looked and the start is known.
    fn begin(&mut self, partition: &TopicPartition) {
        let Some(held) = self.partitions.get_mut(partition) else { return };
        if held.state != State::Pending || !held.heard {
            return;
        }
        if let Some(from) = held.start {
            held.state = State::Reading;
            self.steps.push_back(Step::Start {
                partition: partition.clone(),
                from,
                paused: held.paused,
                committed: held.committed,
            });
        } else if held.lookup == Lookup::Answered {
            held.state = State::Failed;
            let error = Error::new(ErrorKind::OffsetOutOfRange, "the group has committed no offset")
                .on_partition(&partition.topic, partition.partition)
                .hinting("say where to start: StartAt::Earliest or Latest (auto.offset.reset), or seek");
            let told = ConsumerEvent::PartitionFailed { partition: partition.clone(), error: error.clone() };
            self.steps.push_back(Step::Tell(told));
            self.steps.push_back(Step::Fail(error));
        }
    }

    /// The fetcher has found a position that was no offset.
    pub fn handle_positioned(&mut self, partition: &TopicPartition, offset: i64, cause: PositionCause) {
        let Some(held) = self.partitions.get_mut(partition) else { return };
        let partition = partition.clone();
        let event = match cause {
            PositionCause::OutOfRange(from) => ConsumerEvent::OffsetReset { partition, from: Some(from), to: offset },
            PositionCause::Recreated => ConsumerEvent::TopicRecreated { partition, to: offset },
            PositionCause::Asked if std::mem::take(&mut held.reset) => {
                ConsumerEvent::OffsetReset { partition, from: None, to: offset }
            }
            PositionCause::Asked => return,
        };
        self.steps.push_back(Step::Tell(event));
    }

    /// The fetcher reads a partition no more, until a seek.
    pub fn handle_failed(&mut self, partition: &TopicPartition, error: Error) {
        if self.is_held(partition) {
            let told = ConsumerEvent::PartitionFailed { partition: partition.clone(), error: error.clone() };
            self.steps.push_back(Step::Tell(told));
            self.steps.push_back(Step::Fail(error));
        }
    }

    /// The committed offsets came, or why they do not.
    pub fn handle_committed_offsets(&mut self, now: Now, ticket: Ticket, result: Result<Vec<CommittedOffset>, Error>) {
        let Some(asked) = self.lookups.remove(&ticket) else { return };
        let again = now.instant() + self.config.retry_backoff;
        match result {
            Ok(found) => {
                let mut missing: std::collections::BTreeSet<TopicPartition> = asked.into_iter().collect();
                for (partition, answer) in found {
                    // What was let go in the meantime may be held anew, and be asked for anew: an older answer says nothing of it.
                    if !missing.remove(&partition) {
                        continue;
                    }
                    match answer {
                        Ok(place) => self.place(now, &partition, place),
                        Err(error) => self.look_again(&partition, again, Some(error)),
                    }
                }
                for partition in missing {
                    self.look_again(&partition, again, None);
                }
            }
            Err(error) => {
                for partition in asked {
                    self.look_again(&partition, again, Some(error.clone()));
                }
            }
        }
    }

    fn look_again(&mut self, partition: &TopicPartition, at: Instant, error: Option<Error>) {
        let Some(held) = self.partitions.get_mut(partition).filter(|held| held.lookup == Lookup::Asked) else { return };
        held.lookup = Lookup::Again(at);
        self.look_at = Some(self.look_at.map_or(at, |first| first.min(at)));
        if let Some(error) = error {
            let error = error.on_partition(&partition.topic, partition.partition);
            self.steps.push_back(Step::Tell(ConsumerEvent::PartitionFailed { partition: partition.clone(), error }));
        }
    }

    /// Gives a partition its start: the committed offset, or what `auto.offset.reset` says. A seek goes before both.
    fn place(&mut self, now: Now, partition: &TopicPartition, committed: Option<OffsetAndMetadata>) {
        let reset = reset_position(now, self.config.offset_reset);
        let Some(held) = self.partitions.get_mut(partition).filter(|held| held.lookup == Lookup::Asked) else { return };
        held.lookup = Lookup::Answered;
        held.committed = committed.map(|place| place.offset);
        if held.start.is_none() {
            held.reset = held.committed.is_none();
            held.start = held.committed.map(Position::Offset).or(reset);
        }
        self.begin(partition);
    }

    /// What to do next.
    pub fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Whether the next [`Self::handle_timeout`] looks for partitions without progress, and so at [`Progress::standing`].
    pub fn is_watch_due(&self, now: Now) -> bool {
        self.watch_at.is_some_and(|at| at <= now.instant())
    }

    /// Whether there is something to do.
    pub fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Time has passed, or the ledger has changed.
    pub fn handle_timeout(&mut self, now: Now, ledger: &dyn Ledger) {
        self.advance_proposals(now, ledger);
        self.look_up_again(now);
        self.commit_in_background(now, ledger);
        self.watch(now, ledger);
        self.advance_close(now, ledger);
    }

    fn look_up_again(&mut self, now: Now) {
        if self.look_at.is_none_or(|at| at > now.instant()) {
            return;
        }
        let due = |held: &Held| matches!(held.lookup, Lookup::Again(at) if at <= now.instant());
        let again: Vec<TopicPartition> =
            self.partitions.iter().filter(|(_, held)| due(held)).map(|(partition, _)| partition.clone()).collect();
        self.look_up(again);
        self.look_at = self.partitions.values().filter_map(|held| held.lookup.again()).min();
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let proposals = self.proposals.iter().filter_map(Proposal::due);
        let closing = self.closing.as_ref().filter(|closing| !closing.left).map(|closing| closing.deadline);
        proposals.chain(self.look_at).chain(self.commit_at).chain(self.watch_at).chain(closing).min()
    }
}

/// Where `auto.offset.reset` says to start; `None` for nowhere.
fn reset_position(now: Now, reset: OffsetReset) -> Option<Position> {
    match reset {
        OffsetReset::Earliest => Some(Position::Start),
        OffsetReset::Latest => Some(Position::End),
        OffsetReset::ByDuration(age) => Some(Position::not_older(now, age)),
        OffsetReset::Fail => None,
    }
}
