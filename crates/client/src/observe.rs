//! What happens on a client's connections, for whoever counts or logs it.

use std::sync::Arc;

use felice_client_core::client::ConnectionId;
use felice_client_core::error::Error;
use felice_client_core::metadata::ClusterMetadata;
use felice_protocol::primitives::Frame;

use crate::client::Client;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Observed<'a> {
    /// A connection is being made.
    Connecting {
        /// Which.
        connection: ConnectionId,
        /// The broker's id; `None` for an address of `bootstrap.servers`.
        broker: Option<i32>,
        /// Where to.
        address: &'a str,
    },
    /// It stands.
    Connected {
        /// Which.
        connection: ConnectionId,
    },
    /// A request left.
    Sent {
        /// Over which.
        connection: ConnectionId,
        /// The request.
        frame: &'a Frame,
    },
    /// An answer came.
    Received {
        /// Over which.
        connection: ConnectionId,
        /// Its size.
        bytes: usize,
    },
    /// It broke, or could not be made.
    Disconnected {
        /// Which.
        connection: ConnectionId,
        /// Why.
        error: &'a Error,
    },
    /// This client closed it.
    Closed {
        /// Which.
        connection: ConnectionId,
    },
    /// What is known of the cluster has changed.
    Metadata(&'a Arc<ClusterMetadata>),
}

/// Whoever observes.
pub(crate) struct Observer(Box<dyn FnMut(Observed<'_>) + Send>);

impl Observer {
    #[inline]
    pub(crate) fn see(&mut self, what: Observed<'_>) {
        (self.0)(what);
    }
}

/// Has `observer` called on the client's driver thread for all that happens from now on; it must not wait. There is one observer of a client.
pub fn observe(client: &Client, observer: impl FnMut(Observed<'_>) + Send + 'static) {
    let observer = Observer(Box::new(observer));
    client.driver().command(move |driver, _| driver.observer = Some(observer));
}
