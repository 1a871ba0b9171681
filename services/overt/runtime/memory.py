"""The bus of one process: topics with partitions, groups with committed offsets, and nothing that outlives it.

It keeps the promises of `overt.ports` as Kafka does (one conformance suite runs on both), so that a stage cannot tell
the difference. Values are handed over as they are. Topics made with `keep=False` forget what every group has
committed: pixels leave memory as soon as the last stage is done with them. No topic need grow with the length of a run:
whoever fills one faster than others empty it is slowed down, and of what nobody reads only the last is kept.
"""

from __future__ import annotations

import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from overt.ports import Clock, Rebalance, Record, TopicPartition
from overt.runtime.memory_log import MemoryBacklog, MemoryLog


class _Partition:
    """One log: records in order, the offset of the first that is still kept."""

    def __init__(self) -> None:
        self.records: deque[Record] = deque()
        self.base = 0

    @property
    def end(self) -> int:
        return self.base + len(self.records)

    def at(self, offset: int) -> Record:
        return self.records[offset - self.base]

    def forget_before(self, offset: int) -> None:
        while self.records and self.base < offset:
            self.records.popleft()
            self.base += 1


class _Group:
    """Who consumes together: committed offsets, and which member has which partition."""

    def __init__(self) -> None:
        self.committed: dict[TopicPartition, int] = {}
        self.members: list[MemorySource] = []
        self.owner: dict[TopicPartition, MemorySource] = {}


class MemoryBus:
    """Topics, groups and their lock. All handles made from one bus may be used from different threads.

    Whoever waits is woken by what concerns them and by nothing else: with a thread for each stage, waking all of them
    for each record and each commit cost as much as the bus itself.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._appended = threading.Condition(self._lock)
        """For followers, which belong to no group."""
        self._on_commit: dict[str, list[Callable[[], object]]] = {}
        self._topics: dict[str, list[_Partition]] = {}
        self._forgetful: set[str] = set()
        self._most: dict[str, int] = {}
        self._room = threading.Condition(self._lock)
        """For sinks that wait until consumers have caught up."""
        self._groups: dict[str, _Group] = {}

    def create(self, topic: str, partitions: int, *, keep: bool = True, most: int | None = None) -> None:
        """Makes a topic.

        keep: its records stay, the last `most` of each partition, or all. Otherwise records that every group of the
        topic has committed are forgotten, and a sink's `flush` waits while more than `most` are left in the topic.
        """
        with self._lock:
            self._topics[topic] = [_Partition() for _ in range(partitions)]
            if not keep:
                self._forgetful.add(topic)
            if most is not None:
                self._most[topic] = most
            for group in self._groups.values():
                self._reassign(group)

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return len(self._topics[topic])

    def most(self, topic: str) -> int | None:
        """How many of a topic's records are kept, or may wait; None: as many as come."""
        return self._most.get(topic)

    def source(self, group: str) -> MemorySource:
        return MemorySource(self, group)

    def sink(self) -> MemorySink:
        return MemorySink(self)

    def log(self) -> MemoryLog:
        return MemoryLog(self)

    def unconsumed(self, topic: str, partition: int, group: str) -> int:
        """Records of a partition that the group has not committed."""
        with self._lock:
            part = self._topics[topic][partition]
            return part.end - max(part.base, self._group(group).committed.get((topic, partition), 0))

    def backlog(self, topic: str, group: str) -> MemoryBacklog:
        return MemoryBacklog(self, topic, group)

    def on_commit(self, topic: str, call: Callable[[], object]) -> None:
        """Has `call` called after each commit on a topic, on the thread that commits; it must not block."""
        with self._lock:
            self._on_commit.setdefault(topic, []).append(call)

    # What the handles below do to the bus; each takes the lock once.

    def _append(self, topic: str, key: str, value: Any, partition: int | None, headers: Mapping[str, str]) -> None:
        with self._lock:
            parts = self._topics[topic]
            number = zlib.crc32(key.encode()) % len(parts) if partition is None else partition
            part = parts[number]
            part.records.append(Record(topic, number, part.end, key, value, self._clock(), headers))
            if topic in self._most and topic not in self._forgetful:
                part.forget_before(part.end - self._most[topic])
            for group in self._groups.values():
                owner = group.owner.get((topic, number))
                if owner is not None:
                    owner.news.notify_all()
            self._appended.notify_all()

    def _group(self, name: str) -> _Group:
        return self._groups.setdefault(name, _Group())

    def _reassign(self, group: _Group) -> None:
        """Deals the partitions out in order, as even as they go; each member learns of it when it polls next."""
        group.owner = {}
        for topic, parts in self._topics.items():
            members = [m for m in group.members if topic in m.topics]
            for number in range(len(parts)):
                if members:
                    group.owner[topic, number] = members[number * len(members) // len(parts)]
        for member in group.members:
            member.news.notify_all()

    def _forget(self, where: TopicPartition) -> None:
        topic, number = where
        if topic in self._forgetful:
            groups = [g for g in self._groups.values() if where in g.owner]
            self._topics[topic][number].forget_before(min((g.committed.get(where, 0) for g in groups), default=0))
            self._room.notify_all()

    def _wait_for_room(self, topics: Iterable[str], timeout_s: float) -> None:
        limited = [topic for topic in topics if topic in self._most and topic in self._forgetful]
        if limited:
            with self._lock:
                self._room.wait_for(lambda: not any(map(self._crowded, limited)), timeout_s)

    def _crowded(self, topic: str) -> bool:
        return sum(len(part.records) for part in self._topics[topic]) > self._most[topic]


class MemorySource:
    """One member of a group. See `overt.ports.Source`."""

    def __init__(self, bus: MemoryBus, group: str) -> None:
        self._bus = bus
        self._name = group
        self.topics: tuple[str, ...] = ()
        self.news = threading.Condition(bus._lock)
        """Told when a record or a partition comes to this member."""
        self._rebalance: Rebalance | None = None
        self._position: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._turn = 0

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        with self._bus._lock:
            self.topics, self._rebalance = tuple(topics), rebalance
            group = self._bus._group(self._name)
            group.members.append(self)
            self._bus._reassign(group)

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        with self._bus._lock:
            self._learn_assignment()
            found = self._take(most)
            if not found and timeout_s > 0:
                self.news.wait(timeout_s)
                self._learn_assignment()
                found = self._take(most)
            return found

    def commit(self, records: Sequence[Record]) -> None:
        with self._bus._lock:
            group = self._bus._group(self._name)
            for record in records:
                where = (record.topic, record.partition)
                if group.owner.get(where) is self:
                    group.committed[where] = record.offset + 1
                    self._bus._forget(where)
            calls = [call for topic in {r.topic for r in records} for call in self._bus._on_commit.get(topic, ())]
        for call in calls:
            call()

    def rewind(self, records: Sequence[Record]) -> None:
        with self._bus._lock:
            for record in reversed(records):
                if (record.topic, record.partition) in self._position:
                    self._position[record.topic, record.partition] = record.offset

    def pause(self, partition: TopicPartition) -> None:
        self._paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        self._paused.discard(partition)

    def lag(self) -> Mapping[TopicPartition, int]:
        with self._bus._lock:
            return {(t, n): self._bus._topics[t][n].end - at for (t, n), at in self._position.items()}

    def spare(self) -> bool:
        """Never: in one process each group has one member."""
        return False

    def close(self) -> None:
        with self._bus._lock:
            group = self._bus._group(self._name)
            if self in group.members:
                group.members.remove(self)
            self._bus._reassign(group)
        self._position.clear()

    def _learn_assignment(self) -> None:
        group = self._bus._group(self._name)
        mine = {where for where, member in group.owner.items() if member is self}
        gone, new = self._position.keys() - mine, mine - self._position.keys()
        for where in gone:
            del self._position[where]
        for where in new:
            self._position[where] = group.committed.get(where, 0)
        self._paused &= mine
        if self._rebalance is not None:
            if gone:
                self._rebalance.revoked(sorted(gone))
            if new:
                self._rebalance.assigned(sorted(new))

    def _take(self, most: int) -> list[Record]:
        """From the partitions in turn, so that a busy one does not starve the others."""
        found: list[Record] = []
        order = sorted(self._position.keys() - self._paused)
        self._turn += 1
        for step in range(len(order)):
            topic, number = where = order[(self._turn + step) % len(order)]
            part = self._bus._topics[topic][number]
            at = max(self._position[where], part.base)
            while at < part.end and len(found) < most:
                found.append(part.at(at))
                at += 1
            self._position[where] = at
        return found


class MemorySink:
    """See `overt.ports.Sink`. What is produced has arrived."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._written: set[str] = set()
        """Topics, since the last flush."""

    def produce(
        self,
        topic: str,
        *,
        key: str,
        value: Any,
        partition: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._bus._append(topic, key, value, partition, headers or {})
        self._written.add(topic)

    def flush(self, timeout_s: float) -> None:
        """Nothing is ever on its way. Waits while a topic that was written to is too full, and gives that up in time:
        what was produced is there, and raising would only have it produced once more."""
        self._bus._wait_for_room(self._written, timeout_s)
        self._written.clear()

    def close(self) -> None:
        """Nothing is held."""
