//! The loop around the core: feeds it, hands its outputs out, keeps its time. Everything here runs on the broker's one thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use felice_broker_core::{BrokerCore, ConnectionId, Output, StartError};
use felice_protocol::primitives::Frame;
use felice_protocol::time::{Instant, Now};
use tokio::sync::Notify;
use tracing::warn;

/// What a connection gets for its request.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// To be sent; empty where the client wants no answer.
    Frame(Frame),
    /// To be closed, with last words where there are any, and why.
    Close(Option<Frame>, String),
}

/// Where a connection finds its delivery.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    delivery: RefCell<Option<Delivery>>,
    pub(crate) notify: Notify,
}

impl Slot {
    pub(crate) fn take(&self) -> Option<Delivery> {
        self.delivery.borrow_mut().take()
    }
}

/// The clock that the core is given: it starts with the broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(tokio::time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            monotonic_nanos: u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX),
            wall_millis: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
        }
    }

    pub(crate) fn to_tokio(self, instant: Instant) -> tokio::time::Instant {
        self.0 + Duration::from_nanos(instant.0)
    }
}

#[derive(Debug)]
pub(crate) struct Driver {
    core: RefCell<BrokerCore>,
    clock: Clock,
    slots: RefCell<BTreeMap<ConnectionId, Rc<Slot>>>,
    next_connection: Cell<u64>,
    /// When the timer task wakes up.
    armed: Cell<Option<Instant>>,
    earlier: Notify,
}

impl Driver {
    pub(crate) fn new(core: BrokerCore, clock: Clock) -> Rc<Self> {
        let driver = Rc::new(Self {
            core: RefCell::new(core),
            clock,
            slots: RefCell::default(),
            next_connection: Cell::new(0),
            armed: Cell::new(None),
            earlier: Notify::new(),
        });
        driver.drain();
        driver
    }

    pub(crate) fn connections(&self) -> usize {
        self.slots.borrow().len()
    }

    pub(crate) fn connect(&self, listener: &str, peer: std::net::IpAddr) -> (ConnectionId, Rc<Slot>) {
        let id = ConnectionId(self.next_connection.get());
        self.next_connection.set(id.0 + 1);
        let slot = Rc::new(Slot::default());
        self.slots.borrow_mut().insert(id, Rc::clone(&slot));
        let mut core = self.core.borrow_mut();
        core.handle_connect(self.clock.now(), id, listener);
        core.handle_peer(id, peer);
        (id, slot)
    }

    pub(crate) fn is_authenticated(&self, id: ConnectionId) -> bool {
        self.core.borrow().is_authenticated(id)
    }

    pub(crate) fn disconnect(self: &Rc<Self>, id: ConnectionId) {
        self.slots.borrow_mut().remove(&id);
        self.core.borrow_mut().handle_disconnect(self.clock.now(), id);
        self.drain();
    }

    pub(crate) fn request(self: &Rc<Self>, id: ConnectionId, frame: Bytes) {
        self.core.borrow_mut().handle_request(self.clock.now(), id, frame);
        self.drain();
    }

    pub(crate) fn shutdown(self: &Rc<Self>) -> Result<(), StartError> {
        let result = self.core.borrow_mut().shutdown(self.clock.now());
        self.drain();
        result
    }

    /// Does all that the core asks for.
    fn drain(self: &Rc<Self>) {
        loop {
            let Some(output) = self.core.borrow_mut().poll_output() else { break };
            match output {
                Output::Response { connection, frame } => self.deliver(connection, Delivery::Frame(frame)),
                Output::Close { connection, last, reason } => self.deliver(connection, Delivery::Close(last, reason)),
                Output::Sync { ticket, flushes } => {
                    let driver = Rc::clone(self);
                    tokio::task::spawn_local(async move {
                        let run = move || flushes.iter().map(|flush| flush.run()).fold(Ok(()), Result::and);
                        let result = tokio::task::spawn_blocking(run).await;
                        let result = result.unwrap_or_else(|error| Err(std::io::Error::other(error)));
                        driver.core.borrow_mut().handle_synced(driver.clock.now(), ticket, result);
                        driver.drain();
                    });
                }
                Output::Log { message } => warn!("{message}"),
            }
        }
        let next = self.core.borrow().poll_timeout();
        if next.is_some_and(|next| self.armed.get().is_none_or(|armed| next < armed)) {
            self.earlier.notify_one();
        }
    }

    fn deliver(&self, connection: ConnectionId, delivery: Delivery) {
        // The client may be gone by now.
        if let Some(slot) = self.slots.borrow().get(&connection) {
            slot.delivery.replace(Some(delivery));
            slot.notify.notify_one();
        }
    }

    /// Calls the core when its time has come, for ever.
    pub(crate) async fn keep_time(self: Rc<Self>) {
        loop {
            let next = self.core.borrow().poll_timeout();
            self.armed.set(next);
            let sleep = async {
                match next {
                    Some(next) => tokio::time::sleep_until(self.clock.to_tokio(next)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {
                    self.core.borrow_mut().handle_timeout(self.clock.now());
                    self.drain();
                }
                () = self.earlier.notified() => {}
            }
        }
    }
}
