"""Everything that decides which crops of a passer-by are compared, and how: what a certificate is bound to.

Beside what a deployment file sets there are the stages' own limits and calibrations. They are read off the modules, so
that one that is added is not forgotten here; what code does otherwise is bound by the version of the software.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from types import ModuleType
from typing import Any

from overt.detector import align, bestshot, calibration, choice, locate, quality, state, track
from overt.embedder import fusion, model
from overt.evaluation.canonical import plain
from overt.governance.deployment import Recognition
from overt.models.card import DetectorCard

_MODULES: tuple[ModuleType, ...] = (align, bestshot, choice, fusion, locate, model, quality, state, track)


def quality_policy(recognition: Recognition, detector: DetectorCard) -> Mapping[str, Any]:
    """The policy, in canonical form (`overt.evaluation.canonical`). Cool-downs are no part of it."""
    threshold = recognition.detection_threshold
    return {
        "detection_threshold": plain(float(detector.score_threshold if threshold is None else threshold)),
        "quality": plain(calibration.shipped_calibration(detector.decoder)),
        "gate": plain(quality.Gate(min_face_px=float(recognition.min_face_px))),
        "shots": plain(bestshot.ShotPolicy(budget=recognition.crops_per_track)),
        "tracking": plain(track.Tracking()),
        "fusion": plain(fusion.Memory(faces=recognition.crops_per_track)) if recognition.fuse_tracks else None,
        "calibration": {module.__name__.removeprefix("overt."): _constants(module) for module in _MODULES},
    }


def _constants(module: ModuleType) -> dict[str, Any]:
    """The module's own constants: numbers, text, tuples, mappings and dataclasses with a name in capitals."""
    return {
        name: plain(value)
        for name, value in sorted(vars(module).items())
        if name.lstrip("_").isupper() and name.lstrip("_") and _is_plain(value)
    }


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return (
        value is None
        or isinstance(value, (str, bool, int, float))
        or (is_dataclass(value) and not isinstance(value, type))
    )
