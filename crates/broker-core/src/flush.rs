//! `felice.flush=batch`: group commit. What was appended while a sync ran is covered by the next one, and acknowledged after it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use felice_log::Flush;

use crate::broker::{BrokerCore, Output, SyncTicket};
use crate::purgatory::PartitionKey;
use crate::{api, coordinator};

/// The partitions with unsynced batches (and how many bytes), and the sync that is under way.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    dirty: BTreeMap<PartitionKey, usize>,
    in_flight: Option<InFlight>,
    next_ticket: u64,
}

#[derive(Debug)]
struct InFlight {
    ticket: SyncTicket,
    covered: Vec<(PartitionKey, usize, Arc<Flush>)>,
}

impl Flusher {
    pub(crate) fn mark(&mut self, key: PartitionKey, bytes: usize) {
        *self.dirty.entry(key).or_default() += bytes;
    }

    /// A ticket for a sync.
    pub(crate) fn new_ticket(&mut self) -> SyncTicket {
        self.next_ticket += 1;
        SyncTicket(self.next_ticket)
    }
}

/// Asks for a sync of all that is unsynced, unless one is under way.
pub(crate) fn start(core: &mut BrokerCore) {
    if core.flusher.dirty.is_empty() || core.flusher.in_flight.is_some() {
        return;
    }
    let mut covered = Vec::new();
    for (key, bytes) in std::mem::take(&mut core.flusher.dirty) {
        let Some(partition) = core.topics.partition_mut(&key.0, key.1) else { continue };
        match partition.start_flush() {
            Ok(Some(flush)) => covered.push((key, bytes, flush)),
            // A duplicate: its first copy is durable.
            Ok(None) => durable(core, key, bytes),
            Err(error) => offline(core, key, &error.to_string()),
        }
    }
    if covered.is_empty() {
        return;
    }
    let ticket = core.flusher.new_ticket();
    let flushes = covered.iter().map(|(.., flush)| Arc::clone(flush)).collect();
    core.flusher.in_flight = Some(InFlight { ticket, covered });
    core.outputs.push_back(Output::Sync { ticket, flushes });
}

/// Takes a sync's result in. After a failed one nobody knows what the disk has: the partitions go offline rather than acknowledge.
pub(crate) fn finish(core: &mut BrokerCore, ticket: SyncTicket, result: &io::Result<()>) {
    let Some(in_flight) = core.flusher.in_flight.take_if(|in_flight| in_flight.ticket == ticket) else {
        return;
    };
    for (key, bytes, flush) in in_flight.covered {
        let Some(partition) = core.topics.partition_mut(&key.0, key.1) else { continue };
        let result = result.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()));
        match partition.complete_flush(&flush, result) {
            Ok(()) => durable(core, key, bytes),
            Err(error) => offline(core, key, &error.to_string()),
        }
    }
}

fn durable(core: &mut BrokerCore, key: PartitionKey, bytes: usize) {
    let Some(partition) = core.topics.partition_mut(&key.0, key.1) else { return };
    let end = partition.high_watermark();
    for operation in core.produces.ready(&key, |produce| produce.reached(&key, end)) {
        api::produce::complete(core, operation);
    }
    coordinator::handle_durable(core, key, end);
    core.partition_advanced(key, bytes);
}

fn offline(core: &mut BrokerCore, key: PartitionKey, why: &str) {
    let topic = core.topics.get(&key.0).map(|topic| topic.name.to_string()).unwrap_or_default();
    core.outputs.push_back(Output::Log { message: format!("{topic}-{} is offline: {why}", key.1) });
    core.complete_waiting(key);
}
