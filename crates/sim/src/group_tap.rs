//! Listens at the broker's door to what it is asked of groups and answers: commits in the order in which they were acknowledged, assignments, and
//! when it last heard of a member. Nothing of it comes from the cores' memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use felice_protocol::messages::{
    self, ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, Message, OffsetCommitRequest, Request,
    SyncGroupRequest,
};
use felice_protocol::primitives::{ByteStr, Decoder, Uuid};

use crate::group_history::{GroupEvent, group_number, partition_number};
use crate::network::Link;

/// A request that is not answered yet.
#[derive(Debug)]
enum Asked {
    Commit { version: i16, group: usize, offsets: BTreeMap<i32, i64>, late: bool },
    Sync { version: i16, group: usize, generation: i32, member: String },
}

/// The listener.
#[derive(Debug, Default)]
pub struct GroupTap {
    /// The topics' names.
    pub topics: BTreeMap<Uuid, ByteStr>,
    asked: BTreeMap<(Link, i32), Asked>,
}

fn decode<R: Request>(d: &mut Decoder, version: i16) -> Option<R> {
    R::decode(d, version).ok()
}

impl GroupTap {
    /// The broker begins with a request. Says whether it is one by which a member shows that it lives.
    pub fn handle_request(&mut self, link: Link, frame: &Bytes, late: bool) -> bool {
        let mut d = Decoder::new(frame.clone());
        let Ok(header) = messages::decode_request_header(&mut d) else { return false };
        let (version, key) = (header.request_api_version, (link, header.correlation_id));
        match messages::ApiKey(header.request_api_key) {
            OffsetCommitRequest::API_KEY => {
                let Some(request) = decode::<OffsetCommitRequest>(&mut d, version) else { return false };
                let Some(group) = group_number(&request.group_id) else { return false };
                let mut offsets = BTreeMap::new();
                for topic in &request.topics {
                    let partitions = topic.partitions.iter().filter_map(|p| {
                        Some((self.partition(&topic.name, &topic.topic_id, p.partition_index)?, p.committed_offset))
                    });
                    offsets.extend(partitions);
                }
                self.asked.insert(key, Asked::Commit { version, group, offsets, late });
                true
            }
            SyncGroupRequest::API_KEY => {
                let Some(request) = decode::<SyncGroupRequest>(&mut d, version) else { return false };
                let Some(group) = group_number(&request.group_id) else { return false };
                let member = request.group_instance_id.unwrap_or(request.member_id).to_string();
                self.asked.insert(key, Asked::Sync { version, group, generation: request.generation_id, member });
                true
            }
            JoinGroupRequest::API_KEY | HeartbeatRequest::API_KEY | ConsumerGroupHeartbeatRequest::API_KEY => true,
            _ => false,
        }
    }

    /// The broker answers.
    pub fn handle_response(&mut self, link: Link, frame: &Bytes) -> Vec<GroupEvent> {
        let Some((correlation, _)) = frame.split_first_chunk::<4>() else { return Vec::new() };
        match self.asked.remove(&(link, i32::from_be_bytes(*correlation))) {
            Some(Asked::Commit { version, group, offsets, late }) => {
                let Ok((_, response)) = messages::decode_response::<OffsetCommitRequest>(version, frame.clone()) else {
                    return Vec::new();
                };
                let mut events = Vec::new();
                for topic in response.topics {
                    for answer in topic.partitions.iter().filter(|answer| answer.error_code.ok().is_ok()) {
                        let partition = self.partition(&topic.name, &topic.topic_id, answer.partition_index);
                        let committed = partition.and_then(|partition| Some((partition, *offsets.get(&partition)?)));
                        events.extend(committed.map(|(partition, offset)| GroupEvent::Committed {
                            group,
                            partition,
                            offset,
                            late,
                        }));
                    }
                }
                events
            }
            Some(Asked::Sync { version, group, generation, member }) => {
                let Ok((_, response)) = messages::decode_response::<SyncGroupRequest>(version, frame.clone()) else {
                    return Vec::new();
                };
                let partitions = match response.error_code.ok() {
                    Ok(_) => assigned_partitions(response.assignment),
                    Err(_) => return Vec::new(),
                };
                vec![GroupEvent::Assigned { group, generation, member, partitions }]
            }
            None => Vec::new(),
        }
    }

    fn partition(&self, name: &ByteStr, id: &Uuid, partition: i32) -> Option<i32> {
        partition_number(self.topics.get(id).unwrap_or(name), partition)
    }

    /// The broker's process is no more: nothing of this is answered.
    pub fn forget(&mut self) {
        self.asked.clear();
    }
}

/// The partitions in a classic member's assignment.
fn assigned_partitions(bytes: Bytes) -> Vec<i32> {
    let mut d = Decoder::new(bytes);
    let Ok(version) = d.i16() else { return Vec::new() };
    let assignment = messages::data::ConsumerProtocolAssignment::decode(&mut d, version.clamp(0, 3));
    let topics = assignment.map(|assignment| assignment.assigned_partitions).unwrap_or_default();
    let of = |topic: &ByteStr, partitions: Vec<i32>| {
        partitions.into_iter().filter_map(|partition| partition_number(topic, partition)).collect::<Vec<_>>()
    };
    topics.into_iter().flat_map(|topic| of(&topic.topic, topic.partitions)).collect()
}
