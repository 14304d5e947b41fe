//! What Apache Kafka's own assignors gave random groups (`testdata/oracle/AssignorOracle.java`), replayed.

use bytes::Bytes;
use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::assignor::{
    AssignableTopic, Assignment, Assignments, Assignor, MemberSubscription, protocol,
};
use felice_protocol::primitives::ByteStr;

use crate::groups::{Group, assigned, sizes, squares};

const RECORDED: &str = include_str!("../../testdata/assignors/kafka.txt");

struct Case<'a> {
    name: &'a str,
    group: Group,
    answers: Vec<Vec<&'a str>>,
}

fn cases() -> Vec<Case<'static>> {
    let mut cases: Vec<Case<'static>> = Vec::new();
    for line in RECORDED.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match (&*words, cases.last_mut()) {
            (["case", name], _) => cases.push(Case { name, group: Group::default(), answers: Vec::new() }),
            (["t", name, partitions, racks], Some(case)) => {
                let mut topic = AssignableTopic::without_racks(partitions.parse().unwrap());
                if *racks != "-" {
                    let of =
                        |racks: &str| racks.split(',').filter(|rack| !rack.is_empty()).map(ByteStr::from).collect();
                    topic.racks = racks.split('|').map(of).collect();
                }
                case.group.topics.insert(ByteStr::from(*name), topic);
            }
            (["m", id, instance, rack, topics, generation, owned], Some(case)) => {
                let some = |word: &str| (word != "-").then(|| ByteStr::from(word));
                let topics: Vec<&str> = topics.split(',').filter(|topic| *topic != "-").collect();
                let member = case.group.member(id, &topics);
                member.group_instance_id = some(instance);
                member.rack = some(rack);
                member.generation = generation.parse().ok().filter(|generation| *generation >= 0);
                member.owned = partitions(owned);
            }
            (_, Some(case)) => case.answers.push(words),
            (_, None) => panic!("{line}"),
        }
    }
    assert_eq!(cases.len(), 360);
    cases
}

fn partitions(text: &str) -> Vec<TopicPartition> {
    let of = |topic: &str| {
        let (name, numbers) = topic.split_once(':').unwrap();
        numbers.split(',').map(|number| TopicPartition::new(name, number.parse().unwrap())).collect::<Vec<_>>()
    };
    text.split(';').filter(|topic| *topic != "-").flat_map(of).collect()
}

fn exactly(assignor: &Assignor) {
    for case in cases() {
        let answer = case.answers.iter().find(|answer| answer[0] == assignor.name()).unwrap();
        let mut ours = case.group.assign(assignor);
        ours.values_mut().for_each(|assignment| assignment.partitions.sort());
        let theirs: Assignments = answer[1..]
            .iter()
            .map(|member| {
                let (id, given) = member.split_once('=').unwrap();
                (ByteStr::from(id), Assignment { partitions: partitions(given), user_data: None })
            })
            .collect();
        assert_eq!(ours, theirs, "case {}", case.name);
        assert_eq!(assigned(&ours), case.group.wanted());
    }
}

#[test]
fn range_gives_what_kafka_gives() {
    exactly(&Assignor::Range);
}

#[test]
fn roundrobin_gives_what_kafka_gives() {
    exactly(&Assignor::RoundRobin);
}

/// Compares sizes and moves with a recorded line; returns how often ours are smaller.
fn compare(case: &Case<'_>, name: &str, ours: &[usize], moves: usize) -> (usize, usize) {
    let answer = case.answers.iter().find(|answer| answer[0] == name).unwrap();
    let theirs: Vec<usize> = answer[1].split(',').map(|size| size.parse().unwrap()).collect();
    let their_moves: usize = answer[2].parse().unwrap();
    let (balance, their_balance) = (squares(ours), squares(&theirs));
    assert!(balance <= their_balance, "case {}: {ours:?}, Kafka {theirs:?}", case.name);
    if balance < their_balance {
        return (1, 0);
    }
    assert_eq!(ours, theirs, "case {}", case.name);
    assert!(moves <= their_moves, "case {}: {moves} moves, Kafka {their_moves}", case.name);
    (0, usize::from(moves < their_moves))
}

#[test]
fn sticky_is_as_balanced_as_kafkas_with_as_few_moves() {
    let mut better = (0, 0);
    for case in cases() {
        let ours = case.group.assign(&Assignor::Sticky);
        assert_eq!(assigned(&ours), case.group.wanted());
        let (balance, moves) = compare(&case, "sticky", &sizes(&ours), case.group.moves(&ours));
        better = (better.0 + balance, better.1 + moves);
    }
    eprintln!("better balanced in {} cases, fewer moves in {}", better.0, better.1);
}

#[test]
fn cooperative_sticky_settles_as_balanced_as_kafkas_with_as_few_moves() {
    let mut better = (0, 0);
    for mut case in cases() {
        let first = case.group.assign(&Assignor::CooperativeSticky);
        let moves = case.group.moves(&first);
        case.group.settle(&first, 10);
        // What moves is held back once, and given out in the second round.
        let second = case.group.assign(&Assignor::CooperativeSticky);
        assert_eq!(assigned(&second), case.group.wanted());
        case.group.settle(&second, 11);
        assert_eq!(case.group.assign(&Assignor::CooperativeSticky), second, "case {}", case.name);
        let (balance, moves) = compare(&case, "cooperative", &sizes(&second), moves);
        better = (better.0 + balance, better.1 + moves);
    }
    eprintln!("better balanced in {} cases, fewer moves in {}", better.0, better.1);
}

fn unhex(hex: &str) -> Bytes {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn bytes_are_those_of_kafka() {
    let mut compared = 0;
    for case in cases() {
        for answer in &case.answers {
            let ["bytes", kind, id, hex] = **answer else { continue };
            let (member, bytes) =
                (case.group.members.iter().find(|member| member.member_id == id).unwrap(), unhex(hex));
            let cooperative = Assignor::CooperativeSticky.user_data(&[], &[], member.generation).unwrap();
            let one_topic = member.owned.windows(2).all(|pair| pair[0].topic == pair[1].topic);
            if let Some(version) = kind.strip_prefix("subscription") {
                let version: i16 = version.parse().unwrap();
                let mut read = protocol::decode_subscription(id.into(), None, bytes.clone()).unwrap();
                read.owned.sort();
                let mut topics = member.topics.clone();
                topics.sort();
                let wanted = MemberSubscription {
                    member_id: id.into(),
                    group_instance_id: None,
                    topics,
                    owned: if version >= 1 { member.owned.clone() } else { Vec::new() },
                    generation: member.generation.filter(|_| version >= 2),
                    rack: member.rack.clone().filter(|_| version >= 3),
                    user_data: cooperative,
                };
                assert_eq!(read, wanted, "case {}", case.name);
                if version == 3 {
                    assert_eq!(protocol::encode_subscription(&wanted).unwrap(), bytes, "case {}", case.name);
                }
            } else if kind == "sticky" {
                let ours = Assignor::Sticky.user_data(&[], &member.owned, member.generation).unwrap().unwrap();
                // Java puts topics in the order of a hash map.
                if one_topic { assert_eq!(ours, bytes) } else { assert_eq!(ours.len(), bytes.len()) }
            } else {
                let mut read = protocol::decode_assignment(bytes.clone()).unwrap();
                let wanted = Assignment { partitions: member.owned.clone(), user_data: cooperative };
                read.partitions.sort();
                assert_eq!(read, wanted);
                let ours = protocol::encode_assignment(&wanted).unwrap();
                if one_topic { assert_eq!(ours, bytes) } else { assert_eq!(ours.len(), bytes.len()) }
            }
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn sticky_reads_kafkas_user_data() {
    let mut read = 0;
    for case in cases() {
        let told = |member: &MemberSubscription| {
            let kind = |answer: &&Vec<&str>| answer[..3] == ["bytes", "sticky", &*member.member_id];
            case.answers.iter().filter(|answer| answer.len() == 4).find(kind).map(|answer| unhex(answer[3]))
        };
        let mut with_theirs = case.group.clone();
        for member in &mut with_theirs.members {
            member.user_data = told(member);
            read += usize::from(member.user_data.is_some());
            member.owned.clear();
        }
        if with_theirs.members.iter().all(|member| member.user_data.is_none()) {
            continue;
        }
        let group = felice_client_core::consumer::assignor::GroupSubscription {
            members: &with_theirs.members,
            topics: &with_theirs.topics,
            generation: 7,
        };
        assert_eq!(Assignor::Sticky.assign(&group), case.group.assign(&Assignor::Sticky), "case {}", case.name);
    }
    assert!(read > 50, "{read}");
}
