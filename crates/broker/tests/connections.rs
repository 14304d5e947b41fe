//! The broker over sockets: frames that are none, clients that go, starts that cannot be, stops.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use felice_broker::{Broker, Error};
use felice_protocol::messages::{ApiVersionsRequest, decode_response, encode_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    matches!(timeout(SOON, stream.read(&mut byte)).await, Ok(Ok(0) | Err(_)))
}

async fn api_versions(stream: &mut TcpStream) -> usize {
    let request = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
        ..Default::default()
    };
    stream.write_all(&encode_request(5, None, 3, &request).unwrap().into_bytes()).await.unwrap();
    read_api_versions(stream).await
}

async fn read_api_versions(stream: &mut TcpStream) -> usize {
    let length = timeout(SOON, stream.read_i32()).await.unwrap().unwrap();
    let mut answer = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut answer).await.unwrap();
    let (correlation_id, response) = decode_response::<ApiVersionsRequest>(3, answer.into()).unwrap();
    assert_eq!(correlation_id, 5);
    response.api_keys.len()
}

#[tokio::test]
async fn a_frame_that_is_none_closes_its_connection_and_no_other() {
    let broker = Broker::builder().config("socket.request.max.bytes", "100000").start().await.unwrap();
    let mut good = TcpStream::connect(broker.bootstrap()).await.unwrap();
    let bad: [&[u8]; 6] = [
        &[0xff, 0xff, 0xff, 0xff],
        &100_001_i32.to_be_bytes(),
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03],
        &[0, 0, 0, 2, 0, 18],
        &[0, 0, 0, 0],
    ];
    for bytes in bad {
        let mut stream = TcpStream::connect(broker.bootstrap()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        assert!(is_closed(&mut stream).await, "{bytes:?} left the connection open");
    }
    assert!(api_versions(&mut good).await > 10);
    broker.shutdown().await.unwrap();
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let broker = Broker::builder().in_memory().start().await.unwrap();
    let mut stream = TcpStream::connect(broker.bootstrap()).await.unwrap();
    let request = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
        ..Default::default()
    };
    let frame = encode_request(5, None, 3, &request).unwrap().into_bytes();
    stream.write_all(&frame.repeat(100)).await.unwrap();
    for _ in 0..100 {
        read_api_versions(&mut stream).await;
    }
}

#[tokio::test]
async fn a_data_directory_has_one_broker() {
    let dir = tempfile::tempdir().unwrap();
    let first = Broker::builder().data_dir(dir.path()).start().await.unwrap();
    let second = Broker::builder().data_dir(dir.path()).start().await;
    assert!(matches!(&second, Err(Error::Locked { .. })), "{second:?}");
    first.shutdown().await.unwrap();
    Broker::builder().data_dir(dir.path()).start().await.unwrap().shutdown().await.unwrap();
}

#[tokio::test]
async fn a_start_that_cannot_be_says_why() {
    let first = Broker::start().await.unwrap();
    let taken = Broker::builder().listen(first.bootstrap()).start().await.unwrap_err().to_string();
    assert!(taken.contains(first.bootstrap()) && taken.contains("port 0 takes a free one"), "{taken}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let blocked = Broker::builder().data_dir(file.path()).start().await.unwrap_err().to_string();
    assert!(blocked.contains("there is a file of that name"), "{blocked}");
    let slip = Broker::builder().config("num.partition", "3").start().await.unwrap_err().to_string();
    assert!(slip.ends_with("did you mean num.partitions?"), "{slip}");
}

#[tokio::test]
async fn a_temporary_directory_goes_with_its_broker() {
    let broker = Broker::start().await.unwrap();
    let dir = broker.data_dir().unwrap().to_owned();
    assert!(dir.exists());
    drop(broker);
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_directory_of_another_node_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Broker::builder().data_dir(dir.path()).start().await.unwrap().shutdown().await.unwrap();
    let other = Broker::builder().data_dir(dir.path()).config("node.id", "2").start().await;
    assert!(other.unwrap_err().to_string().contains("belongs to node.id=1"));
}
