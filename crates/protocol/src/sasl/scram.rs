//! SCRAM (RFC 5802, RFC 7677) as a client, and what both sides share.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use ring::{digest, hmac, pbkdf2};

use super::{Mechanism, Nonce, SaslError, SaslStep, Secret};

/// Below this the stored keys are too cheap to guess (RFC 5802 and Kafka have the same floor).
pub(super) const MIN_ITERATIONS: u64 = 4096;
/// Above this an impostor only burns our time; Kafka itself stores at most 16,384.
pub(super) const MAX_ITERATIONS: u64 = 1_000_000;
/// No message of an honest peer comes near this.
const MAX_MESSAGE: usize = 16 * 1024;

/// "No channel binding, no identity to act as", which begins the client's first message; and the same in base64.
const GS2_HEADER: &str = "n,,";
const GS2_HEADER_BASE64: &str = "biws";

/// The algorithms behind a mechanism.
#[derive(Clone, Copy)]
pub(super) struct Hash {
    digest: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
}

impl Hash {
    pub(super) fn of(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::ScramSha512 => {
                Self { digest: &digest::SHA512, hmac: hmac::HMAC_SHA512, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512 }
            }
            Mechanism::ScramSha256 | Mechanism::Plain | Mechanism::OAuthBearer => {
                Self { digest: &digest::SHA256, hmac: hmac::HMAC_SHA256, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256 }
            }
        }
    }

    pub(super) fn salted_password(self, password: &Secret, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let mut salted = vec![0; self.digest.output_len()];
        // Apache Kafka takes the password's UTF-8 as it is, without SASLprep: so do we, or the same password would not be the same there.
        pbkdf2::derive(self.pbkdf2, iterations, salt, password.expose().as_bytes(), &mut salted);
        salted
    }

    pub(super) fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hmac, key), message).as_ref().to_vec()
    }

    pub(super) fn hmac_is(self, key: &[u8], message: &[u8], expected: &[u8]) -> bool {
        hmac::verify(&hmac::Key::new(self.hmac, key), message, expected).is_ok()
    }

    pub(super) fn hash(self, message: &[u8]) -> Vec<u8> {
        digest::digest(self.digest, message).as_ref().to_vec()
    }
}

/// Printable, without a comma, as nonces must be.
pub(super) fn printable(nonce: &Nonce) -> String {
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(nonce)
}

pub(super) fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(left, right)| left ^ right).collect()
}

pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// A message as text, of bounded length.
pub(super) fn text(mechanism: Mechanism, message: &[u8]) -> Result<&str, SaslError> {
    if message.len() > MAX_MESSAGE {
        return Err(SaslError::Malformed { mechanism, reason: "it is too long" });
    }
    std::str::from_utf8(message).map_err(|_| SaslError::Malformed { mechanism, reason: "it is not UTF-8" })
}

/// The next attribute, which must have this name.
pub(super) fn attribute<'a>(parts: &mut std::str::Split<'a, char>, name: &str) -> Option<&'a str> {
    parts.next()?.strip_prefix(name)?.strip_prefix('=')
}

#[derive(Debug)]
enum State {
    /// The client's first message is out.
    First,
    /// The proof is out; this is what the server must answer.
    Final {
        server_key: Vec<u8>,
        auth_message: String,
    },
    Done,
}

/// The client's side.
pub struct ScramClient {
    mechanism: Mechanism,
    user: String,
    password: Secret,
    nonce: String,
    state: State,
}

impl std::fmt::Debug for ScramClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys derived from the password are as good as the password.
        f.debug_struct("ScramClient")
            .field("mechanism", &self.mechanism)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl ScramClient {
    pub(super) fn new(mechanism: Mechanism, user: &str, password: &Secret, nonce: &Nonce) -> Self {
        Self::with_nonce(mechanism, user, password, printable(nonce))
    }

    pub(super) fn with_nonce(mechanism: Mechanism, user: &str, password: &Secret, nonce: String) -> Self {
        Self { mechanism, user: user.to_owned(), password: password.clone(), nonce, state: State::First }
    }

    pub(super) fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn first_message(&mut self) -> Bytes {
        self.state = State::First;
        Bytes::from(format!("{GS2_HEADER}{}", self.first_bare()))
    }

    fn first_bare(&self) -> String {
        format!("n={},r={}", self.user.replace('=', "=3D").replace(',', "=2C"), self.nonce)
    }

    pub(super) fn step(&mut self, answer: &[u8]) -> Result<SaslStep, SaslError> {
        let answer = text(self.mechanism, answer)?;
        match std::mem::replace(&mut self.state, State::Done) {
            State::First => self.prove(answer),
            State::Final { server_key, auth_message } => self.verify(answer, &server_key, &auth_message),
            State::Done => Err(self.malformed("it comes after the exchange's end")),
        }
    }

    fn prove(&mut self, server_first: &str) -> Result<SaslStep, SaslError> {
        if let Some(error) = server_first.strip_prefix("e=") {
            return Err(self.rejected(error));
        }
        let mut parts = server_first.split(',');
        let nonce = attribute(&mut parts, "r").ok_or_else(|| self.malformed("it does not begin with a nonce"))?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(self.malformed("its nonce does not continue ours"));
        }
        let salt = attribute(&mut parts, "s")
            .and_then(decode)
            .filter(|salt| !salt.is_empty())
            .ok_or_else(|| self.malformed("it has no salt"))?;
        let iterations: u64 = attribute(&mut parts, "i")
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| self.malformed("it has no number of iterations"))?;
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(SaslError::Iterations(iterations));
        }
        let iterations =
            u32::try_from(iterations).ok().and_then(NonZeroU32::new).ok_or(SaslError::Iterations(iterations))?;

        let hash = Hash::of(self.mechanism);
        let salted = hash.salted_password(&self.password, &salt, iterations);
        let client_key = hash.hmac(&salted, b"Client Key");
        let stored_key = hash.hash(&client_key);
        let server_key = hash.hmac(&salted, b"Server Key");

        let without_proof = format!("c={GS2_HEADER_BASE64},r={nonce}");
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare());
        let proof = xor(&client_key, &hash.hmac(&stored_key, auth_message.as_bytes()));
        let message = format!("{without_proof},p={}", encode(&proof));
        self.state = State::Final { server_key, auth_message };
        Ok(SaslStep::Send(Bytes::from(message)))
    }

    fn verify(&self, server_final: &str, server_key: &[u8], auth_message: &str) -> Result<SaslStep, SaslError> {
        let mut parts = server_final.split(',');
        if let Some(error) = server_final.strip_prefix("e=") {
            return Err(self.rejected(error));
        }
        let signature =
            attribute(&mut parts, "v").and_then(decode).ok_or_else(|| self.malformed("it has no signature"))?;
        if Hash::of(self.mechanism).hmac_is(server_key, auth_message.as_bytes(), &signature) {
            Ok(SaslStep::Done)
        } else {
            Err(SaslError::ServerNotAuthentic { user: self.user.clone() })
        }
    }

    fn rejected(&self, error: &str) -> SaslError {
        SaslError::Rejected { mechanism: self.mechanism, user: self.user.clone(), message: error.to_owned() }
    }

    fn malformed(&self, reason: &'static str) -> SaslError {
        SaslError::Malformed { mechanism: self.mechanism, reason }
    }
}
