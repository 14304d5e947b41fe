//! What happens on a client's connections, for whoever counts or logs it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use felice_client_core::client::ConnectionId;
use felice_client_core::config::Properties;
use felice_client_core::error::Error;
use felice_client_core::metadata::ClusterMetadata;
use felice_net::Connector;
use felice_protocol::primitives::Frame;

use crate::client::Client;
use crate::token::TokenSource;

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
        /// Our end of it, where it is a socket.
        local: Option<SocketAddr>,
    },
    /// A request left.
    Sent {
        /// Over which.
        connection: ConnectionId,
        /// The request.
        frame: &'a Frame,
        /// Whether the broker answers it: a Produce with acks=0 it does not.
        answered: bool,
    },
    /// An answer came.
    Received {
        /// Over which.
        connection: ConnectionId,
        /// The answer, with its header, without its length.
        frame: &'a Bytes,
    },
    /// The answered request that had waited longest was given up, and the connection goes on: its answer may still come.
    GaveUp {
        /// On which.
        connection: ConnectionId,
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
        /// Why, where something was wrong with it.
        why: Option<&'a Error>,
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

/// What a client can be given besides its properties.
#[derive(Default)]
pub struct Setup {
    pub(crate) connector: Option<Arc<dyn Connector>>,
    pub(crate) observer: Option<Observer>,
    pub(crate) tokens: Option<TokenSource>,
}

impl Setup {
    /// Where its sockets come from.
    #[must_use]
    pub fn connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.connector = Some(connector);
        self
    }

    /// Has `observer` called, on the client's driver thread, for all that happens; it must not wait.
    #[must_use]
    pub fn observer(mut self, observer: impl FnMut(Observed<'_>) + Send + 'static) -> Self {
        self.observer = Some(Observer(Box::new(observer)));
        self
    }

    /// Where its tokens for OAUTHBEARER come from.
    #[must_use]
    pub fn tokens(mut self, tokens: Option<TokenSource>) -> Self {
        self.tokens = tokens;
        self
    }

    /// A client that connects when it is first used.
    ///
    /// # Errors
    /// As [`ClientBuilder::lazy`](crate::ClientBuilder::lazy).
    pub fn client(self, properties: Properties) -> Result<Client, Error> {
        Client::with_properties(properties).lazy_with(self)
    }
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("connector", &self.connector).finish_non_exhaustive()
    }
}
