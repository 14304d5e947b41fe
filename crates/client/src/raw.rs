//! What the C ABI needs and no Rust program does: a consumer one level lower than [`Consumer`](crate::Consumer). Its application assigns, positions
//! and answers rebalances itself, on the driver's thread, by commands to the cores.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use felice_client_core::client::{ClientCore, ReaderKey};
pub use felice_client_core::client::{ConnectionId, NOT_SET_UP, NOT_USED};
pub use felice_client_core::config::{ConsumerConfig, FetchConfig, OffsetReset};
pub use felice_client_core::consumer::assignor::RebalanceProtocol;
use felice_client_core::consumer::budget::Budget;
pub use felice_client_core::consumer::fetcher::{
    FetchEvent, FetchId, Fetched, Fetcher, Position, PositionCause, Standing,
};
pub use felice_client_core::consumer::group::{
    Committed, GroupEvent, GroupMember, MemberKey, MemberState, ProposalId, RequestId, TopicPattern,
};
use felice_client_core::error::Error;
pub use felice_client_core::metadata::ClusterMetadata;
pub use felice_client_core::producer::accumulator::Queued;
pub use felice_client_core::producer::idempotence::Identity;
pub use felice_client_core::producer::sender::{IdentityState, PartitionStanding, SenderStanding};
pub use felice_net::{
    BoxFuture, ConnectError, ConnectErrorKind, Connector, SocketOptions, Tcp, TcpConnector, Transport,
};
use felice_protocol::primitives::ByteStr;
pub use felice_protocol::primitives::Frame;
pub use felice_protocol::time::{Instant, Now};
use tokio::sync::oneshot;

use crate::client::{Client, closed};
use crate::driver::{Driver, waker};
use crate::fetched_batch::FetchedBatch;
pub use crate::observe::{Observed, Setup};
use crate::producer::{Producer, Tag};
pub use crate::token::TokenSource;

pub mod tls {
    //! Certificates and keys as texts and files have them.
    pub use felice_net::{Authorities, Identity, armored, check_certificates};
}

/// How many driver threads there are in this process.
pub fn threads() -> usize {
    crate::runtime::threads()
}

/// Ends a client's driver soon, whatever is left of the client: its connections close, and what was in flight is given up.
pub fn stop(client: &Client) {
    client.driver().stop();
}

/// Whether this is a driver thread, which must not wait for a driver.
pub fn is_driver_thread() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

/// Keeps other threads from making or ending driver threads as long as it lives, so that the process can be forked.
#[derive(Debug)]
pub struct Hold {
    _hold: crate::runtime::Hold,
}

/// Waits until no other thread makes or ends driver threads, and keeps it so.
pub fn hold() -> Hold {
    Hold { _hold: crate::runtime::hold() }
}

/// Runs a task on the client's driver thread, where [`sleep`] works. It must not block.
pub fn spawn(client: &Client, task: impl Future<Output = ()> + Send + 'static) {
    client.driver().spawn(task);
}

/// Waits, in a task of [`spawn`].
pub async fn sleep(pause: Duration) {
    tokio::time::sleep(pause).await;
}

/// Runs a future for a time at most; `None` where it was not done. On any thread.
pub async fn timeout<F: Future>(client: &Client, within: Duration, future: F) -> Option<F::Output> {
    client.driver().timeout(within, future).await
}

/// How far a producer is; `None` where its client has ended.
///
/// # Cancel safety
/// Nothing is left behind.
pub async fn standing(producer: &Producer) -> Option<SenderStanding> {
    producer.shared().standing().await
}

/// Lends the records of what was fetched.
pub fn batch(fetched: Fetched, check_crcs: bool) -> FetchedBatch {
    FetchedBatch::new(fetched, check_crcs)
}

/// What a [`RawConsumer`] hears.
#[derive(Debug)]
pub enum RawEvent {
    /// Of the fetcher. Records and positions of an older generation are left out.
    Fetch(FetchEvent),
    /// Of the group member.
    Group(GroupEvent),
    /// There is new metadata.
    Metadata(Arc<ClusterMetadata>),
}

/// Hears events on the driver's thread, and may act on them at once; must not block.
pub type RawSink = Box<dyn FnMut(&mut RawCore<'_>, RawEvent) + Send>;

/// The cores of a [`RawConsumer`], as its driver's thread has them.
pub struct RawCore<'a> {
    core: &'a mut ClientCore<Tag>,
    reader: ReaderKey,
    member: Option<MemberKey>,
    budget: &'a Arc<Budget>,
    now: Now,
}

impl std::fmt::Debug for RawCore<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawCore").field("reader", &self.reader).finish_non_exhaustive()
    }
}

impl RawCore<'_> {
    /// The time.
    pub fn now(&self) -> Now {
        self.now
    }

    /// The fetcher, with the metadata that its commands take; `None` where the consumer is gone.
    pub fn fetcher(&mut self) -> Option<(&mut Fetcher, Arc<ClusterMetadata>)> {
        self.core.reader(self.reader)
    }

    /// Copies what was fetched, so that it holds no more of the answer than its own part: for a partition that is read late.
    pub fn set_apart(&self, fetched: &mut Fetched) {
        let copy = Bytes::copy_from_slice(&fetched.records);
        fetched.charge = self.budget.charge(copy.clone());
        fetched.records = copy;
    }

    /// The group member; `None` without a group.
    pub fn member(&mut self) -> Option<&mut GroupMember> {
        self.core.member(self.member?)
    }

    /// What is known of the cluster.
    pub fn metadata(&self) -> Arc<ClusterMetadata> {
        self.core.metadata().clone()
    }

    /// What is known of the cluster has proven old.
    pub fn refresh_metadata(&mut self) {
        self.core.refresh_metadata(self.now);
    }

    /// Metadata of this topic is wanted from now on.
    pub fn want_topic(&mut self, topic: &ByteStr) {
        self.core.want_topic(self.now, topic);
    }

    /// One user less wants metadata of this topic.
    pub fn unwant_topic(&mut self, topic: &ByteStr) {
        self.core.unwant_topic(topic);
    }
}

/// A raw consumer, as its driver has it.
pub(crate) struct RawDriver {
    pub(crate) member: Option<MemberKey>,
    budget: Arc<Budget>,
    sink: RawSink,
}

impl RawDriver {
    pub(crate) fn handle(&mut self, core: &mut ClientCore<Tag>, reader: ReaderKey, now: Now, event: RawEvent) {
        if let RawEvent::Fetch(
            FetchEvent::Data(Fetched { partition, generation, .. })
            | FetchEvent::Positioned { partition, generation, .. },
        ) = &event
        {
            let current = core.reader(reader).and_then(|(fetcher, _)| fetcher.generation(*partition));
            if current != Some(*generation) {
                return;
            }
        }
        (self.sink)(&mut RawCore { core, reader, member: self.member, budget: &self.budget, now }, event);
    }

    /// What was told before a command is heard before it.
    fn catch_up(&mut self, core: &mut ClientCore<Tag>, reader: ReaderKey, now: Now) {
        while let Some(event) = core.reader(reader).and_then(|(fetcher, _)| fetcher.poll_event()) {
            self.handle(core, reader, now, RawEvent::Fetch(event));
        }
    }
}

/// A [`Fetcher`] and, with a group, a [`GroupMember`], on a client's driver thread. Dropping it ends both without leaving the group.
#[derive(Debug)]
pub struct RawConsumer {
    client: Client,
    reader: ReaderKey,
}

impl RawConsumer {
    /// A consumer that reads nothing yet; a member of a group where there is a configuration for one.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for an assignor that is not known.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn new(
        client: Client,
        fetch: FetchConfig,
        group: Option<ConsumerConfig>,
        sink: RawSink,
    ) -> Result<Self, Error> {
        let shared = client.driver();
        let spares = shared.spares.clone();
        let recycler = Box::new(move |response| spares.put(response));
        let budget = Budget::with_recycler(fetch.buffer_bytes, waker(shared), recycler);
        let (made, answer) = oneshot::channel();
        shared.command(move |driver, _| {
            let member = match group.map(|group| driver.core.add_member(group, Vec::new())).transpose() {
                Ok(member) => member,
                Err(error) => {
                    let _ = made.send(Err(error));
                    return;
                }
            };
            let reader = driver.core.add_reader(Fetcher::new(fetch, budget.clone()));
            driver.raws.insert(reader, RawDriver { member, budget, sink });
            // Whoever made it may have gone.
            if made.send(Ok(reader)).is_err() {
                remove(driver, reader);
            }
        });
        let reader = answer.await.map_err(|_| closed())??;
        Ok(Self { client, reader })
    }

    /// Does something with the cores, on the driver's thread, after what was commanded before; nothing where the client is closed.
    pub fn command(&self, command: impl FnOnce(&mut RawCore<'_>) + Send + 'static) {
        let reader = self.reader;
        self.client.driver().command(move |driver, now| {
            let Some(raw) = driver.raws.get_mut(&reader) else { return };
            raw.catch_up(&mut driver.core, reader, now);
            command(&mut RawCore { core: &mut driver.core, reader, member: raw.member, budget: &raw.budget, now });
        });
    }

    /// The client that it belongs to.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for RawConsumer {
    fn drop(&mut self) {
        let reader = self.reader;
        self.client.driver().command(move |driver, _| remove(driver, reader));
    }
}

fn remove(driver: &mut Driver, reader: ReaderKey) {
    driver.core.remove_reader(reader);
    if let Some(member) = driver.raws.remove(&reader).and_then(|raw| raw.member) {
        driver.core.remove_member(member);
    }
}

/// Metadata of this topic is kept from now on, for as long as the client lives.
pub fn want_topic(client: &Client, topic: &str) {
    let topic = ByteStr::from(topic);
    client.driver().command(move |driver, now| driver.core.want_topic(now, &topic));
}

/// Addresses (`HOST:PORT`) to try besides those of `bootstrap.servers`.
pub fn add_bootstrap(client: &Client, addresses: Vec<String>) {
    client.driver().command(move |driver, now| driver.core.add_bootstrap(now, addresses));
}
pub use crate::admin::coordinator::{CallTarget, call};
pub use felice_client_core::producer::partitioner::{crc32, fnv1a, murmur2};
