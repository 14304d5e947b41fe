use std::num::NonZeroU32;

use super::scram::ScramClient;
use super::*;

fn bytes(message: &str) -> SaslStep {
    SaslStep::Send(Bytes::copy_from_slice(message.as_bytes()))
}

fn rfc_7677_client() -> ScramClient {
    ScramClient::with_nonce(Mechanism::ScramSha256, "user", &"pencil".into(), "rOprNGfwEbeRWgbNEkqO".to_owned())
}

const RFC_7677_SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

#[test]
fn the_example_of_rfc_7677_comes_out() {
    let mut client = rfc_7677_client();
    assert_eq!(client.first_message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    assert_eq!(
        client.step(RFC_7677_SERVER_FIRST.as_bytes()).unwrap(),
        bytes(
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        )
    );
    assert_eq!(client.step(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap(), SaslStep::Done);
}

/// Expected values from Python's `hashlib` and `hmac`.
#[test]
fn sha_512_with_an_escaped_user_and_a_password_beyond_ascii() {
    let nonce = "fyko+d2lbbFgONRv9qkxdawL".to_owned();
    let mut client = ScramClient::with_nonce(Mechanism::ScramSha512, "us,er=1", &"paßwort".into(), nonce);
    assert_eq!(client.first_message(), "n,,n=us=2Cer=3D1,r=fyko+d2lbbFgONRv9qkxdawL");
    assert_eq!(
        client.step(b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=8192").unwrap(),
        bytes(
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=XOhVbyPECaSlpYE/I12LbCaIziaG8agwhi4JlKRdlgFtCR\
             +ycuXTLV8o5ueY8Zdxd6w2ukQGzzp5mYwWiPvmfQ=="
        )
    );
    let server_final = "v=9r05INdOR3e8omJi5mBP1IX6j6YpYFWU0HEcWamv+ovhCjhKdzeBhdeM9FKWxVZOb0QfjqKhz62XaUso0xwTVQ==";
    assert_eq!(client.step(server_final.as_bytes()).unwrap(), SaslStep::Done);
}

#[test]
fn an_impostor_without_the_password_is_found_out() {
    let mut client = rfc_7677_client();
    client.first_message();
    client.step(RFC_7677_SERVER_FIRST.as_bytes()).unwrap();
    let wrong = client.step(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap_err();
    assert_eq!(wrong, SaslError::ServerNotAuthentic { user: "user".to_owned() });
}

#[test]
fn a_server_can_neither_weaken_the_hash_nor_burn_our_time() {
    for (iterations, number) in [("1", 1), ("4095", 4095), ("1000001", 1_000_001), ("99999999999", 99_999_999_999)] {
        let mut client = rfc_7677_client();
        client.first_message();
        let message = format!("r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i={iterations}");
        assert_eq!(client.step(message.as_bytes()).unwrap_err(), SaslError::Iterations(number));
    }
}

#[test]
fn a_bad_challenge_is_an_error_that_says_what_is_wrong() {
    for (message, reason) in [
        ("", "it does not begin with a nonce"),
        ("m=x,r=rOprNGfwEbeRWgbNEkqOx,s=aa==,i=4096", "it does not begin with a nonce"),
        ("r=other,s=W22Z,i=4096", "its nonce does not continue ours"),
        ("r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096", "its nonce does not continue ours"),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096", "it has no salt"),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=!,i=4096", "it has no salt"),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z", "it has no number of iterations"),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=-1", "it has no number of iterations"),
    ] {
        let mut client = rfc_7677_client();
        client.first_message();
        let error = client.step(message.as_bytes()).unwrap_err();
        assert_eq!(error, SaslError::Malformed { mechanism: Mechanism::ScramSha256, reason }, "{message}");
    }
    let mut client = rfc_7677_client();
    client.first_message();
    assert!(
        matches!(client.step(b"e=unknown-user").unwrap_err(), SaslError::Rejected { message, .. } if message == "unknown-user")
    );
    assert!(client.step(b"v=").is_err(), "after an error the exchange is over");
    assert!(rfc_7677_client().step(&vec![b'r'; 100_000]).is_err());
    assert!(rfc_7677_client().step(&[0xff, 0xfe]).is_err());
}

struct Users;

impl Credentials for Users {
    fn plain_password(&self, user: &str) -> Option<Secret> {
        (user == "alice").then(|| "alice-secret".into())
    }

    fn scram(&self, mechanism: Mechanism, user: &str) -> Option<ScramCredential> {
        let salt = Bytes::from_static(b"salt of al,ice=");
        let iterations = NonZeroU32::new(4096)?;
        (user == "al,ice=").then(|| ScramCredential::derive(mechanism, &"pässword".into(), salt, iterations))
    }
}

fn exchange(mechanism: Mechanism, user: &str, password: &str) -> Result<String, SaslError> {
    let mut client = SaslClient::new(mechanism, user, &password.into(), [7; 24])?;
    let mut server = SaslServer::new(mechanism, [9; 24]);
    let mut message = client.initial()?.unwrap();
    loop {
        match server.step(&message, &Users)? {
            SaslServerStep::Challenge(challenge) => match client.step(&challenge)? {
                SaslStep::Send(next) => message = next,
                SaslStep::Done => panic!("the client was done before the server"),
            },
            SaslServerStep::Done { user, answer, .. } => {
                assert_eq!(client.step(&answer)?, SaslStep::Done);
                return Ok(user);
            }
        }
    }
}

#[test]
fn client_and_server_agree() {
    assert_eq!(exchange(Mechanism::Plain, "alice", "alice-secret").unwrap(), "alice");
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha512] {
        assert_eq!(exchange(mechanism, "al,ice=", "pässword").unwrap(), "al,ice=");
    }
}

#[test]
fn a_wrong_user_and_a_wrong_password_are_not_told_apart() {
    for mechanism in Mechanism::WITH_PASSWORD {
        for (user, password) in [("alice", "wrong"), ("al,ice=", "wrong"), ("nobody", "alice-secret")] {
            assert_eq!(exchange(mechanism, user, password).unwrap_err(), SaslError::NotAuthenticated, "{mechanism}");
        }
    }
}

#[test]
fn the_server_bears_any_message() {
    let good = b"n,,n=al=2Cice=3D,r=abc";
    for wrong in [
        &b""[..],
        b"n,,",
        b"p=tls-unique,,n=a,r=b",
        b"n,,n=,r=b",
        b"n,,n=a=2,r=b",
        b"n,,n=a",
        b"n,a=other,n=al=2Cice=3D,r=b",
        b"n,x,n=a,r=b",
        b"\xff",
    ] {
        let error = SaslServer::new(Mechanism::ScramSha256, [1; 24]).step(wrong, &Users).unwrap_err();
        assert!(matches!(error, SaslError::Malformed { .. }), "{wrong:?} {error:?}");
    }
    for wrong in [&b""[..], b"p=", b"c=biws,p=", b"c=biws,r=abc,p=AAAA", b"c=eSws,r=x,p=AAAA"] {
        let mut server = SaslServer::new(Mechanism::ScramSha256, [1; 24]);
        server.step(good, &Users).unwrap();
        assert!(server.step(wrong, &Users).is_err(), "{wrong:?}");
        assert!(server.step(good, &Users).is_err(), "an exchange ends with its first error");
    }
    for wrong in [&b""[..], b"\0", b"\0alice\0", b"\0alice\0a\0b", b"bob\0alice\0alice-secret", b"\0\0x"] {
        assert!(SaslServer::new(Mechanism::Plain, [1; 24]).step(wrong, &Users).is_err(), "{wrong:?}");
    }
}

#[test]
fn nothing_shows_a_password() {
    let secret = Secret::from("pencil");
    assert_eq!(format!("{secret} {secret:?}"), "[hidden] [hidden]");
    for mechanism in Mechanism::WITH_PASSWORD {
        let mut client = SaslClient::new(mechanism, "user", &secret, [1; 24]).unwrap();
        client.initial().unwrap();
        assert!(!format!("{client:?}").contains("pencil"));
        assert!(!client.rejected(Some("no")).to_string().contains("pencil"));
    }
}

#[test]
fn errors_name_the_cause_and_what_to_do() {
    let client = SaslClient::new(Mechanism::Plain, "alice", &"x".into(), [1; 24]).unwrap();
    let error = client.not_offered(&["SCRAM-SHA-256", "SCRAM-SHA-512"]);
    assert_eq!(
        error.to_string(),
        "the broker does not offer the SASL mechanism PLAIN; it offers SCRAM-SHA-256, SCRAM-SHA-512"
    );
    assert_eq!(error.hint().unwrap(), "set sasl.mechanism=SCRAM-SHA-256, or another of those offered");
    let error = client.rejected(Some("Authentication failed: Invalid username or password"));
    assert!(error.to_string().contains("PLAIN as \"alice\" failed: Authentication failed: Invalid username"));
    assert!("GSSAPI".parse::<Mechanism>().unwrap_err().to_string().contains("GSSAPI is not supported"));
    assert_eq!("scram-sha-512".parse::<Mechanism>().unwrap(), Mechanism::ScramSha512);
    assert!(SaslClient::new(Mechanism::Plain, "", &"x".into(), [1; 24]).is_err());
    assert!(SaslClient::new(Mechanism::Plain, "a\0b", &"x".into(), [1; 24]).is_err());
}

struct Tokens;

impl Credentials for Tokens {
    fn plain_password(&self, _: &str) -> Option<Secret> {
        None
    }

    fn scram(&self, _: Mechanism, _: &str) -> Option<ScramCredential> {
        None
    }

    fn token(&self, token: &Secret, extensions: &[(String, String)]) -> Result<AcceptedToken, RejectedToken> {
        assert!(extensions.iter().all(|(name, value)| name == "traceId" && value == "1 2"));
        match token.expose() {
            "good.token" => Ok(AcceptedToken { principal: "alice".to_owned(), expires_at_ms: Some(17) }),
            "narrow" => Err(RejectedToken { reason: "x".to_owned(), scope: Some("write".to_owned()) }),
            _ => Err(RejectedToken::new("unknown")),
        }
    }
}

fn token(value: &str) -> BearerToken {
    let extensions = vec![("traceId".to_owned(), "1 2".to_owned())];
    BearerToken { value: value.into(), expires_at_ms: 17, principal: "alice".to_owned(), extensions }
}

#[test]
fn a_token_is_taken_or_the_client_hears_why_not() {
    let mut client = SaslClient::with_token(&token("good.token")).unwrap();
    let first = client.initial().unwrap().unwrap();
    assert_eq!(first, &b"n,,\x01auth=Bearer good.token\x01traceId=1 2\x01\x01"[..]);
    let taken = SaslServer::new(Mechanism::OAuthBearer, [0; 24]).step(&first, &Tokens).unwrap();
    let done = SaslServerStep::Done { user: "alice".to_owned(), answer: Bytes::new(), expires_at_ms: Some(17) };
    assert_eq!(taken, done);
    assert_eq!(client.step(b"").unwrap(), SaslStep::Done);

    for (value, answer) in
        [("narrow", r#"{"status":"insufficient_scope","scope":"write"}"#), ("other", r#"{"status":"invalid_token"}"#)]
    {
        let mut client = SaslClient::with_token(&token(value)).unwrap();
        let mut server = SaslServer::new(Mechanism::OAuthBearer, [0; 24]);
        let challenge = server.step(&client.initial().unwrap().unwrap(), &Tokens).unwrap();
        assert_eq!(challenge, SaslServerStep::Challenge(Bytes::from_static(answer.as_bytes())));
        assert_eq!(client.step(answer.as_bytes()).unwrap(), bytes("\x01"));
        let error = server.step(b"\x01", &Tokens).unwrap_err();
        assert_eq!(error.to_string(), answer);
        assert!(!format!("{client:?} {error:?}").contains(value));
        assert!(matches!(client.step(b"").unwrap_err(), SaslError::Rejected { message, .. } if message == answer));
    }
}

#[test]
fn a_token_s_message_may_be_anything() {
    for wrong in [
        &b""[..],
        b"n,,",
        b"n,,\x01",
        b"n,,\x01\x01",
        b"n,,\x01auth=Bearer x\x01",
        b"n,,\x01auth=Basic x\x01\x01",
        b"n,,\x01auth=Bearer \x01\x01",
        b"n,,\x01auth=Bearer x y\x01\x01",
        b"n,,\x01auth=Bearer x\x01auth=Bearer x\x01\x01",
        b"n,,\x01auth=Bearer x\x01no1=2\x01\x01",
        b"n,,\x01auth=Bearer x\x01k\x01\x01",
        b"n,b=c,\x01auth=Bearer x\x01\x01",
        b"n,a=c=9,\x01auth=Bearer x\x01\x01",
        b"p=x,,\x01auth=Bearer x\x01\x01",
        b"n,,\x01auth=Bearer \xff\x01\x01",
    ] {
        let error = SaslServer::new(Mechanism::OAuthBearer, [0; 24]).step(wrong, &Tokens).unwrap_err();
        assert!(matches!(error, SaslError::Malformed { .. }), "{wrong:?} {error:?}");
    }
    let message = b"n,a=bob,\x01auth=Bearer good.token\x01\x01";
    let step = SaslServer::new(Mechanism::OAuthBearer, [0; 24]).step(message, &Tokens).unwrap();
    assert!(matches!(step, SaslServerStep::Challenge(_)), "another's identity");
    for wrong in ["", "a b", "a\x01b", "ä"] {
        assert!(SaslClient::with_token(&token(wrong)).is_err(), "{wrong:?}");
    }
    for (name, value) in [("auth", "x"), ("", "x"), ("a1", "x"), ("a", ""), ("a", "\x01")] {
        let mut token = token("good.token");
        token.extensions = vec![(name.to_owned(), value.to_owned())];
        assert!(SaslClient::with_token(&token).is_err(), "{name}={value}");
    }
}
