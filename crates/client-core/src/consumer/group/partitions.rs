//! What the member has and what it is to have, and the one proposal to the application that leads from here to there. Nothing is ever
//! held twice: a partition is taken only when it is not held, and given up before the protocol says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::Uuid;
use felice_protocol::time::{Instant, Now};

use super::event::{GroupEvent, ProposalId};
use crate::consumer::TopicPartition;
use crate::error::{Error, ErrorKind};
use crate::metadata::ClusterMetadata;

/// A partition that the member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// The topic's id; zero where it is not known yet.
    pub(super) topic_id: Uuid,
    /// Which time of having it this is, by the Assign that began it: what was to be committed the time before is void.
    pub(super) turn: ProposalId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProposalKind {
    Assign,
    Revoke,
    Lost,
}

/// How long the application may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until {
    pub(super) revoked: Instant,
    /// `None` while nothing new may be taken.
    pub(super) assigned: Option<Instant>,
}

/// What the application has been asked and has not answered.
#[derive(Clone, Debug)]
pub(super) struct Proposal {
    pub(super) id: ProposalId,
    pub(super) kind: ProposalKind,
    pub(super) partitions: Vec<TopicPartition>,
    pub(super) deadline: Instant,
    /// The application has done it, and its last commits are still on their way.
    pub(super) accepted: bool,
}

#[derive(Debug, Default)]
pub(super) struct Partitions {
    held: BTreeMap<TopicPartition, Held>,
    target: BTreeMap<TopicPartition, Uuid>,
    proposal: Option<Proposal>,
    /// An Assign is due even where nothing is new: an eager member tells its whole assignment once a generation, another where it was asked to.
    tell_all: bool,
    next_proposal: u64,
    /// The newest proposal that the application has answered: what it commits, it says with the knowledge of that one.
    answered: Option<ProposalId>,
    /// What is held has changed since the last look.
    pub(super) changed: bool,
}

impl Partitions {
    pub(super) fn held(&self) -> &BTreeMap<TopicPartition, Held> {
        &self.held
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn proposal(&self) -> Option<&Proposal> {
        self.proposal.as_ref()
    }

    pub(super) fn turn(&self, partition: &TopicPartition) -> Option<ProposalId> {
        self.held.get(partition).map(|held| held.turn)
    }

    /// The turn in which a commit that the application makes now is meant. `None` also where the partition is held, but the application
    /// does not know of it yet: what it commits then, it commits for a turn before.
    pub(super) fn known_turn(&self, partition: &TopicPartition) -> Option<ProposalId> {
        self.turn(partition).filter(|turn| self.answered >= Some(*turn))
    }

    /// Whether the application has answered all it was told.
    pub(super) fn is_answered(&self) -> bool {
        self.next_proposal == 0 || self.answered.is_some_and(|answered| answered.0 + 1 >= self.next_proposal)
    }

    /// The coordinator's word: this is what the member is to have. `whole`: the application hears of it even where nothing is new.
    pub(super) fn aim(&mut self, target: BTreeMap<TopicPartition, Uuid>, whole: bool) {
        self.target = target;
        self.tell_all = whole;
    }

    /// Everything is to be given up.
    pub(super) fn aim_at_nothing(&mut self) {
        self.target.clear();
        self.tell_all = false;
    }

    /// Proposes the next step towards the target, where nothing is being carried out. First what goes away, then what is new.
    pub(super) fn reconcile(&mut self, until: Until, incremental: bool, events: &mut VecDeque<GroupEvent>) {
        if self.proposal.is_some() {
            return;
        }
        let wanted = |(partition, held): &(&TopicPartition, &Held)| {
            self.target.get(*partition).is_some_and(|id| same_topic(*id, held.topic_id))
        };
        let leaving: Vec<TopicPartition> =
            self.held.iter().filter(|entry| !wanted(entry)).map(|(partition, _)| partition.clone()).collect();
        if !leaving.is_empty() {
            let deadline = until.revoked;
            // What is let go in steps leads to another generation, which is told.
            self.tell_all &= !incremental;
            let id = self.propose(ProposalKind::Revoke, leaving.clone(), deadline);
            let incremental = incremental || leaving.len() < self.held.len();
            events.push_back(GroupEvent::Revoke { id, partitions: leaving, incremental, deadline });
            return;
        }
        let Some(deadline) = until.assigned else { return };
        let new: Vec<(TopicPartition, Uuid)> = self
            .target
            .iter()
            .filter(|(partition, _)| !self.held.contains_key(*partition))
            .map(|(partition, id)| (partition.clone(), *id))
            .collect();
        if new.is_empty() && !self.tell_all {
            return;
        }
        let incremental = incremental || !self.tell_all;
        self.tell_all = false;
        let turn = ProposalId(self.next_proposal);
        for (partition, topic_id) in &new {
            self.held.insert(partition.clone(), Held { topic_id: *topic_id, turn });
        }
        self.changed |= !new.is_empty();
        let partitions: Vec<TopicPartition> = new.into_iter().map(|(partition, _)| partition).collect();
        let id = self.propose(ProposalKind::Assign, partitions.clone(), deadline);
        events.push_back(GroupEvent::Assign { id, partitions, incremental, deadline });
    }

    fn propose(&mut self, kind: ProposalKind, partitions: Vec<TopicPartition>, deadline: Instant) -> ProposalId {
        let id = ProposalId(self.next_proposal);
        self.next_proposal += 1;
        self.proposal = Some(Proposal { id, kind, partitions, deadline, accepted: false });
        id
    }

    /// What is being carried out ends by then.
    pub(super) fn hurry(&mut self, until: Instant) {
        if let Some(proposal) = &mut self.proposal {
            proposal.deadline = proposal.deadline.min(until);
        }
    }

    /// The application has done it. A proposal that another has replaced is not waited for any more.
    pub(super) fn accept(&mut self, id: ProposalId) {
        if id.0 < self.next_proposal {
            self.answered = self.answered.max(Some(id));
        }
        if let Some(proposal) = self.proposal.as_mut().filter(|proposal| proposal.id == id) {
            proposal.accepted = true;
        }
    }

    /// Ends a proposal that was accepted, once no commit of what it takes away is open. Tells whether it was a Revoke.
    pub(super) fn finish(&mut self, is_open: impl Fn(&TopicPartition) -> bool) -> bool {
        let done = |proposal: &mut Proposal| {
            let revokes = proposal.kind == ProposalKind::Revoke;
            proposal.accepted && !(revokes && proposal.partitions.iter().any(&is_open))
        };
        self.proposal.take_if(done).is_some_and(|proposal| self.end(&proposal))
    }

    fn end(&mut self, proposal: &Proposal) -> bool {
        if proposal.kind != ProposalKind::Revoke {
            return false;
        }
        for partition in &proposal.partitions {
            self.held.remove(partition);
        }
        self.changed = true;
        true
    }

    /// The proposal's time is over: what was to be given up is lost, anything else counts as done. Tells whether it was a Revoke.
    pub(super) fn handle_timeout(&mut self, now: Now, patience: Duration, events: &mut VecDeque<GroupEvent>) -> bool {
        let Some(proposal) = self.proposal.take_if(|proposal| proposal.deadline <= now.instant()) else { return false };
        let revokes = proposal.kind == ProposalKind::Revoke;
        if proposal.accepted {
            self.end(&proposal);
        } else if revokes {
            self.lose(now, patience, &proposal.partitions, too_late(), events);
        }
        revokes
    }

    /// Everything is lost, whatever was being carried out.
    pub(super) fn lose_all(&mut self, now: Now, patience: Duration, error: Error, events: &mut VecDeque<GroupEvent>) {
        self.aim_at_nothing();
        // What the application has given up already cannot be taken from it.
        if let Some(proposal) = self.proposal.take_if(|proposal| proposal.accepted) {
            self.end(&proposal);
        }
        let all: Vec<TopicPartition> = self.held.keys().cloned().collect();
        self.lose(now, patience, &all, error, events);
    }

    fn lose(
        &mut self,
        now: Now,
        patience: Duration,
        partitions: &[TopicPartition],
        error: Error,
        events: &mut VecDeque<GroupEvent>,
    ) {
        let mut gone: Vec<TopicPartition> =
            partitions.iter().filter(|partition| self.held.remove(*partition).is_some()).cloned().collect();
        if gone.is_empty() {
            // A Revoke or Assign whose partitions are gone has no one to answer for any more; one Lost stands for all that is not
            // answered yet.
            self.proposal.take_if(|proposal| proposal.kind != ProposalKind::Lost);
            return;
        }
        self.changed = true;
        gone.sort();
        let deadline = now.instant() + patience;
        let id = self.propose(ProposalKind::Lost, gone.clone(), deadline);
        events.push_back(GroupEvent::Lost { id, partitions: gone, error });
    }

    /// Topics that were deleted, or deleted and made anew: what was held of the old ones is lost. Where the target goes by name, the new
    /// topic takes the old one's place in it.
    pub(super) fn handle_metadata(
        &mut self,
        now: Now,
        patience: Duration,
        by_name: bool,
        metadata: &ClusterMetadata,
        events: &mut VecDeque<GroupEvent>,
    ) {
        let id_of = |topic: &str| metadata.topics.get(topic).map(|topic| topic.id).filter(|id| !id.is_zero());
        let is_gone = |topic: &str| {
            !metadata.topics.contains_key(topic)
                && metadata.errors.get(topic) == Some(&ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        };
        for (partition, held) in &mut self.held {
            if held.topic_id.is_zero() {
                held.topic_id = id_of(&partition.topic).unwrap_or_default();
            }
        }
        if by_name {
            self.target.retain(|partition, _| !is_gone(&partition.topic));
            for (partition, id) in &mut self.target {
                *id = id_of(&partition.topic).unwrap_or(*id);
            }
        }
        if self.proposal.is_some() {
            return;
        }
        let lost = |(partition, held): (&TopicPartition, &Held)| {
            let other = id_of(&partition.topic).is_some_and(|id| !same_topic(id, held.topic_id));
            (other || is_gone(&partition.topic)).then(|| (partition.clone(), other))
        };
        let lost: Vec<(TopicPartition, bool)> = self.held.iter().filter_map(lost).collect();
        let Some((first, recreated)) = lost.first().cloned() else { return };
        let topics: BTreeSet<&str> = lost.iter().map(|(partition, _)| partition.topic.as_str()).collect();
        let what = if recreated { "deleted and created anew" } else { "deleted" };
        let message = format!("{} topic(s) {what}", topics.len());
        let error = Error::new(ErrorKind::UnknownTopic, message)
            .code_of(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            .on_topic(&first.topic)
            .hinting("offsets of the old topic mean nothing in a new one of the same name");
        let partitions: Vec<TopicPartition> = lost.into_iter().map(|(partition, _)| partition).collect();
        self.lose(now, patience, &partitions, error, events);
    }
}

/// The error of a Revoke that nobody answered in time.
pub(super) fn too_late() -> Error {
    Error::new(ErrorKind::Timeout, "the partitions were not let go within the rebalance time")
        .hinting("raise max.poll.interval.ms, or finish sooner: the records in work will be processed again")
}

/// Whether two ids name one topic; one that is not known yet may be any.
fn same_topic(a: Uuid, b: Uuid) -> bool {
    a == b || a.is_zero() || b.is_zero()
}
