//! A record of an idempotent producer is in the log at most once, acknowledged or not.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::history::{Contents, Event, RecordId};

/// See the module.
#[derive(Debug, Default)]
pub struct NoDuplicates {
    idempotent: BTreeSet<u32>,
}

impl NoDuplicates {
    fn once(&self, contents: &Contents) -> Result<(), String> {
        let mut seen: BTreeMap<RecordId, (i32, i64)> = BTreeMap::new();
        for (partition, records) in contents {
            for (offset, record) in records {
                if !self.idempotent.contains(&record.producer) {
                    continue;
                }
                if let Some((other, at)) = seen.insert(*record, (*partition, *offset)) {
                    return Err(format!("{record} is in the log twice: at {other}@{at} and {partition}@{offset}"));
                }
            }
        }
        Ok(())
    }
}

impl Checker for NoDuplicates {
    fn name(&self) -> &'static str {
        "no record is written twice"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Sent { record, promise } => {
                if promise.once {
                    self.idempotent.insert(record.producer);
                }
                Ok(())
            }
            Event::Started { contents, .. } | Event::Settled { contents } => self.once(contents),
            Event::Acknowledged { .. }
            | Event::Failed { .. }
            | Event::Sought { .. }
            | Event::Read { .. }
            | Event::Fault(_)
            | Event::Group(_)
            | Event::Note(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Promise;

    #[test]
    fn a_second_copy_is_found_where_once_was_promised() {
        for once in [true, false] {
            let record = RecordId { producer: 2, number: 9 };
            let mut checker = NoDuplicates::default();
            checker.observe(&Event::Sent { record, promise: Promise { kept: true, once } }).unwrap();
            let contents = Contents::from([(0, [(4, record), (7, record)].into())]);
            assert_eq!(checker.observe(&Event::Settled { contents }).is_err(), once);
        }
    }
}
