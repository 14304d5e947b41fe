//! Requests out, answers in.

use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::JoinGroupResponse;
use felice_protocol::time::{Instant, Now};

use super::GroupMember;
use super::codes::fatal;
use super::commits::CommitAsked;
use super::coordinator::Coordinator;
use super::event::RequestId;
use super::membership::{Farewell, MARGIN, Phase, Speaks};
use super::request::{GroupOut, GroupRequest, GroupResponse, GroupTarget};
use super::subscription::Wanted;
use crate::error::{Disposition, Error, ErrorKind};
use crate::metadata::BrokerId;

/// What a request on its way was for.
#[derive(Debug)]
pub(super) enum Asked {
    FindCoordinator,
    Join,
    Sync,
    Heartbeat {
        sent_at: Instant,
        epoch: i32,
    },
    ConsumerHeartbeat {
        sent_at: Instant,
        joining: bool,
    },
    Farewell,
    Commit(CommitAsked),
    Lookup(RequestId),
    /// A JoinGroup or SyncGroup whose answer is not wanted any more, but keeps its connection busy.
    Abandoned,
}

impl GroupMember {
    /// The next request, if the connection that it needs is `ready`.
    pub fn poll_request(&mut self, now: Now, ready: &mut dyn FnMut(&GroupTarget) -> bool) -> Option<GroupOut> {
        let Some((broker, address)) = self.coordinator.known().cloned() else {
            if self.needs_coordinator() && self.coordinator.is_due(now) && ready(&GroupTarget::Any) {
                self.coordinator.asking = true;
                let request = GroupRequest::FindCoordinator(Coordinator::request(&self.group_id));
                return Some(self.out(GroupTarget::Any, Asked::FindCoordinator, request));
            }
            return None;
        };
        let at = |membership| GroupTarget::Coordinator { broker, address: address.clone(), membership };
        // What nobody waits for any more can hold its connection for as long as a rebalance takes, or for ever: a coordinator may leave the SyncGroup of a
        // member that has left without an answer.
        let blocked = self.in_flight.values().any(|asked| matches!(asked, Asked::Abandoned));
        if let Some(request) = self.farewell_request(now) {
            // A JoinGroup that the coordinator holds back would hold this back too.
            let busy = blocked || self.in_flight.values().any(|asked| matches!(asked, Asked::Join | Asked::Sync));
            let to = at(!busy);
            if ready(&to) {
                if let Some(farewell) = &mut self.farewell {
                    farewell.in_flight = true;
                }
                return Some(self.out(to, Asked::Farewell, request));
            }
        }
        if self.wants_membership_request(now) && ready(&at(!blocked)) {
            let built = match self.speaks {
                Speaks::Classic => self.classic_request(now),
                Speaks::Consumer => Ok(self.consumer_request(now)),
            };
            match built {
                Ok(Some((asked, request))) => return Some(self.out(at(!blocked), asked, request)),
                Ok(None) => {}
                Err(error) => {
                    self.fail(now, error);
                    self.advance(now);
                    return None;
                }
            }
        }
        // In the order in which they were asked for: a look-up tells what was committed before it.
        let lookup_first = self.lookups.first_due(now).is_some_and(|first| self.commits.first() > Some(first));
        if self.may_commit() && self.commits.is_due(now) && !lookup_first && ready(&at(false)) {
            let identity = self.commit_identity();
            if let Some((asked, request, max_version)) =
                self.commits.request(&self.group_id, identity, &self.partitions, &self.metadata)
            {
                let mut out = self.out(at(false), Asked::Commit(asked), GroupRequest::OffsetCommit(request));
                out.max_version = max_version;
                return Some(out);
            }
        }
        if self.lookups.is_due(now) && ready(&at(false)) {
            let identity =
                (self.speaks == Speaks::Consumer && self.is_member()).then(|| (self.member_id.clone(), self.epoch));
            if let Some((id, request, max_version)) =
                self.lookups.request(now, &self.group_id, identity, &self.metadata)
            {
                let mut out = self.out(at(false), Asked::Lookup(id), GroupRequest::OffsetFetch(request));
                out.max_version = max_version;
                return Some(out);
            }
        }
        None
    }

    fn out(&mut self, to: GroupTarget, asked: Asked, request: GroupRequest) -> GroupOut {
        let id = self.next_id;
        self.next_id += 1;
        let timeout = match asked {
            Asked::Join | Asked::Sync => (self.config.max_poll_interval + MARGIN).max(self.config.request_timeout),
            // A heartbeat that takes longer than a session is of no use.
            Asked::Heartbeat { .. } | Asked::ConsumerHeartbeat { .. } => {
                self.config.request_timeout.min(self.config.session_timeout)
            }
            Asked::FindCoordinator | Asked::Farewell | Asked::Commit(_) | Asked::Lookup(_) | Asked::Abandoned => {
                self.config.request_timeout
            }
        };
        self.in_flight.insert(id, asked);
        GroupOut { id, to, request, max_version: i16::MAX, timeout }
    }

    /// Whether joining, or being a member, needs a request now.
    fn wants_membership_request(&self, now: Now) -> bool {
        if self.retry_at.is_some_and(|at| at > now.instant()) {
            return false;
        }
        let busy = self.in_flight.values().any(|asked| {
            matches!(asked, Asked::Join | Asked::Sync | Asked::Heartbeat { .. } | Asked::ConsumerHeartbeat { .. })
        });
        if busy {
            return false;
        }
        match self.phase {
            Phase::Unjoined => {
                let free = self.partitions.proposal().is_none();
                // One who joins without knowing what a pattern matches would get nothing, and join once more.
                let resolved = self.speaks == Speaks::Consumer || self.wanted.as_ref().is_none_or(Wanted::is_resolved);
                resolved && free && (!self.is_eager() || self.partitions.is_empty()) && self.farewell.is_none()
            }
            Phase::Syncing => self.assignment_is_planned(),
            Phase::Member => match self.speaks {
                Speaks::Classic => self.classic.heartbeat_at() <= now.instant(),
                Speaks::Consumer => self.consumer_heartbeat_is_due(now),
            },
            // Heartbeats go on while partitions are given up.
            Phase::Leaving { .. } => {
                self.is_member()
                    && self.farewell.is_none()
                    && match self.speaks {
                        Speaks::Classic => self.classic.heartbeat_at() <= now.instant(),
                        Speaks::Consumer => self.consumer.heartbeat_at() <= now.instant(),
                    }
            }
            Phase::Idle | Phase::Joining | Phase::Stalled { .. } | Phase::Failed | Phase::Left => false,
        }
    }

    /// When the next heartbeat leaves, where none is on its way.
    pub(super) fn heartbeat_at(&self) -> Option<Instant> {
        let member = match self.phase {
            Phase::Member => true,
            Phase::Leaving { .. } => self.is_member(),
            _ => false,
        };
        let busy =
            self.in_flight.values().any(|a| matches!(a, Asked::Heartbeat { .. } | Asked::ConsumerHeartbeat { .. }));
        (member && !busy).then(|| match self.speaks {
            Speaks::Classic => self.classic.heartbeat_at(),
            Speaks::Consumer => self.consumer.heartbeat_at(),
        })
    }

    fn farewell_request(&self, now: Now) -> Option<GroupRequest> {
        let farewell = self.farewell.as_ref()?;
        if farewell.in_flight || farewell.retry_at.is_some_and(|at| at > now.instant()) {
            return None;
        }
        Some(match farewell.speaks {
            Speaks::Classic => self.leave_request(&farewell.member_id),
            Speaks::Consumer => self.consumer_leave_request(&farewell.member_id),
        })
    }

    /// An answer came.
    pub fn handle_response(&mut self, now: Now, id: u64, response: GroupResponse) {
        let Some(asked) = self.in_flight.remove(&id) else { return };
        match (asked, response) {
            (Asked::FindCoordinator, GroupResponse::FindCoordinator(response)) => {
                if let Err(code) = self.coordinator.handle_response(now, &response) {
                    let message = response.coordinators.first().and_then(|c| c.error_message.clone());
                    self.refuse(now, fatal(code, message.as_deref()));
                }
            }
            (Asked::Join, GroupResponse::JoinGroup(response)) => self.handle_join(now, response),
            (Asked::Sync, GroupResponse::SyncGroup(response)) => self.handle_sync(now, response),
            (Asked::Heartbeat { sent_at, epoch }, GroupResponse::Heartbeat(response)) => {
                self.handle_heartbeat(now, sent_at, epoch, response.error_code);
            }
            (Asked::ConsumerHeartbeat { sent_at, joining }, GroupResponse::ConsumerGroupHeartbeat(response)) => {
                self.handle_consumer_heartbeat(now, sent_at, joining, response);
            }
            (Asked::Farewell, GroupResponse::LeaveGroup(response)) => {
                let member = response.members.first().map_or(ErrorCode::NONE, |member| member.error_code);
                let code = if response.error_code.is_ok() { member } else { response.error_code };
                self.handle_farewell(now, code);
            }
            (Asked::Farewell, GroupResponse::ConsumerGroupHeartbeat(response)) => {
                self.handle_farewell(now, response.error_code);
            }
            (Asked::Commit(asked), GroupResponse::OffsetCommit(response)) => {
                self.handle_commit(now, asked, &response);
            }
            (Asked::Lookup(id), GroupResponse::OffsetFetch(response)) => self.handle_lookup(now, id, &response),
            (Asked::Abandoned, GroupResponse::JoinGroup(response)) => self.handle_abandoned_join(now, response),
            (Asked::Abandoned, _) => {}
            (asked, _) => {
                debug_assert!(false, "an answer of another kind");
                self.in_flight.insert(id, asked);
                self.handle_failure(now, id, &Error::new(ErrorKind::Bug, "an answer of another kind"));
                return;
            }
        }
        self.advance(now);
    }

    /// Nobody waits for it any more. A coordinator that gave an id would hold back the group's next rebalance until the session of that id is over.
    fn handle_abandoned_join(&mut self, now: Now, response: JoinGroupResponse) {
        let is_given = response.error_code == ErrorCode::MEMBER_ID_REQUIRED && !response.member_id.is_empty();
        if is_given && self.farewell.is_none() {
            self.farewell = Some(Farewell {
                speaks: Speaks::Classic,
                member_id: response.member_id,
                until: now.instant() + self.config.session_timeout,
                retry_at: None,
                in_flight: false,
            });
        }
    }

    /// No answer will come.
    pub fn handle_failure(&mut self, now: Now, id: u64, error: &Error) {
        let Some(asked) = self.in_flight.remove(&id) else { return };
        let unsupported = error.kind() == ErrorKind::Unsupported;
        if !unsupported && !matches!(asked, Asked::FindCoordinator) {
            self.coordinator.forget(now, Some(error.clone()));
        }
        self.error = Some(error.clone());
        match asked {
            Asked::FindCoordinator => {
                self.coordinator.failed(now, error.clone());
                if unsupported {
                    self.refuse(now, error.clone());
                }
            }
            Asked::Join | Asked::Sync if unsupported => self.fail(now, error.clone()),
            Asked::Join | Asked::Sync => {
                self.retry_at = Some(now.instant() + self.backoff.next());
                self.rejoin_after_loss();
            }
            Asked::Heartbeat { .. } => {
                self.classic.heartbeat_from(now.instant() + self.backoff.next());
            }
            Asked::ConsumerHeartbeat { joining, .. } if unsupported => {
                let error = fatal(ErrorCode::UNSUPPORTED_VERSION, Some(error.message()));
                if joining { self.fall_back(now, error) } else { self.fail(now, error) }
            }
            Asked::ConsumerHeartbeat { .. } => {
                self.retry_at = Some(now.instant() + self.backoff.next());
                self.handle_consumer_silence();
            }
            Asked::Farewell => {
                let pause = self.backoff.next();
                if unsupported {
                    self.end_farewell(now);
                } else if let Some(farewell) = &mut self.farewell {
                    farewell.in_flight = false;
                    farewell.retry_at = Some(now.instant() + pause);
                }
            }
            Asked::Commit(asked) => self.commits.handle_failure(now, asked, error, &mut self.events),
            Asked::Lookup(id) => self.lookups.handle_failure(now, id, error, &mut self.events),
            Asked::Abandoned => {}
        }
        self.advance(now);
    }

    /// A connection to this broker is gone, or could not be made.
    pub fn handle_disconnected(&mut self, now: Now, broker: BrokerId, error: &Error) {
        if self.coordinator.is(broker) {
            self.coordinator.forget(now, Some(error.clone()));
            self.advance(now);
        }
    }

    /// No broker can be reached, and trying again will not mend it: credentials or certificates are wrong.
    pub fn handle_hopeless(&mut self, now: Now, error: &Error) {
        let hopeless = error.disposition() == Disposition::Fatal || error.kind() == ErrorKind::Tls;
        if hopeless && self.coordinator.known().is_none() {
            self.refuse(now, error.clone());
            self.advance(now);
        }
    }

    /// The group cannot be used at all.
    fn refuse(&mut self, now: Now, error: Error) {
        self.commits.fail_all(&error, &mut self.events);
        self.lookups.fail_all(&error, &mut self.events);
        self.farewell = None;
        if self.phase.is_active() {
            self.fail(now, error);
        } else if let Phase::Leaving { .. } = self.phase {
            self.end_farewell(now);
        }
    }

    fn handle_farewell(&mut self, now: Now, code: ErrorCode) {
        let again = match code {
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => {
                self.coordinator.forget(now, Some(Error::from_code(code, None)));
                true
            }
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => true,
            // Whatever else: the member is not in the group any more.
            _ => false,
        };
        let pause = self.backoff.next();
        match &mut self.farewell {
            Some(farewell) if again => {
                farewell.in_flight = false;
                farewell.retry_at = Some(now.instant() + pause);
            }
            Some(_) => self.end_farewell(now),
            None => {}
        }
    }

    /// The request to join or sync was lost: to be sent again, with what is held.
    fn rejoin_after_loss(&mut self) {
        if matches!(self.phase, Phase::Joining | Phase::Syncing) {
            self.phase = Phase::Unjoined;
        }
    }

    /// Another broker coordinates the group.
    pub(super) fn find_coordinator(&mut self, now: Now, code: ErrorCode) {
        self.coordinator.forget(now, Some(Error::from_code(code, None)));
    }
}
