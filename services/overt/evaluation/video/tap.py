"""What travels through a running pipeline, read beside it by a group of consumers of its own.

Nothing is added to what the stages do, and nothing is kept but what a pass is judged by: no picture, and vectors only
until their stretch is scored.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from overt.embedder.model import EmbeddingModel, Infer
from overt.evaluation.video.truth import Xyxy
from overt.messages import Alert, Embedding, Face, Pass, Sightings, Vector
from overt.models.card import EmbedderCard
from overt.picture import Bgr
from overt.ports import TopicPartition
from overt.runtime.memory import MemoryBus

_TOPICS = ("faces", "embeddings", "passes")
_GROUP = "evaluation"
_Crop = tuple[int, int, str, int, float]
"""The fields of a Probe without its vector."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One vector as it was made of one crop, or as it travelled to the matcher."""

    frame_seq: int
    face_index: int
    track_id: str
    captured_at_us: int
    quality: float
    vector: Vector = field(repr=False)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the tracker saw in one frame. Boxes come in the order of `face_index`, tracks that are hidden for a moment
    after them."""

    frame_seq: int
    captured_at_us: int
    boxes: tuple[Xyxy, ...]
    tracks: tuple[str | None, ...]


@dataclass(slots=True)
class Heard:
    """All that a stretch has given."""

    seen: list[Seen] = field(default_factory=list)
    crops: list[Probe] = field(default_factory=list)
    """Each crop's own vector, by time."""
    probes: list[Probe] = field(default_factory=list)
    """Vectors as they travelled: fused where the embedder fuses."""
    passes: list[Pass] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)


class RememberingModel(EmbeddingModel):
    """An embedding model that remembers what it made of which chip, so that nobody need make it again to judge it."""

    def __init__(self, card: EmbedderCard, infer: Infer) -> None:
        super().__init__(card, infer)
        self._made: dict[bytes, Vector] = {}
        self.chips = 0

    def embed(self, chips_bgr: Bgr) -> Vector:
        """See EmbeddingModel.embed."""
        vectors = super().embed(chips_bgr)
        self.chips += len(chips_bgr)
        for chip, vector in zip(chips_bgr, vectors, strict=True):
            self._made[digest(chip)] = vector
        return vectors

    def made_of(self, digested: bytes) -> Vector | None:
        """The vector of a chip; None where none was made of it."""
        return self._made.get(digested)


def digest(chip: Bgr) -> bytes:
    """Tells chips apart without keeping them."""
    return hashlib.blake2b(np.ascontiguousarray(chip).tobytes(), digest_size=16).digest()


class Tap:
    """Reads in a thread of its own from `start` to `finish`."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._source = bus.source(_GROUP)
        self._faces: list[tuple[_Crop, bytes]] = []
        self.heard = Heard()
        self._over = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="overt-evaluation", daemon=True)
        self.cpu_s = 0.0

    def start(self) -> None:
        """Joins before anything travels, so that it misses nothing."""
        self._source.subscribe(_TOPICS, _Quiet())
        self._thread.start()

    def observe(self, sightings: Sightings) -> None:
        """What the detector is given to tell what it sees."""
        frame = sightings.frame
        boxes = tuple((face.box.x1, face.box.y1, face.box.x2, face.box.y2) for face in sightings.faces)
        tracks = tuple(face.track_id for face in sightings.faces)
        self.heard.seen.append(Seen(frame.frame_seq, frame.captured_at_us, boxes, tracks))

    def alert(self, alert: Alert) -> None:
        """What the run is given to tell of alerts."""
        self.heard.alerts.append(alert)

    def finish(self, model: RememberingModel) -> Heard:
        """Reads what is left, after the run has drained. Raises what reading raised."""
        self._over.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        self._source.close()
        for crop, digested in self._faces:
            if (vector := model.made_of(digested)) is not None:
                self.heard.crops.append(Probe(*crop, vector))
        return self.heard

    def _run(self) -> None:
        try:
            while True:
                over = self._over.is_set()
                records = self._source.poll(64, 0.2)
                for record in records:
                    self._hear(record.value)
                if records:
                    self._source.commit(records)
                elif over:
                    break
        except BaseException as error:  # handed to the caller's thread, which raises it
            self._failed = error
        finally:
            self.cpu_s = time.thread_time()

    def _hear(self, message: Any) -> None:
        match message:
            case Face():
                self._faces.append((_told(message), digest(message.crop.bgr())))
            case Embedding():
                self.heard.probes.append(Probe(*_told(message), message.vector))
            case Pass():
                self.heard.passes.append(message)


def _told(message: Face | Embedding) -> _Crop:
    return (message.frame_seq, message.face_index, message.track_id, message.captured_at_us, message.quality)


class _Quiet:
    """It has nothing to remember or forget."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None: ...
