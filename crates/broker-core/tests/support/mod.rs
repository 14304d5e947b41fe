//! A core on a disk in memory, and a client that speaks to it in frames.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use felice_broker_core::{BrokerConfig, BrokerCore, ConnectionId, Output};
use felice_log::{Disk, MemDisk};
use felice_protocol::compression::{Compression, Compressor};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::fetch::request::{FetchPartition, FetchTopic};
use felice_protocol::messages::produce::request::{PartitionProduceData, TopicProduceData};
use felice_protocol::messages::{
    CreateTopicsRequest, DeleteRecordsRequest, FetchRequest, FetchResponse, IncrementalAlterConfigsRequest,
    MetadataRequest, ProduceRequest, ProduceResponse, Request, create_topics, decode_response, delete_records,
    encode_request, incremental_alter_configs, metadata, produce,
};
use felice_protocol::records::{Producer, RecordBatchBuilder};
use felice_protocol::time::Now;

pub(crate) const CLIENT: ConnectionId = ConnectionId(1);
pub(crate) const OTHER: ConnectionId = ConnectionId(2);
pub(crate) const T0: i64 = 1_760_000_000_000;

pub(crate) struct World {
    pub(crate) core: BrokerCore,
    pub(crate) disk: MemDisk,
    pub(crate) now: Now,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(properties: &[(&str, &str)]) -> Self {
        Self::open(MemDisk::new(), properties)
    }

    pub(crate) fn open(disk: MemDisk, properties: &[(&str, &str)]) -> Self {
        let now = Now { monotonic_nanos: 1_000_000_000, wall_millis: T0 };
        let mut config = BrokerConfig::new("/data");
        for (name, value) in properties {
            config.set(name, value).unwrap();
        }
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut core = BrokerCore::open(config, shared, 7, now).unwrap();
        for connection in [CLIENT, OTHER] {
            core.handle_connect(now, connection, "PLAINTEXT");
        }
        Self { core, disk, now }
    }

    /// Lets time pass, and the core know.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now.monotonic_nanos += millis * 1_000_000;
        self.now.wall_millis += i64::try_from(millis).unwrap();
        if self.core.poll_timeout().is_some_and(|at| at <= self.now.instant()) {
            self.core.handle_timeout(self.now);
        }
    }

    /// Sends a request, and gives all that the core puts out.
    pub(crate) fn send<R: Request>(&mut self, from: ConnectionId, version: i16, request: &R) -> Vec<Output> {
        let frame = encode_request(1, Some("test"), version, request).unwrap().into_bytes().slice(4..);
        self.send_bytes(from, frame)
    }

    pub(crate) fn send_bytes(&mut self, from: ConnectionId, frame: Bytes) -> Vec<Output> {
        self.core.handle_request(self.now, from, frame);
        self.outputs()
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.core.poll_output()).collect()
    }

    /// Sends a request that is answered at once.
    pub(crate) fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let outputs = self.send(CLIENT, version, request);
        response::<R>(&outputs, CLIENT, version).unwrap_or_else(|| panic!("no answer among {outputs:?}"))
    }

    /// Runs the syncs among the outputs, and gives what follows.
    pub(crate) fn sync(&mut self, outputs: Vec<Output>) -> Vec<Output> {
        let mut rest = Vec::new();
        for output in outputs {
            match output {
                Output::Sync { ticket, flushes } => {
                    let result = flushes.iter().map(|flush| flush.run()).fold(Ok(()), Result::and);
                    self.core.handle_synced(self.now, ticket, result);
                    rest.extend(self.outputs());
                }
                other => rest.push(other),
            }
        }
        rest
    }

    pub(crate) fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> ErrorCode {
        let topic = create_topics::request::CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs
                .iter()
                .map(|(name, value)| create_topics::request::CreatableTopicConfig {
                    name: (*name).into(),
                    value: Some((*value).into()),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
        self.call(7, &request).topics[0].error_code
    }

    pub(crate) fn topic(&mut self, name: &str) -> metadata::response::MetadataResponseTopic {
        let topic = metadata::request::MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
        let request =
            MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..Default::default() };
        self.call(12, &request).topics.remove(0)
    }

    pub(crate) fn produce(&mut self, topic: &str, batch: Bytes) -> produce::response::PartitionProduceResponse {
        let response = self.call(9, &produce_request(topic, 0, -1, batch));
        partition_of(response)
    }

    pub(crate) fn fetch(&mut self, topic: &str, offset: i64) -> FetchResponse {
        self.call(12, &fetch_request(topic, offset, 0, 1))
    }
}

pub(crate) fn partition_of(mut response: ProduceResponse) -> produce::response::PartitionProduceResponse {
    response.responses.remove(0).partition_responses.remove(0)
}

pub(crate) fn response<R: Request>(outputs: &[Output], to: ConnectionId, version: i16) -> Option<R::Response> {
    outputs.iter().find_map(|output| match output {
        Output::Response { connection, frame } if *connection == to => {
            let frame = frame.clone().into_bytes().slice(4..);
            Some(decode_response::<R>(version, frame).unwrap().1)
        }
        _ => None,
    })
}

pub(crate) fn close_reason(outputs: &[Output]) -> String {
    outputs
        .iter()
        .find_map(|output| match output {
            Output::Close { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no close among {outputs:?}"))
}

pub(crate) fn produce_request(topic: &str, partition: i32, acks: i16, batch: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            partition_data: vec![PartitionProduceData { index: partition, records: Some(batch), ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub(crate) fn fetch_request(topic: &str, offset: i64, max_wait_ms: i32, min_bytes: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms,
        min_bytes,
        max_bytes: 1 << 20,
        topics: vec![FetchTopic {
            topic: topic.into(),
            partitions: vec![FetchPartition {
                partition: 0,
                fetch_offset: offset,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Deletes what is in front of an offset in partition 0.
pub(crate) fn delete_records(topic: &str, offset: i64) -> DeleteRecordsRequest {
    use delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic};
    let partitions = vec![DeleteRecordsPartition { offset, ..Default::default() }];
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions, ..Default::default() }];
    DeleteRecordsRequest { topics, timeout_ms: 1000, ..Default::default() }
}

/// Changes properties: name, operation (0 set, 1 delete, 2 append, 3 subtract), value.
pub(crate) fn incremental(
    resource_type: i8,
    name: &str,
    changes: &[(&str, i8, Option<&str>)],
) -> IncrementalAlterConfigsRequest {
    use incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig};
    let configs = changes.iter().map(|(name, config_operation, value)| AlterableConfig {
        name: (*name).into(),
        config_operation: *config_operation,
        value: value.map(Into::into),
        ..Default::default()
    });
    let resource = AlterConfigsResource {
        resource_type,
        resource_name: name.into(),
        configs: configs.collect(),
        ..Default::default()
    };
    IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() }
}

pub(crate) fn batch(values: &[&str]) -> Bytes {
    batch_of(values, Producer::NONE, Compression::None, T0)
}

pub(crate) fn batch_of(values: &[&str], producer: Producer, compression: Compression, timestamp: i64) -> Bytes {
    let mut builder = RecordBatchBuilder::new(BytesMut::new());
    for value in values {
        builder.append(timestamp, Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.close(&mut Compressor::default(), compression, None).seal(producer, false)
}

pub(crate) fn producer(id: i64, epoch: i16, base_sequence: i32) -> Producer {
    Producer { id, epoch, base_sequence }
}
