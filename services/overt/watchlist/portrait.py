"""Whether a face is good enough to be looked for, and what is wrong with it in words that its maker can act on.

The components are those by which the detector judges passers-by (`overt.detector.quality`, after ISO/IEC 29794-5), so
that a reference image is held to what a probe is held to: below `REFUSED_BELOW` not even a probe would be compared.
All limits stand here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.detector.quality import Gate, quality
from overt.picture import Bgr

REFUSED_BELOW = Gate().min_quality
"""A component below it makes a template that finds the wrong people or nobody."""
WARNED_BELOW = 0.5
WANTED_EYES_PX = 60.0
"""Between the eyes: with fewer an image is enrolled, and its maker is told to look for a better one. (ICAO's Portrait
Quality report asks 90 of a passport's.)"""
_DARK = 25
_WHITE = 247


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: `refusals` keep the image off the list, `warnings` do not."""

    quality: float
    """Least of the components, 0 to 1."""
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]


def judge(chip_bgr: Bgr, landmarks: NDArray[np.float32], score: float) -> Verdict:
    """Judges an aligned chip, uint8 [S, S, 3]; `landmarks` [5, 2] and the detector's `score` are those of its face."""
    found = quality(chip_bgr, landmarks, score)
    refusals, warnings = [], []
    between_eyes = eye_distance_px(landmarks)
    if between_eyes < WANTED_EYES_PX:
        warnings.append(f"{between_eyes:.0f} px between the eyes, {WANTED_EYES_PX:.0f} wanted")
    for component, much, some in (
        (found.sharpness, "blurred", "somewhat blurred"),
        (found.exposure, *_exposure(chip_bgr)),
        (found.contrast, "without contrast", "of little contrast"),
        (found.pose, "turned away", "somewhat turned away"),
        (found.score, "hardly a face: covered or cut off", "partly covered or cut off"),
    ):
        if component < REFUSED_BELOW:
            refusals.append(much)
        elif component < WARNED_BELOW:
            warnings.append(some)
    return Verdict(min(1.0, max(0.0, found.value)), tuple(refusals), tuple(warnings))


def eye_distance_px(landmarks: NDArray[np.float32]) -> float:
    """Pixels between the eyes of landmarks [5, 2]."""
    return float(np.linalg.norm(landmarks[1] - landmarks[0]))


def _exposure(chip_bgr: Bgr) -> tuple[str, str]:
    """The words for what the exposure component has found, much and some of it."""
    grey = chip_bgr.mean(axis=2)
    if np.count_nonzero(grey <= _DARK) >= np.count_nonzero(grey >= _WHITE):
        return "too dark", "somewhat dark"
    return "over-exposed", "somewhat over-exposed"
