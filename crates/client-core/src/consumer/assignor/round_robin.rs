//! `roundrobin`: all partitions of all topics, in order, to the members in turn; who does not subscribe to the topic is passed over. Java:
//! `RoundRobinAssignor`.

use std::collections::{BTreeMap, BTreeSet};

use felice_protocol::primitives::ByteStr;

use super::{Assignments, GroupSubscription, empty, in_order};
use crate::consumer::TopicPartition;

pub(super) fn assign(group: &GroupSubscription<'_>) -> Assignments {
    let mut assignments = empty(group);
    let members = in_order(group);
    let mut subscribers: BTreeMap<&ByteStr, BTreeSet<usize>> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        for topic in &member.topics {
            subscribers.entry(topic).or_default().insert(index);
        }
    }
    let mut turn = 0;
    for (topic, subscribers) in subscribers {
        let partitions = group.topics.get(topic).map_or(0, |topic| topic.partitions);
        for partition in 0..partitions {
            let next = subscribers.range(turn..).next().or_else(|| subscribers.first());
            let Some((index, member)) = next.and_then(|index| Some((*index, members.get(*index)?))) else { break };
            turn = (index + 1) % members.len();
            if let Some(assignment) = assignments.get_mut(&member.member_id) {
                assignment.partitions.push(TopicPartition { topic: topic.clone(), partition: partition.cast_signed() });
            }
        }
    }
    assignments
}
