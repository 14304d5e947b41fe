//! What the core knows about a client's connection.

use felice_protocol::primitives::ByteStr;

use crate::sasl::Authenticator;

/// A connection, as the driver numbers it; a number is not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

#[derive(Debug)]
pub(crate) struct Connection {
    /// The other end's address.
    pub(crate) host: ByteStr,
    /// The name of the listener that it came by.
    pub(crate) listener: ByteStr,
    /// What guards it; `None` where its listener lets everybody in.
    pub(crate) authenticator: Option<Box<Authenticator>>,
    /// The delayed operation that this connection's request waits in.
    pub(crate) waits_in: Option<u64>,
}

impl Default for Connection {
    fn default() -> Self {
        // Until the driver says better, and where there is no network: this machine.
        Self {
            host: ByteStr::from_static("/127.0.0.1"),
            listener: ByteStr::from_static("PLAINTEXT"),
            authenticator: None,
            waits_in: None,
        }
    }
}
