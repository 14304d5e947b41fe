//! What other members send may be anything.

use bytes::{BufMut, Bytes, BytesMut};
use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::assignor::{Assignor, GroupSubscription, MemberSubscription, protocol};

use crate::groups::{Group, Random, assigned};

fn decode(bytes: impl Into<Bytes>) -> Option<MemberSubscription> {
    protocol::decode_subscription("m".into(), None, bytes.into()).ok()
}

fn valid() -> MemberSubscription {
    MemberSubscription {
        member_id: "m".into(),
        topics: vec!["t".into(), "u".into()],
        owned: vec![TopicPartition::new("t", 0), TopicPartition::new("u", 2)],
        generation: Some(9),
        rack: Some("r".into()),
        user_data: Some("data".into()),
        ..Default::default()
    }
}

#[test]
fn a_newer_version_is_read_as_the_newest_known() {
    let mut bytes = BytesMut::from(&protocol::encode_subscription(&valid()).unwrap()[..]);
    bytes[..2].copy_from_slice(&i16::MAX.to_be_bytes());
    bytes.put_slice(b"what a later version adds");
    assert_eq!(decode(bytes.clone()).unwrap(), valid());
    bytes[..2].copy_from_slice(&(-1_i16).to_be_bytes());
    assert_eq!(decode(bytes), None);
    assert_eq!(decode(Bytes::new()), None);
    assert_eq!(protocol::decode_assignment(Bytes::new()).unwrap(), Default::default());
}

#[test]
fn cut_and_changed_bytes_are_errors_or_something_else_but_no_panic() {
    let mut numbers = Random(21);
    let bytes = protocol::encode_subscription(&valid()).unwrap();
    for length in 0..bytes.len() {
        assert_eq!(decode(bytes.slice(..length)), None, "{length}");
    }
    let mut group = Group::default();
    group.topic("t", 3);
    group.topic("u", 3);
    for _ in 0..2000 {
        let mut changed = BytesMut::from(&bytes[..]);
        for _ in 0..3 {
            let at = numbers.below(changed.len());
            changed[at] = u8::try_from(numbers.below(256)).unwrap();
        }
        let _ = protocol::decode_assignment(changed.clone().freeze());
        let Some(read) = decode(changed) else { continue };
        let length = numbers.below(30);
        let other = MemberSubscription { member_id: "n".into(), user_data: Some(numbers.bytes(length)), ..valid() };
        let members = [read, other];
        let subscription = GroupSubscription { members: &members, topics: &group.topics, generation: 1 };
        for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky] {
            assignor.assign(&subscription);
        }
    }
}

#[test]
fn a_count_is_not_believed() {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    bytes.put_i32(i32::MAX);
    assert_eq!(decode(bytes), None);
    let lie = MemberSubscription {
        user_data: Some(Bytes::copy_from_slice(&i32::MAX.to_be_bytes())),
        topics: vec!["t".into()],
        ..valid()
    };
    let mut group = Group::default();
    group.topic("t", 3);
    let subscription = GroupSubscription { members: &[lie], topics: &group.topics, generation: 1 };
    assert_eq!(assigned(&Assignor::Sticky.assign(&subscription)).len(), 3);
}

#[test]
fn doubled_topics_claims_of_what_is_not_there_and_doubled_members_do_no_harm() {
    let mut group = Group::default();
    group.topic("t", 4);
    group.topic("empty", 0);
    let member = group.member("a", &["t", "t", "empty", "missing"]);
    member.owned = [0, 0, 0, -1, 4, i32::MAX, i32::MIN].map(|partition| TopicPartition::new("t", partition)).into();
    member.owned.push(TopicPartition::new("missing", 0));
    member.owned.push(TopicPartition::new("empty", 0));
    group.member("b", &["t", "t"]);
    for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky] {
        let given = group.assign(&assignor);
        assert_eq!((given["a"].partitions.len(), given["b"].partitions.len()), (2, 2), "{assignor:?}");
        assert!(assignor.name() == "roundrobin" || given["a"].partitions.contains(&TopicPartition::new("t", 0)));
        let twice = [group.members[0].clone(), group.members[0].clone()];
        assignor.assign(&GroupSubscription { members: &twice, topics: &group.topics, generation: 1 });
        assert!(assignor.assign(&GroupSubscription { members: &[], topics: &group.topics, generation: 1 }).is_empty());
    }
}
