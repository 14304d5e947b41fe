//! Sets of partitions as a group keeps them: by topic id, so that a topic that was deleted and made anew is another one.

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::primitives::Uuid;

/// What a member should have.
pub(crate) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// What a member has, each partition with the member epoch in which it was given (KIP-1251).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held(BTreeMap<Uuid, BTreeMap<i32, i32>>);

impl Held {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, topic: &Uuid, partition: i32) -> bool {
        self.epoch_of(topic, partition).is_some()
    }

    /// The epoch in which the partition was given; `None` where it is not held.
    pub(crate) fn epoch_of(&self, topic: &Uuid, partition: i32) -> Option<i32> {
        self.0.get(topic)?.get(&partition).copied()
    }

    pub(crate) fn insert(&mut self, topic: Uuid, partition: i32, epoch: i32) {
        self.0.entry(topic).or_default().insert(partition, epoch);
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = (&Uuid, &BTreeMap<i32, i32>)> {
        self.0.iter()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Uuid, i32, i32)> {
        self.0.iter().flat_map(|(topic, held)| held.iter().map(|(partition, epoch)| (*topic, *partition, *epoch)))
    }

    /// Those that `wanted` says yes to, and the others.
    pub(crate) fn split(&self, mut wanted: impl FnMut(&Uuid, i32) -> bool) -> (Self, Self) {
        let (mut kept, mut other) = (Self::default(), Self::default());
        for (topic, partition, epoch) in self.iter() {
            let side = if wanted(&topic, partition) { &mut kept } else { &mut other };
            side.insert(topic, partition, epoch);
        }
        (kept, other)
    }

    pub(crate) fn extend(&mut self, more: &Self) {
        for (topic, partition, epoch) in more.iter() {
            self.insert(topic, partition, epoch);
        }
    }

    /// The partitions without their epochs.
    pub(crate) fn partitions(&self) -> Partitions {
        self.0.iter().map(|(topic, held)| (*topic, held.keys().copied().collect())).collect()
    }

    pub(crate) fn same_partitions(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|((a, held), (b, others))| a == b && held.keys().eq(others.keys()))
    }

    /// The same partitions, as if given in this epoch.
    pub(crate) fn with_epoch(&self, epoch: i32) -> Self {
        self.iter().map(|(topic, partition, _)| (topic, partition, epoch)).collect()
    }
}

impl FromIterator<(Uuid, i32, i32)> for Held {
    fn from_iter<I: IntoIterator<Item = (Uuid, i32, i32)>>(partitions: I) -> Self {
        let mut held = Self::default();
        for (topic, partition, epoch) in partitions {
            held.insert(topic, partition, epoch);
        }
        held
    }
}

/// All pairs of a target.
pub(crate) fn pairs(partitions: &Partitions) -> impl Iterator<Item = (Uuid, i32)> {
    partitions.iter().flat_map(|(topic, indexes)| indexes.iter().map(|index| (*topic, *index)))
}
