//! What a consumer tells of itself, to whoever listens.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::event::{ConsumerEvent, StallReason};
use futures::Stream;
use futures::task::AtomicWaker;

/// Most events that wait for one listener; the oldest go first.
const WAITING_MAX: usize = 1024;

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<ConsumerEvent>,
    over: bool,
}

#[derive(Debug, Default)]
struct Subscriber {
    waiting: Mutex<Waiting>,
    waker: AtomicWaker,
}

impl Subscriber {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom events go to.
#[derive(Debug, Default)]
pub(super) struct EventHub {
    subscribers: Mutex<Vec<Weak<Subscriber>>>,
}

impl EventHub {
    fn subscribers(&self) -> MutexGuard<'_, Vec<Weak<Subscriber>>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscribe(&self) -> ConsumerEvents {
        let subscriber = Arc::new(Subscriber::default());
        self.subscribers().push(Arc::downgrade(&subscriber));
        ConsumerEvents { subscriber }
    }

    /// Tells the log and everybody who listens.
    pub(super) fn tell(&self, event: &ConsumerEvent) {
        log(event);
        let mut live = Vec::new();
        self.subscribers().retain(|weak| weak.upgrade().map(|subscriber| live.push(subscriber)).is_some());
        for subscriber in live {
            {
                let mut waiting = subscriber.waiting();
                if waiting.events.len() >= WAITING_MAX {
                    waiting.events.pop_front();
                }
                waiting.events.push_back(event.clone());
            }
            subscriber.waker.wake();
        }
    }

    pub(super) fn late_done(&self, partition: &TopicPartition, count: u64) {
        self.tell(&ConsumerEvent::LateDone { partition: partition.clone(), count });
    }

    /// Nothing follows.
    pub(super) fn end(&self) {
        let live: Vec<_> = self.subscribers().drain(..).filter_map(|weak| weak.upgrade()).collect();
        for subscriber in live {
            subscriber.waiting().over = true;
            subscriber.waker.wake();
        }
    }
}

fn log(event: &ConsumerEvent) {
    match event {
        ConsumerEvent::Stalled { partition, offset, age, reason } => {
            let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            if *reason == StallReason::Paused {
                tracing::info!(%partition, offset, age_ms = millis, %reason, "a partition makes no progress");
            } else {
                tracing::warn!(%partition, offset, age_ms = millis, %reason, "a partition makes no progress");
            }
        }
        ConsumerEvent::Silent { age, left } => {
            let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(age_ms = millis, left, "the application takes nothing (max.poll.interval.ms)");
        }
        ConsumerEvent::Lost { partitions, error } => {
            tracing::warn!(count = partitions.len(), %error, "partitions were lost");
        }
        ConsumerEvent::CommitFailed { partitions, error } => {
            tracing::warn!(count = partitions.len(), %error, "a commit failed");
        }
        ConsumerEvent::PartitionFailed { partition, error } => tracing::warn!(%partition, %error, "a partition failed"),
        ConsumerEvent::OffsetReset { partition, from: Some(from), to } => {
            tracing::warn!(%partition, from, to, "a committed offset is not in the log, so the position was reset");
        }
        // A group that has committed nothing begins where it was told to.
        ConsumerEvent::OffsetReset { partition, from: None, to } => {
            tracing::debug!(%partition, to, "a position was chosen");
        }
        ConsumerEvent::Failed(error) => tracing::error!(%error, "the group membership failed"),
        other => tracing::debug!(event = ?other, "consumer"),
    }
}

/// What a consumer tells of itself, as a stream that ends with it. Nobody has to read it: of what waits, 1,024 events are kept, the newest.
///
/// From [`ConsumerHandle::events`](super::ConsumerHandle::events).
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is read"]
pub struct ConsumerEvents {
    subscriber: Arc<Subscriber>,
}

impl Stream for ConsumerEvents {
    type Item = ConsumerEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        for last in [false, true] {
            {
                let mut waiting = self.subscriber.waiting();
                if let Some(event) = waiting.events.pop_front() {
                    return Poll::Ready(Some(event));
                }
                if waiting.over {
                    return Poll::Ready(None);
                }
            }
            if !last {
                self.subscriber.waker.register(cx.waker());
            }
        }
        Poll::Pending
    }
}
