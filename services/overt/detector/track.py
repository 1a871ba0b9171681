"""Which face is whose: detections become tracks by place, size and velocity in capture time.

After SORT (Bewley et al. 2016, arXiv:1602.00763: one optimal assignment for each frame) and ByteTrack (Zhang et al.
2022, arXiv:2110.06864: detections of low score may continue a track and never begin one). Two changes: a constant
velocity over capture time instead of a Kalman filter over frames, since frame rates differ and frames are shed; and
distance between centres beside the overlap, since a walker's face moves two of its widths between frames at 5 fps.
No appearance is compared: that would be a biometric in the state. Two who cross while both are hidden may be swapped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overt.detector.detections import Floats, overlap
from overt.detector.state import Shots, Track
from overt.identity import track_id
from overt.messages import Box, Frame

Pairs = list[tuple[int, int]]
"""(index of a track, index of a detection)."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """The tracker's limits. Lengths in face sizes (the longer side of a track's box), times in capture time."""

    confirm_frames: int = 2
    """Detections that make a track a passer-by. One that gave a crop is one at once: two looks have seen a face."""
    max_age_us: int = 1_000_000
    """A face unseen for longer has gone; until then it may be hidden behind another."""
    reach: float = 0.25
    """How far from its expected place a face may be, plus what the two speeds below add a second, up to `farthest`."""
    reach_speed: float = 4.0
    """For a track whose velocity is known: it may change."""
    first_reach_speed: float = 8.0
    """For a track seen once: a brisk walker (1.8 m/s) crosses so many face heights (0.22 m) a second."""
    farthest: float = 1.5
    first_farthest: float = 2.5
    resize: float = 1.6
    """Factor by which a face may grow or shrink from one frame to the next, times e for each second between."""
    low_overlap: float = 0.3
    """Overlap that a detection of low score needs to continue a track."""
    velocity_s: float = 0.15
    """Time over which velocities are averaged."""


_FORBIDDEN = 1e3


@cache
def solver() -> Callable[[NDArray[np.float64]], tuple[Any, Any]]:
    """The assignment's solver. It takes longer to import than all else together, so nobody but a detector does."""
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment


def associate(
    tracks: Sequence[Track], clock_us: int, xyxy: Floats, sure: NDArray[np.bool_], limits: Tracking
) -> tuple[Pairs, list[int]]:
    """Pairs of tracks and detections, and the detections that begin tracks. Sure detections choose first.

    `xyxy` is float32 [N, 4] in the camera's pixels, `sure` bool [N].
    """
    high, low = np.flatnonzero(sure), np.flatnonzero(~sure)
    if not tracks or not len(xyxy):
        return [], [int(d) for d in high]
    cost, allowed, shared = _costs(tracks, clock_us, xyxy, limits)
    pairs = _assign(cost, allowed, np.arange(len(tracks)), high)
    taken = {t for t, _ in pairs}
    rest = np.array([i for i in range(len(tracks)) if i not in taken and tracks[i].confirmed], np.intp)
    pairs += _assign(cost, allowed & (shared >= limits.low_overlap), rest, low)
    used = {d for _, d in pairs}
    return pairs, [int(d) for d in high if int(d) not in used]


def _costs(
    tracks: Sequence[Track], clock_us: int, xyxy: Floats, limits: Tracking
) -> tuple[NDArray[np.float64], NDArray[np.bool_], Floats]:
    """Cost, whether a pair is possible, and overlap: [tracks, detections] each."""
    boxes = [t.box(clock_us) for t in tracks]
    expected = np.array([(b.x1, b.y1, b.x2, b.y2) for b in boxes], np.float32)
    size = np.array([t.size_px for t in tracks])[:, None]
    unseen_s = np.array([(clock_us - t.seen_at_us) / 1e6 for t in tracks])[:, None]
    reach = np.array([_reach(t, clock_us, limits) for t in tracks])[:, None]
    centres = (expected[:, None, :2] + expected[:, None, 2:] - xyxy[:, :2] - xyxy[:, 2:]) / 2
    distance = np.hypot(centres[..., 0], centres[..., 1]) / size
    resized = np.abs(np.log((xyxy[:, 2:] - xyxy[:, :2]).max(1) / size))
    shared = overlap(expected[:, None], xyxy)
    allowed = (distance <= reach) & (resized <= np.log(limits.resize) + unseen_s)
    # Time unseen counts, so that a face goes to the track that had it last and not to one that is about to end.
    return distance + resized + (1 - shared) + unseen_s, allowed, shared


def _reach(track: Track, clock_us: int, limits: Tracking) -> float:
    seconds = (clock_us - track.seen_at_us) / 1e6
    if track.frames == 1:
        return min(limits.reach + limits.first_reach_speed * seconds, limits.first_farthest)
    return min(limits.reach + limits.reach_speed * seconds, limits.farthest)


def _assign(
    cost: NDArray[np.float64], allowed: NDArray[np.bool_], tracks: NDArray[np.intp], found: NDArray[np.intp]
) -> Pairs:
    """The cheapest assignment among the allowed pairs (Kuhn 1955, Munkres 1957), as many pairs as can be."""
    if not len(tracks) or not len(found):
        return []
    among = np.ix_(tracks, found)
    if not allowed[among].any():
        return []
    rows, columns = solver()(np.where(allowed[among], cost[among], _FORBIDDEN))
    pairs = [(int(tracks[r]), int(found[c])) for r, c in zip(rows, columns, strict=True)]
    return [(t, d) for t, d in pairs if allowed[t, d]]


def begun(frame: Frame, xyxy: Sequence[float], clock_us: int, limits: Tracking) -> Track:
    """A track's first detection; the box in the camera's pixels."""
    x1, y1, x2, y2 = xyxy
    return Track(
        track_id=track_id(frame.camera_id, frame.source_epoch, frame.frame_seq, Box(x1, y1, x2, y2)),
        first_seen_us=frame.captured_at_us,
        last_seen_us=frame.captured_at_us,
        frame_seq=frame.frame_seq,
        seen_at_us=clock_us,
        frames=1,
        confirmed=limits.confirm_frames <= 1,
        cx=(x1 + x2) / 2,
        cy=(y1 + y2) / 2,
        width=x2 - x1,
        height=y2 - y1,
        vx=0.0,
        vy=0.0,
        largest_px=min(x2 - x1, y2 - y1),
        shots=Shots(),
    )


def continued(track: Track, frame: Frame, xyxy: Sequence[float], clock_us: int, limits: Tracking) -> Track:
    """The track with one more detection; its velocity follows the displacement over `velocity_s`."""
    x1, y1, x2, y2 = xyxy
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    vx, vy = track.vx, track.vy
    seconds = (clock_us - track.seen_at_us) / 1e6
    if seconds > 0:
        weight = seconds / (seconds + limits.velocity_s)
        vx += weight * ((cx - track.cx) / seconds - vx)
        vy += weight * ((cy - track.cy) / seconds - vy)
    return replace(
        track,
        last_seen_us=max(track.last_seen_us, frame.captured_at_us),
        frame_seq=frame.frame_seq,
        seen_at_us=clock_us,
        frames=track.frames + 1,
        confirmed=track.confirmed or track.frames + 1 >= limits.confirm_frames,
        cx=cx,
        cy=cy,
        width=x2 - x1,
        height=y2 - y1,
        vx=vx,
        vy=vy,
        largest_px=max(track.largest_px, min(x2 - x1, y2 - y1)),
    )
