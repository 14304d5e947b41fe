//! Against a secured Apache Kafka, set up as `crates/conformance/src/kafka_security.md` says: `FELICE_SECURE_KAFKA` names the folder with its
//! certificates. Run with `cargo test -p felice-net --test kafka -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test ends where anything fails")]

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use felice_net::{
    ConnectErrorKind, FrameReader, FrameWriter, ReadHalf, Security, TlsConfig, TlsConfigBuilder, WriteHalf, connect,
    hint,
};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    ApiVersionsRequest, Request, SaslAuthenticateRequest, SaslHandshakeRequest, decode_response, encode_request,
};
use felice_protocol::sasl::{Mechanism, SaslClient, SaslError, SaslStep};

const TLS: &str = "localhost:23093";
const SASL_PLAINTEXT: &str = "localhost:23094";
const SASL_TLS: &str = "localhost:23095";
const MUTUAL_TLS: &str = "localhost:23096";

fn folder() -> PathBuf {
    std::env::var_os("FELICE_SECURE_KAFKA").expect("FELICE_SECURE_KAFKA names the folder with ca.pem").into()
}

fn trusting() -> TlsConfigBuilder {
    TlsConfig::builder().ca_file(folder().join("ca.pem")).unwrap()
}

fn tls() -> Security {
    Security::Tls(trusting().build().unwrap())
}

struct Connection {
    reader: FrameReader<ReadHalf>,
    writer: FrameWriter<WriteHalf>,
    correlation_id: i32,
}

impl Connection {
    async fn to(address: &str, security: &Security) -> Self {
        let (reader, writer) = connect(address, security, Duration::from_secs(10)).await.unwrap().into_split();
        Self { reader: FrameReader::new(reader, 1 << 20), writer: FrameWriter::new(writer), correlation_id: 0 }
    }

    async fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.correlation_id += 1;
        self.writer.push(encode_request(self.correlation_id, Some("felice"), version, request).unwrap());
        self.writer.flush().await.unwrap();
        let frame = self.reader.next().await.unwrap().expect("the broker closed the connection");
        let (correlation_id, response) = decode_response::<R>(version, frame).unwrap();
        assert_eq!(correlation_id, self.correlation_id);
        response
    }

    async fn authenticate(&mut self, client: &mut SaslClient) -> Result<(), SaslError> {
        let handshake = SaslHandshakeRequest { mechanism: client.mechanism().into() };
        let answer = self.ask(1, &handshake).await;
        if answer.error_code != ErrorCode::NONE {
            return Err(client.not_offered(&answer.mechanisms.iter().map(|name| &**name).collect::<Vec<_>>()));
        }
        let mut next = client.initial()?.unwrap();
        loop {
            let request = SaslAuthenticateRequest { auth_bytes: next, ..Default::default() };
            let answer = self.ask(2, &request).await;
            if answer.error_code != ErrorCode::NONE {
                return Err(client.rejected(answer.error_message.as_deref()));
            }
            match client.step(&answer.auth_bytes)? {
                SaslStep::Send(bytes) => next = bytes,
                SaslStep::Done => return Ok(()),
            }
        }
    }

    async fn works(&mut self) {
        // A broker refuses a version 3 that does not name its software.
        let request = ApiVersionsRequest {
            client_software_name: "felice".into(),
            client_software_version: "0.1.0".into(),
            ..Default::default()
        };
        let versions = self.ask(3, &request).await;
        assert_eq!(versions.error_code, ErrorCode::NONE);
        assert!(versions.api_keys.len() > 50, "{}", versions.api_keys.len());
    }
}

fn client(mechanism: Mechanism, user: &str, password: &str) -> SaslClient {
    SaslClient::new(mechanism, user, &password.into(), *b"twenty-four random bytes").unwrap()
}

#[tokio::test]
#[ignore = "wants a secured Apache Kafka"]
async fn every_mechanism_authenticates_with_tls_and_without() {
    for (address, security) in [(SASL_PLAINTEXT, Security::Plaintext), (SASL_TLS, tls())] {
        for (mechanism, user, password) in [
            (Mechanism::Plain, "alice", "alice-secret"),
            (Mechanism::ScramSha256, "bob", "bob-secret"),
            (Mechanism::ScramSha512, "bob", "bob-secret"),
            (Mechanism::ScramSha256, "we=ird", "pä=secret"),
        ] {
            let mut connection = Connection::to(address, &security).await;
            connection.authenticate(&mut client(mechanism, user, password)).await.unwrap();
            connection.works().await;
        }
    }
}

#[tokio::test]
#[ignore = "wants a secured Apache Kafka"]
async fn refusals_come_in_the_brokers_words() {
    for (mechanism, user) in [
        (Mechanism::Plain, "alice"),
        (Mechanism::ScramSha256, "bob"),
        (Mechanism::ScramSha512, "bob"),
        (Mechanism::ScramSha512, "nobody"),
    ] {
        let mut connection = Connection::to(SASL_PLAINTEXT, &Security::Plaintext).await;
        let error = connection.authenticate(&mut client(mechanism, user, "wrong")).await.unwrap_err();
        println!("{error}\n  {}", error.hint().unwrap());
        assert!(matches!(&error, SaslError::Rejected { message, .. } if message.contains("Authentication failed")));
    }
    let mut connection = Connection::to(SASL_PLAINTEXT, &Security::Plaintext).await;
    let request = SaslHandshakeRequest { mechanism: "GSSAPI".into() };
    let answer = connection.ask(1, &request).await;
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_SASL_MECHANISM);
    let offered = answer.mechanisms.iter().map(|name| &**name).collect::<Vec<_>>();
    let error = client(Mechanism::Plain, "alice", "x").not_offered(&offered);
    println!("{error}");
    assert!(error.to_string().contains("SCRAM-SHA-512"));
}

#[tokio::test]
#[ignore = "wants a secured Apache Kafka"]
async fn tls_and_client_certificates_work() {
    Connection::to(TLS, &tls()).await.works().await;
    let folder = folder();
    let mutual = trusting().client_certificate_files(folder.join("client.pem"), folder.join("client.key")).unwrap();
    Connection::to(MUTUAL_TLS, &Security::Tls(mutual.build().unwrap())).await.works().await;
}

#[tokio::test]
#[ignore = "wants a secured Apache Kafka"]
async fn mistakes_are_recognised() {
    let limit = Duration::from_secs(10);
    // TLS where there is none.
    let error = connect(SASL_PLAINTEXT, &tls(), limit).await.unwrap_err();
    println!("{error}\n  {:?}", error.hint());
    assert_eq!(error.kind(), ConnectErrorKind::PlaintextExpected);
    // A CA that did not sign.
    let error = connect(TLS, &Security::Tls(TlsConfig::platform().unwrap()), limit).await.unwrap_err();
    println!("{error}\n  {:?}", error.hint());
    assert_eq!(error.kind(), ConnectErrorKind::CertificateNotTrusted);

    // No TLS where it is wanted; no certificate where one is; no SASL where it is.
    for (address, security) in [(TLS, Security::Plaintext), (MUTUAL_TLS, tls()), (SASL_PLAINTEXT, Security::Plaintext)]
    {
        let stream = match connect(address, &security, limit).await {
            Ok(stream) => stream,
            Err(error) => {
                println!("{address}: {error}\n  {:?}", error.hint());
                continue;
            }
        };
        let (reader, writer) = stream.into_split();
        let mut writer = FrameWriter::new(writer);
        // Metadata: a broker answers ApiVersions to anyone.
        writer.push_bytes(Bytes::from_static(&[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0]));
        let written = writer.flush().await;
        let read = FrameReader::new(reader, 1 << 30).next().await;
        println!("{address}: {written:?} {read:?}");
        let hint = match read {
            Ok(None) => Some(hint::closed_before_first_answer(security.is_tls()).to_owned()),
            Ok(Some(frame)) => panic!("an answer to {address}: {frame:?}"),
            Err(error) => error.hint(),
        };
        println!("  {hint:?}");
        assert!(hint.is_some(), "{address}");
    }
}
