//! A partition of the sender: where its leader is, and its batches that were written and are not done.

use std::collections::VecDeque;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::records::{ClosedBatch, Producer};
use felice_protocol::time::{Instant, Now};

use crate::backoff::Backoff;
use crate::bugs::{Bug, Bugs};
use crate::error::Error;
use crate::metadata::{BrokerId, ClusterMetadata};
use crate::producer::accumulator::ReadyBatch;
use crate::producer::idempotence::Identity;

#[derive(Debug)]
pub(super) struct Partition<T> {
    pub(super) topic: ByteStr,
    pub(super) topic_id: Uuid,
    pub(super) index: i32,
    pub(super) leader: Option<BrokerId>,
    pub(super) leader_epoch: i32,
    pub(super) unresolved: VecDeque<Unresolved<T>>,
    pub(super) backoff: Backoff,
    pub(super) blocked_until: Option<Instant>,
    /// The current leader has taken a batch under the current identity.
    pub(super) proven: bool,
    pub(super) identity: Identity,
    pub(super) next_sequence: i32,
    /// The number of the next record, counted from 1, whatever the identity.
    pub(super) next_record: u64,
    /// The accumulator may have something.
    pub(super) has_batches: bool,
    pub(super) lingering_until: Option<Instant>,
    /// No record of the accumulator is older.
    pub(super) oldest: Option<Instant>,
    pub(super) failure: Option<ErrorCode>,
    /// The topic was made anew with fewer partitions.
    pub(super) gone: bool,
}

impl<T> Partition<T> {
    /// A partition that nothing is known of.
    pub(super) fn new(topic: &ByteStr, index: i32, backoff: Backoff) -> Self {
        Self {
            topic: topic.clone(),
            topic_id: Uuid::default(),
            index,
            leader: None,
            leader_epoch: -1,
            unresolved: VecDeque::new(),
            backoff,
            blocked_until: None,
            proven: false,
            identity: Identity::NONE,
            next_sequence: 0,
            next_record: 1,
            has_batches: false,
            lingering_until: None,
            oldest: None,
            failure: None,
            gone: false,
        }
    }

    /// Follows the partition to its leader.
    pub(super) fn place(&mut self, metadata: &ClusterMetadata) {
        self.failure = metadata.errors.get(&self.topic).copied();
        let (Some(topic), known) = (metadata.topics.get(&self.topic), metadata.partition(&self.topic, self.index))
        else {
            return;
        };
        // A topic only gets more partitions: one that has fewer under the same id comes from a broker that is behind.
        self.gone = known.is_none() && topic.id != self.topic_id;
        let Some(known) = known else { return };
        self.topic_id = topic.id;
        if self.leader != known.leader || self.leader_epoch != known.leader_epoch {
            if self.leader != known.leader {
                self.proven = false;
            }
            self.leader = known.leader;
            self.leader_epoch = known.leader_epoch;
            self.blocked_until = None;
        }
    }

    /// Whether something of it might leave now.
    pub(super) fn wants(&self, now: Now) -> bool {
        let blocked = self.blocked_until.is_some_and(|until| until > now.instant());
        let lingering = self.lingering_until.is_some_and(|until| until > now.instant());
        let retries = self.unresolved.iter().any(|b| b.flight == Flight::Retry);
        !blocked && (retries || self.has_batches && !lingering)
    }

    pub(super) fn position(&self, request: u64) -> Option<usize> {
        self.unresolved.iter().position(|b| b.request == request && matches!(b.flight, Flight::InFlight(_)))
    }

    pub(super) fn pause(&mut self, now: Now) {
        self.blocked_until = Some(now.instant() + self.backoff.next());
        self.proven = false;
    }

    /// The bytes of a new batch, under the sequences that come next.
    pub(super) fn write(
        &mut self,
        now: Now,
        mut ready: ReadyBatch<T>,
        broker: BrokerId,
        request: u64,
        idempotent: bool,
    ) -> Bytes {
        self.oldest = Some(ready.opened_at);
        let Identity { id, epoch } = self.identity;
        let sequence = if idempotent { self.next_sequence } else { -1 };
        if idempotent {
            self.next_sequence = sequence_after(sequence, ready.count);
        }
        let records = ready.batch.seal(Producer { id, epoch, base_sequence: sequence }, false);
        let first_record = self.next_record;
        self.next_record += u64::from(ready.count);
        self.unresolved.push_back(Unresolved {
            batch: ready.batch,
            tag: Some(ready.tag),
            opened_at: ready.opened_at,
            written_at: now.instant(),
            reserved: ready.reserved,
            count: ready.count,
            size: ready.size,
            identity: self.identity,
            sequence,
            first_record,
            flight: Flight::InFlight(broker),
            broker,
            request,
            attempts: 1,
            maybe_persisted: false,
            last_error: None,
        });
        records
    }

    /// The bytes of the first batch that waits to be written again, where nothing is in flight. It keeps its sequence, unless the identity
    /// is another now and no batch may be in the log under the old one.
    pub(super) fn write_again(
        &mut self,
        broker: BrokerId,
        request: u64,
        current: Identity,
        bugs: Bugs,
    ) -> Option<Bytes> {
        let careless = bugs.has(Bug::UnknownRenumbered);
        let renumbers = |b: &Unresolved<T>| (careless || !b.maybe_persisted) && b.identity != current;
        if self.identity != current && self.unresolved.iter().all(renumbers) {
            self.renumber(current);
        }
        if bugs.has(Bug::RetryReorders) {
            self.reverse();
        }
        let first = self.unresolved.front_mut()?;
        first.flight = Flight::InFlight(broker);
        first.broker = broker;
        first.request = request;
        first.attempts += 1;
        let Identity { id, epoch } = first.identity;
        Some(first.batch.seal(Producer { id, epoch, base_sequence: first.sequence }, false))
    }

    /// Puts the last first, with the sequences in the new order.
    fn reverse(&mut self) {
        let Some(mut sequence) = self.unresolved.front().map(|batch| batch.sequence) else { return };
        self.unresolved.make_contiguous().reverse();
        for batch in &mut self.unresolved {
            batch.sequence = sequence;
            sequence = sequence_after(sequence, batch.count);
        }
    }

    /// Numbers all that waits from zero, under a new identity.
    fn renumber(&mut self, identity: Identity) {
        let mut sequence = 0;
        for batch in &mut self.unresolved {
            batch.identity = identity;
            batch.sequence = sequence;
            sequence = sequence_after(sequence, batch.count);
        }
        self.identity = identity;
        self.next_sequence = sequence;
        self.proven = false;
    }
}

/// A batch that was written at least once and is not done.
#[derive(Debug)]
pub(super) struct Unresolved<T> {
    pub(super) batch: ClosedBatch,
    pub(super) tag: Option<T>,
    pub(super) opened_at: Instant,
    /// When it was written first.
    pub(super) written_at: Instant,
    pub(super) reserved: usize,
    pub(super) count: u32,
    /// In bytes, before compression.
    pub(super) size: usize,
    pub(super) identity: Identity,
    pub(super) sequence: i32,
    pub(super) first_record: u64,
    pub(super) flight: Flight,
    /// Where it was last sent to.
    pub(super) broker: BrokerId,
    pub(super) request: u64,
    pub(super) attempts: u32,
    pub(super) maybe_persisted: bool,
    pub(super) last_error: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flight {
    /// Written to this broker, not answered.
    InFlight(BrokerId),
    /// To be written again.
    Retry,
}

/// Sequences of a batch written to a broker wrap at the highest number to zero.
fn sequence_after(sequence: i32, count: u32) -> i32 {
    let next = (i64::from(sequence) + i64::from(count)) % (i64::from(i32::MAX) + 1);
    i32::try_from(next).unwrap_or_default()
}
