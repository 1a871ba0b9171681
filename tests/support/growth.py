"""What running processes hold, looked at again and again, and whether it grows."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Reading = tuple[float, float]
"""Seconds of the monotonic clock, and a value."""


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


MEASURES = {"memory (MB)": resident_mb, "handles": handles, "threads": threads}


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


def common_slope(stretches: Iterable[Sequence[Reading]]) -> float:
    """What the lines through all stretches rise in a second, which rise alike and begin where they will, by least
    squares: what happens between two stretches is a step and no rise. ValueError where no stretch has two readings."""
    at_s, values = [], []
    for readings in stretches:
        taken = np.array(readings, np.float64).reshape(-1, 2)
        at_s.append(taken[:, 0] - taken[:, 0].mean())
        values.append(taken[:, 1] - taken[:, 1].mean())
    if all(len(those) < 2 for those in at_s):
        raise ValueError("no stretch of readings is long enough to show a slope")
    every_s, every = np.concatenate(at_s), np.concatenate(values)
    return float(every_s @ every / (every_s @ every_s))


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


@dataclass
class Calm:
    """A stretch of time in which nothing was done to anybody: what processes held, and how many frames came."""

    growth: Growth = field(default_factory=Growth)
    frames: int = 0
    seconds: float = 0.0


def kb_a_frame(calms: Sequence[Calm]) -> dict[str, float]:
    """How much the memory of each process that lived in the last stretch grew for each frame. Its own first stretch is
    left out: in that it warms up."""
    found = {}
    for name, pid in sorted({(name, pid) for name, pid, _ in calms[-1].growth.readings}):
        place = (name, pid, "memory (MB)")
        own = [calm for calm in calms if calm.growth.readings.get(place)][1:]
        frames_a_second = sum(calm.frames for calm in own) / sum(calm.seconds for calm in own)
        found[name] = common_slope(calm.growth.readings[place] for calm in own) * 1024 / frames_a_second
    return found
