//! The nodes that a mock cluster shows its clients.

use std::collections::BTreeMap;
use std::time::Duration;

/// A node: what Metadata tells of it, and how it answers.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) rack: Option<String>,
    /// Every answer leaves so much later.
    pub(super) rtt: Duration,
    /// Whether it takes connections. A node that is down is not in Metadata either.
    pub(super) is_up: bool,
    /// Whether Metadata tells of it while it is up.
    pub(super) is_listed: bool,
}

/// The nodes by their ids.
#[derive(Debug, Default)]
pub(super) struct Nodes(BTreeMap<i32, Node>);

impl Nodes {
    pub(super) fn insert(&mut self, id: i32, host: String, port: u16) {
        let node = Node { host, port, rack: None, rtt: Duration::ZERO, is_up: true, is_listed: true };
        self.0.insert(id, node);
    }

    pub(super) fn remove(&mut self, id: i32) -> bool {
        self.0.remove(&id).is_some()
    }

    pub(super) fn get(&self, id: i32) -> Option<&Node> {
        self.0.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: i32) -> Option<&mut Node> {
        self.0.get_mut(&id)
    }

    pub(super) fn contains(&self, id: i32) -> bool {
        self.0.contains_key(&id)
    }

    pub(super) fn ids(&self) -> Vec<i32> {
        self.0.keys().copied().collect()
    }

    /// The ids of those that partitions are put on.
    pub(super) fn leading(&self) -> Vec<i32> {
        self.0.iter().filter(|(_, node)| node.is_listed).map(|(id, _)| *id).collect()
    }

    /// Those that Metadata tells of.
    pub(super) fn listed(&self) -> impl Iterator<Item = (i32, &Node)> {
        self.0.iter().filter(|(_, node)| node.is_up && node.is_listed).map(|(id, node)| (*id, node))
    }

    pub(super) fn rtt(&self, id: i32) -> Duration {
        self.get(id).map_or(Duration::ZERO, |node| node.rtt)
    }

    /// The node that a key belongs to where nobody has said so: always the same one.
    pub(super) fn for_key(&self, key: &str) -> Option<i32> {
        let hash = key
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let count = u64::try_from(self.0.len()).ok().filter(|count| *count > 0)?;
        self.0.keys().nth(usize::try_from(hash % count).ok()?).copied()
    }
}
