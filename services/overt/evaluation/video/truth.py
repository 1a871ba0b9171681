"""Who is really where in a picture, and which detection is whose."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Xyxy = tuple[float, float, float, float]

CLEAR = 0.5
"""A face counts as visible in a frame where at least so much of it shows."""
_GLIMPSE = 0.25
_LEAST_OVERLAP = 0.25
"""Intersection over union from which a detection is a face's: boxes of detectors differ, and neighbours hide parts."""


@dataclass(frozen=True, slots=True)
class TrueFace:
    """One passer-by's face in one picture."""

    passer: int
    xyxy: Xyxy
    clear: float
    """Share of it that can be seen, 0 to 1."""


@dataclass(slots=True)
class Truth:
    """A scene's ground truth, filled as its pictures are made. `taken_at_us` are the wall clock's times, for runs that
    keep to real time and drop pictures."""

    faces: list[tuple[TrueFace, ...]] = field(default_factory=list)
    taken_at_us: list[int] = field(default_factory=list)

    def number_of(self, frame_seq: int, captured_at_us: int, *, realtime: bool) -> int:
        """Which picture a frame shows."""
        return bisect_right(self.taken_at_us, captured_at_us) - 1 if realtime else frame_seq

    def owners(self, number: int, boxes: Sequence[Xyxy]) -> list[int | None]:
        """For each detected box in a picture: whose face it is, or None for nobody's. Each face has one box at most,
        the best overlapping pairs first."""
        true = [face for face in self.faces[number] if face.clear >= _GLIMPSE] if number < len(self.faces) else []
        owners: list[int | None] = [None] * len(boxes)
        if not true or not boxes:
            return owners
        shared = overlaps(np.array([face.xyxy for face in true]), np.array(boxes, np.float64))
        while shared.size and shared.max() >= _LEAST_OVERLAP:
            whose, box = np.unravel_index(int(shared.argmax()), shared.shape)
            owners[box] = true[whose].passer
            shared[whose], shared[:, box] = 0.0, 0.0
        return owners


def overlaps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes [N, 4] and [M, 4]: [N, M]."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.clip(sides, 0, None).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b)]
    whole = areas[0][:, None] + areas[1][None, :] - shared
    return np.asarray(shared / np.maximum(whole, 1e-9), np.float64)
