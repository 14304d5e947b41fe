//! The cluster's groups and their coordinators.

use std::ffi::{c_char, c_int};

use felice_broker::mock::CoordinatorKind;

use super::{Mock, millis, on};
use crate::boundary::{guard, text};
use crate::topic_partition::elements;
use crate::types::{RespErr, TopicPartitionList};

/// Says which broker coordinates a group (`"group"`) or a transactional id (`"transaction"`); it need not be there.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; the texts are NULL or end in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_coordinator_set(
    mcluster: *mut Mock,
    key_type: *const c_char,
    key: *const c_char,
    broker_id: i32,
) -> RespErr {
    // SAFETY: the caller vouches for all of them.
    unsafe {
        on(mcluster, |mock| {
            let kind = match text(key_type) {
                Some("group") => CoordinatorKind::Group,
                Some("transaction") => CoordinatorKind::Transaction,
                Some(_) | None => return RespErr::INVALID_ARG,
            };
            let Some(key) = text(key) else { return RespErr::INVALID_ARG };
            mock.cluster.with(|c, _| c.set_coordinator(kind, key, broker_id));
            RespErr::NO_ERROR
        })
    }
}

/// Sets `group.initial.rebalance.delay.ms`; 3000 where nobody does.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_group_initial_rebalance_delay_ms(mcluster: *mut Mock, delay_ms: i32) {
    guard((), || {
        // SAFETY: the caller vouches for it.
        if let Some(mock) = unsafe { mcluster.as_ref() } {
            mock.cluster.with(|c, _| c.set_initial_rebalance_delay(millis(delay_ms)));
        }
    });
}

/// Sets `group.consumer.session.timeout.ms`; 30000 where nobody does.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_set_group_consumer_session_timeout_ms(mcluster: *mut Mock, timeout_ms: c_int) {
    guard((), || {
        // SAFETY: the caller vouches for it.
        if let Some(mock) = unsafe { mcluster.as_ref() } {
            mock.cluster.with(|c, _| c.set_consumer_session_timeout(millis(timeout_ms)));
        }
    });
}

/// Sets `group.consumer.heartbeat.interval.ms`; 3000 where nobody does.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(
    mcluster: *mut Mock,
    interval_ms: c_int,
) {
    guard((), || {
        // SAFETY: the caller vouches for it.
        if let Some(mock) = unsafe { mcluster.as_ref() } {
            mock.cluster.with(|c, _| c.set_consumer_heartbeat_interval(millis(interval_ms)));
        }
    });
}

/// `rd_kafka_mock_cgrp_consumer_target_assignment_t`: what each member is to have.
#[derive(Debug)]
pub struct TargetAssignment(Vec<(String, Vec<(String, i32)>)>);

/// A target for `member_cnt` members, each with a list of partitions; all is copied.
///
/// # Safety
/// Both arrays have `member_cnt` elements; ids end in a NUL byte, lists came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_cgrp_consumer_target_assignment_new(
    member_ids: *mut *mut c_char,
    member_cnt: c_int,
    assignment: *mut *mut TopicPartitionList,
) -> *mut TargetAssignment {
    guard(std::ptr::null_mut(), || {
        let count = usize::try_from(member_cnt).unwrap_or(0);
        let mut members = Vec::new();
        if count > 0 && (member_ids.is_null() || assignment.is_null()) {
            return std::ptr::null_mut();
        }
        for index in 0..count {
            // SAFETY: the caller vouches for the length of both arrays, and for what is in them.
            let (id, list) = unsafe { (text(*member_ids.add(index)), (*assignment.add(index)).as_ref()) };
            // SAFETY: the caller vouches for the list.
            let partitions = list.map_or(&[][..], |list| unsafe { elements(list) });
            let partitions = partitions.iter().filter_map(|element| {
                // SAFETY: a list's topics end in a NUL byte.
                Some((unsafe { text(element.topic) }?.to_owned(), element.partition))
            });
            members.push((id.unwrap_or_default().to_owned(), partitions.collect()));
        }
        Box::into_raw(Box::new(TargetAssignment(members)))
    })
}

/// Frees a target.
///
/// # Safety
/// It is NULL or came from [`rd_kafka_mock_cgrp_consumer_target_assignment_new`], and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_cgrp_consumer_target_assignment_destroy(target: *mut TargetAssignment) {
    guard((), || {
        if !target.is_null() {
            // SAFETY: it came from `Box::into_raw`, and the caller vouches that this is its last use.
            drop(unsafe { Box::from_raw(target) });
        }
    });
}

/// Gives a group of the consumer protocol (KIP-848) a target, instead of what an assignor makes; NULL leaves it to that again. Its members hear of
/// it with their next heartbeats.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `group_id` is NULL or ends in a NUL byte; `target` is NULL or came from
/// [`rd_kafka_mock_cgrp_consumer_target_assignment_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_cgrp_consumer_target_assignment(
    mcluster: *mut Mock,
    group_id: *const c_char,
    target: *const TargetAssignment,
) {
    guard((), || {
        // SAFETY: the caller vouches for all of them.
        let (mock, group, target) = unsafe { (mcluster.as_ref(), text(group_id), target.as_ref()) };
        let (Some(mock), Some(group)) = (mock, group) else { return };
        let Some(TargetAssignment(members)) = target else {
            // A group that is not there has no target.
            let _ = mock.cluster.with(|c, now| c.clear_target_assignment(now, group));
            return;
        };
        let target = members.iter().map(|(id, partitions)| {
            (id.as_str(), partitions.iter().map(|(topic, index)| (topic.as_str(), *index)).collect::<Vec<_>>())
        });
        // A group or a topic that is not there has nobody to assign to.
        let _ = mock.cluster.with(|c, now| c.set_target_assignment(now, group, target));
    });
}
