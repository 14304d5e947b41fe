//! The assignors against Apache Kafka's own answers, and what must hold of any answer.
