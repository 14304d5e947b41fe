//! The log read again gives what was there, whatever happened before, and nobody ever waits for good.

use std::collections::BTreeSet;

use super::super::classic::ClassicGroupState;
use super::*;

/// What of a group is in the log.
type Kept = (Option<(i32, Option<ByteStr>, Vec<(ByteStr, Option<ByteStr>, Bytes)>)>, CommittedOffsets);

fn kept_of(groups: &GroupCoordinator) -> BTreeMap<ByteStr, Kept> {
    let entries = groups.groups.iter().map(|(id, entry)| {
        let Group::Classic(group) = &entry.group else { panic!("{:?}", entry.group) };
        // While members join and sync, the log has the generation before.
        let settled = matches!(group.state(), ClassicGroupState::Empty | ClassicGroupState::Stable);
        let members = group.members.iter();
        let members = members.map(|(id, m)| (id.clone(), m.group_instance_id.clone(), m.assignment.clone()));
        let group = settled.then(|| (group.generation_id, group.protocol_name.clone(), members.collect()));
        (id.clone(), (group, entry.offsets.clone()))
    });
    entries.collect()
}

fn replayed(world: &World, records: &[GroupRecord]) -> GroupCoordinator {
    let mut groups = coordinator(world.now, &[]);
    for record in records {
        groups.replay(record.key.clone(), record.value.clone()).unwrap();
    }
    (0..50).for_each(|partition| groups.loaded(world.now, partition));
    groups
}

/// Everything that clients may do, in any order.
fn anything(world: &mut World, random: &mut Random, known: &mut Vec<ByteStr>, waiting: &mut BTreeSet<u64>) {
    let mut pick = |n: usize| usize::try_from(random.next_u64() % u64::try_from(n).unwrap()).unwrap();
    let member: ByteStr = match pick(4) {
        0 => ByteStr::default(),
        _ if known.is_empty() => "nobody".into(),
        _ => known[pick(known.len())].clone(),
    };
    let instance = [None, None, Some("i"), Some("j")][pick(4)];
    let generation = match world.groups.groups.get("g").map(|entry| &entry.group) {
        Some(Group::Classic(group)) => group.generation_id - i32::from(pick(5) == 0),
        _ => -1,
    };
    match pick(8) {
        0..=2 => {
            let version = [0, 3, 4, 9][pick(4)];
            let topics = [subscription(&["t"]), subscription(&["u"]), Bytes::from_static(b"not one")][pick(3)].clone();
            let instance = instance.filter(|_| version >= 5);
            waiting.insert(world.join(version, &join_with(&member, instance, &[("range", topics)])));
        }
        3 | 4 => {
            let assignments: Vec<(&str, &str)> = known.iter().map(|id| (id.as_str(), "a")).collect();
            waiting.insert(world.sync(sync(&member, generation, &assignments)));
        }
        5 => {
            world.leave(&member, instance);
        }
        6 => {
            let topic = ["t", "u"][pick(2)];
            let (member, generation) = if pick(2) == 0 { ("", -1) } else { (&*member, generation) };
            world.commit(member, generation, topic, i64::try_from(pick(100)).unwrap());
        }
        _ => world.pass([1, 1_000, 9_000, 31_000][pick(4)]),
    }
    waiting.retain(|waiter| match world.answers.get(waiter) {
        Some(GroupAnswer::JoinGroup(answer)) => {
            if !answer.member_id.is_empty() && !known.contains(&answer.member_id) {
                known.push(answer.member_id.clone());
            }
            false
        }
        Some(_) => false,
        None => true,
    });
}

#[test]
fn after_any_history_the_log_gives_the_groups_back_and_nobody_waits_for_good() {
    for seed in 0..200 {
        let mut world = World::new();
        let mut random = Random::new(seed);
        let (mut known, mut waiting) = (Vec::new(), BTreeSet::new());
        for step in 0..150 {
            anything(&mut world, &mut random, &mut known, &mut waiting);
            if step % 10 != 0 {
                continue;
            }
            let (live, read) = (kept_of(&world.groups), kept_of(&replayed(&world, &world.log)));
            assert_eq!(live.keys().collect::<Vec<_>>(), read.keys().collect::<Vec<_>>(), "seed {seed}, step {step}");
            for (id, (group, offsets)) in live {
                let (replayed, replayed_offsets) = &read[&id];
                assert_eq!(&offsets, replayed_offsets, "seed {seed}, step {step}");
                assert!(group.is_none() || group == *replayed, "seed {seed}, step {step}: {group:?} {replayed:?}");
            }
        }
        // Sessions of 10 seconds, rebalances of 30, new members of five minutes.
        world.pass(20 * 60 * 1000);
        waiting.retain(|waiter| !world.answers.contains_key(waiter));
        assert!(waiting.is_empty(), "seed {seed}: {waiting:?} were never answered");
    }
}

#[test]
fn every_prefix_of_the_log_is_a_log() {
    let mut world = World::new();
    let mut random = Random::new(77);
    let (mut known, mut waiting) = (Vec::new(), BTreeSet::new());
    (0..400).for_each(|_| anything(&mut world, &mut random, &mut known, &mut waiting));
    assert!(world.log.len() > 20, "{}", world.log.len());
    for end in 0..=world.log.len() {
        let mut groups = replayed(&world, &world.log[..end]);
        // And it lives: all sessions end, and every group is empty.
        let mut now = world.now;
        for _ in 0..100 {
            now.monotonic_nanos += 60_000_000_000;
            groups.handle_timeout(now, TopicsView::Listed(&world.topics));
        }
        for entry in groups.groups.values() {
            let Group::Classic(group) = &entry.group else { panic!() };
            assert_eq!(group.state(), ClassicGroupState::Empty);
        }
    }
}

#[test]
fn records_that_are_none_are_errors_and_change_nothing() {
    let mut world = World::new();
    world.stable(2);
    let mut random = Random::new(5);
    let mut groups = replayed(&world, &world.log);
    let before = kept_of(&groups);
    for record in world.log.clone() {
        for cut in 0..record.key.len() {
            assert!(groups.replay(record.key.slice(..cut), record.value.clone()).is_err());
        }
        let value = record.value.clone().unwrap();
        for cut in 0..value.len() {
            assert!(groups.replay(record.key.clone(), Some(value.slice(..cut))).is_err());
        }
        assert_eq!(kept_of(&groups), before);
    }
    // Bytes that were changed may be a record, too; they are never more than that.
    for record in world.log.clone() {
        for _ in 0..500 {
            let mut value = record.value.clone().unwrap().to_vec();
            let at = usize::try_from(random.next_u64()).unwrap() % value.len();
            value[at] = random.next_u64().to_be_bytes()[0];
            let _ = groups.replay(record.key.clone(), Some(value.into()));
        }
    }
}

#[test]
fn a_members_next_heartbeat_after_a_restart_is_good_in_a_stable_group() {
    let mut world = World::new();
    let (ids, generation) = world.stable(2);
    world.pass(9_000);
    world.groups = replayed(&world, &world.log);
    world.pass(9_000);
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::NONE, "its session begins anew");
    assert_eq!(world.commit(&ids[0], generation, "t", 7), ErrorCode::NONE);
    world.pass(2_000);
    assert_eq!(world.heartbeat(&ids[0], generation), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(world.heartbeat(&ids[1], generation), ErrorCode::UNKNOWN_MEMBER_ID);
}
