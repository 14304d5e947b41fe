//! librdkafka's C ABI on Felice's client.
