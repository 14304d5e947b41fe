//! Which node leads which partition, and what its followers have.

use std::collections::{BTreeMap, VecDeque};

use felice_protocol::primitives::ByteStr;

/// How many replicas a topic has where nobody says.
const DEFAULT_REPLICAS: usize = 3;

/// Stands for no node.
pub(super) const NOBODY: i32 = -1;

/// A leader as clients are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leader {
    pub(super) node: i32,
    pub(super) epoch: i32,
}

/// Where a partition is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) leader: i32,
    pub(super) replicas: Vec<i32>,
    /// The node that consumers are sent to for reading (KIP-392).
    pub(super) follower: i32,
    /// The follower's log start offset, where it is not the leader's.
    pub(super) follower_start: Option<i64>,
    /// The follower's high watermark, where it is not the leader's.
    pub(super) follower_end: Option<i64>,
    /// What the next answers tell of the leader, one each, whatever is true.
    pub(super) told: VecDeque<Leader>,
}

/// All partitions that anyone has asked for; the others are placed when they are.
#[derive(Debug, Default)]
pub(super) struct Placements {
    places: BTreeMap<(ByteStr, i32), Place>,
    replicas: BTreeMap<ByteStr, usize>,
}

impl Placements {
    /// Where a partition is. One that is looked at for the first time gets its replicas one node after the other, the first leads.
    pub(super) fn get(&mut self, nodes: &[i32], topic: &str, partition: i32) -> &mut Place {
        let wanted = self.replicas.get(topic).copied();
        self.places.entry((topic.into(), partition)).or_insert_with(|| place(nodes, partition, wanted))
    }

    /// How many replicas the partitions of a topic get, those that are placed from now on.
    pub(super) fn set_replicas(&mut self, topic: &str, count: usize) {
        self.replicas.insert(topic.into(), count);
    }

    /// Puts a partition on these replicas, of which the first leads.
    pub(super) fn put(&mut self, topic: &str, partition: i32, replicas: Vec<i32>) {
        let mut new = place(&[], partition, None);
        new.leader = replicas.first().copied().unwrap_or(NOBODY);
        new.replicas = replicas;
        self.places.insert((topic.into(), partition), new);
    }

    /// The nodes are others: every partition is placed anew.
    pub(super) fn replace_all(&mut self, nodes: &[i32]) -> Vec<(ByteStr, i32)> {
        let mut moved = Vec::new();
        for ((topic, partition), old) in &mut self.places {
            let new = place(nodes, *partition, Some(old.replicas.len().max(1)));
            if new.leader != old.leader {
                moved.push((topic.clone(), *partition));
            }
            (old.leader, old.replicas) = (new.leader, new.replicas);
        }
        moved
    }

    /// Forgets topics that are gone.
    pub(super) fn retain(&mut self, mut exists: impl FnMut(&str) -> bool) {
        self.places.retain(|(topic, _), _| exists(topic));
        self.replicas.retain(|topic, _| exists(topic));
    }
}

fn place(nodes: &[i32], partition: i32, wanted: Option<usize>) -> Place {
    let count = wanted.unwrap_or(DEFAULT_REPLICAS).min(nodes.len());
    let first = usize::try_from(partition).unwrap_or(0);
    let replicas: Vec<i32> = nodes.iter().cycle().skip(first % nodes.len().max(1)).take(count).copied().collect();
    Place {
        leader: replicas.first().copied().unwrap_or(NOBODY),
        replicas,
        follower: NOBODY,
        follower_start: None,
        follower_end: None,
        told: VecDeque::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_spread_over_the_nodes_and_stay_where_they_are() {
        let mut places = Placements::default();
        let leaders: Vec<i32> = (0..4).map(|p| places.get(&[1, 2, 3], "t", p).leader).collect();
        assert_eq!(leaders, [1, 2, 3, 1]);
        assert_eq!(places.get(&[1, 2, 3], "t", 1).replicas, [2, 3, 1]);
        places.get(&[1, 2, 3], "t", 1).leader = 3;
        assert_eq!(places.get(&[1, 2, 3], "t", 1).leader, 3);
        places.set_replicas("one", 1);
        assert_eq!(places.get(&[1, 2, 3], "one", 2).replicas, [3]);
    }

    #[test]
    fn a_node_that_goes_leaves_its_partitions_to_the_others() {
        let mut places = Placements::default();
        (0..3).for_each(|p| drop(places.get(&[1, 2, 3], "t", p).clone()));
        let moved = places.replace_all(&[1, 2]);
        assert_eq!(moved, [(ByteStr::from("t"), 2)], "only what node 3 led moves");
        assert_eq!(places.get(&[1, 2], "t", 2).leader, 1);
        places.retain(|_| false);
        assert_eq!(places.get(&[], "t", 0).leader, NOBODY);
    }
}
