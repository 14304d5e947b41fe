//! What a seed decides about consumer groups: their protocols and assignors, their members, and what befalls these.

use std::time::Duration;

use crate::plan::Mode;
use crate::rng::Rng;

/// What befalls a member, beside what befalls network and broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberFault {
    /// It closes its consumer, and comes back some time after.
    Leave,
    /// Its process dies, and comes back some time after.
    Crash,
    /// Its process stands still for a while, connections and all.
    Freeze,
    /// Its application does nothing for a while; its client goes on.
    Stall,
    /// It gives its subscription up and takes it again.
    Resubscribe,
}

impl MemberFault {
    const ALL: [Self; 5] = [Self::Leave, Self::Crash, Self::Freeze, Self::Stall, Self::Resubscribe];
}

/// Which protocols a group's members speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// All classic.
    Classic,
    /// All KIP-848.
    Consumer,
    /// Some this, some that, as while a group is moved from one to the other.
    Mixed,
}

/// When a member's application commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitPlan {
    /// Every so often.
    Every(Duration),
    /// After so many records.
    Records(u64),
    /// Only when partitions go away.
    AtTheEnd,
}

/// A member.
#[derive(Clone, Debug)]
pub struct MemberPlan {
    /// Its group.
    pub group: usize,
    /// `group.protocol`.
    pub protocol: &'static str,
    /// `partition.assignment.strategy`, for the classic protocol.
    pub assignors: &'static str,
    /// `group.remote.assignor`, for KIP-848.
    pub remote_assignor: Option<&'static str>,
    /// Whether it has a `group.instance.id`.
    pub is_static: bool,
    /// How many of the further topics it subscribes to; the records' topic always.
    pub more_topics: i32,
    /// Whether it subscribes by a pattern rather than by names.
    pub by_pattern: bool,
    /// When it commits.
    pub commit: CommitPlan,
    /// Whether it commits before it gives partitions up, and waits for that.
    pub is_careful: bool,
    /// How long it works on a record, in microseconds.
    pub work_micros: u64,
    /// How long it takes at most to answer a proposal, in milliseconds.
    pub answer_millis: u64,
}

/// A world's groups.
#[derive(Clone, Debug)]
pub struct GroupsPlan {
    /// How many there are.
    pub groups: usize,
    /// Their members.
    pub members: Vec<MemberPlan>,
    /// Partitions of each further topic, which nobody writes to.
    pub more_topics: Vec<i32>,
    /// `session.timeout.ms` of all, and of the broker for KIP-848.
    pub session: Duration,
    /// `heartbeat.interval.ms`, of both.
    pub heartbeat: Duration,
    /// `max.poll.interval.ms`, which is the rebalance timeout.
    pub max_poll: Duration,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_delay_millis: u64,
    /// `offsets.topic.num.partitions`.
    pub offsets_partitions: u64,
    /// The segments of `__consumer_offsets`, where the topic is not left to the broker to make.
    pub offsets_segment_bytes: Option<u64>,
    /// What befalls members.
    pub faults: Vec<MemberFault>,
    /// The longest time between two of those.
    pub fault_gap: Duration,
}

impl GroupsPlan {
    /// How long every group may take to settle: two session timeouts, and one more where both protocols share a group. A dead classic member
    /// there is out after one session, but each change of the group's kind begins everyone's session anew, as with Apache Kafka.
    pub fn time_to_settle(&self) -> Duration {
        let speaks =
            |group: usize, protocol: &str| self.members.iter().any(|m| m.group == group && m.protocol == protocol);
        let is_mixed = (0..self.groups).any(|group| speaks(group, "classic") && speaks(group, "consumer"));
        self.session * if is_mixed { 3 } else { 2 }
    }

    /// The plan of a seed.
    pub fn new(rng: &mut Rng, mode: Mode) -> Self {
        let lite = mode == Mode::Lite;
        let groups = if lite || rng.chance(700) { 1 } else { 2 };
        let more_topics: Vec<i32> = (0..rng.below(3)).map(|_| i32::try_from(rng.between(1, 5)).unwrap_or(1)).collect();
        let mut members = Vec::new();
        for group in 0..groups {
            let kind = rng.pick([
                GroupKind::Classic,
                GroupKind::Consumer,
                GroupKind::Classic,
                GroupKind::Consumer,
                GroupKind::Mixed,
            ]);
            let assignors = Assignors::draw(rng, kind);
            let commit = CommitPlan::draw(rng);
            let of_group = rng.between(if lite { 2 } else { 1 }, 5);
            members
                .extend((0..of_group).map(|_| MemberPlan::new(rng, group, kind, assignors, commit, more_topics.len())));
        }
        let faults = match mode {
            Mode::Lite => Vec::new(),
            Mode::Full => MemberFault::ALL.to_vec(),
            Mode::Swarm => MemberFault::ALL.into_iter().filter(|_| rng.chance(500)).collect(),
        };
        Self {
            groups,
            members,
            more_topics,
            session: Duration::from_secs(rng.pick([12, 15, 20])),
            heartbeat: Duration::from_millis(rng.pick([500, 1000])),
            // a join that nobody answers, on a connection that is dead, is given up after this and five seconds
            max_poll: Duration::from_secs(rng.pick([4, 5, 6])),
            initial_delay_millis: rng.pick([0, 0, 500, 3000]),
            offsets_partitions: rng.pick([1, 3]),
            offsets_segment_bytes: rng.pick([None, Some(20_000), Some(60_000)]),
            faults,
            fault_gap: Duration::from_millis(rng.pick([1000, 4000, 15_000])),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Assignors {
    /// By member, in turn: two lists that share an assignor, as while a group is moved from one to the other.
    classic: [&'static str; 2],
    remote: Option<&'static str>,
}

impl Assignors {
    fn draw(rng: &mut Rng, kind: GroupKind) -> Self {
        let classic = rng.pick([
            ["range", "range"],
            ["roundrobin", "roundrobin"],
            ["sticky", "sticky"],
            ["cooperative-sticky", "cooperative-sticky"],
            ["cooperative-sticky", "cooperative-sticky"],
            ["range,cooperative-sticky", "cooperative-sticky,range"],
            // who knew one of the two only could not join a group whose broker has started anew: its record has the chosen one alone
            ["range,sticky", "sticky,range"],
        ]);
        let remote = rng.pick([None, Some("uniform"), Some("range")]);
        Self { classic, remote: remote.filter(|_| kind != GroupKind::Classic) }
    }
}

impl CommitPlan {
    fn draw(rng: &mut Rng) -> Self {
        match rng.below(4) {
            0 => Self::AtTheEnd,
            1 => Self::Records(rng.pick([1, 10])),
            _ => Self::Every(Duration::from_millis(rng.pick([100, 1000, 5000]))),
        }
    }
}

impl MemberPlan {
    fn new(
        rng: &mut Rng,
        group: usize,
        kind: GroupKind,
        assignors: Assignors,
        commit: CommitPlan,
        more_topics: usize,
    ) -> Self {
        let protocol = match kind {
            GroupKind::Classic => "classic",
            GroupKind::Consumer => "consumer",
            GroupKind::Mixed => rng.pick(["classic", "consumer"]),
        };
        // now and then members differ in what they want
        let more_topics = i32::try_from(more_topics).unwrap_or(0);
        let wanted =
            if rng.chance(800) { more_topics } else { i32::try_from(rng.below(3)).unwrap_or(0).min(more_topics) };
        Self {
            group,
            protocol,
            assignors: rng.pick(assignors.classic),
            remote_assignor: assignors.remote,
            is_static: rng.chance(250),
            more_topics: wanted,
            by_pattern: rng.chance(150),
            commit,
            is_careful: rng.chance(800),
            work_micros: rng.pick([10, 1000, 10_000]),
            answer_millis: rng.pick([0, 0, 10, 500]),
        }
    }
}
