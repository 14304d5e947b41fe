//! What the application's threads and the driver share of a producer.
//!
//! - this file: the fields, and how the producer becomes known to the core
//! - `append`: a record into its partition's open batch
//! - `line`: records whose topic's partitions are not known yet
//! - `source`: the batches, as the sender takes them
//! - `finish`: what becomes of finished batches
//! - `flush`: flushing and closing
//! - `purge`: giving up
//! - `standing`: how far it is

mod append;
mod finish;
mod flush;
mod line;
mod purge;
mod source;
mod standing;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use felice_client_core::client::ProducerKey;
use felice_client_core::config::ProducerConfig;
use felice_client_core::producer::sender::{Overrule, PartitionId};
use felice_protocol::compression::Compressor;
use tokio::sync::Notify;

pub(crate) use self::append::{Refusal, bug, bug_without_record};
use self::flush::Progress;
use self::source::Source;
use super::completion::BatchReport;
use super::finished::{ChoosePartition, OnBatch};
use super::memory::BufferPool;
use super::topic::{Slot, TopicTable};
use crate::client::Client;
use crate::driver::{Driver, DriverShared};

/// A callback for finished batches.
pub(crate) type OnDelivery = Box<dyn Fn(&BatchReport) + Send + Sync>;

/// What the application has asked to be called for.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) on_delivery: Option<OnDelivery>,
    pub(crate) on_batch: Option<OnBatch>,
    pub(crate) choose_partition: Option<ChoosePartition>,
    /// When records to a topic that does not exist are given up before their time.
    pub(crate) unknown_topic_after: Option<Duration>,
    /// A record to a topic that nobody knows is given up no sooner than this.
    pub(crate) unknown_topic_for: Duration,
    /// Taken by the core.
    pub(crate) overrule: Mutex<Option<Overrule>>,
}

/// A producer, from both sides.
pub(crate) struct ProducerShared {
    config: ProducerConfig,
    memory: BufferPool,
    topics: ArcSwap<TopicTable>,
    /// Every partition, by [`PartitionId`].
    slots: Arc<Mutex<Vec<Arc<Slot>>>>,
    adding: Mutex<()>,
    driver: Arc<DriverShared>,
    key: OnceLock<ProducerKey>,
    closed: AtomicBool,
    /// No driver will send what is still here.
    abandoned: AtomicBool,
    next_batch: AtomicU64,
    progress: Mutex<Progress>,
    progressed: Notify,
    flushing: AtomicUsize,
    waiting_records: AtomicUsize,
    hooks: Hooks,
    seed: u64,
}

impl std::fmt::Debug for ProducerShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("config", &self.config).finish_non_exhaustive()
    }
}

impl ProducerShared {
    pub(crate) fn new(config: ProducerConfig, client: &Client, hooks: Hooks, seed: u64) -> Self {
        Self {
            memory: BufferPool::new(config.buffer_memory),
            config,
            topics: ArcSwap::default(),
            slots: Arc::default(),
            adding: Mutex::new(()),
            driver: client.driver().clone(),
            key: OnceLock::new(),
            closed: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            next_batch: AtomicU64::new(0),
            progress: Mutex::default(),
            progressed: Notify::new(),
            flushing: AtomicUsize::new(0),
            waiting_records: AtomicUsize::new(0),
            hooks,
            seed,
        }
    }

    /// On the driver's thread: the producer becomes known to the core.
    pub(crate) fn register(self: &Arc<Self>, driver: &mut Driver) {
        let source = Source {
            slots: self.slots.clone(),
            known: Vec::new(),
            compressor: Compressor::default(),
            producer: Arc::downgrade(self),
        };
        let key = driver.core.add_producer(self.config.clone(), Box::new(source));
        let overrule = self.hooks.overrule.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(overrule), Some(sender)) = (overrule, driver.core.sender(key)) {
            sender.overrule(overrule);
        }
        // Only ever set here.
        let _ = self.key.set(key);
        driver.producers.insert(key, self.clone());
    }

    pub(crate) fn key(&self) -> Option<ProducerKey> {
        self.key.get().copied()
    }

    fn announce(&self, partition: PartitionId) {
        if let Some(key) = self.key() {
            self.driver.ready(key, partition);
        }
    }
}
