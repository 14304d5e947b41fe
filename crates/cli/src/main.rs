//! Felice's one tool.

#![warn(clippy::unwrap_used)]
fn main() {}
