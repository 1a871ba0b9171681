"""Whether a face is good enough to be looked for, and what is wrong with it in words that its maker can act on.

The components are those by which the detector judges passers-by (`overt.detector.quality`, after ISO/IEC 29794-5). What
keeps an image off the list was read off 24 people of LFW, one image spoiled and compared with another image of the same
person (MobileFaceNet-192): blurred to a sharpness of 0.34, 0.27 and 0.19 its median similarity falls from 0.77 to 0.56,
0.39 and 0.15, where 0.45 is the threshold at FMR 1e-3. Darkened to an exposure of 0 it is still 0.62, and over-exposed
to 0.32 it is 0.58: such images are warned about. All limits stand here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from overt.detector.quality import quality
from overt.picture import Bgr

WANTED_EYES_PX = 60.0
"""Between the eyes: with fewer an image is enrolled, and its maker is told to look for a better one. (ICAO's Portrait
Quality report asks 90 of a passport's.)"""
_DARK = 25
_WHITE = 247


class Limits(NamedTuple):
    """Of one component, 0 to 1."""

    refused_below: float
    warned_below: float


SHARPNESS = Limits(0.3, 0.6)
CONTRAST = Limits(0.2, 0.5)
POSE = Limits(0.2, 0.5)
EXPOSURE = Limits(0.0, 0.5)
SCORE = Limits(0.0, 0.5)


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
    light = _light(chip_bgr)
    for component, limits, much, some in (
        (found.sharpness, SHARPNESS, "blurred", "somewhat blurred"),
        (found.exposure, EXPOSURE, "", light),
        (found.contrast, CONTRAST, f"without contrast ({light})", "of little contrast"),
        (found.pose, POSE, "turned away", "somewhat turned away"),
        (found.score, SCORE, "", "hardly a face for the detector: partly covered or cut off?"),
    ):
        if component < limits.refused_below:
            refusals.append(much)
        elif component < limits.warned_below:
            warnings.append(some)
    return Verdict(min(1.0, max(0.0, found.value)), tuple(refusals), tuple(warnings))


def eye_distance_px(landmarks: NDArray[np.float32]) -> float:
    """Pixels between the eyes of landmarks [5, 2]."""
    return float(np.linalg.norm(landmarks[1] - landmarks[0]))


def _light(chip_bgr: Bgr) -> str:
    """The word for light that is not right."""
    grey = chip_bgr.mean(axis=2)
    dark, white = np.count_nonzero(grey <= _DARK), np.count_nonzero(grey >= _WHITE)
    if dark == white:
        return "badly lit"
    return "dark" if dark > white else "over-exposed"
