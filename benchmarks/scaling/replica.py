"""A detector's replica as a process: the product's own loop, and a sleep or the real stage in its middle."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.sharedctypes import SynchronizedBase
from operator import setitem
from typing import Any

import numpy as np

from overt.detector.state import DetectorState, Shots, Track
from overt.messages import Box, Face, Frame
from overt.picture import Picture
from overt.ports import Rebalance, Record, Source, TopicPartition
from overt.runtime.metrics import Metrics
from overt.runtime.runners import StatefulRunner
from overt.runtime.wiring import Wiring
from overt.runtime.worker import Plan, Worker
from overt.runtime.world import World, now_us
from scaling.site import Site
from scaling.timed import PARTS, Timed

_FACE_EVERY = 5
_CHIP_BYTES, _THUMBNAIL_BYTES = 20_000, 12_000
_TRACKS = 3


@dataclass(frozen=True, slots=True)
class Shared:
    """What replicas tell while they run; each cell has one writer."""

    done: Any
    """Records committed, by partition."""
    parts_s: Any
    """Seconds spent in each of `PARTS`, replica after replica."""
    batches: Any
    """Batches worked off, by replica."""
    assigned: Any
    """Partitions held, by replica."""


class Sleeper:
    """A detector's stage that sleeps for as long as the model takes (`overt.ports.StatefulStage`): the frames stay
    unopened, every fifth yields a face of the usual size, and a camera's state holds three tracks."""

    def __init__(self, model_s: float) -> None:
        self._model_s = model_s
        noise = np.random.default_rng(1)
        self._chip = Picture(encoded=noise.bytes(_CHIP_BYTES))
        self._thumbnail = Picture(encoded=noise.bytes(_THUMBNAIL_BYTES))

    def fresh(self, key: str, /) -> DetectorState:  # noqa: ARG002  # the port's signature
        """See StatefulStage."""
        track = Track("t", 1, 2, 3, 2, 3, True, 10.0, 10.0, 60.0, 80.0, 1.0, 1.0, 60.0, Shots(1, 0.8, 2, 0, 2, 0.9))
        return DetectorState(tracks=(track,) * _TRACKS)

    def step(self, state: DetectorState, batch: Sequence[Frame], /) -> tuple[DetectorState, Iterable[Face]]:
        """See StatefulStage."""
        time.sleep(self._model_s * len(batch))
        faces = [self._face(frame) for frame in batch if _has_a_face(frame)]
        return replace(state, captured_at_us=batch[-1].captured_at_us), faces

    def _face(self, frame: Frame) -> Face:
        return Face(
            camera_id=frame.camera_id,
            source_epoch=frame.source_epoch,
            frame_seq=frame.frame_seq,
            face_index=0,
            captured_at_us=frame.captured_at_us,
            track_id="5f1c1b0e-9a64-5a53-9f0e-1f6d9a1f2c3d",
            box=Box(10.0, 10.0, 90.0, 110.0),
            landmarks=np.zeros(10, np.float32),
            detection_score=0.9,
            quality=0.8,
            crop=self._chip,
            thumbnail=self._thumbnail,
            context=None,
        )


def _has_a_face(frame: Frame) -> bool:
    """Every fifth of a camera, and not the same for all cameras: they would all come at once."""
    return (frame.frame_seq + int(frame.camera_id[1:])) % _FACE_EVERY == 0


class Held:
    """Notes how many partitions a replica holds, once its worker knows it (`overt.ports.Rebalance`)."""

    def __init__(self, worker: Rebalance, note: Callable[[int], None]) -> None:
        self._worker = worker
        self._note = note
        self._held: set[TopicPartition] = set()

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """See Rebalance."""
        self._worker.assigned(partitions)
        self._held.update(partitions)
        self._note(len(self._held))

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """See Rebalance."""
        self._worker.revoked(partitions)
        self._gone(partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """See Rebalance."""
        self._worker.lost(partitions)
        self._gone(partitions)

    def _gone(self, partitions: Sequence[TopicPartition]) -> None:
        self._held.difference_update(partitions)
        self._note(len(self._held))


class Counted:
    """A source that notes what it holds and what was committed of each partition (`overt.ports.Source`)."""

    def __init__(self, source: Source, shared: Shared, number: int) -> None:
        self._source = source
        self._shared = shared
        self._number = number

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        """The worker hears of partitions before they are counted."""
        self._source.subscribe(topics, Held(rebalance, partial(setitem, self._shared.assigned, self._number)))

    def commit(self, records: Sequence[Record]) -> None:
        """Counted only when the bus has taken it."""
        self._source.commit(records)
        for record in records:
            self._shared.done[record.partition] += 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def replicate(site: Site, number: int, model_s: float | None, shared: Shared, stop: SynchronizedBase[Any]) -> None:
    """A process's whole life. model_s: None for the real stage, with the deployment's models."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("overt").setLevel(logging.ERROR)
    spent_s = [0.0] * len(PARTS)
    world = _watched(site.world("detector"), shared, number, spent_s)
    metrics = Metrics()
    stopped = threading.Event()
    worker = _real(world, site, metrics) if model_s is None else _sleeping(world, Sleeper(model_s), metrics)
    worker.open()
    try:
        while not stopped.is_set() and not stop.value:  # type: ignore[attr-defined]
            shared.batches[number] += worker.turn() > 0
            spent_s[PARTS.index("stage")] = stage_s(metrics)
            shared.parts_s[number * len(PARTS) : (number + 1) * len(PARTS)] = spent_s
    finally:
        worker.close()


def stage_s(metrics: Metrics) -> float:
    """Seconds that stages have worked on batches until now, as `overt_batch_seconds` has it."""
    samples = (sample for family in metrics.batch_seconds.collect() for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name.endswith("_sum"))


def _watched(world: World, shared: Shared, number: int, spent_s: list[float]) -> World:
    """The same world, with what its bus and its store take noted in `spent_s`."""

    def source(group: str) -> Any:
        return Timed(Counted(world.source(group), shared, number), spent_s, poll="waits", commit="commit")

    def sink() -> Any:
        return Timed(world.sink(), spent_s, flush="flush")

    store: Any = Timed(world.store, spent_s, load="state", save="state")
    return replace(world, source=source, sink=sink, store=store)


def _real(world: World, site: Site, metrics: Metrics) -> Worker:
    return Wiring(world, site.settings, metrics, realtime=False).worker("detector")


def _sleeping(world: World, stage: Sleeper, metrics: Metrics) -> Worker:
    runner = StatefulRunner("detector", stage, state_type=DetectorState, store=world.store, codec=world.state_codec)
    plan = Plan(
        service="detector",
        reads=world.topic("frames"),
        most=4,
        route=world.route,
        deadletters=world.topic("deadletters"),
        realtime=False,
    )
    return Worker(
        plan,
        runner,
        source=world.source(world.group("detector")),
        sink=world.sink(),
        codec=world.codec,
        metrics=metrics,
        clock=now_us,
        chores=world.chores,
    )
