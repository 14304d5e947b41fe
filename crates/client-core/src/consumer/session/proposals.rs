//! Assign, revoke, lost, close: what the group proposes, and the application's own way to say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use felice_protocol::time::{Instant, Now};

use super::{CloseReport, Closing, Hearing, Held, Ledger, Lookup, Session, State, Step, Ticket, Watch};
use crate::consumer::TopicPartition;
use crate::consumer::event::ConsumerEvent;
use crate::consumer::fetcher::Position;
use crate::consumer::group::ProposalId;
use crate::consumer::offsets::CommitSource;
use crate::error::Error;

/// What is being carried out.
#[derive(Debug)]
pub(super) struct Proposal {
    /// Whose it is; `None` where the application wanted it.
    number: Option<ProposalId>,
    /// What the listener answers with.
    ticket: Ticket,
    partitions: Vec<TopicPartition>,
    kind: Kind,
    listener: Listener,
    /// When the next phase begins whatever happens.
    soft_deadline: Instant,
    /// When it is over whatever happens.
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Assign,
    Revoke(Phase),
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The listener is at work.
    Hearing,
    /// What was handed out may still be done.
    Waiting,
    /// The last commit is on its way.
    Committing(Ticket),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    /// It has not come back, or nobody knows yet whether there is one.
    Hears,
    /// It has come back.
    Heard,
    Nobody,
}

impl Proposal {
    pub(super) fn due(&self) -> Option<Instant> {
        Some(match self.kind {
            Kind::Assign | Kind::Lost | Kind::Revoke(Phase::Committing(_)) => self.deadline,
            Kind::Revoke(Phase::Hearing | Phase::Waiting) => self.soft_deadline,
        })
    }

    pub(super) fn is_assign(&self) -> bool {
        self.kind == Kind::Assign
    }
}

/// How much of the time before a deadline is kept for the commit: a fifth, five seconds at most.
fn soft(now: Now, deadline: Instant) -> Instant {
    let left = deadline - now.instant();
    now.instant() + left.saturating_sub((left / 5).min(Duration::from_secs(5)))
}

impl Session {
    /// The group gives partitions. What is held already stays as it is.
    pub fn handle_assign(&mut self, now: Now, number: ProposalId, partitions: Vec<TopicPartition>, deadline: Instant) {
        if self.closing.is_some() {
            self.steps.push_back(Step::Accept(number));
            return;
        }
        let partitions: Vec<TopicPartition> = partitions.into_iter().filter(|p| !self.is_held(p)).collect();
        self.hold(&partitions, |_| None);
        let ticket = self.ticket();
        self.steps.push_back(Step::Hear { ticket, what: Hearing::Assigned, partitions: partitions.clone() });
        self.look_up(partitions.clone());
        let kind = Kind::Assign;
        self.proposals.push(Proposal {
            number: Some(number),
            ticket,
            partitions,
            kind,
            listener: Listener::Hears,
            soft_deadline: deadline,
            deadline,
        });
        self.wake_watch(now);
    }

    /// The application wants partitions, without or beside its group: from there, or from what is committed.
    pub fn assign(&mut self, now: Now, partitions: Vec<(TopicPartition, Option<Position>)>) {
        if self.closing.is_some() {
            return;
        }
        let starts: BTreeMap<TopicPartition, Option<Position>> =
            partitions.into_iter().filter(|(p, _)| !self.is_held(p)).collect();
        let names: Vec<TopicPartition> = starts.keys().cloned().collect();
        self.hold(&names, |partition| starts.get(partition).copied().flatten());
        let mut unknown = Vec::new();
        for (partition, start) in &starts {
            if let Some(held) = self.partitions.get_mut(partition) {
                held.heard = true;
                if start.is_some() {
                    held.lookup = Lookup::Answered;
                }
            }
            match start {
                Some(_) => self.begin(partition),
                None => unknown.push(partition.clone()),
            }
        }
        self.look_up(unknown);
        self.steps.push_back(Step::Tell(ConsumerEvent::Assigned(names)));
        self.wake_watch(now);
    }

    fn hold(&mut self, partitions: &[TopicPartition], start: impl Fn(&TopicPartition) -> Option<Position>) {
        for partition in partitions {
            // One that was on its way out comes back: what was handed out before counts no more.
            if self.partitions.contains_key(partition) {
                self.forget(partition);
                for proposal in &mut self.proposals {
                    if !proposal.is_assign() {
                        proposal.partitions.retain(|p| p != partition);
                    }
                }
            }
            self.partitions.insert(
                partition.clone(),
                Held {
                    state: State::Pending,
                    heard: false,
                    lookup: Lookup::Asked,
                    start: start(partition),
                    committed: None,
                    reset: false,
                    paused: false,
                    watch: Watch::default(),
                },
            );
            self.steps.push_back(Step::Hold(partition.clone()));
        }
    }

    /// Asks what is committed.
    pub(super) fn look_up(&mut self, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        let ticket = self.ticket();
        for partition in &partitions {
            if let Some(held) = self.partitions.get_mut(partition) {
                held.lookup = Lookup::Asked;
            }
        }
        self.lookups.insert(ticket, partitions.clone());
        self.steps.push_back(Step::FindCommitted { ticket, partitions });
    }

    /// The group wants partitions back by a time.
    pub fn handle_revoke(&mut self, now: Now, number: ProposalId, partitions: Vec<TopicPartition>, deadline: Instant) {
        self.revoke(now, Some(number), partitions, deadline, true);
    }

    /// The application gives partitions back: what is done is committed, within a time.
    pub fn unassign(&mut self, now: Now, partitions: Vec<TopicPartition>, within: Duration) {
        self.revoke(now, None, partitions, now.instant() + within, false);
    }

    fn revoke(
        &mut self,
        now: Now,
        number: Option<ProposalId>,
        partitions: Vec<TopicPartition>,
        deadline: Instant,
        heard_by_listener: bool,
    ) {
        let partitions: Vec<TopicPartition> = partitions.into_iter().filter(|p| self.is_held(p)).collect();
        if partitions.is_empty() {
            self.steps.extend(number.map(Step::Accept));
            return;
        }
        for partition in &partitions {
            if let Some(held) = self.partitions.get_mut(partition) {
                held.state = State::Ending;
            }
            self.steps.push_back(Step::End(partition.clone()));
        }
        let ticket = self.ticket();
        let phase = if heard_by_listener {
            self.steps.push_back(Step::Hear { ticket, what: Hearing::Revoking, partitions: partitions.clone() });
            Phase::Hearing
        } else {
            Phase::Waiting
        };
        let soft_deadline = soft(now, deadline);
        self.proposals.push(Proposal {
            number,
            ticket,
            partitions,
            kind: Kind::Revoke(phase),
            listener: Listener::Hears,
            soft_deadline,
            deadline,
        });
    }

    /// The group has taken partitions: they are somebody else's.
    pub fn handle_lost(
        &mut self,
        now: Now,
        number: ProposalId,
        partitions: Vec<TopicPartition>,
        error: Error,
        ledger: &dyn Ledger,
    ) {
        let partitions: BTreeSet<TopicPartition> =
            partitions.into_iter().filter(|p| self.partitions.contains_key(p)).collect();
        for proposal in &mut self.proposals {
            proposal.partitions.retain(|p| !partitions.contains(p));
        }
        let something_is_open = partitions.iter().any(|p| self.is_open(p, ledger));
        for partition in &partitions {
            self.forget(partition);
        }
        if partitions.is_empty() {
            self.steps.push_back(Step::Accept(number));
            return;
        }
        let partitions: Vec<TopicPartition> = partitions.into_iter().collect();
        let ticket = self.ticket();
        self.note_loss(ticket, something_is_open, Some(error.clone()));
        self.steps.push_back(Step::Hear { ticket, what: Hearing::Lost, partitions: partitions.clone() });
        self.steps.push_back(Step::Tell(ConsumerEvent::Lost { partitions, error }));
        let deadline = now.instant() + self.config.max_processing;
        self.proposals.push(Proposal {
            number: Some(number),
            ticket,
            partitions: Vec::new(),
            kind: Kind::Lost,
            listener: Listener::Hears,
            soft_deadline: deadline,
            deadline,
        });
    }

    /// Whether something of a partition is done and not committed, or can still be called done.
    fn is_open(&self, partition: &TopicPartition, ledger: &dyn Ledger) -> bool {
        ledger.progress(partition).held || ledger.to_commit(partition, self.config.source()).is_some()
    }

    fn forget(&mut self, partition: &TopicPartition) {
        if let Some(held) = self.partitions.remove(partition) {
            for asked in self.lookups.values_mut() {
                asked.retain(|p| p != partition);
            }
            if held.state != State::Ending {
                self.steps.push_back(Step::End(partition.clone()));
            }
            self.steps.push_back(Step::Drop(partition.clone()));
        }
    }

    /// The listener has come back.
    pub fn handle_heard(&mut self, now: Now, ticket: Ticket, ledger: &dyn Ledger) {
        self.forget_loss(ticket);
        self.go_on(now, ticket, Listener::Heard, ledger);
    }

    /// There is no listener: what it would have heard of, the application may not know.
    pub fn handle_unheard(&mut self, now: Now, ticket: Ticket, ledger: &dyn Ledger) {
        self.leave_loss_unheard(ticket);
        self.go_on(now, ticket, Listener::Nobody, ledger);
    }

    fn go_on(&mut self, now: Now, ticket: Ticket, listener: Listener, ledger: &dyn Ledger) {
        let Some(at) = self.proposals.iter().position(|p| p.ticket == ticket) else { return };
        let Some(proposal) = self.proposals.get_mut(at) else { return };
        proposal.listener = listener;
        match proposal.kind {
            Kind::Assign => {
                let proposal = self.proposals.remove(at);
                self.assigned(proposal);
            }
            Kind::Lost => {
                let proposal = self.proposals.remove(at);
                self.steps.extend(proposal.number.map(Step::Accept));
            }
            Kind::Revoke(Phase::Hearing) => {
                proposal.kind = Kind::Revoke(Phase::Waiting);
                self.advance_proposals(now, ledger);
            }
            Kind::Revoke(Phase::Waiting | Phase::Committing(_)) => {}
        }
    }

    fn assigned(&mut self, proposal: Proposal) {
        let mut taken = Vec::new();
        for partition in proposal.partitions {
            let Some(held) = self.partitions.get_mut(&partition).filter(|held| !held.heard) else { continue };
            held.heard = true;
            self.begin(&partition);
            taken.push(partition);
        }
        self.steps.extend(proposal.number.map(Step::Accept));
        self.steps.push_back(Step::Tell(ConsumerEvent::Assigned(taken)));
    }

    /// Goes on with whatever has waited long enough or for something that has come.
    pub(super) fn advance_proposals(&mut self, now: Now, ledger: &dyn Ledger) {
        let mut at = 0;
        while let Some(proposal) = self.proposals.get(at) {
            let late = proposal.due().is_some_and(|due| due <= now.instant());
            match proposal.kind {
                Kind::Assign if late => {
                    let proposal = self.proposals.remove(at);
                    self.assigned(proposal);
                    continue;
                }
                Kind::Lost if late => {
                    let proposal = self.proposals.remove(at);
                    self.leave_loss_unheard(proposal.ticket);
                    self.steps.extend(proposal.number.map(Step::Accept));
                    continue;
                }
                Kind::Revoke(Phase::Waiting)
                    if late || proposal.partitions.iter().all(|p| !ledger.progress(p).held) =>
                {
                    if self.commit_before_going(at, ledger) {
                        self.finish_revoke(at, ledger);
                        continue;
                    }
                }
                Kind::Revoke(Phase::Hearing) if late => {
                    if self.commit_before_going(at, ledger) {
                        self.finish_revoke(at, ledger);
                        continue;
                    }
                }
                Kind::Revoke(Phase::Committing(_)) if late => {
                    self.finish_revoke(at, ledger);
                    continue;
                }
                Kind::Assign | Kind::Lost | Kind::Revoke(_) => {}
            }
            at += 1;
        }
    }

    /// Sends the last commit of a revocation; `true` where there is none to send.
    fn commit_before_going(&mut self, at: usize, ledger: &dyn Ledger) -> bool {
        let partitions = self.proposals.get(at).map(|p| p.partitions.clone()).unwrap_or_default();
        let Some(ticket) = self.commit_last(&partitions, ledger) else { return true };
        if let Some(proposal) = self.proposals.get_mut(at) {
            proposal.kind = Kind::Revoke(Phase::Committing(ticket));
        }
        false
    }

    /// The last commit of a revocation has an answer.
    pub(super) fn handle_last_commit(&mut self, ticket: Ticket, ledger: &dyn Ledger) {
        let waits = |p: &Proposal| p.kind == Kind::Revoke(Phase::Committing(ticket));
        if let Some(at) = self.proposals.iter().position(waits) {
            self.finish_revoke(at, ledger);
        }
    }

    fn finish_revoke(&mut self, at: usize, ledger: &dyn Ledger) {
        let proposal = self.proposals.remove(at);
        // Whoever has listened knows; so does the application that gives them back itself.
        let knows = proposal.number.is_none() || proposal.listener == Listener::Heard;
        if !knows && proposal.partitions.iter().any(|p| self.is_open(p, ledger)) {
            self.note_loss(proposal.ticket, true, None);
            if proposal.listener == Listener::Nobody {
                self.leave_loss_unheard(proposal.ticket);
            }
        }
        for partition in &proposal.partitions {
            if let Some(closing) = &mut self.closing {
                if self.config.commit == Some(CommitSource::Done)
                    && let Some(offset) = ledger.progress(partition).outstanding
                {
                    closing.report.undone.push((partition.clone(), offset));
                }
                if let Some(source) = self.config.commit
                    && let Some(place) = ledger.to_commit(partition, source)
                {
                    closing.report.uncommitted.push((partition.clone(), place.offset));
                }
            }
            self.forget(partition);
        }
        self.steps.extend(proposal.number.map(Step::Accept));
        if !proposal.partitions.is_empty() {
            self.steps.push_back(Step::Tell(ConsumerEvent::Revoked(proposal.partitions)));
        }
    }

    /// Ends everything within a time: nothing more is handed out, what was may still be done, what is done is committed, the group is left.
    pub fn close(&mut self, now: Now, deadline: Instant) {
        if self.closing.is_some() {
            return;
        }
        let deadline = soft(now, deadline);
        self.closing = Some(Closing { deadline, report: CloseReport::default(), left: false });
        // What came and was not taken yet is given back without having been read.
        let mut at = 0;
        while let Some(proposal) = self.proposals.get(at) {
            if proposal.is_assign() {
                let proposal = self.proposals.remove(at);
                self.steps.extend(proposal.number.map(Step::Accept));
            } else {
                at += 1;
            }
        }
        let held: Vec<TopicPartition> = self.assignment().cloned().collect();
        self.revoke(now, None, held, deadline, true);
    }

    /// What a listener has been told and has not come back from.
    pub fn hearings(&self) -> Vec<Ticket> {
        let hearing = |p: &&Proposal| !matches!(p.kind, Kind::Revoke(Phase::Waiting | Phase::Committing(_)));
        self.proposals.iter().filter(hearing).map(|p| p.ticket).collect()
    }

    /// Whether a listener is at work.
    pub fn is_hearing(&self) -> bool {
        self.proposals.iter().any(|p| !matches!(p.kind, Kind::Revoke(Phase::Waiting | Phase::Committing(_))))
    }

    /// Whether the session is on its way out.
    pub fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// The group has been left, or could not be.
    pub fn handle_left(&mut self, result: Result<(), Error>) {
        let Some(mut closing) = self.closing.take() else { return };
        closing.report.left = result.is_ok();
        if let Err(error) = result {
            closing.report.error.get_or_insert(error);
        }
        self.finish_close(closing);
    }

    fn finish_close(&mut self, closing: Closing) {
        self.commit_at = None;
        self.watch_at = None;
        self.steps.push_back(Step::Closed(closing.report));
    }

    pub(super) fn advance_close(&mut self, now: Now, ledger: &dyn Ledger) {
        let Some(closing) = &self.closing else { return };
        let late = closing.deadline <= now.instant();
        let settled = self.proposals.iter().all(|p| p.kind == Kind::Lost) && self.commits.is_empty();
        if (settled || late) && !closing.left {
            while !self.proposals.is_empty() {
                self.finish_revoke(0, ledger);
            }
            if let Some(closing) = &mut self.closing {
                closing.left = true;
            }
            if self.config.grouped {
                self.steps.push_back(Step::Leave);
            } else {
                self.handle_left(Ok(()));
            }
        }
    }

    pub(super) fn close_error(&mut self, error: &Error) {
        if let Some(closing) = &mut self.closing {
            closing.report.error.get_or_insert_with(|| error.clone());
        }
    }
}
