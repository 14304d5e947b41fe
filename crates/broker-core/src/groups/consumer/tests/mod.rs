//! A group driven by hand: what each heartbeat is answered, and that the records alone make the same group again.

mod epochs;
mod migration;
mod mixed;
mod random;
mod statics;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use felice_protocol::messages::consumer_group_heartbeat::request::TopicPartitions;
use felice_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::Now;

use super::assignment::Partitions;
use super::change::Change;
use super::{ConsumerGroup, ConsumerGroupConfig, Fenced, GroupError};
use crate::config::BrokerConfig;
use crate::groups::records::{GroupRecord, ReplayRecord};
use crate::groups::topics_view::TopicsView;
use crate::groups::{Caller, Waiter};

pub(super) const SESSION: Duration = Duration::from_millis(45_000);

/// A group, its topics, its time, and all that it has written.
pub(super) struct Bench {
    pub(super) group: ConsumerGroup,
    pub(super) config: ConsumerGroupConfig,
    pub(super) topics: Vec<(ByteStr, Uuid, i32)>,
    pub(super) now: Now,
    pub(super) log: Vec<GroupRecord>,
}

impl Bench {
    pub(super) fn new(topics: &[(&str, i32)]) -> Self {
        let topics = topics.iter().zip(1_u8..).map(|((name, count), id)| ((*name).into(), topic_id(id), *count));
        Self {
            group: ConsumerGroup::new("group".into()),
            config: ConsumerGroupConfig::new(&BrokerConfig::new("/data")),
            topics: topics.collect(),
            now: Now { monotonic_nanos: 0, wall_millis: 1_000_000 },
            log: Vec::new(),
        }
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.now.monotonic_nanos += u64::try_from(by.as_nanos()).unwrap();
        self.now.wall_millis += i64::try_from(by.as_millis()).unwrap();
        let (records, fenced) = self.group.handle_timeout(self.now, TopicsView::Listed(&self.topics), &self.config);
        assert_eq!(fenced, Fenced::Removed);
        self.log.extend(records.0);
    }

    pub(super) fn beat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, GroupError> {
        super::check_heartbeat(&self.config, 1, request)?;
        let caller =
            Caller { waiter: Waiter(1), version: 1, client_id: "client".into(), client_host: "/127.0.0.1".into() };
        let view = TopicsView::Listed(&self.topics);
        let served = self.group.heartbeat(self.now, view, &self.config, &caller, request, || "made".into())?;
        assert_eq!(served.fenced, Fenced::Removed);
        self.log.extend(served.records.0);
        Ok(served.response)
    }

    /// A member joins with names of topics.
    pub(super) fn join(&mut self, id: &str, topics: &[&str]) -> ConsumerGroupHeartbeatResponse {
        self.beat(&joining(id, topics)).unwrap()
    }

    pub(super) fn leave(&mut self, id: &str) {
        let request = ConsumerGroupHeartbeatRequest { member_epoch: -1, ..beating(id, -1) };
        self.beat(&request).unwrap();
    }

    /// No partition has two owners.
    pub(super) fn check_owners(&self) {
        let mut owned = BTreeSet::new();
        for (id, member) in self.group.members() {
            for pair in member.current.owned() {
                assert!(owned.insert(pair), "{pair:?} is not {id}'s alone");
                assert_eq!(self.group.owners.get(&pair), Some(id));
            }
        }
        assert_eq!(owned.len(), self.group.owners.len());
    }

    /// The same, and the log tells all there is.
    pub(super) fn check(&self) {
        self.check_owners();
        let again = replayed(&self.log);
        assert_eq!(again.epoch, self.group.epoch);
        assert_eq!(again.metadata_hash, self.group.metadata_hash);
        assert_eq!(again.assignment_epoch, self.group.assignment_epoch);
        assert_eq!(again.assignment_timestamp, self.group.assignment_timestamp);
        assert_eq!(again.members, self.group.members);
        assert_eq!(again.targets, self.group.targets);
        assert_eq!(again.regexes, self.group.regexes);
        assert_eq!(again.static_members, self.group.static_members);
        assert_eq!(again.owners, self.group.owners);
        assert_eq!(again.regex_counts, self.group.regex_counts);
    }
}

/// The group that these records make, of each key only the last: as after compaction.
pub(super) fn replayed(log: &[GroupRecord]) -> ConsumerGroup {
    let mut group = ConsumerGroup::new("group".into());
    let last: BTreeMap<_, usize> = log.iter().enumerate().map(|(at, record)| (&record.key, at)).collect();
    for (at, record) in log.iter().enumerate() {
        if last[&record.key] != at {
            continue;
        }
        let read = ReplayRecord::decode(record.key.clone(), record.value.clone()).unwrap();
        let ReplayRecord::Consumer { api_key, mut key, value } = read else { panic!("{read:?}") };
        let (id, change) = Change::decode(api_key, &mut key, value).unwrap().unwrap();
        assert_eq!(id, "group");
        group.replay(change);
    }
    group
}

pub(super) fn topic_id(id: u8) -> Uuid {
    Uuid([id; 16])
}

pub(super) fn joining(id: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(topics.iter().map(|name| (*name).into()).collect()),
        topic_partitions: Some(Vec::new()),
        ..beating(id, 0)
    }
}

pub(super) fn beating(id: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "group".into(),
        member_id: id.into(),
        member_epoch: epoch,
        ..Default::default()
    }
}

/// With what the member has.
pub(super) fn owning(id: &str, epoch: i32, owned: &[(u8, &[i32])]) -> ConsumerGroupHeartbeatRequest {
    let owned = owned.iter().map(|(topic, partitions)| TopicPartitions {
        topic_id: topic_id(*topic),
        partitions: partitions.to_vec(),
        ..Default::default()
    });
    ConsumerGroupHeartbeatRequest { topic_partitions: Some(owned.collect()), ..beating(id, epoch) }
}

/// What an answer assigns; `None` where it says nothing of it.
pub(super) fn given(response: &ConsumerGroupHeartbeatResponse) -> Option<Partitions> {
    let assignment = response.assignment.as_ref()?;
    let topics = assignment.topic_partitions.iter();
    Some(topics.map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect())).collect())
}

pub(super) fn partitions(topics: &[(u8, &[i32])]) -> Partitions {
    let topics: BTreeMap<Uuid, BTreeSet<i32>> =
        topics.iter().map(|(topic, indexes)| (topic_id(*topic), indexes.iter().copied().collect())).collect();
    topics
}
