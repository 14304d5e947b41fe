//! What the application gives up before its time is over. Java has no such thing; librdkafka: `rd_kafka_purge`.

use felice_protocol::time::Now;

use super::partition::Flight;
use super::{BatchSource, Finished, Outcome, PartitionId, Sender};
use crate::error::{Error, ErrorKind, Persisted};

impl<T> Sender<T> {
    /// Gives up what waits to be sent, for the first time or again, where `waiting`, and what is in flight where `in_flight`. Batches in flight
    /// are reported now, and kept until their fate is known, so that none behind them is taken for them.
    pub fn purge(&mut self, now: Now, source: &mut dyn BatchSource<T>, waiting: bool, in_flight: bool) {
        for id in self.active.clone() {
            if in_flight {
                self.purge_in_flight(id);
            }
            if waiting {
                self.purge_waiting(now, id, source);
            }
        }
    }

    fn purge_in_flight(&mut self, id: PartitionId) {
        let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
        for batch in &mut p.unresolved {
            if matches!(batch.flight, Flight::InFlight(_)) && batch.tag.is_some() {
                self.finished.push_back(Finished {
                    partition: id,
                    tag: batch.tag.take(),
                    outcome: Outcome::Failed {
                        error: purged("in flight").on_partition(&p.topic, p.index),
                        persisted: Persisted::Maybe,
                    },
                    batch: Some(batch.batch.clone()),
                    broker: Some(batch.broker),
                    opened_at: batch.opened_at,
                    written_at: Some(batch.written_at),
                    reserved: 0,
                    count: batch.count,
                });
            }
        }
    }

    fn purge_waiting(&mut self, now: Now, id: PartitionId, source: &mut dyn BatchSource<T>) {
        loop {
            let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
            let Some(at) = p.unresolved.iter().position(|b| b.flight == Flight::Retry && b.tag.is_some()) else {
                break;
            };
            let persisted = if p.unresolved[at].maybe_persisted { Persisted::Maybe } else { Persisted::No };
            let error = purged("waiting to be sent again").on_partition(&p.topic, p.index);
            self.drop_batch(id, at, error, persisted);
        }
        while let Some(ready) = source.give_up(now, id) {
            let Some(p) = self.partitions.get_mut(id.0 as usize) else { return };
            self.finished.push_back(Finished {
                partition: id,
                tag: Some(ready.tag),
                outcome: Outcome::Failed {
                    error: purged("waiting to be sent").on_partition(&p.topic, p.index),
                    persisted: Persisted::No,
                },
                batch: Some(ready.batch),
                broker: None,
                opened_at: ready.opened_at,
                written_at: None,
                reserved: ready.reserved,
                count: ready.count,
            });
        }
    }
}

fn purged(place: &str) -> Error {
    Error::new(ErrorKind::Purged, format!("given up by the application while it was {place}"))
}
