//! How the leader of a classic group divides partitions among the members: pure functions from subscriptions to an assignment.
//!
//! - this file: [`Assignor`], what it is given and what it gives
//! - [`protocol`]: the bytes by which members tell what they want and what they got
//! - `topics`: what the leader knows of the topics
//! - `range`, `round_robin`: Kafka's two that start anew each time; the result is Java's to the partition
//! - `sticky`: balanced first, then as few moves as can be; also the cooperative one
//!
//! What other members sent is bounded: unknown topics, partitions that do not exist and doubled claims are left out, nothing panics.
//! Java: `ConsumerPartitionAssignor` and its implementations.

pub mod protocol;
mod range;
mod round_robin;
mod sticky;
mod topics;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use felice_protocol::primitives::{ByteStr, EncodeError};

pub use self::topics::{AssignableTopic, AssignableTopics, assignable_topics};
use super::TopicPartition;

/// What one member wants and had. Java: `Subscription`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberSubscription {
    /// Its id, from the coordinator.
    pub member_id: ByteStr,
    /// Its `group.instance.id`, where it is a static member.
    pub group_instance_id: Option<ByteStr>,
    /// The topics that it subscribes to.
    pub topics: Vec<ByteStr>,
    /// What it owned when it joined, as it says (subscription version 1 on).
    pub owned: Vec<TopicPartition>,
    /// The generation in which it owned that (version 2 on).
    pub generation: Option<i32>,
    /// Its `client.rack` (version 3 on).
    pub rack: Option<ByteStr>,
    /// What its assignor added.
    pub user_data: Option<Bytes>,
}

/// All that an assignment is made from.
#[derive(Clone, Copy, Debug)]
pub struct GroupSubscription<'a> {
    /// The members, in any order.
    pub members: &'a [MemberSubscription],
    /// The topics that exist; one that is subscribed to and not in here has no partitions yet.
    pub topics: &'a AssignableTopics,
    /// The generation that this assignment is for.
    pub generation: i32,
}

/// What one member gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Its partitions.
    pub partitions: Vec<TopicPartition>,
    /// What a custom assignor tells its twin in the member.
    pub user_data: Option<Bytes>,
}

/// What each member gets, by member id. Every member has an entry.
pub type Assignments = BTreeMap<ByteStr, Assignment>;

/// What a member does with its partitions when a rebalance begins. Java: `RebalanceProtocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RebalanceProtocol {
    /// It gives all of them up before it joins again.
    Eager,
    /// It keeps them, and gives up what the new assignment takes away.
    Cooperative,
}

/// An assignor of the application's own. Java: `ConsumerPartitionAssignor`.
pub trait PartitionAssignor: Send + Sync {
    /// The name by which members find a common assignor.
    fn name(&self) -> &str;

    /// How members that use it rebalance.
    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Eager
    }

    /// What goes with this member's subscription to `topics`; `owned` is what it last had, in `generation`.
    fn user_data(&self, topics: &[ByteStr], owned: &[TopicPartition], generation: Option<i32>) -> Option<Bytes> {
        let _ = (topics, owned, generation);
        None
    }

    /// Divides the partitions. Members without an entry get nothing; entries of members that are not in the group are ignored.
    fn assign(&self, group: &GroupSubscription<'_>) -> Assignments;

    /// Hears what this member got in `generation`.
    fn on_assignment(&self, assignment: &Assignment, generation: i32) {
        let _ = (assignment, generation);
    }
}

/// One of Kafka's assignors, or the application's own.
#[derive(Clone)]
pub enum Assignor {
    /// `range`: each topic by itself, in runs of neighbouring partitions. Java: `RangeAssignor`.
    Range,
    /// `roundrobin`: all partitions of all topics in turn. Java: `RoundRobinAssignor`.
    RoundRobin,
    /// `sticky`: balanced, with as few moves as can be; eager. Java: `StickyAssignor`.
    Sticky,
    /// `cooperative-sticky`: the same, and a partition that moves is given out only when its owner has let it go. Java:
    /// `CooperativeStickyAssignor`.
    CooperativeSticky,
    /// The application's own.
    Custom(Arc<dyn PartitionAssignor>),
}

impl Assignor {
    /// The assignor of this name in `partition.assignment.strategy`: Kafka's protocol names and the names of Java's classes.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(name) {
            "range" | "RangeAssignor" => Some(Self::Range),
            "roundrobin" | "RoundRobinAssignor" => Some(Self::RoundRobin),
            "sticky" | "StickyAssignor" => Some(Self::Sticky),
            "cooperative-sticky" | "CooperativeStickyAssignor" => Some(Self::CooperativeSticky),
            _ => None,
        }
    }

    /// The name by which members find a common assignor.
    pub fn name(&self) -> &str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
            Self::Custom(assignor) => assignor.name(),
        }
    }

    /// The best protocol that it supports; every assignor supports [`RebalanceProtocol::Eager`].
    pub fn protocol(&self) -> RebalanceProtocol {
        match self {
            Self::Range | Self::RoundRobin | Self::Sticky => RebalanceProtocol::Eager,
            Self::CooperativeSticky => RebalanceProtocol::Cooperative,
            Self::Custom(assignor) => assignor.protocol(),
        }
    }

    /// What goes with this member's subscription. `owned` is what it last had, in `generation`, also where it has given it up since, as the
    /// eager protocol demands: `sticky` tells it here.
    ///
    /// # Errors
    /// [`EncodeError`] where a topic's name is too long for the protocol.
    pub fn user_data(
        &self,
        topics: &[ByteStr],
        owned: &[TopicPartition],
        generation: Option<i32>,
    ) -> Result<Option<Bytes>, EncodeError> {
        match self {
            Self::Range | Self::RoundRobin => Ok(None),
            Self::Sticky if owned.is_empty() && generation.is_none() => Ok(None),
            Self::Sticky => protocol::encode_sticky_user_data(owned, generation).map(Some),
            Self::CooperativeSticky => Ok(Some(protocol::encode_cooperative_user_data(generation))),
            Self::Custom(assignor) => Ok(assignor.user_data(topics, owned, generation)),
        }
    }

    /// Divides the partitions: every partition of a topic that somebody subscribes to goes to exactly one subscriber, but for those which
    /// `cooperative-sticky` holds back until their owner has let them go. Every member has an entry; a custom assignor's entries of members
    /// that are not in the group are dropped.
    pub fn assign(&self, group: &GroupSubscription<'_>) -> Assignments {
        match self {
            Self::Range => range::assign(group),
            Self::RoundRobin => round_robin::assign(group),
            Self::Sticky => sticky::assign(group),
            Self::CooperativeSticky => sticky::assign_cooperatively(group),
            Self::Custom(assignor) => {
                let mut given = assignor.assign(group);
                let take = |member: &MemberSubscription| {
                    (member.member_id.clone(), given.remove(&member.member_id).unwrap_or_default())
                };
                group.members.iter().map(take).collect()
            }
        }
    }

    /// Hears what this member got in `generation`. Only a custom assignor listens.
    pub fn on_assignment(&self, assignment: &Assignment, generation: i32) {
        if let Self::Custom(assignor) = self {
            assignor.on_assignment(assignment, generation);
        }
    }
}

impl fmt::Debug for Assignor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Assignor({})", self.name())
    }
}

/// How a member that offers `assignors` rebalances: cooperatively only where all of them can, since which one the group takes is not known
/// before it has joined.
pub fn rebalance_protocol(assignors: &[Assignor]) -> RebalanceProtocol {
    assignors.iter().map(Assignor::protocol).min().unwrap_or(RebalanceProtocol::Eager)
}

/// A protocol of a JoinGroup request: an assignor's name and this member's subscription for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedProtocol {
    /// The assignor's name.
    pub name: ByteStr,
    /// The subscription, encoded.
    pub metadata: Bytes,
}

/// What a member offers when it joins, in the order of its liking: each assignor once, with its subscription.
///
/// `member.owned` is what the member last had in `member.generation`, as in [`Assignor::user_data`]; under the eager protocol it has given
/// that up, and the subscriptions name none of it. `member.user_data` is not looked at.
///
/// # Errors
/// [`EncodeError`] where a name is too long for the protocol.
pub fn offered_protocols(
    assignors: &[Assignor],
    member: &MemberSubscription,
) -> Result<Vec<OfferedProtocol>, EncodeError> {
    let cooperative = rebalance_protocol(assignors) == RebalanceProtocol::Cooperative;
    let mut offered: Vec<OfferedProtocol> = Vec::with_capacity(assignors.len());
    for assignor in assignors {
        if offered.iter().any(|known| known.name == assignor.name()) {
            continue;
        }
        let subscription = MemberSubscription {
            owned: if cooperative { member.owned.clone() } else { Vec::new() },
            user_data: assignor.user_data(&member.topics, &member.owned, member.generation)?,
            ..member.clone()
        };
        let metadata = protocol::encode_subscription(&subscription)?;
        offered.push(OfferedProtocol { name: assignor.name().into(), metadata });
    }
    Ok(offered)
}

/// An empty entry for every member.
fn empty(group: &GroupSubscription<'_>) -> Assignments {
    group.members.iter().map(|member| (member.member_id.clone(), Assignment::default())).collect()
}

/// The members in the order in which Kafka's assignors serve them: static ones by instance id, then the others by member id. Java:
/// `MemberInfo`.
fn in_order<'a>(group: &GroupSubscription<'a>) -> Vec<&'a MemberSubscription> {
    let mut members: Vec<_> = group.members.iter().collect();
    members.sort_by_key(|member| {
        let instance = member.group_instance_id.as_ref();
        (instance.is_none(), instance, &member.member_id)
    });
    members
}
