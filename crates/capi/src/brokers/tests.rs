//! Answers that hold the client back, and those that are late.

use std::ffi::{c_char, c_int, c_void};

use felice::protocol::messages::{
    FetchRequest, FetchResponse, HeartbeatRequest, HeartbeatResponse, encode_request, encode_response,
};
use felice::protocol::messages::{Message, Request as ApiRequest};
use felice::raw::ConnectionId;

use super::*;
use crate::log::LogSettings;
use crate::queue::Popped;

unsafe extern "C" fn on_throttle(_: *mut Kafka, _: *const c_char, _: i32, _: c_int, _: *mut c_void) {}

const CONNECTION: ConnectionId = ConnectionId(1);

/// A handle's brokers, of which there is one, with a connection.
fn one_broker() -> Brokers {
    let mut conf = Conf::new();
    conf.callbacks.throttle_cb = Some(on_throttle);
    let log = Logger::new(LogSettings {
        name: CString::default(),
        level: 0,
        debug: 0,
        callback: None,
        thread_name: false,
        queue: false,
    });
    let brokers = Brokers::new(Arc::new(log), Queue::new(), true, &conf);
    brokers.see(Observed::Connecting { connection: CONNECTION, broker: Some(3), address: "host:9092" });
    brokers.see(Observed::Connected { connection: CONNECTION, local: None });
    brokers
}

fn send<R: ApiRequest + Default>(brokers: &Brokers, correlation_id: i32) {
    let frame = encode_request(correlation_id, None, R::MAX_VERSION, &R::default()).unwrap();
    brokers.see(Observed::Sent { connection: CONNECTION, frame: &frame, answered: true });
}

fn answer<R: ApiRequest>(brokers: &Brokers, correlation_id: i32, response: &impl Message) {
    let frame = encode_response(R::API_KEY, R::MAX_VERSION, correlation_id, response).unwrap();
    brokers.see(Observed::Received { connection: CONNECTION, frame: &frame.into_bytes().slice(4..) });
}

fn told(brokers: &Brokers) -> Vec<(String, i32, i32)> {
    let next = || brokers.main.pop(Deadline::after(0));
    std::iter::from_fn(next)
        .filter_map(|popped| match popped {
            Popped::Op(Op::Throttle { broker, id, time }) => Some((broker.into_string().unwrap(), id, time)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_broker_that_holds_a_client_back_is_counted_and_told_of_until_it_stops() {
    let brokers = one_broker();
    for (correlation_id, throttle_time_ms) in [(0, 0), (1, 70), (2, 30), (3, 0), (4, 0)] {
        send::<FetchRequest>(&brokers, correlation_id);
        let response = FetchResponse { throttle_time_ms, ..FetchResponse::default() };
        answer::<FetchRequest>(&brokers, correlation_id, &response);
    }
    let expected = [70, 30, 0].map(|time| ("host:9092".to_owned(), 3, time));
    assert_eq!(told(&brokers), expected, "the end is told once");
    brokers.for_each(|broker| {
        let window = broker.throttle.roll_over();
        assert_eq!((&window["cnt"], &window["min"], &window["max"]), (&2.into(), &30.into(), &70.into()));
    });
}

#[test]
fn an_answer_that_comes_too_late_answers_no_other_request() {
    let brokers = one_broker();
    send::<HeartbeatRequest>(&brokers, 0);
    brokers.see(Observed::GaveUp { connection: CONNECTION });
    send::<HeartbeatRequest>(&brokers, 1);
    answer::<HeartbeatRequest>(&brokers, 0, &HeartbeatResponse::default());
    let counts = |brokers: &Brokers| {
        let mut all = None;
        brokers.for_each(|broker| all = Some((broker.timeouts, broker.unexpected, broker.in_flight())));
        all
    };
    assert_eq!(counts(&brokers), Some((1, 1, 1)));
    answer::<HeartbeatRequest>(&brokers, 1, &HeartbeatResponse::default());
    assert_eq!(counts(&brokers), Some((1, 1, 0)));
    let error = Error::new(ErrorKind::Connect, "gone");
    brokers.see(Observed::Disconnected { connection: CONNECTION, error: &error });
    brokers.for_each(|broker| assert_eq!((broker.receive_errors, broker.timeouts), (1, 1)));
}
