//! A partition has one owner at a time, and nobody else processes it.
//!
//! A member that the coordinator may have given up (silent for a session timeout, too slow to give back, or already told) does not count as an
//! owner: it goes on until it learns of it, and no protocol can help that.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkers::Checker;
use crate::group_history::{GroupEvent, GroupPartition, Owner};
use crate::history::Event;

/// See the module.
#[derive(Debug, Default)]
pub struct OneOwner {
    owners: BTreeMap<GroupPartition, Owner>,
    /// What somebody believes to own who was given up.
    ghosts: BTreeSet<(GroupPartition, Owner)>,
}

impl OneOwner {
    fn observe(&mut self, event: &GroupEvent) -> Result<(), String> {
        match event {
            GroupEvent::Took { group, owner, from, ghost: true } => {
                self.ghosts.extend(from.keys().map(|partition| ((*group, *partition), *owner)));
            }
            GroupEvent::Took { group, owner, from, ghost: false } => {
                for partition in from.keys() {
                    let key = (*group, *partition);
                    match self.owners.insert(key, *owner) {
                        Some(other) if other == *owner => {
                            return Err(format!("{owner} was given partition {partition} of g{group}, which it has"));
                        }
                        Some(other) => {
                            return Err(format!(
                                "{owner} took partition {partition} of g{group} while {other} owns it"
                            ));
                        }
                        None => self.ghosts.remove(&(key, *owner)),
                    };
                }
            }
            GroupEvent::GaveUp { group, owner, partitions, .. } => {
                for partition in partitions {
                    let key = (*group, *partition);
                    let owned = self.owners.get(&key) == Some(owner);
                    if owned {
                        self.owners.remove(&key);
                    } else if !self.ghosts.remove(&(key, *owner)) {
                        return Err(format!(
                            "{owner} was asked for partition {partition} of g{group}, which it has not"
                        ));
                    }
                }
            }
            GroupEvent::Excused { group, owner, .. } => {
                let (ghosts, kept) = std::mem::take(&mut self.owners)
                    .into_iter()
                    .partition::<BTreeMap<_, _>, _>(|((of, _), who)| of == group && who == owner);
                self.owners = kept;
                self.ghosts.extend(ghosts);
            }
            GroupEvent::Processed { group, owner, partition, offset, .. } => {
                let key = (*group, *partition);
                if self.owners.get(&key) != Some(owner) && !self.ghosts.contains(&(key, *owner)) {
                    return Err(format!("{owner} processed {partition}@{offset} of g{group} without owning it"));
                }
            }
            GroupEvent::Assigned { .. }
            | GroupEvent::Committed { .. }
            | GroupEvent::Late { .. }
            | GroupEvent::Found { .. } => {}
        }
        Ok(())
    }
}

impl Checker for OneOwner {
    fn name(&self) -> &'static str {
        "a partition has one owner in a group"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        if let Event::Group(event) = event { self.observe(event) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::groups::testing::{gave_up, group, processed, took};
    use crate::group_history::{End, Excuse};

    #[test]
    fn a_partition_that_was_given_up_may_be_taken() {
        let mut checker = OneOwner::default();
        for event in [took(1, 0, 0), processed(1, 0, 0), gave_up(1, 0, End::Revoked), took(2, 0, 1)] {
            Checker::observe(&mut checker, &event).unwrap();
        }
        Checker::observe(&mut checker, &processed(1, 0, 1)).unwrap_err();
    }

    #[test]
    fn a_partition_that_is_owned_may_not() {
        let mut checker = OneOwner::default();
        Checker::observe(&mut checker, &took(1, 0, 0)).unwrap();
        Checker::observe(&mut checker, &took(1, 1, 0)).unwrap();
        let error = Checker::observe(&mut checker, &took(2, 1, 0)).unwrap_err();
        assert!(error.contains("while m1.0 owns it"), "{error}");
    }

    #[test]
    fn who_was_given_up_goes_on_until_it_is_told() {
        let mut checker = OneOwner::default();
        let owner = Owner { member: 1, life: 0 };
        let excused = group(GroupEvent::Excused { group: 0, owner, excuse: Excuse::Silent });
        for event in [took(1, 0, 0), excused, took(2, 0, 0), processed(1, 0, 0), gave_up(1, 0, End::Lost)] {
            Checker::observe(&mut checker, &event).unwrap();
        }
        Checker::observe(&mut checker, &processed(1, 0, 1)).unwrap_err();
    }
}
