//! The Kafka broker's decisions, without I/O.
