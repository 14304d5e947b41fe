//! The token of OAUTHBEARER: whether there is one, and when to ask for the next. Whoever has tokens is asked by the driver and answers when it can.
//! Java: `ExpiringCredentialRefreshingLogin`.

use std::time::Duration;

use felice_protocol::sasl::BearerToken;
use felice_protocol::time::{Instant, Now};

use crate::error::{Error, ErrorKind};
use crate::unsecured_jwt::UnsecuredJwt;

/// The next token is asked for when this part of the life of the one before is over.
const REFRESH_AT: f64 = 0.8;
/// Who could give none is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
enum Asking {
    /// Nobody needs to be asked before that time; for a need, at once.
    Not { before: Option<Instant> },
    /// The driver is to ask.
    Wanted,
    /// Somebody was asked.
    Asked,
}

/// One client's token.
#[derive(Debug)]
pub(crate) struct TokenStore {
    unsecured: Option<UnsecuredJwt>,
    token: Option<BearerToken>,
    had_one: bool,
    asking: Asking,
    failure: Option<Error>,
}

impl TokenStore {
    pub(crate) fn new(unsecured: Option<UnsecuredJwt>) -> Self {
        Self { unsecured, token: None, had_one: false, asking: Asking::Not { before: None }, failure: None }
    }

    /// The token, where there is one that still lives.
    pub(crate) fn current(&self, now: Now) -> Option<&BearerToken> {
        self.token.as_ref().filter(|token| token.expires_at_ms > now.wall_millis)
    }

    /// Somebody needs a token: asks for one where nobody does yet.
    pub(crate) fn want(&mut self, now: Now) {
        if self.current(now).is_none() && matches!(self.asking, Asking::Not { before: None }) {
            self.ask(now);
        }
    }

    /// Why there is none, once somebody has said so.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Whether the driver is to ask now.
    pub(crate) fn poll_request(&mut self) -> bool {
        let wanted = matches!(self.asking, Asking::Wanted);
        if wanted {
            self.asking = Asking::Asked;
        }
        wanted
    }

    /// A token, asked for or not.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where it cannot be sent or has ended already.
    pub(crate) fn set(&mut self, now: Now, token: BearerToken) -> Result<(), Error> {
        let wrong = |message: String| Err(Error::new(ErrorKind::Config, message));
        if let Err(error) = token.check() {
            return wrong(error.to_string());
        }
        let left = token.expires_at_ms.saturating_sub(now.wall_millis);
        let Ok(left @ 1..) = u64::try_from(left) else {
            return wrong("the token has expired already".to_owned());
        };
        let refresh = now.instant() + Duration::from_millis(left).mul_f64(REFRESH_AT);
        self.asking = Asking::Not { before: Some(refresh) };
        self.token = Some(token);
        self.had_one = true;
        self.failure = None;
        Ok(())
    }

    /// Whoever was asked has no token.
    pub(crate) fn set_failure(&mut self, now: Now, why: &str) {
        // The first failure is most likely for ever; later ones pass.
        let kind = if self.had_one { ErrorKind::Connect } else { ErrorKind::Authentication };
        let error = Error::new(kind, format!("there is no token for OAUTHBEARER: {why}"));
        self.failure = Some(error.hinting("look at what gives the tokens; it is asked again every 10 s"));
        self.asking = Asking::Not { before: Some(now.instant() + ASK_AGAIN) };
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.asking {
            Asking::Not { before } => before,
            Asking::Wanted | Asking::Asked => None,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) {
        if self.poll_timeout().is_some_and(|at| at <= now.instant()) {
            self.ask(now);
        }
    }

    fn ask(&mut self, now: Now) {
        self.asking = Asking::Wanted;
        if let Some(jwt) = &self.unsecured {
            let made = jwt.token(now.wall_millis);
            if let Err(error) = self.set(now, made) {
                self.set_failure(now, error.message());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now { monotonic_nanos: millis * 1_000_000, wall_millis: 1_000_000 + i64::try_from(millis).unwrap() }
    }

    fn token(expires: i64) -> BearerToken {
        BearerToken { value: "t".into(), expires_at_ms: expires, principal: "p".to_owned(), extensions: vec![] }
    }

    #[test]
    fn the_next_token_is_asked_for_once_at_four_fifths_of_the_life() {
        let mut store = TokenStore::new(None);
        assert!(!store.poll_request());
        store.want(at(0));
        store.want(at(0));
        assert!(store.poll_request() && !store.poll_request());
        store.set(at(0), token(1_010_000)).unwrap();
        assert!(store.current(at(9_999)).is_some() && store.current(at(10_000)).is_none());
        assert_eq!(store.poll_timeout(), Some(at(8_000).instant()));
        store.handle_timeout(at(7_999));
        assert!(!store.poll_request());
        store.handle_timeout(at(8_000));
        assert!(store.poll_request());
        store.want(at(11_000));
        assert!(!store.poll_request(), "it was asked for already");
    }

    #[test]
    fn after_a_failure_it_is_asked_again_and_the_first_one_is_fatal() {
        let mut store = TokenStore::new(None);
        store.want(at(0));
        assert!(store.poll_request());
        store.set_failure(at(0), "the door is shut");
        let failure = store.failure().unwrap();
        assert!(failure.kind() == ErrorKind::Authentication && failure.to_string().contains("the door is shut"));
        store.want(at(1));
        assert!(!store.poll_request());
        store.handle_timeout(at(10_000));
        assert!(store.poll_request());
        store.set(at(10_000), token(2_000_000)).unwrap();
        assert!(store.failure().is_none());
        store.set_failure(at(10_001), "later");
        assert_eq!(store.failure().unwrap().kind(), ErrorKind::Connect);
        assert!(store.current(at(10_001)).is_some(), "the old one still lives");
    }

    #[test]
    fn a_token_that_is_over_or_cannot_be_sent_is_refused() {
        let mut store = TokenStore::new(None);
        for wrong in [token(1_000_000), token(i64::MIN), BearerToken { value: "".into(), ..token(2_000_000) }] {
            assert!(store.set(at(0), wrong).is_err());
        }
        assert!(store.set(at(0), token(i64::MAX)).is_ok(), "for ever");
    }
}
