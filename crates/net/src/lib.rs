//! Sockets and TLS under Felice's client and broker.
