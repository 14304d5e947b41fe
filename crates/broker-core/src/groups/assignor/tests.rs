//! Against what Apache Kafka's coordinator gave random groups (`testdata/oracle/ServerAssignorOracle.java`).

use super::*;

const RECORDED: &str = include_str!("../../../testdata/assignors/kafka.txt");

#[derive(Default)]
struct Case<'a> {
    name: &'a str,
    partitions: BTreeMap<Uuid, i32>,
    members: BTreeMap<ByteStr, MemberSpec>,
    range: BTreeMap<ByteStr, Partitions>,
    /// The members' numbers of partitions under `uniform`, sorted.
    sizes: Vec<usize>,
    moves: usize,
}

fn topic(number: &str) -> Uuid {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&(number.parse::<u64>().unwrap() + 1).to_be_bytes());
    Uuid(id)
}

fn partitions(text: &str) -> Partitions {
    let of = |of: &str| {
        let (number, partitions) = of.split_once(':').unwrap();
        (topic(number), partitions.split(',').map(|partition| partition.parse().unwrap()).collect())
    };
    text.split(';').filter(|of| *of != "-").map(of).collect()
}

fn cases() -> Vec<Case<'static>> {
    let mut cases: Vec<Case<'static>> = Vec::new();
    for line in RECORDED.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match (&*words, cases.last_mut()) {
            (["case", name], _) => cases.push(Case { name, ..Case::default() }),
            (["t", number, count], Some(case)) => {
                case.partitions.insert(topic(number), count.parse().unwrap());
            }
            (["m", id, instance, topics, current], Some(case)) => {
                let spec = MemberSpec {
                    instance_id: (*instance != "-").then(|| ByteStr::from(*instance)),
                    topics: topics.split(',').filter(|topic| *topic != "-").map(topic).collect(),
                    current: partitions(current),
                };
                case.members.insert(ByteStr::from(*id), spec);
            }
            (["range", members @ ..], Some(case)) => {
                let of = |member: &&str| {
                    let (id, given) = member.split_once('=').unwrap();
                    (ByteStr::from(id), partitions(given))
                };
                case.range = members.iter().map(of).collect();
            }
            (["uniform", sizes, moves], Some(case)) => {
                case.sizes = sizes.split(',').map(|size| size.parse().unwrap()).collect();
                case.moves = moves.parse().unwrap();
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!(cases.len(), 300);
    cases
}

#[test]
fn range_gives_what_kafka_gives() {
    for case in cases() {
        let given = assign(ServerAssignor::Range, &case.members, |topic| case.partitions[topic]);
        assert_eq!(given, case.range, "case {}", case.name);
    }
}

#[test]
fn uniform_is_as_even_as_kafkas_with_as_few_moves() {
    let squares = |sizes: &[usize]| sizes.iter().map(|size| size * size).sum::<usize>();
    let mut better = (0, 0);
    for case in cases() {
        let given = assign(ServerAssignor::Uniform, &case.members, |topic| case.partitions[topic]);
        let mut seen = BTreeSet::new();
        let mut moves = 0;
        for (id, partitions) in &given {
            let member = &case.members[id];
            for (topic, partitions) in partitions {
                assert!(member.topics.contains(topic), "case {}", case.name);
                seen.extend(partitions.iter().map(|partition| (*topic, *partition)));
            }
            let kept = |topic: &Uuid, partition| given[id].get(topic).is_some_and(|of| of.contains(partition));
            let current = member.current.iter().filter(|(topic, _)| member.topics.contains(*topic));
            moves += current.flat_map(|(topic, of)| of.iter().filter(|partition| !kept(topic, partition))).count();
        }
        let mut sizes: Vec<usize> = given.values().map(|of| of.values().map(BTreeSet::len).sum()).collect();
        sizes.sort_unstable();
        let wanted = |topic: &&Uuid| case.members.values().any(|member| member.topics.contains(*topic));
        let count: i32 = case.partitions.keys().filter(wanted).map(|topic| case.partitions[topic]).sum();
        assert_eq!((seen.len(), sizes.iter().sum()), (usize::try_from(count).unwrap(), seen.len()));
        assert!(squares(&sizes) <= squares(&case.sizes), "case {}: {sizes:?}, Kafka {:?}", case.name, case.sizes);
        if squares(&sizes) < squares(&case.sizes) {
            better.0 += 1;
        } else {
            assert!(moves <= case.moves, "case {}: {moves} moves, Kafka {}", case.name, case.moves);
            better.1 += usize::from(moves < case.moves);
        }
    }
    eprintln!("more even in {} cases, fewer moves in {}", better.0, better.1);
}

#[test]
fn a_topic_that_is_gone_is_nobodys() {
    let member = MemberSpec { topics: [topic("0")].into(), current: partitions("0:0,7;1:3"), ..Default::default() };
    let members = [(ByteStr::from("m"), member)].into();
    for assignor in [ServerAssignor::Uniform, ServerAssignor::Range] {
        assert_eq!(assign(assignor, &members, |_| -1)["m"], Partitions::new());
        assert_eq!(assign(assignor, &members, |_| 1)["m"], partitions("0:0"));
        assert!(assign(assignor, &BTreeMap::new(), |_| 1).is_empty());
        assert_eq!(ServerAssignor::named(assignor.name()), Some(assignor));
    }
}
