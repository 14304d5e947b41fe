//! The broker's secured listeners before our own client: who comes in, and what the others hear.

#![cfg(feature = "client")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use felice::{Client, ClientBuilder, ErrorKind, NewRecord, Sasl};
use felice_broker::{Broker, BrokerBuilder};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key, in PEM.
    fn certify(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn broker(authority: &Authority, listeners: &[&str]) -> BrokerBuilder {
    let (certificate, key) = authority.certify();
    let builder = Broker::builder().in_memory().tls(certificate, key).user("alice", "alice-secret");
    listeners.iter().fold(builder, |builder, name| builder.listener(format!("{name}://127.0.0.1:0")))
}

fn client(broker: &Broker, listener: &str) -> ClientBuilder {
    let protocol = if listener == "MTLS" { "SSL" } else { listener };
    Client::builder(broker.bootstrap_of(listener).unwrap()).set("security.protocol", protocol)
}

async fn works(client: ClientBuilder, topic: &str) {
    let client = client.connect().await.unwrap();
    let producer = client.producer().build().await.unwrap();
    assert_eq!(producer.send(NewRecord::to(topic).value("x")).await.unwrap().offset, 0);
}

async fn fails(client: ClientBuilder) -> felice::Error {
    tokio::time::timeout(Duration::from_secs(20), client.connect()).await.unwrap().unwrap_err()
}

fn scram(password: &str) -> Sasl {
    Sasl::ScramSha512 { user: "alice".to_owned(), password: password.to_owned() }
}

#[tokio::test]
async fn each_listener_serves_its_own_protocol_and_leads_back_to_itself() {
    let authority = Authority::new();
    let names = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
    let broker = broker(&authority, &names).start().await.unwrap();
    assert_eq!(broker.listeners().map(|(name, _)| name).collect::<Vec<_>>(), names);
    for name in names {
        let mut client = client(&broker, name).set("ssl.ca.pem", &authority.pem);
        for sasl in [
            Sasl::Plain { user: "alice".to_owned(), password: "alice-secret".to_owned() },
            Sasl::ScramSha256 { user: "alice".to_owned(), password: "alice-secret".to_owned() },
            scram("alice-secret"),
        ] {
            if name.starts_with("SASL") {
                client = client.sasl(sasl.clone());
            }
            let topic = format!("{name}-{sasl:?}").replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            let topic = format!("{topic}-{}", std::mem::discriminant(&sasl).eq(&std::mem::discriminant(&scram(""))));
            let client = client.clone().connect().await.unwrap();
            let brokers = client.admin().cluster().await.unwrap().brokers;
            assert!(broker.bootstrap_of(name).unwrap().ends_with(&format!(":{}", brokers[0].port)));
            let producer = client.producer().build().await.unwrap();
            producer.send(NewRecord::to(&topic).value("x")).await.unwrap();
        }
    }
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_client_shows_its_certificate_or_stays_out() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let broker = broker(&authority, &["MTLS", "SSL"])
        .config("listener.security.protocol.map", "MTLS:SSL,SSL:SSL")
        .config("listener.name.mtls.ssl.client.auth", "required")
        .config("ssl.truststore.certificates", &authority.pem)
        .start()
        .await
        .unwrap();
    let trusting = |listener| client(&broker, listener).set("ssl.ca.pem", &authority.pem);
    let showing = |(certificate, key): (String, String)| {
        trusting("MTLS").set("ssl.certificate.pem", &certificate).set("ssl.key.pem", &key)
    };
    works(trusting("SSL"), "ssl").await;
    works(showing(authority.certify()), "mtls").await;
    for refused in [trusting("MTLS"), showing(stranger.certify())] {
        let error = fails(refused).await;
        assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
        assert!(error.hint().unwrap().contains("ssl.certificate.location"), "{error:?}");
    }
}

#[tokio::test]
async fn who_mixes_up_listeners_is_told() {
    let authority = Authority::new();
    let broker = broker(&authority, &["PLAINTEXT", "SSL", "SASL_SSL"]).start().await.unwrap();
    let at = |listener: &str, protocol: &str| {
        let client = client(&broker, listener).set("security.protocol", protocol).set("ssl.ca.pem", &authority.pem);
        if protocol.starts_with("SASL") { client.sasl(scram("alice-secret")) } else { client }
    };
    for (listener, protocol, says) in [
        ("PLAINTEXT", "SSL", "PLAINTEXT"),
        ("SSL", "PLAINTEXT", "SSL"),
        ("SASL_SSL", "SSL", "SASL"),
        ("SSL", "SASL_SSL", "SASL"),
    ] {
        let error = fails(at(listener, protocol)).await;
        assert!(format!("{error} {:?}", error.hint()).contains(says), "{protocol} at {listener}: {error:?}");
    }
    for wrong in [scram("wrong"), Sasl::Plain { user: "bob".to_owned(), password: "wrong".to_owned() }] {
        let error = fails(at("SASL_SSL", "SASL_SSL").sasl(wrong)).await;
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error:?}");
        assert!(!format!("{error:?}").contains("wrong"));
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_stops_the_start() {
    let says = |builder: BrokerBuilder| async { builder.start().await.unwrap_err().to_string() };
    let bare = || Broker::builder().in_memory().listener("SSL://127.0.0.1:0");
    assert!(says(bare()).await.contains("set ssl.keystore.location"));
    assert!(says(bare().config("ssl.keystore.location", "/nowhere.pem")).await.contains("/nowhere.pem"));
    let (certificate, key) = Authority::new().certify();
    assert!(says(bare().config("ssl.keystore.key", &key)).await.contains("ssl.keystore.certificate.chain"));
    assert!(says(bare().tls("nonsense", &key)).await.contains("no certificate"));
    assert!(says(bare().tls(&certificate, "nonsense")).await.contains("no private key"));
    let asking = bare().tls(&certificate, &key).config("ssl.client.auth", "required");
    assert!(says(asking).await.contains("ssl.truststore"));
    let other = Authority::new().certify().1;
    assert!(says(bare().tls(&certificate, other)).await.contains("SSL"));
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

fn token(value: &str, life: Duration) -> felice::BearerToken {
    let expires_at_ms = now_ms() + i64::try_from(life.as_millis()).unwrap();
    felice::BearerToken { value: value.into(), expires_at_ms, principal: "ali".to_owned(), extensions: Vec::new() }
}

async fn takes_sesame() -> Broker {
    let accept = |token: &str, _: &[(String, String)]| match token {
        "sesame" => Ok(felice_broker::AcceptedToken { principal: "ali".into(), expires_at_ms: Some(now_ms() + 1_000) }),
        _ => Err(felice_broker::RejectedToken::new("not the word")),
    };
    Broker::builder().in_memory().tokens(accept).start().await.unwrap()
}

#[tokio::test]
async fn sessions_of_a_second_are_renewed_on_the_same_connections() {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&asked);
    let broker = takes_sesame().await;
    let sasl = Sasl::oauthbearer(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async { Ok(token("sesame", Duration::from_secs(1))) }
    });
    let client = Client::builder(broker.bootstrap()).sasl(sasl).connect().await.unwrap();
    let producer = client.producer().build().await.unwrap();
    client.admin().create_topic("t").await.unwrap();
    let mut reader = client.reader().topic("t").open().await.unwrap();
    // The broker ends a connection whose session is over at its next request.
    for offset in 0..30 {
        assert_eq!(producer.send(NewRecord::to("t").value("x")).await.unwrap().offset, offset);
        tokio::time::sleep(Duration::from_millis(100)).await;
        reader.next_batch().await.unwrap().unwrap();
    }
    assert!(asked.load(std::sync::atomic::Ordering::SeqCst) >= 3);
}

#[tokio::test]
async fn a_token_that_is_pushed_opens_and_who_has_none_says_why() {
    let broker = takes_sesame().await;
    let (wanted, is_wanted) = std::sync::mpsc::channel();
    let sasl = Sasl::oauthbearer_pushed(move || {
        let _ = wanted.send(());
    });
    let client = Client::builder(broker.bootstrap()).sasl(sasl).lazy().unwrap();
    let answer = tokio::spawn({
        let client = client.clone();
        async move { client.admin().topics().await }
    });
    tokio::task::spawn_blocking(move || is_wanted.recv_timeout(Duration::from_secs(5))).await.unwrap().unwrap();
    assert!(client.set_token(token("sesame", Duration::ZERO)).unwrap_err().to_string().contains("expired"));
    client.set_token(token("sesame", Duration::from_secs(60))).unwrap();
    answer.await.unwrap().unwrap();

    for (provider, says) in [("stolen", "invalid_token"), ("", "the door is shut")] {
        let sasl = Sasl::oauthbearer(move || async move {
            if provider.is_empty() {
                Err("the door is shut".into())
            } else {
                Ok(token(provider, Duration::from_secs(60)))
            }
        });
        let error = fails(Client::builder(broker.bootstrap()).sasl(sasl)).await;
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error:?}");
        assert!(error.to_string().contains(says) && !format!("{error:?}").contains("stolen"), "{error:?}");
    }
    let none = Client::builder(broker.bootstrap())
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "OAUTHBEARER");
    assert_eq!(fails(none).await.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_new_password_counts_from_the_next_authentication_on() {
    let broker = Broker::builder()
        .in_memory()
        .user("alice", "alice-secret")
        .config("connections.max.reauth.ms", "500")
        .start()
        .await
        .unwrap();
    let client = Client::builder(broker.bootstrap()).sasl(scram("wrong")).lazy().unwrap();
    client.set_credentials("alice", "alice-secret").unwrap();
    let producer = client.producer().build().await.unwrap();
    for offset in 0..15 {
        assert_eq!(producer.send(NewRecord::to("t").value("x")).await.unwrap().offset, offset);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    client.set_credentials("alice", "wrong").unwrap();
    let refused =
        async { while tokio::time::timeout(Duration::from_millis(300), client.admin().topics()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    client.set_credentials("alice", "alice-secret").unwrap();
    tokio::time::timeout(Duration::from_secs(20), client.admin().topics()).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_client_s_own_unsecured_tokens_open_a_broker_that_takes_them() {
    let broker = Broker::builder().in_memory().danger_unsecured_tokens().start().await.unwrap();
    let client = |name, value| {
        Client::builder(broker.bootstrap())
            .set("security.protocol", "SASL_PLAINTEXT")
            .set("sasl.mechanism", "OAUTHBEARER")
            .set("enable.sasl.oauthbearer.unsecure.jwt", "true")
            .set(name, value)
    };
    works(client("sasl.oauthbearer.config", "principal=alice lifeSeconds=60 extension_traceId=7"), "t").await;
    assert_eq!(fails(client("sasl.oauthbearer.config", "lifeSeconds=60")).await.kind(), ErrorKind::Config);
}
