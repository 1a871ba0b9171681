"""All stages in one process: the van by the roadside, and what `overt demo` and `overt run` start.

The same workers as in a cluster, each on a thread of its own, over the memory bus. The models and the decoders work
outside Python's lock, so the threads share the cores.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from overt.messages import Alert, Sightings, WatchlistEntry
from overt.ports import Record, Source, TopicPartition
from overt.runtime.frame_rules import CameraSummary
from overt.runtime.memory import MemoryBus
from overt.runtime.wiring import STAGES, Wiring

_log = logging.getLogger(__name__)

_CHAIN = (("frames", "detector"), ("faces", "embedder"), ("embeddings", "matcher"), ("matches", "alerter"))
_OUTPUT = "output"
_LONGEST_DRAIN_S = 10.0


class StageFailed(RuntimeError):
    """A worker's thread ended by an exception, which is the cause of this one."""


class EmbeddedRun:
    """One run of a deployment in one process. `on_alert` is called on the caller's thread, as alerts happen."""

    def __init__(
        self,
        wiring: Wiring,
        bus: MemoryBus,
        entries: Sequence[WatchlistEntry],
        *,
        on_alert: Callable[[Alert], None],
        observe: Callable[[Sightings], None] | None = None,
    ) -> None:
        self._wiring = wiring
        self._bus = bus
        self._on_alert = on_alert
        self._frames = wiring.frame_service()
        bus.on_commit(wiring.world.topic("frames"), self._frames.detector_caught_up)
        self._workers = [wiring.worker(stage, observe if stage == "detector" else None) for stage in STAGES]
        self._failed: list[BaseException] = []
        self._stop_reading = threading.Event()
        self._stop_working = threading.Event()
        sink = bus.sink()
        for entry in entries:
            sink.produce("watchlist", key=entry.entry_id, value=entry)

    def ready(self) -> bool:
        """Whether every stage is ready."""
        return all(worker.ready() for worker in self._workers)

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
            self._drain(alerts)
        finally:
            self._stop_reading.set()
            self._stop_working.set()
            for thread in [reader, *threads]:
                thread.join(_LONGEST_DRAIN_S)
            self._hand_out(alerts, 0.0)
        if self._failed:
            raise StageFailed("a stage has stopped") from self._failed[0]
        return self._frames.summary()

    def _drain(self, alerts: Source) -> None:
        """Waits until each stage in turn has committed all that the one before it has made."""
        for topic, service in _CHAIN:
            group = self._wiring.world.group(service)
            partitions = self._bus.partitions(topic)
            while not self._failed and any(self._bus.unconsumed(topic, n, group) for n in range(partitions)):
                self._hand_out(alerts, 0.02)

    def _hand_out(self, alerts: Source, timeout_s: float) -> None:
        records: Sequence[Record] = alerts.poll(100, timeout_s)
        for record in records:
            self._on_alert(record.value)
        if records:
            alerts.commit(records)

    def _start(self, name: str, run: Callable[[threading.Event], object], stop: threading.Event) -> threading.Thread:
        def guarded() -> None:
            try:
                run(stop)
            except BaseException as error:  # handed to the caller's thread, which raises it
                self._failed.append(error)
                self._stop_reading.set()

        thread = threading.Thread(target=guarded, name=f"overt-{name}", daemon=True)
        thread.start()
        return thread


class _Quiet:
    """The output's member of the alerts' group: it has nothing to remember or forget."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None: ...
