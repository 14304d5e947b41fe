//! A deterministic simulator of Felice's client and broker.
