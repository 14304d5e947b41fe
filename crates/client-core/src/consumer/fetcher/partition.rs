//! A partition of the fetcher: where its leader is, and how far it has been read.

use std::time::Duration;

use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::{Instant, Now};

use super::{Position, PositionCause};
use crate::backoff::Backoff;
use crate::metadata::{BrokerId, ClusterMetadata};

/// How long a follower may be silent before its leader is asked again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a follower is read from before its leader may name another.
const LEASE: Duration = Duration::from_secs(300);

/// A replica that the leader has named to read from, because it is nearer (KIP-392).
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    broker: BrokerId,
    since: Instant,
    heard: Instant,
}

impl Follower {
    fn until(&self) -> Instant {
        (self.heard + PATIENCE).min(self.since + LEASE)
    }
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) topic: ByteStr,
    pub(super) topic_id: Uuid,
    pub(super) index: i32,
    pub(super) leader: Option<BrokerId>,
    pub(super) leader_epoch: i32,
    pub(super) follower: Option<Follower>,
    pub(super) generation: u32,
    pub(super) position: Option<i64>,
    /// The epoch of the record before the position; −1 where it is not known.
    pub(super) position_epoch: i32,
    /// The newest leader's epoch under which the position was good.
    pub(super) validated: i32,
    /// The request that asks whether it still is.
    pub(super) validating: Option<u64>,
    pub(super) start: Option<Position>,
    pub(super) end: Option<Position>,
    pub(super) until: Option<i64>,
    pub(super) asking: bool,
    pub(super) paused: bool,
    pub(super) throttled: bool,
    /// Why `start` is looked up.
    pub(super) cause: PositionCause,
    pub(super) over: bool,
    pub(super) told_end: bool,
    pub(super) backoff: Backoff,
    pub(super) blocked_until: Option<Instant>,
}

impl Partition {
    /// A partition that nothing is known of, read from nowhere yet.
    pub(super) fn new(topic: &ByteStr, index: i32, backoff: Backoff) -> Self {
        Self {
            topic: topic.clone(),
            topic_id: Uuid::default(),
            index,
            leader: None,
            leader_epoch: -1,
            follower: None,
            generation: 0,
            position: None,
            position_epoch: -1,
            validated: -1,
            validating: None,
            start: None,
            end: None,
            until: None,
            asking: false,
            paused: false,
            throttled: false,
            cause: PositionCause::Asked,
            over: false,
            told_end: false,
            backoff,
            blocked_until: None,
        }
    }

    /// Follows the partition to its leader.
    pub(super) fn place(&mut self, metadata: &ClusterMetadata) {
        let (Some(topic), Some(known)) =
            (metadata.topics.get(&self.topic), metadata.partition(&self.topic, self.index))
        else {
            return;
        };
        if self.topic_id != topic.id && self.topic_id != Uuid::default() && topic.id != Uuid::default() {
            // No offset of the old topic means anything in the new one, and none of its records has been read.
            self.next_generation();
            self.forget_epochs();
            self.start = Some(Position::Start);
            self.cause = PositionCause::Recreated;
        }
        self.topic_id = topic.id;
        if self.leader != known.leader || self.leader_epoch != known.leader_epoch {
            self.leader = known.leader;
            self.leader_epoch = known.leader_epoch;
            self.follower = None;
            self.blocked_until = None;
            self.validating = None;
        }
        self.follower = self.follower.filter(|follower| metadata.brokers.contains_key(&follower.broker));
    }

    /// Who is asked for records: the leader, or the follower that it has named.
    pub(super) fn source(&self, now: Now) -> Option<BrokerId> {
        let follower = self.follower.filter(|follower| follower.until() > now.instant());
        follower.map_or(self.leader, |follower| Some(follower.broker))
    }

    /// Reads from this follower from now on.
    pub(super) fn follow(&mut self, now: Now, broker: BrokerId) {
        self.follower = Some(Follower { broker, since: now.instant(), heard: now.instant() });
    }

    /// Whoever was asked has answered.
    pub(super) fn hear(&mut self, now: Now) {
        if let Some(follower) = &mut self.follower {
            follower.heard = now.instant();
        }
    }

    /// When there is something to be done without another input.
    pub(super) fn timeout(&self, now: Now) -> Option<Instant> {
        let given_up = self.follower.as_ref().map(Follower::until);
        [self.blocked_until, given_up].into_iter().flatten().filter(|at| *at > now.instant()).min()
    }

    pub(super) fn resolved(&self) -> Option<i64> {
        if self.start.is_none() && self.end.is_none() { self.position } else { None }
    }

    /// Whether records before the position may be gone: its leader is of a newer epoch than all that is known to be good.
    pub(super) fn is_doubtful(&self) -> bool {
        self.position_epoch >= 0 && self.leader_epoch > self.position_epoch.max(self.validated)
    }

    /// The position is another one.
    pub(super) fn forget_epochs(&mut self) {
        (self.position_epoch, self.validated, self.validating) = (-1, -1, None);
    }

    pub(super) fn pause_after_error(&mut self, now: Now) {
        self.blocked_until = Some(now.instant() + self.backoff.next());
    }

    pub(super) fn is_blocked(&self, now: Now) -> bool {
        self.blocked_until.is_some_and(|until| until > now.instant())
    }

    pub(super) fn next_generation(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.told_end = false;
        self.over = false;
    }
}
