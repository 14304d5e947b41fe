//! OffsetCommit. One request is on its way at a time and commits keep their order, so that an older one never comes after a newer. A commit
//! belongs to the turn in which its partition was held: what was meant for an earlier turn is void. Java: `CommitRequestManager`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, offset_commit};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::{Instant, Now};

use super::GroupMember;
use super::codes::lost;
use super::event::{GroupEvent, ProposalId, RequestId};
use super::membership::{Phase, Speaks};
use super::partitions::Partitions;
use crate::backoff::Backoff;
use crate::consumer::{OffsetAndMetadata, TopicPartition};
use crate::error::{Error, ErrorKind};
use crate::metadata::ClusterMetadata;

/// Who commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    epoch: i32,
    member_id: ByteStr,
    instance_id: Option<ByteStr>,
}

/// A commit on its way.
#[derive(Debug)]
pub(super) struct CommitAsked {
    id: RequestId,
    identity: Identity,
    /// The names of the topic ids that were sent.
    names: BTreeMap<Uuid, ByteStr>,
}

#[derive(Debug)]
struct Commit {
    id: RequestId,
    deadline: Instant,
    timeout: Duration,
    /// What the coordinator says of the member is the result.
    once: bool,
    /// A heartbeat was sent for its sake.
    hurried: bool,
    /// What is still to be committed, and in which turn each was held; `None` for a group without a subscription.
    open: BTreeMap<TopicPartition, (OffsetAndMetadata, Option<ProposalId>)>,
    done: Vec<(TopicPartition, ErrorCode)>,
    error: Option<Error>,
}

#[derive(Debug)]
pub(super) struct Commits {
    queue: VecDeque<Commit>,
    in_flight: bool,
    backoff: Backoff,
    retry_at: Option<Instant>,
    next_id: u64,
}

impl GroupMember {
    /// Commits offsets; [`GroupEvent::Committed`] tells what became of it, after `timeout` at the latest. Without a subscription it commits
    /// for the group as nobody's member, which the broker allows while the group is empty. With one, each partition has to be held, and its
    /// Assign accepted: any other is answered with ILLEGAL_GENERATION.
    pub fn commit(
        &mut self,
        now: Now,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        timeout: Duration,
    ) -> RequestId {
        self.begin_commit(now, offsets, timeout, false)
    }

    /// As [`Self::commit`], but where a coordinator of KIP-848 does not know the member, or by another epoch, that is the result, and what becomes of
    /// the membership is left to the next heartbeat, which leaves at once.
    pub fn commit_once(
        &mut self,
        now: Now,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        timeout: Duration,
    ) -> RequestId {
        self.begin_commit(now, offsets, timeout, true)
    }

    fn begin_commit(
        &mut self,
        now: Now,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        timeout: Duration,
        once: bool,
    ) -> RequestId {
        let id = self.commits.take_id();
        // Who was a member and has not heard yet that it is none any more means what it held.
        let outside = matches!(self.phase, Phase::Idle | Phase::Left | Phase::Failed) && self.partitions.is_answered();
        let mut open = BTreeMap::new();
        let mut done = Vec::new();
        for (partition, offset) in offsets {
            match self.partitions.known_turn(&partition) {
                Some(turn) => {
                    open.insert(partition, (offset, Some(turn)));
                }
                None if outside => {
                    open.insert(partition, (offset, None));
                }
                None => done.push((partition, ErrorCode::ILLEGAL_GENERATION)),
            }
        }
        let deadline = now.instant() + timeout;
        self.commits.queue.push_back(Commit { id, deadline, timeout, once, hurried: false, open, done, error: None });
        self.advance(now);
        id
    }

    pub(super) fn commit_identity(&self) -> Identity {
        let member = self.is_member() && !self.member_id.is_empty();
        Identity {
            epoch: if member { self.epoch } else { -1 },
            member_id: if member { self.member_id.clone() } else { ByteStr::default() },
            instance_id: self.instance_id.clone().filter(|_| member),
        }
    }

    pub(super) fn handle_commit(&mut self, now: Now, asked: CommitAsked, response: &OffsetCommitResponse) {
        self.commits.in_flight = false;
        let leaves = matches!(self.phase, Phase::Leaving { .. });
        let same = asked.identity == self.commit_identity();
        let stable = same && self.phase == Phase::Member && !self.classic.wants_to_rejoin();
        let Some(commit) = self.commits.queue.front_mut().filter(|commit| commit.id == asked.id) else { return };
        let mut again = false;
        let (mut stale, mut doubted) = (false, false);
        let mut fenced = None;
        let mut moved = None;
        let mut gone = None;
        for topic in &response.topics {
            let name = if topic.name.is_empty() { asked.names.get(&topic.topic_id) } else { Some(&topic.name) };
            let Some(name) = name else { continue };
            for answer in &topic.partitions {
                let partition = TopicPartition::new(name.clone(), answer.partition_index);
                let Some((_, turn)) = commit.open.get(&partition) else { continue };
                let code = answer.error_code;
                let exists = self.metadata.topics.contains_key(name);
                let told = code == ErrorCode::REBALANCE_IN_PROGRESS && self.config.rebalance_fails_commits;
                let about_member = self.speaks == Speaks::Consumer && recovery(code) == Recovery::Fenced;
                doubted |= about_member;
                let told = told || about_member && commit.once;
                match if told { Recovery::Done } else { recovery(code) } {
                    Recovery::Done => {
                        commit.open.remove(&partition);
                        commit.done.push((partition, code));
                        continue;
                    }
                    Recovery::Again => {}
                    Recovery::FindCoordinator => moved = Some(code),
                    Recovery::IfTopicExists if exists => self.wishes.push_back(super::MetadataWish::Refresh),
                    // Who leaves and is not known any more will not be.
                    Recovery::Fenced if about_member && leaves && code == ErrorCode::UNKNOWN_MEMBER_ID => {
                        fenced = Some(code);
                        commit.open.remove(&partition);
                        commit.done.push((partition, code));
                        continue;
                    }
                    // Nobody's member is not known, and will not be.
                    Recovery::Fenced if turn.is_some() && !same => {}
                    // The coordinator knows this member by another epoch, of which a heartbeat will tell.
                    Recovery::Fenced if turn.is_some() && (!stable || code == ErrorCode::STALE_MEMBER_EPOCH) => {}
                    Recovery::Fenced if turn.is_some() => {
                        fenced = Some(code);
                        commit.open.remove(&partition);
                        commit.done.push((partition, code));
                        continue;
                    }
                    Recovery::InstanceFenced => {
                        gone = Some(code);
                        commit.open.remove(&partition);
                        commit.done.push((partition, code));
                        continue;
                    }
                    Recovery::IfTopicExists | Recovery::Fenced => {
                        commit.open.remove(&partition);
                        commit.done.push((partition, code));
                        continue;
                    }
                }
                let error = Error::from_code(code, None).on_partition(name, answer.partition_index);
                if about_member && !stale {
                    stale = true;
                    self.events.push_back(GroupEvent::CommitDeferred { error: error.clone() });
                }
                commit.error = Some(error);
                again = true;
            }
        }
        // Once: a coordinator that goes on saying so is asked no more often than it wants to be.
        let hurries = doubted && !std::mem::replace(&mut commit.hurried, true);
        if again {
            // The next heartbeat tells which epoch it is.
            let pause = if stale { self.consumer_interval() } else { self.commits.backoff.next() };
            self.commits.retry_at = Some(now.instant() + pause);
        } else {
            // A partition that the answer leaves out is not committed.
            for (partition, _) in std::mem::take(&mut commit.open) {
                commit.done.push((partition, ErrorCode::UNKNOWN_SERVER_ERROR));
            }
            self.commits.backoff.reset();
            self.commits.retry_at = None;
        }
        self.commits.finish_done(&mut self.events);
        if hurries {
            self.hurry_consumer_heartbeat(now);
        }
        if let Some(code) = moved {
            self.find_coordinator(now, code);
        }
        if let Some(code) = gone {
            self.fail(now, super::codes::fatal(code, None));
        } else if let Some(code) = fenced {
            // The next heartbeat would say the same.
            if leaves {
                let patience = self.config.max_poll_interval;
                self.partitions.lose_all(now, patience, lost(code), &mut self.events);
                self.forget_identity();
                return;
            }
            self.lose(now, lost(code));
            if code == ErrorCode::UNKNOWN_MEMBER_ID && self.speaks == Speaks::Classic {
                self.member_id = ByteStr::default();
            }
        }
    }
}

impl Commits {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { queue: VecDeque::new(), in_flight: false, backoff, retry_at: None, next_id: 0 }
    }

    pub(super) fn take_id(&mut self) -> RequestId {
        self.next_id += 1;
        RequestId(self.next_id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The oldest that is not answered.
    pub(super) fn first(&self) -> Option<RequestId> {
        self.queue.front().map(|commit| commit.id)
    }

    /// Whether a commit for this partition is not answered yet.
    pub(super) fn is_open(&self, partition: &TopicPartition) -> bool {
        self.queue.iter().any(|commit| commit.open.contains_key(partition))
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        !self.in_flight && !self.queue.is_empty() && self.retry_at.is_none_or(|at| at <= now.instant())
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at.filter(|_| !self.in_flight && !self.queue.is_empty())
    }

    /// A commit that waits is made again at once.
    pub(super) fn hurry(&mut self) {
        self.retry_at = None;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.queue.iter().map(|commit| commit.deadline).min()
    }

    /// The next request and the highest version for it: by topic ids (version 10) where each is known.
    pub(super) fn request(
        &mut self,
        group_id: &ByteStr,
        identity: Identity,
        partitions: &Partitions,
        metadata: &ClusterMetadata,
    ) -> Option<(CommitAsked, OffsetCommitRequest, i16)> {
        let commit = self.queue.front()?;
        let mut names = BTreeMap::new();
        let mut all_known = true;
        let mut topics: Vec<offset_commit::request::OffsetCommitRequestTopic> = Vec::new();
        for (partition, (offset, _)) in &commit.open {
            let entry = offset_commit::request::OffsetCommitRequestPartition {
                partition_index: partition.partition,
                committed_offset: offset.offset,
                committed_leader_epoch: offset.leader_epoch,
                committed_metadata: Some(offset.metadata.clone()),
                ..Default::default()
            };
            if let Some(topic) = topics.last_mut().filter(|topic| topic.name == partition.topic) {
                topic.partitions.push(entry);
                continue;
            }
            // The topic that was held, not one that has taken its name since.
            let held = partitions.held().get(partition).map(|held| held.topic_id).filter(|id| !id.is_zero());
            let known = || metadata.topics.get(&partition.topic).map(|topic| topic.id);
            let topic_id = held.or_else(known).unwrap_or_default();
            all_known &= !topic_id.is_zero();
            names.insert(topic_id, partition.topic.clone());
            topics.push(offset_commit::request::OffsetCommitRequestTopic {
                name: partition.topic.clone(),
                topic_id,
                partitions: vec![entry],
                ..Default::default()
            });
        }
        let request = OffsetCommitRequest {
            group_id: group_id.clone(),
            generation_id_or_member_epoch: identity.epoch,
            member_id: identity.member_id.clone(),
            group_instance_id: identity.instance_id.clone(),
            topics,
            ..OffsetCommitRequest::default()
        };
        self.in_flight = true;
        let asked = CommitAsked { id: commit.id, identity, names };
        Some((asked, request, if all_known { i16::MAX } else { 9 }))
    }

    /// No answer will come: nobody knows whether it was committed, so the same is sent again.
    pub(super) fn handle_failure(
        &mut self,
        now: Now,
        asked: CommitAsked,
        error: &Error,
        events: &mut VecDeque<GroupEvent>,
    ) {
        self.in_flight = false;
        self.retry_at = Some(now.instant() + self.backoff.next());
        let Some(commit) = self.queue.front_mut().filter(|commit| commit.id == asked.id) else { return };
        commit.error = Some(error.clone());
        if error.kind() == ErrorKind::Unsupported
            && let Some(commit) = self.queue.pop_front()
        {
            events.push_back(GroupEvent::Committed { request: commit.id, result: Err(error.clone()) });
        }
    }

    /// Partitions that are not held any more, or anew, are not committed for.
    pub(super) fn settle_lost(&mut self, partitions: &Partitions, events: &mut VecDeque<GroupEvent>) {
        let busy = usize::from(self.in_flight);
        for commit in self.queue.iter_mut().skip(busy) {
            let void = |partition: &TopicPartition, turn: Option<ProposalId>| {
                turn.is_some_and(|turn| partitions.turn(partition) != Some(turn))
            };
            let lost: Vec<TopicPartition> = commit
                .open
                .iter()
                .filter(|(partition, (_, turn))| void(partition, *turn))
                .map(|(partition, _)| partition.clone())
                .collect();
            for partition in lost {
                commit.open.remove(&partition);
                commit.done.push((partition, ErrorCode::ILLEGAL_GENERATION));
            }
        }
        self.finish_done(events);
    }

    fn finish_done(&mut self, events: &mut VecDeque<GroupEvent>) {
        while !self.in_flight && self.queue.front().is_some_and(|commit| commit.open.is_empty()) {
            let Some(mut commit) = self.queue.pop_front() else { return };
            commit.done.sort_by(|a, b| a.0.cmp(&b.0));
            events.push_back(GroupEvent::Committed { request: commit.id, result: Ok(commit.done) });
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Now, cause: Option<&Error>, events: &mut VecDeque<GroupEvent>) {
        let mut index = 0;
        while let Some(commit) = self.queue.get(index) {
            if commit.deadline > now.instant() {
                index += 1;
                continue;
            }
            let Some(commit) = self.queue.remove(index) else { return };
            let message = format!("the commit was not answered well within {} ms", commit.timeout.as_millis());
            let mut error = Error::new(ErrorKind::Timeout, message);
            if let Some(last) = commit.error.as_ref().or(cause) {
                error = Error::new(ErrorKind::Timeout, format!("{}; last: {last}", error.message()));
                if let Some(code) = last.code() {
                    error = error.code_of(code);
                }
                error = error.caused_by(last.clone());
            }
            let error = error.hinting("offsets may or may not be committed; commit again, or look them up");
            events.push_back(GroupEvent::Committed { request: commit.id, result: Err(error) });
        }
    }

    pub(super) fn fail_all(&mut self, error: &Error, events: &mut VecDeque<GroupEvent>) {
        for commit in std::mem::take(&mut self.queue) {
            events.push_back(GroupEvent::Committed { request: commit.id, result: Err(error.clone()) });
        }
        self.in_flight = false;
    }
}

/// What OffsetCommit does about a partition's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    /// The code is the result.
    Done,
    /// Send it again after a pause: the group rebalances or loads.
    Again,
    /// Another broker coordinates the group.
    FindCoordinator,
    /// Send it again while the metadata shows the topic.
    IfTopicExists,
    /// The coordinator does not know the member in this generation or epoch.
    Fenced,
    /// Another member took this one's `group.instance.id`.
    InstanceFenced,
}

fn recovery(code: ErrorCode) -> Recovery {
    match code {
        ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => Recovery::FindCoordinator,
        ErrorCode::REBALANCE_IN_PROGRESS => Recovery::Again,
        ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::FENCED_MEMBER_EPOCH
        | ErrorCode::STALE_MEMBER_EPOCH => Recovery::Fenced,
        ErrorCode::FENCED_INSTANCE_ID => Recovery::InstanceFenced,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID => Recovery::IfTopicExists,
        code if code.is_retriable() => Recovery::Again,
        _ => Recovery::Done,
    }
}
