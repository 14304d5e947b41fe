//! One member of a classic group. Java: `ClassicGroupMember`.

use bytes::Bytes;
use std::collections::BTreeSet;
use std::time::Duration;

use felice_protocol::messages::JoinGroupRequest;
use felice_protocol::messages::data::group_metadata_value::MemberMetadata;
use felice_protocol::messages::join_group::request::JoinGroupRequestProtocol;
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Instant;

use crate::groups::{Caller, Waiter, kept};

/// A member, with what it waits for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) group_instance_id: Option<ByteStr>,
    pub(crate) client_id: ByteStr,
    pub(crate) client_host: ByteStr,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// Name and metadata of each protocol that it can, what it likes best first.
    pub(crate) protocols: Vec<(ByteStr, Bytes)>,
    pub(crate) assignment: Bytes,
    /// It has not had an answer to its first JoinGroup.
    pub(crate) is_new: bool,
    /// Its JoinGroup, held until everybody is there.
    pub(crate) awaiting_join: Option<Waiter>,
    /// Its SyncGroup, held until the leader has sent the assignment.
    pub(crate) awaiting_sync: Option<Waiter>,
    /// When it is dead unless it says something.
    pub(crate) session_deadline: Option<Instant>,
}

impl Member {
    pub(crate) fn joining(caller: &Caller, request: &JoinGroupRequest) -> Self {
        Self {
            group_instance_id: request.group_instance_id.as_ref().map(kept),
            client_id: kept(&caller.client_id),
            client_host: caller.client_host.clone(),
            rebalance_timeout_ms: rebalance_timeout(caller, request),
            session_timeout_ms: request.session_timeout_ms,
            protocols: protocols(&request.protocols),
            assignment: Bytes::new(),
            is_new: true,
            awaiting_join: None,
            awaiting_sync: None,
            session_deadline: None,
        }
    }

    /// As the log knows it.
    pub(crate) fn replay(member: MemberMetadata, protocol: ByteStr) -> Self {
        let rebalance_timeout_ms =
            if member.rebalance_timeout == -1 { member.session_timeout } else { member.rebalance_timeout };
        Self {
            group_instance_id: member.group_instance_id,
            client_id: member.client_id,
            client_host: member.client_host,
            rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout,
            protocols: vec![(protocol, member.subscription)],
            assignment: member.assignment,
            is_new: false,
            awaiting_join: None,
            awaiting_sync: None,
            session_deadline: None,
        }
    }

    pub(crate) fn record(&self, member_id: &ByteStr, protocol: Option<&ByteStr>) -> MemberMetadata {
        MemberMetadata {
            member_id: member_id.clone(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout: self.rebalance_timeout_ms,
            session_timeout: self.session_timeout_ms,
            subscription: protocol.map(|name| self.metadata(name)).unwrap_or_default(),
            assignment: self.assignment.clone(),
            ..Default::default()
        }
    }

    /// Takes over what a later JoinGroup says.
    pub(crate) fn update(&mut self, caller: &Caller, request: &JoinGroupRequest) {
        self.protocols = protocols(&request.protocols);
        self.rebalance_timeout_ms = rebalance_timeout(caller, request);
        self.session_timeout_ms = request.session_timeout_ms;
    }

    /// Whether a JoinGroup says what is known already.
    pub(crate) fn matches(&self, asked: &[JoinGroupRequestProtocol]) -> bool {
        self.protocols.len() == asked.len()
            && self
                .protocols
                .iter()
                .zip(asked)
                .all(|((name, metadata), asked)| *name == asked.name && *metadata == asked.metadata)
    }

    pub(crate) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| &**name == protocol)
    }

    /// Its metadata for a protocol; empty where it does not have that.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols.iter().find(|(name, _)| &**name == protocol).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }

    /// The protocol among `candidates` that it likes best.
    pub(crate) fn vote(&self, candidates: &BTreeSet<&ByteStr>) -> Option<&ByteStr> {
        self.protocols.iter().map(|(name, _)| name).find(|name| candidates.contains(*name))
    }

    /// Who waits for an answer is alive, except for a new member: it may have gone while it waited.
    pub(crate) fn is_satisfied(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    pub(crate) fn session_timeout(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.session_timeout_ms).unwrap_or(0))
    }
}

fn protocols(asked: &[JoinGroupRequestProtocol]) -> Vec<(ByteStr, Bytes)> {
    asked.iter().map(|protocol| (kept(&protocol.name), Bytes::copy_from_slice(&protocol.metadata))).collect()
}

/// Version 0 has no rebalance timeout of its own.
fn rebalance_timeout(caller: &Caller, request: &JoinGroupRequest) -> i32 {
    if caller.version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms }
}
