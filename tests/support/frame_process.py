"""A camera service as a process of its own, on real leases, that writes what it sends to a file.

    python frame_process.py REDIS_URL SOURCE REALTIME OUT     (REALTIME: 1 or 0)

A line for each acknowledged frame: source_epoch, frame_seq, 1 for an end frame, wall clock in microseconds.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overt.runtime.codec import PassingCodec
from overt.runtime.frame.lease import RedisLeases
from overt.runtime.frame.rules import CameraPlan, FrameRules
from overt.runtime.frame.service import FrameService
from overt.runtime.metrics import Metrics
from overt.runtime.redis_client import connect


class FileSink:
    """Frames become lines at the flush."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []

    def produce(
        self,
        topic: str,
        *,
        key: str,
        value: Any,
        partition: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        now_us = time.time_ns() // 1000
        self._lines.append(f"{value.source_epoch} {value.frame_seq} {int(value.end)} {now_us}\n")

    def flush(self, timeout_s: float) -> None:
        with self._path.open("a") as out:
            out.write("".join(self._lines))
        self._lines.clear()

    def close(self) -> None:
        """Nothing is held."""


class Eager:
    """A detector that has always finished."""

    def unconsumed(self, partition: int) -> int:
        return 0


def main() -> None:
    """Serve until a signal comes."""
    redis_url, source, realtime, out = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    service = FrameService(
        [CameraPlan("north", source, 0, [(0, 0), (1, 0), (1, 1), (0, 1)], fps=20.0, loop=True)],
        FrameRules(realtime=realtime == "1", serving=True),
        leases=RedisLeases(connect(redis_url), "takeover", uuid.uuid4().hex),
        sink=FileSink(Path(out)),
        codec=PassingCodec(),
        frames_waiting=Eager(),
        metrics=Metrics(),
        clock=lambda: time.time_ns() // 1000,
    )
    service.run(stop)


if __name__ == "__main__":
    main()
