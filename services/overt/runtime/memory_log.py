"""The bus of one process, looked at from outside any group: a topic's records, and how many wait for a group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from overt.ports import Record

if TYPE_CHECKING:
    from overt.runtime.memory import MemoryBus


class MemoryLog:
    """See `overt.ports.Log`."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    def read(self, topic: str, *, since_us: int | None = None) -> Iterable[Record]:
        with self._bus._lock:
            found = [r for part in self._bus._topics[topic] for r in part.records]
        return [r for r in found if since_us is None or r.timestamp_us >= since_us]

    def follow(self, topic: str) -> MemoryFollower:
        return MemoryFollower(self._bus, topic)


class MemoryFollower:
    """See `overt.ports.Follower`."""

    def __init__(self, bus: MemoryBus, topic: str) -> None:
        self._bus, self._topic = bus, topic
        with bus._lock:
            self._target = [part.end for part in bus._topics[topic]]
        self._position = [0] * len(self._target)

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        with self._bus._lock:
            found = self._take(most)
            if not found and timeout_s > 0:
                self._bus._appended.wait(timeout_s)
                found = self._take(most)
            return found

    def caught_up(self) -> bool:
        return all(at >= end for at, end in zip(self._position, self._target, strict=True))

    def close(self) -> None:
        """Nothing is held."""

    def _take(self, most: int) -> list[Record]:
        found: list[Record] = []
        for number, part in enumerate(self._bus._topics[self._topic]):
            at = max(self._position[number], part.base)
            while at < part.end and len(found) < most:
                found.append(part.at(at))
                at += 1
            self._position[number] = at
        return found


class MemoryBacklog:
    """See `overt.ports.Backlog`."""

    def __init__(self, bus: MemoryBus, topic: str, group: str) -> None:
        self._bus, self._topic, self._group_name = bus, topic, group

    def unconsumed(self, partition: int) -> int:
        return self._bus.unconsumed(self._topic, partition, self._group_name)
