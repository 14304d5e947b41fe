//! Compaction's turn: which log is cleaned next, and how fast. Java: `LogCleaner`, `LogCleanerManager`.
//!
//! The log that needs it most goes first. A step reads a few hundred kilobytes at most and then lets requests through; syncs are the driver's.

use std::collections::BTreeSet;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use felice_log::checkpoint::{self, CLEANER_OFFSET, Offsets};
use felice_log::{Cleaner, CleanerConfig, CleanerStep, Disk, LogError};
use felice_protocol::time::{Instant, Now};

use crate::broker::{BrokerCore, Output, SyncTicket};
use crate::config::BrokerConfig;
use crate::purgatory::PartitionKey;
use crate::topics::Topics;

/// The rest between two steps, in which requests are answered.
const PAUSE: Duration = Duration::from_millis(1);

/// A step reads no more, whatever `log.cleaner.io.buffer.size` says: some milliseconds of work where it has to be compressed anew.
const MOST_STEP_BYTES: usize = 256 << 10;

/// The cleaner, with the log that it is at.
#[derive(Debug)]
pub(crate) struct LogCleaner {
    cleaner: Cleaner,
    current: Option<PartitionKey>,
    /// A sync that is waited for.
    syncing: Option<SyncTicket>,
    /// When to look for a log, or to do the next step; `None` where `log.cleaner.enable` says so.
    next: Option<Instant>,
    backoff: Duration,
    /// Bytes a second that are read and written at most.
    max_rate: f64,
    /// Partitions with a batch that cannot be read: left alone until the next start.
    uncleanable: BTreeSet<PartitionKey>,
}

impl LogCleaner {
    pub(crate) fn new(config: &BrokerConfig, seed: u64, now: Now) -> Self {
        let backoff = Duration::from_millis(setting(config, "log.cleaner.backoff.ms", 15_000));
        let defaults = CleanerConfig::default();
        let cleaner = Cleaner::new(CleanerConfig {
            dedupe_buffer_bytes: setting(config, "log.cleaner.dedupe.buffer.size", defaults.dedupe_buffer_bytes),
            load_factor: setting(config, "log.cleaner.io.buffer.load.factor", defaults.load_factor),
            step_bytes: setting(config, "log.cleaner.io.buffer.size", defaults.step_bytes).min(MOST_STEP_BYTES),
            seed,
        });
        let is_enabled = setting(config, "log.cleaner.enable", true);
        Self {
            cleaner,
            current: None,
            syncing: None,
            next: is_enabled.then(|| now.instant() + backoff),
            backoff,
            max_rate: setting(config, "log.cleaner.io.max.bytes.per.second", f64::MAX),
            uncleanable: BTreeSet::new(),
        }
    }

    /// When [`run`] has something to do.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next.filter(|_| self.syncing.is_none())
    }

    fn pause_after(&self, bytes: usize) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let seconds = bytes as f64 / self.max_rate.max(1.0);
        Duration::try_from_secs_f64(seconds).unwrap_or(self.backoff).max(PAUSE)
    }
}

fn setting<T: FromStr>(config: &BrokerConfig, name: &str, otherwise: T) -> T {
    config.property(name).and_then(|value| value.trim().to_ascii_lowercase().parse().ok()).unwrap_or(otherwise)
}

/// Takes over `cleaner-offset-checkpoint`. Without it all is dirty.
pub(crate) fn load(config: &BrokerConfig, disk: &dyn Disk, topics: &mut Topics) {
    let path = config.data_dir.join(CLEANER_OFFSET);
    let offsets = checkpoint::read_offsets(disk, &path).unwrap_or_default();
    for ((topic, index), offset) in offsets {
        if let Some(id) = topics.id_of(&topic)
            && let Some(partition) = topics.partition_mut(&id, index)
        {
            partition.set_cleaner_checkpoint(offset);
        }
    }
}

/// Does a step, or looks for a log to clean.
pub(crate) fn run(core: &mut BrokerCore, now: Now) {
    if core.cleaner.next().is_none_or(|next| next > now.instant()) {
        return;
    }
    let pause = match core.cleaner.current {
        Some(key) => step(core, now, key),
        None => begin(core, now),
    };
    core.cleaner.next = Some(now.instant() + pause);
}

/// Begins with the log of which the largest part is dirty.
fn begin(core: &mut BrokerCore, now: Now) -> Duration {
    let mut dirtiest = None;
    for topic in core.topics.iter().filter(|topic| topic.config.compact) {
        for partition in &topic.partitions {
            let key = (topic.id, partition.index());
            let Some(to_clean) = partition.to_clean(now).filter(|_| !core.cleaner.uncleanable.contains(&key)) else {
                continue;
            };
            let ratio = to_clean.cleanable_ratio();
            if dirtiest.as_ref().is_none_or(|(_, _, largest)| ratio > *largest) {
                dirtiest = Some((key, to_clean, ratio));
            }
        }
    }
    let Some((key, to_clean, _)) = dirtiest else { return core.cleaner.backoff };
    let Some(partition) = core.topics.partition_mut(&key.0, key.1) else { return core.cleaner.backoff };
    match partition.start_cleaning(now, &mut core.cleaner.cleaner, &to_clean) {
        Ok(()) => {
            core.cleaner.current = Some(key);
            PAUSE
        }
        Err(error) => failed(core, key, &error),
    }
}

fn step(core: &mut BrokerCore, now: Now, key: PartitionKey) -> Duration {
    let Some(partition) = core.topics.partition_mut(&key.0, key.1) else {
        core.cleaner.cleaner.forget();
        core.cleaner.current = None;
        return PAUSE;
    };
    match partition.clean(now, &mut core.cleaner.cleaner) {
        Ok(CleanerStep::More(bytes)) => core.cleaner.pause_after(bytes),
        Ok(CleanerStep::Sync(flush)) => {
            let ticket = core.flusher.new_ticket();
            core.cleaner.syncing = Some(ticket);
            core.outputs.push_back(Output::Sync { ticket, flushes: vec![flush] });
            PAUSE
        }
        Ok(CleanerStep::Done(_)) => {
            core.cleaner.current = None;
            if let Err(error) = write_checkpoint(&core.config, &core.disk, &core.topics) {
                core.outputs.push_back(Output::Log { message: format!("could not write {CLEANER_OFFSET}: {error}") });
            }
            PAUSE
        }
        Ok(CleanerStep::Abandoned) => {
            core.cleaner.current = None;
            core.cleaner.backoff
        }
        Err(error) => failed(core, key, &error),
    }
}

/// A sync of the cleaner's has ended, well or not.
pub(crate) fn handle_synced(core: &mut BrokerCore, now: Now, ticket: SyncTicket, result: &io::Result<()>) {
    if core.cleaner.syncing.take_if(|syncing| *syncing == ticket).is_none() {
        return;
    }
    core.cleaner.next = Some(now.instant() + PAUSE);
    let Some(key) = core.cleaner.current else { return };
    let Some(partition) = core.topics.partition_mut(&key.0, key.1) else { return };
    let result = result.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()));
    if let Err(error) = partition.complete_cleaner_sync(&mut core.cleaner.cleaner, result) {
        let pause = failed(core, key, &error);
        core.cleaner.next = Some(now.instant() + pause);
    }
}

/// The round is over. What may go better another time is tried again.
fn failed(core: &mut BrokerCore, key: PartitionKey, error: &LogError) -> Duration {
    core.cleaner.current = None;
    if matches!(error, LogError::Corrupt { .. } | LogError::Bug(_)) {
        core.cleaner.uncleanable.insert(key);
    }
    let topic = core.topics.get(&key.0).map(|topic| topic.name.to_string()).unwrap_or_default();
    core.outputs.push_back(Output::Log { message: format!("{topic}-{}: compaction failed: {error}", key.1) });
    if core.topics.get(&key.0).and_then(|topic| topic.partition(key.1)).is_some_and(|partition| partition.is_offline())
    {
        core.complete_waiting(key);
    }
    core.cleaner.backoff
}

fn write_checkpoint(config: &BrokerConfig, disk: &Arc<dyn Disk>, topics: &Topics) -> io::Result<()> {
    let mut offsets = Offsets::new();
    for topic in topics.iter().filter(|topic| topic.config.compact) {
        for partition in topic.partitions.iter().filter(|partition| partition.cleaner_checkpoint() > 0) {
            offsets.insert((topic.name.to_string(), partition.index()), partition.cleaner_checkpoint());
        }
    }
    checkpoint::write_offsets(&**disk, &config.data_dir.join(CLEANER_OFFSET), &offsets)
}
