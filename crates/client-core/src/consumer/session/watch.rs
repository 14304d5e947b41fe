//! Partitions that make no progress: each is told of, with the reason.

use std::time::Duration;

use felice_protocol::time::{Instant, Now};

use super::{Held, Ledger, Lookup, Progress, Session, State, Step};
use crate::consumer::TopicPartition;
use crate::consumer::event::{ConsumerEvent, StallReason};
use crate::consumer::fetcher::Standing;
use crate::consumer::offsets::CommitSource;

/// Where a partition stood when it was last looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    stands: Option<(StallReason, i64)>,
    since: Instant,
    told: u32,
}

impl Session {
    fn watch_interval(&self) -> Duration {
        (self.config.max_processing / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    pub(super) fn wake_watch(&mut self, now: Now) {
        let at = now.instant() + self.watch_interval();
        self.watch_at.get_or_insert(at);
    }

    pub(super) fn watch(&mut self, now: Now, ledger: &dyn Ledger) {
        if self.watch_at.is_none_or(|at| at > now.instant()) {
            return;
        }
        if self.partitions.is_empty() {
            self.watch_at = None;
            return;
        }
        self.watch_at = Some(now.instant() + self.watch_interval());
        let by_done = self.config.commit == Some(CommitSource::Done);
        let limit = self.config.max_processing;
        for (partition, held) in &mut self.partitions {
            let stands = stands(held, &ledger.progress(partition), by_done);
            if stands != held.watch.stands {
                held.watch = Watch { stands, since: now.instant(), told: 0 };
            }
            let Some((reason, offset)) = stands else { continue };
            let age = now.instant() - held.watch.since;
            if age >= limit.saturating_mul(held.watch.told.saturating_add(1)) {
                held.watch.told = held.watch.told.saturating_add(1);
                let partition: TopicPartition = partition.clone();
                self.steps.push_back(Step::Tell(ConsumerEvent::Stalled { partition, offset, age, reason }));
            }
        }
    }
}

/// Why a partition does not get on, and at which offset; `None` where it does, or where nothing new has come.
fn stands(held: &Held, progress: &Progress, by_done: bool) -> Option<(StallReason, i64)> {
    let position = progress.position.unwrap_or(-1);
    let reason = match (held.state, progress) {
        (State::Failed, _) => StallReason::Failed,
        (State::Pending, _) if !held.heard => StallReason::Listener,
        (State::Pending, _) if held.lookup != Lookup::Answered => StallReason::WaitingForCommitted,
        (State::Pending, _) => StallReason::WaitingForOffset,
        (State::Reading | State::Ending, Progress { outstanding: Some(offset), held: alive, .. })
            if by_done || *alive =>
        {
            return Some((StallReason::NotDone, *offset));
        }
        (State::Ending, _) => return None,
        (State::Reading, _) if held.paused => StallReason::Paused,
        (State::Reading, Progress { waiting: true, .. }) => StallReason::NotTaken,
        (State::Reading, Progress { standing, .. }) => match standing {
            Some(Standing::NoLeader) => StallReason::NoLeader,
            Some(Standing::FindingOffset) => StallReason::WaitingForOffset,
            Some(Standing::Backoff) => StallReason::FetchFailing,
            Some(Standing::Over) => StallReason::Failed,
            Some(Standing::Paused) => StallReason::Paused,
            Some(Standing::Fetching) | None => return None,
        },
    };
    Some((reason, position))
}
