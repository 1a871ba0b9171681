"""What the processes of a cluster have in use, by the work they have done: whether one keeps something of each item.

Resident memory does not say it within minutes: what is kept first fills what was freed before, and an allocator's steps
are as large as a minute's leak.
"""

from __future__ import annotations

import http.client
import os
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.cluster import Cluster
from tests.support.growth import Reading, kept_an_item
from tests.support.process import Service

MOST_KEPT_KB = {"frame": 0.4, "detector": 0.4, "embedder": 0.8, "matcher": 0.8, "alerter": 0.8}
"""Of each item that a service has worked off: frames for frame and detector, then faces, embeddings, matches. Below a
vector (0.9 kB), above what was seen without a leak within minutes: processes that warm up, 60 kB a minute at most."""
_WARM_KB = 150.0
"""What a process that warms up may take in three minutes, however few items a slow machine lets it have."""
_INSIDE = Path(__file__).with_name("inside")
_EVERY_S = 1.0


def observed(folder: Path) -> dict[str, str]:
    """Variables under which Python processes tell in a folder what they have in use."""
    path = [str(_INSIDE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(path), "PYTHONMALLOC": "malloc", "HEAP_FOLDER": str(folder)}


def in_use_kb(folder: Path, pid: int) -> float:
    """What a process has in use, less what it has in hand. FileNotFoundError where none is told, ValueError not yet."""
    told = (folder / str(pid)).read_bytes()
    if len(told) != 8:
        raise ValueError(f"process {pid} has not told yet what it has in use")
    return int.from_bytes(told, "little") / 1000


def most_kept_kb(service: str, items: float) -> float:
    """What a service may keep of each item, by how many there were."""
    return max(MOST_KEPT_KB[service], _WARM_KB / items)


class Heaps:
    """Follows all services, on a thread of its own, from where its block begins to where it ends."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.readings: dict[tuple[str, int], list[tuple[float, Reading]]] = defaultdict(list)
        """By service and process: seconds of the monotonic clock; items worked off, and kB in use."""
        self._cluster = cluster
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(30)

    def worked_off(self, seconds: float) -> dict[str, tuple[float, float]]:
        """By service, of the process that was looked at last, and of its last so many seconds: how many items it has
        worked off, and what it kept of each, in kB (`kept_an_item`)."""
        last = {name: those for (name, _), those in sorted(self.readings.items(), key=lambda one: one[1][-1][0])}
        found = {}
        for name, those in last.items():
            judged = [reading for at_s, reading in those if at_s >= those[-1][0] - seconds]
            found[name] = judged[-1][0] - judged[0][0], kept_an_item(judged)
        return found

    def _follow(self) -> None:
        while not self._stop.wait(_EVERY_S):
            for (name, _), replica in self._cluster.services.items():
                self._look(name, replica)

    def _look(self, name: str, replica: Service) -> None:
        """Nothing of one that is starting, stopped or dead."""
        try:
            pid = replica.child.pid
            if replica.status("/healthz") is None:
                return
            items = replica.scrape().total("overt_records_total")
            held_kb = in_use_kb(self._folder, pid)
        except (OSError, http.client.HTTPException, ValueError):
            return
        if replica.child.pid == pid:
            self.readings[name, pid].append((time.monotonic(), (items, held_kb)))
