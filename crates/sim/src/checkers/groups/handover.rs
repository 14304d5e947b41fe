//! Who takes a partition begins where the commits say: nothing is skipped, nothing that was committed is done again, and each owner goes on
//! record by record. With a commit before every revocation no record is then processed by two owners out of order.

use std::collections::BTreeMap;

use crate::checkers::Checker;
use crate::group_history::{GroupEvent, GroupPartition, Owner};
use crate::history::Event;

/// See the module.
#[derive(Debug, Default)]
pub struct Handover {
    committed: BTreeMap<GroupPartition, i64>,
    /// Up to here every record was processed by somebody.
    processed: BTreeMap<GroupPartition, i64>,
    /// What each owner processes next.
    next: BTreeMap<(GroupPartition, Owner), i64>,
}

impl Handover {
    fn observe(&mut self, event: &GroupEvent) -> Result<(), String> {
        match event {
            GroupEvent::Took { group, owner, from, ghost } => {
                for (partition, offset) in from {
                    let key = (*group, *partition);
                    let committed = self.committed.get(&key).copied().unwrap_or(0);
                    let processed = self.processed.get(&key).copied().unwrap_or(0);
                    if *offset < committed && !ghost {
                        return Err(format!(
                            "{owner} begins partition {partition} of g{group} at {offset}, but {committed} is committed"
                        ));
                    }
                    if *offset > processed {
                        return Err(format!(
                            "{owner} begins partition {partition} of g{group} at {offset}, but only up to {processed} was processed"
                        ));
                    }
                    self.next.insert((key, *owner), *offset);
                }
            }
            GroupEvent::Processed { group, owner, partition, offset, .. } => {
                let key = (*group, *partition);
                let next = self.next.insert((key, *owner), offset + 1);
                if next != Some(*offset) {
                    return Err(format!("{owner} processed {partition}@{offset} of g{group} where {next:?} was next"));
                }
                let end = self.processed.entry(key).or_default();
                *end = (*end).max(offset + 1);
            }
            GroupEvent::GaveUp { group, owner, partitions, .. } => {
                for partition in partitions {
                    self.next.remove(&((*group, *partition), *owner));
                }
            }
            GroupEvent::Committed { group, partition, offset } => {
                self.committed.insert((*group, *partition), *offset);
            }
            GroupEvent::Late { stale: true, .. } => {}
            GroupEvent::Late { group, partition, offset, stale: false } => {
                if let Some(committed) = self.committed.get_mut(&(*group, *partition)) {
                    *committed = (*committed).min(*offset);
                }
            }
            GroupEvent::Excused { .. } | GroupEvent::Assigned { .. } | GroupEvent::Found { .. } => {}
        }
        Ok(())
    }
}

impl Checker for Handover {
    fn name(&self) -> &'static str {
        "a new owner begins where the commits say"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        if let Event::Group(event) = event { self.observe(event) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::groups::testing::{committed, gave_up, processed, took};
    use crate::group_history::End;

    fn handed_over() -> Handover {
        let mut checker = Handover::default();
        for event in [
            took(1, 0, 0),
            processed(1, 0, 0),
            processed(1, 0, 1),
            committed(0, 1),
            processed(1, 0, 2),
            gave_up(1, 0, End::Lost),
        ] {
            Checker::observe(&mut checker, &event).unwrap();
        }
        checker
    }

    #[test]
    fn between_the_commit_and_what_was_processed_all_is_well() {
        for offset in 1..=3 {
            Checker::observe(&mut handed_over(), &took(2, 0, offset)).unwrap();
        }
    }

    #[test]
    fn behind_the_commit_or_beyond_what_was_processed_is_wrong() {
        for offset in [0, 4] {
            Checker::observe(&mut handed_over(), &took(2, 0, offset)).unwrap_err();
        }
    }

    #[test]
    fn an_owner_leaves_nothing_out() {
        let mut checker = handed_over();
        Checker::observe(&mut checker, &took(2, 0, 1)).unwrap();
        Checker::observe(&mut checker, &processed(2, 0, 2)).unwrap_err();
    }
}
