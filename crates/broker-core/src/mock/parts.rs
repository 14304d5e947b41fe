//! Requests that are about partitions. What the node does not lead, and what is to fail, is taken out before the broker sees the request,
//! and comes back into its answer with an error.

use std::time::Duration;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::*;
use felice_protocol::primitives::{ByteStr, Frame, Uuid};

use super::MockCore;
use super::asked::Asked;
use super::placement::{Leader, NOBODY};
use super::refusals::{epoch_end, fetched, listed, produced, records_deleted};
use super::route::{Change, Pending, Step};
use crate::api::Refusal;
use crate::partition::Partition;

/// From this version on an answer to Produce names the leader (KIP-951).
const PRODUCE_NAMES_LEADER: i16 = 10;
/// The same for Fetch.
const FETCH_NAMES_LEADER: i16 = 12;
/// From this version on an answer to Fetch says where the leader is.
const FETCH_NAMES_ENDPOINTS: i16 = 16;
/// From this version on an answer to Fetch can send the client to a follower (KIP-392).
const FETCH_NAMES_FOLLOWER: i16 = 11;

/// What was taken out of a request.
#[derive(Debug)]
pub(super) enum Parts {
    Produce(Vec<produce::response::TopicProduceResponse>),
    Fetch { taken: Vec<fetch::response::FetchableTopicResponse>, moves: u64, from_follower: bool },
    ListOffsets(Vec<list_offsets::response::ListOffsetsTopicResponse>),
    OffsetForLeaderEpoch(Vec<offset_for_leader_epoch::response::OffsetForLeaderTopicResult>),
    DeleteRecords(Vec<delete_records::response::DeleteRecordsTopicResult>),
}

/// Why a part is refused, and who leads the partition where that is the reason.
#[derive(Clone, Copy, Debug)]
struct Refused {
    code: ErrorCode,
    leader: Option<Leader>,
}

/// What becomes of a part of a Fetch.
enum FetchPart {
    /// The broker reads.
    Read { from_follower: bool },
    /// It is answered here.
    Answer(Box<fetch::response::PartitionData>),
}

impl MockCore {
    pub(super) fn take_apart(&mut self, asked: &Asked, delay: Duration) -> Result<Option<Step>, Refusal> {
        match asked.api_key {
            ApiKey::PRODUCE => self.take_apart_produce(asked, delay),
            ApiKey::FETCH => self.take_apart_fetch(asked, delay),
            ApiKey::LIST_OFFSETS => self.take_apart_list_offsets(asked, delay),
            ApiKey::OFFSET_FOR_LEADER_EPOCH => self.take_apart_epochs(asked, delay),
            ApiKey::DELETE_RECORDS => self.take_apart_delete_records(asked, delay),
            _ => Ok(None),
        }
    }

    /// Puts what was taken out back into the broker's answer.
    pub(super) fn rejoin(&mut self, asked: &Asked, parts: Parts, frame: Frame) -> Result<Frame, Refusal> {
        match parts {
            Parts::Produce(taken) => {
                let node_endpoints = self.produce_endpoints(asked, &taken);
                asked.change::<ProduceRequest>(frame, |response| {
                    let same = |a: &produce::response::TopicProduceResponse, b: &_| {
                        let b: &produce::response::TopicProduceResponse = b;
                        a.name == b.name && a.topic_id == b.topic_id
                    };
                    merge(&mut response.responses, taken, same, |topic| &mut topic.partition_responses);
                    response.node_endpoints = node_endpoints;
                })
            }
            Parts::Fetch { taken, moves, from_follower } => {
                if taken.is_empty() && moves == self.moves && !from_follower {
                    return Ok(frame);
                }
                let mut response = asked.read_answer::<FetchRequest>(frame)?;
                self.look_again(asked, &mut response);
                let same = |a: &fetch::response::FetchableTopicResponse, b: &_| {
                    let b: &fetch::response::FetchableTopicResponse = b;
                    a.topic == b.topic && a.topic_id == b.topic_id
                };
                merge(&mut response.responses, taken, same, |topic| &mut topic.partitions);
                response.node_endpoints = self.fetch_endpoints(asked, &response.responses);
                asked.answer(&response)
            }
            Parts::ListOffsets(taken) => asked.change::<ListOffsetsRequest>(frame, |response| {
                merge(&mut response.topics, taken, |a, b| a.name == b.name, |topic| &mut topic.partitions);
            }),
            Parts::OffsetForLeaderEpoch(taken) => asked.change::<OffsetForLeaderEpochRequest>(frame, |response| {
                merge(&mut response.topics, taken, |a, b| a.topic == b.topic, |topic| &mut topic.partitions);
            }),
            Parts::DeleteRecords(taken) => asked.change::<DeleteRecordsRequest>(frame, |response| {
                merge(&mut response.topics, taken, |a, b| a.name == b.name, |topic| &mut topic.partitions);
            }),
        }
    }

    fn take_apart_produce(&mut self, asked: &Asked, delay: Duration) -> Result<Option<Step>, Refusal> {
        let mut request: ProduceRequest = asked.decode()?;
        let mut taken = Vec::new();
        for topic in &mut request.topic_data {
            let Some(name) = self.name_of(&topic.name, topic.topic_id) else { continue };
            let (kept, refused) =
                self.divide(asked, &name, std::mem::take(&mut topic.partition_data), |part| part.index);
            topic.partition_data = kept;
            let refused: Vec<_> = refused
                .into_iter()
                .map(|(part, refused)| {
                    let mut answer = produced(part.index, refused.code);
                    if let Some(leader) = refused.leader.filter(|_| asked.version >= PRODUCE_NAMES_LEADER) {
                        (answer.current_leader.leader_id, answer.current_leader.leader_epoch) =
                            (leader.node, leader.epoch);
                    }
                    answer
                })
                .collect();
            if !refused.is_empty() {
                taken.push(produce::response::TopicProduceResponse {
                    name: topic.name.clone(),
                    topic_id: topic.topic_id,
                    partition_responses: refused,
                    ..Default::default()
                });
            }
        }
        if taken.is_empty() {
            return Ok(None);
        }
        if request.acks == 0 {
            return Err(Refusal("a Produce without acknowledgement failed".to_owned()));
        }
        request.topic_data.retain(|topic| !topic.partition_data.is_empty());
        if request.topic_data.is_empty() {
            let node_endpoints = self.produce_endpoints(asked, &taken);
            let response = ProduceResponse { responses: taken, node_endpoints, ..Default::default() };
            return Ok(Some(Step::Answer { frame: asked.answer(&response)?, delay }));
        }
        forward(asked, &request, delay, Parts::Produce(taken)).map(Some)
    }

    fn take_apart_fetch(&mut self, asked: &Asked, delay: Duration) -> Result<Option<Step>, Refusal> {
        let mut request: FetchRequest = asked.decode()?;
        // Every fetch is whole: a session would keep partitions that have moved (KIP-227).
        (request.session_id, request.session_epoch) = (0, -1);
        request.forgotten_topics_data.clear();
        let mut taken = Vec::new();
        let mut any_from_follower = false;
        let mut is_urgent = false;
        for topic in &mut request.topics {
            let Some(name) = self.name_of(&topic.topic, topic.topic_id) else { continue };
            let mut answers = Vec::new();
            let mut kept = Vec::new();
            for part in std::mem::take(&mut topic.partitions) {
                match self.fetch_part(asked, &name, &part) {
                    FetchPart::Read { from_follower } => {
                        any_from_follower |= from_follower;
                        kept.push(part);
                    }
                    FetchPart::Answer(answer) => {
                        is_urgent |= !answer.error_code.is_ok() || answer.preferred_read_replica >= 0;
                        answers.push(*answer);
                    }
                }
            }
            topic.partitions = kept;
            if !answers.is_empty() {
                taken.push(fetch::response::FetchableTopicResponse {
                    topic: topic.topic.clone(),
                    topic_id: topic.topic_id,
                    partitions: answers,
                    ..Default::default()
                });
            }
        }
        request.topics.retain(|topic| !topic.partitions.is_empty());
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        if request.topics.is_empty() && !taken.is_empty() {
            let node_endpoints = self.fetch_endpoints(asked, &taken);
            let response = FetchResponse { responses: taken, node_endpoints, ..Default::default() };
            let delay = if is_urgent { delay } else { delay + wait };
            return Ok(Some(Step::Answer { frame: asked.answer(&response)?, delay }));
        }
        if is_urgent {
            request.max_wait_ms = 0;
        }
        let parts = Parts::Fetch { taken, moves: self.moves, from_follower: any_from_follower };
        forward(asked, &request, delay, parts).map(Some)
    }

    /// What becomes of a partition that is fetched.
    fn fetch_part(&mut self, asked: &Asked, name: &str, part: &fetch::request::FetchPartition) -> FetchPart {
        let Some(partition) = self.partition(name, part.partition) else {
            return FetchPart::Read { from_follower: false };
        };
        let (start, end) = (partition.log_start_offset(), partition.high_watermark());
        let is_current = partition.check_leader(part.current_leader_epoch).is_ok();
        if let Some(refused) = self.refusal(asked, name, part.partition) {
            let mut answer = fetched(part.partition, refused.code);
            set_leader(asked, &mut answer, refused.leader);
            return FetchPart::Answer(Box::new(answer));
        }
        let place = self.place(name, part.partition).clone();
        let empty = |start, end| fetch::response::PartitionData {
            high_watermark: end,
            last_stable_offset: end,
            log_start_offset: start,
            ..fetched(part.partition, ErrorCode::NONE)
        };
        if place.leader == asked.node {
            let to_follower = place.follower != NOBODY && place.follower != asked.node;
            if to_follower && asked.version >= FETCH_NAMES_FOLLOWER && is_current {
                let preferred_read_replica = place.follower;
                return FetchPart::Answer(Box::new(fetch::response::PartitionData {
                    preferred_read_replica,
                    ..empty(start, end)
                }));
            }
            return FetchPart::Read { from_follower: false };
        }
        let (start, end) = (place.follower_start.unwrap_or(start), place.follower_end.unwrap_or(end));
        if is_current && !(start..=end).contains(&part.fetch_offset) {
            let error_code = ErrorCode::OFFSET_OUT_OF_RANGE;
            return FetchPart::Answer(Box::new(fetch::response::PartitionData { error_code, ..empty(start, end) }));
        }
        if is_current && part.fetch_offset == end {
            // As in librdkafka's mock cluster, a follower has what is new by the next fetch.
            return FetchPart::Answer(Box::new(empty(start, end)));
        }
        FetchPart::Read { from_follower: true }
    }

    /// A fetch has waited at the broker: meanwhile the partition may have moved; and a follower has watermarks of its own.
    fn look_again(&mut self, asked: &Asked, response: &mut FetchResponse) {
        for topic in &mut response.responses {
            let Some(name) = self.name_of(&topic.topic, topic.topic_id) else { continue };
            for part in &mut topic.partitions {
                if self.partition(&name, part.partition_index).is_none() {
                    continue;
                }
                let place = self.place(&name, part.partition_index).clone();
                if place.leader != asked.node && place.follower != asked.node {
                    *part = fetched(part.partition_index, ErrorCode::NOT_LEADER_OR_FOLLOWER);
                    let told = self.place(&name, part.partition_index).told.pop_front();
                    let leader = told.or_else(|| self.leader(&name, part.partition_index));
                    set_leader(asked, part, leader);
                } else if place.leader != asked.node && part.error_code.is_ok() {
                    part.high_watermark = place.follower_end.unwrap_or(part.high_watermark);
                    part.log_start_offset = place.follower_start.unwrap_or(part.log_start_offset);
                }
            }
        }
    }

    fn take_apart_list_offsets(&mut self, asked: &Asked, delay: Duration) -> Result<Option<Step>, Refusal> {
        let mut request: ListOffsetsRequest = asked.decode()?;
        let mut taken = Vec::new();
        for topic in &mut request.topics {
            let parts = std::mem::take(&mut topic.partitions);
            let (kept, refused) = self.divide(asked, &topic.name.clone(), parts, |part| part.partition_index);
            topic.partitions = kept;
            if !refused.is_empty() {
                taken.push(list_offsets::response::ListOffsetsTopicResponse {
                    name: topic.name.clone(),
                    partitions: refused.iter().map(|(part, why)| listed(part.partition_index, why.code)).collect(),
                    ..Default::default()
                });
            }
        }
        request.topics.retain(|topic| !topic.partitions.is_empty());
        if taken.is_empty() {
            Ok(None)
        } else if request.topics.is_empty() {
            let response = ListOffsetsResponse { topics: taken, ..Default::default() };
            Ok(Some(Step::Answer { frame: asked.answer(&response)?, delay }))
        } else {
            forward(asked, &request, delay, Parts::ListOffsets(taken)).map(Some)
        }
    }

    fn take_apart_epochs(&mut self, asked: &Asked, delay: Duration) -> Result<Option<Step>, Refusal> {
        let mut request: OffsetForLeaderEpochRequest = asked.decode()?;
        let mut taken = Vec::new();
        for topic in &mut request.topics {
            let parts = std::mem::take(&mut topic.partitions);
            let (kept, refused) = self.divide(asked, &topic.topic.clone(), parts, |part| part.partition);
            topic.partitions = kept;
            if !refused.is_empty() {
                taken.push(offset_for_leader_epoch::response::OffsetForLeaderTopicResult {
                    topic: topic.topic.clone(),
                    partitions: refused.iter().map(|(part, why)| epoch_end(part.partition, why.code)).collect(),
                    ..Default::default()
                });
            }
        }
        request.topics.retain(|topic| !topic.partitions.is_empty());
        if taken.is_empty() {
            Ok(None)
        } else if request.topics.is_empty() {
            let response = OffsetForLeaderEpochResponse { topics: taken, ..Default::default() };
            Ok(Some(Step::Answer { frame: asked.answer(&response)?, delay }))
        } else {
            forward(asked, &request, delay, Parts::OffsetForLeaderEpoch(taken)).map(Some)
        }
    }

    fn take_apart_delete_records(&mut self, asked: &Asked, delay: Duration) -> Result<Option<Step>, Refusal> {
        let mut request: DeleteRecordsRequest = asked.decode()?;
        let mut taken = Vec::new();
        for topic in &mut request.topics {
            let parts = std::mem::take(&mut topic.partitions);
            let (kept, refused) = self.divide(asked, &topic.name.clone(), parts, |part| part.partition_index);
            topic.partitions = kept;
            if !refused.is_empty() {
                let refused = refused.iter().map(|(part, why)| records_deleted(part.partition_index, why.code));
                taken.push(delete_records::response::DeleteRecordsTopicResult {
                    name: topic.name.clone(),
                    partitions: refused.collect(),
                    ..Default::default()
                });
            }
        }
        request.topics.retain(|topic| !topic.partitions.is_empty());
        if taken.is_empty() {
            Ok(None)
        } else if request.topics.is_empty() {
            let response = DeleteRecordsResponse { topics: taken, ..Default::default() };
            Ok(Some(Step::Answer { frame: asked.answer(&response)?, delay }))
        } else {
            forward(asked, &request, delay, Parts::DeleteRecords(taken)).map(Some)
        }
    }

    /// Those parts that the broker gets, and those that are refused.
    fn divide<P>(
        &mut self,
        asked: &Asked,
        topic: &str,
        parts: Vec<P>,
        index: impl Fn(&P) -> i32,
    ) -> (Vec<P>, Vec<(P, Refused)>) {
        let (mut kept, mut out) = (Vec::with_capacity(parts.len()), Vec::new());
        for part in parts {
            match self.refusal(asked, topic, index(&part)) {
                None => kept.push(part),
                Some(refused) => out.push((part, refused)),
            }
        }
        (kept, out)
    }

    /// Why this node does not serve the partition; what is not known at all is the broker's to refuse.
    fn refusal(&mut self, asked: &Asked, topic: &str, partition: i32) -> Option<Refused> {
        self.partition(topic, partition)?;
        if let Some(code) = self.faults.next_of_partition(topic, partition, asked.api_key) {
            return Some(Refused { code, leader: None });
        }
        let node = asked.node;
        let is_fetch = asked.api_key == ApiKey::FETCH;
        let place = self.place(topic, partition);
        if place.leader == node || is_fetch && place.follower == node {
            return None;
        }
        let told = if is_fetch { place.told.pop_front() } else { None };
        let leader = told.or_else(|| self.leader(topic, partition));
        Some(Refused { code: ErrorCode::NOT_LEADER_OR_FOLLOWER, leader })
    }

    /// Who leads a partition, if anyone does.
    fn leader(&mut self, topic: &str, partition: i32) -> Option<Leader> {
        let epoch = self.partition(topic, partition)?.leader_epoch();
        let node = self.place(topic, partition).leader;
        (node != NOBODY).then_some(Leader { node, epoch })
    }

    pub(super) fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.core.topics.by_name(topic)?.partition(partition)
    }

    /// The topic's name, where newer versions name it by its id.
    pub(super) fn name_of(&self, name: &ByteStr, id: Uuid) -> Option<ByteStr> {
        if id.is_zero() { Some(name.clone()) } else { self.core.topics.get(&id).map(|topic| topic.name.clone()) }
    }

    fn produce_endpoints(
        &self,
        asked: &Asked,
        topics: &[produce::response::TopicProduceResponse],
    ) -> Vec<produce::response::NodeEndpoint> {
        if asked.version < PRODUCE_NAMES_LEADER {
            return Vec::new();
        }
        let parts = topics.iter().flat_map(|topic| &topic.partition_responses);
        let endpoints = self.endpoints(parts.map(|part| part.current_leader.leader_id));
        endpoints
            .map(|(node_id, host, port, rack)| produce::response::NodeEndpoint {
                node_id,
                host,
                port,
                rack,
                ..Default::default()
            })
            .collect()
    }

    fn fetch_endpoints(
        &self,
        asked: &Asked,
        topics: &[fetch::response::FetchableTopicResponse],
    ) -> Vec<fetch::response::NodeEndpoint> {
        if asked.version < FETCH_NAMES_ENDPOINTS {
            return Vec::new();
        }
        let parts = topics.iter().flat_map(|topic| &topic.partitions);
        let endpoints = self.endpoints(parts.map(|part| part.current_leader.leader_id));
        endpoints
            .map(|(node_id, host, port, rack)| fetch::response::NodeEndpoint {
                node_id,
                host,
                port,
                rack,
                ..Default::default()
            })
            .collect()
    }

    fn endpoints(
        &self,
        leaders: impl Iterator<Item = i32>,
    ) -> impl Iterator<Item = (i32, ByteStr, i32, Option<ByteStr>)> {
        let mut ids: Vec<i32> = leaders.filter(|id| *id >= 0).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter_map(|id| {
            let node = self.nodes.get(id)?;
            Some((id, node.host.as_str().into(), i32::from(node.port), node.rack.as_deref().map(Into::into)))
        })
    }
}

fn set_leader(asked: &Asked, answer: &mut fetch::response::PartitionData, leader: Option<Leader>) {
    if let Some(leader) = leader.filter(|_| asked.version >= FETCH_NAMES_LEADER) {
        (answer.current_leader.leader_id, answer.current_leader.leader_epoch) = (leader.node, leader.epoch);
    }
}

fn forward<R: Request>(asked: &Asked, request: &R, delay: Duration, parts: Parts) -> Result<Step, Refusal> {
    let frame: Bytes = asked.instead(request)?;
    Ok(Step::Forward { frame, pending: Pending { asked: asked.clone(), delay, change: Change::Rejoin(parts) } })
}

/// Adds topics to topics; parts of the same topic come together.
fn merge<T, P>(into: &mut Vec<T>, more: Vec<T>, same: impl Fn(&T, &T) -> bool, parts: impl Fn(&mut T) -> &mut Vec<P>) {
    for mut topic in more {
        match into.iter_mut().find(|other| same(other, &topic)) {
            Some(other) => {
                let taken = std::mem::take(parts(&mut topic));
                parts(other).extend(taken);
            }
            None => into.push(topic),
        }
    }
}
