//! What becomes of a request: refused, answered here, or sent on to the broker, whose answer is changed on its way back.

use std::time::Duration;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::*;
use felice_protocol::primitives::{ByteStr, Frame};

use super::asked::Asked;
use super::commands::CoordinatorKind;
use super::faults::Fault;
use super::parts::Parts;
use super::refusals::refuse;
use super::told::Told;
use super::{MockCore, told};
use crate::api::{OFFERED, Refusal};

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Step {
    /// It is answered without the broker.
    Answer { frame: Frame, delay: Duration },
    /// The broker gets it, or another in its place.
    Forward { frame: Bytes, pending: Pending },
}

/// A request that the broker has.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) asked: Asked,
    pub(super) delay: Duration,
    pub(super) change: Change,
}

/// What happens to the broker's answer.
#[derive(Debug)]
pub(super) enum Change {
    /// It goes as it is.
    Nothing,
    /// Another goes in its place.
    Replace(Frame),
    /// It is told of the cluster.
    Tell(Told),
    /// The parts that were taken out come back, refused.
    Rejoin(Parts),
}

impl MockCore {
    pub(super) fn route(&mut self, node: i32, frame: Bytes) -> Result<Step, Refusal> {
        let asked = Asked::read(node, frame)?;
        if let Some(step) = self.check_version(&asked)? {
            return Ok(step);
        }
        let injected = self.faults.next(node, asked.api_key);
        let delay = injected.delay;
        match injected.fault {
            Fault::None => {}
            Fault::Error(code) => return self.refuse_on_request(asked, code, delay),
            Fault::Disconnect => return Err(Refusal("a test wanted this connection closed".to_owned())),
        }
        if let Some(code) = self.check_coordinator(&asked)? {
            return Ok(Step::Answer { frame: refuse(&asked, code)?, delay });
        }
        if let Some(step) = self.take_apart(&asked, delay)? {
            return Ok(step);
        }
        let (frame, told) = self.about_the_cluster(&asked)?;
        let change = told.map_or(Change::Nothing, Change::Tell);
        Ok(Step::Forward { frame, pending: Pending { asked, delay, change } })
    }

    /// What the broker has answered, as the client gets it.
    pub(super) fn finish(&mut self, pending: Pending, frame: Frame) -> Result<(Frame, Duration), Refusal> {
        let Pending { asked, delay, change } = pending;
        let frame = match change {
            // Where nobody wants an answer there is nothing to change.
            _ if frame.is_empty() => frame,
            Change::Nothing => frame,
            Change::Replace(other) => other,
            Change::Tell(told) => self.tell(&asked, told, frame)?,
            Change::Rejoin(parts) => self.rejoin(&asked, parts, frame)?,
        };
        Ok((frame, delay))
    }

    /// The range of versions that is offered, where the API is.
    pub(super) fn offered(&self, api_key: ApiKey) -> Option<(i16, i16)> {
        let (_, min, max) = OFFERED.iter().find(|(key, ..)| *key == api_key)?;
        match self.versions.get(&api_key) {
            None => Some((*min, *max)),
            Some(None) => None,
            Some(Some((lowest, highest))) => {
                let range = (*min.max(lowest), *max.min(highest));
                (range.0 <= range.1).then_some(range)
            }
        }
    }

    /// A version that is not offered closes the connection; ApiVersions is answered always.
    fn check_version(&self, asked: &Asked) -> Result<Option<Step>, Refusal> {
        let offered = self.offered(asked.api_key);
        if offered.is_some_and(|(min, max)| (min..=max).contains(&asked.version)) {
            return Ok(None);
        }
        if asked.api_key == ApiKey::API_VERSIONS {
            let (min_version, max_version) = offered.unwrap_or((0, 0));
            let api_key = asked.api_key.0;
            let own = api_versions::response::ApiVersion { api_key, min_version, max_version, ..Default::default() };
            let response = ApiVersionsResponse {
                error_code: ErrorCode::UNSUPPORTED_VERSION,
                api_keys: vec![own],
                ..Default::default()
            };
            return Ok(Some(Step::Answer { frame: asked.answer_in(0, &response)?, delay: Duration::ZERO }));
        }
        Err(Refusal(format!("{} v{} is not offered", asked.api_key, asked.version)))
    }

    /// A fault has no effect beside its answer, with one exception: a member of a consumer group that is told that it is fenced is so.
    fn refuse_on_request(&mut self, asked: Asked, code: ErrorCode, delay: Duration) -> Result<Step, Refusal> {
        let refusal = refuse(&asked, code)?;
        if asked.api_key == ApiKey::CONSUMER_GROUP_HEARTBEAT
            && matches!(code, ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID)
        {
            let mut request: ConsumerGroupHeartbeatRequest = asked.decode()?;
            if request.member_epoch > 0 {
                request.member_epoch = -1;
                let frame = asked.instead(&request)?;
                return Ok(Step::Forward {
                    frame,
                    pending: Pending { asked, delay, change: Change::Replace(refusal) },
                });
            }
        }
        Ok(Step::Answer { frame: refusal, delay })
    }

    /// The node that coordinates a group or a transaction: the one that a test has said, else one by the key. `None` where the test has said
    /// one that is not there.
    pub(super) fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Option<i32> {
        match self.coordinators.get(&(kind, ByteStr::from(key))) {
            Some(node) => self.nodes.contains(*node).then_some(*node),
            None => self.nodes.for_key(key),
        }
    }

    /// The error of a request that has reached a node which does not coordinate what it is about.
    fn check_coordinator(&self, asked: &Asked) -> Result<Option<ErrorCode>, Refusal> {
        let (kind, keys) = coordinated(asked)?;
        let refused = keys.iter().find_map(|key| match self.coordinator(kind, key) {
            None => Some(ErrorCode::COORDINATOR_NOT_AVAILABLE),
            Some(node) if node != asked.node => Some(ErrorCode::NOT_COORDINATOR),
            Some(_) => None,
        });
        Ok(refused)
    }

    /// Requests that ask about the cluster, or that name its nodes.
    fn about_the_cluster(&mut self, asked: &Asked) -> Result<(Bytes, Option<Told>), Refusal> {
        let told = match asked.api_key {
            ApiKey::METADATA => Told::Metadata { all: told::asks_for_all(&asked.decode()?, asked.version) },
            ApiKey::FIND_COORDINATOR => {
                let request: FindCoordinatorRequest = asked.decode()?;
                Told::Coordinators { kind: request.key_type, key: request.key }
            }
            ApiKey::DESCRIBE_CLUSTER => Told::Cluster,
            ApiKey::API_VERSIONS => Told::Versions,
            ApiKey::LIST_GROUPS => Told::Groups,
            ApiKey::OFFSET_FETCH if self.current_epochs && asked.version >= 5 => Told::Offsets,
            ApiKey::DELETE_TOPICS => Told::TopicsGone,
            ApiKey::CREATE_TOPICS => {
                let mut request: CreateTopicsRequest = asked.decode()?;
                let replicas = self.place_new_topics(&mut request);
                return Ok((asked.instead(&request)?, Some(Told::TopicsMade { replicas })));
            }
            ApiKey::CREATE_PARTITIONS => {
                let mut request: CreatePartitionsRequest = asked.decode()?;
                // Which node gets which is the mock's to say.
                request.topics.iter_mut().for_each(|topic| topic.assignments = None);
                return Ok((asked.instead(&request)?, None));
            }
            _ => return Ok((asked.frame.clone(), None)),
        };
        Ok((asked.frame.clone(), Some(told)))
    }
}

/// The groups or transactions that a request is about.
fn coordinated(asked: &Asked) -> Result<(CoordinatorKind, Vec<ByteStr>), Refusal> {
    let keys = match asked.api_key {
        ApiKey::JOIN_GROUP => vec![asked.decode::<JoinGroupRequest>()?.group_id],
        ApiKey::SYNC_GROUP => vec![asked.decode::<SyncGroupRequest>()?.group_id],
        ApiKey::HEARTBEAT => vec![asked.decode::<HeartbeatRequest>()?.group_id],
        ApiKey::LEAVE_GROUP => vec![asked.decode::<LeaveGroupRequest>()?.group_id],
        ApiKey::CONSUMER_GROUP_HEARTBEAT => vec![asked.decode::<ConsumerGroupHeartbeatRequest>()?.group_id],
        ApiKey::OFFSET_COMMIT => vec![asked.decode::<OffsetCommitRequest>()?.group_id],
        ApiKey::OFFSET_DELETE => vec![asked.decode::<OffsetDeleteRequest>()?.group_id],
        ApiKey::OFFSET_FETCH => {
            let request: OffsetFetchRequest = asked.decode()?;
            let named = (asked.version < 8).then_some(request.group_id);
            named.into_iter().chain(request.groups.into_iter().map(|group| group.group_id)).collect()
        }
        ApiKey::DESCRIBE_GROUPS => asked.decode::<DescribeGroupsRequest>()?.groups,
        ApiKey::CONSUMER_GROUP_DESCRIBE => asked.decode::<ConsumerGroupDescribeRequest>()?.group_ids,
        ApiKey::DELETE_GROUPS => asked.decode::<DeleteGroupsRequest>()?.groups_names,
        ApiKey::INIT_PRODUCER_ID => {
            let id = asked.decode::<InitProducerIdRequest>()?.transactional_id;
            return Ok((CoordinatorKind::Transaction, id.into_iter().collect()));
        }
        _ => Vec::new(),
    };
    Ok((CoordinatorKind::Group, keys))
}
