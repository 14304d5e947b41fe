//! `range`: each topic by itself: its subscribers, in order, get runs of neighbouring partitions, the first ones one more where it does not
//! come out even. Where racks tell partitions apart, members first get what has a replica in their own rack (KIP-881); topics with the same
//! subscribers and as many partitions stay co-partitioned meanwhile, which comes before racks. Java: `RangeAssignor`.

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::primitives::ByteStr;

use super::{AssignableTopic, Assignments, GroupSubscription, MemberSubscription, empty, in_order};
use crate::consumer::TopicPartition;

pub(super) fn assign(group: &GroupSubscription<'_>) -> Assignments {
    let members = in_order(group);
    let mut topics = topics(group, &members);
    if topics.iter().any(Topic::racks_matter) {
        match_racks(&mut topics);
    }
    let mut assignments = empty(group);
    for topic in &mut topics {
        topic.fill_rest();
        for (partition, subscriber) in topic.given.iter().enumerate() {
            let member = subscriber.and_then(|subscriber| topic.subscribers.get(subscriber));
            let Some(member) = member.and_then(|member| members.get(*member)) else { continue };
            if let (Some(assignment), Ok(partition)) =
                (assignments.get_mut(&member.member_id), i32::try_from(partition))
            {
                assignment.partitions.push(TopicPartition { topic: topic.name.clone(), partition });
            }
        }
    }
    assignments
}

/// A topic while it is divided. Subscribers are counted in the order in which they are served.
struct Topic<'a> {
    name: &'a ByteStr,
    topic: &'a AssignableTopic,
    /// The subscribers, by their place among all members.
    subscribers: Vec<usize>,
    /// The subscribers' racks.
    racks: Vec<Option<&'a ByteStr>>,
    /// Who got each partition.
    given: Vec<Option<usize>>,
    /// How many each subscriber got.
    counts: Vec<usize>,
    /// How many everybody gets.
    share: usize,
    /// How many subscribers may still get one more than that.
    extras: usize,
}

fn topics<'a>(group: &GroupSubscription<'a>, members: &[&'a MemberSubscription]) -> Vec<Topic<'a>> {
    let mut subscribers: BTreeMap<&ByteStr, Vec<usize>> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        for topic in &member.topics {
            let subscribers = subscribers.entry(topic).or_default();
            if subscribers.last() != Some(&index) {
                subscribers.push(index);
            }
        }
    }
    let with = |(name, subscribers): (&ByteStr, Vec<usize>)| {
        let (name, topic) = group.topics.get_key_value(name)?;
        let partitions = topic.partitions as usize;
        Some(Topic {
            name,
            topic,
            racks: subscribers.iter().map(|index| members.get(*index).and_then(|member| rack(member))).collect(),
            given: vec![None; partitions],
            counts: vec![0; subscribers.len()],
            share: partitions / subscribers.len().max(1),
            extras: partitions % subscribers.len().max(1),
            subscribers,
        })
    };
    subscribers.into_iter().filter_map(with).filter(|topic| topic.topic.partitions > 0).collect()
}

fn rack(member: &MemberSubscription) -> Option<&ByteStr> {
    member.rack.as_ref().filter(|rack| !rack.is_empty())
}

/// Gives out what matches by rack. Topics with the same subscribers and equally many partitions go together.
fn match_racks(topics: &mut [Topic<'_>]) {
    let mut alike: BTreeMap<(Vec<usize>, u32), Vec<&mut Topic<'_>>> = BTreeMap::new();
    for topic in topics.iter_mut().filter(|topic| topic.racks.iter().any(Option::is_some)) {
        alike.entry((topic.subscribers.clone(), topic.topic.partitions)).or_default().push(topic);
    }
    for together in alike.into_values() {
        match <[&mut Topic<'_>; 1]>::try_from(together) {
            Ok([topic]) if topic.racks_matter() => {
                let (topics, racks) = (topic.topic, topic.racks.clone());
                topic.fill(|subscriber, partition| matches(topics, &racks, subscriber, partition));
            }
            Ok(_) => {}
            Err(mut together) => match_co_partitioned(&mut together),
        }
    }
}

/// Gives a partition's number, of all these topics at once, to the first subscriber whose rack all of them have and whose share is not full.
fn match_co_partitioned(topics: &mut [&mut Topic<'_>]) {
    let Some(first) = topics.first() else { return };
    let (partitions, mut open) = (first.given.len(), (0..first.subscribers.len()).collect::<Vec<_>>());
    for partition in 0..partitions {
        let fits = |subscriber: usize| {
            topics
                .iter()
                .all(|topic| topic.room(subscriber) > 0 && matches(topic.topic, &topic.racks, subscriber, partition))
        };
        let Some(subscriber) = open.iter().copied().find(|subscriber| fits(*subscriber)) else { continue };
        for topic in topics.iter_mut() {
            topic.give(subscriber, partition);
        }
        if topics.iter().all(|topic| topic.room(subscriber) == 0) {
            open.retain(|other| *other != subscriber);
        }
    }
}

/// Whether a subscriber may take a partition while racks are matched: one without a rack may take any.
fn matches(topic: &AssignableTopic, racks: &[Option<&ByteStr>], subscriber: usize, partition: usize) -> bool {
    match racks.get(subscriber) {
        Some(Some(rack)) => u32::try_from(partition).is_ok_and(|partition| topic.racks_of(partition).contains(rack)),
        _ => true,
    }
}

impl Topic<'_> {
    /// Whether some rack of a subscriber has replicas, and not every partition has them in the same racks.
    fn racks_matter(&self) -> bool {
        let of = |partition| self.topic.racks_of(partition).iter().collect::<BTreeSet<_>>();
        let all: BTreeSet<_> = (0..self.topic.partitions).flat_map(of).collect();
        let shared = self.racks.iter().flatten().any(|rack| all.contains(rack));
        shared && (0..self.topic.partitions).any(|partition| of(partition) != all)
    }

    /// How many more partitions a subscriber may get.
    fn room(&self, subscriber: usize) -> usize {
        let has = self.counts.get(subscriber).copied().unwrap_or(usize::MAX);
        (self.share + usize::from(self.extras > 0)).saturating_sub(has)
    }

    /// Serves the subscribers in order with the first partitions that are left and that they `may` take.
    fn fill(&mut self, may: impl Fn(usize, usize) -> bool) {
        let mut left = self.left();
        for subscriber in 0..self.subscribers.len() {
            // How much room there is is asked before the first one is given, as the one that takes an extra uses it up.
            let mut room = self.room(subscriber);
            left.retain(|partition| {
                let take = room > 0 && may(subscriber, *partition);
                if take {
                    room -= 1;
                    self.give(subscriber, *partition);
                }
                !take
            });
        }
    }

    /// Serves the subscribers in order with the first partitions that are left.
    fn fill_rest(&mut self) {
        let mut left = self.left().into_iter();
        for subscriber in 0..self.subscribers.len() {
            for partition in left.by_ref().take(self.room(subscriber)) {
                self.give(subscriber, partition);
            }
        }
    }

    /// The partitions that nobody has yet.
    fn left(&self) -> Vec<usize> {
        let given = self.given.iter().enumerate();
        given.filter(|(_, subscriber)| subscriber.is_none()).map(|(partition, _)| partition).collect()
    }

    fn give(&mut self, subscriber: usize, partition: usize) {
        if let (Some(given), Some(count)) = (self.given.get_mut(partition), self.counts.get_mut(subscriber)) {
            *given = Some(subscriber);
            *count += 1;
            if *count == self.share + 1 {
                self.extras = self.extras.saturating_sub(1);
            }
        }
    }
}
