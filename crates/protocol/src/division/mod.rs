//! Divides partitions among members: as evenly as the subscriptions allow, and among all divisions that are so even, one that leaves as many
//! partitions as possible with who had them. Numbers only; both the members of a group that assign and the brokers that do use it.
//!
//! - this file: [`Division`], the question
//! - `equal`: all members subscribe to the same topics: every member has its share
//! - `exchange`: they do not: partitions move along the shortest chains of members until no chain makes it better, which is exact
//! - `hand_out`: which partitions of a topic, where only their number matters; here racks count
//!
//! "Even" is the strictest sense there is: no other division has a smaller sum of squares of the members' numbers of partitions. Java's
//! `AbstractStickyAssignor` and `UniformAssignor` are never more even, and at the same evenness never move less.

mod equal;
mod exchange;
mod hand_out;

/// Members, numbered from 0, and the topics whose partitions they share.
#[derive(Clone, Debug, Default)]
pub struct Division {
    /// Each member's rack, as a number; its length is the number of members.
    pub members: Vec<Option<u32>>,
    /// The topics.
    pub topics: Vec<Topic>,
}

/// A topic that is divided.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    /// The members that subscribe to it, in ascending order, each once.
    pub subscribers: Vec<usize>,
    /// Who had each partition: its length is the number of partitions. One that does not subscribe counts as nobody.
    pub owners: Vec<Option<usize>>,
    /// The racks of each partition's replicas; may be shorter.
    pub racks: Vec<Vec<u32>>,
}

/// Who gets each partition of each topic; nobody gets those of a topic without subscribers.
pub type Divided = Vec<Vec<Option<usize>>>;

impl Division {
    /// Divides the partitions. The same question has the same answer.
    ///
    /// With equal subscriptions the time is about linear in the partitions; else it is that of a shortest-path search for each partition that
    /// has to move beyond the first filling.
    pub fn divide(mut self) -> Divided {
        for topic in &mut self.topics {
            topic.subscribers.retain(|member| *member < self.members.len());
            topic.subscribers.sort_unstable();
            topic.subscribers.dedup();
            for owner in &mut topic.owners {
                *owner = owner.filter(|member| topic.subscribers.binary_search(member).is_ok());
            }
        }
        let mut subscribers = self.topics.iter().map(|topic| &topic.subscribers).filter(|members| !members.is_empty());
        let first = subscribers.next();
        if subscribers.all(|members| Some(members) == first) { equal::divide(&self) } else { exchange::divide(&self) }
    }

    /// Whether a partition has a replica in the rack of a member; not where either is not known.
    fn in_rack(&self, topic: usize, partition: usize, member: usize) -> bool {
        let racks = self.topics[topic].racks.get(partition);
        self.members[member].is_some_and(|rack| racks.is_some_and(|racks| racks.contains(&rack)))
    }
}
