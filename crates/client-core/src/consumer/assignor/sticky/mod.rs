//! `sticky` and `cooperative-sticky`: as balanced as the subscriptions allow, and among all divisions that are so balanced, one that leaves
//! as many partitions as possible where they are.
//!
//! - this file: from the group to numbers and back; who owned what; what the cooperative one holds back
//! - `equal`: all members subscribe to the same topics: every member has its share
//! - `exchange`: they do not: partitions move along the shortest chains of members until no chain makes it better, which is exact
//! - `hand_out`: which partitions of a topic, where only their number matters; here racks count
//!
//! "Balanced" is the strictest sense there is: no other division has a smaller sum of squares of the members' numbers of partitions. Java:
//! `AbstractStickyAssignor`, whose balance is never better and whose moves are never fewer at the same balance.

mod equal;
mod exchange;
mod hand_out;

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::primitives::ByteStr;

use super::{AssignableTopic, Assignments, GroupSubscription, empty, in_order, protocol};
use crate::consumer::TopicPartition;

/// `sticky`: members have given everything up; their user data says what they had.
pub(super) fn assign(group: &GroupSubscription<'_>) -> Assignments {
    let members = in_order(group);
    let pasts = members.iter().map(|member| protocol::decode_sticky_user_data(member.user_data.as_ref()));
    let pasts: Vec<_> = pasts.collect();
    let claims: Vec<Claim<'_>> =
        pasts.iter().map(|(owned, generation)| Claim { owned, generation: *generation }).collect();
    let problem = Problem::new(group, &claims);
    let given = problem.solve();
    problem.assignments(group, &given, |_| true)
}

/// `cooperative-sticky`: members still have what they own; what moves is given to nobody until a later round, when no other member claims it
/// any more.
pub(super) fn assign_cooperatively(group: &GroupSubscription<'_>) -> Assignments {
    let members = in_order(group);
    let claim = |member: &&super::MemberSubscription| {
        let told = || protocol::decode_cooperative_user_data(member.user_data.as_ref());
        member.generation.or_else(told)
    };
    let generations: Vec<Option<i32>> = members.iter().map(claim).collect();
    let claims: Vec<Claim<'_>> = members
        .iter()
        .zip(&generations)
        .map(|(member, generation)| Claim { owned: &member.owned, generation: *generation })
        .collect();
    let problem = Problem::new(group, &claims);
    let given = problem.solve();
    problem.assignments(group, &given, |partition| !partition.is_claimed || partition.owner == partition.given)
}

/// What one member says that it has.
struct Claim<'a> {
    owned: &'a [TopicPartition],
    generation: Option<i32>,
}

/// The group in numbers: members in the order in which they are served, topics by name.
struct Problem<'a> {
    topics: Vec<Topic<'a>>,
    members: Vec<Member<'a>>,
}

struct Topic<'a> {
    name: &'a ByteStr,
    topic: &'a AssignableTopic,
    subscribers: Vec<usize>,
    /// Each partition's past.
    past: Vec<Past>,
}

#[derive(Clone, Copy, Default)]
struct Past {
    /// Who owned it and still subscribes: the one claim of the newest generation. Where two claim it in the same generation nobody did.
    owner: Option<usize>,
    /// Whether anybody says that it owns it.
    is_claimed: bool,
}

/// The newest generation in which a partition is claimed, and by whom if only by one.
type Newest = (i32, Option<usize>);

struct Member<'a> {
    id: &'a ByteStr,
    rack: Option<&'a ByteStr>,
    topics: Vec<usize>,
}

/// A partition when it is decided who gets it.
struct Decided {
    owner: Option<usize>,
    is_claimed: bool,
    given: Option<usize>,
}

/// Who gets each partition of each topic.
type Given = Vec<Vec<Option<usize>>>;

impl<'a> Problem<'a> {
    fn new(group: &GroupSubscription<'a>, claims: &[Claim<'_>]) -> Self {
        let sorted = in_order(group);
        let mut subscribers: BTreeMap<&ByteStr, Vec<usize>> = BTreeMap::new();
        for (index, member) in sorted.iter().enumerate() {
            for topic in &member.topics {
                let subscribers = subscribers.entry(topic).or_default();
                if subscribers.last() != Some(&index) {
                    subscribers.push(index);
                }
            }
        }
        let mut members: Vec<Member<'a>> = sorted
            .iter()
            .map(|member| Member {
                id: &member.member_id,
                rack: member.rack.as_ref().filter(|rack| !rack.is_empty()),
                topics: Vec::new(),
            })
            .collect();
        let mut topics = Vec::new();
        for (name, topic) in group.topics {
            let Some(subscribers) = subscribers.remove(name) else { continue };
            if topic.partitions == 0 {
                continue;
            }
            for member in &subscribers {
                members[*member].topics.push(topics.len());
            }
            topics.push(Topic { name, topic, subscribers, past: vec![Past::default(); topic.partitions as usize] });
        }
        let mut problem = Self { topics, members };
        problem.settle(claims);
        problem
    }

    /// Decides who owned what.
    fn settle(&mut self, claims: &[Claim<'_>]) {
        let numbers: BTreeMap<&ByteStr, usize> =
            self.topics.iter().enumerate().map(|(number, topic)| (topic.name, number)).collect();
        let mut newest: Vec<Vec<Option<Newest>>> =
            self.topics.iter().map(|topic| vec![None; topic.past.len()]).collect();
        for (member, claim) in claims.iter().enumerate() {
            let generation = claim.generation.unwrap_or(-1);
            let mut last: Option<(&ByteStr, Option<usize>)> = None;
            for owned in claim.owned {
                let number = match last {
                    Some((topic, number)) if *topic == owned.topic => number,
                    _ => numbers.get(&owned.topic).copied(),
                };
                last = Some((&owned.topic, number));
                let Some(topic) = number else { continue };
                let slot = usize::try_from(owned.partition).ok().and_then(|partition| newest[topic].get_mut(partition));
                let Some(slot) = slot else { continue };
                *slot = match *slot {
                    Some((known, who)) if known > generation => Some((known, who)),
                    Some((known, who)) if known == generation && who != Some(member) => Some((known, None)),
                    _ => Some((generation, Some(member))),
                };
            }
        }
        for (number, (topic, newest)) in self.topics.iter_mut().zip(newest).enumerate() {
            for (past, newest) in topic.past.iter_mut().zip(newest) {
                past.is_claimed = newest.is_some();
                let owner = newest.and_then(|(_, who)| who);
                past.owner = owner.filter(|member| self.members[*member].topics.binary_search(&number).is_ok());
            }
        }
    }

    fn solve(&self) -> Given {
        let mut subscribed = self.members.iter().map(|member| &member.topics).filter(|topics| !topics.is_empty());
        let first = subscribed.next();
        if subscribed.all(|topics| Some(topics) == first) { equal::solve(self) } else { exchange::solve(self) }
    }

    fn assignments(
        &self,
        group: &GroupSubscription<'_>,
        given: &Given,
        may_have: impl Fn(&Decided) -> bool,
    ) -> Assignments {
        let mut partitions: Vec<Vec<TopicPartition>> = self.members.iter().map(|_| Vec::new()).collect();
        for (topic, given) in self.topics.iter().zip(given) {
            for ((past, given), partition) in topic.past.iter().zip(given).zip(0..) {
                let Past { owner, is_claimed } = *past;
                if let Some(member) = given
                    && may_have(&Decided { owner, is_claimed, given: *given })
                {
                    partitions[*member].push(TopicPartition { topic: topic.name.clone(), partition });
                }
            }
        }
        let mut assignments = empty(group);
        for (member, partitions) in self.members.iter().zip(partitions) {
            if let Some(assignment) = assignments.get_mut(member.id) {
                assignment.partitions = partitions;
            }
        }
        assignments
    }

    /// Whether a partition has a replica in the rack of a member; not where either is not known.
    fn in_rack(&self, topic: usize, partition: usize, member: usize) -> bool {
        let racks = self.topics[topic].topic.racks.get(partition);
        self.members[member].rack.is_some_and(|rack| racks.is_some_and(|racks| racks.contains(rack)))
    }

    /// Whether racks could matter at all.
    fn has_racks(&self) -> bool {
        let racks: BTreeSet<_> = self.members.iter().filter_map(|member| member.rack).collect();
        !racks.is_empty()
            && self.topics.iter().any(|topic| topic.topic.racks.iter().flatten().any(|r| racks.contains(r)))
    }
}
