//! Within a partition, an idempotent producer's records stand in the order in which it was given them. Failed ones may be absent.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::history::{Contents, Event};

/// See the module.
#[derive(Debug, Default)]
pub struct Order {
    idempotent: BTreeSet<u32>,
}

impl Order {
    fn in_order(&self, contents: &Contents) -> Result<(), String> {
        for (partition, records) in contents {
            let mut last: BTreeMap<u32, (u64, i64)> = BTreeMap::new();
            for (offset, record) in records {
                if !self.idempotent.contains(&record.producer) {
                    continue;
                }
                if let Some((number, at)) = last.insert(record.producer, (record.number, *offset))
                    && number > record.number
                {
                    return Err(format!(
                        "p{}#{number} at {partition}@{at} stands before {record} at {partition}@{offset}",
                        record.producer
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Checker for Order {
    fn name(&self) -> &'static str {
        "records stand in their producer's order"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Sent { record, promise } => {
                if promise.once {
                    self.idempotent.insert(record.producer);
                }
                Ok(())
            }
            Event::Started { contents, .. } | Event::Settled { contents } => self.in_order(contents),
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
    use crate::history::{Promise, RecordId};

    #[test]
    fn a_record_before_its_predecessor_is_found() {
        let record = |number| RecordId { producer: 0, number };
        let mut checker = Order::default();
        checker.observe(&Event::Sent { record: record(0), promise: Promise { kept: true, once: true } }).unwrap();
        let right = Contents::from([(0, [(0, record(1)), (1, record(3))].into()), (1, [(0, record(2))].into())]);
        checker.observe(&Event::Settled { contents: right }).unwrap();
        let wrong = Contents::from([(0, [(0, record(3)), (1, record(1))].into())]);
        checker.observe(&Event::Settled { contents: wrong }).unwrap_err();
    }
}
