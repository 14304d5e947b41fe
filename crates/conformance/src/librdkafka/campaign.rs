//! Many entries, one after the other, with the brokers that they need.

use std::path::Path;
use std::time::Duration;

use super::cluster::Cluster;
use super::table::{Needs, Row};
use super::{Library, Outcome, Run, Suite};
use crate::Failure;

/// After so many entries a cluster is replaced: they leave thousands of partitions behind, under which its nodes slow down and at last die.
const CLUSTER_LASTS: usize = 40;

/// What entries are run on. Clusters are started when an entry needs one, and only one at a time.
#[derive(Debug)]
pub struct Campaign<'a> {
    suite: &'a Suite,
    library: &'a Library,
    running: Option<(Needs, Cluster)>,
    /// How many entries the cluster has seen.
    seen: usize,
    /// Brokers to use in place of clusters of our own, for entries that do not forbid them to create topics.
    given: Option<String>,
}

impl<'a> Campaign<'a> {
    /// Runs entries on this library, on brokers given or on clusters of its own.
    pub fn new(suite: &'a Suite, library: &'a Library, given: Option<String>) -> Self {
        Self { suite, library, running: None, seen: 0, given }
    }

    /// Runs one entry. It may take four times as long as on the original, and a minute more.
    ///
    /// # Errors
    /// [`Failure::Skip`] when it needs brokers and the machine has none.
    pub fn run(&mut self, row: &Row) -> Result<Outcome, Failure> {
        let limit = Duration::from_secs(60 + 4 * row.seconds);
        let scenario = if row.needs == Needs::NoAutoCreate { "noautocreate" } else { "default" };
        let run = Run { suite: self.suite, library: self.library, brokers: None, scenario, limit };
        if row.needs == Needs::Nothing {
            return Ok(run.entry(&row.entry)?);
        }
        if let (Some(given), Needs::Brokers) = (&self.given, row.needs) {
            return Ok(Run { brokers: Some((given, Path::new("/nonexistent"))), ..run }.entry(&row.entry)?);
        }
        if self.running.as_ref().is_none_or(|(needs, _)| *needs != row.needs || self.seen >= CLUSTER_LASTS) {
            // The old one goes before the new one comes: both do not fit into a small machine.
            self.running = None;
            self.running = Some((row.needs, Cluster::start(row.needs == Needs::Brokers)?));
            self.seen = 0;
        }
        self.seen += 1;
        let Some((_, cluster)) = &self.running else { return Ok(run.entry(&row.entry)?) };
        let bootstrap = cluster.bootstrap();
        Ok(Run { brokers: Some((&bootstrap, cluster.scripts())), ..run }.entry(&row.entry)?)
    }
}
