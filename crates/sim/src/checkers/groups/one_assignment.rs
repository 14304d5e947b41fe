//! A generation of a classic group gives a partition to one member: seen on the wire, whatever the members then believe.

use std::collections::BTreeMap;

use crate::checkers::Checker;
use crate::group_history::GroupEvent;
use crate::history::Event;

/// See the module.
#[derive(Debug, Default)]
pub struct OneAssignment {
    /// By group and generation: who was given each partition.
    given: BTreeMap<(usize, i32), BTreeMap<i32, String>>,
}

impl Checker for OneAssignment {
    fn name(&self) -> &'static str {
        "a generation gives a partition to one member"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        if let Event::Group(GroupEvent::Assigned { group, generation, member, partitions }) = event {
            let given = self.given.entry((*group, *generation)).or_default();
            for partition in partitions {
                let owner = given.entry(*partition).or_insert_with(|| member.clone());
                if owner != member {
                    return Err(format!(
                        "generation {generation} of g{group} gave partition {partition} to {owner} and to {member}"
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::groups::testing::group;

    fn assigned(generation: i32, member: &str, partitions: &[i32]) -> Event {
        let partitions = partitions.to_vec();
        group(GroupEvent::Assigned { group: 0, generation, member: member.to_owned(), partitions })
    }

    #[test]
    fn a_partition_moves_from_one_generation_to_the_next_only() {
        let mut checker = OneAssignment::default();
        checker.observe(&assigned(1, "a", &[0, 1])).unwrap();
        checker.observe(&assigned(1, "b", &[2])).unwrap();
        checker.observe(&assigned(1, "a", &[0, 1])).unwrap();
        checker.observe(&assigned(2, "b", &[0, 2])).unwrap();
        checker.observe(&assigned(1, "b", &[1])).unwrap_err();
    }
}
