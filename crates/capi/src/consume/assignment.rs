//! What is read: `rd_kafka_assign`, whole and by steps. It is also how a program answers a rebalance.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use felice::{OffsetAndMetadata, TopicPartition};

use super::failed::failed;
use super::slot::{Slot, Use};
use super::work::{Starting, position};
use super::{ConsumerSide, Proposed, Stage, State, grouped};
use crate::boundary::guard;
use crate::errors::object::ErrorObject;
use crate::handle::Kafka;
use crate::list::{List, Place, read};
use crate::types::{RespErr, TopicPartitionList, offset};

/// How a call changes what is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// These and no others.
    Whole,
    /// These too.
    Add,
    /// Not these any more.
    Remove,
}

/// What the driver is to do about a change of the assignment.
#[derive(Debug, Default)]
struct Change {
    commits: Vec<(TopicPartition, OffsetAndMetadata)>,
    stops: Vec<Arc<Slot>>,
    starts: Vec<(Arc<Slot>, u32, i64)>,
    lookups: Vec<Starting>,
    answers: Option<Proposed>,
    hurries: bool,
}

type Refused = (RespErr, String);

impl ConsumerSide {
    /// Changes what is assigned, and answers the group's proposal with it where there is one.
    pub(super) fn assign(&self, method: Method, list: Vec<Place>) -> Result<(), Refused> {
        let mut state = self.state();
        let (method, list) = if state.stage == Stage::Open { (method, list) } else { (Method::Whole, Vec::new()) };
        self.check(&state, method, &list)?;
        self.carry_out(&mut state, method, list);
        drop(state);
        self.queue.purge_outdated();
        Ok(())
    }

    fn check(&self, state: &State, method: Method, list: &[Place]) -> Result<(), Refused> {
        use felice::raw::RebalanceProtocol::{Cooperative, Eager};
        let must = |how: &str, which: &str| {
            let text = format!(
                "Changes to the current assignment must be made using {how} when rebalance protocol type is {which}"
            );
            Err((RespErr::STATE, text))
        };
        if state.stage == Stage::Open && !state.silent && !state.subscription.is_empty() {
            match (state.protocol, method) {
                (Some(Cooperative), Method::Whole) if !list.is_empty() => {
                    return must("incremental_assign() or incremental_unassign()", "COOPERATIVE");
                }
                (Some(Eager), Method::Add | Method::Remove) => return must("assign()", "EAGER"),
                _ => {}
            }
        }
        for named in list {
            let TopicPartition { topic, partition } = &named.partition;
            let is_assigned = state.assigned.contains_key(&named.partition);
            match method {
                Method::Add if is_assigned => {
                    let text = format!(
                        "{topic} [{partition}] is already part of the current assignment and can't be assigned again"
                    );
                    return Err((RespErr::CONFLICT, text));
                }
                Method::Remove if !is_assigned => {
                    let text =
                        format!("{topic} [{partition}] can't be unassigned since it is not in the current assignment");
                    return Err((RespErr::INVALID_ARG, text));
                }
                _ => {}
            }
            let known = position(named.offset).is_some() || matches!(named.offset, offset::INVALID | offset::STORED);
            if method != Method::Remove && (topic.is_empty() || *partition < 0 || !known) {
                let text = format!("Invalid assignment of {topic} [{partition}] at offset {}", named.offset);
                return Err((RespErr::INVALID_ARG, text));
            }
        }
        Ok(())
    }

    /// The change itself; the driver hears of it in the order of the calls.
    pub(super) fn carry_out(&self, state: &mut State, method: Method, list: Vec<Place>) {
        let mut change = Change::default();
        let removed: Vec<Arc<Slot>> = match method {
            Method::Whole => std::mem::take(&mut state.assigned).into_values().collect(),
            Method::Add => Vec::new(),
            Method::Remove => list.iter().filter_map(|named| state.assigned.remove(&named.partition)).collect(),
        };
        for slot in removed {
            if self.settings.commits_every.is_some() && !state.lost && slot.is_uncommitted() {
                change.commits.push(stored(&slot));
            }
            self.take_away(&slot);
            change.stops.push(slot);
        }
        if method != Method::Remove {
            for named in list {
                let Some(slot) = self.slot(state, &named.partition) else { continue };
                slot.set_used(Use::Assigned);
                let (version, turn) = (slot.bump(), slot.next_turn());
                // What the program is told is what librdkafka makes of no offset.
                let asked = if named.offset == offset::INVALID { offset::STORED } else { named.offset };
                slot.asked.set(asked, named.leader_epoch);
                slot.app.clear();
                slot.stored.clear();
                slot.queue.forward_by_default(&self.queue);
                state.assigned.insert(named.partition, slot.clone());
                let looks = matches!(named.offset, offset::INVALID | offset::STORED);
                slot.looking.store(looks, Ordering::Release);
                if looks {
                    change.lookups.push(Starting { slot, turn });
                } else {
                    change.starts.push((slot, version, named.offset));
                }
            }
        }
        let answers = |proposed: &mut Proposed| method == Method::Whole || proposed.assigns == (method == Method::Add);
        change.answers = state.proposed.take_if(answers);
        if change.answers.is_some() {
            state.told = None;
            state.lost = false;
        }
        change.hurries = state.stage == Stage::Closing;
        self.command(move |work| {
            if !change.commits.is_empty() {
                work.commit(change.commits, super::commit::CommitReply::Background, super::commit::Asking::Library);
            }
            for slot in &change.stops {
                work.stop(slot);
            }
            let now = work.core.now();
            if let Some(proposed) = change.answers
                && let Some(member) = work.core.member()
            {
                member.accept(now, proposed.id);
                work.log_accepted(proposed.assigns);
            }
            if change.hurries {
                work.leave(super::close::FAREWELL);
            }
            for (slot, version, from) in &change.starts {
                work.read_from(slot, *version, *from);
            }
            work.look_up(change.lookups);
        });
    }

    /// Nothing more of a partition is handed out, and nothing of it is remembered.
    fn take_away(&self, slot: &Arc<Slot>) {
        slot.set_used(Use::None);
        slot.bump();
        slot.next_turn();
        slot.looking.store(false, Ordering::Release);
        slot.paused.store(false, Ordering::Release);
        slot.app.clear();
        slot.store(offset::INVALID, -1, &[]);
        slot.queue.purge_outdated();
    }
}

/// What is stored for a partition, to be committed.
pub(super) fn stored(slot: &Slot) -> (TopicPartition, OffsetAndMetadata) {
    let (offset, leader_epoch) = (slot.stored.offset(), slot.stored.epoch());
    Place { partition: slot.name.clone(), offset, leader_epoch, metadata: slot.note() }.to_commit()
}

/// Reads these partitions and no others; NULL reads none. An offset that is none, or `RD_KAFKA_OFFSET_STORED`, is what the group has committed.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `partitions` is NULL or came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_assign(rk: *mut Kafka, partitions: *const TopicPartitionList) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (side, list) = match unsafe { (grouped(rk), read(partitions)) } {
            (Ok(side), Some(list)) => (side, list),
            (Err(err), _) => return err,
            (Ok(_), None) => return RespErr::INVALID_ARG,
        };
        side.assign(Method::Whole, list).err().map_or(RespErr::NO_ERROR, |(err, _)| err)
    })
}

/// # Safety
/// As for [`rd_kafka_incremental_assign`].
unsafe fn step(rk: *mut Kafka, partitions: *const TopicPartitionList, method: Method) -> *mut ErrorObject {
    if partitions.is_null() {
        return failed(RespErr::INVALID_ARG, "partitions must not be NULL");
    }
    // SAFETY: the caller vouches for both.
    let (side, list) = match unsafe { (grouped(rk), read(partitions)) } {
        (Ok(side), Some(list)) => (side, list),
        (Err(err), _) => return failed(err, "Requires a consumer with group.id configured"),
        (Ok(_), None) => return failed(RespErr::INVALID_ARG, "a topic's name is not UTF-8"),
    };
    match side.assign(method, list) {
        Ok(()) => std::ptr::null_mut(),
        Err((err, text)) => failed(err, &text),
    }
}

/// Reads these partitions too. NULL, or an error to be destroyed.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `partitions` is NULL or came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_incremental_assign(
    rk: *mut Kafka,
    partitions: *const TopicPartitionList,
) -> *mut ErrorObject {
    // SAFETY: the same promises.
    guard(std::ptr::null_mut(), || unsafe { step(rk, partitions, Method::Add) })
}

/// Reads these partitions no more. NULL, or an error to be destroyed.
///
/// # Safety
/// As for [`rd_kafka_incremental_assign`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_incremental_unassign(
    rk: *mut Kafka,
    partitions: *const TopicPartitionList,
) -> *mut ErrorObject {
    // SAFETY: the same promises.
    guard(std::ptr::null_mut(), || unsafe { step(rk, partitions, Method::Remove) })
}

/// What is assigned, with the offsets that the program assigned, as a list for it to destroy.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `partitions` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_assignment(rk: *mut Kafka, partitions: *mut *mut TopicPartitionList) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for `rk`.
        let side = match unsafe { grouped(rk) } {
            Ok(side) => side,
            Err(err) => return err,
        };
        let mut list = List::new();
        for slot in side.state().assigned.values() {
            let place = Place {
                partition: slot.name.clone(),
                offset: slot.asked.offset(),
                leader_epoch: slot.asked.epoch(),
                metadata: Vec::new(),
            };
            list.add_place(&place, RespErr::NO_ERROR);
        }
        // SAFETY: the caller vouches for the place.
        unsafe { partitions.write(list.give_away()) };
        RespErr::NO_ERROR
    })
}

/// Whether what is assigned was lost, so that nothing of it can be committed.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_assignment_lost(rk: *mut Kafka) -> std::ffi::c_int {
    // SAFETY: the caller vouches for `rk`.
    guard(0, || unsafe { grouped(rk) }.map_or(0, |side| std::ffi::c_int::from(side.state().lost)))
}
