//! The cluster's topics and partitions. Where a topic is not there, most functions make it.

use std::ffi::{c_char, c_int};

use felice_broker::mock::ErrorCode;

use super::{Mock, code, on};
use crate::boundary::{guard, text};
use crate::types::RespErr;

/// Does something to a cluster and a topic.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `topic` is NULL or ends in a NUL byte.
unsafe fn on_topic(
    mcluster: *const Mock,
    topic: *const c_char,
    act: impl FnOnce(&Mock, &str) -> Result<(), ErrorCode>,
) -> RespErr {
    // SAFETY: the caller vouches for both.
    unsafe { on(mcluster, |mock| text(topic).map_or(RespErr::INVALID_ARG, |topic| code(act(mock, topic)))) }
}

/// Makes a topic: `TOPIC_ALREADY_EXISTS` where it is there.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `topic` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_topic_create(
    mcluster: *mut Mock,
    topic: *const c_char,
    partition_cnt: c_int,
    replication_factor: c_int,
) -> RespErr {
    let create = |mock: &Mock, topic: &str| {
        let replicas = i16::try_from(replication_factor).unwrap_or(i16::MAX);
        mock.cluster.with(|c, now| c.create_topic(now, topic, partition_cnt, replicas))
    };
    // SAFETY: the caller vouches for both.
    unsafe { on_topic(mcluster, topic, create) }
}

/// Deletes a topic.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `topic` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_topic_delete(mcluster: *mut Mock, topic: *const c_char) -> RespErr {
    // SAFETY: the caller vouches for both.
    unsafe { on_topic(mcluster, topic, |mock, topic| mock.cluster.with(|c, now| c.delete_topic(now, topic))) }
}

/// Says with which error Metadata tells of a topic; 0 takes that back.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `topic` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_topic_set_error(mcluster: *mut Mock, topic: *const c_char, err: RespErr) {
    guard((), || {
        // SAFETY: the caller vouches for both.
        let (mock, topic) = unsafe { (mcluster.as_ref(), text(topic)) };
        if let (Some(mock), Some(topic), Ok(err)) = (mock, topic, i16::try_from(err.0)) {
            // A name that no topic can have is in no Metadata.
            let _ = mock.cluster.with(|c, now| c.set_topic_error(now, topic, ErrorCode(err)));
        }
    });
}

/// Deletes a partition's records in front of an offset.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `topic` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_partition_delete_records(
    mcluster: *mut Mock,
    topic: *const c_char,
    partition: i32,
    before_offset: i64,
) -> RespErr {
    let delete = |mock: &Mock, topic: &str| mock.cluster.with(|c, _| c.delete_records(topic, partition, before_offset));
    // SAFETY: the caller vouches for both.
    unsafe { on_topic(mcluster, topic, delete) }
}

/// Says who leads a partition, −1 for nobody.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `topic` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_partition_set_leader(
    mcluster: *mut Mock,
    topic: *const c_char,
    partition: i32,
    broker_id: i32,
) -> RespErr {
    let leader = (broker_id != -1).then_some(broker_id);
    let set = |mock: &Mock, topic: &str| mock.cluster.with(|c, now| c.set_leader(now, topic, partition, leader));
    // SAFETY: the caller vouches for both.
    unsafe { on_topic(mcluster, topic, set) }
}

/// Says to which broker the leader sends consumers, −1 for none.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `topic` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_partition_set_follower(
    mcluster: *mut Mock,
    topic: *const c_char,
    partition: i32,
    broker_id: i32,
) -> RespErr {
    let follower = (broker_id != -1).then_some(broker_id);
    let set = |mock: &Mock, topic: &str| mock.cluster.with(|c, now| c.set_follower(now, topic, partition, follower));
    // SAFETY: the caller vouches for both.
    unsafe { on_topic(mcluster, topic, set) }
}

/// Says what the follower has of a partition; −1 is what the leader has.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `topic` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_partition_set_follower_wmarks(
    mcluster: *mut Mock,
    topic: *const c_char,
    partition: i32,
    lo: i64,
    hi: i64,
) -> RespErr {
    let given = |offset: i64| (offset != -1).then_some(offset);
    // librdkafka's follower still has the record at this offset.
    let (lo, hi) = (given(lo), given(hi).map(|last| last.saturating_add(1)));
    let set =
        |mock: &Mock, topic: &str| mock.cluster.with(|c, now| c.set_follower_watermarks(now, topic, partition, lo, hi));
    // SAFETY: the caller vouches for both.
    unsafe { on_topic(mcluster, topic, set) }
}

/// Says which leader and epoch the next answer names, whatever is true.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `topic` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_partition_push_leader_response(
    mcluster: *mut Mock,
    topic: *const c_char,
    partition: c_int,
    leader_id: i32,
    leader_epoch: i32,
) -> RespErr {
    let push = |mock: &Mock, topic: &str| {
        mock.cluster.with(|c, now| c.push_leader_answer(now, topic, partition, leader_id, leader_epoch))
    };
    // SAFETY: the caller vouches for both.
    unsafe { on_topic(mcluster, topic, push) }
}
