//! Felice's one tool.
fn main() {}
