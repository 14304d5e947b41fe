//! An async client for Apache Kafka: complete, fast, and pleasant to use.
