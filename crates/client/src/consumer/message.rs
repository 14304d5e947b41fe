//! What a consumer hands out: [`Message`], a record with the right to say that it is done, and [`Batch`], many of them at once.

use std::fmt;
use std::ops::Deref;

use felice_client_core::consumer::OffsetAndMetadata;
use felice_client_core::error::Error;

use super::partition::{Taken, Token};
use crate::fetched_batch::FetchedBatch;
use crate::record::{BorrowedRecord, Record};

/// A record of a group's partition, with the right to say that it is done. `'static`, `Send`, and reads as the [`Record`] it holds, which can be
/// cloned out of it.
///
/// Dropping it without [`done`](Self::done) leaves it undone: the commits of its partition stay before it.
pub struct Message {
    record: Record,
    token: Token,
}

impl Message {
    pub(super) fn new((record, token): (Record, Token)) -> Self {
        Self { record, token }
    }

    /// It is dealt with: once everything before it in its partition is too, a commit passes it. Costs one lock of the partition, waits for
    /// nothing. After a seek, or once the partition is somebody else's, it does not count; the latter is told as
    /// [`ConsumerEvent::LateDone`](crate::ConsumerEvent::LateDone).
    pub fn done(self) {
        self.token.done(self.record.offset() + 1, self.record.leader_epoch().unwrap_or(-1));
    }

    /// Stores the offset behind it, for the next commit of what is stored ([`Commit::Stored`](crate::Commit::Stored)), unless one further on is
    /// stored already. librdkafka: `rd_kafka_offset_store_message`; sarama: `MarkMessage`.
    pub fn store(&self) {
        let leader_epoch = self.record.leader_epoch().unwrap_or(-1);
        let place = OffsetAndMetadata { leader_epoch, ..OffsetAndMetadata::new(self.record.offset() + 1) };
        self.token.partition().store_forward(place);
    }

    /// The record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The record alone; the right to call it done is given up.
    pub fn into_record(self) -> Record {
        self.record
    }
}

impl Deref for Message {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Message").field(&self.record).finish()
    }
}

/// What one answer brought of one partition, with the right to say that it is done. Its records are decoded as they are asked for, and nothing
/// is locked, allocated or counted for each. `'static` and `Send`.
///
/// Dropping it without [`done`](Self::done) leaves all of it undone.
#[derive(Debug)]
pub struct Batch {
    batch: FetchedBatch,
    token: Token,
    next: i64,
}

impl Batch {
    pub(super) fn new(taken: Taken) -> Self {
        Self { batch: taken.batch, token: taken.token, next: taken.next }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.batch.topic()
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.batch.partition()
    }

    /// The first offset that it stands for; there may be no record of just that offset.
    pub fn first_offset(&self) -> i64 {
        self.token.from
    }

    /// The offset at which the next batch begins.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// The end of what readers see, as of this answer.
    pub fn high_watermark(&self) -> i64 {
        self.batch.high_watermark()
    }

    /// The size of the answer's part for this partition, in bytes.
    pub fn size_in_bytes(&self) -> usize {
        self.batch.size_in_bytes()
    }

    /// The next record, borrowed; `None` where the batch is over.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) where it cannot be read, which ends the batch.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from itself")]
    #[inline]
    pub fn next(&mut self) -> Option<Result<BorrowedRecord<'_>, Error>> {
        self.batch.next()
    }

    /// Calls `f` with every record that is left: the fastest way through a batch.
    ///
    /// # Errors
    /// Where a record cannot be read; those before it were given to `f`.
    pub fn for_each(&mut self, f: impl FnMut(BorrowedRecord<'_>)) -> Result<(), Error> {
        self.batch.for_each(f)
    }

    /// The records that are left, to keep.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn records(&mut self) -> impl Iterator<Item = Result<Record, Error>> {
        std::iter::from_fn(|| self.batch.next_owned())
    }

    /// All of it is dealt with, whatever was read of it. Costs one lock of the partition, waits for nothing.
    pub fn done(self) {
        self.token.done(self.next, -1);
    }

    /// What of it comes before this offset is dealt with.
    pub fn done_before(&self, offset: i64) {
        self.token.done(offset.min(self.next), -1);
    }

    /// Stores the offset behind it, for the next commit of what is stored ([`Commit::Stored`](crate::Commit::Stored)), unless one further on is
    /// stored already.
    pub fn store(&self) {
        self.token.partition().store_forward(OffsetAndMetadata::new(self.next));
    }

    /// What it was fetched as, to hand out pointers into it; the right to call it done is given up.
    pub fn into_fetched(self) -> FetchedBatch {
        self.batch
    }
}
