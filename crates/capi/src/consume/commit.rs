//! Commits: what is stored or named, at once or later, and who hears of it.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::sync::{Arc, mpsc};

use felice::{ErrorCode, OffsetAndMetadata, TopicPartition};

use super::assignment::stored;
use super::slot::Slot;
use super::work::{Out, Work};
use super::{ConsumerSide, grouped, wait};
use crate::boundary::guard;
use crate::handle::Kafka;
use crate::list::{List, Place, read, write};
use crate::op::Op;
use crate::queue::{Queue, QueueRef};
use crate::topic::Topic;
use crate::types::{Message, RespErr, TopicPartitionList, offset};
use crate::wait::Deadline;

/// Called with what came of a commit.
pub type CommitCb = unsafe extern "C" fn(*mut Kafka, RespErr, *mut TopicPartitionList, *mut c_void);

/// The program's pointer that goes with a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opaque(pub(crate) *mut c_void);

// SAFETY: nothing here looks behind it.
unsafe impl Send for Opaque {}

/// What came of a commit, on its way to the program.
#[derive(Debug)]
pub(crate) struct CommitResult {
    pub(crate) err: RespErr,
    pub(crate) list: List,
    /// The callback of the call, and what it gets; else the handle's is called.
    own: Option<(Option<CommitCb>, Opaque)>,
}

impl CommitResult {
    pub(crate) fn opaque(&self) -> *mut c_void {
        self.own.map_or(std::ptr::null_mut(), |(_, opaque)| opaque.0)
    }

    /// Calls the program back.
    pub(crate) fn call(&self, kafka: &Kafka) {
        let (callback, opaque) = match self.own {
            Some((callback, opaque)) => (callback, opaque.0),
            None => (kafka.conf.callbacks.offset_commit_cb, kafka.conf.opaque),
        };
        if let Some(callback) = callback {
            // SAFETY: the program's own function; the list lives until it has come back.
            unsafe { callback(kafka.pointer(), self.err, self.list.as_ptr(), opaque) };
        }
    }
}

/// Who wants a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// The program, which hears what the coordinator says.
    Program,
    /// The library, by itself: it is made again as long as it may be.
    Library,
}

/// Who hears what came of a commit, beside the handle's own callback.
#[derive(Debug)]
pub(super) enum CommitReply {
    /// Nobody.
    Background,
    /// A call that waits, and whether it has a callback of its own.
    Sync(mpsc::Sender<CommitResult>, bool),
    /// A queue, with the callback that is called from there.
    Queue(Arc<Queue>, Option<CommitCb>, Opaque),
}

/// A commit on its way.
#[derive(Debug)]
pub(super) struct Commit {
    /// What is not an offset is not committed, and only told of.
    pub(super) offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    pub(super) reply: CommitReply,
}

/// Whether it can be committed.
pub(super) fn is_one((_, place): &(TopicPartition, OffsetAndMetadata)) -> bool {
    place.offset >= 0
}

impl ConsumerSide {
    /// All that is assigned, with what is stored and not committed.
    fn uncommitted(&self) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        let state = self.state();
        let slots = if state.legacy > 0 { &state.slots } else { &state.assigned };
        let place = |slot: &Arc<Slot>| {
            if slot.is_uncommitted() && (state.legacy == 0 || self.file(slot).is_none()) {
                return stored(slot);
            }
            let nothing = OffsetAndMetadata { offset: offset::INVALID, ..OffsetAndMetadata::new(0) };
            (slot.name.clone(), nothing)
        };
        slots.values().map(place).collect()
    }

    pub(super) fn commit_in_background(&self) {
        if self.state().lost {
            return;
        }
        let offsets = self.uncommitted();
        if offsets.iter().any(is_one) {
            self.command(|work| work.commit(offsets, CommitReply::Background, Asking::Library));
        }
    }

    /// Commits what is named, or what is stored.
    fn commit(&self, named: Option<Vec<(TopicPartition, OffsetAndMetadata)>>, reply: CommitReply) {
        let refused = match &named {
            None if self.state().lost => Some(RespErr::ASSIGNMENT_LOST),
            None | Some(_) => None,
        };
        let offsets = named.unwrap_or_else(|| self.uncommitted());
        let refused = refused.or((!offsets.iter().any(is_one)).then_some(RespErr::NO_OFFSET));
        self.command(move |work| match refused {
            Some(err) => work.committed(super::commit::Commit { offsets, reply }, Err(err)),
            None => work.commit(offsets, reply, Asking::Program),
        });
    }

    /// Commits and waits; a callback of the call's `own` is called in place of the handle's.
    fn commit_now(
        &self,
        named: Option<Vec<(TopicPartition, OffsetAndMetadata)>>,
        own: bool,
    ) -> Result<CommitResult, RespErr> {
        let (told, answer) = mpsc::channel();
        self.commit(named, CommitReply::Sync(told, own));
        wait(&answer, Deadline::NEVER)
    }

    fn commit_either(&self, named: Option<Vec<(TopicPartition, OffsetAndMetadata)>>, is_async: bool) -> RespErr {
        if is_async {
            self.commit(named, CommitReply::Background);
            return RespErr::NO_ERROR;
        }
        self.commit_now(named, false).map_or_else(|err| err, |result| result.err)
    }
}

impl Work<'_, '_> {
    /// A commit is done: its partitions remember it, and whoever waits is told.
    pub(super) fn committed(&mut self, commit: Commit, result: Result<Vec<(TopicPartition, ErrorCode)>, RespErr>) {
        let codes: BTreeMap<TopicPartition, ErrorCode> =
            result.as_ref().cloned().unwrap_or_default().into_iter().collect();
        let request = result.err().unwrap_or(RespErr::NO_ERROR);
        let (mut wrong, mut asked, mut last) = (0, 0, RespErr::NO_ERROR);
        let lost = self.side.state().lost;
        let mut answered = Vec::new();
        for (partition, place) in commit.offsets {
            let err = match codes.get(&partition) {
                _ if place.offset < 0 => {
                    answered.push((partition, place, RespErr::NO_ERROR));
                    continue;
                }
                // What a broker would say who was asked.
                Some(&ErrorCode::ILLEGAL_GENERATION) if lost => RespErr(ErrorCode::UNKNOWN_MEMBER_ID.0.into()),
                Some(code) => RespErr(code.0.into()),
                None => request,
            };
            asked += 1;
            if err == RespErr::NO_ERROR {
                if let Some(slot) = self.side.state().slots.get(&partition) {
                    slot.committed.set(place.offset, place.leader_epoch);
                }
            } else {
                wrong += 1;
                last = err;
            }
            answered.push((partition, place, err));
        }
        let err = match request {
            RespErr::NO_ERROR if wrong == asked => last,
            RespErr::NO_ERROR => RespErr::NO_ERROR,
            err => err,
        };
        let list = || {
            let mut list = List::new();
            for (partition, place, err) in &answered {
                if let Some(element) = list.add(&partition.topic, partition.partition) {
                    write(element, place.offset, place.leader_epoch, place.metadata.as_bytes(), *err);
                }
            }
            list
        };
        let hides = matches!(err, RespErr::NO_OFFSET | RespErr::DESTROY) || answered.is_empty();
        if !hides && !self.side.interceptors.commits_unseen() {
            self.carry.out.push(Out::Show(CommitResult { err, list: list(), own: None }));
        }
        let own = matches!(commit.reply, CommitReply::Queue(_, Some(_), _) | CommitReply::Sync(_, true));
        if self.side.settings.tells_commit && !own && !self.side.state().silent {
            let result = CommitResult { err, list: list(), own: None };
            let main = self.side.main.clone();
            self.out(&main, Op::OffsetCommit(Box::new(result)));
        }
        match commit.reply {
            CommitReply::Background => {}
            CommitReply::Sync(told, _) => {
                self.carry.out.push(Out::Answer(told, CommitResult { err, list: list(), own: None }));
            }
            CommitReply::Queue(queue, callback, opaque) => {
                let result = CommitResult { err, list: list(), own: Some((callback, opaque)) };
                self.out(&queue, Op::OffsetCommit(Box::new(result)));
            }
        }
    }
}

/// The offsets of a list; `None` for NULL, `Err` where a name is none.
///
/// # Safety
/// `list` is NULL or came from `rd_kafka_topic_partition_list_new`.
unsafe fn named(list: *const TopicPartitionList) -> Result<Option<Vec<(TopicPartition, OffsetAndMetadata)>>, RespErr> {
    if list.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller vouches for the list.
    let list = unsafe { read(list) }.ok_or(RespErr::INVALID_ARG)?;
    Ok(Some(list.iter().map(Place::to_commit).collect()))
}

/// Commits these offsets; NULL commits what is stored of what is assigned. Waits unless `is_async`; then the handle's callback tells.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `offsets` is NULL or came from `rd_kafka_topic_partition_list_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_commit(
    rk: *mut Kafka,
    offsets: *const TopicPartitionList,
    is_async: c_int,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        match unsafe { (grouped(rk), named(offsets)) } {
            (Ok(side), Ok(named)) => side.commit_either(named, is_async != 0),
            (Err(err), _) | (_, Err(err)) => err,
        }
    })
}

/// Commits the offset behind a message.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkmessage` from a call that consumes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_commit_message(
    rk: *mut Kafka,
    rkmessage: *const Message,
    is_async: c_int,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both; a message's topic lives as long as the handle.
        let (side, message) = unsafe { (grouped(rk), rkmessage.as_ref()) };
        let side = match side {
            Ok(side) => side,
            Err(err) => return err,
        };
        let Some(message) = message else { return RespErr::INVALID_ARG };
        if message.err != RespErr::NO_ERROR {
            return RespErr::INVALID_ARG;
        }
        // SAFETY: as above.
        let Some(topic) = (unsafe { message.rkt.cast::<Topic>().as_ref() }) else { return RespErr::INVALID_ARG };
        let partition = TopicPartition::new(topic.name.as_str(), message.partition);
        side.commit_either(Some(vec![(partition, OffsetAndMetadata::new(message.offset + 1))]), is_async != 0)
    })
}

/// Commits as [`rd_kafka_commit`]; what came of it goes to `rkqu`, where `cb` is called for it. Without a queue it waits, and calls `cb` here.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `offsets` is NULL or came from `rd_kafka_topic_partition_list_new`, `rkqu` is NULL or from a call that gives a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_commit_queue(
    rk: *mut Kafka,
    offsets: *const TopicPartitionList,
    rkqu: *mut QueueRef,
    cb: Option<CommitCb>,
    commit_opaque: *mut c_void,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for all three.
        let (side, named, queue) = match unsafe { (grouped(rk), named(offsets), rkqu.as_ref()) } {
            (Ok(side), Ok(named), queue) => (side, named, queue),
            (Err(err), ..) | (_, Err(err), _) => return err,
        };
        let opaque = Opaque(commit_opaque);
        if let Some(queue) = queue {
            side.commit(named, CommitReply::Queue(queue.queue.clone(), cb, opaque));
            return RespErr::NO_ERROR;
        }
        match side.commit_now(named, cb.is_some()) {
            Ok(result) => {
                if let Some(cb) = cb {
                    // SAFETY: the program's own function; the list lives until it has come back.
                    unsafe { cb(rk, result.err, result.list.as_ptr(), commit_opaque) };
                }
                result.err
            }
            Err(err) => err,
        }
    })
}
