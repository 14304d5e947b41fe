//! What partitions put into queues: records, decoded as they are popped, and errors that programs get as messages.

use std::ffi::{CStr, CString};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use felice::FetchedBatch;

use super::ConsumerSide;
use super::slot::Slot;
use crate::message::Ready;
use crate::topic::{Topic, Topics};
use crate::types::{Message, RespErr};

/// Records of one partition, on their way through a queue.
#[derive(Debug)]
pub(crate) struct Messages {
    slot: Arc<Slot>,
    version: u32,
    batch: Option<Box<FetchedBatch>>,
    ready: Option<Ready>,
    topics: Arc<Topics>,
    bytes: usize,
    /// How many offsets.
    offsets: u64,
    side: Weak<ConsumerSide>,
}

impl Messages {
    pub(super) fn new(slot: Arc<Slot>, version: u32, batch: FetchedBatch, offsets: u64, side: &ConsumerSide) -> Self {
        let bytes = batch.size_in_bytes();
        slot.waiting.fetch_add(bytes, Ordering::AcqRel);
        slot.queued.fetch_add(offsets, Ordering::AcqRel);
        let (topics, side) = (side.topics.clone(), side.this.clone());
        Self { slot, version, batch: Some(Box::new(batch)), ready: None, topics, bytes, offsets, side }
    }

    /// The next message, the program's from here on; `None` where there is none, or what is left is of an older version.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<*mut Message> {
        if self.is_outdated() || !self.prepare() {
            return None;
        }
        let ready = self.ready.as_mut()?;
        let epoch = ready.leader_epoch();
        let message = ready.take()?;
        // SAFETY: it was taken just now; nobody else has it.
        let taken = unsafe { &*message };
        if taken.err == RespErr::NO_ERROR {
            self.slot.took(taken.offset + 1, epoch);
        }
        Some(message)
    }

    /// Reads the next run of messages where the last one is over; `false` where nothing is left.
    #[inline]
    pub(crate) fn prepare(&mut self) -> bool {
        loop {
            if self.ready.as_ref().is_some_and(|ready| ready.left() > 0) {
                return true;
            }
            self.ready = None;
            let Some(batch) = self.batch.as_mut() else { return false };
            match Ready::read(batch, &self.topics) {
                Some(Ok(ready)) => {
                    self.slot.received.0.fetch_add(ready.left() as u64, Ordering::Relaxed);
                    self.ready = Some(ready);
                }
                Some(Err(error)) => {
                    self.ready = Some(Ready::error(&error, &self.topics));
                    self.batch = None;
                }
                None => self.batch = None,
            }
        }
    }

    /// How many are left, where that is known: one for a batch that nobody has looked at.
    pub(crate) fn left(&self) -> usize {
        self.ready.as_ref().map_or(0, Ready::left) + usize::from(self.batch.is_some())
    }

    /// Whether it is of an older version.
    #[inline]
    pub(crate) fn is_outdated(&self) -> bool {
        self.slot.version() != self.version
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        let slot = &self.slot;
        let before = slot.waiting.fetch_sub(self.bytes, Ordering::AcqRel);
        let queued = slot.queued.fetch_sub(self.offsets, Ordering::AcqRel) - self.offsets;
        let is_empty = before == self.bytes;
        if (is_empty && slot.throttled.load(Ordering::Acquire) || slot.full.load(Ordering::Acquire))
            && let Some(side) = self.side.upgrade()
        {
            let emptied = is_empty && slot.throttled.swap(false, Ordering::AcqRel);
            let has_room = queued < side.settings.queued_min && slot.full.swap(false, Ordering::AcqRel);
            if emptied || has_room {
                let slot = slot.clone();
                side.command(move |work| work.unthrottle(&slot));
            }
        }
        if !self.is_outdated() {
            slot.received.1.fetch_add(self.bytes as u64, Ordering::Relaxed);
        }
    }
}

/// An error that a program gets as a message, or as an event.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) err: RespErr,
    pub(crate) text: CString,
    topic: Option<Arc<Topic>>,
    partition: i32,
    offset: i64,
    /// It is of this version of the partition.
    of: Option<(Arc<Slot>, u32)>,
}

impl Failure {
    /// One of the group, or of nothing in particular.
    pub(crate) fn new(err: RespErr, text: &str) -> Self {
        let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
        Self { err, text, topic: None, partition: -1, offset: crate::types::offset::INVALID, of: None }
    }

    /// One of a topic.
    pub(crate) fn on_topic(mut self, topic: Option<Arc<Topic>>) -> Self {
        self.topic = topic;
        self
    }

    /// One of a partition, at this offset; void once the partition has another version.
    pub(crate) fn on(mut self, slot: &Arc<Slot>, version: u32, offset: i64) -> Self {
        self.topic = Some(slot.topic.clone());
        self.partition = slot.name.partition;
        self.offset = offset;
        self.of = Some((slot.clone(), version));
        self
    }

    /// Whether its place is among the messages of a partition.
    pub(crate) fn is_of_partition(&self) -> bool {
        self.of.is_some()
    }

    pub(crate) fn is_outdated(&self) -> bool {
        self.of.as_ref().is_some_and(|(slot, version)| slot.version() != *version)
    }

    /// Its partition, where it has one.
    pub(crate) fn partition(&self) -> Option<(&CStr, i32, i64)> {
        Some((self.topic.as_ref()?.c_name(), self.partition, self.offset))
    }

    /// The message that tells it, the program's from here on.
    pub(crate) fn into_message(self) -> *mut Message {
        let topic = self.topic.map_or(std::ptr::null_mut(), |topic| Arc::as_ptr(&topic).cast_mut().cast());
        let mut ready = Ready::told(self.err, topic, self.partition, self.offset, self.text);
        ready.take().unwrap_or(std::ptr::null_mut())
    }
}
