//! OffsetCommit, OffsetFetch, OffsetDelete, and the offsets of topics that are gone. Java: `OffsetMetadataManager`.

use std::collections::BTreeMap;

use felice_log::Bug;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::offset_commit::request::OffsetCommitRequestTopic;
use felice_protocol::messages::offset_commit::response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use felice_protocol::messages::offset_delete::response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use felice_protocol::messages::offset_fetch::request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use felice_protocol::messages::offset_fetch::response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use felice_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse,
};
use felice_protocol::primitives::{ByteStr, Uuid};
use felice_protocol::time::Now;

use super::admin::Repeats;
use super::offsets::{CommittedOffset, CommittedOffsets, tombstone};
use super::{
    Caller, ClassicGroup, Effect, Entry, Group, GroupAnswer, GroupCoordinator, GroupRecord, MAX_BATCH_BYTES,
    TopicsView, kept,
};

/// The first version that names topics by their id, of OffsetCommit as of OffsetFetch.
const BY_ID: i16 = 10;
/// The first version of OffsetCommit whose members may be of a consumer group.
const CONSUMER_GROUPS: i16 = 9;
/// The first version of OffsetFetch that asks for many groups.
const MANY_GROUPS: i16 = 8;

impl GroupCoordinator {
    pub(crate) fn handle_offset_commit(
        &mut self,
        now: Now,
        caller: &Caller,
        topics: TopicsView<'_>,
        request: &OffsetCommitRequest,
    ) {
        let id = kept(&request.group_id);
        let mut sorted = Commit::sort(now, caller.version, topics, request, self.config.metadata_max_bytes);
        // Where no partition is left, the group is not even looked at.
        if sorted.has_known {
            match self.commit(now, caller, topics, request, &id, &mut sorted) {
                Ok(records) => {
                    let answer = GroupAnswer::OffsetCommit(sorted.answer);
                    return self.settle(&id, records, vec![(caller.waiter, answer)]);
                }
                Err(code) => sorted.refuse(code),
            }
        }
        self.answer(&id, caller.waiter, GroupAnswer::OffsetCommit(sorted.answer));
    }

    fn commit(
        &mut self,
        now: Now,
        caller: &Caller,
        topics: TopicsView<'_>,
        request: &OffsetCommitRequest,
        id: &ByteStr,
        sorted: &mut Commit,
    ) -> Result<Vec<GroupRecord>, ErrorCode> {
        self.check(id)?;
        let generation = request.generation_id_or_member_epoch;
        if !self.groups.contains_key(id) && generation >= 0 {
            let is_new = caller.version >= CONSUMER_GROUPS;
            return Err(if is_new { ErrorCode::GROUP_ID_NOT_FOUND } else { ErrorCode::ILLEGAL_GENERATION });
        }
        match self.groups.get(id).map(|entry| &entry.group) {
            None => {}
            Some(_) if self.config.bugs.has(Bug::CommitUnchecked) => {}
            Some(Group::Classic(group)) => {
                group.validate_offset_commit(&request.member_id, request.group_instance_id.as_ref(), generation)?;
            }
            Some(Group::Consumer(group)) => {
                let partitions = sorted.accepted.iter().map(|(topic, partition, _)| (topic.as_str(), *partition));
                group
                    .check_commit(topics, &request.member_id, generation, caller.version, partitions)
                    .map_err(|error| error.code)?;
            }
        }
        let accepted = std::mem::take(&mut sorted.accepted);
        let records: Vec<GroupRecord> =
            accepted.iter().map(|(topic, partition, offset)| offset.record(id, topic, *partition)).collect();
        if records.iter().map(GroupRecord::size).sum::<usize>() > MAX_BATCH_BYTES {
            return Err(ErrorCode::INVALID_COMMIT_OFFSET_SIZE);
        }
        // A commit without a member makes a group that only has offsets.
        let entry = self.groups.entry(id.clone()).or_insert_with(|| Entry::classic(ClassicGroup::new(id.clone(), now)));
        for (topic, partition, offset) in accepted {
            entry.offsets.insert(&topic, partition, offset);
        }
        if let Group::Classic(group) = &mut entry.group {
            group.handle_commit(now, &request.member_id);
        }
        Ok(records)
    }

    pub(crate) fn handle_offset_fetch(&mut self, caller: &Caller, topics: TopicsView<'_>, request: OffsetFetchRequest) {
        let version = caller.version;
        let mut touched = Vec::new();
        let mut answer = OffsetFetchResponse::default();
        if version >= MANY_GROUPS {
            let names: Vec<ByteStr> = request.groups.iter().map(|group| group.group_id.clone()).collect();
            let mut repeats = Repeats::default();
            for (asked, name) in request.groups.into_iter().zip(&names) {
                touched.push((self.partition_for(name), Vec::new()));
                answer.groups.push(match repeats.check(name) {
                    Ok(()) => self.fetch(version, topics, asked),
                    Err(error_code) => {
                        OffsetFetchResponseGroup { group_id: name.clone(), error_code, ..Default::default() }
                    }
                });
            }
        } else {
            touched.push((self.partition_for(&request.group_id), Vec::new()));
            let by_name = |topics: Vec<felice_protocol::messages::offset_fetch::request::OffsetFetchRequestTopic>| {
                topics
                    .into_iter()
                    .map(|topic| OffsetFetchRequestTopics {
                        name: topic.name,
                        partition_indexes: topic.partition_indexes,
                        ..Default::default()
                    })
                    .collect()
            };
            // Only from version 2 on null can say: all.
            let asked = OffsetFetchRequestGroup {
                group_id: request.group_id,
                member_epoch: -1,
                topics: request.topics.map(by_name),
                ..Default::default()
            };
            let wanted = asked.topics.clone().unwrap_or_default();
            let group = self.fetch(version, topics, asked);
            answer.error_code = group.error_code;
            answer.topics = one_group(group, wanted);
        }
        self.effects
            .push_back(Effect { appends: touched, answers: vec![(caller.waiter, GroupAnswer::OffsetFetch(answer))] });
    }

    fn fetch(&self, version: i16, topics: TopicsView<'_>, asked: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
        let mut answer = OffsetFetchResponseGroup { group_id: asked.group_id.clone(), ..Default::default() };
        let entry = self.groups.get(&asked.group_id);
        let checked = self.check(&asked.group_id).and_then(|()| match entry.map(|entry| &entry.group) {
            None | Some(Group::Classic(_)) => Ok(()),
            Some(Group::Consumer(group)) => {
                group.check_fetch(asked.member_id.as_ref(), asked.member_epoch).map_err(|error| error.code)
            }
        });
        if let Err(code) = checked {
            answer.error_code = code;
            return answer;
        }
        let none = CommittedOffsets::default();
        let offsets = entry.map_or(&none, |entry| &entry.offsets);
        match asked.topics {
            Some(asked) => {
                answer.topics = asked.into_iter().map(|topic| fetch_topic(version, topics, offsets, topic)).collect();
            }
            None => {
                for (name, partitions) in offsets.iter() {
                    let topic_id = if version >= BY_ID { topics.get(name).map(|(id, _)| id) } else { Some(Uuid::ZERO) };
                    let Some(topic_id) = topic_id else { continue };
                    answer.topics.push(OffsetFetchResponseTopics {
                        name: name.clone(),
                        topic_id,
                        partitions: partitions.iter().map(|(index, offset)| found(*index, offset)).collect(),
                        ..Default::default()
                    });
                }
            }
        }
        answer
    }

    pub(crate) fn handle_offset_delete(
        &mut self,
        caller: &Caller,
        topics: TopicsView<'_>,
        request: OffsetDeleteRequest,
    ) {
        let id = kept(&request.group_id);
        let mut records = Vec::new();
        let answer = match self.delete_offsets(topics, &id, request, &mut records) {
            Ok(topics) => OffsetDeleteResponse { topics, ..Default::default() },
            Err(error_code) => OffsetDeleteResponse { error_code, ..Default::default() },
        };
        self.settle(&id, records, vec![(caller.waiter, GroupAnswer::OffsetDelete(answer))]);
    }

    fn delete_offsets(
        &mut self,
        topics: TopicsView<'_>,
        id: &ByteStr,
        request: OffsetDeleteRequest,
        records: &mut Vec<GroupRecord>,
    ) -> Result<Vec<OffsetDeleteResponseTopic>, ErrorCode> {
        self.check_member(id)?;
        let entry = self.groups.get_mut(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        match &entry.group {
            Group::Classic(group) => group.validate_offset_delete()?,
            Group::Consumer(_) => {}
        }
        let mut answers = Vec::new();
        for topic in request.topics {
            let subscribed = entry.group.is_subscribed_to(&topic.name);
            let partitions = topic.partitions.into_iter().map(|partition| {
                let error_code = if !topics.has_partition(&topic.name, partition.partition_index) {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                } else if subscribed {
                    ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
                } else {
                    if entry.offsets.remove(&topic.name, partition.partition_index) {
                        records.push(tombstone(id, &topic.name, partition.partition_index));
                    }
                    ErrorCode::NONE
                };
                OffsetDeleteResponsePartition { partition_index: partition.partition_index, error_code }
            });
            let partitions = partitions.collect();
            answers.push(OffsetDeleteResponseTopic { name: topic.name, partitions });
        }
        Ok(answers)
    }

    /// A topic is gone: nobody is to start where somebody was in it.
    pub(crate) fn handle_topic_deleted(&mut self, name: &str) {
        let mut appends = Vec::new();
        for (id, entry) in &mut self.groups {
            let records = entry.offsets.remove_if(id, |topic, _, _| &**topic == name);
            if !records.is_empty() {
                appends.push((id.clone(), records));
            }
        }
        for (id, records) in appends {
            self.append_in_parts(&id, records);
        }
    }
}

/// An OffsetCommit, partition by partition.
#[derive(Debug)]
struct Commit {
    answer: OffsetCommitResponse,
    /// What can be committed if the group agrees.
    accepted: Vec<(ByteStr, i32, CommittedOffset)>,
    /// Whether any of its partitions exists.
    has_known: bool,
}

impl Commit {
    fn sort(
        now: Now,
        version: i16,
        topics: TopicsView<'_>,
        request: &OffsetCommitRequest,
        metadata_max_bytes: usize,
    ) -> Self {
        let expire_timestamp =
            Some(request.retention_time_ms).filter(|ms| *ms != -1).map(|ms| now.wall_millis.saturating_add(ms));
        let mut sorted = Self { answer: OffsetCommitResponse::default(), accepted: Vec::new(), has_known: false };
        let mut places = BTreeMap::new();
        for topic in &request.topics {
            let known = resolve(version, topics, topic);
            let partitions = topic.partitions.iter().map(|partition| {
                let index = partition.partition_index;
                let error_code = match &known {
                    Err(code) => *code,
                    Ok((name, _)) if !topics.has_partition(name, index) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Ok((name, topic_id)) => {
                        sorted.has_known = true;
                        let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
                        if metadata.len() > metadata_max_bytes {
                            ErrorCode::OFFSET_METADATA_TOO_LARGE
                        } else {
                            let offset = CommittedOffset {
                                offset: partition.committed_offset,
                                leader_epoch: partition.committed_leader_epoch,
                                metadata: metadata.into(),
                                commit_timestamp: now.wall_millis,
                                expire_timestamp,
                                topic_id: *topic_id,
                            };
                            sorted.accepted.push((name.clone(), index, offset));
                            ErrorCode::NONE
                        }
                    }
                };
                OffsetCommitResponsePartition { partition_index: index, error_code, ..Default::default() }
            });
            let mut partitions = partitions.collect();
            // A topic that is named twice is answered once.
            let next = sorted.answer.topics.len();
            let place = *places.entry((&topic.name, topic.topic_id)).or_insert(next);
            match sorted.answer.topics.get_mut(place) {
                Some(answer) => answer.partitions.append(&mut partitions),
                None => sorted.answer.topics.push(OffsetCommitResponseTopic {
                    name: topic.name.clone(),
                    topic_id: topic.topic_id,
                    partitions,
                    ..Default::default()
                }),
            }
        }
        sorted
    }

    /// The group does not agree: that is what every partition hears that has no error of its own from its topic.
    fn refuse(&mut self, code: ErrorCode) {
        for partition in self.answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            if matches!(partition.error_code, ErrorCode::NONE | ErrorCode::OFFSET_METADATA_TOO_LARGE) {
                partition.error_code = code;
            }
        }
    }
}

/// Name and id of the topic that a commit is for.
fn resolve(
    version: i16,
    topics: TopicsView<'_>,
    topic: &OffsetCommitRequestTopic,
) -> Result<(ByteStr, Uuid), ErrorCode> {
    if version >= BY_ID {
        let name = topics.name(&topic.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
        Ok((name.clone(), topic.topic_id))
    } else {
        let (id, _) = topics.get(&topic.name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        Ok((topic.name.clone(), id))
    }
}

fn fetch_topic(
    version: i16,
    topics: TopicsView<'_>,
    offsets: &CommittedOffsets,
    asked: OffsetFetchRequestTopics,
) -> OffsetFetchResponseTopics {
    let name = if version >= BY_ID { topics.name(&asked.topic_id).cloned() } else { Some(asked.name.clone()) };
    let partitions = asked.partition_indexes.iter().map(|index| match &name {
        None => missing(*index, ErrorCode::UNKNOWN_TOPIC_ID),
        Some(name) => match offsets.get(name, *index) {
            // Committed for a topic of the same name that is gone.
            Some(offset) if version >= BY_ID && !offset.topic_id.is_zero() && offset.topic_id != asked.topic_id => {
                missing(*index, ErrorCode::NONE)
            }
            Some(offset) => found(*index, offset),
            None => missing(*index, ErrorCode::NONE),
        },
    });
    let partitions = partitions.collect();
    OffsetFetchResponseTopics { name: asked.name, topic_id: asked.topic_id, partitions, ..Default::default() }
}

fn found(partition_index: i32, offset: &CommittedOffset) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: offset.offset,
        committed_leader_epoch: offset.leader_epoch,
        metadata: Some(offset.metadata.clone()),
        ..Default::default()
    }
}

fn missing(partition_index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(ByteStr::default()),
        error_code,
        ..Default::default()
    }
}

/// The answer as it was while there was one group a request; version 1 has its error at every partition.
fn one_group(group: OffsetFetchResponseGroup, wanted: Vec<OffsetFetchRequestTopics>) -> Vec<OffsetFetchResponseTopic> {
    let code = group.error_code;
    let topics = if code.is_ok() {
        group.topics
    } else {
        wanted
            .into_iter()
            .map(|topic| OffsetFetchResponseTopics {
                name: topic.name,
                partitions: topic.partition_indexes.iter().map(|index| missing(*index, code)).collect(),
                ..Default::default()
            })
            .collect()
    };
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
        ..Default::default()
    };
    topics
        .into_iter()
        .map(|topic| OffsetFetchResponseTopic {
            name: topic.name,
            partitions: topic.partitions.into_iter().map(partition).collect(),
            ..Default::default()
        })
        .collect()
}
