//! How far one partition has been read, done and committed. No I/O; whoever holds the partition's lock calls it.
//!
//! What was handed out comes back as *done* in any order; what may be committed is the contiguous prefix of that. Offsets have gaps (compaction,
//! control batches), so a record stands for everything from the record before it to itself: `from..offset + 1`. Every seek begins a new epoch,
//! and what was handed out in an older one counts no more. Java: `SubscriptionState.TopicPartitionState`; parallel-consumer: `PartitionState`.

use std::collections::BTreeMap;

use super::OffsetAndMetadata;

/// Where a commit takes its offset from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitSource {
    /// Before the first record that is not done.
    Done,
    /// What was stored on purpose.
    Stored,
    /// Behind the last record that was handed out.
    Delivered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    end: i64,
    leader_epoch: i32,
}

/// The tracker of one partition.
#[derive(Clone, Debug)]
pub struct OffsetTracker {
    epoch: u32,
    /// Everything before it is done.
    done: Run,
    /// Whether anything was done since the position was set: before that there is nothing to commit.
    moved: bool,
    /// Runs that are done behind a gap, by their starts. None touches another or `done`.
    runs: BTreeMap<i64, Run>,
    delivered: Run,
    handed_out: bool,
    stored: Option<OffsetAndMetadata>,
    committed: Option<i64>,
    late: u64,
    closed: bool,
}

impl OffsetTracker {
    /// A partition that is read from `position`.
    pub fn new(position: i64) -> Self {
        let start = Run { end: position, leader_epoch: -1 };
        Self {
            epoch: 0,
            done: start,
            moved: false,
            runs: BTreeMap::new(),
            delivered: start,
            handed_out: false,
            stored: None,
            committed: None,
            late: 0,
            closed: false,
        }
    }

    /// Which life of the position this is: every seek begins a new one.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Reads on from elsewhere: what was handed out before counts no more. Gives the new epoch.
    pub fn seek(&mut self, position: i64) -> u32 {
        let start = Run { end: position, leader_epoch: -1 };
        self.epoch = self.epoch.wrapping_add(1);
        self.done = start;
        self.delivered = start;
        self.moved = false;
        self.handed_out = false;
        self.stored = None;
        self.runs.clear();
        self.epoch
    }

    /// Everything before `to` has been handed out.
    pub fn deliver(&mut self, to: i64, leader_epoch: i32) {
        if to > self.delivered.end {
            self.delivered = Run { end: to, leader_epoch };
            self.handed_out = true;
        }
    }

    /// Behind the last record that was handed out.
    pub fn delivered(&self) -> i64 {
        self.delivered.end
    }

    /// Before the first record that is not done.
    pub fn done(&self) -> i64 {
        self.done.end
    }

    /// Records from `from` to before `to` are done, handed out in `epoch`. Tells whether that counts: after a seek, or once the tracker is
    /// closed, it does not.
    pub fn finish(&mut self, epoch: u32, from: i64, to: i64, leader_epoch: i32) -> bool {
        if epoch != self.epoch || self.closed {
            self.late += 1;
            return false;
        }
        if from >= to || to <= self.done.end {
            return true;
        }
        if to > self.delivered.end {
            self.deliver(to, leader_epoch);
        }
        if from <= self.done.end {
            self.done = Run { end: to, leader_epoch };
            self.moved = true;
            self.absorb();
        } else {
            self.insert(from, Run { end: to, leader_epoch });
        }
        true
    }

    /// Takes the runs that the prefix has reached.
    fn absorb(&mut self) {
        while let Some(entry) = self.runs.first_entry() {
            if *entry.key() > self.done.end {
                return;
            }
            let run = entry.remove();
            if run.end > self.done.end {
                self.done = run;
            }
        }
    }

    /// Keeps a run behind a gap, joined with what it touches.
    fn insert(&mut self, from: i64, run: Run) {
        let (mut start, mut run) = (from, run);
        if let Some((before, old)) = self.runs.range(..=start).next_back().map(|(k, v)| (*k, *v))
            && old.end >= start
        {
            self.runs.remove(&before);
            start = before;
            if old.end > run.end {
                run = old;
            }
        }
        while let Some((next, old)) = self.runs.range(start..).next().map(|(k, v)| (*k, *v)) {
            if next > run.end {
                break;
            }
            self.runs.remove(&next);
            if old.end > run.end {
                run = old;
            }
        }
        self.runs.insert(start, run);
    }

    /// The first record that was handed out and is not done.
    pub fn oldest_outstanding(&self) -> Option<i64> {
        (self.delivered.end > self.done.end).then_some(self.done.end)
    }

    /// How many runs are done behind a gap.
    pub fn gaps(&self) -> usize {
        self.runs.len()
    }

    /// Remembers a place for commits of what is stored: any, also one further back.
    pub fn store(&mut self, place: OffsetAndMetadata) {
        self.stored = Some(place);
    }

    /// Remembers a place for commits of what is stored, unless one further on is remembered already.
    pub fn store_forward(&mut self, place: OffsetAndMetadata) {
        if self.stored.as_ref().is_none_or(|stored| stored.offset < place.offset) {
            self.stored = Some(place);
        }
    }

    /// A commit was answered.
    pub fn committed(&mut self, offset: i64) {
        self.committed = Some(offset);
    }

    /// The last commit that was answered, or what was committed when the partition was taken.
    pub fn last_committed(&self) -> Option<i64> {
        self.committed
    }

    /// What a commit would write now, whether or not it is written already. `None` where nothing was done, stored or handed out since the
    /// position was set.
    pub fn place(&self, source: CommitSource) -> Option<OffsetAndMetadata> {
        let of = |run: Run| OffsetAndMetadata { leader_epoch: run.leader_epoch, ..OffsetAndMetadata::new(run.end) };
        match source {
            CommitSource::Done => self.moved.then(|| of(self.done)),
            CommitSource::Stored => self.stored.clone(),
            CommitSource::Delivered => self.handed_out.then(|| of(self.delivered)),
        }
    }

    /// What a commit has to write: as [`Self::place`], and not what is committed already.
    pub fn to_commit(&self, source: CommitSource) -> Option<OffsetAndMetadata> {
        self.place(source).filter(|place| self.committed != Some(place.offset))
    }

    /// The partition is gone: nothing counts any more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// How many times something was done too late to count.
    pub fn late(&self) -> u64 {
        self.late
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_prefix_ends_at_the_first_record_that_is_not_done() {
        let mut t = OffsetTracker::new(10);
        t.deliver(15, 3);
        assert_eq!(t.to_commit(CommitSource::Done), None);
        assert!(t.finish(0, 12, 13, 3));
        assert_eq!((t.to_commit(CommitSource::Done), t.gaps()), (None, 1));
        assert!(t.finish(0, 10, 11, 3));
        assert_eq!(t.done(), 11);
        assert!(t.finish(0, 11, 12, 3));
        assert_eq!((t.done(), t.gaps()), (13, 0));
        let place = t.to_commit(CommitSource::Done).expect("three records are done");
        assert_eq!((place.offset, place.leader_epoch), (13, 3));
        t.committed(13);
        assert_eq!(t.to_commit(CommitSource::Done), None);
        assert_eq!(t.oldest_outstanding(), Some(13));
    }

    #[test]
    fn what_was_handed_out_before_a_seek_counts_no_more() {
        let mut t = OffsetTracker::new(0);
        t.deliver(5, 0);
        t.store(OffsetAndMetadata::new(4));
        let epoch = t.seek(2);
        assert!(!t.finish(0, 0, 5, 0));
        assert_eq!((t.late(), t.done(), t.place(CommitSource::Stored)), (1, 2, None));
        assert!(t.finish(epoch, 2, 3, 0));
        assert_eq!(t.done(), 3);
        t.close();
        assert!(!t.finish(epoch, 3, 4, 0));
        assert_eq!((t.late(), t.done()), (2, 3));
    }

    #[test]
    fn stored_is_what_was_stored_and_delivered_is_what_was_handed_out() {
        let mut t = OffsetTracker::new(0);
        assert_eq!(t.to_commit(CommitSource::Delivered), None);
        t.deliver(7, 1);
        assert_eq!(t.to_commit(CommitSource::Delivered).map(|p| p.offset), Some(7));
        t.store(OffsetAndMetadata::new(5));
        t.store_forward(OffsetAndMetadata::new(3));
        assert_eq!(t.to_commit(CommitSource::Stored).map(|p| p.offset), Some(5));
        t.store(OffsetAndMetadata::new(3));
        assert_eq!(t.to_commit(CommitSource::Stored).map(|p| p.offset), Some(3));
    }

    proptest! {
        /// Against a set of offsets: the prefix is exact, never goes back, and ends at the end once everything is done.
        #[test]
        fn any_order_of_done_gives_the_contiguous_prefix(
            gaps in prop::collection::vec(1_i64..4, 1..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            let mut spans = Vec::new();
            let mut at = 100;
            for gap in gaps {
                spans.push((at, at + gap));
                at += gap;
            }
            let mut tracker = OffsetTracker::new(100);
            tracker.deliver(at, 0);
            let mut finished = vec![false; spans.len()];
            let mut last = 100;
            for pick in order.iter().map(|i| i.index(spans.len())).chain(0..spans.len()) {
                let (from, to) = spans[pick];
                prop_assert!(tracker.finish(0, from, to, 0));
                finished[pick] = true;
                let prefix = finished.iter().take_while(|f| **f).count();
                let expected = if prefix == 0 { 100 } else { spans[prefix - 1].1 };
                prop_assert_eq!(tracker.done(), expected);
                prop_assert!(tracker.done() >= last);
                last = tracker.done();
            }
            prop_assert_eq!(tracker.done(), at);
            prop_assert_eq!(tracker.gaps(), 0);
            prop_assert_eq!(tracker.oldest_outstanding(), None);
        }
    }
}
