//! Groups to divide: what a test needs to make them and to measure an answer.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::assignor::{
    AssignableTopic, AssignableTopics, Assignments, Assignor, GroupSubscription, MemberSubscription,
};
use felice_protocol::primitives::ByteStr;

/// A group, its members' pasts in `owned` and `generation`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) topics: AssignableTopics,
    pub(crate) members: Vec<MemberSubscription>,
}

impl Group {
    pub(crate) fn topic(&mut self, name: &str, partitions: u32) {
        self.topics.insert(name.into(), AssignableTopic::without_racks(partitions));
    }

    pub(crate) fn member(&mut self, id: &str, topics: &[&str]) -> &mut MemberSubscription {
        let topics = topics.iter().map(|topic| ByteStr::from(*topic)).collect();
        self.members.push(MemberSubscription { member_id: id.into(), topics, ..Default::default() });
        self.members.last_mut().unwrap()
    }

    /// Has `assignor` divide the partitions, from members that offer it as it demands.
    pub(crate) fn assign(&self, assignor: &Assignor) -> Assignments {
        let offer = |member: &MemberSubscription| {
            let user_data = assignor.user_data(&member.topics, &member.owned, member.generation).unwrap();
            let eager = matches!(assignor, Assignor::Sticky);
            let owned = if eager { Vec::new() } else { member.owned.clone() };
            MemberSubscription { user_data, owned, ..member.clone() }
        };
        let members: Vec<_> = self.members.iter().map(offer).collect();
        let group = GroupSubscription { members: &members, topics: &self.topics, generation: 7 };
        let assignments = assignor.assign(&group);
        assert_eq!(assignments.len(), self.members.len());
        self.check(&assignments);
        assignments
    }

    /// Nothing is given twice, nothing that is not there, nothing to who does not subscribe to it.
    fn check(&self, assignments: &Assignments) {
        let mut given = BTreeSet::new();
        for member in &self.members {
            for partition in &assignments[&member.member_id].partitions {
                assert!(member.topics.contains(&partition.topic), "{partition} to {}", member.member_id);
                assert!(u32::try_from(partition.partition).unwrap() < self.topics[&partition.topic].partitions);
                assert!(given.insert(partition.clone()), "{partition} twice");
            }
        }
    }

    /// What somebody should get.
    pub(crate) fn wanted(&self) -> BTreeSet<TopicPartition> {
        let wanted: BTreeSet<_> = self.members.iter().flat_map(|member| &member.topics).collect();
        let of = |(name, topic): (&ByteStr, &AssignableTopic)| {
            let name = name.clone();
            (0..topic.partitions).map(move |partition| TopicPartition::new(name.clone(), partition.cast_signed()))
        };
        self.topics.iter().filter(|(name, _)| wanted.contains(name)).flat_map(of).collect()
    }

    /// Who owned what: the one subscriber that claims it in the newest generation in which it is claimed.
    pub(crate) fn owners(&self) -> BTreeMap<TopicPartition, ByteStr> {
        let mut owners = BTreeMap::new();
        for partition in self.wanted() {
            let claims = || self.members.iter().filter(|member| member.owned.contains(&partition));
            let newest = claims().map(|member| member.generation).max().flatten();
            let mut newest = claims().filter(|member| member.generation == newest);
            if let (Some(owner), None) = (newest.next(), newest.next())
                && owner.topics.contains(&partition.topic)
            {
                owners.insert(partition, owner.member_id.clone());
            }
        }
        owners
    }

    pub(crate) fn moves(&self, assignments: &Assignments) -> usize {
        let stays = |(partition, owner): &(TopicPartition, ByteStr)| assignments[owner].partitions.contains(partition);
        self.owners().into_iter().filter(|owned| !stays(owned)).count()
    }

    /// The members take what they were given.
    pub(crate) fn settle(&mut self, assignments: &Assignments, generation: i32) {
        for member in &mut self.members {
            member.owned = assignments[&member.member_id].partitions.clone();
            member.generation = Some(generation);
        }
    }
}

/// How many partitions each member has, sorted.
pub(crate) fn sizes(assignments: &Assignments) -> Vec<usize> {
    let mut sizes: Vec<usize> = assignments.values().map(|assignment| assignment.partitions.len()).collect();
    sizes.sort_unstable();
    sizes
}

pub(crate) fn squares(sizes: &[usize]) -> usize {
    sizes.iter().map(|size| size * size).sum()
}

pub(crate) fn assigned(assignments: &Assignments) -> BTreeSet<TopicPartition> {
    assignments.values().flat_map(|assignment| assignment.partitions.iter().cloned()).collect()
}

/// The same numbers in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % bound.max(1)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Bytes {
        (0..length).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }
}

/// A random group with up to so many members, topics, and partitions a topic.
pub(crate) fn random(random: &mut Random, members: usize, topics: usize, partitions: usize) -> Group {
    let mut group = Group::default();
    let names: Vec<String> = (0..=random.below(topics)).map(|topic| format!("t{topic}")).collect();
    for name in &names {
        group.topic(name, u32::try_from(random.below(partitions) + 1).unwrap());
    }
    let equal = random.below(3) == 0;
    for member in 0..=random.below(members) {
        let mine: Vec<&str> = names.iter().filter(|_| equal || random.below(2) == 0).map(String::as_str).collect();
        let generation = (random.below(8) > 0).then(|| 5 - i32::try_from(random.below(5) / 3).unwrap());
        group.member(&format!("m{member}"), &mine).generation = generation;
    }
    for partition in group.wanted() {
        for _ in 0..[0, 1, 1, 1, 1, 2][random.below(6)] {
            let member = random.below(group.members.len());
            let member = &mut group.members[member];
            if member.topics.contains(&partition.topic) && !member.owned.contains(&partition) {
                member.owned.push(partition.clone());
            }
        }
    }
    group
}
