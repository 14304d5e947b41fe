"""confluent-kafka, with the librdkafka in its wheel, on secured listeners: each way in of ../README.md ("Ways in"), one after the other."""

import sys
import time
import uuid

from confluent_kafka import Consumer, KafkaError, Producer

RECORDS = 20


def ways():
    way = {}
    for line in list(sys.stdin) + [""]:
        line = line.strip()
        if line:
            name, _, value = line.partition("=")
            way[name] = value
        elif way:
            yield way
            way = {}


def configuration(way, errors):
    conf = {
        "bootstrap.servers": way["bootstrap"],
        "security.protocol": way["protocol"],
        "ssl.ca.location": way["ca"],
        "error_cb": errors.append,
    }
    if "mechanism" in way:
        conf["sasl.mechanism"] = way["mechanism"]
    if way.get("mechanism") == "OAUTHBEARER":
        conf["enable.sasl.oauthbearer.unsecure.jwt"] = True
        conf["sasl.oauthbearer.config"] = f"principal={way['user']} lifeSeconds={way['life']} extension_traceId=7"
    elif "mechanism" in way:
        conf["sasl.username"] = way["user"]
        conf["sasl.password"] = way["password"]
    if "certificate" in way:
        conf["ssl.certificate.location"] = way["certificate"]
        conf["ssl.key.location"] = way["key"]
    return conf


def go_in(way):
    errors = []
    producer = Producer({**configuration(way, errors), "message.timeout.ms": 8000})
    delivered = []
    end = time.time() + float(way.get("seconds", "0"))
    sent = 0
    while sent < RECORDS or time.time() < end:
        producer.produce(way["topic"], f"{sent}", on_delivery=lambda error, message: delivered.append(error))
        sent += 1
        if sent > RECORDS:
            producer.flush(10)
            time.sleep(0.2)
    producer.flush(20)
    refused = any(error.code() == KafkaError._AUTHENTICATION for error in errors)
    if way.get("expect") == "refused":
        assert refused and all(delivered), f"it was let in: {errors}"
        return
    assert len(delivered) == sent and not any(delivered), f"{delivered[:1]} {errors[:2]}"
    assert not refused, errors
    consumer = Consumer({
        **configuration(way, errors),
        "group.id": str(uuid.uuid4()),
        "auto.offset.reset": "earliest",
    })
    consumer.subscribe([way["topic"]])
    got, deadline = [], time.time() + 30
    while len(got) < sent and time.time() < deadline:
        message = consumer.poll(1)
        if message is not None and message.error() is None:
            got.append(message.value().decode())
    consumer.close()
    assert got == [f"{i}" for i in range(sent)], f"{len(got)} of {sent} came back; {errors}"


for way in ways():
    try:
        go_in(way)
        print("ok", way["name"], flush=True)
    except Exception as error:
        print("failed", way["name"], repr(error), flush=True)
