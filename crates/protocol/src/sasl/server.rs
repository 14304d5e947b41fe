use std::fmt;

use bytes::Bytes;

use super::scram_server::{Challenged, first, same};
use super::{AcceptedToken, Mechanism, Nonce, RejectedToken, SaslError, ScramCredential, Secret, oauthbearer, plain};

/// Where a broker looks users up.
pub trait Credentials {
    /// The password of a user of PLAIN.
    fn plain_password(&self, user: &str) -> Option<Secret>;

    /// What is stored of a user of SCRAM; each mechanism has its own.
    fn scram(&self, mechanism: Mechanism, user: &str) -> Option<ScramCredential>;

    /// Whether a token of OAUTHBEARER is taken, with the extensions beside it. Without a word: no.
    ///
    /// # Errors
    /// Why it is not.
    fn token(&self, token: &Secret, extensions: &[(String, String)]) -> Result<AcceptedToken, RejectedToken> {
        let _ = (token, extensions);
        Err(RejectedToken::new("nobody looks at tokens here"))
    }
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
        /// Milliseconds since 1970 at which what the client has shown ends, where it does.
        expires_at_ms: Option<i64>,
    },
}

enum State {
    Begin(Nonce),
    Challenged(Box<Challenged>),
    /// The token was refused, and the client is to say that it has heard.
    TokenRejected(SaslError),
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
                        Ok(SaslServerStep::Done { user, answer: Bytes::new(), expires_at_ms: None })
                    }
                    _ => Err(SaslError::NotAuthenticated),
                }
            }
            (State::Begin(_), Mechanism::OAuthBearer) => self.judge_token(message, credentials),
            (State::Begin(nonce), mechanism) => {
                let (challenged, challenge) =
                    first(mechanism, &nonce, message, |user| credentials.scram(mechanism, user))?;
                self.state = State::Challenged(Box::new(challenged));
                Ok(SaslServerStep::Challenge(challenge))
            }
            (State::Challenged(challenged), _) => {
                let answer = challenged.last(message)?;
                Ok(SaslServerStep::Done { user: challenged.user, answer, expires_at_ms: None })
            }
            (State::TokenRejected(error), _) => Err(error),
            (State::Done, mechanism) => {
                Err(SaslError::Malformed { mechanism, reason: "it comes after the exchange's end" })
            }
        }
    }

    fn judge_token(&mut self, message: &[u8], credentials: &dyn Credentials) -> Result<SaslServerStep, SaslError> {
        let initial = oauthbearer::parse(message)?;
        let rejected = match credentials.token(&initial.token, &initial.extensions) {
            Ok(accepted) if initial.acts_as.is_empty() || initial.acts_as == accepted.principal => {
                return Ok(SaslServerStep::Done {
                    user: accepted.principal,
                    answer: Bytes::new(),
                    expires_at_ms: accepted.expires_at_ms,
                });
            }
            Ok(_) => RejectedToken::new("the identity to act as is not the token's"),
            Err(rejected) => rejected,
        };
        let answer = rejected.answer();
        self.state = State::TokenRejected(SaslError::TokenRejected { answer: answer.clone(), reason: rejected.reason });
        Ok(SaslServerStep::Challenge(Bytes::from(answer)))
    }
}
