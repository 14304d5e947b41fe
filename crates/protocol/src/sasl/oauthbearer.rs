//! OAUTHBEARER (RFC 7628, KIP-255): a token that somebody else has issued, as a client and as a broker. What a token says is not looked at here.

use std::fmt;

use bytes::Bytes;

use super::{Mechanism, SaslError, SaslStep, Secret};

/// No message of an honest client comes near this; tokens with many claims take some thousand bytes.
const MAX_MESSAGE: usize = 256 * 1024;
/// More pairs than this carry nothing that anybody would read.
const MAX_EXTENSIONS: usize = 100;
/// Stands between the parts of a message.
const SEPARATOR: char = '\x01';
/// What a client says when it has read why it was refused.
const ACKNOWLEDGED: &[u8] = b"\x01";

/// A token, and what a client must know of it. Java: `OAuthBearerToken`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerToken {
    /// The token as it was issued; with most issuers a JWT.
    pub value: Secret,
    /// Milliseconds since 1970 at which it ends.
    pub expires_at_ms: i64,
    /// Whom it is for, to be told in logs and errors.
    pub principal: String,
    /// Pairs that go to the broker beside it (KIP-342).
    pub extensions: Vec<(String, String)>,
}

impl BearerToken {
    /// Whether it can be sent.
    ///
    /// # Errors
    /// [`SaslError::InvalidCredentials`].
    pub fn check(&self) -> Result<(), SaslError> {
        let token = self.value.expose();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SaslError::InvalidCredentials("the token is empty or has characters that no token has"));
        }
        if !self.extensions.iter().all(|(name, value)| is_extension(name, value)) {
            return Err(SaslError::InvalidCredentials(
                "a SASL extension's name is letters only and not \"auth\"; its value is ASCII without control characters",
            ));
        }
        Ok(())
    }
}

/// What a broker may know of a token that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedToken {
    /// The user that the connection is from now on.
    pub principal: String,
    /// Milliseconds since 1970 at which the token ends, and with it the session; `None` for never.
    pub expires_at_ms: Option<i64>,
}

/// Why a broker does not take a token; the client is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectedToken {
    /// For the broker's log; clients are not told. The token itself is not to be in it.
    pub reason: String,
    /// The scope that would be enough (RFC 7628); the client is told.
    pub scope: Option<String>,
}

impl RejectedToken {
    /// A token that is not valid, and why.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), scope: None }
    }

    /// The answer that RFC 7628 wants.
    pub(super) fn answer(&self) -> String {
        match &self.scope {
            Some(scope) => format!("{{\"status\":\"insufficient_scope\",\"scope\":\"{}\"}}", escaped(scope)),
            None => "{\"status\":\"invalid_token\"}".to_owned(),
        }
    }
}

fn escaped(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect()
}

fn is_extension(name: &str, value: &str) -> bool {
    let printable = |byte: u8| matches!(byte, 0x20..=0x7e | b'\t' | b'\r' | b'\n');
    !name.is_empty()
        && name != "auth"
        && name.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !value.is_empty()
        && value.bytes().all(printable)
}

#[derive(Debug)]
enum State {
    Begin,
    /// The token is out.
    Sent,
    /// The broker has said why not, and is to say it once more as its last word.
    Refused(String),
    Done,
}

/// The client's side.
pub struct BearerClient {
    token: BearerToken,
    state: State,
}

impl fmt::Debug for BearerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerClient").field("principal", &self.token.principal).finish_non_exhaustive()
    }
}

impl BearerClient {
    pub(super) fn new(token: &BearerToken) -> Result<Self, SaslError> {
        token.check()?;
        Ok(Self { token: token.clone(), state: State::Begin })
    }

    pub(super) fn principal(&self) -> &str {
        &self.token.principal
    }

    pub(super) fn message(&mut self) -> Bytes {
        self.state = State::Sent;
        let mut message = format!("n,,{SEPARATOR}auth=Bearer {}{SEPARATOR}", self.token.value.expose());
        for (name, value) in &self.token.extensions {
            message.push_str(name);
            message.push('=');
            message.push_str(value);
            message.push(SEPARATOR);
        }
        message.push(SEPARATOR);
        Bytes::from(message)
    }

    pub(super) fn step(&mut self, answer: &[u8]) -> Result<SaslStep, SaslError> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Sent if answer.is_empty() => Ok(SaslStep::Done),
            State::Sent => {
                self.state = State::Refused(String::from_utf8_lossy(answer).into_owned());
                Ok(SaslStep::Send(Bytes::from_static(ACKNOWLEDGED)))
            }
            // A broker that goes on as if nothing had been said has still refused.
            State::Refused(why) => Err(self.rejected(why)),
            State::Begin | State::Done => {
                Err(SaslError::Malformed { mechanism: Mechanism::OAuthBearer, reason: "it comes outside the exchange" })
            }
        }
    }

    fn rejected(&self, message: String) -> SaslError {
        SaslError::Rejected { mechanism: Mechanism::OAuthBearer, user: self.token.principal.clone(), message }
    }
}

/// What a client's first message carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Initial {
    /// The identity to act as; empty for the token's own.
    pub(super) acts_as: String,
    pub(super) token: Secret,
    pub(super) extensions: Vec<(String, String)>,
}

/// Takes a client's first message apart.
pub(super) fn parse(message: &[u8]) -> Result<Initial, SaslError> {
    let malformed = |reason| SaslError::Malformed { mechanism: Mechanism::OAuthBearer, reason };
    if message.len() > MAX_MESSAGE {
        return Err(malformed("it is too long"));
    }
    let text = std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))?;
    let (header, pairs) = text.split_once(SEPARATOR).ok_or_else(|| malformed("it has no parts"))?;
    let acts_as = match header.strip_prefix("n,").and_then(|rest| rest.strip_suffix(',')) {
        Some("") => String::new(),
        Some(identity) => identity
            .strip_prefix("a=")
            .and_then(super::scram_server::unescape)
            .ok_or_else(|| malformed("the identity to act as is not well formed"))?,
        None => return Err(malformed("its header is not that of a client without channel binding")),
    };
    let pairs = pairs.strip_suffix("\x01\x01").ok_or_else(|| malformed("it does not end as it must"))?;
    let mut token = None;
    let mut extensions = Vec::new();
    for pair in pairs.split(SEPARATOR) {
        let (name, value) = pair.split_once('=').ok_or_else(|| malformed("a pair has no equals sign"))?;
        if name == "auth" {
            if token.is_some() {
                return Err(malformed("it has two tokens"));
            }
            token = Some(bearer(value).ok_or_else(|| malformed("its authorization is no bearer token"))?);
        } else if is_extension(name, value) && extensions.len() < MAX_EXTENSIONS {
            extensions.push((name.to_owned(), value.to_owned()));
        } else {
            return Err(malformed("an extension is not well formed"));
        }
    }
    Ok(Initial { acts_as, token: token.ok_or_else(|| malformed("it has no token"))?, extensions })
}

/// The token behind `Bearer`, whose case does not count.
fn bearer(authorization: &str) -> Option<Secret> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let valid =
        scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    valid.then(|| Secret::from(token))
}
