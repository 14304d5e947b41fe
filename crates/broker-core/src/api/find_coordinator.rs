//! FindCoordinator (10). There are no coordinators yet: clients are told to ask again.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::find_coordinator::response::Coordinator;
use felice_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use felice_protocol::primitives::ByteStr;

use super::RequestContext;

const MESSAGE: ByteStr = ByteStr::from_static("This broker has no group or transaction coordinator yet.");

pub(super) fn handle(context: &RequestContext, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    if context.version >= 4 {
        let coordinators = request.coordinator_keys.into_iter().map(|key| Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
            error_message: Some(MESSAGE),
            ..Default::default()
        });
        return FindCoordinatorResponse { coordinators: coordinators.collect(), ..Default::default() };
    }
    FindCoordinatorResponse {
        error_code: ErrorCode::COORDINATOR_NOT_AVAILABLE,
        error_message: Some(MESSAGE),
        node_id: -1,
        port: -1,
        ..Default::default()
    }
}
