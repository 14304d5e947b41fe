//! All members subscribe to the same topics: each gets the same number of partitions, some one more.

use super::hand_out::{Deal, keep};
use super::{Divided, Division};

/// Those who have the most get the larger shares, so that as little as possible moves; each keeps of its own what fits its share, and the
/// rest is dealt out in turn.
pub(super) fn divide(division: &Division) -> Divided {
    let mut given: Divided = division.topics.iter().map(|topic| vec![None; topic.owners.len()]).collect();
    let subscribed = || division.topics.iter().filter(|topic| !topic.subscribers.is_empty());
    let Some(first) = subscribed().next() else { return given };
    let subscribers = first.subscribers.clone();
    let total: usize = subscribed().map(|topic| topic.owners.len()).sum();
    let mut owned: Vec<Vec<(usize, usize)>> = vec![Vec::new(); division.members.len()];
    for (topic, partitions) in division.topics.iter().enumerate() {
        for (partition, owner) in partitions.owners.iter().enumerate() {
            if let Some(owner) = owner {
                owned[*owner].push((topic, partition));
            }
        }
    }
    let (share, extras) = (total / subscribers.len(), total % subscribers.len());
    let mut by_size = subscribers.clone();
    by_size.sort_by_key(|member| std::cmp::Reverse(owned[*member].len()));
    let mut shares = vec![0; division.members.len()];
    for (place, member) in by_size.iter().enumerate() {
        shares[*member] = share + usize::from(place < extras);
    }
    for member in subscribers {
        let kept = keep(division, member, std::mem::take(&mut owned[member]), shares[member]);
        shares[member] -= kept.len();
        for (topic, partition) in kept {
            given[topic][partition] = Some(member);
        }
    }
    let mut deal = Deal::new(division, shares);
    let left = |given: &Divided| -> Vec<(usize, usize)> {
        let of = |(topic, partitions): (usize, &Vec<Option<usize>>)| {
            let free = partitions.iter().enumerate().filter(|(_, given)| given.is_none());
            free.map(move |(partition, _)| (topic, partition)).collect::<Vec<_>>()
        };
        given.iter().enumerate().flat_map(of).collect()
    };
    for (topic, partition) in left(&given) {
        given[topic][partition] = deal.in_rack(division, topic, partition);
    }
    for (topic, partition) in left(&given) {
        given[topic][partition] = deal.next();
    }
    given
}
