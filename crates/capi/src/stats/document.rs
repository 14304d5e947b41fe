//! What statistics say. Names and kinds of values are librdkafka's: strict readers refuse a document that lacks one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use felice::protocol::messages::ApiKey;
use felice::raw::{ClusterMetadata, Identity, IdentityState, SenderStanding};
use serde_json::{Map, Value, json};

use super::{PartitionStats, Window};
use crate::brokers::Broker;
use crate::handle::Kafka;

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// All there is to say now. Windows begin anew.
pub(super) fn make(kafka: &Kafka, senders: &[SenderStanding]) -> Value {
    let partitions = super::source::partitions(kafka, senders);
    let cluster = kafka.brokers.cluster();
    let mut brokers = Map::new();
    let mut totals = [0_u64; 4];
    kafka.brokers.for_each(|broker| {
        for (total, more) in
            totals.iter_mut().zip([broker.requests, broker.request_bytes, broker.answers, broker.answer_bytes])
        {
            *total += more;
        }
        brokers.insert(broker.name(), of_broker(kafka, broker, &partitions, &cluster));
    });
    let sum = |of: fn(&PartitionStats) -> u64| partitions.iter().map(of).sum::<u64>();
    let waiting = kafka.producer.as_ref().map_or(0, |producer| producer.in_queue());
    let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let [requests, request_bytes, answers, answer_bytes] = totals;
    let mut all = json!({
        "name": kafka.name.to_string_lossy(),
        "client_id": kafka.conf.text("client.id").unwrap_or("rdkafka"),
        "type": if kafka.is_producer() { "producer" } else { "consumer" },
        "ts": micros(kafka.since),
        "time": epoch,
        "age": micros(kafka.since),
        "replyq": kafka.main.len(),
        "msg_cnt": waiting,
        "msg_size": sum(|p| p.queued.1 + p.in_flight.1),
        "msg_max": kafka.conf.int("queue.buffering.max.messages"),
        "msg_size_max": kafka.conf.int("queue.buffering.max.kbytes").saturating_mul(1024),
        "simple_cnt": kafka.consumer.as_ref().map_or(0, |consumer| consumer.legacy_starts()),
        "metadata_cache_cnt": kafka.topics.count(),
        "brokers": brokers,
        "topics": topics(kafka, &partitions, &cluster),
        "tx": requests,
        "tx_bytes": request_bytes,
        "rx": answers,
        "rx_bytes": answer_bytes,
        "txmsgs": sum(|p| p.sent.0),
        "txmsg_bytes": sum(|p| p.sent.1),
        "rxmsgs": sum(|p| p.received.0),
        "rxmsg_bytes": sum(|p| p.received.1),
    });
    let mut add = |name: &str, value: Value| {
        if let Value::Object(fields) = &mut all {
            fields.insert(name.to_owned(), value);
        }
    };
    if let Some(group) = kafka.consumer.as_ref().and_then(|consumer| consumer.group_stats()) {
        add("cgrp", group);
    }
    if kafka.is_producer() && kafka.conf.flag("enable.idempotence") {
        // Where topics have settings of their own, each set has its producer: the first is told of.
        let sender = senders.first();
        let state = sender.map_or(IdentityState::Wanted, |sender| sender.identity);
        let identities = sender.map_or(0, |sender| sender.identities);
        let idempotence = match state {
            _ if kafka.fatal.get().is_some() => "FatalError",
            IdentityState::Failed => "FatalError",
            // The client asks for a producer id with its first batch.
            IdentityState::NotNeeded | IdentityState::Wanted if identities == 0 => "Init",
            IdentityState::NotNeeded | IdentityState::Wanted => "RequestPID",
            IdentityState::Asked => "WaitPID",
            IdentityState::Ready(_) => "Assigned",
        };
        let identity = if let IdentityState::Ready(identity) = state { identity } else { Identity::NONE };
        let producer = json!({
            "idemp_state": idempotence,
            "idemp_stateage": millis(kafka.since.elapsed()),
            "txn_state": "Init",
            "txn_stateage": 0,
            "txn_may_enq": false,
            "producer_id": identity.id,
            "producer_epoch": identity.epoch,
            "epoch_cnt": identities,
        });
        add("eos", producer);
    }
    all
}

fn of_broker(kafka: &Kafka, broker: &mut Broker, partitions: &[PartitionStats], cluster: &ClusterMetadata) -> Value {
    let counted = kafka.producer.as_ref().and_then(|producer| producer.counted());
    let mut waits = counted.map(|counted| counted.waits(broker.id)).unwrap_or_default();
    let idle = |at: Option<Instant>| at.map_or(-1, |at| i64::try_from(micros(at)).unwrap_or(i64::MAX));
    let requests: Map<String, Value> =
        broker.by_api.iter().map(|(key, count)| (ApiKey(*key).to_string(), json!(count))).collect();
    let leads = |p: &&PartitionStats| {
        cluster.partition(&p.topic, p.partition).is_some_and(|known| known.leader == Some(broker.id))
    };
    let led = partitions.iter().filter(leads);
    let in_flight: u64 = partitions.iter().filter(|p| p.sent_to == Some(broker.id)).map(|p| p.in_flight.0).sum();
    let held: Map<String, Value> = led
        .map(|p| (format!("{}-{}", p.topic, p.partition), json!({ "topic": p.topic, "partition": p.partition })))
        .collect();
    json!({
        "name": broker.name(),
        "nodeid": broker.id,
        "nodename": if broker.id < 0 { "" } else { broker.address.as_str() },
        "source": if broker.id < 0 { "configured" } else { "learned" },
        "state": broker.state.name(),
        "stateage": micros(broker.state_since),
        "outbuf_cnt": 0,
        "outbuf_msg_cnt": 0,
        "waitresp_cnt": broker.in_flight(),
        "waitresp_msg_cnt": in_flight,
        "tx": broker.requests,
        "txbytes": broker.request_bytes,
        "txerrs": broker.failures,
        "txretries": 0,
        "txidle": idle(broker.sent_at),
        "req_timeouts": broker.timeouts,
        "rx": broker.answers,
        "rxbytes": broker.answer_bytes,
        "rxerrs": broker.receive_errors,
        "rxcorriderrs": broker.unexpected,
        "rxpartial": 0,
        "rxidle": idle(broker.received_at),
        "zbuf_grow": 0,
        "buf_grow": 0,
        "wakeups": broker.requests + broker.answers,
        "connects": broker.connects,
        "disconnects": broker.disconnects,
        "int_latency": waits.roll_over(),
        "outbuf_latency": Window::default().roll_over(),
        "rtt": broker.rtt.roll_over(),
        "throttle": broker.throttle.roll_over(),
        "req": requests,
        "toppars": held,
    })
}

fn topics(kafka: &Kafka, partitions: &[PartitionStats], cluster: &ClusterMetadata) -> Value {
    let mut by_topic: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for partition in partitions {
        let of_topic = by_topic.entry(partition.topic.as_str()).or_default();
        of_topic.insert(partition.partition.to_string(), of_partition(cluster, partition));
    }
    let topics: Map<String, Value> = by_topic
        .into_iter()
        .map(|(topic, partitions)| {
            let counted = kafka.producer.as_ref().and_then(|producer| producer.counted());
            let (mut sizes, mut counts) = counted.map(|counted| counted.batches(topic)).unwrap_or_default();
            let about = json!({
                "topic": topic,
                "age": millis(kafka.since.elapsed()),
                "metadata_age": kafka.brokers.metadata_age(topic).map_or(0, millis),
                "batchsize": sizes.roll_over(),
                "batchcnt": counts.roll_over(),
                "partitions": partitions,
            });
            (topic.to_owned(), about)
        })
        .collect();
    Value::Object(topics)
}

fn of_partition(cluster: &ClusterMetadata, p: &PartitionStats) -> Value {
    let known = cluster.partition(&p.topic, p.partition);
    let leader = known.and_then(|known| known.leader).unwrap_or(-1);
    // The end that readers may reach, less where this one is.
    let lag = |from: i64| {
        let end = if p.last_stable >= 0 { p.last_stable } else { p.high };
        if end >= 0 && from >= 0 { (end - from).max(0) } else { -1 }
    };
    json!({
        "partition": p.partition,
        "broker": leader,
        "leader": leader,
        "desired": p.desired,
        "unknown": leader < 0,
        "msgq_cnt": p.queued.0,
        "msgq_bytes": p.queued.1,
        "xmit_msgq_cnt": 0,
        "xmit_msgq_bytes": 0,
        "fetchq_cnt": p.fetched.0,
        "fetchq_size": p.fetched.1,
        "fetch_state": p.fetch_state,
        "query_offset": p.next_offset,
        "next_offset": p.next_offset,
        "app_offset": p.app_offset,
        "stored_offset": p.stored_offset,
        "stored_leader_epoch": p.stored_epoch,
        "commited_offset": p.committed_offset,
        "committed_offset": p.committed_offset,
        "committed_leader_epoch": p.committed_epoch,
        "eof_offset": p.eof_offset,
        "lo_offset": p.low,
        "hi_offset": p.high,
        "ls_offset": p.last_stable,
        "consumer_lag": lag(p.committed_offset),
        "consumer_lag_stored": lag(p.stored_offset),
        "leader_epoch": known.map_or(-1, |known| known.leader_epoch),
        "txmsgs": p.sent.0,
        "txbytes": p.sent.1,
        "rxmsgs": p.received.0,
        "rxbytes": p.received.1,
        "msgs": p.sent.0 + p.queued.0 + p.in_flight.0 + p.received.0,
        "rx_ver_drops": 0,
        "msgs_inflight": p.in_flight.0,
        "next_ack_seq": p.acknowledged.0,
        "next_err_seq": p.acknowledged.0,
        "acked_msgid": p.acknowledged.1,
    })
}
