//! Large groups.

use felice_client_core::consumer::assignor::{Assignments, Assignor};

use crate::groups::{Group, Random, sizes};

/// A group of `members`, each subscribed to `of` of `topics` topics of 100 partitions.
fn large(members: usize, topics: usize, of: usize) -> Group {
    let mut group = Group::default();
    let names: Vec<String> = (0..topics).map(|topic| format!("topic-{topic:03}")).collect();
    for name in &names {
        group.topic(name, 100);
    }
    let mut numbers = Random(5);
    for member in 0..members {
        let mine: Vec<&str> = if of == topics {
            names.iter().map(String::as_str).collect()
        } else {
            // A topic may come twice.
            (0..of).map(|_| &*names[numbers.below(topics)]).collect()
        };
        group.member(&format!("member-{member:04}"), &mine);
    }
    group
}

/// The group as it was when the last `late` members were not there yet.
fn join(group: &mut Group, assignor: &Assignor, late: usize) -> Assignments {
    let late = group.members.split_off(group.members.len() - late);
    let before = group.assign(assignor);
    group.settle(&before, 1);
    group.members.extend(late);
    group.assign(assignor)
}

#[test]
fn a_thousand_equal_members_share_twenty_thousand_partitions() {
    for late in [1, 500] {
        let mut group = large(1000, 200, 200);
        let given = join(&mut group, &Assignor::Sticky, late);
        assert_eq!(sizes(&given), [20; 1000]);
        assert_eq!(given.values().rev().take(late).map(|new| new.partitions.len()).sum::<usize>(), late * 20);
    }
    let group = large(1000, 200, 200);
    for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::CooperativeSticky] {
        assert_eq!(sizes(&group.assign(&assignor)).iter().sum::<usize>(), 20_000);
    }
}

#[test]
fn members_with_different_topics_share_twenty_thousand_partitions() {
    for late in [1, 50, 300] {
        let mut group = large(600, 200, 5);
        let given = join(&mut group, &Assignor::Sticky, late);
        let sizes = sizes(&given);
        assert!(sizes[599] - sizes[0] <= 200, "{sizes:?}");
    }
}

#[test]
#[ignore = "long without optimization"]
fn a_thousand_members_with_different_topics_share_twenty_thousand_partitions() {
    for late in [1, 500] {
        let mut group = large(1000, 200, 70);
        let sizes = sizes(&join(&mut group, &Assignor::Sticky, late));
        assert_eq!(sizes, [20; 1000]);
    }
}
