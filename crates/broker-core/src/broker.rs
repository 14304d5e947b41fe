//! [`BrokerCore`]: what a driver feeds and drains.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use felice_log::{Disk, Flush};
use felice_protocol::compression::Decompressor;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{ApiKey, decode_request_header};
use felice_protocol::primitives::{ByteStr, Decoder, Frame, Uuid};
use felice_protocol::time::{Instant, Now};

use crate::api::fetch::DelayedFetch;
use crate::api::produce::DelayedProduce;
use crate::api::{self, Refusal, Reply, RequestContext};
use crate::cleaner::LogCleaner;
use crate::config::{BrokerConfig, FlushPolicy, TopicConfig};
use crate::connection::{Connection, ConnectionId};
use crate::controller::{ConfigChanges, Controller, NewTopic, TopicError};
use crate::coordinator::{self, Coordination};
use crate::error::StartError;
use crate::fetch_session::FetchSessions;
use crate::flush::Flusher;
use crate::maintenance::Maintenance;
use crate::purgatory::{PartitionKey, Purgatory};
use crate::random::Random;
use crate::sasl::{self, Authenticator, Sasl};
use crate::topics::Topics;
use crate::{cleaner, data_dir, flush};

/// A sync that the driver is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncTicket(pub u64);

/// What a driver has to do.
#[derive(Debug)]
pub enum Output {
    /// Send a frame; the connection's request is done and the next one may come. The frame is empty where the client wants no answer.
    Response {
        /// To whom.
        connection: ConnectionId,
        /// What, with its length in front.
        frame: Frame,
    },
    /// Close the connection and say why in the log.
    Close {
        /// Which one.
        connection: ConnectionId,
        /// To be sent before, where there is something to say.
        last: Option<Frame>,
        /// Why.
        reason: String,
    },
    /// Make these flushes, then call [`BrokerCore::handle_synced`]; best done where it blocks nothing else.
    Sync {
        /// To hand back.
        ticket: SyncTicket,
        /// What to run, each of them even where one fails.
        flushes: Vec<Arc<Flush>>,
    },
    /// Something an operator should read.
    Log {
        /// What happened.
        message: String,
    },
}

/// A Kafka broker as a plain struct: frames in, frames out, the time passed in, no I/O but the disk's.
///
/// The driver feeds `handle_*`, drains [`poll_output`](Self::poll_output) after each, and calls [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) has come. It feeds a connection's next frame only after the [`Output::Response`] of the one before.
pub struct BrokerCore {
    pub(crate) config: BrokerConfig,
    pub(crate) limits: Limits,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) cluster_id: ByteStr,
    pub(crate) controller: Controller,
    pub(crate) topics: Topics,
    pub(crate) fetches: Purgatory<DelayedFetch>,
    pub(crate) produces: Purgatory<DelayedProduce>,
    pub(crate) sessions: FetchSessions,
    pub(crate) coordination: Coordination,
    pub(crate) flusher: Flusher,
    pub(crate) maintenance: Maintenance,
    pub(crate) cleaner: LogCleaner,
    pub(crate) random: Random,
    pub(crate) sasl: Sasl,
    pub(crate) decompressor: Decompressor,
    pub(crate) outputs: VecDeque<Output>,
    connections: BTreeMap<ConnectionId, Connection>,
    next_operation: u64,
}

impl BrokerCore {
    /// Opens the data directory, recovers what needs it, and is then ready for connections.
    ///
    /// # Errors
    /// [`StartError`], with the path and what to do.
    pub fn open(config: BrokerConfig, disk: Arc<dyn Disk>, seed: u64, now: Now) -> Result<Self, StartError> {
        let sasl = Sasl::new(&config, seed)?;
        let mut random = Random::new(seed);
        let mut opened = data_dir::open(&config, &disk, &mut random, now)?;
        cleaner::load(&config, &*disk, &mut opened.topics);
        let mut core = Self {
            cluster_id: opened.cluster_id,
            controller: opened.controller,
            topics: opened.topics,
            fetches: Purgatory::default(),
            produces: Purgatory::default(),
            sessions: FetchSessions::new(config.fetch_session_slots()),
            coordination: Coordination::new(&config, seed, now),
            flusher: Flusher::default(),
            maintenance: Maintenance::new(&config, now),
            cleaner: LogCleaner::new(&config, seed, now),
            limits: Limits::new(&config),
            random,
            decompressor: Decompressor::default(),
            outputs: opened.notes.into_iter().chain(sasl.warnings()).map(|message| Output::Log { message }).collect(),
            sasl,
            connections: BTreeMap::new(),
            next_operation: 0,
            config,
            disk,
        };
        coordinator::load_all(&mut core, now);
        Ok(core)
    }

    /// `cluster.id`.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// A client has connected to a listener.
    pub fn handle_connect(&mut self, _now: Now, connection: ConnectionId, listener: &str) {
        let authenticator = self.sasl.authenticator(listener);
        let connected = Connection { listener: listener.into(), authenticator, ..Connection::default() };
        self.connections.insert(connection, connected);
    }

    /// Whether it is known who speaks on a connection: at once where its listener does not ask.
    pub fn is_authenticated(&self, connection: ConnectionId) -> bool {
        let authenticator = self.connections.get(&connection).and_then(|known| known.authenticator.as_ref());
        authenticator.is_none_or(|authenticator| authenticator.is_complete())
    }

    /// From which address a connection comes; groups tell it of their members.
    pub fn handle_peer(&mut self, connection: ConnectionId, address: std::net::IpAddr) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.host = format!("/{address}").into();
        }
    }

    /// A connection is gone: what it waited for is forgotten.
    pub fn handle_disconnect(&mut self, _now: Now, connection: ConnectionId) {
        if let Some(operation) = self.connections.remove(&connection).and_then(|connection| connection.waits_in) {
            self.fetches.take(operation);
            self.produces.take(operation);
            self.coordination.handle_disconnect(operation);
        }
    }

    /// A request has come: a frame without its length. Bytes that are no request close the connection.
    pub fn handle_request(&mut self, now: Now, connection: ConnectionId, frame: Bytes) {
        let outcome = self.try_request(now, connection, frame);
        match outcome {
            Ok(Reply::Frame(frame)) => self.respond(connection, frame),
            Ok(Reply::Later) => {}
            Err(Refusal(reason)) => self.outputs.push_back(Output::Close { connection, last: None, reason }),
        }
        flush::start(self);
    }

    fn try_request(&mut self, now: Now, connection: ConnectionId, frame: Bytes) -> Result<Reply, Refusal> {
        if let Some(outcome) = sasl::intercept(self, now, connection, &frame) {
            return outcome;
        }
        let mut body = Decoder::new(frame);
        let header = decode_request_header(&mut body)
            .map_err(|error| Refusal(format!("a request whose header cannot be read: {error}")))?;
        let context = RequestContext {
            connection,
            api_key: ApiKey(header.request_api_key),
            version: header.request_api_version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
        };
        api::dispatch(self, now, &context, body)
    }

    /// A sync has ended, well or not.
    pub fn handle_synced(&mut self, now: Now, ticket: SyncTicket, result: io::Result<()>) {
        flush::finish(self, ticket, &result);
        coordinator::run(self, now);
        cleaner::handle_synced(self, now, ticket, &result);
        flush::start(self);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Now) {
        for operation in self.fetches.expired(now.instant()) {
            api::fetch::complete(self, operation);
        }
        for operation in self.produces.expired(now.instant()) {
            api::produce::expire(self, operation);
        }
        sasl::handle_timeout(self, now);
        coordinator::handle_timeout(self, now);
        crate::maintenance::run(self, now);
        cleaner::run(self, now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.fetches.next_deadline(),
            self.produces.next_deadline(),
            Some(self.maintenance.next()),
            Some(self.coordination.poll_timeout()),
            self.cleaner.next(),
            self.sasl.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Stops in order: everything synced, checkpoints and snapshots written, and the marker that says so.
    ///
    /// # Errors
    /// What the disk says; the next start then recovers as after a crash.
    pub fn shutdown(&mut self, now: Now) -> Result<(), StartError> {
        for operation in self.fetches.ids() {
            api::fetch::complete(self, operation);
        }
        data_dir::close(self, now)
    }

    pub(crate) fn respond(&mut self, connection: ConnectionId, frame: Frame) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.waits_in = None;
        }
        self.outputs.push_back(Output::Response { connection, frame });
    }

    /// What guards a connection, to be put back.
    pub(crate) fn take_authenticator(&mut self, connection: ConnectionId) -> Option<Box<Authenticator>> {
        self.connections.get_mut(&connection)?.authenticator.take()
    }

    pub(crate) fn put_authenticator(&mut self, connection: ConnectionId, authenticator: Box<Authenticator>) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.authenticator = Some(authenticator);
        }
    }

    /// Where clients of a connection's listener are told to connect to.
    pub(crate) fn advertised(&self, connection: ConnectionId) -> (ByteStr, i32) {
        let listener = self.connections.get(&connection).map(|known| known.listener.clone()).unwrap_or_default();
        let (host, port) = self.config.advertised(&listener);
        (host.into(), i32::from(port))
    }

    /// The address of a connection's other end, as Kafka prints it.
    pub(crate) fn host(&self, connection: ConnectionId) -> ByteStr {
        self.connections.get(&connection).map(|connection| connection.host.clone()).unwrap_or_default()
    }

    /// An operation's id, noted with its connection so that it goes when that goes.
    pub(crate) fn new_operation(&mut self, connection: ConnectionId) -> u64 {
        self.next_operation += 1;
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.waits_in = Some(self.next_operation);
        }
        self.next_operation
    }

    /// Makes a topic and opens its logs.
    pub(crate) fn create_topic(&mut self, now: Now, new: NewTopic) -> Result<Uuid, TopicError> {
        let id = self.controller.create_topic(now, &new, &mut self.random)?;
        let Some(image) = self.controller.topic(&id) else {
            return Ok(id);
        };
        let partitions = 0..i32::try_from(image.partitions.len()).unwrap_or(i32::MAX);
        let opened =
            data_dir::open_topic(&self.config, &self.disk, id, image, &data_dir::Checkpoints::default(), true, now);
        match opened {
            Ok((topic, notes)) => {
                self.topics.insert(topic);
                self.outputs.extend(notes.into_iter().map(|message| Output::Log { message }));
                coordinator::handle_topics_changed(self, now, None);
                Ok(id)
            }
            Err(error) => {
                // A topic that cannot be opened is not to stay half made.
                let message = error.to_string();
                data_dir::remove_new_partitions(&self.config, &*self.disk, &new.name, partitions);
                let _ = self.controller.remove_topic(now, id);
                Err(TopicError { code: ErrorCode::KAFKA_STORAGE_ERROR, message })
            }
        }
    }

    /// Gives a topic more partitions. Their logs come first: a topic is not to have partitions that cannot be opened.
    pub(crate) fn add_partitions(&mut self, now: Now, id: Uuid, new: Range<i32>) -> Result<(), TopicError> {
        let Some(topic) = self.topics.get_mut(&id) else {
            return Ok(());
        };
        let opened = data_dir::open_new_partitions(&self.config, &self.disk, topic, new.clone(), now)
            .map_err(|error| TopicError { code: ErrorCode::KAFKA_STORAGE_ERROR, message: error.to_string() });
        match opened.and_then(|opened| self.controller.add_partitions(now, id, new.clone()).map(|()| opened)) {
            Ok(opened) => {
                topic.partitions.extend(opened);
                coordinator::handle_topics_changed(self, now, None);
                Ok(())
            }
            Err(error) => {
                data_dir::remove_new_partitions(&self.config, &*self.disk, &topic.name, new);
                Err(error)
            }
        }
    }

    /// Sets and takes back properties of a topic; its logs follow them at once.
    pub(crate) fn alter_topic_configs(&mut self, now: Now, id: Uuid, changes: ConfigChanges) -> Result<(), TopicError> {
        let configs = self.controller.alter_configs(now, &id, changes)?;
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.config = TopicConfig::new(&self.config, configs);
            for partition in &mut topic.partitions {
                partition.set_log_config(topic.config.log.clone());
            }
        }
        Ok(())
    }

    /// Removes a topic: from the metadata, then its waiting requests, then its files.
    pub(crate) fn delete_topic(&mut self, now: Now, id: Uuid) -> Result<(), TopicError> {
        self.controller.remove_topic(now, id)?;
        let Some(topic) = self.topics.remove(&id) else {
            return Ok(());
        };
        for partition in &topic.partitions {
            self.complete_waiting((id, partition.index()));
        }
        let name = topic.name.clone();
        let notes = data_dir::delete_topic(&self.config, &*self.disk, topic);
        self.outputs.extend(notes.into_iter().map(|message| Output::Log { message }));
        coordinator::handle_topics_changed(self, now, Some(&name));
        Ok(())
    }

    /// A partition has more to read: polls that now have enough are answered.
    pub(crate) fn partition_advanced(&mut self, key: PartitionKey, bytes: usize) {
        if self.config.bugs.has(felice_log::Bug::LostWakeUp) {
            return;
        }
        let ready = self.fetches.ready(&key, |fetch| fetch.has_enough_with(bytes));
        for operation in ready {
            api::fetch::complete(self, operation);
        }
    }

    /// A partition is gone or out of order: whatever waits on it is answered now.
    pub(crate) fn complete_waiting(&mut self, key: PartitionKey) {
        for operation in self.fetches.ready(&key, |_| true) {
            api::fetch::complete(self, operation);
        }
        for operation in self.produces.ready(&key, |_| true) {
            api::produce::complete(self, operation);
        }
        coordinator::handle_offline(self, key);
    }
}

/// What every produce and fetch needs to know of the configuration, looked up once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) flush_policy: FlushPolicy,
    pub(crate) request_max_bytes: usize,
    pub(crate) fetch_max_bytes: usize,
}

impl Limits {
    fn new(config: &BrokerConfig) -> Self {
        Self {
            flush_policy: config.flush_policy(),
            request_max_bytes: config.socket_request_max_bytes(),
            fetch_max_bytes: config.fetch_max_bytes(),
        }
    }
}

impl std::fmt::Debug for BrokerCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerCore")
            .field("cluster_id", &self.cluster_id)
            .field("topics", &self.topics)
            .field("connections", &self.connections.len())
            .finish_non_exhaustive()
    }
}
