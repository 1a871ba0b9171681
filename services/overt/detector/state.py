"""What the detector remembers of a camera: its open tracks. Plain values, no biometric: a box is all of a face."""

from __future__ import annotations

from dataclasses import dataclass

from overt.messages import Box

_PREDICTED_S = 0.5  # a velocity is believed for so long; then the face is looked for where that has brought it


@dataclass(frozen=True, slots=True)
class Shots:
    """What was sent of a track, and when. Times are on the camera's clock (`DetectorState.clock_us`)."""

    crops: int = 0
    best: float = 0.0
    """Highest quality sent."""
    crop_at_us: int = 0
    looks: int = 0
    """Second looks in a row that gave no crop."""
    look_at_us: int = 0
    promise: float = 0.0
    """Highest promise (quality as the first look estimates it) at which a second look was taken."""


@dataclass(frozen=True, slots=True)
class Track:
    """One passer-by. Positions in pixels of the camera's image, speeds in pixels a second."""

    track_id: str
    first_seen_us: int
    last_seen_us: int
    frame_seq: int
    """Of the last frame in which the face was detected."""
    seen_at_us: int
    """Last detection, on the camera's clock."""
    frames: int
    confirmed: bool
    cx: float
    cy: float
    width: float
    height: float
    vx: float
    vy: float
    largest_px: float
    """Largest shorter side of its box so far."""
    shots: Shots

    def centre(self, clock_us: int) -> tuple[float, float]:
        """Where its centre is expected, moving on at constant velocity for a while."""
        seconds = min((clock_us - self.seen_at_us) / 1e6, _PREDICTED_S)
        return self.cx + self.vx * seconds, self.cy + self.vy * seconds

    def box(self, clock_us: int) -> Box:
        """Where its box is expected."""
        cx, cy = self.centre(clock_us)
        return Box(cx - self.width / 2, cy - self.height / 2, cx + self.width / 2, cy + self.height / 2)

    @property
    def size_px(self) -> float:
        """Longer side of its box."""
        return max(self.width, self.height)


@dataclass(frozen=True, slots=True)
class DetectorState:
    """All that the detector knows of one camera."""

    source_epoch: int = -1
    captured_at_us: int = 0
    """Capture time of the last frame."""
    clock_us: int = 0
    """Capture time that has gone by in this epoch, a clock set back counting as no time: it never runs backwards."""
    tracks: tuple[Track, ...] = ()
