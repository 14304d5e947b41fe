//! DescribeCluster (60).

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::describe_cluster::response::DescribeClusterBroker;
use felice_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use felice_protocol::primitives::ByteStr;

use super::RequestContext;
use super::metadata::CLUSTER_OPERATIONS;
use crate::broker::BrokerCore;

/// The endpoints that clients use; controllers have their own listener, which this broker has not.
const BROKERS: i8 = 1;

pub(super) fn handle(
    core: &BrokerCore,
    context: &RequestContext,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    if request.endpoint_type != BROKERS {
        return DescribeClusterResponse {
            error_code: ErrorCode::MISMATCHED_ENDPOINT_TYPE,
            error_message: Some(ByteStr::from_static("This is a broker's endpoint, not a controller's.")),
            ..Default::default()
        };
    }
    let (host, port) = core.advertised(context.connection);
    DescribeClusterResponse {
        cluster_id: core.cluster_id.clone(),
        controller_id: core.config.node_id(),
        brokers: vec![DescribeClusterBroker {
            broker_id: core.config.node_id(),
            host,
            port,
            rack: core.config.rack().map(Into::into),
            ..Default::default()
        }],
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..Default::default()
    }
}
