"""A frame's way in little: the product's outbox and loop, a stage that does next to nothing, a bus in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from overt.messages import Frame
from overt.picture import Picture
from overt.ports import Record
from overt.runtime.codec import PassingCodec
from overt.runtime.frame.outbox import Entry, Outbox
from overt.runtime.memory import MemoryBus
from overt.runtime.metrics import Metrics
from overt.runtime.runners import StatelessRunner
from overt.runtime.tracing import Tracing
from overt.runtime.worker import Plan, Worker
from tests.support.messages import embedding


def frame(seq: int, camera: str = "c1") -> Frame:
    image = Picture(bgr=np.zeros((2, 2, 3), np.uint8))
    return Frame(camera, 1, seq, seq * 1000, None, 0, 0, 2, 2, image)


class Flow:
    """Frames sent by an outbox, and a worker that makes an embedding of each, on a memory bus."""

    def __init__(self, stage: Callable[[Sequence[Any]], Iterable[Any]], tracing: Tracing, frames: Tracing) -> None:
        self.bus = MemoryBus(lambda: 0)
        for topic in ("frames", "embeddings", "deadletters"):
            self.bus.create(topic, 1)
        self.metrics = Metrics()
        self.outbox = Outbox(
            self.bus.sink(),
            PassingCodec(),
            self.metrics,
            topic="frames",
            realtime=False,
            flush_s=1,
            monotonic=lambda: 0.0,
            tracing=frames,
        )
        self.worker = Worker(
            Plan("detector", "frames", 8, lambda _: ("embeddings", 0), "deadletters", poll_s=0.01),
            StatelessRunner("detector", stage),
            source=self.bus.source("g"),
            sink=self.bus.sink(),
            codec=PassingCodec(),
            metrics=self.metrics,
            clock=lambda: 0,
            tracing=tracing,
        )
        self.worker.open()

    def send(self, *frames: Frame) -> None:
        for each in frames:
            self.outbox.put(Entry(each, 0, None))
        assert len(self.outbox.send()) == len(frames)

    def records(self, topic: str) -> list[Record]:
        return list(self.bus.log().read(topic))


def seen(batch: Sequence[Frame]) -> list[Any]:
    """In another order than they came."""
    return [embedding(camera_id=f.camera_id, source_epoch=1, frame_seq=f.frame_seq) for f in reversed(batch)]
