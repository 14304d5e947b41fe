//! OffsetFetch: what is committed for partitions of the group. Java: `CommitRequestManager`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, offset_fetch};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::{Instant, Now};

use super::event::{GroupEvent, RequestId};
use super::{GroupMember, MetadataWish};
use crate::backoff::Backoff;
use crate::consumer::{OffsetAndMetadata, TopicPartition};
use crate::error::{Error, ErrorKind};
use crate::metadata::ClusterMetadata;

#[derive(Debug)]
struct Lookup {
    partitions: Vec<TopicPartition>,
    require_stable: bool,
    deadline: Instant,
    timeout: Duration,
    in_flight: bool,
    retry_at: Option<Instant>,
    /// The names of the topic ids that were sent.
    names: BTreeMap<Uuid, ByteStr>,
    error: Option<Error>,
}

#[derive(Debug)]
pub(super) struct Lookups {
    open: BTreeMap<RequestId, Lookup>,
    backoff: Backoff,
}

impl GroupMember {
    /// Looks up what is committed; [`GroupEvent::Offsets`] tells, after `timeout` at the latest. `require_stable` waits for transactions that
    /// are about to commit offsets (KIP-447).
    pub fn committed(
        &mut self,
        now: Now,
        partitions: Vec<TopicPartition>,
        require_stable: bool,
        timeout: Duration,
    ) -> RequestId {
        // One count for commits and look-ups.
        let id = self.commits.take_id();
        if partitions.is_empty() {
            self.events.push_back(GroupEvent::Offsets { request: id, result: Ok(Vec::new()) });
            return id;
        }
        let lookup = Lookup {
            partitions,
            require_stable,
            deadline: now.instant() + timeout,
            timeout,
            in_flight: false,
            retry_at: None,
            names: BTreeMap::new(),
            error: None,
        };
        self.lookups.open.insert(id, lookup);
        self.advance(now);
        id
    }

    pub(super) fn handle_lookup(&mut self, now: Now, id: RequestId, response: &OffsetFetchResponse) {
        let Some(lookup) = self.lookups.open.get_mut(&id) else { return };
        lookup.in_flight = false;
        let group = response.groups.first();
        let code = group.map_or(response.error_code, |group| group.error_code);
        let mut answers: BTreeMap<TopicPartition, Result<Option<OffsetAndMetadata>, ErrorCode>> = BTreeMap::new();
        for topic in group.map(|group| group.topics.as_slice()).unwrap_or_default() {
            let name = if topic.name.is_empty() { lookup.names.get(&topic.topic_id) } else { Some(&topic.name) };
            let Some(name) = name else { continue };
            for p in &topic.partitions {
                let offset = found(p.committed_offset, p.committed_leader_epoch, p.metadata.as_ref(), p.error_code);
                answers.insert(TopicPartition::new(name.clone(), p.partition_index), offset);
            }
        }
        for topic in &response.topics {
            for p in &topic.partitions {
                let offset = found(p.committed_offset, p.committed_leader_epoch, p.metadata.as_ref(), p.error_code);
                answers.insert(TopicPartition::new(topic.name.clone(), p.partition_index), offset);
            }
        }
        let codes = answers.values().filter_map(|answer| answer.as_ref().err().copied());
        let worst = code.ok().err().into_iter().chain(codes).find_map(|code| match recovery(code) {
            Recovery::Tell => None,
            Recovery::IfTopicExists => {
                // A topic that the metadata shows will be known to the coordinator too.
                let exists = lookup.partitions.iter().all(|p| self.metadata.topics.contains_key(&p.topic));
                exists.then_some((code, Recovery::IfTopicExists))
            }
            other @ (Recovery::Again | Recovery::FindCoordinator | Recovery::Fail) => Some((code, other)),
        });
        match worst {
            Some((code, Recovery::Fail)) => {
                self.lookups.open.remove(&id);
                let result = Err(super::codes::fatal(code, None));
                self.events.push_back(GroupEvent::Offsets { request: id, result });
            }
            Some((code, recovery)) => {
                lookup.error = Some(Error::from_code(code, None));
                lookup.retry_at = Some(now.instant() + self.lookups.backoff.next());
                match recovery {
                    Recovery::FindCoordinator => self.find_coordinator(now, code),
                    Recovery::IfTopicExists => self.wishes.push_back(MetadataWish::Refresh),
                    Recovery::Again | Recovery::Tell | Recovery::Fail => {}
                }
            }
            None => {
                self.lookups.backoff.reset();
                let Some(lookup) = self.lookups.open.remove(&id) else { return };
                let told = |partition: TopicPartition| {
                    let answer = answers.remove(&partition).unwrap_or(Err(ErrorCode::UNKNOWN_SERVER_ERROR));
                    (partition, answer)
                };
                let result = Ok(lookup.partitions.into_iter().map(told).collect());
                self.events.push_back(GroupEvent::Offsets { request: id, result });
            }
        }
    }
}

fn found(
    offset: i64,
    leader_epoch: i32,
    metadata: Option<&ByteStr>,
    code: ErrorCode,
) -> Result<Option<OffsetAndMetadata>, ErrorCode> {
    code.ok()?;
    Ok((offset >= 0).then(|| OffsetAndMetadata {
        offset,
        leader_epoch,
        metadata: metadata.cloned().unwrap_or_default(),
    }))
}

impl Lookups {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { open: BTreeMap::new(), backoff }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        self.open.values().any(|lookup| lookup.is_due(now))
    }

    /// The oldest that is to be sent.
    pub(super) fn first_due(&self, now: Now) -> Option<RequestId> {
        self.open.iter().find(|(_, lookup)| lookup.is_due(now)).map(|(id, _)| *id)
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.open.values().filter(|lookup| !lookup.in_flight).filter_map(|lookup| lookup.retry_at).min()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.open.values().map(|lookup| lookup.deadline).min()
    }

    /// The next request and the highest version for it: by topic ids (version 10) where each is known.
    pub(super) fn request(
        &mut self,
        now: Now,
        group_id: &ByteStr,
        member: Option<(ByteStr, i32)>,
        metadata: &ClusterMetadata,
    ) -> Option<(RequestId, OffsetFetchRequest, i16)> {
        let (id, lookup) = self.open.iter_mut().find(|(_, lookup)| lookup.is_due(now))?;
        lookup.in_flight = true;
        lookup.names.clear();
        let mut by_topic: BTreeMap<&ByteStr, Vec<i32>> = BTreeMap::new();
        for partition in &lookup.partitions {
            by_topic.entry(&partition.topic).or_default().push(partition.partition);
        }
        let mut topics = Vec::with_capacity(by_topic.len());
        let mut all_known = true;
        for (name, partition_indexes) in by_topic {
            let topic_id = metadata.topics.get(name).map(|topic| topic.id).unwrap_or_default();
            all_known &= !topic_id.is_zero();
            lookup.names.insert(topic_id, name.clone());
            topics.push(offset_fetch::request::OffsetFetchRequestTopics {
                name: name.clone(),
                topic_id,
                partition_indexes,
                ..Default::default()
            });
        }
        let (member_id, member_epoch) = member.map_or((None, -1), |(id, epoch)| (Some(id), epoch));
        let request = OffsetFetchRequest {
            groups: vec![offset_fetch::request::OffsetFetchRequestGroup {
                group_id: group_id.clone(),
                member_id,
                member_epoch,
                topics: Some(topics),
                ..Default::default()
            }],
            require_stable: lookup.require_stable,
            ..OffsetFetchRequest::default()
        };
        Some((*id, request, if all_known { i16::MAX } else { 9 }))
    }

    /// No answer will come.
    pub(super) fn handle_failure(&mut self, now: Now, id: RequestId, error: &Error, events: &mut VecDeque<GroupEvent>) {
        let pause = self.backoff.next();
        let Some(lookup) = self.open.get_mut(&id) else { return };
        lookup.in_flight = false;
        lookup.error = Some(error.clone());
        lookup.retry_at = Some(now.instant() + pause);
        if error.kind() == ErrorKind::Unsupported {
            self.open.remove(&id);
            events.push_back(GroupEvent::Offsets { request: id, result: Err(error.clone()) });
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Now, cause: Option<&Error>, events: &mut VecDeque<GroupEvent>) {
        let late: Vec<RequestId> =
            self.open.iter().filter(|(_, lookup)| lookup.deadline <= now.instant()).map(|(id, _)| *id).collect();
        for id in late {
            let Some(lookup) = self.open.remove(&id) else { continue };
            let mut message = format!("no committed offsets within {} ms", lookup.timeout.as_millis());
            let last = lookup.error.as_ref().or(cause);
            if let Some(last) = last {
                message = format!("{message}; last: {last}");
            }
            let mut error = Error::new(ErrorKind::Timeout, message).hinting("is the group's coordinator up?");
            if let Some(last) = last {
                error = error.caused_by(last.clone());
            }
            events.push_back(GroupEvent::Offsets { request: id, result: Err(error) });
        }
    }

    pub(super) fn fail_all(&mut self, error: &Error, events: &mut VecDeque<GroupEvent>) {
        for (request, _) in std::mem::take(&mut self.open) {
            events.push_back(GroupEvent::Offsets { request, result: Err(error.clone()) });
        }
    }
}

impl Lookup {
    fn is_due(&self, now: Now) -> bool {
        !self.in_flight && self.retry_at.is_none_or(|at| at <= now.instant())
    }
}

/// What OffsetFetch does about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recovery {
    /// The code is the partition's result.
    Tell,
    /// Ask again after a pause: a transaction is about to commit, the group loads, or the member's epoch is about to be told.
    Again,
    /// Another broker coordinates the group.
    FindCoordinator,
    /// Ask again while the metadata shows the topic.
    IfTopicExists,
    /// Nothing of it can be looked up.
    Fail,
}

fn recovery(code: ErrorCode) -> Recovery {
    match code {
        ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => Recovery::FindCoordinator,
        ErrorCode::STALE_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID => Recovery::Again,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID => Recovery::IfTopicExists,
        code if code.is_retriable() => Recovery::Again,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => Recovery::Tell,
        _ => Recovery::Fail,
    }
}
