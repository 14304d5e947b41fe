//! What is due from time to time: retention and checkpoints.

use felice_protocol::time::{Instant, Now};

use crate::broker::{BrokerCore, Output};
use crate::config::BrokerConfig;
use crate::data_dir;

#[derive(Debug)]
pub(crate) struct Maintenance {
    next_retention: Instant,
    next_checkpoint: Instant,
}

impl Maintenance {
    pub(crate) fn new(config: &BrokerConfig, now: Now) -> Self {
        Self {
            next_retention: now.instant() + config.retention_check_interval(),
            next_checkpoint: now.instant() + config.checkpoint_interval(),
        }
    }

    pub(crate) fn next(&self) -> Instant {
        self.next_retention.min(self.next_checkpoint)
    }
}

pub(crate) fn run(core: &mut BrokerCore, now: Now) {
    let mut notes = Vec::new();
    if core.maintenance.next_retention <= now.instant() {
        core.maintenance.next_retention = now.instant() + core.config.retention_check_interval();
        for topic in core.topics.iter_mut() {
            for partition in &mut topic.partitions {
                if let Err(error) = partition.delete_old_segments(now) {
                    notes.push(format!("{}-{}: retention failed: {error}", topic.name, partition.index()));
                }
            }
        }
    }
    if core.maintenance.next_checkpoint <= now.instant() {
        core.maintenance.next_checkpoint = now.instant() + core.config.checkpoint_interval();
        if let Err(error) = data_dir::write_checkpoints(&core.config, &*core.disk, &core.topics) {
            notes.push(error.to_string());
        }
    }
    core.outputs.extend(notes.into_iter().map(|message| Output::Log { message }));
}
