//! The group coordinator: which groups there are, who is in them, what they have committed. Java: `GroupCoordinatorService` with its shard.
//!
//! [`GroupCoordinator`] is fed requests, topics and time, and drained of [`Effect`]s: records for `__consumer_offsets`, and answers that may
//! leave when those are durable. It touches no log and no socket (`coordinator.rs` does), so that a log that is replayed, a test and the
//! simulator drive the same thing.
//!
//! - `classic/`: groups in which a member assigns · `consumer/`: groups in which the broker assigns (KIP-848) by an `assignor` · `migration`: from one to the other
//! - `offsets`, `commit`: what groups commit · `admin`: describe, list, delete · `records`: keys and values of the log · `load`: the log read again
//! - `step`, `answer`: what one step leaves to be done · `topics_view`: what it may know of topics

mod admin;
pub(crate) mod answer;
mod assignor;
mod classic;
mod commit;
mod consumer;
mod load;
mod membership;
mod migration;
mod offsets;
mod records;
mod step;
#[cfg(test)]
mod tests;
mod topics_view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::{Instant, Now};

pub(crate) use answer::GroupAnswer;
pub(crate) use classic::ClassicGroup;
pub(crate) use consumer::{ConsumerGroup, ConsumerGroupConfig};
pub(crate) use records::GroupRecord;
pub(crate) use topics_view::TopicsView;

use crate::config::GroupConfig;
use crate::random::Random;
use offsets::CommittedOffsets;
use step::Step;

/// The topic that the coordinator writes.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The longest string that a record's key can hold.
const MAX_STRING: usize = 32_767;
/// What goes into one batch, so that `__consumer_offsets` takes it.
pub(crate) const MAX_BATCH_BYTES: usize = 1_000_000;

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Waiter(pub(crate) u64);

/// Who asks, and in which version.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) waiter: Waiter,
    pub(crate) version: i16,
    pub(crate) client_id: ByteStr,
    /// As Kafka prints it: a slash and the address.
    pub(crate) client_host: ByteStr,
}

/// What is to be done now: append to partitions of `__consumer_offsets`, then answer, when all that those partitions hold is durable.
#[derive(Debug)]
pub(crate) struct Effect {
    /// One batch for each partition; a partition without records is one whose state the answers tell.
    pub(crate) appends: Vec<(i32, Vec<GroupRecord>)>,
    pub(crate) answers: Vec<(Waiter, GroupAnswer)>,
}

/// A group of either kind.
#[derive(Debug)]
pub(crate) enum Group {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

/// A group with its offsets, and when it wants to be looked at.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) group: Group,
    pub(crate) offsets: CommittedOffsets,
    timer: Option<Instant>,
}

impl Entry {
    fn classic(group: ClassicGroup) -> Self {
        Self { group: Group::Classic(group), offsets: CommittedOffsets::default(), timer: None }
    }

    fn consumer(group: ConsumerGroup) -> Self {
        Self { group: Group::Consumer(group), offsets: CommittedOffsets::default(), timer: None }
    }
}

/// All groups of this broker.
#[derive(Debug)]
pub(crate) struct GroupCoordinator {
    config: GroupConfig,
    random: Random,
    /// How many partitions `__consumer_offsets` has; none while it does not exist.
    partitions: i32,
    /// Those that cannot be written.
    offline: BTreeSet<i32>,
    groups: BTreeMap<ByteStr, Entry>,
    timers: BTreeSet<(Instant, ByteStr)>,
    next_expiry: Instant,
    effects: VecDeque<Effect>,
}

impl GroupCoordinator {
    pub(crate) fn new(config: GroupConfig, seed: u64, now: Now) -> Self {
        Self {
            next_expiry: now.instant() + config.offsets_retention_check_interval,
            config,
            random: Random::new(seed),
            partitions: 0,
            offline: BTreeSet::new(),
            groups: BTreeMap::new(),
            timers: BTreeSet::new(),
            effects: VecDeque::new(),
        }
    }

    /// The properties it follows, to be changed while it runs.
    pub(crate) fn config_mut(&mut self) -> &mut GroupConfig {
        &mut self.config
    }

    /// Says what the members of a consumer group are to have, instead of an assignor, or leaves it to that again; a member that is not named has
    /// nothing. Heard at the next heartbeats, in a new epoch. False where there is no such group.
    pub(crate) fn set_target(
        &mut self,
        group_id: &str,
        target: Option<BTreeMap<ByteStr, BTreeMap<Uuid, BTreeSet<i32>>>>,
    ) -> bool {
        match self.groups.get_mut(group_id).map(|entry| &mut entry.group) {
            Some(Group::Consumer(group)) => {
                group.set_target(target);
                true
            }
            Some(Group::Classic(_)) | None => false,
        }
    }

    /// `__consumer_offsets` is there, with so many partitions.
    pub(crate) fn handle_offsets_topic(&mut self, partitions: i32) {
        if partitions == 0 {
            // Another topic of that name begins with logs of its own.
            self.offline.clear();
        }
        self.partitions = partitions;
    }

    pub(crate) fn partitions(&self) -> i32 {
        self.partitions
    }

    /// Topics have come, grown or gone.
    pub(crate) fn handle_topics_changed(&mut self) {
        for entry in self.groups.values_mut() {
            if let Group::Consumer(group) = &mut entry.group {
                group.handle_topics_changed();
            }
        }
    }

    pub(crate) fn has_offsets_topic(&self) -> bool {
        self.partitions > 0
    }

    /// What to do next.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn poll_timeout(&self) -> Instant {
        self.timers.first().map_or(self.next_expiry, |(deadline, _)| self.next_expiry.min(*deadline))
    }

    /// Sessions, rebalances and offsets whose time has come.
    pub(crate) fn handle_timeout(&mut self, now: Now, topics: TopicsView<'_>) {
        while let Some((deadline, id)) = self.timers.first().cloned() {
            if deadline > now.instant() {
                break;
            }
            self.timers.pop_first();
            let Some(entry) = self.groups.get_mut(&id) else { continue };
            entry.timer = None;
            let mut step = Step::new(now, &self.config);
            match &mut entry.group {
                Group::Classic(group) => group.handle_timeout(&mut step),
                group @ Group::Consumer(_) => consumer::requests::timeout(&mut step, topics, group),
            }
            let (records, answers) = (step.records, step.answers);
            self.settle(&id, records, answers);
        }
        if self.next_expiry <= now.instant() {
            self.next_expiry = now.instant() + self.config.offsets_retention_check_interval;
            self.expire_offsets(now);
        }
    }

    /// The partition of `__consumer_offsets` that a group's records go to.
    pub(crate) fn partition_for(&self, group_id: &str) -> i32 {
        // Java's String.hashCode, and its own idea of an absolute value.
        let hash = group_id.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
        let positive = if hash == i32::MIN { 0 } else { hash.abs() };
        positive % self.partitions.max(1)
    }

    /// Whether this broker can answer for the group.
    fn check(&self, group_id: &str) -> Result<(), ErrorCode> {
        if group_id.len() > MAX_STRING {
            Err(ErrorCode::INVALID_GROUP_ID)
        } else if self.partitions == 0 || self.offline.contains(&self.partition_for(group_id)) {
            Err(ErrorCode::NOT_COORDINATOR)
        } else {
            Ok(())
        }
    }

    /// The same for members: their group has a name.
    fn check_member(&self, group_id: &str) -> Result<(), ErrorCode> {
        if group_id.is_empty() { Err(ErrorCode::INVALID_GROUP_ID) } else { self.check(group_id) }
    }

    /// Hands on what a step has left to be done for a group, and looks when the group wants to be looked at again.
    fn settle(&mut self, id: &ByteStr, records: Vec<GroupRecord>, answers: Vec<(Waiter, GroupAnswer)>) {
        if !records.is_empty() || !answers.is_empty() {
            self.effects.push_back(Effect { appends: vec![(self.partition_for(id), records)], answers });
        }
        let Some(entry) = self.groups.get_mut(id) else { return };
        let next = match &entry.group {
            Group::Classic(group) => group.poll_timeout(),
            Group::Consumer(group) => group.poll_timeout(),
        };
        if next != entry.timer {
            if let Some(before) = entry.timer {
                self.timers.remove(&(before, id.clone()));
            }
            if let Some(next) = next {
                self.timers.insert((next, id.clone()));
            }
            entry.timer = next;
        }
    }

    fn answer(&mut self, group_id: &str, waiter: Waiter, answer: GroupAnswer) {
        self.effects.push_back(Effect {
            appends: vec![(self.partition_for(group_id), Vec::new())],
            answers: vec![(waiter, answer)],
        });
    }
}

/// A copy to keep: not a slice that holds on to a whole request.
pub(crate) fn kept(text: &ByteStr) -> ByteStr {
    text.as_str().into()
}
