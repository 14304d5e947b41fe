//! SIGKILL at random instants: what was acknowledged is there afterwards, once, where it was said to be, no id comes twice, and groups
//! have their members and their offsets.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use felice_protocol::compression::{Compression, Compressor, Decompressor};
use felice_protocol::messages::fetch::request::{FetchPartition, FetchTopic};
use felice_protocol::messages::produce::request::{PartitionProduceData, TopicProduceData};
use felice_protocol::messages::{
    FetchRequest, FindCoordinatorRequest, HeartbeatRequest, InitProducerIdRequest, JoinGroupRequest, MetadataRequest,
    OffsetCommitRequest, OffsetFetchRequest, ProduceRequest, Request, SyncGroupRequest, decode_response,
    encode_request, join_group, metadata, offset_commit, offset_fetch,
};
use felice_protocol::records::{Producer, RecordBatchBuilder, RecordBatches};

const CHILD: &str = "FELICE_KILL_TEST_DATA";

/// Not a test: the broker that the test below starts in a process of its own, to kill it.
#[test]
#[ignore = "started by the test below"]
fn broker_process() {
    let Ok(data) = std::env::var(CHILD) else { return };
    let (dir, flush) = data.rsplit_once('|').unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let broker =
            felice_broker::Broker::builder().data_dir(dir).config("felice.flush", flush).start().await.unwrap();
        println!("\nready {}", broker.bootstrap());
        std::future::pending::<()>().await;
    });
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(dir: &Path, flush: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["broker_process", "--exact", "--ignored", "--nocapture"])
            .env(CHILD, format!("{}|{flush}", dir.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| line.unwrap().strip_prefix("ready ").map(str::to_owned))
            .expect("the broker did not come up");
        Self { process, address }
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client {
    stream: TcpStream,
}

impl Client {
    fn call<R: Request>(&mut self, version: i16, request: &R) -> std::io::Result<R::Response> {
        let frame = encode_request(1, Some("kill-test"), version, request).unwrap().into_bytes();
        self.stream.write_all(&frame)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer)?;
        Ok(decode_response::<R>(version, answer.into()).unwrap().1)
    }

    fn topic_id(&mut self, name: &str) -> felice_protocol::primitives::Uuid {
        let topic = metadata::request::MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
        self.call(12, &request).unwrap().topics[0].topic_id
    }

    fn produce(&mut self, topic: &str, batch: Bytes) -> std::io::Result<i64> {
        let partition = PartitionProduceData { records: Some(batch), ..Default::default() };
        let data = TopicProduceData { name: topic.into(), partition_data: vec![partition], ..Default::default() };
        let request = ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![data],
            ..Default::default()
        };
        let response = self.call(9, &request)?;
        let partition = &response.responses[0].partition_responses[0];
        assert!(partition.error_code.is_ok(), "{:?} {:?}", partition.error_code, partition.error_message);
        Ok(partition.base_offset)
    }

    /// Joins a group as its only member, with an assignment: the member's id.
    fn join(&mut self, group: &str) -> String {
        self.call(3, &FindCoordinatorRequest { key: group.into(), ..Default::default() }).unwrap();
        let protocol = join_group::request::JoinGroupRequestProtocol { name: "range".into(), ..Default::default() };
        let request = JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: 60_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            ..Default::default()
        };
        let joined = self.call(3, &request).unwrap();
        assert_eq!((joined.error_code.is_ok(), joined.generation_id), (true, 1), "{:?}", joined.error_code);
        let request = SyncGroupRequest {
            group_id: group.into(),
            generation_id: 1,
            member_id: joined.member_id.clone(),
            ..Default::default()
        };
        assert!(self.call(3, &request).unwrap().error_code.is_ok());
        joined.member_id.to_string()
    }

    fn commit(&mut self, group: &str, member: &str, offset: i64) -> std::io::Result<()> {
        use offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
        let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topic = OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: group.into(),
            generation_id_or_member_epoch: 1,
            member_id: member.into(),
            topics: vec![topic],
            ..Default::default()
        };
        let code = self.call(7, &request)?.topics[0].partitions[0].error_code;
        assert!(code.is_ok(), "{code:?}");
        Ok(())
    }

    fn committed(&mut self, group: &str) -> i64 {
        let topic = offset_fetch::request::OffsetFetchRequestTopic {
            name: "t".into(),
            partition_indexes: vec![0],
            ..Default::default()
        };
        let request = OffsetFetchRequest { group_id: group.into(), topics: Some(vec![topic]), ..Default::default() };
        self.call(5, &request).unwrap().topics[0].partitions[0].committed_offset
    }

    /// Every value, by offset.
    fn read_all(&mut self, topic: &str) -> BTreeMap<i64, String> {
        let mut values = BTreeMap::new();
        let mut offset = 0;
        loop {
            let partition = FetchPartition { fetch_offset: offset, partition_max_bytes: 1 << 20, ..Default::default() };
            let topics = vec![FetchTopic { topic: topic.into(), partitions: vec![partition], ..Default::default() }];
            let request = FetchRequest { max_bytes: 1 << 20, min_bytes: 0, topics, ..Default::default() };
            let response = self.call(12, &request).unwrap();
            let partition = &response.responses[0].partitions[0];
            assert!(partition.error_code.is_ok());
            for batch in RecordBatches::new(partition.records.clone().unwrap()) {
                let batch = batch.unwrap();
                batch.verify_crc().unwrap();
                let records = batch.records(&mut Decompressor::default(), 1 << 20).unwrap();
                for record in &records {
                    let record = record.unwrap();
                    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                    assert!(values.insert(record.offset, value).is_none());
                    offset = record.offset + 1;
                }
            }
            if offset >= partition.high_watermark {
                return values;
            }
        }
    }
}

fn batch(values: &[String], producer: Producer) -> Bytes {
    let mut builder = RecordBatchBuilder::new(BytesMut::new());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    for value in values {
        builder.append(i64::try_from(now.as_millis()).unwrap(), None, Some(value.as_bytes()), &[]);
    }
    builder.close(&mut Compressor::default(), Compression::None, None).seal(producer, false)
}

fn cycles(flush: &str, count: u64, seed: u64, at_least: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<i64, String> = BTreeMap::new();
    let mut sent = BTreeSet::new();
    let mut producer_ids = BTreeSet::new();
    let mut topic_ids = BTreeMap::new();
    for cycle in 0..count {
        let mut server = Server::start(dir.path(), flush);
        let mut client = server.client();
        topic_ids.entry("t".to_owned()).or_insert_with(|| client.topic_id("t"));
        let fresh = format!("fresh-{cycle}");
        topic_ids.insert(fresh.clone(), client.topic_id(&fresh));
        for (name, id) in &topic_ids {
            assert_eq!(client.topic_id(name), *id, "{name} has another id after a crash");
        }
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        let id = client.call(4, &request).unwrap().producer_id;
        assert!(producer_ids.insert(id), "producer id {id} was given out twice");

        let group = format!("group-{cycle}");
        let member = client.join(&group);
        let mut committed = -1;

        // SIGKILL lands anywhere within the next writes.
        let random = (seed + cycle).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let process = server.process.id();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(at_least + Duration::from_micros(random % 60_000));
            Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
        });
        let mut sequence = 0;
        let started = Instant::now();
        for number in 0.. {
            assert!(started.elapsed() < Duration::from_secs(20), "the broker outlived its killing");
            let values: Vec<String> = (0..1 + number % 7).map(|n| format!("{cycle}-{number}-{n}")).collect();
            let producer = Producer { id, epoch: 0, base_sequence: sequence };
            sequence += i32::try_from(values.len()).unwrap();
            sent.extend(values.iter().cloned());
            match client.produce("t", batch(&values, producer)) {
                Ok(base) => acknowledged.extend((base..).zip(values)),
                Err(_) => break,
            }
            match client.commit(&group, &member, committed + 1) {
                Ok(()) => committed += 1,
                Err(_) => break,
            }
        }
        killer.join().unwrap();
        server.process.wait().unwrap();

        let server = Server::start(dir.path(), flush);
        let there = server.client().read_all("t");
        for (offset, value) in &acknowledged {
            assert_eq!(there.get(offset), Some(value), "cycle {cycle}: acknowledged at {offset}");
        }
        let distinct: BTreeSet<&String> = there.values().collect();
        assert_eq!(distinct.len(), there.len(), "cycle {cycle}: a record is there twice");
        assert!(there.values().all(|value| sent.contains(value)));
        // The last commit may be there without having been acknowledged.
        let kept = server.client().committed(&group);
        assert!((committed..=committed + 1).contains(&kept), "cycle {cycle}: {kept} instead of {committed}");
        let heartbeat = HeartbeatRequest {
            group_id: group.into(),
            generation_id: 1,
            member_id: member.into(),
            ..Default::default()
        };
        let code = server.client().call(3, &heartbeat).unwrap().error_code;
        assert!(code.is_ok(), "cycle {cycle}: the member goes on as if nothing had been, and hears {code:?}");
    }
    assert!(acknowledged.len() > 20, "only {} records were acknowledged", acknowledged.len());
    eprintln!("flush={flush}: {count} cycles, {} records acknowledged and found", acknowledged.len());
}

#[test]
fn what_was_acknowledged_survives_sigkill() {
    cycles("none", 5, 1, Duration::from_millis(20));
}

#[test]
fn what_was_synced_and_acknowledged_survives_sigkill() {
    // A sync may take ten milliseconds.
    cycles("batch", 5, 100, Duration::from_millis(150));
}
