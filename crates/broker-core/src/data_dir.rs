//! The data directory: what is opened at start, noted while running, and closed at the end.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use felice_log::checkpoint::{self, LOG_START_OFFSET, Offsets, RECOVERY_POINT, REPLICATION_OFFSET};
use felice_log::data_dir::{self as layout, MetaProperties};
use felice_log::{Disk, Log, RecoveryHint};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::Now;

use crate::broker::BrokerCore;
use crate::config::{BrokerConfig, TopicConfig};
use crate::controller::{Controller, TopicImage};
use crate::error::StartError;
use crate::partition::Partition;
use crate::random::Random;
use crate::topics::{Topic, Topics};

/// What is in an opened directory.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) cluster_id: ByteStr,
    pub(crate) controller: Controller,
    pub(crate) topics: Topics,
    pub(crate) notes: Vec<String>,
}

/// What the checkpoint files say.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    recovery_point: Offsets,
    log_start_offset: Offsets,
}

pub(crate) fn open(
    config: &BrokerConfig,
    disk: &Arc<dyn Disk>,
    random: &mut Random,
    now: Now,
) -> Result<Opened, StartError> {
    let dir = &config.data_dir;
    disk.create_dir_all(dir).map_err(at("create", dir))?;
    let properties = meta_properties(config, disk, random)?;
    let clean_shutdown = layout::take_clean_shutdown(&**disk, dir).map_err(at("read", dir))?;
    let mut notes = Vec::new();
    let controller = Controller::open(config, Arc::clone(disk), dir, clean_shutdown, random, now)
        .map_err(|source| StartError::Log { path: dir.join("__cluster_metadata-0"), source })?;
    sweep(disk, dir, &controller, &mut notes)?;
    let read = |name: &str| {
        let path = dir.join(name);
        checkpoint::read_offsets(&**disk, &path).map_err(at("read", &path))
    };
    let checkpoints = Checkpoints { recovery_point: read(RECOVERY_POINT)?, log_start_offset: read(LOG_START_OFFSET)? };
    let mut topics = Topics::default();
    for (id, image) in controller.topics() {
        let (topic, more) = open_topic(config, disk, id, image, &checkpoints, clean_shutdown, now)?;
        topics.insert(topic);
        notes.extend(more);
    }
    Ok(Opened { cluster_id: properties.cluster_id.into(), controller, topics, notes })
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    move |source| StartError::Io { action, path, source }
}

fn meta_properties(
    config: &BrokerConfig,
    disk: &Arc<dyn Disk>,
    random: &mut Random,
) -> Result<MetaProperties, StartError> {
    let dir = &config.data_dir;
    let path = dir.join("meta.properties");
    if let Some(properties) = MetaProperties::read(&**disk, dir).map_err(at("read", &path))? {
        if properties.node_id != config.node_id() {
            let problem = format!(
                "this directory belongs to node.id={}, not {}: set node.id, or choose another directory",
                properties.node_id,
                config.node_id()
            );
            return Err(StartError::DataDir { path, problem });
        }
        return Ok(properties);
    }
    let properties = MetaProperties {
        cluster_id: random.uuid().to_string(),
        node_id: config.node_id(),
        directory_id: Some(random.uuid()),
    };
    properties.write(&**disk, dir).map_err(at("write", &path))?;
    Ok(properties)
}

/// Removes what deleted topics left behind, and puts aside, but keeps, directories that no topic claims.
fn sweep(disk: &Arc<dyn Disk>, dir: &Path, controller: &Controller, notes: &mut Vec<String>) -> Result<(), StartError> {
    let mut changed = false;
    for name in disk.list(dir).map_err(at("list", dir))? {
        let path = dir.join(&name);
        if name.ends_with("-delete") {
            disk.remove_dir_all(&path).map_err(at("remove", &path))?;
            changed = true;
            continue;
        }
        let Some((topic, index)) =
            layout::parse_partition_dir(&name).filter(|(topic, _)| *topic != "__cluster_metadata")
        else {
            continue;
        };
        let id = layout::read_partition_metadata(&**disk, &path).ok().flatten();
        match id {
            Some(id) if controller.topic(&id).is_some_and(|image| image.is_partition(topic, index)) => {}
            Some(id) if controller.was_removed(&id) => {
                disk.remove_dir_all(&path).map_err(at("remove", &path))?;
                changed = true;
            }
            // Made, but its topic's name not yet written in it, when the broker crashed.
            None if controller.topics().any(|(_, image)| image.is_partition(topic, index)) => {}
            _ => {
                let mut number = 0;
                let aside = loop {
                    let aside = dir.join(format!("{name}.{number:032x}-stray"));
                    if !disk.exists(&aside) {
                        break aside;
                    }
                    number += 1;
                };
                disk.rename(&path, &aside).map_err(at("rename", &path))?;
                changed = true;
                notes.push(format!("{name} belongs to no topic: put aside as {}", aside.display()));
            }
        }
    }
    // For good, before anything of the same name comes in its place: a crash would take that for what was put aside.
    if changed { disk.sync_dir(dir).map_err(at("sync", dir)) } else { Ok(()) }
}

/// Opens a topic's logs, which are made where they do not exist.
pub(crate) fn open_topic(
    config: &BrokerConfig,
    disk: &Arc<dyn Disk>,
    id: Uuid,
    image: &TopicImage,
    checkpoints: &Checkpoints,
    clean_shutdown: bool,
    now: Now,
) -> Result<(Topic, Vec<String>), StartError> {
    let topic_config = TopicConfig::new(config, image.configs.clone());
    let mut partitions = Vec::new();
    let mut notes = Vec::new();
    let home = Home { config, disk, topic: (id, &image.name), checkpoints, clean_shutdown };
    for (index, partition) in &image.partitions {
        let partition = home.open_partition(&topic_config, *index, partition.leader_epoch, now)?;
        if let Some(reason) = partition.offline() {
            notes.push(format!("{}-{index} is offline: {reason}", image.name));
        }
        partitions.push(partition);
    }
    Ok((Topic { id, name: image.name.clone(), config: topic_config, partitions }, notes))
}

/// Where a topic's logs are, and what is known of how they were left.
#[derive(Clone, Copy)]
struct Home<'a> {
    config: &'a BrokerConfig,
    disk: &'a Arc<dyn Disk>,
    topic: (Uuid, &'a str),
    checkpoints: &'a Checkpoints,
    clean_shutdown: bool,
}

impl Home<'_> {
    fn open_partition(
        &self,
        topic_config: &TopicConfig,
        index: i32,
        leader_epoch: i32,
        now: Now,
    ) -> Result<Partition, StartError> {
        let (id, name) = self.topic;
        let dir = layout::partition_dir(&self.config.data_dir, name, index);
        let key = (name.to_owned(), index);
        let claimed = layout::read_partition_metadata(&**self.disk, &dir).map_err(at("read", &dir))?;
        if claimed.is_some_and(|claimed| claimed != id) {
            // What a topic of this name left that was removed, or never came to be: the next start would take it for that topic's, and away.
            self.disk.remove_dir_all(&dir).map_err(at("remove", &dir))?;
            // Gone for good, before anything of the same name comes in its place.
            let data_dir = &self.config.data_dir;
            self.disk.sync_dir(data_dir).map_err(at("sync", data_dir))?;
        }
        let is_new = claimed != Some(id);
        let hint = RecoveryHint {
            recovery_point: self.checkpoints.recovery_point.get(&key).copied().unwrap_or(0),
            log_start_offset: self.checkpoints.log_start_offset.get(&key).copied().unwrap_or(0),
            clean_shutdown: self.clean_shutdown,
        };
        let failed = |source| StartError::Log { path: dir.clone(), source };
        let mut log =
            Log::open(Arc::clone(self.disk), dir.clone(), topic_config.log.clone(), hint, now).map_err(failed)?;
        if is_new {
            layout::write_partition_metadata(&**self.disk, &dir, id).map_err(at("write", &dir))?;
        }
        if log.latest_epoch().is_none_or(|epoch| epoch < leader_epoch) {
            let end = log.log_end_offset();
            log.assign_epoch_start_offset(leader_epoch, end).map_err(failed)?;
        }
        Ok(Partition::new(index, log, leader_epoch, self.config.flush_policy()))
    }
}

/// Opens the logs of partitions that a topic is to get.
pub(crate) fn open_new_partitions(
    config: &BrokerConfig,
    disk: &Arc<dyn Disk>,
    topic: &Topic,
    new: Range<i32>,
    now: Now,
) -> Result<Vec<Partition>, StartError> {
    let checkpoints = Checkpoints::default();
    let home = Home { config, disk, topic: (topic.id, &topic.name), checkpoints: &checkpoints, clean_shutdown: true };
    new.map(|index| home.open_partition(&topic.config, index, 0, now)).collect()
}

/// Removes what [`open_new_partitions`] made. What fails is put aside at the next start.
pub(crate) fn remove_new_partitions(config: &BrokerConfig, disk: &dyn Disk, topic: &str, new: Range<i32>) {
    for index in new {
        let _ = disk.remove_dir_all(&layout::partition_dir(&config.data_dir, topic, index));
    }
    let _ = disk.sync_dir(&config.data_dir);
}

/// Renames a topic's directories, so that they are gone at once for whoever looks, then removes them. What fails is done at the next start.
pub(crate) fn delete_topic(config: &BrokerConfig, disk: &dyn Disk, topic: Topic) -> Vec<String> {
    let mut notes = Vec::new();
    let id: String = topic.id.0.iter().map(|byte| format!("{byte:02x}")).collect();
    for partition in topic.partitions {
        let from = layout::partition_dir(&config.data_dir, &topic.name, partition.index());
        // A name of a directory has 255 bytes at most.
        let suffix = format!("-{}.{id}-delete", partition.index());
        let room = topic.name.len().min(255 - suffix.len());
        let to: PathBuf = config.data_dir.join(format!("{}{suffix}", &topic.name[..room]));
        drop(partition);
        let removed = disk.rename(&from, &to).and_then(|()| disk.remove_dir_all(&to));
        if let Err(error) = removed {
            notes.push(format!("{} is left to the next start to remove: {error}", from.display()));
        }
    }
    notes
}

/// Notes how far each log is durable, where it starts, and its high watermark.
pub(crate) fn write_checkpoints(config: &BrokerConfig, disk: &dyn Disk, topics: &Topics) -> Result<(), StartError> {
    let mut offsets: BTreeMap<&str, Offsets> = BTreeMap::new();
    for topic in topics.iter() {
        for partition in &topic.partitions {
            let mut note = |file, offset| {
                let offsets = offsets.entry(file).or_default();
                offsets.insert((topic.name.to_string(), partition.index()), offset);
            };
            note(RECOVERY_POINT, partition.recovery_point());
            note(REPLICATION_OFFSET, partition.high_watermark());
            if partition.log_start_offset() > 0 {
                note(LOG_START_OFFSET, partition.log_start_offset());
            }
        }
    }
    for file in [RECOVERY_POINT, LOG_START_OFFSET, REPLICATION_OFFSET] {
        let path = config.data_dir.join(file);
        let offsets = offsets.get(file).cloned().unwrap_or_default();
        checkpoint::write_offsets(disk, &path, &offsets).map_err(at("write", &path))?;
    }
    Ok(())
}

/// The clean stop: logs closed, checkpoints written, and last the marker.
pub(crate) fn close(core: &mut BrokerCore, now: Now) -> Result<(), StartError> {
    let dir = core.config.data_dir.clone();
    let mut all_closed = true;
    for topic in core.topics.iter_mut() {
        for partition in &mut topic.partitions {
            all_closed &= partition.flush().is_ok();
        }
    }
    write_checkpoints(&core.config, &*core.disk, &core.topics)?;
    let topics = std::mem::take(&mut core.topics);
    for topic in topics.into_all() {
        for partition in topic.partitions {
            all_closed &= partition.into_log().close(now).is_ok();
        }
    }
    core.controller.close(now).map_err(|source| StartError::Log { path: dir.join("__cluster_metadata-0"), source })?;
    if all_closed {
        layout::write_clean_shutdown(&*core.disk, &dir, core.controller.broker_epoch()).map_err(at("write", &dir))?;
    }
    Ok(())
}
