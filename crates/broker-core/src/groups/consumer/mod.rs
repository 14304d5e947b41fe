//! A group of the consumer protocol (KIP-848): the coordinator assigns, each member is led to its target one heartbeat at a time.
//!
//! Three numbers tell how far things are. The *group epoch* rises with everything that may need another assignment: members, what they
//! subscribe to, topics. The *assignment epoch* is the group epoch that the target was made for. A *member epoch* reaches the assignment
//! epoch when the member has given back what is not its own any more.
//!
//! | file | what |
//! |---|---|
//! | `member`, `assignment` | what a member asked for and has |
//! | `change` | the records of `__consumer_offsets`; all state is what they say |
//! | `heartbeat` | ConsumerGroupHeartbeat: join, change, leave |
//! | `target` | who should have what, by one of the two assignors (`groups/assignor`) |
//! | `reconcile` | one step of a member towards its target |
//! | `fence` | members that go: by themselves, or because a deadline is over |
//! | `timers` | the deadlines |
//! | `classic` | JoinGroup, SyncGroup, Heartbeat and LeaveGroup of classic members in such a group |
//! | `commit` | whether a member may commit or fetch offsets |
//! | `describe` | ConsumerGroupDescribe |
//! | `requests` | the way from the coordinator to a group, and from one kind of group to the other |
//! | `regex` | subscriptions by regular expression |
//!
//! Java: `org.apache.kafka.coordinator.group.modern.consumer.ConsumerGroup` and half of `GroupMetadataManager`.

pub(crate) mod assignment;
pub(crate) mod change;
mod classic;
mod commit;
mod config;
mod describe;
mod fence;
mod heartbeat;
pub(crate) mod member;
mod reconcile;
mod regex;
pub(crate) mod requests;
mod target;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::{Instant, Now};

pub(crate) use classic::{decode_assignment, decode_subscription, encode_assignment, owned_partitions};
pub(crate) use config::ConsumerGroupConfig;
pub(crate) use fence::Fenced;
pub(crate) use heartbeat::check as check_heartbeat;

use self::assignment::Partitions;
use self::change::Change;
use self::member::{Current, Member};
use self::regex::ResolvedRegex;
use self::timers::{Timer, Timers};
use super::records::GroupRecord;
use super::topics_view::TopicsView;

/// Why a request of a member is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl GroupError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// How a whole group stands, under Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerGroupState {
    /// No members.
    Empty,
    /// A new target is due.
    Assigning,
    /// Some member is not yet where its target is.
    Reconciling,
    /// Everyone has what it should have.
    Stable,
}

impl ConsumerGroupState {
    /// Kafka's word for it in DescribeGroups, ConsumerGroupDescribe and ListGroups.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// A group of the consumer protocol.
#[derive(Debug, Default)]
pub(crate) struct ConsumerGroup {
    id: ByteStr,
    epoch: i32,
    metadata_hash: i64,
    assignment_epoch: i32,
    /// When the target was made, in wall milliseconds; 0 where that does not count.
    assignment_timestamp: i64,
    has_partition_metadata: bool,
    members: BTreeMap<ByteStr, Member>,
    targets: BTreeMap<ByteStr, Partitions>,
    regexes: BTreeMap<ByteStr, ResolvedRegex>,
    /// Derived from the members: who has each instance id.
    static_members: BTreeMap<ByteStr, ByteStr>,
    /// Derived from the members: who owns each partition.
    owners: BTreeMap<(Uuid, i32), ByteStr>,
    /// Derived from the members: how many have each regular expression.
    regex_counts: BTreeMap<ByteStr, usize>,
    /// The topics are not those that the group's epoch was made for, or nobody knows.
    topics_changed: bool,
    /// The same for what the regular expressions stand for.
    regexes_outdated: bool,
    /// A target that was given from outside, instead of one that an assignor makes.
    given_target: Option<BTreeMap<ByteStr, Partitions>>,
    /// That one is not the target yet.
    target_given: bool,
    timers: Timers,
}

/// The records of one operation; making one changes the group.
#[derive(Debug, Default)]
pub(crate) struct Records(pub(crate) Vec<GroupRecord>);

impl Records {
    /// Writes the change down and makes it.
    pub(crate) fn make(&mut self, group: &mut ConsumerGroup, change: Change) {
        self.write(&group.id, &change);
        group.apply(change);
    }

    /// Only writes it down.
    fn write(&mut self, group: &ByteStr, change: &Change) {
        self.0.push(change.encode(group));
    }
}

impl ConsumerGroup {
    /// A group without members that no record tells of yet.
    pub(crate) fn new(id: ByteStr) -> Self {
        Self { id, topics_changed: true, regexes_outdated: true, ..Self::default() }
    }

    pub(crate) fn id(&self) -> &ByteStr {
        &self.id
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Whether the group epoch is ahead of the target.
    pub(crate) fn is_assignment_due(&self) -> bool {
        self.epoch > self.assignment_epoch
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&ByteStr, &Member)> {
        self.members.iter()
    }

    pub(crate) fn target(&self, member: &ByteStr) -> Option<&Partitions> {
        self.targets.get(member)
    }

    /// How the group stands.
    pub(crate) fn state(&self) -> ConsumerGroupState {
        if self.members.is_empty() {
            ConsumerGroupState::Empty
        } else if self.epoch > self.assignment_epoch {
            ConsumerGroupState::Assigning
        } else if self.members.values().all(|member| member.current.is_reconciled_to(self.assignment_epoch)) {
            ConsumerGroupState::Stable
        } else {
            ConsumerGroupState::Reconciling
        }
    }

    /// Whether some member wants this topic: its offsets are then not to be deleted or expired.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.metadata.topics.contains(topic))
            || self.regexes.values().any(|regex| regex.topics.contains(topic))
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Topics have come, gone or grown: the next heartbeat looks at them again.
    pub(crate) fn handle_topics_changed(&mut self) {
        self.topics_changed = true;
        self.regexes_outdated = true;
    }

    /// Makes the change of a record that was read from the log.
    pub(crate) fn replay(&mut self, change: Change) {
        self.apply(change);
    }

    /// Everything has been read: every member gets a whole session from now.
    pub(crate) fn loaded(&mut self, now: Now, config: &ConsumerGroupConfig) {
        for (id, member) in &self.members {
            let session = session_timeout(member, config);
            self.timers.set(id, Timer::Session, now.instant() + session);
            if member.current.state == member::MemberState::UnrevokedPartitions && !member.uses_classic_protocol() {
                self.timers.set(id, Timer::Rebalance, now.instant() + rebalance_timeout(member));
            }
        }
    }

    /// Whether nothing is left of the group in the log.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.epoch == 0
            && self.assignment_epoch == 0
            && self.members.is_empty()
            && self.targets.is_empty()
            && self.regexes.is_empty()
    }

    /// The records that take the group out of the log.
    pub(crate) fn tombstones(&self) -> Vec<GroupRecord> {
        let mut records = Records::default();
        for id in self.members.keys() {
            records.write(&self.id, &Change::Current(id.clone(), None));
        }
        for id in self.targets.keys() {
            records.write(&self.id, &Change::TargetMember(id.clone(), None));
        }
        records.write(&self.id, &Change::Target(None));
        for id in self.members.keys() {
            records.write(&self.id, &Change::Member(id.clone(), None));
        }
        for regex in self.regexes.keys() {
            records.write(&self.id, &Change::Regex(regex.clone(), None));
        }
        if self.has_partition_metadata {
            records.write(&self.id, &Change::PartitionMetadata { present: false });
        }
        records.write(&self.id, &Change::Group(None));
        records.0
    }

    /// The one place where state changes.
    fn apply(&mut self, change: Change) {
        match change {
            Change::Group(value) => (self.epoch, self.metadata_hash) = value.unwrap_or_default(),
            Change::PartitionMetadata { present } => self.has_partition_metadata = present,
            Change::Target(value) => (self.assignment_epoch, self.assignment_timestamp) = value.unwrap_or_default(),
            Change::TargetMember(id, Some(target)) => {
                self.targets.insert(id, target);
            }
            Change::TargetMember(id, None) => {
                self.targets.remove(&id);
            }
            Change::Regex(regex, Some(resolved)) => {
                self.regexes.insert(regex, resolved);
            }
            Change::Regex(regex, None) => {
                self.regexes.remove(&regex);
            }
            Change::Member(id, metadata) => self.apply_metadata(id, metadata),
            Change::Current(id, current) => self.apply_current(id, current),
        }
    }

    fn apply_metadata(&mut self, id: ByteStr, metadata: Option<member::MemberMetadata>) {
        let old = self.members.get(&id).map(|member| member.metadata.clone()).unwrap_or_default();
        if let Some(instance_id) = &old.instance_id
            && self.static_members.get(instance_id) == Some(&id)
        {
            self.static_members.remove(instance_id);
        }
        if let Some(regex) = old.regex()
            && let Some(count) = self.regex_counts.get_mut(regex)
        {
            *count -= 1;
            if *count == 0 {
                self.regex_counts.remove(regex);
            }
        }
        let Some(metadata) = metadata else {
            self.apply_current(id.clone(), None);
            self.members.remove(&id);
            return;
        };
        if let Some(instance_id) = &metadata.instance_id {
            self.static_members.insert(instance_id.clone(), id.clone());
        }
        if let Some(regex) = metadata.regex() {
            *self.regex_counts.entry(regex.clone()).or_default() += 1;
        }
        self.members.entry(id).or_default().metadata = metadata;
    }

    fn apply_current(&mut self, id: ByteStr, current: Option<Current>) {
        if let Some(member) = self.members.get(&id) {
            for owned in member.current.owned() {
                if self.owners.get(&owned) == Some(&id) {
                    self.owners.remove(&owned);
                }
            }
        }
        match current {
            Some(current) => {
                for owned in current.owned() {
                    self.owners.insert(owned, id.clone());
                }
                self.members.entry(id).or_default().current = current;
            }
            None => {
                if let Some(member) = self.members.get_mut(&id) {
                    member.current = Current::default();
                }
            }
        }
    }

    /// The ids of the topics that a member wants and that exist.
    fn subscribed_ids(&self, view: TopicsView<'_>, member: &Member) -> BTreeSet<Uuid> {
        let by_regex = member.metadata.regex().and_then(|regex| self.regexes.get(regex));
        let names = member.metadata.topics.iter().chain(by_regex.iter().flat_map(|resolved| &resolved.topics));
        names.filter_map(|name| view.get(name).map(|(id, _)| id)).collect()
    }

    /// All that members want, by name.
    fn subscribed_names(&self) -> BTreeSet<&ByteStr> {
        let names = self.members.values().flat_map(|member| &member.metadata.topics);
        names.chain(self.regexes.values().flat_map(|regex| &regex.topics)).collect()
    }

    /// What the group epoch was made for: the subscribed topics that exist, with id and partition count. 0 where there are none.
    fn compute_metadata_hash(&self, view: TopicsView<'_>) -> i64 {
        let mut hash = Fnv::default();
        let mut any = false;
        for name in self.subscribed_names() {
            if let Some((id, partitions)) = view.get(name) {
                any = true;
                hash.write(&id.0);
                hash.write(&partitions.to_be_bytes());
                hash.write(name.as_bytes());
                hash.write(&[0]);
            }
        }
        if any { i64::from_be_bytes(hash.0.to_be_bytes()) } else { 0 }
    }
}

/// FNV-1a: what it is for changes seldom and is never hostile, a clash costs one late rebalance.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// How long a member may be silent.
fn session_timeout(member: &Member, config: &ConsumerGroupConfig) -> std::time::Duration {
    match &member.metadata.classic {
        Some(classic) => millis(classic.session_timeout_ms),
        None => config.session_timeout,
    }
}

/// How long a member may take to give partitions back, or to join and sync.
fn rebalance_timeout(member: &Member) -> std::time::Duration {
    millis(member.metadata.rebalance_timeout_ms)
}

fn millis(millis: i32) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
