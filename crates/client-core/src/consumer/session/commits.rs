//! What is committed when, and for whom.

use std::collections::BTreeMap;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::time::Now;

use super::{Ledger, Session, State, Step, Ticket};
use crate::consumer::event::ConsumerEvent;
use crate::consumer::{OffsetAndMetadata, TopicPartition};
use crate::error::{Error, ErrorKind};

/// A commit on its way.
#[derive(Debug)]
pub(super) struct Commit {
    offsets: Vec<(TopicPartition, i64)>,
    purpose: Purpose,
    /// What the application is to hear even where all of this is committed.
    lost: Option<Error>,
}

/// Partitions are gone, and the application has not heard of it: what it asks to commit of them is not committed.
#[derive(Debug)]
pub(super) struct Loss {
    /// By which a listener hears.
    ticket: Ticket,
    /// A listener is to hear, and has not come back: until then every commit tells, since each may be asked by another task. Where none is,
    /// the next commit tells, and those that follow only of what was done since.
    listened: bool,
    /// Something of them is done, or may still be called so, and is not committed.
    open: bool,
    error: Error,
}

impl Loss {
    fn new(ticket: Ticket, open: bool, cause: Option<Error>) -> Self {
        let message = "partitions were taken away: what was done of them and not committed is read again by others";
        let mut error = Error::new(cause.as_ref().map_or(ErrorKind::Timeout, Error::kind), message)
            .hinting("what is still held is committed; go on");
        if let Some(cause) = cause {
            if let Some(code) = cause.code() {
                error = error.code_of(code);
            }
            error = error.caused_by(cause);
        }
        Self { ticket, listened: true, open, error }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Background,
    /// Before partitions go.
    Last,
    /// The application asked, and hears by this ticket of its own.
    Application(Ticket),
}

impl Session {
    /// Commits what the application names, or what is done (stored, handed out: by the commit mode) of everything held. Answered by
    /// [`Step::Committed`] with `asked`. Where partitions were taken away and the application has not heard of it, that is an error: it
    /// might take its work for committed. A listener has heard once it has come back; without one the error itself tells.
    pub fn commit(
        &mut self,
        asked: Ticket,
        named: Option<Vec<(TopicPartition, OffsetAndMetadata)>>,
        ledger: &dyn Ledger,
    ) {
        let source = self.config.source();
        let lost = if named.is_none() { self.tell_loss() } else { None };
        let offsets = named.unwrap_or_else(|| {
            self.partitions.keys().filter_map(|p| ledger.to_commit(p, source).map(|place| (p.clone(), place))).collect()
        });
        if offsets.is_empty() {
            self.steps.push_back(Step::Committed { ticket: asked, result: lost.map_or(Ok(()), Err) });
        } else {
            let ticket = self.send(offsets, Purpose::Application(asked));
            if let Some(commit) = self.commits.get_mut(&ticket) {
                commit.lost = lost;
            }
        }
    }

    /// A number by which the application hears of a commit.
    pub fn application_ticket(&mut self) -> Ticket {
        self.ticket()
    }

    /// Partitions are gone, and a listener may hear of it by this ticket. `open`: something of them is done and not committed, or can still
    /// be called done.
    pub(super) fn note_loss(&mut self, ticket: Ticket, open: bool, cause: Option<Error>) {
        let open = open || self.loss.as_ref().is_some_and(|before| before.open);
        self.loss = Some(Loss::new(ticket, open, cause));
    }

    /// Something was called done that belongs to a partition that is gone.
    pub fn handle_late_done(&mut self) {
        if let Some(loss) = &mut self.loss {
            loss.open = true;
        }
    }

    /// A listener has come back.
    pub(super) fn forget_loss(&mut self, ticket: Ticket) {
        self.loss.take_if(|loss| loss.ticket == ticket);
    }

    /// No listener will come back, or not in time.
    pub(super) fn leave_loss_unheard(&mut self, ticket: Ticket) {
        if let Some(loss) = self.loss.as_mut().filter(|loss| loss.ticket == ticket) {
            loss.listened = false;
        }
    }

    /// What a commit has to tell beside what becomes of it.
    fn tell_loss(&mut self) -> Option<Error> {
        let loss = self.loss.as_mut().filter(|loss| loss.open)?;
        loss.open = loss.listened;
        Some(loss.error.clone())
    }

    fn send(&mut self, offsets: Vec<(TopicPartition, OffsetAndMetadata)>, purpose: Purpose) -> Ticket {
        let ticket = self.ticket();
        let sent = offsets.iter().map(|(partition, place)| (partition.clone(), place.offset)).collect();
        self.commits.insert(ticket, Commit { offsets: sent, purpose, lost: None });
        self.steps.push_back(Step::Commit { ticket, offsets });
        ticket
    }

    pub(super) fn commit_last(&mut self, partitions: &[TopicPartition], ledger: &dyn Ledger) -> Option<Ticket> {
        let source = self.config.commit?;
        let offsets: Vec<_> =
            partitions.iter().filter_map(|p| ledger.to_commit(p, source).map(|place| (p.clone(), place))).collect();
        (!offsets.is_empty()).then(|| self.send(offsets, Purpose::Last))
    }

    pub(super) fn commit_in_background(&mut self, now: Now, ledger: &dyn Ledger) {
        let Some(source) = self.config.commit else { return };
        if self.partitions.is_empty() || self.closing.is_some() {
            self.commit_at = None;
            return;
        }
        let due = *self.commit_at.get_or_insert(now.instant() + self.config.commit_interval);
        if due > now.instant() {
            return;
        }
        self.commit_at = Some(now.instant() + self.config.commit_interval);
        if self.commits.values().any(|commit| commit.purpose == Purpose::Background) {
            return;
        }
        let offsets: Vec<_> = self
            .partitions
            .iter()
            .filter(|(_, held)| held.state == State::Reading)
            .filter_map(|(p, _)| ledger.to_commit(p, source).map(|place| (p.clone(), place)))
            .collect();
        if !offsets.is_empty() {
            self.send(offsets, Purpose::Background);
        }
    }

    /// A commit was answered, partition by partition, or failed.
    pub fn handle_committed(
        &mut self,
        ticket: Ticket,
        result: Result<Vec<(TopicPartition, ErrorCode)>, Error>,
        ledger: &dyn Ledger,
    ) {
        let Some(commit) = self.commits.remove(&ticket) else { return };
        let mut failed: Vec<TopicPartition> = Vec::new();
        let mut first: Option<Error> = None;
        match result {
            Ok(answers) => {
                let answers: BTreeMap<TopicPartition, ErrorCode> = answers.into_iter().collect();
                for (partition, offset) in &commit.offsets {
                    let code = answers.get(partition).copied().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
                    match code.ok() {
                        Ok(()) => ledger.committed(partition, *offset),
                        Err(code) => {
                            failed.push(partition.clone());
                            first.get_or_insert_with(|| {
                                refused(code).on_partition(&partition.topic, partition.partition)
                            });
                        }
                    }
                }
            }
            Err(error) => {
                failed = commit.offsets.iter().map(|(partition, _)| partition.clone()).collect();
                first = Some(error);
            }
        }
        if let Some(error) = &first {
            self.close_error(error);
            if !matches!(commit.purpose, Purpose::Application(_)) {
                let told = ConsumerEvent::CommitFailed { partitions: failed, error: error.clone() };
                self.steps.push_back(Step::Tell(told));
            }
        }
        match commit.purpose {
            Purpose::Background => {}
            Purpose::Last => self.handle_last_commit(ticket, ledger),
            Purpose::Application(asked) => {
                let result = first.or(commit.lost).map_or(Ok(()), Err);
                self.steps.push_back(Step::Committed { ticket: asked, result });
            }
        }
    }
}

fn refused(code: ErrorCode) -> Error {
    let hint = match code {
        ErrorCode::OFFSET_METADATA_TOO_LARGE => {
            "shorten the metadata, or raise offset.metadata.max.bytes of the broker (4096 by default)"
        }
        ErrorCode::ILLEGAL_GENERATION | ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::STALE_MEMBER_EPOCH => {
            "only a member commits for a group that has members, and only for its own partitions; see ConsumerHandle::assignment"
        }
        ErrorCode::REBALANCE_IN_PROGRESS => {
            "the group rebalances: what is not committed is read again; commit again after"
        }
        ErrorCode::FENCED_INSTANCE_ID => {
            "another consumer joined with the same group.instance.id: give each instance its own"
        }
        ErrorCode::GROUP_AUTHORIZATION_FAILED => "the user lacks Read on this group",
        ErrorCode::INVALID_COMMIT_OFFSET_SIZE => "fewer partitions in one commit, or shorter metadata",
        _ => return Error::from_code(code, Some("the commit was refused")),
    };
    Error::from_code(code, Some("the commit was refused")).hinting(hint)
}
