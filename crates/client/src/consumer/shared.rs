//! What a consumer, its handles and the driver share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::group::{GroupMetadata, Subscription};
use felice_client_core::error::Error;
use futures::task::AtomicWaker;

use super::partition::{PartitionShared, Taken, Vitals};

#[derive(Debug, Default)]
struct State {
    partitions: BTreeMap<TopicPartition, Arc<PartitionShared>>,
    /// Partitions that have something, each once.
    ready: VecDeque<Arc<PartitionShared>>,
    /// Partitions for which no stream was given out yet.
    fresh: VecDeque<Arc<PartitionShared>>,
    errors: VecDeque<Error>,
    /// No error and no record follows, unless there is a new subscription.
    over: bool,
    /// The driver has forgotten the consumer.
    closed: bool,
    metadata: GroupMetadata,
    protocol: Option<&'static str>,
    subscription: Option<Subscription>,
    lost: bool,
}

/// What is shared.
#[derive(Debug)]
pub(super) struct ConsumerShared {
    pub(super) vitals: Arc<Vitals>,
    state: Mutex<State>,
    waker: AtomicWaker,
    /// Each partition has a stream of its own.
    split: AtomicBool,
}

impl ConsumerShared {
    pub(super) fn new(vitals: Arc<Vitals>) -> Arc<Self> {
        Arc::new(Self { vitals, state: Mutex::default(), waker: AtomicWaker::new(), split: AtomicBool::new(false) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    pub(super) fn is_split(&self) -> bool {
        self.split.load(Ordering::Relaxed)
    }

    // What the driver does.

    pub(super) fn hold(&self, partition: Arc<PartitionShared>) {
        let mut state = self.state();
        state.lost = false;
        state.partitions.insert(partition.id.clone(), partition);
    }

    /// A partition is fetched from now on.
    pub(super) fn started(&self, partition: &Arc<PartitionShared>) {
        if self.is_split() {
            self.state().fresh.push_back(partition.clone());
            self.wake();
        }
    }

    pub(super) fn list(&self, partition: &Arc<PartitionShared>) {
        let first = {
            let mut state = self.state();
            state.ready.push_back(partition.clone());
            state.ready.len() == 1
        };
        if first {
            self.wake();
        }
    }

    pub(super) fn drop_partition(&self, partition: &TopicPartition) {
        // Where it is still listed, whoever takes it finds that it has ended.
        let gone = self.state().partitions.remove(partition);
        drop(gone);
    }

    pub(super) fn fail(&self, error: Error) {
        self.state().errors.push_back(error);
        self.wake();
    }

    /// The membership failed: its error is the last thing that is told, until there is a new subscription.
    pub(super) fn fail_for_good(&self, error: Error) {
        {
            let mut state = self.state();
            state.errors.push_back(error);
            state.over = true;
        }
        self.wake();
    }

    /// There is something to come again.
    pub(super) fn revive(&self) {
        self.state().over = false;
    }

    pub(super) fn end_after_errors(&self) {
        {
            let mut state = self.state();
            state.over = true;
            state.closed = true;
        }
        self.vitals.events.end();
        self.wake();
    }

    pub(super) fn end(&self) {
        {
            let mut state = self.state();
            state.over = true;
            state.closed = true;
            state.ready.clear();
            state.fresh.clear();
        }
        self.vitals.events.end();
        self.wake();
    }

    pub(super) fn set_metadata(&self, metadata: GroupMetadata, protocol: Option<&'static str>) {
        let mut state = self.state();
        state.metadata = metadata;
        state.protocol = protocol;
    }

    pub(super) fn set_lost(&self) {
        self.state().lost = true;
    }

    // What the application does.

    pub(super) fn set_subscription(&self, subscription: Option<Subscription>) {
        self.state().subscription = subscription;
    }

    pub(super) fn subscription(&self) -> Option<Subscription> {
        self.state().subscription.clone()
    }

    pub(super) fn metadata(&self) -> GroupMetadata {
        self.state().metadata.clone()
    }

    pub(super) fn protocol(&self) -> Option<&'static str> {
        self.state().protocol
    }

    pub(super) fn is_lost(&self) -> bool {
        self.state().lost
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub(super) fn partition(&self, id: &TopicPartition) -> Option<Arc<PartitionShared>> {
        self.state().partitions.get(id).cloned()
    }

    /// Those that are not on their way out.
    pub(super) fn partitions(&self) -> Vec<Arc<PartitionShared>> {
        let all: Vec<_> = self.state().partitions.values().cloned().collect();
        all.into_iter().filter(|partition| !partition.is_ended()).collect()
    }

    /// From here on each partition has a stream of its own.
    pub(super) fn split(&self) {
        self.split.store(true, Ordering::SeqCst);
        let mut state = self.state();
        state.ready.clear();
        state.fresh = state.partitions.values().cloned().collect();
    }

    /// The next batch of any partition, an error, or the end.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>, whole: bool) -> Poll<Option<Result<Taken, Error>>> {
        self.vitals.beat();
        let mut registered = false;
        loop {
            let next = {
                let mut state = self.state();
                if let Some(error) = state.errors.pop_front() {
                    return Poll::Ready(Some(Err(error)));
                }
                if state.over {
                    return Poll::Ready(None);
                }
                state.ready.pop_front()
            };
            match next {
                Some(partition) => {
                    if let Some(taken) = partition.take(whole) {
                        if taken.more {
                            self.state().ready.push_back(partition);
                        }
                        return Poll::Ready(Some(Ok(taken)));
                    }
                }
                None if registered => return Poll::Pending,
                None => {
                    self.waker.register(cx.waker());
                    registered = true;
                }
            }
        }
    }

    /// The next partition that has no stream yet, an error, or the end.
    pub(super) fn poll_fresh(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Arc<PartitionShared>, Error>>> {
        self.vitals.beat();
        for last in [false, true] {
            {
                let mut state = self.state();
                if let Some(error) = state.errors.pop_front() {
                    return Poll::Ready(Some(Err(error)));
                }
                if state.over {
                    return Poll::Ready(None);
                }
                while let Some(partition) = state.fresh.pop_front() {
                    if partition.give_out() {
                        return Poll::Ready(Some(Ok(partition)));
                    }
                }
            }
            if !last {
                self.waker.register(cx.waker());
            }
        }
        Poll::Pending
    }
}
