"""Reading a real topic outside any group, where offsets and records are not the same thing."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from overt.ports import Record, Unavailable
from overt.runtime.kafka import KafkaLog, KafkaSink, apply_changes
from overt.runtime.topics import Action, Change
from tests.support.bus import PARTITIONS, KafkaBackend, gather, send, unique, until, values
from tests.support.kafka_broker import KafkaBroker


def test_a_topic_whose_last_offsets_hold_no_record_is_read_to_its_end(kafka: KafkaBroker) -> None:
    """As after compaction; here the mark of a transaction's end takes the last offset."""
    backend = KafkaBackend(kafka.bootstrap)
    topic = backend.topic()
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": unique("transaction")})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"x", partition=1)
    producer.commit_transaction(30)
    until("the mark, which is written after the answer", lambda: values(list(backend.log().read(topic))) == [b"x"])
    began = time.monotonic()
    assert values(list(backend.log().read(topic))) == [b"x"]
    follower, found = backend.log().follow(topic), list[Record]()
    until("the end", lambda: gather(follower, found) and follower.caught_up())
    follower.close()
    assert values(found) == [b"x"]
    assert time.monotonic() - began < 8, "it did not wait until it gave up"


def test_a_follower_of_a_topic_that_is_made_again_goes_on_and_catches_up(kafka: KafkaBroker) -> None:
    backend = KafkaBackend(kafka.bootstrap)
    topic, sink = backend.topic(), KafkaSink(backend.settings)
    send(sink, topic, [b"old"] * 20)
    follower = KafkaLog(backend.settings).follow(topic)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.delete_topics([topic], operation_timeout=20)[topic].result(30)
    apply_changes(backend.settings, [Change(topic, Action.CREATE, PARTITIONS)], replication=1)
    send(sink, topic, [b"new"])
    found: list[Record] = []
    until("the new record", lambda: b"new" in values(gather(follower, found)))
    until("the end of what there is now", lambda: follower.poll(10, 0.1) or follower.caught_up())
    follower.close()
    sink.close()


def test_a_topic_that_does_not_exist_is_unavailable_and_says_what_to_do(kafka: KafkaBroker) -> None:
    log, missing = KafkaBackend(kafka.bootstrap).log(), unique("missing")
    with pytest.raises(Unavailable, match=rf"{missing}: .*overt topics apply"):
        log.read(missing)
    with pytest.raises(Unavailable, match=rf"{missing}: .*overt topics apply"):
        log.follow(missing)
