//! Who should have what. Java: `TargetAssignmentBuilder`.

use std::collections::BTreeMap;

use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::Now;

use super::assignment::Partitions;
use super::change::Change;
use super::config::ConsumerGroupConfig;
use super::{ConsumerGroup, Records};
use crate::groups::assignor::{MemberSpec, ServerAssignor, assign};
use crate::groups::topics_view::TopicsView;

impl ConsumerGroup {
    /// Takes a target from outside, or leaves it to the assignor again; it counts from the next heartbeat on, in an epoch of its own.
    pub(crate) fn set_target(&mut self, target: Option<BTreeMap<ByteStr, Partitions>>) {
        self.given_target = target;
        self.target_given = true;
    }

    /// Looks at the topics again where that is due, raises the group epoch where something has changed, and makes the target for it.
    pub(super) fn advance_target(
        &mut self,
        now: Now,
        view: TopicsView<'_>,
        config: &ConsumerGroupConfig,
        changed: bool,
        records: &mut Records,
    ) {
        let changed = changed || std::mem::take(&mut self.target_given);
        if changed || self.topics_changed {
            self.raise_epoch(view, changed, records);
        }
        if self.assignment_epoch < self.epoch && self.may_assign(now, config) {
            self.make_target(now, view, config, records);
        }
    }

    /// Raises the group epoch where `changed`, or where the topics are others than it was made for.
    pub(super) fn raise_epoch(&mut self, view: TopicsView<'_>, changed: bool, records: &mut Records) {
        self.topics_changed = false;
        let hash = self.compute_metadata_hash(view);
        if changed || hash != self.metadata_hash {
            // A new group has epoch 1 before anything has happened to it, in Kafka 4.3 and here.
            let change = Change::Group(Some((self.epoch.max(1).saturating_add(1), hash)));
            records.make(self, change);
        }
        if self.has_partition_metadata {
            records.make(self, Change::PartitionMetadata { present: false });
        }
    }

    /// Whether the last target is old enough for another: `group.consumer.assignment.interval.ms`.
    fn may_assign(&self, now: Now, config: &ConsumerGroupConfig) -> bool {
        let since = now.wall_millis.saturating_sub(self.assignment_timestamp);
        // A wall clock that was put back must not hold a group up.
        self.assignment_timestamp == 0 || since < 0 || since >= config.assignment_interval_ms
    }

    fn make_target(&mut self, now: Now, view: TopicsView<'_>, config: &ConsumerGroupConfig, records: &mut Records) {
        let specs: BTreeMap<ByteStr, MemberSpec> = self
            .members
            .iter()
            .map(|(id, member)| {
                let topics = self.subscribed_ids(view, member);
                let current = self.targets.get(id).cloned().unwrap_or_default();
                (id.clone(), MemberSpec { instance_id: member.metadata.instance_id.clone(), topics, current })
            })
            .collect();
        let partitions = |topic: &Uuid| view.name(topic).and_then(|name| view.get(name)).map_or(0, |(_, count)| count);
        let made = match &self.given_target {
            Some(given) => {
                let of = |id: &ByteStr| given.get(id).cloned().unwrap_or_default();
                self.members.keys().map(|id| (id.clone(), of(id))).collect()
            }
            None => assign(self.assignor(config), &specs, partitions),
        };
        for (id, target) in made {
            if self.targets.get(&id) != Some(&target) {
                records.make(self, Change::TargetMember(id, Some(target)));
            }
        }
        let change = Change::Target(Some((self.epoch, now.wall_millis)));
        records.make(self, change);
    }

    /// The assignor that most members ask for, the first in the broker's list where they ask for none or are even.
    pub(super) fn assignor(&self, config: &ConsumerGroupConfig) -> ServerAssignor {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self.members.values().filter_map(|member| member.metadata.server_assignor.as_ref()) {
            *votes.entry(name.as_str()).or_default() += 1;
        }
        let count = |assignor: &ServerAssignor| votes.get(assignor.name()).copied().unwrap_or(0);
        // `max_by_key` takes the last of equals.
        config.assignors.iter().rev().copied().max_by_key(count).unwrap_or(ServerAssignor::Uniform)
    }
}
