//! What statistics tell of a consumer.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::ConsumerSide;
use super::Stage;
use super::slot::Use;
use crate::stats::PartitionStats;

impl ConsumerSide {
    /// What statistics tell of the group; `None` without one.
    pub(crate) fn group_stats(&self) -> Option<Value> {
        if !self.has_group() {
            return None;
        }
        let state = self.state();
        let joined = state.member.generation_or_epoch >= 0;
        let age = |since: std::time::Instant| i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
        let join_state = match (state.proposed, joined) {
            (Some(proposed), _) if proposed.assigns => "wait-assign-call",
            (Some(_), _) => "wait-unassign-call",
            (None, true) => "steady",
            (None, false) if state.subscription.is_empty() => "init",
            (None, false) => "wait-join",
        };
        Some(json!({
            "state": if state.stage == Stage::Closed { "term" } else { "up" },
            "stateage": age(state.changed),
            "join_state": join_state,
            "rebalance_age": if state.rebalances == 0 { 0 } else { age(state.rebalanced) },
            "rebalance_cnt": state.rebalances,
            "rebalance_reason": "",
            "assignment_size": state.assigned.len(),
        }))
    }

    /// How often the legacy API began to read.
    pub(crate) fn legacy_starts(&self) -> u32 {
        self.state().legacy
    }

    /// What statistics tell of the partitions.
    pub(crate) fn partition_stats(&self) -> Vec<PartitionStats> {
        let state = self.state();
        let one = |slot: &std::sync::Arc<super::slot::Slot>| {
            let mut stats = PartitionStats::new(&slot.name.topic, slot.name.partition);
            stats.desired = slot.used() != Use::None;
            stats.fetched = (0, slot.waiting.load(Ordering::Relaxed) as u64);
            stats.fetch_state = match (slot.fetch(), slot.used()) {
                (Some(_), _) => "active",
                (None, Use::None) => "none",
                (None, _) => "offset-query",
            };
            stats.app_offset = slot.app.offset();
            stats.next_offset = slot.app.offset().max(0);
            (stats.stored_offset, stats.stored_epoch) = (slot.stored.offset(), slot.stored.epoch());
            (stats.committed_offset, stats.committed_epoch) = (slot.committed.offset(), slot.committed.epoch());
            stats.eof_offset = slot.end.load(Ordering::Relaxed);
            stats.low = slot.low.load(Ordering::Relaxed);
            stats.high = slot.high.load(Ordering::Relaxed);
            stats.last_stable = stats.high;
            let (records, bytes) = &slot.received;
            stats.received = (records.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed));
            stats
        };
        state.slots.values().map(one).collect()
    }
}
