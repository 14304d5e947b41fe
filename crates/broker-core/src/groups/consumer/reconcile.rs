//! One step of a member towards its target. Java: `CurrentAssignmentBuilder`.
//!
//! The rule that makes two owners impossible: a member is given a partition only where no one has it, and has one until it said that it
//! gave it back or was fenced.

use std::collections::BTreeSet;

use felice_protocol::primitives::Uuid;

use super::assignment::{Partitions, pairs};
use super::member::{Current, MemberState};

/// What a step is decided from.
pub(crate) struct Step<'a> {
    pub(crate) target_epoch: i32,
    pub(crate) target: &'a Partitions,
    /// The topics that the member asks for now: what it does not ask for any more is taken even before a new target is made.
    pub(crate) subscribed: &'a BTreeSet<Uuid>,
    pub(crate) subscription_changed: bool,
    /// What the member says it has; `None` where it says nothing, and then it may still have all.
    pub(crate) owned: Option<&'a Partitions>,
}

impl Step<'_> {
    /// What the member has after this step; `is_free` says whether nobody has a partition.
    pub(crate) fn from(&self, current: &Current, is_free: impl Fn(&Uuid, i32) -> bool) -> Current {
        match current.state {
            MemberState::Stable if current.epoch != self.target_epoch => self.advance(current, is_free),
            MemberState::Stable if self.subscription_changed => self.drop_unsubscribed(current),
            MemberState::Stable => current.clone(),
            MemberState::UnrevokedPartitions if !self.still_owns(current.pending_revocation.iter()) => {
                self.advance(current, is_free)
            }
            MemberState::UnrevokedPartitions if self.subscription_changed => self.drop_unsubscribed(current),
            MemberState::UnrevokedPartitions => current.clone(),
            MemberState::UnreleasedPartitions | MemberState::Unknown => self.advance(current, is_free),
        }
    }

    fn still_owns(&self, partitions: impl IntoIterator<Item = (Uuid, i32, i32)>) -> bool {
        partitions.into_iter().any(|(topic, partition, _)| {
            self.owned.is_none_or(|owned| owned.get(&topic).is_some_and(|indexes| indexes.contains(&partition)))
        })
    }

    fn is_wanted(&self, topic: &Uuid, partition: i32) -> bool {
        self.subscribed.contains(topic) && self.target.get(topic).is_some_and(|indexes| indexes.contains(&partition))
    }

    /// Towards the target: first give back, in the old epoch; then take what is free, in the new one.
    fn advance(&self, current: &Current, is_free: impl Fn(&Uuid, i32) -> bool) -> Current {
        let (mut assigned, pending_revocation) =
            current.assigned.split(|topic, partition| self.is_wanted(topic, partition));
        if self.still_owns(pending_revocation.iter()) {
            return Current {
                epoch: current.epoch,
                previous_epoch: current.epoch,
                state: MemberState::UnrevokedPartitions,
                assigned,
                pending_revocation,
            };
        }
        let mut state = MemberState::Stable;
        for (topic, partition) in pairs(self.target) {
            if !self.subscribed.contains(&topic) || assigned.contains(&topic, partition) {
                continue;
            }
            // What it is just giving back it may have again at once: nobody else has it.
            if is_free(&topic, partition) || current.owns(&topic, partition) {
                assigned.insert(topic, partition, self.target_epoch);
            } else {
                state = MemberState::UnreleasedPartitions;
            }
        }
        Current {
            epoch: self.target_epoch,
            previous_epoch: current.epoch,
            state,
            assigned,
            pending_revocation: Default::default(),
        }
    }

    /// The target is not new, the subscription is: only what it no longer asks for goes.
    fn drop_unsubscribed(&self, current: &Current) -> Current {
        let (assigned, dropped) = current.assigned.split(|topic, _| self.subscribed.contains(topic));
        if dropped.is_empty() {
            return current.clone();
        }
        let mut pending_revocation = current.pending_revocation.clone();
        pending_revocation.extend(&dropped);
        if self.still_owns(pending_revocation.iter()) {
            let state = MemberState::UnrevokedPartitions;
            Current { epoch: current.epoch, previous_epoch: current.epoch, state, assigned, pending_revocation }
        } else {
            Current { previous_epoch: current.epoch, assigned, ..current.clone() }
        }
    }
}
