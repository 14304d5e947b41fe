//! A cluster of several nodes over one broker's state, with faults on request: what a client's tests need of a cluster, and no more.
//!
//! [`MockCore`] stands in front of one [`BrokerCore`]. It knows at which node a connection is, and does what a cluster
//! does with that: it tells of all nodes, refuses what a node does not lead or coordinate, sends readers to a follower. What is written goes
//! into the one log of the one broker: nothing is replicated. Beside that it spoils what it is told to: answers, connections, round trips.
//!
//! | file | what |
//! |---|---|
//! | `nodes`, `placement` | which nodes there are, and who leads which partition |
//! | `faults` | what waits to go wrong |
//! | `asked` | a request on its way through |
//! | `route` | what becomes of it: refused, answered, sent on whole or in part |
//! | `parts` | Produce, Fetch and the others that are about partitions: those that the node does not lead are taken out |
//! | `told` | Metadata, FindCoordinator and the others that tell of the cluster |
//! | `refusals` | an error as each API carries it |
//! | `commands` | what a test can do to the cluster |
//!
//! It is a core as the others are: fed with frames and time, drained of outputs. librdkafka: `rdkafka_mock.c`.

mod asked;
mod commands;
mod faults;
mod nodes;
mod parts;
mod placement;
mod refusals;
mod route;
mod told;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::ApiKey;
use felice_protocol::primitives::{ByteStr, Frame};
use felice_protocol::time::{Instant, Now};

use self::asked::Asked;
pub use self::commands::CoordinatorKind;
pub use self::faults::Fault;
use self::faults::Faults;
use self::nodes::Nodes;
use self::placement::Placements;
use self::route::{Pending, Step};
use crate::api::Refusal;
use crate::broker::{BrokerCore, Output, SyncTicket};
use crate::connection::ConnectionId;
use crate::error::StartError;

/// Frames that a connection may have on the way; [`MockCore::has_room`] says when to read no more.
const MAX_ON_THE_WAY: usize = 256;

/// A request that has reached the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackedRequest {
    /// The node that it has reached.
    pub node: i32,
    /// Its API.
    pub api_key: ApiKey,
    /// When, on the clock of the [`Now`]s that the core was given.
    pub at: Instant,
}

/// Several nodes over one broker. See the [module](self).
///
/// As [`BrokerCore`], but a connection belongs to a node, and its frames may be fed as they come: answers leave in their order, each when its
/// time has come.
#[derive(Debug)]
pub struct MockCore {
    core: BrokerCore,
    nodes: Nodes,
    controller: i32,
    places: Placements,
    faults: Faults,
    coordinators: BTreeMap<(CoordinatorKind, ByteStr), i32>,
    topic_errors: BTreeMap<ByteStr, ErrorCode>,
    /// Versions that are offered instead of all; `None` where the API is not there.
    versions: BTreeMap<ApiKey, Option<(i16, i16)>>,
    tracked: Option<Vec<TrackedRequest>>,
    /// Committed offsets are told with the epoch of now.
    current_epochs: bool,
    links: BTreeMap<ConnectionId, Link>,
    /// Connections that have an answer to send.
    speaking: BTreeSet<ConnectionId>,
    /// Connections whose request the broker has answered: their next one may be taken up.
    ready: VecDeque<ConnectionId>,
    /// Rises whenever a partition moves.
    moves: u64,
    outputs: VecDeque<Output>,
}

/// A connection.
#[derive(Debug)]
struct Link {
    node: i32,
    /// Requests that wait for the one in front of them.
    waiting: VecDeque<Bytes>,
    /// The request that the broker has.
    pending: Option<Pending>,
    /// Answers, and from when on they may leave but for the node's round trip.
    answers: VecDeque<(Instant, Frame)>,
}

impl MockCore {
    /// Puts a cluster without nodes in front of a broker; [`add_node`](Self::add_node) gives it some.
    pub fn new(core: BrokerCore) -> Self {
        Self {
            core,
            nodes: Nodes::default(),
            controller: placement::NOBODY,
            places: Placements::default(),
            faults: Faults::default(),
            coordinators: BTreeMap::new(),
            topic_errors: BTreeMap::new(),
            versions: BTreeMap::new(),
            tracked: None,
            current_epochs: false,
            links: BTreeMap::new(),
            speaking: BTreeSet::new(),
            ready: VecDeque::new(),
            moves: 0,
            outputs: VecDeque::new(),
        }
    }

    /// A client has connected to a node.
    pub fn handle_connect(&mut self, now: Now, connection: ConnectionId, node: i32, peer: IpAddr) {
        self.core.handle_connect(now, connection, "PLAINTEXT");
        self.core.handle_peer(connection, peer);
        if !self.nodes.get(node).is_some_and(|node| node.is_up) {
            // It was accepted just before the node went down.
            self.close(now, connection, "the node is down".to_owned());
            return;
        }
        let link = Link { node, waiting: VecDeque::new(), pending: None, answers: VecDeque::new() };
        self.links.insert(connection, link);
    }

    /// A connection is gone.
    pub fn handle_disconnect(&mut self, now: Now, connection: ConnectionId) {
        self.links.remove(&connection);
        self.speaking.remove(&connection);
        self.core.handle_disconnect(now, connection);
        self.settle(now);
    }

    /// Whether a connection may be read from: it has not too much on the way.
    pub fn has_room(&self, connection: ConnectionId) -> bool {
        self.links.get(&connection).is_some_and(|link| link.waiting.len() + link.answers.len() < MAX_ON_THE_WAY)
    }

    /// A request has come: a frame without its length.
    pub fn handle_request(&mut self, now: Now, connection: ConnectionId, frame: Bytes) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        if let Some(tracked) = &mut self.tracked
            && let Ok(asked) = Asked::read(link.node, frame.clone())
        {
            tracked.push(TrackedRequest { node: link.node, api_key: asked.api_key, at: now.instant() });
        }
        link.waiting.push_back(frame);
        self.serve_next(now, connection);
        self.settle(now);
    }

    /// A sync has ended.
    pub fn handle_synced(&mut self, now: Now, ticket: SyncTicket, result: std::io::Result<()>) {
        self.core.handle_synced(now, ticket, result);
        self.settle(now);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.core.poll_timeout().is_some_and(|at| at <= now.instant()) {
            self.core.handle_timeout(now);
        }
        self.settle(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = self.speaking.iter().filter_map(|connection| self.due(*connection));
        due.chain(self.core.poll_timeout()).min()
    }

    /// Stops in order.
    ///
    /// # Errors
    /// As [`BrokerCore::shutdown`].
    pub fn shutdown(&mut self, now: Now) -> Result<(), StartError> {
        let result = self.core.shutdown(now);
        self.settle(now);
        result
    }

    /// When a connection's next answer leaves.
    fn due(&self, connection: ConnectionId) -> Option<Instant> {
        let link = self.links.get(&connection)?;
        link.answers.front().map(|(at, _)| *at + self.nodes.rtt(link.node))
    }

    /// Takes a connection's requests up, one after the other, until one waits for the broker.
    fn serve_next(&mut self, now: Now, connection: ConnectionId) {
        while let Some(link) = self.links.get_mut(&connection)
            && link.pending.is_none()
            && let Some(frame) = link.waiting.pop_front()
        {
            let node = link.node;
            match self.route(node, frame) {
                Ok(Step::Answer { frame, delay }) => self.answer(now, connection, frame, delay),
                Ok(Step::Forward { frame, pending }) => {
                    if let Some(link) = self.links.get_mut(&connection) {
                        link.pending = Some(pending);
                    }
                    self.core.handle_request(now, connection, frame);
                    // An answer that is there already lets the next request come.
                    self.take_outputs(now);
                }
                Err(Refusal(reason)) => self.close(now, connection, reason),
            }
        }
    }

    fn answer(&mut self, now: Now, connection: ConnectionId, frame: Frame, delay: Duration) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.answers.push_back((now.instant() + delay, frame));
            self.speaking.insert(connection);
        }
    }

    fn close(&mut self, now: Now, connection: ConnectionId, reason: String) {
        self.links.remove(&connection);
        self.speaking.remove(&connection);
        self.core.handle_disconnect(now, connection);
        self.outputs.push_back(Output::Close { connection, last: None, reason });
    }

    /// Hands on what the broker puts out, what follows from it, and the answers whose time has come.
    fn settle(&mut self, now: Now) {
        self.take_outputs(now);
        while let Some(connection) = self.ready.pop_front() {
            self.serve_next(now, connection);
        }
        let speaking: Vec<ConnectionId> = self.speaking.iter().copied().collect();
        for connection in speaking {
            while self.due(connection).is_some_and(|due| due <= now.instant()) {
                let link = self.links.get_mut(&connection);
                if let Some((_, frame)) = link.and_then(|link| link.answers.pop_front()) {
                    self.outputs.push_back(Output::Response { connection, frame });
                }
            }
            if self.due(connection).is_none() {
                self.speaking.remove(&connection);
            }
        }
    }

    /// Takes what the broker puts out.
    fn take_outputs(&mut self, now: Now) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Response { connection, frame } => {
                    let Some(link) = self.links.get_mut(&connection) else { continue };
                    let Some(pending) = link.pending.take() else { continue };
                    self.ready.push_back(connection);
                    match self.finish(pending, frame) {
                        Ok((frame, delay)) => self.answer(now, connection, frame, delay),
                        Err(Refusal(reason)) => self.close(now, connection, reason),
                    }
                }
                Output::Close { connection, last: _, reason } => self.close(now, connection, reason),
                other @ (Output::Sync { .. } | Output::Log { .. }) => self.outputs.push_back(other),
            }
        }
    }
}
