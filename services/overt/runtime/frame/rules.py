"""What the camera service is told: its cameras, its rules, and why it drops a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from overt.frame.camera import Patience
from overt.frame.readers import FOLDER_FPS
from overt.frame.source import CameraError, CameraSource, parse_source
from overt.frame.stillness import StillRule


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """One camera as the deployment wants it read. The source may hold a password and is left out of the repr."""

    camera_id: str
    source: str
    partition: int
    polygon: Sequence[tuple[float, float]]
    """The zone, in fractions of the image."""
    fps: float | None = None
    """Most frames taken for each second."""
    started_at_us: int = 0
    """When the first image of a file was captured; used when the run does not keep to real time."""
    loop: bool = False
    folder_fps: float = FOLDER_FPS

    def __repr__(self) -> str:
        return f"CameraPlan({self.camera_id})"


@dataclass(frozen=True, slots=True)
class FrameRules:
    """How frames are made.

    `realtime`: a file keeps to its own pace, the newest image wins, and what cannot be sent is dropped and counted.
    Capture time is the wall clock when an image was read; a lease's number is the `source_epoch` and `frame_seq` counts
    from 0 in it. Otherwise nothing is lost and nothing is late: the service waits while `unconsumed_most` frames of a
    partition wait for the detector, capture time is the source's start plus the image's time, the `source_epoch` is 1
    for ever, and `frame_seq` is the image's position in the source. Any replica then makes the same frame from the same
    image, so that one sent twice is recognised; live cameras, which nobody can read twice, are refused.

    `window_us` bounds capture time: (first moment, first moment after it).

    `serving`: other replicas may take over. Then the run goes on when all files have ended, and a file that was not
    read to its end gets no end frame when it stops unless `realtime`, since a successor goes on with the next frame.
    """

    realtime: bool = True
    serving: bool = False
    max_delay_s: float = 2.0
    """Age past which a frame is not worth processing; sets its deadline in real time."""
    unconsumed_most: int = 8
    window_us: tuple[int, int] | None = None
    cameras_most: int | None = None
    """Cameras that this replica reads at most, for spreading them over replicas; None: all that are free."""
    renew_s: float = 2.0
    """A third of a lease's life."""
    acquire_s: float = 1.0
    """How often a camera that is not held is tried."""
    retry_failed_s: float = 10.0
    """How long until a file that could not be read is tried again, when serving."""
    flush_s: float = 1.0
    drain_s: float = 3.0
    patience: Patience = field(default_factory=Patience)
    still: StillRule | None = None
    """In real time: when a frame is like the last one sent and is left out. None: each is sent."""

    def window_is_ahead(self, now_us: int) -> bool:
        """Whether, in real time, nothing may be captured yet."""
        return self.realtime and self.window_us is not None and now_us < self.window_us[0]

    def window_is_over(self, now_us: int) -> bool:
        """Whether, in real time, nothing may be captured any more."""
        return self.realtime and self.window_us is not None and now_us >= self.window_us[1]


class Dropped(StrEnum):
    """Why a frame was read and not sent, in real time only. Each is a value of the `reason` label."""

    LATE = "late"
    """A newer one had come before it could be taken, or a file had fallen behind its own pace."""
    BACKLOG = "backlog"
    """Too many frames of its partition wait for the detector."""
    UNAVAILABLE = "unavailable"
    """The bus or the key store is away."""
    UNENCODABLE = "unencodable"
    """Its rectangle is too large for the picture format. Also without real time: it can never be sent."""


@dataclass(frozen=True, slots=True)
class CameraSummary:
    """What became of a camera in one run."""

    camera_id: str
    frames: int
    """Frames that the bus has acknowledged."""
    failure: str | None = None
    """Why it could not be read, in words for the operator."""
    damage: str | None = None
    """What its file lacks of what it declares."""


def source_of(plan: CameraPlan, rules: FrameRules) -> CameraSource:
    """The source of a camera, understood. Raises CameraError, also for a live one where time is not kept to."""
    try:
        source = parse_source(plan.source)
    except CameraError as error:
        raise CameraError(f"camera {plan.camera_id}: {error}") from None
    if source.live and not rules.realtime:
        raise CameraError(
            f"camera {plan.camera_id}: {source.name} is live and cannot be read without keeping to real time, since"
            " nobody can read it twice or make it wait; leave out --no-realtime, or record it to a file first"
        )
    return source
