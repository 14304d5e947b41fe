//! One member, an application that keeps account of what it was told, and a clock that only the test moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use felice_client_core::config::{ConsumerConfig, Properties};
use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::assignor::protocol::encode_assignment;
use felice_client_core::consumer::assignor::{Assignment, Assignor};
use felice_client_core::consumer::group::request::{GroupOut, GroupRequest, GroupResponse, GroupTarget};
use felice_client_core::consumer::group::{GroupEvent, GroupMember, ProposalId, Subscription};
use felice_client_core::error::{Error, ErrorKind};
use felice_client_core::metadata::{Broker, ClusterMetadata, Partition, Topic};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::*;
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::Now;

pub(crate) fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

pub(crate) fn uuid(n: u8) -> Uuid {
    Uuid([n; 16])
}

pub(crate) fn config(values: &[(&str, &str)]) -> ConsumerConfig {
    let mut p = Properties::default();
    for (name, value) in
        [("group.id", "g"), ("session.timeout.ms", "10000"), ("max.poll.interval.ms", "60000")].iter().chain(values)
    {
        p.set(name, value).unwrap();
    }
    p.consumer_config().unwrap()
}

/// Topics by name: id and number of partitions.
pub(crate) fn cluster(topics: &[(&str, u8, usize)]) -> Arc<ClusterMetadata> {
    let mut metadata = ClusterMetadata { complete: true, ..ClusterMetadata::default() };
    metadata.brokers.insert(1, Broker { id: 1, host: "h".into(), port: 1, rack: None });
    for (name, id, partitions) in topics {
        let partitions = vec![Partition { leader: Some(1), ..Partition::default() }; *partitions];
        let topic = Topic { name: (*name).into(), id: uuid(*id), partitions, ..Topic::default() };
        metadata.names.insert(uuid(*id), (*name).into());
        metadata.topics.insert((*name).into(), Arc::new(topic));
    }
    Arc::new(metadata)
}

pub(crate) fn missing(topics: &[(&str, u8, usize)], gone: &str) -> Arc<ClusterMetadata> {
    let mut metadata = ClusterMetadata::clone(&cluster(topics));
    metadata.errors.insert(gone.into(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    Arc::new(metadata)
}

pub(crate) struct World {
    pub(crate) member: GroupMember,
    pub(crate) now: Now,
    /// What the application believes to have.
    pub(crate) has: BTreeSet<TopicPartition>,
    pub(crate) events: Vec<GroupEvent>,
    /// Whether the application accepts at once.
    pub(crate) obedient: bool,
    /// A Revoke that waits for the application.
    /// What it has given up; the member may hold it until its commits are answered.
    pub(crate) parting: BTreeSet<TopicPartition>,
    revoking: Option<(ProposalId, Vec<TopicPartition>)>,
    pub(crate) waiting: Vec<GroupOut>,
}

impl World {
    pub(crate) fn new(config: ConsumerConfig) -> Self {
        Self::with(config, Vec::new())
    }

    pub(crate) fn with(config: ConsumerConfig, custom: Vec<Assignor>) -> Self {
        let member = GroupMember::new(config, custom, cluster(&[("t", 1, 3)]), 7).unwrap();
        Self {
            member,
            now: Now::default(),
            has: BTreeSet::new(),
            events: Vec::new(),
            obedient: true,
            parting: BTreeSet::new(),
            revoking: None,
            waiting: Vec::new(),
        }
    }

    pub(crate) fn subscribe(&mut self, topics: &[&str]) {
        let topics: BTreeSet<ByteStr> = topics.iter().map(|t| ByteStr::from(*t)).collect();
        self.member.subscribe(self.now, Subscription::Topics(topics)).unwrap();
        self.run();
    }

    /// Takes events, checks the account, and answers proposals where the application is obedient.
    pub(crate) fn run(&mut self) {
        loop {
            while let Some(event) = self.member.poll_event() {
                let accept = self.book(&event);
                // It only says what can be read in the requests.
                if !matches!(event, GroupEvent::Acknowledging) {
                    self.events.push(event);
                }
                if let Some(id) = accept.filter(|_| self.obedient) {
                    self.accept(id);
                }
            }
            match self.member.poll_request(self.now, &mut |_| true) {
                Some(out) => self.waiting.push(out),
                None => break,
            }
        }
    }

    fn book(&mut self, event: &GroupEvent) -> Option<ProposalId> {
        match event {
            GroupEvent::Assign { id, partitions, .. } => {
                self.parting.clear();
                for p in partitions {
                    assert!(self.has.insert(p.clone()), "{p} is assigned twice");
                }
                Some(*id)
            }
            GroupEvent::Revoke { id, partitions, .. } => {
                for p in partitions {
                    assert!(self.has.contains(p), "{p} is revoked, but was never given");
                }
                self.revoking = Some((*id, partitions.clone()));
                Some(*id)
            }
            GroupEvent::Lost { id, partitions, .. } => {
                self.revoking = None;
                for p in partitions {
                    assert!(self.has.remove(p), "{p} is lost, but was not there");
                }
                Some(*id)
            }
            _ => None,
        }
    }

    pub(crate) fn accept(&mut self, id: ProposalId) {
        if let Some((_, partitions)) = self.revoking.take_if(|(revoking, _)| *revoking == id) {
            for p in partitions {
                self.has.remove(&p);
                self.parting.insert(p);
            }
        }
        self.member.accept(self.now, id);
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now.monotonic_nanos += u64::try_from(time.as_nanos()).unwrap();
        self.member.handle_timeout(self.now);
        self.run();
    }

    /// Lets time pass to the member's next deadline.
    pub(crate) fn wait(&mut self) {
        let at = self.member.poll_timeout(self.now).expect("a deadline");
        self.pass(at.since(self.now.instant()));
    }

    /// Waits until a request of this kind is on its way, and takes it.
    pub(crate) fn request<R>(&mut self, pick: impl Fn(&GroupRequest) -> Option<R>) -> (u64, R) {
        self.run();
        for _ in 0..1000 {
            if let Some(i) = self.waiting.iter().position(|out| pick(&out.request).is_some()) {
                let out = self.waiting.remove(i);
                return (out.id, pick(&out.request).unwrap());
            }
            self.wait();
        }
        panic!("no such request; waiting: {:?}, state {:?}", self.waiting, self.member.status());
    }

    pub(crate) fn none_waits(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn answer(&mut self, id: u64, response: GroupResponse) {
        self.member.handle_response(self.now, id, response);
        self.run();
    }

    pub(crate) fn lose(&mut self, id: u64) {
        let error = Error::new(ErrorKind::Connect, "lost");
        self.member.handle_failure(self.now, id, &error);
        self.run();
    }

    pub(crate) fn metadata(&mut self, metadata: &Arc<ClusterMetadata>) {
        self.member.handle_metadata(self.now, metadata);
        self.run();
    }

    pub(crate) fn coordinator(&mut self) {
        let (id, _) = self.request(find);
        self.answer(id, found());
    }

    pub(crate) fn has(&self) -> Vec<String> {
        self.has.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn failed(&self) -> &Error {
        let failed = |event: &GroupEvent| matches!(event, GroupEvent::Failed(_));
        match self.events.iter().find(|event| failed(event)) {
            Some(GroupEvent::Failed(error)) => error,
            _ => panic!("not failed: {:?}", self.events),
        }
    }

    pub(crate) fn count(&self, kind: fn(&GroupEvent) -> bool) -> usize {
        self.events.iter().filter(|event| kind(event)).count()
    }

    // Classic, with one member that leads.

    pub(crate) fn join(&mut self, generation: i32, protocol: &str) -> JoinGroupRequest {
        let (id, request) = self.request(join);
        let id = if request.member_id.is_empty() && request.group_instance_id.is_none() {
            let response = JoinGroupResponse {
                error_code: ErrorCode::MEMBER_ID_REQUIRED,
                member_id: "m".into(),
                ..Default::default()
            };
            self.answer(id, GroupResponse::JoinGroup(response));
            self.request(join).0
        } else {
            id
        };
        self.answer(id, joined(generation, protocol, "other", &[]));
        request
    }

    pub(crate) fn sync(&mut self, partitions: &[TopicPartition]) {
        let (id, _) = self.request(sync);
        self.answer(id, synced(partitions));
    }

    /// Joins and gets these.
    pub(crate) fn settle(
        &mut self,
        generation: i32,
        protocol: &str,
        partitions: &[TopicPartition],
    ) -> JoinGroupRequest {
        let request = self.join(generation, protocol);
        self.sync(partitions);
        request
    }

    pub(crate) fn beat(&mut self, code: ErrorCode) {
        let (id, _) = self.request(heartbeat);
        self.answer(id, GroupResponse::Heartbeat(HeartbeatResponse { error_code: code, ..Default::default() }));
    }
}

pub(crate) fn find(request: &GroupRequest) -> Option<FindCoordinatorRequest> {
    if let GroupRequest::FindCoordinator(r) = request { Some(r.clone()) } else { None }
}
pub(crate) fn join(request: &GroupRequest) -> Option<JoinGroupRequest> {
    if let GroupRequest::JoinGroup(r) = request { Some(r.clone()) } else { None }
}
pub(crate) fn sync(request: &GroupRequest) -> Option<SyncGroupRequest> {
    if let GroupRequest::SyncGroup(r) = request { Some(r.clone()) } else { None }
}
pub(crate) fn heartbeat(request: &GroupRequest) -> Option<HeartbeatRequest> {
    if let GroupRequest::Heartbeat(r) = request { Some(r.clone()) } else { None }
}
pub(crate) fn leave(request: &GroupRequest) -> Option<LeaveGroupRequest> {
    if let GroupRequest::LeaveGroup(r) = request { Some(r.clone()) } else { None }
}
pub(crate) fn pulse(request: &GroupRequest) -> Option<ConsumerGroupHeartbeatRequest> {
    if let GroupRequest::ConsumerGroupHeartbeat(r) = request { Some(r.clone()) } else { None }
}
pub(crate) fn commit(request: &GroupRequest) -> Option<OffsetCommitRequest> {
    if let GroupRequest::OffsetCommit(r) = request { Some(r.clone()) } else { None }
}
pub(crate) fn lookup(request: &GroupRequest) -> Option<OffsetFetchRequest> {
    if let GroupRequest::OffsetFetch(r) = request { Some(r.clone()) } else { None }
}

pub(crate) fn found() -> GroupResponse {
    let coordinator = find_coordinator::response::Coordinator {
        key: "g".into(),
        node_id: 1,
        host: "h".into(),
        port: 1,
        ..Default::default()
    };
    GroupResponse::FindCoordinator(FindCoordinatorResponse { coordinators: vec![coordinator], ..Default::default() })
}

pub(crate) fn joined(generation: i32, protocol: &str, leader: &str, members: &[(&str, &[&str])]) -> GroupResponse {
    use felice_client_core::consumer::assignor::MemberSubscription;
    use felice_client_core::consumer::assignor::protocol::encode_subscription;
    let members = members
        .iter()
        .map(|(id, topics)| {
            let topics = topics.iter().map(|t| ByteStr::from(*t)).collect();
            let metadata = encode_subscription(&MemberSubscription { topics, ..Default::default() }).unwrap();
            join_group::response::JoinGroupResponseMember { member_id: (*id).into(), metadata, ..Default::default() }
        })
        .collect();
    GroupResponse::JoinGroup(JoinGroupResponse {
        generation_id: generation,
        protocol_type: Some("consumer".into()),
        protocol_name: Some(protocol.into()),
        leader: leader.into(),
        member_id: "m".into(),
        members,
        ..Default::default()
    })
}

pub(crate) fn synced(partitions: &[TopicPartition]) -> GroupResponse {
    let assignment = encode_assignment(&Assignment { partitions: partitions.to_vec(), user_data: None }).unwrap();
    GroupResponse::SyncGroup(SyncGroupResponse { assignment, ..Default::default() })
}

pub(crate) fn pulsed(epoch: i32, assignment: Option<&[(u8, &[i32])]>) -> GroupResponse {
    let assignment = assignment.map(|topics| consumer_group_heartbeat::response::Assignment {
        topic_partitions: topics
            .iter()
            .map(|(id, partitions)| consumer_group_heartbeat::response::TopicPartitions {
                topic_id: uuid(*id),
                partitions: partitions.to_vec(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    GroupResponse::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse {
        member_epoch: epoch,
        heartbeat_interval_ms: 5000,
        assignment,
        ..Default::default()
    })
}

pub(crate) fn refused(code: ErrorCode) -> GroupResponse {
    GroupResponse::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse { error_code: code, ..Default::default() })
}

/// What a heartbeat of KIP-848 says of its partitions.
pub(crate) fn owned(request: &ConsumerGroupHeartbeatRequest) -> Option<BTreeMap<Uuid, Vec<i32>>> {
    let topics = request.topic_partitions.as_ref()?;
    Some(topics.iter().map(|t| (t.topic_id, t.partitions.clone())).collect())
}

pub(crate) fn is_membership(to: &GroupTarget) -> bool {
    matches!(to, GroupTarget::Coordinator { membership: true, .. })
}
