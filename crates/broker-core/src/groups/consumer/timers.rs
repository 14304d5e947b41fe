//! The deadlines of a group's members, the next one at hand.

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Instant;

/// What runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The member has not been heard of.
    Session,
    /// It has not given back what it was asked for.
    Rebalance,
    /// A classic member was told to join again and has not.
    Join,
    /// A classic member has joined and has not asked for its assignment.
    Sync,
}

impl Timer {
    const ALL: [Self; 4] = [Self::Session, Self::Rebalance, Self::Join, Self::Sync];
}

/// At most one deadline of each kind for each member.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    deadlines: BTreeMap<(ByteStr, Timer), Instant>,
    queue: BTreeSet<(Instant, ByteStr, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, member: &ByteStr, timer: Timer, deadline: Instant) {
        if let Some(old) = self.deadlines.insert((member.clone(), timer), deadline) {
            self.queue.remove(&(old, member.clone(), timer));
        }
        self.queue.insert((deadline, member.clone(), timer));
    }

    pub(crate) fn set_if_absent(&mut self, member: &ByteStr, timer: Timer, deadline: Instant) {
        if !self.deadlines.contains_key(&(member.clone(), timer)) {
            self.set(member, timer, deadline);
        }
    }

    pub(crate) fn cancel(&mut self, member: &ByteStr, timer: Timer) {
        if let Some(deadline) = self.deadlines.remove(&(member.clone(), timer)) {
            self.queue.remove(&(deadline, member.clone(), timer));
        }
    }

    pub(crate) fn cancel_all(&mut self, member: &ByteStr) {
        for timer in Timer::ALL {
            self.cancel(member, timer);
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, ..)| *deadline)
    }

    /// Takes one that is over.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(ByteStr, Timer)> {
        let (deadline, ..) = self.queue.first()?;
        if *deadline > now {
            return None;
        }
        let (_, member, timer) = self.queue.pop_first()?;
        self.deadlines.remove(&(member.clone(), timer));
        Some((member, timer))
    }
}
