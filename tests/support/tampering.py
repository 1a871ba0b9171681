"""What happens to topics in the field, done on purpose: records that come twice, offsets set back, topics made anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names, only not marked as such
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from overt.ports import Follower, Record
from overt.runtime.world import partition_count
from tests.support.cluster import CHAIN, Cluster

_COPY = "copied-by-a-test"


@contextmanager
def every_record_twice(cluster: Cluster) -> Iterator[dict[str, int]]:
    """Copies each record of the topics between the services once more to its own partition, some time after it came.

    Gives the number of copies by topic. At the end it waits until all that is there has been copied.
    """
    copies = {topic: 0 for _, topic in CHAIN}
    followers = {topic: cluster.world.log.follow(cluster.world.topic(topic)) for topic in copies}
    producer = Producer({"bootstrap.servers": cluster.broker.bootstrap, "message.max.bytes": 16_000_000})
    over = threading.Event()

    def copy() -> None:
        quiet = 0
        while quiet < 3 or not over.is_set():
            found = [(topic, record) for topic, f in followers.items() for record in _originals(f)]
            quiet = 0 if found else quiet + 1
            for topic, record in found:
                producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key.encode(),
                    partition=record.partition,
                    headers=[*((k, v.encode()) for k, v in record.headers.items()), (_COPY, b"1")],
                )
                copies[topic] += 1
            producer.flush(10)

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    try:
        yield copies
    finally:
        over.set()
        thread.join(60)
        for follower in followers.values():
            follower.close()


def _originals(follower: Follower) -> Sequence[Record]:
    return [record for record in follower.poll(100, 0.05) if _COPY not in record.headers]


def keep_for_ever(cluster: Cluster) -> None:
    """No retention takes anything from the topics between the services."""
    admin = AdminClient({"bootstrap.servers": cluster.broker.bootstrap})
    entry = ConfigEntry("retention.ms", "-1", incremental_operation=AlterConfigOpType.SET)
    resources = [
        ConfigResource(ResourceType.TOPIC, cluster.world.topic(topic), incremental_configs=[entry])
        for _, topic in CHAIN
    ]
    for future in admin.incremental_alter_configs(resources).values():
        future.result(15)


def back_to_the_beginning(cluster: Cluster) -> None:
    """Sets every service's group back to offset 0. The services must not run."""
    admin = AdminClient({"bootstrap.servers": cluster.broker.bootstrap})
    for service, topic in CHAIN:
        places = [
            TopicPartition(cluster.world.topic(topic), number, 0)
            for number in range(partition_count(cluster.deployment))
        ]
        request = [ConsumerGroupTopicPartitions(cluster.world.group(service), places)]
        for future in admin.alter_consumer_group_offsets(request).values():
            assert all(place.error is None for place in future.result(15).topic_partitions)


def make_anew(cluster: Cluster, topic: str) -> None:
    """Deletes a topic and has `overt topics apply` make it again."""
    name = cluster.world.topic(topic)
    admin = AdminClient({"bootstrap.servers": cluster.broker.bootstrap})
    admin.delete_topics([name])[name].result(15)
    deadline = time.monotonic() + 30
    while name in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < deadline, f"{name} was not deleted"
        time.sleep(0.05)
    cluster.cli("topics", "apply", "-d", cluster.file)
    try:
        assert admin.list_topics(name, timeout=10).topics[name].error is None
    except KafkaException as error:
        raise AssertionError(f"{name} was not made again: {error}") from error


def states(cluster: Cluster) -> dict[bytes, dict[bytes, bytes]]:
    """What Redis holds of the services' knowledge of cameras: causes and payloads."""
    with cluster.redis.client() as client:
        return {name: client.hgetall(name) for name in client.scan_iter("overt:*:state:*")}


def forget_states(cluster: Cluster) -> int:
    """Deletes from Redis what the services know of the cameras, and nothing else; how many states those were."""
    with cluster.redis.client() as client:
        names = list(client.scan_iter("overt:*:state:*"))
        return int(client.delete(*names)) if names else 0
