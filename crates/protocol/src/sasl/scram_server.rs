//! SCRAM as a broker.

use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;

use super::scram::{Hash, attribute, decode, encode, printable, text, xor};
use super::{Mechanism, Nonce, SaslError, Secret};

/// What a broker stores of a user: enough to check a password and to prove that it knows it, not enough to pose as the user.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Random bytes.
    pub salt: Bytes,
    /// The hash of the client's key.
    pub stored_key: Bytes,
    /// The server's key.
    pub server_key: Bytes,
    /// How often the hash was applied.
    pub iterations: u32,
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl ScramCredential {
    /// Derives what is stored from a password.
    pub fn derive(mechanism: Mechanism, password: &Secret, salt: Bytes, iterations: NonZeroU32) -> Self {
        let salted = Hash::of(mechanism).salted_password(password, &salt, iterations);
        Self::from_salted_password(mechanism, &salted, salt, iterations.get())
    }

    /// Derives what is stored from a salted password, which is what `AlterUserScramCredentials` carries.
    pub fn from_salted_password(mechanism: Mechanism, salted_password: &[u8], salt: Bytes, iterations: u32) -> Self {
        let hash = Hash::of(mechanism);
        let stored_key = hash.hash(&hash.hmac(salted_password, b"Client Key"));
        let server_key = hash.hmac(salted_password, b"Server Key");
        Self { salt, stored_key: stored_key.into(), server_key: server_key.into(), iterations }
    }
}

/// The exchange after the client's first message.
pub(super) struct Challenged {
    mechanism: Mechanism,
    pub(super) user: String,
    credential: ScramCredential,
    nonce: String,
    /// What the client must repeat, in base64.
    gs2_header: String,
    auth_message: String,
}

/// Takes the client's first message; gives the challenge.
pub(super) fn first(
    mechanism: Mechanism,
    server_nonce: &Nonce,
    message: &[u8],
    lookup: impl FnOnce(&str) -> Option<ScramCredential>,
) -> Result<(Challenged, Bytes), SaslError> {
    let malformed = |reason| SaslError::Malformed { mechanism, reason };
    let message = text(mechanism, message)?;
    let mut parts = message.splitn(3, ',');
    let (Some(binding), Some(identity), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed("it does not have three parts"));
    };
    if !matches!(binding, "n" | "y") {
        return Err(malformed("channel binding is not supported"));
    }
    let mut attributes = bare.split(',');
    let user = attribute(&mut attributes, "n")
        .and_then(unescape)
        .filter(|user| !user.is_empty())
        .ok_or_else(|| malformed("it has no user"))?;
    let client_nonce = attribute(&mut attributes, "r")
        .filter(|nonce| !nonce.is_empty())
        .ok_or_else(|| malformed("it has no nonce"))?;
    let acts_as = match identity.strip_prefix("a=") {
        Some(escaped) => {
            Some(unescape(escaped).ok_or_else(|| malformed("the identity to act as is not well escaped"))?)
        }
        None if identity.is_empty() => None,
        None => return Err(malformed("the identity to act as is not well formed")),
    };
    if acts_as.is_some_and(|acts_as| acts_as != user) {
        return Err(malformed("the identity to act as is not the user"));
    }

    let credential = lookup(&user).ok_or(SaslError::NotAuthenticated)?;
    let nonce = format!("{client_nonce}{}", printable(server_nonce));
    let challenge = format!("r={nonce},s={},i={}", encode(&credential.salt), credential.iterations);
    let challenged = Challenged {
        mechanism,
        user,
        credential,
        nonce,
        gs2_header: encode(format!("{binding},{identity},").as_bytes()),
        auth_message: format!("{bare},{challenge}"),
    };
    Ok((challenged, Bytes::from(challenge)))
}

impl Challenged {
    /// Takes the client's proof; gives ours.
    pub(super) fn last(&self, message: &[u8]) -> Result<Bytes, SaslError> {
        let malformed = |reason| SaslError::Malformed { mechanism: self.mechanism, reason };
        let message = text(self.mechanism, message)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or_else(|| malformed("it has no proof"))?;
        let mut attributes = without_proof.split(',');
        if attribute(&mut attributes, "c") != Some(self.gs2_header.as_str()) {
            return Err(malformed("its channel binding is not that of the first message"));
        }
        if attribute(&mut attributes, "r") != Some(self.nonce.as_str()) {
            return Err(malformed("its nonce is not the one given"));
        }
        let proof = decode(proof).ok_or_else(|| malformed("its proof is not base64"))?;

        let hash = Hash::of(self.mechanism);
        let auth_message = format!("{},{without_proof}", self.auth_message);
        let client_signature = hash.hmac(&self.credential.stored_key, auth_message.as_bytes());
        let client_key = xor(&proof, &client_signature);
        if proof.len() != client_signature.len() || !same(&hash.hash(&client_key), &self.credential.stored_key) {
            return Err(SaslError::NotAuthenticated);
        }
        let signature = hash.hmac(&self.credential.server_key, auth_message.as_bytes());
        Ok(Bytes::from(format!("v={}", encode(&signature))))
    }
}

/// Takes the same time wherever the difference is.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right)) == 0
}

/// `=2C` is a comma, `=3D` an equals sign; any other `=` is an error.
pub(super) fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        if let Some(rest) = part.strip_prefix("2C") {
            plain.push(',');
            plain.push_str(rest);
        } else if let Some(rest) = part.strip_prefix("3D") {
            plain.push('=');
            plain.push_str(rest);
        } else {
            return None;
        }
    }
    Some(plain)
}
