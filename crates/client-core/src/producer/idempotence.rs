//! The producer's identity: an id and an epoch from the broker. Losing a batch that was written once means a new epoch, so that no later
//! batch can be taken for it (KIP-360).

use felice_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use felice_protocol::time::{Instant, Now};

use crate::backoff::Backoff;
use crate::error::Error;

/// Who a batch says it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The producer's id; −1 for none.
    pub id: i64,
    /// Its epoch; −1 for none.
    pub epoch: i16,
}

impl Identity {
    /// What a producer without idempotence writes.
    pub const NONE: Self = Self { id: -1, epoch: -1 };
}

/// How far it is with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityState {
    /// It writes without one.
    NotNeeded,
    /// It has yet to be asked for.
    Wanted,
    /// The broker is asked.
    Asked,
    /// It has one.
    Ready(Identity),
    /// It gets none.
    Failed,
}

#[derive(Debug)]
enum State {
    NotNeeded,
    Wanted { from: Instant },
    Asked,
    Ready(Identity),
    Failed(Error),
}

/// Gets an identity and renews it.
#[derive(Debug)]
pub struct Idempotence {
    state: State,
    backoff: Backoff,
    identities: u32,
}

impl Idempotence {
    /// A producer's identity, or, where `needed` is false, that of none.
    pub fn new(needed: bool, backoff: Backoff) -> Self {
        Self {
            state: if needed { State::Wanted { from: Instant(0) } } else { State::NotNeeded },
            backoff,
            identities: 0,
        }
    }

    /// The identity to write with; `None` until there is one.
    pub fn identity(&self) -> Option<Identity> {
        match &self.state {
            State::NotNeeded => Some(Identity::NONE),
            State::Ready(identity) => Some(*identity),
            State::Wanted { .. } | State::Asked | State::Failed(_) => None,
        }
    }

    /// How far it is with that.
    pub fn state(&self) -> IdentityState {
        match &self.state {
            State::NotNeeded => IdentityState::NotNeeded,
            State::Wanted { .. } => IdentityState::Wanted,
            State::Asked => IdentityState::Asked,
            State::Ready(identity) => IdentityState::Ready(*identity),
            State::Failed(_) => IdentityState::Failed,
        }
    }

    /// How many identities there have been, new epochs included.
    pub fn identities(&self) -> u32 {
        self.identities
    }

    /// Why there will be none.
    pub fn failure(&self) -> Option<&Error> {
        match &self.state {
            State::Failed(error) => Some(error),
            State::NotNeeded | State::Wanted { .. } | State::Asked | State::Ready(_) => None,
        }
    }

    /// The request to send, if one is due.
    pub fn poll_request(&mut self, now: Now) -> Option<InitProducerIdRequest> {
        let State::Wanted { from } = self.state else { return None };
        if from > now.instant() {
            return None;
        }
        self.state = State::Asked;
        // The schema's default for the transactional id is the empty text, which brokers refuse.
        Some(InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        })
    }

    /// An answer came, or none will.
    pub fn handle_response(&mut self, now: Now, response: Result<&InitProducerIdResponse, &Error>) {
        self.state = match response.map(|response| (response, response.error_code.ok())) {
            Ok((response, Ok(()))) => {
                self.backoff.reset();
                self.identities = self.identities.saturating_add(1);
                State::Ready(Identity { id: response.producer_id, epoch: response.producer_epoch })
            }
            Ok((_, Err(code))) if !code.is_retriable() => {
                State::Failed(Error::from_code(code, Some("the broker gives this producer no id")))
            }
            Ok((_, Err(_))) | Err(_) => State::Wanted { from: now.instant() + self.backoff.next() },
        };
    }

    /// A batch that was written once has been given up: nothing may be written under this epoch again.
    pub fn bump_epoch(&mut self) {
        if let State::Ready(identity) = &mut self.state {
            match identity.epoch.checked_add(1) {
                // The highest epoch is kept for the broker's fencing.
                Some(epoch) if epoch < i16::MAX => {
                    identity.epoch = epoch;
                    self.identities = self.identities.saturating_add(1);
                }
                Some(_) | None => self.state = State::Wanted { from: Instant(0) },
            }
        }
    }

    /// When to call [`Self::poll_request`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Wanted { from } => Some(from),
            State::NotNeeded | State::Asked | State::Ready(_) | State::Failed(_) => None,
        }
    }
}
