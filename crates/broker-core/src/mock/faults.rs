//! What is to go wrong: faults wait in line, for the cluster, for a node or for a partition, by API; each is used once.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::ApiKey;
use felice_protocol::primitives::ByteStr;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is served. In line between other faults, it lets one request through; with a delay, it is slow.
    None,
    /// It is answered with this error and has no effect.
    Error(ErrorCode),
    /// The connection is closed instead of an answer, and it has no effect.
    Disconnect,
}

impl From<ErrorCode> for Fault {
    fn from(code: ErrorCode) -> Self {
        if code.is_ok() { Self::None } else { Self::Error(code) }
    }
}

/// A fault with the time that the answer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Injected {
    pub(super) fault: Fault,
    pub(super) delay: Duration,
}

/// The faults that wait.
#[derive(Debug, Default)]
pub(super) struct Faults {
    cluster: BTreeMap<ApiKey, VecDeque<Injected>>,
    nodes: BTreeMap<(i32, ApiKey), VecDeque<Injected>>,
    partitions: BTreeMap<(ByteStr, i32, ApiKey), VecDeque<ErrorCode>>,
}

impl Faults {
    pub(super) fn push(&mut self, api_key: ApiKey, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().map(|fault| Injected { fault, delay: Duration::ZERO });
        self.cluster.entry(api_key).or_default().extend(faults);
    }

    pub(super) fn push_to_node(&mut self, node: i32, api_key: ApiKey, faults: impl IntoIterator<Item = Injected>) {
        self.nodes.entry((node, api_key)).or_default().extend(faults);
    }

    pub(super) fn push_to_partition(
        &mut self,
        topic: &str,
        partition: i32,
        api_key: ApiKey,
        codes: impl IntoIterator<Item = ErrorCode>,
    ) {
        self.partitions.entry((topic.into(), partition, api_key)).or_default().extend(codes);
    }

    /// Takes back those of the cluster; those of nodes and partitions stay.
    pub(super) fn clear(&mut self, api_key: ApiKey) {
        self.cluster.remove(&api_key);
    }

    /// How many wait at a node.
    pub(super) fn at_node(&self, node: i32, api_key: ApiKey) -> usize {
        self.nodes.get(&(node, api_key)).map_or(0, VecDeque::len)
    }

    /// What happens to the next request: a node's faults come first.
    pub(super) fn next(&mut self, node: i32, api_key: ApiKey) -> Injected {
        let mine = self.nodes.get_mut(&(node, api_key)).and_then(VecDeque::pop_front);
        mine.or_else(|| self.cluster.get_mut(&api_key)?.pop_front())
            .unwrap_or(Injected { fault: Fault::None, delay: Duration::ZERO })
    }

    /// What happens to the next part of a request that is about this partition.
    pub(super) fn next_of_partition(&mut self, topic: &str, partition: i32, api_key: ApiKey) -> Option<ErrorCode> {
        if self.partitions.is_empty() {
            return None;
        }
        let code = self.partitions.get_mut(&(topic.into(), partition, api_key))?.pop_front()?;
        (!code.is_ok()).then_some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_used_in_their_order_each_once_and_a_nodes_come_first() {
        let mut faults = Faults::default();
        let slow = Injected { fault: Fault::Disconnect, delay: Duration::from_millis(5) };
        faults.push(ApiKey::FETCH, [ErrorCode::NONE.into(), ErrorCode::NOT_CONTROLLER.into()]);
        faults.push_to_node(2, ApiKey::FETCH, [slow]);
        assert_eq!(faults.at_node(2, ApiKey::FETCH), 1);
        assert_eq!(faults.next(2, ApiKey::FETCH), slow);
        assert_eq!(faults.next(2, ApiKey::FETCH).fault, Fault::None);
        assert_eq!(faults.next(1, ApiKey::PRODUCE).fault, Fault::None, "another API is not touched");
        assert_eq!(faults.next(1, ApiKey::FETCH).fault, Fault::Error(ErrorCode::NOT_CONTROLLER));
        faults.push(ApiKey::FETCH, [Fault::Disconnect]);
        faults.clear(ApiKey::FETCH);
        assert_eq!(faults.next(1, ApiKey::FETCH).fault, Fault::None);
    }

    #[test]
    fn a_partitions_errors_are_its_own() {
        let mut faults = Faults::default();
        faults.push_to_partition("t", 1, ApiKey::PRODUCE, [ErrorCode::NONE, ErrorCode::REQUEST_TIMED_OUT]);
        assert_eq!(faults.next_of_partition("t", 0, ApiKey::PRODUCE), None);
        let next: Vec<_> = (0..3).map(|_| faults.next_of_partition("t", 1, ApiKey::PRODUCE)).collect();
        assert_eq!(next, [None, Some(ErrorCode::REQUEST_TIMED_OUT), None]);
    }
}
