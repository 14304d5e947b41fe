//! What the group proposes becomes a rebalance callback or event, or is carried out at once where the program wants neither.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use felice::raw::{GroupEvent, MemberState, ProposalId, RebalanceProtocol};
use felice::{ErrorCode, TopicPartition};

use super::assignment::Method;
use super::close::FAREWELL;
use super::work::{Asked, Out, Work};
use super::{ConsumerSide, Failure, Proposed, Stage};
use crate::errors::text_of;
use crate::handle::Kafka;
use crate::list::{List, Place};
use crate::op::Op;
use crate::types::RespErr;

/// A rebalance, on its way to the program.
#[derive(Debug)]
pub(crate) struct Rebalance {
    assigns: bool,
    list: List,
    /// Another has taken its place.
    void: Arc<AtomicBool>,
    side: Weak<ConsumerSide>,
}

impl Drop for Rebalance {
    /// A consumer that closes does not wait for an answer that cannot come.
    fn drop(&mut self) {
        if let Some(side) = self.side.upgrade() {
            side.answer_while_closing(&self.void);
        }
    }
}

impl Rebalance {
    /// `__ASSIGN_PARTITIONS` or `__REVOKE_PARTITIONS`.
    pub(crate) fn err(&self) -> RespErr {
        if self.assigns { RespErr::ASSIGN_PARTITIONS } else { RespErr::REVOKE_PARTITIONS }
    }

    pub(crate) fn list(&self) -> &List {
        &self.list
    }

    pub(crate) fn is_void(&self) -> bool {
        self.void.load(Ordering::Acquire)
    }

    /// Calls the program back; without a callback everything is given up.
    pub(crate) fn call(&self, kafka: &Kafka) {
        match kafka.conf.callbacks.rebalance_cb {
            // SAFETY: the program's own function; the list lives until it has come back.
            Some(callback) => unsafe {
                callback(kafka.pointer(), self.err(), self.list.as_ptr(), kafka.conf.opaque);
            },
            None => {
                if let Some(side) = &kafka.consumer {
                    // It cannot fail: nothing is named.
                    let _ = side.assign(Method::Whole, Vec::new());
                }
            }
        }
    }
}

impl ConsumerSide {
    /// The handle has a fatal error.
    pub(crate) fn tell_fatal(&self, text: &str) {
        self.queue.push(Op::ConsumerError(Box::new(Failure::new(RespErr::FATAL, text))));
    }
}

impl Work<'_, '_> {
    pub(super) fn handle_group(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Assign { id, partitions, incremental, .. } => self.propose(id, true, incremental, partitions),
            GroupEvent::Revoke { id, partitions, incremental, .. } => self.propose(id, false, incremental, partitions),
            // After a fatal error programs hear of nothing else.
            GroupEvent::Lost { id, .. } if self.has_failed_for_good() => {
                let mut state = self.side.state();
                state.lost = true;
                state.silent = true;
                state.proposed = Some(Proposed { id, assigns: false });
                if let Some(old) = state.told.take() {
                    old.store(true, Ordering::Release);
                }
                self.side.carry_out(&mut state, Method::Whole, Vec::new());
            }
            GroupEvent::Lost { id, partitions, .. } => {
                let mut state = self.side.state();
                let all = state.assigned.len() <= partitions.len();
                let told = self.side.settings.tells_rebalance && !state.silent;
                if told && !all && state.protocol == Some(RebalanceProtocol::Eager) {
                    // Programs take every revocation for all that they have: these are told with the next, which follows.
                    for slot in partitions.iter().filter_map(|partition| state.assigned.get(partition)) {
                        slot.bump();
                    }
                    drop(state);
                    self.carry.gone.extend(partitions);
                    let now = self.core.now();
                    if let Some(member) = self.core.member() {
                        member.accept(now, id);
                    }
                    return;
                }
                state.lost = true;
                drop(state);
                self.propose(id, false, !all, partitions);
            }
            GroupEvent::Committed { request, result } => {
                if let Some(Asked::Commit(commit)) = self.carry.requests.remove(&request) {
                    let result = result.map_err(|error| RespErr::of(&error));
                    self.committed(commit, result);
                    self.finish_closing();
                }
            }
            GroupEvent::Offsets { request, result } => {
                let named = |(partition, found): (TopicPartition, Result<_, ErrorCode>)| {
                    (partition, found.map_err(|code| RespErr(code.0.into())))
                };
                let result =
                    result.map(|found| found.into_iter().map(named).collect()).map_err(|error| RespErr::of(&error));
                match self.carry.requests.remove(&request) {
                    Some(Asked::Start(starting)) => self.found(starting, result),
                    Some(Asked::Committed(told)) => told(result),
                    Some(Asked::Commit(_)) | None => {}
                }
            }
            GroupEvent::Joined(metadata) => {
                let protocol = self.core.member().and_then(|member| member.rebalance_protocol());
                let mut state = self.side.state();
                state.member = metadata;
                state.protocol = protocol;
            }
            GroupEvent::Stalled { since, left, .. } => {
                if left && !std::mem::replace(&mut self.carry.stalled, true) {
                    let limit = self.side.settings.max_poll;
                    let over = self.core.now().since(since).saturating_sub(limit);
                    let text = format!(
                        "Application maximum poll interval ({}ms) exceeded by {}ms",
                        limit.as_millis(),
                        over.as_millis()
                    );
                    self.tell(Failure::new(RespErr::MAX_POLL_EXCEEDED, &text));
                }
            }
            GroupEvent::Delayed { error, .. } => {
                if let Some(error) = error.filter(|error| error.code().is_some()) {
                    let err = RespErr::of(&error);
                    self.tell(Failure::new(err, &format!("Group failed: {error}")));
                }
            }
            GroupEvent::Acknowledging => {
                self.carry.out.push(Out::Log("HEARTBEAT", "Acknowledging target assignment".to_owned()));
            }
            GroupEvent::CommitDeferred { error } => {
                let why = text_of(RespErr::of(&error)).map_or_else(Default::default, |text| text.to_string_lossy());
                let text = format!("unable to OffsetCommit in state up: {why}: retrying after the next heartbeat");
                self.carry.out.push(Out::Log("COMMIT", text));
            }
            GroupEvent::Failed(error) => {
                let err = RespErr::of(&error);
                let fatal = error.code() == Some(ErrorCode::FENCED_INSTANCE_ID) || self.speaks_kip_848();
                if fatal {
                    self.carry.out.push(Out::Fatal(err, error.to_string()));
                } else {
                    self.tell(Failure::new(err, &format!("JoinGroup failed: {error}")));
                }
                if self.side.state().stage == Stage::Closing {
                    self.carry.left = true;
                    self.finish_closing();
                }
            }
            GroupEvent::Left => {
                {
                    let mut state = self.side.state();
                    state.member.generation_or_epoch = -1;
                    state.member.member_id = "".into();
                    state.protocol = None;
                    if state.stage != Stage::Closing {
                        return;
                    }
                }
                self.carry.left = true;
                self.finish_closing();
                // Commits that no broker takes are not waited for either.
                self.later(FAREWELL, |work| {
                    work.end_commits();
                    work.finish_closing();
                });
            }
        }
    }

    pub(super) fn speaks_kip_848(&mut self) -> bool {
        self.core.member().is_some_and(|member| member.group_protocol() == felice::GroupProtocol::Consumer)
    }

    /// Whether the coordinator has refused a member of KIP-848: that is fatal.
    fn has_failed_for_good(&mut self) -> bool {
        self.speaks_kip_848() && self.core.member().is_some_and(|member| member.state() == MemberState::Failed)
    }

    /// What the library's log says when the program has done what the group proposed.
    pub(super) fn log_accepted(&mut self, assigns: bool) {
        let closes = self.side.state().stage != Stage::Open;
        let state = match (assigns, closes) {
            (true, _) => "wait-assign-call",
            (false, false) => "wait-incr-unassign-to-complete",
            (false, true) => "wait-unassign-to-complete",
        };
        let text = format!("assignment operations done in join-state {state} (rebalance rejoin=false)");
        self.carry.out.push(Out::Log("ASSIGNDONE", text));
    }

    /// An error of the group, as a message.
    pub(super) fn tell(&mut self, failure: Failure) {
        let queue = self.side.queue.clone();
        self.out(&queue, Op::ConsumerError(Box::new(failure)));
    }

    /// The group gives or takes partitions.
    fn propose(&mut self, id: ProposalId, assigns: bool, incremental: bool, partitions: Vec<TopicPartition>) {
        let side = self.side;
        let gone = std::mem::take(&mut self.carry.gone);
        let partitions = if assigns || incremental { partitions } else { [partitions, gone].concat() };
        if assigns && partitions.is_empty() && !self.is_any_topic_there() {
            // Nothing is there to rebalance: librdkafka would not have joined.
            let now = self.core.now();
            if let Some(member) = self.core.member() {
                member.accept(now, id);
            }
            return;
        }
        let mut state = side.state();
        state.proposed = Some(Proposed { id, assigns });
        state.rebalances += 1;
        state.rebalanced = std::time::Instant::now();
        if let Some(old) = state.told.take() {
            old.store(true, Ordering::Release);
        }
        if !assigns {
            // Nothing more of them is handed out, and what was handed out stays as it is.
            for slot in partitions.iter().filter_map(|partition| state.assigned.get(partition)) {
                slot.bump();
            }
        }
        if side.settings.tells_rebalance && !state.silent {
            let void = Arc::new(AtomicBool::new(false));
            state.told = Some(void.clone());
            let rebalance = Rebalance { assigns, list: List::of(&partitions), void, side: side.this.clone() };
            drop(state);
            let queue = side.queue.clone();
            self.out(&queue, Op::Rebalance(Box::new(rebalance)));
            return;
        }
        let (method, list) = match (assigns, incremental) {
            (true, true) => {
                let is_new = |partition: &TopicPartition| !state.assigned.contains_key(partition);
                (Method::Add, partitions.into_iter().filter(is_new).map(Place::nowhere).collect())
            }
            (true, false) => (Method::Whole, partitions.into_iter().map(Place::nowhere).collect()),
            (false, true) => (Method::Remove, partitions.into_iter().map(Place::nowhere).collect()),
            (false, false) => (Method::Whole, Vec::new()),
        };
        side.carry_out(&mut state, method, list);
    }

    /// Whether one of the topics that are subscribed to exists.
    fn is_any_topic_there(&mut self) -> bool {
        let metadata = self.core.metadata();
        let Some(member) = self.core.member() else { return false };
        // With KIP-848 the coordinator knows the topics of a pattern, and this side does not.
        let by_coordinator = member.group_protocol() == felice::GroupProtocol::Consumer;
        member.subscription().is_some_and(|(wanted, topics)| match wanted {
            felice::Subscription::Pattern(_) if by_coordinator => true,
            _ => topics.iter().any(|topic| metadata.topics.contains_key(topic)),
        })
    }

    /// Tells the member whether the program polls.
    pub(super) fn pulse(&mut self) {
        let now = self.core.now();
        let polls = self.side.polling.load(Ordering::Acquire) > 0;
        let polled = self.side.polled.swap(false, Ordering::AcqRel) || polls;
        if polled {
            self.carry.stalled = false;
        }
        let Some(member) = self.core.member() else { return };
        member.pending(now, !polls);
        if polled {
            member.handle_progress(now);
        }
    }
}
