//! What was acknowledged is in the log, where the acknowledgement said, as long as the flush policy promises it.

use std::collections::BTreeMap;

use super::Checker;
use crate::history::{Contents, Event, Promise, RecordId};

/// See the module.
#[derive(Debug, Default)]
pub struct NoAcknowledgedLoss {
    promises: BTreeMap<u32, Promise>,
    acknowledged: BTreeMap<RecordId, (i32, Option<i64>)>,
}

impl NoAcknowledgedLoss {
    fn missing(&self, contents: &Contents) -> Vec<(RecordId, i32, Option<i64>)> {
        let mut missing = Vec::new();
        for (record, (partition, offset)) in &self.acknowledged {
            let there = contents.get(partition).is_some_and(|records| match offset {
                Some(offset) => records.get(offset) == Some(record),
                None => records.values().any(|other| other == record),
            });
            if !there {
                missing.push((*record, *partition, *offset));
            }
        }
        missing
    }

    fn all_there(&self, contents: &Contents) -> Result<(), String> {
        let missing = self.missing(contents);
        let Some((record, partition, offset)) = missing.first() else { return Ok(()) };
        let found = contents.iter().find_map(|(partition, records)| {
            records.iter().find(|(_, other)| *other == record).map(|(offset, _)| format!("{partition}@{offset}"))
        });
        let found = found.map_or_else(|| "nowhere".to_owned(), |place| format!("at {place}"));
        Err(format!(
            "{} acknowledged records are not where they were said to be; the first, {record}, was acknowledged at \
             {partition}@{offset:?} and is {found}",
            missing.len()
        ))
    }
}

impl Checker for NoAcknowledgedLoss {
    fn name(&self) -> &'static str {
        "no acknowledged record is lost"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Sent { record, promise } => {
                self.promises.insert(record.producer, *promise);
            }
            Event::Acknowledged { record, partition, offset } => {
                if self.promises.get(&record.producer).is_some_and(|promise| promise.kept) {
                    self.acknowledged.insert(*record, (*partition, *offset));
                }
            }
            Event::Started { keeps_all: true, contents, .. } | Event::Settled { contents } => {
                return self.all_there(contents);
            }
            Event::Started { keeps_all: false, contents, .. } => {
                // the machine lost what it never promised to have; the rest stays promised
                for (record, ..) in self.missing(contents) {
                    self.acknowledged.remove(&record);
                }
            }
            Event::Failed { .. }
            | Event::Sought { .. }
            | Event::Read { .. }
            | Event::Fault(_)
            | Event::Group(_)
            | Event::Note(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Outage;

    const RECORD: RecordId = RecordId { producer: 0, number: 1 };

    fn acknowledged() -> NoAcknowledgedLoss {
        let mut checker = NoAcknowledgedLoss::default();
        let promise = Promise { kept: true, once: true };
        checker.observe(&Event::Sent { record: RECORD, promise }).unwrap();
        checker.observe(&Event::Acknowledged { record: RECORD, partition: 0, offset: Some(4) }).unwrap();
        checker
    }

    #[test]
    fn a_record_that_is_there_is_not_missed() {
        let contents = Contents::from([(0, [(4, RECORD)].into())]);
        acknowledged().observe(&Event::Settled { contents }).unwrap();
    }

    #[test]
    fn a_record_at_another_offset_is_lost() {
        let contents = Contents::from([(0, [(5, RECORD)].into())]);
        let error = acknowledged().observe(&Event::Settled { contents }).unwrap_err();
        assert!(error.contains("is at 0@5"), "{error}");
    }

    #[test]
    fn a_machine_may_lose_what_it_did_not_promise() {
        let mut checker = acknowledged();
        let started = Event::Started { after: Outage::Machine, keeps_all: false, contents: Contents::new() };
        checker.observe(&started).unwrap();
        checker.observe(&Event::Settled { contents: Contents::new() }).unwrap();
    }
}
