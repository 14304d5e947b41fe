//! Any frames to a broker with a topic: it answers each once, in order and to its own number, or closes the connection; and it stops well.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use felice_broker_core::{BrokerConfig, BrokerCore, ConnectionId, Output};
use felice_fuzz::Input;
use felice_log::MemDisk;
use felice_protocol::messages::create_topics::request::CreatableTopic;
use felice_protocol::messages::{CreateTopicsRequest, encode_request};
use felice_protocol::time::Now;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let disk = MemDisk::new();
    let mut host = Host::start(&disk);
    let mut input = Input(data);
    for number in 0..16 {
        if input.is_empty() {
            break;
        }
        let length = usize::from(input.short());
        host.request(ConnectionId(number % 3), Bytes::copy_from_slice(input.take(length)));
    }
    host.broker.shutdown(host.now).expect("a broker on a sound disk stops well");
    Host::start(&disk);
});

struct Host {
    broker: BrokerCore,
    now: Now,
}

impl Host {
    fn start(disk: &MemDisk) -> Self {
        let now = Now { monotonic_nanos: 0, wall_millis: 1_700_000_000_000 };
        let config = BrokerConfig::new("data");
        let broker = BrokerCore::open(config, Arc::new(disk.clone()), 1, now).expect("a broker on a sound disk starts");
        let mut host = Self { broker, now };
        let topic =
            CreatableTopic { name: "t".into(), num_partitions: 2, replication_factor: 1, ..CreatableTopic::default() };
        let create = CreateTopicsRequest { topics: vec![topic], timeout_ms: 1000, ..CreateTopicsRequest::default() };
        let frame = encode_request(1, None, 7, &create).expect("a request of ours").chunks.concat();
        host.request(ConnectionId(9), Bytes::from(frame).slice(4..));
        host
    }

    /// Hands a frame over and drives the broker until it is answered or refused. Every wait has a deadline, so this ends.
    fn request(&mut self, connection: ConnectionId, frame: Bytes) {
        let correlation = frame.get(4..8).map(<[u8]>::to_vec);
        self.broker.handle_connect(self.now, connection, "PLAINTEXT");
        self.broker.handle_request(self.now, connection, frame);
        for _ in 0..100 {
            while let Some(output) = self.broker.poll_output() {
                match output {
                    Output::Response { connection: to, frame } => {
                        assert_eq!(to, connection, "an answer to somebody who asked nothing");
                        let answer = frame.chunks.concat();
                        if !answer.is_empty() {
                            assert_eq!(answer.get(4..8), correlation.as_deref(), "an answer to another request");
                        }
                        return;
                    }
                    Output::Close { .. } => {
                        self.broker.handle_disconnect(self.now, connection);
                        return;
                    }
                    Output::Sync { ticket, .. } => self.broker.handle_synced(self.now, ticket, Ok(())),
                    Output::Log { .. } => {}
                }
            }
            let Some(next) = self.broker.poll_timeout() else { panic!("no answer, and nothing to wait for") };
            self.now.monotonic_nanos = self.now.monotonic_nanos.max(next.0);
            self.broker.handle_timeout(self.now);
        }
        // A wait of days behind many of the broker's own chores: give up on this one.
        self.broker.handle_disconnect(self.now, connection);
    }
}
