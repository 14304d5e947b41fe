//! Who may speak on a listener that asks for SASL.
//!
//! - this file: between the broker and a connection's authenticator; refusals that wait
//! - `authenticator`: one connection's state machine
//! - `listener`: what a listener takes, from the configuration
//! - `jwt`: tokens for development

mod authenticator;
mod jwt;
mod listener;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    ApiKey, Message, Request, RequestHeader, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use felice_protocol::primitives::{Decoder, Frame};
use felice_protocol::time::{Instant, Now};

pub(crate) use self::authenticator::Authenticator;
pub use self::listener::TokenValidator;
pub(crate) use self::listener::{SaslListener, ScramCredentials};

use self::authenticator::{Answer, Gate};
use self::listener::Lookup;
use crate::api::{Refusal, Reply, RequestContext};
use crate::broker::{BrokerCore, Output};
use crate::config::{BrokerConfig, ConfigError};
use crate::connection::ConnectionId;
use crate::random::Random;

/// A refusal that waits, so that guessing passwords takes long.
#[derive(Debug)]
struct Refused {
    at: Instant,
    connection: ConnectionId,
    last: Option<Frame>,
    reason: String,
}

/// The broker's SASL.
#[derive(Debug)]
pub(crate) struct Sasl {
    listeners: BTreeMap<String, Arc<SaslListener>>,
    /// `sasl.server.max.receive.size`.
    max_receive: usize,
    /// `connection.failed.authentication.delay.ms`.
    delay: Duration,
    /// All wait as long, so the first is due first.
    refused: VecDeque<Refused>,
    random: Random,
}

impl Sasl {
    /// Reads the configuration of every listener with SASL.
    ///
    /// # Errors
    /// [`ConfigError`], which says what would be right.
    pub(crate) fn new(config: &BrokerConfig, seed: u64) -> Result<Self, ConfigError> {
        // A sequence of its own: what others draw does not depend on there being SASL.
        let mut random = Random::new(seed.rotate_left(32));
        let mut listeners = BTreeMap::new();
        for listener in config.listeners()?.into_iter().filter(|listener| listener.protocol.is_sasl()) {
            let sasl = SaslListener::new(config, &listener.name, &mut random)?;
            listeners.insert(listener.name, Arc::new(sasl));
        }
        Ok(Self {
            listeners,
            max_receive: config.sasl_max_receive_bytes(),
            delay: config.failed_authentication_delay(),
            refused: VecDeque::new(),
            random,
        })
    }

    /// What an operator is to know.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        self.listeners.values().filter_map(|listener| listener.warning())
    }

    /// What guards a new connection; `None` where its listener lets everybody in.
    pub(crate) fn authenticator(&self, listener: &str) -> Option<Box<Authenticator>> {
        self.listeners.get(listener).map(|listener| Box::new(Authenticator::new(Arc::clone(listener))))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.refused.front().map(|refused| refused.at)
    }

    fn nonce(&mut self) -> [u8; 24] {
        let mut nonce = [0; 24];
        for chunk in nonce.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.random.next_u64().to_be_bytes());
        }
        nonce
    }
}

/// Refusals whose time has come.
pub(crate) fn handle_timeout(core: &mut BrokerCore, now: Now) {
    while let Some(refused) = core.sasl.refused.pop_front_if(|refused| refused.at <= now.instant()) {
        let Refused { connection, last, reason, .. } = refused;
        core.outputs.push_back(Output::Close { connection, last, reason });
    }
}

/// Looks at a request of a connection that is guarded; `None` where the broker is to go on with it.
pub(crate) fn intercept(
    core: &mut BrokerCore,
    now: Now,
    connection: ConnectionId,
    frame: &Bytes,
) -> Option<Result<Reply, Refusal>> {
    let mut authenticator = core.take_authenticator(connection)?;
    let outcome = guarded(core, now, connection, &mut authenticator, frame);
    core.put_authenticator(connection, authenticator);
    outcome.transpose()
}

fn guarded(
    core: &mut BrokerCore,
    now: Now,
    connection: ConnectionId,
    authenticator: &mut Authenticator,
    frame: &Bytes,
) -> Result<Option<Reply>, Refusal> {
    if !authenticator.is_complete() && frame.len() > core.sasl.max_receive {
        return Err(Refusal(format!("{} bytes before it is known who sends them", frame.len())));
    }
    let listener = Arc::clone(authenticator.listener());
    let stored = ScramCredentials::new();
    let lookup = Lookup { listener: &listener, stored: &stored, wall_millis: now.wall_millis };
    if authenticator.takes_bare_bytes() {
        let answer = authenticator.bare(now, frame, &lookup);
        return Ok(Some(settle(core, now, connection, answer, |bytes| Ok(bare_frame(&bytes)))?));
    }
    let mut body = Decoder::new(frame.clone());
    let header = felice_protocol::messages::decode_request_header(&mut body)
        .map_err(|error| Refusal(format!("a request whose header cannot be read: {error}")))?;
    let answer = match authenticator.gate(now, &header) {
        Gate::Pass => return Ok(None),
        Gate::Close(reason) => return Err(Refusal(reason)),
        Gate::Handshake => {
            let request: SaslHandshakeRequest = decode(&header, body)?;
            let answer = authenticator.handshake(header.request_api_version, &request, core.sasl.nonce());
            settle(core, now, connection, answer, |response| encode(connection, &header, &response))?
        }
        Gate::Authenticate => {
            let request: SaslAuthenticateRequest = decode(&header, body)?;
            let answer = authenticator.authenticate(now, &request, &lookup);
            settle(core, now, connection, answer, |response| encode(connection, &header, &response))?
        }
    };
    Ok(Some(answer))
}

/// Sends an answer, now or with the refusal.
fn settle<R>(
    core: &mut BrokerCore,
    now: Now,
    connection: ConnectionId,
    answer: Answer<R>,
    encode: impl FnOnce(R) -> Result<Frame, Refusal>,
) -> Result<Reply, Refusal> {
    match answer {
        Answer::Go(response) => encode(response).map(Reply::Frame),
        Answer::Refuse { response, reason, later } => {
            let last = Some(encode(response)?).filter(|frame| !is_empty_bare(frame));
            if later {
                let at = now.instant() + core.sasl.delay;
                core.sasl.refused.push_back(Refused { at, connection, last, reason });
            } else {
                core.outputs.push_back(Output::Close { connection, last, reason });
            }
            Ok(Reply::Later)
        }
    }
}

/// Bytes with their length in front, and nothing else: how SASL went before SaslAuthenticate (version 0 of the handshake).
fn bare_frame(bytes: &Bytes) -> Frame {
    let mut frame = BytesMut::with_capacity(4 + bytes.len());
    frame.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    frame.put_slice(bytes);
    Frame { chunks: vec![frame.freeze()] }
}

fn is_empty_bare(frame: &Frame) -> bool {
    frame.len() <= 4
}

fn decode<R: Request>(header: &RequestHeader, mut body: Decoder) -> Result<R, Refusal> {
    R::decode(&mut body, header.request_api_version).map_err(|error| {
        Refusal(format!("a {} v{} that cannot be read: {error}", R::API_KEY, header.request_api_version))
    })
}

fn encode<M: Message>(connection: ConnectionId, header: &RequestHeader, response: &M) -> Result<Frame, Refusal> {
    let context = RequestContext {
        connection,
        api_key: ApiKey(header.request_api_key),
        version: header.request_api_version,
        correlation_id: header.correlation_id,
        client_id: None,
    };
    context.encode(response)
}

/// SaslHandshake where there is nothing to authenticate, or nobody wants to see it again.
pub(crate) fn handshake_out_of_place() -> SaslHandshakeResponse {
    SaslHandshakeResponse { error_code: ErrorCode::ILLEGAL_SASL_STATE, ..Default::default() }
}

/// SaslAuthenticate in the same place.
pub(crate) fn authenticate_out_of_place() -> SaslAuthenticateResponse {
    SaslAuthenticateResponse {
        error_code: ErrorCode::ILLEGAL_SASL_STATE,
        error_message: Some("SaslAuthenticate request received after successful authentication".into()),
        ..Default::default()
    }
}
