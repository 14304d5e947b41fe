//! Who we are, where that changes: tokens that come and go, credentials that are set anew, and authenticating again, on the same connection, before
//! a session ends (KIP-368).

use felice_protocol::sasl::BearerToken;
use felice_protocol::time::Now;

use super::connections::Key;
use super::{ClientCore, Output};
use crate::config::Secret;
use crate::error::{Error, ErrorKind};

/// A session is renewed after this part of its time, and up to as much later as a tenth, so that not all connections do it at once.
const RENEW_AT: f64 = 0.85;

impl<T> ClientCore<T> {
    /// Whether whoever gives tokens is to be asked now, and answer with [`Self::set_token`] or [`Self::set_token_failure`]. Says so once.
    pub fn poll_token_request(&mut self) -> bool {
        self.links.tokens.poll_request()
    }

    /// A token for OAUTHBEARER, asked for or not: for connections that are made or authenticate again from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where it cannot be sent, or has expired.
    pub fn set_token(&mut self, now: Now, token: BearerToken) -> Result<(), Error> {
        self.links.tokens.set(now, token)
    }

    /// Nobody has a token, and why. It is asked for again in ten seconds.
    pub fn set_token_failure(&mut self, now: Now, why: &str) {
        self.links.tokens.set_failure(now, why);
    }

    /// Another user and password, for connections that are made or authenticate again from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the client uses neither PLAIN nor SCRAM.
    pub fn set_credentials(&mut self, username: &str, password: &str) -> Result<(), Error> {
        match &mut self.links.config.sasl {
            Some(sasl) if !sasl.username.is_empty() => {
                username.clone_into(&mut sasl.username);
                sasl.password = Secret::new(password);
                Ok(())
            }
            Some(_) | None => Err(Error::new(ErrorKind::Config, "this client authenticates by no user and password")
                .hinting("set sasl.mechanism to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")),
        }
    }

    /// Connections that waited for a token are made, or hear why there is none.
    pub(super) fn settle_tokens(&mut self, now: Now) {
        if self.links.awaiting_token.is_empty() {
            return;
        }
        if self.links.tokens.current(now).is_some() {
            for id in std::mem::take(&mut self.links.awaiting_token) {
                let Some(key) = self.links.by_id.get(&id).copied() else { continue };
                let Some(link) = self.links.links.get(&key) else { continue };
                self.links.outputs.push_back(Output::Connect { id, address: link.address.clone(), lane: key.1 });
            }
        } else if let Some(failure) = self.links.tokens.failure().cloned() {
            for id in std::mem::take(&mut self.links.awaiting_token) {
                self.handle_disconnected(now, id, failure.clone());
            }
        }
    }

    /// A connection has authenticated, for the first time or again.
    pub(super) fn begin_session(&mut self, now: Now, key: Key) {
        let Some(link) = self.links.links.get_mut(&key) else { return };
        link.reauthenticate_at = link.connection.session_lifetime().map(|lifetime| {
            let spread = f64::from(u32::try_from(self.links.random.next_u64() % 1000).unwrap_or(0)) / 10_000.0;
            now.instant() + lifetime.mul_f64(RENEW_AT + spread)
        });
    }

    /// Sessions that end soon take no more requests.
    pub(super) fn handle_session_timeouts(&mut self, now: Now) {
        self.links.tokens.handle_timeout(now);
        let due: Vec<Key> = self
            .links
            .links
            .iter_mut()
            .filter(|(_, link)| link.id.is_some() && link.reauthenticate_at.is_some_and(|at| at <= now.instant()))
            .map(|(key, link)| {
                link.reauthenticate_at = None;
                link.connection.drain();
                *key
            })
            .collect();
        for key in due {
            self.reauthenticate_if_drained(now, key);
        }
    }

    /// Once everything is answered, who we are is shown again: a broker reads nothing else in between.
    pub(super) fn reauthenticate_if_drained(&mut self, now: Now, key: Key) {
        let credentials = self.links.credentials(now);
        let Some(link) = self.links.links.get_mut(&key) else { return };
        let Some(id) = link.id.filter(|_| link.connection.is_drained()) else { return };
        let frame = credentials.and_then(|credentials| match credentials {
            Some(credentials) => link.connection.reauthenticate(&credentials, self.links.random.next_u64()),
            None => Err(Error::new(ErrorKind::Bug, "a session without SASL")),
        });
        match frame {
            Ok(frame) => {
                link.setup_deadline = Some(now.instant() + self.links.config.connection_setup_timeout);
                self.links.outputs.push_back(Output::Send { id, frame, answered: true });
            }
            Err(error) => self.close(now, id, error),
        }
    }
}
