use super::*;

fn partitions(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

fn assigned(names: &[&str]) -> Event {
    Event::Assigned(partitions(names))
}

fn revoked(names: &[&str]) -> Event {
    Event::Revoked(partitions(names))
}

fn records(partition: &str, range: std::ops::Range<i64>) -> Event {
    let values = range.clone().map(|i| format!("k:{i}")).collect();
    Event::Records { partition: partition.to_owned(), offset: range.start, values }
}

fn committed(partition: &str, offset: i64) -> Event {
    Event::Committed([(partition.to_owned(), offset)].into())
}

/// The verdict on a topic `t` with `t-0` of 4 records and an empty `t-1`; each event a microsecond after the last; `None` is a death.
fn verdict(story: Vec<(usize, Option<Event>)>) -> Result<Account, String> {
    let mut ledger = Ledger::new("t", 2);
    for offset in 0..4 {
        ledger.wrote("t-0", offset, format!("k:{offset}")).unwrap();
    }
    for (at, (member, event)) in (1..).zip(story) {
        match event {
            Some(event) => ledger.told(member, Told { at, event }),
            None => ledger.killed(member, at),
        }
    }
    ledger.judge().map_err(|error| format!("{error:#}"))
}

fn refused(story: Vec<(usize, Option<Event>)>, because: &str) {
    let error = verdict(story).unwrap_err();
    assert!(error.contains(because), "{error}");
}

#[test]
fn a_commit_whose_answer_was_lost_is_known_from_the_coordinator() {
    let story = |said: Vec<(&str, i64)>| {
        let committed: BTreeMap<_, _> = said.into_iter().map(|(p, offset)| (p.to_owned(), offset)).collect();
        vec![
            (0, Some(assigned(&["t-0", "t-1"]))),
            (0, Some(records("t-0", 0..4))),
            (0, Some(Event::Lost(partitions(&["t-0", "t-1"])))),
            (1, Some(assigned(&["t-0", "t-1"]))),
            (1, Some(Event::Offsets { committed, end: BTreeMap::new() })),
            (1, Some(Event::Left)),
        ]
    };
    assert!(verdict(story(vec![("t-0", 4), ("t-1", -1)])).is_ok());
    refused(story(vec![("t-0", 3)]), "t-0: committed 3 of 4");
    refused(story(vec![("t-0", 5)]), "t-0: 5 is committed, read up to 4");
}

#[test]
fn a_partition_that_moves_with_its_offset_is_right() {
    let story = vec![
        (0, Some(assigned(&["t-0", "t-1"]))),
        (0, Some(records("t-0", 0..3))),
        (0, Some(committed("t-0", 3))),
        (0, Some(revoked(&["t-0"]))),
        (1, Some(assigned(&["t-0"]))),
        (1, Some(records("t-0", 3..4))),
        (1, Some(committed("t-0", 4))),
        (1, Some(Event::Left)),
        (0, Some(assigned(&["t-0"]))),
        (0, Some(Event::Left)),
    ];
    let account = verdict(story).unwrap();
    assert_eq!(account, Account { records: 4, again: 0, assignments: 4, revocations: 1 });
}

#[test]
fn after_a_death_what_was_not_committed_is_read_again_and_no_more() {
    let begin = |from| {
        verdict(vec![
            (0, Some(assigned(&["t-0"]))),
            (0, Some(records("t-0", 0..3))),
            (0, Some(committed("t-0", 1))),
            (0, None),
            (1, Some(assigned(&["t-0"]))),
            (1, Some(records("t-0", from..4))),
            (1, Some(committed("t-0", 4))),
        ])
    };
    assert_eq!(begin(1).unwrap().again, 2);
    assert_eq!(begin(3).unwrap().again, 0);
    assert!(begin(0).unwrap_err().contains("not in 1..=3"));
}

#[test]
fn a_gap_after_a_death_is_found() {
    refused(
        vec![
            (0, Some(assigned(&["t-0"]))),
            (0, Some(records("t-0", 0..2))),
            (0, None),
            (1, Some(assigned(&["t-0"]))),
            (1, Some(records("t-0", 3..4))),
        ],
        "begins at 3, not in 0..=2",
    );
}

#[test]
fn two_owners_are_found() {
    refused(vec![(0, Some(assigned(&["t-0"]))), (1, Some(assigned(&["t-0"])))], "while member 0 has it");
    refused(
        vec![(0, Some(assigned(&["t-0"]))), (0, Some(revoked(&["t-0"]))), (0, Some(records("t-0", 0..1)))],
        "it reads t-0, which is None's",
    );
}

#[test]
fn who_is_told_late_that_it_was_thought_dead_may_read_and_not_commit() {
    let story = |late| {
        verdict(vec![
            (0, Some(assigned(&["t-0"]))),
            (0, Some(records("t-0", 0..2))),
            (1, Some(assigned(&["t-0"]))),
            (0, Some(late)),
            (0, Some(Event::Lost(partitions(&["t-0"])))),
            (1, Some(records("t-0", 0..4))),
            (1, Some(committed("t-0", 4))),
        ])
    };
    assert_eq!(story(records("t-0", 2..3)).unwrap().again, 2);
    assert!(story(committed("t-0", 2)).unwrap_err().contains("it commits t-0"));
}

#[test]
fn reading_again_without_a_death_is_found() {
    refused(
        vec![
            (0, Some(assigned(&["t-0"]))),
            (0, Some(records("t-0", 0..2))),
            (0, Some(committed("t-0", 2))),
            (0, Some(revoked(&["t-0"]))),
            (1, Some(assigned(&["t-0"]))),
            (1, Some(records("t-0", 0..4))),
        ],
        "begins at 0, committed was 2",
    );
}

#[test]
fn commits_that_go_back_or_ahead_are_found() {
    let commit = |first, then| {
        vec![
            (0, Some(assigned(&["t-0"]))),
            (0, Some(records("t-0", 0..3))),
            (0, Some(committed("t-0", first))),
            (0, Some(committed("t-0", then))),
        ]
    };
    refused(commit(3, 2), "committed 2 after 3");
    refused(commit(3, 4), "committed 4, read up to 3");
}

#[test]
fn what_is_missing_or_changed_is_found() {
    refused(
        vec![(0, Some(assigned(&["t-0"]))), (0, Some(records("t-0", 0..3))), (0, Some(committed("t-0", 3)))],
        "read up to 3 of 4",
    );
    let changed = Event::Records { partition: "t-0".into(), offset: 0, values: vec!["k:1".into()] };
    refused(vec![(0, Some(assigned(&["t-0"]))), (0, Some(changed))], "written was Some(\"k:0\")");
}

#[test]
fn balance_is_seen_as_it_is_heard() {
    let mut ledger = Ledger::new("t", 2);
    ledger.told(0, Told { at: 1, event: assigned(&["t-0", "t-1"]) });
    assert!(ledger.is_balanced_over(&[0]) && !ledger.is_balanced_over(&[0, 1]));
    ledger.told(0, Told { at: 2, event: revoked(&["t-1"]) });
    ledger.told(1, Told { at: 3, event: assigned(&["t-1"]) });
    assert!(ledger.is_balanced_over(&[0, 1]));
    ledger.killed(1, 4);
    assert!(!ledger.is_balanced_over(&[0]));
}
