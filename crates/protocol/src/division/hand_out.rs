//! Which partitions, where only their number matters to balance and moves: what has a replica in the member's rack comes first.

use std::collections::{BTreeMap, VecDeque};

use super::Division;

/// Which `count` of its `own` partitions a member keeps: those in its rack first, then the first ones.
pub(super) fn keep(
    division: &Division,
    member: usize,
    mut own: Vec<(usize, usize)>,
    count: usize,
) -> Vec<(usize, usize)> {
    if own.len() > count {
        own.sort_by_key(|(topic, partition)| !division.in_rack(*topic, *partition, member));
        own.truncate(count);
    }
    own
}

/// Deals partitions to members in turn until each has what is due to it.
pub(super) struct Deal {
    due: Vec<usize>,
    turns: VecDeque<usize>,
    /// The same by rack, of members that have one.
    by_rack: BTreeMap<u32, VecDeque<usize>>,
}

impl Deal {
    pub(super) fn new(division: &Division, due: Vec<usize>) -> Self {
        let turns: VecDeque<usize> = (0..due.len()).filter(|member| due[*member] > 0).collect();
        let mut by_rack: BTreeMap<u32, VecDeque<usize>> = BTreeMap::new();
        for member in &turns {
            if let Some(rack) = division.members[*member] {
                by_rack.entry(rack).or_default().push_back(*member);
            }
        }
        Self { due, turns, by_rack }
    }

    /// Deals the partition to a member in a rack of its replicas. Of its racks the one is served whose members are due the most.
    pub(super) fn in_rack(&mut self, division: &Division, topic: usize, partition: usize) -> Option<usize> {
        if self.by_rack.is_empty() {
            return None;
        }
        let racks = division.topics[topic].racks.get(partition)?;
        for rack in racks {
            if let Some(turns) = self.by_rack.get_mut(rack) {
                turn(turns, &mut self.due, true);
            }
        }
        let due = |rack: &&u32| self.by_rack.get(rack).map_or(0, VecDeque::len);
        let rack = racks.iter().filter(|rack| due(rack) > 0).max_by_key(due)?;
        turn(self.by_rack.get_mut(rack)?, &mut self.due, false)
    }

    /// Deals to whose turn it is.
    pub(super) fn next(&mut self) -> Option<usize> {
        turn(&mut self.turns, &mut self.due, false)
    }
}

/// Who is next; with `only_look` nothing is dealt, but those to whom nothing is due any more leave the front.
fn turn(turns: &mut VecDeque<usize>, due: &mut [usize], only_look: bool) -> Option<usize> {
    while let Some(member) = turns.pop_front() {
        if due[member] == 0 {
            continue;
        }
        if only_look {
            turns.push_front(member);
            return None;
        }
        due[member] -= 1;
        turns.push_back(member);
        return Some(member);
    }
    None
}
