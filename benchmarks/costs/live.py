"""The embedded pipeline at the video's own pace, played again and again: how long from capture to alert."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from costs.task import CAMERA, Task, open_models, wire
from costs.variants import Stopwatch
from overt.messages import Alert
from overt.runtime.embedded import EmbeddedRun


@dataclass(frozen=True, slots=True)
class Lived:
    """One real-time run."""

    cpu_s: float
    wall_s: float
    latencies_s: Sequence[float]
    """Capture of the face that made the alert until the alert was handed out, for each alert."""
    read: float
    lost: float
    """Frames dropped or shed."""

    def quantile_s(self, share: float) -> float:
        """Of the latencies. Raises where there is none."""
        return float(np.quantile(self.latencies_s, share))


class Live:
    """`overt run --realtime` on a file that is played in a loop. The cool-down is off, so that each pass alerts."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._models = open_models(task)

    def run(self, seconds: float) -> Lived:
        deployment = self._task.deployment(loop=True, cooldown_s=0.0)
        wiring, bus = wire(self._task, self._models, deployment, realtime=True)
        latencies: list[float] = []

        def handed_out(alert: Alert) -> None:
            latencies.append(time.time() - alert.captured_at_us / 1e6)

        embedded = EmbeddedRun(wiring, bus, self._task.entries, on_alert=handed_out)
        stop = threading.Event()
        timer = threading.Timer(seconds, stop.set)
        watch = Stopwatch()
        timer.start()
        embedded.run(stop)
        cpu_s, wall_s = watch.read()
        registry = wiring.metrics.registry
        read = registry.get_sample_value("overt_frames_read_total", {"camera": CAMERA}) or 0.0
        dropped = [
            sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name in ("overt_frames_dropped_total", "overt_frames_shed_total")
        ]
        return Lived(cpu_s, wall_s, latencies, read, sum(dropped))
