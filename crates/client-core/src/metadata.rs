//! What the client knows of the cluster, as one immutable snapshot, and when to ask again.
//!
//! A response is one broker's opinion: a topic or partition that it leaves out stays as it was, and a leader is only replaced by one of the
//! same or a newer epoch. Java: `Metadata`, `MetadataSnapshot`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{MetadataRequest, MetadataResponse, metadata};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::{Instant, Now};

use crate::backoff::Backoff;

/// A broker's id.
pub type BrokerId = i32;

/// A broker and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: BrokerId,
    /// Its host.
    pub host: ByteStr,
    /// Its port.
    pub port: i32,
    /// Its rack.
    pub rack: Option<ByteStr>,
}

impl Broker {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A partition: who leads it and who has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The leader, where there is one.
    pub leader: Option<BrokerId>,
    /// The leader's epoch, −1 where it is not known.
    pub leader_epoch: i32,
    /// Who has a replica.
    pub replicas: Vec<BrokerId>,
    /// Which of them are in sync.
    pub in_sync_replicas: Vec<BrokerId>,
}

/// A topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: ByteStr,
    /// Its id; zero from a broker too old to tell.
    pub id: Uuid,
    /// Whether Kafka made it for itself.
    pub is_internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<Partition>,
}

/// What is known of the cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterMetadata {
    /// The cluster's id.
    pub cluster_id: Option<ByteStr>,
    /// The broker that takes requests for the controller.
    pub controller: Option<BrokerId>,
    /// The brokers.
    pub brokers: BTreeMap<BrokerId, Broker>,
    /// The topics that were asked for and exist.
    pub topics: BTreeMap<ByteStr, Arc<Topic>>,
    /// Names by id.
    pub names: BTreeMap<Uuid, ByteStr>,
    /// Why a topic that was asked for is not in `topics`.
    pub errors: BTreeMap<ByteStr, ErrorCode>,
    /// Every topic that the client may see was asked for.
    pub complete: bool,
    /// Counts the snapshots.
    pub version: u64,
}

impl ClusterMetadata {
    /// A partition, where it is known.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partitions.get(usize::try_from(partition).ok()?)
    }
}

/// A leader that an answer named.
#[derive(Clone, Debug)]
pub struct LeaderHint {
    /// The topic.
    pub topic: ByteStr,
    /// The partition.
    pub index: i32,
    /// Who leads it.
    pub leader: BrokerId,
    /// Since which epoch.
    pub leader_epoch: i32,
    /// Where it listens.
    pub at: Option<Broker>,
}

/// How many answers in a row may leave a known topic out before it is believed to be gone.
const FORGET_AFTER: u32 = 3;

/// How long the first request, where nobody has named a topic yet, waits for one, so that one answer does for both.
const FIRST_TOPIC_PAUSE: Duration = Duration::from_millis(10);

/// How far the first request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Due,
    /// It could be sent, but for a topic that may be named soon.
    Waiting,
    Sent,
}

#[derive(Debug, Default)]
struct Interest {
    users: usize,
    /// It is asked for by the request in flight.
    asked: bool,
    missing: u32,
}

/// Asks for metadata when it is due and keeps what came.
#[derive(Debug)]
pub struct MetadataCore {
    snapshot: Arc<ClusterMetadata>,
    wanted: BTreeMap<ByteStr, Interest>,
    /// Who wants every topic.
    wants_all: usize,
    max_age: Duration,
    allow_auto_create: bool,
    backoff: Backoff,
    /// When to ask next.
    due: Instant,
    in_flight: bool,
    first: First,
    /// The request in flight asks for every topic.
    asked_all: bool,
    /// Something was asked for while a request was already on its way.
    again: bool,
    /// Something showed that the metadata is old while a request was already on its way: its answer may be as old.
    doubted: bool,
}

impl MetadataCore {
    /// Knows nothing yet and wants to.
    pub fn new(max_age: Duration, allow_auto_create: bool, backoff: Backoff) -> Self {
        Self {
            snapshot: Arc::default(),
            wanted: BTreeMap::new(),
            wants_all: 0,
            max_age,
            allow_auto_create,
            backoff,
            due: Instant(0),
            in_flight: false,
            first: First::Due,
            asked_all: false,
            again: false,
            doubted: false,
        }
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> &Arc<ClusterMetadata> {
        &self.snapshot
    }

    /// A topic is of interest from now on: ask for it at once.
    pub fn want(&mut self, now: Now, topic: &ByteStr) {
        let known = self.snapshot.topics.contains_key(topic);
        let interest = self.wanted.entry(topic.clone()).or_default();
        interest.users += 1;
        let on_its_way = self.in_flight && interest.asked;
        if !known && !on_its_way {
            self.hurry(now);
        }
    }

    /// A topic is of interest to one less.
    pub fn unwant(&mut self, topic: &ByteStr) {
        if let Some(interest) = self.wanted.get_mut(topic) {
            interest.users = interest.users.saturating_sub(1);
            if interest.users == 0 {
                self.wanted.remove(topic);
            }
        }
    }

    /// Every topic is of interest from now on.
    pub fn want_all(&mut self, now: Now) {
        self.wants_all += 1;
        self.hurry(now);
    }

    /// Every topic is of interest to one less.
    pub fn unwant_all(&mut self) {
        self.wants_all = self.wants_all.saturating_sub(1);
    }

    /// Somebody waits for the brokers.
    pub fn need_brokers(&mut self, now: Now) {
        if self.first != First::Sent {
            self.first = First::Sent;
            self.hurry(now);
        }
    }

    fn hurry(&mut self, now: Now) {
        if self.in_flight {
            self.again = true;
        } else {
            self.due = self.due.min(now.instant());
        }
    }

    /// Something showed that the metadata is old: ask again after the pause that keeps this from being a storm.
    pub fn refresh(&mut self, now: Now) {
        if self.in_flight {
            self.doubted = true;
        } else {
            self.due = self.due.min(now.instant() + self.backoff.first());
        }
    }

    /// A response named a newer leader (KIP-951). One of the same epoch changes nothing; tells whether the snapshot is a new one.
    pub fn handle_leader_hint(&mut self, hint: LeaderHint) -> bool {
        let LeaderHint { topic, index, leader, leader_epoch, at } = hint;
        let Some(known) = self.snapshot.partition(&topic, index) else {
            return false;
        };
        let reachable = at.is_some() || self.snapshot.brokers.contains_key(&leader);
        if leader_epoch <= known.leader_epoch || leader < 0 || !reachable {
            return false;
        }
        let mut snapshot = ClusterMetadata::clone(&self.snapshot);
        if let Some(broker) = at {
            snapshot.brokers.insert(broker.id, broker);
        }
        if let Some(entry) = snapshot.topics.get_mut(&topic)
            && let Some(p) = usize::try_from(index).ok().and_then(|i| Arc::make_mut(entry).partitions.get_mut(i))
        {
            p.leader = Some(leader);
            p.leader_epoch = leader_epoch;
        }
        snapshot.version += 1;
        self.snapshot = Arc::new(snapshot);
        true
    }

    /// The request to send, if one is due.
    pub fn poll_request(&mut self, now: Now) -> Option<MetadataRequest> {
        if self.in_flight || self.due > now.instant() {
            return None;
        }
        if self.first == First::Due && self.wanted.is_empty() && self.wants_all == 0 {
            self.first = First::Waiting;
            self.due = now.instant() + FIRST_TOPIC_PAUSE;
            return None;
        }
        self.first = First::Sent;
        self.in_flight = true;
        self.again = false;
        self.doubted = false;
        self.asked_all = self.wants_all > 0;
        self.wanted.values_mut().for_each(|interest| interest.asked = true);
        let named =
            |name: &ByteStr| metadata::request::MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        Some(MetadataRequest {
            topics: (!self.asked_all).then(|| self.wanted.keys().map(named).collect()),
            allow_auto_topic_creation: self.allow_auto_create,
            ..MetadataRequest::default()
        })
    }

    /// An answer came: true where the snapshot has changed.
    pub fn handle_response(&mut self, now: Now, response: &MetadataResponse) -> bool {
        self.in_flight = false;
        if response.brokers.is_empty() {
            // A broker that is starting up knows of nobody yet.
            self.due = now.instant() + self.backoff.next();
            return false;
        }
        let mut snapshot = ClusterMetadata {
            cluster_id: response.cluster_id.clone().or_else(|| self.snapshot.cluster_id.clone()),
            controller: (response.controller_id >= 0).then_some(response.controller_id),
            brokers: response.brokers.iter().map(listed).collect(),
            complete: self.asked_all,
            version: self.snapshot.version + 1,
            ..ClusterMetadata::default()
        };
        for (name, topic) in &self.snapshot.topics {
            if self.wanted.contains_key(name) {
                snapshot.topics.insert(name.clone(), topic.clone());
            }
        }
        let mut retry = false;
        // An answer about every topic leaves out those that do not exist.
        let listed: BTreeSet<&ByteStr> = response.topics.iter().filter_map(|topic| topic.name.as_ref()).collect();
        let left_out: Vec<ByteStr> = if self.asked_all {
            self.wanted.keys().filter(|name| !listed.contains(*name)).cloned().collect()
        } else {
            Vec::new()
        };
        for name in left_out {
            retry |= self.miss(&mut snapshot, &name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        for topic in &response.topics {
            let Some(name) = &topic.name else { continue };
            if let Err(code) = topic.error_code.ok() {
                retry |= self.miss(&mut snapshot, name, code);
                continue;
            }
            if let Some(interest) = self.wanted.get_mut(name) {
                interest.missing = 0;
            }
            let merged = merge(snapshot.topics.get(name).map(Arc::as_ref), name, topic);
            // A leader that nobody can find is none: what was known of a newer epoch may name a broker that this answer leaves out.
            let is_led = |p: &Partition| p.leader.is_some_and(|leader| snapshot.brokers.contains_key(&leader));
            retry |= !merged.partitions.iter().all(is_led);
            snapshot.topics.insert(name.clone(), Arc::new(merged));
        }
        snapshot.names =
            snapshot.topics.values().filter(|t| t.id != Uuid::default()).map(|t| (t.id, t.name.clone())).collect();
        self.snapshot = Arc::new(snapshot);
        // A topic that was just created takes its time: asking before the first pause is over is of no use.
        let pause = if retry { self.backoff.next().max(self.backoff.first()) } else { self.max_age };
        if !retry {
            self.backoff.reset();
        }
        let pause = if self.doubted { pause.min(self.backoff.first()) } else { pause };
        self.due = if self.again { now.instant() } else { now.instant() + pause };
        true
    }

    /// An answer to a question of the application's came: its brokers are the newest that are known. True where the snapshot has changed.
    pub fn learn_brokers(&mut self, now: Now, response: &MetadataResponse) -> bool {
        let brokers: BTreeMap<_, _> = response.brokers.iter().map(listed).collect();
        if brokers == self.snapshot.brokers || brokers.is_empty() {
            return false;
        }
        if self.first == First::Waiting && self.wanted.is_empty() {
            // The first request would hear the same.
            self.first = First::Sent;
            self.due = now.instant() + self.max_age;
        }
        let mut snapshot = ClusterMetadata::clone(&self.snapshot);
        snapshot.cluster_id = response.cluster_id.clone().or(snapshot.cluster_id);
        snapshot.controller = (response.controller_id >= 0).then_some(response.controller_id);
        snapshot.brokers = brokers;
        snapshot.version += 1;
        self.snapshot = Arc::new(snapshot);
        true
    }

    /// An answer has an error for a topic. Tells whether to ask again soon.
    fn miss(&mut self, snapshot: &mut ClusterMetadata, name: &ByteStr, code: ErrorCode) -> bool {
        // One opinion is not enough to forget a topic that others have shown.
        let missing = self.wanted.get_mut(name).map_or(FORGET_AFTER, |interest| {
            interest.missing += 1;
            interest.missing
        });
        if missing >= FORGET_AFTER || !snapshot.topics.contains_key(name) {
            snapshot.topics.remove(name);
            snapshot.errors.insert(name.clone(), code);
        }
        code.is_retriable()
    }

    /// The request was not answered.
    pub fn handle_failure(&mut self, now: Now) {
        self.in_flight = false;
        self.due = now.instant() + self.backoff.next();
    }

    /// When to call [`Self::poll_request`] next; `None` while an answer is awaited.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.in_flight).then_some(self.due)
    }
}

fn listed(broker: &metadata::response::MetadataResponseBroker) -> (BrokerId, Broker) {
    let (id, host, rack) = (broker.node_id, broker.host.clone(), broker.rack.clone());
    (id, Broker { id, host, port: broker.port, rack })
}

/// A topic as this response has it, over what was known.
fn merge(known: Option<&Topic>, name: &ByteStr, topic: &metadata::response::MetadataResponseTopic) -> Topic {
    // Another id is another topic of the same name: nothing that was known of the old one holds.
    let known = known.filter(|known| known.id == topic.topic_id || topic.topic_id == Uuid::default());
    let mut merged = Topic {
        name: name.clone(),
        id: topic.topic_id,
        is_internal: topic.is_internal,
        partitions: known.map(|known| known.partitions.clone()).unwrap_or_default(),
    };
    // A hostile number must not make a large table: no index at or above the count of entries plus what is known is real.
    let bound = merged.partitions.len().max(topic.partitions.len());
    merged.partitions.resize_with(bound, || Partition { leader_epoch: -1, ..Partition::default() });
    for p in &topic.partitions {
        let Some(slot) = usize::try_from(p.partition_index).ok().and_then(|i| merged.partitions.get_mut(i)) else {
            continue;
        };
        if p.leader_epoch != -1 && p.leader_epoch < slot.leader_epoch {
            continue;
        }
        *slot = Partition {
            leader: (p.leader_id >= 0).then_some(p.leader_id),
            leader_epoch: p.leader_epoch,
            replicas: p.replica_nodes.clone(),
            in_sync_replicas: p.isr_nodes.clone(),
        };
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use metadata::response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};

    fn response(epoch: i32, leader: i32) -> MetadataResponse {
        MetadataResponse {
            brokers: vec![MetadataResponseBroker { node_id: 1, host: "h".into(), port: 9, ..Default::default() }],
            topics: vec![MetadataResponseTopic {
                name: Some("t".into()),
                partitions: vec![MetadataResponsePartition {
                    leader_id: leader,
                    leader_epoch: epoch,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn core() -> MetadataCore {
        MetadataCore::new(
            Duration::from_secs(300),
            false,
            Backoff::new(Duration::from_millis(100), Duration::from_secs(1), 1),
        )
    }

    #[test]
    fn an_older_epoch_does_not_replace_a_leader() {
        let (mut core, now) = (core(), Now::default());
        core.want(now, &"t".into());
        assert!(core.poll_request(now).is_some());
        assert!(core.handle_response(now, &response(5, 1)));
        assert!(core.handle_response(now, &response(4, 2)));
        assert_eq!(core.snapshot().partition("t", 0).unwrap().leader, Some(1));
    }

    #[test]
    fn one_answer_that_leaves_a_topic_out_does_not_forget_it() {
        let (mut core, now) = (core(), Now::default());
        core.want(now, &"t".into());
        core.handle_response(now, &response(5, 1));
        let mut gone = response(5, 1);
        gone.topics[0].error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        core.handle_response(now, &gone);
        assert!(core.snapshot().topics.contains_key("t"));
        core.handle_response(now, &gone);
        core.handle_response(now, &gone);
        assert!(!core.snapshot().topics.contains_key("t"));
    }

    #[test]
    fn a_leader_that_nobody_can_find_is_asked_for_again_soon() {
        let (mut core, now) = (core(), Now::default());
        core.want(now, &"t".into());
        let _ = core.poll_request(now);
        core.handle_response(now, &response(5, 2));
        let due = core.poll_timeout().unwrap();
        assert!(due - now.instant() < Duration::from_millis(200), "broker 2 is not among the brokers");
        let _ = core.poll_request(now);
        core.handle_response(now, &response(5, 1));
        assert!(core.poll_timeout().unwrap() - now.instant() > Duration::from_secs(1));
    }

    #[test]
    fn a_doubt_that_comes_while_an_answer_is_awaited_is_not_forgotten() {
        let (mut core, mut now) = (core(), Now::default());
        core.want(now, &"t".into());
        assert!(core.poll_request(now).is_some());
        core.refresh(now);
        core.handle_response(now, &response(5, 1));
        let due = core.poll_timeout().unwrap();
        assert!(due - now.instant() < Duration::from_millis(200));
        now.monotonic_nanos = due.0;
        assert!(core.poll_request(now).is_some());
        core.handle_response(now, &response(5, 1));
        assert!(core.poll_timeout().unwrap() - now.instant() > Duration::from_secs(1), "asked once more, not for ever");
    }

    #[test]
    fn the_first_request_waits_a_moment_for_a_topic() {
        let (mut core, now) = (core(), Now::default());
        assert!(core.poll_request(now).is_none());
        assert!(core.poll_timeout().unwrap() > now.instant());
        core.want(now, &"t".into());
        assert_eq!(core.poll_request(now).unwrap().topics.unwrap().len(), 1);

        let mut core = self::core();
        assert!(core.poll_request(now).is_none());
        core.need_brokers(now);
        assert!(core.poll_request(now).is_some(), "a call waits for the brokers");

        let mut core = self::core();
        core.need_brokers(now);
        assert!(core.poll_request(now).is_some(), "the call came first");
    }

    #[test]
    fn an_answer_to_somebody_else_is_as_good_as_that_to_the_first_request() {
        let (mut core, now) = (core(), Now::default());
        assert!(core.poll_request(now).is_none());
        assert!(core.learn_brokers(now, &response(5, 1)));
        assert!(core.snapshot().brokers.contains_key(&1));
        assert!(core.poll_timeout().unwrap() - now.instant() > Duration::from_secs(1));
    }

    #[test]
    fn a_topic_that_a_second_one_wants_while_it_is_asked_for_is_not_asked_for_again() {
        let (mut core, now) = (core(), Now::default());
        core.want(now, &"t".into());
        assert!(core.poll_request(now).is_some());
        core.want(now, &"t".into());
        core.handle_response(now, &response(5, 1));
        assert!(core.poll_request(now).is_none());

        core.refresh(now);
        let later = Now { monotonic_nanos: core.poll_timeout().unwrap().0, ..now };
        assert!(core.poll_request(later).is_some());
        core.want(later, &"u".into());
        core.handle_response(later, &response(5, 1));
        assert!(core.poll_request(later).is_some(), "the request on its way does not ask for this one");
    }

    #[test]
    fn an_unknown_topic_is_asked_for_again_soon() {
        let (mut core, now) = (core(), Now::default());
        core.want(now, &"t".into());
        let mut gone = response(5, 1);
        gone.topics[0].error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        core.handle_response(now, &gone);
        let due = core.poll_timeout().unwrap();
        assert!(due - now.instant() < Duration::from_millis(200));
    }
}
