//! All members subscribe to the same topics: each gets the same number of partitions, some one more.

use super::hand_out::{Deal, keep};
use super::{Given, Problem};

/// Those who have the most get the larger shares, so that as little as possible moves; each keeps of its own what fits its share, and the
/// rest is dealt out in turn.
pub(super) fn solve(problem: &Problem<'_>) -> Given {
    let subscribers: Vec<usize> =
        (0..problem.members.len()).filter(|member| !problem.members[*member].topics.is_empty()).collect();
    let total: usize = problem.topics.iter().map(|topic| topic.past.len()).sum();
    let mut given: Given = problem.topics.iter().map(|topic| vec![None; topic.past.len()]).collect();
    if subscribers.is_empty() {
        return given;
    }
    let mut owned: Vec<Vec<(usize, usize)>> = vec![Vec::new(); problem.members.len()];
    for (topic, partitions) in problem.topics.iter().enumerate() {
        for (partition, past) in partitions.past.iter().enumerate() {
            if let Some(owner) = past.owner {
                owned[owner].push((topic, partition));
            }
        }
    }
    let (share, extras) = (total / subscribers.len(), total % subscribers.len());
    let mut by_size = subscribers.clone();
    by_size.sort_by_key(|member| std::cmp::Reverse(owned[*member].len()));
    let mut shares = vec![0; problem.members.len()];
    for (place, member) in by_size.iter().enumerate() {
        shares[*member] = share + usize::from(place < extras);
    }
    for member in subscribers {
        let kept = keep(problem, member, std::mem::take(&mut owned[member]), shares[member]);
        shares[member] -= kept.len();
        for (topic, partition) in kept {
            given[topic][partition] = Some(member);
        }
    }
    let mut deal = Deal::new(problem, shares);
    let left = |given: &Given| -> Vec<(usize, usize)> {
        let of = |(topic, partitions): (usize, &Vec<Option<usize>>)| {
            let free = partitions.iter().enumerate().filter(|(_, given)| given.is_none());
            free.map(move |(partition, _)| (topic, partition)).collect::<Vec<_>>()
        };
        given.iter().enumerate().flat_map(of).collect()
    };
    for (topic, partition) in left(&given) {
        given[topic][partition] = deal.in_rack(problem, topic, partition);
    }
    for (topic, partition) in left(&given) {
        given[topic][partition] = deal.next();
    }
    given
}
