//! The assignors that the coordinator has: `uniform` and `range`.
//!
//! Both keep what members have as far as they can, and both are pure: the same group gives the same assignment.

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::primitives::{ByteStr, Uuid};

use super::assignment::Partitions;

/// An assignor by its name in `group.consumer.assignors` and `group.remote.assignor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ServerAssignor {
    /// Even shares over all topics.
    Uniform,
    /// Neighbouring partitions of each topic, the same share of each to the same member.
    Range,
}

impl ServerAssignor {
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Uniform, Self::Range].into_iter().find(|assignor| assignor.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }
}

/// What an assignor may know of a member.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemberSpec {
    /// The topics that it wants and that exist.
    pub(crate) topics: BTreeSet<Uuid>,
    /// What it should have had so far.
    pub(crate) current: Partitions,
}

/// Who should have what, with every member named. `partitions` tells how many partitions a topic has.
pub(crate) fn assign(
    assignor: ServerAssignor,
    members: &BTreeMap<ByteStr, MemberSpec>,
    partitions: impl Fn(&Uuid) -> i32,
) -> BTreeMap<ByteStr, Partitions> {
    match assignor {
        ServerAssignor::Uniform => uniform(members, partitions),
        ServerAssignor::Range => range(members, partitions),
    }
}

fn all_topics(members: &BTreeMap<ByteStr, MemberSpec>) -> BTreeSet<Uuid> {
    members.values().flat_map(|member| &member.topics).copied().collect()
}

fn range(members: &BTreeMap<ByteStr, MemberSpec>, partitions: impl Fn(&Uuid) -> i32) -> BTreeMap<ByteStr, Partitions> {
    let mut assignment: BTreeMap<ByteStr, Partitions> =
        members.keys().map(|id| (id.clone(), Partitions::new())).collect();
    for topic in all_topics(members) {
        let subscribed: Vec<&ByteStr> =
            members.iter().filter(|(_, member)| member.topics.contains(&topic)).map(|(id, _)| id).collect();
        let count = usize::try_from(partitions(&topic)).unwrap_or(0);
        let (share, more) = (count / subscribed.len().max(1), count % subscribed.len().max(1));
        let mut next = 0_i32;
        for (at, id) in subscribed.into_iter().enumerate() {
            let size = i32::try_from(share + usize::from(at < more)).unwrap_or(i32::MAX);
            let indexes: BTreeSet<i32> = (next..next + size).collect();
            next += size;
            if let Some(own) = assignment.get_mut(id)
                && !indexes.is_empty()
            {
                own.insert(topic, indexes);
            }
        }
    }
    assignment
}

/// Keeps what stays within the fair share, gives what is free to whoever has least, then evens out what is left uneven.
fn uniform(
    members: &BTreeMap<ByteStr, MemberSpec>,
    partitions: impl Fn(&Uuid) -> i32,
) -> BTreeMap<ByteStr, Partitions> {
    let topics: BTreeMap<Uuid, i32> =
        all_topics(members).into_iter().map(|topic| (topic, partitions(&topic))).collect();
    let mut free: BTreeSet<(Uuid, i32)> =
        topics.iter().flat_map(|(topic, count)| (0..*count).map(|index| (*topic, index))).collect();
    let mut owned: BTreeMap<&ByteStr, BTreeSet<(Uuid, i32)>> = members.keys().map(|id| (id, BTreeSet::new())).collect();
    let share = free.len() / members.len().max(1);
    let mut larger = free.len() % members.len().max(1);
    let same_topics = members.values().all(|member| member.topics.len() == topics.len());
    for (id, member) in members {
        let wanted = super::assignment::pairs(&member.current).filter(|(topic, _)| member.topics.contains(topic));
        let mut kept: BTreeSet<(Uuid, i32)> = wanted.filter(|pair| free.contains(pair)).collect();
        if same_topics {
            let quota = if kept.len() > share && larger > 0 {
                larger -= 1;
                share + 1
            } else {
                share
            };
            while kept.len() > quota {
                kept.pop_last();
            }
        }
        for pair in &kept {
            free.remove(pair);
        }
        owned.insert(id, kept);
    }
    let mut queue: BTreeSet<(usize, &ByteStr)> = owned.iter().map(|(id, pairs)| (pairs.len(), *id)).collect();
    for pair in free {
        let Some((load, id)) =
            queue.iter().find(|(_, id)| members.get(*id).is_some_and(|it| it.topics.contains(&pair.0))).copied()
        else {
            continue;
        };
        queue.remove(&(load, id));
        queue.insert((load + 1, id));
        owned.entry(id).or_default().insert(pair);
    }
    if !same_topics {
        even_out(members, &mut owned);
    }
    owned
        .into_iter()
        .map(|(id, pairs)| {
            let mut partitions = Partitions::new();
            for (topic, index) in pairs {
                partitions.entry(topic).or_default().insert(index);
            }
            (id.clone(), partitions)
        })
        .collect()
}

/// Moves partitions from those with more to those with at least two less, as long as anyone can take one.
fn even_out<'a>(members: &'a BTreeMap<ByteStr, MemberSpec>, owned: &mut BTreeMap<&'a ByteStr, BTreeSet<(Uuid, i32)>>) {
    let total: usize = owned.values().map(BTreeSet::len).sum();
    for _ in 0..total {
        let mut loads: Vec<(usize, &'a ByteStr)> = owned.iter().map(|(id, pairs)| (pairs.len(), *id)).collect();
        loads.sort();
        let step = loads.iter().rev().find_map(|(load, from)| {
            let pairs = owned.get(from)?;
            loads.iter().take_while(|(other, _)| other + 1 < *load).find_map(|(_, to)| {
                let wanted = &members.get(*to)?.topics;
                pairs.iter().rev().find(|(topic, _)| wanted.contains(topic)).map(|pair| (*from, *to, *pair))
            })
        });
        let Some((from, to, pair)) = step else { return };
        if let Some(pairs) = owned.get_mut(from) {
            pairs.remove(&pair);
        }
        owned.entry(to).or_default().insert(pair);
    }
}
