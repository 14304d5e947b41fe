//! What a member's application does with its partitions: it reads, processes record by record, and commits.

use std::time::Duration;

use felice_client_core::client::ClientCore;
use felice_client_core::consumer::OffsetAndMetadata;
use felice_client_core::consumer::fetcher::{FetchEvent, Fetched};
use felice_client_core::consumer::group::RequestId;
use felice_protocol::records::RecordBatches;
use felice_protocol::time::Now;

use super::{Effect, MemberApp, Proposal, REQUEST_TIME, Tag, number};
use crate::group_history::GroupEvent;
use crate::group_plan::CommitPlan;
use crate::history::{Event, RecordId};

impl MemberApp {
    pub(super) fn read(&mut self, core: &mut ClientCore<Tag>, event: FetchEvent, effects: &mut Vec<Effect>) {
        match event {
            FetchEvent::Data(fetched) => {
                let generation =
                    core.reader(self.reader).and_then(|(fetcher, _)| fetcher.generation(fetched.partition));
                if generation == Some(fetched.generation)
                    && let Err(what) = self.decode(&fetched)
                {
                    effects.push(Effect::Wrong(format!("{} cannot read what it fetched: {what}", self.owner)));
                }
            }
            FetchEvent::Failed { partition, error } => {
                if let Some(number) = self.by_fetch.get(&partition) {
                    effects.push(Effect::Wrong(format!("{} gave up partition {number}: {error}", self.owner)));
                }
            }
            FetchEvent::Positioned { .. } | FetchEvent::Ended { .. } | FetchEvent::EndOfPartition { .. } => {}
        }
    }

    pub(super) fn decode(&mut self, fetched: &Fetched) -> Result<(), String> {
        let Some(number) = self.by_fetch.get(&fetched.partition) else { return Ok(()) };
        let Some(owned) = self.owned.get_mut(number) else { return Ok(()) };
        for batch in RecordBatches::new(fetched.records.clone()) {
            let batch = batch.map_err(|error| error.to_string())?;
            batch.verify_crc().map_err(|error| error.to_string())?;
            let records = batch.records(&mut self.decompressor, 16 << 20).map_err(|error| error.to_string())?;
            for record in &records {
                let record = record.map_err(|error| error.to_string())?;
                if record.offset < fetched.from {
                    continue;
                }
                let id = record.value.and_then(RecordId::from_value);
                let id = id.ok_or_else(|| format!("{number}@{} has a record that nobody wrote", record.offset))?;
                owned.queue.push_back((record.offset, id));
            }
        }
        Ok(())
    }

    /// The next partition that has a record, unless it is about to go away.
    pub(super) fn ready(&self) -> Option<i32> {
        let going: &[i32] = match &self.proposal {
            Some(Proposal::Revoke { numbers, .. }) => numbers,
            Some(Proposal::Assign { .. }) | None => &[],
        };
        let mut in_turn = self.owned.range(self.turn + 1..).chain(self.owned.range(..=self.turn));
        in_turn.find(|(number, owned)| !owned.queue.is_empty() && !going.contains(number)).map(|(number, _)| *number)
    }

    /// Processes a record.
    pub(super) fn work(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(number) = self.ready() else { return };
        self.turn = number;
        let Some(owned) = self.owned.get_mut(&number) else { return };
        let Some((offset, record)) = owned.queue.pop_front() else { return };
        owned.next = offset + 1;
        self.since_commit += 1;
        self.busy_until = now.instant() + Duration::from_micros(self.rng.below(self.plan.work_micros * 2 + 1));
        let (group, owner) = (self.plan.group, self.owner);
        effects.push(Effect::Tell(Event::Group(GroupEvent::Processed {
            group,
            owner,
            partition: number,
            offset,
            record,
        })));
    }

    pub(super) fn commit_when_due(&mut self, now: Now, core: &mut ClientCore<Tag>, effects: &mut Vec<Effect>) {
        let due = match self.plan.commit {
            CommitPlan::AtTheEnd => false,
            CommitPlan::Records(records) => self.since_commit >= records,
            CommitPlan::Every(interval) => match self.next_commit {
                Some(at) if at <= now.instant() => {
                    self.next_commit = None;
                    true
                }
                Some(_) => false,
                None if self.since_commit > 0 => {
                    let at = now.instant() + interval;
                    self.next_commit = Some(at);
                    effects.push(Effect::ContinueAt(at));
                    false
                }
                None => false,
            },
        };
        if due {
            let all: Vec<i32> = self.owned.keys().copied().collect();
            self.commit(now, core, &all, false);
        }
    }

    /// Commits what was processed of these partitions: what was not asked for yet, or, at the end, what was not said to be committed yet.
    pub(super) fn commit(
        &mut self,
        now: Now,
        core: &mut ClientCore<Tag>,
        numbers: &[i32],
        at_the_end: bool,
    ) -> Option<RequestId> {
        self.since_commit = 0;
        let mut offsets = Vec::new();
        for number in numbers {
            let Some(owned) = self.owned.get_mut(number) else { continue };
            if owned.next > if at_the_end { owned.committed } else { owned.asked } {
                owned.asked = owned.next;
                offsets.push((owned.partition.clone(), OffsetAndMetadata::new(owned.next)));
            }
        }
        let member = core.member(self.member).filter(|_| !offsets.is_empty())?;
        let asked = offsets.iter().map(|(partition, offset)| (number(partition), offset.offset)).collect();
        let request = member.commit(now, offsets, REQUEST_TIME);
        self.commits.insert(request, asked);
        Some(request)
    }
}
