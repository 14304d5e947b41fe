//! Listeners with SASL: who is let in, who is told what, and what strangers may send.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[expect(dead_code, reason = "each test binary uses a part")]
mod support;

use std::sync::Arc;

use bytes::Bytes;
use felice_broker_core::{BrokerConfig, BrokerCore, Output, TokenValidator};
use felice_log::{Disk, MemDisk};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::*;
use felice_protocol::sasl::{
    AcceptedToken, BearerToken, Mechanism, RejectedToken, SaslClient, SaslError, SaslStep, Secret,
};
use felice_protocol::time::Now;
use support::*;

const LISTENER: &[(&str, &str)] = &[("listeners", "SASL_PLAINTEXT://127.0.0.1:0")];

fn world(properties: &[(&str, &str)]) -> World {
    let now = Now { monotonic_nanos: 1_000_000_000, wall_millis: T0 };
    let mut config = BrokerConfig::new("/data");
    config.users.insert("alice".to_owned(), Secret::from("alice-secret"));
    config.users.insert("bob".to_owned(), Secret::from("bob-secret"));
    config.token_validator = Some(TokenValidator::new(|token, _| match token {
        "alice.token" => Ok(AcceptedToken { principal: "alice".to_owned(), expires_at_ms: Some(T0 + 60_000) }),
        _ => Err(RejectedToken::new("nobody's")),
    }));
    for (name, value) in LISTENER.iter().chain(properties) {
        config.set(name, value).unwrap();
    }
    let disk = MemDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut core = BrokerCore::open(config, shared, 7, now).unwrap();
    for connection in [CLIENT, OTHER] {
        core.handle_connect(now, connection, "SASL_PLAINTEXT");
    }
    World { core, disk, now }
}

fn client(mechanism: Mechanism, user: &str, password: &str) -> SaslClient {
    SaslClient::new(mechanism, user, &password.into(), [7; 24]).unwrap()
}

fn bearer(token: &str) -> SaslClient {
    let token =
        BearerToken { value: token.into(), expires_at_ms: 0, principal: "alice".to_owned(), extensions: vec![] };
    SaslClient::with_token(&token).unwrap()
}

fn handshake(world: &mut World, version: i16, mechanism: &str) -> SaslHandshakeResponse {
    world.call(version, &SaslHandshakeRequest { mechanism: mechanism.into() })
}

/// A whole exchange: the last answer, and why the connection was closed where it was.
fn authenticate(world: &mut World, client: &mut SaslClient) -> (SaslAuthenticateResponse, Option<String>) {
    assert!(handshake(world, 1, client.mechanism()).error_code.is_ok());
    exchange(world, client)
}

fn exchange(world: &mut World, client: &mut SaslClient) -> (SaslAuthenticateResponse, Option<String>) {
    let mut message = client.initial().unwrap().unwrap();
    loop {
        let request = SaslAuthenticateRequest { auth_bytes: message, ..Default::default() };
        let mut outputs = world.send(CLIENT, 2, &request);
        if outputs.is_empty() {
            // A refusal comes late.
            world.pass(99);
            assert!(world.outputs().is_empty());
            world.pass(1);
            outputs = world.outputs();
        }
        if let [Output::Close { last: Some(frame), reason, .. }] = outputs.as_slice() {
            let frame = frame.clone().into_bytes().slice(4..);
            return (decode_response::<SaslAuthenticateRequest>(2, frame).unwrap().1, Some(reason.clone()));
        }
        let answer = response::<SaslAuthenticateRequest>(&outputs, CLIENT, 2).unwrap();
        match client.step(&answer.auth_bytes).unwrap() {
            SaslStep::Send(next) => message = next,
            SaslStep::Done => return (answer, None),
        }
    }
}

fn closes(outputs: &[Output]) -> &str {
    match outputs {
        [Output::Close { last: None, reason, .. }] => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_mechanism_lets_its_user_in() {
    for mut client in [
        client(Mechanism::Plain, "alice", "alice-secret"),
        client(Mechanism::ScramSha256, "alice", "alice-secret"),
        client(Mechanism::ScramSha512, "bob", "bob-secret"),
        bearer("alice.token"),
    ] {
        let mut world = world(&[]);
        assert!(!world.core.is_authenticated(CLIENT));
        let (answer, closed) = authenticate(&mut world, &mut client);
        assert_eq!((answer.error_code, closed), (ErrorCode::NONE, None), "{}", client.mechanism());
        assert!(world.core.is_authenticated(CLIENT));
        assert!(world.create_topic("t", 1, &[]).is_ok());
        // Only a token ends by itself.
        assert_eq!(answer.session_lifetime_ms, if client.mechanism() == "OAUTHBEARER" { 60_000 } else { 0 });
    }
}

#[test]
fn who_is_refused_hears_kafka_s_words_late_and_is_closed() {
    let plain = "Authentication failed: Invalid username or password";
    let scram =
        "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256";
    for (mut client, told) in [
        (client(Mechanism::Plain, "alice", "wrong"), plain),
        (client(Mechanism::Plain, "nobody", "alice-secret"), plain),
        (client(Mechanism::ScramSha256, "alice", "wrong"), scram),
        (client(Mechanism::ScramSha256, "nobody", "wrong"), scram),
        (bearer("stolen.token"), r#"{"status":"invalid_token"}"#),
    ] {
        let mut world = world(&[]);
        let (answer, closed) = authenticate(&mut world, &mut client);
        assert_eq!(answer.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
        assert_eq!(answer.error_message.as_deref(), Some(told));
        let reason = closed.unwrap();
        assert!(
            reason.contains(client.mechanism()) && !reason.contains("wrong") && !reason.contains("stolen"),
            "{reason}"
        );
        closes(&world.send(CLIENT, 12, &MetadataRequest::default()));
    }
}

#[test]
fn an_unknown_mechanism_is_answered_with_those_there_are() {
    for mechanism in ["GSSAPI", "plain", "", &"x".repeat(30_000)] {
        let mut world = world(&[("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-512")]);
        let outputs = world.send(CLIENT, 1, &SaslHandshakeRequest { mechanism: mechanism.into() });
        let [Output::Close { last: Some(frame), reason, .. }] = outputs.as_slice() else { panic!("{outputs:?}") };
        let frame = frame.clone().into_bytes().slice(4..);
        let (_, answer) = decode_response::<SaslHandshakeRequest>(1, frame).unwrap();
        assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_SASL_MECHANISM);
        assert_eq!(answer.mechanisms, ["PLAIN", "SCRAM-SHA-512"]);
        assert!(reason.len() < 200);
    }
}

#[test]
fn a_stranger_may_ask_for_versions_and_nothing_else() {
    let versions = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
        ..Default::default()
    };
    let mut world = world(&[]);
    assert!(world.call(3, &versions).error_code.is_ok());
    assert!(closes(&world.send(CLIENT, 12, &MetadataRequest::default())).contains("Metadata before SASL"));
    assert!(closes(&world.send(OTHER, 2, &SaslAuthenticateRequest::default())).contains("before SASL"));
    world.core.handle_connect(world.now, CLIENT, "SASL_PLAINTEXT");
    handshake(&mut world, 1, "PLAIN");
    assert!(closes(&world.send(CLIENT, 3, &versions)).contains("in the middle of SASL"));
    for frame in [&b""[..], b"\0", b"\xff\xff\xff\xff\xff\xff", &[0; 600_000]] {
        world.core.handle_connect(world.now, OTHER, "SASL_PLAINTEXT");
        closes(&world.send_bytes(OTHER, Bytes::copy_from_slice(frame)));
    }
}

#[test]
fn a_client_of_old_sends_bare_bytes() {
    let mut world = world(&[]);
    handshake(&mut world, 0, "PLAIN");
    let outputs = world.send_bytes(CLIENT, Bytes::from_static(b"\0alice\0alice-secret"));
    let [Output::Response { frame, .. }] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!(frame.clone().into_bytes(), &[0, 0, 0, 0][..]);
    assert!(world.core.is_authenticated(CLIENT));

    world.core.handle_connect(world.now, CLIENT, "SASL_PLAINTEXT");
    handshake(&mut world, 0, "PLAIN");
    assert!(world.send_bytes(CLIENT, Bytes::from_static(b"\0alice\0wrong")).is_empty());
    world.pass(100);
    closes(&world.outputs());
}

#[test]
fn a_session_ends_and_can_be_renewed_before_and_after() {
    let mut world = world(&[("connections.max.reauth.ms", "10000")]);
    let mut alice = client(Mechanism::ScramSha256, "alice", "alice-secret");
    assert_eq!(authenticate(&mut world, &mut alice).0.session_lifetime_ms, 10_000);
    for wait in [9_000, 11_000] {
        world.pass(wait);
        let mut alice = client(Mechanism::ScramSha256, "alice", "alice-secret");
        assert!(authenticate(&mut world, &mut alice).0.error_code.is_ok(), "after {wait} ms");
        assert!(world.create_topic(&format!("t{wait}"), 1, &[]).is_ok());
    }
    world.pass(10_000);
    assert!(closes(&world.send(CLIENT, 12, &MetadataRequest::default())).contains("session has ended"));
}

#[test]
fn a_session_stays_its_user_s_and_its_mechanism_s() {
    for (mut other, says) in [
        (client(Mechanism::ScramSha256, "bob", "bob-secret"), "Cannot change principals"),
        (client(Mechanism::Plain, "alice", "alice-secret"), "not supported for re-authentication"),
    ] {
        let mut world = world(&[("connections.max.reauth.ms", "10000")]);
        authenticate(&mut world, &mut client(Mechanism::ScramSha256, "alice", "alice-secret"));
        let (answer, closed) = authenticate(&mut world, &mut other);
        assert!(answer.error_message.unwrap().contains(says) && closed.is_some());
    }
}

#[test]
fn where_nothing_is_asked_for_sasl_is_out_of_place() {
    let mut world = World::new();
    assert_eq!(handshake(&mut world, 1, "PLAIN").error_code, ErrorCode::ILLEGAL_SASL_STATE);
    let answer = world.call(2, &SaslAuthenticateRequest::default());
    assert_eq!(answer.error_code, ErrorCode::ILLEGAL_SASL_STATE);
    // Without sessions that end, the same holds for who is in already.
    let mut world = self::world(&[]);
    authenticate(&mut world, &mut client(Mechanism::Plain, "alice", "alice-secret"));
    assert_eq!(handshake(&mut world, 1, "PLAIN").error_code, ErrorCode::ILLEGAL_SASL_STATE);
}

#[test]
fn mechanisms_bear_any_message() {
    let mut seed = 1_u64;
    for mechanism in Mechanism::ALL {
        for length in [0, 1, 2, 7, 60, 5000] {
            let mut world = world(&[]);
            handshake(&mut world, 1, mechanism.name());
            let bytes = (0..length).map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                b"\0\x01,=nrcpa\xff"[usize::try_from(seed >> 60).unwrap() % 10]
            });
            let request = SaslAuthenticateRequest { auth_bytes: bytes.collect(), ..Default::default() };
            assert!(world.send(CLIENT, 2, &request).is_empty(), "{mechanism} {length}");
            // Gone before it hears.
            world.core.handle_disconnect(world.now, CLIENT);
            world.pass(100);
            world.outputs();
            assert!(!world.core.is_authenticated(OTHER));
        }
    }
}

#[test]
fn users_of_kafka_s_properties_are_a_listener_s_own() {
    let plain = "listener.name.inside.plain.sasl.jaas.config";
    let line = r#"org.apache.kafka.common.security.plain.PlainLoginModule required user_carol="c\"arol";"#;
    let properties = [
        ("listeners", "INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0"),
        ("listener.security.protocol.map", "INSIDE:SASL_PLAINTEXT,OUTSIDE:SASL_PLAINTEXT"),
        (plain, line),
    ];
    for (listener, error) in [("INSIDE", ErrorCode::NONE), ("OUTSIDE", ErrorCode::SASL_AUTHENTICATION_FAILED)] {
        let mut world = world(&properties);
        world.core.handle_connect(world.now, CLIENT, listener);
        let mut carol = client(Mechanism::Plain, "carol", "c\"arol");
        assert_eq!(authenticate(&mut world, &mut carol).0.error_code, error, "{listener}");
    }
}

#[test]
fn what_nobody_could_use_is_refused_at_the_start() {
    for (properties, says) in [
        (&[("sasl.enabled.mechanisms", "GSSAPI")][..], "GSSAPI, which is not supported"),
        (&[("sasl.enabled.mechanisms", "")], "is empty"),
        (&[("sasl.enabled.mechanisms", "OAUTHBEARER")], "somebody who looks at tokens"),
        (&[("plain.sasl.jaas.config", "nonsense")], "cannot be read"),
    ] {
        let mut config = BrokerConfig::new("/data");
        for (name, value) in LISTENER.iter().chain(properties) {
            config.set(name, value).unwrap();
        }
        let opened = BrokerCore::open(config, Arc::new(MemDisk::new()), 7, Now::default());
        let error = opened.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn nothing_shows_a_password() {
    let mut config = BrokerConfig::new("/data");
    config.users.insert("alice".to_owned(), Secret::from("pencil"));
    config.set("listener.name.x.plain.sasl.jaas.config", "M required user_a=\"pencil\";").unwrap();
    config.set("ssl.keystore.key", "pencil").unwrap();
    assert!(!format!("{config:?}").contains("pencil"));
    assert!(matches!(SaslError::NotAuthenticated.to_string().as_str(), "invalid credentials"));
}
