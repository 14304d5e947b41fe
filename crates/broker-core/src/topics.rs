//! The topics that this broker has, with their partitions.

use std::collections::BTreeMap;

use felice_protocol::primitives::{ByteStr, Uuid};

use crate::config::TopicConfig;
use crate::partition::Partition;

/// A topic with its logs.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) name: ByteStr,
    pub(crate) config: TopicConfig,
    /// By their index, without a gap.
    pub(crate) partitions: Vec<Partition>,
}

/// All topics, by id and by name.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_id: BTreeMap<Uuid, Topic>,
    by_name: BTreeMap<ByteStr, Uuid>,
}

impl Topics {
    pub(crate) fn insert(&mut self, topic: Topic) {
        self.by_name.insert(topic.name.clone(), topic.id);
        self.by_id.insert(topic.id, topic);
    }

    pub(crate) fn remove(&mut self, id: &Uuid) -> Option<Topic> {
        let topic = self.by_id.remove(id)?;
        self.by_name.remove(&topic.name);
        Some(topic)
    }

    /// In the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values().filter_map(|id| self.by_id.get(id))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Topic> {
        self.by_id.values_mut()
    }

    /// All of them, to be closed.
    pub(crate) fn into_all(self) -> impl Iterator<Item = Topic> {
        self.by_id.into_values()
    }

    pub(crate) fn get(&self, id: &Uuid) -> Option<&Topic> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &Uuid) -> Option<&mut Topic> {
        self.by_id.get_mut(id)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Topic> {
        self.by_id.get(self.by_name.get(name)?)
    }

    pub(crate) fn id_of(&self, name: &str) -> Option<Uuid> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn partition_mut(&mut self, id: &Uuid, index: i32) -> Option<&mut Partition> {
        self.by_id.get_mut(id)?.partitions.get_mut(usize::try_from(index).ok()?)
    }
}

impl Topic {
    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}

/// Topics that the broker keeps its own state in.
pub(crate) fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}
