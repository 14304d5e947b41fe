//! Commits never go back, are never ahead of what was processed, and what was acknowledged is there after every start of the broker.
//!
//! One thing may set a commit back that no protocol helps: a request that its sender has given up, with its connection, and sent anew, and which
//! the broker comes to only after the new one and what followed it.

use std::collections::BTreeMap;

use crate::checkers::Checker;
use crate::group_history::{GroupEvent, GroupPartition};
use crate::history::Event;

/// See the module.
#[derive(Debug, Default)]
pub struct CommitsGoOn {
    committed: BTreeMap<GroupPartition, i64>,
    /// Behind the last record that somebody processed.
    processed: BTreeMap<GroupPartition, i64>,
}

impl CommitsGoOn {
    fn observe(&mut self, event: &GroupEvent) -> Result<(), String> {
        match event {
            GroupEvent::Processed { group, partition, offset, .. } => {
                let end = self.processed.entry((*group, *partition)).or_default();
                *end = (*end).max(offset + 1);
            }
            GroupEvent::Committed { group, partition, offset } => {
                let key = (*group, *partition);
                let end = self.processed.get(&key).copied().unwrap_or(0);
                if *offset > end {
                    return Err(format!("g{group} committed {partition}@{offset}, but only up to {end} was processed"));
                }
                let before = self.committed.insert(key, *offset);
                if let Some(before) = before.filter(|before| before > offset) {
                    return Err(format!("g{group} committed {partition}@{offset} after {before}"));
                }
            }
            GroupEvent::Late { stale: true, .. } => {}
            GroupEvent::Late { group, partition, offset, stale: false } => {
                if let Some(committed) = self.committed.get_mut(&(*group, *partition)) {
                    *committed = (*committed).min(*offset);
                }
            }
            GroupEvent::Found { offsets } => {
                for ((group, partition), before) in &self.committed {
                    let key = (*group, *partition);
                    let found = offsets.get(&key).copied();
                    if found.is_none_or(|found| found < *before) {
                        return Err(format!(
                            "g{group} was told that {partition}@{before} is committed; the files have {found:?}"
                        ));
                    }
                }
            }
            GroupEvent::Took { .. }
            | GroupEvent::GaveUp { .. }
            | GroupEvent::Excused { .. }
            | GroupEvent::Assigned { .. } => {}
        }
        Ok(())
    }
}

impl Checker for CommitsGoOn {
    fn name(&self) -> &'static str {
        "commits never go back"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        if let Event::Group(event) = event { self.observe(event) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::groups::testing::{committed, group, processed};

    fn found(offset: Option<i64>) -> Event {
        group(GroupEvent::Found { offsets: offset.map(|offset| ((0, 0), offset)).into_iter().collect() })
    }

    fn late(stale: bool) -> Event {
        group(GroupEvent::Late { group: 0, partition: 0, offset: 3, stale })
    }

    fn after_five() -> CommitsGoOn {
        let mut checker = CommitsGoOn::default();
        for offset in 0..6 {
            Checker::observe(&mut checker, &processed(1, 0, offset)).unwrap();
        }
        Checker::observe(&mut checker, &committed(0, 5)).unwrap();
        checker
    }

    #[test]
    fn a_commit_goes_on_or_stays() {
        let mut checker = after_five();
        Checker::observe(&mut checker, &committed(0, 5)).unwrap();
        Checker::observe(&mut checker, &committed(0, 6)).unwrap();
        Checker::observe(&mut checker, &committed(0, 5)).unwrap_err();
    }

    #[test]
    fn what_was_not_processed_is_not_committed() {
        Checker::observe(&mut after_five(), &committed(0, 7)).unwrap_err();
    }

    #[test]
    fn a_request_that_was_given_up_may_come_late() {
        let mut checker = after_five();
        Checker::observe(&mut checker, &late(false)).unwrap();
        Checker::observe(&mut checker, &found(Some(3))).unwrap();
        Checker::observe(&mut checker, &committed(0, 4)).unwrap();
    }

    #[test]
    fn one_of_an_older_generation_must_not_be_taken() {
        let mut checker = after_five();
        Checker::observe(&mut checker, &late(true)).unwrap();
        Checker::observe(&mut checker, &found(Some(3))).unwrap_err();
    }

    #[test]
    fn the_files_have_what_was_acknowledged() {
        Checker::observe(&mut after_five(), &found(Some(5))).unwrap();
        Checker::observe(&mut after_five(), &found(Some(6))).unwrap();
        Checker::observe(&mut after_five(), &found(Some(4))).unwrap_err();
        Checker::observe(&mut after_five(), &found(None)).unwrap_err();
    }
}
