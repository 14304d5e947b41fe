//! What the leader of a group knows of the topics.

use std::collections::BTreeMap;

use felice_protocol::primitives::ByteStr;

use crate::metadata::ClusterMetadata;

/// The topics that exist, by name.
pub type AssignableTopics = BTreeMap<ByteStr, AssignableTopic>;

/// A topic whose partitions are divided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssignableTopic {
    /// How many partitions it has.
    pub partitions: u32,
    /// The racks of each partition's replicas, sorted; empty where no rack is known.
    pub racks: Vec<Vec<ByteStr>>,
}

impl AssignableTopic {
    /// A topic of which no rack is known.
    pub fn without_racks(partitions: u32) -> Self {
        Self { partitions, racks: Vec::new() }
    }

    /// The racks of one partition's replicas.
    pub fn racks_of(&self, partition: u32) -> &[ByteStr] {
        self.racks.get(partition as usize).map_or(&[], Vec::as_slice)
    }
}

/// The topics of `names` that `cluster` knows, with the racks of their replicas.
pub fn assignable_topics<'a>(
    cluster: &ClusterMetadata,
    names: impl IntoIterator<Item = &'a ByteStr>,
) -> AssignableTopics {
    let mut topics = AssignableTopics::new();
    for name in names {
        let Some(topic) = cluster.topics.get(name) else { continue };
        let racks_of = |replicas: &[i32]| {
            let brokers = replicas.iter().filter_map(|id| cluster.brokers.get(id));
            let mut racks: Vec<ByteStr> = brokers.filter_map(|broker| broker.rack.clone()).collect();
            racks.sort();
            racks.dedup();
            racks
        };
        let racks: Vec<_> = topic.partitions.iter().map(|partition| racks_of(&partition.replicas)).collect();
        let known = racks.iter().any(|racks| !racks.is_empty());
        let partitions = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
        topics.insert(name.clone(), AssignableTopic { partitions, racks: if known { racks } else { Vec::new() } });
    }
    topics
}
