//! One connection as a core sees it: the handshake (ApiVersions, then SASL), the negotiated versions, and the requests that wait for their
//! answer, in order. Frames go in and out; sockets belong to the driver. Java: `NetworkClient`, `SaslClientAuthenticator`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{self, ApiKey, ApiVersionsRequest, Request};
use felice_protocol::primitives::{Decoder, EncodeError, Frame};
use felice_protocol::time::Instant;

use crate::error::{Error, ErrorKind};
pub use crate::sasl::Credentials;
use crate::sasl::{SaslExchange, SaslStep};

/// The versions of each API that a broker speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiVersions(BTreeMap<i16, (i16, i16)>);

impl ApiVersions {
    /// The highest version that both sides speak, or `None`.
    pub fn common(&self, api: ApiKey, min: i16, max: i16) -> Option<i16> {
        let &(broker_min, broker_max) = self.0.get(&api.0)?;
        let version = broker_max.min(max);
        (version >= broker_min && version >= min).then_some(version)
    }
}

/// A request that can be written in the version that a connection turns out to speak.
pub trait EncodeRequest: Send {
    /// The API and the versions in which this request can be sent.
    fn api(&self) -> (ApiKey, i16, i16);
    /// Writes it.
    ///
    /// # Errors
    /// An [`EncodeError`] where this version cannot carry it.
    fn encode(&self, correlation_id: i32, client_id: &str, version: i16) -> Result<Frame, EncodeError>;
}

impl<R: Request + Send> EncodeRequest for R {
    fn api(&self) -> (ApiKey, i16, i16) {
        (R::API_KEY, R::MIN_VERSION, R::MAX_VERSION)
    }

    fn encode(&self, correlation_id: i32, client_id: &str, version: i16) -> Result<Frame, EncodeError> {
        messages::encode_request(correlation_id, Some(client_id), version, self)
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Waiting<K> {
    /// Whose request it is.
    pub token: K,
    /// Its API.
    pub api: ApiKey,
    /// The version it was sent in, in which the answer comes.
    pub version: i16,
    correlation_id: i32,
    deadline: Instant,
}

#[derive(Debug)]
enum State {
    Closed,
    ApiVersions { version: i16 },
    Sasl(Box<SaslExchange>),
    Ready,
}

/// What a frame from the broker meant.
#[derive(Debug)]
pub enum Received<K> {
    /// The handshake goes on; this goes out next.
    Send(Frame),
    /// The handshake is done: requests may be sent.
    Ready,
    /// An answer, whole, with its header.
    Answer(Waiting<K>, Bytes),
    /// An answer to a request that was [given up](Connection::give_up_late).
    TooLate,
}

/// A connection, generic over what tells whose a request is.
#[derive(Debug)]
pub struct Connection<K> {
    client_id: String,
    credentials: Option<Credentials>,
    seed: u64,
    state: State,
    /// No more requests: who we are is to be shown again once those in flight are answered.
    draining: bool,
    session_lifetime: Option<Duration>,
    answered: bool,
    versions: ApiVersions,
    waiting: VecDeque<Waiting<K>>,
    /// Requests that were given up, all sent before those that wait: their answers may still come.
    given_up: VecDeque<i32>,
    /// How many were given up since the last answer.
    given_up_in_a_row: u32,
    next_correlation_id: i32,
}

impl<K> Connection<K> {
    /// A connection whose bytes do not flow yet; the seed makes the nonce of SCRAM.
    pub fn new(client_id: &str, seed: u64) -> Self {
        Self {
            client_id: client_id.to_owned(),
            credentials: None,
            seed,
            state: State::Closed,
            draining: false,
            session_lifetime: None,
            answered: false,
            versions: ApiVersions::default(),
            waiting: VecDeque::new(),
            given_up: VecDeque::new(),
            given_up_in_a_row: 0,
            next_correlation_id: 0,
        }
    }

    /// The bytes flow: the first frame to send. The credentials are those of SASL, where it is used.
    ///
    /// # Errors
    /// Only where the request cannot be written.
    pub fn handle_connected(&mut self, credentials: Option<Credentials>) -> Result<Frame, Error> {
        self.credentials = credentials;
        // Version 3 is as far as every broker since 2.4 goes; higher ones add nothing that a client needs.
        self.ask_versions(3)
    }

    fn ask_versions(&mut self, version: i16) -> Result<Frame, Error> {
        self.state = State::ApiVersions { version };
        let request = ApiVersionsRequest {
            client_software_name: "felice".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
            ..ApiVersionsRequest::default()
        };
        Ok(messages::encode_request(self.take_correlation_id(), Some(&self.client_id), version, &request)?)
    }

    fn take_correlation_id(&mut self) -> i32 {
        let id = self.next_correlation_id;
        self.next_correlation_id = id.checked_add(1).unwrap_or(0);
        id
    }

    /// Takes a frame that came, without its length.
    ///
    /// # Errors
    /// Where the connection cannot go on: it must be closed.
    pub fn handle_frame(&mut self, frame: Bytes) -> Result<Received<K>, Error> {
        match &mut self.state {
            State::Closed => Err(Error::new(ErrorKind::Decode, "the broker spoke before it was asked")),
            State::ApiVersions { version } => {
                let version = *version;
                self.handle_api_versions(version, frame)
            }
            State::Sasl(_) => self.advance_sasl(Some(frame)),
            State::Ready => {
                let mut d = Decoder::new(frame.clone());
                let correlation_id = d.i32()?;
                if self.given_up.pop_front_if(|id| *id == correlation_id).is_some() {
                    return Ok(Received::TooLate);
                }
                // What is due stays in the queue unless this is its answer: it fails with the rest when the connection closes.
                match self.waiting.pop_front_if(|waiting| waiting.correlation_id == correlation_id) {
                    Some(waiting) => {
                        self.answered = true;
                        self.given_up_in_a_row = 0;
                        Ok(Received::Answer(waiting, frame))
                    }
                    None => {
                        let what = match self.waiting.front() {
                            Some(due) => format!("where {} was due", due.correlation_id),
                            None => "that nobody asked for".to_owned(),
                        };
                        Err(Error::new(ErrorKind::Decode, format!("answer {correlation_id} came {what}")))
                    }
                }
            }
        }
    }

    fn handle_api_versions(&mut self, version: i16, frame: Bytes) -> Result<Received<K>, Error> {
        // A broker that does not know the version answers in version 0, whatever was asked (KIP-511).
        let response = match messages::decode_response::<ApiVersionsRequest>(version, frame.clone()) {
            Ok((_, response)) if response.error_code != ErrorCode::UNSUPPORTED_VERSION => response,
            _ if version > 0 => return Ok(Received::Send(self.ask_versions(0)?)),
            Ok((_, response)) => response,
            Err(error) => return Err(error.into()),
        };
        if let Err(code) = response.error_code.ok() {
            return Err(Error::from_code(code, None));
        }
        self.versions = ApiVersions(
            response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect(),
        );
        match self.credentials.take() {
            None => {
                self.state = State::Ready;
                Ok(Received::Ready)
            }
            Some(credentials) => {
                self.state = State::Sasl(Box::new(SaslExchange::new(&credentials, self.seed)?));
                self.advance_sasl(None)
            }
        }
    }

    fn advance_sasl(&mut self, frame: Option<Bytes>) -> Result<Received<K>, Error> {
        let correlation_id = self.take_correlation_id();
        let State::Sasl(exchange) = &mut self.state else {
            return Err(Error::new(ErrorKind::Bug, "SASL outside its state"));
        };
        match exchange.advance(frame, correlation_id, &self.client_id, &self.versions)? {
            SaslStep::Send(frame) => Ok(Received::Send(frame)),
            SaslStep::Done => {
                self.session_lifetime = exchange.session_lifetime();
                self.draining = false;
                self.state = State::Ready;
                Ok(Received::Ready)
            }
        }
    }

    /// Whether requests may be sent.
    pub fn is_ready(&self) -> bool {
        self.is_established() && !self.draining
    }

    /// Whether the handshake is done, although it may be due again.
    pub fn is_established(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// Whether any request was answered, those of the handshake apart.
    pub fn has_answered(&self) -> bool {
        self.answered
    }

    /// For how long the broker takes this authentication (KIP-368); `None` for ever.
    pub fn session_lifetime(&self) -> Option<Duration> {
        self.session_lifetime
    }

    /// No more requests from now on: the session ends soon (KIP-368).
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether to [authenticate again](Self::reauthenticate) now: it is due, and everything was answered.
    pub fn is_drained(&self) -> bool {
        self.draining && self.is_established() && self.waiting.is_empty() && self.given_up.is_empty()
    }

    /// Shows who we are once more, on the same connection: the first frame to send; the seed makes a fresh nonce.
    ///
    /// # Errors
    /// Where the credentials cannot be sent; the connection must be closed.
    pub fn reauthenticate(&mut self, credentials: &Credentials, seed: u64) -> Result<Frame, Error> {
        self.state = State::Sasl(Box::new(SaslExchange::new(credentials, seed)?));
        match self.advance_sasl(None)? {
            Received::Send(frame) => Ok(frame),
            Received::Ready | Received::Answer(..) | Received::TooLate => {
                Err(Error::new(ErrorKind::Bug, "SASL began with its end"))
            }
        }
    }

    /// What the broker speaks.
    pub fn versions(&self) -> &ApiVersions {
        &self.versions
    }

    /// How many requests wait for an answer.
    pub fn in_flight(&self) -> usize {
        self.waiting.len()
    }

    /// When the request that has waited longest is late.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.deadline)
    }

    /// The request that has waited longest, where it is late and the connection outlives that: `most` late ones in a row, `None` for any number, end it.
    /// Its answer may still come, and goes nowhere. librdkafka's `socket.max.fails`.
    pub fn give_up_late(&mut self, now: Instant, most: Option<u32>) -> Option<Waiting<K>> {
        let outlives = most.is_none_or(|most| self.given_up_in_a_row + 1 < most);
        let waiting = self.waiting.pop_front_if(|waiting| outlives && waiting.deadline <= now)?;
        self.given_up_in_a_row += 1;
        self.given_up.push_back(waiting.correlation_id);
        Some(waiting)
    }

    /// Writes a request; `answered` is false for a Produce with acks=0, which nobody answers. Gives the version chosen.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where no version is common.
    pub fn send(
        &mut self,
        request: &dyn EncodeRequest,
        max_version: i16,
        token: K,
        answered: bool,
        deadline: Instant,
    ) -> Result<Frame, (K, Error)> {
        let (api, min, max) = request.api();
        let Some(version) = self.versions.common(api, min, max.min(max_version)) else {
            let error = Error::new(
                ErrorKind::Unsupported,
                format!("the broker does not speak {api} in a version that this client knows"),
            );
            return Err((token, error.code_of(ErrorCode::UNSUPPORTED_VERSION)));
        };
        let correlation_id = self.take_correlation_id();
        match request.encode(correlation_id, &self.client_id, version) {
            Ok(frame) => {
                if answered {
                    self.waiting.push_back(Waiting { token, api, version, correlation_id, deadline });
                }
                Ok(frame)
            }
            Err(error) => Err((token, error.into())),
        }
    }

    /// The connection is gone: what waited, in the order in which it was sent.
    pub fn handle_disconnected(&mut self) -> impl Iterator<Item = Waiting<K>> + use<K> {
        self.state = State::Closed;
        std::mem::take(&mut self.waiting).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use felice_protocol::messages::api_versions::response::ApiVersion;
    use felice_protocol::messages::{ApiVersionsResponse, HeartbeatRequest};

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant(millis * 1_000_000)
    }

    /// The answer to the request of that number, as far as the connection reads it.
    fn answer(correlation_id: i32) -> Bytes {
        Bytes::copy_from_slice(&correlation_id.to_be_bytes())
    }

    /// Ready, with the requests 1 to `count` sent, each late a second after the one before.
    fn with_requests(count: u64) -> Connection<u64> {
        let mut connection = Connection::new("me", 1);
        connection.handle_connected(None).expect("a request");
        let heartbeat =
            ApiVersion { api_key: ApiKey::HEARTBEAT.0, min_version: 0, max_version: 4, ..ApiVersion::default() };
        let versions = ApiVersionsResponse { api_keys: vec![heartbeat], ..ApiVersionsResponse::default() };
        let frame = messages::encode_response(ApiKey::API_VERSIONS, 3, 0, &versions).expect("a response");
        assert!(matches!(connection.handle_frame(frame.into_bytes().slice(4..)), Ok(Received::Ready)));
        for token in 1..=count {
            connection.send(&HeartbeatRequest::default(), i16::MAX, token, true, at(token * 1000)).expect("sent");
        }
        connection
    }

    #[test]
    fn a_late_request_is_given_up_and_its_answer_goes_nowhere() {
        let mut connection = with_requests(2);
        assert!(connection.give_up_late(at(999), None).is_none(), "not late yet");
        assert_eq!(connection.give_up_late(at(1000), None).map(|waiting| waiting.token), Some(1));
        assert!(connection.give_up_late(at(1000), None).is_none(), "the second is not late");
        assert!(matches!(connection.handle_frame(answer(1)), Ok(Received::TooLate)));
        assert!(matches!(connection.handle_frame(answer(2)), Ok(Received::Answer(Waiting { token: 2, .. }, _))));
        assert!(connection.handle_frame(answer(1)).is_err(), "it comes once");
    }

    #[test]
    fn so_many_late_requests_in_a_row_are_too_many() {
        let mut connection = with_requests(5);
        assert!(connection.give_up_late(at(9000), Some(1)).is_none(), "the first is one too many");
        assert!(connection.give_up_late(at(9000), Some(3)).is_some());
        assert!(connection.give_up_late(at(9000), Some(3)).is_some());
        assert!(connection.give_up_late(at(9000), Some(3)).is_none(), "the third in a row");
        assert!(matches!(connection.handle_frame(answer(3)), Ok(Received::Answer(..))));
        assert!(connection.give_up_late(at(9000), Some(3)).is_some(), "an answer ended the row");
        assert_eq!(connection.handle_disconnected().map(|waiting| waiting.token).collect::<Vec<_>>(), [5]);
    }
}
