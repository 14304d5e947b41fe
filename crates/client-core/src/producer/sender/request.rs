//! Which batches go into the next Produce request, and under which sequences.

use std::collections::BTreeSet;

use felice_protocol::messages::{ProduceRequest, produce};
use felice_protocol::primitives::Uuid;
use felice_protocol::time::Now;

use super::partition::Flight;
use super::{Available, BatchSource, Finished, Outcome, PartitionId, ProduceOut, Sender};
use crate::config::Acks;
use crate::metadata::BrokerId;

/// Most bytes of batches in one request, unless a single batch is larger.
const REQUEST_BYTES: usize = 4 << 20;

impl<T> Sender<T> {
    /// The next request, if a broker that is `ready` can have one. Asking whether a broker is ready makes the caller connect to it.
    pub fn poll_request(
        &mut self,
        now: Now,
        source: &mut dyn BatchSource<T>,
        ready: &mut dyn FnMut(BrokerId) -> bool,
    ) -> Option<ProduceOut> {
        if self.active.is_empty() {
            return None;
        }
        if self.idempotence.failure().is_some() {
            // No id will come: what waits has failed.
            self.handle_timeout(now, source);
            return None;
        }
        let brokers: BTreeSet<BrokerId> = self
            .active
            .iter()
            .filter_map(|id| self.partition(*id))
            .filter(|p| p.wants(now))
            .filter_map(|p| p.leader)
            .collect();
        for broker in brokers {
            let in_flight = self.in_flight.get(&broker).copied().unwrap_or(0);
            // Without an identity nothing can leave, but the connection may be made meanwhile.
            if in_flight >= self.config.max_in_flight || !ready(broker) || self.idempotence.identity().is_none() {
                continue;
            }
            if let Some(out) = self.fill_request(now, broker, source) {
                return Some(out);
            }
        }
        None
    }

    fn fill_request(&mut self, now: Now, broker: BrokerId, source: &mut dyn BatchSource<T>) -> Option<ProduceOut> {
        let id = self.next_request;
        // Each request begins with another partition, so that none starves behind those before it.
        self.rotation = self.rotation.wrapping_add(1);
        let count = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX).max(1);
        let start = PartitionId(self.rotation % count);
        let order: Vec<PartitionId> = self.active.range(start..).chain(self.active.range(..start)).copied().collect();
        let mut topics: Vec<produce::request::TopicProduceData> = Vec::new();
        let mut partitions = Vec::new();
        let mut bytes = 0;
        let mut ids_known = true;
        for partition in order {
            let Some(p) = self.partition(partition) else { continue };
            if p.leader != Some(broker) || bytes >= REQUEST_BYTES {
                continue;
            }
            let Some(records) = self.next_batch(now, partition, broker, id, source) else { continue };
            let Some(p) = self.partition(partition) else { continue };
            bytes += records.len();
            ids_known &= p.topic_id != Uuid::default();
            let data =
                produce::request::PartitionProduceData { index: p.index, records: Some(records), ..Default::default() };
            partitions.push(partition);
            match topics.iter_mut().find(|t| t.name == p.topic) {
                Some(topic) => topic.partition_data.push(data),
                None => topics.push(produce::request::TopicProduceData {
                    name: p.topic.clone(),
                    topic_id: p.topic_id,
                    partition_data: vec![data],
                    ..Default::default()
                }),
            }
        }
        if partitions.is_empty() {
            return None;
        }
        self.next_request += 1;
        let answered = self.config.acks != Acks::None;
        if answered {
            *self.in_flight.entry(broker).or_default() += 1;
            self.requests.insert(id, (broker, partitions));
        } else {
            for partition in partitions {
                self.finish_unanswered(partition);
            }
        }
        let request = ProduceRequest {
            acks: self.config.acks.code(),
            timeout_ms: i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX),
            topic_data: topics,
            ..ProduceRequest::default()
        };
        // 13 and up know a topic by its id alone.
        Some(ProduceOut { broker, request, id, max_version: if ids_known { i16::MAX } else { 12 }, answered })
    }

    /// The bytes of the next batch of a partition that may leave now.
    fn next_batch(
        &mut self,
        now: Now,
        id: PartitionId,
        broker: BrokerId,
        request: u64,
        source: &mut dyn BatchSource<T>,
    ) -> Option<bytes::Bytes> {
        let current = self.idempotence.identity()?;
        let idempotent = self.config.idempotence;
        let (depth, force) = (self.config.max_in_flight, self.force);
        let (acks, bugs) = (self.config.acks, self.config.bugs);
        let p = self.partitions.get_mut(id.0 as usize)?;
        if !p.wants(now) {
            return None;
        }
        let in_flight = p.unresolved.iter().filter(|b| b.flight != Flight::Retry).count();
        let elsewhere = p.unresolved.iter().any(|b| matches!(b.flight, Flight::InFlight(at) if at != broker));
        if elsewhere {
            return None;
        }
        if p.unresolved.len() > in_flight {
            // One waits to be written again: it goes alone, after all that is in flight.
            return if in_flight == 0 { p.write_again(broker, request, current, bugs) } else { None };
        }
        let depth = match acks {
            Acks::None => usize::MAX,
            // Without idempotence the broker would take a later batch although an earlier one failed.
            Acks::Leader | Acks::All if !idempotent || !p.proven => 1,
            Acks::Leader | Acks::All => depth,
        };
        if in_flight >= depth || !p.has_batches {
            return None;
        }
        if p.identity != current {
            if !p.unresolved.is_empty() {
                return None;
            }
            p.identity = current;
            p.next_sequence = 0;
            p.proven = false;
        }
        let ready = match source.take(now, id, force) {
            Available::Batch(ready) => ready,
            Available::Closing => {
                p.has_batches = false;
                return None;
            }
            Available::Lingering(until) => {
                p.lingering_until = Some(until);
                return None;
            }
            Available::Empty => {
                p.has_batches = false;
                p.oldest = None;
                if p.unresolved.is_empty() {
                    self.active.remove(&id);
                }
                return None;
            }
        };
        Some(p.write(now, ready, broker, request, idempotent))
    }

    fn finish_unanswered(&mut self, id: PartitionId) {
        let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
        if let Some(batch) = p.unresolved.pop_back() {
            self.finished.push_back(Finished {
                partition: id,
                tag: batch.tag,
                outcome: Outcome::Delivered { base_offset: -1, log_append_time: None },
                // The bytes are still on their way out: their buffer is not to be used again.
                batch: Some(batch.batch),
                broker: Some(batch.broker),
                opened_at: batch.opened_at,
                written_at: Some(batch.written_at),
                reserved: batch.reserved,
                count: batch.count,
            });
        }
    }
}
