"""What became of each pass: numbers and names of the data set, no biometric. Kept stretch by stretch, so that a run
that was interrupted goes on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

UNSEEN = "never detected"
UNTRACKED = "detected too rarely for a track"
NOT_COMPOSED = "no face found in the photograph"
TAKEN = "every crop of its tracks shows somebody else"


@dataclass(frozen=True, slots=True)
class Scored:
    """A pass by one rule."""

    mate: float | None
    """The score of the person's own subject; None for somebody on no list."""
    other: float
    """The best score of all others."""


@dataclass(frozen=True, slots=True)
class CropRecord:
    """One crop that was sent on."""

    at_s: float
    """Capture time since the face was first visible."""
    face_px: float
    """True width of the face in that frame."""
    quality: float
    mate: float | None
    other: float


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """One alert that showed this pass."""

    subject: str
    right: bool
    similarity: float
    at_s: float
    """Capture time from first sight to the alert's picture."""
    latency_s: float | None
    """Capture to alert by the wall clock; None off real time."""


@dataclass(frozen=True, slots=True)
class PassRecord:
    """One pass."""

    number: int
    person: str
    listed: bool
    image: str
    stretch: int
    enrolled: int
    """Templates of the person on the list."""
    visible_frames: int
    """Frames in which at least half of the face shows."""
    largest_px: float
    detected_frames: int
    tracks: int
    switches: int
    """How often a track went over from somebody else to this pass."""
    failure: str | None
    """Why there was no crop; None where there was one."""
    crops: tuple[CropRecord, ...] = ()
    embeddings: int = 0
    scores: dict[str, Scored] = field(default_factory=dict)
    alerts: tuple[AlertRecord, ...] = ()

    @property
    def acquired(self) -> bool:
        return bool(self.crops)


@dataclass(frozen=True, slots=True)
class StretchRecord:
    """One stretch of passes, run as one source."""

    number: int
    frames: int
    frames_seen: int
    """By the detector; fewer than `frames` in real time under load."""
    wall_s: float
    pipeline_cpu_s: float
    composing_cpu_s: float
    ghosts: int
    """Passes that the detector recorded where nobody was."""
    ghost_alerts: int
    passes: tuple[PassRecord, ...]
    settings: dict[str, float] = field(default_factory=dict)


def write(path: Path, stretch: StretchRecord) -> None:
    """Appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(asdict(stretch)), encoding="utf-8")
    os.replace(partial, path)


def read(path: Path) -> StretchRecord | None:
    """None where there is none, or one of another version."""
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        passes = tuple(_pass(each) for each in said.pop("passes"))
        return StretchRecord(**said, passes=passes)
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        return None


def _pass(said: dict[str, Any]) -> PassRecord:
    crops = tuple(CropRecord(**crop) for crop in said.pop("crops"))
    alerts = tuple(AlertRecord(**alert) for alert in said.pop("alerts"))
    scores = {rule: Scored(**scored) for rule, scored in said.pop("scores").items()}
    return PassRecord(**said, crops=crops, alerts=alerts, scores=scores)
