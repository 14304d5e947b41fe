//! What the coordinator's error codes ask a member to do. The codes of commits and look-ups are beside those.

use felice_protocol::error_code::ErrorCode;

use crate::error::{Error, ErrorKind};

/// What a member does about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    /// Ask the same again after a pause.
    Backoff,
    /// Another broker coordinates the group.
    FindCoordinator,
    /// A rebalance is under way: join again, with what is held.
    Rejoin,
    /// The coordinator has a name for this member: join again with it.
    TakeMemberId,
    /// The coordinator does not know this member any more, or not in this generation: everything is lost; join anew.
    Fenced,
    /// The coordinator does not speak this protocol.
    Unsupported,
    /// Nothing more can be done.
    Fail(ErrorCode),
}

/// What JoinGroup, SyncGroup and Heartbeat answer.
pub(super) fn classic_recovery(code: ErrorCode) -> Recovery {
    match code {
        ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => Recovery::FindCoordinator,
        ErrorCode::REBALANCE_IN_PROGRESS => Recovery::Rejoin,
        ErrorCode::MEMBER_ID_REQUIRED => Recovery::TakeMemberId,
        ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION => Recovery::Fenced,
        ErrorCode::UNSUPPORTED_VERSION => Recovery::Unsupported,
        code if code.is_retriable() || code == ErrorCode::UNKNOWN_SERVER_ERROR => Recovery::Backoff,
        other => Recovery::Fail(other),
    }
}

/// What ConsumerGroupHeartbeat answers; `joining` where the member has no epoch yet.
pub(super) fn consumer_recovery(code: ErrorCode, joining: bool) -> Recovery {
    match code {
        ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => Recovery::FindCoordinator,
        ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::STALE_MEMBER_EPOCH => {
            Recovery::Fenced
        }
        // The group is gone, or is a classic one again after its other members of KIP-848 left: this is no member of it any more.
        ErrorCode::GROUP_ID_NOT_FOUND if !joining => Recovery::Fenced,
        ErrorCode::UNSUPPORTED_VERSION => Recovery::Unsupported,
        // The group is a classic one that the broker does not migrate.
        ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::INCONSISTENT_GROUP_PROTOCOL if joining => Recovery::Unsupported,
        // A topic that may not be read today may be tomorrow; the rest of the subscription goes on. Java does so too.
        ErrorCode::TOPIC_AUTHORIZATION_FAILED if !joining => Recovery::Backoff,
        // Negative codes but UNKNOWN_SERVER_ERROR are of no broker; whoever made them up may take them back.
        code if code.is_retriable() || code.0 < 0 => Recovery::Backoff,
        other => Recovery::Fail(other),
    }
}

/// The error of a code that ends a membership, with what to do about it.
pub(super) fn fatal(code: ErrorCode, message: Option<&str>) -> Error {
    let error = Error::from_code(code, message);
    let hint = match code {
        ErrorCode::INVALID_GROUP_ID => "group.id is empty or has a form that the broker refuses",
        ErrorCode::INVALID_SESSION_TIMEOUT => {
            "session.timeout.ms is outside the broker's group.min.session.timeout.ms and group.max.session.timeout.ms (6000 to 1800000 by default)"
        }
        ErrorCode::INCONSISTENT_GROUP_PROTOCOL => {
            "the other members of the group share no assignor or protocol with this one: give all of them a common partition.assignment.strategy and group.protocol"
        }
        ErrorCode::FENCED_INSTANCE_ID => {
            "another consumer joined with the same group.instance.id: give each instance its own"
        }
        ErrorCode::UNRELEASED_INSTANCE_ID => {
            "another consumer with the same group.instance.id is in the group, or its session has not ended yet: give each instance its own, or wait"
        }
        ErrorCode::GROUP_AUTHORIZATION_FAILED => "the user lacks Read on this group",
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => "the user lacks Describe or Read on a topic of the subscription",
        ErrorCode::GROUP_MAX_SIZE_REACHED => "the group has as many members as the broker's group.max.size allows",
        ErrorCode::UNSUPPORTED_ASSIGNOR => {
            "the broker does not know group.remote.assignor; its group.consumer.assignors lists what it has"
        }
        ErrorCode::INVALID_REGULAR_EXPRESSION => {
            "the broker does not understand the subscription's pattern (RE2 syntax)"
        }
        ErrorCode::UNSUPPORTED_VERSION => "the broker is too old for this group.protocol: set it to auto or classic",
        _ => match error.hint() {
            Some(_) => return error,
            None => "the group coordinator refused this member; the broker's log may say more",
        },
    };
    error.hinting(hint)
}

/// The error of partitions that somebody else may have by now.
pub(super) fn lost(code: ErrorCode) -> Error {
    Error::from_code(code, Some("the coordinator does not count this member to the group any more"))
        .hinting("it was silent or too slow for the group: records in work may be processed again elsewhere")
}

/// The error of a KIP-848 member that gave back what it was asked for, which the coordinator has not heard in time.
pub(super) fn unheard() -> Error {
    Error::new(ErrorKind::Timeout, "the coordinator did not hear within the rebalance time that partitions were let go")
        .hinting("after max.poll.interval.ms it gives all of the member's partitions to others; is the broker up?")
}

/// The error of a lease that is over.
pub(super) fn expired(session_millis: u128) -> Error {
    Error::new(ErrorKind::Timeout, format!("no answer from the group's coordinator for {session_millis} ms"))
        .hinting("after session.timeout.ms the partitions may belong to others; is the broker up?")
}
