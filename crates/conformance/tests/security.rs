//! Secured listeners: foreign clients on ours, and our client on Apache Kafka's, by certificates and tokens, and over the end of sessions.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use felice::{Client, ClientBuilder, ErrorKind, NewRecord, Sasl, Tls};
use felice_broker::Broker;
use felice_conformance::kafka::{Kafka, KafkaOptions, PASSWORD, SecurityProtocol, USER};
use felice_conformance::peers::secured::{self, Way, go_in};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

mod support;

use support::{asked_for, unless_skipped};

const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];
/// How long a session lasts before it must be renewed, and a token.
const SESSION: &str = "2000";

/// Files of an authority, a broker and a client, in a folder that goes away.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let named = |name: &str, addresses: &[&str]| {
            let addresses: Vec<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
            let mut params = CertificateParams::new(addresses).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let mut authority = named("the judges' authority", &[]);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        files.write("ca.pem", &authority.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(authority, key);
        for name in ["broker", "client"] {
            let mut params = named(name, &["localhost", "127.0.0.1"]);
            params.use_authority_key_identifier_extension = true;
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap().pem();
            files.write(&format!("{name}.pem"), &certificate);
            files.write(&format!("{name}.key"), &key.serialize_pem());
            files.write(&format!("{name}-store.pem"), &format!("{}{certificate}", key.serialize_pem()));
        }
        files
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }
}

/// Ours, with a listener for certificates and one for each mechanism, whose sessions are short.
async fn ours(files: &Files) -> Broker {
    Broker::builder()
        .listener("SASL_SSL://127.0.0.1:0")
        .listener("MTLS://127.0.0.1:0")
        .user(USER, PASSWORD)
        .danger_unsecured_tokens()
        .config("listener.security.protocol.map", "SASL_SSL:SASL_SSL,MTLS:SSL")
        .config("ssl.keystore.location", files.text("broker-store.pem"))
        .config("ssl.truststore.location", files.text("ca.pem"))
        .config("listener.name.mtls.ssl.client.auth", "required")
        .config("connections.max.reauth.ms", SESSION)
        .start()
        .await
        .unwrap()
}

fn ways(broker: &Broker, files: &Files) -> Vec<Way> {
    let way = |name: String, listener: &str, protocol: &str| {
        Way::from([
            ("topic", format!("t-{}", name.to_ascii_lowercase())),
            ("name", name),
            ("bootstrap", broker.bootstrap_of(listener).unwrap().to_owned()),
            ("protocol", protocol.to_owned()),
            ("ca", files.text("ca.pem")),
        ])
    };
    let mut ways = Vec::new();
    for mechanism in MECHANISMS {
        let mut way = way(mechanism.to_owned(), "SASL_SSL", "SASL_SSL");
        way.extend([
            ("mechanism", mechanism.to_owned()),
            ("user", USER.to_owned()),
            ("password", PASSWORD.to_owned()),
            ("life", "10".to_owned()),
        ]);
        let mut wrong = way.clone();
        wrong.extend([
            ("name", format!("wrong-{mechanism}")),
            ("password", "wrong".to_owned()),
            ("expect", "refused".to_owned()),
        ]);
        // Over the end of a session, on connections that are at work.
        way.insert("seconds", if mechanism == "PLAIN" { "0" } else { "5" }.to_owned());
        ways.push(way);
        if mechanism != "OAUTHBEARER" {
            ways.push(wrong);
        }
    }
    let mut certificate = way("mutual-TLS".to_owned(), "MTLS", "SSL");
    certificate.extend([
        ("certificate", files.text("client.pem")),
        ("key", files.text("client.key")),
        ("keystore", files.text("client-store.pem")),
    ]);
    ways.push(certificate);
    ways
}

async fn judged_by(client: secured::Client, test: &'static str) {
    if asked_for(test).is_none() {
        return;
    }
    let files = Files::new();
    let broker = ours(&files).await;
    let ways = ways(&broker, &files);
    let verdict = tokio::task::spawn_blocking(move || go_in(client, &ways)).await.unwrap();
    unless_skipped(test, verdict);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_java_client_comes_in_by_every_way() {
    judged_by(secured::Client::Java, "the_java_client_comes_in_by_every_way").await;
}

#[tokio::test]
async fn confluent_kafka_for_python_comes_in_by_every_way() {
    judged_by(secured::Client::Python, "confluent_kafka_for_python_comes_in_by_every_way").await;
}

#[tokio::test]
async fn franz_go_comes_in_by_every_way() {
    judged_by(secured::Client::FranzGo, "franz_go_comes_in_by_every_way").await;
}

/// Apache Kafka with required certificates on `SSL`, tokens and short sessions on `SASL_SSL`.
async fn apache_kafka(test: &str, files: &Files) -> Option<Kafka> {
    let oauth = "org.apache.kafka.common.security.oauthbearer";
    let mut properties = vec![
        ("listener.name.ssl.ssl.client.auth".to_owned(), "required".to_owned()),
        ("listener.name.ssl.ssl.truststore.type".to_owned(), "PEM".to_owned()),
        ("listener.name.ssl.ssl.truststore.location".to_owned(), files.text("ca.pem")),
        ("sasl.enabled.mechanisms".to_owned(), MECHANISMS.join(",")),
    ];
    for listener in ["sasl_ssl", "sasl_plaintext"] {
        let prefix = format!("listener.name.{listener}.oauthbearer.sasl");
        properties.push((
            format!("{prefix}.jaas.config"),
            format!("{oauth}.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";"),
        ));
        properties.push((
            format!("{prefix}.server.callback.handler.class"),
            format!("{oauth}.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"),
        ));
        for mechanism in ["plain", "scram-sha-256", "scram-sha-512", "oauthbearer"] {
            let name = format!("listener.name.{listener}.{mechanism}.connections.max.reauth.ms");
            properties.push((name, SESSION.to_owned()));
        }
    }
    let options = KafkaOptions { secure: true, properties, ..KafkaOptions::default() };
    unless_skipped(test, Kafka::start_async(options).await)
}

/// Writes and reads for longer than two sessions.
async fn stays_in(builder: ClientBuilder, topic: &str) {
    let client = builder.connect().await.unwrap();
    client.admin().create_topic(topic).partitions(1).replicas(1).await.unwrap();
    let producer = client.producer().build().await.unwrap();
    let mut reader = client.reader().topic(topic).open().await.unwrap();
    for offset in 0..25 {
        assert_eq!(producer.send(NewRecord::to(topic).value("x")).await.unwrap().offset, offset);
        let batch = tokio::time::timeout(Duration::from_secs(10), reader.next_batch()).await;
        batch.unwrap().unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    client.shutdown(Duration::from_secs(5)).await.unwrap();
}

fn at(kafka: &Kafka, protocol: SecurityProtocol, ca: &Path) -> ClientBuilder {
    Client::builder(kafka.bootstrap_of(protocol)).tls(Tls::CaFile(ca.to_owned()))
}

#[tokio::test]
async fn apache_kafka_takes_our_certificate_and_our_tokens_and_renews_our_sessions() {
    let test = "apache_kafka_takes_our_certificate_and_our_tokens_and_renews_our_sessions";
    if asked_for(test).is_none() {
        return;
    }
    let files = Files::new();
    let Some(kafka) = apache_kafka(test, &files).await else { return };
    let ca = kafka.ca_pem();
    let tls = || at(&kafka, SecurityProtocol::Ssl, &ca);
    tls().client_certificate(files.path("client.pem"), files.path("client.key")).connect().await.unwrap();
    tls().set("ssl.keystore.location", &files.text("client-store.pem")).connect().await.unwrap();
    let error = tls().connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");

    let sasl = || at(&kafka, SecurityProtocol::SaslSsl, &ca);
    let (user, password) = (USER.to_owned(), PASSWORD.to_owned());
    let unsecured = sasl()
        .set("security.protocol", "sasl_ssl")
        .set("sasl.mechanism", "OAUTHBEARER")
        .set("enable.sasl.oauthbearer.unsecure.jwt", "true")
        .set("sasl.oauthbearer.config", "principal=alice lifeSeconds=5 extension_traceId=7");
    tokio::join!(
        stays_in(unsecured, "tokens"),
        stays_in(sasl().sasl(Sasl::ScramSha512 { user: user.clone(), password: password.clone() }), "scram"),
        stays_in(sasl().sasl(Sasl::Plain { user, password }), "plain"),
    );
    let refused = sasl().sasl(Sasl::oauthbearer(|| async {
        Ok(felice::BearerToken {
            value: "no.token.".into(),
            expires_at_ms: i64::MAX,
            principal: "nobody".to_owned(),
            extensions: Vec::new(),
        })
    }));
    let error = refused.connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error:?}");
    assert!(error.to_string().contains("invalid_token"), "{error}");
    let log = kafka.server_log(0);
    assert!(!log.contains("expired"), "a session ended without being renewed");
}
