//! Bugs that can be planted in the cores, each as a single wrong decision, so that the checkers are checked.

use felice_broker_core::BrokerConfig;
use felice_client_core::config::{FetchConfig, ProducerConfig};

/// A bug.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// Its name on the command line.
    pub name: &'static str,
    /// What goes wrong.
    pub what: &'static str,
}

/// All bugs.
pub const ALL: &[Bug] = &[];

/// The bug of this name.
pub fn find(name: &str) -> Option<&'static Bug> {
    ALL.iter().find(|bug| bug.name == name)
}

pub(crate) fn plant_in_broker(_: &mut BrokerConfig, _: Option<&'static str>) {}
pub(crate) fn plant_in_producer(_: &mut ProducerConfig, _: Option<&'static str>) {}
pub(crate) fn plant_in_reader(_: &mut FetchConfig, _: Option<&'static str>) {}
