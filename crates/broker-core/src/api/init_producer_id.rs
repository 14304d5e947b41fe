//! InitProducerId (22): ids for idempotent producers. Transactional ones need the coordinator, which is not there yet.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use felice_protocol::time::Now;

use crate::broker::BrokerCore;

pub(super) fn handle(core: &mut BrokerCore, now: Now, request: &InitProducerIdRequest) -> InitProducerIdResponse {
    let refuse =
        |error_code| InitProducerIdResponse { error_code, producer_id: -1, producer_epoch: -1, ..Default::default() };
    match request.transactional_id.as_deref() {
        Some("") => return refuse(ErrorCode::INVALID_REQUEST),
        Some(_) => return refuse(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        None => {}
    }
    match core.controller.next_producer_id(now) {
        Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
        // Where the block cannot be written down, an id might be given out twice: none is given.
        Err(_) => refuse(ErrorCode::COORDINATOR_NOT_AVAILABLE),
    }
}
