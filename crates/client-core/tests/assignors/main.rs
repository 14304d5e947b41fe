//! The assignors against Apache Kafka's own answers, against every possible division of small groups, and against hostile members.

mod groups;
mod hostile;
mod kafka;
mod properties;
mod scale;
