//! What holds of every answer, whatever Kafka gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::assignor::{
    Assignment, Assignments, Assignor, GroupSubscription, MemberSubscription, PartitionAssignor, RebalanceProtocol,
    offered_protocols, protocol, rebalance_protocol,
};
use felice_protocol::primitives::ByteStr;

use crate::groups::{Group, Random, assigned, random, sizes, squares};

const KAFKAS: [Assignor; 4] = [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky];

#[test]
fn every_partition_goes_to_exactly_one_subscriber() {
    let mut numbers = Random(11);
    for _ in 0..500 {
        let group = random(&mut numbers, 8, 6, 10);
        for assignor in &KAFKAS[..3] {
            assert_eq!(assigned(&group.assign(assignor)), group.wanted(), "{assignor:?} {group:?}");
        }
    }
}

/// The least sum of squares of all divisions, and the fewest moves with it.
fn best(group: &Group) -> (usize, usize) {
    let wanted: Vec<TopicPartition> = group.wanted().into_iter().collect();
    let owners = group.owners();
    fn divide(
        group: &Group,
        owners: &BTreeMap<TopicPartition, ByteStr>,
        left: &[TopicPartition],
        sizes: &mut [usize],
        moves: usize,
        best: &mut (usize, usize),
    ) {
        let Some((partition, left)) = left.split_first() else {
            *best = (*best).min((squares(sizes), moves));
            return;
        };
        for (index, member) in group.members.iter().enumerate() {
            if member.topics.contains(&partition.topic) {
                let moved = owners.get(partition).is_some_and(|owner| *owner != member.member_id);
                sizes[index] += 1;
                divide(group, owners, left, sizes, moves + usize::from(moved), best);
                sizes[index] -= 1;
            }
        }
    }
    let mut best = (usize::MAX, usize::MAX);
    divide(group, &owners, &wanted, &mut vec![0; group.members.len()], 0, &mut best);
    best
}

#[test]
fn sticky_is_the_best_of_all_divisions() {
    let mut numbers = Random(12);
    let mut unequal = 0;
    while unequal < 400 {
        let group = random(&mut numbers, 4, 4, 3);
        if group.wanted().len() > 8 || group.members.len() < 2 {
            continue;
        }
        unequal += usize::from(group.members.windows(2).any(|pair| pair[0].topics != pair[1].topics));
        let ours = group.assign(&Assignor::Sticky);
        assert_eq!((squares(&sizes(&ours)), group.moves(&ours)), best(&group), "{group:?}");
    }
}

#[test]
fn sticky_leaves_its_own_answer_as_it_is() {
    let mut numbers = Random(13);
    for _ in 0..200 {
        let mut group = random(&mut numbers, 10, 6, 12);
        let first = group.assign(&Assignor::Sticky);
        group.settle(&first, 8);
        assert_eq!(group.assign(&Assignor::Sticky), first);
    }
}

#[test]
fn cooperative_sticky_gives_nothing_that_another_still_claims() {
    let mut numbers = Random(14);
    let mut held_back = 0;
    for _ in 0..500 {
        let group = random(&mut numbers, 8, 6, 10);
        let given = group.assign(&Assignor::CooperativeSticky);
        let owners = group.owners();
        for member in &group.members {
            for partition in &given[&member.member_id].partitions {
                let others = group.members.iter().filter(|other| other.member_id != member.member_id);
                let is_claimed = others.into_iter().any(|other| other.owned.contains(partition));
                assert!(!is_claimed || owners.get(partition) == Some(&member.member_id), "{partition} of {group:?}");
            }
        }
        for missing in group.wanted().difference(&assigned(&given)) {
            assert!(group.members.iter().any(|member| member.owned.contains(missing)), "{missing} of {group:?}");
            held_back += 1;
        }
    }
    assert!(held_back > 100, "{held_back}");
}

#[test]
fn cooperative_sticky_is_done_in_two_rounds() {
    let mut numbers = Random(15);
    for _ in 0..300 {
        let mut group = random(&mut numbers, 8, 6, 10);
        let first = group.assign(&Assignor::CooperativeSticky);
        group.settle(&first, 8);
        let second = group.assign(&Assignor::CooperativeSticky);
        assert_eq!(assigned(&second), group.wanted());
        group.settle(&second, 9);
        assert_eq!(group.assign(&Assignor::CooperativeSticky), second);
    }
}

#[test]
fn two_that_claim_the_same_in_one_generation_both_lose_it() {
    let mut group = Group::default();
    group.topic("t", 2);
    for id in ["a", "b"] {
        let member = group.member(id, &["t"]);
        member.owned = vec![TopicPartition::new("t", 0)];
        member.generation = Some(3);
    }
    let given = group.assign(&Assignor::CooperativeSticky);
    assert_eq!(assigned(&given), [TopicPartition::new("t", 1)].into());

    // An older claim counts for less, but what is claimed is still not given to a third.
    group.members[1].generation = Some(2);
    let given = group.assign(&Assignor::CooperativeSticky);
    assert_eq!(given["a"].partitions, [TopicPartition::new("t", 0)]);
    assert_eq!(given["b"].partitions, [TopicPartition::new("t", 1)]);
}

#[test]
fn sticky_takes_racks_where_it_costs_no_move() {
    let mut group = Group::default();
    group.topic("t", 4);
    let rack = |rack: &str| vec![ByteStr::from(rack)];
    group.topics.get_mut("t").unwrap().racks = vec![rack("y"), rack("y"), rack("x"), rack("x")];
    for (id, rack) in [("a", "x"), ("b", "y")] {
        group.member(id, &["t"]).rack = Some(rack.into());
    }
    let wanted = |at: i32| vec![TopicPartition::new("t", at), TopicPartition::new("t", at + 1)];
    for others in [false, true] {
        if others {
            group.topic("u", 1);
            group.member("c", &["u"]);
        }
        let given = group.assign(&Assignor::Sticky);
        assert_eq!((&given["a"].partitions, &given["b"].partitions), (&wanted(2), &wanted(0)), "{others}");
    }
}

struct AllToTheLast(RebalanceProtocol);

impl PartitionAssignor for AllToTheLast {
    fn name(&self) -> &str {
        "all-to-the-last"
    }

    fn protocol(&self) -> RebalanceProtocol {
        self.0
    }

    fn assign(&self, group: &GroupSubscription<'_>) -> Assignments {
        let mut given = Assignments::new();
        given.insert("nobody".into(), Assignment::default());
        if let Some(last) = group.members.last() {
            let partitions = vec![TopicPartition::new("t", 0)];
            given.insert(last.member_id.clone(), Assignment { partitions, user_data: Some("hello".into()) });
        }
        given
    }
}

#[test]
fn an_assignor_of_the_applications_own_is_asked() {
    let mut group = Group::default();
    group.topic("t", 1);
    group.member("a", &["t"]);
    group.member("b", &["t"]);
    let given = group.assign(&Assignor::Custom(Arc::new(AllToTheLast(RebalanceProtocol::Eager))));
    assert_eq!(given["a"], Assignment::default());
    assert_eq!(given["b"].user_data, Some("hello".into()));
    assert_eq!(given.len(), 2);
}

#[test]
fn a_member_offers_each_assignor_once_and_names_what_it_owns_only_where_it_keeps_it() {
    let member = MemberSubscription {
        topics: vec!["t".into()],
        owned: vec![TopicPartition::new("t", 1)],
        generation: Some(4),
        ..Default::default()
    };
    let offered = |assignors: &[Assignor]| -> Vec<(String, MemberSubscription)> {
        let decode = |metadata| protocol::decode_subscription("m".into(), None, metadata).unwrap();
        let offered = offered_protocols(assignors, &member).unwrap();
        offered.into_iter().map(|offered| (offered.name.to_string(), decode(offered.metadata))).collect()
    };
    let [range, sticky, cooperative] = [Assignor::Range, Assignor::Sticky, Assignor::CooperativeSticky];
    let mixed = offered(&[range.clone(), cooperative.clone(), sticky, range]);
    let names: Vec<&str> = mixed.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["range", "cooperative-sticky", "sticky"]);
    assert!(mixed.iter().all(|(_, subscription)| subscription.owned.is_empty()));
    assert_eq!(mixed[0].1.user_data, None);
    assert_eq!(mixed[1].1.user_data.as_deref(), Some(&[0, 0, 0, 4][..]));
    let custom = Assignor::Custom(Arc::new(AllToTheLast(RebalanceProtocol::Cooperative)));
    let keeping = [cooperative, custom];
    assert_eq!(rebalance_protocol(&keeping), RebalanceProtocol::Cooperative);
    assert!(offered(&keeping).iter().all(|(_, subscription)| subscription.owned == member.owned));
}

#[test]
fn assignors_are_found_by_kafkas_names() {
    for assignor in KAFKAS {
        assert_eq!(Assignor::from_name(assignor.name()).unwrap().name(), assignor.name());
    }
    let java = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    assert_eq!(Assignor::from_name(java).unwrap().name(), "cooperative-sticky");
    assert!(Assignor::from_name("rnage").is_none());
}
