"""Where faces are in a frame, also in frames in which the detector missed them.

A detector that misses one beat would show one clear frame of somebody who raised no alert. So each track's box is
carried: between two sightings along the line between them, and for a while before the first and after the last. What
is carried is wider than what was seen, since the face may have moved.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass

from overt.messages import Box, Sightings

LONGEST_GAP_US = 3_000_000
"""Between two sightings of a track that are further apart, each is carried by itself only."""
CARRY_US = 1_000_000
"""How long a track is carried before its first and after its last sighting."""
UNTRACKED_CARRY_US = 500_000
"""The same for a detection that belongs to no track."""
GROWTH_PER_S = 0.8
"""How much wider a carried box gets for each second away from a sighting, in widths of the box, on each side."""
SAME_PLACE = 0.5
"""Intersection over union from which a carried box and a seen one are taken for one face."""


@dataclass(frozen=True, slots=True)
class Presence:
    """A face in a frame: seen there, or presumed there."""

    track_id: str | None
    box: Box
    """In pixels of the camera's image."""
    seen: bool


class Presences:
    """All faces of one camera over the span that is still remembered."""

    def __init__(self) -> None:
        self._tracks: dict[str, list[tuple[int, Box]]] = {}
        self._untracked: list[tuple[int, Box]] = []

    def add(self, sightings: Sightings) -> None:
        """Remembers what was seen in a frame. Frames may come in any order."""
        at_us = sightings.frame.captured_at_us
        for face in sightings.faces:
            seen = self._untracked if face.track_id is None else self._tracks.setdefault(face.track_id, [])
            insort(seen, (at_us, face.box), key=_time)

    def at(self, at_us: int) -> list[Presence]:
        """The faces of the frame that was captured at `at_us`."""
        found = [p for track_id, seen in self._tracks.items() if (p := _of_track(track_id, seen, at_us)) is not None]
        low = bisect_left(self._untracked, at_us - UNTRACKED_CARRY_US, key=_time)
        for when, box in self._untracked[low:]:
            if when > at_us + UNTRACKED_CARRY_US:
                break
            found.append(Presence(None, grown(box, _drift(abs(when - at_us))), when == at_us))
        return _without_explained(found)

    def forget_before(self, at_us: int) -> None:
        """Forgets what no frame at or after `at_us` can need."""
        horizon = at_us - LONGEST_GAP_US
        self._untracked = [seen for seen in self._untracked if seen[0] >= horizon]
        for track_id, seen in list(self._tracks.items()):
            del seen[: bisect_left(seen, horizon, key=_time)]
            if not seen:
                del self._tracks[track_id]

    def tracks(self) -> Iterator[str]:
        """The tracks that are remembered."""
        return iter(self._tracks)


def _without_explained(faces: list[Presence]) -> list[Presence]:
    """A face that was carried to where another one is seen is that other one, under a new track or without one."""
    seen = [face for face in faces if face.seen]
    return seen + [f for f in faces if not f.seen and all(overlap(f.box, s.box) < SAME_PLACE for s in seen)]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / (one.width * one.height + other.width * other.height - common)


def grown(box: Box, share: float) -> Box:
    """The box with `share` of its width and height added on each side."""
    dx, dy = box.width * share, box.height * share
    return Box(box.x1 - dx, box.y1 - dy, box.x2 + dx, box.y2 + dy)


def _of_track(track_id: str, seen: list[tuple[int, Box]], at_us: int) -> Presence | None:
    after = bisect_right(seen, at_us, key=_time)
    before = after - 1
    if before >= 0 and seen[before][0] == at_us:
        return Presence(track_id, seen[before][1], True)
    if before >= 0 and after < len(seen) and seen[after][0] - seen[before][0] <= LONGEST_GAP_US:
        return Presence(track_id, _between(seen[before], seen[after], at_us), False)
    near = [
        (abs(when - at_us), box)
        for when, box in (seen[i] for i in (before, after) if 0 <= i < len(seen))
        if abs(when - at_us) <= CARRY_US
    ]
    if not near:
        return None
    away_us, box = min(near, key=lambda pair: pair[0])
    return Presence(track_id, grown(box, _drift(away_us)), False)


def _between(before: tuple[int, Box], after: tuple[int, Box], at_us: int) -> Box:
    (t0, b0), (t1, b1) = before, after
    share = (at_us - t0) / (t1 - t0)
    corners = [(1 - share) * getattr(b0, side) + share * getattr(b1, side) for side in ("x1", "y1", "x2", "y2")]
    return grown(Box(*corners), _drift(min(at_us - t0, t1 - at_us)))


def _drift(away_us: int) -> float:
    return GROWTH_PER_S * away_us / 1e6


def _time(seen: tuple[int, Box]) -> int:
    return seen[0]
