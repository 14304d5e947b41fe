//! Members subscribe to different topics: a minimum-cost flow with convex costs, solved by exchanges.
//!
//! Within a topic partitions differ only by who owned them, so the unknowns are counts: of each topic, how many of its own each subscriber
//! keeps, and how many it takes of what others let go. A member sits beside each of its topics in a graph; letting one of its own go costs
//! a move, letting one go that it only took costs nothing; taking costs nothing, and taking back one of its own saves a move. A chain
//! member → topic → member → … → member then shifts one partition from its first member to its last, and its cost is the change in moves.
//!
//! At first everybody keeps its own and what nobody owned fills up the smallest, so no cycle of the graph saves a move. Shifting along
//! cheapest chains keeps that so. For fixed numbers the fewest moves are an M-convex function of the members' numbers, and so is the sum of
//! squares added to it; for such functions the best is reached when no single exchange between two members is better. An exchange is better
//! when it takes from a member to one with at least two less, or to one with just one less by a chain that saves moves.
//!
//! Members are gone through by size, largest first. What can be reached from the largest when none of their chains helps is closed: nothing
//! leads out of it, all of it is about as large, so it stays as it is and is not looked at again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::hand_out::{Deal, keep};
use super::{Divided, Division};

pub(super) fn divide(division: &Division) -> Divided {
    let mut flow = Flow::new(division);
    flow.fill(division);
    flow.improve();
    flow.hand_out(division)
}

/// One subscriber of one topic.
struct Seat {
    member: usize,
    /// How many partitions of the topic it owned.
    owned: usize,
    /// How many of these it keeps.
    kept: usize,
    /// How many of others it takes.
    taken: usize,
}

struct Flow {
    /// The subscribers of each topic.
    topics: Vec<Vec<Seat>>,
    /// The seats of each member: topic, and place among its subscribers.
    members: Vec<Vec<(usize, usize)>>,
    /// How many partitions each member has.
    sizes: Vec<usize>,
    closed: Vec<bool>,
}

/// By which seat a node was reached best, and at which cost.
#[derive(Clone, Copy)]
struct Reached {
    cost: i64,
    from: usize,
    seat: usize,
}

/// What one search found, for members and for topics.
struct Search {
    members: Vec<Option<Reached>>,
    topics: Vec<Option<Reached>>,
}

/// Stands for "nowhere": a chain begins here.
const START: usize = usize::MAX;

impl Flow {
    /// Everybody keeps its own.
    fn new(division: &Division) -> Self {
        let mut members = vec![Vec::new(); division.members.len()];
        let mut sizes = vec![0; division.members.len()];
        let mut topics = Vec::with_capacity(division.topics.len());
        for (number, topic) in division.topics.iter().enumerate() {
            let mut owned: BTreeMap<usize, usize> = BTreeMap::new();
            for owner in topic.owners.iter().flatten() {
                *owned.entry(*owner).or_default() += 1;
            }
            let mut seats = Vec::with_capacity(topic.subscribers.len());
            for member in topic.subscribers.iter().copied() {
                let owned = owned.get(&member).copied().unwrap_or(0);
                members[member].push((number, seats.len()));
                sizes[member] += owned;
                seats.push(Seat { member, owned, kept: owned, taken: 0 });
            }
            topics.push(seats);
        }
        let closed = vec![false; members.len()];
        Self { topics, members, sizes, closed }
    }

    /// What nobody owned goes to the smallest, topics with the fewest subscribers first.
    fn fill(&mut self, division: &Division) {
        let mut order: Vec<usize> = (0..self.topics.len()).collect();
        order.sort_by_key(|topic| self.topics[*topic].len());
        for topic in order {
            let free = division.topics[topic].owners.iter().filter(|owner| owner.is_none()).count();
            if free == 0 {
                continue;
            }
            let seats = self.topics[topic].iter().enumerate();
            let mut smallest: BinaryHeap<_> = seats.map(|(seat, at)| Reverse((self.sizes[at.member], seat))).collect();
            for _ in 0..free {
                let Some(Reverse((size, seat))) = smallest.pop() else { break };
                let at = &mut self.topics[topic][seat];
                at.taken += 1;
                self.sizes[at.member] = size + 1;
                smallest.push(Reverse((size + 1, seat)));
            }
        }
    }

    fn improve(&mut self) {
        let largest = |flow: &Self| {
            let open = flow.sizes.iter().zip(&flow.closed).filter(|(_, closed)| !**closed);
            open.map(|(size, _)| *size).max()
        };
        while let Some(size) = largest(self) {
            let search = self.search(size);
            match self.better(&search, size) {
                Some(last) => self.shift(&search, last),
                None => self.close(&search),
            }
        }
    }

    /// The cheapest chains from the open members of this size to everything that is open.
    fn search(&self, size: usize) -> Search {
        let mut search = Search { members: vec![None; self.members.len()], topics: vec![None; self.topics.len()] };
        let mut queue: VecDeque<(bool, usize)> = VecDeque::new();
        let (mut queued_members, mut queued_topics) = (vec![false; self.members.len()], vec![false; self.topics.len()]);
        for (member, (own, closed)) in self.sizes.iter().zip(&self.closed).enumerate() {
            if !closed && *own == size {
                search.members[member] = Some(Reached { cost: 0, from: START, seat: START });
                queue.push_back((true, member));
                queued_members[member] = true;
            }
        }
        // Costs are −1, 0 and 1 and no cycle is negative: labels are corrected until none is.
        while let Some((is_member, node)) = queue.pop_front() {
            if is_member {
                queued_members[node] = false;
                let Some(Reached { cost, .. }) = search.members[node] else { continue };
                for (topic, seat) in self.members[node].iter().copied() {
                    let Some(step) = let_go(&self.topics[topic][seat]) else { continue };
                    let reached = &mut search.topics[topic];
                    if reached.is_none_or(|known| cost + step < known.cost) {
                        *reached = Some(Reached { cost: cost + step, from: node, seat });
                        if !std::mem::replace(&mut queued_topics[topic], true) {
                            queue.push_back((false, topic));
                        }
                    }
                }
            } else {
                queued_topics[node] = false;
                let Some(Reached { cost, .. }) = search.topics[node] else { continue };
                for (seat, at) in self.topics[node].iter().enumerate() {
                    let cost = cost + take(at);
                    let reached = &mut search.members[at.member];
                    if !self.closed[at.member] && reached.is_none_or(|known| cost < known.cost) {
                        *reached = Some(Reached { cost, from: node, seat });
                        if !std::mem::replace(&mut queued_members[at.member], true) {
                            queue.push_back((true, at.member));
                        }
                    }
                }
            }
        }
        search
    }

    /// The member to which a chain leads that makes it better: the smallest, then the cheapest.
    fn better(&self, search: &Search, size: usize) -> Option<usize> {
        let reached = search.members.iter().enumerate().filter_map(|(member, reached)| Some((member, (*reached)?)));
        let better = reached.filter(|(member, reached)| {
            let smaller = size.saturating_sub(self.sizes[*member]);
            smaller >= 2 || smaller == 1 && reached.cost < 0
        });
        better.min_by_key(|(member, reached)| (self.sizes[*member], reached.cost)).map(|(member, _)| member)
    }

    /// Shifts one partition along the chain that ends in `last`.
    fn shift(&mut self, search: &Search, last: usize) {
        self.sizes[last] += 1;
        let mut member = last;
        while let Some(Reached { from: topic, seat, .. }) = search.members[member]
            && topic != START
        {
            let at = &mut self.topics[topic][seat];
            if at.kept < at.owned {
                at.kept += 1
            } else {
                at.taken += 1
            }
            let Some(Reached { from, seat, .. }) = search.topics[topic] else { break };
            let at = &mut self.topics[topic][seat];
            if at.taken > 0 {
                at.taken -= 1
            } else {
                at.kept -= 1
            }
            member = from;
        }
        self.sizes[member] -= 1;
    }

    fn close(&mut self, search: &Search) {
        for (closed, reached) in self.closed.iter_mut().zip(&search.members) {
            *closed |= reached.is_some();
        }
    }

    /// From counts to partitions.
    fn hand_out(&self, division: &Division) -> Divided {
        let mut given: Divided = Vec::with_capacity(self.topics.len());
        for (topic, seats) in self.topics.iter().enumerate() {
            let mut own: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
            for (partition, owner) in division.topics[topic].owners.iter().enumerate() {
                if let Some(owner) = owner {
                    own.entry(*owner).or_default().push((topic, partition));
                }
            }
            let mut partitions = vec![None; division.topics[topic].owners.len()];
            let mut due = vec![0; division.members.len()];
            for seat in seats {
                due[seat.member] = seat.taken;
                for (_, partition) in
                    keep(division, seat.member, own.remove(&seat.member).unwrap_or_default(), seat.kept)
                {
                    partitions[partition] = Some(seat.member);
                }
            }
            let mut deal = Deal::new(division, due);
            for (partition, given) in partitions.iter_mut().enumerate().filter(|(_, given)| given.is_none()) {
                *given = deal.in_rack(division, topic, partition);
            }
            for given in partitions.iter_mut().filter(|given| given.is_none()) {
                *given = deal.next();
            }
            given.push(partitions);
        }
        given
    }
}

/// What it costs the member of this seat to let a partition go; nothing where it has none.
fn let_go(seat: &Seat) -> Option<i64> {
    match (seat.taken, seat.kept) {
        (0, 0) => None,
        (0, _) => Some(1),
        _ => Some(0),
    }
}

/// What it costs the member of this seat to take one.
fn take(seat: &Seat) -> i64 {
    if seat.kept < seat.owned { -1 } else { 0 }
}
