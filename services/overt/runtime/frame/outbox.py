"""Frames on their way to the bus: sent in small batches, and kept or dropped when it is away."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from overt.messages import Frame
from overt.ports import Codec, Reason, Sink, Unavailable
from overt.runtime.frame.rules import Dropped
from overt.runtime.metrics import Metrics
from overt.runtime.tracing import Tracing, Trail

_log = logging.getLogger(__name__)
_REST_S = 0.5


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame to be sent. `position` is what a successor goes on after, for a file."""

    frame: Frame
    partition: int
    position: int | None


class Outbox:
    """What is in here has not been acknowledged.

    When the bus is away, in real time all but end frames are dropped and counted; otherwise everything stays and is
    encoded anew at the next try, since the key that sealed it may have expired meanwhile. Between tries it rests.
    """

    def __init__(
        self,
        sink: Sink,
        codec: Codec,
        metrics: Metrics,
        *,
        topic: str,
        realtime: bool,
        flush_s: float,
        monotonic: Callable[[], float],
        tracing: Tracing,
    ) -> None:
        self._sink = sink
        self._codec = codec
        self._metrics = metrics
        self._topic = topic
        self._realtime = realtime
        self._flush_s = flush_s
        self._monotonic = monotonic
        self._tracing = tracing
        self._entries: list[Entry] = []
        self._refused: set[str] = set()
        self._rests_until_s: float | None = None

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def away(self) -> bool:
        """Whether the last try failed and the next is not due yet."""
        return self._rests_until_s is not None and self._monotonic() < self._rests_until_s

    @property
    def failing(self) -> bool:
        """Whether the last try failed."""
        return self._rests_until_s is not None

    def put(self, entry: Entry) -> None:
        self._entries.append(entry)

    def forget(self, camera_id: str) -> None:
        """Another replica reads this camera now: what it has not got from here it makes itself."""
        self._entries = [entry for entry in self._entries if entry.frame.camera_id != camera_id]

    def send(self) -> Sequence[Entry]:
        """Sends everything; returns what was acknowledged: all, or nothing. Blocks for `flush_s` and one encoding of
        each frame at most."""
        if not self._entries or self.away:
            return ()
        began_s = self._monotonic()
        try:
            frames = [entry.frame for entry in self._entries]
            with self._tracing.sending(self._topic, frames, realtime=self._realtime) as trail:
                sent = [entry for index, entry in enumerate(self._entries) if self._produce(entry, index, trail)]
                self._sink.flush(self._flush_s)
        except Unavailable as error:
            self._put_back(str(error))
            return ()
        self._metrics.batch_seconds.labels("frame").observe(self._monotonic() - began_s)
        self._metrics.batch_size.labels("frame").observe(len(self._entries))
        if self.failing:
            _log.info("frame: sending again")
        self._entries, self._rests_until_s = [], None
        return sent

    def _produce(self, entry: Entry, index: int, trail: Trail) -> bool:
        frame = entry.frame
        try:
            value, headers = self._codec.encode(frame), trail.headers(lambda: index)
            self._sink.produce(self._topic, key=frame.key, value=value, partition=entry.partition, headers=headers)
        except ValueError as error:  # BadPicture, or a record that is larger than any broker takes
            trail.rejected(index, Reason.UNENCODABLE)
            self._metrics.frames_dropped.labels(frame.camera_id, Dropped.UNENCODABLE.value).inc()
            if frame.camera_id not in self._refused:
                self._refused.add(frame.camera_id)
                _log.error("camera %s: frames cannot be sent (%s); make its zone smaller", frame.camera_id, error)
            return False
        return True

    def _put_back(self, why: str) -> None:
        self._metrics.unavailable.labels("frame").inc()
        if not self.failing:
            kept = "frames are dropped" if self._realtime else "reading waits"
            _log.warning("frame: the bus is away, %s: %s", kept, why)
        self._rests_until_s = self._monotonic() + _REST_S
        if self._realtime:
            for entry in self._entries:
                if not entry.frame.end:
                    self._metrics.frames_dropped.labels(entry.frame.camera_id, Dropped.UNAVAILABLE.value).inc()
            self._entries = [entry for entry in self._entries if entry.frame.end]
