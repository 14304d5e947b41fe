//! The machine that the broker runs on: its disk, its process, and the driver's part of the contract with [`BrokerCore`].
//!
//! Like a real driver it has one thread for the core: while a call takes long (a slow disk), what arrives waits. Outputs leave when the call that
//! made them is over; a process that dies in a call sends nothing of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use felice_broker_core::{BrokerConfig, BrokerCore, ConnectionId, Output, SyncTicket};
use felice_log::Flush;
use felice_protocol::time::{Instant, Now};

use crate::disk::SimDisk;
use crate::group_plan::GroupsPlan;
use crate::history::Outage;
use crate::network::Link;
use crate::plan::Plan;
use crate::rng::Rng;

/// The one topic of a world.
pub const TOPIC: &str = "records";

/// What waits for the broker's thread.
#[derive(Debug)]
pub enum Input {
    /// A client has connected.
    Connect(Link),
    /// A frame has come.
    Frame(Link, Bytes),
    /// A connection is gone.
    Disconnect(Link),
    /// A sync has ended.
    Synced(SyncTicket, Result<(), std::io::ErrorKind>),
    /// The core's time has come.
    Timeout,
}

/// What came of the broker's work, for the world to carry out.
#[derive(Debug)]
pub enum Effect {
    /// A frame goes out.
    Send(Link, Bytes),
    /// A connection is closed.
    Close(Link),
    /// A sync begins.
    Sync(SyncTicket, Vec<Arc<Flush>>),
    /// The core said something to its operator.
    Log(String),
}

/// The broker, its disk, and what it has to do.
#[derive(Debug)]
pub struct BrokerHost {
    /// The disk, which outlives every process.
    pub disk: SimDisk,
    /// The data directory.
    pub data_dir: PathBuf,
    config: BrokerConfig,
    core: Option<BrokerCore>,
    inbox: VecDeque<Input>,
    /// Requests that the core has begun with since somebody asked.
    begun: Vec<(Link, Bytes)>,
    /// Connections whose request is not answered yet, with the frames that wait behind it.
    muted: BTreeMap<Link, VecDeque<Bytes>>,
    connected: BTreeSet<Link>,
    /// Until then the thread is in a call.
    pub busy_until: Instant,
    /// Counts the processes: what belongs to an older one is void.
    pub incarnation: u64,
    /// How the crash that is under way will be called, once the disk stops.
    pub dying: Option<Outage>,
    rng: Rng,
}

impl BrokerHost {
    /// A machine with an empty disk and no process.
    pub fn new(plan: &Plan, mut rng: Rng, bug: Option<&'static str>) -> Result<Self, String> {
        let data_dir = PathBuf::from("/data");
        let mut config = BrokerConfig::new(&data_dir);
        config.advertised_host = "broker".to_owned();
        config.advertised_port = 9092;
        let flush = if plan.flush_batch { "batch" } else { "none" };
        for (name, value) in [
            ("felice.flush", flush),
            ("log.flush.offset.checkpoint.interval.ms", "7000"),
            ("log.retention.check.interval.ms", "11000"),
            ("num.partitions", "1"),
        ] {
            config.set(name, value).map_err(|error| error.to_string())?;
        }
        for (name, value) in plan.groups.as_ref().map(group_settings).unwrap_or_default() {
            config.set(name, &value).map_err(|error| error.to_string())?;
        }
        crate::bugs::plant_in_broker(&mut config, bug);
        Ok(Self {
            disk: SimDisk::new(rng.fork()),
            data_dir,
            config,
            core: None,
            inbox: VecDeque::new(),
            begun: Vec::new(),
            muted: BTreeMap::new(),
            connected: BTreeSet::new(),
            busy_until: Instant(0),
            incarnation: 0,
            dying: None,
            rng,
        })
    }

    /// Whether a process runs.
    pub fn is_up(&self) -> bool {
        self.core.is_some()
    }

    /// Starts a process: opens the data directory and recovers. Takes time; gives how long.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn start(&mut self, now: Now) -> Result<Duration, String> {
        self.incarnation += 1;
        let seed = self.rng.next_u64();
        let opened = BrokerCore::open(self.config.clone(), Arc::new(self.disk.clone()), seed, now);
        let took =
            Duration::from_nanos(self.disk.take_busy_nanos()) + Duration::from_micros(self.rng.between(500, 5000));
        if self.disk.is_stopped() {
            return Err("died while starting".to_owned());
        }
        let core = opened.map_err(|error| chain(&error))?;
        self.busy_until = now.instant() + took;
        self.core = Some(core);
        Ok(took)
    }

    /// The process is no more. Gives the connections that it had.
    pub fn drop_process(&mut self) -> BTreeSet<Link> {
        self.core = None;
        self.inbox.clear();
        self.muted.clear();
        self.dying = None;
        self.incarnation += 1;
        std::mem::take(&mut self.connected)
    }

    /// The process stops in order.
    ///
    /// # Errors
    /// What the core says.
    pub fn shutdown(&mut self, now: Now) -> Result<(), String> {
        match &mut self.core {
            Some(core) => core.shutdown(now).map_err(|error| chain(&error)),
            None => Ok(()),
        }
    }

    /// Something came for the process.
    pub fn put(&mut self, input: Input) {
        if self.core.is_some() {
            self.inbox.push_back(input);
        }
    }

    /// The requests that the core has begun with since the last call.
    pub fn take_begun(&mut self) -> Vec<(Link, Bytes)> {
        std::mem::take(&mut self.begun)
    }

    /// Whether the thread has something to do.
    pub fn has_work(&self) -> bool {
        self.core.is_some() && !self.inbox.is_empty()
    }

    /// When the core wants its time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.as_ref()?.poll_timeout()
    }

    /// Does the next piece of work; the effects take place at `busy_until`. `None` when the process died in it.
    pub fn work(&mut self, now: Now) -> Option<Vec<Effect>> {
        let core = self.core.as_mut()?;
        match self.inbox.pop_front()? {
            Input::Connect(link) => {
                self.connected.insert(link);
                core.handle_connect(now, ConnectionId(link.0), "PLAINTEXT");
            }
            Input::Frame(link, frame) => {
                if !self.connected.contains(&link) {
                    return Some(Vec::new());
                }
                if let Some(waiting) = self.muted.get_mut(&link) {
                    waiting.push_back(frame);
                    return Some(Vec::new());
                }
                self.muted.insert(link, VecDeque::new());
                self.begun.push((link, frame.clone()));
                core.handle_request(now, ConnectionId(link.0), frame);
            }
            Input::Disconnect(link) => {
                self.muted.remove(&link);
                if self.connected.remove(&link) {
                    core.handle_disconnect(now, ConnectionId(link.0));
                }
            }
            Input::Synced(ticket, result) => core.handle_synced(now, ticket, result.map_err(std::io::Error::from)),
            Input::Timeout => core.handle_timeout(now),
        }
        if self.disk.is_stopped() {
            return None;
        }
        let took =
            Duration::from_nanos(self.disk.take_busy_nanos()) + Duration::from_nanos(self.rng.between(1000, 30_000));
        self.busy_until = now.instant() + took;
        Some(self.drain(now))
    }

    fn drain(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(core) = &mut self.core else { return effects };
        while let Some(output) = core.poll_output() {
            match output {
                Output::Response { connection, frame } => {
                    let link = Link(connection.0);
                    if let Some(waiting) = self.muted.remove(&link) {
                        // these came before whatever is in the inbox of this connection
                        for frame in waiting.into_iter().rev() {
                            self.inbox.push_front(Input::Frame(link, frame));
                        }
                    }
                    if !frame.is_empty() && self.connected.contains(&link) {
                        effects.push(Effect::Send(link, frame.into_bytes().slice(4..)));
                    }
                }
                Output::Close { connection, last: _, reason } => {
                    let link = Link(connection.0);
                    self.muted.remove(&link);
                    if self.connected.remove(&link) {
                        core.handle_disconnect(now, connection);
                        effects.push(Effect::Close(link));
                        effects.push(Effect::Log(format!("closes connection {}: {reason}", link.0)));
                    }
                }
                Output::Sync { ticket, flushes } => effects.push(Effect::Sync(ticket, flushes)),
                Output::Log { message } => effects.push(Effect::Log(message)),
            }
        }
        effects
    }

    /// One request, answered at once, past network and thread: how the world makes its topic.
    ///
    /// # Errors
    /// Where the broker is down or does not answer at once.
    pub fn ask(&mut self, now: Now, frame: Bytes) -> Result<Bytes, String> {
        let core = self.core.as_mut().ok_or("the broker is down")?;
        let connection = ConnectionId(u64::MAX);
        core.handle_connect(now, connection, "PLAINTEXT");
        core.handle_request(now, connection, frame);
        let mut answer = None;
        while let Some(output) = core.poll_output() {
            if let Output::Response { frame, .. } = output {
                answer = Some(frame.into_bytes().slice(4..));
            }
        }
        core.handle_disconnect(now, connection);
        answer.ok_or_else(|| "the broker gave no answer".to_owned())
    }
}

fn group_settings(groups: &GroupsPlan) -> Vec<(&'static str, String)> {
    let session = groups.session.as_millis().to_string();
    let heartbeat = groups.heartbeat.as_millis().to_string();
    vec![
        ("group.initial.rebalance.delay.ms", groups.initial_delay_millis.to_string()),
        ("group.consumer.min.session.timeout.ms", session.clone()),
        ("group.consumer.session.timeout.ms", session),
        ("group.consumer.min.heartbeat.interval.ms", heartbeat.clone()),
        ("group.consumer.heartbeat.interval.ms", heartbeat),
        ("offsets.topic.num.partitions", groups.offsets_partitions.to_string()),
        ("log.cleaner.backoff.ms", "2000".to_owned()),
    ]
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
