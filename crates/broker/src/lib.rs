//! An embeddable broker that speaks Kafka's protocol and keeps Kafka's files.
