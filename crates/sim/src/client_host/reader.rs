//! An application that reads every partition, without a group.

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;

use felice_client_core::client::{ClientCore, ReaderKey};
use felice_client_core::config::FetchConfig;
use felice_client_core::consumer::budget::Budget;
use felice_client_core::consumer::fetcher::{FetchEvent, FetchId, Fetched, Fetcher, Position};
use felice_protocol::compression::Decompressor;
use felice_protocol::records::RecordBatches;

use super::{Effect, Tag, core, properties};
use crate::broker_host::TOPIC;
use crate::history::{Event, RecordId};
use crate::plan::{Plan, ReaderPlan};
use crate::rng::Rng;

pub(super) struct ReaderApp {
    number: usize,
    key: ReaderKey,
    ids: BTreeMap<i32, FetchId>,
    indexes: BTreeMap<FetchId, i32>,
    inbox: VecDeque<FetchEvent>,
    decompressor: Decompressor,
    next: BTreeMap<i32, i64>,
}

impl ReaderApp {
    /// The application and its client.
    pub(super) fn new(
        number: usize,
        world: &Plan,
        plan: &ReaderPlan,
        rng: &mut Rng,
        bug: Option<&'static str>,
    ) -> Result<(ClientCore<Tag>, Self), String> {
        let properties = properties(
            world,
            &[
                ("fetch.min.bytes", plan.min_bytes.to_string()),
                ("fetch.max.wait.ms", plan.max_wait_millis.to_string()),
                ("max.partition.fetch.bytes", plan.max_partition_bytes.to_string()),
            ],
        )?;
        let mut core = core(&properties, rng)?;
        let mut config: FetchConfig = properties.fetch_config().map_err(|error| error.to_string())?;
        crate::bugs::plant_in_reader(&mut config, bug);
        let budget = Budget::new(64 * 1024, Waker::noop().clone());
        let metadata = core.metadata().clone();
        let mut fetcher = Fetcher::new(config, budget);
        // further back than any log here: where it finds the end late, it must not find itself behind the markers
        let start = if plan.starts_from_end { Position::BeforeEnd(1 << 40) } else { Position::Start };
        let ids: BTreeMap<i32, FetchId> = (0..world.partitions)
            .map(|partition| (partition, fetcher.add_partition(&TOPIC.into(), partition, start, None, &metadata)))
            .collect();
        let indexes = ids.iter().map(|(partition, id)| (*id, *partition)).collect();
        let key = core.add_reader(fetcher);
        let app = Self {
            number,
            key,
            ids,
            indexes,
            inbox: VecDeque::new(),
            decompressor: Decompressor::default(),
            next: BTreeMap::new(),
        };
        Ok((core, app))
    }

    pub(super) fn fetched(&mut self, event: FetchEvent) {
        self.inbox.push_back(event);
    }

    /// Where it fetches next.
    pub(super) fn position(&self, core: &mut ClientCore<Tag>, partition: i32) -> Option<i64> {
        let id = *self.ids.get(&partition)?;
        core.reader(self.key)?.0.position(id)
    }

    /// Goes to another offset, of one partition.
    pub(super) fn seek(
        &mut self,
        core: &mut ClientCore<Tag>,
        partition: i32,
        rng: &mut Rng,
        effects: &mut Vec<Effect>,
    ) {
        let (Some(id), Some(next)) = (self.ids.get(&partition).copied(), self.next.get(&partition).copied()) else {
            return;
        };
        let Some((fetcher, _)) = core.reader(self.key) else { return };
        let offset = i64::try_from(rng.below(u64::try_from(next).unwrap_or(0) + 1)).unwrap_or(0);
        fetcher.seek(id, Position::Offset(offset));
        // what is in the inbox is of an older generation
        self.inbox.retain(|event| match event {
            FetchEvent::Data(fetched) => fetched.partition != id,
            FetchEvent::Positioned { partition, .. }
            | FetchEvent::Ended { partition }
            | FetchEvent::EndOfPartition { partition, .. }
            | FetchEvent::Failed { partition, .. } => *partition != id,
        });
        self.next.insert(partition, offset);
        effects.push(Effect::Tell(Event::Sought { reader: self.number, partition, offset: Some(offset) }));
    }

    pub(super) fn go_on(&mut self, core: &mut ClientCore<Tag>, effects: &mut Vec<Effect>) {
        let Some(event) = self.inbox.pop_front() else { return };
        let reader = self.number;
        match event {
            FetchEvent::Data(fetched) => {
                let generation = core.reader(self.key).and_then(|(fetcher, _)| fetcher.generation(fetched.partition));
                if generation == Some(fetched.generation)
                    && let Err(what) = self.read(&fetched, effects)
                {
                    effects.push(Effect::Wrong(format!("reader {reader} cannot read what it fetched: {what}")));
                }
            }
            FetchEvent::Positioned { partition, offset, .. } => {
                let Some(index) = self.indexes.get(&partition).copied() else { return };
                self.next.insert(index, offset);
                effects.push(Effect::Tell(Event::Sought { reader, partition: index, offset: Some(offset) }));
            }
            FetchEvent::Failed { partition, error } => {
                let index = self.indexes.get(&partition).copied();
                effects.push(Effect::Wrong(format!("reader {reader} gave up partition {index:?}: {error}")));
            }
            FetchEvent::Ended { .. } | FetchEvent::EndOfPartition { .. } => {}
        }
    }

    fn read(&mut self, fetched: &Fetched, effects: &mut Vec<Effect>) -> Result<(), String> {
        let (reader, partition) = (self.number, fetched.index);
        for batch in RecordBatches::new(fetched.records.clone()) {
            let batch = batch.map_err(|error| error.to_string())?;
            batch.verify_crc().map_err(|error| error.to_string())?;
            let records = batch.records(&mut self.decompressor, 16 << 20).map_err(|error| error.to_string())?;
            for record in &records {
                let record = record.map_err(|error| error.to_string())?;
                if record.offset < fetched.from {
                    continue;
                }
                let Some(id) = record.value.and_then(RecordId::from_value) else {
                    return Err(format!("{partition}@{} has a record that nobody wrote", record.offset));
                };
                self.next.insert(partition, record.offset + 1);
                effects.push(Effect::Tell(Event::Read { reader, partition, offset: record.offset, record: id }));
            }
        }
        Ok(())
    }
}
