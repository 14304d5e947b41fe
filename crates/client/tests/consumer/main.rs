//! `felice::Consumer` on the embedded broker; on another cluster with `FELICE_TEST_BOOTSTRAP=host:port`.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod bad_input;
mod commits;
mod contract;
mod groups;
mod reading;
mod stalls;
mod world;
