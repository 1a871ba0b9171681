"""The backends of the bus behind one face, and what tests of it need: a listener to rebalances, waiting for records."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import Producer

from overt.ports import Backlog, Follower, Log, Record, Sink, Source, TopicPartition
from overt.runtime.kafka import KafkaBacklog, KafkaLog, KafkaSettings, KafkaSink, KafkaSource, apply_changes
from overt.runtime.memory import MemoryBus
from overt.runtime.topics import Action, Change

PARTITIONS = 4
"""Of every topic in the suite: what the mock cluster makes of a topic that it did not know."""
PATIENCE_S = 90.0
"""How long a test waits for what must come. Tests that pass do not use it up."""

_numbers = itertools.count()


def unique(name: str) -> str:
    """A name for a topic or group that no other test, run or process uses."""
    return f"{name}-{os.getpid()}-{next(_numbers)}"


class Backend(Protocol):
    """One kind of bus."""

    hashes_like_java: bool
    reads_since_a_time: bool

    def topic(self) -> str:
        """A new topic with PARTITIONS partitions."""
        ...

    def source(self, group: str) -> Source: ...

    def sink(self) -> Sink: ...

    def log(self) -> Log: ...

    def backlog(self, topic: str, group: str) -> Backlog: ...

    def close(self) -> None: ...


class MemoryBackend:
    """The bus of one process."""

    hashes_like_java = False
    reads_since_a_time = True

    def __init__(self) -> None:
        self._bus = MemoryBus(lambda: time.time_ns() // 1000)

    def topic(self) -> str:
        name = unique("bus")
        self._bus.create(name, PARTITIONS)
        return name

    def source(self, group: str) -> Source:
        return self._bus.source(group)

    def sink(self) -> Sink:
        return self._bus.sink()

    def log(self) -> Log:
        return self._bus.log()

    def backlog(self, topic: str, group: str) -> Backlog:
        return self._bus.backlog(topic, group)

    def close(self) -> None:
        """Nothing is held."""


class KafkaBackend:
    """A real cluster."""

    hashes_like_java = True
    reads_since_a_time = True

    def __init__(self, bootstrap: str) -> None:
        self.settings = KafkaSettings(bootstrap)
        self._backlogs: list[KafkaBacklog] = []

    def topic(self) -> str:
        name = unique("bus")
        config = {"message.timestamp.type": "LogAppendTime"}
        apply_changes(self.settings, [Change(name, Action.CREATE, PARTITIONS, config)], replication=1)
        return name

    def source(self, group: str) -> Source:
        return KafkaSource(self.settings, group)

    def sink(self) -> Sink:
        return KafkaSink(self.settings)

    def log(self) -> Log:
        return KafkaLog(self.settings)

    def backlog(self, topic: str, group: str) -> Backlog:
        self._backlogs.append(KafkaBacklog(self.settings, topic, group))
        return self._backlogs[-1]

    def close(self) -> None:
        for backlog in self._backlogs:
            backlog.close()


class MockBackend(KafkaBackend):
    """librdkafka's mock cluster in this process: the wire protocol, groups and rebalances, nothing on a disk.

    It has no admin requests, keeps the producer's timestamps and knows no offsets for times.
    """

    reads_since_a_time = False

    def __init__(self) -> None:
        # The cluster lives as long as this client.
        self._cluster = Producer({"bootstrap.servers": "mock:1", "test.mock.num.brokers": 1, "log_level": 0})
        brokers = self._cluster.list_topics(timeout=10).brokers.values()
        super().__init__(",".join(f"{broker.host}:{broker.port}" for broker in brokers))

    def topic(self) -> str:
        name = unique("bus")
        deadline = time.monotonic() + PATIENCE_S
        while True:  # asking a producer's client for a topic makes it
            made = self._cluster.list_topics(name, timeout=10).topics[name]
            if made.error is None and len(made.partitions) == PARTITIONS:
                return name
            assert time.monotonic() < deadline, f"the mock cluster did not make {name}: {made.error}"


class Listener:
    """A worker's ears: what a source told it, in order, and what it owns."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, list[TopicPartition]]] = []
        self.owned: set[TopicPartition] = set()

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append(("assigned", list(partitions)))
        self.owned.update(partitions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append(("revoked", list(partitions)))
        self.owned.difference_update(partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append(("lost", list(partitions)))
        self.owned.difference_update(partitions)


def until(what: str, done: Callable[[], object]) -> None:
    """Calls `done` until it is true; fails after PATIENCE_S, saying what never came."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, f"in {PATIENCE_S:g} s there was never: {what}"


def gather(reader: Source | Follower, found: list[Record], most: int = 100) -> list[Record]:
    """Polls once and adds what came to `found`, which it returns."""
    found.extend(reader.poll(most, 0.1))
    return found


def take(source: Source, count: int) -> list[Record]:
    """The next `count` records, or more if one poll gave more."""
    found: list[Record] = []
    until(f"{count} records", lambda: len(gather(source, found)) >= count)
    return found


def nothing_more(source: Source, quiet_s: float = 1.0) -> bool:
    """Whether nothing comes for a while. It can only miss a fault on a slow machine, never invent one."""
    deadline = time.monotonic() + quiet_s
    while time.monotonic() < deadline:
        if source.poll(100, 0.1):
            return False
    return True


def send(sink: Sink, topic: str, values: Sequence[bytes], *, partition: int | None = 0, key: str = "k") -> None:
    """Produces and flushes."""
    for value in values:
        sink.produce(topic, key=key, value=value, partition=partition)
    sink.flush(20.0)


def values(records: Sequence[Record]) -> list[bytes]:
    """What was sent."""
    return [record.value for record in records]
