//! A reader gets every offset once, in order, from where it was sent: the topics here have neither transactions nor compaction, so no offset is
//! missing from a log.

use std::collections::BTreeMap;

use super::Checker;
use crate::history::Event;

/// See the module.
#[derive(Debug, Default)]
pub struct ContiguousReads {
    next: BTreeMap<(usize, i32), i64>,
}

impl Checker for ContiguousReads {
    fn name(&self) -> &'static str {
        "a reader skips nothing and repeats nothing"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Sought { reader, partition, offset: Some(offset) } => {
                self.next.insert((*reader, *partition), *offset);
            }
            Event::Sought { reader, partition, offset: None } => {
                self.next.remove(&(*reader, *partition));
            }
            Event::Read { reader, partition, offset, .. } => {
                let next = self.next.insert((*reader, *partition), offset + 1);
                if let Some(next) = next
                    && next != *offset
                {
                    return Err(format!("reader {reader} got {partition}@{offset} where {next} was next"));
                }
            }
            Event::Sent { .. }
            | Event::Acknowledged { .. }
            | Event::Failed { .. }
            | Event::Started { .. }
            | Event::Settled { .. }
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
    use crate::history::RecordId;

    #[test]
    fn a_skipped_offset_is_found_unless_the_reader_was_sent_there() {
        let read =
            |offset| Event::Read { reader: 0, partition: 0, offset, record: RecordId { producer: 0, number: 0 } };
        let mut checker = ContiguousReads::default();
        checker.observe(&read(3)).unwrap();
        checker.observe(&read(4)).unwrap();
        checker.observe(&Event::Sought { reader: 0, partition: 0, offset: Some(9) }).unwrap();
        checker.observe(&read(9)).unwrap();
        checker.observe(&read(11)).unwrap_err();
    }
}
