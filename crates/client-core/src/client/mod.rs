//! All of a client put together: connections, metadata, producers, readers and calls. The driver in crate `felice` is a thin loop over
//! this, and so is a simulator: frames go in and out, nothing here waits.
//!
//! - this file: what goes in and out, the application's commands, and time
//! - `connections`: which connections there are, and which are made, given up or closed
//! - `requests`: requests out
//! - `answers`: frames in
//! - `calls`: requests of any kind for whoever asks
//! - `members`: members of groups
//! - `sessions`: tokens and credentials that change, and authenticating again before a session ends
//!
//! Each broker has a connection for calls, one for producers, one for each reader and one for each group member, so that a long fetch, a large
//! batch or a join that waits for others never stands in front of something else ([`Lane`]).

mod answers;
mod calls;
mod connections;
mod members;
mod requests;
mod sessions;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use felice_protocol::primitives::{ByteStr, Frame};
use felice_protocol::time::{Instant, Now};

use self::calls::Call;
pub use self::calls::{CallId, CallOptions, CallTarget, decode_answer};
use self::connections::Links;
pub use self::connections::{ConnectionId, Lane, NOT_SET_UP, NOT_USED, Node};
use crate::backoff::{Backoff, Random};
use crate::config::{ClientConfig, ProducerConfig};
use crate::consumer::fetcher::{FetchEvent, Fetcher};
use crate::consumer::group::{GroupEvent, GroupMember, MemberKey};
use crate::error::Error;
use crate::metadata::{ClusterMetadata, MetadataCore};
use crate::producer::sender::{BatchSource, Finished, PartitionId, Sender};
use crate::token::TokenStore;

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
        /// Whether the broker answers it: a Produce with acks=0 it does not.
        answered: bool,
    },
    /// Nothing to do: the answered request that had waited longest was given up, and the connection goes on.
    GaveUp {
        /// On which connection.
        id: ConnectionId,
    },
    /// Close the connection; nothing needs to be answered.
    Close {
        /// Which.
        id: ConnectionId,
        /// Why, where something was wrong with it; `None` where nobody needs it any more.
        why: Option<Error>,
    },
}

/// A producer of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProducerKey(pub u32);

/// A reader of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReaderKey(pub u32);

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
    /// A member of a group has something.
    Group(MemberKey, GroupEvent),
}

#[derive(Clone, Copy, Debug)]
enum Token {
    Metadata,
    InitProducerId(ProducerKey),
    Produce(ProducerKey, u64),
    ListOffsets(ReaderKey, u64),
    EpochEnds(ReaderKey, u64),
    Fetch(ReaderKey, u64),
    Group(MemberKey, u64),
    Call(CallId),
}

struct ProducerEntry<T> {
    sender: Sender<T>,
    source: Box<dyn BatchSource<T>>,
    request_timeout: Duration,
}

/// A whole client; `T` is what the application attaches to each batch of records.
pub struct ClientCore<T> {
    links: Links,
    metadata: MetadataCore,
    producers: BTreeMap<ProducerKey, ProducerEntry<T>>,
    readers: BTreeMap<ReaderKey, Fetcher>,
    members: BTreeMap<MemberKey, GroupMember>,
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
                tokens: TokenStore::new(config.sasl.as_ref().and_then(|sasl| sasl.unsecured_jwt.clone())),
                awaiting_token: Vec::new(),
                config,
                links: BTreeMap::new(),
                by_id: BTreeMap::new(),
                next_id: 0,
                random,
                outputs: VecDeque::new(),
            },
            producers: BTreeMap::new(),
            readers: BTreeMap::new(),
            members: BTreeMap::new(),
            calls: BTreeMap::new(),
            next_key: 0,
            next_call: 0,
            events: VecDeque::new(),
        }
    }

    /// What is known of the cluster.
    pub fn metadata(&self) -> &Arc<ClusterMetadata> {
        self.metadata.snapshot()
    }

    /// The metadata has proven old: it is asked for again soon.
    pub fn refresh_metadata(&mut self, now: Now) {
        self.metadata.refresh(now);
    }

    /// Metadata of this topic is wanted from now on.
    pub fn want_topic(&mut self, now: Now, topic: &ByteStr) {
        self.metadata.want(now, topic);
    }

    /// One user less wants metadata of this topic.
    pub fn unwant_topic(&mut self, topic: &ByteStr) {
        self.metadata.unwant(topic);
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

    /// Gives up what of a producer waits to be sent, or is in flight: [`Sender::purge`].
    pub fn purge(&mut self, now: Now, key: ProducerKey, waiting: bool, in_flight: bool) {
        if let Some(entry) = self.producers.get_mut(&key) {
            entry.sender.purge(now, entry.source.as_mut(), waiting, in_flight);
        }
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
        self.links.close_lane(Lane::Fetch(key));
    }

    /// A reader's fetcher, with the metadata that its commands take.
    pub fn reader(&mut self, key: ReaderKey) -> Option<(&mut Fetcher, Arc<ClusterMetadata>)> {
        let metadata = self.metadata.snapshot().clone();
        self.readers.get_mut(&key).map(|fetcher| (fetcher, metadata))
    }

    /// Time has passed: late answers, late connections, late batches.
    pub fn handle_timeout(&mut self, now: Now) {
        self.fail_late_requests(now);
        self.close_late(now);
        self.handle_session_timeouts(now);
        for entry in self.producers.values_mut() {
            entry.sender.handle_timeout(now, entry.source.as_mut());
        }
        self.fail_late_calls(now);
        self.handle_member_timeouts(now);
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
        for (key, member) in &mut self.members {
            if let Some(event) = member.poll_event() {
                return Some(Event::Group(*key, event));
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
                link.reauthenticate_at.filter(|_| connected),
                (connected && !idle.is_zero() && link.connection.in_flight() == 0).then(|| link.used_at + idle),
            ]
        });
        let producers = self.producers.values().map(|entry| entry.sender.poll_timeout(now));
        let readers = self.readers.values().map(|fetcher| fetcher.poll_timeout(now));
        let members = self.members.values().map(|member| member.poll_timeout(now));
        let calls = self.calls.values().map(|call| Some(call.deadline));
        // Metadata that is due already waits for a connection.
        let metadata = self.metadata.poll_timeout().filter(|at| *at > now.instant());
        links
            .chain(producers)
            .chain(readers)
            .chain(members)
            .chain(calls)
            .chain([metadata, self.links.tokens.poll_timeout()])
            .flatten()
            .min()
    }
}
