//! One file for each Kafka API, the table of what is offered, and the one place where a request finds its file.
//!
//! To add an API: its file, a row in [`OFFERED`], an arm in [`dispatch`].

mod alter_configs;
mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
pub(crate) mod fetch;
mod find_coordinator;
mod groups;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
pub(crate) mod produce;
mod validation;

use felice_protocol::messages::{
    ApiKey, Message, Request, SaslAuthenticateRequest, SaslHandshakeRequest, encode_response,
};
use felice_protocol::primitives::{ByteStr, Decoder, Frame};
use felice_protocol::time::Now;

use crate::broker::BrokerCore;
use crate::connection::ConnectionId;
use crate::sasl;

/// The APIs and versions that ApiVersions names.
///
/// Produce is named from 0 on although 0 to 2 are refused: older librdkafka looks at the range to find out what the broker can do
/// (KAFKA-18659).
pub(crate) const OFFERED: &[(ApiKey, i16, i16)] = &[
    (ApiKey::PRODUCE, 0, 13),
    (ApiKey::FETCH, 4, 18),
    (ApiKey::LIST_OFFSETS, 1, 11),
    (ApiKey::METADATA, 0, 13),
    (ApiKey::OFFSET_COMMIT, 2, 10),
    (ApiKey::OFFSET_FETCH, 1, 10),
    (ApiKey::FIND_COORDINATOR, 0, 6),
    (ApiKey::JOIN_GROUP, 0, 9),
    (ApiKey::HEARTBEAT, 0, 4),
    (ApiKey::LEAVE_GROUP, 0, 5),
    (ApiKey::SYNC_GROUP, 0, 5),
    (ApiKey::DESCRIBE_GROUPS, 0, 6),
    (ApiKey::LIST_GROUPS, 0, 5),
    (ApiKey::SASL_HANDSHAKE, 0, 1),
    (ApiKey::API_VERSIONS, 0, 4),
    (ApiKey::CREATE_TOPICS, 2, 7),
    (ApiKey::DELETE_TOPICS, 1, 6),
    (ApiKey::DELETE_RECORDS, 0, 2),
    (ApiKey::INIT_PRODUCER_ID, 0, 5),
    (ApiKey::OFFSET_FOR_LEADER_EPOCH, 2, 4),
    (ApiKey::DESCRIBE_CONFIGS, 1, 4),
    (ApiKey::ALTER_CONFIGS, 0, 2),
    (ApiKey::SASL_AUTHENTICATE, 0, 2),
    (ApiKey::CREATE_PARTITIONS, 0, 3),
    (ApiKey::DELETE_GROUPS, 0, 2),
    (ApiKey::INCREMENTAL_ALTER_CONFIGS, 0, 1),
    (ApiKey::OFFSET_DELETE, 0, 0),
    (ApiKey::DESCRIBE_CLUSTER, 0, 2),
    (ApiKey::CONSUMER_GROUP_HEARTBEAT, 0, 1),
    (ApiKey::CONSUMER_GROUP_DESCRIBE, 0, 1),
];

/// Where a request came from, and how its answer must look.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    pub(crate) connection: ConnectionId,
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<ByteStr>,
}

impl RequestContext {
    pub(crate) fn encode<M: Message>(&self, response: &M) -> Result<Frame, Refusal> {
        encode_response(self.api_key, self.version, self.correlation_id, response).map_err(|error| {
            Refusal(format!("the answer to {} v{} cannot be written: {error}", self.api_key, self.version))
        })
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// An answer.
    Frame(Frame),
    /// It was answered already, or will be later.
    Later,
}

/// Why the connection is closed instead of an answer.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

pub(crate) fn dispatch(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    body: Decoder,
) -> Result<Reply, Refusal> {
    let offered = OFFERED.iter().find(|(key, ..)| *key == context.api_key);
    if context.api_key == ApiKey::API_VERSIONS && offered.is_none_or(|(_, _, max)| context.version > *max) {
        return api_versions::unsupported_version(context);
    }
    match offered {
        // Produce is offered from a lower version on than there is.
        Some((key, min, max))
            if (*min..=*max).contains(&context.version)
                && key.valid_versions().is_some_and(|(lowest, _)| context.version >= lowest) => {}
        Some((key, min, max)) => {
            return Err(Refusal(format!("{key} v{} is not supported, only v{min} to v{max}", context.version)));
        }
        None => return Err(Refusal(format!("{} is not supported", context.api_key))),
    }
    let c = context;
    match c.api_key {
        ApiKey::PRODUCE => produce::handle(core, now, c, decode(c, body)?),
        ApiKey::FETCH => fetch::handle(core, now, c, decode(c, body)?),
        ApiKey::LIST_OFFSETS => answer(c, body, |request| list_offsets::handle(core, c.version, &request)),
        ApiKey::METADATA => answer(c, body, |request| metadata::handle(core, now, c, request)),
        ApiKey::FIND_COORDINATOR => answer(c, body, |request| find_coordinator::handle(core, now, c, request)),
        ApiKey::API_VERSIONS => answer(c, body, |request| api_versions::handle(core, c, &request)),
        ApiKey::CREATE_TOPICS => answer(c, body, |request| create_topics::handle(core, now, c, request)),
        ApiKey::DELETE_TOPICS => answer(c, body, |request| delete_topics::handle(core, now, c, request)),
        ApiKey::DELETE_RECORDS => answer(c, body, |request| delete_records::handle(core, request)),
        ApiKey::INIT_PRODUCER_ID => answer(c, body, |request| init_producer_id::handle(core, now, &request)),
        ApiKey::OFFSET_FOR_LEADER_EPOCH => answer(c, body, |request| offset_for_leader_epoch::handle(core, request)),
        ApiKey::DESCRIBE_CONFIGS => answer(c, body, |request| describe_configs::handle(core, request)),
        ApiKey::ALTER_CONFIGS => answer(c, body, |request| alter_configs::handle(core, now, request)),
        ApiKey::INCREMENTAL_ALTER_CONFIGS => {
            answer(c, body, |request| alter_configs::handle_incremental(core, now, request))
        }
        ApiKey::CREATE_PARTITIONS => answer(c, body, |request| create_partitions::handle(core, now, request)),
        ApiKey::DESCRIBE_CLUSTER => answer(c, body, |request| describe_cluster::handle(core, c, &request)),
        ApiKey::SASL_HANDSHAKE => answer(c, body, |_: SaslHandshakeRequest| sasl::handshake_out_of_place()),
        ApiKey::SASL_AUTHENTICATE => answer(c, body, |_: SaslAuthenticateRequest| sasl::authenticate_out_of_place()),
        _ => groups::dispatch(core, now, c, body),
    }
}

fn decode<R: Request>(context: &RequestContext, mut body: Decoder) -> Result<R, Refusal> {
    // Bytes behind the request are ignored, as Apache Kafka does: librdkafka 2.16 sends three behind a Metadata request.
    R::decode(&mut body, context.version)
        .map_err(|error| Refusal(format!("a {} v{} that cannot be read: {error}", context.api_key, context.version)))
}

fn answer<R: Request>(
    context: &RequestContext,
    body: Decoder,
    handle: impl FnOnce(R) -> R::Response,
) -> Result<Reply, Refusal> {
    context.encode(&handle(decode(context, body)?)).map(Reply::Frame)
}

/// The features that are finalized: name, lowest, highest and finalized level.
pub(crate) fn api_features() -> &'static [(&'static str, i16, i16, i16)] {
    api_versions::FEATURES
}
