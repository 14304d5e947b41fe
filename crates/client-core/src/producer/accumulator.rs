//! One partition's records before they are sent: encoded by the application's thread straight into the open batch.
//!
//! The accumulator is touched by application threads and by the driver, so whoever shares it puts a lock around it; each method is one lock
//! section. A full batch is handed to the thread that filled it ([`Closing`]), which compresses it without the lock while its place in the
//! queue is kept.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use felice_protocol::compression::{Compression, Compressor};
use felice_protocol::records::{ClosedBatch, Header, RecordBatchBuilder};
use felice_protocol::time::{Instant, Now};

use crate::config::ProducerConfig;
use crate::error::{Error, ErrorKind};

/// Memory is reserved in pieces of this size, so that a record costs none.
pub const CHUNK: usize = 64 * 1024;

/// Batches above this are not compressed by the driver.
pub const COMPRESS_INLINE_MAX: usize = 64 * 1024;

/// Where an accumulator gets its memory from.
pub trait Memory {
    /// Reserves bytes, all or nothing, without waiting.
    fn try_reserve(&self, bytes: usize) -> bool;
    /// An empty buffer of about this capacity.
    fn buffer(&self, capacity: usize) -> BytesMut;
}

/// A record as it is encoded.
#[derive(Clone, Copy, Debug)]
pub struct RecordData<'a> {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a [Header<'a>],
}

/// What an accumulator keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes after which a batch is full.
    pub batch_size: usize,
    /// Records after which a batch is full.
    pub batch_num_messages: i32,
    /// Largest record.
    pub max_request_size: usize,
    /// How long a batch waits for more records.
    pub linger: Duration,
    /// The codec.
    pub compression: Compression,
    /// How hard it works.
    pub compression_level: Option<i32>,
}

impl From<&ProducerConfig> for Limits {
    fn from(config: &ProducerConfig) -> Self {
        Self {
            batch_size: config.batch_size,
            batch_num_messages: config.batch_num_messages,
            max_request_size: config.max_request_size,
            linger: config.linger,
            compression: config.compression,
            compression_level: config.compression_level,
        }
    }
}

/// What an append did.
#[derive(Debug)]
pub struct Appended<R, T> {
    /// What the caller made of the batch's tag and the record's place in the batch.
    pub value: R,
    /// A batch opened or filled: the driver wants to know.
    pub wake: bool,
    /// The sticky partition has had its share: records without a key go elsewhere from here on.
    pub switch: bool,
    /// A batch that the caller closes, after releasing the lock, and gives to [`Accumulator::finish`].
    pub filled: Option<Box<Closing<T>>>,
}

/// Why nothing was appended.
#[derive(Debug)]
pub enum AppendError {
    /// No memory can be reserved now.
    Full,
    /// The record will never fit.
    Refused(Error),
}

#[derive(Debug)]
struct OpenBatch<T> {
    builder: RecordBatchBuilder,
    tag: T,
    opened_at: Instant,
    reserved: usize,
}

/// A full batch on its way from open to closed, without the accumulator's lock.
#[derive(Debug)]
#[must_use = "close it and give it to `Accumulator::finish`"]
pub struct Closing<T> {
    ticket: u64,
    open: OpenBatch<T>,
    compression: Compression,
    level: Option<i32>,
}

impl<T> Closing<T> {
    /// Compresses the batch.
    pub fn close(self, compressor: &mut Compressor) -> (u64, ReadyBatch<T>) {
        (self.ticket, close(self.open, compressor, self.compression, self.level))
    }
}

fn close<T>(
    open: OpenBatch<T>,
    compressor: &mut Compressor,
    compression: Compression,
    level: Option<i32>,
) -> ReadyBatch<T> {
    let (count, size) = (open.builder.count(), open.builder.len());
    let batch = open.builder.close(compressor, compression, level);
    ReadyBatch {
        batch,
        tag: open.tag,
        opened_at: open.opened_at,
        reserved: open.reserved,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        size,
    }
}

/// A batch that can be sent.
#[derive(Debug)]
pub struct ReadyBatch<T> {
    /// The records.
    pub batch: ClosedBatch,
    /// What the application attached to the batch.
    pub tag: T,
    /// When its first record came: its delivery timeout counts from here.
    pub opened_at: Instant,
    /// Memory to give back once it is done.
    pub reserved: usize,
    /// How many records it has.
    pub count: u32,
    /// Their bytes, before compression.
    pub size: usize,
}

/// What waits to be sent, or to be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// Batches.
    pub batches: u64,
    /// Records.
    pub records: u64,
    /// Their bytes, before compression.
    pub bytes: u64,
}

impl Queued {
    /// One batch more.
    pub fn add(&mut self, count: u32, size: usize) {
        self.batches += 1;
        self.records += u64::from(count);
        self.bytes += size as u64;
    }
}

#[derive(Debug)]
enum Slot<T> {
    Closing { ticket: u64, opened_at: Instant, count: u32, size: usize },
    Closed(ReadyBatch<T>),
}

/// What [`Accumulator::take`] found.
#[derive(Debug)]
pub enum Taken<T> {
    /// The next batch.
    Batch(ReadyBatch<T>),
    /// A batch that someone else must compress, and then [`Accumulator::finish`].
    Compress(Closing<T>),
    /// A thread is compressing the next batch and will wake the driver.
    Closing,
    /// The open batch lingers until then.
    Lingering(Instant),
    /// Nothing.
    Empty,
}

/// One partition's accumulator; `T` is what the application attaches to each batch.
#[derive(Debug)]
pub struct Accumulator<T> {
    limits: Limits,
    open: Option<OpenBatch<T>>,
    queue: VecDeque<Slot<T>>,
    next_ticket: u64,
    sticky_bytes: usize,
    /// How large the last batches became: the capacity that the next one starts with.
    capacity_hint: usize,
}

impl<T> Accumulator<T> {
    /// An empty accumulator.
    pub fn new(limits: Limits) -> Self {
        Self { limits, open: None, queue: VecDeque::new(), next_ticket: 0, sticky_bytes: 0, capacity_hint: 4096 }
    }

    /// Appends a record. `now` is asked for where a batch opens; `new` makes the tag of a batch that opens; `with` sees the tag and the record's place in the batch.
    ///
    /// # Errors
    /// [`AppendError::Full`] where no memory is free, [`AppendError::Refused`] for a record above `max.request.size`.
    #[inline]
    pub fn append<R>(
        &mut self,
        now: impl FnOnce() -> Instant,
        record: &RecordData<'_>,
        memory: &impl Memory,
        new: impl FnOnce() -> T,
        with: impl FnOnce(&T, u32) -> R,
    ) -> Result<Appended<R, T>, AppendError> {
        let size = RecordBatchBuilder::size_of_record(record.key, record.value, record.headers);
        if size > self.limits.max_request_size {
            return Err(AppendError::Refused(too_large(size, self.limits.max_request_size)));
        }
        let mut filled = None;
        let mut wake = false;
        let fits = self.open.as_mut().map(|open| {
            let needed = open.builder.len() + size;
            let fits = needed <= self.limits.batch_size && open.builder.count() < self.limits.batch_num_messages;
            (fits, needed.saturating_sub(open.reserved))
        });
        match (fits, &mut self.open) {
            (Some((true, 0)), _) => {}
            (Some((true, missing)), Some(open)) => {
                let bytes = missing.next_multiple_of(CHUNK);
                if !memory.try_reserve(bytes) {
                    return Err(AppendError::Full);
                }
                open.reserved += bytes;
            }
            _ => {
                let reserved = (size + HEADER).next_multiple_of(CHUNK).min((size + HEADER).max(self.limits.batch_size));
                if !memory.try_reserve(reserved) {
                    return Err(AppendError::Full);
                }
                filled = self.fill();
                let buffer = memory.buffer(self.capacity_hint.max(size + HEADER));
                let builder = RecordBatchBuilder::new(buffer);
                self.open = Some(OpenBatch { builder, tag: new(), opened_at: now(), reserved });
                wake = true;
            }
        }
        let Some(open) = &mut self.open else {
            return Err(AppendError::Refused(Error::new(ErrorKind::Bug, "an open batch is not there")));
        };
        let index = open.builder.append(record.timestamp, record.key, record.value, record.headers);
        let value = with(&open.tag, u32::try_from(index).unwrap_or_default());
        // The next record is taken to be like this one: a batch that has no room for it leaves now instead of at the next append.
        if filled.is_none()
            && (open.builder.len() + size > self.limits.batch_size
                || open.builder.count() >= self.limits.batch_num_messages)
        {
            filled = self.fill();
            wake = true;
        }
        self.sticky_bytes += size;
        let switch = self.sticky_bytes >= self.limits.batch_size || (wake && self.open.is_none());
        if switch {
            self.sticky_bytes = 0;
        }
        Ok(Appended { value, wake, switch, filled })
    }

    /// Moves the open batch to the queue, as a kept place: whoever filled it closes it, without the lock.
    #[cold]
    fn fill(&mut self) -> Option<Box<Closing<T>>> {
        let open = self.open.take()?;
        self.capacity_hint = open.builder.len().next_power_of_two().min(self.limits.batch_size + HEADER);
        // Boxed, so that what every append returns stays small.
        Some(Box::new(self.start_closing(open)))
    }

    fn start_closing(&mut self, open: OpenBatch<T>) -> Closing<T> {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let count = u32::try_from(open.builder.count()).unwrap_or(u32::MAX);
        let size = open.builder.len();
        self.queue.push_back(Slot::Closing { ticket, opened_at: open.opened_at, count, size });
        Closing { ticket, open, compression: self.limits.compression, level: self.limits.compression_level }
    }

    /// A batch was compressed: it goes to its place.
    pub fn finish(&mut self, ticket: u64, batch: ReadyBatch<T>) {
        for slot in &mut self.queue {
            if matches!(slot, Slot::Closing { ticket: t, .. } if *t == ticket) {
                *slot = Slot::Closed(batch);
                return;
            }
        }
        debug_assert!(false, "a place in the queue is gone");
    }

    /// The next batch, if it is due; `force` does not wait for the linger. `compressor` is used for small batches only.
    pub fn take(&mut self, now: Now, force: bool, compressor: &mut Compressor) -> Taken<T> {
        match self.queue.pop_front() {
            Some(Slot::Closed(batch)) => return Taken::Batch(batch),
            Some(closing @ Slot::Closing { .. }) => {
                self.queue.push_front(closing);
                return Taken::Closing;
            }
            None => {}
        }
        let Some(open) = &self.open else {
            return Taken::Empty;
        };
        let due = open.opened_at + self.limits.linger;
        if !force && due > now.instant() {
            return Taken::Lingering(due);
        }
        let Some(open) = self.open.take() else {
            return Taken::Empty;
        };
        self.capacity_hint = (self.capacity_hint / 2 + open.builder.len() / 2)
            .next_power_of_two()
            .max(512)
            .min(self.limits.batch_size + HEADER);
        if self.limits.compression != Compression::None && open.builder.len() > COMPRESS_INLINE_MAX {
            return Taken::Compress(self.start_closing(open));
        }
        Taken::Batch(close(open, compressor, self.limits.compression, self.limits.compression_level))
    }

    /// The next batch, to be given up: it is not compressed. `None` where there is none, or a thread is closing it.
    pub fn give_up(&mut self) -> Option<ReadyBatch<T>> {
        match self.queue.pop_front() {
            Some(Slot::Closed(batch)) => return Some(batch),
            Some(closing @ Slot::Closing { .. }) => {
                self.queue.push_front(closing);
                return None;
            }
            None => {}
        }
        self.open.take().map(|open| close(open, &mut Compressor::default(), Compression::None, None))
    }

    /// Drops all batches but those that a thread is closing.
    pub fn clear(&mut self) {
        self.open = None;
        self.queue.retain(|slot| matches!(slot, Slot::Closing { .. }));
    }

    /// Adds what waits here.
    pub fn count(&self, queued: &mut Queued) {
        for slot in &self.queue {
            match slot {
                Slot::Closing { count, size, .. } => queued.add(*count, *size),
                Slot::Closed(batch) => queued.add(batch.count, batch.size),
            }
        }
        if let Some(open) = &self.open {
            queued.add(u32::try_from(open.builder.count()).unwrap_or(u32::MAX), open.builder.len());
        }
    }

    /// When the oldest record that waits here came.
    pub fn oldest(&self) -> Option<Instant> {
        match self.queue.front() {
            Some(Slot::Closed(batch)) => Some(batch.opened_at),
            Some(Slot::Closing { opened_at, .. }) => Some(*opened_at),
            None => self.open.as_ref().map(|open| open.opened_at),
        }
    }
}

/// Bytes in front of a batch's records.
const HEADER: usize = 61;

/// The error for a record above the limit.
pub fn too_large(size: usize, limit: usize) -> Error {
    Error::new(ErrorKind::RecordTooLarge, format!("a record of {size} bytes is above max.request.size, {limit}"))
        .hinting("raise max.request.size here, and max.message.bytes at the topic where that is lower")
}
