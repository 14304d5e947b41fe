//! Consuming: what is assigned, fetched, handed out and committed, and membership of a group.
//!
//! - this file: `ConsumerSide`, a handle's consuming half, and how the program's threads command the driver's
//! - `slot`: a partition, as both share it
//! - `messages`: what goes to programs
//! - `work`: what the driver's thread does: fetching, look-ups, commits
//! - `assignment`: `rd_kafka_assign` and its kin
//! - `group`: proposals of the group member, rebalance callbacks and events
//! - `subscription`: topics, patterns, what the program may ask of its group
//! - `commit`, `offsets`, `seek`, `look_ups`: offsets stored, committed, looked up; positions
//! - `poll`: messages out
//! - `close`: the end
//! - `legacy`: the consumer without a group; `files`: where it may keep its offsets
//! - `metadata`: who a member is, for transactions
//!
//! The program's threads change `State` under its lock and then command the driver, in the same order; only the driver's thread touches the
//! fetcher and the group member, and `work::Carry` beside them. What is fetched goes into the partition's queue with the version of the partition
//! for which it was fetched; seek, pause and assign make a new version, and what is older is dropped when it is popped.

pub mod assignment;
pub mod close;
pub mod commit;
mod failed;
mod files;
mod group;
pub mod legacy;
pub mod look_ups;
mod messages;
pub mod metadata;
pub mod offsets;
pub mod poll;
pub mod seek;
mod slot;
mod stats;
pub mod subscription;
mod work;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use felice::raw::{ConsumerConfig, FetchConfig, OffsetReset, ProposalId, RawConsumer, RawEvent};
use felice::{Client, Error, ErrorKind, GroupMetadata, Properties, TopicPartition};

pub(crate) use self::commit::CommitResult;
use self::files::Files;
pub(crate) use self::group::Rebalance;
pub(crate) use self::look_ups::Leaders;
pub(crate) use self::messages::{Failure, Messages};
use self::slot::Slot;
use self::work::{Carry, Work};
use crate::conf::{Conf, Interceptors};
use crate::event::kind;
use crate::handle::Kafka;
use crate::queue::Queue;
use crate::topic::Topics;
use crate::types::RespErr;
use crate::wait::{Deadline, block_on};

/// What a consumer needs of its configuration.
#[derive(Clone, Debug)]
struct Settings {
    fetch: FetchConfig,
    group: Option<ConsumerConfig>,
    stores: bool,
    commits_every: Option<Duration>,
    tells_end: bool,
    reset: OffsetReset,
    max_poll: Duration,
    /// How long a partition or topic may be unknown before the program hears of it.
    patience: Duration,
    /// `queued.min.messages`: nothing more is fetched of a partition of which so many wait.
    queued_min: u64,
    /// The program wants to hear of rebalances, and so answers them itself.
    tells_rebalance: bool,
    tells_commit: bool,
    files: Files,
}

impl Settings {
    fn new(properties: &Properties, conf: &Conf) -> Result<Self, Error> {
        let mut fetch = properties.fetch_config()?;
        let reset = fetch.offset_reset;
        // What is out of range is put right here, with librdkafka's words.
        fetch.offset_reset = OffsetReset::Fail;
        let grouped = conf.text("group.id").is_some_and(|id| !id.is_empty());
        let group = if grouped { Some(properties.consumer_config()?) } else { None };
        let millis = |name: &str| Duration::from_millis(u64::try_from(conf.int(name)).unwrap_or(0));
        // It does not grow.
        let backoff = millis("fetch.error.backoff.ms");
        (fetch.retry_backoff, fetch.retry_backoff_max) = (backoff, backoff);
        let every = millis("auto.commit.interval.ms");
        Ok(Self {
            fetch,
            stores: conf.flag("enable.auto.offset.store"),
            commits_every: (grouped && conf.flag("enable.auto.commit") && !every.is_zero()).then_some(every),
            group,
            tells_end: conf.flag("enable.partition.eof"),
            queued_min: u64::try_from(conf.int("queued.min.messages")).unwrap_or(u64::MAX).max(1),
            reset,
            max_poll: millis("max.poll.interval.ms"),
            patience: millis("topic.metadata.propagation.max.ms"),
            tells_rebalance: conf.callbacks.rebalance_cb.is_some() || conf.enabled_events & kind::REBALANCE != 0,
            tells_commit: conf.callbacks.offset_commit_cb.is_some() || conf.enabled_events & kind::OFFSET_COMMIT != 0,
            files: Files {
                wanted: conf.topic.text("offset.store.method") == Some("file"),
                path: conf.topic.text("offset.store.path").unwrap_or(".").to_owned(),
            },
        })
    }
}

/// Whether a consumer still is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    /// It gives up its partitions and leaves its group.
    Closing,
    Closed,
}

/// What the member has proposed and the program has not answered.
#[derive(Clone, Copy, Debug)]
struct Proposed {
    id: ProposalId,
    /// Partitions come; else they go.
    assigns: bool,
}

/// What changes by calls of the program and proposals of the group.
#[derive(Debug)]
struct State {
    /// All partitions that were ever named.
    slots: BTreeMap<TopicPartition, Arc<Slot>>,
    assigned: BTreeMap<TopicPartition, Arc<Slot>>,
    /// As the program named them.
    subscription: Vec<String>,
    proposed: Option<Proposed>,
    /// The rebalance on its way to the program: set where another takes its place.
    told: Option<Arc<AtomicBool>>,
    /// What is assigned was lost, and must not be committed.
    lost: bool,
    stage: Stage,
    /// Nobody is asked or told any more.
    silent: bool,
    member: GroupMetadata,
    protocol: Option<felice::raw::RebalanceProtocol>,
    /// How often the legacy API began to read: any use of it excludes the other one.
    legacy: u32,
    /// Rebalances, and the last.
    rebalances: u64,
    rebalanced: std::time::Instant,
    /// What was subscribed to or closed last, and when.
    changed: std::time::Instant,
}

/// The consuming half of a handle.
pub(crate) struct ConsumerSide {
    this: Weak<Self>,
    client: Client,
    topics: Arc<Topics>,
    settings: Settings,
    interceptors: Arc<Interceptors>,
    raw: OnceLock<RawConsumer>,
    /// What `rd_kafka_consumer_poll` serves.
    pub(crate) queue: Arc<Queue>,
    /// What `rd_kafka_poll` serves.
    main: Arc<Queue>,
    state: Mutex<State>,
    carry: Mutex<Carry>,
    /// Threads that wait for messages.
    polling: AtomicU32,
    /// The program has asked for messages since the last look.
    polled: AtomicBool,
}

impl std::fmt::Debug for ConsumerSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsumerSide").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ConsumerSide {
    pub(crate) fn new(
        client: &Client,
        properties: &Properties,
        conf: &Conf,
        topics: Arc<Topics>,
        main: Arc<Queue>,
    ) -> Result<Arc<Self>, Error> {
        let settings = Settings::new(properties, conf)?;
        let (fetch, group) = (settings.fetch.clone(), settings.group.clone());
        let side = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            client: client.clone(),
            topics,
            settings,
            interceptors: conf.interceptors.clone(),
            raw: OnceLock::new(),
            queue: Queue::new(),
            main,
            state: Mutex::new(State {
                slots: BTreeMap::new(),
                assigned: BTreeMap::new(),
                subscription: Vec::new(),
                proposed: None,
                told: None,
                lost: false,
                stage: Stage::Open,
                silent: false,
                member: GroupMetadata { generation_or_epoch: -1, ..GroupMetadata::default() },
                protocol: None,
                legacy: 0,
                rebalances: 0,
                rebalanced: std::time::Instant::now(),
                changed: std::time::Instant::now(),
            }),
            carry: Mutex::default(),
            polling: AtomicU32::new(0),
            polled: AtomicBool::new(false),
        });
        let this = side.this.clone();
        let sink = Box::new(move |core: &mut felice::raw::RawCore<'_>, event: RawEvent| {
            if let Some(side) = this.upgrade() {
                side.work(core, |work| work.handle(event));
            }
        });
        let raw = block_on(RawConsumer::new(client.clone(), fetch, group, sink))?;
        if side.raw.set(raw).is_err() {
            return Err(Error::new(ErrorKind::Bug, "a consumer is made twice"));
        }
        let (told, id) = mpsc::channel();
        side.command(move |work| {
            let id = work.core.member().map(|member| member.member_id().clone());
            // Whoever made the handle waits.
            let _ = told.send(id);
        });
        if let Ok(Some(id)) = id.recv() {
            side.state().member.member_id = id;
        }
        side.tick();
        Ok(side)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a group.
    fn has_group(&self) -> bool {
        self.settings.group.is_some()
    }

    /// Has the driver's thread do something, after what was commanded before.
    fn command(&self, what: impl FnOnce(&mut Work<'_, '_>) + Send + 'static) {
        let this = self.this.clone();
        let Some(raw) = self.raw.get() else { return };
        raw.command(move |core| {
            if let Some(side) = this.upgrade() {
                side.work(core, what);
            }
        });
    }

    /// On the driver's thread: what it brings goes out with nothing locked.
    fn work(&self, core: &mut felice::raw::RawCore<'_>, what: impl FnOnce(&mut Work<'_, '_>)) {
        let out = {
            let mut carry = self.carry.lock().unwrap_or_else(PoisonError::into_inner);
            what(&mut Work { side: self, core, carry: &mut carry });
            std::mem::take(&mut carry.out)
        };
        for out in out {
            out.carry_out(self);
        }
    }

    /// The partition, which is made where nobody has named it before.
    fn slot(&self, state: &mut State, name: &TopicPartition) -> Option<Arc<Slot>> {
        if let Some(slot) = state.slots.get(name) {
            return Some(slot.clone());
        }
        let slot = Slot::new(name.clone(), self.topics.get(&name.topic)?, self.settings.stores);
        state.slots.insert(name.clone(), slot.clone());
        Some(slot)
    }

    /// Has time pass: the background commits, and who has not polled for long.
    fn tick(&self) {
        if let Some(every) = self.settings.commits_every {
            self.each(every, |side| side.commit_in_background());
        }
        if self.has_group() {
            let pulse = (self.settings.max_poll / 10).clamp(Duration::from_millis(10), Duration::from_millis(500));
            self.each(pulse, |side| side.command(|work| work.pulse()));
        }
    }

    /// Does something again and again, as long as the consumer is there.
    fn each(&self, pause: Duration, what: impl Fn(&Self) + Send + 'static) {
        let this = self.this.clone();
        felice::raw::spawn(&self.client, async move {
            loop {
                felice::raw::sleep(pause).await;
                match this.upgrade() {
                    Some(side) => what(&side),
                    None => return,
                }
            }
        });
    }
}

/// The consuming half of a handle from C; `None` for NULL, a producer, or a handle of the process that this is a fork of.
///
/// # Safety
/// `rk` is NULL or came from `rd_kafka_new`.
unsafe fn side<'a>(rk: *mut Kafka) -> Option<&'a Arc<ConsumerSide>> {
    // SAFETY: the caller vouches for `rk`.
    unsafe { rk.as_ref() }.filter(|rk| !rk.is_forked()).and_then(|rk| rk.consumer.as_ref())
}

/// The consuming half of a handle that has a group.
///
/// # Safety
/// As for [`side`].
unsafe fn grouped<'a>(rk: *mut Kafka) -> Result<&'a Arc<ConsumerSide>, RespErr> {
    // SAFETY: the caller vouches for `rk`.
    unsafe { side(rk) }.filter(|side| side.has_group()).ok_or(RespErr::UNKNOWN_GROUP)
}

/// Waits for an answer of the driver.
fn wait<T>(answer: &mpsc::Receiver<T>, deadline: Deadline) -> Result<T, RespErr> {
    loop {
        match answer.recv_timeout(deadline.left().unwrap_or_default()) {
            Ok(answer) => return Ok(answer),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(RespErr::DESTROY),
            Err(mpsc::RecvTimeoutError::Timeout) if deadline.left().is_none() => return Err(RespErr::TIMED_OUT),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
    }
}
