//! librdkafka's C ABI on Felice's client.

#![warn(clippy::unwrap_used)]
