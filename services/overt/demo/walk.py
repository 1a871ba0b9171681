"""Who walks through a scene, when and where: plain data, and a timetable for as many passes as one wants.

A walker comes straight towards the camera at an even pace, so that the face grows as 1/distance, passes through the
zone, and turns aside and out of the picture just before the camera. Face sizes are widths of the face's box in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Xyxy = tuple[float, float, float, float]

ZONE: tuple[tuple[float, float], ...] = ((0.18, 0.10), (0.82, 0.10), (0.90, 1.0), (0.10, 1.0))
"""The authorised polygon of every scene, fractions of the picture (x, y). Walkers enter in it and leave it aside."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph of one person. Without `face_xyxy` (pixels) the face is looked for when the scene is composed."""

    path: Path
    face_xyxy: Xyxy | None = None
    rephotographed: bool = False
    """Whether it is changed as if photographed again (perspective, blur, noise, gamma): `synthetic re-photograph`."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One way through the scene. `from_x` and `to_x` are fractions of the picture's width."""

    from_x: float = 0.5
    to_x: float = 0.5
    far_px: float = 35.0
    near_px: float = 115.0
    seconds: float = 5.0
    """How long the approach takes, from `far_px` to `near_px`."""
    leave_seconds: float = 0.9
    sway: float = 0.10
    """How far the head goes to and fro sideways, face widths."""
    roll_degrees: float = 3.0
    """How far the head leans to and fro."""
    appear_seconds: float = 0.5
    """How long it takes to come out of the haze."""

    def __post_init__(self) -> None:
        if not (0 < self.far_px < self.near_px and self.seconds > 0 and self.leave_seconds > 0):
            raise ValueError("a walk goes from a smaller face to a larger one in a time above 0 s")


@dataclass(frozen=True, slots=True)
class Walker:
    """One pass of one person."""

    label: str
    listed: bool
    photo: Photo
    start_s: float
    walk: Walk = Walk()

    @property
    def end_s(self) -> float:
        """When the walker has left the picture."""
        return self.start_s + self.walk.seconds + self.walk.leave_seconds


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be sent through a scene, in any of their photographs."""

    label: str
    listed: bool
    photos: tuple[Photo, ...]


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a walker's face is at one moment, pixels, and how the whole person stands."""

    face_px: float
    x: float
    y: float
    roll_radians: float
    turn: float
    """Sideways foreshortening: the width is multiplied by it."""
    stride: float
    """Phase of the walk, radians; one turn is two steps."""
    presence: float
    """0 to 1: a walker comes out of the haze in the first moments."""


_STRIDE_HZ = 0.95


def pose(walker: Walker, time_s: float, *, size: tuple[int, int], horizon: float, drop: float) -> Pose | None:
    """Where `walker` is at `time_s`, or None before and after the pass.

    `horizon` is the horizon's height as a fraction of the picture, `drop` how far a head is below the camera in face
    widths; `size` is (width, height) in pixels. The walker's own rhythm follows from the start time, not from chance.
    """
    walk, elapsed = walker.walk, time_s - walker.start_s
    if not 0 <= elapsed < walk.seconds + walk.leave_seconds:
        return None
    width, height = size
    phase = 2 * math.pi * (_STRIDE_HZ * elapsed + math.modf(walker.start_s * 0.618)[0])
    face_px = 1.0 / (1.0 / walk.far_px + (1.0 / walk.near_px - 1.0 / walk.far_px) * min(elapsed / walk.seconds, 1.0))
    grown = (face_px - walk.far_px) / (walk.near_px - walk.far_px)
    x = (walk.from_x + (walk.to_x - walk.from_x) * grown) * width
    if elapsed > walk.seconds:  # aside, faster and faster, until even the shoulders are out
        leaving = (elapsed - walk.seconds) / walk.leave_seconds
        face_px *= 1.0 + 0.15 * leaving
        out = width + 2.2 * face_px if walk.to_x >= 0.5 else -2.2 * face_px
        x += (out - x) * leaving**1.7
    x += walk.sway * face_px * math.sin(phase)
    bob = 0.035 * math.cos(2 * phase)
    return Pose(
        face_px=face_px,
        x=x,
        y=horizon * height + (drop + bob) * face_px,
        roll_radians=math.radians(walk.roll_degrees) * math.sin(phase + 0.4),
        turn=1.0 - 0.035 * (1.0 + math.sin(phase * 0.5 + 1.0)),
        stride=phase,
        presence=min(elapsed / walk.appear_seconds, 1.0) if walk.appear_seconds > 0 else 1.0,
    )


def schedule(
    people: Sequence[Person],
    *,
    passes: int,
    seed: int,
    cameras: int = 1,
    concurrent: int = 2,
    face_px: tuple[float, float] = (35.0, 115.0),
    seconds: tuple[float, float] = (4.0, 6.0),
    crossing: float = 0.25,
    first_s: float = 0.2,
) -> tuple[tuple[Walker, ...], ...]:
    """A timetable: for each camera its walkers in order of their start, `passes` over all cameras together.

    Everybody in `people` comes about equally often, in a shuffled order, in each of their photographs in turn, and is
    at two places at once only if everybody is under way. `concurrent` walkers are at a camera at any time, each in a
    lane; `crossing` is the share of passes that change lanes on the way and may hide somebody for a moment.
    `face_px` is the range from the smallest to the largest face, `seconds` the range of an approach's length. Raises
    ValueError where there is nobody to send or a number is out of range.
    """
    if not people or passes < 1 or cameras < 1 or concurrent < 1:
        raise ValueError("at least one person, one pass, one camera and one walker at a time were expected")
    rng = np.random.default_rng(seed)
    # Lanes begin one after the other, so that those who walk together are not equally near.
    free = [[first_s + seconds[1] * lane / concurrent for lane in range(concurrent)] for _ in range(cameras)]
    calls = _Calls(len(people), rng)
    timetable: list[list[Walker]] = [[] for _ in range(cameras)]
    for turn in range(passes):
        lanes = free[turn % cameras]
        lane = lanes.index(min(lanes))
        start_lane = int(rng.integers(concurrent)) if rng.random() < crossing else lane
        walk = _some_walk(rng, start_lane / concurrent, lane / concurrent, 1 / concurrent, face_px, seconds)
        index, times = calls.next(lanes[lane], lanes[lane] + walk.seconds + walk.leave_seconds)
        person = people[index]
        photo = person.photos[times % len(person.photos)]
        walker = Walker(person.label, person.listed, photo, lanes[lane], walk)
        timetable[turn % cameras].append(walker)
        lanes[lane] = walker.end_s + float(rng.uniform(0.1, 0.6))
    return tuple(tuple(sorted(row, key=lambda walker: walker.start_s)) for row in timetable)


class _Calls:
    """Whose turn it is: of those who have come least often, in shuffled order, the first who is not under way."""

    def __init__(self, people: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._times = [0] * people
        self._busy_until_s = [-math.inf] * people

    def next(self, start_s: float, end_s: float) -> tuple[int, int]:
        """A person's index and how often they have come before. If everybody is under way, somebody comes twice."""
        order = self._rng.permutation(len(self._times)).tolist()
        index = min(order, key=lambda i: (self._busy_until_s[i] > start_s, self._times[i]))
        times = self._times[index]
        self._times[index] += 1
        self._busy_until_s[index] = max(self._busy_until_s[index], end_s)
        return index, times


def _some_walk(
    rng: np.random.Generator,
    start: float,
    end: float,
    lane: float,
    face_px: tuple[float, float],
    seconds: tuple[float, float],
) -> Walk:
    """A walk between two lanes; `start` and `end` are their edges and `lane` their width, shares of all lanes."""
    return Walk(
        from_x=0.32 + 0.36 * (start + lane / 2) + float(rng.uniform(-0.02, 0.02)),
        to_x=0.25 + 0.50 * (end + lane / 2) + float(rng.uniform(-0.03, 0.03)),
        far_px=face_px[0] * float(rng.uniform(1.0, 1.1)),
        near_px=face_px[1] * float(rng.uniform(0.92, 1.0)),
        seconds=float(rng.uniform(*seconds)),
        sway=float(rng.uniform(0.05, 0.15)),
        roll_degrees=float(rng.uniform(1.0, 5.0)),
    )
