//! The loop around the mock's core: feeds it, hands its outputs out, keeps its time. The core itself is shared with whoever commands it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use bytes::Bytes;
use felice_broker_core::mock::MockCore;
use felice_broker_core::{ConnectionId, Output};
use felice_protocol::time::Now;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{debug, warn};

use super::nodes::{Order, Socket, Sockets};
use crate::Error;
use crate::driver::{Clock, Delivery};

/// What the cluster's thread and its commanders share. A lock section is one call of the core.
#[derive(Debug)]
pub(super) struct Shared {
    core: Mutex<MockCore>,
    clock: Clock,
    /// Someone else than the thread has done something to the core.
    pub(super) changed: Notify,
}

impl Shared {
    pub(super) fn new(core: MockCore, clock: Clock) -> Self {
        Self { core: Mutex::new(core), clock, changed: Notify::new() }
    }

    pub(super) fn with<R>(&self, change: impl FnOnce(&mut MockCore, Now) -> R) -> R {
        change(&mut self.lock(), self.clock.now())
    }

    fn lock(&self) -> MutexGuard<'_, MockCore> {
        // A test whose closure panicked has failed anyway.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a connection finds what is to be sent.
#[derive(Debug, Default)]
pub(super) struct Slot {
    deliveries: RefCell<VecDeque<Delivery>>,
    pub(super) notify: Notify,
}

impl Slot {
    pub(super) fn take(&self) -> Option<Delivery> {
        self.deliveries.borrow_mut().pop_front()
    }
}

#[derive(Debug)]
pub(super) struct Driver {
    shared: Arc<Shared>,
    slots: RefCell<BTreeMap<ConnectionId, Rc<Slot>>>,
    next_connection: Cell<u64>,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self { shared, slots: RefCell::default(), next_connection: Cell::new(0) })
    }

    /// All of the cluster's life: until whoever commands it is gone.
    pub(super) async fn run(
        self: Rc<Self>,
        nodes: Vec<(i32, Socket, std::net::SocketAddr)>,
        mut orders: UnboundedReceiver<Order>,
        ready: mpsc::Sender<Result<(), Error>>,
    ) {
        let mut sockets = Sockets::new(Rc::clone(&self));
        for (node, socket, address) in nodes {
            if let Err(source) = sockets.listen(node, socket, address) {
                let _ = ready.send(Err(Error::Listen { address: address.to_string(), source }));
                return;
            }
        }
        let _ = ready.send(Ok(()));
        let keep_time = tokio::task::spawn_local(Rc::clone(&self).keep_time());
        while let Some(Order { command, reply }) = orders.recv().await {
            let result = sockets.carry_out(command).await;
            self.drain();
            let _ = reply.send(result);
        }
        keep_time.abort();
    }

    pub(super) fn with<R>(&self, change: impl FnOnce(&mut MockCore, Now) -> R) -> R {
        self.shared.with(change)
    }

    pub(super) fn connect(&self, node: i32, peer: IpAddr) -> (ConnectionId, Rc<Slot>) {
        let id = ConnectionId(self.next_connection.get());
        self.next_connection.set(id.0 + 1);
        let slot = Rc::new(Slot::default());
        self.slots.borrow_mut().insert(id, Rc::clone(&slot));
        self.with(|core, now| core.handle_connect(now, id, node, peer));
        (id, slot)
    }

    pub(super) fn disconnect(&self, id: ConnectionId) {
        self.slots.borrow_mut().remove(&id);
        self.with(|core, now| core.handle_disconnect(now, id));
        self.shared.changed.notify_one();
    }

    pub(super) fn request(&self, id: ConnectionId, frame: Bytes) {
        self.with(|core, now| core.handle_request(now, id, frame));
        self.drain();
        // Only the time's keeper knows when the next answer is due.
        self.shared.changed.notify_one();
    }

    pub(super) fn has_room(&self, id: ConnectionId) -> bool {
        self.with(|core, _| core.has_room(id))
    }

    fn drain(&self) {
        loop {
            let Some(output) = self.with(|core, _| core.poll_output()) else { break };
            match output {
                Output::Response { connection, frame } => self.deliver(connection, Delivery::Frame(frame)),
                Output::Close { connection, last, reason } => self.deliver(connection, Delivery::Close(last, reason)),
                Output::Sync { ticket, flushes } => {
                    // The disk is memory: this takes no time.
                    let result = flushes.iter().map(|flush| flush.run()).fold(Ok(()), Result::and);
                    self.with(|core, now| core.handle_synced(now, ticket, result));
                }
                Output::Log { message } => warn!("{message}"),
            }
        }
    }

    fn deliver(&self, connection: ConnectionId, delivery: Delivery) {
        if let Delivery::Close(_, reason) = &delivery {
            debug!("closing a connection: {reason}");
        }
        // The client may be gone by now.
        if let Some(slot) = self.slots.borrow().get(&connection) {
            slot.deliveries.borrow_mut().push_back(delivery);
            slot.notify.notify_one();
        }
    }

    /// Hands outputs out and calls the core when its time has come, for ever.
    async fn keep_time(self: Rc<Self>) {
        loop {
            self.drain();
            let next = self.with(|core, _| core.poll_timeout());
            let sleep = async {
                match next {
                    Some(next) => tokio::time::sleep_until(self.shared.clock.to_tokio(next)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => self.with(|core, now| core.handle_timeout(now)),
                () = self.shared.changed.notified() => {}
            }
        }
    }
}
