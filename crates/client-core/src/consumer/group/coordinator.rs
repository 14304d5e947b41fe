//! Which broker coordinates the group: asked of any broker, forgotten when it says that it is not the one, or cannot be reached.

use felice_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use felice_protocol::primitives::ByteStr;
use felice_protocol::time::{Instant, Now};

use crate::backoff::Backoff;
use crate::error::Error;
use crate::metadata::{Broker, BrokerId};

use felice_protocol::error_code::ErrorCode;

#[derive(Debug)]
pub(super) struct Coordinator {
    known: Option<(BrokerId, String)>,
    backoff: Backoff,
    retry_at: Option<Instant>,
    pub(super) asking: bool,
    /// Since when there is none.
    pub(super) unknown_since: Instant,
    pub(super) error: Option<Error>,
}

impl Coordinator {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { known: None, backoff, retry_at: None, asking: false, unknown_since: Instant(0), error: None }
    }

    pub(super) fn known(&self) -> Option<&(BrokerId, String)> {
        self.known.as_ref()
    }

    pub(super) fn is(&self, broker: BrokerId) -> bool {
        self.known.as_ref().is_some_and(|(id, _)| *id == broker)
    }

    /// It is not the one, or not there: ask again after a pause.
    pub(super) fn forget(&mut self, now: Now, error: Option<Error>) {
        if self.known.take().is_some() {
            self.unknown_since = now.instant();
            self.retry_at = Some(now.instant() + self.backoff.next());
        }
        if error.is_some() {
            self.error = error;
        }
    }

    /// The coordinator has answered something useful.
    pub(super) fn proven(&mut self) {
        self.backoff.reset();
        self.error = None;
    }

    /// Whether to ask now.
    pub(super) fn is_due(&self, now: Now) -> bool {
        self.known.is_none() && !self.asking && self.retry_at.is_none_or(|at| at <= now.instant())
    }

    /// When to ask, where that is still to come.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.known.is_some() || self.asking { None } else { self.retry_at }
    }

    pub(super) fn request(group_id: &ByteStr) -> FindCoordinatorRequest {
        FindCoordinatorRequest { coordinator_keys: vec![group_id.clone()], ..FindCoordinatorRequest::default() }
    }

    /// The answer; an error that asking again does not mend is given back.
    pub(super) fn handle_response(&mut self, now: Now, response: &FindCoordinatorResponse) -> Result<(), ErrorCode> {
        self.asking = false;
        let (code, broker) = match response.coordinators.first() {
            Some(c) => (c.error_code, Broker { id: c.node_id, host: c.host.clone(), port: c.port, rack: None }),
            None => (
                response.error_code,
                Broker { id: response.node_id, host: response.host.clone(), port: response.port, rack: None },
            ),
        };
        match code.ok() {
            Ok(()) if broker.id >= 0 => {
                self.known = Some((broker.id, broker.address()));
                self.retry_at = None;
                Ok(())
            }
            Ok(()) => {
                self.failed(now, Error::from_code(ErrorCode::COORDINATOR_NOT_AVAILABLE, None));
                Ok(())
            }
            Err(code) if code.is_retriable() || code == ErrorCode::UNKNOWN_SERVER_ERROR => {
                self.failed(now, Error::from_code(code, None));
                Ok(())
            }
            Err(code) => {
                self.failed(now, Error::from_code(code, None));
                Err(code)
            }
        }
    }

    /// Nobody answered.
    pub(super) fn failed(&mut self, now: Now, error: Error) {
        self.asking = false;
        self.retry_at = Some(now.instant() + self.backoff.next());
        self.error = Some(error);
    }
}
