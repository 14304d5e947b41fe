//! One file a command.

pub(crate) mod broker;
pub(crate) mod consume;
pub(crate) mod group;
pub(crate) mod perf;
pub(crate) mod produce;
pub(crate) mod quickstart;
pub(crate) mod topic;
