//! The session alone: no group, no broker, no clock.

use std::cell::RefCell;

use felice_protocol::error_code::ErrorCode;

use super::*;
use crate::consumer::event::StallReason;

#[derive(Default)]
struct Book(RefCell<BTreeMap<TopicPartition, Page>>);

#[derive(Clone, Copy, Debug, Default)]
struct Page {
    done: Option<i64>,
    committed: Option<i64>,
    progress: Progress,
}

impl Book {
    fn set(&self, partition: &TopicPartition, done: Option<i64>, progress: Progress) {
        let mut pages = self.0.borrow_mut();
        let page = pages.entry(partition.clone()).or_default();
        page.done = done;
        page.progress = progress;
    }
}

impl Ledger for Book {
    fn to_commit(&self, partition: &TopicPartition, _: CommitSource) -> Option<OffsetAndMetadata> {
        let page = *self.0.borrow().get(partition)?;
        page.done.filter(|done| page.committed != Some(*done)).map(OffsetAndMetadata::new)
    }

    fn progress(&self, partition: &TopicPartition) -> Progress {
        self.0.borrow().get(partition).map(|page| page.progress).unwrap_or_default()
    }

    fn committed(&self, partition: &TopicPartition, offset: i64) {
        self.0.borrow_mut().entry(partition.clone()).or_default().committed = Some(offset);
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Now {
    Now { monotonic_nanos: millis * 1_000_000, wall_millis: i64::try_from(millis).unwrap() }
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn session(commit: Option<CommitSource>, offset_reset: OffsetReset) -> Session {
    Session::new(SessionConfig {
        commit,
        commit_interval: 5 * SECOND,
        offset_reset,
        max_processing: 10 * SECOND,
        retry_backoff: SECOND,
        grouped: true,
    })
}

fn steps(session: &mut Session) -> Vec<Step> {
    std::iter::from_fn(|| session.poll_step()).collect()
}

/// What of the steps matters to the world outside, as words.
fn words(steps: &[Step]) -> Vec<String> {
    steps
        .iter()
        .map(|step| match step {
            Step::Hold(p) => format!("hold {p}"),
            Step::FindCommitted { partitions, .. } => format!("find {}", partitions.len()),
            Step::Start { partition, from, paused, .. } => format!("start {partition} {from:?} {paused}"),
            Step::Seek { partition, to } => format!("seek {partition} {to:?}"),
            Step::Pause { partition, paused } => format!("pause {partition} {paused}"),
            Step::End(p) => format!("end {p}"),
            Step::Drop(p) => format!("drop {p}"),
            Step::Hear { what, .. } => format!("hear {what:?}"),
            Step::Commit { offsets, .. } => {
                let offsets: Vec<_> = offsets.iter().map(|(p, place)| format!("{p}@{}", place.offset)).collect();
                format!("commit {}", offsets.join(" "))
            }
            Step::Committed { result, .. } => format!("committed {}", result.is_ok()),
            Step::Accept(ProposalId(number)) => format!("accept {number}"),
            Step::Leave => "leave".to_owned(),
            Step::Closed(report) => format!("closed {}", report.is_clean()),
            Step::Tell(event) => format!("tell {}", format!("{event:?}").split([' ', '(']).next().unwrap_or_default()),
            Step::Fail(error) => format!("fail {error}"),
        })
        .collect()
}

fn hear_ticket(steps: &[Step]) -> Ticket {
    steps.iter().find_map(|step| if let Step::Hear { ticket, .. } = step { Some(*ticket) } else { None }).unwrap()
}

fn find_ticket(steps: &[Step]) -> Ticket {
    let found = |step: &Step| if let Step::FindCommitted { ticket, .. } = step { Some(*ticket) } else { None };
    steps.iter().find_map(found).unwrap()
}

fn commit_ticket(steps: &[Step]) -> Ticket {
    steps.iter().find_map(|step| if let Step::Commit { ticket, .. } = step { Some(*ticket) } else { None }).unwrap()
}

/// Holds partition 0, read from offset 7.
fn reading(session: &mut Session, book: &Book) {
    session.handle_assign(at(0), ProposalId(1), vec![tp(0)], at(60_000).instant());
    let asked = steps(session);
    let found = Ok(vec![(tp(0), Ok(Some(OffsetAndMetadata::new(7))))]);
    session.handle_committed_offsets(at(1), find_ticket(&asked), found);
    session.handle_heard(at(2), hear_ticket(&asked), book);
    let begun = words(&steps(session));
    assert_eq!(begun, ["start t[0] Offset(7) false", "accept 1", "tell Assigned"]);
}

#[test]
fn nothing_is_fetched_before_the_listener_has_come_back_and_its_seek_goes_before_the_committed_offset() {
    let (mut s, book) = (session(Some(CommitSource::Done), OffsetReset::Earliest), Book::default());
    s.handle_assign(at(0), ProposalId(1), vec![tp(0), tp(1), tp(2)], at(60_000).instant());
    let asked = steps(&mut s);
    assert_eq!(words(&asked), ["hold t[0]", "hold t[1]", "hold t[2]", "hear Assigned", "find 3"]);
    let found = Ok(vec![(tp(0), Ok(Some(OffsetAndMetadata::new(7)))), (tp(1), Ok(None)), (tp(2), Ok(None))]);
    s.handle_committed_offsets(at(1), find_ticket(&asked), found);
    assert!(steps(&mut s).is_empty());
    assert!(s.seek(&tp(2), Position::Offset(40)));
    assert!(s.pause(&tp(0), true));
    s.handle_heard(at(2), hear_ticket(&asked), &book);
    let begun = words(&steps(&mut s));
    let expected = [
        "start t[0] Offset(7) true",
        "start t[1] Start false",
        "start t[2] Offset(40) false",
        "accept 1",
        "tell Assigned",
    ];
    assert_eq!(begun, expected);
}

#[test]
fn without_a_committed_offset_and_a_choice_it_is_an_error_that_a_seek_heals() {
    let (mut s, book) = (session(Some(CommitSource::Done), OffsetReset::Fail), Book::default());
    s.handle_assign(at(0), ProposalId(1), vec![tp(0)], at(60_000).instant());
    let asked = steps(&mut s);
    s.handle_heard(at(1), hear_ticket(&asked), &book);
    steps(&mut s);
    s.handle_committed_offsets(at(2), find_ticket(&asked), Ok(vec![(tp(0), Ok(None))]));
    let told = words(&steps(&mut s));
    assert_eq!(told, ["tell PartitionFailed", "fail the group has committed no offset (t[0])"]);
    assert!(s.seek(&tp(0), Position::End));
    assert_eq!(words(&steps(&mut s)), ["start t[0] End false"]);
}

#[test]
fn committed_offsets_that_cannot_be_had_are_asked_for_again() {
    let (mut s, book) = (session(Some(CommitSource::Done), OffsetReset::Earliest), Book::default());
    s.handle_assign(at(0), ProposalId(1), vec![tp(0)], at(60_000).instant());
    let asked = steps(&mut s);
    s.handle_heard(at(1), hear_ticket(&asked), &book);
    s.handle_committed_offsets(at(1), find_ticket(&asked), Err(Error::new(ErrorKind::Timeout, "late")));
    steps(&mut s);
    assert!(s.poll_timeout().is_some_and(|due| due <= at(1_001).instant()));
    s.handle_timeout(at(1_001), &book);
    let again = steps(&mut s);
    assert_eq!(words(&again), ["find 1"]);
    s.handle_committed_offsets(at(1_002), find_ticket(&again), Ok(vec![(tp(0), Ok(Some(OffsetAndMetadata::new(3))))]));
    assert_eq!(words(&steps(&mut s)), ["start t[0] Offset(3) false"]);
}

#[test]
fn a_partition_that_came_back_does_not_begin_where_an_older_answer_says() {
    let (mut s, book) = (session(None, OffsetReset::Earliest), Book::default());
    let found = |offset| Ok(vec![(tp(0), Ok(Some(OffsetAndMetadata::new(offset))))]);
    let assign = |s: &mut Session, number, now: u64| {
        s.handle_assign(at(now), ProposalId(number), vec![tp(0)], at(60_000).instant());
        let asked = steps(s);
        s.handle_heard(at(now + 1), hear_ticket(&asked), &book);
        find_ticket(&asked)
    };
    let before = assign(&mut s, 1, 0);
    lose(&mut s, &book);
    let after = assign(&mut s, 4, 300);
    steps(&mut s);
    s.handle_committed_offsets(at(400), before, found(7));
    assert!(words(&steps(&mut s)).is_empty());
    s.handle_committed_offsets(at(401), after, found(9));
    assert_eq!(words(&steps(&mut s)), ["start t[0] Offset(9) false"]);
}

#[test]
fn a_revocation_waits_for_what_was_handed_out_then_commits_then_accepts() {
    let (mut s, book) = (session(Some(CommitSource::Done), OffsetReset::Earliest), Book::default());
    reading(&mut s, &book);
    let busy = Progress { position: Some(10), outstanding: Some(8), held: true, ..Progress::default() };
    book.set(&tp(0), Some(8), busy);
    s.handle_revoke(at(100), ProposalId(2), vec![tp(0)], at(60_100).instant());
    let told = steps(&mut s);
    assert_eq!(words(&told), ["end t[0]", "hear Revoking"]);
    assert!(!s.is_held(&tp(0)));
    s.handle_heard(at(101), hear_ticket(&told), &book);
    s.handle_timeout(at(102), &book);
    assert!(steps(&mut s).is_empty(), "a message is at work");
    book.set(&tp(0), Some(10), Progress { held: false, ..busy });
    s.handle_timeout(at(103), &book);
    let last = steps(&mut s);
    assert_eq!(words(&last), ["commit t[0]@10"]);
    s.handle_committed(commit_ticket(&last), Ok(vec![(tp(0), ErrorCode::NONE)]), &book);
    assert_eq!(words(&steps(&mut s)), ["drop t[0]", "accept 2", "tell Revoked"]);
}

#[test]
fn a_revocation_never_outlives_its_deadline() {
    // The listener never comes back, the message is never dropped, the commit is never answered.
    let (mut s, book) = (session(Some(CommitSource::Done), OffsetReset::Earliest), Book::default());
    reading(&mut s, &book);
    let busy = Progress { position: Some(10), outstanding: Some(8), held: true, ..Progress::default() };
    book.set(&tp(0), Some(8), busy);
    s.handle_revoke(at(100), ProposalId(2), vec![tp(0)], at(10_100).instant());
    steps(&mut s);
    let mut seen = Vec::new();
    let mut now = at(100);
    while now < at(20_000) {
        let due = s.poll_timeout().unwrap_or(at(20_000).instant()).max(now.instant() + Duration::from_millis(1));
        now = Now { monotonic_nanos: due.0, ..now };
        s.handle_timeout(now, &book);
        seen.extend(words(&steps(&mut s)).into_iter().map(|word| (due, word)));
        if seen.iter().any(|(_, word)| word == "accept 2") {
            break;
        }
    }
    let of = |word: &str| seen.iter().find(|(_, w)| w == word).map(|(due, _)| *due).unwrap();
    assert!(of("commit t[0]@8") < at(10_100).instant());
    assert_eq!(of("accept 2"), at(10_100).instant());
}

#[test]
fn lost_partitions_are_dropped_at_once_and_nothing_is_committed() {
    let (mut s, book) = (session(Some(CommitSource::Done), OffsetReset::Earliest), Book::default());
    reading(&mut s, &book);
    book.set(&tp(0), Some(9), Progress { held: true, ..Progress::default() });
    s.handle_revoke(at(100), ProposalId(2), vec![tp(0)], at(60_100).instant());
    steps(&mut s);
    s.handle_lost(
        at(200),
        ProposalId(3),
        vec![tp(0)],
        Error::new(ErrorKind::Timeout, "the rebalance time is over"),
        &book,
    );
    let told = steps(&mut s);
    assert_eq!(words(&told), ["drop t[0]", "hear Lost", "tell Lost"]);
    s.handle_heard(at(201), hear_ticket(&told), &book);
    assert_eq!(words(&steps(&mut s)), ["accept 3"]);
    s.handle_timeout(at(9_000), &book);
    assert!(!words(&steps(&mut s)).iter().any(|word| word.starts_with("commit")));
}

/// Takes partition 0 away; the ticket by which a listener hears.
fn lose(session: &mut Session, book: &Book) -> Ticket {
    let error = Error::new(ErrorKind::Timeout, "the session is over");
    session.handle_lost(at(200), ProposalId(3), vec![tp(0)], error, book);
    hear_ticket(&steps(session))
}

/// What the application hears of a commit for which nothing has to be sent.
fn commit_of_nothing(session: &mut Session, book: &Book) -> Result<(), Error> {
    let asked = session.application_ticket();
    session.commit(asked, None, book);
    let answer = steps(session).into_iter().find_map(|step| match step {
        Step::Committed { ticket, result } if ticket == asked => Some(result),
        _ => None,
    });
    answer.unwrap()
}

/// A session in which only the application commits, with a message of partition 0 handed out.
fn at_work() -> (Session, Book) {
    let (mut s, book) = (session(None, OffsetReset::Earliest), Book::default());
    reading(&mut s, &book);
    book.set(&tp(0), None, Progress { held: true, ..Progress::default() });
    (s, book)
}

#[test]
fn without_a_listener_a_commit_after_a_loss_is_no_success_once() {
    let (mut s, book) = at_work();
    let told = lose(&mut s, &book);
    s.handle_unheard(at(201), told, &book);
    assert!(commit_of_nothing(&mut s, &book).unwrap_err().to_string().contains("taken away"));
    assert!(commit_of_nothing(&mut s, &book).is_ok());
    // Another task finishes only now.
    s.handle_late_done();
    assert!(commit_of_nothing(&mut s, &book).is_err());
    assert!(commit_of_nothing(&mut s, &book).is_ok());
    // Where nothing was open there is nothing to tell.
    let (mut s, book) = at_work();
    book.set(&tp(0), None, Progress::default());
    let told = lose(&mut s, &book);
    s.handle_unheard(at(201), told, &book);
    assert!(commit_of_nothing(&mut s, &book).is_ok());
}

#[test]
fn no_commit_after_a_loss_is_a_success_before_the_listener_has_come_back() {
    let (mut s, book) = at_work();
    let told = lose(&mut s, &book);
    // The listener's own, from a call before, and the reader's: neither hears what the other was told.
    assert!(commit_of_nothing(&mut s, &book).is_err());
    assert!(commit_of_nothing(&mut s, &book).is_err());
    s.handle_heard(at(201), told, &book);
    assert!(commit_of_nothing(&mut s, &book).is_ok());
    s.handle_late_done();
    assert!(commit_of_nothing(&mut s, &book).is_ok());
    // A listener that does not come back in time is none.
    let (mut s, book) = at_work();
    lose(&mut s, &book);
    s.handle_timeout(at(20_000), &book);
    assert!(commit_of_nothing(&mut s, &book).is_err());
    assert!(commit_of_nothing(&mut s, &book).is_ok());
}

#[test]
fn what_was_taken_while_the_loss_came_and_is_done_after_it_is_not_committed() {
    let (mut s, book) = at_work();
    book.set(&tp(0), None, Progress::default());
    lose(&mut s, &book);
    assert!(commit_of_nothing(&mut s, &book).is_ok());
    s.handle_late_done();
    assert!(commit_of_nothing(&mut s, &book).is_err());
}

#[test]
fn a_commit_after_a_revocation_that_nobody_heard_of_is_no_success() {
    let revoke = || {
        let (mut s, book) = at_work();
        book.set(&tp(0), Some(9), Progress::default());
        s.handle_revoke(at(200), ProposalId(3), vec![tp(0)], at(60_000).instant());
        let told = hear_ticket(&steps(&mut s));
        (s, book, told)
    };
    // Done, and revoked before the commit could be asked for; without a listener nobody commits before it goes.
    let (mut s, book, told) = revoke();
    s.handle_unheard(at(201), told, &book);
    assert_eq!(words(&steps(&mut s)), ["drop t[0]", "accept 3", "tell Revoked"]);
    assert!(commit_of_nothing(&mut s, &book).is_err());
    assert!(commit_of_nothing(&mut s, &book).is_ok());
    // A listener that takes too long.
    let (mut s, book, told) = revoke();
    s.handle_timeout(at(59_000), &book);
    steps(&mut s);
    assert!(commit_of_nothing(&mut s, &book).is_err());
    s.handle_heard(at(59_001), told, &book);
    assert!(commit_of_nothing(&mut s, &book).is_ok());
    // One that comes back without a commit wants none.
    let (mut s, book, told) = revoke();
    s.handle_heard(at(201), told, &book);
    steps(&mut s);
    assert!(commit_of_nothing(&mut s, &book).is_ok());
}

#[test]
fn commits_leave_in_their_interval_one_at_a_time_and_only_what_is_new() {
    let (mut s, book) = (session(Some(CommitSource::Done), OffsetReset::Earliest), Book::default());
    reading(&mut s, &book);
    s.handle_timeout(at(10), &book);
    book.set(&tp(0), Some(9), Progress::default());
    s.handle_timeout(at(5_010), &book);
    let first = steps(&mut s);
    assert_eq!(words(&first), ["commit t[0]@9"]);
    book.set(&tp(0), Some(12), Progress::default());
    s.handle_timeout(at(10_010), &book);
    assert!(steps(&mut s).is_empty(), "the first is not answered");
    s.handle_committed(commit_ticket(&first), Ok(vec![(tp(0), ErrorCode::NONE)]), &book);
    s.handle_timeout(at(15_010), &book);
    let second = steps(&mut s);
    assert_eq!(words(&second), ["commit t[0]@12"]);
    s.handle_committed(commit_ticket(&second), Ok(vec![(tp(0), ErrorCode::ILLEGAL_GENERATION)]), &book);
    assert_eq!(words(&steps(&mut s)), ["tell CommitFailed"]);
    s.handle_timeout(at(20_010), &book);
    assert_eq!(words(&steps(&mut s)), ["commit t[0]@12"], "what failed is tried again");
}

#[test]
fn a_commit_by_the_application_tells_it_what_came_of_it() {
    let (mut s, book) = (session(None, OffsetReset::Earliest), Book::default());
    reading(&mut s, &book);
    book.set(&tp(0), Some(9), Progress::default());
    s.handle_timeout(at(50_000), &book);
    assert!(!words(&steps(&mut s)).iter().any(|word| word.starts_with("commit")));
    let asked = s.application_ticket();
    s.commit(asked, None, &book);
    let sent = steps(&mut s);
    assert_eq!(words(&sent), ["commit t[0]@9"]);
    s.handle_committed(commit_ticket(&sent), Ok(vec![(tp(0), ErrorCode::NONE)]), &book);
    assert_eq!(words(&steps(&mut s)), ["committed true"]);
    s.commit(asked, None, &book);
    assert_eq!(words(&steps(&mut s)), ["committed true"], "nothing is new");
}

#[test]
fn a_close_commits_leaves_and_says_what_it_left_undone() {
    let (mut s, book) = (session(Some(CommitSource::Done), OffsetReset::Earliest), Book::default());
    reading(&mut s, &book);
    book.set(&tp(0), Some(9), Progress { position: Some(9), ..Progress::default() });
    s.close(at(100), at(10_100).instant());
    let told = steps(&mut s);
    assert_eq!(words(&told), ["end t[0]", "hear Revoking"]);
    s.handle_heard(at(101), hear_ticket(&told), &book);
    let last = steps(&mut s);
    s.handle_committed(commit_ticket(&last), Ok(vec![(tp(0), ErrorCode::NONE)]), &book);
    s.handle_timeout(at(102), &book);
    assert_eq!(words(&steps(&mut s)), ["drop t[0]", "tell Revoked", "leave"]);
    // The member proposes what is gone already.
    s.handle_revoke(at(103), ProposalId(5), vec![tp(0)], at(9_000).instant());
    assert_eq!(words(&steps(&mut s)), ["accept 5"]);
    s.handle_left(Ok(()));
    assert_eq!(words(&steps(&mut s)), ["closed true"]);
    assert_eq!(s.poll_timeout(), None);
}

#[test]
fn a_close_that_runs_out_of_time_says_so() {
    let (mut s, book) = (session(Some(CommitSource::Done), OffsetReset::Earliest), Book::default());
    reading(&mut s, &book);
    let busy = Progress { position: Some(10), outstanding: Some(8), held: true, ..Progress::default() };
    book.set(&tp(0), Some(8), busy);
    s.close(at(100), at(1_100).instant());
    let mut now = at(100);
    let mut closed = None;
    while closed.is_none() && now < at(5_000) {
        s.handle_timeout(now, &book);
        for step in steps(&mut s) {
            match step {
                Step::Leave => s.handle_left(Err(Error::new(ErrorKind::Timeout, "no coordinator"))),
                Step::Closed(report) => closed = Some(report),
                _ => {}
            }
        }
        now = Now { monotonic_nanos: now.monotonic_nanos + 10_000_000, ..now };
    }
    let report = closed.unwrap();
    assert!(now <= at(1_200), "{now:?}");
    assert_eq!(report.undone, [(tp(0), 8)]);
    assert_eq!(report.uncommitted, [(tp(0), 8)]);
    assert!(!report.left && report.error.is_some());
}

#[test]
fn a_partition_without_progress_is_told_with_its_reason_and_told_again() {
    let (mut s, book) = (session(Some(CommitSource::Done), OffsetReset::Earliest), Book::default());
    reading(&mut s, &book);
    let busy = Progress { position: Some(10), outstanding: Some(8), ..Progress::default() };
    book.set(&tp(0), None, busy);
    let mut told = Vec::new();
    let mut at_millis = 0;
    while at_millis < 25_000 {
        at_millis += 250;
        s.handle_timeout(at(at_millis), &book);
        for step in steps(&mut s) {
            if let Step::Tell(ConsumerEvent::Stalled { offset, reason, .. }) = step {
                told.push((at_millis / 1_000, offset, reason));
            }
        }
        if at_millis == 23_000 {
            book.set(&tp(0), None, Progress { outstanding: None, ..busy });
        }
    }
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|(_, offset, reason)| (*offset, *reason) == (8, StallReason::NotDone)));
    assert!((10..=12).contains(&told[0].0) && (20..=22).contains(&told[1].0), "{told:?}");
}

#[test]
fn what_the_application_assigns_itself_needs_no_group() {
    let mut s = session(Some(CommitSource::Done), OffsetReset::Earliest);
    let book = Book::default();
    s.assign(at(0), vec![(tp(0), Some(Position::Offset(5))), (tp(1), None)]);
    let begun = steps(&mut s);
    let expected = ["hold t[0]", "hold t[1]", "start t[0] Offset(5) false", "find 1", "tell Assigned"];
    assert_eq!(words(&begun), expected);
    s.handle_committed_offsets(at(1), find_ticket(&begun), Ok(vec![(tp(1), Ok(None))]));
    assert_eq!(words(&steps(&mut s)), ["start t[1] Start false"]);
    book.set(&tp(0), Some(6), Progress { held: true, ..Progress::default() });
    s.unassign(at(2), vec![tp(0)], SECOND);
    assert_eq!(words(&steps(&mut s)), ["end t[0]"]);
    // It comes back while it is on its way out: a new hold, and the old one counts no more.
    s.assign(at(3), vec![(tp(0), Some(Position::Start))]);
    assert_eq!(words(&steps(&mut s)), ["drop t[0]", "hold t[0]", "start t[0] Start false", "tell Assigned"]);
    s.handle_timeout(at(5_000), &book);
    assert!(s.is_held(&tp(0)));
}
