//! What a partition has at an offset never changes: every reader, every acknowledgement and the files themselves name the same record.

use std::collections::BTreeMap;

use super::Checker;
use crate::history::{Contents, Event, RecordId};

/// See the module.
#[derive(Debug, Default)]
pub struct StableOffsets {
    known: BTreeMap<(i32, i64), RecordId>,
    /// The highest offset that a reader saw: it cannot be taken back.
    read_to: BTreeMap<i32, i64>,
}

impl StableOffsets {
    fn same(&mut self, partition: i32, offset: i64, record: RecordId, who: &str) -> Result<(), String> {
        let known = self.known.entry((partition, offset)).or_insert(record);
        if *known == record {
            return Ok(());
        }
        Err(format!("{who} has {record} at {partition}@{offset}, which was {known} before"))
    }

    fn files_agree(&mut self, contents: &Contents) -> Result<(), String> {
        for (partition, records) in contents {
            for (offset, record) in records {
                self.same(*partition, *offset, *record, "the file")?;
            }
        }
        for (partition, offset) in &self.read_to {
            if !contents.get(partition).is_some_and(|records| records.contains_key(offset)) {
                return Err(format!("{partition}@{offset} was read once and is gone"));
            }
        }
        Ok(())
    }

    /// A machine lost what it never promised to have: offsets behind its end may be given anew.
    fn release(&mut self, contents: &Contents) {
        let end = |partition: &i32| {
            contents.get(partition).and_then(|records| records.last_key_value()).map_or(-1, |(last, _)| *last)
        };
        self.known.retain(|(partition, offset), _| *offset <= end(partition));
        for (partition, offset) in &mut self.read_to {
            *offset = (*offset).min(end(partition));
        }
        self.read_to.retain(|_, offset| *offset >= 0);
    }
}

impl Checker for StableOffsets {
    fn name(&self) -> &'static str {
        "an offset never changes what it names"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Read { reader, partition, offset, record } => {
                let read_to = self.read_to.entry(*partition).or_default();
                *read_to = (*read_to).max(*offset);
                self.same(*partition, *offset, *record, &format!("reader {reader}"))
            }
            Event::Started { keeps_all, contents, .. } => {
                if !keeps_all {
                    self.release(contents);
                } else {
                    // what nobody saw yet may go with a process that died in the middle of its write
                    self.known.retain(|(partition, offset), _| {
                        self.read_to.get(partition).is_some_and(|read_to| offset <= read_to)
                            || contents.get(partition).is_some_and(|records| records.contains_key(offset))
                    });
                }
                self.files_agree(contents)
            }
            Event::Settled { contents } => self.files_agree(contents),
            Event::Sent { .. }
            | Event::Acknowledged { .. }
            | Event::Failed { .. }
            | Event::Sought { .. }
            | Event::Fault(_)
            | Event::Group(_)
            | Event::Note(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(offset: i64, number: u64) -> Event {
        Event::Read { reader: 0, partition: 0, offset, record: RecordId { producer: 0, number } }
    }

    #[test]
    fn an_offset_that_names_another_record_is_found() {
        let mut checker = StableOffsets::default();
        checker.observe(&read(5, 1)).unwrap();
        checker.observe(&read(5, 1)).unwrap();
        checker.observe(&read(5, 2)).unwrap_err();
    }

    #[test]
    fn what_was_read_and_is_gone_is_found() {
        let mut checker = StableOffsets::default();
        checker.observe(&read(5, 1)).unwrap();
        checker.observe(&Event::Settled { contents: Contents::new() }).unwrap_err();
    }
}
