"""Runs one stretch of passes through the pipeline of `overt run`, and hears what it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from overt.embedder.model import EmbeddingModel
from overt.evaluation.video.tap import Heard, RememberingModel, Tap
from overt.frame.readers import OpenReader, open_reader
from overt.governance.deployment import Deployment
from overt.messages import WatchlistEntry
from overt.runtime.embedded import EmbeddedRun
from overt.runtime.metrics import Metrics
from overt.runtime.settings import Settings
from overt.runtime.wiring import Wiring
from overt.runtime.world import memory_world


class EvaluationWiring(Wiring):
    """The wiring of `overt run`, whose embedding model remembers what it made."""

    remembering: RememberingModel | None = None

    def embedding_model(self) -> EmbeddingModel:
        """See Wiring.embedding_model."""
        session = self.models.embedder_session
        self.remembering = RememberingModel(
            self.models.embedder, lambda tensor: np.asarray(session.run(tensor)["embedding"])
        )
        return self.remembering


class Stopped(Exception):
    """The run was interrupted; what was finished is kept."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run."""

    heard: Heard
    wall_s: float
    cpu_s: float
    """Of the whole process but the tap: what else costs time (composing) is the caller's to take off."""
    frames: int
    failure: str | None
    """Why the source could not be read."""


def run(
    deployment: Deployment,
    settings: Settings,
    entries: Sequence[WatchlistEntry],
    stop: threading.Event,
    *,
    realtime: bool = False,
    opens: OpenReader = open_reader,
) -> Run:
    """From the source's first picture to the last alert. Raises Stopped, and what EmbeddedRun.run raises."""
    world, bus = memory_world(deployment)
    wiring = EvaluationWiring(world, settings, Metrics(), realtime=realtime, opens=opens)
    tap = Tap(bus)
    # Copies, since a matcher that takes leave of its gallery may wipe the vectors that it was given.
    own = [replace(entry, vector=entry.vector.copy()) for entry in entries]
    embedded = EmbeddedRun(wiring, bus, own, on_alert=tap.alert, observe=tap.observe)
    assert wiring.remembering is not None
    tap.start()
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    try:
        cameras = embedded.run(stop)
    finally:
        cpu_s, wall_s = time.process_time() - began_cpu_s, time.monotonic() - began_s
        heard = tap.finish(wiring.remembering)
    if stop.is_set():
        raise Stopped
    frames = sum(camera.frames for camera in cameras.values())
    failure = next((camera.failure for camera in cameras.values() if camera.failure is not None), None)
    return Run(heard, wall_s, cpu_s - tap.cpu_s, frames, failure)
