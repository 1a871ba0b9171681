"""What running processes hold, looked at again and again, and whether it grows."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

Reading = tuple[float, float]
"""Seconds of the monotonic clock (or whatever a value is read against), and a value."""


def resident_mb(pid: int) -> float:
    """A process's resident memory in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(float(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def handles(pid: int) -> int:
    """Open files and sockets."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    """Threads of a process."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


MEMORY = "memory (MB)"
MEASURES = {MEMORY: resident_mb, "handles": handles, "threads": threads}


@dataclass(frozen=True)
class Trend:
    """A line through readings, by least squares."""

    seconds: float
    first: float
    mean: float
    grown: float
    """The line's slope, times the seconds."""

    @property
    def share(self) -> float:
        """Growth relative to the mean."""
        return self.grown / self.mean if self.mean else 0.0


def trend(readings: Iterable[Reading], skip_s: float = 0.0) -> Trend:
    """Of what was read `skip_s` after the first reading and later. ValueError with fewer than two readings."""
    taken = sorted(readings)
    at_s, values = np.array([r for r in taken if r[0] >= taken[0][0] + skip_s], np.float64).reshape(-1, 2).T
    if len(at_s) < 2:
        raise ValueError(f"{len(at_s)} readings show no trend: look longer than {skip_s:.0f} s")
    slope = float(np.polyfit(at_s - at_s[0], values, 1)[0])
    seconds = float(at_s[-1] - at_s[0])
    return Trend(seconds, float(values[0]), float(values.mean()), slope * seconds)


def kept_an_item(readings: Iterable[Reading], parts: int = 12) -> float:
    """What is kept of each item, in the readings' unit. Readings: items worked off, and what was held then.

    The items are cut into equal parts, and the lowest reading of each is what was held with nothing in hand. From part
    to part it rises; the middle one of these rises counts. A leak is in each of them, a step in one or two. ValueError
    where fewer than half of the parts have a reading.
    """
    taken = sorted(readings)
    first, last = (taken[0][0], taken[-1][0]) if taken else (0.0, 0.0)
    if last <= first:
        raise ValueError(f"{len(taken)} readings, all at {first:.0f} items, show nothing that is kept")
    each = (last - first) / parts
    lowest: dict[int, float] = {}
    for items, held in taken:
        part = min(parts - 1, int((items - first) / each))
        lowest[part] = min(held, lowest.get(part, held))
    if len(lowest) < parts / 2:
        raise ValueError(
            f"{len(lowest)} of {parts} parts of {each:.0f} items have a reading: look more often, or longer"
        )
    rises = [(lowest[after] - lowest[before]) / (after - before) for before, after in pairwise(sorted(lowest))]
    return statistics.median(rises) / each


@dataclass
class Growth:
    """Readings of processes, by name, process and measure: one that was started anew is another process."""

    readings: dict[tuple[str, int, str], list[Reading]] = field(default_factory=lambda: defaultdict(list))

    def look(self, pids: Mapping[str, int]) -> None:
        """Takes a reading of all of them, by name. Those that have ended are left out."""
        for name, pid in pids.items():
            for measure, read in MEASURES.items():
                try:
                    value = float(read(pid))
                except (FileNotFoundError, ProcessLookupError, StopIteration):
                    continue
                self.readings[name, pid, measure].append((time.monotonic(), value))

    def trends(self, measure: str, *, skip_s: float, at_least_s: float) -> dict[tuple[str, int], Trend]:
        """By name and process, of those that were looked at for `at_least_s` after the first `skip_s`."""
        found = {}
        for (name, pid, of), readings in self.readings.items():
            if of == measure and readings[-1][0] - readings[0][0] >= skip_s + at_least_s:
                found[name, pid] = trend(readings, skip_s)
        return found
