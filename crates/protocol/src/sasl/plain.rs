//! PLAIN (RFC 4616): one message.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Mechanism, SaslError, Secret};

/// The client's side.
#[derive(Debug)]
pub struct PlainClient {
    user: String,
    password: Secret,
}

impl PlainClient {
    pub(super) fn new(user: &str, password: &Secret) -> Self {
        Self { user: user.to_owned(), password: password.clone() }
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// No identity to act as, the user, the password.
    pub(super) fn message(&self) -> Bytes {
        let mut message = BytesMut::with_capacity(2 + self.user.len() + self.password.expose().len());
        message.put_u8(0);
        message.put_slice(self.user.as_bytes());
        message.put_u8(0);
        message.put_slice(self.password.expose().as_bytes());
        message.freeze()
    }
}

/// Takes a client's message apart: user and password. An identity to act as must be the user's own, as with Apache Kafka.
pub(super) fn parse(message: &[u8]) -> Result<(String, Secret), SaslError> {
    let malformed = |reason| SaslError::Malformed { mechanism: Mechanism::Plain, reason };
    let text = std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))?;
    let mut parts = text.split('\0');
    let (Some(identity), Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed("it does not have three parts"));
    };
    if user.is_empty() || password.is_empty() {
        return Err(malformed("the user or the password is empty"));
    }
    if !identity.is_empty() && identity != user {
        return Err(malformed("the identity to act as is not the user"));
    }
    Ok((user.to_owned(), Secret::from(password)))
}
