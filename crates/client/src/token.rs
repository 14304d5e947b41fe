//! Where tokens for OAUTHBEARER come from.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use felice_protocol::sasl::BearerToken;

use crate::driver::DriverShared;

type Answer = Pin<Box<dyn Future<Output = Result<BearerToken, Box<dyn StdError + Send + Sync>>> + Send>>;

#[derive(Clone)]
enum Source {
    /// A function that gives a token.
    Asked(Arc<dyn Fn() -> Answer + Send + Sync>),
    /// A function that is told that one is needed.
    Told(Arc<dyn Fn() + Send + Sync>),
}

/// Where a client has its tokens from: made by [`Sasl::oauthbearer`](crate::Sasl::oauthbearer) and
/// [`Sasl::oauthbearer_pushed`](crate::Sasl::oauthbearer_pushed).
#[derive(Clone)]
pub struct TokenSource(Source);

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

impl TokenSource {
    pub(crate) fn asked<F>(provider: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<BearerToken, Box<dyn StdError + Send + Sync>>> + Send + 'static,
    {
        Self(Source::Asked(Arc::new(move || Box::pin(provider()))))
    }

    /// A function that is told that one is needed; somebody gives it by [`Client::set_token`](crate::Client::set_token).
    pub fn told(wanted: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Source::Told(Arc::new(wanted)))
    }

    /// Asks; the answer comes to the driver as a command.
    pub(crate) fn ask(&self, shared: &Arc<DriverShared>) {
        match &self.0 {
            Source::Told(wanted) => wanted(),
            Source::Asked(provider) => {
                let answer = provider();
                let mut question = Question(Some(Arc::clone(shared)));
                shared.spawn(async move {
                    let answer = answer.await;
                    let Some(told) = question.0.take() else { return };
                    told.command(move |driver, now| {
                        let set = match answer {
                            Ok(token) => driver.core.set_token(now, token).map_err(|error| error.to_string()),
                            Err(error) => Err(error.to_string()),
                        };
                        if let Err(why) = set {
                            driver.core.set_token_failure(now, &why);
                        }
                    });
                });
            }
        }
    }
}

/// A question that is answered even where whoever was asked panics.
struct Question(Option<Arc<DriverShared>>);

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.command(|driver, now| driver.core.set_token_failure(now, "the provider ended without an answer"));
        }
    }
}
