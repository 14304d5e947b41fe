//! Reading.
//!
//! - [`fetcher`]: partitions from positions, without a group: offsets, Fetch requests, errors
//! - [`budget`]: how many fetched bytes may wait

pub mod budget;
pub mod fetcher;
