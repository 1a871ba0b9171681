"""Whether somebody who reads topics still gets on, told from outside by offsets alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from overt.ports import TopicPartition


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a partition was read."""

    committed: int
    """Offset from which the group would go on."""
    end: int
    """Offset after the last record."""

    @property
    def waiting(self) -> int:
        """Records that are not committed."""
        return max(0, self.end - self.committed)


class Progress:
    """Remembers of each partition since when records wait and none was committed."""

    def __init__(self) -> None:
        self._since: dict[TopicPartition, tuple[int, float]] = {}

    def observe(self, standings: Mapping[TopicPartition, Standing], now_s: float) -> float:
        """Seconds for which the slowest of these partitions has not got on; 0 where nothing waits. A partition that is
        not among them any more is forgotten."""
        since: dict[TopicPartition, tuple[int, float]] = {}
        for where, standing in standings.items():
            if standing.waiting:
                before = self._since.get(where)
                stuck = before is not None and before[0] == standing.committed
                since[where] = before if stuck and before is not None else (standing.committed, now_s)
        self._since = since
        return max((now_s - at_s for _, at_s in since.values()), default=0.0)

    def excuse(self) -> None:
        """The broker does not answer: nobody can get on, and the time so far counts for nothing."""
        self._since.clear()
