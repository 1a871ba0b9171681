"""The limit on rejects: one hostile or broken camera pauses its own partition and stops nobody else."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from overt.ports import TopicPartition


@dataclass(frozen=True, slots=True)
class RejectLimit:
    """Past `ratio` rejects among at least `least` records within `window_s`, a partition rests for `rest_s`."""

    ratio: float = 0.5
    least: int = 20
    window_s: float = 60.0
    rest_s: float = 30.0


class RejectWindow:
    """Counts each partition's records and rejects in a sliding window. Time is handed in, in seconds."""

    def __init__(self, limit: RejectLimit) -> None:
        self._limit = limit
        self._seen: dict[TopicPartition, deque[tuple[float, bool]]] = {}
        self._rejects: dict[TopicPartition, int] = {}
        """Rejects among those seen: counted on, since a busy partition sees thousands of records in a window."""
        self._resting: dict[TopicPartition, float] = {}

    def note(self, partition: TopicPartition, rejected: bool, now_s: float) -> bool:
        """Notes one finished record. True when the partition has just passed its limit and must be paused."""
        seen = self._seen.setdefault(partition, deque())
        seen.append((now_s, rejected))
        rejects = self._rejects.get(partition, 0) + rejected
        while seen[0][0] < now_s - self._limit.window_s:
            _, was_rejected = seen.popleft()
            rejects -= was_rejected
        self._rejects[partition] = rejects
        over = len(seen) >= self._limit.least and rejects > self._limit.ratio * len(seen)
        if not over or partition in self._resting:
            return False
        self._resting[partition] = now_s + self._limit.rest_s
        return True

    def rested(self, now_s: float) -> list[TopicPartition]:
        """Partitions whose rest is over; each begins with an empty window."""
        over = [p for p, until in self._resting.items() if until <= now_s]
        for partition in over:
            self.forget(partition)
        return over

    def forget(self, partition: TopicPartition) -> None:
        """The partition moved to another member, or starts anew."""
        self._resting.pop(partition, None)
        self._seen.pop(partition, None)
        self._rejects.pop(partition, None)
