use std::fmt;

use bytes::Bytes;

use super::scram_server::{Challenged, first, same};
use super::{Mechanism, Nonce, SaslError, ScramCredential, Secret, plain};

/// Where a broker looks users up.
pub trait Credentials {
    /// The password of a user of PLAIN.
    fn plain_password(&self, user: &str) -> Option<Secret>;

    /// What is stored of a user of SCRAM; each mechanism has its own.
    fn scram(&self, mechanism: Mechanism, user: &str) -> Option<ScramCredential>;
}

/// What a broker does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaslServerStep {
    /// Answer with these bytes and wait for the next message.
    Challenge(Bytes),
    /// Answer with these bytes: the client is this user.
    Done {
        /// The user's name.
        user: String,
        /// The answer.
        answer: Bytes,
    },
}

enum State {
    Begin(Nonce),
    Challenged(Box<Challenged>),
    Done,
}

/// The broker's side of one exchange.
pub struct SaslServer {
    mechanism: Mechanism,
    state: State,
}

impl fmt::Debug for SaslServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslServer").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

impl SaslServer {
    /// A server for one exchange; `nonce` must be fresh random bytes.
    pub fn new(mechanism: Mechanism, nonce: Nonce) -> Self {
        Self { mechanism, state: State::Begin(nonce) }
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes the `auth_bytes` of a `SaslAuthenticate` request.
    ///
    /// # Errors
    /// [`SaslError`]; the answer is SASL_AUTHENTICATION_FAILED, then the connection is to be closed.
    pub fn step(&mut self, message: &[u8], credentials: &dyn Credentials) -> Result<SaslServerStep, SaslError> {
        match (std::mem::replace(&mut self.state, State::Done), self.mechanism) {
            (State::Begin(_), Mechanism::Plain) => {
                let (user, password) = plain::parse(message)?;
                match credentials.plain_password(&user) {
                    Some(expected) if same(expected.expose().as_bytes(), password.expose().as_bytes()) => {
                        Ok(SaslServerStep::Done { user, answer: Bytes::new() })
                    }
                    _ => Err(SaslError::NotAuthenticated),
                }
            }
            (State::Begin(nonce), mechanism) => {
                let (challenged, challenge) =
                    first(mechanism, &nonce, message, |user| credentials.scram(mechanism, user))?;
                self.state = State::Challenged(Box::new(challenged));
                Ok(SaslServerStep::Challenge(challenge))
            }
            (State::Challenged(challenged), _) => {
                let answer = challenged.last(message)?;
                Ok(SaslServerStep::Done { user: challenged.user, answer })
            }
            (State::Done, mechanism) => {
                Err(SaslError::Malformed { mechanism, reason: "it comes after the exchange's end" })
            }
        }
    }
}
