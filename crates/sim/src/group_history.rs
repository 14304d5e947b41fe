//! What happens in a world's consumer groups, as their members' applications saw it and as it went over the wire.

use std::collections::BTreeMap;
use std::fmt;

use crate::broker_host::TOPIC;
use crate::history::RecordId;

/// A partition of a group: the group's number in the world, and the [number](partition_number) of the partition.
pub type GroupPartition = (usize, i32);

/// The number of a group in its world, from its name.
pub fn group_number(name: &str) -> Option<usize> {
    name.strip_prefix("group-")?.parse().ok()
}

/// The name of a group.
pub fn group_name(group: usize) -> String {
    format!("group-{group}")
}

/// One number for a partition of any topic: of the records' topic its own, of the topic `more-N`, which nobody writes to, with N thousand added.
pub fn partition_number(topic: &str, partition: i32) -> Option<i32> {
    if topic == TOPIC {
        return Some(partition);
    }
    topic.strip_prefix("more-")?.parse::<i32>().ok().map(|number| number * 1000 + partition)
}

/// The name of a topic that groups read beside the records', from 1 on.
pub fn more_topic(number: i32) -> String {
    format!("more-{number}")
}

/// One life of a member: a process that crashed and came back is another owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The member's number in the world.
    pub member: usize,
    /// The how-manieth of its processes.
    pub life: u32,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}.{}", self.member, self.life)
    }
}

/// Why an application stopped to own partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The group asked, the application agreed.
    Revoked,
    /// The group had given them to somebody else.
    Lost,
    /// The application closed its consumer.
    Closed,
    /// Its process died.
    Died,
}

/// Why the group may give a member's partitions away without its consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Excuse {
    /// The broker has heard nothing of it for a session timeout.
    Silent,
    /// It was asked for its partitions and did not answer within the rebalance timeout.
    Slow,
    /// It was told that they are lost, and has not read that yet.
    Told,
}

/// Something that happened in a group.
#[derive(Clone, Debug)]
pub enum GroupEvent {
    /// An application begins to own partitions, each from an offset on.
    Took {
        /// The group.
        group: usize,
        /// Who.
        owner: Owner,
        /// Which partitions, and where it reads on.
        from: BTreeMap<i32, i64>,
        /// The broker may have given it up before it came to this: it will be told.
        ghost: bool,
    },
    /// An application has stopped to process partitions, and will not commit them any more.
    GaveUp {
        /// The group.
        group: usize,
        /// Who.
        owner: Owner,
        /// Which partitions.
        partitions: Vec<i32>,
        /// Why.
        end: End,
    },
    /// A member may have lost everything without knowing; what it goes on doing binds nobody.
    Excused {
        /// The group.
        group: usize,
        /// Who.
        owner: Owner,
        /// Why.
        excuse: Excuse,
    },
    /// An application has processed a record.
    Processed {
        /// The group.
        group: usize,
        /// Who.
        owner: Owner,
        /// Of which partition.
        partition: i32,
        /// At which offset.
        offset: i64,
        /// Which record.
        record: RecordId,
    },
    /// The coordinator sent a member of a classic group its assignment.
    Assigned {
        /// The group.
        group: usize,
        /// Its generation.
        generation: i32,
        /// The member's instance id, or its member id where it has none.
        member: String,
        /// What it got.
        partitions: Vec<i32>,
    },
    /// The coordinator answered that an offset is committed.
    Committed {
        /// The group.
        group: usize,
        /// Of which partition.
        partition: i32,
        /// The next offset to read.
        offset: i64,
    },
    /// The coordinator came to a commit after its sender had given the connection up, and so perhaps after what the sender sent over another.
    /// Whether it was taken nobody hears.
    Late {
        /// The group.
        group: usize,
        /// Of which partition.
        partition: i32,
        /// The next offset to read.
        offset: i64,
        /// It is of an older generation than some member has joined since: it must not be taken.
        stale: bool,
    },
    /// The commits that the broker's files have, the last of each partition.
    Found {
        /// By group and partition.
        offsets: BTreeMap<GroupPartition, i64>,
    },
}

impl fmt::Display for GroupEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Took { group, owner, from, ghost } => {
                write!(f, "took         g{group} {owner} {from:?}{}", if *ghost { " ghost" } else { "" })
            }
            Self::GaveUp { group, owner, partitions, end } => {
                write!(f, "gave up      g{group} {owner} {partitions:?} {end:?}")
            }
            Self::Excused { group, owner, excuse } => write!(f, "excused      g{group} {owner} {excuse:?}"),
            Self::Processed { group, owner, partition, offset, record } => {
                write!(f, "processed    g{group} {owner} {partition}@{offset} {record}")
            }
            Self::Assigned { group, generation, member, partitions } => {
                write!(f, "assigned     g{group} generation {generation} {member} {partitions:?}")
            }
            Self::Committed { group, partition, offset } => write!(f, "committed    g{group} {partition}@{offset}"),
            Self::Late { group, partition, offset, stale } => {
                write!(f, "late         g{group} {partition}@{offset}{}", if *stale { " stale" } else { "" })
            }
            Self::Found { offsets } => write!(f, "found        {offsets:?}"),
        }
    }
}
