"""librdkafka's properties for each role, where they differ from its defaults, and why (its CONFIGURATION.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overt.runtime.topics import MAX_MESSAGE_BYTES

COMMON: Mapping[str, Any] = {
    # Back within a second of a broker's return (the default grows to 10 s).
    "reconnect.backoff.ms": 100,
    "reconnect.backoff.max.ms": 1_000,
    # A broker that accepts and never answers is noticed in 10 s (the default is 60 s).
    "socket.timeout.ms": 10_000,
    # A topic that appears, or partitions that are added, are noticed in 5 s (the default is 5 min).
    "topic.metadata.refresh.interval.ms": 5_000,
    "log_level": 5,
    "log.connection.close": False,
}

_FETCHING: Mapping[str, Any] = {
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # Little is fetched ahead: frames are large, and what waits in a member cannot go to another.
    "queued.min.messages": 1_000,
    "queued.max.messages.kbytes": 16_384,
    # A broker answers when there is something, or after this. What is sought, resumed or newly assigned waits for the
    # answer that is outstanding (the default is 500 ms).
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 10,
    "fetch.error.backoff.ms": 100,
}

MEMBER: Mapping[str, Any] = {
    **_FETCHING,
    # Only partitions that move stop: with `range`, each replica that joins or leaves would stop every camera until the
    # slowest replica has finished its batch, and every detector would load all its tracks again.
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": 6_000,
    # A member hears of a rebalance with its next heartbeat, and a partition that moves needs two rounds.
    "heartbeat.interval.ms": 1_000,
    # Who coordinates the group is asked again, should the answer have been lost (the default is 10 min).
    "coordinator.query.interval.ms": 5_000,
}

READER: Mapping[str, Any] = {**_FETCHING, "enable.partition.eof": True}

PRODUCER: Mapping[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    # The hash of Java's producer and of Faust; librdkafka's own default puts most keys elsewhere.
    "partitioner": "murmur2_random",
    # Sealed bytes are noise and JPEG is compressed already.
    "compression.type": "none",
    "linger.ms": 2,
    "message.timeout.ms": 10_000,
    "message.max.bytes": MAX_MESSAGE_BYTES,
    "queue.buffering.max.kbytes": 262_144,
    # An unknown topic is told after 5 s, not only when the message has timed out.
    "topic.metadata.propagation.max.ms": 5_000,
}

RESERVED = frozenset(
    {
        "bootstrap.servers",
        "client.id",
        "group.id",
        "acks",
        "auto.offset.reset",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "error_cb",
        "logger",
        "on_commit",
        "partition.assignment.strategy",
        "partitioner",
    }
)
"""What the promises of the bus rest on: `KafkaSettings.extra` may not hold it."""
