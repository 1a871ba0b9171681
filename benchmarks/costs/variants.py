"""The variants that are compared. Each is prepared once (its models opened) and then run again and again.

Cost is CPU time of the whole process, all threads, user and system (`time.process_time`), while it works on the video;
opening models, composing the deployment and enrolling lie outside.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from costs.found import Seen, found
from costs.task import CATEGORY, Task, open_models, wire
from overt.detector.families import make_detector
from overt.matcher.exact import ExactGallery
from overt.messages import Alert, Match
from overt.models.session import Session
from overt.ports import Source, TopicPartition
from overt.runtime.embedded import EmbeddedRun
from overt.runtime.loaded import LoadedModels

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Result:
    """What a run cost and gave. `calls` counts passes of each network and faces embedded."""

    cpu_s: float
    wall_s: float
    found: frozenset[str] = frozenset()
    alerts: tuple[str, ...] = ()
    """`subject_id` of each alert, sorted."""
    calls: Mapping[str, int] = field(default_factory=dict)


class Variant(Protocol):
    """One way of going through the video. Made in the process that runs it."""

    def run(self) -> Result: ...


class Stopwatch:
    """CPU and wall seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.process_time() - self._cpu, time.perf_counter() - self._wall


class Embedded:
    """`overt run --no-realtime`, in this process, without files written and nobody watching."""

    def __init__(self, task: Task, models: LoadedModels | None = None) -> None:
        self._task = task
        self.models = models or open_models(task)

    def run(self) -> Result:
        deployment = self._task.deployment()
        wiring, bus = wire(self._task, self.models, deployment, realtime=False)
        alerts: list[Alert] = []
        embedded = EmbeddedRun(wiring, bus, self._task.entries, on_alert=alerts.append)
        matches = bus.source("benchmark")
        matches.subscribe(["matches"], _Indifferent())
        watch = Stopwatch()
        embedded.run(threading.Event())
        cpu_s, wall_s = watch.read()
        began_us = deployment.window.start_us
        return Result(
            cpu_s,
            wall_s,
            found(_seen(matches, began_us), self._task, self.models),
            tuple(sorted(alert.subject_id for alert in alerts)),
        )


class Bare:
    """The bare model calls of the embedded pipeline: the tensors that it handed to the networks, handed over again.

    Only `Session.run` is measured, on one thread; making a tensor anew, as the pipeline does just before, is not.
    """

    def __init__(self, task: Task) -> None:
        models = open_models(task)
        self._calls: list[tuple[str, Session, NDArray[np.generic]]] = []
        sessions = {"detector": models.detector_session, "embedder": models.embedder_session}
        for name, session in sessions.items():
            models.__dict__[f"{name}_session"] = _Recorder(name, session, self._calls)
        Embedded(task, models).run()

    def run(self) -> Result:
        cpu_s = wall_s = 0.0
        counts: dict[str, int] = {}
        for name, session, kept in self._calls:
            tensor = kept.astype(np.float32)
            watch = Stopwatch()
            session.run(tensor)
            took = watch.read()
            cpu_s, wall_s = cpu_s + took[0], wall_s + took[1]
            counts[name] = counts.get(name, 0) + 1
        counts["chips"] = sum(len(kept) for name, _, kept in self._calls if name == "embedder")
        return Result(cpu_s, wall_s, calls=counts)


class Naive:
    """The loop that a tutorial shows: decode, find faces at full size, align and embed all of them, compare each.

    It is no straw man: the pipeline's own decoders, OpenCV on one thread, one embedder call for all faces of a frame.
    With `mirror` a face's vector is what the pipeline's is (the model's card decides); without, of the plain chip only.
    """

    def __init__(self, task: Task, *, mirror: bool = True) -> None:
        self._task = task
        self.models = open_models(task)
        wiring, _ = wire(task, self.models, task.deployment(), realtime=False)
        self._detector = make_detector(self.models.detector, self.models.detector_session.run)
        self._aligner = wiring.aligner()
        self._model = wiring.embedding_model()
        if not mirror:
            self._model.card = self._model.card.model_copy(update={"mirror": False})
        self._gallery = ExactGallery(self._model.card.space_id, task.entries)
        self._threshold = self.models.thresholds(task.deployment().category(CATEGORY)).match

    def run(self) -> Result:
        at_us = [entry.valid_from_us for entry in self._task.entries][:1] or [0]
        seen: list[Seen] = []
        frames = faces = 0
        watch = Stopwatch()
        capture = cv2.VideoCapture(str(self._task.video))
        while True:
            ok, bgr = capture.read()
            if not ok:
                break
            frames += 1
            detections = self._detector.detect(np.asarray(bgr, np.uint8), self._detector.sure_score)
            cut = (self._aligner.chip(np.asarray(bgr, np.uint8), points) for points in detections.landmarks)
            chips = [chip for chip in cut if chip is not None]
            if not chips:
                continue
            faces += len(chips)
            vectors = self._model.embed(np.stack(chips))
            at_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            nearest = (ranked[0] for ranked in self._gallery.search(vectors, 2, at_us * len(vectors)) if ranked)
            seen += [Seen(n.subject_id, at_s, n.similarity) for n in nearest if n.similarity >= self._threshold]
        capture.release()
        cpu_s, wall_s = watch.read()
        counts = {"frames": frames, "faces": faces}
        return Result(cpu_s, wall_s, found(seen, self._task, self.models), calls=counts)


class _Recorder(Session):
    """Keeps what it is handed, as bytes where that loses nothing: pixels are whole numbers."""

    def __init__(self, name: str, inner: Session, calls: list[tuple[str, Session, NDArray[np.generic]]]) -> None:
        self._name, self._inner, self._calls = name, inner, calls
        self.provider = inner.provider

    def run(self, tensor: Floats) -> Mapping[str, Floats]:
        small = tensor.astype(np.uint8)
        exact = bool((small == tensor).all())
        self._calls.append((self._name, self._inner, small if exact else tensor.copy()))
        return self._inner.run(tensor)


def _seen(matches: Source, began_us: int) -> list[Seen]:
    found_matches: list[Match] = []
    while records := matches.poll(1000, 0.0):
        found_matches += [record.value for record in records]
    return [Seen(m.subject_id, (m.captured_at_us - began_us) / 1e6, m.similarity) for m in found_matches]


class _Indifferent:
    """A member of a group that has nothing to do when partitions move."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None: ...
