//! All of a client put together: connections, metadata, producers, readers and calls. The driver in crate `felice` is a thin loop over
//! this, and so is a simulator: frames go in and out, nothing here waits.
//!
//! Each broker has up to three connections, so that a long fetch or a large batch never stands in front of a small request ([`Lane`]).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use felice_protocol::messages::{
    self, FetchRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest, Request,
};
use felice_protocol::primitives::{ByteStr, Frame};
use felice_protocol::time::{Instant, Now};

use crate::backoff::{Backoff, Random};
use crate::config::{ClientConfig, ProducerConfig};
use crate::connection::{Connection, EncodeRequest, Received, Waiting};
use crate::consumer::fetcher::{FetchEvent, Fetcher};
use crate::error::{Disposition, Error, ErrorKind};
use crate::metadata::{BrokerId, ClusterMetadata, MetadataCore};
use crate::producer::sender::{BatchSource, Finished, PartitionId, ProduceFailure, Sender};

/// One attempt at a connection. Events that name an older one are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Metadata, offsets, administration.
    General,
    /// Produce.
    Produce,
    /// Fetch.
    Fetch,
}

/// Whom a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// The address of that place in `bootstrap.servers`.
    Bootstrap(usize),
    /// A broker that metadata named.
    Broker(BrokerId),
}

type Key = (Node, Lane);

/// What the driver does.
#[derive(Debug)]
pub enum Output {
    /// Connect; answer with [`ClientCore::handle_connected`] or [`ClientCore::handle_disconnected`].
    Connect {
        /// The connection's id.
        id: ConnectionId,
        /// `host:port`.
        address: String,
        /// What it is for.
        lane: Lane,
    },
    /// Send a frame.
    Send {
        /// Over which connection.
        id: ConnectionId,
        /// The bytes.
        frame: Frame,
    },
    /// Close the connection; nothing needs to be answered.
    Close {
        /// Which.
        id: ConnectionId,
    },
}

/// A producer of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProducerKey(pub u32);

/// A reader of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReaderKey(pub u32);

/// A call of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Who is to answer a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTarget {
    /// Any broker.
    Any,
    /// This broker.
    Broker(BrokerId),
    /// The broker that takes requests for the controller.
    Controller,
}

/// How to make a call.
#[derive(Clone, Copy, Debug)]
pub struct CallOptions {
    /// Who is to answer.
    pub target: CallTarget,
    /// When it has failed.
    pub timeout: Duration,
    /// Whether it may be sent again after its connection broke.
    pub retry: bool,
    /// Whether it fails as soon as every address has refused a connection, instead of when its time is up.
    pub fail_fast: bool,
}

/// What the core tells the application.
#[derive(Debug)]
pub enum Event<T> {
    /// There is new metadata.
    Metadata(Arc<ClusterMetadata>),
    /// A batch of a producer is done.
    Finished(ProducerKey, Finished<T>),
    /// A reader has something.
    Fetch(ReaderKey, FetchEvent),
    /// A call was answered: version and whole frame, to be decoded by whoever asked, or it failed.
    Call(CallId, Result<(i16, Bytes), Error>),
}

#[derive(Clone, Copy, Debug)]
enum Token {
    Metadata,
    InitProducerId(ProducerKey),
    Produce(ProducerKey, u64),
    ListOffsets(ReaderKey, u64),
    Fetch(ReaderKey, u64),
    Call(CallId),
}

#[derive(Debug)]
struct Link {
    id: Option<ConnectionId>,
    address: String,
    connection: Connection<Token>,
    backoff: Backoff,
    blocked_until: Option<Instant>,
    setup_deadline: Option<Instant>,
    used_at: Instant,
    error: Option<Error>,
}

/// The connections, apart from the rest so that a poll of a sender can ask for one.
#[derive(Debug)]
struct Links {
    config: ClientConfig,
    links: BTreeMap<Key, Link>,
    by_id: BTreeMap<ConnectionId, Key>,
    next_id: u64,
    random: Random,
    outputs: VecDeque<Output>,
}

impl Links {
    /// Whether requests can be sent over this connection now; where they cannot, it is being made.
    fn ready(&mut self, now: Now, key: Key, metadata: &ClusterMetadata) -> bool {
        let address = match key.0 {
            Node::Bootstrap(i) => self.config.bootstrap.get(i).cloned(),
            Node::Broker(id) => metadata.brokers.get(&id).map(crate::metadata::Broker::address),
        };
        let Some(address) = address else { return false };
        let config = &self.config;
        let seed = self.random.next_u64();
        let link = self.links.entry(key).or_insert_with(|| Link {
            id: None,
            address: address.clone(),
            connection: Connection::new(&config.client_id, config.sasl.clone(), seed),
            backoff: Backoff::new(config.reconnect_backoff, config.reconnect_backoff_max, seed),
            blocked_until: None,
            setup_deadline: None,
            used_at: now.instant(),
            error: None,
        });
        if link.id.is_some() {
            return link.connection.is_ready();
        }
        if link.blocked_until.is_some_and(|until| until > now.instant()) {
            return false;
        }
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        link.address.clone_from(&address);
        link.connection = Connection::new(&self.config.client_id, self.config.sasl.clone(), seed);
        link.id = Some(id);
        link.setup_deadline = Some(now.instant() + self.config.connection_setup_timeout);
        link.used_at = now.instant();
        self.by_id.insert(id, key);
        self.outputs.push_back(Output::Connect { id, address, lane: key.1 });
        false
    }

    /// Sends a request over a connection that is ready.
    #[expect(clippy::too_many_arguments, reason = "a struct for them would be taken apart again at once")]
    fn send(
        &mut self,
        now: Now,
        key: Key,
        request: &dyn EncodeRequest,
        max_version: i16,
        token: Token,
        answered: bool,
        timeout: Duration,
    ) -> Result<(), Error> {
        let Some((link, id)) = self.links.get_mut(&key).and_then(|link| link.id.map(|id| (link, id))) else {
            return Err(Error::new(ErrorKind::Bug, "a request for a connection that is not there"));
        };
        link.used_at = now.instant();
        match link.connection.send(request, max_version, token, answered, now.instant() + timeout) {
            Ok(frame) => {
                self.outputs.push_back(Output::Send { id, frame });
                Ok(())
            }
            Err((_, error)) => Err(error.broker_at(link.address.clone())),
        }
    }

    fn is_blocked(&self, now: Now, key: Key) -> bool {
        self.links
            .get(&key)
            .is_some_and(|link| link.id.is_none() && link.blocked_until.is_some_and(|until| until > now.instant()))
    }
}

struct ProducerEntry<T> {
    sender: Sender<T>,
    source: Box<dyn BatchSource<T>>,
    request_timeout: Duration,
}

struct Call {
    request: Box<dyn EncodeRequest>,
    options: CallOptions,
    deadline: Instant,
    in_flight: bool,
    attempts: u32,
    error: Option<Error>,
}

/// A whole client; `T` is what the application attaches to each batch of records.
pub struct ClientCore<T> {
    links: Links,
    metadata: MetadataCore,
    producers: BTreeMap<ProducerKey, ProducerEntry<T>>,
    readers: BTreeMap<ReaderKey, Fetcher>,
    calls: BTreeMap<CallId, Call>,
    next_key: u32,
    next_call: u64,
    rotation: usize,
    events: VecDeque<Event<T>>,
}

impl<T> std::fmt::Debug for ClientCore<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCore")
            .field("links", &self.links)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

impl<T> ClientCore<T> {
    /// A client that has done nothing yet.
    pub fn new(config: ClientConfig, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max, random.next_u64());
        Self {
            metadata: MetadataCore::new(config.metadata_max_age, config.allow_auto_create_topics, backoff),
            rotation: usize::try_from(random.next_u64() % 1024).unwrap_or(0),
            links: Links {
                config,
                links: BTreeMap::new(),
                by_id: BTreeMap::new(),
                next_id: 0,
                random,
                outputs: VecDeque::new(),
            },
            producers: BTreeMap::new(),
            readers: BTreeMap::new(),
            calls: BTreeMap::new(),
            next_key: 0,
            next_call: 0,
            events: VecDeque::new(),
        }
    }

    // ----- Commands.

    /// What is known of the cluster.
    pub fn metadata(&self) -> &Arc<ClusterMetadata> {
        self.metadata.snapshot()
    }

    /// Metadata of this topic is wanted from now on.
    pub fn want_topic(&mut self, now: Now, topic: &ByteStr) {
        self.metadata.want(now, topic);
    }

    /// One user less wants metadata of this topic.
    pub fn unwant_topic(&mut self, topic: &ByteStr) {
        self.metadata.unwant(topic);
    }

    /// Asks for metadata again soon.
    pub fn refresh_metadata(&mut self, now: Now) {
        self.metadata.refresh(now);
    }

    /// Adds a producer whose batches come from `source`.
    pub fn add_producer(&mut self, config: ProducerConfig, source: Box<dyn BatchSource<T>>) -> ProducerKey {
        let key = ProducerKey(self.next_key);
        self.next_key += 1;
        let request_timeout = config.request_timeout.max(self.links.config.request_timeout);
        let sender = Sender::new(config, self.links.random.next_u64());
        self.producers.insert(key, ProducerEntry { sender, source, request_timeout });
        key
    }

    /// Removes a producer; what it had in flight is answered to nobody.
    pub fn remove_producer(&mut self, key: ProducerKey) {
        self.producers.remove(&key);
    }

    /// Adds a partition to a producer.
    pub fn add_partition(&mut self, key: ProducerKey, topic: &ByteStr, partition: i32) -> Option<PartitionId> {
        let metadata = self.metadata.snapshot().clone();
        Some(self.producers.get_mut(&key)?.sender.add_partition(topic, partition, &metadata))
    }

    /// A producer's sender: to announce ready partitions or to force batches out.
    pub fn sender(&mut self, key: ProducerKey) -> Option<&mut Sender<T>> {
        self.producers.get_mut(&key).map(|entry| &mut entry.sender)
    }

    /// Adds a reader.
    pub fn add_reader(&mut self, fetcher: Fetcher) -> ReaderKey {
        let key = ReaderKey(self.next_key);
        self.next_key += 1;
        self.readers.insert(key, fetcher);
        key
    }

    /// Removes a reader.
    pub fn remove_reader(&mut self, key: ReaderKey) {
        self.readers.remove(&key);
    }

    /// A reader's fetcher, with the metadata that its commands take.
    pub fn reader(&mut self, key: ReaderKey) -> Option<(&mut Fetcher, Arc<ClusterMetadata>)> {
        let metadata = self.metadata.snapshot().clone();
        self.readers.get_mut(&key).map(|fetcher| (fetcher, metadata))
    }

    /// Sends any request; its answer comes as [`Event::Call`].
    pub fn call(&mut self, now: Now, request: Box<dyn EncodeRequest>, options: CallOptions) -> CallId {
        let id = CallId(self.next_call);
        self.next_call += 1;
        let deadline = now.instant() + options.timeout;
        self.calls.insert(id, Call { request, options, deadline, in_flight: false, attempts: 0, error: None });
        id
    }

    /// Forgets a call; an answer that comes later is dropped.
    pub fn cancel_call(&mut self, id: CallId) {
        self.calls.remove(&id);
    }

    // ----- Inputs.

    /// A connection's bytes flow, TLS included.
    pub fn handle_connected(&mut self, now: Now, id: ConnectionId) {
        let Some(key) = self.links.by_id.get(&id).copied() else { return };
        let Some(link) = self.links.links.get_mut(&key) else { return };
        match link.connection.handle_connected() {
            Ok(frame) => self.links.outputs.push_back(Output::Send { id, frame }),
            Err(error) => self.close(now, id, error),
        }
    }

    /// A frame came, without its length.
    pub fn handle_frame(&mut self, now: Now, id: ConnectionId, frame: Bytes) {
        let Some(key) = self.links.by_id.get(&id).copied() else { return };
        let Some(link) = self.links.links.get_mut(&key) else { return };
        match link.connection.handle_frame(frame) {
            Ok(Received::Send(frame)) => self.links.outputs.push_back(Output::Send { id, frame }),
            Ok(Received::Ready) => {
                link.setup_deadline = None;
                link.error = None;
                link.backoff.reset();
            }
            Ok(Received::Answer(waiting, frame)) => {
                if let Err(error) = self.handle_answer(now, key, &waiting, frame) {
                    let error =
                        Error::new(ErrorKind::Decode, format!("the answer to {}: {}", waiting.api, error.message()));
                    self.handle_no_answer(now, waiting, &error);
                    self.close(now, id, error);
                }
            }
            Err(error) => self.close(now, id, error),
        }
    }

    fn handle_answer(&mut self, now: Now, key: Key, waiting: &Waiting<Token>, frame: Bytes) -> Result<(), Error> {
        let version = waiting.version;
        match waiting.token {
            Token::Metadata => {
                let (_, response) = messages::decode_response::<MetadataRequest>(version, frame)?;
                if self.metadata.handle_response(now, &response) {
                    self.announce_metadata();
                }
            }
            Token::InitProducerId(producer) => {
                let (_, response) = messages::decode_response::<InitProducerIdRequest>(version, frame)?;
                if let Some(entry) = self.producers.get_mut(&producer) {
                    entry.sender.handle_init_producer_id(now, Ok(&response));
                    entry.sender.handle_timeout(now, entry.source.as_mut());
                }
            }
            Token::Produce(producer, id) => {
                let (_, response) = messages::decode_response::<ProduceRequest>(version, frame)?;
                let address = self.links.links.get(&key).map(|link| link.address.clone()).unwrap_or_default();
                if let Some(entry) = self.producers.get_mut(&producer) {
                    entry.sender.handle_response(now, id, &response, &address);
                }
                let mut changed = false;
                for topic in &response.responses {
                    for p in &topic.partition_responses {
                        let endpoint = response.node_endpoints.iter().find(|e| e.node_id == p.current_leader.leader_id);
                        let at = endpoint.map(|e| crate::metadata::Broker {
                            id: e.node_id,
                            host: e.host.clone(),
                            port: e.port,
                            rack: e.rack.clone(),
                        });
                        if p.current_leader.leader_id >= 0 {
                            changed |= self.hint(
                                &topic.name,
                                topic.topic_id,
                                p.index,
                                p.current_leader.leader_id,
                                p.current_leader.leader_epoch,
                                at,
                            );
                        }
                    }
                }
                if changed {
                    self.announce_metadata();
                }
            }
            Token::ListOffsets(reader, id) => {
                let (_, response) = messages::decode_response::<ListOffsetsRequest>(version, frame)?;
                if let Some(fetcher) = self.readers.get_mut(&reader) {
                    fetcher.handle_list_offsets(now, id, Ok(&response));
                }
            }
            Token::Fetch(reader, id) => {
                let whole = frame.clone();
                let (_, response) = messages::decode_response::<FetchRequest>(version, frame)?;
                let Some(fetcher) = self.readers.get_mut(&reader) else { return Ok(()) };
                fetcher.handle_fetch(now, id, response, whole);
                let mut changed = false;
                for hint in fetcher.poll_leader_hints() {
                    changed |= self.hint(
                        &hint.topic,
                        felice_protocol::primitives::Uuid::default(),
                        hint.index,
                        hint.leader,
                        hint.leader_epoch,
                        hint.at,
                    );
                }
                if changed {
                    self.announce_metadata();
                }
            }
            Token::Call(id) => {
                if self.calls.remove(&id).is_some() {
                    self.events.push_back(Event::Call(id, Ok((version, frame))));
                }
            }
        }
        Ok(())
    }

    fn hint(
        &mut self,
        name: &str,
        id: felice_protocol::primitives::Uuid,
        partition: i32,
        leader: BrokerId,
        epoch: i32,
        at: Option<crate::metadata::Broker>,
    ) -> bool {
        let before = self.metadata.snapshot().version;
        let snapshot = self.metadata.snapshot().clone();
        let name =
            if name.is_empty() { snapshot.names.get(&id).map(ByteStr::as_str).unwrap_or_default() } else { name };
        self.metadata.handle_leader_hint(name, partition, leader, epoch, at);
        self.metadata.snapshot().version != before
    }

    fn announce_metadata(&mut self) {
        let metadata = self.metadata.snapshot().clone();
        for entry in self.producers.values_mut() {
            entry.sender.handle_metadata(&metadata);
        }
        for fetcher in self.readers.values_mut() {
            fetcher.handle_metadata(&metadata);
        }
        self.events.push_back(Event::Metadata(metadata));
    }

    /// A connection could not be made, or is gone.
    pub fn handle_disconnected(&mut self, now: Now, id: ConnectionId, error: Error) {
        let Some(key) = self.links.by_id.remove(&id) else { return };
        let Some(link) = self.links.links.get_mut(&key) else { return };
        let error = if error.broker().is_none() { error.broker_at(link.address.clone()) } else { error };
        link.id = None;
        link.setup_deadline = None;
        link.error = Some(error.clone());
        link.blocked_until = Some(now.instant() + link.backoff.next());
        let was_ready = link.connection.is_ready();
        let waiting: Vec<Waiting<Token>> = link.connection.handle_disconnected().collect();
        for waiting in waiting {
            self.handle_no_answer(now, waiting, &error);
        }
        if matches!(key.0, Node::Broker(_)) {
            // The broker may have moved or be gone.
            self.metadata.refresh(now);
        }
        if !was_ready {
            self.fail_calls_fast(key, &error);
        }
    }

    /// The error of the last connection that failed, and has not been made since.
    pub fn connection_error(&self) -> Option<&Error> {
        self.links.links.values().filter_map(|link| link.error.as_ref()).next()
    }

    /// Calls that wait for a connection and need not wait longer: nobody will answer the wrong password tomorrow.
    fn fail_calls_fast(&mut self, key: Key, error: &Error) {
        let hopeless = error.disposition() == Disposition::Fatal || error.kind() == ErrorKind::Tls;
        let boots = 0..self.links.config.bootstrap.len();
        let tried =
            |i: usize| self.links.links.get(&(Node::Bootstrap(i), Lane::General)).and_then(|link| link.error.as_ref());
        let none_left = self.metadata.snapshot().brokers.is_empty() && boots.clone().all(|i| tried(i).is_some());
        let all: Vec<String> = boots.filter_map(tried).map(ToString::to_string).collect();
        let bootstrap = matches!(key.0, Node::Bootstrap(_));
        let failed: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(_, call)| {
                !call.in_flight && ((hopeless && none_left) || (call.options.fail_fast && bootstrap && none_left))
            })
            .map(|(id, _)| *id)
            .collect();
        for id in failed {
            self.calls.remove(&id);
            let told = if all.len() > 1 {
                let joined = Error::new(error.kind(), format!("no broker can be reached: {}", all.join("; ")))
                    .caused_by(error.clone());
                match error.hint() {
                    Some(hint) => joined.hinting(hint),
                    None => joined,
                }
            } else {
                error.clone()
            };
            self.events.push_back(Event::Call(id, Err(told)));
        }
    }

    fn close(&mut self, now: Now, id: ConnectionId, error: Error) {
        if self.links.by_id.contains_key(&id) {
            self.links.outputs.push_back(Output::Close { id });
            self.handle_disconnected(now, id, error);
        }
    }

    fn handle_no_answer(&mut self, now: Now, waiting: Waiting<Token>, error: &Error) {
        match waiting.token {
            Token::Metadata => self.metadata.handle_failure(now),
            Token::InitProducerId(producer) => {
                if let Some(entry) = self.producers.get_mut(&producer) {
                    entry.sender.handle_init_producer_id(now, Err(error));
                }
            }
            Token::Produce(producer, id) => {
                if let Some(entry) = self.producers.get_mut(&producer) {
                    entry.sender.handle_failure(now, id, &ProduceFailure { error: error.clone(), sent: true });
                }
            }
            Token::ListOffsets(reader, id) => {
                if let Some(fetcher) = self.readers.get_mut(&reader) {
                    fetcher.handle_list_offsets(now, id, Err(error));
                }
            }
            Token::Fetch(reader, id) => {
                if let Some(fetcher) = self.readers.get_mut(&reader) {
                    fetcher.handle_fetch_failure(now, id);
                }
            }
            Token::Call(id) => {
                let Some(call) = self.calls.get_mut(&id) else { return };
                call.in_flight = false;
                call.error = Some(error.clone());
                if !call.options.retry || error.kind() == ErrorKind::Unsupported {
                    self.calls.remove(&id);
                    self.events.push_back(Event::Call(id, Err(error.clone())));
                }
            }
        }
    }

    /// Time has passed: late answers, late connections, late batches.
    pub fn handle_timeout(&mut self, now: Now) {
        let request_timeout = self.links.config.request_timeout;
        let idle = self.links.config.connections_max_idle;
        let mut late = Vec::new();
        for link in self.links.links.values() {
            let Some(id) = link.id else { continue };
            if link.setup_deadline.is_some_and(|at| at <= now.instant()) {
                let message = "no connection within socket.connection.setup.timeout.ms";
                late.push((
                    id,
                    Error::new(ErrorKind::Connect, message)
                        .hinting("is a firewall in between, or a broker overloaded?"),
                ));
            } else if link.connection.deadline().is_some_and(|at| at <= now.instant()) {
                let message = format!("no answer within request.timeout.ms ({} ms)", request_timeout.as_millis());
                late.push((id, Error::new(ErrorKind::Timeout, message)));
            } else if !idle.is_zero() && link.connection.in_flight() == 0 && link.used_at + idle <= now.instant() {
                late.push((id, Error::new(ErrorKind::Connect, "the connection was not used")));
            }
        }
        for (id, error) in late {
            self.close(now, id, error);
        }
        for entry in self.producers.values_mut() {
            entry.sender.handle_timeout(now, entry.source.as_mut());
        }
        let late: Vec<CallId> =
            self.calls.iter().filter(|(_, call)| call.deadline <= now.instant()).map(|(id, _)| *id).collect();
        for id in late {
            let Some(call) = self.calls.remove(&id) else { continue };
            let last = call.error.or_else(|| self.connection_error().cloned());
            let words = last.as_ref().map_or_else(|| "no broker answered".to_owned(), |last| format!("last: {last}"));
            let message = format!("{} attempts in {} ms; {words}", call.attempts, call.options.timeout.as_millis());
            let mut error = Error::new(ErrorKind::Timeout, message);
            if let Some(last) = last {
                if let Some(hint) = last.hint() {
                    error = error.hinting(hint);
                }
                error = error.caused_by(last);
            }
            self.events.push_back(Event::Call(id, Err(error)));
        }
    }

    // ----- Outputs.

    /// What the driver does next.
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        if self.links.outputs.is_empty() {
            self.pump(now);
        }
        self.links.outputs.pop_front()
    }

    /// What the application is to know.
    pub fn poll_event(&mut self) -> Option<Event<T>> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        for (key, entry) in &mut self.producers {
            if let Some(finished) = entry.sender.poll_finished() {
                return Some(Event::Finished(*key, finished));
            }
        }
        for (key, fetcher) in &mut self.readers {
            if let Some(event) = fetcher.poll_event() {
                return Some(Event::Fetch(*key, event));
            }
        }
        None
    }

    /// When to call [`Self::handle_timeout`], and then poll again.
    pub fn poll_timeout(&self, now: Now) -> Option<Instant> {
        let idle = self.links.config.connections_max_idle;
        let links = self.links.links.values().flat_map(|link| {
            let connected = link.id.is_some();
            [
                link.setup_deadline.filter(|_| connected),
                link.connection.deadline().filter(|_| connected),
                link.blocked_until.filter(|at| !connected && *at > now.instant()),
                (connected && !idle.is_zero() && link.connection.in_flight() == 0).then(|| link.used_at + idle),
            ]
        });
        let producers = self.producers.values().map(|entry| entry.sender.poll_timeout(now));
        let readers = self.readers.values().map(|fetcher| fetcher.poll_timeout(now));
        let calls = self.calls.values().map(|call| Some(call.deadline));
        // Metadata that is due already waits for a connection.
        let metadata = self.metadata.poll_timeout().filter(|at| *at > now.instant());
        links.chain(producers).chain(readers).chain(calls).chain([metadata]).flatten().min()
    }

    /// Turns what everything wants into requests.
    fn pump(&mut self, now: Now) {
        self.pump_metadata(now);
        self.pump_calls(now);
        self.pump_producers(now);
        self.pump_readers(now);
    }

    /// A connection to any broker that is ready, or `None` while one is being made.
    fn any_broker(&mut self, now: Now) -> Option<Key> {
        let metadata = self.metadata.snapshot().clone();
        if let Some((key, _)) = self
            .links
            .links
            .iter()
            .find(|(key, link)| key.1 == Lane::General && link.id.is_some() && link.connection.is_ready())
        {
            return Some(*key);
        }
        if self.links.links.iter().any(|(key, link)| key.1 == Lane::General && link.id.is_some()) {
            return None;
        }
        let brokers = metadata.brokers.keys().map(|id| Node::Broker(*id));
        let bootstrap = (0..self.links.config.bootstrap.len()).map(Node::Bootstrap);
        // Known brokers first; where none of them can be reached, the addresses that the user gave.
        for group in [brokers.collect::<Vec<_>>(), bootstrap.collect::<Vec<_>>()] {
            let free: Vec<Node> =
                group.into_iter().filter(|node| !self.links.is_blocked(now, (*node, Lane::General))).collect();
            if let Some(node) = free.get(self.rotation % free.len().max(1)).copied() {
                self.rotation = self.rotation.wrapping_add(1);
                self.links.ready(now, (node, Lane::General), &metadata);
                return None;
            }
        }
        None
    }

    fn pump_metadata(&mut self, now: Now) {
        if self.metadata.poll_timeout().is_none_or(|at| at > now.instant()) {
            return;
        }
        let Some(key) = self.any_broker(now) else { return };
        let Some(request) = self.metadata.poll_request(now) else { return };
        let timeout = self.links.config.request_timeout;
        if self.links.send(now, key, &request, 13, Token::Metadata, true, timeout).is_err() {
            self.metadata.handle_failure(now);
        }
    }

    fn pump_calls(&mut self, now: Now) {
        let waiting: Vec<CallId> = self.calls.iter().filter(|(_, call)| !call.in_flight).map(|(id, _)| *id).collect();
        for id in waiting {
            let Some(call) = self.calls.get(&id) else { continue };
            let metadata = self.metadata.snapshot().clone();
            let node = match call.options.target {
                CallTarget::Any => None,
                CallTarget::Broker(broker) => Some(broker),
                CallTarget::Controller => metadata.controller,
            };
            let key = match node {
                None => self.any_broker(now),
                Some(broker) => {
                    let key = (Node::Broker(broker), Lane::General);
                    self.links.ready(now, key, &metadata).then_some(key)
                }
            };
            let Some(key) = key else { continue };
            let Some(call) = self.calls.get_mut(&id) else { continue };
            call.in_flight = true;
            call.attempts += 1;
            let timeout =
                (call.deadline - now.instant()).min(self.links.config.request_timeout.max(Duration::from_millis(1)));
            if let Err(error) =
                self.links.send(now, key, call.request.as_ref(), i16::MAX, Token::Call(id), true, timeout)
            {
                self.calls.remove(&id);
                self.events.push_back(Event::Call(id, Err(error)));
            }
        }
    }

    fn pump_producers(&mut self, now: Now) {
        let metadata = self.metadata.snapshot().clone();
        let mut refresh = false;
        let keys: Vec<ProducerKey> = self.producers.keys().copied().collect();
        for key in keys {
            let wants_id = self
                .producers
                .get(&key)
                .is_some_and(|entry| entry.sender.active() > 0 && entry.sender.wants_producer_id(now));
            if wants_id && let Some(node) = self.any_broker(now) {
                let Some(entry) = self.producers.get_mut(&key) else { continue };
                if let Some(request) = entry.sender.poll_init_producer_id(now) {
                    let timeout = self.links.config.request_timeout;
                    if let Err(error) =
                        self.links.send(now, node, &request, i16::MAX, Token::InitProducerId(key), true, timeout)
                    {
                        entry.sender.handle_init_producer_id(now, Err(&error));
                    }
                }
            }
            let Some(entry) = self.producers.get_mut(&key) else { continue };
            let links = &mut self.links;
            while let Some(out) = entry.sender.poll_request(now, entry.source.as_mut(), &mut |broker| {
                links.ready(now, (Node::Broker(broker), Lane::Produce), &metadata)
            }) {
                let node = (Node::Broker(out.broker), Lane::Produce);
                let token = Token::Produce(key, out.id);
                let sent =
                    links.send(now, node, &out.request, out.max_version, token, out.answered, entry.request_timeout);
                if let Err(error) = sent {
                    entry.sender.handle_failure(now, out.id, &ProduceFailure { error, sent: false });
                }
            }
            refresh |= entry.sender.poll_refresh();
        }
        if refresh {
            self.metadata.refresh(now);
        }
    }

    fn pump_readers(&mut self, now: Now) {
        let metadata = self.metadata.snapshot().clone();
        let timeout = self.links.config.request_timeout;
        let links = &mut self.links;
        let mut refresh = false;
        for (key, fetcher) in &mut self.readers {
            while let Some(out) = fetcher.poll_list_offsets(now, &mut |broker| {
                links.ready(now, (Node::Broker(broker), Lane::General), &metadata)
            }) {
                let node = (Node::Broker(out.broker), Lane::General);
                let token = Token::ListOffsets(*key, out.id);
                if let Err(error) = links.send(now, node, &out.request, out.max_version, token, true, timeout) {
                    fetcher.handle_list_offsets(now, out.id, Err(&error));
                }
            }
            while let Some(out) =
                fetcher.poll_fetch(now, &mut |broker| links.ready(now, (Node::Broker(broker), Lane::Fetch), &metadata))
            {
                let node = (Node::Broker(out.broker), Lane::Fetch);
                let wait = Duration::from_millis(u64::try_from(out.request.max_wait_ms).unwrap_or_default());
                let token = Token::Fetch(*key, out.id);
                if links.send(now, node, &out.request, out.max_version, token, true, timeout + wait).is_err() {
                    fetcher.handle_fetch_failure(now, out.id);
                }
            }
            refresh |= fetcher.poll_refresh();
        }
        if refresh {
            self.metadata.refresh(now);
        }
    }
}

/// Reads the answer to a call.
///
/// # Errors
/// [`ErrorKind::Decode`] where the frame is not that answer.
pub fn decode_answer<R: Request>(answer: (i16, Bytes)) -> Result<R::Response, Error> {
    let (version, frame) = answer;
    Ok(messages::decode_response::<R>(version, frame)?.1)
}
