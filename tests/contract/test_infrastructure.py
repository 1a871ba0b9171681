"""The real parts that other tests stand on do what those tests assume."""

from __future__ import annotations

import time
from collections.abc import Callable

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.support.kafka_broker import KafkaBroker
from tests.support.redis_server import RedisServer


def _create(broker: KafkaBroker, topic: str, config: dict[str, str] | None = None) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in admin.create_topics([NewTopic(topic, 2, 1, config=config or {})]).values():
        future.result(30)


def _produce(broker: KafkaBroker, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def _first_value(broker: KafkaBroker, topic: str, group: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                return message.value()
        return None
    finally:
        consumer.close()


def test_a_record_outlives_a_restart_and_a_kill_of_the_broker(kafka_factory: Callable[..., KafkaBroker]) -> None:
    broker = kafka_factory(settings={"log.retention.check.interval.ms": "500"})
    _create(broker, "kept")
    _produce(broker, "kept", b"one")
    assert _first_value(broker, "kept", "before") == b"one"
    broker.restart()
    assert _first_value(broker, "kept", "after a restart") == b"one"
    broker.kill()
    assert not broker.child.running
    broker.start()
    assert _first_value(broker, "kept", "after a kill") == b"one"


def test_the_shared_broker_creates_no_topic_unasked(kafka: KafkaBroker) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.list_topics("never-created", timeout=10)
    assert "never-created" not in {
        name for name, topic in admin.list_topics(timeout=10).topics.items() if topic.partitions
    }


def test_redis_loses_its_keys_when_wiped_restarted_or_killed(redis_server: RedisServer) -> None:
    def kill_and_start() -> None:
        redis_server.kill()
        redis_server.start()

    for lose in (redis_server.wipe, redis_server.restart, kill_and_start):
        with redis_server.client() as client:
            client.set("key", "value")
            assert client.get("key") == b"value"
            lose()
            assert client.get("key") is None
    assert [path.name for path in redis_server.folder.iterdir()] == ["redis.log"]
