//! Tokens that nobody has signed, for development. Java: `OAuthBearerUnsecuredValidatorCallbackHandler`, `OAuthBearerUnsecuredJws`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use felice_protocol::sasl::{AcceptedToken, RejectedToken};
use serde_json::{Map, Value};

use crate::config::ConfigError;

/// Takes JSON Web Tokens with the algorithm `none`, and believes what they say but for the time.
#[derive(Debug)]
pub(super) struct UnsecuredValidator {
    principal_claim: String,
    scope_claim: String,
    required_scope: Vec<String>,
    clock_skew_ms: i64,
}

impl UnsecuredValidator {
    /// From the options of `sasl.jaas.config`, under Kafka's names.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a clock skew that is no number.
    pub(super) fn new(options: &[(String, String)]) -> Result<Self, ConfigError> {
        let option = |name: &str| {
            let found = options.iter().find(|(option, _)| option.strip_prefix("unsecuredValidator") == Some(name));
            found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        let clock_skew_ms = option("AllowableClockSkewMs").map_or(Some(0), |skew| skew.trim().parse().ok());
        Ok(Self {
            principal_claim: option("PrincipalClaimName").unwrap_or("sub").to_owned(),
            scope_claim: option("ScopeClaimName").unwrap_or("scope").to_owned(),
            required_scope: option("RequiredScope").map(words).unwrap_or_default(),
            clock_skew_ms: clock_skew_ms.filter(|skew| *skew >= 0).ok_or_else(|| {
                ConfigError::Invalid("unsecuredValidatorAllowableClockSkewMs is no number of milliseconds".to_owned())
            })?,
        })
    }

    pub(super) fn validate(&self, token: &str, now_ms: i64) -> Result<AcceptedToken, RejectedToken> {
        let claims = claims(token).map_err(RejectedToken::new)?;
        let principal = match claims.get(&self.principal_claim) {
            Some(Value::String(principal)) if !principal.trim().is_empty() => principal.clone(),
            _ => return Err(RejectedToken::new(format!("its claim {} is missing or empty", self.principal_claim))),
        };
        let issued_at = millis(&claims, "iat")?;
        let expires_at = millis(&claims, "exp")?.ok_or_else(|| RejectedToken::new("its claim exp is missing"))?;
        if issued_at.is_some_and(|issued_at| issued_at > now_ms.saturating_add(self.clock_skew_ms)) {
            return Err(RejectedToken::new("it was issued in the future"));
        }
        if expires_at <= now_ms.saturating_sub(self.clock_skew_ms) {
            return Err(RejectedToken::new("it has expired"));
        }
        if issued_at.is_some_and(|issued_at| expires_at <= issued_at) {
            return Err(RejectedToken::new("it expires before it was issued"));
        }
        let scope = match claims.get(&self.scope_claim) {
            Some(Value::String(scope)) => words(scope),
            Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        if !self.required_scope.iter().all(|required| scope.contains(required)) {
            let reason = "its scope does not have all that is required".to_owned();
            return Err(RejectedToken { reason, scope: Some(self.required_scope.join(" ")) });
        }
        Ok(AcceptedToken { principal, expires_at_ms: Some(expires_at) })
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The claims of a token whose algorithm is `none`.
fn claims(token: &str) -> Result<Map<String, Value>, &'static str> {
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("it does not have three parts");
    };
    let header = object(header).ok_or("its header is no JSON object in base64url")?;
    if header.get("alg") != Some(&Value::from("none")) {
        return Err("its algorithm is not none");
    }
    if !signature.is_empty() {
        return Err("it has a signature although its algorithm is none");
    }
    object(claims).ok_or("its claims are no JSON object in base64url")
}

/// JSON of bounded depth: serde_json ends at 128 levels by itself.
fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?).ok()
}

/// A claim in seconds, with fractions.
fn millis(claims: &Map<String, Value>, claim: &str) -> Result<Option<i64>, RejectedToken> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let wrong = || RejectedToken::new(format!("its claim {claim} is no time"));
    let millis = value.as_f64().map(|seconds| seconds * 1000.0).ok_or_else(wrong)?;
    if !(0.0..=9.0e15).contains(&millis) {
        return Err(wrong());
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above, and whole milliseconds are enough")]
    Ok(Some(millis as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_760_000_000_000;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    fn validator(options: &[(&str, &str)]) -> UnsecuredValidator {
        let options: Vec<_> =
            options.iter().map(|(n, v)| (format!("unsecuredValidator{n}"), (*v).to_owned())).collect();
        UnsecuredValidator::new(&options).unwrap()
    }

    #[test]
    fn a_token_in_its_time_is_its_principal_s() {
        let claims = r#"{"sub":"alice","iat":1760000000.0,"exp":1760000010.5,"scope":["a","b"]}"#;
        let token = token(r#"{"alg":"none"}"#, claims);
        let accepted = validator(&[("RequiredScope", "a b")]).validate(&token, NOW).unwrap();
        assert_eq!(accepted, AcceptedToken { principal: "alice".to_owned(), expires_at_ms: Some(1_760_000_010_500) });
        let narrow = validator(&[("RequiredScope", "a c")]).validate(&token, NOW).unwrap_err();
        assert_eq!(narrow.scope.as_deref(), Some("a c"));
        assert!(validator(&[]).validate(&token, NOW + 10_500).is_err(), "expired");
        assert!(validator(&[("AllowableClockSkewMs", "1000")]).validate(&token, NOW + 10_500).is_ok());
        assert!(validator(&[]).validate(&token, NOW - 1).is_err(), "issued in the future");
        assert!(validator(&[("PrincipalClaimName", "azp")]).validate(&token, NOW).is_err());
    }

    #[test]
    fn nothing_else_is_taken() {
        let good = r#"{"sub":"a","exp":1760000010}"#;
        let none = r#"{"alg":"none"}"#;
        assert!(validator(&[]).validate(&token(none, good), NOW).is_ok());
        for wrong in [
            String::new(),
            "..".to_owned(),
            "a.b.c.d".to_owned(),
            token(r#"{"alg":"HS256"}"#, good),
            token(r#"{"alg":["none"]}"#, good),
            token(none, good) + "c2ln",
            token(none, "[]"),
            token(none, r#"{"exp":1760000010}"#),
            token(none, r#"{"sub":" ","exp":1760000010}"#),
            token(none, r#"{"sub":7,"exp":1760000010}"#),
            token(none, r#"{"sub":"a"}"#),
            token(none, r#"{"sub":"a","exp":"1760000010"}"#),
            token(none, r#"{"sub":"a","exp":1e300}"#),
            token(none, r#"{"sub":"a","exp":-1}"#),
            token(none, r#"{"sub":"a","iat":1760000000,"exp":1759999999}"#),
            token(none, &format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000))),
        ] {
            assert!(validator(&[]).validate(&wrong, NOW).is_err(), "{wrong:.80}");
        }
    }
}
