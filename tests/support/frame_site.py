"""Where a camera service runs in a test: the memory bus, leases that replicas share, and time that the test moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from overt.messages import Frame
from overt.ports import Unavailable
from overt.runtime.codec import PassingCodec
from overt.runtime.frame.lease import LeaseTable, MemoryLeases
from overt.runtime.frame.rules import CameraPlan, CameraSummary, FrameRules
from overt.runtime.frame.service import FrameService
from overt.runtime.memory import MemoryBus
from overt.runtime.metrics import Metrics

WHOLE = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
STARTED_US = 1_700_000_000_000_000
BATCH = FrameRules(realtime=False)


class Quiet:
    """A consumer that does not mind rebalances."""

    def assigned(self, partitions: object) -> None: ...
    def revoked(self, partitions: object) -> None: ...
    def lost(self, partitions: object) -> None: ...


class FailingSink:
    """The memory bus's sink, away while it is told to be."""

    def __init__(self, bus: MemoryBus) -> None:
        self._sink = bus.sink()
        self.away = False
        self.produced: list[Frame] = []

    def produce(
        self,
        topic: str,
        *,
        key: str,
        value: Any,
        partition: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.produced.append(value)
        if not self.away:
            self._sink.produce(topic, key=key, value=value, partition=partition, headers=headers)

    def flush(self, timeout_s: float) -> None:
        if self.away:
            raise Unavailable("the test has taken the bus away")

    def close(self) -> None:
        self._sink.close()


class Site:
    """A bus, a clock that the test moves, leases that replicas share, and services on them."""

    def __init__(self) -> None:
        self.now_us: int | None = STARTED_US
        """What the services take for the wall clock; None: the real one."""
        self.elapsed_s = 0.0
        self.bus = MemoryBus(self.clock)
        self.bus.create("frames", 4)
        self.table = LeaseTable()
        self.detector = self.bus.source("detector")
        self.detector.subscribe(["frames"], Quiet())
        self.metrics = Metrics()
        self.sink = FailingSink(self.bus)
        self._services: list[FrameService] = []

    def clock(self) -> int:
        return time.time_ns() // 1000 if self.now_us is None else self.now_us

    def leases(self, owner: str = "one") -> MemoryLeases:
        return MemoryLeases(owner, table=self.table, elapsed=lambda: self.elapsed_s)

    def service(
        self,
        *plans: CameraPlan,
        rules: FrameRules = BATCH,
        owner: str = "one",
        codec: Any = None,
        may_capture: Callable[[], bool] = lambda: True,
    ) -> FrameService:
        service = FrameService(
            plans,
            rules,
            leases=self.leases(owner),
            sink=self.sink,
            codec=codec or PassingCodec(),
            frames_waiting=self.bus.backlog("frames", "detector"),
            metrics=self.metrics,
            clock=self.clock,
            may_capture=may_capture,
        )
        self._services.append(service)
        return service

    def close(self) -> None:
        """Ends what the test has left running."""
        for service in self._services:
            service.close()

    def frames(self, camera_id: str = "north") -> list[Frame]:
        """All that is on the bus of a camera, in order."""
        return [r.value for r in self.bus.log().read("frames") if r.key == camera_id]

    def consume(self) -> int:
        """The detector takes what there is and commits it."""
        records = self.detector.poll(100, 0)
        self.detector.commit(records)
        return len(records)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"overt_{name}", labels) or 0.0


def wait_for(done: Callable[[], bool], seconds: float = 30.0) -> None:
    """Looks until it is so; a failure when it is not within `seconds`."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f"it did not happen within {seconds} s"
        time.sleep(0.01)


def run_beside_detector(
    service: FrameService, site: Site, stop: threading.Event | None = None
) -> Mapping[str, CameraSummary]:
    """Runs to the end beside a detector that keeps up."""
    over = threading.Event()

    def detect() -> None:
        while not over.is_set():
            site.consume()
            time.sleep(0.002)

    detector = threading.Thread(target=detect, daemon=True)
    detector.start()
    try:
        return service.run(stop or threading.Event())
    finally:
        over.set()
        detector.join(10)
