//! Listens at the broker's door to what it is asked of groups and answers: commits in the order in which they were acknowledged, assignments, and
//! when it last heard of a member. Nothing of it comes from the cores' memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use felice_protocol::messages::{
    self, ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, Message, OffsetCommitRequest, Request,
    SyncGroupRequest,
};
use felice_protocol::primitives::{ByteStr, Decoder, Uuid};
use felice_protocol::time::Instant;

use crate::group_history::{GroupEvent, group_number, partition_number};
use crate::network::Link;

/// A request that is not answered yet.
#[derive(Debug)]
enum Asked {
    Commit { version: i16, group: usize, generation: i32, offsets: BTreeMap<i32, i64> },
    Sync { version: i16, group: usize, generation: i32, member: String },
    Join { version: i16, group: usize },
    Heartbeat { version: i16 },
    ConsumerHeartbeat { version: i16 },
}

/// What an answer tells.
#[derive(Debug, Default)]
pub struct Heard {
    /// What happened in groups.
    pub events: Vec<GroupEvent>,
    /// The client at the other end is a member, with nothing to do but to stay one, and was heard of then.
    pub member_since: Option<Instant>,
}

/// The listener.
#[derive(Debug, Default)]
pub struct GroupTap {
    /// The topics' names.
    pub topics: BTreeMap<Uuid, ByteStr>,
    asked: BTreeMap<(Link, i32), (Instant, Asked)>,
    /// The newest generation of each group that a member has heard of.
    generations: BTreeMap<usize, i32>,
}

fn answer<R: Request>(version: i16, frame: Bytes) -> Option<R::Response> {
    messages::decode_response::<R>(version, frame).ok().map(|(_, response)| response)
}

fn join(d: &mut Decoder, version: i16) -> Option<Asked> {
    let request = JoinGroupRequest::decode(d, version).ok()?;
    Some(Asked::Join { version, group: group_number(&request.group_id)? })
}

fn sync(d: &mut Decoder, version: i16) -> Option<Asked> {
    let request = SyncGroupRequest::decode(d, version).ok()?;
    let group = group_number(&request.group_id)?;
    let member = request.group_instance_id.unwrap_or(request.member_id).to_string();
    Some(Asked::Sync { version, group, generation: request.generation_id, member })
}

impl GroupTap {
    /// The broker begins with a request; `late` where its sender has given the connection up.
    pub fn handle_request(&mut self, now: Instant, link: Link, frame: &Bytes, late: bool) -> Vec<GroupEvent> {
        let mut d = Decoder::new(frame.clone());
        let Ok(header) = messages::decode_request_header(&mut d) else { return Vec::new() };
        let version = header.request_api_version;
        let asked = match messages::ApiKey(header.request_api_key) {
            OffsetCommitRequest::API_KEY => self.commit(&mut d, version),
            SyncGroupRequest::API_KEY => sync(&mut d, version),
            JoinGroupRequest::API_KEY => join(&mut d, version),
            HeartbeatRequest::API_KEY => Some(Asked::Heartbeat { version }),
            ConsumerGroupHeartbeatRequest::API_KEY => Some(Asked::ConsumerHeartbeat { version }),
            _ => None,
        };
        let mut events = Vec::new();
        if let Some(Asked::Commit { group, generation, offsets, .. }) = &asked
            && late
        {
            let stale = self.generations.get(group).is_some_and(|newest| newest > generation);
            let late = |(partition, offset): (&i32, &i64)| GroupEvent::Late {
                group: *group,
                partition: *partition,
                offset: *offset,
                stale,
            };
            events.extend(offsets.iter().map(late));
        }
        // Nobody hears whether a late commit was taken: what follows is not bound by it.
        if let Some(asked) = asked.filter(|asked| !(late && matches!(asked, Asked::Commit { .. }))) {
            self.asked.insert((link, header.correlation_id), (now, asked));
        }
        events
    }

    fn commit(&self, d: &mut Decoder, version: i16) -> Option<Asked> {
        let request = OffsetCommitRequest::decode(d, version).ok()?;
        let group = group_number(&request.group_id)?;
        let mut offsets = BTreeMap::new();
        for topic in &request.topics {
            offsets.extend(topic.partitions.iter().filter_map(|p| {
                Some((self.partition(&topic.name, &topic.topic_id, p.partition_index)?, p.committed_offset))
            }));
        }
        Some(Asked::Commit { version, group, generation: request.generation_id_or_member_epoch, offsets })
    }

    /// The broker answers.
    pub fn handle_response(&mut self, now: Instant, link: Link, frame: &Bytes) -> Heard {
        let Some((correlation, _)) = frame.split_first_chunk::<4>() else { return Heard::default() };
        let Some((since, asked)) = self.asked.remove(&(link, i32::from_be_bytes(*correlation))) else {
            return Heard::default();
        };
        self.answered(now, since, asked, frame.clone()).unwrap_or_default()
    }

    fn answered(&mut self, now: Instant, since: Instant, asked: Asked, frame: Bytes) -> Option<Heard> {
        Some(match asked {
            Asked::Commit { version, group, offsets, .. } => {
                let response = answer::<OffsetCommitRequest>(version, frame)?;
                let mut events = Vec::new();
                for topic in response.topics {
                    for answer in topic.partitions.iter().filter(|answer| answer.error_code.ok().is_ok()) {
                        let partition = self.partition(&topic.name, &topic.topic_id, answer.partition_index);
                        let committed = partition.and_then(|partition| Some((partition, *offsets.get(&partition)?)));
                        events.extend(committed.map(|(partition, offset)| GroupEvent::Committed {
                            group,
                            partition,
                            offset,
                        }));
                    }
                }
                Heard { events, member_since: None }
            }
            Asked::Sync { version, group, generation, member } => {
                let response = answer::<SyncGroupRequest>(version, frame)?;
                response.error_code.ok().ok()?;
                let partitions = assigned_partitions(response.assignment);
                let events = vec![GroupEvent::Assigned { group, generation, member, partitions }];
                Heard { events, member_since: Some(since) }
            }
            Asked::Join { version, group } => {
                let response = answer::<JoinGroupRequest>(version, frame)?;
                response.error_code.ok().ok()?;
                let newest = self.generations.entry(group).or_default();
                *newest = response.generation_id.max(*newest);
                // its session counts from the answer on
                Heard { events: Vec::new(), member_since: Some(now) }
            }
            Asked::Heartbeat { version } => {
                let code = answer::<HeartbeatRequest>(version, frame)?.error_code;
                // who is told to join again has as long as the rebalance lasts, and that began before
                Heard { events: Vec::new(), member_since: code.is_ok().then_some(since) }
            }
            Asked::ConsumerHeartbeat { version } => {
                answer::<ConsumerGroupHeartbeatRequest>(version, frame)?.error_code.ok().ok()?;
                Heard { events: Vec::new(), member_since: Some(since) }
            }
        })
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

#[cfg(test)]
mod tests {
    use felice_protocol::messages::{OffsetCommitResponse, offset_commit};

    use super::*;

    /// A commit of offset 5 and its answer, as the broker's door sees them: the events of each.
    fn commit(late: bool) -> (Vec<GroupEvent>, Vec<GroupEvent>) {
        use offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
        use offset_commit::response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
        const VERSION: i16 = 8;
        let partitions = vec![OffsetCommitRequestPartition { committed_offset: 5, ..Default::default() }];
        let name = ByteStr::from(crate::broker_host::TOPIC);
        let topics = vec![OffsetCommitRequestTopic { name: name.clone(), partitions, ..Default::default() }];
        let request = OffsetCommitRequest { group_id: "group-0".into(), topics, ..Default::default() };
        let partitions = vec![OffsetCommitResponsePartition::default()];
        let topics = vec![OffsetCommitResponseTopic { name, partitions, ..Default::default() }];
        let response = OffsetCommitResponse { topics, ..Default::default() };
        let request = messages::encode_request(1, None, VERSION, &request).unwrap().into_bytes().slice(4..);
        let response = messages::encode_response(OffsetCommitRequest::API_KEY, VERSION, 1, &response).unwrap();
        let response = response.into_bytes().slice(4..);
        let mut tap = GroupTap::default();
        let asked = tap.handle_request(Instant::default(), Link(1), &request, late);
        (asked, tap.handle_response(Instant::default(), Link(1), &response).events)
    }

    #[test]
    fn an_answer_that_nobody_hears_promises_nothing() {
        let (asked, answered) = commit(false);
        assert!(asked.is_empty());
        assert!(matches!(answered[..], [GroupEvent::Committed { offset: 5, .. }]), "{answered:?}");
        let (asked, answered) = commit(true);
        assert!(matches!(asked[..], [GroupEvent::Late { offset: 5, stale: false, .. }]), "{asked:?}");
        assert!(answered.is_empty(), "{answered:?}");
    }
}
