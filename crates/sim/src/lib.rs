//! A deterministic simulator of Felice: broker core and client cores, the real ones, in a world whose time, network, disks and accidents come from
//! one seed. Same seed, same history, byte for byte.
//!
//! - [`world`]: the queue of events, the phases of a run, the faults' effects
//! - [`plan`], [`group_plan`]: what a seed decides before the first event
//! - [`clock`], [`rng`]: virtual time, chance
//! - [`network`]: connections that are late, cut, half-open
//! - [`disk`]: a disk that is slow, fails, stops in the middle, and loses what was not synced
//! - [`broker_host`], [`client_host`]: the drivers' part of the contract with the cores, and the applications
//! - [`faults`]: which faults there are
//! - [`history`], [`group_history`]: what happened, as the applications saw it
//! - [`checkers`]: what must hold in every history
//! - [`group_tap`]: what the broker is asked of groups, and answers
//! - [`group_files`]: what the broker has of groups on its disk
//! - [`log_files`]: the partitions' files, read past the broker
//! - [`bugs`]: bugs to plant, so that the checkers are checked
//! - [`runner`]: many seeds, and what to print of them

#![warn(clippy::unwrap_used)]

pub mod broker_host;
pub mod bugs;
pub mod checkers;
pub mod client_host;
pub mod clock;
pub mod disk;
pub mod faults;
pub mod group_files;
pub mod group_history;
pub mod group_plan;
pub mod group_tap;
pub mod history;
pub mod log_files;
pub mod network;
pub mod plan;
pub mod rng;
pub mod runner;
pub mod world;
