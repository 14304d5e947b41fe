"""confluent-kafka's consumer in groups, what an application may do with it: the checks of ../README.md, "Consumers".

Run: python group.py BOOTSTRAP PREFIX PROTOCOL   (PROTOCOL: classic or consumer)
"""

import json
import sys
import time
import traceback

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
    libversion,
    version,
)
from confluent_kafka.admin import AdminClient, NewTopic

BOOTSTRAP, PREFIX, PROTOCOL = sys.argv[1:4]
RECORDS = 40
PARTITIONS = 4
admin = AdminClient({"bootstrap.servers": BOOTSTRAP})


def same(what, expected, actual):
    if expected != actual:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")


def eventually(what, holds, seconds=20):
    last, deadline = None, time.monotonic() + seconds
    while time.monotonic() < deadline:
        last = holds()
        if last is True:
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what} ({last})")


def code(error, call):
    try:
        call()
    except KafkaException as e:
        same("error", KafkaError(error).name(), e.args[0].name())
    else:
        raise AssertionError(f"accepted, expected {KafkaError(error).name()}")


def create(name, partitions=PARTITIONS):
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(20)
    eventually("leaders", lambda: len(admin.list_topics(timeout=10).topics.get(name, NewTopic("", 0)).partitions or []) == partitions
               if name in admin.list_topics(timeout=10).topics else False)


def fill(topic, count=RECORDS, partitions=PARTITIONS):
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "linger.ms": 0})
    for i in range(count):
        producer.produce(topic, value=str(i), key=str(i), partition=i % partitions)
    same("unsent", 0, producer.flush(20))


def consumer(group, **settings):
    config = {
        "bootstrap.servers": BOOTSTRAP,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "fetch.wait.max.ms": 100,
        "topic.metadata.refresh.interval.ms": 500,
        "group.protocol": PROTOCOL,
    }
    if PROTOCOL == "classic":
        config |= {"session.timeout.ms": 4000, "heartbeat.interval.ms": 300, "partition.assignment.strategy": "cooperative-sticky"}
    config |= {name.replace("_", "."): value for name, value in settings.items()}
    return Consumer(config)


def take(consumer, count, seconds=20):
    """So many records; an error that is not told as an exception becomes one."""
    messages, deadline = [], time.monotonic() + seconds
    while len(messages) < count and time.monotonic() < deadline:
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        messages.append(message)
    same("records", count, len(messages))
    return messages


def committed(group, topic, partitions=PARTITIONS):
    request = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, p) for p in range(partitions)])]
    found = admin.list_consumer_group_offsets(request)[group].result(20).topic_partitions
    return [max(p.offset, -1) for p in sorted(found)]


class Checks:
    def __init__(self):
        self.topic = f"{PREFIX}-{PROTOCOL}"
        create(self.topic)
        fill(self.topic)
        self.ends = [RECORDS // PARTITIONS] * PARTITIONS

    def group(self, name):
        return f"{self.topic}-{name}"

    def commit_message(self):
        """One message committed, with what a group must keep and refuse beside the offset."""
        group = self.group("message")
        c = consumer(group)
        c.subscribe([self.topic])
        message = take(c, 1)[0]
        c.commit(message=message, asynchronous=False)
        expected = [-1] * PARTITIONS
        expected[message.partition()] = message.offset() + 1
        same("committed", expected, committed(group, self.topic))
        noted = TopicPartition(self.topic, message.partition(), 7, "a note")
        c.commit(offsets=[noted], asynchronous=False)
        found = c.committed([TopicPartition(self.topic, message.partition())], timeout=10)[0]
        same("offset and metadata", (7, "a note"), (found.offset, found.metadata))
        code(KafkaError.OFFSET_METADATA_TOO_LARGE, lambda: self.checked(c.commit(
            offsets=[TopicPartition(self.topic, message.partition(), 8, "x" * 4097)], asynchronous=False)))
        expected[message.partition()] = 7
        same("committed after a refusal", expected, committed(group, self.topic))
        c.close()

    @staticmethod
    def checked(partitions):
        for partition in partitions:
            if partition.error:
                raise KafkaException(partition.error)

    def auto_commit(self):
        group = self.group("auto")
        c = consumer(group, enable_auto_commit=True, auto_commit_interval_ms=200)
        c.subscribe([self.topic])
        take(c, RECORDS)
        eventually("committed by itself", lambda: committed(group, self.topic) == self.ends)
        c.close()

    def store_offsets(self):
        """Only what was stored is committed, when the consumer closes."""
        group = self.group("store")
        c = consumer(group, enable_auto_commit=True, auto_commit_interval_ms=60000, enable_auto_offset_store=False)
        c.subscribe([self.topic])
        take(c, RECORDS)
        c.store_offsets(offsets=[TopicPartition(self.topic, p, p + 1) for p in range(PARTITIONS - 1)])
        same("committed too early", [-1] * PARTITIONS, committed(group, self.topic))
        c.close()
        same("committed", [1, 2, 3, -1], committed(group, self.topic))

    def resume(self):
        """The next member begins where the last one committed."""
        group = self.group("store")
        c = consumer(group)
        c.subscribe([self.topic])
        messages = take(c, RECORDS - 6)
        first = {}
        for message in messages:
            first.setdefault(message.partition(), message.offset())
        same("first offsets", {0: 1, 1: 2, 2: 3, 3: 0}, first)
        c.close()

    def incremental(self):
        """Callbacks assign and unassign by themselves; a second member takes half and no more."""
        group = self.group("incremental")
        story = []

        def follow(name):
            def on_assign(c, partitions):
                story.append((name, "+", sorted(p.partition for p in partitions)))
                c.incremental_assign(partitions)

            def on_revoke(c, partitions):
                story.append((name, "-", sorted(p.partition for p in partitions)))
                c.incremental_unassign(partitions)

            return {"on_assign": on_assign, "on_revoke": on_revoke}

        a, b = consumer(group), consumer(group)
        a.subscribe([self.topic], **follow("a"))
        take(a, RECORDS)
        same("all are its", list(range(PARTITIONS)), sorted(p.partition for p in a.assignment()))
        b.subscribe([self.topic], **follow("b"))
        seen = []

        def shared():
            for c in (a, b):
                message = c.poll(0.02)
                if message is not None and not message.error():
                    seen.append(message)
            return len(a.assignment()) == 2 and len(b.assignment()) == 2 or story

        eventually("two each", shared)
        taken = [s for s in story if s[:2] == ("a", "-") and s[2]]
        same("revoked once, two partitions", [2], [len(s[2]) for s in taken])
        if a.memberid() == b.memberid():
            raise AssertionError(f"both members are {a.memberid()}")
        b.close()
        eventually("all again", lambda: (a.poll(0.02), len(a.assignment()) == PARTITIONS)[1])
        a.close()

    def own_offsets(self):
        """A listener may begin elsewhere than at the committed offset."""
        c = consumer(self.group("own"), **({"partition_assignment_strategy": "range"} if PROTOCOL == "classic" else {}))

        def on_assign(c, partitions):
            for partition in partitions:
                partition.offset = RECORDS // PARTITIONS - 1
            (c.assign if PROTOCOL == "classic" else c.incremental_assign)(partitions)

        c.subscribe([self.topic], on_assign=on_assign)
        same("offsets", [RECORDS // PARTITIONS - 1] * PARTITIONS, [m.offset() for m in take(c, PARTITIONS)])
        c.close()

    def regex(self):
        """Topics that match, and one that appears later."""
        first, later, other = (f"{self.topic}-re-{name}" for name in ("first", "later", "x"))
        other = other.replace("-re-", "-er-")
        create(first, 2)
        create(other, 2)
        fill(first, 10, 2)
        c = consumer(self.group("regex"))
        c.subscribe([f"^{self.topic}-re-.*"])
        same("topics", {first}, {m.topic() for m in take(c, 10)})
        create(later, 2)
        fill(later, 10, 2)
        same("topics", {later}, {m.topic() for m in take(c, 10, 40)})
        same("assigned", sorted([(first, 0), (first, 1), (later, 0), (later, 1)]), sorted((p.topic, p.partition) for p in c.assignment()))
        c.close()

    def grown(self):
        """Partitions that are added are assigned."""
        from confluent_kafka.admin import NewPartitions

        topic = f"{self.topic}-grown"
        create(topic, 1)
        c = consumer(self.group("grown"))
        c.subscribe([topic])
        eventually("one partition", lambda: (c.poll(0.05), len(c.assignment()) == 1)[1])
        admin.create_partitions([NewPartitions(topic, 3)])[topic].result(20)
        eventually("three partitions", lambda: (c.poll(0.05), len(c.assignment()) == 3)[1], 30)
        c.close()

    def resubscribe(self):
        group = self.group("resubscribe")
        other = f"{self.topic}-other"
        create(other, 2)
        c = consumer(group)
        c.subscribe([self.topic])
        eventually("the first topic", lambda: (c.poll(0.05), {p.topic for p in c.assignment()} == {self.topic})[1])
        c.subscribe([self.topic, other])
        eventually("both", lambda: (c.poll(0.05), len(c.assignment()) == PARTITIONS + 2)[1])
        c.subscribe([other])
        eventually("the second", lambda: (c.poll(0.05), {p.topic for p in c.assignment()} == {other})[1])
        c.unsubscribe()
        eventually("none", lambda: (c.poll(0.05), not c.assignment())[1])
        c.close()

    def stranger(self):
        """Who is no member may not commit to a group that has some."""
        group = self.group("stranger")
        c = consumer(group)
        c.subscribe([self.topic])
        take(c, 1)
        outsider = consumer(group)
        code(KafkaError.UNKNOWN_MEMBER_ID, lambda: self.checked(outsider.commit(
            offsets=[TopicPartition(self.topic, 0, 1)], asynchronous=False)))
        same("committed", [-1] * PARTITIONS, committed(group, self.topic))
        outsider.close()
        c.close()
        alone = consumer(self.group("alone"))
        alone.assign([TopicPartition(self.topic, 0, OFFSET_BEGINNING)])
        take(alone, 3)
        self.checked(alone.commit(offsets=[TopicPartition(self.topic, 0, 3)], asynchronous=False))
        same("committed alone", [3, -1, -1, -1], committed(self.group("alone"), self.topic))
        alone.close()

    def static_twice(self):
        """A second static member of the same instance: the first is fenced in the classic protocol, the second refused in the other."""
        group = self.group("twice")
        first, second = (consumer(group, group_instance_id="the-one") for _ in range(2))
        first.subscribe([self.topic])
        take(first, 1)
        second.subscribe([self.topic])
        classic = PROTOCOL == "classic"
        loser, expected = (first, KafkaError.FENCED_INSTANCE_ID) if classic else (second, KafkaError.UNRELEASED_INSTANCE_ID)

        def fatal():
            for c in (first, second):
                message = c.poll(0.05)
                if message is None or not message.error():
                    continue
                if c is not loser:
                    raise KafkaException(message.error())
                return message.error().code() in (KafkaError._FATAL, expected) or message.error()
            return "no error"

        eventually(f"{KafkaError(expected).name()}", fatal)
        first.close()
        second.close()

    def refused(self):
        """What the coordinator refuses is told: a session that is too short, and members that share no assignor."""
        if PROTOCOL == "consumer":
            c = consumer(self.group("refused"), group_remote_assignor="no-such")
            c.subscribe([self.topic])
            code(KafkaError._FATAL, lambda: take(c, 1, 10))
            c.close()
            return
        c = consumer(self.group("refused"), session_timeout_ms=500)
        c.subscribe([self.topic])
        code(KafkaError.INVALID_SESSION_TIMEOUT, lambda: take(c, 1, 10))
        c.close()
        first = consumer(self.group("mixed"), partition_assignment_strategy="range")
        first.subscribe([self.topic])
        take(first, 1)
        second = consumer(self.group("mixed"), partition_assignment_strategy="roundrobin")
        second.subscribe([self.topic])
        code(KafkaError.INCONSISTENT_GROUP_PROTOCOL, lambda: take(second, 1, 10))
        second.close()
        first.close()

    def administration(self):
        """Groups listed, described, their offsets altered and deleted."""
        group = self.group("admin")
        c = consumer(group)
        c.subscribe([self.topic])
        take(c, RECORDS)
        c.commit(asynchronous=False)
        listed = {g.group_id: g for g in admin.list_consumer_groups().result(20).valid}
        same("listed type", PROTOCOL, listed[group].type.name.lower())
        described = admin.describe_consumer_groups([group])[group].result(20)
        same("state", ConsumerGroupState.STABLE, described.state)
        same("assignor", "cooperative-sticky" if PROTOCOL == "classic" else "uniform", described.partition_assignor)
        same("members", 1, len(described.members))
        same("assigned", PARTITIONS, len(described.members[0].assignment.topic_partitions))
        self.code_of(KafkaError.NON_EMPTY_GROUP, lambda: admin.delete_consumer_groups([group])[group].result(20))
        c.close()
        altered = [ConsumerGroupTopicPartitions(group, [TopicPartition(self.topic, 1, 5)])]
        admin.alter_consumer_group_offsets(altered)[group].result(20)
        same("altered", [10, 5, 10, 10], committed(group, self.topic))
        same("empty", ConsumerGroupState.EMPTY, admin.describe_consumer_groups([group])[group].result(20).state)
        admin.delete_consumer_groups([group])[group].result(20)
        if group in {g.group_id for g in admin.list_consumer_groups().result(20).valid}:
            raise AssertionError("listed after its deletion")
        self.code_of(KafkaError.GROUP_ID_NOT_FOUND, lambda: admin.delete_consumer_groups([group])[group].result(20))

    @staticmethod
    def code_of(error, call):
        code(error, call)


NAMES = [
    "commit_message", "auto_commit", "store_offsets", "resume", "incremental", "own_offsets", "regex", "grown", "resubscribe", "stranger",
    "static_twice", "refused", "administration",
]


def main():
    report = {"client": f"confluent-kafka {version()} librdkafka {libversion()[0]} {PROTOCOL}", "ok": False, "checks": []}
    current = "create"
    try:
        checks = Checks()
        for current in NAMES:
            begun = time.monotonic()
            getattr(checks, current)()
            report["checks"].append(current.replace("_", "-"))
            print(f"{current} {time.monotonic() - begun:.1f} s", file=sys.stderr)
        report["ok"] = True
    except BaseException as error:
        traceback.print_exc()
        report |= {"failed": current.replace("_", "-"), "error": f"{error!r}"}
    print(json.dumps(report), flush=True)
    sys.exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main()
