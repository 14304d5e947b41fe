//! Tokens that the client makes itself and nobody has signed, for development: `enable.sasl.oauthbearer.unsecure.jwt` with
//! `sasl.oauthbearer.config` in librdkafka's words, or `unsecuredLogin…` options of `sasl.jaas.config` in Java's.
//! Java: `OAuthBearerUnsecuredLoginCallbackHandler`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use felice_protocol::sasl::{BearerToken, Secret};

use crate::error::{Error, ErrorKind};

/// What such a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsecuredJwt {
    principal_claim: String,
    principal: String,
    scope_claim: String,
    scope: Vec<String>,
    life_seconds: i64,
    extensions: Vec<(String, String)>,
}

impl Default for UnsecuredJwt {
    fn default() -> Self {
        Self {
            principal_claim: "sub".to_owned(),
            principal: String::new(),
            scope_claim: "scope".to_owned(),
            scope: Vec::new(),
            life_seconds: 3600,
            extensions: Vec::new(),
        }
    }
}

impl UnsecuredJwt {
    /// From librdkafka's `sasl.oauthbearer.config`: `principal=NAME`, and, where they differ from the defaults, `principalClaimName=sub`,
    /// `scopeClaimName=scope`, `scope=A,B`, `lifeSeconds=3600`, `extension_NAME=VALUE`, with spaces between.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], which says what is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut jwt = Self::default();
        for pair in text.split_whitespace() {
            let (name, value) = pair.split_once('=').ok_or_else(|| wrong(format!("\"{pair}\" has no equals sign")))?;
            if let Some(extension) = name.strip_prefix("extension_") {
                jwt.extensions.push((extension.to_owned(), value.to_owned()));
                continue;
            }
            if value.is_empty() {
                return Err(wrong(format!("{name} has no value")));
            }
            match name {
                "principal" => jwt.principal = value.to_owned(),
                "principalClaimName" => jwt.principal_claim = value.to_owned(),
                "scopeClaimName" => jwt.scope_claim = value.to_owned(),
                "scope" => jwt.scope = value.split(',').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
                "lifeSeconds" => jwt.life_seconds = life(value)?,
                _ => {
                    return Err(wrong(format!(
                        "{name} is none of principal, principalClaimName, scope, scopeClaimName, lifeSeconds, extension_NAME"
                    )));
                }
            }
        }
        jwt.checked()
    }

    /// From the options of Java's `OAuthBearerLoginModule`; `None` where it has none for this.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], which says what is wrong.
    pub fn from_jaas(options: &[(String, String)]) -> Result<Option<Self>, Error> {
        let mut jwt = Self::default();
        let mut claims = Vec::new();
        for (name, value) in options {
            if let Some(claim) = name.strip_prefix("unsecuredLoginStringClaim_") {
                claims.push((claim, value));
            } else if let Some(extension) = name.strip_prefix("unsecuredLoginExtension_") {
                jwt.extensions.push((extension.to_owned(), value.clone()));
            } else {
                match name.as_str() {
                    "unsecuredLoginPrincipalClaimName" => jwt.principal_claim.clone_from(value),
                    "unsecuredLoginScopeClaimName" => jwt.scope_claim.clone_from(value),
                    "unsecuredLoginLifetimeSeconds" => jwt.life_seconds = life(value)?,
                    _ => {}
                }
            }
        }
        if claims.is_empty() {
            return Ok(None);
        }
        for (claim, value) in claims {
            if *claim == jwt.principal_claim {
                jwt.principal.clone_from(value);
            } else if *claim == jwt.scope_claim {
                jwt.scope = value.split_whitespace().map(str::to_owned).collect();
            }
        }
        jwt.checked().map(Some)
    }

    fn checked(self) -> Result<Self, Error> {
        if self.principal.is_empty() {
            return Err(wrong("it has no principal".to_owned()).hinting("write principal=NAME"));
        }
        if self.principal_claim == self.scope_claim {
            return Err(wrong("principal and scope cannot be the same claim".to_owned()));
        }
        Ok(self)
    }

    /// A token that begins now.
    pub fn token(&self, now_ms: i64) -> BearerToken {
        let expires_at_ms = now_ms.saturating_add(self.life_seconds.saturating_mul(1000));
        let seconds = |millis: i64| format!("{}.{:03}", millis / 1000, millis % 1000);
        let mut claims = format!(
            "{{{}:{},\"iat\":{},\"exp\":{}",
            json(&self.principal_claim),
            json(&self.principal),
            seconds(now_ms),
            seconds(expires_at_ms)
        );
        if !self.scope.is_empty() {
            let scope: Vec<_> = self.scope.iter().map(|scope| json(scope)).collect();
            claims.push_str(&format!(",{}:[{}]", json(&self.scope_claim), scope.join(",")));
        }
        claims.push('}');
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let value = format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims));
        BearerToken {
            value: Secret::from(value),
            expires_at_ms,
            principal: self.principal.clone(),
            extensions: self.extensions.clone(),
        }
    }
}

fn life(value: &str) -> Result<i64, Error> {
    match value.parse() {
        Ok(seconds @ 1..=10_000_000_000) => Ok(seconds),
        _ => Err(wrong(format!("\"{value}\" is no lifetime in seconds"))),
    }
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::Config, format!("the configuration of unsecured tokens: {what}"))
}

/// A JSON string.
fn json(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(token: &BearerToken) -> String {
        let parts: Vec<_> = token.value.expose().split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        assert_eq!((parts[0].as_slice(), parts[2].as_slice()), (&br#"{"alg":"none"}"#[..], &b""[..]));
        String::from_utf8(parts[1].clone()).unwrap()
    }

    #[test]
    fn librdkafka_s_words_and_java_s_make_a_token() {
        let jwt = UnsecuredJwt::parse("principal=ad\"min scope=a,b lifeSeconds=60 extension_traceId=1").unwrap();
        let token = jwt.token(1_700_000_000_007);
        assert_eq!(claims(&token), r#"{"sub":"ad\"min","iat":1700000000.007,"exp":1700000060.007,"scope":["a","b"]}"#);
        assert_eq!(token.expires_at_ms, 1_700_000_060_007);
        assert_eq!(token.extensions, [("traceId".to_owned(), "1".to_owned())]);
        token.check().unwrap();

        let option = |name: &str, value: &str| (format!("unsecuredLogin{name}"), value.to_owned());
        let jwt = UnsecuredJwt::from_jaas(&[option("StringClaim_sub", "bob"), option("LifetimeSeconds", "1")]);
        assert_eq!(claims(&jwt.unwrap().unwrap().token(1000)), r#"{"sub":"bob","iat":1.000,"exp":2.000}"#);
        assert_eq!(UnsecuredJwt::from_jaas(&[]).unwrap(), None);
    }

    #[test]
    fn what_makes_no_token_is_said() {
        for wrong in [
            "",
            "principal",
            "principal=",
            "principal=a life=1",
            "principal=a lifeSeconds=0",
            "principal=a scopeClaimName=sub",
        ] {
            assert_eq!(UnsecuredJwt::parse(wrong).unwrap_err().kind(), ErrorKind::Config, "{wrong}");
        }
    }
}
