//! The mock cluster's sockets: ports that stay, connections that close, a thread that ends.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use felice_broker::mock::{ApiKey, ErrorCode, Fault, MockCluster};
use felice_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, decode_response, encode_request};

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn ask(stream: &mut TcpStream) {
    let frame = encode_request(7, None, 0, &ApiVersionsRequest::default()).unwrap().into_bytes();
    stream.write_all(&frame).unwrap();
}

fn hear(stream: &mut TcpStream) -> ApiVersionsResponse {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut frame).unwrap();
    decode_response::<ApiVersionsRequest>(0, frame.into()).unwrap().1
}

/// Whether the other end has closed.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_node_that_is_down_refuses_and_comes_back_on_its_port() {
    let cluster = MockCluster::start(2).unwrap();
    let addresses: Vec<String> = cluster.bootstrap().split(',').map(str::to_owned).collect();
    let (mut first, mut second) = (connect(&addresses[0]), connect(&addresses[1]));
    ask(&mut first);
    assert!(!hear(&mut first).api_keys.is_empty());
    ask(&mut second);
    hear(&mut second);
    for _ in 0..3 {
        cluster.set_down(2).unwrap();
        assert!(is_closed(&mut second));
        assert_eq!(TcpStream::connect(&addresses[1]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        cluster.set_up(2).unwrap();
        second = connect(&addresses[1]);
        ask(&mut second);
        hear(&mut second);
    }
    ask(&mut first);
    hear(&mut first);
    assert_eq!(cluster.set_down(3), Err(ErrorCode::BROKER_NOT_AVAILABLE));
}

#[test]
fn nodes_come_and_go() {
    let cluster = MockCluster::start(1).unwrap();
    let port = cluster.add_node(7).unwrap();
    assert_eq!(cluster.add_node(7), Err(ErrorCode::INVALID_REQUEST));
    let address = format!("127.0.0.1:{port}");
    let mut stream = connect(&address);
    ask(&mut stream);
    hear(&mut stream);
    assert_eq!(cluster.with(|c, _| c.nodes()), [1, 7]);
    cluster.remove_node(7).unwrap();
    assert!(is_closed(&mut stream));
    assert_eq!(cluster.remove_node(7), Err(ErrorCode::BROKER_NOT_AVAILABLE));
}

#[test]
fn a_fault_closes_one_connection_and_slow_answers_come_all_the_same() {
    let cluster = MockCluster::start(1).unwrap();
    cluster.with(|c, _| c.push_faults(ApiKey::API_VERSIONS, [Fault::Disconnect, ErrorCode::NOT_CONTROLLER.into()]));
    let mut stream = connect(cluster.bootstrap());
    ask(&mut stream);
    assert!(is_closed(&mut stream));
    let mut stream = connect(cluster.bootstrap());
    ask(&mut stream);
    assert_eq!(hear(&mut stream).error_code, ErrorCode::NOT_CONTROLLER);
    cluster.with(|c, now| c.set_rtt(now, 1, Duration::from_millis(30))).unwrap();
    // Sent together, answered together.
    (0..20).for_each(|_| ask(&mut stream));
    (0..20).for_each(|_| drop(hear(&mut stream)));
    // And what would come in an hour comes when the node is fast again.
    cluster.with(|c, now| c.set_rtt(now, 1, Duration::from_secs(3600))).unwrap();
    ask(&mut stream);
    cluster.with(|c, now| c.set_rtt(now, 1, Duration::ZERO)).unwrap();
    hear(&mut stream);
}

#[test]
fn a_cluster_that_is_dropped_closes_everything() {
    let cluster = MockCluster::start(3).unwrap();
    let address = cluster.bootstrap().split(',').next().unwrap().to_owned();
    let mut stream = connect(&address);
    ask(&mut stream);
    hear(&mut stream);
    drop(cluster);
    assert!(is_closed(&mut stream));
    assert_eq!(TcpStream::connect(&address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_property_that_cannot_be_is_an_error() {
    let error = MockCluster::builder().config("num.partition", "4").start().unwrap_err();
    assert!(error.to_string().contains("num.partitions"), "{error}");
}

#[test]
fn it_may_be_commanded_from_any_thread() {
    fn any_thread<T: Send + Sync>(_: &T) {}
    let cluster = MockCluster::start(1).unwrap();
    any_thread(&cluster);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let cluster = &cluster;
            scope.spawn(move || cluster.with(|c, now| c.create_topic(now, &format!("t{n}"), 1, 1)).unwrap());
        }
    });
    assert_eq!(cluster.with(|c, _| c.watermarks("t3", 0)), Ok((0, 0)));
}
