//! A classic group that comes out of a consumer group, or becomes one.

use std::collections::BTreeMap;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Now;

use super::{CONSUMER, ClassicGroup, ClassicGroupState, Member};
use crate::groups::answer::GroupAnswer;
use crate::groups::step::Step;

impl ClassicGroup {
    /// A group of consumers in the middle of its life: everyone has an assignment, nobody waits.
    pub(crate) fn converted(id: ByteStr, now: Now, generation_id: i32, members: BTreeMap<ByteStr, Member>) -> Self {
        let mut group = Self::new(id, now);
        group.state = ClassicGroupState::Stable;
        group.previous = ClassicGroupState::Stable;
        group.generation_id = generation_id;
        group.protocol_type = Some(ByteStr::from_static(CONSUMER));
        group.leader = members.keys().next().cloned();
        for (id, member) in &members {
            if let Some(instance_id) = &member.group_instance_id {
                group.static_members.insert(instance_id.clone(), id.clone());
            }
        }
        group.members = members;
        group.protocol_name = group.select_protocol();
        group.subscribed_topics = group.compute_subscribed_topics();
        group.loaded(now);
        group
    }

    /// Everyone is to join again.
    pub(crate) fn rebalance(&mut self, step: &mut Step<'_>) {
        self.prepare_rebalance(step);
    }

    /// Whoever waits hears that a rebalance is under way, and comes again.
    pub(crate) fn release_waiting(&mut self, step: &mut Step<'_>) {
        let code = ErrorCode::REBALANCE_IN_PROGRESS;
        for (id, member) in &mut self.members {
            if let Some(waiter) = member.awaiting_join.take() {
                step.answer(waiter, GroupAnswer::join_failed(id, code));
            }
            if let Some(waiter) = member.awaiting_sync.take() {
                step.answer(waiter, GroupAnswer::sync_failed(code));
            }
        }
    }
}
