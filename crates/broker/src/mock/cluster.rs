//! [`MockCluster`] and how it is made.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use felice_broker_core::mock::MockCore;
use felice_broker_core::{BrokerConfig, BrokerCore, ConfigError};
use felice_log::{Disk, MemDisk};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::time::Now;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::LocalSet;

use super::driver::{Driver, Shared};
use super::nodes::{Command, Order, bind};
use crate::Error;
use crate::builder::seed;
use crate::driver::Clock;

/// How long dropping a cluster may block.
const DROP_WAIT: Duration = Duration::from_secs(1);

/// A running cluster of nodes 1 to n, on a thread of its own, each listening on a free port of 127.0.0.1. Dropping it stops it.
///
/// Its methods may be called from any thread, and have happened when they return. They block for as long as the cluster's thread needs to
/// finish what it is doing: microseconds.
#[derive(Debug)]
pub struct MockCluster {
    bootstrap: String,
    shared: Arc<Shared>,
    orders: Option<UnboundedSender<Order>>,
    /// Closed when the thread is done. Only dropping waits for it; the lock is for `Sync`.
    done: Mutex<mpsc::Receiver<()>>,
}

impl MockCluster {
    /// Starts a cluster of so many nodes. Topics that clients ask for are made, with 4 partitions and up to 3 replicas.
    ///
    /// # Errors
    /// [`Error`], with what to do.
    pub fn start(nodes: i32) -> Result<Self, Error> {
        Self::builder().nodes(nodes).start()
    }

    /// Begins a cluster of 3 nodes.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), felice_broker::Error> {
    /// use felice_broker::mock::MockCluster;
    /// let cluster = MockCluster::builder().nodes(2).config("auto.create.topics.enable", "false").start()?;
    /// assert_eq!(cluster.bootstrap().split(',').count(), 2);
    /// # Ok(()) }
    /// ```
    pub fn builder() -> MockClusterBuilder {
        MockClusterBuilder::default()
    }

    /// The addresses of the nodes that it was started with, as clients take them for `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Does something to the cluster; see the methods of [`MockCore`].
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use felice_broker::mock::MockCluster;
    /// let cluster = MockCluster::start(3)?;
    /// cluster.with(|c, now| c.set_leader(now, "orders", 0, Some(2)))?;
    /// assert_eq!(cluster.with(|c, _| c.leader_of("orders", 0))?, Some(2));
    /// # Ok(()) }
    /// ```
    pub fn with<R>(&self, change: impl FnOnce(&mut MockCore, Now) -> R) -> R {
        let result = self.shared.with(change);
        self.shared.changed.notify_one();
        result
    }

    /// Takes a node down: it refuses connections, closes those that it has, and is in no Metadata. Leaders stay where they are.
    ///
    /// # Errors
    /// `BROKER_NOT_AVAILABLE` where there is no such node.
    pub fn set_down(&self, node: i32) -> Result<(), ErrorCode> {
        self.order(Command::Down(node)).map(drop)
    }

    /// Lets a node take connections again, on the same port.
    ///
    /// # Errors
    /// As [`set_down`](Self::set_down).
    pub fn set_up(&self, node: i32) -> Result<(), ErrorCode> {
        self.order(Command::Up(node)).map(drop)
    }

    /// Adds a node, gives its port, and spreads all partitions anew.
    ///
    /// # Errors
    /// `INVALID_REQUEST` where the id is taken, `BROKER_NOT_AVAILABLE` where no port can be had.
    pub fn add_node(&self, node: i32) -> Result<u16, ErrorCode> {
        self.order(Command::Add(node))
    }

    /// Takes a node away for good, and gives its partitions to the others.
    ///
    /// # Errors
    /// As [`set_down`](Self::set_down).
    pub fn remove_node(&self, node: i32) -> Result<(), ErrorCode> {
        self.order(Command::Remove(node)).map(drop)
    }

    fn order(&self, command: Command) -> Result<u16, ErrorCode> {
        let (reply, answer) = mpsc::channel();
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send(Order { command, reply }).is_ok());
        if sent {
            answer.recv().unwrap_or(Err(ErrorCode::BROKER_NOT_AVAILABLE))
        } else {
            Err(ErrorCode::BROKER_NOT_AVAILABLE)
        }
    }
}

impl Drop for MockCluster {
    fn drop(&mut self) {
        self.orders.take();
        let _ = self.done.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(DROP_WAIT);
    }
}

/// Says what a cluster is to be like; [`start`](Self::start) starts it.
#[derive(Debug)]
pub struct MockClusterBuilder {
    nodes: i32,
    config: BrokerConfig,
    error: Option<ConfigError>,
}

impl Default for MockClusterBuilder {
    fn default() -> Self {
        let builder = Self { nodes: 3, config: BrokerConfig::new("/felice"), error: None };
        // A cluster for tests: small, and content with any session.
        builder
            .config("num.partitions", "4")
            .config("offsets.topic.num.partitions", "1")
            .config("group.min.session.timeout.ms", "1")
    }
}

impl MockClusterBuilder {
    /// How many nodes it has; they are numbered from 1.
    #[must_use]
    pub fn nodes(mut self, nodes: i32) -> Self {
        self.nodes = nodes;
        self
    }

    /// Sets one of Kafka's broker properties, for all nodes.
    #[must_use]
    pub fn config(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if let Err(error) = self.config.set(name.as_ref(), value.as_ref()) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// Starts the cluster; its nodes accept connections when this returns. Its data is in memory.
    ///
    /// # Errors
    /// [`Error`], with what to do.
    pub fn start(self) -> Result<MockCluster, Error> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
        let clock = Clock::start();
        let mut core = MockCore::new(BrokerCore::open(self.config, disk, seed(), clock.now())?);
        let mut sockets = Vec::new();
        for node in 1..=self.nodes {
            let (socket, address) =
                bind(None).map_err(|source| Error::Listen { address: "127.0.0.1".to_owned(), source })?;
            core.add_node(clock.now(), node, &address.ip().to_string(), address.port());
            sockets.push((node, socket, address));
        }
        let bootstrap = sockets.iter().map(|(_, _, address)| address.to_string()).collect::<Vec<_>>().join(",");
        let shared = Arc::new(Shared::new(core, clock));
        let (orders, commands) = tokio::sync::mpsc::unbounded_channel();
        let (ready, is_ready) = mpsc::channel();
        let (alive, done) = mpsc::channel::<()>();
        let in_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("felice-mock".to_owned());
        let spawned = thread.spawn(move || {
            let _alive = alive;
            let runtime =
                match tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build() {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _ = ready.send(Err(Error::Thread(error.to_string())));
                        return;
                    }
                };
            let tasks = LocalSet::new();
            tasks.block_on(&runtime, async move {
                let driver = Driver::new(in_thread);
                driver.run(sockets, commands, ready).await;
            });
        });
        spawned.map_err(|error| Error::Thread(error.to_string()))?;
        match is_ready.recv() {
            Ok(Ok(())) => Ok(MockCluster { bootstrap, shared, orders: Some(orders), done: Mutex::new(done) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Thread("it ended before it was ready".to_owned())),
        }
    }
}
