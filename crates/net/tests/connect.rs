//! Connecting: what works, and what an error says when it does not.

#![expect(clippy::unwrap_used, reason = "a test ends where anything fails")]

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use felice_net::{
    Authorities, ClientAuth, ConnectError, ConnectErrorKind, ConnectOptions, FrameError, FrameReader, FrameWriter,
    Phase, Security, Stream, TlsConfig, TlsConfigBuilder, connect,
};
use support::{Authority, answers, echo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LIMIT: Duration = Duration::from_secs(5);

fn trusting(authority: &Authority) -> TlsConfigBuilder {
    TlsConfig::builder().ca_pem(authority.pem.clone())
}

async fn tls(port: u16, config: TlsConfigBuilder) -> Result<Stream, ConnectError> {
    connect(&format!("localhost:{port}"), &Security::Tls(config.build().unwrap()), LIMIT).await
}

async fn round_trip(stream: Stream) {
    let (reader, writer) = stream.into_split();
    let mut reader = FrameReader::new(reader, 1 << 20);
    let mut writer = FrameWriter::new(writer);
    for size in [0_usize, 1, 5_000, 300_000] {
        let body = Bytes::from(vec![u8::try_from(size % 251).unwrap(); size]);
        writer.push_bytes(Bytes::copy_from_slice(&u32::try_from(size).unwrap().to_be_bytes()));
        writer.push_bytes(body.clone());
        let (flushed, frame) = tokio::join!(writer.flush(), reader.next());
        flushed.unwrap();
        assert_eq!(frame.unwrap().unwrap(), body);
    }
    assert!(!writer.has_work());
    assert_eq!((writer.written_bytes(), reader.bytes()), (305_017, 305_017));
}

#[tokio::test]
async fn frames_go_round_without_tls_and_with_it() {
    let port = echo(None).await;
    let stream = connect(&format!("localhost:{port}"), &Security::Plaintext, LIMIT).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap().port(), port);
    round_trip(stream).await;

    let authority = Authority::new();
    let port = echo(Some(authority.certify("localhost").server(&ClientAuth::None))).await;
    let stream = tls(port, trusting(&authority)).await.unwrap();
    assert!(stream.is_tls() && stream.tls_summary().unwrap().starts_with("TLSv1_3"));
    assert_eq!(stream.peer_certificates().len(), 1);
    round_trip(stream).await;
}

#[tokio::test]
async fn a_certificate_of_a_stranger_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let port = echo(Some(stranger.certify("localhost").server(&ClientAuth::None))).await;
    let error = tls(port, trusting(&authority)).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::CertificateNotTrusted, "{error}");
    assert!(error.hint().unwrap().contains("ssl.ca.location"), "{:?}", error.hint());
    assert!(error.attempts().iter().all(|attempt| attempt.address.is_some()));

    let error = tls(port, TlsConfig::builder()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::CertificateNotTrusted, "the platform does not know it either: {error}");
    round_trip(tls(port, TlsConfig::builder().danger_accept_any_certificate()).await.unwrap()).await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_and_the_name_told() {
    let authority = Authority::new();
    let port = echo(Some(authority.certify("kafka.internal").server(&ClientAuth::None))).await;
    let error = tls(port, trusting(&authority)).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::CertificateWrongName, "{error}");
    assert!(error.hint().unwrap().contains("kafka.internal"), "{:?}", error.hint());
    round_trip(tls(port, trusting(&authority).server_name("kafka.internal")).await.unwrap()).await;
    round_trip(tls(port, trusting(&authority).danger_accept_any_name()).await.unwrap()).await;
    let stranger = Authority::new();
    let error = tls(port, trusting(&stranger).danger_accept_any_name()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::CertificateNotTrusted, "any name, but not any CA: {error}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let port = echo(Some(authority.certify_until("localhost", 2021).server(&ClientAuth::None))).await;
    let error = tls(port, trusting(&authority)).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::CertificateExpired, "{error}");
}

#[tokio::test]
async fn a_client_shows_its_certificate_and_is_told_when_it_must() {
    let authority = Authority::new();
    let required = ClientAuth::Required(Authorities::from_pem(authority.pem.as_bytes()).unwrap());
    let port = echo(Some(authority.certify("localhost").server(&required))).await;
    let client = authority.certify("client");
    let config = trusting(&authority).certificate_pem(client.certificate.clone()).key_pem(client.key.clone());
    round_trip(tls(port, config).await.unwrap()).await;

    // In TLS 1.3 the server's refusal comes after the handshake.
    let mut stream = tls(port, trusting(&authority)).await.unwrap();
    let _ = stream.write_all(b"\0\0\0\0").await;
    let error = FrameReader::new(stream, 100).next().await.unwrap_err();
    assert!(error.hint().unwrap().contains("ssl.certificate.location"), "{error} {:?}", error.hint());
}

#[tokio::test]
async fn tls_to_a_listener_without_it_says_so() {
    let authority = Authority::new();
    // A broker closes a connection whose first bytes make no sense; others answer in their own way.
    for (port, exact) in [
        (answers(b"").await, false),
        (answers(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, true),
        (echo(None).await, false),
    ] {
        let error = tls(port, trusting(&authority)).await.unwrap_err();
        let hint = error.hint();
        if exact || error.kind() == ConnectErrorKind::PlaintextExpected {
            assert!(hint.unwrap().contains("PLAINTEXT"), "{error}");
        } else {
            assert_eq!(error.kind(), ConnectErrorKind::Tls, "{error}");
        }
        assert_eq!(error.decisive().unwrap().phase, Phase::Tls);
    }
}

#[tokio::test]
async fn plaintext_to_a_tls_listener_says_so() {
    let authority = Authority::new();
    let port = echo(Some(authority.certify("localhost").server(&ClientAuth::None))).await;
    let mut stream = connect(&format!("127.0.0.1:{port}"), &Security::Plaintext, LIMIT).await.unwrap();
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 4, 0, 0, 0, 1, 0xff, 0xff]).await.unwrap();
    let error = FrameReader::new(stream, 1 << 30).next().await.unwrap_err();
    assert!(matches!(error, FrameError::Tls { .. }), "{error}");
    assert!(error.hint().unwrap().contains("security.protocol=SSL"));
}

#[tokio::test]
async fn a_web_server_is_recognised() {
    let port = answers(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let mut stream = connect(&format!("127.0.0.1:{port}"), &Security::Plaintext, LIMIT).await.unwrap();
    stream.write_all(b"\0\0\0\x01x").await.unwrap();
    let error = FrameReader::new(stream, 1 << 30).next().await.unwrap_err();
    assert!(matches!(error, FrameError::Http { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "the other side speaks HTTP, not Kafka's protocol: got \"HTTP\" where a length should be"
    );
}

#[tokio::test]
async fn nobody_listening_and_no_such_name_are_told_apart() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = connect(&format!("localhost:{free}"), &Security::Plaintext, LIMIT).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Refused);
    assert!(error.to_string().contains(&format!("127.0.0.1:{free}: connection failed")), "{error}");
    assert!(error.hint().unwrap().contains("nothing listens"));

    let error = connect("no-such-host.invalid:9092", &Security::Plaintext, LIMIT).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::UnknownHost, "{error}");
    assert!(error.hint().unwrap().contains("no-such-host.invalid"));

    let error = connect("localhost", &Security::Plaintext, LIMIT).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::InvalidAddress, "{error}");
}

#[tokio::test]
async fn the_time_limit_holds_while_tls_gets_no_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let started = Instant::now();
    let mut options = ConnectOptions::default();
    options.security = Security::Tls(TlsConfig::platform().unwrap());
    options.timeout = Duration::from_millis(200);
    let error = options.connect(&format!("127.0.0.1:{port}")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::TimedOut, "{error}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn the_connector_can_be_replaced() {
    use felice_net::{BoxFuture, Connector, SocketOptions, Transport};
    use std::net::SocketAddr;
    use std::sync::Arc;

    /// Any name leads to a pipe whose other end sends everything back; the first address refuses.
    #[derive(Debug)]
    struct Pipes;
    impl Connector for Pipes {
        fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, std::io::Result<Vec<SocketAddr>>> {
            Box::pin(async move { Ok(vec![([127, 0, 0, 1], port).into(), ([127, 0, 0, 2], port).into()]) })
        }
        fn open<'a>(&'a self, address: SocketAddr, _: &'a SocketOptions) -> BoxFuture<'a, std::io::Result<Transport>> {
            Box::pin(async move {
                if address.ip() == std::net::Ipv4Addr::LOCALHOST {
                    return Err(std::io::ErrorKind::ConnectionRefused.into());
                }
                let (ours, mut theirs) = tokio::io::duplex(4096);
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while let Ok(count @ 1..) = theirs.read(&mut buffer).await {
                        theirs.write_all(&buffer[..count]).await.unwrap();
                    }
                });
                Ok(Transport::Other(Box::new(ours)))
            })
        }
    }
    let mut options = ConnectOptions::default();
    options.connector = Arc::new(Pipes);
    round_trip(options.connect("anything:1").await.unwrap()).await;
}

#[test]
fn broken_configurations_name_what_is_broken() {
    let message = |builder: TlsConfigBuilder| builder.build().unwrap_err().to_string();
    assert!(message(TlsConfig::builder().ca_pem("nonsense")).contains("no certificate in it"));
    assert!(message(TlsConfig::builder().ca_pem([0xfe, 0xed, 0xfe, 0xed])).contains("JKS"));
    let identity = Authority::new().certify("client");
    assert!(message(TlsConfig::builder().certificate_pem(identity.certificate.clone())).contains("the key is missing"));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let error = message(TlsConfig::builder().certificate_pem(identity.certificate).key_pem(encrypted));
    assert!(error.contains("ssl.key.password"), "{error}");
    let missing = TlsConfig::builder().ca_file("/no/such/file.pem").unwrap_err().to_string();
    assert!(missing.contains("/no/such/file.pem"), "{missing}");
}
