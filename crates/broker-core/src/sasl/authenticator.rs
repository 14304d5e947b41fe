//! One connection's way from a stranger to a user, and, where sessions end, once more (KIP-368): a plain state machine over requests and answers.
//! Java: `SaslServerAuthenticator`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    ApiKey, RequestHeader, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use felice_protocol::sasl::{Credentials, Mechanism, SaslError, SaslServer, SaslServerStep};
use felice_protocol::time::{Instant, Now};

use super::listener::SaslListener;

/// What a client has shown.
#[derive(Clone, Debug)]
struct Session {
    mechanism: Mechanism,
    user: String,
    ends: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// Nothing but ApiVersions and SaslHandshake.
    Begin,
    /// Nothing but SaslAuthenticate, or, after version 0 of the handshake, bare bytes of the mechanism.
    Exchange { server: SaslServer, bare: bool },
    /// Everything.
    Complete,
    /// Nothing more.
    Refused,
}

/// Where a connection is.
#[derive(Debug)]
pub(crate) struct Authenticator {
    listener: Arc<SaslListener>,
    state: State,
    session: Option<Session>,
}

/// What a request is, before anybody reads it further.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// None of this module's business.
    Pass,
    /// A SaslHandshake.
    Handshake,
    /// A SaslAuthenticate.
    Authenticate,
    /// The connection is to be closed.
    Close(String),
}

/// What a client gets for a step.
#[derive(Debug, PartialEq)]
pub(super) enum Answer<R> {
    /// This.
    Go(R),
    /// This, and the connection is closed; `later` where the answer is to wait, so that guessing takes long.
    Refuse { response: R, reason: String, later: bool },
}

impl Authenticator {
    pub(super) fn new(listener: Arc<SaslListener>) -> Self {
        Self { listener, state: State::Begin, session: None }
    }

    pub(super) fn listener(&self) -> &Arc<SaslListener> {
        &self.listener
    }

    /// Whether the next frame is no request but bare bytes of the mechanism.
    pub(super) fn takes_bare_bytes(&self) -> bool {
        matches!(self.state, State::Exchange { bare: true, .. })
    }

    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    pub(super) fn gate(&self, now: Now, header: &RequestHeader) -> Gate {
        let api = ApiKey(header.request_api_key);
        match &self.state {
            State::Begin if api == ApiKey::API_VERSIONS => Gate::Pass,
            State::Begin if api == ApiKey::SASL_HANDSHAKE => Gate::Handshake,
            State::Begin => Gate::Close(format!(
                "{api} before SASL: set the client's security.protocol to that of this listener, and sasl.mechanism"
            )),
            State::Exchange { .. } if api == ApiKey::SASL_AUTHENTICATE => Gate::Authenticate,
            State::Exchange { .. } => Gate::Close(format!("{api} in the middle of SASL")),
            State::Complete => match self.session.as_ref().and_then(|session| session.ends) {
                Some(_) if api == ApiKey::SASL_HANDSHAKE => Gate::Handshake,
                Some(ends) if ends <= now.instant() => {
                    Gate::Close("its session has ended, and it has not authenticated again".to_owned())
                }
                Some(_) | None => Gate::Pass,
            },
            State::Refused => Gate::Close("it was refused already".to_owned()),
        }
    }

    /// Takes a SaslHandshake; the nonce is for SCRAM.
    pub(super) fn handshake(
        &mut self,
        version: i16,
        request: &SaslHandshakeRequest,
        nonce: [u8; 24],
    ) -> Answer<SaslHandshakeResponse> {
        let mut response = SaslHandshakeResponse {
            mechanisms: self.listener.mechanisms().map(|mechanism| mechanism.name().into()).collect(),
            ..Default::default()
        };
        // Names are compared as they are, as Kafka does.
        match self.listener.mechanisms().find(|mechanism| mechanism.name() == &*request.mechanism) {
            Some(mechanism) => {
                self.state = State::Exchange { server: SaslServer::new(mechanism, nonce), bare: version == 0 };
                Answer::Go(response)
            }
            None => {
                self.state = State::Refused;
                response.error_code = ErrorCode::UNSUPPORTED_SASL_MECHANISM;
                let reason =
                    format!("it asks for the SASL mechanism {:.40}, which is not enabled", &*request.mechanism);
                Answer::Refuse { response, reason, later: false }
            }
        }
    }

    /// Takes a SaslAuthenticate.
    pub(super) fn authenticate(
        &mut self,
        now: Now,
        request: &SaslAuthenticateRequest,
        credentials: &dyn Credentials,
    ) -> Answer<SaslAuthenticateResponse> {
        match self.step(now, &request.auth_bytes, credentials) {
            Ok((auth_bytes, lifetime)) => {
                let session_lifetime_ms = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
                let error_message = None;
                Answer::Go(SaslAuthenticateResponse {
                    auth_bytes,
                    session_lifetime_ms,
                    error_message,
                    ..Default::default()
                })
            }
            Err(Failure { told, reason }) => {
                let response = SaslAuthenticateResponse {
                    error_code: ErrorCode::SASL_AUTHENTICATION_FAILED,
                    error_message: Some(told.as_str().into()),
                    ..Default::default()
                };
                Answer::Refuse { response, reason, later: true }
            }
        }
    }

    /// Takes bare bytes of the mechanism. A client of that time hears nothing where it is refused.
    pub(super) fn bare(&mut self, now: Now, message: &[u8], credentials: &dyn Credentials) -> Answer<Bytes> {
        match self.step(now, message, credentials) {
            Ok((answer, _)) => Answer::Go(answer),
            Err(Failure { reason, .. }) => Answer::Refuse { response: Bytes::new(), reason, later: true },
        }
    }

    /// One message of the mechanism: what is answered, and how long the session then lasts, zero for ever.
    fn step(&mut self, now: Now, message: &[u8], credentials: &dyn Credentials) -> Result<(Bytes, Duration), Failure> {
        let State::Exchange { mut server, bare } = std::mem::replace(&mut self.state, State::Refused) else {
            return Err(Failure::new("SASL has not begun", "SASL outside its state"));
        };
        let mechanism = server.mechanism();
        if let Some(before) = self.session.as_ref().filter(|before| before.mechanism != mechanism) {
            let told = format!(
                "SASL mechanism '{mechanism}' requested by client is not supported for re-authentication of mechanism '{}'",
                before.mechanism
            );
            return Err(Failure::new(&told, &told));
        }
        match server.step(message, credentials) {
            Ok(SaslServerStep::Challenge(challenge)) => {
                self.state = State::Exchange { server, bare };
                Ok((challenge, Duration::ZERO))
            }
            Ok(SaslServerStep::Done { user, answer, expires_at_ms }) => {
                if let Some(before) = self.session.as_ref().filter(|before| before.user != user) {
                    let told = format!(
                        "Cannot change principals during re-authentication from User:{}: User:{user}",
                        before.user
                    );
                    return Err(Failure::new(&told, &told));
                }
                // What the client has shown may end before the listener wants to see it again.
                let shown = expires_at_ms.map(|at| at.saturating_sub(now.wall_millis).max(1).unsigned_abs());
                let lifetime =
                    [shown.map(Duration::from_millis), self.listener.max_reauth(mechanism)].into_iter().flatten().min();
                self.session =
                    Some(Session { mechanism, user, ends: lifetime.map(|lifetime| now.instant() + lifetime) });
                self.state = State::Complete;
                Ok((answer, lifetime.unwrap_or_default()))
            }
            Err(error) => Err(Failure::of(mechanism, &error)),
        }
    }
}

/// Why somebody is refused: what the client is told, in Kafka's words, and what the log says.
struct Failure {
    told: String,
    reason: String,
}

impl Failure {
    fn new(told: &str, reason: &str) -> Self {
        Self { told: told.to_owned(), reason: reason.to_owned() }
    }

    fn of(mechanism: Mechanism, error: &SaslError) -> Self {
        let (told, why) = match (mechanism, error) {
            (_, SaslError::TokenRejected { answer, reason }) => (answer.clone(), reason.clone()),
            (Mechanism::Plain, SaslError::NotAuthenticated) => {
                ("Authentication failed: Invalid username or password".to_owned(), error.to_string())
            }
            _ => (
                format!(
                    "Authentication failed during authentication due to invalid credentials with SASL mechanism {mechanism}"
                ),
                error.to_string(),
            ),
        };
        Self { told, reason: format!("authentication with {mechanism} failed: {why}") }
    }
}
