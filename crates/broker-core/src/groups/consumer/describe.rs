//! ConsumerGroupDescribe.

use felice_protocol::messages::consumer_group_describe::response::{
    Assignment, DescribedGroup, Member as DescribedMember, TopicPartitions,
};
use felice_protocol::primitives::ByteStr;

use super::assignment::Partitions;
use super::config::ConsumerGroupConfig;
use super::member::Member;
use super::{ConsumerGroup, ConsumerGroupState};
use crate::groups::topics_view::TopicsView;

impl ConsumerGroup {
    /// The group as ConsumerGroupDescribe tells it.
    pub(crate) fn describe(&self, view: TopicsView<'_>, config: &ConsumerGroupConfig) -> DescribedGroup {
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: ByteStr::from_static(self.state().name()),
            group_epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor_name: ByteStr::from_static(self.assignor(config).name()),
            members: self.members.iter().map(|(id, member)| self.describe_member(view, id, member)).collect(),
            ..Default::default()
        }
    }

    fn describe_member(&self, view: TopicsView<'_>, id: &ByteStr, member: &Member) -> DescribedMember {
        let metadata = &member.metadata;
        // What it has still to give back is its own as yet.
        let mut held = member.current.assigned.clone();
        held.extend(&member.current.pending_revocation);
        DescribedMember {
            member_id: id.clone(),
            instance_id: metadata.instance_id.clone(),
            rack_id: metadata.rack_id.clone(),
            member_epoch: member.current.epoch,
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            subscribed_topic_names: metadata.topics.iter().cloned().collect(),
            subscribed_topic_regex: Some(metadata.regex.clone()),
            assignment: described(view, &held.partitions()),
            target_assignment: self.targets.get(id).map(|target| described(view, target)).unwrap_or_default(),
            // 0 classic, 1 consumer.
            member_type: i8::from(!member.uses_classic_protocol()),
            ..Default::default()
        }
    }

    /// Kafka's word for the state.
    pub(crate) fn state_name(&self) -> &'static str {
        ConsumerGroupState::name(self.state())
    }
}

/// With names; a topic that is gone has none and is left out.
fn described(view: TopicsView<'_>, partitions: &Partitions) -> Assignment {
    let topics = partitions.iter().filter_map(|(topic, indexes)| {
        Some(TopicPartitions {
            topic_id: *topic,
            topic_name: view.name(topic)?.clone(),
            partitions: indexes.iter().copied().collect(),
            ..Default::default()
        })
    });
    Assignment { topic_partitions: topics.collect(), ..Default::default() }
}
