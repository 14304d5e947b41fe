//! In the end every group has processed every record of the log.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkers::Checker;
use crate::group_history::GroupEvent;
use crate::history::{Contents, Event, RecordId};

/// See the module.
#[derive(Debug, Default)]
pub struct AtLeastOnce {
    processed: BTreeMap<usize, BTreeSet<(i32, i64, RecordId)>>,
}

impl AtLeastOnce {
    /// A checker of so many groups.
    pub fn new(groups: usize) -> Self {
        Self { processed: (0..groups).map(|group| (group, BTreeSet::new())).collect() }
    }

    fn all_processed(&self, contents: &Contents) -> Result<(), String> {
        for (group, processed) in &self.processed {
            let missing = contents
                .iter()
                .flat_map(|(partition, records)| records.iter().map(|(offset, record)| (*partition, *offset, *record)))
                .filter(|record| !processed.contains(record));
            let missing: Vec<_> = missing.collect();
            if let Some((partition, offset, record)) = missing.first() {
                return Err(format!(
                    "g{group} has processed all but {} records; the first is {record} at {partition}@{offset}",
                    missing.len()
                ));
            }
        }
        Ok(())
    }
}

impl Checker for AtLeastOnce {
    fn name(&self) -> &'static str {
        "a group processes every record"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Group(GroupEvent::Processed { group, partition, offset, record, .. }) => {
                self.processed.entry(*group).or_default().insert((*partition, *offset, *record));
                Ok(())
            }
            Event::Settled { contents } => self.all_processed(contents),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::groups::testing::{RECORD, processed};

    #[test]
    fn a_record_that_nobody_processed_is_missed() {
        let mut checker = AtLeastOnce::new(1);
        let contents = Contents::from([(0, [(0, RECORD), (1, RECORD)].into())]);
        checker.observe(&processed(1, 0, 0)).unwrap();
        let error = checker.observe(&Event::Settled { contents: contents.clone() }).unwrap_err();
        assert!(error.contains("0@1"), "{error}");
        checker.observe(&processed(2, 0, 1)).unwrap();
        checker.observe(&Event::Settled { contents }).unwrap();
    }
}
