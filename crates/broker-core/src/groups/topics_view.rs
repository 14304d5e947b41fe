//! What the group coordinator may know of topics: names, ids and how many partitions.

use felice_protocol::primitives::{ByteStr, Uuid};

use crate::topics::Topics;

/// The topics as they are now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TopicsView<'a> {
    /// Those of the broker.
    Broker(&'a Topics),
    /// A test's: name, id, number of partitions, sorted by name.
    #[cfg(test)]
    Listed(&'a [(ByteStr, Uuid, i32)]),
}

impl<'a> TopicsView<'a> {
    /// Id and number of partitions of a topic.
    pub(crate) fn get(self, name: &str) -> Option<(Uuid, i32)> {
        match self {
            Self::Broker(topics) => {
                topics.by_name(name).map(|topic| (topic.id, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)))
            }
            #[cfg(test)]
            Self::Listed(topics) => {
                topics.iter().find(|(other, ..)| &**other == name).map(|(_, id, partitions)| (*id, *partitions))
            }
        }
    }

    /// The name behind an id.
    pub(crate) fn name(self, id: &Uuid) -> Option<&'a ByteStr> {
        match self {
            Self::Broker(topics) => topics.get(id).map(|topic| &topic.name),
            #[cfg(test)]
            Self::Listed(topics) => topics.iter().find(|(_, other, _)| other == id).map(|(name, ..)| name),
        }
    }

    /// All names, in their order.
    pub(crate) fn names(self) -> impl Iterator<Item = &'a ByteStr> {
        let all: Vec<&'a ByteStr> = match self {
            Self::Broker(topics) => topics.iter().map(|topic| &topic.name).collect(),
            #[cfg(test)]
            Self::Listed(topics) => topics.iter().map(|(name, ..)| name).collect(),
        };
        all.into_iter()
    }

    /// Whether the topic has this partition.
    pub(crate) fn has_partition(self, name: &str, partition: i32) -> bool {
        self.get(name).is_some_and(|(_, partitions)| (0..partitions).contains(&partition))
    }
}
