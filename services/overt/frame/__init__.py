"""The camera service's own part: readers that never hang the process, and the zone cut out before all else."""

from __future__ import annotations

from overt.frame.camera import Camera, Patience
from overt.frame.feed import threads_left
from overt.frame.playback import Playback
from overt.frame.readers import open_reader
from overt.frame.source import CameraError, CameraSource, SourceKind, parse_source, redact
from overt.frame.zone import Cut, Zone, ZoneError, cut

__all__ = [
    "Camera",
    "CameraError",
    "CameraSource",
    "Cut",
    "Patience",
    "Playback",
    "SourceKind",
    "Zone",
    "ZoneError",
    "cut",
    "open_reader",
    "parse_source",
    "redact",
    "threads_left",
]
