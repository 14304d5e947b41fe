//! The loop around a [`ClientCore`]: commands, frames and time in; connections, frames and events out. One task on a driver thread, and one
//! for each connection beside it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use felice_client_core::client::{CallId, ClientCore, ConnectionId, Event, Output, ProducerKey, ReaderKey};
use felice_client_core::error::{Error, ErrorKind};
use felice_client_core::producer::sender::PartitionId;
use felice_net::{ConnectError, ConnectErrorKind, ConnectOptions, FrameError, FrameReader, FrameWriter, Stream};
use felice_protocol::primitives::Frame;
use felice_protocol::time::{Instant, Now};
use futures::task::AtomicWaker;
use tokio::sync::{Notify, oneshot};

use crate::clock;
use crate::consumer::{ConsumerDriver, ConsumerKey};
use crate::observe::{Observed, Observer};
use crate::producer::{ProducerShared, Tag};
use crate::raw::{RawDriver, RawEvent};
use crate::reader::ReaderShared;
use crate::token::TokenSource;

/// Something to do with the core, on the driver's thread.
pub(crate) type Command = Box<dyn FnOnce(&mut Driver, Now) + Send>;

enum NetEvent {
    Connected(ConnectionId, Option<SocketAddr>),
    Frame(ConnectionId, Bytes),
    Disconnected(ConnectionId, Error),
}

#[derive(Default)]
struct Inbox {
    commands: Vec<Command>,
    events: Vec<NetEvent>,
    ready: Vec<(ProducerKey, PartitionId)>,
    stop: bool,
    /// There is no driver any more: what came would lie here for ever, and keep alive what it holds.
    over: bool,
}

/// What others share with a driver: the way to tell it something.
pub(crate) struct DriverShared {
    inbox: Mutex<Inbox>,
    /// The driver has been woken and has not looked yet: waking it again would cost a system call for nothing.
    woken: AtomicBool,
    notify: Notify,
    /// The driver's runtime, whose timers also serve tasks on runtimes that have none.
    runtime: tokio::runtime::Handle,
    /// Where the driver is; a fork has none.
    process: u32,
    pub(crate) spares: Arc<Spares>,
}

impl std::fmt::Debug for DriverShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DriverShared")
    }
}

impl DriverShared {
    pub(crate) fn new(runtime: tokio::runtime::Handle) -> Arc<Self> {
        Arc::new(Self {
            inbox: Mutex::default(),
            woken: AtomicBool::new(false),
            notify: Notify::new(),
            runtime,
            process: std::process::id(),
            spares: Arc::default(),
        })
    }

    /// Runs a future for a time at most; `None` where it was not done. Works on any executor.
    pub(crate) async fn timeout<F: Future>(&self, within: Duration, future: F) -> Option<F::Output> {
        let timeout = {
            let _entered = self.runtime.enter();
            tokio::time::timeout(within, future)
        };
        timeout.await.ok()
    }

    /// Runs a task on the driver's thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the driver look at everything again.
    pub(crate) fn poke(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            self.notify.notify_one();
        }
    }

    /// Has the driver do something; in a fork, and after its end, `command` is dropped, and with it whoever it would have answered.
    pub(crate) fn command(&self, command: impl FnOnce(&mut Driver, Now) + Send + 'static) {
        if self.process != std::process::id() {
            return;
        }
        {
            let mut inbox = self.inbox();
            if inbox.over {
                return;
            }
            inbox.commands.push(Box::new(command));
        }
        self.poke();
    }

    /// A batch opened or filled.
    pub(crate) fn ready(&self, producer: ProducerKey, partition: PartitionId) {
        self.inbox().ready.push((producer, partition));
        self.poke();
    }

    fn event(&self, event: NetEvent) {
        self.inbox().events.push(event);
        self.poke();
    }

    pub(crate) fn stop(&self) {
        self.inbox().stop = true;
        self.poke();
    }
}

impl Wake for DriverShared {
    fn wake(self: Arc<Self>) {
        self.poke();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.poke();
    }
}

/// Memory of large responses that have been read, for the next ones: fresh memory costs a page fault for every four records of 1 KiB.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<Vec<BytesMut>>);

/// Most buffers kept.
const SPARES_MAX: usize = 4;
/// Larger ones are not kept.
const SPARE_BYTES_MAX: usize = 16 << 20;

impl Spares {
    pub(crate) fn put(&self, response: Bytes) {
        if response.len() > SPARE_BYTES_MAX || response.len() < 64 * 1024 {
            return;
        }
        if let Ok(mut buffer) = response.try_into_mut() {
            buffer.clear();
            let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if spares.len() < SPARES_MAX {
                spares.push(buffer);
            }
        }
    }

    fn take(&self) -> Option<BytesMut> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// The frames on their way to one connection's task.
#[derive(Default)]
struct Outgoing {
    frames: Mutex<Vec<Frame>>,
    waker: AtomicWaker,
}

impl Outgoing {
    fn push(&self, frame: Frame) {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
        self.waker.wake();
    }

    fn take(&self) -> Vec<Frame> {
        std::mem::take(&mut *self.frames.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct ConnectionHandle {
    outgoing: Arc<Outgoing>,
    task: tokio::task::AbortHandle,
}

impl Drop for ConnectionHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Who waits for the answer to a call: its version and frame.
pub(crate) type Caller = oneshot::Sender<Result<(i16, Bytes), Error>>;

/// The driver of one client.
pub(crate) struct Driver {
    pub(crate) core: ClientCore<Tag>,
    shared: Arc<DriverShared>,
    options: ConnectOptions,
    max_frame: usize,
    tokens: Option<TokenSource>,
    connections: BTreeMap<ConnectionId, ConnectionHandle>,
    pub(crate) calls: BTreeMap<CallId, Caller>,
    pub(crate) producers: BTreeMap<ProducerKey, Arc<ProducerShared>>,
    pub(crate) readers: BTreeMap<ReaderKey, Arc<ReaderShared>>,
    pub(crate) consumers: BTreeMap<ConsumerKey, ConsumerDriver>,
    pub(crate) observer: Option<Observer>,
    pub(crate) raws: BTreeMap<ReaderKey, RawDriver>,
}

impl Driver {
    pub(crate) fn new(
        core: ClientCore<Tag>,
        shared: Arc<DriverShared>,
        options: ConnectOptions,
        max_frame: usize,
        tokens: Option<TokenSource>,
    ) -> Self {
        Self {
            core,
            shared,
            options,
            max_frame,
            tokens,
            connections: BTreeMap::new(),
            calls: BTreeMap::new(),
            producers: BTreeMap::new(),
            readers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            observer: None,
            raws: BTreeMap::new(),
        }
    }

    fn observe(&mut self, what: Observed<'_>) {
        if let Some(observer) = &mut self.observer {
            observer.see(what);
        }
    }

    /// Runs until the client is gone.
    pub(crate) async fn run(mut self) {
        let shared = self.shared.clone();
        let mut due: Option<Instant> = None;
        loop {
            shared.woken.store(false, Ordering::SeqCst);
            let mut inbox = std::mem::take(&mut *shared.inbox());
            let now = clock::now();
            for event in inbox.events.drain(..) {
                self.handle_event(now, event);
            }
            for command in inbox.commands.drain(..) {
                command(&mut self, now);
            }
            for (producer, partition) in inbox.ready.drain(..) {
                if let Some(sender) = self.core.sender(producer) {
                    sender.handle_ready(now, partition);
                }
            }
            if inbox.stop {
                return;
            }
            // What was due at the end of the last round is remembered: once it has passed, the core does not name it again.
            let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now.instant());
            if passed(due) || passed(self.core.poll_timeout(now)) {
                self.core.handle_timeout(now);
            }
            for producer in self.producers.values() {
                producer.expire_waiting(now);
            }
            self.drain(now);
            let waiting = self.producers.values().filter_map(|p| p.waiting_deadline()).min();
            let consumers = self.consumers.values().filter_map(ConsumerDriver::poll_timeout).min();
            due = [self.core.poll_timeout(now), waiting, consumers].into_iter().flatten().min();
            // A deadline that has passed and is still there would otherwise make this loop spin.
            let pause = due.map_or(Duration::from_secs(3600), clock::until).max(Duration::from_micros(200));
            let notified = pin!(shared.notify.notified());
            if !shared.woken.load(Ordering::SeqCst) {
                // Only the wait is wanted of the two.
                let _ = tokio::time::timeout(pause, notified).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
    }

    fn handle_event(&mut self, now: Now, event: NetEvent) {
        match event {
            NetEvent::Connected(id, local) => {
                self.observe(Observed::Connected { connection: id, local });
                self.core.handle_connected(now, id);
            }
            NetEvent::Frame(id, frame) => {
                self.observe(Observed::Received { connection: id, frame: &frame });
                self.core.handle_frame(now, id, frame);
            }
            NetEvent::Disconnected(id, error) => {
                self.connections.remove(&id);
                self.observe(Observed::Disconnected { connection: id, error: &error });
                self.core.handle_disconnected(now, id, error);
            }
        }
    }

    /// Carries out everything that the core wants.
    fn drain(&mut self, now: Now) {
        loop {
            for (key, producer) in &self.producers {
                if let Some(sender) = self.core.sender(*key) {
                    sender.force(producer.wants_force());
                }
            }
            let mut quiet = true;
            while let Some(output) = self.core.poll_output(now) {
                quiet = false;
                self.carry_out(output);
            }
            if self.core.poll_token_request()
                && let Some(source) = &self.tokens
            {
                source.ask(&self.shared);
            }
            while let Some(event) = self.core.poll_event() {
                quiet = false;
                self.announce(now, event);
            }
            for consumer in self.consumers.values_mut() {
                quiet &= !consumer.work(&mut self.core, now);
            }
            self.consumers.retain(|_, consumer| !consumer.is_over());
            if quiet {
                return;
            }
        }
    }

    /// Does something with a consumer, where it is still there.
    pub(crate) fn with_consumer(
        &mut self,
        key: ConsumerKey,
        now: Now,
        what: impl FnOnce(&mut ConsumerDriver, &mut ClientCore<Tag>, Now),
    ) {
        if let Some(consumer) = self.consumers.get_mut(&key) {
            what(consumer, &mut self.core, now);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Connect { id, address, lane: _ } => {
                let broker = self.core.broker_of(id);
                self.observe(Observed::Connecting { connection: id, broker, address: &address });
                let outgoing = Arc::new(Outgoing::default());
                let task = tokio::spawn(connection(
                    id,
                    address,
                    self.options.clone(),
                    self.max_frame,
                    outgoing.clone(),
                    self.shared.clone(),
                ));
                self.connections.insert(id, ConnectionHandle { outgoing, task: task.abort_handle() });
            }
            Output::Send { id, frame, answered } => {
                self.observe(Observed::Sent { connection: id, frame: &frame, answered });
                if let Some(connection) = self.connections.get(&id) {
                    connection.outgoing.push(frame);
                }
            }
            Output::GaveUp { id } => self.observe(Observed::GaveUp { connection: id }),
            Output::Close { id, why } => {
                self.observe(Observed::Closed { connection: id, why: why.as_ref() });
                self.connections.remove(&id);
            }
        }
    }

    fn announce(&mut self, now: Now, event: Event<Tag>) {
        match event {
            Event::Metadata(metadata) => {
                self.observe(Observed::Metadata(&metadata));
                for (key, producer) in self.producers.clone() {
                    producer.handle_metadata(&mut self.core, key, &metadata);
                }
                for (reader, raw) in &mut self.raws {
                    raw.handle(&mut self.core, *reader, now, RawEvent::Metadata(metadata.clone()));
                }
            }
            Event::Finished(key, finished) => {
                if let Some(producer) = self.producers.get(&key) {
                    producer.handle_finished(finished);
                }
            }
            Event::Fetch(key, event) => {
                if let Some(reader) = self.readers.get(&key) {
                    reader.push(event);
                } else if let Some(consumer) = self.consumers.get_mut(&ConsumerKey(key.0)) {
                    consumer.handle_fetch(&mut self.core, event);
                } else if let Some(raw) = self.raws.get_mut(&key) {
                    raw.handle(&mut self.core, key, now, RawEvent::Fetch(event));
                }
            }
            Event::Call(id, result) => {
                if let Some(caller) = self.calls.remove(&id) {
                    // Whoever asked may have gone.
                    let _ = caller.send(result);
                }
            }
            Event::Group(key, event) => {
                if let Some(consumer) = self.consumers.values_mut().find(|consumer| consumer.member() == Some(key)) {
                    consumer.handle_group(&mut self.core, now, event);
                } else if let Some((reader, raw)) = self.raws.iter_mut().find(|(_, raw)| raw.member == Some(key)) {
                    raw.handle(&mut self.core, *reader, now, RawEvent::Group(event));
                }
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let left = std::mem::replace(&mut *self.shared.inbox(), Inbox { over: true, ..Inbox::default() });
        // Unlocked: whoever waits for an answer may come back here.
        drop(left);
        for producer in self.producers.values() {
            producer.abandon();
        }
        for reader in self.readers.values() {
            reader.abandon();
        }
        for consumer in self.consumers.values_mut() {
            consumer.abandon();
        }
    }
}

/// A connection's life: connect, then frames both ways.
async fn connection(
    id: ConnectionId,
    address: String,
    options: ConnectOptions,
    max_frame: usize,
    outgoing: Arc<Outgoing>,
    shared: Arc<DriverShared>,
) {
    let error = match options.connect(&address).await {
        Err(error) => connect_error(error),
        Ok(stream) => {
            shared.event(NetEvent::Connected(id, stream.local_addr()));
            pump(id, stream, max_frame, &outgoing, &shared).await
        }
    };
    shared.event(NetEvent::Disconnected(id, error.broker_at(address)));
}

/// Moves frames until the connection ends, and says why it did.
async fn pump(id: ConnectionId, stream: Stream, max_frame: usize, outgoing: &Outgoing, shared: &DriverShared) -> Error {
    let is_tls = stream.is_tls();
    let (reader, writer) = stream.into_split();
    let mut reader = FrameReader::new(reader, max_frame);
    let mut writer = FrameWriter::new(writer);
    let end = poll_fn(|cx| {
        outgoing.waker.register(cx.waker());
        for frame in outgoing.take() {
            writer.push(frame);
        }
        if writer.has_work()
            && let Poll::Ready(Err(error)) = writer.poll_flush(cx)
        {
            return Poll::Ready(FrameError::Io(error));
        }
        loop {
            if !reader.has_spare()
                && let Some(spare) = shared.spares.take()
            {
                reader.lend(spare);
            }
            match reader.poll_next(cx) {
                Poll::Ready(Ok(Some(frame))) => shared.event(NetEvent::Frame(id, frame)),
                Poll::Ready(Ok(None)) => return Poll::Ready(FrameError::Io(std::io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    let first = reader.frames() == 0;
    let closed = matches!(&end, FrameError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof);
    let message =
        if closed { "the broker closed the connection".to_owned() } else { format!("the connection is lost: {end}") };
    let hint = if first && closed {
        Some(felice_net::hint::closed_before_first_answer(is_tls).to_owned())
    } else {
        end.hint()
    };
    // With TLS 1.3 a broker refuses a certificate only after the handshake.
    let is_refused = matches!(&end, FrameError::Io(error) if felice_net::hint::is_tls(error));
    let kind = if is_refused || matches!(end, FrameError::Tls { .. }) { ErrorKind::Tls } else { ErrorKind::Connect };
    let error = Error::new(kind, message).caused_by(end);
    match hint {
        Some(hint) => error.hinting(hint),
        None => error,
    }
}

fn connect_error(error: ConnectError) -> Error {
    let kind = match error.kind() {
        ConnectErrorKind::Other => ErrorKind::Connect,
        kind if kind.name().contains("tls") || kind.name().contains("certificate") => ErrorKind::Tls,
        _ => ErrorKind::Connect,
    };
    let hint = error.hint();
    let named = Error::new(kind, error.to_string()).caused_by(error);
    match hint {
        Some(hint) => named.hinting(hint),
        None => named,
    }
}

/// A waker that makes this driver look again.
pub(crate) fn waker(shared: &Arc<DriverShared>) -> Waker {
    Waker::from(shared.clone())
}
