"""Who is really where in a picture, and which detection is whose."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

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
    xyxy: Xyxy | None
    """Its box; None where the truth does not tell it."""
    clear: float
    """Share of it that can be seen, 0 to 1."""
    regions: tuple[Xyxy, ...] = ()
    """Where the middle of the face is, for a truth that tells no box; none: anywhere."""


class Truth(Protocol):
    """A source's ground truth."""

    def faces_at(self, frame_seq: int, captured_at_us: int) -> Sequence[TrueFace]:
        """Whose faces a frame shows."""
        ...

    def owners(self, faces: Sequence[TrueFace], boxes: Sequence[Xyxy]) -> list[int | None]:
        """For each detected box: whose face it is, or None for nobody's."""
        ...


@dataclass(slots=True)
class ComposedTruth:
    """Filled as a scene's pictures are made. `taken_at_us` are the wall clock's times, for runs that keep to real time
    and drop pictures."""

    realtime: bool = False
    faces: list[tuple[TrueFace, ...]] = field(default_factory=list)
    taken_at_us: list[int] = field(default_factory=list)

    def faces_at(self, frame_seq: int, captured_at_us: int) -> Sequence[TrueFace]:
        """See Truth."""
        number = bisect_right(self.taken_at_us, captured_at_us) - 1 if self.realtime else frame_seq
        return self.faces[number] if 0 <= number < len(self.faces) else ()

    def owners(self, faces: Sequence[TrueFace], boxes: Sequence[Xyxy]) -> list[int | None]:
        """Each face has one box at most, the best overlapping pairs first."""
        true = [(face.passer, face.xyxy) for face in faces if face.clear >= _GLIMPSE and face.xyxy is not None]
        owners: list[int | None] = [None] * len(boxes)
        if not true or not boxes:
            return owners
        shared = overlaps(np.array([xyxy for _, xyxy in true]), np.array(boxes, np.float64))
        while shared.max() >= _LEAST_OVERLAP:
            whose, box = np.unravel_index(int(shared.argmax()), shared.shape)
            owners[box] = true[whose][0]
            shared[whose], shared[:, box] = 0.0, 0.0
        return owners


def overlaps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes [N, 4] and [M, 4]: [N, M]."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.clip(sides, 0, None).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b)]
    whole = areas[0][:, None] + areas[1][None, :] - shared
    return np.asarray(shared / np.maximum(whole, 1e-9), np.float64)
