//! DeleteTopics (20).

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::delete_topics::request::DeleteTopicState;
use felice_protocol::messages::delete_topics::response::DeletableTopicResult;
use felice_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use felice_protocol::time::Now;

use super::RequestContext;
use crate::broker::BrokerCore;

pub(super) fn handle(
    core: &mut BrokerCore,
    now: Now,
    context: &RequestContext,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let asked: Vec<DeleteTopicState> = if context.version >= 6 {
        request.topics
    } else {
        let named = |name| DeleteTopicState { name: Some(name), ..Default::default() };
        request.topic_names.into_iter().map(named).collect()
    };
    let responses = asked.into_iter().map(|topic| delete(core, now, topic)).collect();
    DeleteTopicsResponse { responses, ..Default::default() }
}

fn delete(core: &mut BrokerCore, now: Now, asked: DeleteTopicState) -> DeletableTopicResult {
    let mut result = DeletableTopicResult { topic_id: asked.topic_id, name: asked.name.clone(), ..Default::default() };
    let mut fail = |code: ErrorCode, message: Option<&str>| {
        result.error_code = code;
        result.error_message = message.map(Into::into);
    };
    let found = match (&asked.name, asked.topic_id.is_zero()) {
        (Some(_), false) | (None, true) => {
            fail(ErrorCode::INVALID_REQUEST, Some("Give a topic's name or its id, one of the two."));
            return result;
        }
        (Some(name), true) => core.topics.by_name(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (None, false) => core.topics.get(&asked.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
    };
    let (id, name) = match found {
        Ok(topic) => (topic.id, topic.name.clone()),
        Err(code) => {
            fail(code, Some("This server does not host this topic."));
            return result;
        }
    };
    if !core.config.delete_topic_enable() {
        fail(ErrorCode::TOPIC_DELETION_DISABLED, Some("delete.topic.enable is false."));
        return result;
    }
    match core.delete_topic(now, id) {
        Ok(()) => (result.topic_id, result.name) = (id, Some(name)),
        Err(error) => fail(error.code, Some(&error.message)),
    }
    result
}
