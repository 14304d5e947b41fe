//! Felice's own chores.
fn main() {}
