//! What producers and consumers tell of their partitions.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use felice::FinishedBatch;
use felice::raw::{IdentityState, PartitionStanding, Queued, SenderStanding};

use super::window::Window;
use crate::handle::Kafka;

/// A partition, as statistics show it.
#[derive(Clone, Debug)]
pub(crate) struct PartitionStats {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The program asked for it.
    pub(crate) desired: bool,
    /// Records that wait to be sent, and their bytes.
    pub(crate) queued: (u64, u64),
    /// Records in flight, and their bytes.
    pub(crate) in_flight: (u64, u64),
    /// The broker that they were sent to.
    pub(crate) sent_to: Option<i32>,
    /// The sequence of the first record that is not done, and how many before it are; zero without idempotence.
    pub(crate) acknowledged: (i32, u64),
    /// Fetched records that wait to be taken, and their bytes.
    pub(crate) fetched: (u64, u64),
    pub(crate) fetch_state: &'static str,
    pub(crate) next_offset: i64,
    /// Behind the last record that the program took.
    pub(crate) app_offset: i64,
    pub(crate) stored_offset: i64,
    /// −1 for none, as of all epochs.
    pub(crate) stored_epoch: i32,
    pub(crate) committed_offset: i64,
    pub(crate) committed_epoch: i32,
    pub(crate) eof_offset: i64,
    pub(crate) low: i64,
    pub(crate) high: i64,
    pub(crate) last_stable: i64,
    /// Records, and their bytes, produced.
    pub(crate) sent: (u64, u64),
    /// Records, and their bytes, consumed.
    pub(crate) received: (u64, u64),
}

impl PartitionStats {
    /// A partition of which nothing is known.
    pub(crate) fn new(topic: &str, partition: i32) -> Self {
        const NONE: i64 = crate::types::offset::INVALID;
        Self {
            topic: topic.to_owned(),
            partition,
            desired: false,
            queued: (0, 0),
            in_flight: (0, 0),
            sent_to: None,
            acknowledged: (0, 0),
            fetched: (0, 0),
            fetch_state: "none",
            next_offset: 0,
            app_offset: NONE,
            stored_offset: NONE,
            stored_epoch: -1,
            committed_offset: NONE,
            committed_epoch: -1,
            eof_offset: NONE,
            low: NONE,
            high: NONE,
            last_stable: NONE,
            sent: (0, 0),
            received: (0, 0),
        }
    }

    fn add(&mut self, standing: &PartitionStanding, idempotent: bool) {
        let add = |sum: (u64, u64), more: Queued| {
            let overhead = more.batches * BATCH_OVERHEAD + more.records * RECORD_OVERHEAD;
            (sum.0 + more.records, sum.1 + more.bytes.saturating_sub(overhead))
        };
        self.queued = add(self.queued, standing.queued);
        if let Some((broker, in_flight)) = standing.in_flight {
            self.in_flight = add(self.in_flight, in_flight);
            self.sent_to = Some(broker);
        }
        if idempotent {
            self.acknowledged = (standing.next_sequence, standing.done);
        }
    }
}

/// What was produced.
#[derive(Debug, Default)]
pub(crate) struct Produced {
    /// By partition: records, and their bytes.
    partitions: Mutex<BTreeMap<(String, i32), (u64, u64)>>,
    /// By topic: how large its batches were in the last interval, in bytes and in records.
    batches: Mutex<BTreeMap<String, (Window, Window)>>,
    /// By broker: how many microseconds batches waited until they left, in the last interval. Each counts once, by its first record.
    waits: Mutex<BTreeMap<i32, Window>>,
}

/// Bytes that a record has in a batch besides its key and value, about.
const RECORD_OVERHEAD: u64 = 9;
/// Bytes of a batch's header.
const BATCH_OVERHEAD: u64 = 61;

impl Produced {
    /// Counts a batch that is done.
    pub(crate) fn count(&self, batch: &FinishedBatch) {
        if let (Some(broker), Some(waited)) = (batch.broker(), batch.waited()) {
            let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
            waits.entry(broker).or_default().add(i64::try_from(waited.as_micros()).unwrap_or(i64::MAX));
        }
        if batch.result().is_err() {
            return;
        }
        let (mut records, mut bytes) = (0, 0);
        batch.for_each(|record| {
            records += 1;
            bytes += record.key.map_or(0, <[u8]>::len) as u64 + record.value.map_or(0, <[u8]>::len) as u64;
        });
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let (sizes, counts) = batches.entry(batch.topic().to_owned()).or_default();
        sizes.add(i64::try_from(bytes + records * RECORD_OVERHEAD + BATCH_OVERHEAD).unwrap_or(i64::MAX));
        counts.add(i64::try_from(records).unwrap_or(i64::MAX));
        drop(batches);
        let mut all = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = all.entry((batch.topic().to_owned(), batch.partition())).or_default();
        *sum = (sum.0 + records, sum.1 + bytes);
    }

    /// A topic's batches of the last interval; the next begins.
    pub(crate) fn batches(&self, topic: &str) -> (Window, Window) {
        let mut all = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        all.get_mut(topic).map(std::mem::take).unwrap_or_default()
    }

    /// How long batches to a broker waited in the last interval; the next begins.
    pub(crate) fn waits(&self, broker: i32) -> Window {
        let mut all = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        all.get_mut(&broker).map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn of(&self, topic: &str, partition: i32) -> (u64, u64) {
        let all = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(topic.to_owned(), partition)).copied().unwrap_or_default()
    }
}

/// The partitions of a handle: a consumer's own, and those of a producer's topics.
pub(super) fn partitions(kafka: &Kafka, senders: &[SenderStanding]) -> Vec<PartitionStats> {
    if let Some(consumer) = &kafka.consumer {
        return consumer.partition_stats();
    }
    let Some(producer) = &kafka.producer else { return Vec::new() };
    let cluster = kafka.brokers.cluster();
    let mut standings: BTreeMap<(&str, i32), Vec<(&PartitionStanding, bool)>> = BTreeMap::new();
    for sender in senders {
        let idempotent = sender.identity != IdentityState::NotNeeded;
        for standing in &sender.partitions {
            standings.entry((standing.topic.as_str(), standing.index)).or_default().push((standing, idempotent));
        }
    }
    let mut all = Vec::new();
    for topic in kafka.topics.names() {
        let count = cluster.topics.get(topic.as_str()).map_or(0, |known| known.partitions.len());
        all.extend((0..i32::try_from(count).unwrap_or(0)).map(|partition| {
            let sent = producer.produced(&topic, partition);
            let mut stats = PartitionStats { sent, ..PartitionStats::new(&topic, partition) };
            for (standing, idempotent) in standings.get(&(topic.as_str(), partition)).into_iter().flatten() {
                stats.add(standing, *idempotent);
            }
            stats
        }));
    }
    all
}
