//! The Kafka client's decisions, without I/O.
