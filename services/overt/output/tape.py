"""What is held of one camera until it is known who raised an alert. All of it is in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from overt.messages import Alert, Box, Frame
from overt.output.drawing import Patches
from overt.output.presence import Presence, Presences
from overt.output.webm import WebmFile
from overt.picture import Bgr, encode

MAX_WIDTH_PX = 960
MIN_WIDTH_PX = 640
MAX_FPS = 15.0


@dataclass(slots=True)
class Held:
    """A frame that waits, with where it lies in the camera's image and how it was scaled."""

    at_us: int
    image: bytes = field(repr=False)  # it must never reach a log
    left: int
    top: int
    scale: float


@dataclass(slots=True)
class Tape:
    """What is held of one camera."""

    camera_id: str
    held: deque[Held] = field(default_factory=deque)
    presences: Presences = field(default_factory=Presences)
    patches: Patches = field(default_factory=Patches)
    alerts: dict[str, Alert] = field(default_factory=dict)
    newest_us: int = -(1 << 62)
    last_held_us: int = -(1 << 62)
    video: WebmFile | None = None
    size: tuple[int, int] | None = None

    def due(self, delay_us: int | None) -> Iterator[Held]:
        """The frames that have waited for `delay_us` of capture time, oldest first; None is for ever."""
        for held in self.held:
            if delay_us is None or held.at_us > self.newest_us - delay_us:
                return
            yield held


@dataclass(frozen=True, slots=True)
class Due:
    """A frame to be written, with what was known when its time came. `faces` are in its pixels."""

    tape: Tape
    held: Held
    faces: list[Presence]
    alerts: dict[str, Alert]
    fps: float


def held_frame(frame: Frame) -> Held:
    """The zone's picture in the size of the video, encoded anew: the frame's own object is left as it was."""
    assert frame.image is not None
    bgr = frame.image.bgr()
    height, width = bgr.shape[:2]
    wanted = min(max(width, MIN_WIDTH_PX), MAX_WIDTH_PX)
    scale = wanted / width
    size = (_even(width * scale), _even(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized: Bgr = np.asarray(cv2.resize(bgr, size, interpolation=way), np.uint8)
    return Held(frame.captured_at_us, encode(resized, "jpeg"), frame.left, frame.top, scale)


def _even(length: float) -> int:
    return max(2, round(length / 2) * 2)


def scaled(box: Box, held: Held) -> Box:
    """From pixels of the camera's image to those of the held picture."""
    return Box(
        (box.x1 - held.left) * held.scale,
        (box.y1 - held.top) * held.scale,
        (box.x2 - held.left) * held.scale,
        (box.y2 - held.top) * held.scale,
    )


def frame_rate(tape: Tape) -> float:
    """Frames a second among those held, between 1 and 15."""
    steps = [later.at_us - earlier.at_us for earlier, later in pairwise(tape.held)]
    return float(np.clip(1e6 / max(float(np.median(steps)), 1.0), 1.0, MAX_FPS)) if steps else MAX_FPS
