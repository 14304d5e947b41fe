//! The assignors that the coordinator has (KIP-848): `uniform` and `range`. Both are pure: the same group gives the same assignment.
//!
//! `uniform` divides all partitions as evenly as the subscriptions allow and then moves as few as can be
//! ([`felice_protocol::division`]); `range` divides each topic by itself into runs of neighbouring partitions, whoever had them before.
//! Java: `UniformAssignor`, `RangeAssignor` of the group coordinator.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::division::{Division, Topic};
use felice_protocol::primitives::{ByteStr, Uuid};

use super::consumer::assignment::Partitions;

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
    /// Its `group.instance.id`, where it is a static member.
    pub(crate) instance_id: Option<ByteStr>,
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
    let topics = subscribed(members, partitions);
    let mut assignment: BTreeMap<ByteStr, Partitions> =
        members.keys().map(|id| (id.clone(), Partitions::new())).collect();
    let given = match assignor {
        ServerAssignor::Uniform => uniform(members, &topics),
        ServerAssignor::Range => range(members, &topics),
    };
    for (id, topic, partition) in given {
        if let Some(member) = assignment.get_mut(id) {
            member.entry(topic).or_default().insert(partition);
        }
    }
    assignment
}

/// The topics that somebody wants, with their numbers of partitions.
fn subscribed(members: &BTreeMap<ByteStr, MemberSpec>, partitions: impl Fn(&Uuid) -> i32) -> BTreeMap<Uuid, usize> {
    let wanted: BTreeSet<Uuid> = members.values().flat_map(|member| &member.topics).copied().collect();
    wanted.into_iter().map(|topic| (topic, usize::try_from(partitions(&topic)).unwrap_or(0))).collect()
}

/// Runs of neighbours to static members by instance id, then to the others by member id; the first ones get one more where it does not come
/// out even.
fn range<'a>(
    members: &'a BTreeMap<ByteStr, MemberSpec>,
    topics: &BTreeMap<Uuid, usize>,
) -> Vec<(&'a ByteStr, Uuid, i32)> {
    let mut sorted: Vec<(&ByteStr, &MemberSpec)> = members.iter().collect();
    sorted.sort_by_key(|(_, member)| (member.instance_id.is_none(), &member.instance_id));
    let mut given = Vec::new();
    for (topic, count) in topics {
        let subscribers = || sorted.iter().filter(|(_, member)| member.topics.contains(topic)).map(|(id, _)| *id);
        let number = subscribers().count().max(1);
        let (share, more) = (count / number, count % number);
        let mut partitions = 0..i32::try_from(*count).unwrap_or(i32::MAX);
        for (place, id) in subscribers().enumerate() {
            let run = partitions.by_ref().take(share + usize::from(place < more));
            given.extend(run.map(|partition| (id, *topic, partition)));
        }
    }
    given
}

fn uniform<'a>(
    members: &'a BTreeMap<ByteStr, MemberSpec>,
    topics: &BTreeMap<Uuid, usize>,
) -> Vec<(&'a ByteStr, Uuid, i32)> {
    let ids: Vec<&ByteStr> = members.keys().collect();
    let mut division = Division { members: vec![None; ids.len()], topics: Vec::with_capacity(topics.len()) };
    for (topic, count) in topics {
        let (mut subscribers, mut owners) = (Vec::new(), vec![None; *count]);
        for (number, member) in members.values().enumerate().filter(|(_, member)| member.topics.contains(topic)) {
            subscribers.push(number);
            for partition in member.current.get(topic).into_iter().flatten() {
                if let Some(owner) = usize::try_from(*partition).ok().and_then(|partition| owners.get_mut(partition)) {
                    *owner = Some(number);
                }
            }
        }
        division.topics.push(Topic { subscribers, owners, racks: Vec::new() });
    }
    let mut given = Vec::new();
    for (topic, divided) in topics.keys().zip(division.divide()) {
        for (member, partition) in divided.into_iter().zip(0..) {
            if let Some(id) = member.and_then(|member| ids.get(member)) {
                given.push((*id, *topic, partition));
            }
        }
    }
    given
}
