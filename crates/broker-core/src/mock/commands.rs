//! What a test can do to the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{ApiKey, CreateTopicsRequest};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::Now;

use super::faults::{Fault, Injected};
use super::placement::{Leader, NOBODY, Place};
use super::{MockCore, TrackedRequest};
use crate::controller::NewTopic;
use crate::coordinator;

/// What a coordinator coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoordinatorKind {
    /// The consumer group of this id.
    Group,
    /// The producer of this transactional id.
    Transaction,
}

impl CoordinatorKind {
    /// The type in FindCoordinator.
    pub(super) fn from_wire(kind: i8) -> Option<Self> {
        match kind {
            0 => Some(Self::Group),
            1 => Some(Self::Transaction),
            _ => None,
        }
    }
}

/// The nodes.
impl MockCore {
    /// Adds a node that listens there; the first becomes the controller. With partitions on the cluster, they are spread over all nodes again.
    /// False where the id is taken.
    pub fn add_node(&mut self, now: Now, id: i32, host: &str, port: u16) -> bool {
        if self.nodes.contains(id) {
            return false;
        }
        self.nodes.insert(id, host.to_owned(), port);
        if self.controller == NOBODY {
            self.controller = id;
        }
        self.spread_again(now);
        true
    }

    /// Takes a node away for good: its connections are closed, its partitions go to the others. False where there is none.
    pub fn remove_node(&mut self, now: Now, id: i32) -> bool {
        if !self.nodes.remove(id) {
            return false;
        }
        self.coordinators.retain(|_, node| *node != id);
        if self.controller == id {
            self.controller = self.nodes.ids().first().copied().unwrap_or(NOBODY);
        }
        self.close_connections(now, id, "the node was taken away");
        self.spread_again(now);
        true
    }

    /// The ids of all nodes.
    pub fn nodes(&self) -> Vec<i32> {
        self.nodes.ids()
    }

    /// Says whether a node is up. One that goes down closes its connections and is in no Metadata; it goes on to lead what it leads.
    ///
    /// # Errors
    /// `BROKER_NOT_AVAILABLE` where there is no such node.
    pub fn set_up(&mut self, now: Now, id: i32, is_up: bool) -> Result<(), ErrorCode> {
        let node = self.nodes.get_mut(id).ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
        node.is_up = is_up;
        if !is_up {
            self.close_connections(now, id, "the node is down");
        }
        Ok(())
    }

    /// Says how long a round trip to the node takes: its answers leave so much later.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub fn set_rtt(&mut self, now: Now, id: i32, rtt: Duration) -> Result<(), ErrorCode> {
        self.nodes.get_mut(id).ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?.rtt = rtt;
        self.settle(now);
        Ok(())
    }

    /// Says which rack Metadata tells of a node.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub fn set_rack(&mut self, id: i32, rack: Option<&str>) -> Result<(), ErrorCode> {
        self.nodes.get_mut(id).ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?.rack = rack.map(str::to_owned);
        Ok(())
    }

    /// Says which address the cluster tells of a node; it listens where it does.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub fn set_address(&mut self, id: i32, host: &str, port: u16) -> Result<(), ErrorCode> {
        let node = self.nodes.get_mut(id).ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
        (node.host, node.port) = (host.to_owned(), port);
        Ok(())
    }

    /// Says whether Metadata tells of a node that is up. One of which it does not leads nothing, but goes on to serve its connections.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub fn set_listed(&mut self, now: Now, id: i32, is_listed: bool) -> Result<(), ErrorCode> {
        self.nodes.get_mut(id).ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?.is_listed = is_listed;
        self.spread_again(now);
        Ok(())
    }

    /// Says which node Metadata calls the controller; it need not be there.
    pub fn set_controller(&mut self, id: i32) {
        self.controller = id;
    }

    fn close_connections(&mut self, now: Now, node: i32, why: &str) {
        let at_node = self.links.iter().filter(|(_, link)| link.node == node).map(|(connection, _)| *connection);
        for connection in at_node.collect::<Vec<_>>() {
            self.close(now, connection, why.to_owned());
        }
        self.settle(now);
    }

    fn spread_again(&mut self, now: Now) {
        for (topic, partition) in self.places.replace_all(&self.nodes.leading()) {
            self.moved(now, &topic, partition);
        }
    }
}

/// Topics and partitions.
impl MockCore {
    /// Makes a topic.
    ///
    /// # Errors
    /// As CreateTopics: `TOPIC_ALREADY_EXISTS`, `INVALID_PARTITIONS`, `INVALID_REPLICATION_FACTOR`, `INVALID_TOPIC_EXCEPTION`.
    pub fn create_topic(&mut self, now: Now, name: &str, partitions: i32, replicas: i16) -> Result<(), ErrorCode> {
        let replicas = usize::try_from(replicas).ok().filter(|count| *count > 0);
        let replicas = replicas.ok_or(ErrorCode::INVALID_REPLICATION_FACTOR)?;
        if partitions < 1 {
            return Err(ErrorCode::INVALID_PARTITIONS);
        }
        let new = NewTopic { name: name.into(), partitions, configs: BTreeMap::new() };
        self.core.create_topic(now, new).map_err(|error| error.code)?;
        self.places.set_replicas(name, replicas);
        self.settle(now);
        Ok(())
    }

    /// Deletes a topic with all that is in it.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn delete_topic(&mut self, now: Now, name: &str) -> Result<(), ErrorCode> {
        let id = self.core.topics.id_of(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        self.core.delete_topic(now, id).map_err(|error| error.code)?;
        let topics = &self.core.topics;
        self.places.retain(|topic| topics.by_name(topic).is_some());
        self.settle(now);
        Ok(())
    }

    /// Deletes the records in front of an offset; -1 is the high watermark.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, `OFFSET_OUT_OF_RANGE`.
    pub fn delete_records(&mut self, name: &str, partition: i32, before: i64) -> Result<(), ErrorCode> {
        let id = self.core.topics.id_of(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let partition = self.core.topics.partition_mut(&id, partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        partition.delete_records_before(before).map(drop)
    }

    /// The log start offset and the high watermark of a partition.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn watermarks(&self, name: &str, partition: i32) -> Result<(i64, i64), ErrorCode> {
        let partition = self.partition(name, partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        Ok((partition.log_start_offset(), partition.high_watermark()))
    }

    /// Says with which error Metadata tells of a topic; [`ErrorCode::NONE`] takes that back. The topic is made where it is not there.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn set_topic_error(&mut self, now: Now, name: &str, code: ErrorCode) -> Result<(), ErrorCode> {
        self.ensure_topic(now, name, self.core.config.num_partitions())?;
        if code.is_ok() {
            self.topic_errors.remove(name);
        } else {
            self.topic_errors.insert(name.into(), code);
        }
        Ok(())
    }

    /// Says who leads a partition, `None` for nobody, and begins a leader epoch. The topic is made where it is not there.
    ///
    /// # Errors
    /// `BROKER_NOT_AVAILABLE` where there is no such node, `UNKNOWN_TOPIC_OR_PARTITION` where the topic has no such partition.
    pub fn set_leader(&mut self, now: Now, topic: &str, partition: i32, node: Option<i32>) -> Result<(), ErrorCode> {
        self.ensure_partition(now, topic, partition)?;
        if node.is_some_and(|node| !self.nodes.contains(node)) {
            return Err(ErrorCode::BROKER_NOT_AVAILABLE);
        }
        self.place(topic, partition).leader = node.unwrap_or(NOBODY);
        self.moved(now, topic, partition);
        Ok(())
    }

    /// Who leads a partition.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn leader_of(&mut self, topic: &str, partition: i32) -> Result<Option<i32>, ErrorCode> {
        self.partition(topic, partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let leader = self.place(topic, partition).leader;
        Ok((leader != NOBODY).then_some(leader))
    }

    /// Says to which node the leader sends consumers, `None` for no other (KIP-392); it need not be there. The topic is made where it is not.
    ///
    /// # Errors
    /// As [`set_leader`](Self::set_leader).
    pub fn set_follower(&mut self, now: Now, topic: &str, partition: i32, node: Option<i32>) -> Result<(), ErrorCode> {
        self.ensure_partition(now, topic, partition)?;
        self.place(topic, partition).follower = node.unwrap_or(NOBODY);
        Ok(())
    }

    /// Says what the follower has of a partition; `None` is what the leader has.
    ///
    /// # Errors
    /// As [`set_leader`](Self::set_leader).
    pub fn set_follower_watermarks(
        &mut self,
        now: Now,
        topic: &str,
        partition: i32,
        start: Option<i64>,
        end: Option<i64>,
    ) -> Result<(), ErrorCode> {
        self.ensure_partition(now, topic, partition)?;
        let place = self.place(topic, partition);
        (place.follower_start, place.follower_end) = (start, end);
        Ok(())
    }

    /// Says what the next answer that names the partition's leader tells, whatever is true; answers that are said one after the other are
    /// given one after the other.
    ///
    /// # Errors
    /// As [`set_leader`](Self::set_leader).
    pub fn push_leader_answer(
        &mut self,
        now: Now,
        topic: &str,
        partition: i32,
        node: i32,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        self.ensure_partition(now, topic, partition)?;
        self.place(topic, partition).told.push_back(Leader { node, epoch });
        Ok(())
    }

    pub(super) fn place(&mut self, topic: &str, partition: i32) -> &mut Place {
        self.places.get(&self.nodes.leading(), topic, partition)
    }

    /// Takes the nodes out of a CreateTopics request, which the broker would refuse, and remembers them. Gives the numbers of replicas.
    pub(super) fn place_new_topics(&mut self, request: &mut CreateTopicsRequest) -> BTreeMap<ByteStr, i16> {
        let nodes = self.nodes.ids();
        let mut counts = BTreeMap::new();
        for topic in &mut request.topics {
            let is_new = self.core.topics.by_name(&topic.name).is_none() && !request.validate_only;
            let assigned = &topic.assignments;
            let is_valid = assigned.iter().all(|a| !a.broker_ids.is_empty())
                && assigned.iter().flat_map(|a| &a.broker_ids).all(|id| nodes.contains(id));
            let numbered = assigned.iter().map(|a| a.partition_index).collect::<BTreeSet<i32>>();
            let count = i32::try_from(assigned.len()).unwrap_or(i32::MAX);
            if !assigned.is_empty() {
                // What is wrong with it the broker says.
                if !is_valid || topic.num_partitions != -1 || !numbered.into_iter().eq(0..count) {
                    continue;
                }
                for assignment in std::mem::take(&mut topic.assignments) {
                    counts.insert(topic.name.clone(), i16::try_from(assignment.broker_ids.len()).unwrap_or(1));
                    if is_new {
                        self.places.put(&topic.name, assignment.partition_index, assignment.broker_ids);
                    }
                }
                (topic.num_partitions, topic.replication_factor) = (count, 1);
                continue;
            }
            let factor = match topic.replication_factor {
                -1 => nodes.len().min(3),
                factor => usize::try_from(factor).unwrap_or(0),
            };
            if (1..=nodes.len()).contains(&factor) {
                topic.replication_factor = 1;
                counts.insert(topic.name.clone(), i16::try_from(factor).unwrap_or(1));
                if is_new {
                    self.places.set_replicas(&topic.name, factor);
                }
            }
        }
        counts
    }

    fn ensure_topic(&mut self, now: Now, name: &str, partitions: i32) -> Result<(), ErrorCode> {
        if self.core.topics.by_name(name).is_some() {
            return Ok(());
        }
        let new = NewTopic { name: name.into(), partitions, configs: BTreeMap::new() };
        let made = self.core.create_topic(now, new).map(drop).map_err(|error| error.code);
        self.settle(now);
        made
    }

    fn ensure_partition(&mut self, now: Now, topic: &str, partition: i32) -> Result<(), ErrorCode> {
        if partition < 0 {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        self.ensure_topic(now, topic, partition.saturating_add(1))?;
        self.partition(topic, partition).map(drop).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }

    /// The partition has another leader: a new epoch begins, and who waits at the old one hears of it.
    fn moved(&mut self, now: Now, topic: &str, partition: i32) {
        self.moves += 1;
        let Some(id) = self.core.topics.id_of(topic) else { return };
        if let Some(partition) = self.core.topics.partition_mut(&id, partition) {
            // In memory, where this log is, nothing of it fails.
            let _ = partition.begin_leader_epoch();
        }
        self.core.complete_waiting((id, partition));
        self.settle(now);
    }
}

/// Faults, versions, tracking.
impl MockCore {
    /// Spoils the next requests of an API, wherever they go, each with one of the faults.
    pub fn push_faults(&mut self, api_key: ApiKey, faults: impl IntoIterator<Item = Fault>) {
        self.faults.push(api_key, faults);
    }

    /// Spoils the next requests of an API that reach a node, each with one of the faults, answered after the time beside it.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub fn push_node_faults(
        &mut self,
        node: i32,
        api_key: ApiKey,
        faults: impl IntoIterator<Item = (Fault, Duration)>,
    ) -> Result<(), ErrorCode> {
        self.nodes.get(node).ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
        let faults = faults.into_iter().map(|(fault, delay)| Injected { fault, delay });
        self.faults.push_to_node(node, api_key, faults);
        Ok(())
    }

    /// Spoils a partition's part of the next requests of an API (Produce, Fetch, ListOffsets, OffsetForLeaderEpoch, DeleteRecords).
    ///
    /// # Errors
    /// As [`set_leader`](Self::set_leader).
    pub fn push_partition_errors(
        &mut self,
        now: Now,
        topic: &str,
        partition: i32,
        api_key: ApiKey,
        codes: impl IntoIterator<Item = ErrorCode>,
    ) -> Result<(), ErrorCode> {
        self.ensure_partition(now, topic, partition)?;
        self.faults.push_to_partition(topic, partition, api_key, codes);
        Ok(())
    }

    /// Takes back the faults of [`push_faults`](Self::push_faults) that nobody has met.
    pub fn clear_faults(&mut self, api_key: ApiKey) {
        self.faults.clear(api_key);
    }

    /// How many faults of [`push_node_faults`](Self::push_node_faults) nobody has met.
    ///
    /// # Errors
    /// As [`set_up`](Self::set_up).
    pub fn node_faults(&self, node: i32, api_key: ApiKey) -> Result<usize, ErrorCode> {
        self.nodes.get(node).ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
        Ok(self.faults.at_node(node, api_key))
    }

    /// Offers an API in these versions only, as far as the broker has them; `None` offers it not at all.
    pub fn set_versions(&mut self, api_key: ApiKey, versions: Option<(i16, i16)>) {
        self.versions.insert(api_key, versions);
    }

    /// Forgets what was tracked, and tracks requests from now on.
    pub fn start_tracking(&mut self) {
        self.tracked = Some(Vec::new());
    }

    /// Ends that, and forgets.
    pub fn stop_tracking(&mut self) {
        self.tracked = None;
    }

    /// Forgets what was tracked, and goes on.
    pub fn clear_requests(&mut self) {
        self.tracked.iter_mut().for_each(Vec::clear);
    }

    /// The requests that have come since tracking began.
    pub fn requests(&self) -> Vec<TrackedRequest> {
        self.tracked.clone().unwrap_or_default()
    }
}

/// Groups.
impl MockCore {
    /// Says which node coordinates a group or a transactional id; it need not be there.
    pub fn set_coordinator(&mut self, kind: CoordinatorKind, key: &str, node: i32) {
        self.coordinators.insert((kind, key.into()), node);
    }

    /// Says whether OffsetFetch tells the partition's leader epoch of now beside each committed offset, whatever was committed, as librdkafka's
    /// mock cluster does.
    pub fn set_current_epochs(&mut self, current_epochs: bool) {
        self.current_epochs = current_epochs;
    }

    /// `group.initial.rebalance.delay.ms`, from the next empty group on.
    pub fn set_initial_rebalance_delay(&mut self, delay: Duration) {
        self.core.coordination.groups.config_mut().initial_rebalance_delay = delay;
    }

    /// `group.consumer.session.timeout.ms`, from each member's next heartbeat on.
    pub fn set_consumer_session_timeout(&mut self, timeout: Duration) {
        self.core.coordination.groups.config_mut().consumer.session_timeout = timeout;
    }

    /// `group.consumer.heartbeat.interval.ms`, from each member's next heartbeat on.
    pub fn set_consumer_heartbeat_interval(&mut self, interval: Duration) {
        let millis = i32::try_from(interval.as_millis()).unwrap_or(i32::MAX);
        self.core.coordination.groups.config_mut().consumer.heartbeat_interval_ms = millis;
    }

    /// Says what the members of a group of the consumer protocol (KIP-848) are to have, from their next heartbeats on; members that are not
    /// named have nothing.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND` where there is no such group, `UNKNOWN_TOPIC_OR_PARTITION` where there is no such topic.
    pub fn set_target_assignment<'a>(
        &mut self,
        now: Now,
        group: &str,
        target: impl IntoIterator<Item = (&'a str, Vec<(&'a str, i32)>)>,
    ) -> Result<(), ErrorCode> {
        let mut members: BTreeMap<ByteStr, BTreeMap<Uuid, BTreeSet<i32>>> = BTreeMap::new();
        for (member, partitions) in target {
            let member = members.entry(member.into()).or_default();
            for (topic, partition) in partitions {
                let id = self.core.topics.id_of(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
                member.entry(id).or_default().insert(partition);
            }
        }
        self.give_target(now, group, Some(members))
    }

    /// Leaves what the members of a group of the consumer protocol have to its assignor again.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND` where there is no such group.
    pub fn clear_target_assignment(&mut self, now: Now, group: &str) -> Result<(), ErrorCode> {
        self.give_target(now, group, None)
    }

    fn give_target(
        &mut self,
        now: Now,
        group: &str,
        target: Option<BTreeMap<ByteStr, BTreeMap<Uuid, BTreeSet<i32>>>>,
    ) -> Result<(), ErrorCode> {
        if !self.core.coordination.groups.set_target(group, target) {
            return Err(ErrorCode::GROUP_ID_NOT_FOUND);
        }
        coordinator::run(&mut self.core, now);
        self.settle(now);
        Ok(())
    }
}
