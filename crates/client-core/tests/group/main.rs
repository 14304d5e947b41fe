//! The group member against a coordinator played by hand, on a virtual clock.

mod classic;
mod commits;
mod consumer;
mod random;
mod world;
