//! SASL over Kafka's requests: SaslHandshake, then SaslAuthenticate as often as the mechanism needs. Java: `SaslClientAuthenticator`.

use std::time::Duration;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{self, ApiKey, SaslAuthenticateRequest, SaslHandshakeRequest};
use felice_protocol::primitives::Frame;
use felice_protocol::sasl::{self, BearerToken, Mechanism, SaslClient, SaslError};

use crate::backoff::Random;
use crate::config::{SaslConfig, SaslMechanism};
use crate::connection::ApiVersions;
use crate::error::{Error, ErrorKind};

/// What comes next.
#[derive(Debug)]
pub(crate) enum SaslStep {
    /// This frame goes out.
    Send(Frame),
    /// The broker has accepted the user, and the user the broker.
    Done,
}

/// What a connection shows: who we are at the moment.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// For PLAIN and SCRAM.
    Password(SaslConfig),
    /// For OAUTHBEARER.
    Token(BearerToken),
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Start,
    Handshake,
    Authenticate,
}

/// One authentication.
#[derive(Debug)]
pub(crate) struct SaslExchange {
    client: SaslClient,
    stage: Stage,
    version: i16,
    /// Milliseconds for which the broker takes what it has seen; zero for ever.
    lifetime_ms: i64,
}

impl SaslExchange {
    /// An authentication that has not begun; the seed makes SCRAM's nonce.
    pub(crate) fn new(credentials: &Credentials, seed: u64) -> Result<Self, Error> {
        let config = match credentials {
            Credentials::Token(token) => return Ok(Self::of(SaslClient::with_token(token).map_err(refused)?)),
            Credentials::Password(config) => config,
        };
        let mechanism = match config.mechanism {
            SaslMechanism::Plain => Mechanism::Plain,
            SaslMechanism::ScramSha256 => Mechanism::ScramSha256,
            SaslMechanism::ScramSha512 => Mechanism::ScramSha512,
            SaslMechanism::OAuthBearer => Mechanism::OAuthBearer,
        };
        let mut random = Random::new(seed);
        let mut nonce = [0; 24];
        for chunk in nonce.chunks_exact_mut(8) {
            chunk.copy_from_slice(&random.next_u64().to_be_bytes());
        }
        let password = sasl::Secret::new(config.password.reveal());
        SaslClient::new(mechanism, &config.username, &password, nonce).map(Self::of).map_err(refused)
    }

    fn of(client: SaslClient) -> Self {
        Self { client, stage: Stage::Start, version: 0, lifetime_ms: 0 }
    }

    /// For how long the broker takes what it has seen (KIP-368); `None` for ever.
    pub(crate) fn session_lifetime(&self) -> Option<Duration> {
        u64::try_from(self.lifetime_ms).ok().filter(|millis| *millis > 0).map(Duration::from_millis)
    }

    /// Takes the answer to the last frame, none at the start, and says what comes next.
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`] where one side refuses the other.
    pub(crate) fn advance(
        &mut self,
        frame: Option<Bytes>,
        correlation_id: i32,
        client_id: &str,
        versions: &ApiVersions,
    ) -> Result<SaslStep, Error> {
        match (self.stage, frame) {
            (Stage::Start, _) => {
                self.stage = Stage::Handshake;
                if versions.common(ApiKey::SASL_HANDSHAKE, 1, 1).is_none() {
                    return Err(no_sasl_here());
                }
                let request = SaslHandshakeRequest { mechanism: self.client.mechanism().into() };
                Ok(SaslStep::Send(messages::encode_request(correlation_id, Some(client_id), 1, &request)?))
            }
            (Stage::Handshake, Some(frame)) => {
                let (_, response) = messages::decode_response::<SaslHandshakeRequest>(1, frame)?;
                if response.error_code == ErrorCode::ILLEGAL_SASL_STATE {
                    return Err(no_sasl_here().code_of(response.error_code));
                }
                if let Err(code) = response.error_code.ok() {
                    return Err(refused(self.client.not_offered(&response.mechanisms)).code_of(code));
                }
                self.version = versions.common(ApiKey::SASL_AUTHENTICATE, 0, 2).unwrap_or(0);
                self.stage = Stage::Authenticate;
                let first = self.client.initial().map_err(refused)?.unwrap_or_default();
                self.authenticate(first, correlation_id, client_id)
            }
            (Stage::Authenticate, Some(frame)) => {
                let (_, response) = messages::decode_response::<SaslAuthenticateRequest>(self.version, frame)?;
                if let Err(code) = response.error_code.ok() {
                    return Err(refused(self.client.rejected(response.error_message.as_deref())).code_of(code));
                }
                self.lifetime_ms = response.session_lifetime_ms;
                match self.client.step(&response.auth_bytes).map_err(refused)? {
                    sasl::SaslStep::Send(bytes) => self.authenticate(bytes, correlation_id, client_id),
                    sasl::SaslStep::Done => Ok(SaslStep::Done),
                }
            }
            (Stage::Handshake | Stage::Authenticate, None) => {
                Err(Error::new(ErrorKind::Bug, "SASL went on without an answer"))
            }
        }
    }

    fn authenticate(&self, auth_bytes: Bytes, correlation_id: i32, client_id: &str) -> Result<SaslStep, Error> {
        let request = SaslAuthenticateRequest { auth_bytes, ..SaslAuthenticateRequest::default() };
        Ok(SaslStep::Send(messages::encode_request(correlation_id, Some(client_id), self.version, &request)?))
    }
}

fn no_sasl_here() -> Error {
    Error::new(ErrorKind::Authentication, "the broker offers no SASL on this listener")
        .hinting("check security.protocol: this port may be one without SASL")
}

fn refused(error: SaslError) -> Error {
    let named = Error::new(ErrorKind::Authentication, error.to_string());
    let named = match error.hint() {
        Some(hint) => named.hinting(hint),
        None => named,
    };
    named.caused_by(error)
}
