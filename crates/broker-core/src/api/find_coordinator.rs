//! FindCoordinator (10): the coordinator of every group is this broker. The first look for one makes `__consumer_offsets`.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::find_coordinator::response::Coordinator;
use felice_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Now;

use super::RequestContext;
use crate::broker::BrokerCore;
use crate::coordinator;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub(super) fn handle(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if context.version >= 4 {
        let coordinators =
            request.coordinator_keys.into_iter().map(|key| find(core, now, context, request.key_type, key));
        return FindCoordinatorResponse { coordinators: coordinators.collect(), ..Default::default() };
    }
    let found = find(core, now, context, request.key_type, request.key);
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: if found.error_code.is_ok() { Some(ByteStr::from_static("NONE")) } else { found.error_message },
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}

fn find(core: &mut BrokerCore, now: Now, context: &RequestContext, key_type: i8, key: ByteStr) -> Coordinator {
    let missing = |key, error_code, message: &'static str| Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code,
        error_message: Some(ByteStr::from_static(message)),
        ..Default::default()
    };
    match key_type {
        GROUP => match coordinator::ensure_offsets_topic(core, now) {
            Ok(()) => {
                let (host, port) = core.advertised(context.connection);
                Coordinator {
                    key,
                    node_id: core.config.node_id(),
                    host,
                    port,
                    error_message: Some(ByteStr::default()),
                    ..Default::default()
                }
            }
            Err(code) => missing(key, code, "The coordinator is not available."),
        },
        TRANSACTION => {
            missing(key, ErrorCode::COORDINATOR_NOT_AVAILABLE, "This broker has no transaction coordinator yet.")
        }
        SHARE => missing(key, ErrorCode::COORDINATOR_NOT_AVAILABLE, "This broker has no share coordinator yet."),
        _ => missing(key, ErrorCode::INVALID_REQUEST, "There is no such type of coordinator."),
    }
}
