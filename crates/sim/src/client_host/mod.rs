//! A client's process: a [`ClientCore`] with the driver's part of its contract, and the application on top, which sends or reads.
//!
//! What the driver in crate `felice` does with threads happens here in steps: an append, the wake-up of the driver, the closing of a full batch
//! and the reading of a fetched one are events of their own, so that anything may come between them.
//!
//! - this file: the process and its connections
//! - `producer`, `reader`, `member`: the applications

mod member;
mod producer;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use felice_client_core::client::{ClientCore, ConnectionId, Event as CoreEvent, Output};
use felice_client_core::config::Properties;
use felice_protocol::time::{Instant, Now};

pub(crate) use self::member::{CLOSING_TIME, MemberApp, Stage};
use self::producer::{Outgoing, ProducerApp};
use self::reader::ReaderApp;
use crate::broker_host::TOPIC;
use crate::group_history::Owner;
use crate::group_plan::{GroupsPlan, MemberPlan};
use crate::history::{Event, RecordId};
use crate::network::Link;
use crate::plan::{Plan, ProducerPlan, ReaderPlan};
use crate::rng::Rng;

/// The records of a batch, in order.
type Tag = Arc<Mutex<Vec<RecordId>>>;

/// A client's process.
pub struct ClientHost {
    core: ClientCore<Tag>,
    /// Attempts under way, and connections with the network's number.
    connecting: BTreeSet<ConnectionId>,
    links: BTreeMap<ConnectionId, Link>,
    by_link: BTreeMap<Link, ConnectionId>,
    /// For when the world was asked to wake this client.
    pub timer: Option<Instant>,
    app: App,
}

enum App {
    Producer(Box<ProducerApp>),
    Reader(Box<ReaderApp>),
    Member(Box<MemberApp>),
}

/// What the driver asks the world for.
pub enum Effect {
    /// Connect to the broker.
    Connect(ConnectionId),
    /// Send a frame.
    Send(Link, bytes::Bytes),
    /// Close a connection.
    Close(Link),
    /// Something of the application's for its history.
    Tell(Event),
    /// Let the application go on after a moment: it has a batch to close or to read.
    Continue,
    /// The same, but not before then.
    ContinueAt(Instant),
    /// The process ends.
    Exit,
    /// Something is wrong that no fault explains.
    Wrong(String),
}

fn properties(plan: &Plan, extra: &[(&str, String)]) -> Result<Properties, String> {
    let mut properties = Properties::default();
    let request_timeout = plan.request_timeout_millis.to_string();
    let max_late_requests = plan.max_late_requests.to_string();
    let common = [
        ("bootstrap.servers", "broker:9092"),
        ("request.timeout.ms", &request_timeout),
        ("request.timeout.produce.ms", &request_timeout),
        ("socket.max.fails", &max_late_requests),
        ("socket.connection.setup.timeout.ms", "2000"),
        ("metadata.max.age.ms", "20000"),
        ("auto.offset.reset", "earliest"),
    ];
    let extra = extra.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in common.into_iter().chain(extra) {
        properties.set(name, value).map_err(|error| error.to_string())?;
    }
    Ok(properties)
}

fn core(properties: &Properties, rng: &mut Rng) -> Result<ClientCore<Tag>, String> {
    Ok(ClientCore::new(properties.client_config().map_err(|error| error.to_string())?, rng.next_u64()))
}

impl ClientHost {
    /// A producer's process.
    ///
    /// # Errors
    /// Where the settings do not go together.
    pub fn producer(
        number: u32,
        world: &Plan,
        plan: &ProducerPlan,
        rng: &mut Rng,
        bug: Option<&'static str>,
    ) -> Result<Self, String> {
        let (core, app) = ProducerApp::new(number, world, plan, rng, bug)?;
        Ok(Self::new(core, App::Producer(Box::new(app))))
    }

    /// A reader's process: it reads every partition.
    ///
    /// # Errors
    /// Where the settings do not go together.
    pub fn reader(
        number: usize,
        world: &Plan,
        plan: &ReaderPlan,
        rng: &mut Rng,
        bug: Option<&'static str>,
    ) -> Result<Self, String> {
        let (core, app) = ReaderApp::new(number, world, plan, rng, bug)?;
        Ok(Self::new(core, App::Reader(Box::new(app))))
    }

    /// A group member's process.
    ///
    /// # Errors
    /// Where the settings do not go together.
    pub fn member(
        world: &Plan,
        groups: &GroupsPlan,
        plan: &MemberPlan,
        owner: Owner,
        rng: &mut Rng,
        bug: Option<&'static str>,
    ) -> Result<Self, String> {
        let (core, app) = MemberApp::new(world, groups, plan, owner, rng, bug)?;
        Ok(Self::new(core, App::Member(Box::new(app))))
    }

    fn new(core: ClientCore<Tag>, app: App) -> Self {
        Self { core, connecting: BTreeSet::new(), links: BTreeMap::new(), by_link: BTreeMap::new(), timer: None, app }
    }

    /// The application asks for metadata of the topic.
    pub fn start(&mut self, now: Now) {
        match &mut self.app {
            App::Member(app) => app.start(now, &mut self.core),
            App::Producer(_) | App::Reader(_) => self.core.want_topic(now, &TOPIC.into()),
        }
    }

    /// A member's application.
    pub(crate) fn member_app(&mut self) -> Option<&mut MemberApp> {
        match &mut self.app {
            App::Member(app) => Some(app),
            App::Producer(_) | App::Reader(_) => None,
        }
    }

    /// A member closes its consumer, or gives its subscription up.
    pub fn leave(&mut self, now: Now, for_good: bool) {
        if let App::Member(app) = &mut self.app {
            app.leave(now, &mut self.core, for_good);
        }
    }

    /// A member takes its subscription again.
    pub fn subscribe_again(&mut self, now: Now) {
        if let App::Member(app) = &mut self.app {
            app.subscribe_again(now, &mut self.core);
        }
    }

    /// What a member's client says of itself.
    pub fn member_state(&mut self) -> String {
        match &mut self.app {
            App::Member(app) => app.state(&mut self.core),
            App::Producer(_) | App::Reader(_) => String::new(),
        }
    }

    /// The process ends. Gives the connections that it had.
    pub fn kill(&mut self) -> Vec<Link> {
        self.connecting.clear();
        self.by_link.clear();
        std::mem::take(&mut self.links).into_values().collect()
    }

    /// A connection stands, over this link; `false` where nobody wants it any more.
    pub fn handle_connected(&mut self, now: Now, id: ConnectionId, link: Link) -> bool {
        if !self.connecting.remove(&id) {
            return false;
        }
        self.links.insert(id, link);
        self.by_link.insert(link, id);
        self.core.handle_connected(now, id);
        true
    }

    /// A connection was refused.
    pub fn handle_refused(&mut self, now: Now, id: ConnectionId) {
        if self.connecting.remove(&id) {
            self.core.handle_disconnected(now, id, connect_error("connection refused"));
        }
    }

    /// A frame has come.
    pub fn handle_frame(&mut self, now: Now, link: Link, frame: bytes::Bytes) {
        if let Some(id) = self.by_link.get(&link) {
            self.core.handle_frame(now, *id, frame);
        }
    }

    /// A connection is gone.
    pub fn handle_disconnected(&mut self, now: Now, link: Link) {
        if let Some(id) = self.by_link.remove(&link) {
            self.links.remove(&id);
            self.core.handle_disconnected(now, id, connect_error("connection reset by peer"));
        }
    }

    /// The core's time has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.core.handle_timeout(now);
    }

    /// When that is.
    pub fn poll_timeout(&self, now: Now) -> Option<Instant> {
        self.core.poll_timeout(now)
    }

    /// Drains the core.
    pub fn drain(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        loop {
            if let Some(output) = self.core.poll_output(now) {
                self.carry_out(output, &mut effects);
            } else if let Some(event) = self.core.poll_event() {
                self.handle_event(now, event, &mut effects);
            } else {
                break;
            }
        }
        if let App::Producer(app) = &mut self.app
            && app.is_closing()
        {
            effects.push(Effect::Continue);
        }
        effects
    }

    fn carry_out(&mut self, output: Output, effects: &mut Vec<Effect>) {
        match output {
            Output::Connect { id, .. } => {
                self.connecting.insert(id);
                effects.push(Effect::Connect(id));
            }
            Output::Send { id, frame, answered: _ } => {
                if let Some(link) = self.links.get(&id) {
                    effects.push(Effect::Send(*link, frame.into_bytes().slice(4..)));
                }
            }
            Output::GaveUp { .. } => {}
            Output::Close { id, .. } => {
                self.connecting.remove(&id);
                if let Some(link) = self.links.remove(&id) {
                    self.by_link.remove(&link);
                    effects.push(Effect::Close(link));
                }
            }
        }
    }

    fn handle_event(&mut self, now: Now, event: CoreEvent<Tag>, effects: &mut Vec<Effect>) {
        match (event, &mut self.app) {
            (CoreEvent::Metadata(_), App::Producer(app)) if app.is_waiting() => effects.push(Effect::Continue),
            (CoreEvent::Finished(_, finished), App::Producer(app)) => app.finished(finished, effects),
            (CoreEvent::Fetch(_, event), App::Reader(app)) => {
                app.fetched(event);
                effects.push(Effect::Continue);
            }
            (CoreEvent::Fetch(_, event), App::Member(app)) => app.fetched(now, event, effects),
            (CoreEvent::Group(_, event), App::Member(app)) => app.told(now, event, effects),
            (CoreEvent::Metadata(_) | CoreEvent::Call(..), _) => {}
            (CoreEvent::Finished(..) | CoreEvent::Fetch(..) | CoreEvent::Group(..), _) => {
                effects.push(Effect::Wrong("an event for an application that did not ask".to_owned()));
            }
        }
    }

    /// The application goes on with one step: tells the driver of batches, closes one, or reads one.
    pub fn go_on(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        match &mut self.app {
            App::Producer(app) => app.go_on(now, &mut self.core, &mut effects),
            App::Reader(app) => app.go_on(&mut self.core, &mut effects),
            App::Member(app) => app.go_on(now, &mut self.core, &mut effects),
        }
        effects
    }

    /// A producer's application sends a record; with a partition, or by a key.
    pub fn send(&mut self, now: Now, partition: Option<i32>, key: u64, size: usize) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let App::Producer(app) = &mut self.app {
            app.send(now, &mut self.core, Outgoing { partition, key, size }, &mut effects);
        }
        effects
    }

    /// A producer's records whose fate is not told yet.
    pub fn unresolved(&self) -> u64 {
        match &self.app {
            App::Producer(app) => app.unresolved(),
            App::Reader(_) | App::Member(_) => 0,
        }
    }

    /// Where a reader fetches next.
    pub fn position(&mut self, partition: i32) -> Option<i64> {
        let App::Reader(app) = &self.app else { return None };
        app.position(&mut self.core, partition)
    }

    /// Whether this is a producer that promises to keep what it acknowledges.
    pub fn is_idempotent_producer(&self) -> bool {
        matches!(&self.app, App::Producer(app) if app.is_idempotent())
    }

    /// Sends a reader to another offset, of one partition.
    pub fn seek(&mut self, partition: i32, rng: &mut Rng) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let App::Reader(app) = &mut self.app {
            app.seek(&mut self.core, partition, rng, &mut effects);
        }
        effects
    }
}

fn connect_error(message: &str) -> felice_client_core::error::Error {
    felice_client_core::error::Error::new(felice_client_core::error::ErrorKind::Connect, message)
}
