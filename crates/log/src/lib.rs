//! One Kafka partition on disk, in Apache Kafka's own file format.
