//! SASL: proving to a broker who we are, and a broker's side of it. What goes into `SaslAuthenticate` and what comes out; the requests themselves
//! are the connection's matter.
//!
//! - [`SaslClient`]: PLAIN, SCRAM-SHA-256/512 and OAUTHBEARER as a client
//! - [`SaslServer`]: the same as a broker, over [`Credentials`]
//! - [`BearerToken`]: a token of OAUTHBEARER
//! - [`jaas_options`]: how Java writes users down
//! - [`Secret`]: a password that no log line shows
//!
//! Readers of Kafka know these as `ScramSaslClient`, `ScramSaslServer`, `PlainSaslServer`.

mod jaas;
mod oauthbearer;
mod plain;
mod scram;
mod scram_server;
mod secret;
mod server;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

pub use jaas::jaas_options;
pub use oauthbearer::{AcceptedToken, BearerToken, RejectedToken};
pub use scram_server::ScramCredential;
pub use secret::Secret;
pub use server::{Credentials, SaslServer, SaslServerStep};

/// Random bytes for one exchange; the driver draws them, the core has no randomness of its own.
pub type Nonce = [u8; 24];

/// The mechanisms spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mechanism {
    /// The password as it is: only over TLS.
    Plain,
    /// Challenge and response; neither side shows the password.
    ScramSha256,
    /// The same with the longer hash.
    ScramSha512,
    /// A token that somebody else has issued: only over TLS.
    OAuthBearer,
}

impl Mechanism {
    /// All of them, in the order in which a broker lists them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OAuthBearer];

    /// Those that take a user and a password.
    pub const WITH_PASSWORD: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// Its registered name, as in `sasl.mechanism`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mechanism {
    type Err = SaslError;

    fn from_str(name: &str) -> Result<Self, SaslError> {
        let known = Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name));
        known.ok_or_else(|| SaslError::UnknownMechanism(name.to_owned()))
    }
}

/// Why nobody is authenticated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// A name that is none of ours.
    #[error("the SASL mechanism {0} is not supported; PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER are")]
    UnknownMechanism(String),
    /// The broker does not take this mechanism (UNSUPPORTED_SASL_MECHANISM).
    #[error("the broker does not offer the SASL mechanism {mechanism}; it offers {}", list(.offered))]
    MechanismNotOffered {
        /// The one asked for.
        mechanism: String,
        /// Those it named.
        offered: Vec<String>,
    },
    /// The broker refused (SASL_AUTHENTICATION_FAILED), in its words.
    #[error("authentication with {mechanism} as \"{user}\" failed: {message}")]
    Rejected {
        /// The mechanism.
        mechanism: Mechanism,
        /// The user.
        user: String,
        /// The broker's words.
        message: String,
    },
    /// The user or the password cannot be sent.
    #[error("{0}")]
    InvalidCredentials(&'static str),
    /// The broker does not know the password itself: it is not the one it claims to be.
    #[error("the broker could not prove that it knows the password of \"{user}\": it may be an impostor")]
    ServerNotAuthentic {
        /// The user.
        user: String,
    },
    /// The broker asks for a number of iterations that is unsafe or would only burn time.
    #[error("the broker asks for {0} iterations; from {min} to {max} are accepted", min = scram::MIN_ITERATIONS, max = scram::MAX_ITERATIONS)]
    Iterations(u64),
    /// Bytes that are not what the mechanism says.
    #[error("the other side's {mechanism} message is not valid: {reason}")]
    Malformed {
        /// The mechanism.
        mechanism: Mechanism,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// As a server: no such user, or not this password. The two are not told apart.
    #[error("invalid credentials")]
    NotAuthenticated,
    /// As a server: the token was refused. This is what the client was told.
    #[error("{answer}")]
    TokenRejected {
        /// The answer of RFC 7628, JSON.
        answer: String,
        /// For the broker's log.
        reason: String,
    },
}

impl SaslError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MechanismNotOffered { offered, .. } => {
                offered.first().map(|offered| format!("set sasl.mechanism={offered}, or another of those offered"))
            }
            Self::Rejected { mechanism, .. } => Some(match mechanism {
                Mechanism::Plain => "check sasl.username and sasl.password".to_owned(),
                Mechanism::OAuthBearer => {
                    "check that the token is for this broker (audience, scope) and has not expired".to_owned()
                }
                _ => format!(
                    "check sasl.username and sasl.password, and that the user has a {mechanism} credential: each SCRAM mechanism has its own"
                ),
            }),
            Self::ServerNotAuthentic { .. } => {
                Some("check the address; if it is right, set the user's SCRAM credential anew".to_owned())
            }
            _ => None,
        }
    }
}

/// What a client does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaslStep {
    /// Send these bytes, then call [`SaslClient::step`] with the answer.
    Send(Bytes),
    /// Authenticated; the other side has proved itself where the mechanism lets it.
    Done,
}

/// The client's side of one exchange.
#[derive(Debug)]
pub enum SaslClient {
    /// PLAIN.
    Plain(plain::PlainClient),
    /// SCRAM with either hash.
    Scram(scram::ScramClient),
    /// OAUTHBEARER.
    OAuthBearer(oauthbearer::BearerClient),
}

impl SaslClient {
    /// A client for one exchange; `nonce` must be fresh random bytes.
    ///
    /// # Errors
    /// [`SaslError::InvalidCredentials`].
    pub fn new(mechanism: Mechanism, user: &str, password: &Secret, nonce: Nonce) -> Result<Self, SaslError> {
        if user.is_empty() {
            return Err(SaslError::InvalidCredentials("the user name is empty: set sasl.username"));
        }
        if user.contains('\0') || password.expose().contains('\0') {
            return Err(SaslError::InvalidCredentials("neither user name nor password may contain a NUL character"));
        }
        Ok(match mechanism {
            Mechanism::Plain => Self::Plain(plain::PlainClient::new(user, password)),
            Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
                Self::Scram(scram::ScramClient::new(mechanism, user, password, &nonce))
            }
            Mechanism::OAuthBearer => {
                return Err(SaslError::InvalidCredentials("OAUTHBEARER takes a token, not a user and a password"));
            }
        })
    }

    /// A client of OAUTHBEARER for one exchange.
    ///
    /// # Errors
    /// [`SaslError::InvalidCredentials`] where the token cannot be sent.
    pub fn with_token(token: &BearerToken) -> Result<Self, SaslError> {
        Ok(Self::OAuthBearer(oauthbearer::BearerClient::new(token)?))
    }

    /// The mechanism's name, for `SaslHandshake`.
    pub fn mechanism(&self) -> &'static str {
        self.kind().name()
    }

    /// The mechanism.
    pub fn kind(&self) -> Mechanism {
        match self {
            Self::Plain(_) => Mechanism::Plain,
            Self::Scram(scram) => scram.mechanism(),
            Self::OAuthBearer(_) => Mechanism::OAuthBearer,
        }
    }

    /// The user.
    pub fn user(&self) -> &str {
        match self {
            Self::Plain(plain) => plain.user(),
            Self::Scram(scram) => scram.user(),
            Self::OAuthBearer(bearer) => bearer.principal(),
        }
    }

    /// The bytes of the first `SaslAuthenticate`; all mechanisms here begin with the client.
    ///
    /// # Errors
    /// None of the present mechanisms fails here.
    pub fn initial(&mut self) -> Result<Option<Bytes>, SaslError> {
        Ok(Some(match self {
            Self::Plain(plain) => plain.message(),
            Self::Scram(scram) => scram.first_message(),
            Self::OAuthBearer(bearer) => bearer.message(),
        }))
    }

    /// Takes the `auth_bytes` of a successful `SaslAuthenticate` response.
    ///
    /// # Errors
    /// [`SaslError`]; the exchange is over and the connection is to be closed.
    pub fn step(&mut self, answer: &[u8]) -> Result<SaslStep, SaslError> {
        match self {
            Self::Plain(_) => Ok(SaslStep::Done),
            Self::Scram(scram) => scram.step(answer),
            Self::OAuthBearer(bearer) => bearer.step(answer),
        }
    }

    /// The error for a `SaslAuthenticate` response that has an error code, with the broker's words (`error_message`).
    pub fn rejected(&self, message: Option<&str>) -> SaslError {
        let message = message.filter(|message| !message.is_empty()).unwrap_or("the broker gave no reason");
        SaslError::Rejected { mechanism: self.kind(), user: self.user().to_owned(), message: message.to_owned() }
    }

    /// The error for a `SaslHandshake` response with UNSUPPORTED_SASL_MECHANISM, with the mechanisms it lists.
    pub fn not_offered<S: AsRef<str>>(&self, offered: &[S]) -> SaslError {
        SaslError::MechanismNotOffered {
            mechanism: self.mechanism().to_owned(),
            offered: offered.iter().map(|name| name.as_ref().to_owned()).collect(),
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
