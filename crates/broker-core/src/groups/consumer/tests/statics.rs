//! Static members: away for a while, back under another member id.

use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::ConsumerGroupHeartbeatRequest;

use super::{Bench, SESSION, beating, given, joining, owning, partitions};

fn instance(name: &str, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest { instance_id: Some(name.into()), ..request }
}

#[test]
fn who_comes_back_has_what_it_had_and_nobody_notices() {
    let mut bench = Bench::new(&[("a", 2)]);
    bench.beat(&instance("i1", joining("m1", &["a"]))).unwrap();
    bench.beat(&instance("i2", joining("m2", &["a"]))).unwrap();
    bench.beat(&instance("i1", beating("m1", 2))).unwrap();
    bench.beat(&instance("i1", owning("m1", 2, &[(1, &[0])]))).unwrap();
    bench.beat(&instance("i2", beating("m2", 3))).unwrap();

    let early = bench.beat(&instance("i1", joining("m3", &["a"]))).unwrap_err();
    assert_eq!(early.code, ErrorCode::UNRELEASED_INSTANCE_ID);
    let away = bench.beat(&instance("i1", beating("m1", -2))).unwrap();
    assert_eq!((away.member_epoch, away.member_id.as_deref()), (-2, Some("m1")));
    bench.check();

    let back = bench.beat(&instance("i1", joining("m3", &["a"]))).unwrap();
    assert_eq!((back.member_epoch, given(&back)), (3, Some(partitions(&[(1, &[0])]))));
    assert_eq!(bench.group.epoch, 3, "no rebalance");
    let fenced = bench.beat(&instance("i1", beating("m1", 3))).unwrap_err();
    assert_eq!(fenced.code, ErrorCode::FENCED_INSTANCE_ID);
    let unknown = bench.beat(&instance("i9", beating("m1", 3))).unwrap_err();
    assert_eq!(unknown.code, ErrorCode::UNKNOWN_MEMBER_ID);
    bench.check();
}

#[test]
fn who_does_not_come_back_is_fenced_when_its_session_is_over() {
    let mut bench = Bench::new(&[("a", 2)]);
    bench.beat(&instance("i1", joining("m1", &["a"]))).unwrap();
    bench.beat(&instance("i1", beating("m1", -2))).unwrap();
    bench.advance(SESSION - Duration::from_millis(1));
    assert_eq!(bench.group.members.len(), 1);
    bench.advance(Duration::from_millis(1));
    assert!(bench.group.is_empty());
    bench.check();
}

#[test]
fn the_same_member_may_join_twice() {
    let mut bench = Bench::new(&[("a", 1)]);
    bench.beat(&instance("i1", joining("m1", &["a"]))).unwrap();
    let again = bench.beat(&instance("i1", joining("m1", &["a"]))).unwrap();
    assert_eq!((again.member_epoch, given(&again)), (2, Some(partitions(&[(1, &[0])]))));
    bench.beat(&instance("i1", beating("m1", -2))).unwrap();
    let back = bench.beat(&instance("i1", joining("m1", &["a"]))).unwrap();
    assert_eq!((back.member_epoch, given(&back)), (2, Some(partitions(&[(1, &[0])]))));
    bench.check();
    bench.beat(&instance("i1", beating("m1", -1))).unwrap();
    assert!(bench.group.is_empty());
    bench.check();
}
