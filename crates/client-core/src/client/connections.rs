//! The client's connections: which there are, and which are made, given up or closed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use felice_protocol::time::{Instant, Now};

use super::{ClientCore, Output, ReaderKey, Token};
use crate::backoff::{Backoff, Random};
use crate::config::{ClientConfig, SaslMechanism};
use crate::connection::{Connection, Credentials, EncodeRequest, Waiting};
use crate::consumer::group::MemberKey;
use crate::error::{Error, ErrorKind};
use crate::metadata::{BrokerId, ClusterMetadata};
use crate::token::TokenStore;

/// The message of a connection that was not made in time.
pub const NOT_SET_UP: &str = "no connection within socket.connection.setup.timeout.ms";
/// The message of a connection that nobody used for `connections.max.idle.ms`.
pub const NOT_USED: &str = "the connection was not used";

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
    /// Fetch, of one reader: a broker answers one request of a connection at a time, so a reader's wait for records would be every other's too.
    Fetch(ReaderKey),
    /// Joining a group and heartbeats, of one member: a join waits for the other members, which may be of this client.
    Coordinator(MemberKey),
}

/// Whom a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// The address of that place in `bootstrap.servers`.
    Bootstrap(usize),
    /// A broker that metadata named.
    Broker(BrokerId),
}

pub(super) type Key = (Node, Lane);

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: Option<ConnectionId>,
    pub(super) address: String,
    pub(super) connection: Connection<Token>,
    pub(super) backoff: Backoff,
    pub(super) blocked_until: Option<Instant>,
    pub(super) setup_deadline: Option<Instant>,
    /// When the session is near its end.
    pub(super) reauthenticate_at: Option<Instant>,
    pub(super) used_at: Instant,
    pub(super) error: Option<Error>,
}

/// The connections, apart from the rest so that a poll of a sender can ask for one.
#[derive(Debug)]
pub(super) struct Links {
    pub(super) config: ClientConfig,
    pub(super) links: BTreeMap<Key, Link>,
    pub(super) by_id: BTreeMap<ConnectionId, Key>,
    pub(super) next_id: u64,
    pub(super) random: Random,
    pub(super) tokens: TokenStore,
    /// Connections that are made once there is a token.
    pub(super) awaiting_token: Vec<ConnectionId>,
    pub(super) outputs: VecDeque<Output>,
}

impl Links {
    /// Whether requests can be sent over this connection now; where they cannot, it is being made.
    pub(super) fn ready(&mut self, now: Now, key: Key, metadata: &ClusterMetadata) -> bool {
        let address = match key.0 {
            Node::Bootstrap(i) => self.config.bootstrap.get(i).cloned(),
            Node::Broker(id) => metadata.brokers.get(&id).map(crate::metadata::Broker::address),
        };
        let Some(address) = address else { return false };
        self.ready_at(now, key, address)
    }

    /// As [`Self::ready`], where the address is known from elsewhere.
    pub(super) fn ready_at(&mut self, now: Now, key: Key, address: String) -> bool {
        let config = &self.config;
        let seed = self.random.next_u64();
        let link = self.links.entry(key).or_insert_with(|| Link {
            id: None,
            address: address.clone(),
            connection: Connection::new(&config.client_id, seed),
            backoff: Backoff::new(config.reconnect_backoff, config.reconnect_backoff_max, seed),
            blocked_until: None,
            setup_deadline: None,
            reauthenticate_at: None,
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
        link.connection = Connection::new(&self.config.client_id, seed);
        link.reauthenticate_at = None;
        link.id = Some(id);
        link.setup_deadline = Some(now.instant() + self.config.connection_setup_timeout);
        link.used_at = now.instant();
        self.by_id.insert(id, key);
        if self.uses_tokens() && self.tokens.current(now).is_none() {
            self.tokens.want(now);
            self.awaiting_token.push(id);
        } else {
            self.outputs.push_back(Output::Connect { id, address, lane: key.1 });
        }
        false
    }

    fn uses_tokens(&self) -> bool {
        self.config.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == SaslMechanism::OAuthBearer)
    }

    /// What a connection shows now; `None` without SASL.
    pub(super) fn credentials(&self, now: Now) -> Result<Option<Credentials>, Error> {
        match &self.config.sasl {
            None => Ok(None),
            Some(sasl) if sasl.mechanism == SaslMechanism::OAuthBearer => match self.tokens.current(now) {
                Some(token) => Ok(Some(Credentials::Token(token.clone()))),
                None => {
                    Err(Error::new(ErrorKind::Connect, "the token for OAUTHBEARER has expired, and there is no other"))
                }
            },
            Some(sasl) => Ok(Some(Credentials::Password(sasl.clone()))),
        }
    }

    /// Sends a request over a connection that is ready.
    #[expect(clippy::too_many_arguments, reason = "a struct for them would be taken apart again at once")]
    pub(super) fn send(
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
                self.outputs.push_back(Output::Send { id, frame, answered });
                Ok(())
            }
            Err((_, error)) => Err(error.broker_at(link.address.clone())),
        }
    }

    /// Nobody needs these connections any more.
    pub(super) fn close_lane(&mut self, lane: Lane) {
        let gone: Vec<Key> = self.links.keys().filter(|key| key.1 == lane).copied().collect();
        for key in gone {
            if let Some(id) = self.links.remove(&key).and_then(|link| link.id) {
                self.by_id.remove(&id);
                self.outputs.push_back(Output::Close { id, why: None });
            }
        }
    }

    pub(super) fn is_blocked(&self, now: Now, key: Key) -> bool {
        self.links
            .get(&key)
            .is_some_and(|link| link.id.is_none() && link.blocked_until.is_some_and(|until| until > now.instant()))
    }
}

impl<T> ClientCore<T> {
    /// The broker to which a connection leads; `None` for an address of `bootstrap.servers`, or where it is gone.
    pub fn broker_of(&self, id: ConnectionId) -> Option<BrokerId> {
        match self.links.by_id.get(&id)?.0 {
            Node::Bootstrap(_) => None,
            Node::Broker(broker) => Some(broker),
        }
    }

    /// Addresses to try besides those of `bootstrap.servers`.
    pub fn add_bootstrap(&mut self, now: Now, addresses: impl IntoIterator<Item = String>) {
        self.links.config.bootstrap.extend(addresses);
        self.metadata.refresh(now);
    }

    /// A connection's bytes flow, TLS included.
    pub fn handle_connected(&mut self, now: Now, id: ConnectionId) {
        let Some(key) = self.links.by_id.get(&id).copied() else { return };
        let credentials = self.links.credentials(now);
        let Some(link) = self.links.links.get_mut(&key) else { return };
        match credentials.and_then(|credentials| link.connection.handle_connected(credentials)) {
            Ok(frame) => self.links.outputs.push_back(Output::Send { id, frame, answered: true }),
            Err(error) => self.close(now, id, error),
        }
    }

    /// A connection could not be made, or is gone.
    pub fn handle_disconnected(&mut self, now: Now, id: ConnectionId, error: Error) {
        let Some(key) = self.links.by_id.remove(&id) else { return };
        let Some(link) = self.links.links.get_mut(&key) else { return };
        let error = if error.broker().is_none() { error.broker_at(link.address.clone()) } else { error };
        link.id = None;
        link.setup_deadline = None;
        let was_ready = link.connection.is_established();
        // So does a listener that wants SASL treat a client that shows nothing: versions are told to everybody, then the door is shut.
        let turned_away = was_ready
            && link.connection.in_flight() > 0
            && !link.connection.has_answered()
            && self.links.config.sasl.is_none();
        let error = match turned_away && error.hint().is_none() {
            true => error.hinting("the broker closed the connection at the first request: it may want SASL (security.protocol SASL_PLAINTEXT or SASL_SSL)"),
            false => error,
        };
        link.error = Some(error.clone());
        link.blocked_until = Some(now.instant() + link.backoff.next());
        let waiting: Vec<Waiting<Token>> = link.connection.handle_disconnected().collect();
        let unused = was_ready && waiting.is_empty() && !matches!(key.1, Lane::Coordinator(_));
        for waiting in waiting {
            self.handle_no_answer(now, waiting, &error);
        }
        if let Node::Broker(broker) = key.0
            && !unused
        {
            match key.1 {
                Lane::Coordinator(member) => self.tell_members_disconnected(now, Some(member), broker, &error),
                Lane::General => self.tell_members_disconnected(now, None, broker, &error),
                Lane::Produce | Lane::Fetch(_) => {}
            }
        }
        if matches!(key.0, Node::Broker(_)) {
            // The broker may have moved or be gone.
            self.metadata.refresh(now);
        }
        if !was_ready {
            self.tell_members_hopeless(now, &error);
        }
        if !was_ready || turned_away {
            self.fail_calls_fast(key, &error);
        }
    }

    /// The error of the last connection that failed, and has not been made since.
    pub fn connection_error(&self) -> Option<&Error> {
        self.links.links.values().filter_map(|link| link.error.as_ref()).next()
    }

    /// Fails the requests whose answer is late on connections that outlive that (`socket.max.fails`).
    pub(super) fn fail_late_requests(&mut self, now: Now) {
        let most = self.links.config.max_late_requests;
        let mut late = Vec::new();
        for link in self.links.links.values_mut() {
            let Some(id) = link.id else { continue };
            while let Some(waiting) = link.connection.give_up_late(now.instant(), most) {
                self.links.outputs.push_back(Output::GaveUp { id });
                late.push((waiting, link.address.clone()));
            }
        }
        for (waiting, address) in late {
            let error = self.not_answered().broker_at(address);
            self.handle_no_answer(now, waiting, &error);
        }
    }

    fn not_answered(&self) -> Error {
        let timeout = self.links.config.request_timeout.as_millis();
        Error::new(ErrorKind::Timeout, format!("no answer within request.timeout.ms ({timeout} ms)"))
    }

    /// Closes connections whose handshake or oldest request takes too long, and those that nobody used for a while.
    pub(super) fn close_late(&mut self, now: Now) {
        let idle = self.links.config.connections_max_idle;
        let mut late = Vec::new();
        for link in self.links.links.values() {
            let Some(id) = link.id else { continue };
            if link.setup_deadline.is_some_and(|at| at <= now.instant()) {
                late.push((
                    id,
                    Error::new(ErrorKind::Connect, NOT_SET_UP)
                        .hinting("is a firewall in between, or a broker overloaded?"),
                ));
            } else if link.connection.deadline().is_some_and(|at| at <= now.instant()) {
                late.push((id, self.not_answered()));
            } else if !idle.is_zero() && link.connection.in_flight() == 0 && link.used_at + idle <= now.instant() {
                late.push((id, Error::new(ErrorKind::Connect, NOT_USED)));
            }
        }
        for (id, error) in late {
            self.close(now, id, error);
        }
    }

    pub(super) fn close(&mut self, now: Now, id: ConnectionId, error: Error) {
        if self.links.by_id.contains_key(&id) {
            self.links.outputs.push_back(Output::Close { id, why: Some(error.clone()) });
            self.handle_disconnected(now, id, error);
        }
    }

    /// Metadata came: a broker that is elsewhere now, and to which there was a connection, is connected to there. What is in flight to the old place
    /// may still be answered.
    pub(super) fn follow_moved_brokers(&mut self, now: Now, before: &ClusterMetadata) {
        let metadata = self.metadata.snapshot().clone();
        for (id, old) in &before.brokers {
            let old = old.address();
            let moved = metadata.brokers.get(id).is_some_and(|new| new.address() != old);
            if !moved || !self.links.links.values().any(|link| link.id.is_some() && link.address == old) {
                continue;
            }
            let idle = |(key, link): (&Key, &Link)| {
                let stale = key.0 == Node::Broker(*id) && link.address == old && link.connection.in_flight() == 0;
                link.id.filter(|_| stale)
            };
            for idle in self.links.links.iter().filter_map(idle).collect::<Vec<_>>() {
                self.close(now, idle, Error::new(ErrorKind::Connect, "the broker is elsewhere now"));
            }
            let key = (Node::Broker(*id), Lane::General);
            if let Some(link) = self.links.links.get_mut(&key) {
                link.blocked_until = None;
            }
            self.links.ready(now, key, &metadata);
        }
    }

    /// A connection to any broker that is ready, or `None` while one is being made.
    pub(super) fn any_broker(&mut self, now: Now) -> Option<Key> {
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
}
