//! What a listener with SASL takes: mechanisms, users, tokens. Read once from the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use felice_protocol::sasl::{
    AcceptedToken, Credentials, Mechanism, RejectedToken, ScramCredential, Secret, jaas_options,
};

use super::jwt::UnsecuredValidator;
use crate::config::{BrokerConfig, ConfigError};
use crate::random::Random;

/// What is stored of a SCRAM user, by user and mechanism.
pub(crate) type ScramCredentials = BTreeMap<(String, Mechanism), ScramCredential>;

/// What of a password is kept for SCRAM is as dear to guess as RFC 7677 asks for at least, which is also Kafka's default.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);

/// Looks at a token of OAUTHBEARER and the extensions beside it, and says whose it is. Called on the broker's thread: it answers at once, from
/// keys that it has, and asks nobody over a network.
#[derive(Clone)]
pub struct TokenValidator(Arc<Validate>);

type Validate = dyn Fn(&str, &[(String, String)]) -> Result<AcceptedToken, RejectedToken> + Send + Sync;

impl TokenValidator {
    /// From a function.
    pub fn new(
        validate: impl Fn(&str, &[(String, String)]) -> Result<AcceptedToken, RejectedToken> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(validate))
    }
}

impl fmt::Debug for TokenValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenValidator")
    }
}

#[derive(Debug)]
enum Tokens {
    Unsecured(UnsecuredValidator),
    Custom(TokenValidator),
}

/// One mechanism of a listener.
#[derive(Debug)]
struct Offer {
    mechanism: Mechanism,
    plain: BTreeMap<String, Secret>,
    max_reauth: Option<Duration>,
}

/// A listener's SASL.
#[derive(Debug)]
pub(crate) struct SaslListener {
    name: String,
    offers: Vec<Offer>,
    scram: ScramCredentials,
    tokens: Option<Tokens>,
}

impl SaslListener {
    /// Reads what holds for this listener.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a mechanism that is not known, or that nobody could use.
    pub(crate) fn new(config: &BrokerConfig, listener: &str, random: &mut Random) -> Result<Self, ConfigError> {
        let mut found = Self { name: listener.to_owned(), offers: Vec::new(), scram: BTreeMap::new(), tokens: None };
        let mut enabled = config.listener_property(listener, "sasl.enabled.mechanisms").unwrap_or_default().to_owned();
        let is_default = !config.is_set("sasl.enabled.mechanisms");
        let looks_at_tokens = config.token_validator.is_some()
            || config.mechanism_property(listener, Mechanism::OAuthBearer.name(), "sasl.jaas.config").is_some();
        if is_default && looks_at_tokens && !enabled.contains(Mechanism::OAuthBearer.name()) {
            enabled = format!("{enabled},{}", Mechanism::OAuthBearer);
        }
        for name in enabled.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let mechanism: Mechanism = name.parse().map_err(|_| {
                ConfigError::Invalid(format!(
                    "sasl.enabled.mechanisms has {name}, which is not supported; PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER are"
                ))
            })?;
            found.offer(config, mechanism, random)?;
        }
        if found.offers.is_empty() {
            return Err(ConfigError::Invalid(format!(
                "listener {listener} asks for SASL, but sasl.enabled.mechanisms is empty"
            )));
        }
        Ok(found)
    }

    fn offer(&mut self, config: &BrokerConfig, mechanism: Mechanism, random: &mut Random) -> Result<(), ConfigError> {
        let of = |property| config.mechanism_property(&self.name, mechanism.name(), property);
        let millis = of("connections.max.reauth.ms").and_then(|millis| millis.trim().parse().ok());
        let max_reauth = millis.filter(|millis| *millis > 0).map(Duration::from_millis);
        let options = match of("sasl.jaas.config") {
            Some(line) => Some(jaas_options(line).ok_or_else(|| {
                ConfigError::Invalid(format!(
                    "sasl.jaas.config of {mechanism} on listener {} cannot be read; write MODULE required name=\"value\" …;",
                    self.name
                ))
            })?),
            None => None,
        };
        let mut plain = BTreeMap::new();
        if mechanism == Mechanism::OAuthBearer {
            self.tokens = Some(self.tokens(config, options.as_deref())?);
        } else {
            let named = options.iter().flatten().filter_map(|(name, value)| {
                Some((name.strip_prefix("user_")?.to_owned(), Secret::from(value.as_str())))
            });
            let users: BTreeMap<String, Secret> = config.users.clone().into_iter().chain(named).collect();
            if mechanism == Mechanism::Plain {
                plain = users;
            } else {
                for (user, password) in users {
                    let salt: [u8; 16] =
                        (u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())).to_be_bytes();
                    let salt = Bytes::copy_from_slice(&salt);
                    let credential = ScramCredential::derive(mechanism, &password, salt, ITERATIONS);
                    self.scram.insert((user, mechanism), credential);
                }
            }
        }
        self.offers.push(Offer { mechanism, plain, max_reauth });
        Ok(())
    }

    /// Who looks at tokens: whoever the embedding program gave, else Kafka's validator for development, where somebody asked for it.
    fn tokens(&self, config: &BrokerConfig, options: Option<&[(String, String)]>) -> Result<Tokens, ConfigError> {
        if let Some(validator) = &config.token_validator {
            return Ok(Tokens::Custom(validator.clone()));
        }
        let own = |property| config.mechanism_property(&self.name, Mechanism::OAuthBearer.name(), property);
        if own("sasl.oauthbearer.jwks.endpoint.url").is_some() {
            return Err(ConfigError::Invalid(
                "sasl.oauthbearer.jwks.endpoint.url: this broker fetches no keys; embed it with a validator of your own".to_owned(),
            ));
        }
        match options {
            Some(options) => UnsecuredValidator::new(options).map(Tokens::Unsecured),
            None => Err(ConfigError::Invalid(format!(
                "OAUTHBEARER on listener {0} needs somebody who looks at tokens: a validator of the embedding program, or, for development only, \
                 listener.name.{1}.oauthbearer.sasl.jaas.config=OAuthBearerLoginModule required; which takes tokens that nobody has signed",
                self.name,
                self.name.to_ascii_lowercase()
            ))),
        }
    }

    /// What an operator is to know of it.
    pub(crate) fn warning(&self) -> Option<String> {
        matches!(self.tokens, Some(Tokens::Unsecured(_))).then(|| {
            format!("listener {} takes OAUTHBEARER tokens that nobody has signed: for development only", self.name)
        })
    }

    pub(super) fn mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        self.offers.iter().map(|offer| offer.mechanism)
    }

    /// `connections.max.reauth.ms` of a mechanism.
    pub(super) fn max_reauth(&self, mechanism: Mechanism) -> Option<Duration> {
        self.offers.iter().find(|offer| offer.mechanism == mechanism)?.max_reauth
    }
}

/// A listener's users and those in the metadata, at a moment.
pub(super) struct Lookup<'a> {
    pub(super) listener: &'a SaslListener,
    pub(super) stored: &'a ScramCredentials,
    pub(super) wall_millis: i64,
}

impl Credentials for Lookup<'_> {
    fn plain_password(&self, user: &str) -> Option<Secret> {
        let offer = self.listener.offers.iter().find(|offer| offer.mechanism == Mechanism::Plain)?;
        offer.plain.get(user).cloned()
    }

    fn scram(&self, mechanism: Mechanism, user: &str) -> Option<ScramCredential> {
        let key = (user.to_owned(), mechanism);
        self.stored.get(&key).or_else(|| self.listener.scram.get(&key)).cloned()
    }

    fn token(&self, token: &Secret, extensions: &[(String, String)]) -> Result<AcceptedToken, RejectedToken> {
        match &self.listener.tokens {
            Some(Tokens::Custom(validator)) => (validator.0)(token.expose(), extensions),
            Some(Tokens::Unsecured(validator)) => validator.validate(token.expose(), self.wall_millis),
            None => Err(RejectedToken::new("nobody looks at tokens here")),
        }
    }
}
