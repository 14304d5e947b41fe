"""confluent-kafka, with the librdkafka in its wheel, as a judge of a broker: the scenario of ../README.md.

Run: python peer.py BOOTSTRAP TOPIC_PREFIX COUNT
"""

import faulthandler
import json
import sys
import time
import traceback

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
    libversion,
    version,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
BASE_TIMESTAMP = 1_700_000_000_000


def same(what, expected, actual):
    if expected != actual:
        raise AssertionError(f"{what}: expected {short(expected)}, got {short(actual)}")


def short(value):
    text = repr(value)
    return text if len(text) < 100 else f"{text[:80]}...{len(text)}"


def eventually(what, holds):
    last = None
    for _ in range(100):
        try:
            if holds():
                return
        except KafkaException as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"not within 10 s: {what} ({last})")


class Peer:
    def __init__(self, bootstrap, topic, count):
        self.bootstrap, self.topic, self.count = bootstrap, topic, count
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.sent = {p: [] for p in range(4)}
        self.done = []
        self.current = "start"

    def scenario(self):
        checks = [("create", self.create), ("create-again", self.create_again)]
        checks += [(f"produce-{codec}", lambda r=r: self.produce(r)) for r, codec in enumerate(CODECS)]
        checks += [
            ("consume", self.consume),
            ("offsets", self.offsets),
            ("acks", self.acks),
            ("wakeup", self.wakeup),
            ("out-of-range", self.out_of_range),
            ("cluster", self.cluster),
            ("configs", self.configs),
            ("partitions", self.partitions),
            ("delete-records", self.delete_records),
            ("delete", self.delete),
        ]
        for self.current, check in checks:
            check()
            self.done.append(self.current)

    def create(self):
        topic = NewTopic(self.topic, 4, 1, config={"retention.ms": "-1"})
        self.admin.create_topics([topic])[self.topic].result(30)

        def leaders():
            topic = self.admin.list_topics(timeout=10).topics.get(self.topic)
            partitions = topic.partitions.values() if topic else []
            return len(partitions) == 4 and all(p.leader >= 0 and len(p.isrs) == 1 for p in partitions)

        eventually("leaders", leaders)

    def create_again(self):
        try:
            self.admin.create_topics([NewTopic(self.topic, 4, 1)])[self.topic].result(30)
        except KafkaException as error:
            same("error", KafkaError.TOPIC_ALREADY_EXISTS, error.args[0].code())
        else:
            raise AssertionError("a second creation was accepted")

    def record(self, round, i):
        key = None if i % 10 == 0 else b"" if i % 10 == 1 else f"key-{i % 17}".encode()
        value = None if i % 11 == 0 else b"" if i % 11 == 1 else f"{CODECS[round]}-{i}-{'x' * (i % 200)}".encode()
        if i == self.count - 1:
            value = b"y" * 300_000
        headers = [
            None,
            [("trace", f"t-{i}".encode())],
            [("dup", b"1"), ("dup", b"2"), ("null", None), ("empty", b"")],
        ][i % 3]
        return key, value, headers, BASE_TIMESTAMP + (round * self.count + i) * 10

    def producer(self, codec="none", acks="all"):
        return Producer({
            "bootstrap.servers": self.bootstrap,
            "compression.type": codec,
            "acks": acks,
            "enable.idempotence": acks == "all",
            "linger.ms": 5,
            "delivery.timeout.ms": 30000,
        })

    def produce(self, round):
        producer = self.producer(CODECS[round])
        errors = []

        def delivered(record):
            def report(error, message):
                if error:
                    errors.append(error)
                else:
                    self.sent[message.partition()].append((message.offset(), *record))

            return report

        for i in range(self.count):
            record = self.record(round, i)
            key, value, headers, timestamp = record
            producer.produce(self.topic, value, key, timestamp=timestamp, headers=headers, on_delivery=delivered(record))
            producer.poll(0)
        same("not delivered", 0, producer.flush(40))
        same("errors", [], errors)
        for partition, records in self.sent.items():
            same(f"offsets of partition {partition}", list(range(len(records))), [r[0] for r in records])

    def consumer(self, **properties):
        return Consumer({
            "bootstrap.servers": self.bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.queue.backoff.ms": 10,
            **properties,
        })

    def consume(self):
        consumer = self.consumer(**{"check.crcs": True})
        consumer.assign([TopicPartition(self.topic, p, OFFSET_BEGINNING) for p in range(4)])
        seen = {p: 0 for p in range(4)}
        total = len(CODECS) * self.count
        deadline = time.monotonic() + 60
        while sum(seen.values()) < total:
            if time.monotonic() > deadline:
                raise AssertionError(f"after 60 s only {sum(seen.values())} of {total} records")
            for message in consumer.consume(1000, 0.5):
                if message.error():
                    raise KafkaException(message.error())
                partition = message.partition()
                got = (message.offset(), message.key(), message.value(), message.headers(), message.timestamp()[1])
                same(f"record {partition}@{message.offset()}", self.sent[partition][seen[partition]], got)
                seen[partition] += 1
        consumer.close()

    def offset(self, partition, spec):
        where = TopicPartition(self.topic, partition)
        return self.admin.list_offsets({where: spec}, request_timeout=10)[where].result(20).offset

    def offsets(self):
        middle = BASE_TIMESTAMP + len(CODECS) * self.count // 2 * 10 - 5
        for partition, records in self.sent.items():
            same(f"earliest of {partition}", 0, self.offset(partition, OffsetSpec.earliest()))
            same(f"latest of {partition}", len(records), self.offset(partition, OffsetSpec.latest()))
            expected = next((r[0] for r in records if r[4] >= middle), -1)
            same(f"by time in {partition}", expected, self.offset(partition, OffsetSpec.for_timestamp(middle)))
            same(f"after the last of {partition}", -1, self.offset(partition, OffsetSpec.for_timestamp(BASE_TIMESTAMP * 2)))
            if records:
                newest = max(records, key=lambda r: r[4])[0]
                same(f"largest timestamp of {partition}", newest, self.offset(partition, OffsetSpec.max_timestamp()))

    def acks(self):
        before = self.offset(3, OffsetSpec.latest())
        for acks in ("1", "0"):
            producer = self.producer(acks=acks)
            producer.produce(self.topic, b"acks", partition=3)
            same("not delivered", 0, producer.flush(20))
        eventually("records with acks=1 and acks=0", lambda: self.offset(3, OffsetSpec.latest()) == before + 2)

    def wakeup(self):
        consumer = self.consumer(**{"fetch.wait.max.ms": 10000, "socket.timeout.ms": 20000})
        consumer.assign([TopicPartition(self.topic, 2, OFFSET_END)])
        same("records at the end", None, consumer.poll(1.5))
        producer = self.producer()
        producer.produce(self.topic, b"wake up", partition=2)
        same("not delivered", 0, producer.flush(20))
        message = consumer.poll(3)
        if message is None or message.error():
            raise AssertionError(f"no record within 3 s: {message and message.error()}")
        same("value", b"wake up", message.value())
        consumer.close()

    def out_of_range(self):
        consumer = self.consumer()
        consumer.assign([TopicPartition(self.topic, 1, 1_000_000_000)])
        message = consumer.poll(10)
        if message is None or not message.error():
            raise AssertionError("no error within 10 s")
        same("error", KafkaError._AUTO_OFFSET_RESET, message.error().code())
        if "out of range" not in message.error().str().lower():
            raise AssertionError(message.error().str())
        consumer.close()

    def cluster(self):
        metadata = self.admin.list_topics(timeout=10)
        if not metadata.brokers or metadata.controller_id < 0 or not metadata.cluster_id:
            raise AssertionError(f"{metadata.brokers} {metadata.controller_id} {metadata.cluster_id}")
        described = self.admin.describe_cluster(request_timeout=10).result(20)
        same("cluster id", metadata.cluster_id, described.cluster_id)

    def retention(self):
        resource = ConfigResource(ConfigResource.Type.TOPIC, self.topic)
        return self.admin.describe_configs([resource])[resource].result(20)["retention.ms"]

    def configs(self):
        same("retention.ms", "-1", self.retention().value)
        for operation, value in ((AlterConfigOpType.SET, "3600000000000"), (AlterConfigOpType.DELETE, None), (AlterConfigOpType.SET, "-1")):
            entry = ConfigEntry("retention.ms", value, incremental_operation=operation)
            resource = ConfigResource(ConfigResource.Type.TOPIC, self.topic, incremental_configs=[entry])
            self.admin.incremental_alter_configs([resource])[resource].result(20)
            eventually(f"retention.ms={value}", lambda v=value: self.retention().value == (v or "604800000"))

    def partitions(self):
        self.admin.create_partitions([NewPartitions(self.topic, 6)])[self.topic].result(20)
        eventually("6 partitions", lambda: len(self.admin.list_topics(self.topic, 10).topics[self.topic].partitions) == 6)

    def delete_records(self):
        where = TopicPartition(self.topic, 0, 1)
        same("low watermark", 1, next(iter(self.admin.delete_records([where]).values())).result(20).low_watermark)
        same("earliest", 1, self.offset(0, OffsetSpec.earliest()))

    def delete(self):
        self.admin.delete_topics([self.topic])[self.topic].result(30)
        eventually("topic gone", lambda: self.topic not in self.admin.list_topics(timeout=10).topics)


def main():
    faulthandler.dump_traceback_later(100, exit=True)  # says where it hangs
    peer = Peer(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    report = {"client": f"confluent-kafka {version()} (librdkafka {libversion()[0]})", "ok": True, "checks": peer.done}
    try:
        peer.scenario()
    except Exception as error:  # every failure is the report
        traceback.print_exc()
        report |= {"ok": False, "failed": peer.current, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(report))
    sys.exit(0 if report["ok"] else 1)


main()
