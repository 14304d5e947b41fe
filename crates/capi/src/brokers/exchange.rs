//! A request and its answer, by what can be read of them without decoding the whole.

use std::ffi::CString;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use felice::protocol::messages::{self, ApiKey, ProduceRequest};
use felice::raw::Frame;

use crate::conf::interceptors::Exchange;
use crate::sockets::Socket;

/// A request, by its header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) sent_at: Instant,
    pub(super) api_key: i16,
    api_version: i16,
    pub(super) correlation_id: i32,
}

/// Whom a request goes to, as interceptors hear it.
pub(super) struct Addressed {
    pub(super) name: CString,
    pub(super) id: i32,
    pub(super) socket: Option<Arc<Socket>>,
}

impl Request {
    /// Behind the length, which may be a piece of its own.
    pub(super) fn read(frame: &Frame) -> Option<Self> {
        let header: Vec<u8> = frame.chunks.iter().flatten().skip(4).take(8).copied().collect();
        let (api_key, rest) = header.split_first_chunk()?;
        let (api_version, rest) = rest.split_first_chunk()?;
        let correlation_id = rest.first_chunk()?;
        Some(Self {
            sent_at: Instant::now(),
            api_key: i16::from_be_bytes(*api_key),
            api_version: i16::from_be_bytes(*api_version),
            correlation_id: i32::from_be_bytes(*correlation_id),
        })
    }

    pub(super) fn exchange<'a>(&self, broker: &'a Addressed, size: usize) -> Exchange<'a> {
        let Self { api_key, api_version, correlation_id, .. } = *self;
        let socket = broker.socket.as_ref().map_or(-1, |socket| socket.descriptor());
        Exchange { socket, broker: &broker.name, broker_id: broker.id, api_key, api_version, correlation_id, size }
    }

    /// For how many milliseconds the broker says that it holds this client back; `None` where the answer does not tell.
    pub(super) fn throttle_time(&self, answer: &Bytes) -> Option<i32> {
        let (api, version) = (ApiKey(self.api_key), self.api_version);
        if api == ApiKey::PRODUCE {
            let (_, response) = messages::decode_response::<ProduceRequest>(version, answer.clone()).ok()?;
            return Some(response.throttle_time_ms);
        }
        let (since, behind_error) = match api {
            ApiKey::METADATA | ApiKey::OFFSET_COMMIT | ApiKey::OFFSET_FETCH => (3, false),
            ApiKey::LIST_OFFSETS | ApiKey::JOIN_GROUP | ApiKey::OFFSET_FOR_LEADER_EPOCH => (2, false),
            ApiKey::FETCH
            | ApiKey::FIND_COORDINATOR
            | ApiKey::HEARTBEAT
            | ApiKey::LEAVE_GROUP
            | ApiKey::SYNC_GROUP
            | ApiKey::DESCRIBE_GROUPS
            | ApiKey::LIST_GROUPS => (1, false),
            ApiKey::CREATE_TOPICS
            | ApiKey::DELETE_TOPICS
            | ApiKey::DELETE_RECORDS
            | ApiKey::CREATE_PARTITIONS
            | ApiKey::INIT_PRODUCER_ID
            | ApiKey::DESCRIBE_CONFIGS
            | ApiKey::ALTER_CONFIGS
            | ApiKey::INCREMENTAL_ALTER_CONFIGS
            | ApiKey::DELETE_GROUPS
            | ApiKey::ELECT_LEADERS
            | ApiKey::DESCRIBE_CLUSTER
            | ApiKey::DESCRIBE_ACLS
            | ApiKey::CREATE_ACLS
            | ApiKey::DELETE_ACLS
            | ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS
            | ApiKey::ALTER_USER_SCRAM_CREDENTIALS
            | ApiKey::CONSUMER_GROUP_HEARTBEAT
            | ApiKey::CONSUMER_GROUP_DESCRIBE => (0, false),
            ApiKey::OFFSET_DELETE => (0, true),
            // What begins otherwise is not taken for a time.
            _ => return None,
        };
        if version < since {
            return None;
        }
        let body = match api.response_header_version(version) {
            0 => answer.get(4..)?,
            // Brokers send no tags in headers; where one does, nothing is known.
            _ => answer.get(4..)?.strip_prefix(&[0])?,
        };
        let body = if behind_error { body.get(2..)? } else { body };
        body.first_chunk().map(|time| i32::from_be_bytes(*time))
    }
}

/// What an answer begins with.
pub(super) fn correlation_id(answer: &[u8]) -> Option<i32> {
    answer.first_chunk().map(|id| i32::from_be_bytes(*id))
}

#[cfg(test)]
mod tests {
    use felice::protocol::messages::{self as m, Request as _};

    use super::*;

    #[test]
    fn a_request_is_read_however_its_frame_is_cut() {
        let bytes = [0, 0, 0, 9, 0, 18, 0, 3, 0, 0, 0, 7, 1_u8];
        for cut in 1..bytes.len() {
            let chunks = [&bytes[..cut], &bytes[cut..]].map(|chunk| chunk.to_vec().into()).to_vec();
            let request = Request::read(&Frame { chunks }).unwrap();
            assert_eq!((request.api_key, request.api_version, request.correlation_id), (18, 3, 7));
        }
    }

    fn answered(api: ApiKey, version: i16, answer: Frame) -> (Option<i32>, Option<i32>) {
        let request =
            Request { sent_at: Instant::now(), api_key: api.0, api_version: version, correlation_id: 1 << 20 };
        let answer = answer.into_bytes().slice(4..);
        (correlation_id(&answer), request.throttle_time(&answer))
    }

    /// In every version that can carry it.
    macro_rules! throttled {
        ($($request:ident $response:ident from $since:literal,)*) => {$(
            for version in m::$request::MIN_VERSION..=m::$request::MAX_VERSION {
                let time = if version < $since { 0 } else { 0x0102_0304 };
                let response = m::$response { throttle_time_ms: time, ..m::$response::default() };
                let frame = m::encode_response(m::$request::API_KEY, version, 1 << 20, &response).unwrap();
                let expected = (Some(1 << 20), (version >= $since).then_some(time));
                assert_eq!(answered(m::$request::API_KEY, version, frame), expected, "{} {version}", stringify!($request));
            }
        )*};
    }

    #[test]
    fn an_answer_tells_how_long_this_client_is_held_back() {
        throttled! {
            ProduceRequest ProduceResponse from 0,
            FetchRequest FetchResponse from 1,
            ListOffsetsRequest ListOffsetsResponse from 2,
            MetadataRequest MetadataResponse from 3,
            OffsetCommitRequest OffsetCommitResponse from 3,
            OffsetFetchRequest OffsetFetchResponse from 3,
            FindCoordinatorRequest FindCoordinatorResponse from 1,
            JoinGroupRequest JoinGroupResponse from 2,
            HeartbeatRequest HeartbeatResponse from 1,
            LeaveGroupRequest LeaveGroupResponse from 1,
            SyncGroupRequest SyncGroupResponse from 1,
            DescribeGroupsRequest DescribeGroupsResponse from 1,
            ListGroupsRequest ListGroupsResponse from 1,
            CreateTopicsRequest CreateTopicsResponse from 0,
            DeleteTopicsRequest DeleteTopicsResponse from 0,
            DeleteRecordsRequest DeleteRecordsResponse from 0,
            InitProducerIdRequest InitProducerIdResponse from 0,
            OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse from 2,
            DescribeAclsRequest DescribeAclsResponse from 0,
            CreateAclsRequest CreateAclsResponse from 0,
            DeleteAclsRequest DeleteAclsResponse from 0,
            DescribeConfigsRequest DescribeConfigsResponse from 0,
            AlterConfigsRequest AlterConfigsResponse from 0,
            IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse from 0,
            CreatePartitionsRequest CreatePartitionsResponse from 0,
            DeleteGroupsRequest DeleteGroupsResponse from 0,
            OffsetDeleteRequest OffsetDeleteResponse from 0,
            ElectLeadersRequest ElectLeadersResponse from 0,
            DescribeClusterRequest DescribeClusterResponse from 0,
            DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse from 0,
            AlterUserScramCredentialsRequest AlterUserScramCredentialsResponse from 0,
            ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse from 0,
            ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse from 0,
        }
    }

    #[test]
    fn a_broken_answer_tells_nothing() {
        let request = Request { sent_at: Instant::now(), api_key: ApiKey::FETCH.0, api_version: 12, correlation_id: 0 };
        for length in 0..9 {
            assert_eq!(request.throttle_time(&Bytes::from(vec![0; length])), None);
        }
        let versions = Request { api_key: ApiKey::API_VERSIONS.0, ..request };
        assert_eq!(versions.throttle_time(&Bytes::from(vec![0; 20])), None, "it does not begin with it");
        let produce = Request { api_key: ApiKey::PRODUCE.0, ..request };
        assert_eq!(produce.throttle_time(&Bytes::from_static(&[255; 40])), None);
    }
}
