"""confluent-kafka, with the librdkafka in its wheel, as one member of a group: the programs of ../README.md, "Members".

Run: python member.py BOOTSTRAP GROUP TOPIC ASSIGNOR INSTANCE
"""

import json
import os
import queue
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition, libversion, version

BOOTSTRAP, GROUP, TOPIC, ASSIGNOR, INSTANCE = sys.argv[1:6]

# A cooperative member reads on while its group rebalances: committed in the listener, or with the next records. Or it was thought dead,
# or the coordinator is: it will hear.
LATER = (
    KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError._TRANSPORT, KafkaError._WAIT_COORD, KafkaError._TIMED_OUT,
)


def emit(event, **fields):
    line = json.dumps({"event": event, "at": time.time_ns() // 1000, **fields})
    os.write(1, line.encode() + b"\n")


def name(partition):
    return f"{partition.topic}-{partition.partition}"


class Member:
    def __init__(self):
        session = int(os.environ.get("SESSION_MS", "6000"))
        config = {
            "bootstrap.servers": BOOTSTRAP,
            "group.id": GROUP,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 200,
            "topic.metadata.refresh.interval.ms": 2000,
            "max.poll.interval.ms": 20000,
        }
        if INSTANCE != "-":
            config["group.instance.id"] = INSTANCE
        if ASSIGNOR.startswith("consumer"):
            config["group.protocol"] = "consumer"
            if ":" in ASSIGNOR:
                config["group.remote.assignor"] = ASSIGNOR.split(":")[1]
        else:
            config["partition.assignment.strategy"] = ASSIGNOR
            config["session.timeout.ms"] = session
            config["heartbeat.interval.ms"] = session // 6
        if os.environ.get("DEBUG"):
            config["debug"] = os.environ["DEBUG"]
        self.consumer = Consumer(config)
        self.commands = queue.Queue()
        self.processed = {}
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in sys.stdin:
            self.commands.put(line.strip())
        os._exit(3)

    def run(self):
        emit("client", name=f"confluent-kafka {version()} librdkafka {libversion()[0]}")
        self.consumer.subscribe(
            TOPIC.split(",") if not TOPIC.startswith("^") else [TOPIC],
            on_assign=self.on_assign,
            on_revoke=self.on_revoke,
            on_lost=self.on_lost,
        )
        while True:
            try:
                command = self.commands.get_nowait()
            except queue.Empty:
                command = None
            if command == "leave":
                self.commit()
                self.consumer.close()
                emit("left")
                return
            if command == "offsets":
                self.offsets()
            self.take(self.consumer.consume(100, 0.1))
            self.commit()

    def take(self, messages):
        runs = []
        for message in messages:
            if message.error():
                if message.error().code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._MAX_POLL_EXCEEDED):
                    print(message.error(), file=sys.stderr)
                    continue
                raise KafkaException(message.error())
            value = f"{message.key().decode()}:{message.value().decode()}"
            at = (f"{message.topic()}-{message.partition()}", message.offset())
            for run in runs:
                if run[0] == at[0] and run[1] + len(run[2]) == at[1]:
                    run[2].append(value)
                    break
            else:
                runs.append((*at, [value]))
            self.processed[message.topic(), message.partition()] = message.offset() + 1
        for partition, offset, values in runs:
            emit("records", partition=partition, offset=offset, values=values)
        if messages:
            time.sleep(int(os.environ.get("PROCESS_MS", "0")) / 1000)

    def commit(self):
        if not self.processed:
            return
        offsets = [TopicPartition(t, p, o) for (t, p), o in self.processed.items()]
        try:
            committed = self.consumer.commit(offsets=offsets, asynchronous=False)
            for partition in committed:
                if partition.error:
                    raise KafkaException(partition.error)
        except KafkaException as error:
            if error.args[0].code() not in LATER:
                raise
            print("commit:", error, file=sys.stderr)
            return
        self.processed.clear()
        emit("committed", offsets={name(p): p.offset for p in committed})

    def offsets(self):
        topics = self.consumer.list_topics(timeout=10).topics
        partitions = [TopicPartition(t, p) for t in TOPIC.split(",") for p in topics[t].partitions]
        committed = {name(p): max(p.offset, -1) for p in self.consumer.committed(partitions, timeout=10)}
        end = {name(p): self.consumer.get_watermark_offsets(p, timeout=10)[1] for p in partitions}
        emit("offsets", committed=committed, end=end)

    def on_assign(self, _, partitions):
        if partitions:
            emit("assigned", partitions=sorted(map(name, partitions)))

    def on_revoke(self, _, partitions):
        self.commit()
        for partition in partitions:
            self.processed.pop((partition.topic, partition.partition), None)
        if partitions:
            emit("revoked", partitions=sorted(map(name, partitions)))

    def on_lost(self, _, partitions):
        for partition in partitions:
            self.processed.pop((partition.topic, partition.partition), None)
        if partitions:
            emit("lost", partitions=sorted(map(name, partitions)))


if __name__ == "__main__":
    try:
        Member().run()
    except BaseException as error:
        emit("failed", error=repr(error))
        raise
