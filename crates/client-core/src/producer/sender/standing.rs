//! How far a sender is, for statistics.

use felice_protocol::primitives::ByteStr;

use super::Sender;
use super::partition::{Flight, Partition};
use crate::metadata::BrokerId;
use crate::producer::accumulator::Queued;
pub use crate::producer::idempotence::IdentityState;

/// How far a sender is.
#[derive(Clone, Debug)]
pub struct SenderStanding {
    /// Who its batches say that they are from.
    pub identity: IdentityState,
    /// How many identities it has had, new epochs included.
    pub identities: u32,
    /// Its partitions, by [`PartitionId`](super::PartitionId).
    pub partitions: Vec<PartitionStanding>,
}

/// How far a sender is in a partition.
#[derive(Clone, Debug)]
pub struct PartitionStanding {
    /// The topic.
    pub topic: ByteStr,
    /// The partition's number.
    pub index: i32,
    /// What waits to be sent, what waits to be sent again included.
    pub queued: Queued,
    /// What was sent and is not answered, and to whom.
    pub in_flight: Option<(BrokerId, Queued)>,
    /// The sequence of the first record that is not done; zero without idempotence.
    pub next_sequence: i32,
    /// How many records are done, in order, from the first on.
    pub done: u64,
}

impl<T> Sender<T> {
    /// How far it is; of what waits, only what was sent before is known here.
    pub fn standing(&self) -> SenderStanding {
        SenderStanding {
            identity: self.idempotence.state(),
            identities: self.idempotence.identities(),
            partitions: self.partitions.iter().map(Partition::standing).collect(),
        }
    }
}

impl<T> Partition<T> {
    fn standing(&self) -> PartitionStanding {
        let first = self.unresolved.front();
        let mut standing = PartitionStanding {
            topic: self.topic.clone(),
            index: self.index,
            queued: Queued::default(),
            in_flight: None,
            next_sequence: first.map_or(self.next_sequence, |batch| batch.sequence).max(0),
            done: first.map_or(self.next_record, |batch| batch.first_record).saturating_sub(1),
        };
        for batch in &self.unresolved {
            match batch.flight {
                Flight::InFlight(broker) => {
                    let (to, in_flight) = standing.in_flight.get_or_insert_default();
                    *to = broker;
                    in_flight.add(batch.count, batch.size);
                }
                Flight::Retry => standing.queued.add(batch.count, batch.size),
            }
        }
        standing
    }
}
