//! `sticky` and `cooperative-sticky`: as balanced as the subscriptions allow, and then as few moves as can be, which is what
//! [`felice_protocol::division`] finds. Here: who owned what, and what the cooperative one holds back. Java: `AbstractStickyAssignor`.

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::division::{self, Division};
use felice_protocol::primitives::ByteStr;

use super::{AssignableTopic, Assignments, GroupSubscription, MemberSubscription, empty, in_order, protocol};
use crate::consumer::TopicPartition;

/// `sticky`: members have given everything up; their user data says what they had.
pub(super) fn assign(group: &GroupSubscription<'_>) -> Assignments {
    let members = in_order(group);
    let pasts: Vec<_> =
        members.iter().map(|member| protocol::decode_sticky_user_data(member.user_data.as_ref())).collect();
    let claims: Vec<Claim<'_>> =
        pasts.iter().map(|(owned, generation)| Claim { owned, generation: *generation }).collect();
    assign_with(group, &members, &claims, |_, _| true)
}

/// `cooperative-sticky`: members still have what they own; what moves is given to nobody until a later round, when no other member claims it
/// any more.
pub(super) fn assign_cooperatively(group: &GroupSubscription<'_>) -> Assignments {
    let members = in_order(group);
    let generation = |member: &MemberSubscription| {
        member.generation.or_else(|| protocol::decode_cooperative_user_data(member.user_data.as_ref()))
    };
    let claims: Vec<Claim<'_>> =
        members.iter().map(|member| Claim { owned: &member.owned, generation: generation(member) }).collect();
    assign_with(group, &members, &claims, |claimed, member| match claimed {
        Some(Claimed { by, .. }) => by == Some(member),
        None => true,
    })
}

/// What one member says that it has.
struct Claim<'a> {
    owned: &'a [TopicPartition],
    generation: Option<i32>,
}

/// The newest generation in which a partition is claimed, and by whom if only by one: where two claim it, it is nobody's.
#[derive(Clone, Copy)]
struct Claimed {
    generation: i32,
    by: Option<usize>,
}

/// A topic that somebody subscribes to.
struct Topic<'a> {
    name: &'a ByteStr,
    topic: &'a AssignableTopic,
    subscribers: Vec<usize>,
    claimed: Vec<Option<Claimed>>,
}

/// Divides the partitions; members are counted in the order in which they are served. A partition whose new member `may` not have it yet is
/// left out.
fn assign_with(
    group: &GroupSubscription<'_>,
    members: &[&MemberSubscription],
    claims: &[Claim<'_>],
    may: impl Fn(Option<Claimed>, usize) -> bool,
) -> Assignments {
    let mut topics = topics(group, members);
    settle(&mut topics, claims);
    let divided = division(members, &topics).divide();
    let mut partitions: Vec<Vec<TopicPartition>> = members.iter().map(|_| Vec::new()).collect();
    for (topic, divided) in topics.iter().zip(divided) {
        for ((claimed, given), partition) in topic.claimed.iter().zip(divided).zip(0..) {
            if let Some(member) = given
                && may(*claimed, member)
            {
                partitions[member].push(TopicPartition { topic: topic.name.clone(), partition });
            }
        }
    }
    let mut assignments = empty(group);
    for (member, partitions) in members.iter().zip(partitions) {
        if let Some(assignment) = assignments.get_mut(&member.member_id) {
            assignment.partitions = partitions;
        }
    }
    assignments
}

fn topics<'a>(group: &GroupSubscription<'a>, members: &[&'a MemberSubscription]) -> Vec<Topic<'a>> {
    let mut subscribers: BTreeMap<&ByteStr, Vec<usize>> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        for topic in &member.topics {
            subscribers.entry(topic).or_default().push(index);
        }
    }
    let with = |(name, topic): (&'a ByteStr, &'a AssignableTopic)| {
        let subscribers = subscribers.remove(name)?;
        Some(Topic { name, topic, subscribers, claimed: vec![None; topic.partitions as usize] })
    };
    group.topics.iter().filter_map(with).collect()
}

/// Decides who owned what.
fn settle(topics: &mut [Topic<'_>], claims: &[Claim<'_>]) {
    let numbers: BTreeMap<&ByteStr, usize> =
        topics.iter().enumerate().map(|(number, topic)| (topic.name, number)).collect();
    for (member, claim) in claims.iter().enumerate() {
        let generation = claim.generation.unwrap_or(-1);
        // A member's claims stand topic by topic.
        let mut last: Option<(&ByteStr, Option<usize>)> = None;
        for owned in claim.owned {
            let number = match last {
                Some((topic, number)) if *topic == owned.topic => number,
                _ => numbers.get(&owned.topic).copied(),
            };
            last = Some((&owned.topic, number));
            let claimed =
                number.and_then(|number| topics[number].claimed.get_mut(usize::try_from(owned.partition).ok()?));
            let Some(claimed) = claimed else { continue };
            *claimed = match *claimed {
                Some(known) if known.generation > generation => Some(known),
                Some(known) if known.generation == generation && known.by != Some(member) => {
                    Some(Claimed { generation, by: None })
                }
                _ => Some(Claimed { generation, by: Some(member) }),
            };
        }
    }
}

/// The group in numbers.
fn division(members: &[&MemberSubscription], topics: &[Topic<'_>]) -> Division {
    fn rack(member: &MemberSubscription) -> Option<&ByteStr> {
        member.rack.as_ref().filter(|rack| !rack.is_empty())
    }
    let racks: BTreeSet<&ByteStr> = members.iter().filter_map(|member| rack(member)).collect();
    let racks: BTreeMap<&ByteStr, u32> = racks.into_iter().zip(0..).collect();
    let numbered = |of: &Vec<ByteStr>| of.iter().filter_map(|rack| racks.get(rack).copied()).collect();
    let topic = |topic: &Topic<'_>| division::Topic {
        subscribers: topic.subscribers.clone(),
        owners: topic.claimed.iter().map(|claimed| claimed.and_then(|claimed| claimed.by)).collect(),
        racks: if racks.is_empty() { Vec::new() } else { topic.topic.racks.iter().map(numbered).collect() },
    };
    Division {
        members: members.iter().map(|member| rack(member).and_then(|rack| racks.get(rack).copied())).collect(),
        topics: topics.iter().map(topic).collect(),
    }
}
