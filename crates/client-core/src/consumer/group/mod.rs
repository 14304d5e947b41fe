//! The member of a group, without I/O: it finds the coordinator, joins, keeps its membership alive, and commits. It only proposes what to do
//! about partitions ([`GroupEvent::Assign`], [`GroupEvent::Revoke`], [`GroupEvent::Lost`]) and waits for `accept`, each with a deadline; positions
//! and fetching are the application's.
//!
//! - this file: [`GroupMember`]: what the application commands, what comes in, and time
//! - [`event`]: what the member is told and what it tells
//! - [`request`]: its requests and their answers
//! - `coordinator`: which broker coordinates the group
//! - `exchange`: requests out, answers in
//! - `membership`: what both protocols share: phases, losing, leaving, failing
//! - `classic`: JoinGroup, SyncGroup, Heartbeat, LeaveGroup; as the leader also the assignment
//! - `consumer`: ConsumerGroupHeartbeat (KIP-848)
//! - `partitions`: what is held, what is to be held, and the proposal on the way there
//! - `subscription`: topics and patterns
//! - `commits`, `lookups`: OffsetCommit and OffsetFetch
//! - `codes`: what the coordinator's error codes mean
//!
//! Heartbeats never wait for `accept`: what the application does is its own affair until the rebalance time is over. Partitions are held on a
//! lease: without an answer from the coordinator for `session.timeout.ms` they are given up, since somebody else may have them then; and so
//! where it may have waited a whole rebalance time for what this member was to give back, though it was given back and only the news of it lost.
//! Every state ends by itself: [`GroupMember::status`] names it with its deadline.
//! Java: `ConsumerCoordinator`, `AbstractCoordinator`, `ConsumerMembershipManager`, `CommitRequestManager`.

mod classic;
mod codes;
mod commits;
mod consumer;
mod coordinator;
pub mod event;
mod exchange;
mod lookups;
mod membership;
mod partitions;
pub mod request;
mod subscription;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use felice_protocol::primitives::ByteStr;
use felice_protocol::time::{Instant, Now};

use self::classic::Classic;
use self::commits::Commits;
use self::consumer::Consumer;
use self::coordinator::Coordinator;
pub use self::event::{
    Committed, GroupEvent, GroupMetadata, MemberKey, MemberState, MemberStatus, ProposalId, RequestId, Subscription,
};
use self::exchange::Asked;
use self::lookups::Lookups;
use self::membership::{Farewell, Phase, Speaks};
use self::partitions::Partitions;
pub use self::subscription::TopicPattern;
use self::subscription::Wanted;
use super::TopicPartition;
use super::assignor::{Assignor, RebalanceProtocol, rebalance_protocol};
use crate::backoff::{Backoff, Random};
use crate::config::{ConsumerConfig, GroupProtocol};
use crate::error::{Error, ErrorKind};
use crate::metadata::ClusterMetadata;

/// Which metadata a member wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MetadataWish {
    /// This topic, from now on.
    Topic(ByteStr),
    /// This topic no more.
    NotTopic(ByteStr),
    /// Every topic, from now on.
    All,
    /// Not every topic any more.
    NotAll,
    /// What is wanted, anew.
    Refresh,
}

/// A member of a group. See the module.
#[derive(Debug)]
pub struct GroupMember {
    config: ConsumerConfig,
    group_id: ByteStr,
    instance_id: Option<ByteStr>,
    /// The next farewell is said by a static member too.
    leaves_instance: bool,
    assignors: Vec<Assignor>,
    random: Random,
    metadata: Arc<ClusterMetadata>,
    coordinator: Coordinator,
    wanted: Option<Wanted>,

    speaks: Speaks,
    phase: Phase,
    member_id: ByteStr,
    /// The generation or the member's epoch; −1 (classic) or 0 (KIP-848) for none.
    epoch: i32,
    classic: Classic,
    consumer: Consumer,
    partitions: Partitions,
    backoff: Backoff,
    retry_at: Option<Instant>,
    error: Option<Error>,
    /// When the last request left to which the coordinator answered that this is a member.
    contact: Instant,
    /// Since when there may be a rebalance: the last request before that was answered as if there was none.
    calm: Instant,
    farewell: Option<Farewell>,

    /// The application has work, and since when it has not touched it.
    work_since: Option<Instant>,
    warned: bool,

    commits: Commits,
    lookups: Lookups,
    in_flight: BTreeMap<u64, Asked>,
    next_id: u64,
    events: VecDeque<GroupEvent>,
    wants: BTreeSet<ByteStr>,
    wants_all: bool,
    wishes: VecDeque<MetadataWish>,
    /// What [`Self::status`] tells.
    status: MemberStatus,
}

impl GroupMember {
    /// A member without a subscription. `custom` assignors are offered besides, before those that the configuration names.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where an assignor's name is unknown or none is left.
    pub fn new(
        config: ConsumerConfig,
        custom: Vec<Assignor>,
        metadata: Arc<ClusterMetadata>,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut random = Random::new(seed);
        let own = !custom.is_empty();
        let mut assignors = custom;
        for name in &config.partition_assignment_strategy {
            if assignors.iter().any(|assignor| assignor.name() == name) {
                continue;
            }
            assignors.push(Assignor::from_name(name).ok_or_else(|| {
                Error::new(ErrorKind::Config, format!("partition.assignment.strategy: no assignor is called {name}"))
                    .hinting("use range, roundrobin, sticky or cooperative-sticky, or give your own assignor")
            })?);
        }
        let speaks = match config.group_protocol {
            GroupProtocol::Classic => Speaks::Classic,
            // An assignor of one's own only works where members divide the partitions.
            GroupProtocol::Auto if own => Speaks::Classic,
            GroupProtocol::Auto | GroupProtocol::Consumer => Speaks::Consumer,
        };
        if assignors.is_empty() && config.group_protocol != GroupProtocol::Consumer {
            return Err(Error::new(ErrorKind::Config, "partition.assignment.strategy names no assignor")
                .hinting("use range, roundrobin, sticky or cooperative-sticky"));
        }
        let mut backoff = || Backoff::new(config.retry_backoff, config.retry_backoff_max, random.next_u64());
        let (coordinator, own_backoff, commits) = (Coordinator::new(backoff()), backoff(), Commits::new(backoff()));
        let lookups = Lookups::new(backoff());
        let mut member = Self {
            group_id: config.group_id.as_str().into(),
            leaves_instance: false,
            instance_id: config.group_instance_id.as_deref().map(Into::into),
            assignors,
            random,
            metadata,
            coordinator,
            wanted: None,
            speaks,
            phase: Phase::Idle,
            member_id: ByteStr::default(),
            epoch: -1,
            classic: Classic::default(),
            consumer: Consumer::default(),
            partitions: Partitions::default(),
            backoff: own_backoff,
            retry_at: None,
            error: None,
            contact: Instant(0),
            calm: Instant(0),
            farewell: None,
            work_since: None,
            warned: false,
            commits,
            lookups,
            in_flight: BTreeMap::new(),
            next_id: 0,
            events: VecDeque::new(),
            wants: BTreeSet::new(),
            wants_all: false,
            wishes: VecDeque::new(),
            status: MemberStatus { state: MemberState::Unsubscribed, since: Instant(0), deadline: None },
            config,
        };
        if member.speaks == Speaks::Consumer {
            member.member_id = member.new_id();
        }
        Ok(member)
    }

    /// Subscribes, or changes the subscription. Under the classic protocol a change begins a rebalance.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a pattern that is no regular expression.
    pub fn subscribe(&mut self, now: Now, subscription: Subscription) -> Result<(), Error> {
        if matches!(&subscription, Subscription::Topics(topics) if topics.is_empty()) {
            self.unsubscribe(now);
            return Ok(());
        }
        let mut wanted = Wanted::new(subscription, &self.config)?;
        wanted.match_topics(&self.metadata, &self.config);
        self.wanted = Some(wanted);
        match self.phase {
            Phase::Idle | Phase::Left | Phase::Failed => self.begin(now),
            Phase::Member if self.speaks == Speaks::Classic => self.classic.rejoin("the subscription changed"),
            // Whoever joins already, or comes back, finds the new subscription; so does the next heartbeat of KIP-848.
            Phase::Unjoined | Phase::Joining | Phase::Syncing => {
                self.classic.rejoin("the subscription changed");
            }
            Phase::Member | Phase::Stalled { .. } | Phase::Leaving { .. } => {}
        }
        self.advance(now);
        Ok(())
    }

    /// Gives up every partition, then leaves the group; [`GroupEvent::Left`] tells when.
    pub fn unsubscribe(&mut self, now: Now) {
        let patience = self.config.max_poll_interval.max(self.config.api_timeout);
        self.go(now, patience);
    }

    /// As [`Self::unsubscribe`], and in the classic protocol a static member leaves as well: librdkafka's way.
    pub fn unsubscribe_instance(&mut self, now: Now) {
        self.leaves_instance = true;
        self.unsubscribe(now);
    }

    /// Closes the membership within `timeout`: partitions are revoked first, or lost when the time is over. [`GroupEvent::Left`] comes in any case.
    pub fn leave(&mut self, now: Now, timeout: Duration) {
        self.go(now, timeout);
    }

    /// The application has carried out an Assign, Revoke or Lost, whatever it really did with its fetching. Commits that are open for revoked
    /// partitions are finished before anybody else gets those. An id that is no longer waited for is ignored.
    pub fn accept(&mut self, now: Now, id: ProposalId) {
        self.partitions.accept(id);
        self.advance(now);
    }

    /// The application took records or finished with some: `max.poll.interval.ms` counts from here. Brings a stalled member back.
    pub fn handle_progress(&mut self, now: Now) {
        if self.work_since.is_some() {
            self.work_since = Some(now.instant());
        }
        self.warned = false;
        if matches!(self.phase, Phase::Stalled { .. }) {
            self.begin(now);
        }
        self.advance(now);
    }

    /// Whether there is work that waits for the application. Only then does `max.poll.interval.ms` count: since the work came, or since
    /// the last progress.
    pub fn pending(&mut self, now: Now, pending: bool) {
        match (pending, self.work_since) {
            (true, None) => self.work_since = Some(now.instant()),
            (false, _) => {
                self.work_since = None;
                self.warned = false;
            }
            (true, Some(_)) => {}
        }
        self.advance(now);
    }

    /// The id that it has or will join with; empty where the coordinator gives it and has not yet.
    pub fn member_id(&self) -> &ByteStr {
        &self.member_id
    }

    /// Who this member is now.
    pub fn group_metadata(&self) -> GroupMetadata {
        let member = self.is_member();
        GroupMetadata {
            group_id: self.group_id.clone(),
            generation_or_epoch: if member { self.epoch } else { -1 },
            member_id: if member { self.member_id.clone() } else { ByteStr::default() },
            group_instance_id: self.instance_id.clone(),
        }
    }

    /// Whether a rebalance takes everything (eager) or only what moves (cooperative; always with KIP-848). `None` without a subscription.
    pub fn rebalance_protocol(&self) -> Option<RebalanceProtocol> {
        self.wanted.as_ref().map(|_| self.rebalances())
    }

    /// Which of the two group protocols is spoken: never [`GroupProtocol::Auto`].
    pub fn group_protocol(&self) -> GroupProtocol {
        match self.speaks {
            Speaks::Classic => GroupProtocol::Classic,
            Speaks::Consumer => GroupProtocol::Consumer,
        }
    }

    /// The partitions that this member holds, those included that it is asked to take or to give up right now.
    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.held().keys()
    }

    /// The subscription, where there is one, and the topics that it means now.
    pub fn subscription(&self) -> Option<(&Subscription, &BTreeSet<ByteStr>)> {
        self.wanted.as_ref().map(|wanted| (&wanted.subscription, &wanted.topics))
    }

    /// What the member is doing.
    pub fn state(&self) -> MemberState {
        self.status.state
    }

    /// What the member is doing, since when, and until when at the longest.
    pub fn status(&self) -> MemberStatus {
        self.status
    }

    /// Its settings.
    pub fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    fn rebalances(&self) -> RebalanceProtocol {
        match self.speaks {
            Speaks::Classic => rebalance_protocol(&self.assignors),
            Speaks::Consumer => RebalanceProtocol::Cooperative,
        }
    }

    fn is_eager(&self) -> bool {
        self.rebalances() == RebalanceProtocol::Eager
    }

    fn is_member(&self) -> bool {
        match self.speaks {
            Speaks::Classic => self.epoch >= 0,
            Speaks::Consumer => self.epoch > 0,
        }
    }

    /// New metadata.
    pub fn handle_metadata(&mut self, now: Now, metadata: &Arc<ClusterMetadata>) {
        self.metadata = metadata.clone();
        let rematched = self.wanted.as_mut().is_some_and(|wanted| wanted.match_topics(metadata, &self.config));
        let by_name = self.speaks == Speaks::Classic;
        self.partitions.handle_metadata(now, self.config.max_poll_interval, by_name, metadata, &mut self.events);
        match self.speaks {
            Speaks::Classic => self.handle_classic_metadata(rematched),
            Speaks::Consumer => self.resolve_target(),
        }
        self.advance(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.check_lease(now);
        let revoked = self.partitions.handle_timeout(now, self.config.max_poll_interval, &mut self.events);
        if revoked && self.phase == Phase::Member && self.speaks == Speaks::Classic {
            // The others wait for what was let go, in time or not.
            self.classic.rejoin("partitions were lost that had to be let go");
        }
        self.check_division(now);
        self.check_progress(now);
        self.check_leaving(now);
        self.commits.handle_timeout(now, self.coordinator.error.as_ref(), &mut self.events);
        self.lookups.handle_timeout(now, self.coordinator.error.as_ref(), &mut self.events);
        self.check_delay(now);
        self.advance(now);
    }

    /// When to call [`Self::handle_timeout`], and then poll for requests again.
    pub fn poll_timeout(&self, now: Now) -> Option<Instant> {
        let future = |at: &Instant| *at > now.instant();
        // What is due already waits for a connection, not for time.
        let requests = [
            self.coordinator.poll_timeout().filter(|_| self.needs_coordinator()),
            self.retry_at.filter(|_| self.phase.is_active()),
            self.heartbeat_at(),
            self.farewell.as_ref().and_then(|farewell| farewell.retry_at),
            self.commits.retry_at(),
            self.lookups.retry_at(),
        ];
        let deadlines = [
            self.partitions.proposal().map(|proposal| proposal.deadline),
            self.status.deadline,
            self.lease(),
            self.stall_at(),
            self.leader_deadline(),
            self.divide_again_at(),
            self.farewell.as_ref().map(|farewell| farewell.until),
            self.commits.deadline(),
            self.lookups.deadline(),
        ];
        requests.into_iter().flatten().filter(future).chain(deadlines.into_iter().flatten()).min()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<GroupEvent> {
        self.events.pop_front()
    }

    /// The next change of what metadata this member wants.
    pub(crate) fn poll_wish(&mut self) -> Option<MetadataWish> {
        self.wishes.pop_front()
    }

    /// The member goes: it wants no metadata any more.
    pub(crate) fn give_up_wishes(&mut self) {
        self.wanted = None;
        self.phase = Phase::Left;
        self.partitions = Partitions::default();
        self.classic = Classic::default();
        self.update_wishes();
    }
}
