//! Requests for the group coordinator: JoinGroup (11), SyncGroup (14), Heartbeat (12), LeaveGroup (13), OffsetCommit (8), OffsetFetch (9),
//! OffsetDelete (47), DescribeGroups (15), ListGroups (16), DeleteGroups (42), ConsumerGroupHeartbeat (68), ConsumerGroupDescribe (69).
//!
//! What they mean is in `groups/`; here they are read and handed over.

use felice_protocol::messages::ApiKey;
use felice_protocol::primitives::Decoder;
use felice_protocol::time::Now;

use super::{Refusal, Reply, RequestContext, decode};
use crate::broker::BrokerCore;
use crate::coordinator::handle;

pub(super) fn dispatch(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    body: Decoder,
) -> Result<Reply, Refusal> {
    let c = context;
    match c.api_key {
        ApiKey::JOIN_GROUP => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, topics, caller| groups.handle_join_group(now, topics, caller, &request))
        }
        ApiKey::SYNC_GROUP => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, topics, caller| groups.handle_sync_group(now, topics, caller, request))
        }
        ApiKey::HEARTBEAT => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, _, caller| groups.handle_heartbeat(now, caller, &request))
        }
        ApiKey::LEAVE_GROUP => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, topics, caller| groups.handle_leave_group(now, topics, caller, request))
        }
        ApiKey::OFFSET_COMMIT => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, topics, caller| groups.handle_offset_commit(now, caller, topics, &request))
        }
        ApiKey::OFFSET_FETCH => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, topics, caller| groups.handle_offset_fetch(caller, topics, request))
        }
        ApiKey::OFFSET_DELETE => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, topics, caller| groups.handle_offset_delete(caller, topics, request))
        }
        ApiKey::DESCRIBE_GROUPS => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, _, caller| groups.handle_describe_groups(caller, &request))
        }
        ApiKey::LIST_GROUPS => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, _, caller| groups.handle_list_groups(caller, &request))
        }
        ApiKey::DELETE_GROUPS => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, _, caller| groups.handle_delete_groups(caller, &request))
        }
        ApiKey::CONSUMER_GROUP_HEARTBEAT => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, topics, caller| {
                groups.handle_consumer_group_heartbeat(now, topics, caller, &request);
            })
        }
        ApiKey::CONSUMER_GROUP_DESCRIBE => {
            let request = decode(c, body)?;
            handle(core, now, c, |groups, topics, caller| {
                groups.handle_consumer_group_describe(topics, caller, &request)
            })
        }
        other => Err(Refusal(format!("{other} is not supported"))),
    }
}
