//! What the core knows about a client's connection.

/// A connection, as the driver numbers it; a number is not used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// The delayed operation that this connection's request waits in.
    pub(crate) waits_in: Option<u64>,
}
