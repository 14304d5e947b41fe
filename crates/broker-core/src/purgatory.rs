//! Requests that wait: for bytes to arrive, for a sync, or for their deadline. Java: `DelayedOperationPurgatory`.

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::primitives::Uuid;
use felice_protocol::time::Instant;

/// A partition, by its topic's id.
pub(crate) type PartitionKey = (Uuid, i32);

/// Operations of one kind, found by the partitions that they watch and by their deadline.
#[derive(Debug)]
pub(crate) struct Purgatory<T> {
    operations: BTreeMap<u64, Waiting<T>>,
    watchers: BTreeMap<PartitionKey, Vec<u64>>,
    deadlines: BTreeSet<(Instant, u64)>,
}

#[derive(Debug)]
struct Waiting<T> {
    operation: T,
    watches: Vec<PartitionKey>,
    deadline: Instant,
}

impl<T> Default for Purgatory<T> {
    fn default() -> Self {
        Self { operations: BTreeMap::new(), watchers: BTreeMap::new(), deadlines: BTreeSet::new() }
    }
}

impl<T> Purgatory<T> {
    pub(crate) fn park(&mut self, id: u64, operation: T, watches: Vec<PartitionKey>, deadline: Instant) {
        for key in &watches {
            self.watchers.entry(*key).or_default().push(id);
        }
        self.deadlines.insert((deadline, id));
        self.operations.insert(id, Waiting { operation, watches, deadline });
    }

    pub(crate) fn take(&mut self, id: u64) -> Option<T> {
        let waiting = self.operations.remove(&id)?;
        self.deadlines.remove(&(waiting.deadline, id));
        for key in waiting.watches {
            if let Some(ids) = self.watchers.get_mut(&key) {
                ids.retain(|watcher| *watcher != id);
                if ids.is_empty() {
                    self.watchers.remove(&key);
                }
            }
        }
        Some(waiting.operation)
    }

    /// The ids of those watching the partition for which `ready` says so, in the order in which they came.
    pub(crate) fn ready(&mut self, key: &PartitionKey, mut ready: impl FnMut(&mut T) -> bool) -> Vec<u64> {
        let Some(ids) = self.watchers.get(key) else {
            return Vec::new();
        };
        let operations = &mut self.operations;
        ids.iter()
            .copied()
            .filter(|id| operations.get_mut(id).is_some_and(|waiting| ready(&mut waiting.operation)))
            .collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Those whose deadline has come.
    pub(crate) fn expired(&self, now: Instant) -> Vec<u64> {
        self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now).map(|(_, id)| *id).collect()
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.operations.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PartitionKey = (Uuid::ZERO, 0);

    #[test]
    fn an_operation_is_found_by_its_partition_and_by_its_deadline_and_leaves_nothing_behind() {
        let mut purgatory = Purgatory::default();
        purgatory.park(1, 10, vec![KEY, (Uuid::ZERO, 1)], Instant(100));
        purgatory.park(2, 20, vec![KEY], Instant(50));
        assert_eq!(purgatory.next_deadline(), Some(Instant(50)));
        assert_eq!(purgatory.ready(&KEY, |n| *n == 10), [1]);
        assert_eq!(purgatory.expired(Instant(60)), [2]);
        assert_eq!((purgatory.take(2), purgatory.take(2), purgatory.take(1)), (Some(20), None, Some(10)));
        assert!(purgatory.watchers.is_empty() && purgatory.deadlines.is_empty() && purgatory.ids().is_empty());
    }
}
