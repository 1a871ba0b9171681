"""All stages in one process: the van by the roadside, and what `overt demo` and `overt run` start.

The same workers as in a cluster, each on a thread of its own, over the memory bus. The models and the decoders work
outside Python's lock, so the threads share the cores.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from overt.messages import Alert, Sightings, WatchlistEntry
from overt.ports import Record, Source, TopicPartition
from overt.runtime.frame.rules import CameraSummary
from overt.runtime.memory import MemoryBus
from overt.runtime.wiring import STAGES, Wiring

_log = logging.getLogger(__name__)

_CHAIN = (("frames", "detector"), ("faces", "embedder"), ("embeddings", "matcher"), ("matches", "alerter"))
_OUTPUT = "output"
_STANDS_STILL_S = 60.0


class StageFailed(RuntimeError):
    """A stage's thread ended by an exception, which is the cause of this one. The text names both."""


class EmbeddedRun:
    """One run of a deployment in one process. `on_alert` is called on the caller's thread, as alerts happen.

    drain_s: how long a run that was stopped may work on what was read.
    """

    def __init__(
        self,
        wiring: Wiring,
        bus: MemoryBus,
        entries: Sequence[WatchlistEntry],
        *,
        on_alert: Callable[[Alert], None],
        observe: Callable[[Sightings], None] | None = None,
        drain_s: float = 10.0,
    ) -> None:
        self._drain_s = drain_s
        self._wiring = wiring
        self._bus = bus
        self._on_alert = on_alert
        self._frames = wiring.frame_service()
        bus.on_commit(wiring.world.topic("frames"), self._frames.detector_caught_up)
        self._workers = [wiring.worker(stage, observe if stage == "detector" else None) for stage in STAGES]
        self._failed: list[tuple[str, BaseException]] = []
        self._reading = True
        self._stop_reading = threading.Event()
        self._stop_working = threading.Event()
        sink = bus.sink()
        for entry in entries:
            sink.produce("watchlist", key=entry.entry_id, value=entry)

    def ready(self) -> bool:
        """Whether every stage is ready."""
        return all(worker.ready() for worker in self._workers)

    def healthy(self) -> bool:
        """Whether every loop still turns."""
        turned_at_s = [worker.last_turn_s for worker in self._workers]
        if self._reading:
            turned_at_s.append(self._frames.last_turn_s)
        return time.monotonic() - min(turned_at_s) < _STANDS_STILL_S

    def run(self, stop: threading.Event) -> Mapping[str, CameraSummary]:
        """Until the sources end, the window ends or `stop` is set; then drains. Returns what became of each camera.

        Raises StageFailed, and what `on_alert` raises.
        """
        alerts = self._bus.source(_OUTPUT)
        alerts.subscribe(["alerts"], _Quiet())
        threads = [
            self._start(stage, worker.run, self._stop_working)
            for stage, worker in zip(STAGES, self._workers, strict=True)
        ]
        reader = self._start("frame", self._frames.run, self._stop_reading)
        try:
            while reader.is_alive() and not self._failed:
                if stop.is_set():
                    self._stop_reading.set()
                self._hand_out(alerts, 0.2)
            self._reading = False
            self._drain(alerts, stop)
        finally:
            self._stop_reading.set()
            self._stop_working.set()
            until_s = time.monotonic() + self._drain_s
            for thread in [reader, *threads]:
                thread.join(max(0.0, until_s - time.monotonic()))
            while self._hand_out(alerts, 0.0):
                pass
        if self._failed:
            name, error = self._failed[0]
            raise StageFailed(f"{name} has stopped: {type(error).__name__}") from error
        return self._frames.summary()

    def _drain(self, alerts: Source, stop: threading.Event) -> None:
        """Waits until each stage in turn has committed all that the one before it has made; once `stop` is set not for
        longer than a drain may take."""
        until_s: float | None = None
        for topic, service in _CHAIN:
            while not self._failed and (left := self._unconsumed(topic, service)):
                if stop.is_set():
                    until_s = until_s or time.monotonic() + self._drain_s
                    if time.monotonic() >= until_s:
                        many = "1 record" if left == 1 else f"{left} records"
                        _log.error("stopped with %s of %s not worked off", many, topic)
                        return
                self._hand_out(alerts, 0.02)

    def _unconsumed(self, topic: str, service: str) -> int:
        group, partitions = self._wiring.world.group(service), self._bus.partitions(topic)
        return sum(self._bus.unconsumed(topic, number, group) for number in range(partitions))

    def _hand_out(self, alerts: Source, timeout_s: float) -> int:
        """Tells of alerts that have come, a hundred at most; how many."""
        records: Sequence[Record] = alerts.poll(100, timeout_s)
        for record in records:
            self._on_alert(record.value)
        if records:
            alerts.commit(records)
        return len(records)

    def _start(self, name: str, run: Callable[[threading.Event], object], stop: threading.Event) -> threading.Thread:
        def guarded() -> None:
            try:
                run(stop)
            except BaseException as error:  # handed to the caller's thread, which raises it
                self._failed.append((name, error))
                self._stop_reading.set()

        thread = threading.Thread(target=guarded, name=f"overt-{name}", daemon=True)
        thread.start()
        return thread


class _Quiet:
    """The output's member of the alerts' group: it has nothing to remember or forget."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None: ...
